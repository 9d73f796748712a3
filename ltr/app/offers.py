"""What can be chosen in the tab that compares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from ltr.app.job import Job
from ltr.app.place import Place
from ltr.app.tuning_form import OWN
from ltr.run import description
from ltr.run.folder import CHECKPOINT, METRICS, TEST


def bases(place: Place) -> list[str]:
    """Return the runs that have weights, without those that keep what a base was."""
    from ltr.app.tuning import BEFORE

    return [name for name in place.having(CHECKPOINT) if not name.endswith(BEFORE)]


def tunable(place: Place) -> Any:
    """Offer the runs that can be tuned."""
    return gr.Dropdown(bases(place))


def tested(place: Place) -> Any:
    """Offer the runs that have results."""
    return gr.Dropdown(place.having(f"{TEST}/{METRICS}"), interactive=True)


def tunings(place: Place) -> list[Job]:
    """Return the tunings that were started here, the latest first."""
    from ltr.app.tuning import BEFORE

    return [job for job in Job.all(place) if any(job.name + BEFORE in words for words in job.commands)]


def offered(place: Place, base: str | None, name: str | None) -> list[Any]:
    """Fill the lists when the tab is opened; the first time, propose, and take up the tuning at work or the last one.

    Args:
        place: where the runs are.
        base: the one that is chosen.
        name: of the tuning that is shown.
    """
    from typing import get_args

    from ltr.app.networks import architectures
    from ltr.app.tuning import data_sets, tuning_losses
    from ltr.counts import Tail

    first = base is None and name is None  # later answers leave alone what was chosen while they were on their way

    def choice(names: Sequence[str], proposed: str | None) -> Any:
        if first:
            return gr.Dropdown(names, value=proposed, interactive=True)
        return gr.Dropdown(names, interactive=True)

    runs, jobs = bases(place), tunings(place)
    names, running = [job.name for job in jobs], [job.name for job in jobs if job.running]
    return [
        choice(runs, next(iter(runs), None)),
        choice(architectures(), "ResNet32"),
        choice([OWN, *data_sets()], OWN),
        choice(get_args(Tail), "exp"),
        choice(tuning_losses(), "GML"),
        gr.Button(interactive=True),
        choice(names, next(iter(running + names), None)),
        tested(place),
    ]


def filled(place: Place, base: str | None, file: str, loss: str | None) -> list[Any]:
    """Propose a name and a batch size, and say what the base was trained on."""
    from ltr.app.tuning import Wish, proposed, proposed_batch

    if not (base or file):
        return [gr.skip()] * 3
    _, config = Wish(base=base or "", file=file).start(place)
    own = config.get("data") or {}
    said = own.get("init_args") or {}
    words = [
        description.class_name(own),
        *(f"{key} {said[key]}" for key in ("imbalance", "tail") if key in said),
    ]
    about = f"{', '.join(words)}." if own else "The file does not say what it was trained on."
    return [proposed(place, file or base or "", loss or "GML"), proposed_batch(config), gr.Dropdown(info=about)]
