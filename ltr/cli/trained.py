"""Verbs that are functions of a trained run."""

from __future__ import annotations

from collections.abc import Sequence

from ltr.cli import words
from ltr.cli.arguments import own_config
from ltr.cli.call import Verb, hand_over, parser
from ltr.cli.catalogue import Option
from ltr.cli.check import Check
from ltr.cli.dataset import data_only, places
from ltr.cli.sentences import sentences
from ltr.data import LongTailed
from ltr.export import Trained
from ltr.methods import Method
from ltr.run import lookup, weights

RUN = {
    "ckpt_path": Option(str, None),
    "trust": Option(str, None),
    "data": Option(LongTailed, None),
    "model": Option(Method, None),
}


def call_with_run(function: Verb, arguments: Sequence[str]) -> None:
    """Call a function of a trained run.

    Args:
        function: named as its verb, whose first argument `trained` is the run.
        arguments: what follows the verb: the run, new options of its data, and options of the function.

    Raises:
        InputError: if the arguments cannot be used, or the run cannot be read.
    """
    given = list(arguments)
    made = parser(function, ("trained",))
    made.add_argument("--config", action="config", help="A recipe for the data, where they are not those of the run.")
    made.add_argument("--ckpt_path", type=str, required=True, help="The run: its folder, name or checkpoint.")
    made.add_argument("--trust", action="append", help="A package whose classes the config of the run may name.")
    made.add_subclass_arguments(LongTailed, "data", required=True)
    made.add_subclass_arguments(Method, "model", required=True)
    made.link_arguments("data.counts", "model.init_args.counts", apply_on="instantiate")
    named = words.values(given, "ckpt_path")
    with sentences():
        if not named or words.asks(given, "h", "help", "print_config"):
            made.parse_args(given)  # raises for what is missing, or prints the help
        path = lookup.checkpoint(named[-1])
        text = own_config(path, words.values(given, "trust"))
        config = words.load(text, str(path))
        own = words.text({key: config[key] for key in ("data", "model")})
        check = Check(places(function) | RUN)
        values = made.parse_args(check.arguments(["--config", own, *data_only(given)]))
        built = made.instantiate_classes(values).as_dict()
    trained = Trained.of(path, weights.read(str(path)), text, built.pop("model"), built.pop("data"))
    for name in ("config", "ckpt_path", "trust"):
        built.pop(name, None)
    hand_over(function, built, {"trained": trained})
