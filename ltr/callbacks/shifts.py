"""Measures under other class distributions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from ltr import files
from ltr.callbacks import priors
from ltr.callbacks.answers import AnswersCallback
from ltr.callbacks.retarget import unseen_confusion
from ltr.callbacks.unseen import NotUnseenError
from ltr.counts import per_class
from ltr.data import Shift
from ltr.errors import InputError, advice
from ltr.markdown import markdown_table
from ltr.measures import shown
from ltr.methods import Method
from ltr.metrics import geometric_mean, harmonic_mean, lowest
from ltr.ranges import AtLeastOne, Positive, WholeNumber

NOTE = """\
In percent. Top-1 is that of the drawn images. GM, HM and lowest recall are those of the same predictions on all test
images of the drawn classes, because few images of a rare class are drawn. L1 is the distance, from 0 to 2, between the
target prior and that of the drawn images.
"""


class Shifts(AnswersCallback):
    """Measure a test under many class distributions: `shifts.csv`, `shifts.md` and `shifts.png` beside its results.

    Test sets are drawn from the test split (see `Shift`). The predictions are made once and measured on each set:
    unchanged, for the known prior of the drawn images, and for priors estimated from these images without labels, by EM
    and, if the data have a validation split, by BBSE.

    The expected recall of a class does not depend on how many of its images are drawn, but with two images it is mostly
    noise. So GM, HM and lowest are computed from the recalls on the whole test split.

    Args:
        factors: N_max / N_min of the forward and backward distributions.
        concentrations: of Dirichlet distributions, one draw of each.
        assumed: the prior of the logits, adjustments included: `train` or `uniform`, as in `Retarget`.
        seed: of the draws.

    Reference:
        Zhang et al., "Self-Supervised Aggregation of Diverse Experts for Test-Agnostic Long-Tailed Recognition",
        NeurIPS 2022, https://arxiv.org/abs/2107.09249, for such test sets; for the estimates see `priors`.
    """

    def __init__(
        self,
        factors: list[AtLeastOne],
        *,
        concentrations: list[Positive] | None = None,
        assumed: priors.Assumed = "train",
        seed: WholeNumber = 0,
    ) -> None:
        super().__init__()
        if len({*factors}) < len(factors) or not factors:
            raise InputError("`factors` needs at least one factor, and no two equal ones.")
        self.shifts = [
            *(Shift("backward", factor, seed) for factor in sorted(factors, reverse=True)),
            Shift("uniform"),
            *(Shift("forward", factor, seed) for factor in sorted(factors)),
            *(Shift("dirichlet", concentration, seed) for concentration in concentrations or []),
        ]
        self.assumed = assumed
        self.confusion: Tensor | None = None

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse distributions that cannot be drawn, before the evaluation."""
        method = self.method
        if method.fast_dev_run:
            return
        labels = method.data.splits["test"].labels
        for shift in self.shifts:
            shift.counts(method.counts.tolist(), per_class(labels, len(method.counts)).tolist())

    def on_test_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compute the confusion matrix of the validation split for BBSE, once every adjustment is prepared."""
        method, self.confusion = self.method, None
        if "val" in method.data.splits and not method.fast_dev_run:
            with advice("Or leave out `--data.val_per_class`, and BBSE with it.", on=NotUnseenError):
                self.confusion = unseen_confusion(method, method.data, method.adjustments)

    def after_test(self, method: Method, logits: Tensor, labels: Tensor, indices: Tensor) -> None:
        """Measure and write."""
        if not method.trainer.is_global_zero or method.fast_dev_run:
            return
        from ltr import plots

        rows = self.measure(logits.double(), labels, method.counts.cpu())
        folder = Path(method.trainer.default_root_dir)
        files.write_csv(folder / "shifts.csv", rows)
        files.write_text(folder / "shifts.md", markdown(rows))
        plots.save(plots.shifts(rows), folder / "shifts.png")

    def measure(self, logits: Tensor, labels: Tensor, counts: Tensor) -> list[dict[str, Any]]:
        """Return a row per distribution and treatment.

        Args:
            logits: (N, C) of the test split, in float64.
            labels: (N,).
            counts: (C,) training images per class.
        """
        source = priors.assumed_prior(self.assumed, counts)
        probabilities, predictions = logits.softmax(1), logits.argmax(1)
        totals = per_class(labels, len(counts))
        rows = []
        for shift in self.shifts:
            drawn = shift.draw(counts.tolist(), labels)
            images = per_class(labels[drawn], len(counts))
            truth = priors.normalised(images.tolist(), len(counts))
            targets = {"as it is": source, "known prior": truth, "EM": priors.em(probabilities[drawn], source)}
            if self.confusion is not None:
                targets["BBSE"] = priors.bbse(self.confusion, predictions[drawn], source)
            for treatment, target in targets.items():
                hits = priors.retarget(logits, source, target).argmax(1) == labels
                recall = (per_class(labels[hits], len(counts)) / totals)[images > 0]
                rows.append(
                    {
                        "distribution": shift.kind,
                        "parameter": shift.parameter,
                        "images": len(drawn),
                        "treatment": treatment,
                        "top1": float(hits[drawn].double().mean()),
                        "gm": geometric_mean(recall),
                        "hm": harmonic_mean(recall),
                        "lowest": lowest(recall),
                        "l1": float((target - truth).abs().sum()),
                    }
                )
        return rows


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the rows as a Markdown table."""
    cells = [
        [
            str(Shift(row["distribution"], row["parameter"])),
            row["treatment"],
            str(row["images"]),
            *(f"{measure.scale * row[measure.key]:.1f}" for measure in shown("summary")),
            f"{row['l1']:.2f}",
        ]
        for row in rows
    ]
    titles = [measure.title for measure in shown("summary")]
    return f"{markdown_table(['test set', 'predictions', 'images', *titles, 'L1'], cells)}\n{NOTE}"
