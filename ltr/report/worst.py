"""The worst classes with some of their images."""

from __future__ import annotations

from ltr.html.markup import escape, photograph, sentence
from ltr.report.figures import answered, rows_of
from ltr.report.measures import percent
from ltr.run.folder import EvaluationResult

MISTAKEN = 3


def worst(evaluation: EvaluationResult) -> str | None:
    """Return, as HTML, the classes of which a test kept images: the worst ones; None where it kept none."""
    found = answered(evaluation)
    if found is None or "examples" not in evaluation.predictions:
        return None
    labels, predictions, confidences = found
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
                figures.append(f"<figure>{shown}<figcaption>{escape(caption)}</figcaption></figure>")
        mistakes = predictions[(labels == label) & (predictions != label)]
        each = {other: int((mistakes == other).sum()) for other in set(mistakes.tolist())}
        most = sorted(each.items(), key=lambda item: (-item[1], item[0]))[:MISTAKEN]
        images_of = int((labels == label).sum())
        said = ", ".join(f"{evaluation.classes[other]} ({percent(count / images_of)}\u00a0%)" for other, count in most)
        recall = f"{percent(evaluation.metrics['recall'][label])}\u00a0%"
        about = f"{evaluation.counts[label]:,} training images, recall {recall} of {images_of:,} test images"
        about += f"; most often taken for {said}." if said else "."
        parts.append(f'<h3>{escape(name)}</h3>\n{sentence(about)}\n<div class="photographs">{"".join(figures)}</div>')
    return "\n".join(parts)
