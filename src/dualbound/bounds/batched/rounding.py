r"""What a pass of `Propagator` is charged for rounding.

With u half of the type's epsilon, n products are added up, in any order, within :math:`\gamma_n = n
u / (1 - n u)` of the sum of their magnitudes (Higham, *Accuracy and stability of numerical
algorithms*, 2002, section 3.1). A pass backwards keeps, for all inputs x of the rooms and v(x) the
exact values of the nodes,

.. math:: \text{rows} \cdot v_{\text{start}} \ge \text{total} + \sum c_j \cdot v_j - E

over the nodes j whose coefficients c are carried, as computed. With :math:`R_j \ge |v_j|` it adds
to E, where *more* is `Rounding.more`:

- at an affine node :math:`W v + b` of m numbers, where a column adds up n products, :math:`u |c|
  \cdot ((n + more) |W| R + (m + more) |b|)`: n + 1 for :math:`c W` with W rounded to the type, m +
  1 for :math:`c \cdot b`;
- at the input, of n numbers, :math:`u (n + more) |c| \cdot R`, likewise; what a region that is no
  box supports costs `Rounding.unit` beside;
- at an activation with q intercepts, :math:`u (q + more)` times the sum of the magnitudes of what
  they add. Intercepts and new coefficients are each off by 5 u of themselves at most: a product,
  and the lines, see `Lines.of`, in another type perhaps. The coefficients are charged at the node
  that they come to, for its charge is at least :math:`u\, more\, |c| \cdot |v|`. They are charged
  here where that is not enough: multipliers or coefficients of other readers may cancel them, or
  another activation takes them (`Rounding.kept_apart`).

*More* holds these 5, an addition for each reader of a node, one to the total for each node, and 11
to spare. The charge is doubled, which pays for its own rounding and for :math:`1 / (1 - n u)` while
n u is below 1/16; above that it is infinite. What is below the smallest normal number may be off by
that number, *tiny*: every product by tiny, times R where it is a coefficient (`Rounding.lost`), and
every weight, bias and intercept, for which R, |b| and, where weights are so small, :math:`|W| R`
are larger by tiny / u.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dualbound.bounds.batched.rooms import Rooms, Span, Spans
from dualbound.network.elementwise import Elementwise
from dualbound.network.graph import Network
from dualbound.network.linear import Convolution, Dense, LinearMap
from dualbound.network.nodes import Affine, Input, Node
from dualbound.network.torch_linear import TorchMap


@dataclass(frozen=True, eq=False)
class _Sums:
    """How an affine node adds up.

    Attributes:
        sizes: its maps with the magnitudes of their entries.
        bias: its magnitudes.
        least: the smallest magnitude of an entry or bias that is not 0.
        forwards: how many terms a value has, with some to spare.
    """

    sizes: list[TorchMap]
    bias: Float[Tensor, " m"]
    least: float
    forwards: int

    @classmethod
    def of(cls, op: Affine, maps: list[TorchMap], bias: Tensor) -> _Sums:
        least = min([_least(op.bias), *map(_least_of, op.maps)])
        row = max((one.terms[0] for one in maps), default=0)
        sizes = [one.magnitude() for one in maps]
        return cls(sizes, bias.abs(), least, row + 2 * len(maps) + 10)


class Rounding:
    """Charges for the passes over one network in one type.

    Magnitudes of the nodes have to be settled before a pass backwards asks for them: by
    `settle`, by `settle_as`, or node by node, by `begin`, `measure` and `settle_node`.

    Args:
        network: of affine maps and activations.
        maps: of every affine node.
        bias: of every affine node.
        dtype: of all computing.

    Attributes:
        u: half of the type's epsilon.
        charged: what is subtracted for an error of u; 0 in its place charges nothing.
        unit: more than the error of a sum of as many terms as any here has, relative to the sum
            of their magnitudes.
        more: what every sum is charged beside its terms.
        kept_apart: nodes whose coefficients are charged where they are made.
        reach: of every settled node, more than the magnitudes of its numbers.
        errs: of every settled node that is no activation, what its coefficients cost, in u.
        lost: what may be lost below the smallest normal number.
    """

    def __init__(
        self,
        network: Network,
        maps: Mapping[str, list[TorchMap]],
        bias: Mapping[str, Tensor],
        dtype: torch.dtype,
    ) -> None:
        self.network = network
        self.dtype = dtype
        info = torch.finfo(dtype)
        self.u, self._tiny = info.eps / 2, info.tiny
        self._sums_of = {
            node.name: _Sums.of(node.op, maps[node.name], bias[node.name])
            for node in network.nodes
            if isinstance(node.op, Affine)
        }
        ops = [node.op for node in network.nodes if isinstance(node.op, Affine)]
        reads = (sum(sum(one.shape) for one in op.maps) for op in ops)
        self._terms = max([network.input_size, *reads])
        self.unit = self.unit_of(0)
        readers = Counter(name for node in network.nodes for name in node.reads)
        self.more = len(network.nodes) + max(readers.values(), default=0) + 16
        self.charged = 2 * self.u if (self._terms + self.more) * self.u < 1 / 16 else np.inf
        self.kept_apart = {
            name for name, count in readers.items() if count > 1 or name in network.activations
        }
        self.begin(())

    def up_to(self, part: Network) -> Rounding:
        """The same for a part of the network, which may be settled on its own."""
        found = copy.copy(self)
        found.network = part
        return found

    def unit_of(self, count: int) -> float:
        """As ``unit``, for sums of so many terms too."""
        return 4 * (max(self._terms, count) + 16) * self.u

    def sizes(self, name: str) -> list[TorchMap]:
        """The maps of an affine node, with the magnitudes of their entries."""
        return self._sums_of[name].sizes

    def settle(self, spans: Spans) -> None:
        """Fix the magnitudes that rounding is measured by: those of these bounds of every node.

        They may be any that hold, CROWN's too: only values at inputs of the rooms count, whatever
        lines a pass is given. All rooms that are passed later must lie within those of these spans;
        `Propagator.crown` sees to that.
        """
        self.begin(spans[self.network.input])
        for node in self.network.nodes:
            self.measure(node.name, spans[node.name])
            self.settle_node(node)

    def settle_as(self, other: Rounding) -> None:
        """Measure rounding by the magnitudes that another was settled with."""
        self.begin(other._settled if other.dtype == self.dtype else ())
        for node in self.network.nodes:
            if node.name in other.reach:
                self._reaches(node.name, other.reach[node.name].to(self.dtype))
                self.settle_node(node)

    def begin(self, rooms: tuple[Tensor, ...]) -> None:
        """Forget what was settled, for other rooms: the ends of their inputs, or nothing."""
        self._settled = rooms
        self.reach: dict[str, Tensor] = {}
        self.errs: dict[str, Tensor] = {}
        self.lost: Tensor | float = 0.0
        self._sums: dict[str, Tensor] = {}

    def measure(self, name: str, span: Span) -> None:
        """Fix the magnitudes of a node: the largest of each number in any set."""
        low, high = span
        self._reaches(name, torch.maximum(low.abs(), high.abs()).amax(0))

    def _reaches(self, name: str, most: Float[Tensor, " m"]) -> None:
        """A little is added for what is below normal numbers."""
        self.reach[name] = most + 4 * self._tiny / self.u
        self._sums[name] = self.reach[name].sum()

    def settle_node(self, node: Node) -> None:
        """Fix what a node is charged, by the magnitudes of those that it reads."""
        match node.op:
            case Input():
                lost: Tensor | float = node.size
                self.errs[node.name] = (node.size + self.more) * self.reach[node.name]
            case Affine():
                sums = self._sums_of[node.name]
                total = (node.size + self.more) * (sums.bias + self._tiny / self.u)
                lost = node.size
                for sizes, name in zip(sums.sizes, node.reads, strict=True):
                    terms = sizes.terms[1]
                    here = sizes(self.reach[name][None])[0]
                    if sums.least < self._tiny:
                        here = here + self._tiny / self.u * self._sums[name]
                    total = total + (terms + self.more) * here
                    lost = lost + terms * self._sums[name]
                self.errs[node.name] = total
            case Elementwise():
                lost = node.size + self._sums[node.reads[0]]
        self.lost = self.lost + 4 * self._tiny * lost

    def holds_for(self, rooms: Rooms) -> bool:
        """Whether what was settled holds for these rooms: each lies in one that was settled for."""
        if not self._settled:
            return False
        (low, high), (least, most) = rooms.span(), self._settled
        if len(least) not in (1, len(low)):
            return False
        return bool((low >= least).all()) and bool((high <= most).all())

    def forwards(self, name: str, size: Float[Tensor, "b m"], mosts: list[Tensor]) -> Tensor:
        """What bounds of an affine node by intervals cost: a row's products, and two sums a part.

        What may be lost below the smallest normal number is charged where a product can be so
        small.

        Args:
            name: of the node.
            size: the sum of the magnitudes of all terms.
            mosts: the magnitudes of each node that it reads, ``(b, n)``.
        """
        sums, tiny = self._sums_of[name], self._tiny
        faint = sums.least < tiny
        lost: Tensor | float = 4 * tiny if faint else 0.0
        for sizes, most in zip(sums.sizes, mosts, strict=True):
            least = float(torch.where(most > 0, most, torch.inf).amin())
            if faint or min(sums.least, 1.0) * least * self.u < tiny:
                ones = sizes(torch.ones_like(most[:1]))
                lost = lost + 4 * tiny * (sizes.terms[0] + most.sum(1, keepdim=True) + ones)
        charged = min(self.charged, 2 * self.u) if sums.forwards * self.u < 1 / 16 else np.inf
        return charged * sums.forwards * size + lost

    def weighing(
        self,
        weight: Float[Tensor, "b k"],
        rows: Float[Tensor, "*b k m"],
        sides: Float[Tensor, "*b k"],
    ) -> Float[Tensor, " b"]:
        """By how much rounding may change rows and sides of the output that are weighted and added.

        Rows and sides may be the same for all of the batch.
        """
        sizes = rows.abs() @ self.reach[self.network.output] + sides.abs()
        return self.unit_of(weight.shape[1]) * (weight * sizes).sum(-1)


def _least_of(one: LinearMap) -> float:
    """The smallest magnitude of an entry that is not 0."""
    match one:
        case Dense(entries):
            return _least(entries)
        case Convolution():
            return _least(one.kernel)
        case _:
            return _least(one.tocsr().data)


def _least(entries: np.ndarray) -> float:
    sizes = np.abs(entries[entries != 0])
    return float(sizes.min()) if sizes.size else np.inf
