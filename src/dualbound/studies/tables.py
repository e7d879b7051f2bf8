"""Tables of a study's answers: grouped figures, as text, CSV, LaTeX or Parquet."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dualbound.errors import InvalidInput, OutputError
from dualbound.files import write_whole
from dualbound.studies.asks import meant
from dualbound.studies.row import CERTIFIED, FAILED, REFUTED, SETTLED

if TYPE_CHECKING:
    import pandas as pd

BY = ("name", "network")
"""What rows are grouped by, if nothing else is said."""

OF = ("value", "gap", "seconds", "nodes")
"""The columns that are summed up, if nothing else is said."""

VERIFY = "verify"
"""The kind of question of which is counted how many are certified, refuted and open."""

FORMATS = ("text", "csv", "latex", "parquet")


def select(frame: pd.DataFrame, where: Sequence[str] = ()) -> pd.DataFrame:
    """The rows that fulfil every condition ``column=value`` or ``column!=value``.

    Raises:
        InvalidInput: no such column, no condition, or no row that fulfils them.
    """
    for condition in where:
        column, sign, value = _condition(condition)
        _known(frame, [column])
        values = frame.index.to_series() if column == frame.index.name else frame[column]
        same = _equal(values, value)
        frame = frame[same if sign == "=" else ~same]
    if frame.empty:
        asked = f" with {', '.join(where)}" if where else ""
        raise InvalidInput(f"There is no answer{asked}.")
    return frame


def _equal(values: pd.Series, wanted: str) -> pd.Series:
    """Where a column has a value: numbers as numbers, whatever they are written like; or nothing.

    Raises:
        InvalidInput: a column of numbers or of true and false has no such value.
    """
    import pandas as pd

    if wanted == "":
        return values.isna() | (values.astype("string") == "").fillna(False).astype(bool)
    if pd.api.types.is_bool_dtype(values):
        if wanted.lower() not in ("true", "false"):
            raise InvalidInput(f"{values.name} is true or false, found {wanted!r}.")
        return (values == (wanted.lower() == "true")).fillna(False).astype(bool)
    if pd.api.types.is_numeric_dtype(values):
        try:
            number = float(wanted)
        except ValueError:
            raise InvalidInput(f"{values.name} has numbers, found {wanted!r}.") from None
        return (values.astype("float64") == number).fillna(False).astype(bool)
    return (values.astype("string") == wanted).fillna(False).astype(bool)


def grouped(frame: pd.DataFrame, by: Sequence[str] = BY, of: Sequence[str] = OF) -> pd.DataFrame:
    """How many answers there are, how many are settled, and the distribution of some columns.

    Args:
        frame: of `Study.frame`.
        by: columns that tell groups apart.
        of: columns with numbers.

    Returns:
        A row for each group, in the order of their first questions: ``count``, ``solved`` (nothing
        left to prove), where any question failed how many did, where there are verifications how
        many of them are ``certified``, ``refuted`` and ``open``, and for each column how many
        answers have a number there, their mean, standard deviation, least, quartiles and largest,
        as ``(column, figure)``.

    Raises:
        InvalidInput: no such column, or one without numbers.
    """
    import pandas as pd

    _known(frame, [*by, *of])
    frame = frame.reset_index()  # the number of an answer is a column like others
    if not by or not of:
        raise InvalidInput("Name at least one column to group by, and one to sum up.")
    for column in of:
        if not pd.api.types.is_numeric_dtype(frame[column]):
            raise InvalidInput(f"The column {column!r} has no numbers; try one of {', '.join(OF)}.")
    solved = frame["status"].isin(SETTLED)
    groups = frame.assign(solved=solved).groupby(list(by), sort=False, dropna=False)
    parts = {
        ("", "count"): groups.size(),
        ("", "solved"): groups["solved"].sum(),
    }
    failed = frame["status"] == FAILED
    if failed.any():
        parts["", "failed"] = (
            frame.assign(failed=failed).groupby(list(by), sort=False, dropna=False)["failed"].sum()
        )
    parts |= _verified(frame, by)
    for column in of:
        values = frame.assign(**{column: frame[column].astype("float64")}).groupby(
            list(by), sort=False, dropna=False
        )[column]
        parts |= {
            (column, "count"): values.count(),
            (column, "mean"): values.mean(),
            (column, "std"): values.std(),
            (column, "min"): values.min(),
            (column, "25%"): values.quantile(0.25),
            (column, "50%"): values.median(),
            (column, "75%"): values.quantile(0.75),
            (column, "max"): values.max(),
        }
    return pd.DataFrame(parts)


def verified(frame: pd.DataFrame) -> dict[str, pd.Series] | None:
    """Which verifications are ``certified``, ``refuted`` and ``open``; None where there are none.

    An image that the network misreads is refuted, whatever was asked of it. Failed questions are
    neither: nothing is known of them, and they are counted by themselves.
    """
    if "query" not in frame or not (frame["query"] == VERIFY).any():
        return None
    of = frame["query"] == VERIFY
    label, before = frame["label"], frame["label_before"]
    misread = (label.notna() & before.notna() & (label != before)).fillna(False).astype(bool)
    certified = (frame["status"] == CERTIFIED) & ~misread
    refuted = (frame["status"] == REFUTED) | misread
    left = ~certified & ~refuted & (frame["status"] != FAILED)
    states = {"certified": certified, "refuted": refuted, "open": left}
    return {name: state & of for name, state in states.items()}


def _verified(frame: pd.DataFrame, by: Sequence[str]) -> dict[tuple[str, str], pd.Series]:
    """How many verifications ended how, where there are any."""
    states = verified(frame)
    if states is None:
        return {}
    marked = frame.assign(**states, of=frame["query"] == VERIFY)
    groups = marked.groupby(list(by), sort=False, dropna=False)
    asked = groups["of"].any()
    return {("", name): groups[name].sum().astype("Int64").where(asked) for name in states}


def written(table: pd.DataFrame, format_: str, path: Path | None) -> str:
    """A table in one of `FORMATS`.

    Args:
        table: any.
        format_: of them.
        path: file to write; None for the text alone.

    Returns:
        The text; empty where a file was written.

    Raises:
        InvalidInput: an unknown format, or a Parquet table without a file.
        OutputError: the file cannot be written, or a package for it is missing.
    """
    if format_ not in FORMATS:
        raise InvalidInput(f"Unknown format {format_!r}; known are {', '.join(FORMATS)}.")
    if format_ == "parquet":
        if path is None:
            raise InvalidInput("A Parquet table is no text: name a file for it with --out.")
        return _stored(_parquet(table), path)
    if format_ == "csv":
        text = _flat(table).to_csv(lineterminator="\n")
    elif format_ == "latex":
        text = _dated(table).to_latex(
            float_format=lambda v: f"{v:.4g}", na_rep="--", escape=True, multirow=False
        )
    else:
        text = _as_text(_dated(table))
    return text if path is None else _stored(text.encode(), path)


def _as_text(table: pd.DataFrame) -> str:
    """Columns under one another, groups of figures beneath their column's name."""
    import pandas as pd

    if not isinstance(table.columns, pd.MultiIndex):
        return table.to_string(float_format=lambda v: f"{v:.4g}", na_rep="–") + "\n"
    head = table[""].astype("Int64").apply(_dashed)
    blocks = [head.to_string()]
    for column in dict.fromkeys(name for name, _ in table.columns if name):
        block = table[column].to_string(float_format=lambda v: f"{v:.4g}", na_rep="–")
        blocks.append(f"{column}\n{block}")
    return "\n\n".join(blocks) + "\n"


def _dated(table: pd.DataFrame) -> pd.DataFrame:
    """Times as people read them."""
    import pandas as pd

    if isinstance(table.columns, pd.MultiIndex):
        return table
    times = [name for name in ("started", "finished") if name in table.columns]
    return table.assign(
        **{
            name: pd.to_datetime(table[name], unit="s").dt.strftime("%Y-%m-%d %H:%M:%S")
            for name in times
        }
    )


def _dashed(counts: pd.Series) -> pd.Series:
    """Whole numbers, with a dash where there is none."""
    return counts if counts.notna().all() else counts.astype(object).where(counts.notna(), "–")


def _flat(table: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    if not isinstance(table.columns, pd.MultiIndex):
        return table
    flat = table.copy()
    flat.columns = pd.Index([" ".join(part for part in pair if part) for pair in table.columns])
    return flat


def _parquet(table: pd.DataFrame) -> bytes:
    held = io.BytesIO()
    try:
        _flat(table).reset_index().to_parquet(held)
    except ImportError as error:
        raise OutputError(
            "Parquet needs a package: pip install 'dualbound[parquet]', or ask for csv."
        ) from error
    return held.getvalue()


def _stored(contents: bytes, path: Path) -> str:
    write_whole(path, contents)
    return ""


def _condition(text: str) -> tuple[str, str, str]:
    found = re.fullmatch(r"\s*(\w+)\s*(!=|==?)(.*)", text, re.DOTALL)
    if found:
        return found[1], "!=" if found[2] == "!=" else "=", found[3].strip()
    raise InvalidInput(f"A condition is COLUMN=VALUE or COLUMN!=VALUE, found {text!r}.")


def _known(frame: pd.DataFrame, columns: Sequence[str]) -> None:
    for column in columns:
        if column not in frame.columns and column != frame.index.name:
            raise InvalidInput(
                f"There is no column {column!r}{meant(column, [str(c) for c in frame.columns])}"
            )
