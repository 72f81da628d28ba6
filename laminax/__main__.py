"""`python -m laminax` is the `laminax` command."""

from laminax.train.cli import main

if __name__ == "__main__":
    main()
