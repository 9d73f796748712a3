"""The tables and pictures of a study as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from ltr.html.markup import command, folded, picture, sentence, table
from ltr.html.page import Section as Part
from ltr.html.page import page
from ltr.studies.job import Setting
from ltr.studies.plan import Plan
from ltr.studies.table import Section, Table, differences, provenance, results
from ltr.version import __version__


def web(plan: Plan, sections: Sequence[Section], *, said: str, pictures: Mapping[Setting, Mapping[str, Figure]]) -> str:
    """Return the page.

    Args:
        plan: the study.
        sections: its results.
        said: the command.
        pictures: those of each section by what they show.
    """
    seeds = f"Seeds {', '.join(map(str, plan.seeds))}."
    parts = [Part(plan.name, sentence(plan.about) + command(said) + sentence(seeds))]
    for section in sections:
        content = [sentence(section.data), *_table(results(section)), *_table(differences(section))]
        content += [sentence(failure, kind="missing") for failure in section.failures]
        content += [picture(figure, name) for name, figure in pictures[section.setting].items()]
        content.append(folded("How it was made", "\n".join(_table(provenance(section)))))
        parts.append(Part(section.setting.title or "Results", "\n".join(content)))
    return page(f"ltr: {plan.name}", parts, footer=f"Written by `ltr study` {__version__}.")


def _table(made: Table | None) -> list[str]:
    """Return a table and what a reader must know, nothing where there is none."""
    if made is None:
        return []
    return [table(made.head, made.rows, bold=made.bold), sentence(made.note, kind="note")]
