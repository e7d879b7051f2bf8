"""The checker that jaxtyping puts around every annotated function of dualbound in a test run."""

from __future__ import annotations

from beartype import BeartypeConf, beartype

# As in PEP 484 and for the static checker, an int is welcome where a float is.
checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
