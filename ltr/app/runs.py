"""The tab that lists the runs: figures, config, report, settings, deletion."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import gradio as gr

from ltr.app.allowed_paths import AllowedPaths
from ltr.app.show_errors import show_errors
from ltr.app.watch import state
from ltr.errors import InputError
from ltr.html import escape
from ltr.measures import shown
from ltr.run import description
from ltr.run.folder import CONFIG, RunFolder
from ltr.sentences import plural

COLUMNS = ("run", "state", *(measure.title for measure in shown("summary")), "method", "data", "epochs", "when")
OWN, SHIPPED = "My runs", "Runs shipped with ltr"


def runs(paths: AllowedPaths, like: gr.Dropdown, tabs: gr.Tabs) -> None:
    """Make the tab.

    Args:
        paths: the folders of the page.
        like: the dropdown of the tab Train for the run whose settings are used.
        tabs: all tabs; the one called `train` is opened to show these settings.
    """
    with gr.Row():
        which = gr.Radio([OWN, SHIPPED], value=OWN, show_label=False, container=False, scale=1)
        refresh = gr.Button("Refresh", size="sm", scale=0, min_width=100)
    gr.HTML("Newest first; test results in percent. Click a row to choose a run.", elem_classes="hint")
    table = gr.Dataframe(
        lambda: rows(paths, OWN),
        headers=list(COLUMNS),
        interactive=False,
        wrap=False,
        show_search="filter",
        elem_id="runs",
        show_label=False,
    )
    name = gr.Textbox(label="Run", info="Chosen in the table.", elem_id="chosen", interactive=True)
    with gr.Row():
        report = gr.Button("Report", size="md", elem_id="report", interactive=False)
        use = gr.Button("Use its settings", size="md", elem_id="use", interactive=False)
        delete = gr.Button("Delete", size="md", elem_id="delete", interactive=False)
    with gr.Group(visible=False) as question:
        asked = gr.HTML(elem_id="question")
        with gr.Row():
            yes = gr.Button("Yes, delete it", variant="stop", elem_id="yes")
            no = gr.Button("Keep it", elem_id="no")
    link = gr.HTML(elem_id="report-link")
    config = gr.Code(label=CONFIG, language="yaml", max_lines=20, elem_id="config", visible=False)

    @show_errors
    def choose(event: gr.SelectData) -> str:
        return str(event.row_value[0])

    @show_errors
    def detail(chosen: str) -> Any:
        shut = ["", gr.Group(visible=False)]
        if not chosen:
            return [gr.Code(visible=False), *shut, *[gr.Button(interactive=False)] * 3]
        run = paths.run(chosen)
        text = run.config_text or f"# this run kept no {CONFIG}"
        usable = [True, run.config_file.is_file(), not paths.is_shipped(run)]
        return [gr.Code(text, visible=True), *shut, *(gr.Button(interactive=one) for one in usable)]

    @show_errors
    def to_report(chosen: str) -> str:
        paths.run(chosen)
        address = escape(quote(f"reports/{chosen}"))
        return f'<p><a href="{address}" target="_blank" rel="noopener">Open the report of {escape(chosen)}</a></p>'

    @show_errors
    def ask(chosen: str) -> Any:
        doomed = deletable(paths, chosen)
        number, size = sum(len(run.files) for run in doomed), sum(run.size for run in doomed)
        names = " and ".join(f"<b>{escape(run.name)}</b>" for run in doomed)
        words = f"<p>Delete {names}, {plural(number, 'file')}, {size / 2**20:.1f} MiB? This cannot be undone.</p>"
        return words, gr.Group(visible=True)

    @show_errors
    def remove(chosen: str, which: str) -> Any:
        for run in deletable(paths, chosen):
            run.delete()
        paths.job(chosen).forget()
        return "", gr.Group(visible=False), rows(paths, which)

    @show_errors
    def settings(chosen: str) -> Any:
        paths.run(chosen)
        gr.Info(f"The form has the settings of {chosen}.", duration=5)
        return gr.Dropdown(choices=["", *paths.names()], value=chosen), gr.Tabs(selected="train")

    gr.on([refresh.click, which.change], lambda which: rows(paths, which), which, table, api_name="list_runs")
    table.select(choose, None, name)
    name.change(detail, name, [config, link, question, report, use, delete], api_name="run_config")
    report.click(to_report, name, link, api_name="run_report")
    use.click(settings, name, [like, tabs])
    delete.click(ask, name, [asked, question], api_name="ask_to_delete_run")
    no.click(lambda: gr.Group(visible=False), None, question)
    yes.click(remove, [name, which], [name, question, table], api_name="delete_run")


def rows(paths: AllowedPaths, which: str) -> list[list[str]]:
    """Return the rows of the table: the runs of this folder, or those shipped with `ltr`."""
    runs = paths.listed().items()
    return [row(paths, name, run) for name, run in runs if paths.is_shipped(run) == (which == SHIPPED)]


def row(paths: AllowedPaths, name: str, run: RunFolder) -> list[str]:
    """Return the row of a run."""
    config: Mapping[str, Any] = {}
    with suppress(InputError):
        config = run.config
    metrics = run.measured
    values = [(measure, metrics.get(measure.key)) for measure in shown("summary")]
    return [
        name,
        state(run, paths.job(name)),
        *("" if value is None else f"{measure.scale * value:.1f}" for measure, value in values),
        description.summary(config),
        description.data_set(metrics.get("data") or {}, config.get("data") or {}),
        str(run.planned_epochs or ""),
        time.strftime("%Y-%m-%d %H:%M", time.localtime(run.path.stat().st_mtime)),
    ]


def deletable(paths: AllowedPaths, name: str) -> list[RunFolder]:
    """Return a run that may be deleted, with that of the network before, if it is a tuning.

    Raises:
        InputError: if it is running, or shipped with `ltr`.
    """
    run = paths.run(name)
    if paths.is_shipped(run):
        raise InputError(f"{name} is shipped with `ltr`, so it cannot be deleted here.")
    if paths.job(name).running or run.lock.held:
        raise InputError(f"the run {name} is running: stop it first.")
    before = paths.before(name)
    return [run, before] if before and before.exists else [run]
