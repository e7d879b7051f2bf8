import io
import sys
import tarfile
import zipfile

import numpy as np
import pytest

from data.test_class_folders import picture
from dualbound.data import cifar, load_dataset
from dualbound.data.cifar import CLASSES, cifar10, cifar10_is_here
from dualbound.errors import DataError

BATCHES = [*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"]
RECORD = 3073
FEW = 20


@pytest.fixture
def few(monkeypatch):
    """A batch has 20 pictures, not 10,000."""
    monkeypatch.setattr(cifar, "_RECORDS", FEW)


def batches(seed=0):
    """Contents of the six files, in the official format."""
    random = np.random.default_rng(seed)
    records = random.integers(0, 256, (len(BATCHES), FEW, RECORD), dtype=np.uint8)
    records[:, :, 0] = np.arange(FEW) % 10
    return dict(zip(BATCHES, (one.tobytes() for one in records), strict=True))


def folder(root, contents):
    place = root / "cifar-10-batches-bin"
    place.mkdir(parents=True)
    for name, content in contents.items():
        (place / name).write_bytes(content)
    return place


def archive(root, contents):
    root.mkdir(parents=True, exist_ok=True)
    path = root / "cifar-10-binary.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def pictures(root, *, classes=CLASSES, each=2):
    """The zip file of JPEG pictures."""
    root.mkdir(parents=True, exist_ok=True)
    path = root / "cifar10-jpeg.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for k in range(each):
            for part in ("train", "test"):
                for label, one in enumerate(classes):
                    content = picture(10 * k + label, size=(32, 32), colours=3, kind="jpeg")[0]
                    packed.writestr(f"cifar10/{part}/{one}/{k:04}.jpg", content)
    return path


@pytest.mark.parametrize("write", [folder, archive])
def test_a_record_is_a_label_then_red_green_and_blue_rows(cache, few, write):
    contents = batches()
    write(cache / "cifar10", contents)
    test = cifar10("test")
    assert (test.name, test.split, test.shape, len(test)) == ("cifar10", "test", (3, 32, 32), FEW)
    # By the format's description: byte 1 + 1024 c + 32 row + column of each record.
    record = np.frombuffer(contents["test_batch.bin"], dtype=np.uint8)[7 * RECORD :]
    assert test.inputs[7, 2, 5, 9] == record[1 + 1024 * 2 + 32 * 5 + 9]
    assert test.classes[test.labels[7]] == "horse"
    train = cifar10("train")
    assert len(train) == 5 * FEW
    last = np.frombuffer(contents["data_batch_5.bin"], dtype=np.uint8)[-1]
    assert train.inputs[-1, -1, -1, -1] == last


def test_the_folder_and_the_archive_are_the_same_data(cache, few, tmp_path, monkeypatch):
    folder(cache / "cifar10", batches())
    archive(tmp_path / "mine", batches())
    one = cifar10("train")
    monkeypatch.setenv("DUALBOUND_DATA", str(tmp_path / "mine"))
    assert cifar10("train").sha256 == one.sha256


@pytest.mark.parametrize("place", ["mine", "mine/cifar10"])
@pytest.mark.parametrize("write", [folder, archive])
def test_the_environment_comes_before_the_cache(cache, few, tmp_path, monkeypatch, write, place):
    folder(cache / "cifar10", batches(1))
    before = cifar10("test").sha256
    write(tmp_path / place, batches(2))
    monkeypatch.setenv("DUALBOUND_DATA", str(tmp_path / "mine"))
    assert cifar10("test").sha256 != before
    assert cifar10_is_here("test")
    assert not cifar10_is_here("validation")


def test_without_network_it_says_which_file_goes_where(cache, offline):
    assert not cifar10_is_here("test")
    with pytest.raises(DataError) as caught:
        load_dataset("cifar10")
    message = str(caught.value)
    assert "cifar-10-binary.tar.gz of cifar10 is not on this machine" in message
    assert f"Put cifar-10-binary.tar.gz into {cache / 'cifar10'}, or" in message
    assert "DUALBOUND_DATA" in message
    assert offline == ["https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"]


def test_a_truncated_archive_is_refused(cache, few):
    path = archive(cache / "cifar10", batches())
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(DataError, match=r"cifar-10-binary\.tar\.gz is truncated or damaged"):
        cifar10("test")


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"\x1f\x8bnonsense"])
def test_what_is_no_archive_is_refused(cache, content):
    (cache / "cifar10").mkdir(parents=True)
    (cache / "cifar10" / "cifar-10-binary.tar.gz").write_bytes(content)
    with pytest.raises(DataError, match="is truncated or damaged"):
        cifar10("test")


def test_a_missing_or_short_batch_is_named(cache, few, tmp_path, monkeypatch):
    contents = batches()
    del contents["data_batch_3.bin"]
    place = folder(cache / "cifar10", contents)
    with pytest.raises(DataError, match=r"data_batch_3\.bin cannot be read: No such file"):
        cifar10("train")
    (place / "test_batch.bin").write_bytes(contents["test_batch.bin"][:-1])
    with pytest.raises(DataError, match=r"test_batch\.bin has 61459 bytes, expected 61460: 20 pic"):
        cifar10("test")
    monkeypatch.setenv("DUALBOUND_DATA", str(tmp_path / "mine"))
    archive(tmp_path / "mine", contents)
    with pytest.raises(DataError, match=r"tar\.gz has no file data_batch_3\.bin in it"):
        cifar10("train")


# Pictures


def test_the_pictures_are_decoded_once_and_kept(cache, tmp_path, monkeypatch):
    pictures(tmp_path / "mine")
    monkeypatch.setenv("DUALBOUND_DATA", str(tmp_path / "mine"))
    first = cifar10("train")
    assert (first.shape, first.classes, len(first)) == ((3, 32, 32), CLASSES, 20)
    kept = list((cache / "decoded").iterdir())
    assert len(kept) == 1
    cifar._read.cache_clear()
    monkeypatch.setattr(cifar, "read_class_folders", lambda *_: pytest.fail("decodes again"))
    again = cifar10("train")
    assert again.sha256 == first.sha256
    assert repr(again) == repr(first)


def test_another_zip_file_is_decoded_anew(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("DUALBOUND_DATA", str(tmp_path / "mine"))
    pictures(tmp_path / "mine", each=2)
    assert len(cifar10("test")) == 20
    pictures(tmp_path / "mine", each=3)
    cifar._read.cache_clear()
    assert len(cifar10("test")) == 30


@pytest.mark.parametrize("content", [b"", b"PK nonsense", "half"])
def test_a_damaged_copy_in_the_cache_is_written_anew(cache, tmp_path, monkeypatch, content):
    monkeypatch.setenv("DUALBOUND_DATA", str(tmp_path / "mine"))
    pictures(tmp_path / "mine")
    first = cifar10("test")
    [kept] = (cache / "decoded").iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(whole[: len(whole) // 2] if content == "half" else content)
    cifar._read.cache_clear()
    assert cifar10("test").sha256 == first.sha256
    assert kept.stat().st_size == len(whole)


def test_a_cache_that_cannot_be_written_is_no_error(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("DUALBOUND_DATA", str(tmp_path / "mine"))
    pictures(tmp_path / "mine")
    cache.write_text("a file where the folder should be")
    assert len(cifar10("test")) == 20


def test_other_classes_are_not_cifar10(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("DUALBOUND_DATA", str(tmp_path / "mine"))
    pictures(tmp_path / "mine", classes=("cat", "dog"))
    with pytest.raises(DataError, match="has the classes cat, dog; expected airplane, automobile"):
        cifar10("test")


def test_nothing_of_the_progress_is_written_where_there_is_no_terminal(
    cache, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("DUALBOUND_DATA", str(tmp_path / "mine"))
    pictures(tmp_path / "mine")
    cifar10("train")
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    cifar10("test")
    out, err = capsys.readouterr()
    assert out == ""
    assert "reading 20 pictures" in err
    assert err.endswith("\r")


def test_the_real_data_have_the_published_size(data_root, tmp_path, monkeypatch):
    if not cifar10_is_here("test"):
        pytest.skip(f"needs CIFAR-10: there is none in DUALBOUND_DATA={data_root}")
    monkeypatch.setattr("dualbound.data.published.cache_folder", lambda name: tmp_path / name)
    test = cifar10("test")
    assert test.inputs.shape == (10_000, 3, 32, 32)
    assert np.bincount(test.labels).tolist() == [1000] * 10
    # The mean of the red, green and blue of natural pictures: red above blue.
    assert test.values(slice(None, None, 7)).mean(axis=(0, 2, 3)) == pytest.approx(
        [0.49, 0.48, 0.45], abs=0.02
    )
