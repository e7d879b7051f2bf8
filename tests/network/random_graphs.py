"""Small random ONNX models that mix convolutions, pooling, residual sums and concatenations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import onnx
from handmade_onnx import build
from hypothesis import strategies as st
from onnx import helper

Shape = tuple[int, ...]


class Growing:
    """A model under construction: its nodes, and its tensors of images with their shapes.

    Every step reads the last tensor, perhaps another one too, and makes the next last one; a step
    that does not fit does nothing.
    """

    def __init__(self, seed: int, shape: Shape, opset: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.opset = opset
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self.images: list[tuple[str, Shape]] = [("x", shape)]

    @property
    def last(self) -> tuple[str, Shape]:
        """The tensor that the next step reads."""
        return self.images[-1]

    def some(self, *numbers: int) -> int:
        """One of these."""
        return int(self.rng.choice(numbers))

    def constant(self, values: np.ndarray) -> str:
        """A new constant; real numbers become float32."""
        name = f"c{len(self.constants)}"
        real = values.dtype.kind == "f"
        self.constants[name] = values.astype(np.float32) if real else values
        return name

    def weights(self, *shape: int) -> str:
        """A new constant of weights that keep the size of what they are applied to."""
        fan_in = math.prod(shape[1:]) if len(shape) > 1 else 1
        return self.constant(self.rng.normal(size=shape) / math.sqrt(fan_in))

    def write(self, op: str, reads: Sequence[str], *made: Shape, **attributes: object) -> list[str]:
        """Add a node; its outputs are new tensors."""
        names = [f"t{len(self.nodes)}.{k}" for k in range(len(made))]
        self.nodes.append(helper.make_node(op, reads, names, **attributes))
        self.images += zip(names, made, strict=True)
        return names


def convolve(g: Growing) -> None:
    name, (channels, *space) = g.last
    groups = g.some(*(n for n in (1, 1, channels) if channels % n == 0))
    filters = groups * g.some(1, 2, 3)
    window = [g.some(1, 2, 3) for _ in space]
    strides, dilations = [g.some(1, 1, 2) for _ in space], [g.some(1, 1, 2) for _ in space]
    pads = [g.some(0, 1, 2) for _ in range(2 * len(space))]
    out = [
        (n + pads[k] + pads[k + len(space)] - dilations[k] * (window[k] - 1) - 1) // strides[k] + 1
        for k, n in enumerate(space)
    ]
    if min(out) < 1:
        return
    reads = [name, g.weights(filters, channels // groups, *window)]
    if g.some(0, 1):
        reads.append(g.weights(filters))
    g.write(
        "Conv", reads, (filters, *out),
        group=groups, strides=strides, dilations=dilations, pads=pads,
    )  # fmt: skip


def deconvolve(g: Growing) -> None:
    name, (channels, *space) = g.last
    filters, strides = g.some(1, 2), [g.some(1, 2) for _ in space]
    out = [(n - 1) * s + 2 for n, s in zip(space, strides, strict=True)]
    if math.prod(out) > 100:
        return
    reads = [name, g.weights(channels, filters, *[2 for _ in space]), g.weights(filters)]
    g.write("ConvTranspose", reads, (filters, *out), strides=strides)


def pool(g: Growing) -> None:
    """A pool where onnxruntime agrees with itself.

    Its optimiser draws zeros padded before a largest-of into that, where they count for nothing,
    and its shape inference counts windows that would start in the padding, which its kernel omits.
    """
    name, (channels, *space) = g.last
    if g.nodes and g.nodes[-1].op_type == "Pad":
        return
    window, strides = [g.some(1, 2, 3) for _ in space], [g.some(1, 2) for _ in space]
    pads = [g.some(0, n // 2) for n in window] * 2
    up = g.some(0, 1)
    out = []
    for n, width, stride, pad in zip(space, window, strides, pads, strict=False):
        room = n + 2 * pad - width
        if room < 0 or (up and -(-room // stride) * stride >= n + pad):
            return
        out.append((-(-room // stride) if up else room // stride) + 1)
    op = ("MaxPool", "AveragePool")[g.some(0, 1)]
    g.write(
        op, [name], (channels, *out),
        kernel_shape=window, strides=strides, pads=pads, ceil_mode=up,
    )  # fmt: skip


def normalise(g: Growing) -> None:
    name, shape = g.last
    scale, bias, mean = (g.weights(shape[0]) for _ in range(3))
    variance = g.constant(g.rng.uniform(0.5, 2.0, size=shape[0]))
    g.write("BatchNormalization", [name, scale, bias, mean, variance], shape)


def bend(g: Growing) -> None:
    name, shape = g.last
    slopes = g.constant(g.rng.uniform(-0.5, 1.5, size=(shape[0], *[1] * len(shape[1:]))))
    ends = [g.constant(np.array(end)) for end in (-0.4, 0.6)]
    op, reads, more = [
        ("Relu", [], {}),
        ("LeakyRelu", [], {"alpha": 0.3}),
        ("PRelu", [slopes], {}),
        ("Clip", ends, {}),
        ("Abs", [], {}),
        ("HardSigmoid", [], {"alpha": 0.7, "beta": 0.1}),
    ][g.some(*range(6))]
    g.write(op, [name, *reads], shape, **more)


def rectify(g: Growing) -> None:
    name, shape = g.last
    g.write("Relu", [name], shape)


def combine(g: Growing) -> None:
    """The last tensor with an earlier one, which may be itself, of the same shape."""
    name, shape = g.last
    like = [other for other, its in g.images if its == shape]
    other = like[g.some(*range(len(like)))]
    op = ["Add", "Sub", "Sum", "Max", "Min"][g.some(*range(5))]
    g.write(op, [other, name] if g.some(0, 1) else [name, other], shape)


def concatenate(g: Growing) -> None:
    name, (channels, *space) = g.last
    like = [(other, its) for other, its in g.images if list(its[1:]) == space]
    other, its = like[g.some(*range(len(like)))]
    if channels + its[0] <= 8:
        g.write("Concat", [name, other], (channels + its[0], *space), axis=1)


def swap_halves(g: Growing) -> None:
    name, (channels, *space) = g.last
    if channels < 2:
        return
    parts = 1, channels - 1
    given: dict[str, object] = {"split": parts} if g.opset < 13 else {}
    reads = [] if given else [g.constant(np.array(parts))]
    first, second = g.write("Split", [name, *reads], *((n, *space) for n in parts), axis=1, **given)
    g.write("Concat", [second, first], (channels, *space), axis=1)


def turn(g: Growing) -> None:
    name, (channels, *space) = g.last
    if len(space) == 2:
        g.write("Transpose", [name], (channels, *reversed(space)), perm=[0, 1, 3, 2])
    else:
        g.write("Transpose", [name], (*space, channels), perm=[0, 2, 1])


def cut(g: Growing) -> None:
    name, (channels, *space) = g.last
    if space[0] < 3:
        return
    starts, ends, axes, steps = (g.constant(np.array([n])) for n in (-1, 0, 2, -2))
    g.write("Slice", [name, starts, ends, axes, steps], (channels, space[0] // 2, *space[1:]))


def pad(g: Growing) -> None:
    name, (channels, *space) = g.last
    if min(space) < 2 or max(space) > 8:
        return
    pads = g.constant(np.array([0, 0, *[1 for _ in space]] * 2))
    value = [g.constant(np.array(0.5))] if g.some(0, 1) else []
    mode = "constant" if value else ["constant", "reflect", "edge"][g.some(0, 1, 2)]
    g.write("Pad", [name, pads, *value], (channels, *(n + 2 for n in space)), mode=mode)


def pick(g: Growing) -> None:
    name, (channels, *space) = g.last
    chosen = g.rng.integers(-channels, channels, size=g.some(1, 2, 3))
    g.write("Gather", [name, g.constant(chosen)], (len(chosen), *space), axis=1)


def rescale(g: Growing) -> None:
    name, shape = g.last
    factor = g.constant(g.rng.uniform(0.5, 1.5, size=(shape[0], *[1] * len(shape[1:]))))
    g.write(["Mul", "Div"][g.some(0, 1)], [name, factor], shape)


def fold_space(g: Growing) -> None:
    name, shape = g.last
    if len(shape) != 3:
        return
    channels, height, width = shape
    if channels % 4 == 0:
        made = (channels // 4, 2 * height, 2 * width)
        g.write("DepthToSpace", [name], made, blocksize=2)
    elif height % 2 == width % 2 == 0:
        g.write("SpaceToDepth", [name], (4 * channels, height // 2, width // 2), blocksize=2)


def centre(g: Growing) -> None:
    """The mean over a few axes, subtracted."""
    name, (channels, *space) = g.last
    axes = [1] if g.some(0, 1) else list(range(2, 2 + len(space)))
    made = (1, *space) if axes == [1] else (channels, *[1 for _ in space])
    late = g.opset >= 18
    reads = [name, g.constant(np.array(axes))] if late else [name]
    [mean] = g.write("ReduceMean", reads, made, **({} if late else {"axes": axes}))
    g.write("Sub", [name, mean], (channels, *space))


def choose(g: Growing) -> None:
    name, shape = g.last
    mask = g.constant(g.rng.random(shape) < 0.7)
    g.write("Where", [mask, name, g.constant(np.array(-0.25))], shape)


STEPS: dict[str, Callable[[Growing], None]] = {
    step.__name__: step
    for step in (
        *(convolve, deconvolve, pool, normalise, bend, rectify, combine, concatenate),
        *(swap_halves, turn, cut, pad, pick, rescale, fold_space, centre, choose),
    )
}

PLANS = {
    "steps": st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=7),
    "shape": st.sampled_from([(2, 5, 4), (1, 4, 4), (3, 3, 5), (2, 7), (1, 6)]),
    "opset": st.sampled_from([11, 13, 17, 18]),
    "end": st.sampled_from(["dense", "largest", "mean", "flat"]),
    "seed": st.integers(0, 2**32),
}
"""What a random model is made from."""


def grown(steps: Sequence[str], shape: Shape, opset: int, end: str, seed: int) -> bytes:
    """A model that takes these steps from an image or a signal of this shape."""
    g = Growing(seed, shape, opset)
    for step in steps:
        if math.prod(g.last[1]) <= 150:
            STEPS[step](g)
    name, made = g.last
    if end in ("largest", "mean"):
        op = {"largest": "GlobalMaxPool", "mean": "GlobalAveragePool"}[end]
        [name] = g.write(op, [name], (made[0], *[1 for _ in made[1:]]))
        made = g.last[1]
    g.nodes.append(helper.make_node("Flatten", [name], ["flat"]))
    if end == "dense":
        reads = ["flat", g.weights(3, math.prod(made)), g.weights(3)]
        g.nodes.append(helper.make_node("Gemm", reads, ["y"], transB=1))
    return build(g.nodes, ["n", *shape], g.constants, opset=opset)
