"""What measures are called in tables."""

from __future__ import annotations

TITLES = {
    "top1": "top-1",
    "gm": "GM",
    "hm": "HM",
    "lowest": "lowest",
    "zero_recall": "zero-recall",
    "many": "many",
    "medium": "medium",
    "few": "few",
    "ece": "ECE",
    "nll": "NLL",
    "brier": "Brier",
    "macro_f1": "macro-F1",
    "recall_std": "spread of recalls",
    "classwise_ece": "class-wise ECE",
    "ece_many": "ECE many",
    "ece_medium": "ECE medium",
    "ece_few": "ECE few",
}
