"""The tables of a study for a paper."""

from __future__ import annotations

from collections.abc import Sequence

from ltr.studies.table import Section, Table, differences, results

SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$"} | {
    letter: "\\" + letter for letter in "&%$#_{}"
}


def latex(sections: Sequence[Section], *, command: str) -> str:
    """Return tables in the style of booktabs, one per section, and one of the differences where there are some.

    Args:
        sections: the results.
        command: what the user typed.
    """
    parts = [f"% {command}\n% \\usepackage{{booktabs}}"]
    for section in sections:
        for table in (results(section), differences(section)):
            if table is not None:
                caption = ". ".join(part for part in (section.setting.title, section.data, table.note) if part)
                parts.append(tabular(table, caption))
    return "\n\n".join(parts) + "\n"


def tabular(table: Table, caption: str) -> str:
    """Return a table that can be pasted into a paper."""
    rows = table.written(lambda cell: rf"\textbf{{{escape(cell)}}}", escape)
    lines = [
        r"\begin{table}",
        r"  \centering",
        f"  \\caption{{{escape(caption)}}}",
        f"  \\begin{{tabular}}{{l{'r' * (len(table.head) - 1)}}}",
        r"    \toprule",
        f"    {' & '.join(map(escape, table.head))} \\\\",
        r"    \midrule",
        *(f"    {' & '.join(cells)} \\\\" for cells in rows),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines)


def escape(text: str) -> str:
    """Return a text in which LaTeX finds no commands."""
    return "".join(SPECIAL.get(letter, letter) for letter in text)
