import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from dualbound.data import load_dataset
from dualbound.errors import DataError, InvalidInput


def picture(seed, *, size=(3, 4), colours=1, kind="png"):
    """Bytes of a picture file and its pixels, channels first."""
    shape = size if colours == 1 else (*size, colours)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    stream = io.BytesIO()
    Pillow.fromarray(pixels).save(stream, kind)
    return stream.getvalue(), np.atleast_3d(pixels).transpose(2, 0, 1)


def content(seed, **options):
    return picture(seed, **options)[0]


def write(root, files, *, packed):
    """Files below a folder, or in a zip file with the same names."""
    if packed:
        with zipfile.ZipFile(root / "set.zip", "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return root / "set.zip"
    for name, data in files.items():
        place = root / "set" / name
        if name.endswith("/"):
            place.mkdir(parents=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
    return root / "set"


TWO = {f"{one}/{k}.png": content(7 * k + len(one)) for one in ("cat", "mouse") for k in range(6)}
BOTH = {f"{part}/{file}": data for part in ("train", "test") for file, data in TWO.items()}

packing = pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])


@given(
    counts=st.lists(st.integers(2, 7), min_size=2, max_size=3),
    colours=st.sampled_from([1, 3]),
    packed=st.booleans(),
    top=st.sampled_from(["", "pets/", "a/b/"]),
)
def test_every_picture_is_read_with_its_class(tmp_path_factory, counts, colours, packed, top):
    files, wanted = {}, set()
    for label, count in enumerate(counts):
        for k in range(count):
            files[f"{top}class {label}/{k}.PNG"], pixels = picture(100 * label + k, colours=colours)
            wanted.add((pixels.tobytes(), label))
    path = write(tmp_path_factory.mktemp("set"), files, packed=packed)
    parts = [load_dataset(path, split) for split in ("train", "test")]
    found = [
        (one.tobytes(), int(label))
        for part in parts
        for one, label in zip(part.inputs, part.labels, strict=True)
    ]
    assert len(found) == sum(counts)
    assert set(found) == wanted
    for part in parts:
        assert part.shape == (colours, 3, 4)
        assert part.inputs.dtype == np.uint8
        assert part.classes == tuple(f"class {k}" for k in range(len(counts)))
        assert set(part.labels) == set(range(len(counts)))


@packing
def test_train_and_test_folders_are_the_parts(tmp_path, packed):
    train = {f"set/train/{one}/{k}.png": content(k) for one in "ab" for k in range(3)}
    test = {f"set/test/{one}/x.png": content(9) for one in "b"}
    path = write(tmp_path, train | test | {"set/README.md": b"words"}, packed=packed)
    found = load_dataset(path, "test")
    assert (found.classes, found.labels.tolist(), found.split) == (("a", "b"), [1], "test")
    assert np.array_equal(found.inputs[0], picture(9)[1])
    assert load_dataset(path, "train").labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.name == str(path)


@packing
def test_the_test_pictures_are_as_large_as_the_training_pictures(tmp_path, packed):
    test = {f"test/{one}/1.png": content(1, size=(5, 6)) for one in ("cat", "mouse")}
    train = {f"train/{name}": data for name, data in TWO.items()}
    path = write(tmp_path, train | test, packed=packed)
    assert len(load_dataset(path)) == 12
    with pytest.raises(DataError, match=r"test/cat/1\.png is 6 x 5 .*4 x 3 .*train/cat/0\.png"):
        load_dataset(path, "test")


@packing
def test_a_train_folder_alone_is_cut(tmp_path, packed):
    path = write(tmp_path, {f"train/{name}": data for name, data in TWO.items()}, packed=packed)
    alone = write(tmp_path, {"else/" + name: data for name, data in TWO.items()}, packed=True)
    for split, n in (("train", 10), ("test", 2)):
        assert len(load_dataset(path, split)) == n
        if packed:
            continue
        assert load_dataset(path, split).sha256 == load_dataset(alone, split).sha256


def test_a_test_folder_alone_has_no_train_part(tmp_path):
    path = write(tmp_path, {f"test/{name}": data for name, data in TWO.items()}, packed=False)
    assert len(load_dataset(path, "test")) == 12
    with pytest.raises(DataError, match="has no folder train/ beside test/"):
        load_dataset(path, "train")


def test_train_and_test_may_be_classes(tmp_path):
    files = {f"{one}/{k}.png": content(k) for one in ("train", "test", "bus") for k in range(2)}
    assert load_dataset(write(tmp_path, files, packed=False)).classes == ("bus", "test", "train")


def test_a_folder_and_a_zip_of_it_are_the_same_data(tmp_path):
    one, other = (load_dataset(write(tmp_path, BOTH, packed=packed)) for packed in (False, True))
    assert one.sha256 == other.sha256


def test_classes_that_are_numbers_are_in_their_order(tmp_path):
    files = {f"{one}/{k}.png": content(k) for one in (10, 9, 1) for k in range(2)}
    assert load_dataset(write(tmp_path, files, packed=True)).classes == ("1", "9", "10")


@packing
def test_hidden_and_other_files_are_passed_over(tmp_path, packed):
    others = {
        "notes.txt": b"words",
        "cat/labels.csv": b"1,2",
        "cat/.DS_Store": b"",
        ".git/objects/1.png": b"",
        "__MACOSX/cat/._1.png": b"",
    }
    path = write(tmp_path, TWO | others, packed=packed)
    assert load_dataset(path).classes == ("cat", "mouse")


def test_jpeg_and_png_may_be_mixed(tmp_path):
    files = TWO | {"cat/a.jpg": content(1, kind="jpeg"), "cat/b.JPEG": content(2, kind="jpeg")}
    path = write(tmp_path, files, packed=False)
    assert sum(len(load_dataset(path, split)) for split in ("train", "test")) == 14


def truncated(data):
    return data[: len(data) // 2]


@packing
@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"mouse/9.png": truncated(content(1))}, "mouse/9.png is not a complete PNG or JPEG"),
        ({"mouse/9.png": b""}, "mouse/9.png is not a complete PNG or JPEG"),
        ({"mouse/9.jpg": b"GIF89a"}, "mouse/9.jpg is not a complete PNG or JPEG"),
        (
            {"mouse/9.png": content(1, size=(5, 6))},
            "mouse/9.png is 6 x 5 grey pixels, expected 4 x 3 grey pixels as .*cat/0.png",
        ),
        (
            {"mouse/9.png": content(1, colours=3)},
            "mouse/9.png is 4 x 3 colour pixels, expected 4 x 3 grey pixels as .*cat/0.png",
        ),
        ({"dog/": b""}, "dog has no pictures in it. Expected a folder for each class"),
        ({"dog/1.gif": b"GIF89a"}, "dog has no pictures in it"),
    ],
    ids=["truncated", "empty", "gif", "size", "colours", "empty-class", "only-gif"],
)
def test_one_bad_picture_or_folder_is_named(tmp_path, packed, files, message):
    path = write(tmp_path, TWO | files, packed=packed)
    with pytest.raises(DataError, match=f"set(.zip)?/{message}"):
        load_dataset(path)


@packing
@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"1.png": content(1), "2.png": content(2)}, "has no folders in it. Expected a folder for"),
        ({"notes.txt": b""}, "has no folders in it"),
        ({"cat/deep/1.png": content(1), "dog/deep/1.png": content(1)}, "/cat has no pictures"),
        (
            BOTH | {"test/dog/1.png": content(1)},
            "/test/dog is a class that train/ has not; found there cat, mouse",
        ),
        (
            {f"train/{name}": one for name, one in TWO.items()} | {"test/": b""},
            "/test has no folders in it",
        ),
    ],
    ids=["no-folders", "nothing", "too-deep", "strange-class", "empty-test"],
)
def test_what_has_no_class_folders_is_refused(tmp_path, packed, files, message):
    with pytest.raises(
        DataError, match=f"set(.zip)?{message if message[0] == '/' else '.*' + message}"
    ):
        load_dataset(write(tmp_path, files, packed=packed))


def test_one_class_is_not_enough(tmp_path):
    files = {name: data for name, data in TWO.items() if name.startswith("cat")}
    with pytest.raises(InvalidInput, match="has the classes 'cat', expected two or more"):
        load_dataset(write(tmp_path, files, packed=False))


@pytest.mark.parametrize("data", [b"", b"PK", b"<html>404</html>", "half"])
def test_a_zip_that_is_none_is_refused(tmp_path, data):
    path = write(tmp_path, TWO, packed=True)
    path.write_bytes(truncated(path.read_bytes()) if data == "half" else data)
    with pytest.raises(DataError, match=r"set\.zip is not a complete \.zip file"):
        load_dataset(path)


def test_a_damaged_member_of_a_zip_is_named(tmp_path):
    path = write(tmp_path, TWO, packed=True)
    damaged = bytearray(path.read_bytes())
    damaged[damaged.index(b"IDAT") + 8] ^= 0xFF
    path.write_bytes(damaged)
    with pytest.raises(DataError, match=r"set\.zip/cat/0\.png cannot be unpacked: Bad CRC-32"):
        load_dataset(path)


def test_a_picture_with_transparent_pixels_is_named(tmp_path):
    stream = io.BytesIO()
    Pillow.new("RGBA", (4, 3), (1, 2, 3, 4)).save(stream, "png")
    path = write(tmp_path, TWO | {"cat/clear.png": stream.getvalue()}, packed=False)
    with pytest.raises(DataError, match=r"cat/clear\.png has transparent pixels"):
        load_dataset(path)
