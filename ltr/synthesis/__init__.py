"""More images of rare classes, made by a diffusion model."""

from ltr.synthesis.synthesise import synthesise

__all__ = ["synthesise"]
