"""The tables of a study as Markdown, LaTeX, HTML and on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from rich.console import Console
from rich.markup import escape as rich_escape
from rich.table import Table as Grid

from ltr import html as markup
from ltr.html import Section as PagePart
from ltr.html import page
from ltr.markdown import escape as escape_markdown
from ltr.markdown import markdown_table
from ltr.sentences import plural
from ltr.studies.job import Setting
from ltr.studies.plan import Plan
from ltr.studies.table import Section, Table, differences, provenance, results
from ltr.version import __version__

ESSENTIAL = 5  # columns that the terminal always shows
SPECIAL = {letter: "\\" + letter for letter in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}


def markdown(
    plan: Plan, sections: Sequence[Section], *, command: str, level: int = 1, above: Sequence[str] = ()
) -> str:
    """Return the results as Markdown.

    Args:
        plan: the study.
        sections: its results.
        command: what the user typed.
        level: of the top heading.
        above: paragraphs between that heading and what the file of the study says about it.
    """
    about = [f"`{command}`, {_seeds(plan)}"]
    if plan.subset_seeds != (None,):
        about.append(f"each on the images of subset seeds {', '.join(map(str, plan.subset_seeds))}")
    lines = ["#" * level + f" {plan.name}", *above, *([plan.about.replace("<", "\\<")] if plan.about else [])]
    for number, section in enumerate(sections):
        if section.setting.title:
            lines.append("#" * (level + 1) + f" {section.setting.title}")
        start = [", ".join(about)] if number == 0 else []
        table = results(section)
        lines.append(
            " ".join(f"{part}." for part in [*start, escape_markdown(section.data)] if part) + f" {table.note}"
        )
        lines.append(_markdown_table(table))
        apart = differences(section)
        if apart is not None:
            lines += [escape_markdown(apart.note), _markdown_table(apart)]
    lines += [f"- {escape_markdown(sentence)}" for section in sections for sentence in section.failures]
    return "\n\n".join(lines) + "\n"


def _seeds(plan: Plan) -> str:
    seeds = [str(seed) for seed in plan.seeds if seed is not None]
    return f"seeds {', '.join(seeds) or 'of the arguments'}"


def provenance_markdown(plan: Plan, sections: Sequence[Section], *, level: int = 1) -> str:
    """Return cost and provenance of every row as Markdown, whose top heading has a level from 1."""
    lines = ["#" * level + f" How {plan.name} was made"]
    for section in sections:
        table = provenance(section)
        title = ["#" * (level + 1) + f" {section.setting.title}"] if section.setting.title else []
        lines += [*title, table.note, _markdown_table(table)]
    return "\n\n".join(lines) + "\n"


def _markdown_table(table: Table) -> str:
    rows = table.written(lambda cell: f"**{escape_markdown(cell)}**", escape_markdown)
    return markdown_table([*map(escape_markdown, table.head)], rows).rstrip()


def latex(sections: Sequence[Section], *, command: str) -> str:
    """Return booktabs tables: the results of each section and, if there are any, the differences.

    The command that the user typed is a comment at the top.
    """
    parts = [f"% {' '.join(command.split())}\n% \\usepackage{{booktabs}}"]
    for section in sections:
        for table in (results(section), differences(section)):
            if table is not None:
                caption = ". ".join(part for part in (section.setting.title, section.data, table.note) if part)
                parts.append(tabular(table, caption))
    return "\n\n".join(parts) + "\n"


def tabular(table: Table, caption: str) -> str:
    """Return a table environment."""
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
    """Return text on one line, with the special characters of LaTeX escaped."""
    return "".join(SPECIAL.get(letter, letter) for letter in " ".join(text.split()))


def html(
    plan: Plan, sections: Sequence[Section], *, command: str, pictures: Mapping[Setting, Mapping[str, Figure]]
) -> str:
    """Return the results as a page of their own.

    Args:
        plan: the study.
        sections: its results.
        command: what the user typed.
        pictures: the figures of each section by name.
    """
    about = markup.sentence(plan.about) + markup.command(command) + markup.sentence(f"{_seeds(plan).capitalize()}.")
    parts = [PagePart(plan.name, about)]
    for section in sections:
        content = [markup.sentence(section.data), *_html_table(results(section)), *_html_table(differences(section))]
        content += [markup.sentence(failure, kind="missing") for failure in section.failures]
        content += [markup.picture(figure, name) for name, figure in pictures[section.setting].items()]
        content.append(markup.folded("How it was made", "\n".join(_html_table(provenance(section)))))
        parts.append(PagePart(section.setting.title or "Results", "\n".join(content)))
    return page(f"ltr: {plan.name}", parts, footer=f"Written by ltr study {__version__}.")


def _html_table(table: Table | None) -> list[str]:
    """Return a table and its note; nothing without a table."""
    if table is None:
        return []
    return [markup.table(table.head, table.rows, bold=table.bold), markup.sentence(table.note, kind="note")]


def terminal(plan: Plan, sections: list[Section]) -> None:
    """Print the tables of all sections."""
    for section in sections:
        title = f"{plan.name}, {plural(len(plan.seeds), 'seed')}"
        for table in (results(section), differences(section)):
            if table is not None:
                _show(table, f"{title}: {section.setting.title}" if section.setting.title else title)
        for sentence in section.failures:
            print(sentence)


def _show(table: Table, title: str) -> None:
    """Print a table; leave out the last columns if the terminal is too narrow."""

    def grid(columns: int) -> Grid:
        left_out = ", ".join(table.head[columns:])
        note = f"{table.note} Too wide for this terminal: {left_out}." if left_out else table.note
        shown = Grid(title=rich_escape(title), caption=rich_escape(note), pad_edge=False)
        shown.add_column(rich_escape(table.head[0]), no_wrap=True)
        for head in table.head[1:columns]:
            shown.add_column(rich_escape(head), justify="right", no_wrap=True)
        for cells in table.written(lambda cell: f"[bold]{rich_escape(cell)}[/]", rich_escape):
            shown.add_row(*cells[:columns])
        return shown

    console = Console()
    wide = Console(width=1000)
    columns = len(table.head)
    while columns > ESSENTIAL and wide.measure(grid(columns)).maximum > console.width:
        columns -= 1
    shown = grid(columns)
    Console(width=max(console.width, wide.measure(shown).maximum)).print(shown)
