"""One question of a study: what is asked, of which network and image, and the key to its answer."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

from dualbound.studies.asks import Ask


@dataclass(frozen=True)
class Question:
    """What is asked, completely.

    Attributes:
        name: of its series.
        ask: with everything filled in that depends on the image.
        network: its name or file.
        network_sha256: of its ONNX bytes.
        image: its name or file, where there is one.
        image_sha256: of its values.
        label: its true label, where that is known.
    """

    name: str
    ask: Ask
    network: str
    network_sha256: str
    image: str | None = None
    image_sha256: str | None = None
    label: int | None = None

    @property
    def options(self) -> str:
        """The question's options, as JSON with sorted keys."""
        return json.dumps(self.ask.options(), sort_keys=True)

    @cached_property
    def key(self) -> str:
        """A hash of the question: its options, and names and contents of network and image."""
        parts = (self.name, self.ask.query, self.options, self.network, self.network_sha256,
                 self.image, self.image_sha256)  # fmt: skip
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def __str__(self) -> str:
        of = self.network if self.image is None else f"{self.network}, {self.image}"
        return f"{self.name}: {of}"
