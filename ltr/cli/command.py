"""Lightning's command line with the run folder around it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import yaml
from jsonargparse import Namespace
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from ltr.callbacks import Evaluation, Progress, Run
from ltr.cli import catalogue, words
from ltr.cli.arguments import expand
from ltr.cli.catalogue import Option
from ltr.cli.check import Check
from ltr.cli.inherit import inherited
from ltr.data import LongTailed
from ltr.methods import Method
from ltr.predictor import precision
from ltr.run import hub, lookup, weights
from ltr.run.checkpoint_io import WholeFiles
from ltr.run.evaluation import PREDICTIONS, PREDICTIONS_TABLE
from ltr.run.folder import RunFolder, plain_name
from ltr.sentences import sentences

Verb = Literal["fit", "validate", "test", "predict"]
TOP = {
    "model": Option(Method, None, "the network, its loss, and what happens in a training step"),
    "data": Option(LongTailed, None, "the data set"),
    "trainer": Option(Trainer, None, "Lightning's trainer: epochs, devices, precision, loggers, callbacks"),
    "seed_everything": Option(bool | int, 0, "seed of the training; true draws one"),
    "name": Option(str | None, None, "name of the run; else that of its config"),
    "runs": Option(str, "checkpoints", "folder in which the runs are kept"),
    "overwrite": Option(bool, False, "replace a run of the same name"),
    "evaluation": Option(str | None, None, "folder of a test or prediction, in that of the run"),
    "ckpt_path": Option(str | None, None, "the run to work on: its name, folder or checkpoint; for fit also `last`"),
    "trust": Option(str, None, "a package whose classes the config of a run may name; may be given several times"),
}
WRITTEN = ("name", "runs", "overwrite", "evaluation", "ckpt_path", "trust")  # the options of `ltr` itself
PASSING = ("ckpt_path", "overwrite", "evaluation", "config", "trust")  # what concerns one call only
PARSED = ("config", "c", "help", "h", "print_config")


def complete(verb: Verb, given: list[str]) -> list[str]:
    """Return the words to parse: options and classes checked, and for `fit` what follows from the run to start from."""
    check = Check(TOP | {name: Option(Any, None) for name in PARSED})
    if verb != "fit":
        return check.arguments(given)
    base = check.arguments(given[:2])
    check.given.clear()  # base.yaml is what holds where nothing is given
    checked = [*base, *check.arguments(given[2:])]
    resumed = [Path(path) for path in words.values(given, "ckpt_path")]
    return [*checked, *inherited(check, resumed[-1] if resumed else None, words.values(given, "trust"))]


class Command(LightningCLI):
    """Fit, validate, test and predict on run folders: the parts are built first, and work begins with `start`.

    Args:
        verb: what to do.
        arguments: what follows it.
        tell: whether the result is printed.

    Raises:
        InputError: for an option, a class, a recipe or a checkpoint that does not exist, or a run that exists already.
    """

    config: Namespace
    trainer: Trainer

    def __init__(self, verb: Verb, arguments: Sequence[str], *, tell: bool = True) -> None:
        self.verb, self.tell = verb, tell
        given, self.usual_name = expand(verb, list(arguments))
        with sentences():
            super().__init__(
                Method,
                LongTailed,
                save_config_callback=None,
                seed_everything_default=0,
                parser_kwargs={"prog": f"ltr {verb}", "description": None, "exit_on_error": False},
                subclass_mode_model=True,
                subclass_mode_data=True,
                auto_configure_optimizers=False,
                load_from_checkpoint_support=False,
                trainer_defaults={
                    "precision": precision(),
                    "devices": 1,  # more of them multiply the batch, which nobody should get without asking
                    "logger": False,
                    "num_sanity_val_steps": 0,
                    "use_distributed_sampler": False,
                    "enable_model_summary": False,
                    "log_every_n_steps": 1,
                },
                args=complete(verb, given),
                run=False,
            )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the run folder, and give the model the counts of the data."""
        for name in WRITTEN:
            option = TOP[name]
            how = {"overwrite": {"action": "store_true"}, "trust": {"action": "append"}}.get(
                name, {"type": option.hint}
            )
            parser.add_argument(f"--{name}", default=option.default, help=option.about, **how)
        parser.link_arguments("data.counts", "model.init_args.counts", apply_on="instantiate")

    def before_instantiate_classes(self) -> None:
        """Settle the folder before anything is built, and refuse a run that exists already."""
        config = self.config
        if config.name is None:
            config.name = self.usual_name
        if self.verb == "fit":
            run = RunFolder.of(config.runs, config.name)
            self.folder = run.path
            checkpoint = config.ckpt_path
            self.resumed = bool(checkpoint) and Path(checkpoint).resolve().parent == self.folder.resolve()
            if not self.resumed:
                run.check_writable(overwrite=config.overwrite)
        else:
            weights.read(config.ckpt_path)  # a sentence instead of a traceback where it is no checkpoint
            home = Path(config.ckpt_path).parent
            shipped_home = lookup.folder("checkpoints").resolve()
            foreign = home.resolve().is_relative_to(shipped_home) and Path(config.runs).resolve() != shipped_home
            evaluation = self.verb if config.evaluation is None else plain_name(config.evaluation, "--evaluation")
            fetched = hub.repository(Path(config.ckpt_path))
            name = home.name if foreign else fetched
            self.folder = (Path(config.runs) / name if name else home) / evaluation
        written = config.clone()
        for key in PASSING:
            written.pop(key, None)
        self.text: str = self.parser.dump(written, skip_none=False, skip_validation=True)  # resolved, as YAML
        for logger in wandb_loggers(config):
            if self.verb == "fit" and logger.name is None:
                logger.name = config.name
            elif self.verb == "test":
                from ltr.report.wandb_run import kept

                for key, value in kept(Path(config.ckpt_path).parent).items():
                    logger[key] = value

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Build the trainer with the callbacks that keep the folder, after those of the config."""
        settings = {**self.config_init.trainer.as_dict(), **kwargs}
        settings |= {
            "default_root_dir": self.folder,
            "plugins": [*several(settings["plugins"]), WholeFiles()],
        }
        own: list[Any] = []
        if self.verb == "fit":
            self.run = Run(self.folder, self.text, replaces=self.config.overwrite and self.config.ckpt_path is None)
            own.append(self.run)
            if settings["enable_progress_bar"] is not False:
                own.append(Progress(self.config.name))
        else:
            self.run_loggers, settings["logger"] = several(settings["logger"]), False
            settings["enable_progress_bar"] = False
            own.append(Evaluation(self.folder, yaml.safe_load(self.text)))
        settings["callbacks"] = [*several(settings["callbacks"]), *([] if settings["fast_dev_run"] else own)]
        return Trainer(**settings)

    def start(self) -> None:
        """Do what the verb says, from the seed on, whatever was drawn since the parts were built."""
        if self.config.seed_everything is not False:
            seed_everything(self.config.seed_everything, workers=True)
        with self.alone():
            self.work(self.config.ckpt_path)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes off the run that is written; of a distributed run, the first process does.

        Raises:
            InputError: if another process is working on it, or made it since this one has started.
        """
        if self.verb == "validate" or self.config.trainer.fast_dev_run or rank_zero_only.rank:  # type: ignore[attr-defined]
            yield
            return
        run = RunFolder(self.folder if self.verb == "fit" else self.folder.parent)
        with run.lock.hold():
            if self.verb == "fit" and not self.resumed:
                run.check_writable(overwrite=self.config.overwrite)
            yield

    def work(self, path: Any) -> None:
        """Do what the verb says with the checkpoint of a run."""
        if self.verb == "fit":
            self.fit(path)
        elif self.verb == "predict":
            self.trainer.predict(
                self.model, self.datamodule, ckpt_path=path, return_predictions=False, weights_only=True
            )
            self.say(f"{self.folder}: {PREDICTIONS_TABLE}, {PREDICTIONS}")
        elif self.verb == "validate":
            self.trainer.validate(self.model, self.datamodule, ckpt_path=path, verbose=False, weights_only=True)
            for name, report in self.model.reports.items():
                self.say(f"{name}: {report.summary()}")
        else:
            self.trainer.test(self.model, self.datamodule, ckpt_path=path, verbose=False, weights_only=True)
            self.say(f"{self.folder}: {self.model.reports['test'].summary()}")
            self.log_test(path)

    def fit(self, path: str | None) -> None:
        """Tell the loggers the config, and train."""
        for logger in self.trainer.loggers:
            logger.log_hyperparams(yaml.safe_load(self.text))
        self.trainer.fit(self.model, datamodule=self.datamodule, ckpt_path=path, weights_only=True)
        self.after_fit()

    def after_fit(self) -> None:
        """Keep a network of which nothing was trained, too; log the curves, and say how to go on."""
        if self.config.trainer.fast_dev_run:
            return
        if self.trainer.max_epochs == 0:
            self.run.begin()
            self.trainer.save_checkpoint(RunFolder(self.folder).checkpoint)
        for logger in self.trainer.loggers if self.trainer.is_global_zero else ():
            if isinstance(logger, WandbLogger):
                from ltr.report.wandb_run import log_training

                log_training(logger, self.folder)
        checkpoint = RunFolder(self.folder).checkpoint
        self.say(f"{checkpoint}; next: ltr test --ckpt_path {checkpoint}")

    def log_test(self, path: str) -> None:
        """Log the figures of a test to where its training was logged."""
        if self.trainer.is_global_zero and not self.config.trainer.fast_dev_run:
            for logger in self.run_loggers:
                if isinstance(logger, WandbLogger):
                    from ltr.report.wandb_run import log_test

                    log_test(logger, Path(path).parent, self.folder)

    def say(self, sentence: str) -> None:
        """Print a result, once over all processes."""
        if self.tell and self.trainer.is_global_zero:
            print(sentence)


def several(value: Any) -> list[Any]:
    """Return a setting that may be none, one or several as a list."""
    return value if isinstance(value, list) else [value] if value else []


def wandb_loggers(config: Namespace) -> Iterator[Namespace]:
    """Yield the options of the loggers to Weights & Biases in a config, to which changes can be made."""
    for logger in several(config.trainer.logger):
        if isinstance(logger, Namespace):
            kind = catalogue.find("trainer.logger", Logger, logger.class_path)
            if issubclass(kind, WandbLogger):
                yield logger.init_args
