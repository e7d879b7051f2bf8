"""No attack is nearer than what is proved to be nearest."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch_toys import INF, answers

from dualbound import Limits, Untargeted, load, nearest
from dualbound.attacks import classifier, deepfool, distance, fgsm, momentum_pgd, pgd, virtual
from dualbound.data import load_dataset

pytestmark = pytest.mark.unchecked_shapes


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("norm", ["linf", "l1"])
@pytest.mark.parametrize("name", ["dnn1", "dnn2"])
@pytest.mark.slow
def test_no_attack_is_nearer_than_the_proved_minimum(name: str, norm: str) -> None:
    network, data = load(name), load_dataset("sample", "test").subset(slice(3))
    net, x = classifier(network), torch.as_tensor(data.values())
    y = torch.as_tensor(data.labels.copy())
    assert torch.equal(answers(net, x), y)
    bounds = [
        nearest(network, row, Untargeted(margin=1e-9), norm=norm, limits=Limits(60)).bound
        for row in data.values()
    ]
    proved = torch.as_tensor(bounds)
    found = [deepfool(net, x, y, eps=INF, norm=norm)]
    for share in (1.05, 1.5, 3.0):
        eps = share * proved
        found += [
            fgsm(net, x, y, eps=eps, norm=norm),
            pgd(net, x, y, eps=eps, norm=norm),
            momentum_pgd(net, x, y, eps=eps, norm=norm),
            virtual(net, x, y, eps=eps, norm=norm),
        ]
    nearest_found = np.full(len(x), np.inf)
    for points in found:
        outputs = network(points.numpy().astype(float))
        turned = outputs.argmax(axis=1) != data.labels
        far = distance(points, x, norm).numpy()
        assert np.all(far[turned] >= np.array(bounds)[turned] - 1e-7)
        nearest_found = np.minimum(nearest_found, np.where(turned, far, np.inf))
    assert np.all(nearest_found <= 3 * np.array(bounds))
