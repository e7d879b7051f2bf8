"""The page of a study: what stands on it, that it is one whole file, and what it is robust to."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from dualbound.errors import DataError, OutputError
from dualbound.report.page import as_page, numbers, save_page
from dualbound.report.page.answers import looked_at
from dualbound.report.page.drawing import PANELS, inlined, panel_axes
from dualbound.report.page.gallery import galleries
from dualbound.report.page.robustness import Robustness
from dualbound.report.page.sheets import TILES, sheets
from dualbound.studies import Study
from dualbound.studies.row import Row
from dualbound.studies.task import Outcome
from report.fabricated import came_of, fabricate, nearest_row, question

_VOID = {"meta", "link", "img", "input", "br"}
_OPTIONAL = {"td", "tr"}


class Reader(HTMLParser):
    """Notes what a page has, and whether what it opens is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        while self.open[-1] in _OPTIONAL and self.open[-1] != tag:
            self.open.pop()
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


@pytest.fixture(scope="module")
def page(real: Study) -> str:
    return as_page(real)


def test_the_parts_stand_in_order(page: str) -> None:
    assert Reader(page).headings == [
        "What was asked", "Figures in brief", "Tables", "Robust accuracy against radius",
        "Distances", "Proved within so many seconds", "Pictures", "Classes", "Bounds of neurons",
        "How to reproduce",
    ]  # fmt: skip


def test_it_needs_nothing_but_itself(page: str) -> None:
    read = Reader(page)
    for tag, attributes in read.tags:
        for name in ("src", "href", "xlink:href", "data", "poster", "action"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, value)
        assert not any(name.startswith("on") for name in attributes)
    assert "url(http" not in page
    assert "@import" not in page
    assert not [tag for tag, _ in read.tags if tag in ("iframe", "object", "embed", "base")]


def test_ids_are_unique_and_links_lead_somewhere(page: str) -> None:
    tags = Reader(page).tags
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in tags:
        link = attributes.get("href")
        if link and link.startswith("#"):
            assert link[1:] in ids
        for name in ("aria-labelledby", "aria-controls"):
            assert attributes.get(name) is None or attributes[name] in ids


def test_every_picture_has_words(page: str) -> None:
    tags = Reader(page).tags
    assert all(attributes.get("alt") for tag, attributes in tags if tag == "img")
    drawn = [a for tag, a in tags if tag == "svg" and a.get("class") == "drawn"]
    assert len(drawn) >= 5
    assert all(len(attributes["aria-label"] or "") > 30 for attributes in drawn)


def test_the_same_answers_make_the_same_page(real: Study, page: str, tmp_path: Path) -> None:
    save_page(real, tmp_path / "a.html")
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == page


def test_its_figures_are_those_of_the_answers(real: Study, page: str) -> None:
    frame = real.frame()
    one = frame[(frame["name"] == "any L1") & (frame["network"] == "dnn1")]
    text = " ".join(Reader(page).words)
    assert numbers.number(float(one["value"].mean())) in text
    assert f"{len(frame)} questions" in " ".join(text.split())
    for value in one["value"]:
        assert f"{value:.4f}" in text


def test_what_is_printed_of_a_bound_is_proved() -> None:
    for value in np.random.default_rng(0).uniform(-3, 9, 500):
        low, high = (
            float(numbers.bound(float(value), upper=upper).replace("−", "-"))
            for upper in (False, True)
        )
        assert low <= value <= high


def test_names_with_markup_are_harmless(tmp_path: Path) -> None:
    evil = '<script>alert("x")</script>&"\'$a$ {{ 7*7 }}'
    text = (
        f"title = '''{evil}'''\n"
        "networks = ['dnn1']\nimages = ['sample:0']\n"
        f"[[questions]]\nname = '''{evil}'''\nquery = 'nearest'\n"
    )
    rows = [
        (question(k, name=evil, network=evil, image=evil + str(k)), row)
        for k, row in enumerate(
            [nearest_row(np.random.default_rng(k), witness=True) for k in range(12)]
            + [Row.failed(evil)]
        )
    ]

    def outcome(_: int, row: Row) -> Outcome:
        return came_of(row, machine=evil, version=evil)

    made = as_page(fabricate(tmp_path / evil.replace("/", "|"), rows, text=text, outcome=outcome))
    read = Reader(made)
    assert [tag for tag, _ in read.tags].count("script") == 1
    assert "alert(&#34;x&#34;)" in made
    assert "{{ 7*7 }}" in made
    policy = next(a["content"] for t, a in read.tags if "content-security" in str(a).lower())
    assert "script-src 'sha256-" in str(policy)


def slow_shares(rows: list[Row], labels: list[int | None], radius: float) -> tuple[float, float]:
    """Certified and refuted, one question after the other."""
    certified = refuted = 0
    for row, label in zip(rows, labels, strict=True):
        if label is not None and row.label_before is not None and label != row.label_before:
            refuted += 1
            continue
        if row.value is not None and row.value <= radius:
            refuted += 1
        if row.status == "infeasible":
            certified += 1
        elif row.bound is not None:
            bound = math.ceil(row.bound - 1e-6) if row.norm == "l0" else row.bound
            certified += bound > radius
    return certified / len(rows), refuted / len(rows)


@pytest.mark.parametrize("norm", ["l1", "l0", "linf"])
@pytest.mark.parametrize("known", [True, False])
def test_robust_accuracy_is_that_of_a_slow_twin(tmp_path: Path, norm: str, known: bool) -> None:
    rng = np.random.default_rng(1)
    rows = [nearest_row(rng, norm=norm) for _ in range(400)]
    labels = [
        None if not known or row.label_before is None or k % 7 == 0
        else row.label_before if k % 5 else (row.label_before + 1) % 10
        for k, row in enumerate(rows)
    ]  # fmt: skip
    study = fabricate(
        tmp_path / "s",
        [
            (question(k, label=label, options={"norm": norm}), row)
            for k, (row, label) in enumerate(zip(rows, labels, strict=True))
        ],
    )
    with looked_at(study) as answers:
        curve = Robustness.of(answers.frame)
    radii = np.concatenate([[0.0], np.sort(rng.uniform(0, 12, 60)), curve.steps])
    for radius, safe, changed in zip(
        radii, curve.certified(radii), curve.refuted(radii), strict=True
    ):
        assert (safe, changed) == pytest.approx(slow_shares(rows, labels, float(radius)))
    assert np.all(curve.certified(radii) + curve.refuted(radii) <= 1 + 1e-12)
    assert np.all(np.diff(curve.certified(curve.steps)) <= 0)
    assert curve.misread == sum(
        label is not None and label != row.label_before
        for row, label in zip(rows, labels, strict=True)
    )


@pytest.mark.slow
def test_ten_thousand_answers_make_a_small_page(large: Study, tmp_path: Path) -> None:
    save_page(large, tmp_path / "large.html")
    assert (tmp_path / "large.html").stat().st_size < 4_000_000
    text = (tmp_path / "large.html").read_text(encoding="utf-8")
    assert text.count("<tr") > 10_000
    assert text.count("<img") <= 3 * 72


def test_a_study_without_answers_is_refused(tmp_path: Path) -> None:
    study = fabricate(tmp_path / "s", [(question(0), None)])
    with pytest.raises(
        DataError, match=r"no answers yet, so there is nothing to report\. Run 'dua"
    ):
        as_page(study)


def test_failed_questions_alone(tmp_path: Path) -> None:
    rows = [(question(k), Row.failed(f"because {k % 2}")) for k in range(5)]
    read = Reader(as_page(fabricate(tmp_path / "s", rows)))
    assert read.headings == [
        "What was asked", "Figures in brief", "Tables", "Failed questions", "How to reproduce",
    ]  # fmt: skip
    text = " ".join(read.words)
    assert "because 0" in text
    assert "no. 1: nearest · dnn1 · sample:0" in text


@pytest.mark.parametrize("status", ["optimal", "feasible", "infeasible", "unknown", "failed"])
@pytest.mark.parametrize("query", ["nearest", "activate", "perfect", "bounds", "forward"])
@pytest.mark.parametrize("full", [True, False])
def test_one_row_of_any_kind(tmp_path: Path, status: str, query: str, full: bool) -> None:
    found = status in ("optimal", "feasible")
    row = Row(status=status)
    if full:
        row = Row(
            status=status, norm="l2" if query == "nearest" else None, value=0.0 if found else None,
            bound=None if status == "infeasible" else 0.0, gap=0.0 if found else None,
            label_before=3, label_after=4 if found else None, replayed=found, seconds=0.0, nodes=0,
            witness=np.zeros((1, 28, 28)) if found else None,
        )  # fmt: skip
    options = {"norm": "l2"} if query == "nearest" else {}
    image = "" if query in ("nearest", "forward") else None
    one = question(0, query=query, name=query, options=options, image=image)
    Reader(as_page(fabricate(tmp_path / "s", [(one, row)])))


def test_it_says_so_if_answers_come_from_several_places(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    study = fabricate(
        tmp_path / "s",
        [(question(k), nearest_row(rng)) for k in range(6)],
        outcome=lambda k, row: came_of(row, machine=f"M{k % 2}", version=f"0.{k % 3}"),
    )
    text = " ".join(" ".join(Reader(as_page(study)).words).split())
    assert "Answers come from 3 sets of versions and 2 kinds of machine" in text
    assert "dualbound 0.2, python 3.12.0 (2 answers)" in text


def test_it_tells_what_was_asked_then(tmp_path: Path) -> None:
    study = fabricate(tmp_path / "s", [(question(0), nearest_row(np.random.default_rng(3)))])
    path = study.folder / "study.toml"
    path.write_text(path.read_text().replace("sample:0-9", "sample:0-3"))
    made = as_page(Study.open(study.folder))
    assert "study.toml has changed since the last run" in made
    assert "sample:0-9" in made
    assert "sample:0-3" not in made


def test_questions_left_are_counted(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [(question(k), nearest_row(rng) if k < 3 else None) for k in range(8)]
    assert "<b>5</b> still unanswered" in as_page(fabricate(tmp_path / "s", rows))


def test_an_original_that_is_another_one_now_is_not_shown(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [(question(k), nearest_row(rng, witness=True)) for k in range(8)]
    with looked_at(fabricate(tmp_path / "s", rows)) as answers:  # of a made-up hash
        shown = [triple for wall in galleries(answers).shown for triple in wall.triples]
    assert shown
    assert all([name for name, _, _ in one.pictures] == ["adversary"] for one in shown)


def test_pictures_are_of_the_answers(real: Study) -> None:
    with looked_at(real) as answers:
        walls = {wall.heading: wall.triples for wall in galleries(answers).shown}
        tiles = [tile for sheet in sheets(answers) for tile in sheet.tiles]
    assert [triple.place for triple in walls["any L1 · dnn1"]] == ["nearest", "median", "furthest"]
    names = [name for name, _, _ in walls["any L1 · dnn1"][0].pictures]
    assert names == ["original", "adversary", "change"]
    assert [name for name, _, _ in walls["repair · dnn1"][0].pictures][1] == "repaired"
    assert 2 <= len(tiles) <= TILES


@pytest.mark.parametrize("shape", [(5,), (3, 6, 6), (700,)])
def test_inputs_of_any_shape_have_pictures(tmp_path: Path, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).random(shape)
    row = Row(status="optimal", norm="l1", value=1.0, bound=1.0, replayed=True, witness=x)
    perfect = Row(status="feasible", value=1.0, bound=0.5, replayed=True, witness=row.witness)
    study = fabricate(
        tmp_path / "s",
        [(question(0), row), (question(1, name="p", query="perfect", image=None), perfect)],
    )
    assert as_page(study).count("<img") == 2


def test_it_downloads_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUALBOUND_DATA", str(tmp_path))
    monkeypatch.setattr("dualbound.data.published.cache_folder", lambda _: tmp_path / "none")
    monkeypatch.setattr("dualbound.data.published.download", lambda *_: pytest.fail("downloads"))
    row = nearest_row(np.random.default_rng(0), witness=True)
    one = question(0, image="mnist:test:3")
    assert "is not on this machine" in as_page(fabricate(tmp_path / "s", [(one, row)]))


def test_a_full_disk_is_an_error_of_output(real: Study) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        save_page(real, "/proc/none/a.html")


def test_numbers_at_the_axes_are_whole() -> None:
    figure, ax = panel_axes()
    ax.plot([0, 0.0275], [0, 1])
    ax.set_xlim(0, 0.0275)
    ax.set_title("net v1.2345")
    drawn = inlined(figure, "k", "a line")
    assert "0.005" in drawn
    assert "net v1.2345" in drawn
    assert not re.findall(r'd="[^"]*\.\d{3}', drawn)


@pytest.mark.slow
def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    asked = []
    for series in range(PANELS + 3):
        row = Row(
            status="optimal", norm="linf", value=0.01, bound=0.01, gap=0.0, label_before=1,
            replayed=True, seconds=1.0, nodes=1,
        )  # fmt: skip
        asked.append((question(series, name=f"s{series}", options={"norm": "linf"}), row))
    page = as_page(fabricate(tmp_path / "study", asked))
    assert page.count("3 more drawings are left out here") == 2


def test_certified_and_refuted_are_among_the_figures_in_brief(tmp_path: Path) -> None:
    asked = [
        (
            question(k, query="verify", options={"norm": "linf", "eps": 0.02}),
            Row(status=status, norm="linf", bound=-1e-5, seconds=1.0, nodes=1),
        )
        for k, status in enumerate(["holds", "holds", "violated", "unknown"])
    ]
    page = as_page(fabricate(tmp_path / "study", asked))
    head = page[page.index('id="headline"') :]
    cells = re.findall(r"<td>([^<\n]*)", head)[:7]
    assert cells == ["nearest", "dnn1", "4", "75 %", "2", "1", "–"]
    assert "−0.00001" in page
