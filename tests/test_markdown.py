"""Text from data in Markdown."""

from __future__ import annotations

import pytest

from ltr.markdown import escape


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("<script>alert(1)</script>", r"\<script>alert(1)\</script>"),
        ("a|b", r"a\|b"),
        ("[x](http://y)", r"[x\](http://y)"),
        ("+1.5 [-2.0, +3.0]", "+1.5 [-2.0, +3.0]"),
        ("*bold* `code`", r"\*bold\* \`code\`"),
        ("_name_ of_a_class", r"\_name\_ of_a_class"),
        ("a & b &amp; c", r"a & b \&amp; c"),
        ("two\nlines\t| more", r"two lines \| more"),
        ("CE + GML (20 % ± 1.0), tau 1.5", "CE + GML (20 % ± 1.0), tau 1.5"),
    ],
)
def test_names_are_no_markup(text: str, escaped: str) -> None:
    assert escape(text) == escaped
