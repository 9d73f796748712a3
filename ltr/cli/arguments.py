"""What is settled before the arguments are parsed: names of recipes and runs, and the config of a run."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from ltr import trust
from ltr.errors import InputError
from ltr.run import folder, hub, lookup
from ltr.run.folder import RunFolder

CONFIG = ("--config", "-c")


def option(arguments: list[str], *names: str) -> list[tuple[int, int, str]]:
    """Find an option in both of its spellings.

    Returns:
        (first position, one after the last, value) of each occurrence.
    """
    found = []
    for position, word in enumerate(arguments):
        if word in names and position + 1 < len(arguments):
            found.append((position, position + 2, arguments[position + 1]))
        elif word.partition("=")[0] in names and "=" in word:
            found.append((position, position + 1, word.partition("=")[2]))
    return found


def replace(arguments: list[str], value: str, *names: str) -> list[str]:
    """Give the last occurrence of an option another value."""
    start, end, _ = option(arguments, *names)[-1]
    return [*arguments[:start], names[0], value, *arguments[end:]]


def expand(verb: str, arguments: list[str]) -> list[str]:
    """Put paths for the names of recipes and runs, and the run's own config before what the command line says.

    Args:
        verb: fit, validate, test or predict.
        arguments: what follows it.

    Raises:
        InputError: for a recipe or a checkpoint that does not exist, or a checkpoint without a config.
    """
    resolved: list[str] = []
    position = 0
    for start, end, name in option(arguments, *CONFIG):
        resolved += [*arguments[position:start], "--config", str(lookup.config(name))]
        position = end
    arguments = [*resolved, *arguments[position:]]
    given = option(arguments, "--ckpt_path")
    if not given:
        if verb != "fit" and not {"-h", "--help"} & set(arguments) and not option(arguments, "--print_config"):
            raise InputError(f"{verb} needs the run to work on: `--ckpt_path checkpoints/<name>/last.ckpt`.")
        return arguments
    path = _last(arguments) if given[-1][2] == "last" else lookup.checkpoint(given[-1][2])
    resolved = replace(arguments, str(path), "--ckpt_path")
    if verb == "fit" and option(arguments, *CONFIG):  # the command that began the run, said again
        return resolved
    return ["--config", own_config(path, trusted(arguments)), *resolved]


def trusted(arguments: list[str]) -> list[str]:
    """Return the packages whose classes the config of a run may name."""
    return [name for *_, name in option(arguments, "--trust")]


def run_name(configs: list[str]) -> str:
    """Return the name of a run that was given none: that of its last config which is neither data nor a recipe."""
    methods = [config for config in configs if Path(config).parent.name not in ("data", "recipes")]
    return Path((methods or configs or ["base"])[-1]).stem


def _last(arguments: list[str]) -> Path:
    """Return the last checkpoint of the run that the arguments name."""
    runs, names = option(arguments, "--runs"), option(arguments, "--name")
    name = names[-1][2] if names else run_name([config for *_, config in option(arguments, *CONFIG)])
    path = RunFolder.of(runs[-1][2] if runs else "checkpoints", name).checkpoint
    if not path.is_file():
        raise InputError(f"there is nothing to resume: {path} does not exist. Leave out `--ckpt_path` to start anew.")
    return path


def own_config(path: Path, packages: Collection[str] = ()) -> str:
    """Return what may be built of the config of a run, as YAML.

    Args:
        path: the checkpoint. Of one of the Hub, the trainer is left out: it was that of another machine.
        packages: names of the top-level packages that this command line trusts.

    Raises:
        InputError: where there is no config, or it names what may not be built.
    """
    keys = trust.NETWORK if hub.repository(path) else trust.WHOLE
    return trust.checked(folder.own_config(path), path, packages, keys)
