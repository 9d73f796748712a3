"""Finished runs as one page."""

from ltr.report.report import report

__all__ = ["report"]
