"""Linear maps in torch are those in numpy, forwards and backwards."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from dualbound.network.linear import Convolution, Dense, LinearMap, Sparse
from dualbound.network.torch_linear import torch_map


def scattered(shape: tuple[int, int]) -> sp.csr_array:
    rng = np.random.default_rng(0)
    return sp.csr_array(rng.normal(size=shape) * (rng.random(shape) < 0.05))


def convolution(*pads: tuple[int, int], **more: object) -> Convolution:
    """Six filters over four channels of a signal of 7, or an image of 7 times 6."""
    rank = len(pads)
    given = {"strides": (1,) * rank, "dilations": (1,) * rank, "groups": 1} | more
    channels = 4 // given["groups"]  # type: ignore[operator]
    kernel = np.random.default_rng(1).normal(size=(6, channels, *(3, 2)[:rank]))
    return Convolution(kernel, (7, 6)[:rank], pads=pads, **given)  # type: ignore[arg-type]


MAPS: dict[str, LinearMap] = {
    "dense": Dense(np.random.default_rng(2).normal(size=(3, 5))),
    "sparse": Sparse(scattered((150, 200))),
    "sparse without entries": Sparse(sp.csr_array((15, 20))),
    "image": convolution((0, 0), (0, 0)),
    "image, padded": convolution((1, 1), (2, 2)),
    "image, padded unevenly": convolution((0, 2), (1, 0)),
    "image, strides that miss the end": convolution((1, 0), (0, 0), strides=(3, 2)),
    "image, dilations": convolution((2, 1), (0, 3), dilations=(2, 3)),
    "image, groups": convolution((0, 0), (1, 1), groups=2),
    "image, everything": convolution((3, 1), (0, 2), strides=(2, 3), dilations=(2, 1), groups=2),
    "signal": convolution((0, 0)),
    "signal, everything": convolution((2, 3), strides=(2,), dilations=(2,), groups=2),
}


@pytest.mark.parametrize("name", MAPS)
def test_is_the_map(name: str) -> None:
    one, module = MAPS[name], torch_map(MAPS[name], torch.float64)
    m, n = one.shape
    rng = np.random.default_rng(3)
    v, c = rng.normal(size=(2, 3, n)), rng.normal(size=(2, 3, m))
    dense = one.toarray()
    np.testing.assert_allclose(module(torch.from_numpy(v)).numpy(), v @ dense.T, atol=1e-12)
    np.testing.assert_allclose(module.pull_back(torch.from_numpy(c)).numpy(), c @ dense, atol=1e-12)
    np.testing.assert_allclose(
        module.magnitude()(torch.from_numpy(v)).numpy(), v @ np.abs(dense).T, atol=1e-12
    )


@pytest.mark.parametrize("name", MAPS)
def test_gradients_flow_to_what_is_read(name: str) -> None:
    one, module = MAPS[name], torch_map(MAPS[name], torch.float64)
    v = torch.zeros((2, one.shape[1]), dtype=torch.float64, requires_grad=True)
    weights = torch.from_numpy(np.random.default_rng(4).normal(size=(2, one.shape[0])))
    torch.sum(module(v) * weights).backward()
    assert v.grad is not None
    np.testing.assert_allclose(v.grad.numpy(), weights.numpy() @ one.toarray(), atol=1e-12)
    assert list(module.parameters()) == []


@pytest.mark.parametrize("name", MAPS)
def test_moves_and_can_be_pickled(name: str) -> None:
    module = pickle.loads(pickle.dumps(torch_map(MAPS[name], torch.float64))).to(torch.float32)
    v = torch.ones((1, MAPS[name].shape[1]))
    assert module(v).dtype == torch.float32
    assert module.pull_back(module(v)).dtype == torch.float32


@pytest.mark.slow
def test_a_sparse_matrix_comes_without_warnings() -> None:
    program = (
        "import warnings, numpy as np, scipy.sparse as sp, torch\n"
        "from dualbound.network.linear import Sparse\n"
        "from dualbound.network.torch_linear import torch_map\n"
        "warnings.simplefilter('error')\n"
        "torch_map(Sparse(sp.csr_array(np.eye(3))), torch.float32).magnitude()\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
