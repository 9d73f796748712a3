"""The tab that lists the runs: figures, config, report, settings, deletion."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr

from ltr.app.allowed_paths import AllowedPaths
from ltr.app.listing import COLUMNS, row
from ltr.app.show_errors import show_errors
from ltr.errors import InputError
from ltr.html.markup import escape
from ltr.run.folder import CONFIG, RunFolder


def runs(paths: AllowedPaths, like: gr.Dropdown, tabs: gr.Tabs) -> None:
    """Make the tab.

    Args:
        paths: the folders of the page.
        like: the dropdown of the tab Train for the run whose settings are used.
        tabs: all tabs; the one called `train` is opened to show these settings.
    """

    def rows() -> list[list[str]]:
        return [row(paths, one) for one in paths.names()]

    refresh = gr.Button("Refresh", size="sm")
    table = gr.Dataframe(
        rows,
        headers=list(COLUMNS),
        interactive=False,
        wrap=False,
        show_search="filter",
        elem_id="runs",
        label="Runs, the latest first; test results in percent. Choose one.",
    )
    name = gr.Textbox(label="Run", info="Chosen in the table.", elem_id="chosen", interactive=True)
    with gr.Row():
        report = gr.Button("Report", elem_id="report")
        use = gr.Button("Use its settings", elem_id="use")
        delete = gr.Button("Delete", elem_id="delete")
    with gr.Group(visible=False) as question:
        asked = gr.HTML(elem_id="question")
        with gr.Row():
            yes = gr.Button("Yes, delete it", variant="stop", elem_id="yes")
            no = gr.Button("Keep it", elem_id="no")
    written = gr.HTML(elem_id="report-link")
    config = gr.Code(label=CONFIG, language="yaml", max_lines=20, elem_id="config", visible=False)

    @show_errors
    def choose(event: gr.SelectData) -> str:
        return str(event.row_value[0])

    @show_errors
    def detail(run: str) -> Any:
        hidden = [gr.Code(visible=False), "", gr.Group(visible=False)]
        if not run:
            return hidden
        file = paths.run(run) / "config.yaml"
        text = file.read_text(encoding="utf-8") if file.is_file() else "# this run kept no config.yaml"
        return [gr.Code(text, visible=True), "", gr.Group(visible=False)]

    @show_errors
    def link(run: str) -> str:
        paths.run(run)
        address = escape(quote(f"reports/{run}"))
        return f'<p><a href="{address}" target="_blank" rel="noopener">Open the report of {escape(run)}</a></p>'

    @show_errors
    def ask(run: str) -> Any:
        found = RunFolder(deletable(paths, run))
        size = f"{len(found.files)} files, {found.size / 2**20:.1f} MiB"
        words = f"<p>Delete <b>{escape(run)}</b>, {size}? This cannot be undone.</p>"
        return words, gr.Group(visible=True)

    @show_errors
    def remove(run: str) -> Any:
        folder = deletable(paths, run)
        paths.job(run).forget()
        RunFolder(folder).delete()
        return "", gr.Group(visible=False), rows()

    @show_errors
    def settings(run: str) -> Any:
        paths.run(run)
        return gr.Dropdown(choices=["", *paths.names()], value=run), gr.Tabs(selected="train")

    refresh.click(rows, None, table, api_name="list_runs")
    table.select(choose, None, name)
    name.change(detail, name, [config, written, question], api_name="run_config")
    report.click(link, name, written, api_name="run_report")
    use.click(settings, name, [like, tabs])
    delete.click(ask, name, [asked, question], api_name="ask_to_delete_run")
    no.click(lambda: gr.Group(visible=False), None, question)
    yes.click(remove, name, [name, question, table], api_name="delete_run")


def deletable(paths: AllowedPaths, run: str) -> Path:
    """Return the folder of a run, if it may be deleted.

    Raises:
        InputError: if it is running, or shipped with `ltr`.
    """
    folder = paths.run(run)
    if not folder.resolve().is_relative_to(paths.runs.resolve()):
        raise InputError(f"{run} is shipped with `ltr`, so it cannot be deleted here.")
    if paths.job(run).running:
        raise InputError(f"the run {run} is running: stop it first.")
    return folder
