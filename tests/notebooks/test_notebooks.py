"""The notebooks run anywhere with nothing but their length changed; what is kept of them is small and clean."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import pytest

HOME = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(HOME.glob("*.ipynb"))
LENGTH, SHORT = "EPOCHS = 30", "EPOCHS = 3"
ABSOLUTE = re.compile(r"(?<![\w./:])/\w+/|\b[A-Z]:\\")


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request: pytest.FixtureRequest) -> dict[str, Any]:
    return dict(json.loads(request.param.read_text(encoding="utf-8")))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give a notebook an empty folder, and put the style of figures back."""
    monkeypatch.chdir(tmp_path)
    backend = matplotlib.get_backend()
    plt.switch_backend("agg")
    with matplotlib.rc_context():
        yield
    plt.close("all")
    plt.switch_backend(backend)


def code(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def texts(cell: dict[str, Any]) -> Iterator[str]:
    """Yield what a cell has printed and shown in words."""
    for output in cell["outputs"]:
        yield "".join(output.get("text", ""))
        yield from ("".join(value) for kind, value in output.get("data", {}).items() if kind.startswith("text/"))


def test_there_are_notebooks() -> None:
    assert [path.stem[0] for path in NOTEBOOKS] == list("12345")


@pytest.mark.slow
@pytest.mark.usefixtures("desk")
def test_it_runs(notebook: dict[str, Any]) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in code(notebook):
        text = source(cell).replace(LENGTH, SHORT)
        try:
            exec(compile(text, f"cell {cell['id']}", "exec"), names)
        except (Exception, SystemExit) as error:
            error.add_note(f"in the cell {cell['id']}:\n\n{text}")
            raise
    assert [path.name for path in Path().iterdir()] == ["notebook_runs"]


def test_its_length_is_set_in_a_cell_of_its_own(notebook: dict[str, Any]) -> None:
    assert [source(cell) for cell in code(notebook) if re.search(r"^EPOCHS\b", source(cell), re.MULTILINE)] == [LENGTH]


def test_it_is_a_plain_script(notebook: dict[str, Any]) -> None:
    for cell in code(notebook):
        assert not re.search(r"^\s*[%!]|get_ipython|\bdisplay\(|plt\.show", source(cell), re.MULTILINE), cell["id"]


def test_its_outputs_are_those_of_one_whole_run(notebook: dict[str, Any]) -> None:
    assert [cell["execution_count"] for cell in code(notebook)] == list(range(1, len(code(notebook)) + 1))
    for cell in code(notebook):
        for output in cell["outputs"]:
            assert output["output_type"] != "error", cell["id"]
            assert output.get("name") != "stderr", cell["id"]


def test_nothing_is_kept_that_another_machine_would_change(notebook: dict[str, Any]) -> None:
    assert notebook["metadata"].keys() == {"kernelspec", "language_info"}
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert notebook["metadata"]["language_info"]["file_extension"] == ".py"  # which `nbconvert --to script` asks for
    identifiers = [cell["id"] for cell in notebook["cells"]]
    assert len(set(identifiers)) == len(identifiers)
    for cell in notebook["cells"]:
        assert cell["metadata"] == {}, cell["id"]
    for cell in code(notebook):
        for text in (source(cell), *texts(cell)):
            assert not ABSOLUTE.search(text), cell["id"]


def test_they_are_small() -> None:
    sizes = {path.stem: path.stat().st_size // 1000 for path in NOTEBOOKS}
    assert max(sizes.values()) < 200, sizes
    assert sum(sizes.values()) < 600, sizes
