import gzip

import numpy as np
import pooch
import pytest

from data.test_idx import idx
from dualbound.data.mnist import fashion_mnist, mnist
from dualbound.errors import DataError


def write_set(folder, *, n=3, labels=None, seed=0):
    """A data set of n random images in the official file names."""
    folder.mkdir(parents=True)
    images = np.random.default_rng(seed).integers(0, 256, (n, 28, 28), dtype=np.uint8)
    labels = np.arange(n, dtype=np.uint8) if labels is None else labels
    for stem in ("train", "t10k"):
        (folder / f"{stem}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        (folder / f"{stem}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
    return images


@pytest.mark.parametrize(("load", "folder"), [(mnist, "mnist"), (fashion_mnist, "fashion-mnist")])
def test_the_environment_comes_before_the_cache(cache, tmp_path, monkeypatch, load, folder):
    write_set(cache / folder, seed=1)
    images = write_set(tmp_path / "mine" / folder, seed=2)
    monkeypatch.setenv("DUALBOUND_DATA", str(tmp_path / "mine"))
    found = load("train")
    assert np.array_equal(found.inputs[:, 0], images)
    assert (found.name, found.split, len(found)) == (folder, "train", 3)


def test_the_cache_is_used_when_the_environment_has_no_such_set(
    cache, offline, tmp_path, monkeypatch
):
    images = write_set(cache / "mnist")
    monkeypatch.setenv("DUALBOUND_DATA", str(tmp_path / "absent"))
    assert np.array_equal(mnist("test").inputs[:, 0], images)
    assert offline == []


def test_without_network_it_says_which_files_go_where(cache, offline):
    with pytest.raises(DataError) as caught:
        fashion_mnist("test")
    message = str(caught.value)
    assert "t10k-images-idx3-ubyte.gz of fashion-mnist is not on this machine" in message
    assert "train-labels-idx1-ubyte.gz" in message
    assert str(cache / "fashion-mnist") in message
    assert "DUALBOUND_DATA" in message
    assert len(offline) == 2, "both mirrors are tried"


def test_the_second_mirror_is_tried_and_the_file_must_have_the_published_checksum(
    cache, tmp_path, monkeypatch
):
    write_set(tmp_path / "mirror")
    calls = []

    def retrieve(url, *, known_hash, fname, path, downloader):
        calls.append((url, known_hash))
        if "ossci" in url:
            raise ValueError("MD5 hash of downloaded file does not match the known hash")
        return str(tmp_path / "mirror" / fname)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    assert len(mnist("test")) == 3
    assert [known for _, known in calls][:2] == ["md5:9fb629c4189551a2d022fa330f9573f3"] * 2
    assert "ossci" in calls[0][0]
    assert "storage.googleapis.com" in calls[1][0]


def test_images_and_labels_must_be_as_many(cache):
    write_set(cache / "mnist", labels=np.zeros(2, dtype=np.uint8))
    with pytest.raises(DataError, match=r"3 images but .* 2 labels"):
        mnist("test")


def test_an_unknown_split_is_refused(cache, offline):
    with pytest.raises(DataError, match="no split 'validation'"):
        mnist("validation")
    assert offline == []


@pytest.mark.parametrize(("split", "n"), [("train", 60_000), ("test", 10_000)])
@pytest.mark.parametrize("load", [mnist, fashion_mnist])
def test_the_real_data_have_the_published_size(data_root, load, split, n):
    found = load(split)
    assert found.inputs.shape == (n, 1, 28, 28)
    # Both sets are balanced or nearly so, with ten classes.
    counts = np.bincount(found.labels)
    assert len(counts) == 10
    assert counts.min() > 0.08 * n
    assert len(found.classes) == 10


def test_a_class_of_clothing_has_its_name(data_root):
    # The first test image is an ankle boot, as the publishers' list of labels has it.
    found = fashion_mnist("test")
    assert found.classes[found.labels[0]] == "Ankle boot"
