"""The weights of a network: in which file they are, under which names, and whether they fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from ltr.errors import InputError
from ltr.run import lookup, safetensors_files, torch_files
from ltr.run.checkpoint_fields import has_values
from ltr.run.folder import CHECKPOINT, PREVIOUS
from ltr.sentences import first

NAMED = 4  # tensors that an error names


class ClassifierError(InputError):
    """A file has no classifier, or one of another kind than the head that should receive it."""


class OtherClassesError(InputError):
    """The classifier of a file has another number of classes than the head that should receive it."""


# The part of a head that makes embeddings and no logits: a classifier is whole without it.
BESIDE = "projection."

# The keys under which public code keeps the weights of a network, the preferred ones first, and those of its classifier
# where it is apart.
NETWORKS = (
    *("state_dict", "state_dict_model", "model_state_dict", "model", "net", "network"),
    *("state_dict_best", "feat_model", "state_dict_ema", "model_ema", "ema"),
)
CLASSIFIERS = ("state_dict_classifier", "classifier")
DEEPEST = 3  # dictionaries within each other


def read(name: str) -> dict[str, Any]:
    """Read a checkpoint or a file of tensors onto the CPU.

    Args:
        name: path of a file (torch or safetensors), the name of a run, or `hf://user/name`.

    Raises:
        InputError: if there is no such file, or it is damaged, is not a file of weights, or would run code when read;
            the error of the last checkpoint of a run names the one before.
    """
    path = lookup.checkpoint(name)
    try:
        return safetensors_files.read(path) if path.suffix == ".safetensors" else torch_files.read(path)
    except InputError as error:
        previous = path.with_name(PREVIOUS)
        if path.name != CHECKPOINT or not previous.is_file():
            raise
        raise InputError(f"{error} The checkpoint before it is {previous}: pass it to `--ckpt_path`.") from error


def tensors(content: Mapping[str, Any], name: str) -> dict[str, Tensor]:
    """Return the tensors of a run of `ltr`, a bare state_dict, a safetensors file or a checkpoint of public code.

    Args:
        content: the content of the file.
        name: of the file, for the error.

    Raises:
        InputError: if there are no tensors.
    """
    classifier: dict[str, Any] = {}
    for _ in range(DEEPEST):
        if (key := next((key for key in NETWORKS if isinstance(content.get(key), Mapping)), None)) is None:
            break
        for part in CLASSIFIERS:
            classifier |= content[part] if isinstance(content.get(part), Mapping) else {}
        content = content[key]
    if wrong := next((key for key in NETWORKS if key in content and not isinstance(content[key], Tensor)), None):
        raise InputError(f"{name} holds a {type(content[wrong]).__name__} as its {wrong}, not a dictionary of tensors.")
    state = {key: value for key, value in {**content, **classifier}.items() if isinstance(value, Tensor)}
    for key, value in state.items():
        if not isinstance(key, str):
            raise InputError(f"{name} holds a tensor under the {type(key).__name__} {key!r}: the name of one is text.")
        if not has_values(value):
            raise InputError(f"{name} holds no plain values for {key}, which is sparse, quantised or empty (`meta`).")
    if not state:
        raise InputError(f"{name} holds no tensors: a state_dict is expected, bare or under the key `state_dict`.")
    return state


def misfits(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> list[str]:
    """Return how given tensors differ from the wanted ones by name and shape; an empty list if they fit.

    The batch counters of batch norm, which some files lack and inference does not use, may be missing.
    """
    optional = "num_batches_tracked"
    missing = [key for key in wanted if key not in given and not key.endswith(optional)]
    unexpected = [key for key in given if key not in wanted]
    shapes = [
        f"{key} {tuple(given[key].shape)} instead of {tuple(wanted[key].shape)}"
        for key in wanted
        if key in given and given[key].shape != wanted[key].shape
    ]
    named = {"missing": missing, "unexpected": unexpected, "of another shape": shapes}
    return [f"{what}: {first(keys, NAMED)}" for what, keys in named.items() if keys]


def check_finite(state: Mapping[str, Tensor], name: str) -> None:
    """Raise `InputError` if a tensor holds NaN or infinite numbers.

    Args:
        state: tensors by name.
        name: of their file, for the error.
    """
    wrong = [key for key, value in state.items() if value.is_floating_point() and not bool(value.isfinite().all())]
    if wrong:
        raise InputError(
            f"{name} has NaN or infinite numbers in {first(wrong, NAMED)}: its training diverged, or the file is "
            "damaged."
        )


def load_head(
    head: nn.Module,
    classifier: Mapping[str, Tensor],
    *,
    added: Sequence[str] = (),
) -> None:
    """Copy the classifier of a file into a head.

    A projection is copied if both have one; else that of the file is dropped, or that of the head keeps its initial
    values.

    Args:
        head: the head that receives it.
        classifier: tensors by the names of a head.
        added: tensors of the head that stay as they are where the file has none of that name.

    Raises:
        OtherClassesError: if the numbers of classes differ.
        ClassifierError: if there is no classifier, or one of another kind.
    """
    wanted = head.state_dict()
    if not classifier:
        raise ClassifierError("the file has no classifier (none is named fc, linear or classifier).")
    classifier = without_bias(classifier, wanted)
    for key, value in classifier.items():
        if key in wanted and not key.startswith(BESIDE) and value.shape[:1] != wanted[key].shape[:1]:
            raise OtherClassesError(
                f"the file's classifier has {value.shape[0]} classes, the data have {wanted[key].shape[0]}."
            )
    initial = {key: value for key, value in wanted.items() if key in added or key.startswith(BESIDE)}
    given = {key: value for key, value in classifier.items() if key in wanted or not key.startswith(BESIDE)}
    classifier = initial | given
    check_finite(classifier, "the file's classifier")
    problems = misfits(classifier, wanted)
    if problems:
        raise ClassifierError(
            f"the file's classifier does not fit a {type(head).__name__} head ({'; '.join(problems)})."
        )
    head.load_state_dict(classifier)


def without_bias(classifier: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a classifier, a linear layer without a bias as the head names it: with a bias of 0, or as cosines.

    Args:
        classifier: tensors by the names of a head.
        wanted: the tensors of the head.
    """
    weight = classifier.get("fc.weight")
    if weight is None or "fc.bias" in classifier:
        return dict(classifier)
    if "weight" in wanted and "fc.weight" not in wanted:
        return {key.removeprefix("fc."): value for key, value in classifier.items()}
    return {**classifier, "fc.bias": weight.new_zeros(len(weight))} if "fc.bias" in wanted else dict(classifier)
