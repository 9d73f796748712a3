"""Adapters: AdaptFormer against the official code of LIFT, LoRA against its formula."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_clip import TEXT, add_models
from torch import Tensor, nn

from ltr.backbones import AdaptFormer, LoRA, OpenCLIP, Pretrained, Timm, Torchvision
from ltr.backbones.adapt_former import Bottleneck
from ltr.backbones.adapters import lift_width
from ltr.backbones.library import Library
from ltr.errors import InputError
from ltr.heads import Cosine, Linear
from ltr.losses import BalancedSoftmax
from ltr.methods import Method
from ltr.methods.distillation import Teacher

pytest.importorskip("open_clip")
pytest.importorskip("timm")

FILE = Path(__file__).parent.parent / "references" / "lift_adapters.json"
CASES: dict[str, dict[str, Any]] = {case["name"]: case for case in json.loads(FILE.read_text())["cases"]}
LIFT = {"image_size": 8, "layers": 2, "width": 8, "patch_size": 4, "head_width": 4}
IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
MAKERS: dict[str, Callable[..., Library]] = {
    "timm": lambda **options: Timm("test_vit", size=32, **options),
    "layer scale": lambda **options: Timm("test_vit", size=32, options={"init_values": 0.1}, **options),
    "clip": lambda **options: OpenCLIP("ltr_tiny", **options),
    "clip of timm": lambda **options: OpenCLIP("ltr_tiny_timm", **options),
}


@pytest.fixture(scope="module", autouse=True)
def models(tmp_path_factory: pytest.TempPathFactory) -> None:
    lift = {"embed_dim": 4, "quick_gelu": True, "vision_cfg": {**LIFT, "mlp_ratio": 4.0}, "text_cfg": TEXT}
    add_models(tmp_path_factory.mktemp("configurations"), ltr_lift=lift)


def module(values: dict[str, Any]) -> Bottleneck:
    """Return a module with the weights of a case."""
    weights = {key.replace("_", "."): torch.tensor(value) for key, value in values.items()}
    part = Bottleneck(len(values["up_weight"]), len(values["down_weight"]))
    part.load_state_dict(weights)
    return part


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", ["adaptformer", "adaptformer_width_1"])
def test_the_module_and_its_gradients_are_those_of_lift(name: str) -> None:
    case = CASES[name]
    part, tokens = module(case["module"]), torch.tensor(case["inputs"], requires_grad=True)
    found, expected = part(tokens), case["expected"]
    torch.testing.assert_close(found, torch.tensor(expected["outputs"]), rtol=1e-7, atol=1e-8)
    (found * torch.tensor(case["upstream"])).sum().backward()
    assert tokens.grad is not None
    torch.testing.assert_close(tokens.grad, torch.tensor(expected["grad_inputs"]), rtol=1e-7, atol=1e-8)
    for key, weight in part.named_parameters():
        wanted = torch.tensor(expected["grad_module"][key.replace(".", "_")])
        torch.testing.assert_close(weight.grad, wanted, rtol=1e-7, atol=1e-8)


@pytest.mark.usefixtures("double")
def test_a_small_clip_with_it_is_that_of_lift() -> None:
    case = CASES["tiny_clip_vit"]
    network = OpenCLIP("ltr_lift", adapter=lambda blocks, classes: AdaptFormer(blocks, classes, width=2)).eval()
    network.double().load_state_dict(clip(case["backbone"], network.state_dict()))
    images, expected = torch.tensor(case["images"]), case["expected"]
    plain = network(images)
    torch.testing.assert_close(plain, torch.tensor(expected["features_without_modules"]), rtol=1e-7, atol=1e-8)
    network.adapt(len(case["weight"]))
    torch.testing.assert_close(network.eval()(images), plain)
    assert network.adapters is not None
    for part, values in zip(network.adapters.parts, case["modules"], strict=True):
        part.load_state_dict(module(values).state_dict())
    features = network(images)
    torch.testing.assert_close(features, torch.tensor(expected["features"]), rtol=1e-7, atol=1e-8)
    head = Cosine(network.dim, len(case["weight"]), scale=25.0)
    head.start_from(torch.tensor(case["weight"]))
    torch.testing.assert_close(head(features).logits, torch.tensor(expected["logits"]), rtol=1e-7, atol=1e-7)


def clip(values: dict[str, Any], wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a case by the names of OpenCLIP."""
    names = {"patch_weight": "conv1.weight", "class_token": "class_embedding", "positions": "positional_embedding"}
    names |= {f"norm_{where}_{kind}": f"ln_{where}.{kind}" for where in ("pre", "post") for kind in ("weight", "bias")}
    state = {f"network.{name}": torch.tensor(values[key]) for key, name in names.items()}
    inner = {"norm1": "ln_1", "norm2": "ln_2", "out": "attn.out_proj", "mlp_in": "mlp.c_fc", "mlp_out": "mlp.c_proj"}
    for number, block in enumerate(values["blocks"]):
        for key, value in block.items():
            part, _, kind = key.rpartition("_")
            name = f"{inner[part]}.{kind}" if part in inner else f"attn.in_proj_{kind}"
            state[f"network.transformer.resblocks.{number}.{name}"] = torch.tensor(value)
    assert state.keys() == wanted.keys()
    return state


@pytest.mark.usefixtures("double")
def test_head_and_loss_are_those_of_lift() -> None:
    case = CASES["cosine_head_logit_adjusted"]
    features, expected = torch.tensor(case["features"], requires_grad=True), case["expected"]
    head = Cosine(features.shape[1], len(case["counts"]), scale=25.0)
    head.start_from(torch.tensor(case["weight"]))
    output = head(features)
    output.logits.retain_grad()
    value = BalancedSoftmax(torch.tensor(case["counts"]))(output, torch.tensor(case["labels"])).mean()
    value.backward()
    torch.testing.assert_close(value.detach(), torch.tensor(expected["loss"]))
    grads = {"logits": output.logits.grad, "features": features.grad, "weight": head.weight.grad}
    for name, found in grads.items():
        torch.testing.assert_close(found, torch.tensor(expected[f"grad_{name}"]), rtol=1e-6, atol=1e-9)


def test_the_width_is_that_of_lift() -> None:
    for row in CASES["width_rule"]["expected"]["rows"]:
        width = lift_width(row["classes"], row["blocks"])
        assert width == row["width"]
        if "module_parameters" in row:
            part = Bottleneck(row["embedding"], width)
            assert row["module_parameters"] == row["blocks"] * sum(weight.numel() for weight in part.parameters())
    network = Timm("test_vit", adapter=AdaptFormer)
    network.adapt(100)
    assert len(network.adapters.parts[0].down.bias) == lift_width(100, 6)


@pytest.mark.parametrize("kind", [AdaptFormer, LoRA])
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_new_adapter_changes_nothing_and_is_all_that_is_trained(make: Callable[..., Library], kind: Any) -> None:
    network = make(adapter=kind)
    with torch.no_grad():  # in training, torch does not fuse the attention
        plain = network.eval()(IMAGES)
        network.adapt(60)
        assert torch.equal(network(IMAGES), plain)
    network(IMAGES).square().mean().backward()
    trained = {name for name, weight in network.named_parameters() if weight.grad is not None}
    assert trained == set(network.adapter_weights)
    assert trained
    assert not network.network.training
    assert network.adapters.training


def test_it_is_added_after_what_scales_the_feed_forward_part() -> None:
    network = MAKERS["layer scale"](adapter=lambda blocks, classes: AdaptFormer(blocks, classes, width=3))
    network.adapt(5)
    added = [torch.randn(64, generator=torch.Generator().manual_seed(number)) for number in range(6)]
    for part, bias in zip(network.adapters.parts, added, strict=True):
        nn.init.zeros_(part.up.weight)
        part.up.bias.data.copy_(bias)
    plain = copy.deepcopy(MAKERS["layer scale"]().eval())
    plain.network.load_state_dict(network.network.state_dict())
    tokens = plain.network.norm_pre(plain.network.pos_drop(plain.network._pos_embed(plain.network.patch_embed(IMAGES))))
    for block, bias in zip(plain.network.blocks, added, strict=True):
        tokens = block(tokens) + bias
    torch.testing.assert_close(network.eval()(IMAGES), plain.network.forward_head(plain.network.norm(tokens)))


@pytest.mark.parametrize("name", ["timm", "clip"])
def test_lora_adds_a_product_to_query_and_value(name: str) -> None:
    network = MAKERS[name](adapter=lambda blocks, classes: LoRA(blocks, classes, rank=3, alpha=6.0)).eval()
    network.adapt(5)
    network.eval()
    plain = MAKERS[name]().eval()
    state = network.network.state_dict()
    for weight, part in zip(network.adapters.names, network.adapters.parts, strict=True):
        nn.init.normal_(part.up)
        changed, dim = state[weight].clone(), part.down.shape[-1]
        changed[:dim] += 2 * part.up[0].detach() @ part.down[0].detach()
        changed[2 * dim :] += 2 * part.up[1].detach() @ part.down[1].detach()
        state[weight] = changed
    before = plain.network.load_state_dict(network.network.state_dict()) and plain(IMAGES)
    plain.network.load_state_dict(state)
    with torch.no_grad():
        torch.testing.assert_close(network(IMAGES), plain(IMAGES))
    assert not torch.allclose(before, plain(IMAGES))


@pytest.mark.parametrize("kind", [AdaptFormer, LoRA])
def test_a_copy_has_adapters_of_its_own(kind: Any) -> None:
    network = MAKERS["timm"](adapter=kind)
    network.adapt(5)
    twin = copy.deepcopy(network)
    for weight in network.adapters.parameters():
        nn.init.normal_(weight)
    assert not torch.allclose(network(IMAGES), twin(IMAGES))
    twin.load_state_dict(network.state_dict())
    assert torch.equal(network(IMAGES), twin(IMAGES))


@pytest.mark.parametrize("kind", [AdaptFormer, LoRA])
def test_it_compiles_as_one_graph(kind: Any) -> None:
    network = MAKERS["clip"](adapter=kind)
    network.adapt(5)
    wanted = network(IMAGES)
    compiled: Any = torch.compile(network, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(IMAGES), wanted)


@pytest.mark.parametrize(
    "network",
    [
        lambda: Timm("test_convnext", adapter=AdaptFormer),
        lambda: Timm("swin_tiny_patch4_window7_224", adapter=AdaptFormer),
        lambda: Torchvision("resnet18", adapter=LoRA),
    ],
)
def test_a_network_without_blocks_is_refused(network: Callable[[], Library]) -> None:
    with pytest.raises(InputError, match=r"transformer blocks of one size, as a ViT has them, and .* has none: leave"):
        network().adapt(5)


def test_lora_refuses_a_network_with_query_key_and_value_apart() -> None:
    network = Timm("eva02_tiny_patch14_224", adapter=LoRA, options={"qkv_fused": False})
    with pytest.raises(InputError, match=r"has them apart: pass `--model\.backbone\.adapter AdaptFormer`"):
        network.adapt(5)
    network.make_adapter = AdaptFormer
    network.adapt(5)
    assert len(network.adapters.parts) == 12


def test_a_file_may_have_the_adapters_or_not(tmp_path: Path) -> None:
    first = MAKERS["timm"](adapter=AdaptFormer)
    first.adapt(60)
    torch.save(first.network.state_dict(), tmp_path / "plain.pt")
    for weight in first.adapters.parameters():
        nn.init.normal_(weight)
    torch.save({f"backbone.{name}": value for name, value in first.state_dict().items()}, tmp_path / "tuned.pt")
    for name, adapted in (("plain", False), ("tuned", True)):
        network = Pretrained(str(tmp_path / f"{name}.pt"), MAKERS["timm"](adapter=AdaptFormer))
        network.adapt(60)
        network.load()
        assert torch.equal(network(IMAGES), first(IMAGES)) == adapted
        assert network.fixed


def test_a_teacher_has_the_adapters_of_its_file(tmp_path: Path) -> None:
    method = Method(MAKERS["timm"](adapter=LoRA), [5, 3, 2]).eval()
    for weight in method.backbone.adapters.parameters():
        nn.init.normal_(weight)
    torch.save({"state_dict": method.state_dict()}, tmp_path / "run.ckpt")
    teacher = Teacher(
        Pretrained(str(tmp_path / "run.ckpt"), MAKERS["timm"](adapter=LoRA)), Linear(method.backbone.dim, 3)
    )
    teacher.load()
    with torch.no_grad():
        assert torch.equal(teacher(IMAGES), method(IMAGES).logits)
