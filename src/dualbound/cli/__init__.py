"""The command line: each command parses, calls one public function, and renders the answer.

Exit codes: 0 answered, 1 proved that nothing reaches the criterion, 2 bad usage or bad input, 3
stopped with the answer open, 70 internal error, 130 interrupted outside a query.
"""

from dualbound.cli.app import main, run

__all__ = ["main", "run"]
