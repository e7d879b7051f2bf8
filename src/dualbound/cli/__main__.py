"""``python -m dualbound.cli`` is ``dualbound``."""

from dualbound.cli.app import main

main()
