"""A run as a repository of the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from ltr import files
from ltr.errors import InputError
from ltr.export.card import card
from ltr.export.export import write
from ltr.predictor import Predictor
from ltr.run.evaluation import METRICS
from ltr.run.folder import CONFIG, RunFolder, own_config
from ltr.run.hub import MISSING, WEIGHTS


def push(
    predictor: Predictor,
    *,
    to: str,
    license: str,
    datasets: list[str] | None = None,
    private: bool = False,
    folder: str | None = None,
) -> None:
    """Publish a run on the Hugging Face Hub.

    Its weights as safetensors, config, metrics and figures of its evaluations, and a model card that says what it is
    and what it is not. Where files lie on this machine is left out.

    Args:
        predictor: the run.
        to: the repository, user/name.
        license: of the weights, as the Hub calls it: apache-2.0.
        datasets: data sets of the Hub that it was trained on.
        private: a new repository is for its owner only.
        folder: write it there, and upload nothing.

    Raises:
        InputError: where the run was never tested, or the Hub cannot be reached.
    """
    with TemporaryDirectory() as temporary:
        home = Path(folder or temporary)
        write_folder(predictor, home, repository=to, license=license, datasets=datasets or ())
        print(upload(home, to, private=private) if folder is None else f"{folder}: what would be uploaded to {to}")


def write_folder(
    predictor: Predictor, home: Path, *, repository: str, license: str, datasets: Sequence[str] = ()
) -> None:
    """Write what a repository of a run is made of.

    Args:
        predictor: the run; its folder has the evaluations.
        home: where to.
        repository: user/name, for the card.
        license: of the weights, by its identifier on the Hub.
        datasets: on the Hub, that it was trained on.

    Raises:
        InputError: where the run was never tested.
    """
    path = predictor.path
    assert path is not None
    results = RunFolder(path.parent).evaluations
    evaluations = {one.name: placeless(one.metrics) for one in results}
    if not evaluations:
        raise InputError(f"{path} was never tested, so there are no figures: `ltr test --ckpt_path` it first.")
    config = yaml.safe_dump(placeless(yaml.safe_load(own_config(path))), sort_keys=False)
    write(predictor, "safetensors", home / WEIGHTS, config)
    files.write_text(home / CONFIG, config)
    for name, metrics in evaluations.items():
        files.write_json(home / name / METRICS, metrics)
        for picture in path.parent.glob(f"{name}/*.png"):
            files.copy(picture, home / name / picture.name)
    described = card(predictor, evaluations, repository=repository, license=license, datasets=datasets)
    files.write_text(home / "README.md", described)


def placeless(content: Any) -> Any:
    """Return nested content with the names of files in place of where they lie: that is nobody's business."""
    if isinstance(content, dict):
        return {key: placeless(value) for key, value in content.items()}
    if isinstance(content, list):
        return [placeless(value) for value in content]
    return Path(content).name if isinstance(content, str) and Path(content).is_absolute() else content


def upload(home: Path, repository: str, *, private: bool) -> str:
    """Upload a folder and return where it is.

    Args:
        home: the folder.
        repository: user/name; it is made where there is none.
        private: whether a new one is for its owner only.

    Raises:
        InputError: without the library, a login or a connection.
    """
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError as error:
        raise InputError(MISSING) from error
    try:
        api = HfApi()
        api.create_repo(repository, private=private, exist_ok=True)
        return str(api.upload_folder(repo_id=repository, folder_path=home, commit_message="Weights, figures and card"))
    except (HfHubHTTPError, OSError, ValueError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{repository} could not be written ({why}): log in with `hf auth login`, or look at it with `--folder`."
        ) from error
