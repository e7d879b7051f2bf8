import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.test_class_folders import TWO, write
from data.test_mnist import write_set
from dualbound.data import load_dataset
from dualbound.data.images import load_image, needs_download
from dualbound.data.sample import sample
from dualbound.errors import DataError, InvalidInput

TABLE = "a,b,label\n" + "".join(f"{k},{k / 2},{'xy'[k % 2]}\n" for k in range(12))


@pytest.fixture
def own(tmp_path):
    """A data set of each kind, by the path of its file or folder."""
    (tmp_path / "a.csv").write_text(TABLE)
    np.savez(tmp_path / "a.npz", x=np.arange(24.0).reshape(12, 2), y=np.arange(12) % 2)
    np.savez(
        tmp_path / "b.npz", x=np.arange(24, dtype=np.uint8).reshape(12, 2), y=np.arange(12) % 2
    )
    folders = [write(tmp_path, TWO, packed=packed) for packed in (False, True)]
    return [tmp_path / "a.csv", tmp_path / "a.npz", tmp_path / "b.npz", *folders]


def test_the_sample_has_a_test_part_only():
    assert load_dataset("sample", "test") is sample()
    with pytest.raises(DataError, match="sample has no split 'train', only test"):
        load_dataset("sample")


def test_a_path_may_be_an_object_and_names_the_set(own):
    for path in own:
        found = load_dataset(path)
        assert found.name == str(path)
        assert found.sha256 == load_dataset(str(path), "train").sha256


def test_a_name_comes_before_a_folder(own, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "set").rename(tmp_path / "sample")
    assert load_dataset("sample", "test") is sample()
    assert load_dataset("./sample", "test").classes == ("cat", "mouse")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("minst", r"no data set 'minst' \(did you mean mnist\?\)\. Expected mnist, fashion-mnist,"),
        ("MNIST", r"did you mean mnist"),
        ("cifar-10", "did you mean cifar10"),
        ("fashion_mnist", "did you mean fashion-mnist"),
        ("nowhere/pets.zip", r"no data set 'nowhere/pets\.zip'\. Expected .* a folder or \.zip"),
        ("", "no data set ''"),
        ("nul\0.csv", "There is no data set"),
        ("x" * 5000, "There is no data set"),
        (__file__, "is not a data set of a known kind"),
    ],
    ids=["swap", "case", "dash", "underscore", "path", "nothing", "nul", "long", "python"],
)
def test_what_does_not_exist_is_answered_with_what_does(spec, message):
    with pytest.raises(DataError, match=message):
        load_dataset(spec)


def test_an_unknown_split_is_refused_by_every_kind(own):
    for spec in ("mnist", "fashion-mnist", "cifar10", "sample", *own):
        with pytest.raises(DataError, match=r"has no split 'validation'; expected train or test"):
            load_dataset(spec, "validation")


def test_a_label_column_is_for_tables(own):
    for spec in ("mnist", *own[1:]):
        with pytest.raises(InvalidInput, match="has no columns"):
            load_dataset(spec, "test", label="kind")


# Members by their names


@given(index=st.integers(0, 299))
def test_a_member_is_the_input_of_the_set(index):
    image = load_image(f"sample:{index}")
    assert np.array_equal(image.pixels.astype(np.float32), sample().values([index])[0])


def test_a_member_of_ones_own_data_is_named_by_path_split_and_index(own):
    for path in own:
        for split in ("train", "test"):
            data = load_dataset(path, split)
            image = load_image(f"{path}:{split}:1")
            wanted = data.inputs[1].astype(float) / (255 if data.inputs.dtype == np.uint8 else 1)
            assert np.array_equal(image.pixels, wanted)
            assert image.label == data.labels[1]
            assert image.name == f"{path}:{split}:1"
    assert load_image(f"{own[0]}:train:0", (1, 2)).pixels.shape == (1, 2)


def test_a_member_is_read_anew_when_its_file_changes(own):
    path, pictures = own[0], own[3]
    before = load_image(f"{path}:train:0").pixels
    path.write_text(TABLE.replace(",", ",1", 30))
    assert not np.array_equal(load_image(f"{path}:train:0").pixels, before)
    before = load_image(f"{pictures}:test:0").pixels
    for file in (pictures / "cat").iterdir():
        file.write_bytes(TWO["mouse/5.png"])
    assert not np.array_equal(load_image(f"{pictures}:test:0").pixels, before)


@pytest.mark.parametrize(
    ("end", "message"),
    [
        (":test:2", r"there is no image 2; the indices go from 0 to 1"),
        (":test:-1", "there is no image -1"),
        (":test:x", r"expected .*a\.npz:test:INDEX with an index from 0 to 1"),
        (":test", "no image set has this name"),
        (":validation:1", "no image set has this name"),
    ],
)
def test_a_member_that_is_not_there_is_refused(own, end, message):
    with pytest.raises(DataError, match=message):
        load_image(f"{own[1]}{end}")


def test_only_public_sets_that_are_not_here_need_a_download(cache, own):
    names = ("sample:1", str(own[0]), f"{own[1]}:test:1", "digit.png")
    assert not any(map(needs_download, names))
    assert all(map(needs_download, ("mnist:test:1", "fashion-mnist:train:1", "cifar10:test:1")))
    write_set(cache / "mnist")
    assert not needs_download("mnist:test:1")
    (cache / "cifar10").mkdir()
    (cache / "cifar10" / "cifar-10-binary.tar.gz").touch()
    assert not needs_download("cifar10:train:1")
