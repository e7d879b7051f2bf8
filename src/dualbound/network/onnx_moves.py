"""ONNX operators that move numbers about and compute nothing.

Each is run on the *positions* of the tensor's entries, most by onnx's own reference implementation:
where an entry goes is then read off the result.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dualbound.network.linear import check_values
from dualbound.network.onnx_constants import evaluate_constant
from dualbound.network.onnx_operators import Call, distinct, operator
from dualbound.network.tensors import NotAffine, Operand, add, concatenate, positions, scale, take


def _moved(call: Call) -> tuple[Operand, ...]:
    """Every output of an operator that only moves entries of its first operand."""
    x = call.variable(0)
    others = [call.constant_or_none(k) for k in range(1, len(call.operands))]
    results = evaluate_constant(call.node, [positions(x), *others], call.opsets)
    return tuple(take(x, np.asarray(where)) for where in results)


for _name in ("Slice", "GatherND", "Expand", "Tile", "SpaceToDepth"):
    operator(_name)(_moved)


@operator("DepthToSpace")
def _depth_to_space(call: Call) -> tuple[Operand, ...]:
    mode = call.attributes.get("mode", b"DCR")
    if mode not in (b"DCR", b"CRD"):
        raise ValueError(f"its mode is {mode!r}; known are DCR and CRD")
    return _moved(call)


@operator("Gather")
def _gather(call: Call) -> Operand:
    """Along an axis, the entries at these indices, negative ones counted from the end."""
    x, index = call.variable(0), call.constant(1)
    [axis] = distinct([int(call.attributes.get("axis", 0))], len(x.shape))
    check_values(x.size // max(x.shape[axis], 1) * index.size)
    return take(x, np.asarray(np.take(positions(x), index, axis)))


@operator("GatherElements")
def _gather_elements(call: Call) -> Operand:
    """Along an axis, for every entry the one at an index of its own."""
    x, index = call.variable(0), call.constant(1)
    [axis] = distinct([int(call.attributes.get("axis", 0))], len(x.shape))
    kept = (*x.shape[:axis], *index.shape[axis : axis + 1], *x.shape[axis + 1 :])
    if index.shape != kept:
        raise ValueError(f"indices of shape {index.shape} along axis {axis} of shape {x.shape}")
    return take(x, np.take_along_axis(positions(x), index, axis))


@operator("Split")
def _split(call: Call) -> tuple[Operand, ...]:
    """Parts along an axis, of sizes that are given, or as many as there are outputs."""
    x = call.variable(0)
    if not all(call.node.output):
        raise NotAffine("one of its outputs has no name")  # which crashes onnxruntime
    [axis] = distinct([int(call.attributes.get("axis", 0))], len(x.shape))
    ends = np.cumsum(_parts(call, x.shape[axis]))[:-1]
    return tuple(take(x, part) for part in np.split(positions(x), ends, axis=axis))


def _parts(call: Call, size: int) -> Sequence[int]:
    """How an axis of this size is split."""
    count = len(call.node.output)
    if call.opset >= 13:
        given = None if call.get(1) is None else call.integers(1)
    else:
        given = call.attributes.get("split")
    if given is None:
        each = -(-size // count)
        if call.opset < 18 and each * count != size:
            raise ValueError(f"an axis of {size} does not fall into {count} equal parts")
        given = (*[each] * (count - 1), size - each * (count - 1))
    if len(given) != count or sum(given) != size or min(given) < 0:
        raise ValueError(f"its {count} parts of sizes {given} do not make an axis of {size}")
    return given


@operator("Concat")
def _concat(call: Call) -> Operand:
    """One after another along ``axis``."""
    parts = [call[k] for k in range(len(call.operands))]
    return concatenate(parts, int(call.attributes["axis"]))


@operator("Pad")
def _pad(call: Call) -> Operand:
    """A constant, or entries of the tensor itself (``reflect``, ``edge``, ``wrap``), all around.

    Negative pads cut off, which is supported beside a constant.
    """
    x = call.variable(0)
    pads = _pads(call, len(x.shape))
    mode = call.attributes.get("mode", b"constant").decode()
    if mode != "constant" and any(min(pair) < 0 for pair in pads):
        raise NotAffine(f"negative pads {pads} are supported with mode=constant only, not {mode}")
    most = {"reflect": -1, "wrap": 0}.get(mode)
    if most is not None and any(max(p) > n + most for p, n in zip(pads, x.shape, strict=True)):
        raise ValueError(f"its pads {pads} are too wide to {mode} shape {x.shape}")
    grown = [(max(before, 0), max(after, 0)) for before, after in pads]
    check_values(math.prod(n + sum(pair) for n, pair in zip(x.shape, grown, strict=True)))
    value = {"constant_values": -1} if mode == "constant" else {}
    found = np.pad(positions(x), grown, mode=mode, **value)
    cut = tuple(
        slice(max(-before, 0), size - max(-after, 0))
        for (before, after), size in zip(pads, found.shape, strict=True)
    )
    return take(x, found[cut], missing=_padding(call))


def _pads(call: Call, rank: int) -> list[tuple[int, int]]:
    """How much is added before and after every axis; since operator set 18 only some are named."""
    given = call.integers(1) if call.opset >= 11 else tuple(call.attributes["pads"])
    some = call.opset >= 18 and call.get(3) is not None
    axes = distinct(call.integers(3), rank) if some else tuple(range(rank))
    if len(given) != 2 * len(axes):
        raise ValueError(f"its pads are {given}; expected two numbers for each of {len(axes)} axes")
    pads = [(0, 0)] * rank
    for axis, before, after in zip(axes, given[: len(axes)], given[len(axes) :], strict=True):
        pads[axis] = int(before), int(after)
    return pads


def _padding(call: Call) -> float:
    """The constant that is padded with."""
    if call.opset < 11:
        return call.number("value", 0.0)
    given = call.constant_or_none(2)
    return 0.0 if given is None or not given.size else float(given.reshape(-1)[0])


@operator("Where")
def _where(call: Call) -> Operand:
    """Entry by entry from one tensor or the other, as a constant says."""
    chosen = call.constant(0).astype(float)
    return add(scale(call[1], chosen), scale(call[2], 1.0 - chosen))
