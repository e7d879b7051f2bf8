"""A table of numbers with a column of labels: a ``.csv`` file with a header."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from dualbound.data.dataset import Dataset
from dualbound.data.names import few, in_order
from dualbound.data.parts import check_split, cut
from dualbound.errors import DataError

_ROWS = 20
"""From so many rows on, a column with a different value in every second one has no classes."""

Numbered = tuple[int, list[str]]
"""A line's number in the file, from 1, and its cells."""


def read_labelled_table(path: Path, name: str, split: str, *, label: str | None = None) -> Dataset:
    r"""Read one split of a table.

    Args:
        path: a UTF-8 file with commas between the cells and the columns' names in its first line.
        name: of the data set.
        split: ``train`` or ``test``: a sixth of every class, always the same.
        label: the column of the labels, which may be words or whole numbers; by default the one
            that is called ``label``, or else the last one. All other columns are numbers.

    Returns:
        The rows in the order of the file, and their classes in alphabetical order, or that of
        the numbers where all are whole numbers.

    Raises:
        DataError: no such column; a cell that is missing or not a number; no rows; as many
            classes as rows, nearly.
        InvalidInput: there are fewer than two classes, or a number too large for float32.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "iris.csv"
    ...     _ = path.write_text("width,kind,height\n1,b,2\n3,a,4\n5,a,6\n7,b,8\n")
    ...     data = read_labelled_table(path, "iris", "train", label="kind")
    >>> len(data), data.shape, data.classes
    (2, (2,), ('a', 'b'))
    """
    check_split(name, split)
    lines = _lines(path)
    columns = _header(path, next(lines, None))
    place = _label_place(path, columns, label)
    rows, words = [], []
    for number, cells in lines:
        if len(cells) != len(columns):
            raise DataError(
                f"{path}, line {number}: found {len(cells)} cells, expected {len(columns)} as in "
                "the header."
            )
        word = cells.pop(place).strip()
        if not word:
            raise DataError(f"{path}, line {number}, column {columns[place]!r}: no label.")
        words.append(word)
        rows.append(_numbers(path, number, columns[:place] + columns[place + 1 :], cells))
    if not rows:
        raise DataError(f"{path} has a header but no rows. Expected a row for each input.")
    classes = in_order(words)
    if 2 * len(classes) > len(words) >= _ROWS:
        raise DataError(
            f"{path}: the column {columns[place]!r} has {len(classes)} different values in "
            f"{len(words)} rows, which are no classes. Name the column of the labels."
        )
    _check_distinct(path, columns[place], classes)
    position = {word: k for k, word in enumerate(classes)}
    labels = np.array([position[word] for word in words])
    return cut(Dataset(name, split, np.stack(rows), labels, classes), split)


def _lines(path: Path) -> Iterator[Numbered]:
    """The lines that are not blank, each with the number at which it ends."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            yield from ((reader.line_num, cells) for cells in reader if any(map(str.strip, cells)))
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not a text file; expected UTF-8.") from error
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error


def _header(path: Path, line: Numbered | None) -> list[str]:
    """The names of the columns."""
    if line is None:
        raise DataError(f"{path} is empty. Expected a header, then a row for each input.")
    columns = [cell.strip() for cell in line[1]]
    if np.isfinite([_number(column) for column in columns]).all():
        raise DataError(
            f"{path} has no header: line {line[0]} has only numbers. Put the names of the columns "
            "into the first line."
        )
    if len(columns) < 2:
        raise DataError(
            f"{path} has one column, {columns[0]!r}; expected numbers and a label, with commas "
            "between."
        )
    twice = [column for column, times in Counter(columns).items() if times > 1]
    if twice:
        raise DataError(f"{path} has more than one column {twice[0]!r}. Give each its own name.")
    return columns


def _label_place(path: Path, columns: list[str], label: str | None) -> int:
    if label is None:
        named = [k for k, column in enumerate(columns) if column.lower() == "label"]
        return named[0] if named else len(columns) - 1
    if label not in columns:
        raise DataError(f"{path} has no column {label!r}; there are {few(columns)}.")
    return columns.index(label)


def _check_distinct(path: Path, column: str, classes: tuple[str, ...]) -> None:
    """Refuse two classes that are one number, such as 1 and 1.0."""
    written: dict[float, str] = {}
    for word in (one for one in classes if not np.isnan(_number(one))):
        other = written.setdefault(_number(word), word)
        if other != word:
            raise DataError(
                f"{path}: the column {column!r} has the labels {other!r} and {word!r}, which are "
                "the same number. Write them alike."
            )


def _numbers(
    path: Path, line: int, columns: list[str], cells: list[str]
) -> Float32[np.ndarray, " features"]:
    values = np.array([_number(cell) for cell in cells])
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        raise DataError(
            f"{path}, line {line}, column {columns[wrong[0]]!r}: found {cells[wrong[0]]!r}, "
            "expected a number. Leave out such lines, and turn words into numbers."
        )
    with np.errstate(over="ignore"):  # the data set refuses what is too large
        return values.astype(np.float32)


def _number(cell: str) -> float:
    """The number that a cell holds, NaN where it holds none."""
    try:
        return float(cell.replace("_", "?"))  # float() would read 1_0 as 10
    except ValueError:
        return np.nan
