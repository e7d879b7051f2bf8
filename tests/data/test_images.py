import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from dualbound.data.images import load_image
from dualbound.data.sample import sample
from dualbound.errors import DataError, InvalidInput

MNIST = (1, 1, 28, 28)
GREY = np.arange(28 * 28, dtype=np.uint8).reshape(28, 28)
COLOUR = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)


@given(index=st.integers(0, 299))
def test_an_image_of_the_sample_is_its_bytes_over_255(index):
    image = load_image(f"sample:{index}", (784,))
    assert np.array_equal(image.pixels, sample().inputs[index].reshape(-1) / 255)
    assert image.label == sample().labels[index]
    assert image.name == f"sample:{index}"


def test_an_image_keeps_its_own_shape_when_none_is_asked_for():
    assert load_image("sample:3").pixels.shape == (1, 28, 28)


def test_the_pixels_are_read_only_and_the_sample_stays_as_it_is():
    with pytest.raises(ValueError, match="read-only"):
        load_image("sample:3").pixels[0] = 1


def test_the_data_set_agrees_with_the_sample(data_root):
    ours, official = load_image("sample:17", MNIST), load_image("mnist:test:17", MNIST)
    assert np.array_equal(ours.pixels, official.pixels)
    assert ours.label == official.label
    assert load_image("fashion-mnist:train:3", MNIST).label == 3


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("sample:300", r"'sample:300': there is no image 300; the indices go from 0 to 299\."),
        ("sample:-1", "there is no image -1; the indices go from 0 to 299"),
        ("sample:" + "9" * 5000, "the indices go from 0 to 299"),
        ("sample", r"expected sample:INDEX with an index from 0 to 299"),
        ("sample:", "expected sample:INDEX"),
        ("sample:1_0", "expected sample:INDEX"),
        ("sample:one", "expected sample:INDEX"),
        ("sample:1:2", "expected sample:INDEX"),
        ("mnist:17", "no split '17'; expected mnist:train:INDEX or mnist:test:INDEX"),
        ("fashion-mnist", "no split ''"),
        ("cifar:test:3", r"this name \(did you mean cifar10\?\)\. Expected sample:INDEX"),
        ("foo:test:3", r"'foo:test:3': no image set has this name\. Expected sample:INDEX"),
        ("nowhere.png", "There is no image file 'nowhere.png'"),
        ("", "'' is not an image file"),
        ("x" * 5000 + ".npy", "There is no image file"),
        ("nul\0.npy", "There is no image file"),
    ],
)
def test_what_does_not_exist_is_answered_with_what_does(spec, message):
    with pytest.raises(DataError, match=message):
        load_image(spec, MNIST)


# Arrays


def test_an_array_is_taken_in_its_own_units(tmp_path):
    values = np.linspace(-3, 7, 784).reshape(28, 28)
    np.save(tmp_path / "a.npy", values)
    image = load_image(str(tmp_path / "a.npy"), MNIST)
    assert np.array_equal(image.pixels.reshape(28, 28), values)
    assert image.label is None


@pytest.mark.parametrize("dtype", ["float32", ">f8", "int64", "bool"])
def test_only_bytes_are_divided_by_255(tmp_path, dtype):
    np.save(tmp_path / "a.npy", np.array([0, 1, 1], dtype=dtype))
    assert load_image(str(tmp_path / "a.npy")).pixels.tolist() == [0, 1, 1]
    np.save(tmp_path / "b.npy", np.array([0, 51, 255], dtype=np.uint8))
    assert load_image(str(tmp_path / "b.npy")).pixels.tolist() == [0, 0.2, 1]


@pytest.mark.parametrize("own", [(4, 5, 3), (1, 4, 5, 3)])
@pytest.mark.parametrize("wanted", [(3, 4, 5), (1, 3, 4, 5)])
def test_colours_move_to_the_axis_where_the_network_has_them(tmp_path, own, wanted):
    values = np.random.default_rng(0).random(own)
    np.save(tmp_path / "a.npy", values)
    first = load_image(str(tmp_path / "a.npy"), wanted).pixels
    assert first.shape == wanted
    assert np.array_equal(first.reshape(3, 4, 5), values.reshape(4, 5, 3).transpose(2, 0, 1))
    np.save(tmp_path / "b.npy", first)
    assert np.array_equal(load_image(str(tmp_path / "b.npy"), own).pixels, values)


@pytest.mark.parametrize(
    ("array", "error", "message"),
    [
        (np.zeros(783), InvalidInput, r"has 783 values \(783,\), expected 784 to fill"),
        (np.full(784, np.nan), InvalidInput, "784 of 784 values that are not finite .* position 0"),
        (np.r_[np.zeros(783), np.inf], InvalidInput, "1 of 784 .* first is inf at position 783"),
        (np.zeros(0), DataError, "is empty"),
        (np.zeros(784, dtype=complex), DataError, "values of type complex128, expected real"),
        (np.full(784, "a"), DataError, "expected real numbers"),
    ],
)
def test_an_array_that_is_no_image_is_refused(tmp_path, array, error, message):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(error, match=message):
        load_image(str(tmp_path / "a.npy"), MNIST)


def test_an_array_of_objects_is_never_unpickled(tmp_path):
    np.save(tmp_path / "a.npy", np.array([print, 1], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"not a complete \.npy file of numbers"):
        load_image(str(tmp_path / "a.npy"), MNIST)


def test_a_header_that_promises_too_much_is_refused_before_memory_is_taken(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(784))
    content = (tmp_path / "a.npy").read_bytes().replace(b"(784,), }", b"(78400000000000,), }")
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(DataError, match="not a complete"):
        load_image(str(tmp_path / "a.npy"), MNIST)


# Tables


@pytest.mark.parametrize(
    "text", ["0,0.5,1,2", "0 0.5\n1\t2\n", " 0 , 0.5\r\n\r\n1, 2e0\r\n", "\ufeff0,.5,1,+2"]
)
def test_a_table_may_use_commas_white_space_and_lines(tmp_path, text):
    (tmp_path / "a.csv").write_text(text, encoding="utf-8", newline="")
    assert load_image(str(tmp_path / "a.csv"), (2, 2)).pixels.tolist() == [[0, 0.5], [1, 2]]


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"", DataError, r"a\.csv is an empty file"),
        (b"\n \n", DataError, "holds no value"),
        (b"1,2\n3,four\n", DataError, "line 2, column 2: found 'four', expected a number"),
        (b"1,,2", DataError, "line 1, column 2: found '', expected a number"),
        (b"1_0,2", DataError, "found '1_0'"),
        (b"1;2", DataError, "found '1;2'"),
        (b"\x89PNG\xff", DataError, "not a text file"),
        (b"1,nan,3,4", InvalidInput, "1 of 4 values .* first is nan at position 1"),
        (b"1,2,3", InvalidInput, r"has 3 values \(3,\), expected 4 to fill the shape \(2, 2\)"),
    ],
)
def test_a_table_that_is_no_image_is_refused(tmp_path, content, error, message):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(error, match=message):
        load_image(str(tmp_path / "a.csv"), (2, 2))


# Pictures


@pytest.mark.parametrize("shape", [MNIST, (1, 28, 28), (784,), (1, 784), (28, 28, 1), (28, 28)])
def test_a_grey_picture_fills_every_shape_of_its_size(tmp_path, shape):
    Pillow.fromarray(GREY).save(tmp_path / "a.PNG")
    image = load_image(str(tmp_path / "a.PNG"), shape)
    assert image.pixels.shape == shape
    assert np.array_equal(image.pixels.reshape(28, 28), GREY / 255)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "LA"])
def test_a_picture_becomes_grey_for_a_grey_network(tmp_path, mode):
    grey = Pillow.fromarray(GREY)
    grey.convert(mode).save(tmp_path / "a.png")
    pixels = load_image(str(tmp_path / "a.png"), MNIST).pixels
    assert np.array_equal(pixels.reshape(28, 28), GREY / 255)


def test_a_colour_picture_has_its_channels_where_the_network_wants_them(tmp_path):
    Pillow.fromarray(COLOUR).save(tmp_path / "a.png")
    spec = str(tmp_path / "a.png")
    first = COLOUR.transpose(2, 0, 1) / 255
    assert np.array_equal(load_image(spec).pixels, first)
    assert np.array_equal(load_image(spec, (1, 3, 4, 5)).pixels[0], first)
    assert np.array_equal(load_image(spec, (1, 4, 5, 3)).pixels[0], COLOUR / 255)
    assert np.array_equal(load_image(spec, (60,)).pixels, first.reshape(-1))


def test_a_grey_picture_for_a_colour_network_has_three_equal_channels(tmp_path):
    Pillow.fromarray(GREY).save(tmp_path / "a.png")
    pixels = load_image(str(tmp_path / "a.png"), (3, 28, 28)).pixels
    assert np.array_equal(pixels, np.stack([GREY / 255] * 3))


def test_a_jpeg_is_read(tmp_path):
    Pillow.fromarray(np.full((28, 28), 51, dtype=np.uint8)).save(tmp_path / "a.jpg", quality=95)
    assert load_image(str(tmp_path / "a.jpg"), MNIST).pixels == pytest.approx(0.2, abs=0.01)


def test_a_picture_of_another_format_is_not_folded_into_shape(tmp_path):
    Pillow.fromarray(GREY.reshape(14, 56)).save(tmp_path / "a.png")
    with pytest.raises(InvalidInput, match=r"height 14 and width 56, .* shape \(1, 1, 28, 28\)"):
        load_image(str(tmp_path / "a.png"), MNIST)


def test_a_picture_with_16_bits_is_refused(tmp_path):
    Pillow.fromarray(GREY.astype(np.uint16) * 257).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="more than 8 bits a channel"):
        load_image(str(tmp_path / "a.png"), MNIST)


def test_a_picture_with_transparent_pixels_is_refused(tmp_path):
    picture = Pillow.fromarray(GREY).convert("RGBA")
    picture.putpixel((3, 3), (0, 0, 0, 0))
    picture.save(tmp_path / "a.png")
    with pytest.raises(DataError, match="transparent pixels"):
        load_image(str(tmp_path / "a.png"), MNIST)


NOISE = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)


@given(data=st.data())
def test_a_damaged_picture_is_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("png") / "a.png"
    Pillow.fromarray(NOISE).save(path)
    whole = path.read_bytes()
    # The last 12 bytes only say that the file ends; without them the pixels are all there.
    pixels = len(whole) - 12
    path.write_bytes(whole[: data.draw(st.integers(1, pixels - 1), label="length")])
    with pytest.raises(DataError, match="not a complete PNG or JPEG"):
        load_image(str(path), MNIST)
    broken = bytearray(whole)
    broken[data.draw(st.integers(0, pixels - 1), label="position")] ^= 0xFF
    path.write_bytes(broken)
    with pytest.raises(DataError, match="not a complete PNG or JPEG"):
        load_image(str(path), MNIST)


# Files in general


@pytest.mark.parametrize("name", ["a.npy", "a.csv", "a.png"])
def test_an_empty_file_and_a_folder_are_refused(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(DataError, match="is an empty file"):
        load_image(str(tmp_path / name), MNIST)
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    with pytest.raises(DataError, match="s a directory"):
        load_image(str(tmp_path / name), MNIST)


def test_a_file_of_another_kind_is_answered_with_the_known_kinds(tmp_path):
    (tmp_path / "a.gif").write_bytes(b"GIF89a")
    with pytest.raises(DataError, match=r"not an image file of a known kind.*\.npy, \.csv, \.png"):
        load_image(str(tmp_path / "a.gif"), MNIST)
