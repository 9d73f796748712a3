"""The tab that trains."""

from __future__ import annotations

from functools import partial
from typing import Any

import gradio as gr
from gradio.components import Component

from ltr.app.catalogue import methods, others
from ltr.app.form import form
from ltr.app.job import Job, typed
from ltr.app.place import Place
from ltr.app.told import told
from ltr.app.training import Training
from ltr.app.watch import choices, watch
from ltr.errors import InputError
from ltr.html.markup import sentence
from ltr.run.folder import RunFolder

FIRST = {"method": "ce.yaml", "data": "data/digits.yaml", "recipes": ["recipes/short.yaml"]}


def train(place: Place) -> gr.Dropdown:
    """Make the tab; return the choice of the run whose settings are taken."""
    parts = gr.State({})
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=340):
            method = gr.Dropdown(
                list(methods().items()), value=FIRST["method"], label="Method", info="The recipes of `configs/`."
            )
            data = gr.Dropdown(
                list(others("data").items()),
                value=FIRST["data"],
                label="Data set",
                info="Where its files are and how long its tail is stands below, under Data.",
            )
            recipes = gr.Dropdown(
                list(others("recipes").items()),
                value=FIRST["recipes"],
                label="Recipes",
                multiselect=True,
                info="Budget, augmentation, logger: combined with the method; the later one wins.",
            )
            like = gr.Dropdown(
                ["", *place.names()],
                value="",
                label="Settings of a run",
                info="Takes the whole config of that run, in the place of the three above.",
                allow_custom_value=True,
            )
            with gr.Group():
                name = gr.Textbox(
                    label="Run name", info="Empty: after the method and the data.", max_length=80, elem_id="name"
                )
                folder = gr.Textbox(label="Folder", info=f"Below {place.runs}, for runs and logs.", max_length=80)
                seed = gr.Number(0, label="Seed", info="Of the training; which images are kept depends on subset seed.")
                keep = gr.Checkbox(True, label="Keep the model", info="Else its weights go when it is tested.")
            with gr.Accordion("Ensemble of a tuned run", open=False):
                ensemble = gr.Checkbox(False, label="Ensemble", info="Test old and new head together, too.")
                new = gr.Number(1.0, label="Temperature of the new head", info="Above 1 softens it.")
                old = gr.Number(2.0, label="Temperature of the old head", info="Above 1 softens it.")
            start = gr.Button("Start", variant="primary", elem_id="start")
            holder = gr.Column()
        with gr.Column(scale=2, min_width=340, elem_id="watched"):
            run = watch(place)
    asked = {"method": method, "data": data, "recipes": recipes, "like": like}
    more = {
        "name": name,
        "folder": folder,
        "seed": seed,
        "ensemble": ensemble,
        "t_new": new,
        "t_old": old,
        "keep": keep,
    }

    with holder:

        @gr.render(inputs=[*asked.values(), parts])  # type: ignore[untyped-decorator]
        def fields_of(method: str, data: str, recipes: list[str], like: str, chosen: dict[str, str]) -> None:
            """Make a widget for everything that the training can be told."""
            from ltr.app.fields import fields, resolved

            try:
                found = fields(resolved(Training(method, data, recipes, like, chosen).chosen(place)))
            except InputError as error:
                gr.HTML(sentence(f"{error}", kind="failure"))
                return
            command = gr.Textbox(
                label="The same on the command line",
                lines=2,
                max_lines=10,
                buttons=["copy"],
                interactive=False,
                elem_id="command",
            )
            widgets = form(found, f"{method} {data} {recipes} {like}")
            plain = {option: widgets[option] for option in (one.option for one in found if one.kind != "part")}

            def training(*values: Any) -> Training:
                """Return what all widgets say."""
                said = ["" if value is None else value for value in values]
                first: dict[str, Any] = dict(zip((*asked, *more), said, strict=False))
                return Training(**first, parts=chosen, values=dict(zip(plain, values[len(first) :], strict=True)))

            @told
            def begin(*values: Any) -> Any:
                wish = training(*values)
                name, made = wish.commands(place, found)
                resolved(made[0][1:])
                checkpoint = RunFolder(place.runs / name).checkpoint
                Job.of(place, name).start(made, unwanted=() if wish.keep else (checkpoint,))
                return gr.Dropdown(choices=choices(place), value=name)

            def preview(*values: Any) -> str:
                try:
                    return typed(training(*values).commands(place, found)[1]).replace(" && ", " &&\n")
                except InputError as error:
                    return f"# {error}"

            inputs = [*asked.values(), *more.values(), *plain.values()]
            start.click(begin, inputs, run)
            changes = [event(item, "change") for item in (*more.values(), *plain.values())]
            gr.on(changes, preview, inputs, command, show_progress="hidden")
            once = gr.Timer(0.2)  # values that were typed before come back without a change
            once.tick(lambda *values: (preview(*values), gr.Timer(active=False)), inputs, [command, once])
            for option in (one.option for one in found if one.kind == "part"):
                event(widgets[option], "input")(partial(choose, chosen, option), widgets[option], parts)

    gr.on([item.change for item in asked.values()], dict, None, parts)
    like.focus(lambda: gr.Dropdown(choices=["", *place.names()]), None, like)
    return like


def event(widget: Component, name: str) -> Any:
    """Return an event of a widget, which Gradio gives it when it is made."""
    return getattr(widget, name)


def choose(parts: dict[str, str], option: str, name: str) -> dict[str, str]:
    """Return the parts with another one, and without what was chosen within the one that it replaces."""
    kept = {key: value for key, value in parts.items() if key != option and not key.startswith(f"{option}.")}
    return kept | {option: name}
