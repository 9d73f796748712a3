"""What a browser names is looked up, and nothing else is opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from ltr.app.allowed_paths import AllowedPaths
from ltr.errors import InputError


@pytest.fixture
def paths(tmp_path: Path) -> AllowedPaths:
    for name in ("one", "study/row-0", "study/if100/row-1"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "metrics.csv").write_text("epoch\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    return AllowedPaths(tmp_path / "runs", (tmp_path / "data",))


def test_runs_are_found_below_studies(paths: AllowedPaths) -> None:
    assert {"one", "study/row-0", "study/if100/row-1"} <= set(paths.names())
    assert paths.run("study/if100/row-1").path == paths.runs / "study/if100/row-1"


def test_runs_that_come_with_the_package_are_there(paths: AllowedPaths) -> None:
    assert paths.run("ce_resnet32_cifar100_lt100").checkpoint.is_file()


@pytest.mark.parametrize("name", ["", "..", "../data", "/etc", "study", "one/../one", "one/", ".app", "\0"])
def test_nothing_else_is_a_run(paths: AllowedPaths, name: str) -> None:
    with pytest.raises(InputError):
        paths.run(name)


@pytest.mark.parametrize(
    "path", ["secret.txt", "data/../secret.txt", "link/secret.txt", "runs/../secret.txt", "/etc/passwd"]
)
def test_a_path_outside_is_refused(
    paths: AllowedPaths, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (paths.folders[0] / "link").symlink_to(tmp_path)
    for said in (path, f"data/{path}"):
        with pytest.raises(InputError, match=r"outside|does not exist"):
            paths.inside(said)


def test_a_path_that_is_too_long_does_not_exist(paths: AllowedPaths) -> None:
    with pytest.raises(InputError, match="does not exist"):
        paths.inside(str(paths.folders[0] / ("x" * 300)))


def test_a_path_inside_is_read(paths: AllowedPaths) -> None:
    assert paths.inside(str(paths.folders[0])) == paths.folders[0].resolve()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\nb", "x" * 201, "a "])
def test_a_new_run_has_a_plain_name(paths: AllowedPaths, name: str) -> None:
    with pytest.raises(InputError, match="the name of a run cannot be"):
        paths.new(name)


def test_a_new_run_is_a_folder_of_the_runs(paths: AllowedPaths) -> None:
    assert paths.new("gml-2.1+x") == paths.runs / "gml-2.1+x"
