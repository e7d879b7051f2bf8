"""What ``dualbound verify`` is asked: a ball around an image, or a property file."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float

from dualbound import queries
from dualbound.cli.criteria import criterion_asked
from dualbound.cli.inputs import input_box, read_image
from dualbound.criterion import Criterion, Property
from dualbound.data.images import Image
from dualbound.errors import InvalidInput
from dualbound.network import Network
from dualbound.region import NORMS


@dataclass(frozen=True, eq=False)
class Wanted:
    """The options that ask about an image; None where one was not given."""

    image: str | None
    eps: float | None
    norm: str | None
    label: int | None
    target: int | None
    targets: str | None
    margin: float | None
    range: tuple[float, float] | None

    def check(self, file: str | None) -> None:
        """Refuse what asks nothing, or two things at once.

        Args:
            file: of ``--property``.

        Raises:
            InvalidInput: it does.
        """
        given = [item.name for item in fields(self) if getattr(self, item.name) is not None]
        if file is not None and self.image is not None:
            raise InvalidInput(
                "An IMAGE and --property ask different questions: leave one of the two out."
            )
        if file is not None and given:
            raise InvalidInput(
                f"--{given[0]} is about an IMAGE, and --property says everything itself: leave one "
                "of the two out."
            )
        if file is None and self.image is None:
            raise InvalidInput(
                "Say what shall hold: an IMAGE and --eps E, or --property FILE.vnnlib."
            )
        if file is None and self.eps is None:
            raise InvalidInput("Say how far around the IMAGE: --eps E, in the units of its values.")
        for option in ("target", "targets", "margin"):
            if option in given and self.label is not None:
                raise InvalidInput(
                    f"--label says what must be answered, and --{option} what must not: leave one "
                    "of the two out."
                )
        if self.target is not None and self.targets is not None:
            raise InvalidInput("--target and --targets ask different questions: give one of them.")

    @property
    def criterion(self) -> Criterion | None:
        """What must not be reached; None where that is any other label, ties included."""
        any_ = self.target is None and self.targets is None
        if any_ and self.margin is None:
            return None
        return criterion_asked(
            target=self.target,
            any_=any_,
            targets=self.targets,
            repair=None,
            confusion=False,
            ratio=None,
            margin=self.margin,
        )


@dataclass(frozen=True, eq=False)
class Asked:
    """A property of a network, and where it comes from.

    Attributes:
        network: that it is of.
        claim: what no input may do.
        criterion: the outputs that violate it, in words.
        file: that it was read from, if any.
        image: otherwise; with ``present``, what the network answers there, ``label``, what it must
            answer (None with a criterion), and what follows.
        eps: how far around the image.
        norm: by which norm.
        target: the only label that must not be answered, if that was asked.
        range: what every input lies between.
    """

    network: Network
    claim: Property
    criterion: str
    file: str | None = None
    image: Image | None = None
    present: int | None = None
    label: int | None = None
    eps: float | None = None
    norm: str | None = None
    target: int | None = None
    range: tuple[float, float] | None = None

    @property
    def hints(self) -> tuple[np.ndarray, ...]:
        """What is tried before anything is searched: the image, which may be misread."""
        return () if self.image is None else (self.image.pixels,)

    @property
    def norm_title(self) -> str:
        """Of a ball, for people."""
        return "" if self.norm is None else NORMS[self.norm].title

    @property
    def where(self) -> str:
        """Which inputs, for people."""
        if self.image is None:
            return f"what {self.file} asserts"
        return f"within {self.eps:.12g} of {self.image.name} ({self.norm_title})"

    def middle(self, x: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """The middle of the first region that an input is in."""
        flat = x.reshape(1, -1)
        for case in self.claim.cases:
            if case.region.violation(flat)[0] == 0:
                return ((case.region.lower + case.region.upper) / 2).reshape(x.shape)
        return x


def of_file(network: Network, file: str) -> Asked:
    """What a property file asks.

    Raises:
        InvalidProperty: see `dualbound.queries.property_for`.
    """
    asked = queries.property_for(network, file)
    goals = list(dict.fromkeys(case.criterion.goal for case in asked.cases))
    many = f" in one of {len(asked.cases)} regions" if len(asked.cases) > 1 else ""
    return Asked(network, asked, (" or ".join(goals) or "nothing") + many, file=file)


def of_image(network: Network, wanted: Wanted) -> Asked:
    """What is asked of an image; of options that were checked.

    Raises:
        DataError: there is no such image, or it cannot be read.
        InvalidInput: something does not fit the network, or the image.
    """
    image = read_image(str(wanted.image), network)
    limits, norm = wanted.range or (0.0, 1.0), wanted.norm or "linf"
    eps, criterion = float(wanted.eps or 0.0), wanted.criterion
    asked = queries.robustness(
        network,
        image.pixels,
        eps,
        norm=norm,
        label=wanted.label,
        criterion=criterion,
        region=input_box(limits, network),
    )
    present = int(np.argmax(network(image.pixels)))
    label = None
    if criterion is None:
        label = present if wanted.label is None else wanted.label
        words = f"any other label than {label}"
    else:
        words = criterion.goal + ("" if wanted.margin is None else f", margin {wanted.margin:g}")
    return Asked(
        network,
        asked,
        words,
        image=image,
        present=present,
        label=label,
        eps=eps,
        norm=norm,
        target=wanted.target,
        range=limits,
    )
