"""Our batched CROWN beside auto_LiRPA's: are the bounds equal, and how many boxes a second?

On VNN-COMP's networks, of which each folder under ``--benchmarks`` has an ``instances.csv``::

    OMP_NUM_THREADS=1 taskset -c 1 python benchmarks/lirpa.py --benchmarks DIR

*Equal*: bounds of every output and of every row of the property, over the property's box, beside
auto_LiRPA's method "CROWN" in float64 with its options as they come. A bound is tighter or looser
where it differs by more than 1e-6 of its size. Ours intersects what CROWN finds with intervals;
auto_LiRPA does not. Tighter bounds of hidden neurons may turn a lower line from slope 1 to 0 or
back, after which a later bound may be looser. So the same is asked of our backward passes alone,
for the neurons that auto_LiRPA bounds and without intersecting. Ours also pays for the rounding of
every sum, as much as it can be at worst; auto_LiRPA does not count rounding. Passes alone that are
not charged for it must equal auto_LiRPA's.

*Speed*: boxes a second in float32, from boxes to bounds of the outputs, interleaved in one process,
by seconds of processor time; on one thread that is the time on the clock of a machine with nothing
else to do. Our account of rounding is settled anew each time. The boxes are those of the
properties, and after these random parts of them that are half as wide. auto_LiRPA carries the
coefficients of convolutions as patches, as it does by default, or as matrices (``--modes``).

*Slopes*: alpha-CROWN for the rows of the property, twenty steps; ours as the search does it: CROWN
and the last pass in float64, slopes in float32. *Last*: only these rows' slopes, with CROWN's
bounds of the layers before, computed once on either side (`ascended` and
``fix_intermediate_layer_bounds``). *Every layer*: those of all neurons' bounds too (`alpha_crown`,
one layer after the other, and ``enable_opt_interm_bounds``, all together). The bound is that of the
row that is bounded best, and its mean over boxes is compared.

auto_LiRPA is no dependency of ours. Version 0.3, the newest on PyPI, asks for torch < 1.13; with
torch 2.13 and numpy 2 it runs after what `_as_it_was` puts back. It belongs into an environment of
its own::

    pip install -c constraints.txt -e . && pip install --no-deps auto_LiRPA==0.3 appdirs tqdm

It gets the network as a torch module of `nn.Linear`, `nn.Conv2d` and `nn.ReLU`, in its own shapes,
which is checked against onnxruntime. (onnx2pytorch needs torchvision, and its modules keep as nodes
of the graph what is folded here.)
"""

from __future__ import annotations

import argparse
import csv
import gzip
import importlib
import inspect
import itertools
import math
import os
import resource
import statistics
import sys
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

import dualbound
from dualbound.bounds.batched import (
    Boxes,
    Lines,
    Propagator,
    Rooms,
    Span,
    alpha_crown,
    ascended,
)
from dualbound.criterion import read_vnnlib
from dualbound.network import Network
from dualbound.network.linear import Convolution, Dense, LinearMap
from dualbound.network.nodes import Affine, Input
from dualbound.search.bab.question import Question

BENCHMARKS = ("acasxu", "mnist_fc", "oval21", "sri_resnet_a")
DIFFERENT = 1e-6
"""Of its size, by which a bound must differ to be called tighter or looser."""
STEPS = 20


@dataclass(frozen=True)
class Asked:
    """A network with its properties' boxes and rows.

    Attributes:
        name: in the table.
        file: the network's.
        network: read from it.
        questions: one for each box.
    """

    name: str
    file: Path
    network: Network
    questions: list[Question]


def asked(folder: Path, properties: int) -> Iterator[Asked]:
    """Every network of a benchmark, with its first properties."""
    with (folder / "instances.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    files: dict[str, list[str]] = {}
    for row in rows:
        files.setdefault(row["onnx"], []).append(row["vnnlib"])
    for model, props in files.items():
        network = dualbound.load(_file(folder / model))
        sizes = {"inputs": network.input_size, "outputs": network.output_size}
        questions = [
            Question.of(network, case.region, [case.criterion])
            for prop in props[:properties]
            for case in read_vnnlib(_file(folder / prop), **sizes).cases
        ]
        # Networks of one shape, as acasxu's, are one row.
        name = folder.name if len(files) > 5 else Path(model).stem.removeprefix("mnist-net_")
        yield Asked(name, _file(folder / model), network, questions)


def _file(path: Path) -> Path:
    return path if path.exists() else path.with_name(f"{path.name}.gz")


def _bytes(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


# The network as auto_LiRPA likes it.


class Module(nn.Module):
    """A network of layers that torch has itself, on images where it has convolutions."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.maps = nn.ModuleDict()
        self.shape: tuple[int, ...] = (network.input_size,)
        for node in network.nodes:
            if not isinstance(node.op, Affine):
                continue
            for part, (one, read) in enumerate(zip(node.op.maps, node.reads, strict=True)):
                bias = node.op.bias if part == 0 else np.zeros(node.size)
                self.maps[f"{node.name}_{part}".replace(".", "_")] = _layer(one, bias)
                if read == network.input and isinstance(one, Convolution):
                    self.shape = (one.channels, *one.space)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """The outputs."""
        values = {self.network.input: x}
        for node in self.network.nodes:
            match node.op:
                case Affine(maps):
                    parts = []
                    for part, (one, name) in enumerate(zip(maps, node.reads, strict=True)):
                        read = values[name]
                        if isinstance(one, Dense) and read.dim() > 2:
                            read = torch.flatten(read, 1)
                        parts.append(self.maps[f"{node.name}_{part}".replace(".", "_")](read))
                    values[node.name] = sum(parts[1:], start=parts[0])
                case Input():
                    continue
                case _:
                    values[node.name] = self.relu(values[node.reads[0]])
        return values[self.network.output]


def _layer(one: LinearMap, bias: np.ndarray) -> nn.Module:
    """A map with its bias as torch's own layer."""
    made: nn.Linear | nn.Conv2d
    match one:
        case Dense(matrix):
            made = nn.Linear(matrix.shape[1], matrix.shape[0], dtype=torch.float64)
            weight = matrix
        case Convolution():
            each = bias.reshape(one.filters, -1)
            pads = [before for before, after in one.pads if before == after]
            if len(pads) < 2 or np.ptp(each, axis=1).max() > 0:
                raise ValueError("this convolution is none of torch's with a bias for each channel")
            window, strides, dilations = (
                (pair[0], pair[1]) for pair in (one.kernel.shape[2:], one.strides, one.dilations)
            )
            made = nn.Conv2d(
                one.channels, one.filters, window, strides, (pads[0], pads[1]), dilations,
                one.groups, dtype=torch.float64,
            )  # fmt: skip
            weight, bias = one.kernel, each[:, 0]
        case _:
            raise TypeError(f"{type(one).__name__} is no layer of torch's")
    with torch.no_grad():
        made.weight.copy_(torch.tensor(weight))
        made.bias.copy_(torch.tensor(bias))  # type: ignore[union-attr]
    return made


def check_module(one: Asked) -> None:
    """Compare the torch module with onnxruntime on the file, at random points of the boxes.

    Raises:
        ValueError: they differ.
    """
    session = onnxruntime.InferenceSession(_bytes(one.file))
    [entry] = session.get_inputs()
    module = Module(one.network)
    for question in one.questions:
        x = question.region.sample(np.random.default_rng(0), 1).astype(np.float32)
        shape = [n if isinstance(n, int) and n > 0 else 1 for n in entry.shape]
        [there] = session.run(None, {entry.name: x.reshape(shape)})
        here = module(torch.tensor(x, dtype=torch.float64).reshape(1, *module.shape))
        size = max(float(np.abs(there).max()), 1.0)
        if np.abs(there.ravel() - here.detach().numpy().ravel()).max() > 1e-4 * size:
            raise ValueError(f"{one.file.name}: the torch module is another function")


# Ours and theirs.


class Ours:
    """Our bounds, in one floating-point type."""

    def __init__(self, network: Network, dtype: torch.dtype, *, charged: bool = True) -> None:
        self.propagator = Propagator(network, dtype=dtype)
        if not charged:
            self.propagator.rounding.charged = 0.0
        self.fast = Propagator(network, dtype=torch.float32)
        self.dtype = dtype
        self.output = network.output

    def spans(self, rooms: Rooms, *, output: bool = True) -> dict[str, Span]:
        """Bounds of all nodes, with rounding measured anew."""
        self.propagator.rounding.begin(())
        found = self.propagator.crown(rooms, output=output)
        self.fast.rounding.settle_as(self.propagator.rounding)
        return found

    def crown(self, boxes: Boxes) -> Span:
        """Bounds of the outputs."""
        self.propagator.rounding.begin(())
        return self.propagator.crown(boxes.to(self.dtype))[self.output]

    def rows(self, boxes: Boxes, rows: Tensor, *, plain: bool = False) -> Tensor:
        """Lower bounds of rows of the outputs; *plain*: by backward passes alone."""
        p, rooms = self.propagator, boxes.to(self.dtype)
        spans = self.plain(rooms) if plain else self.spans(rooms, output=False)
        return p.backward(self.output, rows.to(self.dtype), rooms, self.lines(spans)).bound

    def plain(self, rooms: Rooms) -> dict[str, Span]:
        """CROWN's bounds of the neurons that intervals leave open, not intersected with these.

        As auto_LiRPA does: of all neurons of a layer where more than nine in ten are open.
        """
        p = self.propagator
        p.rounding.settle(p.interval(rooms))
        spans: dict[str, Span] = {}
        for node in p.network.nodes:
            match node.op:
                case Input():
                    spans[node.name] = rooms.span()
                case Affine():
                    low, high = p.mapped(node.name, [spans[name] for name in node.reads])
                    spans[node.name] = low, high
                    if node.reads == (p.network.input,):
                        continue
                    is_open = (low < 0) & (high > 0)
                    is_open |= is_open.sum() > 0.9 * is_open.numel()
                    low, high = low.where(~is_open, -torch.inf), high.where(~is_open, torch.inf)
                    before = self.lines(spans)
                    spans[node.name] = p.tightened(node.name, rooms, before, (low, high), 2**22)
                case _:
                    low, high = spans[node.reads[0]]
                    spans[node.name] = low.clamp(min=0), high.clamp(min=0)
        return spans

    def lines(self, spans: dict[str, Span]) -> dict[str, Lines]:
        """Of every rectifier whose bounds are there."""
        return {
            node.name: Lines.of(spans[node.reads[0]])
            for node in self.propagator.network.nodes
            if not isinstance(node.op, Input | Affine) and node.reads[0] in spans
        }

    def last(self, boxes: Boxes, rows: Tensor) -> Tensor:
        """Lower bounds of rows, their slopes ascended."""
        p, rooms = self.propagator, boxes.to(self.dtype)
        lines = self.lines(self.spans(rooms, output=False))
        return ascended(p, self.output, rows, rooms, lines, STEPS, fast=self.fast)

    def every_layer(self, boxes: Boxes, rows: Tensor) -> Tensor:
        """Lower bounds of rows, all neurons' slopes ascended; one box."""
        p, rooms = self.propagator, boxes.to(self.dtype)
        known = self.spans(rooms, output=False)
        [before] = p.network.nodes[-1].reads
        fast = self.fast.up_to(before)
        spans = alpha_crown(p.up_to(before), rooms, known=known, steps=STEPS, fast=fast)
        lines = self.lines(dict(spans))
        return ascended(p, self.output, rows, rooms, lines, STEPS, fast=self.fast)


class Theirs:
    """auto_LiRPA's bounds, in torch's default type.

    Args:
        network: to bound.
        like: boxes, as many as there will be.
        options: ``bound_opts``.
    """

    def __init__(self, network: Network, like: Boxes, **options: object) -> None:
        _as_it_was()
        from auto_LiRPA import BoundedModule  # type: ignore[import-not-found]

        def named_members(
            module: nn.Module, *arguments: object, remove_duplicate: bool = True, **more: object
        ) -> object:
            return members(module, *arguments, **more)

        if "remove_duplicate" not in inspect.signature(BoundedModule._named_members).parameters:
            members = BoundedModule._named_members
            BoundedModule._named_members = named_members
        self.dtype = torch.get_default_dtype()
        module = Module(network).to(self.dtype).eval().requires_grad_(False)
        self.shape = module.shape
        self.module = BoundedModule(module, self.input(like)[0], bound_opts=options)

    def input(self, boxes: Boxes) -> tuple[Tensor]:
        """The boxes as it takes them."""
        from auto_LiRPA import BoundedTensor, PerturbationLpNorm

        low, high = (end.reshape(-1, *self.shape) for end in boxes.to(self.dtype).span())
        around = PerturbationLpNorm(norm=math.inf, x_L=low, x_U=high)
        return (BoundedTensor((low + high) / 2, around),)

    def crown(self, boxes: Boxes) -> Span:
        """Bounds of the outputs."""
        with torch.no_grad():
            low, high = self.module.compute_bounds(x=self.input(boxes), method="CROWN")
        return low, high

    def rows(self, boxes: Boxes, rows: Tensor) -> Tensor:
        """Lower bounds of rows of the outputs."""
        with torch.no_grad():
            low, _ = self.module.compute_bounds(
                x=self.input(boxes), C=rows.to(self.dtype), method="CROWN", bound_upper=False
            )
        return torch.as_tensor(low)

    def last(self, boxes: Boxes, rows: Tensor) -> Tensor:
        """Lower bounds of rows, their slopes ascended."""
        x, c = self.input(boxes), rows.to(self.dtype)
        _, _, known = self.module.init_slope(x, c=c, bound_upper=False)
        low, _ = self.module.compute_bounds(
            x=x, C=c, method="CROWN-Optimized", bound_upper=False, intermediate_layer_bounds=known
        )
        return torch.as_tensor(low.detach())

    def every_layer(self, boxes: Boxes, rows: Tensor) -> Tensor:
        """Lower bounds of rows, all neurons' slopes ascended; made with `SLOPES_OF_ALL`."""
        low, _ = self.module.compute_bounds(
            x=self.input(boxes), C=rows.to(self.dtype), method="CROWN-Optimized", bound_upper=False
        )
        return torch.as_tensor(low.detach())


SLOPES_OF_LAST: dict[str, object] = {
    "optimize_bound_args": {
        "iteration": STEPS + 1,
        "early_stop_patience": STEPS,
        "init_alpha": False,  # by `Theirs.last`, which keeps the bounds of the layers before
    }
}
SLOPES_OF_ALL: dict[str, object] = {
    "enable_opt_interm_bounds": True,
    "sparse_spec_alpha": False,  # else an assertion fails where the open neurons become fewer
    "optimize_bound_args": {
        "iteration": STEPS + 1,
        "early_stop_patience": STEPS,
        "fix_intermediate_layer_bounds": False,
    },
}


def _as_it_was() -> None:
    """Put back what auto_LiRPA 0.3 uses of torch and numpy and newer versions lack."""
    if "torch._six" in sys.modules:
        return
    from torch.onnx._internal.torchscript_exporter._globals import GLOBALS

    sets, six = types.ModuleType("numpy.lib.arraysetops"), types.ModuleType("torch._six")
    vars(sets)["isin"], vars(six)["string_classes"] = np.isin, str
    sys.modules |= {sets.__name__: sets, six.__name__: six}
    vars(torch)["_six"] = six

    def set_opset(version: int) -> None:
        GLOBALS.export_onnx_opset_version = version

    def attribute(node: torch._C.Node, key: str) -> object:
        return getattr(node, node.kindOf(key))(key)

    helper = importlib.import_module("torch.onnx.symbolic_helper")
    vars(helper)["_set_opset_version"] = set_opset
    torch._C.Node.__getitem__ = attribute  # type: ignore[method-assign]


# What is measured.


@dataclass
class Difference:
    """How far bounds are from auto_LiRPA's.

    Attributes:
        tighter, equal, looser: how many, by `DIFFERENT`.
        by: the largest difference upwards (tighter) and downwards, relative and absolute.
    """

    tighter: int = 0
    equal: int = 0
    looser: int = 0
    by: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)

    def add(self, ours: Tensor, theirs: Tensor) -> None:
        """Lower bounds more."""
        gain = ours.double().ravel() - theirs.double().ravel()
        relative = gain / theirs.double().ravel().abs().clamp(min=1e-9)
        self.tighter += int((relative > DIFFERENT).sum())
        self.looser += int((relative < -DIFFERENT).sum())
        self.equal += int((relative.abs() <= DIFFERENT).sum())
        now = (relative.max(), -relative.min(), gain.max(), -gain.min())
        pairs = zip(self.by, now, strict=True)
        self.by = tuple(max(a, float(b)) for a, b in pairs)  # type: ignore[assignment]

    def __str__(self) -> str:
        up, down, up_absolutely, down_absolutely = self.by
        return (
            f"tighter {self.tighter}, equal {self.equal}, looser {self.looser}; tighter by at most "
            f"{up:.1e} ({up_absolutely:.1e}), looser by at most {down:.1e} ({down_absolutely:.1e})"
        )


VARIANTS = (
    (torch.float64, False, True),
    (torch.float64, True, True),
    (torch.float64, True, False),
    (torch.float32, False, True),
    (torch.float32, True, False),
)
"""In which type, by passes alone or not, charged for rounding or not."""


def equality(some: list[Asked]) -> None:
    """Print how bounds differ, over all boxes of networks of one name."""
    found: dict[str, Difference] = {}
    count = 0
    for one in some:
        check_module(one)
        torch.set_default_dtype(torch.float64)
        theirs = Theirs(one.network, boxes_of(one, 1))
        for k, question in enumerate(one.questions):
            box = boxes_of(one, 1, first=k)
            outputs = torch.eye(one.network.output_size, dtype=torch.float64)
            rows = torch.cat([outputs, -outputs, torch.tensor(question.rows)])[None]
            there = theirs.rows(box, rows)
            low, high = theirs.crown(box)
            if not torch.allclose(there[0, : 2 * len(outputs)], torch.cat([low, -high], 1)[0]):
                raise ValueError("auto_LiRPA's bounds depend on how they are asked for")
            for dtype, plain, charged in VARIANTS:
                name = f"{dtype}{', passes alone' * plain}{', not charged' * (not charged)}"
                ours = Ours(one.network, dtype, charged=charged)
                difference = found.setdefault(name.removeprefix("torch."), Difference())
                difference.add(ours.rows(box, rows, plain=plain), there)
            count += 1
        torch.set_default_dtype(torch.float32)
    print(f"{some[0].name}: {len(some)} networks, {count} boxes")
    for name, difference in found.items():
        print(f"  {name:38s} {difference}", flush=True)


def boxes_of(one: Asked, batch: int, *, first: int = 0) -> Boxes:
    """Boxes of properties, and then random parts of them that are half as wide."""
    rng = np.random.default_rng(1)
    ends = []
    for k in range(batch):
        region = one.questions[(first + k) % len(one.questions)].region
        low, high = region.lower, region.upper
        if k >= len(one.questions):
            part = rng.random(low.size) * (high - low) / 2
            low, high = low + part, low + part + (high - low) / 2
        ends.append((low, high))
    return Boxes(*(torch.tensor(np.array(end)) for end in zip(*ends, strict=True)))


Way = Callable[[], Tensor]


def compared(ways: dict[str, Way], limit: float, rounds: int) -> dict[str, tuple[float, Tensor]]:
    """Median seconds and the answer of each way, interleaved, after a run to warm up."""
    seconds: dict[str, list[float]] = {}
    answers: dict[str, Tensor] = {}
    left = dict(ways)
    for turn in range(rounds + 1):
        order = list(left)
        for name in order if turn % 2 else order[::-1]:
            start = time.process_time()
            try:
                answers[name] = left[name]()
            except (RuntimeError, MemoryError) as error:
                if "memory" not in str(error) and not isinstance(error, MemoryError):
                    raise
                print(f"    {name}: not enough memory")
                del left[name]
                seconds.pop(name, None)
                continue
            if turn:
                seconds.setdefault(name, []).append(time.process_time() - start)
        if sum(map(sum, seconds.values())) > limit:
            break
    return {name: (statistics.median(each), answers[name]) for name, each in seconds.items()}


def _crown_of(theirs: Theirs, boxes: Boxes) -> Way:
    return lambda: theirs.crown(boxes)[0]


def speed(one: Asked, batches: list[int], limit: float, rounds: int, modes: list[str]) -> None:
    """Print boxes a second, by size of the batch."""
    ours, exact = Ours(one.network, torch.float32), Ours(one.network, torch.float64)
    convolves = any(
        isinstance(part, Convolution)
        for node in one.network.nodes
        if isinstance(node.op, Affine)
        for part in node.op.maps
    )
    slowest = 0.0
    for batch in batches:
        if slowest * batch > limit:
            print(f"  speed, batch {batch}: left out, it would take too long")
            continue
        boxes = boxes_of(one, batch)
        ways: dict[str, Way] = {
            "ours": lambda: ours.crown(boxes)[0],  # noqa: B023
            "ours, float64": lambda: exact.crown(boxes)[0],  # noqa: B023
        }
        for mode in modes if convolves else modes[:1]:
            theirs = Theirs(one.network, boxes, conv_mode=mode)
            ways[f"theirs, {mode}"] = _crown_of(theirs, boxes)
        found = compared(ways, limit, rounds)
        tell(f"  speed, batch {batch}", found, batch)
        slowest = max(seconds for seconds, _ in found.values()) / batch


def slopes(one: Asked, batches: list[int], limit: float, rounds: int) -> None:
    """Print what alpha-CROWN reaches, and in what time."""
    ours = Ours(one.network, torch.float64)
    most = min(len(question.rows) for question in one.questions)
    for batch in batches:
        boxes = boxes_of(one, batch)
        turns = itertools.islice(itertools.cycle(one.questions), batch)
        rows = torch.tensor(np.array([question.rows[:most] for question in turns]))
        theirs = Theirs(one.network, boxes, **SLOPES_OF_LAST)
        ways: dict[str, Way] = {
            "ours": lambda: ours.last(boxes, rows),  # noqa: B023
            "theirs": lambda: theirs.last(boxes, rows),  # noqa: B023
        }
        tell(f"  slopes, last, batch {batch}", compared(ways, limit, rounds), batch)
    box, row = boxes_of(one, 1), rows[:1]
    all_slopes = Theirs(one.network, box, **SLOPES_OF_ALL)
    ways = {
        "ours": lambda: ours.every_layer(box, row),
        "theirs": lambda: all_slopes.every_layer(box, row),
    }
    tell("  slopes, every layer, batch 1", compared(ways, limit, rounds), 1)


def tell(what: str, found: dict[str, tuple[float, Tensor]], batch: int) -> None:
    """Print one line for each way, with its ratio to ours."""
    for name, (seconds, answer) in found.items():
        ratio = f"ours is {seconds / found['ours'][0]:.2f} times as fast" if "ours" in found else ""
        best = float(answer.double().amax(1).mean())
        print(f"{what}, {name}: {batch / seconds:.4g} boxes/s, bound {best:.6g}; {ratio}")
    sys.stdout.flush()


def main() -> None:
    """Print what differs and what it takes."""
    parser = argparse.ArgumentParser(description=__doc__)
    home = os.environ.get("DUALBOUND_VNNCOMP")
    parser.add_argument("--benchmarks", type=Path, default=home, required=home is None)
    parser.add_argument("--only", nargs="*", choices=BENCHMARKS, default=BENCHMARKS)
    parser.add_argument("--what", nargs="*", default=["equality", "speed", "slopes"])
    parser.add_argument("--properties", type=int, default=5, help="of each network")
    parser.add_argument("--batches", type=int, nargs="*", default=[1, 16, 128])
    parser.add_argument("--modes", nargs="*", default=["patches"], help="patches, matrix or both")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=float, default=60, help="seconds for one row, about")
    parser.add_argument("--memory", type=float, default=12, help="GiB, at most")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    most = int(arguments.memory * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    print(f"torch {torch.__version__}, threads: {arguments.threads}")
    for benchmark in arguments.only:
        networks = list(asked(Path(arguments.benchmarks) / benchmark, arguments.properties))
        for name in dict.fromkeys(one.name for one in networks):
            some = [one for one in networks if one.name == name]
            if "equality" in arguments.what:
                equality(some)
            if "speed" in arguments.what:
                print(some[0].name)
                modes = arguments.modes
                speed(some[0], arguments.batches, arguments.limit, arguments.rounds, modes)
            if "slopes" in arguments.what:
                print(some[0].name)
                slopes(some[0], arguments.batches[:2], arguments.limit, arguments.rounds)


if __name__ == "__main__":
    main()
