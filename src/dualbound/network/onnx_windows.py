"""ONNX operators that slide a window over one or two axes of space, and batch normalisation."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import sparse

from dualbound.network.linear import Convolution, check_entries, check_values
from dualbound.network.onnx_operators import Call, operator, summed
from dualbound.network.onnx_pieces import maximum, of_lines
from dualbound.network.tensors import (
    NotAffine,
    Operand,
    Variable,
    add,
    positions,
    reshape,
    scale,
)


@dataclass(frozen=True)
class _Window:
    """How a window slides: one entry an axis of space."""

    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]

    @property
    def reach(self) -> tuple[int, ...]:
        """How far the window extends along each axis."""
        return tuple(d * (k - 1) + 1 for d, k in zip(self.dilations, self.sizes, strict=True))


def _space(x: Variable) -> tuple[int, ...]:
    """The axes of space of a tensor ``(1, channels, *space)``."""
    if len(x.shape) not in (3, 4) or x.shape[0] != 1:
        raise NotAffine(
            f"it reads shape {x.shape}; expected one image (1, channels, height, width) or one "
            "signal (1, channels, length)"
        )
    return x.shape[2:]


def _axes(call: Call, name: str, rank: int, default: int = 1) -> tuple[int, ...]:
    given = tuple(int(n) for n in call.attributes.get(name, [default] * rank))
    if len(given) != rank:
        raise ValueError(f"its attribute {name} is {given}; expected {rank} numbers")
    return given


def _window(call: Call, space: tuple[int, ...], sizes: tuple[int, ...]) -> _Window:
    """The window from the attributes, with the pads that ``auto_pad`` stands for."""
    rank = len(space)
    if len(sizes) != rank:
        raise ValueError(f"a window of {sizes} does not slide over space {space}")
    strides, dilations = _steps(call, sizes)
    pads = _pads(call, rank)
    auto = call.attributes.get("auto_pad", b"NOTSET").decode()
    if auto == "VALID":
        pads = ((0, 0),) * rank
    elif auto in ("SAME_UPPER", "SAME_LOWER"):
        if max(dilations) > 1:
            raise NotAffine(
                f"runtimes do not agree on auto_pad={auto} with dilations; export explicit pads"
            )
        pads = tuple(
            _same(size, stride, width, auto == "SAME_LOWER")
            for size, stride, width in zip(space, strides, sizes, strict=True)
        )
    elif auto != "NOTSET":
        raise ValueError(f"its attribute auto_pad is {auto!r}")
    return _Window(sizes, strides, dilations, pads)


def _steps(call: Call, sizes: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The strides and the dilations."""
    strides, dilations = (_axes(call, name, len(sizes)) for name in ("strides", "dilations"))
    if min(*strides, *dilations, *sizes) < 1:
        raise ValueError(
            f"its window {sizes}, strides {strides} or dilations {dilations} are not all positive"
        )
    return strides, dilations


def _pads(call: Call, rank: int) -> tuple[tuple[int, int], ...]:
    """The attribute: how much is added before and after, an axis."""
    given = tuple(int(n) for n in call.attributes.get("pads", [0] * 2 * rank))
    if len(given) != 2 * rank or min(given) < 0:
        raise ValueError(
            f"its attribute pads is {given}; expected {2 * rank} numbers, none of them negative"
        )
    return tuple(zip(given[:rank], given[rank:], strict=True))


def _same(size: int, stride: int, width: int, lower: bool) -> tuple[int, int]:
    """Pads such that ``ceil(size / stride)`` windows fit; an odd one goes after, or before."""
    total = max((math.ceil(size / stride) - 1) * stride + width - size, 0)
    less, more = total // 2, total - total // 2
    return (more, less) if lower else (less, more)


def _with_bias(call: Call, x: Variable) -> Operand:
    if call.get(2) is None:
        return x
    return add(x, _for_each_channel(call, 2, x))


def _for_each_channel(call: Call, position: int, x: Variable) -> Float[np.ndarray, "..."]:
    """A constant of one number for each channel of a tensor, in a shape that fits it."""
    given = call.constant(position).astype(float)
    if given.shape != x.shape[1:2]:
        raise ValueError(
            f"its input {position} has shape {given.shape}; expected one number for each channel "
            f"of shape {x.shape}"
        )
    return given.reshape(-1, *[1] * (len(x.shape) - 2))


@operator("Conv")
def _conv(call: Call) -> Operand:
    """A convolution of a node's own value; what is read becomes a node if it is none."""
    x, kernel = call.variable(0), call.constant(1).astype(float)
    space = _space(x)
    _check_kernel(call, kernel)
    window = _window(call, space, kernel.shape[2:])
    conv = Convolution(kernel, space, window.strides, window.dilations, window.pads, _groups(call))
    _check_channels(conv.channels, x)
    read = call.graph.as_node(x)
    [name] = read.maps
    made = Variable((1, conv.filters, *conv.out_space), {name: conv}, np.zeros(conv.shape[0]))
    return _with_bias(call, made)


def _groups(call: Call) -> int:
    return int(call.attributes.get("group", 1))


def _check_kernel(call: Call, kernel: Float[np.ndarray, "..."]) -> None:
    named = tuple(call.attributes.get("kernel_shape", kernel.shape[2:]))
    if named != kernel.shape[2:]:
        raise ValueError(f"its attribute kernel_shape is {named}, its kernel {kernel.shape[2:]}")


def _check_channels(expected: int, x: Variable) -> None:
    if expected != x.shape[1]:
        raise ValueError(f"its kernel reads {expected} channels, the tensor has {x.shape[1]}")


@operator("ConvTranspose")
def _conv_transpose(call: Call) -> Operand:
    """The transposed matrix of the convolution that goes the other way."""
    x, kernel = call.variable(0), call.constant(1).astype(float)
    space = _space(x)
    rank, groups = len(space), _groups(call)
    if kernel.ndim != rank + 2:
        raise ValueError(f"a kernel of shape {kernel.shape} does not fit space {space}")
    _check_kernel(call, kernel)
    strides, dilations = _steps(call, kernel.shape[2:])
    extra = _axes(call, "output_padding", rank, 0)
    if any(more >= stride for more, stride in zip(extra, strides, strict=True)):
        raise NotAffine(f"its output_padding {extra} is not below its strides {strides}")
    auto = call.attributes.get("auto_pad", b"NOTSET").decode()
    if auto not in ("NOTSET", "VALID") or "output_shape" in call.attributes:
        raise NotAffine("its auto_pad or output_shape leaves the pads open; export explicit pads")
    pads = _pads(call, rank)
    out = tuple(
        (size - 1) * stride - sum(pad) + dilation * (width - 1) + 1 + more
        for size, stride, pad, dilation, width, more in zip(
            space, strides, pads, dilations, kernel.shape[2:], extra, strict=True
        )
    )
    conv = Convolution(kernel, out, strides, dilations, pads, groups)
    if conv.filters != x.shape[1] or conv.out_space != space:
        raise ValueError(
            f"its kernel of shape {kernel.shape} does not make {out} from shape {x.shape}"
        )
    matrix = sparse.csr_array(conv.tocsr().T)
    return _with_bias(call, x.under(matrix, (1, conv.channels, *out)))


@operator("BatchNormalization")
def _batch_normalisation(call: Call) -> Operand:
    """``scale (x - mean) / sqrt(variance + epsilon) + bias``, one of each for every channel.

    Before operator set 14 it is in training mode if it makes more than one tensor.
    """
    several = call.opset < 14 and sum(map(bool, call.node.output)) > 1
    if call.attributes.get("training_mode") or several:
        raise NotAffine("it is in training mode; export the model in evaluation mode")
    if not call.attributes.get("spatial", 1):
        raise NotAffine("it normalises every entry by itself (spatial=0), not every channel")
    x = call.variable(0)
    if len(x.shape) < 2:
        raise ValueError(f"shape {x.shape} has no axis of channels")
    factor, bias, mean, variance = (_for_each_channel(call, k, x) for k in range(1, 5))
    spread = variance + call.number("epsilon", 1e-5)
    if np.any(spread <= 0):
        raise ValueError("a variance is not positive")
    factor = factor / np.sqrt(spread)
    return add(scale(x, factor), bias - factor * mean)


@operator("MaxPool")
def _max_pool(call: Call) -> Operand:
    """The largest of each window; what is padded is never the largest."""
    x, places = _pooled(call)
    return of_lines(call, maximum, x, np.where(places >= 0, places, places.max(axis=0)))


@operator("AveragePool")
def _average_pool(call: Call) -> Operand:
    """The mean of each window, with or without what is padded."""
    x, places = _pooled(call)
    inside = places >= 0
    if call.attributes.get("count_include_pad"):
        inside = _pooled(call, padding_counts=True)[1] != -2
    count = inside.sum(axis=0).reshape(-1)
    made = np.broadcast_to(np.arange(count.size).reshape(places.shape[1:]), places.shape)
    present = places >= 0
    rows, columns = made[present], places[present]
    matrix = sparse.csr_array((1.0 / count[rows], (rows, columns)), shape=(count.size, x.size))
    return x.under(matrix, places.shape[1:])


def _pooled(call: Call, *, padding_counts: bool = False) -> tuple[Variable, np.ndarray]:
    """The tensor, and for each place of the window the positions of it that every output reads.

    A place on the padding has position -1, one beyond it (``ceil_mode``) -1 too, or -2 when padding
    counts.
    """
    x = call.variable(0)
    space = _space(x)
    sizes = tuple(int(n) for n in call.attributes["kernel_shape"])
    window = _window(call, space, sizes)
    if any(max(pad) >= reach for pad, reach in zip(window.pads, window.reach, strict=True)):
        raise ValueError(f"its pads {window.pads} are as wide as its window {sizes}")
    up = bool(call.attributes.get("ceil_mode"))
    out, beyond = [], []
    for size, pad, reach, stride in zip(
        space, window.pads, window.reach, window.strides, strict=True
    ):
        room = size + sum(pad) - reach
        count = (-(-room // stride) if up else room // stride) + 1
        if up and (count - 1) * stride >= size + pad[0]:
            count -= 1  # a window that would start in the padding after is left out
        if count < 1:
            raise ValueError(f"the window {sizes} does not fit into space {space}")
        out.append(count)
        beyond.append(max((count - 1) * stride + reach - size - sum(pad), 0))
    check_entries(x.shape[1] * math.prod(out) * math.prod(sizes))
    padded = (
        size + sum(pad) + more for size, pad, more in zip(space, window.pads, beyond, strict=True)
    )
    check_values(x.shape[1] * math.prod(padded))
    grid = np.pad(positions(x)[0], ((0, 0), *window.pads), constant_values=-1)
    grid = np.pad(
        grid,
        ((0, 0), *((0, more) for more in beyond)),
        constant_values=-2 if padding_counts else -1,
    )
    places = []
    for place in itertools.product(*map(range, sizes)):
        cut = tuple(
            slice(at * dilation, at * dilation + (count - 1) * stride + 1, stride)
            for at, dilation, count, stride in zip(
                place, window.dilations, out, window.strides, strict=True
            )
        )
        places.append(grid[(slice(None), *cut)])
    if np.max(places, axis=0).min() < 0:
        raise NotAffine("a window of it holds nothing but padding")
    return x, np.stack(places)[:, None]


@operator("GlobalAveragePool")
def _global_average(call: Call) -> Operand:
    x = call.variable(0)
    space = _space(x)
    total = summed(x, tuple(range(2, len(x.shape))), (*x.shape[:2], *[1] * len(space)))
    return scale(total, np.array(1.0 / math.prod(space)))


@operator("GlobalMaxPool")
def _global_max(call: Call) -> Operand:
    x = call.variable(0)
    lines = positions(x).reshape(*x.shape[:2], math.prod(_space(x)))
    largest = of_lines(call, maximum, x, np.moveaxis(lines, -1, 0))
    return reshape(largest, (*x.shape[:2], *[1] * len(x.shape[2:])))
