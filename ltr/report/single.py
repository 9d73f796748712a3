"""The sections of one run."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from contextlib import suppress

from ltr.counts import by_count, per_class
from ltr.errors import InputError
from ltr.html import Section, breakable, command, escape, folded, photograph, picture, sentence, table
from ltr.measures import MEASURES, NOTE, measure_of, percent, written
from ltr.report import figures
from ltr.report.figures import OLD, answered, recalls, rows_of, titled
from ltr.run import description, lookup
from ltr.run.evaluation import EvaluationResult
from ltr.run.folder import CONFIG, CURVES, RunFolder
from ltr.sentences import plural

MISTAKEN = 3  # classes that a worst one is most often taken for


def sections(run: RunFolder) -> list[Section]:
    """Return the page of a run, section by section: figures first, settings last."""
    parts = [Section(run.name, head(run) + measures(run)), Section("Training", curves(run))]
    if (main := run.main) is not None:
        parts += [
            Section("Recall of every class", recall(run, main)),
            Section("Shot groups", groups(run, main)),
            Section("Confusion", confusion(run, main)),
            Section("Calibration", calibration(run, main)),
            Section("Lengths of the classifier's weights", lengths(run, main)),
            Section("Features", features(run, main)),
            Section("The worst classes", examples(run, main)),
        ]
    return [*parts, Section("Settings", settings(run)), Section("Config", config(run))]


def head(run: RunFolder) -> str:
    """Return what the run is, in one line."""
    measured = run.main.metrics if run.main else {}
    data = description.data_set(measured.get("data") or {}, run.config.get("data") or {})
    return sentence("; ".join(filter(None, (description.summary(run.config), data))))


def settings(run: RunFolder) -> str:
    """Return the parts and the data of the run, and the command that makes it again."""
    text = table(("", ""), [*description.method(run.config), *facts(run)], figures=False)
    if run.fit_command:
        text += sentence("The run again, with the same config and seed:") + command(run.fit_command)
    return text


def facts(run: RunFolder) -> list[tuple[str, str]]:
    """Return the data, the seed and the cost of a run."""
    measures = run.main.metrics if run.main else {}
    data = measures.get("data")
    known = {
        "data": description.split(data) if data else None,
        "seed": measures.get("seed", run.config.get("seed_everything")),
        "parameters": f"{measures['params']:,}" if measures else None,
        "epochs": run.planned_epochs or None,
        "seconds": f"{measures['seconds']:,}" if measures else None,
        "folder": run.path,
    }
    rows = [(name, str(value)) for name, value in known.items() if value is not None]
    return rows + [(f"{split} split", value) for split, value in (data["fingerprints"] if data else {}).items()]


def measures(run: RunFolder) -> str:
    """Return the table of the figures of every evaluation, for a tuning with those of the old head."""
    if (main := run.main) is None:
        return missing("This run has no figures, as it was never tested", run, None)
    rows = titled(run.evaluations)
    if "old_recall" not in main.metrics:
        return figures_table(rows)
    origin = tuned_from(run, main)
    of_old = {OLD: old_head(main)}
    if origin is not None:
        of_old = {OLD if one is origin.main else f"{OLD}, {one.name}": one for one in origin.evaluations}
    text = figures_table(of_old | rows)
    ways = {
        "the ensemble of both heads": ("TemperatureEnsemble", run.path, "ensemble"),
        "logit adjustment of the old head": ("LogitAdjustment", origin.path if origin else "RUN", "logit_adjustment"),
    }
    used = {name for one in (of_old | rows).values() for item in one.metrics["adjustments"] for name in item}
    for what, (adjustment, path, name) in ways.items():
        if adjustment not in used:
            add = f"ltr test --ckpt_path {shlex.quote(str(path))} --config {name}.yaml --evaluation {name}"
            text += sentence(f"Not in the table: {what}. `{add}` adds it.", kind="note")
    return text


def tuned_from(run: RunFolder, main: EvaluationResult) -> RunFolder | None:
    """Return the run of the network before a tuning, if it was tested on the same images with the same result."""
    backbone = description.settings(run.config.get("model")).get("backbone")
    candidates = [run.before]
    with suppress(InputError):
        candidates.append(lookup.run(str(description.settings(backbone).get("checkpoint"))))
    for candidate in candidates:
        before = candidate.main
        if before and before.metrics["recall"] == main.metrics["old_recall"] and before.counts == main.counts:
            return candidate
    return None


def old_head(main: EvaluationResult) -> EvaluationResult:
    """Return the measures of the head that a tuning replaced that follow from its recalls."""
    import torch  # which the page must not wait for

    from ltr.metrics.means import recall_measures

    recalls = main.metrics["old_recall"]
    values = recall_measures(torch.tensor([math.nan if one is None else one for one in recalls]), main.counts)
    measures: dict[str, float | None] = {key: None if value != value else value for key, value in values.items()}
    if main.predictions:
        images = per_class(main.predictions["labels"], len(main.counts)).tolist()
        hits = sum(number * value for number, value in zip(images, recalls, strict=True) if number)
        measures["top1"] = hits / sum(images)
    return EvaluationResult(OLD, main.folder, {**measures, "adjustments": []})


def figures_table(evaluations: Mapping[str, EvaluationResult]) -> str:
    """Return a table with a row per evaluation and a column per measure that one of them has."""
    present = {key for one in evaluations.values() for key in one.scalars}
    others = dict.fromkeys(key for one in evaluations.values() for key in one.scalars if key not in MEASURES)
    keys = [*(key for key in MEASURES if key in present), *others]
    rows = [[name, *(written(key, one.scalars.get(key)) for key in keys)] for name, one in evaluations.items()]
    adjusted = [sentence(f"{name}: {one.adjustments}.") for name, one in evaluations.items() if one.adjustments]
    return table(["", *(measure_of(key).title for key in keys)], rows) + "".join(adjusted) + sentence(NOTE, kind="note")


def curves(run: RunFolder) -> str:
    """Return the curves of the training."""
    if not (shown := figures.training_picture(run.curves)):
        return sentence(f"The folder has no {CURVES}, which every `ltr fit` writes.", kind="missing")
    note = (
        "Train: the running answers to the augmented training batches of the epoch. Nothing is selected on any split."
    )
    return shown + sentence(note, kind="note")


def recall(run: RunFolder, main: EvaluationResult) -> str:
    """Return the recall of every class, against the old head where there was one."""
    by_name = recalls(run.evaluations)
    text = picture(figures.recall(by_name, main), "recall of every class, by training images")
    if len(by_name) > figures.SERIES:
        text += sentence(f"The figure shows the first {figures.SERIES}; all are in the table.", kind="note")
    if (figure := figures.change(main)) is not None:
        note = "What the tuning changed: the new head against the one it replaced, on the same features."
        text += sentence(note) + picture(figure, "difference of the recalls of every class")
    elif description.is_tuning(run.config):
        text += missing("The recalls of the head that the tuning replaced are not known here", run, main)
    return text + folded("The same as a table", classes_table(main, by_name))


def classes_table(of: EvaluationResult, by_name: figures.Recalls) -> str:
    """Return the recall of every class as a table, from the most to the fewest training images."""
    tested = per_class(of.predictions["labels"], len(of.counts)).tolist() if of.predictions else None
    rows = [
        [of.classes[label], f"{of.counts[label]:,}"]
        + ([f"{tested[label]:,}"] if tested else [])
        + [percent(recalls[label]) for recalls in by_name.values()]
        for label in by_count(of.counts)
    ]
    head = ["class", "training images", *(["test images"] if tested else []), *(f"{name} (%)" for name in by_name)]
    return table(head, rows)


def groups(run: RunFolder, main: EvaluationResult) -> str:
    """Return the recalls of the shot groups of every evaluation."""
    note = "Classes with more than 100, 20 to 100, and fewer than 20 training images: the mean of their recalls."
    shown = figures.groups(recalls(run.evaluations), main)
    return picture(shown, "mean recall of the shot groups") + sentence(note, kind="note")


def confusion(run: RunFolder, main: EvaluationResult) -> str:
    """Return the confusion matrix."""
    if (figure := figures.confusion(main)) is None:
        return missing("A confusion matrix needs the predictions, which are not here", run, main)
    return picture(figure, "confusion matrix, classes by training images") + sentence(f"Of `{main.name}`.", kind="note")


def calibration(run: RunFolder, main: EvaluationResult) -> str:
    """Return how far confidence lies from accuracy."""
    if (figure := figures.reliability(main)) is None:
        return missing("Calibration needs the predictions, which are not here", run, main)
    each = {
        name: bins for name, one in titled(run.evaluations).items() if (bins := figures.calibration(one)) is not None
    }
    names = list(dict.fromkeys(name for bins in each.values() for name in bins))
    rows = [[name, *(percent(bins[part].ece) for part in names)] for name, bins in each.items()]
    note = (
        f"The figure is of `{main.name}`. An image is in the shot group of its true class, whatever it was taken for; "
        "expected calibration error in percent, 15 bins."
    )
    text = picture(figure, "confidence against accuracy, for all images and each shot group")
    return text + table(["ECE", *names], rows) + sentence(note, kind="note")


def lengths(run: RunFolder, main: EvaluationResult) -> str:
    """Return the lengths of the classifier's weights."""
    if (figure := figures.lengths(main)) is not None:
        note = "As the run keeps them: what is adjusted at test time is not in them."
        return picture(figure, "length of the weights of every class") + sentence(note, kind="note")
    if "features" in main.predictions:
        return sentence("The logits of this head do not depend on how long its weights are.", kind="missing")
    return missing("The lengths of the weights are not here", run, main)


def features(run: RunFolder, main: EvaluationResult) -> str:
    """Return the features of some classes in the plane."""
    if (figure := figures.projection(main)) is None:
        return missing("Features of some test images are not here", run, main)
    note = (
        "Principal components of the features of at most 200 test images of each of at most 10 classes, which lie "
        "evenly in the order of the training counts. "
        "Points that are far apart here are far apart in feature space; points that are close may not be."
    )
    return picture(figure, "features of some classes in the plane") + sentence(note, kind="note")


def examples(run: RunFolder, main: EvaluationResult) -> str:
    """Return the worst classes with some of their images."""
    if (images := worst(main)) is None:
        return missing("Images of the worst classes are not here", run, main)
    note = f"The lowest recalls of `{main.name}`; images are drawn by chance, up to four wrong and two right ones."
    return sentence(note, kind="note") + images


def worst(evaluation: EvaluationResult) -> str | None:
    """Return the worst classes with some of their images, as HTML; None if the test kept no images."""
    answers = answered(evaluation)
    if answers is None or "examples" not in evaluation.predictions:
        return None
    labels, predictions, confidences = answers
    images, rows = evaluation.predictions["examples"].permute(0, 2, 3, 1).numpy(), rows_of(evaluation, "exampled")
    parts = []
    for label in dict.fromkeys(labels[rows].tolist()):
        name = evaluation.classes[label]
        figures = []
        for image, row in zip(images, rows.tolist(), strict=True):
            if labels[row] == label:
                right = predictions[row] == label
                called = "recognised" if right else f"taken for {evaluation.classes[predictions[row]]}"
                caption = f"{'✓' if right else '✗'} {called}, {percent(confidences[row])}\u00a0%"
                shown = photograph(image, f"an image of {name}, {called}")
                figures.append(f"<figure>{shown}<figcaption>{breakable(caption)}</figcaption></figure>")
        mistakes = predictions[(labels == label) & (predictions != label)]
        each = {other: int((mistakes == other).sum()) for other in set(mistakes.tolist())}
        most = sorted(each.items(), key=lambda item: (-item[1], item[0]))[:MISTAKEN]
        images_of = int((labels == label).sum())
        mistaken = ", ".join(
            f"{evaluation.classes[other]} ({percent(count / images_of)}\u00a0%)" for other, count in most
        )
        recall = f"{percent(evaluation.metrics['recall'][label])}\u00a0%"
        trained, tested = plural(evaluation.counts[label], "training image"), plural(images_of, "test image")
        about = f"{trained}, recall {recall} of {tested}"
        about += f"; most often taken for {mistaken}." if mistaken else "."
        parts.append(f'<h3>{escape(name)}</h3>\n{sentence(about)}\n<div class="photographs">{"".join(figures)}</div>')
    return "\n".join(parts)


def config(run: RunFolder) -> str:
    """Return the resolved config, folded away."""
    if not run.config_text:
        return sentence(f"The folder has no {CONFIG}, which every `ltr fit` writes.", kind="missing")
    return folded(f"{CONFIG}, everything resolved", command(run.config_text))


def missing(what: str, run: RunFolder, evaluation: EvaluationResult | None) -> str:
    """Say what is missing, and which command brings it."""
    return sentence(f"{what}: `{run.test_command(evaluation)}` brings them.", kind="missing")
