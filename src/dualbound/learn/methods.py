"""Methods of training by their names."""

from __future__ import annotations

from collections.abc import Callable

from dualbound.errors import InvalidInput
from dualbound.learn.adversarial import Adversarial, Virtual
from dualbound.learn.exact import Exact
from dualbound.learn.interval import Interval
from dualbound.learn.method import Method, Plain

_WITH_EPS: dict[str, Callable[[float, int, float | None], Method]] = {
    "fgsm": lambda eps, steps, share: Adversarial("fgsm", eps, share=_or(share, 0.5)),
    "pgd": lambda eps, steps, share: Adversarial("pgd", eps, steps=steps, share=_or(share, 1.0)),
    "fast": lambda eps, steps, share: Adversarial(
        "pgd", eps, steps=1, step=1.25, share=_or(share, 1.0)
    ),
    "virtual": lambda eps, steps, share: Virtual(eps, weight=_or(share, 1.0)),
    "interval": lambda eps, steps, share: Interval(eps, share=_or(share, 0.5)),
}
_WITHOUT: dict[str, Callable[[], Method]] = {"plain": Plain, "exact": Exact}

METHODS = (*_WITHOUT, *_WITH_EPS)


def method_named(
    name: str,
    *,
    eps: float | None = None,
    steps: int | None = None,
    share: float | None = None,
) -> Method:
    """A method by its name.

    Args:
        name: one of `METHODS`. ``fast`` is one step of PGD from a random start.
        eps: radius of adversaries or boxes, for those that have one.
        steps: of ``pgd``; 7 when not given.
        share: of the loss at adversaries or worst outputs (``virtual``: weight of the divergence).

    Raises:
        InvalidInput: no such name, or eps is missing, or something is given that it has no use for.

    >>> method_named("fast", eps=0.3)
    Adversarial(attack='pgd', eps=0.3, norm='linf', steps=1, step=1.25, share=1.0, ...)
    """
    if name in _WITHOUT:
        if eps is not None:
            raise InvalidInput(f"eps is for adversaries of a radius; the method {name} has none.")
        if share is not None:
            raise InvalidInput(f"share is of a loss in two parts; the method {name} has one.")
    elif name not in _WITH_EPS:
        raise InvalidInput(f"There is no method {name!r}; expected one of {', '.join(METHODS)}.")
    if steps is not None and name != "pgd":
        raise InvalidInput(f"steps are those of pgd; the method {name} takes none.")
    if name in _WITHOUT:
        return _WITHOUT[name]()
    if eps is None:
        raise InvalidInput(f"The method {name} needs eps: how far its adversaries may be.")
    return _WITH_EPS[name](eps, 7 if steps is None else steps, share)


def _or(given: float | None, default: float) -> float:
    return default if given is None else given
