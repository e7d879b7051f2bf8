"""``dualbound nearest --count``: several inputs that differ, in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dualbound import queries
from dualbound.cli.listings import (
    Answers,
    listing_code,
    listing_headline,
    listing_rows,
    listing_table,
    pattern_record,
    status_of,
)
from dualbound.cli.outputs import INLINE, PNG
from dualbound.cli.progress import watching
from dualbound.cli.records import about, answer_record, numbers
from dualbound.cli.saving import Saved, save_all, save_array
from dualbound.cli.streams import say, say_json
from dualbound.cli.summaries import listing
from dualbound.criterion import Criterion
from dualbound.data.images import Image
from dualbound.errors import InvalidInput, OutputError
from dualbound.network import Network
from dualbound.queries import Status
from dualbound.report import save_rows


def kind_asked(
    count: int | None, distinct: str | None, then: str | None, witness: str | None
) -> str:
    """By what answers shall differ: ``--distinct``, or by label.

    Raises:
        InvalidInput: options that do not go with ``--count``, or not without it.
        OutputError: a file that cannot hold several inputs.
    """
    if count is None:
        if distinct is not None:
            raise InvalidInput(
                "--distinct says by what several inputs differ: add --count with their number."
            )
        return "label"
    if then is not None:
        raise InvalidInput(
            "--then asks about all inputs as near as one, and --count for several inputs: leave "
            "one of the two out."
        )
    if witness is not None and Path(witness).suffix.lower() == PNG:
        raise OutputError("A .png holds one witness, and --count asks for more: name a .npy file.")
    return distinct or "label"


@dataclass(frozen=True, eq=False)
class Listing:
    """A question for several inputs, as asked on the command line.

    Attributes:
        model: as given.
        network: what it is.
        image: as given.
        start: what it is.
        count: how many inputs.
        distinct: by what they differ.
    """

    model: str
    network: Network
    image: str
    start: Image
    count: int
    distinct: str

    def told(
        self,
        criterion: Criterion,
        question: Mapping[str, Any],
        region: Mapping[str, object],
        *,
        json: bool,
        witness: str | None,
        picture: Path | None,
    ) -> int:
        """Ask, and say what the answers are; the exit code.

        Args:
            criterion: what to reach.
            question: the other arguments of `dualbound.nearest_several`.
            region: what limits and prices the changes, as asked for.
            json: whether one JSON object is wanted.
            witness: where the inputs go, if anywhere.
            picture: where the picture goes, if there shall be one.

        Raises:
            OutputError: something could not be written; the answers are printed all the same.
        """
        with watching("reading") as on_progress:
            answers = queries.nearest_several(
                self.network,
                self.start.pixels,
                criterion,
                self.count,
                distinct=self.distinct,
                on_progress=on_progress,
                **question,
            )
        found = [answer.witness.x for answer in answers if answer.witness is not None]
        saved = Saved()
        if found:
            saved = save_all(
                (witness, lambda path: save_array(path, np.stack(found))),
                (
                    picture,
                    lambda path: save_rows(
                        path, self.start.pixels, answers, model=self.model, distinct=self.distinct
                    ),
                ),
            )
        if json:
            say_json(self._record(answers, region, witness == INLINE, saved.place(witness)))
        else:
            rows = [*listing_rows(answers, self.distinct, self.start, self.model), *saved.rows]
            drawn = listing_table(answers, self.distinct, self.network, self.start)
            say(
                listing_headline(answers, self.count, self.distinct),
                *([drawn] if answers[0].witness is not None else []),
                listing(rows),
            )
        saved.check()
        return listing_code(answers, self.count)

    def _record(
        self, answers: Answers, region: Mapping[str, object], inline: bool, place: str | None
    ) -> dict[str, object]:
        """The whole listing as one object."""
        records = []
        for answer in answers:
            found = answer.witness
            x = numbers(found.x) if found is not None and inline else None
            witness = x or (place if found is not None else None)
            record = answer_record(answer, image=self.image, witness=witness, region=region)
            pattern = pattern_record(answer, self.distinct, self.network)
            records.append(record | {"pattern": pattern})
        return about("nearest", self.model, self.network) | {
            "status": status_of(answers, self.count).value,
            "image": self.image,
            "count": self.count,
            "distinct": self.distinct,
            "exhausted": answers[-1].status is Status.INFEASIBLE,
            "seconds": sum(answer.stats.seconds for answer in answers),
            "answers": records,
        }
