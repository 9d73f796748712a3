"""Class names that say that a mirrored image is of another class."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Words for left and right, and others that a mirror exchanges, in their usual forms.
OPPOSITES = (
    *(("left", "right"), ("west", "east"), ("clockwise", "counterclockwise"), ("clockwise", "anticlockwise")),
    *(("links", "rechts"), ("linke", "rechte"), ("gauche", "droite"), ("gauche", "droit"), ("ouest", "est")),
    *(("izquierda", "derecha"), ("izquierdo", "derecho"), ("izq", "der"), ("esquerda", "direita")),
    *(("esquerdo", "direito"), ("sinistra", "destra"), ("sinistro", "destro"), ("stanga", "dreapta")),
    *(("vänster", "höger"), ("venstre", "høyre"), ("venstre", "højre"), ("vasen", "oikea"), ("vasemmalle", "oikealle")),
    *(("lewo", "prawo"), ("lewa", "prawa"), ("lewy", "prawy"), ("vlevo", "vpravo"), ("levý", "pravý"), ("bal", "jobb")),
    *(("lijevo", "desno"), ("levo", "desno"), ("sol", "sağ"), ("лево", "право"), ("левый", "правый")),
    *(("налево", "направо"), ("ліво", "право"), ("αριστερά", "δεξιά"), ("左", "右"), ("왼", "오른"), ("좌", "우")),
    *(("يسار", "يمين"), ("שמאל", "ימין"), ("बाएं", "दाएं"), ("ซ้าย", "ขวา"), ("trái", "phải"), ("kiri", "kanan")),
)
INITIALS = (("l", "r"), ("g", "d"), ("w", "e"), ("cw", "ccw"), ("b", "d"), ("p", "q"))  # whole words only
WORD = re.compile(r"[^\W_]+")


def mirror_pairs(classes: Sequence[str]) -> list[tuple[str, str]]:
    """Return the pairs of classes whose names differ by left and right, in one of many languages."""
    known = {name.casefold(): name for name in classes}
    pairs = set()
    for name in known:
        for left, right in OPPOSITES:
            pairs |= {(name, name.replace(left, right))} if left in name else set()
        words = WORD.findall(name)
        for left, right in INITIALS:
            if left in words and len(words) > 1:
                pairs |= {(name, re.sub(rf"(?<![^\W_]){left}(?![^\W_])", right, name))}
    return sorted((known[one], known[other]) for one, other in pairs if one != other and other in known)


def are_characters(classes: Sequence[str]) -> bool:
    """Return whether most classes are single letters or digits."""
    return 2 * sum(len(name) == 1 and name.isalnum() for name in classes) > len(classes)
