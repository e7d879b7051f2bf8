import hashlib

import numpy as np
import pytest

from dualbound.data import networks
from dualbound.data.mnist import mnist
from dualbound.data.sample import sample
from dualbound.errors import DataError


def test_the_sample_is_cut_from_the_official_test_set(data_root):
    official, ours = mnist("test"), sample()
    assert np.array_equal(official.inputs[: len(ours)], ours.inputs)
    assert np.array_equal(official.labels[: len(ours)], ours.labels)


def test_the_sample_has_every_class_and_cannot_be_changed():
    ours = sample()
    assert set(ours.labels) == set(range(10))
    with pytest.raises(ValueError, match="read-only"):
        ours.inputs[0, 0, 0, 0] = 1


@pytest.mark.parametrize("name", networks.names())
def test_a_card_describes_its_file(name):
    card = networks.card(name)
    content = networks.path(name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == card["sha256"]
    assert card["name"] == name
    assert card["accuracy"]["test"] > 0.9


@pytest.mark.parametrize("name", networks.names())
def test_an_embedded_network_is_as_accurate_on_the_sample_as_its_card_says(name):
    import onnxruntime

    ours = sample()
    session = onnxruntime.InferenceSession(networks.path(name), providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"image": ours.values()})
    share = np.mean(logits.argmax(axis=1) == ours.labels)
    # 300 of 10,000 images: four standard deviations of the sampling.
    p = networks.card(name)["accuracy"]["test"]
    assert abs(share - p) < 4 * np.sqrt(p * (1 - p) / len(ours))


def test_an_unknown_network_is_answered_with_the_known_ones():
    with pytest.raises(DataError, match=r"'dnn9'; there are dnn1, dnn2, .*, mlp-64-64"):
        networks.path("dnn9")
    with pytest.raises(DataError, match="there are dnn1"):
        networks.card("../datasets")


def test_the_embedded_files_stay_under_3_megabytes():
    folder = networks.path("dnn1").parent.parent
    files = [f for part in ("networks", "sample") for f in (folder / part).iterdir()]
    assert sum(f.stat().st_size for f in files) < 3e6
