"""Small models of OpenCLIP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TEXT = {"context_length": 77, "vocab_size": 49408, "width": 8, "heads": 2, "layers": 1}
VISION: dict[str, dict[str, Any]] = {
    "ltr_tiny": {"image_size": 32, "layers": 2, "width": 24, "patch_size": 8, "head_width": 8},
    "ltr_tiny_timm": {"image_size": 32, "timm_model_name": "test_vit", "timm_pool": "", "timm_proj": "linear"},
}


def add_models(folder: Path, **others: dict[str, Any]) -> None:
    """Let OpenCLIP know them, and others.

    Args:
        folder: for their configurations.
        **others: further configurations by name.
    """
    import open_clip

    models = {name: {"embed_dim": 16, "vision_cfg": vision, "text_cfg": TEXT} for name, vision in VISION.items()}
    for name, model in {**models, **others}.items():
        path = folder / f"{name}.json"
        path.write_text(json.dumps(model))
        open_clip.add_model_config(path)
