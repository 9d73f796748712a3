"""The folder of an `ltr auto`: what is finished in it, how long that took, and the study of its networks."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ltr import files
from ltr.errors import InputError
from ltr.run.folder import RunFolder
from ltr.studies.plan import Plan

RECORD, STUDY, ANSWER, PAGE, ONNX = "auto.json", "study.yaml", "answer.yaml", "report.html", "classifier.onnx"
PROFILE, NETWORK, SPLIT = Path("profile", "profile.json"), "network", "test_split.csv"
STAGES = {
    "profile": "examining the images",
    "network": "the network",
    "heads": "the heads",
    "choice": "the choice",
    "test": "the test",
    "export": "files for use",
}
ABOUT = "# The networks of `ltr auto`: plain cross-entropy, logit adjustment, and the classifier that was chosen.\n"


@dataclass(frozen=True)
class Work:
    """The folder of an `ltr auto`.

    Attributes:
        folder: the folder.
        record: the content of `auto.json`: the arguments, the seconds of each stage, and what was decided.
    """

    folder: Path
    record: dict[str, Any]

    @classmethod
    def begin(cls, folder: Path, asked: Mapping[str, Any]) -> Work:
        """Return the work with these arguments, begun or new.

        Raises:
            InputError: if the folder has a network that was made with other arguments or of other images.
        """
        path = folder / RECORD
        record = files.read_json(path) if path.is_file() else {}
        if record and record["arguments"] != asked:
            if RunFolder(folder / NETWORK).exists:
                same = {**record["arguments"], "images": asked["images"]} == asked
                made = "of other images" if same else "with other arguments"
                raise InputError(f"{folder} was made {made}: choose another `--name`, or delete the folder.")
            for name in (PROFILE, SPLIT):
                (folder / name).unlink(missing_ok=True)
            record = {}
        return cls(folder, record or {"arguments": dict(asked), "seconds": {}})

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Announce a stage, and add its duration to the record, also if it is interrupted."""
        print(f"[{[*STAGES].index(name) + 1}/{len(STAGES)}] {STAGES[name]}")
        began = time.monotonic()
        try:
            yield
        finally:
            seconds = self.record["seconds"]
            seconds[name] = round(seconds.get(name, 0.0) + time.monotonic() - began, 1)
            self.write()

    def write(self) -> None:
        """Write the record."""
        files.write_json(self.folder / RECORD, {**self.record}, checksum=True)

    def decided(self, key: str, value: Any) -> None:
        """Keep what was decided."""
        self.record[key] = value
        self.write()

    def take_over(self, split: Path | None) -> None:
        """Start from a test split that an earlier training on the images has kept, if there is one."""
        if split and split.is_file() and not (self.folder / SPLIT).is_file():
            files.copy(split, self.folder / SPLIT)

    def left(self, minutes: float) -> float:
        """Return how many of the seconds are left, of a number of minutes."""
        spent: float = sum(self.record["seconds"].values())
        return 60 * minutes - spent

    def plan(self, rows: Mapping[str, Any]) -> Plan:
        """Write the study of the networks.

        Args:
            rows: as in a study file.
        """
        content = {"name": self.folder.name, "seeds": None, "runs": dict(rows)}
        path = self.folder / STUDY
        files.write_text(path, ABOUT + yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
        return Plan.read(str(path))

    @property
    def network(self) -> RunFolder:
        """The run of the network whose heads are tuned."""
        return RunFolder(self.folder / NETWORK)

    def predict_command(self, run: RunFolder) -> str:
        """Return the command with which the run of a classifier predicts new images."""
        words = ["--ckpt_path", run.path, "--config", self.folder / ANSWER, "--images", "FOLDER"]
        return shlex.join(["ltr", "predict", *map(str, words)])

    def write_answer(self, callbacks: Sequence[Mapping[str, Any]]) -> Path:
        """Write the config of the adjustments that belong to the classifier, and return its path."""
        path = self.folder / ANSWER
        content = {"trainer": {"callbacks": [dict(one) for one in callbacks]}}
        about = "# What belongs to the classifier: pass it to `ltr predict`, `test` and `export`.\n"
        files.write_text(path, about + yaml.safe_dump(content, sort_keys=False))
        return path
