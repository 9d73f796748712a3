"""The tab that lists the runs: figures, config, report, settings, deletion."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr

from ltr.app.job import Job
from ltr.app.listing import COLUMNS, row
from ltr.app.place import Place
from ltr.app.told import told
from ltr.errors import InputError
from ltr.html.markup import escape
from ltr.run.folder import CONFIG, RunFolder


def runs(place: Place, like: gr.Dropdown) -> None:
    """Make the tab.

    Args:
        place: the folders of the page.
        like: the choice, elsewhere on the page, of the run whose settings are taken.
    """

    def rows() -> list[list[str]]:
        return [row(place, one) for one in place.names()]

    refresh = gr.Button("Refresh", size="sm")
    table = gr.Dataframe(
        rows,
        headers=list(COLUMNS),
        interactive=False,
        wrap=False,
        show_search="filter",
        elem_id="runs",
        label="Runs, the latest first; figures of the test in percent. Choose one.",
    )
    name = gr.Textbox(label="Run", info="The one chosen in the table.", elem_id="chosen", interactive=True)
    with gr.Row():
        report = gr.Button("Report", elem_id="report")
        use = gr.Button("Use its settings", elem_id="use")
        delete = gr.Button("Delete", variant="stop", elem_id="delete")
    with gr.Group(visible=False) as question:
        asked = gr.HTML(elem_id="question")
        with gr.Row():
            yes = gr.Button("Yes, delete it", variant="stop", elem_id="yes")
            no = gr.Button("Keep it", elem_id="no")
    written = gr.HTML(elem_id="report-link")
    config = gr.Code(label=CONFIG, language="yaml", max_lines=20, elem_id="config", visible=False)

    @told
    def choose(event: gr.SelectData) -> str:
        return str(event.row_value[0])

    @told
    def detail(run: str) -> Any:
        hidden = [gr.Code(visible=False), "", gr.Group(visible=False)]
        if not run:
            return hidden
        file = RunFolder(place.run(run)).config_file
        text = file.read_text(encoding="utf-8") if file.is_file() else f"# this run kept no {CONFIG}"
        return [gr.Code(text, visible=True), "", gr.Group(visible=False)]

    @told
    def link(run: str) -> str:
        place.run(run)
        address = escape(quote(f"reports/{run}"))
        return f'<p><a href="{address}" target="_blank" rel="noopener">Open the report of {escape(run)}</a></p>'

    @told
    def ask(run: str) -> Any:
        found = RunFolder(deletable(place, run))
        size = f"{len(found.files)} files, {found.size / 2**20:.1f} MiB"
        words = f"<p>Delete <b>{escape(run)}</b>, {size}? This cannot be undone.</p>"
        return words, gr.Group(visible=True)

    @told
    def remove(run: str) -> Any:
        folder = deletable(place, run)
        Job.of(place, run).forget()
        RunFolder(folder).delete()
        return "", gr.Group(visible=False), rows()

    @told
    def settings(run: str) -> Any:
        place.run(run)
        return gr.Dropdown(choices=["", *place.names()], value=run)

    refresh.click(rows, None, table, api_name="list_runs")
    table.select(choose, None, name)
    name.change(detail, name, [config, written, question], api_name="run_config")
    report.click(link, name, written, api_name="run_report")
    use.click(settings, name, like)
    delete.click(ask, name, [asked, question], api_name="ask_to_delete_run")
    no.click(lambda: gr.Group(visible=False), None, question)
    yes.click(remove, name, [name, question, table], api_name="delete_run")


def deletable(place: Place, run: str) -> Path:
    """Return the folder of a run that may be deleted.

    Raises:
        InputError: where it is at work, or not one of this page's folder.
    """
    folder = place.run(run)
    if not folder.resolve().is_relative_to(place.runs.resolve()):
        raise InputError(f"{run} came with the package: it is not kept here, so it cannot be deleted here.")
    if Job.of(place, run).running:
        raise InputError(f"the run {run} is at work: stop it first.")
    return folder
