"""`python -m ltr`."""

from ltr.cli import main

if __name__ == "__main__":
    main()
