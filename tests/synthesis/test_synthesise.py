"""`ltr synthesise` around a pipeline that paints at once."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from PIL import Image

from ltr.synthesis.plan import Wanted, plan, wording

COUNTS = {"berry": 4, "cherry": 2, "green_apple": 9}
WORDS = "--model somebody/model --data FolderLT --data.root fruit --output more --below 5 --to 6"
MADE = {"berry": 2, "cherry": 4}


class Pipeline:
    """A text-to-image pipeline whose images are plain, of a colour that says the words and the seed."""

    loaded: ClassVar[list[dict[str, Any]]] = []
    called: ClassVar[list[dict[str, Any]]] = []
    black: ClassVar[Callable[[str, int], bool]]
    stop: ClassVar[int | None]

    @classmethod
    def from_pretrained(cls, model: str, **said: Any) -> Pipeline:
        cls.loaded.append({"model": model, **said})
        return cls()

    def to(self, device: torch.device) -> Pipeline:
        return self

    def set_progress_bar_config(self, **_: bool) -> None:
        pass

    def __call__(self, prompt: list[str], generator: list[torch.Generator], **said: Any) -> SimpleNamespace:
        if len(self.called) == self.stop:
            raise KeyboardInterrupt
        seeds = [one.initial_seed() for one in generator]
        self.called.append({"prompts": prompt, "seeds": seeds, **said})
        return SimpleNamespace(images=[self.paint(*pair) for pair in zip(prompt, seeds, strict=True)])

    def paint(self, words: str, seed: int) -> Image.Image:
        colour = hashlib.sha256(f"{words} {seed}".encode()).digest()[:3]
        return Image.new("RGB", (4, 4), (0, 0, 0) if Pipeline.black(words, seed) else tuple(colour))


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the pipeline in place of `diffusers`, and a Hub that has one model."""
    Pipeline.loaded.clear()
    Pipeline.called.clear()
    Pipeline.black, Pipeline.stop = staticmethod(lambda *_: False), None

    def resolve(model: str) -> str:
        if model != "somebody/model":
            raise Unresolved(f"no {model}\nand more about it")
        return "newest"

    class Unresolved(Exception):
        pass

    for name, content in {
        "diffusers": {"__version__": "0.1", "AutoPipelineForText2Image": Pipeline},
        "transformers": {},
        "huggingface_hub": {"resolve_revision": resolve},
        "huggingface_hub.errors": {"RevisionResolutionError": Unresolved},
    }.items():
        module = ModuleType(name)
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, module)


@pytest.fixture
def make(ltr: Callable[..., int]) -> Callable[..., int]:
    """Return the command in a folder with images."""
    for name, count in COUNTS.items():
        (Path("fruit/train") / name).mkdir(parents=True)
        (Path("fruit/test") / name).mkdir(parents=True)
        for number in range(count):
            Image.new("RGB", (4, 4)).save(f"fruit/train/{name}/{number}.png")
        Image.new("RGB", (4, 4)).save(f"fruit/test/{name}/0.png")
    return lambda *words: ltr("synthesise", WORDS, *words)


def tree(folder: str) -> dict[str, bytes]:
    """Return the content of all files."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def pixels(path: str) -> bytes:
    with Image.open(path) as image:
        return image.tobytes()


def record() -> dict[str, Any]:
    return json.loads(Path("more/synthetic.json").read_text())


def test_rare_classes_are_filled_up_and_nothing_else(make, capsys) -> None:
    before = tree("fruit")
    assert make() == 0
    assert capsys.readouterr().out == "more: 6 synthetic images of 2 classes, 6 of them new\n"
    assert tree("fruit") == before
    assert set(tree("more")) == {
        "synthetic.json",
        *(f"{name}/{number:05}.png" for name, count in MADE.items() for number in range(count)),
    }
    for name, count in MADE.items():
        for number in range(count):
            expected = Pipeline().paint(f"a photo of a {name}", Wanted(name, number).seed(0))
            assert pixels(f"more/{name}/{number:05}.png") == expected.tobytes()


def test_the_record_says_how_they_were_made(make) -> None:
    assert make("--steps 3 --guidance 2 --size 64 --seed 7") == 0
    assert record() == {
        "model": "somebody/model",
        "steps": 3,
        "guidance": 2.0,
        "size": 64,
        "seed": 7,
        "revision": "newest",
        "diffusers": ["0.1"],
        "prompts": {"berry": "a photo of a berry", "cherry": "a photo of a cherry"},
        "images": MADE,
    }
    for call in Pipeline.called:
        assert call["num_inference_steps"] == 3
        assert call["guidance_scale"] == 2
        assert call["height"] == call["width"] == 64


def test_weights_are_read_as_data(make) -> None:
    assert make() == 0
    [loaded] = Pipeline.loaded
    assert loaded["use_safetensors"] is True
    assert loaded["trust_remote_code"] is False


@pytest.mark.parametrize("calls", [0, 1, 2])
def test_an_interrupted_command_goes_on_with_the_same_images(calls: int, make) -> None:
    assert make("--batch 2") == 0
    whole = tree("more")
    Path("more").rename("undisturbed")
    Pipeline.called.clear()
    Pipeline.stop = calls
    assert make("--batch 2") == 130
    done = tree("more")
    assert len([name for name in done if name.endswith("png")]) == 2 * calls
    assert calls == 0 or sum(record()["images"].values()) == 2 * calls
    Pipeline.stop = None
    assert make("--batch 5") == 0
    assert tree("more") == whole
    assert sum(len(call["seeds"]) for call in Pipeline.called) == 6, "what was there is not made again"
    assert make() == 0
    assert len(Pipeline.loaded) == 3, "no model is loaded for nothing"


def test_every_image_has_a_seed_of_its_own() -> None:
    images = [Wanted(*parts) for parts in product(["a", "ab", "b", "é"], range(40), range(3))]
    seeds = {image.seed(seed) for image in images for seed in (0, 1)}
    assert len(seeds) == 2 * len(images)


def test_more_images_are_added_to_those_there_are(make, monkeypatch: pytest.MonkeyPatch) -> None:
    assert make() == 0
    before = tree("more")
    monkeypatch.setattr(sys.modules["diffusers"], "__version__", "0.2")
    monkeypatch.setattr(sys.modules["huggingface_hub"], "resolve_revision", lambda _: "newer")
    assert make("--below 10 --to 11") == 0
    after = tree("more")
    assert {name: after[name] for name in before if name != "synthetic.json"}.items() <= before.items()
    assert record()["images"] == {"berry": 7, "cherry": 9, "green_apple": 2}
    assert record()["prompts"]["green_apple"] == "a photo of a green apple"
    assert record()["diffusers"] == ["0.1", "0.2"]
    assert make("--below 3 --to 12") == 0
    assert record()["images"] == {"berry": 7, "cherry": 10, "green_apple": 2}
    assert len(record()["prompts"]) == 3
    assert [loaded["revision"] for loaded in Pipeline.loaded] == ["newest"] * 3, "the model stays what it was"


def test_no_image_is_wanted_of_a_class_with_enough() -> None:
    wanted = plan({"a": 3, "b": 9, "c": 10, "d": 0}, 10, 5)
    assert [image.name for image in wanted] == ["a"] * 2 + ["d"] * 5
    assert [image.number for image in wanted] == [0, 1, 0, 1, 2, 3, 4]


def test_words_for_some_classes_come_from_a_file(tmp_path: Path) -> None:
    names = list(COUNTS)
    for file, text in (("a.yaml", "cherry: a {cherry}, a fruit\n"), ("a.json", '{"cherry": "a {cherry}, a fruit"}')):
        (tmp_path / file).write_text(text)
        assert wording(names, "one {}, {}!", str(tmp_path / file)) == {
            "berry": "one berry, berry!",
            "cherry": "a {cherry}, a fruit",
            "green_apple": "one green apple, green apple!",
        }


def test_a_black_image_is_made_again_from_another_seed(make) -> None:
    refused = {Wanted("cherry", 1, attempt).seed(0) for attempt in range(4)}
    Pipeline.black = staticmethod(lambda _, seed: seed in refused)
    assert make() == 0
    assert record()["images"] == MADE
    assert sum(len(call["seeds"]) for call in Pipeline.called) == 6 + 4
    expected = Pipeline().paint("a photo of a cherry", Wanted("cherry", 1, 4).seed(0))
    assert pixels("more/cherry/00001.png") == expected.tobytes()


def test_images_that_stay_black_are_told_and_not_kept(make, capsys) -> None:
    Pipeline.black = staticmethod(lambda words, _: "cherry" in words)
    assert make() == 2
    error = capsys.readouterr().err
    assert "ltr: error: 4 of 6 images, the first of them of cherry, came out black from 5 seeds each" in error
    assert record()["images"] == {"berry": 2, "cherry": 0}
    Path("words.yaml").write_text("cherry: a red fruit\n")
    assert make("--prompts words.yaml") == 0, "a class without images may be given other words"
    assert record()["images"] == MADE


SENTENCES = [
    ("--steps 2", "more was made with steps 30, not 2: delete it"),
    ("--guidance 2", "more was made with guidance 7.5, not 2.0: delete it"),
    ("--size 64", "more was made with size None, not 64: delete it"),
    ("--seed 1", "more was made with seed 0, not 1: delete it"),
    ("--model other/model", "more was made with model somebody/model, not other/model: delete it"),
    ("--prompt {}", "berry was made from 'a photo of a berry', not 'berry': delete it"),
    ("--prompt berries", "'berries' has no place for the name of the class"),
    ("--prompts nowhere.yaml", "there is no file nowhere.yaml with prompts: correct `--prompts`"),
    ("--prompts list.yaml", "list.yaml has a line per class"),
    ("--prompts other.yaml", "a prompt for chery, which is not a class of the data; did you mean cherry?"),
    ("--output fruit/train", "fruit/train is within your own images"),
    ("--output full", "full exists and has no synthetic.json"),
    ("--output damaged", "damaged/synthetic.json is damaged: delete damaged"),
    (
        "--output new --model other/model",
        "neither a folder nor a model that the Hugging Face Hub gives: no other/model\n",
    ),
    ("--output new --device nonsense", "the device nonsense cannot be used here"),
    ("--below 2", "every class has 2 images or more: nothing to do for `--below 2 --to 6`"),
    ("--to 2", "every class has 2 images or more: nothing to do for `--below 5 --to 2`"),
    ("--batch 0", "are at least 1"),
    ("--steps many", "steps is a whole number; it cannot be many."),
    ("--promt {}", "there is no option promt; did you mean --prompt?"),
    ("--data CIFAR100LT", "data cannot be CIFAR100LT, which is of the kind LongTailed."),
    ("--data.root nowhere", "there is no folder nowhere"),
    ("--data.tail exp --data.imbalance 0", "it cannot be 0."),
]


@pytest.mark.parametrize(("words", "sentence"), SENTENCES)
def test_what_cannot_be_done_is_said_in_a_sentence(words: str, sentence: str, make, capsys) -> None:
    assert make() == 0
    Path("list.yaml").write_text("- cherry\n")
    Path("other.yaml").write_text("chery: a cherry\n")
    for folder, file in (("full", "photo.png"), ("damaged", "synthetic.json")):
        Path(folder).mkdir()
        (Path(folder) / file).write_text("[]")
    before = tree(".")
    capsys.readouterr()
    assert make(words) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.startswith("ltr: error: ")
    assert error.count("\n") == 1
    assert tree(".") == before


@pytest.mark.parametrize("name", ["../up", "cat/lion", ".hidden"])
def test_nothing_is_written_outside_the_folder_of_a_class(name: str, make, capsys) -> None:
    lines = [f"fruit/train/green_apple/{number}.png,{name if number < 2 else 'many'}" for number in range(9)]
    Path("table.csv").write_text("\n".join(["image,label", *lines]) + "\n")
    before = tree(".")
    assert make("--data TableLT --data.root table.csv --below 3 --to 4") == 2
    assert f"no folder can have the name of the class {name!r}: rename it." in capsys.readouterr().err
    assert tree(".") == before


def test_the_folder_may_be_in_the_home(make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert make("--output ~/more") == 0
    assert len([name for name in tree("home/more") if name.endswith("png")]) == 6


def test_without_the_extra_a_sentence_says_how_to_get_it(make, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("diffusers", "transformers"):
        with monkeypatch.context() as missing:
            missing.setitem(sys.modules, name, None)
            assert make() == 2
        assert 'pip install -e ".[synth]"' in capsys.readouterr().err
    assert not Path("more").exists()


@pytest.mark.filterwarnings("ignore:the network was trained on")  # of one colour, so equal in both splits
def test_the_images_are_trained_on(make, ltr) -> None:
    assert make() == 0
    words = "--model.backbone ResNet20 --model.backbone.width 2 --trainer.max_epochs 1 --model.schedule Cosine"
    more = "--model.schedule.warmup 0 --trainer.accelerator cpu --trainer.precision 32-true --data.size 8"
    own = "--data FolderLT --data.root fruit --data.synthetic more"
    assert ltr(f"fit --config ce.yaml {own} --name mine {words} {more}") == 0
    assert ltr("test --ckpt_path mine") == 0
    found = json.loads(Path("checkpoints/mine/test/metrics.json").read_text())
    assert dict(zip(found["classes"], found["data"]["synthetic"], strict=True)) == {**dict.fromkeys(COUNTS, 0), **MADE}
