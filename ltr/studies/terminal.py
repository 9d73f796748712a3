"""The tables of a study on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from ltr.studies.plan import Plan
from ltr.studies.table import Section, Table, differences, results

ESSENTIAL = 5


def terminal(plan: Plan, sections: list[Section]) -> None:
    """Print the tables of the sections that have results."""
    for section in sections:
        title = f"{plan.name}, {len(plan.seeds)} seeds"
        for table in (results(section), differences(section)):
            if table is not None:
                show(table, f"{title}: {section.setting.title}" if section.setting.title else title)
        for sentence in section.failures:
            print(sentence)


def show(table: Table, title: str) -> None:
    """Print a table, without its last columns where the terminal is too narrow for them."""

    def grid(columns: int) -> Grid:
        made = Grid(title=title, caption=escape(table.note), pad_edge=False)
        made.add_column(table.head[0], no_wrap=True)
        for head in table.head[1:columns]:
            made.add_column(head, justify="right", no_wrap=True)
        for cells in table.written(lambda cell: f"[bold]{escape(cell)}[/]", escape):
            made.add_row(*cells[:columns])
        return made

    console = Console()
    wide = Console(width=1000)
    columns = len(table.head)
    while columns > ESSENTIAL and wide.measure(grid(columns)).maximum > console.width:
        columns -= 1
    shown = grid(columns)
    Console(width=max(console.width, wide.measure(shown).maximum)).print(shown)
