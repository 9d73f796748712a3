"""The tables of a study as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from ltr.markdown import markdown_table
from ltr.studies.plan import Plan
from ltr.studies.table import Section, Table, differences, provenance, results


def markdown(plan: Plan, sections: Sequence[Section], *, command: str, level: int = 1) -> str:
    """Return what was measured, with how it was done.

    Args:
        plan: the study.
        sections: its results.
        command: what the user typed.
        level: of the heading.
    """
    said = [f"`{command}`, seeds {', '.join(map(str, plan.seeds))}"]
    if plan.subset_seeds != (None,):
        said.append(f"each on the images of subset seeds {', '.join(map(str, plan.subset_seeds))}")
    lines = ["#" * level + f" {plan.name}", *([plan.about] if plan.about else [])]
    for number, section in enumerate(sections):
        if section.setting.title:
            lines.append("#" * (level + 1) + f" {section.setting.title}")
        start = [", ".join(said)] if number == 0 else []
        table = results(section)
        lines.append(" ".join(f"{part}." for part in [*start, section.data] if part) + f" {table.note}")
        lines.append(_table(table))
        apart = differences(section)
        if apart is not None:
            lines += [apart.note, _table(apart)]
    lines += [f"- {sentence}" for section in sections for sentence in section.failures]
    return "\n\n".join(lines) + "\n"


def made(plan: Plan, sections: Sequence[Section]) -> str:
    """Return what every row cost and where it is from, as Markdown."""
    lines = [f"# How {plan.name} was made"]
    for section in sections:
        table = provenance(section)
        title = [f"## {section.setting.title}"] if section.setting.title else []
        lines += [*title, table.note, _table(table)]
    return "\n\n".join(lines) + "\n"


def _table(table: Table) -> str:
    """Return a table."""
    return markdown_table(table.head, table.written("**{}**".format)).rstrip()
