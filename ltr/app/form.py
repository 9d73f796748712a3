"""Fields of a training as widgets."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import gradio as gr
from gradio.components import Component

from ltr.app.field import Field, shown

TITLES = {"data": "Data", "method": "Method", "trainer": "Training"}
OPEN = ("data", "trainer")


def form(fields: list[Field], key: str) -> dict[str, Component]:
    """Make the widgets, group by group, and return them by their options.

    Args:
        fields: what can be told.
        key: what the fields are of; a value that was typed stays as long as it does.
    """
    order = list(dict.fromkeys(field.group for field in fields))
    ordered = sorted(fields, key=lambda field: order.index(field.group))
    found: dict[str, Component] = {}
    for group, members in groupby(ordered, key=lambda field: field.group):
        title = TITLES.get(group, group.replace("_", " ").capitalize())
        with gr.Accordion(title, open=group in OPEN, elem_classes="group", key=f"{key} {group}"), gr.Row():
            for field in members:
                found[field.option] = widget(field, key)
    return found


def widget(field: Field, key: str) -> Component:
    """Return the widget of a field."""
    common: dict[str, Any] = {
        "label": field.label,
        "value": field.value,
        "key": f"{key} {field.option} {field.value}",
        "elem_id": f"field-{field.option.replace('.', '-')}",
        "interactive": True,
        "min_width": 200,
        "info": sentence(field.about),
    }
    if field.kind == "switch":
        return gr.Checkbox(**common)
    if field.kind in ("choice", "part"):
        return gr.Dropdown(list(field.choices), **common)
    if field.kind in ("number", "whole"):
        return gr.Number(**common, precision=0 if field.kind == "whole" else None)
    return gr.Textbox(**common | {"value": shown(field.value)})


def sentence(about: str) -> str:
    """Return a line as a sentence."""
    return f"{about[0].upper()}{about[1:]}." if about else ""
