"""The short help of Lightning's verbs; `--help all` is that of the parser, with every option."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import docstring_parser
from lightning.pytorch import Trainer

from ltr.cli import catalogue
from ltr.cli.arguments import HELP, split
from ltr.cli.catalogue import TOP, USELESS, Verb
from ltr.data import LongTailed
from ltr.methods import Method
from ltr.predictor import predict
from ltr.signatures import Option, first_sentence, options, texts

ABOUT = {
    "fit": "Train a method, or tune the classifier of a trained network. What no config sets is as in base.yaml.",
    "validate": "Measure a run on its validation and its test split; print the figures, and write nothing.",
    "test": "Measure a run on the test split; write metrics, predictions and figures.",
    "predict": "Write the predictions of a run for its test split, or for the new images that `--images` names.",
}
EXAMPLES = {
    "fit": (
        "ltr fit --config ce.yaml --data.root data",
        "ltr fit --config ce.yaml --data FolderLT --data.root my_images --trainer.max_epochs 100",
        "ltr fit --config gml.yaml --model.backbone.checkpoint ce",
        "ltr fit --config ce.yaml --ckpt_path last",
        "ltr fit --config ce.yaml --model.loss LDAM --model.loss.margin 0.3 --trainer.callbacks+=EMA",
    ),
    "validate": ("ltr validate --ckpt_path ce",),
    "test": (
        "ltr test --ckpt_path gml",
        "ltr test --ckpt_path gml --config ensemble.yaml --evaluation ensemble",
    ),
    "predict": (
        "ltr predict --ckpt_path gml",
        "ltr predict --ckpt_path gml --images new_images",
        "ltr predict --ckpt_path gml --images a.jpg b.png --top 3 --unreadable skip --evaluation new",
        "ltr predict --ckpt_path gml --images test.csv --column id --folder test_images --submission",
    ),
}
OF_TRAINER = ("max_epochs", "accelerator", "devices", "precision", "callbacks", "logger", "check_val_every_n_epoch")
MORE = """\
  ltr {verb} --model.help Tuning    the options of a method
  ltr {verb} --data.help FolderLT   the options of a data set
  ltr {verb} --model.loss.help GML  the options of a loss, and so of any other part
  ltr {verb} --trainer.help         the options of the trainer
  ltr {verb} --help all             every option there is
  ltr {verb} ... --print_config     the resolved config, and nothing is run"""
WIDTH = 118


def help_of(verb: Verb, words: Sequence[str]) -> str:
    """Return the help that words ask for, empty if they ask for none, or for one that the parser has."""
    for _, name, value in split(words):
        if name in HELP and value != "all":
            return short_help(verb)
        if name == "trainer.help":
            return "\n".join(["options of the trainer:", *section("trainer.", options(Trainer), texts(Trainer))])
    return ""


def short_help(verb: Verb) -> str:
    """Return the help of a verb on a screen."""
    hidden = ("model", "data", "trainer", *USELESS[verb])
    top = {name: option for name, option in TOP.items() if name not in hidden}
    new_images = ["", "new images: without labels, of any size", *section("", of_new_images())]
    trainer = options(Trainer)
    lines = [
        f"usage: ltr {verb} [--config FILE ...] [--OPTION VALUE ...]",
        "",
        ABOUT[verb],
        "Later options win over earlier ones. A part is chosen by its name, and its options follow.",
        "",
        "examples:",
        *(f"  {example}" for example in EXAMPLES[verb]),
        "",
        "options:",
        *section("", {"config": Option(str, None, "a recipe, shipped or of yours; several are merged"), **top}),
        *(new_images if verb == "predict" else ()),
        "",
        "model: the network, and what happens in a step (--model CLASS)",
        *section("model.", options(Method), texts(Method)),
        "",
        "data: the data set (--data CLASS)",
        *section("data.", options(LongTailed), texts(LongTailed)),
        "",
        "trainer: Lightning's, with all its options",
        *section("trainer.", {name: trainer[name] for name in OF_TRAINER}, texts(Trainer)),
        "",
        "more help:",
        MORE.format(verb=verb),
    ]
    return "\n".join(lines)


def of_new_images() -> dict[str, Option]:
    """Return the options that `ltr predict` has for new images only."""
    found = docstring_parser.parse(predict.__doc__ or "").params
    return {
        item.arg_name: Option(str, None, first_sentence(item.description))
        for item in found
        if item.arg_name not in ("predictor", *TOP)
    }


def section(prefix: str, options: Mapping[str, Option], texts: Mapping[str, str] | None = None) -> Iterator[str]:
    """Yield a line for each option: its name, the kind of part that it takes, and what it is."""
    for name, option in options.items():
        if name == "counts":  # of the data
            continue
        base = catalogue.base_of(option.hint)
        about = option.about or (texts or {}).get(name, "")
        kind = f"[{base.__name__}] " if base else ""
        line = f"  --{prefix + name:<33} {kind}{about}".rstrip()
        yield line if len(line) <= WIDTH else line[: WIDTH - 3].rpartition(" ")[0] + " ..."
