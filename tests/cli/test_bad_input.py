"""Bad input: one sentence on what is wrong and what to do, status 2, nothing lost."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch
import yaml
from tiny import small

from ltr.__main__ import main

RUN = Path("checkpoints/a")
SENTENCES = [
    ("--config gmll.yaml", "there is no config gmll.yaml; did you mean gml.yaml?"),
    ("--model.loss GLM", "there is no GLM for model.loss; did you mean GML?"),
    ("--model.backbone ResNet33", "did you mean ResNet32?"),
    ("--model.loss Cosine", "model.loss cannot be Cosine, which is of the kind Head or Schedule."),
    ("--model.backbone Method", "model.backbone cannot be Method, which is of the kind Method."),
    ("--trainer.callbacks+=LDAM", "trainer.callbacks cannot be LDAM, which is of the kind Loss."),
    ("--data Digits", "there is no Digits for data; did you mean DigitsLT?"),
    ("--trainer.callbacks+=LogitAdjustmnt", "did you mean LogitAdjustment?"),
    ("--model.los CrossEntropy", "there is no option model.los; did you mean --model.loss?"),
    (
        "--model.loss BalancedSoftmax --model.loss.ta 2",
        "there is no option model.loss.ta; did you mean --model.loss.tau?",
    ),
    ("--data.label name", "Synthetic has no option label, which HubLT, TableLT have: pass the class before it"),
    ("--epochs 3", "there is no option epochs; did you mean --trainer.max_epochs?"),
    ("--max_epochs 3", "did you mean --trainer.max_epochs?"),
    ("--lr 0.1", "there is no option lr; did you mean --model.optimizer.lr?"),
    ("--model.lr 0.1", "there is no option model.lr; did you mean --model.optimizer.lr?"),
    ("--batch_size 8", "there is no option batch_size; did you mean --data.batch_size?"),
    ("--trainer.gpus 1", "there is no option trainer.gpus; did you mean --trainer.devices?"),
    ("--config epochs.yaml", "there is no option trainer.epochs; did you mean --trainer.max_epochs?"),
    ("--config lists.yaml", "there is no option trainer.callbacks.taus; did you mean --trainer.callbacks.tau?"),
    ("--config absent.yaml", "model.loss: mypkg.MyLoss cannot be imported: No module named 'mypkg'."),
    ("--model.loss mypkg.MyLoss", "model.loss: mypkg.MyLoss cannot be imported: No module named 'mypkg'."),
    ("--model.loss ltr.losses.GLM", "there is no ltr.losses.GLM for model.loss; did you mean GML?"),
    ("--model.loss ltr.heads.Linear", "model.loss cannot be Linear, which is of the kind Head."),
    ("--data.augment Cropflip", "there is no Cropflip for data.augment; did you mean CropFlip?"),
    (
        "--trainer.callbacks+=TemperatureEnsemble --trainer.callbacks.temperatures fittd",
        "trainer.callbacks.temperatures is one of given, matched, fitted; it cannot be fittd.",
    ),
    ("--trainer.callbacks.tau 2", "trainer.callbacks names no class that has an option tau: pass the class before it"),
    ("--trainr.max_epochs 3", "there is no option trainr.max_epochs; did you mean --trainer.max_epochs?"),
    ("--data.imbalance 0", "it cannot be 0."),
    ("--data.imbalance 1", "imbalance 1 is a balanced set"),
    ("--data.imbalance -3", "it cannot be -3."),
    ("--data.imbalance many", "data.imbalance is a number; it cannot be many."),
    ("--data.imbalance 500", "the smallest class would have no image at imbalance 500"),
    ("--data.tail expo", "data.tail is one of exp, step, pareto, balanced, none; it cannot be expo."),
    ("--data.val_per_class -1", "val_per_class cannot be negative"),
    ("--trainer.max_epochs 0.5", "trainer.max_epochs is a whole number; it cannot be 0.5."),
    ("--seed_everything x", "seed_everything is true or false or a whole number; it cannot be x."),
    ("--trainer.max_epochs -1", "give its length, `--trainer.max_epochs 200`"),
    ("--ckpt_path last", "there is nothing to resume: checkpoints/a/last.ckpt does not exist."),
    ("--ckpt_path nowhere", "there is no checkpoint nowhere"),
    ("--model.backbone Pretrained --model.backbone.checkpoint nowhere", "there is no checkpoint nowhere"),
    ("my_images", "my_images belongs to no option: name a recipe with `--config`, images with `--data.root`."),
    ("--config broken.yaml", "broken.yaml is not valid YAML"),
    ("--config nested.yaml", "there is no option model.los; did you mean --model.loss?"),
    (
        "--trainer.profiler lightning.pytorch.profilers.PyTorchProfiler --trainer.profiler.sort_by_key beauty",
        "Found sort_by_key: beauty. Should be within",
    ),
]


@pytest.mark.parametrize(("words", "sentence"), SENTENCES)
def test_the_sentence_names_what_is_wrong(words: str, sentence: str, tiny, capsys) -> None:
    Path("broken.yaml").write_text("data: [\n")
    Path("epochs.yaml").write_text("trainer: {epochs: 3}\n")
    Path("lists.yaml").write_text("trainer: {callbacks: [EMA, {class_path: LogitAdjustment, init_args: {taus: 2}}]}\n")
    Path("absent.yaml").write_text("model: {init_args: {loss: mypkg.MyLoss}}\n")
    Path("nested.yaml").write_text("model:\n  class_path: ltr.methods.Method\n  init_args:\n    los: CrossEntropy\n")
    assert tiny("--name a", words) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.startswith("ltr: error: ")
    assert error.count("\n") == 1
    assert not RUN.exists()


def test_only_parts_of_the_kind_are_offered(tiny, capsys) -> None:
    assert tiny("--name a --data.augment Zzzqqq") == 2
    offered = capsys.readouterr().err.partition("there are ")[2]
    assert "CropFlip" in offered
    assert "ASGD" not in offered
    assert "Cosine" not in offered


def test_none_is_no_part(tiny) -> None:
    assert tiny("--name a --model.mix Mixup --model.mix none --trainer.max_epochs 1") == 0
    assert yaml.safe_load((RUN / "config.yaml").read_text())["model"]["init_args"]["mix"] is None


def test_a_class_of_another_package_is_taken(tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("mine.py").write_text(
        "from ltr.losses import CrossEntropy\n\nclass Mine(CrossEntropy):\n"
        "    def __init__(self, counts, factor: float = 1.0):\n        super().__init__(counts)\n"
    )
    monkeypatch.syspath_prepend(".")
    assert tiny("--name a --model.loss mine.Mine --model.loss.factor 2 --trainer.max_epochs 1") == 0
    loss = yaml.safe_load((RUN / "config.yaml").read_text())["model"]["init_args"]["loss"]
    assert loss == {"class_path": "mine.Mine", "init_args": {"factor": 2.0}}
    assert tiny("--name b --model.loss mine.Mine --model.loss.factors 2") == 2


def test_a_yaml_file_is_a_value(tiny) -> None:
    Path("parts").mkdir()
    Path("parts/loss.yaml").write_text("class_path: LDAM\ninit_args: {margin: 0.3, scale: 1.0}\n")
    assert tiny("--name a --model.loss parts/loss.yaml --trainer.max_epochs 1") == 0
    loss = yaml.safe_load((RUN / "config.yaml").read_text())["model"]["init_args"]["loss"]
    assert loss["init_args"]["margin"] == 0.3
    Path("parts/bad.yaml").write_text("class_path: LDAM\ninit_args: {margins: 0.3}\n")
    assert tiny("--name b --model.loss parts/bad.yaml") == 2


def test_the_process_stays_in_its_folder(tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("mine").mkdir()
    Path("mine/more.yaml").write_text("trainer: {max_epochs: 1}\n")
    monkeypatch.setattr("os.chdir", lambda folder: pytest.fail(f"went to {folder}"))
    assert tiny("--name a --config mine/more.yaml") == 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_more_gpus_than_there_are(tiny, capsys) -> None:
    assert tiny("--name a --trainer.accelerator gpu --trainer.devices 4") == 2
    assert "fewer than asked for" in capsys.readouterr().err


def test_an_unknown_verb(ltr, capsys) -> None:
    assert ltr("tset") == 2
    assert "did you mean test?" in capsys.readouterr().err


def test_a_test_without_a_run(ltr, capsys) -> None:
    assert ltr("test") == 2
    assert "--ckpt_path checkpoints/<name>/last.ckpt" in capsys.readouterr().err


def test_missing_data_without_a_network(ltr, capsys, monkeypatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", offline)
    assert ltr("fit --config ce.yaml --trainer.accelerator cpu") == 2
    error = capsys.readouterr().err
    assert "missing in data/cifar-100-python" in error
    assert "--data.root" in error
    Path("data/cifar-100-python").mkdir(parents=True)
    Path("data/cifar-100-python/train").write_text("cut")
    assert ltr("fit --config ce.yaml --trainer.accelerator cpu --name b") == 2
    assert "damaged in data/cifar-100-python" in capsys.readouterr().err


class Hostile:
    """Creates a file when unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch harmed",)


@pytest.mark.slow
def test_checkpoints_that_cannot_be_read(trained, tiny, ltr, capsys) -> None:
    trained("--name a")
    whole = (RUN / "last.ckpt").read_bytes()
    for content, sentence in (
        (whole[: len(whole) // 2], "is truncated"),
        (b"", "is truncated"),
        (pickle.dumps({"state_dict": Hostile()}, protocol=2), "is refused"),
    ):
        (RUN / "last.ckpt").write_bytes(content)
        for words in ("test --ckpt_path a", "predict --ckpt_path a"):
            assert ltr(words) == 2
            assert sentence in capsys.readouterr().err
        assert tiny("--name b --model.backbone Pretrained --model.backbone.checkpoint a") == 2
        assert sentence in capsys.readouterr().err
    assert not Path("harmed").exists()
    assert not (RUN / "test").exists()


def test_a_foreign_file_is_no_run(ltr, capsys) -> None:
    torch.save({"conv1.weight": torch.zeros(1)}, "foreign.pt")
    assert ltr("test --ckpt_path foreign.pt") == 2
    assert "is not a run of `ltr`" in capsys.readouterr().err


@pytest.mark.slow
def test_other_classes_and_other_networks(trained, tiny, ltr, capsys) -> None:
    trained("--name a")
    capsys.readouterr()
    assert ltr("test --ckpt_path a --data.classes 7") == 2
    assert "the checkpoint was trained on 5 classes, the data have 7." in capsys.readouterr().err
    assert ltr("test --ckpt_path a --model.backbone.width 8") == 2
    assert "the checkpoint is of another model" in capsys.readouterr().err
    tuned = "--model Tuning --model.backbone Pretrained --model.backbone.checkpoint a --name b"
    assert tiny(tuned, "--model.backbone.backbone ResNet32") == 2
    assert "does not fit a ResNet32" in capsys.readouterr().err
    narrow = small("--model.backbone.backbone")
    assert tiny(tuned, narrow, "--data.classes 4") == 2
    assert "the file's classifier has 5 classes, the data have 4." in capsys.readouterr().err
    assert tiny(tuned, narrow, "--model.head Cosine") == 2
    assert "--model.reset true" in capsys.readouterr().err


def test_an_ensemble_needs_an_old_head(trained, ltr, capsys) -> None:
    trained("--name a")
    capsys.readouterr()
    assert ltr("test --ckpt_path a --config ensemble.yaml") == 2
    assert "TemperatureEnsemble needs an old head" in capsys.readouterr().err


def test_a_run_is_replaced_only_by_another(trained, tiny) -> None:
    trained("--name a")
    assert tiny("--name a --overwrite --model.backbone Pretrained --model.backbone.checkpoint nowhere") == 2
    assert (RUN / "last.ckpt").is_file()


def test_a_loss_that_is_no_number_keeps_the_last_good_checkpoint(tiny, capsys) -> None:
    assert tiny("--name a --trainer.max_epochs 3 --trainer.limit_train_batches 2 --model.optimizer.lr 1e30") == 2
    error = capsys.readouterr().err
    assert "of epoch" in error
    assert "the loss became" in error


def test_a_full_disk_keeps_the_last_good_checkpoint(tiny, capsys, monkeypatch) -> None:
    save, calls = torch.save, []

    def full(content: object, path: Path) -> None:
        calls.append(path)
        if len(calls) == 2:
            path.write_bytes(b"half of it")
            raise OSError(28, "No space left on device")
        save(content, path)

    monkeypatch.setattr(torch, "save", full)
    assert tiny("--name a") == 2
    error = capsys.readouterr().err
    assert "No space left on device" in error
    assert "--ckpt_path last" in error
    assert torch.load(RUN / "last.ckpt", weights_only=True)["epoch"] == 0
    assert sorted(path.name for path in RUN.iterdir()) == ["config.yaml", "last.ckpt", "metrics.csv"]


def test_help_needs_nothing_heavy(capsys) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from ltr.__main__ import main; main(['--help']); "
        "print([name for name in ('torch', 'lightning') if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.startswith("usage: ltr VERB")
    assert out.endswith("[]\n")
    main(["--version"])
    assert capsys.readouterr().out.count(".") == 2


@pytest.mark.parametrize("verb", ["fit", "validate", "test", "predict"])
def test_the_help_fits_on_a_page(verb: str, ltr, capsys) -> None:
    assert ltr(f"{verb} --help") == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: ltr {verb}")
    assert text.count("\n") <= 80
    for option in ("--model.loss", "--data.batch_size", "--trainer.max_epochs", "--ckpt_path", "--model.loss.help GML"):
        assert option in text


def test_the_help_has_the_options_of_its_verb_only(ltr, capsys) -> None:
    new_images = ("images", "column", "folder", "unreadable", "top", "submission")
    for verb, wanted in {"fit": ("overwrite",), "validate": (), "test": ("evaluation",)}.items():
        assert ltr(f"{verb} --help") == 0
        text = capsys.readouterr().out
        assert [name for name in ("overwrite", "evaluation", *new_images) if f"\n  --{name} " in text] == [*wanted]
    assert ltr("predict --help") == 0
    text = capsys.readouterr().out
    assert all(f"\n  --{name} " in text for name in ("evaluation", *new_images))


@pytest.mark.parametrize("verb", ["export", "push"])
def test_the_help_says_which_further_options_a_verb_takes(verb: str, ltr, capsys) -> None:
    assert ltr(f"{verb} --help") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "`--config logit_adjustment.yaml`" in text
    assert "`--trust my_pkg`" in text


def test_the_help_of_the_trainer_and_of_a_part(ltr, capsys) -> None:
    assert ltr("fit --trainer.help") == 0
    text = capsys.readouterr().out
    assert all(f"--trainer.{name} " in text for name in ("max_epochs", "gradient_clip_val", "strategy"))
    assert ltr("fit --model.loss.help GML") == 0
    assert "clamp" in capsys.readouterr().out


def test_help_all_has_every_option(ltr, capsys) -> None:
    assert ltr("fit --help all") == 0
    text = capsys.readouterr().out
    for option in ("--trainer.gradient_clip_val", "--ckpt_path", "--trust", "--model.help", "--seed_everything"):
        assert option in text


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--model.optimizer.lr -0.1", "torch refuses this: Invalid learning rate: -0.1"),
        ("--seed_everything -1", "lightning refuses this: -1 is not in bounds"),
        ("--trainer.strategy dp", "lightning refuses this: You selected an invalid strategy name"),
        ("--trainer.accelerator gpus", "lightning refuses this: You selected an invalid accelerator name"),
        ("--trainer.devices abc", "lightning refuses this: `devices` selected with"),
        ("--trainer.num_nodes 0", "trainer.num_nodes is at least 1; it cannot be 0."),
        ("--trainer.accumulate_grad_batches 0", "trainer.accumulate_grad_batches is at least 1; it cannot be 0."),
        ("--trainer.check_val_every_n_epoch 0", "trainer.check_val_every_n_epoch is at least 1; it cannot be 0."),
        ("--model.optimizer.lr foo", "model.optimizer.lr is a number; it cannot be foo."),
        ("--trainer.logger CSVLogger", "CSVLogger needs a value for save_dir: pass `--trainer.logger.save_dir`."),
        ("--config utf16.yaml", "utf16.yaml is not UTF-8 text"),
        ("--config null.yaml", "trainer is a mapping of options"),
        (
            "--data torchvision.datasets.CIFAR10",
            "data cannot be torchvision.datasets.CIFAR10, which does not",
        ),
    ],
)
def test_what_a_library_refuses_is_one_sentence(words: str, sentence: str, tiny, capsys) -> None:
    Path("utf16.yaml").write_bytes("trainer: {max_epochs: 2}".encode("utf-16"))
    Path("null.yaml").write_text("trainer: null\n")
    assert tiny("--name a", words) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.startswith("ltr: error: ")
    assert error.count("\n") == 1
    assert not RUN.exists()


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (
            "trainer: {max_epochs: 1, max_epochs: 2}\n",
            "twice.yaml has max_epochs twice in one place: keep one of them.",
        ),
        ("seed_everything: 1\nseed_everything: 2\n", "twice.yaml has seed_everything twice in one place"),
        ("1: 2\n", "twice.yaml has the int 1 as an option, whose name is text."),
        ("null: 2\n", "twice.yaml has the NoneType None as an option, whose name is text."),
    ],
)
def test_keys_of_a_config_are_texts_and_occur_once(config: str, sentence: str, tiny, capsys) -> None:
    Path("twice.yaml").write_text(config)
    assert tiny("--name a --config twice.yaml") == 2
    assert sentence in capsys.readouterr().err
