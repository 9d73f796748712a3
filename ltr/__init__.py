"""Long-tailed image recognition: every method is a few lines of YAML over small, tested parts."""

__version__ = "0.1.0"
