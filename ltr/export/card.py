"""The model card: what a network is, its figures, and its limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import yaml

from ltr.markdown import escape, markdown_table
from ltr.measures import percent, shown
from ltr.methods import Method
from ltr.predictor import Predictor
from ltr.run import description, weights
from ltr.sentences import first, plural
from ltr.version import __version__

WORST = 10
TASK = "image-classification"
CARD = """\
---
{metadata}---

# {name}

A network for the {classes} classes of {data}, trained on a long-tailed set of {images} images: {most} of
{largest}, {fewest} of {smallest}. Trained with `ltr` {version}: {method} with {loss}, {network}, images of
{size} x {size} pixels, {parameters:,} parameters.

## Results

{figures}
In percent, on the test split of {data}. The last epoch is the result; nothing was selected on the test split. GM and
HM are the geometric and the harmonic mean of the recalls of the classes, each floored at 0.1 %; many, medium and few
are the mean recall of classes with more than 100, 20 to 100 and fewer than 20 training images.

![Recall of every class]({evaluation}/recall.png)

The classes with the lowest recall ({measured}):

{worst}
{unrecognised}

## Use

    ltr test --ckpt_path hf://{repository}
    ltr predict --ckpt_path hf://{repository} --images my_images
    ltr fit --config gml.yaml --model.backbone.checkpoint hf://{repository}

`model.safetensors` contains no code. The input is red, green and blue in this order, {size} x {size} pixels{crop},
divided by 255; subtract the mean {mean} and divide by {std}. The metadata have the names of the classes in
order, as JSON under `classes`.

## Training

    ltr fit --config config.yaml

Seed {seed}, {epochs} in {seconds:,.0f} s, {precision}. `config.yaml` has all settings. The training images have the
fingerprint (sha256 of their sorted numbers) `{split}`.

## Training images

{seen}
`model.safetensors` contains a 64-bit hash of each training image, so anyone who has an image can check whether it was
trained on. Resized, re-encoded and merely similar images are not found.

## Limits

- The rarest class has {fewest} training images. Means over all classes hide how poorly rare classes may be recognised;
  the recalls above show it.
- Every image is assigned to one of the {classes} classes, whatever it shows.
- The results hold for images like those of {data}. Others were not measured.
"""


def card(
    predictor: Predictor,
    evaluations: Mapping[str, Mapping[str, Any]],
    *,
    repository: str,
    license: str,
    datasets: Sequence[str] = (),
) -> str:
    """Return the model card of a run, the README.md of a repository on the Hugging Face Hub.

    Args:
        predictor: the run.
        evaluations: the content of its metrics.json files by the names of their folders, the main one first.
        repository: user/name.
        license: of the weights, by its identifier on the Hub.
        datasets: the data sets of the Hub that it was trained on.
    """
    method, counts, classes, config = predictor.method, predictor.counts, predictor.classes, predictor.config
    preprocessing, content = predictor.preprocessing, weights.read(str(predictor.path))
    evaluation, main = next(iter(evaluations.items()))
    epochs = content["epoch"] + 1 if content.get("global_step") else 0
    largest, smallest = counts.index(max(counts)), counts.index(min(counts))
    architecture = description.architecture(config["model"]["init_args"]["backbone"])
    return CARD.format(
        metadata=yaml.safe_dump(
            metadata(evaluations, repository=repository, license=license, datasets=datasets), sort_keys=False
        ),
        name=repository.rpartition("/")[2],
        classes=len(classes),
        data=escape(main["data"]["name"]),
        images=f"{sum(counts):,}",
        most=counts[largest],
        largest=escape(classes[largest]),
        fewest=counts[smallest],
        smallest=escape(classes[smallest]),
        version=__version__,
        method=f"`{type(method).__name__}`",
        loss=f"`{type(method.loss).__name__}`",
        network=f"`{architecture}` and a `{type(method.head).__name__}` head",
        size=preprocessing.size,
        parameters=sum(parameter.numel() for parameter in method.parameters()),
        figures=figures(evaluations),
        evaluation=quote(evaluation),
        measured=escape(evaluation),
        worst=worst(main, counts, classes),
        unrecognised=unrecognised(main, classes),
        repository=repository,
        crop=("" if preprocessing.crop is None else f", of which the network takes the middle {preprocessing.crop}")
        + ("" if preprocessing.resized is None else f", resized to {preprocessing.resized}"),
        mean=list(preprocessing.mean),
        std=list(preprocessing.std),
        seed=config.get("seed_everything"),
        epochs=plural(epochs, "epoch"),
        seconds=content.get("seconds", 0.0),
        precision=f"precision {config.get('trainer', {}).get('precision', 'unknown')}",
        split=main["data"]["fingerprints"]["train"],
        seen=seen(method, main),
    )


def metadata(
    evaluations: Mapping[str, Mapping[str, Any]], *, repository: str, license: str, datasets: Sequence[str]
) -> dict[str, Any]:
    """Return the header of a card, which the Hub reads."""
    name = repository.rpartition("/")[2]
    data = next(iter(evaluations.values()))["data"]["name"]
    dataset = {"name": data, "type": next(iter(datasets), data), "split": "test"}
    results = [
        {
            "task": {"type": TASK, "name": "Long-tailed image classification"},
            "dataset": dataset,
            "metrics": [
                {
                    "type": "accuracy" if measure.key == "top1" else measure.key,
                    "value": metrics[measure.key],
                    "name": f"{measure.title} ({evaluation})",
                }
                for measure in shown("main")
                if metrics[measure.key] is not None
            ],
        }
        for evaluation, metrics in evaluations.items()
    ]
    return {
        "license": license,
        "library_name": "ltr",
        "pipeline_tag": TASK,
        "tags": ["long-tailed-recognition", "class-imbalance", "pytorch", "lightning"],
        **({"datasets": list(datasets)} if datasets else {}),
        "metrics": ["accuracy"],
        "model-index": [{"name": name, "results": results}],
    }


def figures(evaluations: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the table of the evaluations."""
    rows = [
        [
            escape(", ".join(filter(None, [evaluation, description.adjustments(metrics["adjustments"])]))),
            *(
                percent(metrics[measure.key]) if measure.unit == "%" else str(metrics[measure.key])
                for measure in shown("main")
            ),
        ]
        for evaluation, metrics in evaluations.items()
    ]
    return markdown_table(["evaluation", *(measure.title for measure in shown("main"))], rows)


def worst(metrics: Mapping[str, Any], counts: Sequence[int], classes: Sequence[str]) -> str:
    """Return the table of the classes with the lowest recall."""
    recall = metrics["recall"]
    measured = sorted((label for label, value in enumerate(recall) if value is not None), key=lambda at: recall[at])
    rows = [[escape(classes[label]), str(counts[label]), percent(recall[label])] for label in measured[:WORST]]
    return markdown_table(["class", "training images", "recall"], rows)


def unrecognised(metrics: Mapping[str, Any], classes: Sequence[str]) -> str:
    """Return a sentence about the classes with a recall of 0."""
    names = [escape(classes[label]) for label, value in enumerate(metrics["recall"]) if value == 0]
    if not names:
        return "Of every class it recognised at least one test image."
    return f"Of {plural(len(names), 'class', 'classes')} it recognised no test image: {first(names, len(names))}."


def seen(method: Method, metrics: Mapping[str, Any]) -> str:
    """Return a sentence about the images that the network was trained on."""
    record, tested = method.training_record, metrics.get("seen_in_training")
    sentence = f"It was trained on {plural(len(record.images), 'different image')}, in all trainings that led to it."
    if not record.complete:
        sentence = (
            f"It was trained on {plural(len(record.images), 'different image')} that are known, and on others: one of "
            "the trainings that led to it has no record of its images."
        )
    if record.sets:
        sentence += f" Before, its weights were trained on {' and '.join(record.sets)}."
    return sentence + ("" if tested is None else f" {tested:,} of the images that it was tested on are among them.")
