"""Methods of training by their names."""

from __future__ import annotations

from collections.abc import Callable

from dualbound.errors import InvalidInput
from dualbound.learn.adversarial import Adversarial, Virtual
from dualbound.learn.exact import Exact
from dualbound.learn.interval import Interval
from dualbound.learn.method import Method, Plain


def _exact_of(adversaries: int | None = None, processes: int = 1) -> Exact:
    return Exact(count=adversaries, processes=processes)


_METHODS: dict[str, tuple[tuple[str, ...], Callable[..., Method]]] = {
    "plain": ((), Plain),
    "fgsm": (("eps", "share"), lambda eps, share=0.5: Adversarial("fgsm", eps, share=share)),
    "pgd": (
        ("eps", "share", "steps"),
        lambda eps, share=1.0, steps=7: Adversarial("pgd", eps, share=share, steps=steps),
    ),
    "fast": (
        ("eps", "share"),
        lambda eps, share=1.0: Adversarial("pgd", eps, share=share, steps=1, step=1.25),
    ),
    "virtual": (("eps", "share"), lambda eps, share=1.0: Virtual(eps, weight=share)),
    "interval": (("eps", "share"), lambda eps, share=0.5: Interval(eps, share=share)),
    "exact": (("adversaries", "processes"), _exact_of),
}
"""By name: the options that it knows, and what it makes of them."""

METHODS = tuple(_METHODS)


def method_named(
    name: str,
    *,
    eps: float | None = None,
    steps: int | None = None,
    share: float | None = None,
    adversaries: int | None = None,
    processes: int | None = None,
) -> Method:
    """A method by its name.

    Args:
        name: one of `METHODS`. ``fast`` is one step of PGD from a random start.
        eps: radius of adversaries or boxes, for those that have one.
        steps: of ``pgd``; 7 when not given.
        share: of the loss at adversaries or worst outputs (``virtual``: weight of the divergence).
        adversaries: of ``exact``: of how many inputs, the first of the data; all when not given.
        processes: of ``exact``: that look for them at once; 1 when not given.

    Raises:
        InvalidInput: no such name, or eps is missing, or something is given that it has no use for.

    >>> method_named("fast", eps=0.3)
    Adversarial(attack='pgd', eps=0.3, norm='linf', steps=1, step=1.25, share=1.0, ...)
    """
    if name not in _METHODS:
        raise InvalidInput(f"There is no method {name!r}; expected one of {', '.join(METHODS)}.")
    known, make = _METHODS[name]
    options = {
        "eps": eps, "steps": steps, "share": share, "adversaries": adversaries,
        "processes": processes,
    }  # fmt: skip
    given = {option: value for option, value in options.items() if value is not None}
    if unknown := [option for option in given if option not in known]:
        raise InvalidInput(
            f"The method {name} has no use for {unknown[0]}; it takes "
            f"{', '.join(known) or 'nothing'}."
        )
    if "eps" in known and eps is None:
        raise InvalidInput(f"The method {name} needs eps: how far its adversaries may be.")
    return make(**given)
