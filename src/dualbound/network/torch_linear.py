"""Linear maps in torch, forwards and backwards, and activations, on any device and in any type."""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dualbound.network.linear import Convolution, Dense, LinearMap, Sparse

TORCH: dict[str, Callable[[Tensor], Tensor]] = {
    "Relu": torch.relu,
    "Sigmoid": torch.sigmoid,
    "Sign": torch.sign,
}
"""Activations, by operator."""


class TorchMap(nn.Module, ABC):
    """A linear map of ``n`` numbers to ``m``, its weights constants that move with ``.to(...)``."""

    @abstractmethod
    def pull_back(self, c: Float[Tensor, "*k m"]) -> Float[Tensor, "*k n"]:
        """What coefficients of its values are in terms of what it reads."""

    @abstractmethod
    def magnitude(self) -> TorchMap:
        """The map whose entries are the magnitudes of these."""

    @property
    @abstractmethod
    def terms(self) -> tuple[int, int]:
        """How many products one of its values, and one number that is pulled back, add up at most.

        >>> import numpy as np
        >>> torch_map(Dense(np.ones((3, 5))), torch.float32).terms
        (5, 3)
        """


def torch_map(
    one: LinearMap, dtype: torch.dtype, device: torch.device | str | None = None
) -> TorchMap:
    """A map as a torch module.

    >>> import numpy as np
    >>> torch_map(Dense(np.array([[1.0, -1.0]])), torch.float32)(torch.tensor([[3.0, 1.0]]))
    tensor([[2.]])
    """
    made: TorchMap
    match one:
        case Dense(matrix):
            made = TorchDense(torch.as_tensor(matrix.copy()).to(dtype))
        case Convolution():
            made = TorchConvolution(one, torch.as_tensor(one.kernel.copy()).to(dtype))
        case Sparse(matrix):
            rows = _csr(
                torch.as_tensor(matrix.indptr.astype("int64")),
                torch.as_tensor(matrix.indices.astype("int64")),
                torch.as_tensor(matrix.data.copy()).to(dtype),
                matrix.shape,
            )
            made = TorchSparse(rows)
        case _:
            raise TypeError(f"a {type(one).__name__} is no linear map")
    return made.to(device)


def _csr(starts: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A sparse matrix, without what torch says the first time that a process makes one."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(starts, columns, values, shape, check_invariants=False)


class TorchDense(TorchMap):
    """A matrix."""

    weight: Tensor

    def __init__(self, weight: Float[Tensor, "m n"]) -> None:
        super().__init__()
        self.register_buffer("weight", weight)

    def forward(self, v: Float[Tensor, "*k n"]) -> Float[Tensor, "*k m"]:
        """``M v``."""
        return v @ self.weight.T

    def pull_back(self, c: Float[Tensor, "*k m"]) -> Float[Tensor, "*k n"]:
        """See `TorchMap.pull_back`."""
        return c @ self.weight

    def magnitude(self) -> TorchMap:
        """See `TorchMap.magnitude`."""
        return TorchDense(self.weight.abs())

    @property
    def terms(self) -> tuple[int, int]:
        """A row, and a column."""
        rows, columns = self.weight.shape
        return columns, rows


def _transposed(matrix: Tensor) -> Tensor:
    """The transpose of a sparse matrix, in the same format."""
    coo = matrix.to_sparse(layout=torch.sparse_coo)
    return coo.transpose(0, 1).coalesce().to_sparse(layout=torch.sparse_csr)


class TorchSparse(TorchMap):
    """A matrix with few entries, and its transpose."""

    weight: Tensor
    transposed: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("transposed", _transposed(weight))

    def forward(self, v: Float[Tensor, "*k n"]) -> Float[Tensor, "*k m"]:
        """``M v``."""
        return self._times(self.weight, v)

    def pull_back(self, c: Float[Tensor, "*k m"]) -> Float[Tensor, "*k n"]:
        """See `TorchMap.pull_back`."""
        return self._times(self.transposed, c)

    def magnitude(self) -> TorchMap:
        """See `TorchMap.magnitude`."""
        weight = self.weight
        entries = (weight.crow_indices(), weight.col_indices(), weight.values().abs())
        return TorchSparse(_csr(*entries, weight.shape))

    @property
    def terms(self) -> tuple[int, int]:
        """The fullest row, and the fullest column."""
        starts = (self.weight.crow_indices(), self.transposed.crow_indices())
        row, column = (int(start.diff().max()) for start in starts)
        return row, column

    @staticmethod
    def _times(matrix: Tensor, v: Tensor) -> Tensor:
        flat = v.reshape(-1, v.shape[-1])
        return (matrix @ flat.T).T.reshape(*v.shape[:-1], matrix.shape[0])


class TorchConvolution(TorchMap):
    """A convolution over one or two axes of space."""

    kernel: Tensor

    def __init__(self, one: Convolution, kernel: Tensor) -> None:
        super().__init__()
        self.one = one
        self.register_buffer("kernel", kernel)

    def forward(self, v: Float[Tensor, "*k n"]) -> Float[Tensor, "*k m"]:
        """The convolution."""
        one = self.one
        image = v.reshape(-1, one.channels, *one.space)
        if all(before == after for before, after in one.pads):
            pads = [before for before, _ in one.pads]
        else:
            wide = [n for pair in reversed(one.pads) for n in pair]
            image, pads = nn.functional.pad(image, wide), [0] * len(one.space)
        convolve = nn.functional.conv1d if len(one.space) == 1 else nn.functional.conv2d
        made = convolve(image, self.kernel, None, one.strides, pads, one.dilations, one.groups)
        return made.reshape(*v.shape[:-1], one.shape[0])

    def pull_back(self, c: Float[Tensor, "*k m"]) -> Float[Tensor, "*k n"]:
        """The transposed convolution, without what falls on the padding."""
        one = self.one
        image = c.reshape(-1, one.filters, *one.out_space)
        reach = [
            dilation * (window - 1) + 1
            for dilation, window in zip(one.dilations, one.kernel.shape[2:], strict=True)
        ]
        padded = [size + sum(pad) for size, pad in zip(one.space, one.pads, strict=True)]
        missed = [
            size - ((out - 1) * stride + width)
            for size, out, stride, width in zip(
                padded, one.out_space, one.strides, reach, strict=True
            )
        ]
        back = nn.functional.conv_transpose1d
        if len(one.space) == 2:
            back = nn.functional.conv_transpose2d
        wide = back(image, self.kernel, None, one.strides, 0, missed, one.groups, one.dilations)
        cut = tuple(
            slice(before, before + size)
            for (before, _), size in zip(one.pads, one.space, strict=True)
        )
        inner = wide[(slice(None), slice(None), *cut)]
        return inner.reshape(*c.shape[:-1], math.prod((one.channels, *one.space)))

    def magnitude(self) -> TorchMap:
        """See `TorchMap.magnitude`."""
        return TorchConvolution(self.one, self.kernel.abs())

    @property
    def terms(self) -> tuple[int, int]:
        """A window of a group's channels; and of its filters, as far as a place is in windows."""
        one = self.one
        window = one.kernel.shape[2:]
        apart = [s // math.gcd(s, d) for s, d in zip(one.strides, one.dilations, strict=True)]
        places = math.prod(-(-w // a) for w, a in zip(window, apart, strict=True))
        return math.prod(window) * one.kernel.shape[1], places * (one.filters // one.groups)
