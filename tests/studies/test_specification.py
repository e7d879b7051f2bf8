"""study.toml: what it means, and what is said of one that means nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dualbound import load
from dualbound.data import networks
from dualbound.errors import DataError, InvalidInput, InvalidModel, UnknownSolver
from dualbound.studies import Specification, Study
from dualbound.studies.asks.activate import Activate
from dualbound.studies.asks.perfect import Perfect

HERE = Path("here")


def questions(text: str) -> list[tuple[str, str | None, object]]:
    parsed = Specification.parse(text, HERE)
    return [(q.network, q.image, getattr(q.ask, "target", None)) for q in parsed.questions()]


HEAD = 'networks = ["dnn1"]\nimages = ["sample:0-4"]\n'


def asked(**keys: str) -> str:
    lines = "".join(f"{key} = {value}\n" for key, value in keys.items())
    return f'{HEAD}[[questions]]\nquery = "nearest"\n{lines}'


def test_a_target_is_counted_from_the_true_label() -> None:
    # The labels of the sample's first images are 7, 2, 1, 0, 4.
    assert [target for _, _, target in questions(asked(target='"+5"'))] == [2, 7, 6, 5, 9]


def test_a_list_has_a_target_for_each_label() -> None:
    partners = "[6, 7, 8, 5, 9, 3, 5, 9, 3, 4]"
    assert [target for _, _, target in questions(asked(target=partners))] == [9, 8, 7, 6, 9]


def test_scopes_of_a_question_go_before_those_of_the_study() -> None:
    text = asked(images='["sample:7-9"]', networks='["dnn2"]', count="2")
    assert [(net, image) for net, image, _ in questions(text)] == [
        ("dnn2", "sample:7"),
        ("dnn2", "sample:8"),
    ]


def test_images_are_kept_by_how_the_network_reads_them() -> None:
    correct = questions(asked(images='["sample:0-19"]', keep='"correct"'))
    misread = questions(asked(images='["sample:0-19"]', keep='"misread"'))
    everything = {f"sample:{k}" for k in range(20)}
    assert {image for _, image, _ in correct} | {image for _, image, _ in misread} == everything
    assert "sample:8" in {image for _, image, _ in misread}


def test_a_random_choice_is_that_of_its_seed() -> None:
    def chosen(seed: int) -> list[str | None]:
        keys = {"images": '["sample:0-99"]', "choose": '"random"', "count": "5"}
        return [image for _, image, _ in questions(asked(seed=str(seed), **keys))]

    assert chosen(1) == chosen(1) != chosen(2)


def test_repair_is_asked_of_misread_images() -> None:
    text = asked(images='["sample:8"]', target='"repair"')
    (question,) = Specification.parse(text, HERE).questions()
    assert question.ask.options()["targets"] == [question.label]


def test_all_neurons_are_spelt_out() -> None:
    text = 'networks = ["dnn1"]\n[[questions]]\nquery = "activate"\nlayer = 1\n'
    parsed = Specification.parse(text, HERE)
    assert len(list(parsed.questions())) == 8


def test_a_question_asked_otherwise_has_another_key() -> None:
    def key(**keys: str) -> str:
        return next(Specification.parse(asked(**keys), HERE).questions()).key

    keys = [
        key(),
        key(norm='"linf"'),
        key(seconds="5"),
        key(networks='["dnn2"]'),
        key(images='["sample:1"]'),
        key(name='"other"'),
    ]
    assert len(set(keys)) == len(keys)
    assert key() == keys[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("networks = [", "is not TOML"),
        ("networks = " + "[" * 3000 + "]" * 3000, "is not TOML"),
        ("", "asks nothing"),
        ('titel = "x"\n' + asked(), "unknown key 'titel'; did you mean 'title'?"),
        (asked(normm='"l1"'), "question 1: unknown key 'normm'; did you mean 'norm'?"),
        (asked(norm='"l3"'), "question 1: Unknown norm 'l3'"),
        (asked(norm="1"), "norm takes a text, found 1"),
        (asked(seconds='"long"'), "seconds takes a number"),
        (asked(seconds="-1"), "The time limit must be greater than 0"),
        (asked(target='"plus 5"'), "target takes a label"),
        (asked(target="true"), "target takes"),
        (asked(keep='"some"'), "keep takes correct, misread, all"),
        (asked(count="0"), "count takes a number from 1"),
        (asked(engine='"guess"'), "Unknown engine 'guess'"),
        (asked(engine='"columns"', solver='"scip"'), "solver belongs to the engine milp"),
        (asked(solver='"cplex"'), "cplex"),
        (asked(ratio="0.5"), "ratio"),
        ('[[questions]]\nquery = "nearest"\n', "nearest needs networks"),
        ('networks = ["dnn1"]\n[[questions]]\nquery = "nearest"\n', "nearest needs images"),
        ('networks = ["dnn1"]\n[[questions]]\nquery = "neerest"\n', "query = 'neerest'"),
        ('networks = ["dnn1"]\n[[questions]]\n', "no query"),
        ("questions = 5\n", "asks nothing"),
        (asked(target="2", targets="[3]"), "give one of them"),
        (asked(gap="1"), "The gap must be"),
        (asked(gap="nan"), "The gap must be"),
        (asked(cap="-0.1"), "A cap is how far"),
        (asked(levels="0"), "A grid has"),
        (asked(then='"l1"'), "then takes l0, l1 or l2"),
        (asked(seed="-1"), "seed takes a number from 0"),
        (asked(ratio="1" + "0" * 400), "ratio takes a number"),
        (asked(target='"+' + "1" * 5000 + '"'), "target takes"),
        (asked(name='""'), "not empty"),
        (asked(name='"two\\nlines"'), "one line"),
        (asked(name="[1]"), "name takes a text"),
        ("title = 5\n" + asked(), "title takes a text"),
        ('networks = ["dnn1"]\n[[questions]]\nquery = ["nearest"]\n', "query = ['nearest']"),
        ('networks = ["dnn1"]\n[[questions]]\nquery = "bounds"\nsolver = "x"\n', "'x'"),
        ("questions = [5]\n", "is no table"),
        (asked() + asked()[len(HEAD) :].replace("nearest", "nearest") + 'name = "nearest"', "two"),
    ],
)
def test_nonsense_is_named_with_its_place(text: str, said: str) -> None:
    with pytest.raises((InvalidInput, UnknownSolver), match="here") as error:
        Specification.parse(text, HERE)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("text", "said", "kind"),
    [
        (asked(images='["sample:9-3"]'), "is an empty range", InvalidInput),
        (asked(images='["sample:0-99999999"]'), "more than 1,000,000", InvalidInput),
        (asked(images='["' + "x" * 5000 + '"]'), "image", DataError),
        (asked(networks='["' + "x" * 5000 + '"]'), "There is no file", InvalidModel),
        (asked(images='["sample:300"]'), "there is no image 300", DataError),
        (asked(images='["nowhere.png"]'), "no image file", DataError),
        (asked(networks='["nowhere.onnx"]'), "There is no file", InvalidModel),
        (
            asked(target="7", images='["sample:0"]'),
            "dnn1 and sample:0: The network already answers 7",
            InvalidInput,
        ),
        (asked(target="12"), "dnn1 and sample:0", InvalidInput),
        (asked(target='"repair"'), "answers 7 already", InvalidInput),
    ],
)
def test_what_cannot_be_asked_is_said_before_the_run(
    text: str, said: str, kind: type[Exception]
) -> None:
    parsed = Specification.parse(text, HERE)
    with pytest.raises(kind) as error:
        list(parsed.questions())
    assert said in str(error.value)


def test_a_folder_without_a_study_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="dualbound study new"):
        Study.open(tmp_path)


def test_images_that_cannot_be_asked_are_left_out_and_told() -> None:
    skipped: list[str] = []
    parsed = Specification.parse(asked(target="7"), HERE)
    found = list(parsed.questions(skipped.append))
    assert [question.image for question in found] == [f"sample:{k}" for k in (1, 2, 3, 4)]
    assert len(skipped) == 1
    assert "already answers 7" in skipped[0]


def test_files_are_those_of_the_study_and_not_of_the_present_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, elsewhere = tmp_path / "study", tmp_path / "elsewhere"
    study.mkdir()
    elsewhere.mkdir()
    np.save(elsewhere / "x.npy", np.zeros(784))
    monkeypatch.chdir(elsewhere)
    parsed = Specification.parse(asked(images='["x.npy"]'), study)
    with pytest.raises(DataError, match="no image file"):
        list(parsed.questions())


def test_a_folder_of_the_name_of_an_embedded_network_is_not_in_its_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dnn1").mkdir()
    monkeypatch.chdir(tmp_path)
    assert len(list(Specification.parse(asked(), tmp_path).questions())) == 5
    assert str(load("dnn1")) == str(load(networks.path("dnn1")))


@pytest.mark.parametrize("name", ["bab", "columns", "milp"])
def test_the_engine_that_is_named_is_the_one_that_is_asked(name: str) -> None:
    activate = Activate(layer=1, neuron=0, engine=name, seconds=0.05)
    for one in (activate, Perfect(label=0, engine=name, seconds=0.05)):
        row = one.answer(load("dnn1"), None, None)
        assert row.engine.split()[0] == name
