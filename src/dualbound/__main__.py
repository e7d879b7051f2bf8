"""``python -m dualbound``: the command line, where no script is installed."""

from dualbound.cli import main

if __name__ == "__main__":
    main()
