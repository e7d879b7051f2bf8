import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualbound.data import load_dataset
from dualbound.errors import DataError, InvalidInput


def table(folder, text, name="a.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return path


def both(path, **options):
    return [load_dataset(path, split, **options) for split in ("train", "test")]


@given(
    features=st.integers(1, 4),
    rows=st.lists(st.integers(0, 2), min_size=4, max_size=19).filter(lambda y: len(set(y)) > 1),
    seed=st.integers(0, 99),
    place=st.integers(0, 4),
)
def test_what_was_written_is_read(tmp_path_factory, features, rows, seed, place):
    x = np.random.default_rng(seed).normal(size=(len(rows), features)).astype(np.float32)
    words = [("cat", "a,b", 'say "x"')[k] for k in rows]
    place = min(place, features)
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        header = [f"f{k}" for k in range(features)]
        writer.writerow([*header[:place], "kind", *header[place:]])
        for row, word in zip(x, words, strict=True):
            cells = [repr(float(one)) for one in row]
            writer.writerow([*cells[:place], word, *cells[place:]])
    wanted = {(*row.tolist(), word) for row, word in zip(x, words, strict=True)}
    if max(np.bincount(rows)) == 1:
        with pytest.raises(InvalidInput, match="a single input of every class"):
            load_dataset(path, label="kind")
        return
    found = both(path, label="kind")
    pairs = [
        (*row.tolist(), data.classes[y])
        for data in found
        for row, y in zip(data.inputs, data.labels, strict=True)
    ]
    assert len(pairs) == len(rows)
    assert set(pairs) == wanted
    assert found[0].classes == found[1].classes == tuple(sorted(set(words)))
    assert [data.split for data in found] == ["train", "test"]


SIX = "{}\n" + "".join(f"{k},{k % 2},{10 + k % 3}\n" for k in range(6))


@pytest.mark.parametrize(
    ("header", "label", "classes"),
    [
        ("a,b,c", None, ("10", "11", "12")),
        ("a,label,c", None, ("0", "1")),
        ("a,label,c", "c", ("10", "11", "12")),
        (" a , label , c ", None, ("0", "1")),
    ],
)
def test_the_label_is_the_column_named_or_called_label_or_the_last(
    tmp_path, header, label, classes
):
    found = load_dataset(table(tmp_path, SIX.format(header)), label=label)
    assert found.classes == classes
    assert found.shape == (2,)


def test_whole_numbers_are_in_their_order_and_words_in_the_alphabet(tmp_path):
    rows = "x,label\n" + "".join(f"{k},{y}\n" for k, y in enumerate([10, 9, 10, 9]))
    assert load_dataset(table(tmp_path, rows)).classes == ("9", "10")
    assert load_dataset(table(tmp_path, rows.replace("9\n", "x\n"))).classes == ("10", "x")


def test_a_sixth_is_the_test_part_and_always_the_same(tmp_path):
    rows = "x,label\n" + "".join(f"{k},{k % 3}\n" for k in range(180))
    path = table(tmp_path, rows)
    train, test = both(path)
    assert np.bincount(test.labels).tolist() == [10, 10, 10]
    assert sorted([*train.inputs[:, 0], *test.inputs[:, 0]]) == list(range(180))
    assert [one.sha256 for one in both(path)] == [train.sha256, test.sha256]


def test_marks_blank_lines_and_line_ends_are_passed_over(tmp_path):
    text = "\ufeffx,label\r\n\r\n 1 , a \r\n , \r\n2.5e0,b\r\n3,a\r\n4,b\r\n"
    train, test = both(table(tmp_path, text))
    assert sorted([*train.inputs[:, 0], *test.inputs[:, 0]]) == [1, 2.5, 3, 4]
    assert train.classes == ("a", "b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,y,label\n1,2,a\n1,two,b\n", "line 3, column 'y': found 'two', expected a number"),
        ("x,y,label\n1,,a\n", "line 2, column 'y': found '', expected a number"),
        ("x,y,label\n\n1,NaN,a\n", "line 3, column 'y': found 'NaN', expected a number"),
        ("x,y,label\n1,1_0,a\n", "line 2, column 'y': found '1_0'"),
        ("x,label,y\n1,a,-inf\n", "line 2, column 'y': found '-inf'"),
        ('x,label,y\n1,"a\nb",2\n3,c,True\n', "line 4, column 'y': found 'True'"),
        ("x,label\n1, \n", "line 2, column 'label': no label"),
        ("x,y,label\n1,2,a\n1,2\n", "line 3: found 2 cells, expected 3 as in the header"),
        ("x,label\n1,2,a\n", "line 2: found 3 cells, expected 2"),
        ("x,label\n1,1\n2,0\n3,1.0\n", "labels '1' and '1.0', which are the same number"),
        ("x,label\n", "has a header but no rows"),
        ("", "is empty. Expected a header"),
        ("\n \n", "is empty. Expected a header"),
        ("1,2,0\n3,4,1\n", "has no header: line 1 has only numbers"),
        ("x;label\n1;a\n", "has one column, 'x;label'; expected .* commas"),
        ("x,x,label\n1,2,a\n", "more than one column 'x'"),
        ("x,price\n" + "".join(f"{k},{k // 1.5}\n" for k in range(30)), r"are no classes"),
        ("x,label\n1," + "a" * 200_000 + "\n", "line 2: field larger than"),
    ],
    ids=lambda one: None if len(one) < 100 else "long",
)
def test_a_file_that_is_no_table_is_refused_with_the_line(tmp_path, text, message):
    with pytest.raises(DataError, match=rf"a\.csv.*{message}"):
        load_dataset(table(tmp_path, text))


def test_a_number_too_large_for_float32_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match=r"1 of 4 values that are not finite numbers in float32"):
        load_dataset(table(tmp_path, "x,label\n1,a\n1e39,b\n3,a\n4,b\n"))


def test_one_class_is_not_enough(tmp_path):
    with pytest.raises(InvalidInput, match=r"a\.csv has the classes 'a', expected two or more"):
        load_dataset(table(tmp_path, "x,label\n1,a\n2,a\n"))


def test_an_unknown_label_column_is_answered_with_the_columns(tmp_path):
    with pytest.raises(DataError, match="has no column 'kind'; there are x, y, z"):
        load_dataset(table(tmp_path, "x,y,z\n1,2,3\n"), label="kind")
    wide = ",".join(f"f{k}" for k in range(784))
    with pytest.raises(DataError, match=r"there are f0, .*, f9 and 774 more\.$"):
        load_dataset(table(tmp_path, wide + "\n"), label="kind")


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\x89PNG\xff,1\n")
    with pytest.raises(DataError, match=r"a\.csv is not a text file"):
        load_dataset(tmp_path / "a.csv")
