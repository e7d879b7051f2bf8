"""Attacks by name: what each needs and takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from dualbound.attacks.deepfool import deepfool
from dualbound.attacks.fgsm import fgsm
from dualbound.attacks.from_foolbox import PREFIX, WITHIN, Foolbox
from dualbound.attacks.momentum import momentum_pgd
from dualbound.attacks.pgd import pgd
from dualbound.attacks.threat import NORMS
from dualbound.attacks.virtual import virtual
from dualbound.errors import InvalidInput

if TYPE_CHECKING:
    from torch import Tensor

_OURS: dict[str, Callable[..., Any]] = {
    "fgsm": fgsm,
    "pgd": pgd,
    "momentum": momentum_pgd,
    "deepfool": deepfool,
    "virtual": virtual,
}
METHODS = tuple(_OURS)
"""The names of our attacks; foolbox's are those of `dualbound.attacks.from_foolbox.CLASSES`."""

MINIMAL = ("deepfool",)
"""Those of ours that look for the nearest adversary."""


@dataclass(frozen=True)
class Method:
    """An attack with its options, called as ``attack(net, x, y, eps=..., norm=..., ...)``.

    Attributes:
        name: of the attack.
        minimal: whether it looks for the nearest adversary, and not for any within ``eps``.
        norms: that it knows.
        seeded: whether it has a seed.
        run: what is called.
        options: what it was given beside the defaults.
    """

    name: str
    minimal: bool
    norms: tuple[str, ...]
    seeded: bool
    run: Callable[..., Tensor] = field(repr=False)
    options: Mapping[str, object] = field(default_factory=dict)


def method_named(name: str, norm: str = "linf", **options: object) -> Method:
    """The attack of a name, with some of its options.

    Args:
        name: one of `METHODS`, or ``foolbox:NAME``.
        norm: in which it shall measure.
        **options: of the attack, such as ``steps``.

    Raises:
        InvalidInput: there is no such attack, option or norm; or foolbox is not installed.

    >>> found = method_named("pgd", steps=10)
    >>> found.minimal, found.norms, found.options
    (False, ('linf', 'l2', 'l1'), {'steps': 10})
    """
    if name.startswith(PREFIX):
        return _of_foolbox(Foolbox(name.removeprefix(PREFIX)), norm, options)
    if name not in _OURS:
        raise InvalidInput(
            f"There is no attack {name!r}; expected one of {', '.join(METHODS)}, or {PREFIX}NAME."
        )
    _check_norm(name, norm, NORMS)
    run = _OURS[name]
    takes = {
        one.name: one.default
        for one in inspect.signature(run).parameters.values()
        if one.kind is inspect.Parameter.KEYWORD_ONLY
    }
    seeded = takes.pop("seed", None) is not None
    _check_options(name, options, takes)
    found = partial(run, **options) if options else run
    return Method(name, name in MINIMAL, NORMS, seeded, found, options)


def _of_foolbox(attack: Foolbox, norm: str, options: Mapping[str, object]) -> Method:
    name = PREFIX + attack.name
    _check_norm(name, norm, attack.norms)
    _check_options(name, options, attack.options(norm))
    found = partial(attack, options=dict(options))
    return Method(name, attack.name not in WITHIN, attack.norms, True, found, options)


def _check_norm(name: str, norm: str, norms: tuple[str, ...]) -> None:
    if norm not in norms:
        raise InvalidInput(f"{name} measures in {' or '.join(norms)}, not in {norm}.")


def _check_options(name: str, options: Mapping[str, object], takes: Mapping[str, object]) -> None:
    """Refuse options that are not known, or not of the kind of their defaults."""
    for option, value in options.items():
        if option not in takes:
            known = f"it takes {', '.join(takes)}" if takes else "it takes none"
            raise InvalidInput(f"{name} has no option {option!r}; {known}.")
        default = takes[option]
        wanted = type(default) if isinstance(default, bool | int | float) else None
        fits = type(value) is wanted or (wanted is float and type(value) is int)
        if wanted is not None and not fits:
            raise InvalidInput(
                f"The option {option} of {name} is {value!r}; expected such as {default!r}."
            )
