"""Architectures: what a text, a file and a name mean, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dualbound.errors import DataError, InvalidInput
from dualbound.learn import Architecture, fresh
from dualbound.learn.architecture import NAMED, names
from dualbound.learn.layers import BatchNorm, Conv, Dense, Dropout, Pool, Rectified
from examples import examples
from learn.toys import rows

GREY, COLOUR = (1, 28, 28), (3, 32, 32)

sizes = st.integers(1, 999)
layers = st.one_of(
    st.builds(Dense, sizes),
    st.builds(Conv, sizes, st.integers(1, 9), st.integers(1, 3), st.integers(0, 3)),
    st.builds(Pool, st.integers(1, 9), st.booleans()),
    st.builds(Dropout, st.floats(0, 1)),
    st.just(BatchNorm()),
    st.just(Rectified()),
)


def kinds(text: str, shape: tuple[int, ...] = GREY) -> str:
    """The modules that a text becomes, without those of dense layers' flattening."""
    made = [type(module).__name__ for module in Architecture.of(text).build(shape)]
    return " ".join(made)


class TestTexts:
    @given(st.lists(layers, min_size=1, max_size=8))
    def test_say_all_that_there_is(self, chosen: list) -> None:
        if not any(layer.weighted for layer in chosen):
            chosen.append(Dense(10))
        size = 784 if isinstance(chosen[0], Dense) else None
        architecture = Architecture(tuple(chosen), size)
        assert Architecture.of(str(architecture)) == architecture

    @pytest.mark.parametrize("name", NAMED)
    def test_of_papers_build_for_their_data(self, name: str) -> None:
        shape = COLOUR if name == "cnn-cifar" else GREY
        architecture = Architecture.of(name)
        module = architecture.build(shape, classes=10)
        with torch.no_grad():
            assert module.eval()(torch.rand(2, *shape)).shape == (2, 10)
        assert architecture.name == name
        assert Architecture.of(str(architecture)).layers == architecture.layers
        assert name in names()

    def test_may_leave_the_size_of_the_input_to_layers_that_are_not_dense(self) -> None:
        assert Architecture.of("784-64-10").inputs == 784
        for text in ("8c3-10", "d0.1-64-10", "10"):
            assert Architecture.of(text).inputs is None

    def test_of_the_thesis_have_their_weights(self) -> None:
        module = Architecture.of("dnn1").build(GREY)
        weights = [tuple(one.weight.shape) for one in module if isinstance(one, nn.Linear)]
        assert weights == [(8, 784), (8, 8), (8, 8), (10, 8)]


class TestModules:
    @pytest.mark.parametrize(
        ("text", "made"),
        [
            ("784-8-10", "Flatten Linear ReLU Linear"),
            ("784-8-10-relu", "Flatten Linear ReLU Linear ReLU"),
            ("8c3-m2-10", "Conv2d ReLU MaxPool2d Flatten Linear"),
            ("8c3-a2-d0.5-10", "Conv2d ReLU AvgPool2d Dropout Flatten Linear"),
            ("8c3-bn-10", "Conv2d BatchNorm2d ReLU Flatten Linear"),
            ("784-8-bn-d0.2-10", "Flatten Linear BatchNorm1d ReLU Dropout Linear"),
            ("784-8-10-bn", "Flatten Linear ReLU Linear BatchNorm1d"),
            ("784-8-10-d0.5", "Flatten Linear ReLU Linear Dropout"),
            ("8c3-m2-bn-10", "Conv2d ReLU MaxPool2d BatchNorm2d Flatten Linear"),
            ("bn-8c3-10", "BatchNorm2d Conv2d ReLU Flatten Linear"),
        ],
    )
    def test_have_a_rectifier_after_all_weights_but_the_last(self, text: str, made: str) -> None:
        assert kinds(text) == made

    def test_of_rows_are_not_flattened(self) -> None:
        assert kinds("4-8-3", (4,)) == "Linear ReLU Linear"

    @examples(30)
    @given(st.integers(1, 5), st.integers(1, 3), st.integers(0, 2), st.integers(1, 3))
    def test_of_images_have_the_sizes_that_torch_gives_them(
        self, kernel: int, stride: int, padding: int, pool: int
    ) -> None:
        conv = Conv(2, kernel, stride, padding)
        [made], shape = conv.modules((1, 13, 11))
        [pooled], last = Pool(pool).modules(shape)
        with torch.no_grad():
            x = made(torch.zeros(1, 1, 13, 11))
            assert x.shape[1:] == shape
            assert pooled(x).shape[1:] == last

    def test_begin_with_weights_of_the_usual_size_and_no_biases(self) -> None:
        torch.manual_seed(0)
        first, last = (one for one in Architecture.of("784-200-10").build(GREY) if _affine(one))
        assert first.weight.std().item() == pytest.approx((2 / 784) ** 0.5, rel=0.02)
        assert not first.bias.any()
        assert not last.bias.any()

    def test_begin_with_rectified_outputs_that_are_not_zero(self) -> None:
        torch.manual_seed(0)
        module = Architecture.of("mlp-64").build(GREY)
        assert (module(torch.rand(50, *GREY)) > 0).all()

    def test_have_the_weights_of_their_seed(self) -> None:
        before = torch.get_rng_state()
        one, again, other = (fresh("4-8-3", rows(), seed) for seed in (0, 0, 1))
        assert torch.equal(one[0].weight, again[0].weight)
        assert not torch.equal(one[0].weight, other[0].weight)
        assert torch.equal(torch.get_rng_state(), before)


def _affine(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear)


REFUSED = {
    "unknown layer": ("784-x8-10", "a layer 'x8' that is not known.*cnn-paper.*32c3"),
    "empty": ("", "a layer '' that is not known"),
    "gap": ("784--10", "a layer '' that is not known"),
    "negative": ("784-8c-3-10", "a layer '8c' that is not known"),
    "long number": ("9" * 5000 + "-10", "that is not known"),
    "no weights": ("m2-d0.5", "needs a layer with weights"),
    "another input size": ("100-8-10", r"inputs of 100 numbers.*784.*begin it with 784"),
    "another class count": ("784-8-3", "3 outputs, but the data have 10 classes: end it with 10"),
    "ends in a convolution": ("8c3", "must end in a dense layer"),
    "convolution after dense": ("784-8-4c3-10", "8,.*before the dense layers"),
    "pool after dense": ("784-8-m2-10", "before the dense layers"),
    "pool too large": ("8c3-m30-10", "m30 does not fit an image of 26 x 26"),
    "kernel too large": ("8c29-10", "8c29 does not fit an image of 28 x 28"),
    "no neurons": ("784-0-10", "at least 1 neuron in a dense layer, found 0"),
    "no filters": ("0c3-10", "at least 1 filter"),
    "no kernel": ("8c0-10", "at least 1 row in its kernel"),
    "no stride": ("8c3s0-10", "at least 1 step of stride"),
    "no pool": ("8c3-m0-10", "at least 1 row in a pool"),
    "dropped too much": ("784-d1.5-10", "from 0 to 1, found 1.5"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_what_makes_no_sense_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Architecture.of(text).build(GREY, classes=10)


def test_an_architecture_has_layers() -> None:
    with pytest.raises(InvalidInput, match="needs a layer with weights"):
        Architecture(())


class TestToml:
    def test_has_every_layer(self, tmp_path: Path) -> None:
        path = tmp_path / "layers.toml"
        path.write_text(
            "layers = [\n"
            "  { conv = 32, kernel = 3, padding = 1 }, { batch_norm = true },\n"
            "  { conv = 16, kernel = 4, stride = 2 }, { pool = 2 }, { pool = 1, average = true },\n"
            "  { dropout = 0.5 }, { dense = 64 }, { dropout = 0 }, { dense = 10 },\n"
            "  { relu = true },\n"
            "]\n"
        )
        found = Architecture.of(str(path))
        assert str(found) == "32c3p1-bn-16c4s2-m2-a1-d0.5-64-d0.0-10-relu"
        assert Architecture.of(str(found)) == found

    def test_of_dense_layers_only_is_told_the_size_of_the_input(self, tmp_path: Path) -> None:
        path = tmp_path / "dense.toml"
        path.write_text("layers = [{ dense = 8 }, { dense = 10 }]")
        found = Architecture.of(str(path))
        assert found.inputs is None
        assert str(found.taking(GREY)) == "784-8-10"
        assert Architecture.of("784-8-10").taking((5,)).inputs == 784
        assert [str(one) for one in found.build((5,))] == [
            str(one) for one in Architecture.of("5-8-10").build((5,))
        ]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("", "must hold a list 'layers'"),
            ("layers = []", "must hold a list 'layers'"),
            ("layers = 8", "must hold a list 'layers'"),
            ("layers = [{ dense = 10 }]\nepochs = 3", "and nothing else"),
            ("layers = [10]", "layer 1 is 10; expected a table with one of dense, conv"),
            ("layers = [{ dens = 10 }]", "layer 1 is {'dens': 10}; expected a table with one of"),
            ("layers = [{ dense = 10, conv = 3 }]", "expected a table with one of"),
            ("layers = [{ dense = 10, kernel = 3 }]", "has kernel, which a dense layer does not"),
            ("layers = [{ conv = 10, krnel = 3 }]", "expected kernel, stride, padding"),
            ("layers = [{ conv = 10 }]", "layer 1 needs a kernel: { conv = 10, kernel = 3 }"),
            ("layers = [{ dense = 10.5 }]", "has 10.5 where a number"),
            ("layers = [{ dense = true }]", "has True where a number"),
            ("layers = [{ dropout = 'half' }]", "has 'half' where a number"),
            ("layers = [{ conv = 8, kernel = '3' }]", "has '3' where a number"),
            ("layers = [{ pool = 2, average = 1 }]", "has 1 where true or false"),
            ("layers = [{ batch_norm = false }]", "has False where true"),
            ("layers = [{ dense = 0 }]", "at least 1 neuron"),
            ("layers = [{ relu = true }]", "needs a layer with weights"),
        ],
    )
    def test_with_mistakes_is_refused(self, tmp_path: Path, content: str, message: str) -> None:
        path = tmp_path / "layers.toml"
        path.write_text(content)
        with pytest.raises(InvalidInput, match=message):
            Architecture.of(str(path))

    def test_that_cannot_be_read_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="no architecture file"):
            Architecture.of(str(tmp_path / "nowhere.toml"))
        (tmp_path / "broken.toml").write_text("layers = [")
        (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
        (tmp_path / "folder.toml").mkdir()
        for name in ("broken", "bytes", "folder"):
            with pytest.raises(DataError, match=f"{name}.toml cannot be read as TOML"):
                Architecture.of(str(tmp_path / f"{name}.toml"))
