"""The command line: words to parts, parts to a trainer, and verbs that are functions."""
