"""A run as a repository of the Hugging Face Hub."""

from __future__ import annotations

import shlex
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
from ltr.run.checkpoint_config import own_config
from ltr.run.evaluation import METRICS
from ltr.run.folder import CONFIG, RunFolder
from ltr.run.hub import MISSING, WEIGHTS
from ltr.sentences import first_line


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

    It uploads the weights as safetensors, the config, metrics and figures of the evaluations, and a model card. The
    folders of this machine are left out.

    Args:
        predictor: the run.
        to: the repository, user/name.
        license: the license of the weights by its identifier on the Hub, such as apache-2.0.
        datasets: the data sets of the Hub that it was trained on.
        private: make a new repository private.
        folder: write the files there, and upload nothing.

    Raises:
        InputError: if the run was never tested, the folder has other files, or the upload fails.
    """
    with TemporaryDirectory() as temporary:
        home = Path(folder or temporary)
        if home.is_dir() and any(home.iterdir()) and not (home / WEIGHTS).is_file():
            raise InputError(f"{home} has files of something else, such as a README.md: pass an empty `--folder`.")
        write_folder(predictor, home, repository=to, license=license, datasets=datasets or ())
        print(upload(home, to, private=private) if folder is None else f"{folder}: what would be uploaded to {to}")


def write_folder(
    predictor: Predictor, home: Path, *, repository: str, license: str, datasets: Sequence[str] = ()
) -> None:
    """Write the files of the repository of a run.

    Args:
        predictor: the run; its folder has the evaluations.
        home: the folder of the files.
        repository: user/name, for the card.
        license: the license of the weights by its identifier on the Hub.
        datasets: the data sets of the Hub that it was trained on.

    Raises:
        InputError: if the run was never tested.
    """
    path = predictor.path
    assert path is not None
    results = RunFolder(path.parent).evaluations
    evaluations = {result.name: without_folders(result.metrics) for result in results}
    if not evaluations:
        test = shlex.join(["ltr", "test", "--ckpt_path", str(path)])
        raise InputError(f"{path} was never tested, so there are no figures: run `{test}` first.")
    config = yaml.safe_dump(without_folders(yaml.safe_load(own_config(path))), sort_keys=False)
    write(predictor, "safetensors", home / WEIGHTS, config)
    files.write_text(home / CONFIG, config)
    for name, metrics in evaluations.items():
        files.write_json(home / name / METRICS, metrics, checksum=True)
        for picture in (path.parent / name).glob("*.png"):
            files.copy(picture, home / name / picture.name)
    described = card(predictor, evaluations, repository=repository, license=license, datasets=datasets)
    files.write_text(home / "README.md", described)


def without_folders(content: Any) -> Any:
    """Return nested content with absolute paths shortened to the names of their files."""
    if isinstance(content, dict):
        return {key: without_folders(value) for key, value in content.items()}
    if isinstance(content, list):
        return [without_folders(value) for value in content]
    return Path(content).name if isinstance(content, str) and Path(content).is_absolute() else content


def upload(home: Path, repository: str, *, private: bool) -> str:
    """Upload a folder and return its address.

    Args:
        home: the folder.
        repository: user/name; it is made if it does not exist.
        private: whether to make a new repository private.

    Raises:
        InputError: if the library, a login or the connection is missing.
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
        raise InputError(
            f"{repository} could not be written ({first_line(error)}): log in with `hf auth login`, or pass `--folder`."
        ) from error
