r"""ONNX operators that are not affine: piecewise-linear ones are written with rectifiers.

.. math:: \max(a, b) = a + \max(b - a, 0), \qquad |a| = 2 \max(a, 0) - a

and so on: every engine that knows affine maps and the rectifier knows them all, exactly up to
float64's rounding. The hyperbolic tangent is written with the sigmoid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Int

from dualbound.network.elementwise import Sigmoid, Sign
from dualbound.network.onnx_operators import Call, operator
from dualbound.network.tensors import (
    Operand,
    Variable,
    add,
    concatenate,
    positions,
    reshape,
    scale,
    subtract,
    take,
)

_LARGEST = float(np.finfo(np.float32).max)  # exporters write it for an end that is left out
_FAR = 2.0**20


@operator("Relu")
def _relu(call: Call) -> Operand:
    return call.rectified(call[0])


@operator("LeakyRelu")
def _leaky(call: Call) -> Operand:
    r"""``alpha x + (1 - alpha) max(x, 0)``."""
    return _with_slope(call, np.array(call.number("alpha", 0.01)))


@operator("PRelu")
def _parametric(call: Call) -> Operand:
    """A leaky rectifier with a slope for each entry, or for each channel."""
    return _with_slope(call, call.constant(1).astype(float))


def _with_slope(call: Call, slope: np.ndarray) -> Operand:
    x = call[0]
    if _is_far(slope):
        falling = call.rectified(scale(x, np.array(-1.0)))
        return add(x, scale(falling, np.asarray(1.0 - slope)))
    return add(scale(x, slope), scale(call.rectified(x), np.asarray(1.0 - slope)))


@operator("Sigmoid")
def _sigmoid(call: Call) -> Operand:
    return call.applied(Sigmoid(), call[0])


@operator("Tanh")
def _tanh(call: Call) -> Operand:
    r""":math:`2 \sigma(2 x) - 1`."""
    twice = call.applied(Sigmoid(), scale(call[0], np.array(2.0)))
    return add(scale(twice, np.array(2.0)), np.array(-1.0))


@operator("Sign")
def _sign(call: Call) -> Operand:
    return call.applied(Sign(), call[0])


@operator("Abs")
def _abs(call: Call) -> Operand:
    x = call[0]
    return subtract(scale(call.rectified(x), np.array(2.0)), x)


@operator("Clip")
def _clip(call: Call) -> Operand:
    """Between two constants, attributes before operator set 11; either may be missing."""
    if call.opset < 11:
        ends = [call.attributes.get("min"), call.attributes.get("max")]
        low, high = (None if end is None else np.array(float(end)) for end in ends)
    else:
        low, high = call.constant_or_none(1), call.constant_or_none(2)
    none = np.array(-np.inf)
    low = none if low is None or not low.size else low
    high = -none if high is None or not high.size else high
    if low.size > 1 or high.size > 1 or np.isnan(low).any() or np.isnan(high).any():
        raise ValueError(f"it clips to between {low} and {high}; expected two numbers")
    low, high = low.astype(float).reshape(()), high.astype(float).reshape(())
    return clipped(
        call, call[0], low if low > -_LARGEST else None, high if high < _LARGEST else None
    )


@operator("HardSigmoid")
def _hard_sigmoid(call: Call) -> Operand:
    """``alpha x + beta`` between 0 and 1."""
    line = scale(call[0], np.array(call.number("alpha", 0.2)))
    line = add(line, np.array(call.number("beta", 0.5)))
    return clipped(call, line, np.array(0.0), np.array(1.0))


def clipped(call: Call, x: Operand, low: np.ndarray | None, high: np.ndarray | None) -> Operand:
    """``min(max(x, low), high)``, as the standard has it also where ``low`` is above ``high``."""
    if low is None or high is None:
        x = x if low is None else maximum(call, low, x)
        return x if high is None else minimum(call, high, x)
    low = np.asarray(np.minimum(low, high))
    above = call.rectified(subtract(x, high))
    if _is_far(low):
        return subtract(add(x, call.rectified(subtract(low, x))), above)
    return add(subtract(call.rectified(subtract(x, low)), above), low)


def maximum(call: Call, a: Operand, b: Operand) -> Operand:
    """The larger, entry by entry."""
    a, b = (b, a) if _is_far(a) else (a, b)
    return add(a, call.rectified(subtract(b, a)))


def minimum(call: Call, a: Operand, b: Operand) -> Operand:
    """The smaller, entry by entry."""
    a, b = (b, a) if _is_far(a) else (a, b)
    return subtract(a, call.rectified(subtract(a, b)))


def _is_far(x: Operand) -> bool:
    """Whether it is a constant so large that what is added to it is lost in rounding."""
    return isinstance(x, np.ndarray) and bool(np.any(np.abs(x) > _FAR))


Choice = Callable[[Call, Operand, Operand], Operand]


def of_all(call: Call, choose: Choice, parts: Sequence[Operand]) -> Operand:
    """The largest (or smallest) of several tensors, pair by pair, in a tree."""
    while len(parts) > 1:
        pairs = [parts[k : k + 2] for k in range(0, len(parts), 2)]
        parts = [choose(call, *pair) if len(pair) == 2 else pair[0] for pair in pairs]
    return parts[0]


def of_lines(
    call: Call, choose: Choice, x: Variable, lines: Int[np.ndarray, "k *shape"]
) -> Operand:
    """The largest (or smallest) along the first axis of these flat positions of a tensor.

    One half is compared with the other, so that there are as many rectifier nodes as levels.
    """
    count = len(lines)
    made: Operand = take(x, lines)
    while count > 1:
        half = count // 2
        first, second, rest = (
            _slice(made, slice(*ends)) for ends in ((half,), (half, 2 * half), (2 * half, count))
        )
        made = choose(call, first, second)
        if count % 2:
            made = concatenate([made, rest], 0)
        count -= half
    return reshape(made, made.shape[1:])


def _slice(x: Operand, chosen: slice) -> Operand:
    """Some entries along the first axis."""
    return x[chosen] if isinstance(x, np.ndarray) else take(x, positions(x)[chosen])


@operator("Max")
def _max(call: Call) -> Operand:
    return of_all(call, maximum, [call[k] for k in range(len(call.operands))])


@operator("Min")
def _min(call: Call) -> Operand:
    return of_all(call, minimum, [call[k] for k in range(len(call.operands))])


@operator("ReduceMax")
def _reduce_max(call: Call) -> Operand:
    return _over_axes(call, maximum)


@operator("ReduceMin")
def _reduce_min(call: Call) -> Operand:
    return _over_axes(call, minimum)


def _over_axes(call: Call, choose: Choice) -> Operand:
    """The largest or smallest entry along some axes."""
    x = call.variable(0)
    axes, shape = call.reduced(x.shape)
    lines = np.moveaxis(positions(x), axes, range(len(axes)))
    return reshape(of_lines(call, choose, x, lines.reshape(-1, *lines.shape[len(axes) :])), shape)
