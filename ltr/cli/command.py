"""Lightning's command line with the run folder around it: fit, validate, test and predict."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from signal import SIGINT, SIGTERM
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import SIGTERMException

from ltr import files
from ltr.callbacks import Evaluation, Progress, Run
from ltr.callbacks.foreign import check_callbacks
from ltr.cli import catalogue
from ltr.cli.call import call, new_image_words
from ltr.cli.catalogue import TOP, WRITTEN, Verb
from ltr.cli.check import Check
from ltr.cli.configs import complete, run_name
from ltr.cli.help import help_of
from ltr.data import LongTailed
from ltr.distributed import process_is_gone
from ltr.errors import InputError, Stopped
from ltr.library_errors import library_errors
from ltr.methods import Method
from ltr.predictor import precision, predict
from ltr.process_state import end_with_first_process, isolated, stop_on_sigterm, tell_of_ended_process
from ltr.run import description, lookup, weights
from ltr.run.checkpoint_io import WholeFiles
from ltr.run.evaluation import PREDICTIONS, PREDICTIONS_TABLE
from ltr.run.folder import RunFolder

LIMITS = {"validate": "limit_val_batches", "test": "limit_test_batches", "predict": "limit_predict_batches"}
PASSING = ("ckpt_path", "overwrite", "evaluation", "config", "trust")  # what concerns one call only


def perform(verb: Verb, arguments: list[str], *, tell: bool = True) -> None:
    """Do one of Lightning's verbs in this process.

    Args:
        verb: what to do.
        arguments: what follows it.
        tell: whether the result is printed.

    Raises:
        InputError: for bad input, or if another process of a distributed run has ended.
        Stopped: after Ctrl+C or SIGTERM.
    """
    if text := help_of(verb, arguments):
        print(text)
        return
    if verb == "predict" and (words := new_image_words(arguments)):
        with isolated():
            call(predict, words)
        return
    with isolated():
        command = Command(verb, arguments, tell=tell)
        try:
            command.start()
        except (KeyboardInterrupt, SystemExit) as end:  # Lightning leaves with `SystemExit` after an interruption
            cause = end.__context__ if type(end) is SystemExit else end
            if not isinstance(cause, KeyboardInterrupt | SIGTERMException):
                raise
            usual = SIGTERM if isinstance(cause, SIGTERMException) else SIGINT
            raise Stopped(getattr(cause, "signal", usual), command.going_on) from end
        except RuntimeError as error:
            if command.trainer.world_size == 1 or not process_is_gone(error):
                raise
            raise InputError(command.gone) from error


class StopOnSigterm(Callback):
    """End work at once on SIGTERM, as on Ctrl+C.

    Lightning's own handler waits for the other processes in the middle of what they do: two processes waited for each
    other for ever. Checkpoints are written whole or not at all, so a training can end anywhere.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the place of the handler that Lightning has just installed, and will put back."""
        stop_on_sigterm()

    on_validation_start = on_test_start = on_predict_start = on_train_start


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
        self.known: dict[str, dict[str, Any]] = {}
        self.usual_name = run_name(arguments)
        with library_errors():
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
                args=complete(verb, arguments, Check(TOP)),
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
            elif config.overwrite:
                raise InputError(
                    f"`--ckpt_path` goes on with the run {run.path}, which `--overwrite` would replace: leave one of "
                    "them out."
                )
        else:
            self.known[config.ckpt_path] = weights.read(config.ckpt_path)  # or it is refused before anything is built
            evaluation = self.verb if config.evaluation is None else config.evaluation
            self.folder = lookup.evaluation_folder(Path(config.ckpt_path), config.runs, evaluation)
        written = config.clone()
        for key in PASSING:
            written.pop(key, None)
        self.text: str = self.parser.dump(written, skip_none=False, skip_validation=True)  # resolved, as YAML
        for logger in wandb_loggers(config):
            if self.verb == "fit" and logger.name is None:
                logger.name = config.name
            if config.ckpt_path and self.verb in ("fit", "test"):
                from ltr.report.wandb_run import kept

                home = self.folder if self.verb == "fit" else Path(config.ckpt_path).parent
                for key, value in kept(home).items():
                    logger[key] = value

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Build the trainer with the callbacks that keep the folder, after those of the config."""
        settings = {**self.config_init.trainer.as_dict(), **kwargs}
        settings |= {
            "default_root_dir": self.folder,
            "plugins": [*several(settings["plugins"]), WholeFiles(self.known)],
        }
        callbacks: list[Any] = [StopOnSigterm()]
        if self.verb == "fit":
            check_callbacks(several(settings["callbacks"]), self.datamodule, logged=bool(settings["logger"]))
            if settings["enable_checkpointing"] is False:
                raise InputError(
                    "a run keeps its last checkpoint, to be tested: leave out `--trainer.enable_checkpointing`."
                )
            self.run = Run(self.folder, self.text, replaces=self.config.overwrite)
            callbacks.append(self.run)
            if settings["enable_progress_bar"] is not False:
                callbacks.append(Progress(self.config.name))
        else:
            self.run_loggers, settings["logger"] = several(settings["logger"]), False
            settings["enable_progress_bar"] = False
            self.evaluation = Evaluation(self.folder, description.load(self.text))
            callbacks.append(self.evaluation)
        settings["callbacks"] = [
            *several(settings["callbacks"]),
            *(callbacks[:1] if settings["fast_dev_run"] else callbacks),
        ]
        return Trainer(**settings)

    def start(self) -> None:
        """Do what the verb says, from the seed on, whatever was drawn since the parts were built."""
        if self.trainer.world_size > 1:
            end_with_first_process(self.trainer.local_rank)
            tell_of_ended_process(lambda: self.gone)
        if self.config.seed_everything is not False:
            seed_everything(self.config.seed_everything, workers=True)
        if self.verb != "fit" and getattr(self.trainer, LIMITS[self.verb]) == 0:
            raise InputError(f"nothing is left to {self.verb}: leave out `--trainer.{LIMITS[self.verb]} 0`.")
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
            tested, images = self.evaluation.images, len(self.datamodule.splits["test"].labels)
            part = f"{tested} of {images} images: " if 0 < tested < images else ""
            self.say(f"{self.folder}: {part}{self.model.reports['test'].summary()}")
            self.log_test(path)

    def fit(self, path: str | None) -> None:
        """Pass the config to the loggers, and train."""
        for logger in self.trainer.loggers:
            logger.log_hyperparams(description.load(self.text))
        self.trainer.fit(self.model, datamodule=self.datamodule, ckpt_path=path, weights_only=True)
        self.after_fit()

    def after_fit(self) -> None:
        """Keep a network of which nothing was trained, too; log the curves, and say how to go on."""
        if self.config.trainer.fast_dev_run:
            return
        if self.trainer.max_epochs == 0:
            with files.together():
                self.trainer.save_checkpoint(RunFolder(self.folder).checkpoint)
                self.run.write(self.trainer)
        elif self.resumed and self.trainer.is_global_zero:  # its last epoch may have been interrupted as it was written
            self.run.write(self.trainer)
        elif not self.run.rows and not self.config.ckpt_path:
            raise InputError(
                "no epoch was trained, so there is no run: check `--trainer.max_steps`, `--trainer.max_time` and "
                "`--trainer.limit_train_batches`."
            )
        for logger in self.trainer.loggers if self.trainer.is_global_zero else ():
            if isinstance(logger, WandbLogger):
                from ltr.report.wandb_run import log_training

                log_training(logger, self.folder)
        checkpoint = RunFolder(self.folder).checkpoint
        self.say(f"{checkpoint}; next: {shlex.join(['ltr', 'test', '--ckpt_path', str(checkpoint)])}")

    def log_test(self, path: str) -> None:
        """Log the figures of a test to where its training was logged."""
        if self.trainer.is_global_zero and not self.config.trainer.fast_dev_run:
            for logger in self.run_loggers:
                if isinstance(logger, WandbLogger):
                    from ltr.report.wandb_run import log_test

                    log_test(logger, Path(path).parent, self.folder)

    @property
    def going_on(self) -> str:
        """How to go on after an interruption."""
        ours = self.verb == "fit" and not self.run.replaces
        if ours and (checkpoint := RunFolder(self.folder).checkpoint).is_file():
            return f"go on with `{shlex.join(['ltr', 'fit', '--ckpt_path', str(checkpoint)])}`"
        return "nothing was written; give the command again"

    @property
    def gone(self) -> str:
        """What to say when another process of a distributed run has ended."""
        return f"another process of this command has ended, so this one ends: {self.going_on}."

    def say(self, sentence: str) -> None:
        """Print a result, once over all processes."""
        if self.tell and self.trainer.is_global_zero:
            print(sentence)


def several(value: Any) -> list[Any]:
    """Return a setting that may be none, one or several as a list."""
    return value if isinstance(value, list) else [value] if value else []


def wandb_loggers(config: Namespace) -> Iterator[Namespace]:
    """Yield the options of the Weights & Biases loggers in a config; they can be changed."""
    for logger in several(config.trainer.logger):
        if isinstance(logger, Namespace):
            kind = catalogue.find("trainer.logger", Logger, logger.class_path)
            if issubclass(kind, WandbLogger):
                yield logger.init_args
