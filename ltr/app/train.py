"""The tab that trains."""

from __future__ import annotations

from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.components import Component

from ltr.app.allowed_paths import AllowedPaths
from ltr.app.job import commands, shell
from ltr.app.show_errors import capitalised, show_errors
from ltr.app.watch import choices, watch
from ltr.errors import InputError
from ltr.html import sentence
from ltr.run.recipe import GROUPS, Recipe
from ltr.studies.plan import Plan

if TYPE_CHECKING:
    from ltr.app.field import Field
    from ltr.app.training import TrainingForm

TITLES = {"data": "Data", "method": "Method", "trainer": "Training"}  # of groups of fields
OPEN = ("data", "trainer")  # groups that are unfolded at first
FIRST = {"method": "ce.yaml", "data": "data/digits.yaml", "recipes": ["recipes/short.yaml"]}


def train(paths: AllowedPaths) -> gr.Dropdown:
    """Make the tab; return the dropdown of the run whose settings are used."""
    parts = gr.State({})
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=340):
            method = gr.Dropdown(methods(), value=FIRST["method"], label="Method", info="The recipes of `configs/`.")
            data = gr.Dropdown(
                [(recipe.label, recipe.name) for recipe in Recipe.all("data")],
                value=FIRST["data"],
                label="Data set",
                info="Set the image folder and the imbalance below, under Data.",
            )
            recipes = gr.Dropdown(
                [(recipe.label, recipe.name) for recipe in Recipe.all("recipes")],
                value=FIRST["recipes"],
                label="Recipes",
                multiselect=True,
                info="Budget, augmentation, logger: added to the method; later ones override earlier ones.",
            )
            like = gr.Dropdown(
                ["", *paths.names()],
                value="",
                label="Settings of a run",
                info="Use all settings of an earlier run instead of the three choices above.",
                allow_custom_value=True,
            )
            with gr.Group():
                name = gr.Textbox(
                    label="Run name", info="If empty: method and data, or that run.", max_length=80, elem_id="name"
                )
                folder = gr.Textbox(label="Group of runs", info=f"Folder below {paths.runs}; optional.", max_length=80)
                seed = gr.Number(0, label="Seed", info="Of the training. The subset seed chooses the images.")
                keep = gr.Checkbox(True, label="Keep the weights", info="Otherwise deleted after the test.")
            with gr.Accordion("Ensemble of a tuned run", open=False):
                ensemble = gr.Checkbox(False, label="Ensemble", info="Also test the ensemble of both heads.")
                new = gr.Number(1.0, label="Temperature of the new head", info="Above 1 softens the probabilities.")
                old = gr.Number(2.0, label="Temperature of the old head", info="Above 1 softens the probabilities.")
            button = gr.Button("Start", variant="primary", elem_id="start")
            holder = gr.Column()
        with gr.Column(scale=2, min_width=340, elem_id="watched"):
            run = watch(paths)
    basic = {"method": method, "data": data, "recipes": recipes, "like": like}
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

        @gr.render(inputs=[*basic.values(), parts])  # type: ignore[untyped-decorator]
        def fields_of(method: str, data: str, recipes: list[str], like: str, chosen: dict[str, str]) -> None:
            """Make a widget for each option of the training."""
            from ltr.app.training import TrainingForm

            try:
                fields = TrainingForm(method, data, recipes, like, chosen).fields(paths)
            except InputError as error:
                gr.HTML(sentence(f"{error}", kind="failure"))
                return
            command = gr.Textbox(
                label="As a command",
                lines=2,
                max_lines=10,
                buttons=["copy"],
                interactive=False,
                elem_id="command",
            )
            widgets = make_widgets(fields, f"{method} {data} {recipes} {like}")
            plain = {field.option: widgets[field.option] for field in fields if field.kind != "part"}

            def form(*values: Any) -> TrainingForm:
                """Return the values of all widgets."""
                texts = ["" if value is None else value for value in values]
                first: dict[str, Any] = dict(zip((*basic, *more), texts, strict=False))
                return TrainingForm(**first, parts=chosen, values=dict(zip(plain, values[len(first) :], strict=True)))

            @show_errors
            def begin(*values: Any) -> Any:
                name, study = form(*values).checked(paths, fields)
                paths.job(name).start(study)
                gr.Info(f"Started {name}. Its progress is shown beside this form, on a phone above it.", duration=5)
                return gr.Dropdown(choices=choices(paths), value=name)

            def preview(*values: Any) -> str:
                try:
                    name, study = form(*values).study(paths, fields)
                    return shell(commands(Plan.of(study, name), paths.job(name).runs)).replace(" && ", " &&\n")
                except InputError as error:
                    return f"# {error}"

            inputs = [*basic.values(), *more.values(), *plain.values()]
            button.click(begin, inputs, run)
            changes = [event(item, "change") for item in (*more.values(), *plain.values())]
            gr.on(changes, preview, inputs, command, show_progress="hidden")
            once = gr.Timer(0.2)  # values that were typed before are restored without a change event
            once.tick(lambda *values: (preview(*values), gr.Timer(active=False)), inputs, [command, once])
            for option in (field.option for field in fields if field.kind == "part"):
                event(widgets[option], "input")(partial(choose, chosen, option), widgets[option], parts)

    gr.on([item.change for item in basic.values()], dict, None, parts)
    like.focus(lambda: gr.Dropdown(choices=["", *paths.names()]), None, like)
    return like


def methods() -> list[tuple[str, str]]:
    """Return the recipes that train a method, in the order of the gallery, as choices."""
    order = list(GROUPS.values())
    recipes = sorted(Recipe.all(), key=lambda recipe: order.index(recipe.group))
    return [(recipe.label, recipe.name) for recipe in recipes if recipe.trains]


def event(widget: Component, name: str) -> Any:
    """Return an event of a widget; Gradio adds these attributes when it makes the class."""
    return getattr(widget, name)


def choose(parts: dict[str, str], option: str, name: str) -> dict[str, str]:
    """Return the chosen parts with a new one, without those that were chosen within the one it replaces."""
    kept = {key: value for key, value in parts.items() if key != option and not key.startswith(f"{option}.")}
    return kept | {option: name}


def make_widgets(fields: list[Field], key: str) -> dict[str, Component]:
    """Make the widgets, group by group, and return them by their options.

    Args:
        fields: the options.
        key: identifies the recipe; values that were typed are kept while it stays the same.
    """
    order = list(dict.fromkeys(field.group for field in fields))
    ordered = sorted(fields, key=lambda field: order.index(field.group))
    widgets: dict[str, Component] = {}
    for group, members in groupby(ordered, key=lambda field: field.group):
        title = TITLES.get(group, group.replace("_", " ").capitalize())
        with gr.Accordion(title, open=group in OPEN, elem_classes="group", key=f"{key} {group}"), gr.Row():
            for field in members:
                widgets[field.option] = widget(field, key)
    return widgets


def widget(field: Field, key: str) -> Component:
    """Return the widget of a field."""
    common: dict[str, Any] = {
        "label": field.label,
        "value": field.value,
        "key": f"{key} {field.option} {field.value}",
        "elem_id": f"field-{field.option.replace('.', '-')}",
        "interactive": True,
        "min_width": 200,
        "info": f"{capitalised(field.about)}." if field.about else "",
    }
    if field.kind == "switch":
        return gr.Checkbox(**common)
    if field.kind in ("choice", "part"):
        return gr.Dropdown(list(field.choices), **common)
    if field.kind in ("number", "whole"):
        return gr.Number(**common, precision=0 if field.kind == "whole" else None)
    return gr.Textbox(**common | {"value": field.text})
