"""`ltr synthesise` with a diffusion model of `diffusers`, of random weights and the smallest size there is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

diffusers = pytest.importorskip("diffusers", reason='needs the extra: pip install -e ".[synth]"')
transformers = pytest.importorskip("transformers", reason='needs the extra: pip install -e ".[synth]"')

from ltr.synthesis.plan import Wanted  # noqa: E402

WORDS = "--data FolderLT --data.root fruit --output more --below 3 --to 4 --steps 2 --guidance 3 --device cpu"
TINY = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "projection_dim": 8}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a Stable Diffusion of some 40,000 parameters, whose tokens are letters."""
    home = tmp_path_factory.mktemp("model")
    letters = "abcdefghijklmnopqrstuvwxyz"
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (home / "vocab.json").write_text(json.dumps({token: at for at, token in enumerate(tokens)}))
    (home / "merges.txt").write_text("#version: 0.2\n")
    torch.manual_seed(0)
    ends = {"bos_token_id": 52, "eos_token_id": 53, "pad_token_id": 53}
    text = transformers.CLIPTextConfig(vocab_size=len(tokens), max_position_embeddings=32, **TINY, **ends)
    pipeline = diffusers.StableDiffusionPipeline(
        tokenizer=transformers.CLIPTokenizer(
            str(home / "vocab.json"), str(home / "merges.txt"), model_max_length=text.max_position_embeddings
        ),
        text_encoder=transformers.CLIPTextModel(text),
        unet=diffusers.UNet2DConditionModel(
            sample_size=8,
            block_out_channels=(4, 8),
            layers_per_block=1,
            norm_num_groups=2,
            cross_attention_dim=text.hidden_size,
            attention_head_dim=2,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        ),
        vae=diffusers.AutoencoderKL(
            block_out_channels=(4, 8),
            norm_num_groups=2,
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
        ),
        scheduler=diffusers.DDIMScheduler(steps_offset=1, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(home / "tiny")
    return home / "tiny"


@pytest.fixture
def make(ltr: Callable[..., int], model: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Return the command in a folder with images, without a network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name, count in {"berry": 3, "red_apple": 2, "plum": 9}.items():
        (Path("fruit") / name).mkdir(parents=True)
        for number in range(count):
            Image.new("RGB", (4, 4)).save(f"fruit/{name}/{number}.png")
    return lambda *words: ltr("synthesise", f"--model {model}", WORDS, *words)


def pixels(folder: str) -> dict[str, np.ndarray]:
    """Return all images as integers that can be subtracted."""
    found = {}
    for path in sorted(Path(folder).rglob("*.png")):
        with Image.open(path) as image:
            found[str(path.relative_to(folder))] = np.asarray(image).astype(int)
    return found


def test_the_images_are_those_of_the_pipeline(make, model: Path) -> None:
    assert make("--batch 2") == 0
    made = pixels("more")
    assert list(made) == [
        f"{name}/{at:05}.png" for name, count in (("berry", 2), ("red_apple", 3)) for at in range(count)
    ]
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(model, safety_checker=None)
    for words, name in (("a photo of a berry", "berry"), ("a photo of a red apple", "red_apple")):
        noise = torch.Generator().manual_seed(Wanted(name, 1).seed(0))
        one = pipeline(words, num_inference_steps=2, guidance_scale=3.0, generator=noise).images[0]
        assert np.abs(made[f"{name}/00001.png"] - np.asarray(one).astype(int)).max() <= 1
    several = [image.tobytes() for image in made.values()]
    assert len(set(several)) == len(several)
    said = json.loads(Path("more/synthetic.json").read_text())
    assert said["diffusers"] == [diffusers.__version__]
    assert said["revision"] is None


def test_the_batch_changes_no_more_than_the_rounding(make) -> None:
    for batch in (1, 3):
        assert make(f"--batch {batch} --output by{batch}") == 0
    one, three = pixels("by1"), pixels("by3")
    assert one.keys() == three.keys()
    assert all(np.abs(one[name] - three[name]).max() <= 1 for name in one)


def test_what_a_safety_checker_blackens_is_not_kept(make, model: Path, tmp_path: Path, capsys) -> None:
    config = transformers.CLIPConfig(
        text_config={**TINY, "vocab_size": 54},
        vision_config={**TINY, "image_size": 8, "patch_size": 4},
        projection_dim=8,
    )
    checker = diffusers.pipelines.stable_diffusion.StableDiffusionSafetyChecker(config)
    torch.nn.init.constant_(checker.concept_embeds_weights, -2)  # no cosine is smaller
    look = transformers.CLIPImageProcessor(size={"shortest_edge": 8}, crop_size={"height": 8, "width": 8})
    strict = diffusers.StableDiffusionPipeline.from_pretrained(model, safety_checker=checker, feature_extractor=look)
    strict.save_pretrained(tmp_path / "strict")
    assert make(f"--model {tmp_path / 'strict'}") == 2
    assert "5 of 5 images, the first of them of berry, came out black" in capsys.readouterr().err
    assert pixels("more") == {}


def pickled(home: Path) -> None:
    for path in home.rglob("*.safetensors"):
        name = "pytorch_model.bin" if path.stem == "model" else f"{path.stem}.bin"
        torch.save(load_file(path), path.with_name(name))
        path.unlink()


def coded(home: Path) -> None:
    index = json.loads((home / "model_index.json").read_text())
    (home / "model_index.json").write_text(json.dumps({**index, "_class_name": ["pipeline", "Own"]}))
    (home / "pipeline.py").write_text(HARM.format("StableDiffusionPipeline"))


def coded_in_part(home: Path) -> None:
    index = json.loads((home / "model_index.json").read_text())
    (home / "model_index.json").write_text(json.dumps({**index, "unet": ["own", "Own"]}))
    (home / "unet" / "own.py").write_text(HARM.format("UNet2DConditionModel"))


def cut(home: Path) -> None:
    for path in (home / "text_encoder").glob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:1000])


def emptied(home: Path) -> None:
    (home / "model_index.json").unlink()


HARM = "from pathlib import Path\nfrom diffusers import {0}\nPath('harmed').touch()\nclass Own({0}): pass\n"


@pytest.mark.parametrize("damage", [pickled, coded, coded_in_part, cut, emptied])
def test_no_other_files_than_safe_ones_are_read(damage: Callable[[Path], None], make, model: Path, capsys) -> None:
    diffusers.StableDiffusionPipeline.from_pretrained(model, safety_checker=None).save_pretrained("own")
    damage(Path("own"))
    assert make("--model own") == 2
    assert "ltr: error: own is not a text-to-image pipeline with safe weights: " in capsys.readouterr().err
    assert not Path("harmed").exists()
    assert not Path("more").exists()


def test_a_model_that_cannot_be_had(make, capsys) -> None:
    for name in ("nobody/nothing", "no/such/folder"):
        assert make(f"--model {name}") == 2
        assert (
            f"ltr: error: {name} is neither a folder nor a model that the Hugging Face Hub gives: "
            in capsys.readouterr().err
        )


def test_a_size_that_the_model_has_not(make, capsys) -> None:
    assert make("--size 20") == 2
    assert "refuses these settings: `height` and `width` have to be divisible by 8" in capsys.readouterr().err
    assert not Path("more").exists()
    assert make("--size 24") == 0
    assert {image.shape for image in pixels("more").values()} == {(24, 24, 3)}
