"""The one exception that is the user's to mend: a sentence on what is wrong and what to do."""


class InputError(Exception):
    """Something the user gave cannot be used.

    The command line prints the message as it is and exits with a non-zero status; the message therefore says what is
    wrong and what to do about it.
    """
