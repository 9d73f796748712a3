"""Words to images: any text-to-image pipeline of `diffusers`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image
from safetensors import SafetensorError

from ltr.errors import InputError
from ltr.sentences import first_line


class Diffusion:
    """A text-to-image model, read as data: weights in safetensors, and no code of its own.

    Args:
        model: a folder in the format of diffusers, or the name of a model on the Hugging Face Hub.
        revision: the commit of the latter; None for the newest.
        device: `auto`, or what torch calls it.
        options: arguments of the pipeline, the same for all images.

    Attributes:
        revision: the commit that was loaded; None for a folder.
        version: that of diffusers.

    Raises:
        InputError: if a library is missing, the device cannot be used, or the model cannot be found or loaded.

    Reference:
        von Platen et al., "Diffusers: State-of-the-art diffusion models", 2022, huggingface/diffusers.
    """

    def __init__(self, model: str, revision: str | None, device: str, **options: Any) -> None:
        try:
            import diffusers
            import transformers  # noqa: F401 - of which diffusers would miss a part only later
        except ImportError as error:
            raise InputError(f'`ltr synthesise` needs more libraries ({error}): pip install -e ".[synth]"') from error
        target = find(device)
        half = target.type == "cuda" and torch.cuda.is_bf16_supported()
        self.model, self.options, self.version = model, options, diffusers.__version__
        self.revision = revision or newest(model)
        try:
            pipeline = diffusers.AutoPipelineForText2Image.from_pretrained(
                model,
                revision=self.revision,
                dtype=torch.bfloat16 if half else torch.float32,
                use_safetensors=True,
                trust_remote_code=False,
            )
        except (ImportError, OSError, RuntimeError, SafetensorError, ValueError) as error:
            raise InputError(
                f"{model} is not a text-to-image pipeline with safe weights: {first_line(error)}"
            ) from error
        self.pipeline = pipeline.to(target)
        self.pipeline.set_progress_bar_config(disable=True)

    def __call__(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image]:
        """Make an image of each prompt from the noise of its seed, which is the same on every device.

        Raises:
            InputError: if the pipeline refuses its options.
        """
        noise = [torch.Generator().manual_seed(seed) for seed in seeds]
        try:
            output = self.pipeline(prompt=list(prompts), generator=noise, **self.options)
        except (TypeError, ValueError) as error:
            raise InputError(f"{self.model} refuses these settings: {first_line(error)}") from error
        return [image.convert("RGB") for image in output.images]


def find(device: str) -> torch.device:
    """Return the device of that name; for `auto` a GPU if there is one."""
    name = device if device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"the device {device} cannot be used here: leave out `--device`.") from error


def newest(model: str) -> str | None:
    """Return the newest commit of a model on the Hub, or in the cache while that is out of reach; None for a folder."""
    from huggingface_hub import resolve_revision
    from huggingface_hub.errors import RevisionResolutionError

    if Path(model).is_dir():
        return None
    try:
        return str(resolve_revision(model))
    except (RevisionResolutionError, OSError, ValueError) as error:
        raise InputError(
            f"{model} is neither a folder nor a model that the Hugging Face Hub gives: {first_line(error)}"
        ) from error
