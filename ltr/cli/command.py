"""Lightning's command line with the run folder around it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from lightning.pytorch import Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from ltr import backbones, callbacks, heads, losses, mixes, optimizers, samplers, schedules
from ltr.callbacks import Evaluation, Progress, Run
from ltr.cli.arguments import expand, run_name
from ltr.cli.parser import Parser, trust_argument
from ltr.data import LongTailed
from ltr.methods import Method
from ltr.run import hub, lookup, weights
from ltr.run.checkpoint_io import WholeFiles
from ltr.run.folder import PREDICTIONS, PREDICTIONS_TABLE, RunFolder, plain_name

# Imported so that short class names are known.
PARTS = (backbones, callbacks, heads, losses, mixes, optimizers, samplers, schedules)
PASSING = ("ckpt_path", "overwrite", "evaluation", "config", "trust")


def precision() -> str:
    """Return bf16 mixed precision where this machine computes in it, else float32."""
    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
    return "bf16-mixed" if supported else "32-true"


class Command(LightningCLI):
    """Fit, validate, test and predict on run folders: the parts are built first, and work once it is told to `start`.

    Args:
        verb: what to do.
        arguments: what follows it.
        tell: whether the result is printed.

    Raises:
        InputError: for a recipe or a checkpoint that does not exist, or a run that is there already.
    """

    def __init__(self, verb: str, arguments: Sequence[str], *, tell: bool = True) -> None:
        self.verb, self.tell = verb, tell
        defaults = {"default_config_files": [str(lookup.folder("configs") / "base.yaml")]}
        super().__init__(
            Method,
            LongTailed,
            save_config_callback=None,
            seed_everything_default=0,
            parser_class=Parser,
            parser_kwargs={"fit": defaults} if verb == "fit" else {},
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
            args=[verb, *expand(verb, list(arguments))],
        )

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]
        """Know the verb that is said, and nothing that is settled: checkpoints are data, predictions go to files."""
        settled = {"weights_only", "return_predictions", "verbose"}
        return {self.verb: LightningCLI.subcommands()[self.verb] | settled}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the run folder, and give the model the counts of the data."""
        parser.add_argument("--name", type=str | None, default=None, help="Name of the run; else that of its config.")
        parser.add_argument("--runs", type=str, default="checkpoints", help="Folder in which the runs are kept.")
        parser.add_argument("--overwrite", action="store_true", help="Replace a run of the same name.")
        parser.add_argument("--evaluation", type=str | None, default=None, help="Folder of a test or prediction.")
        trust_argument(parser)
        parser.link_arguments("data.counts", "model.init_args.counts", apply_on="instantiate")

    def _parse_ckpt_path(self) -> None:
        """Do not merge a checkpoint's hyper-parameters over files and flags, as the stock command line does."""

    def before_instantiate_classes(self) -> None:
        """Settle the folder before anything is built, and refuse a run that is there already."""
        config = self.config[self.subcommand]
        if config.name is None:
            config.name = run_name([str(path) for path in config.config or []])
        if self.subcommand == "fit":
            run = RunFolder.of(config.runs, config.name)
            self.folder = run.path
            if not config.ckpt_path or Path(config.ckpt_path).resolve().parent != self.folder.resolve():
                run.check_writable(overwrite=config.overwrite)
        else:
            weights.read(config.ckpt_path)  # a sentence instead of a traceback where it is no checkpoint
            home = Path(config.ckpt_path).parent
            shipped_home = lookup.folder("checkpoints").resolve()
            foreign = home.resolve().is_relative_to(shipped_home) and Path(config.runs).resolve() != shipped_home
            evaluation = str(self.subcommand)
            if config.evaluation is not None:
                evaluation = plain_name(config.evaluation, "--evaluation")
            fetched = hub.repository(Path(config.ckpt_path))
            name = home.name if foreign else fetched
            self.folder = (Path(config.runs) / name if name else home) / evaluation

    @property
    def text(self) -> str:
        """The resolved config as YAML, without what concerns one call only."""
        config = self.config[self.subcommand].clone()
        for key in PASSING:
            config.pop(key, None)
        dumped: str = self._parser(self.subcommand).dump(config, skip_none=False, skip_validation=True)
        return dumped

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Build the trainer with the callbacks that keep the folder."""
        config = self.config_init[self.subcommand]
        plugins = config.trainer.plugins or []
        settings = {
            **config.trainer.as_dict(),
            "default_root_dir": self.folder,
            "plugins": [*(plugins if isinstance(plugins, list) else [plugins]), WholeFiles()],
        }
        own: list[Any] = []
        if self.subcommand == "fit":
            name_logger(settings["logger"], config.name)
            self.run = Run(self.folder, self.text, replaces=config.overwrite and config.ckpt_path is None)
            own.append(self.run)
        else:
            self.run_loggers, settings["logger"] = settings["logger"], False
            own.append(Evaluation(self.folder, yaml.safe_load(self.text)))
        if settings["enable_progress_bar"] is not False and self.subcommand == "fit":
            own.append(Progress(config.name))
        elif self.subcommand != "fit":
            settings["enable_progress_bar"] = False
        if settings["fast_dev_run"]:
            own = []
        return self._instantiate_trainer({**settings, **kwargs}, own)

    def _run_subcommand(self, subcommand: str) -> None:
        """Wait for `start`, as the stock command line does not."""

    def start(self) -> None:
        """Do what the verb says, from the seed on, whatever was drawn since the parts were built."""
        self._set_seed()
        super()._run_subcommand(str(self.subcommand))

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        """Add what is settled to what the user said."""
        settled: dict[str, Any] = {"weights_only": True}
        if subcommand == "predict":
            settled["return_predictions"] = False
        elif subcommand != "fit":
            settled["verbose"] = False
        kwargs: dict[str, Any] = super()._prepare_subcommand_kwargs(subcommand)
        return kwargs | settled

    def before_fit(self) -> None:
        """Tell the loggers the config."""
        for logger in self.trainer.loggers:
            logger.log_hyperparams(yaml.safe_load(self.text))

    def after_fit(self) -> None:
        """Keep a network of which nothing was trained, too; say how to go on."""
        if self.trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        if self.trainer.max_epochs == 0:
            self.run.begin()
            self.trainer.save_checkpoint(RunFolder(self.folder).checkpoint)
        if self.trainer.is_global_zero:
            for logger in wandb_loggers(self.trainer.loggers):
                from ltr.report.wandb_run import log_training

                log_training(logger, self.folder)
        checkpoint = RunFolder(self.folder).checkpoint
        self.say(f"{checkpoint}; next: ltr test --ckpt_path {checkpoint}")

    def after_validate(self) -> None:
        """Print the measures of the splits."""
        for name, report in self.model.reports.items():
            self.say(f"{name}: {report.summary()}")

    def after_test(self) -> None:
        """Print the measures of the test split."""
        self.say(f"{self.folder}: {self.model.reports['test'].summary()}")
        if self.trainer.is_global_zero and not self.trainer.fast_dev_run:  # type: ignore[attr-defined]
            for logger in wandb_loggers(self.run_loggers):
                from ltr.report.wandb_run import log_test

                log_test(logger, Path(self.config.test.ckpt_path).parent, self.folder)

    def after_predict(self) -> None:
        """Print where the predictions are."""
        self.say(f"{self.folder}: {PREDICTIONS_TABLE}, {PREDICTIONS}")

    def say(self, sentence: str) -> None:
        """Print a result, once over all processes."""
        if self.tell and self.trainer.is_global_zero:
            print(sentence)


def name_logger(loggers: Any, name: str) -> None:
    """Give the loggers that have none the name of the run."""
    for logger in wandb_loggers(loggers):
        if not logger._wandb_init.get("name"):
            logger._wandb_init["name"] = name


def wandb_loggers(loggers: Any) -> list[Any]:
    """Return those of the loggers of a trainer (one, several, or none) that log to Weights & Biases."""
    from lightning.pytorch.loggers import WandbLogger

    several = loggers if isinstance(loggers, list) else [loggers]
    return [logger for logger in several if isinstance(logger, WandbLogger)]
