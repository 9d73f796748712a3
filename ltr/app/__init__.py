"""The web page: train, infer, compare, look after runs. It starts `ltr` as processes and reads what they write."""

from ltr.app.serve import app

__all__ = ["app"]
