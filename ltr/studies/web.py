"""The tables and pictures of a study as a page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from ltr import html
from ltr.studies.plan import Plan
from ltr.studies.table import Section, Table, differences, provenance, results


def web(plan: Plan, sections: Sequence[Section], *, command: str, pictures: Sequence[Path]) -> str:
    """Return the page.

    Args:
        plan: the study.
        sections: its results.
        command: what the user typed.
        pictures: PNG files that go into it.
    """
    seeds = f"seeds {', '.join(map(str, plan.seeds))}"
    body = [f"<p>{escape(plan.about)}</p>", f"<p><code>{escape(command)}</code>, {seeds}.</p>"]
    for section in sections:
        if section.setting.title:
            body.append(f"<h2>{escape(section.setting.title)}</h2>")
        body.append(f"<p>{escape(section.data)}</p>")
        for title, made in (("", results), ("Differences", differences), ("How it was made", provenance)):
            table = made(section)
            if table is not None:
                body += [f"<h3>{title}</h3>"] * bool(title) + [_table(table)]
    body += [f"<p>{escape(sentence)}</p>" for section in sections for sentence in section.failures]
    body += [html.picture(path, path.stem) for path in pictures]
    return html.page(plan.name, body)


def _table(table: Table) -> str:
    """Return a table and what a reader must know."""
    rows = table.written(lambda cell: f"<b>{escape(cell)}</b>", escape)
    return f"{html.table(table.head, rows)}\n<p>{escape(table.note)}</p>"
