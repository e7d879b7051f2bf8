"""``study.toml``: what a study asks, as its user writes it."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from dualbound.data import networks
from dualbound.data.images import Image, file_of, load_image
from dualbound.data.loading import NAMES
from dualbound.errors import DataError, InvalidCriterion, InvalidInput, InvalidModel, SolverError
from dualbound.network import Network
from dualbound.queries.models import load
from dualbound.studies.asks import KINDS, Ask, ask_from, checked, meant
from dualbound.studies.question import Question

T = TypeVar("T")

FILE = "study.toml"

KEEP = ("correct", "misread", "all")
"""Which images: those that a network reads correctly, those that it does not, or all."""

MANY = 1_000_000
"""Images in a range, at most."""

_RANGE = re.compile(r"(?P<set>.+):(?P<first>[0-9]{1,12})-(?P<last>[0-9]{1,12})")


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What questions are asked of: the keys that may stand at the top and in each question.

    Attributes:
        networks: files, from the study's folder, or names of embedded networks.
        images: as on the command line, and ranges of them: ``sample:0-99``.
        keep: see `KEEP`; of images without a known label all are kept.
        count: at most so many images for each network, of those that are kept.
        choose: the ``first`` so many, or ``random`` ones.
        seed: of that choice.
    """

    networks: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    keep: str = "all"
    count: int | None = None
    choose: str = "first"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.keep not in KEEP:
            raise InvalidInput(f"keep takes {', '.join(KEEP)}; found {self.keep!r}.")
        if self.choose not in ("first", "random"):
            raise InvalidInput(f"choose takes first or random; found {self.choose!r}.")
        if self.seed < 0:
            raise InvalidInput(f"seed takes a number from 0, found {self.seed}.")
        if self.count is not None and self.count < 1:
            raise InvalidInput(f"count takes a number from 1, found {self.count}.")


@dataclass(frozen=True)
class Series:
    """One ``[[questions]]`` of a study.

    Attributes:
        name: for tables; distinct in a study.
        ask: the question.
        scope: of what it is asked.
    """

    name: str
    ask: Ask
    scope: Scope


@dataclass(frozen=True)
class Specification:
    """A whole ``study.toml``.

    Attributes:
        title: of the study.
        series: what it asks.
        folder: that file names start from.
    """

    title: str
    series: tuple[Series, ...]
    folder: Path

    @classmethod
    def read(cls, folder: Path) -> Specification:
        """Read the file of a study's folder.

        Raises:
            DataError: there is none, or it cannot be read.
            InvalidInput: it is not TOML, or says something that is not understood.
        """
        path = folder / FILE
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise DataError(
                f"{folder} is no study: there is no {path}. Write one, or let "
                "'dualbound study new' do it."
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path} cannot be read: {error}.") from error
        return cls.parse(text, folder)

    @classmethod
    def parse(cls, text: str, folder: Path) -> Specification:
        """Read a text in the form of ``study.toml``.

        Raises:
            InvalidInput: see `read`.

        >>> parsed = Specification.parse('''
        ... networks = ["dnn1"]
        ... images = ["sample:0-1"]
        ... [[questions]]
        ... query = "nearest"
        ... target = "+5"
        ... ''', Path("."))
        >>> [(q.network, q.image, q.ask.target) for q in parsed.questions()]
        [('dnn1', 'sample:0', 2), ('dnn1', 'sample:1', 7)]
        """
        path = folder / FILE
        try:
            table = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise InvalidInput(f"{path} is not TOML: {error}.") from error
        title = table.pop("title", folder.resolve().name)
        entries = table.pop("questions", None)
        if not isinstance(title, str):
            raise InvalidInput(f"{path}: title takes a text, found {title!r}.")
        if not isinstance(entries, list) or not entries:
            raise InvalidInput(
                f"{path} asks nothing: it needs at least one [[questions]] with a query, one of "
                f"{', '.join(KINDS)}."
            )
        shared = {item.name for item in Scope.__dataclass_fields__.values()}
        for key in table:
            if key not in shared:
                known = [*shared, "title", "questions"]
                raise InvalidInput(f"{path}: unknown key {key!r}{meant(key, known)}")
        scope = _at(path, lambda: Scope(**checked(Scope, table, str(path))))
        series = []
        for number, entry in enumerate(entries, 1):
            where = f"{path}, question {number}"
            series.append(_at(where, lambda: _series(entry, number, scope, where)))  # noqa: B023
        names = [one.name for one in series]
        for name in names:
            if not name.strip() or not name.isprintable():
                raise InvalidInput(
                    f"{path}: a question needs a name of one line, not empty; found {name!r}."
                )
            if names.count(name) > 1:
                raise InvalidInput(
                    f"{path}: two questions are called {name!r}; give each a name of its own."
                )
        return cls(title, tuple(series), folder)

    def questions(self, on_skip: Callable[[str], None] | None = None) -> Iterator[Question]:
        """Every question of the study, in order.

        An image that a network answers already as it is asked to, or whose target cannot be
        reached for another such reason, is left out.

        Args:
            on_skip: is told of each image that is left out, and why.

        Raises:
            InvalidInput: a question that cannot be asked of any image.
            DataError, ModelError: an image or a network that cannot be read.
        """
        loaded: dict[str, Network] = {}
        for one in self.series:
            for name in one.scope.networks:
                if name not in loaded:
                    loaded[name] = self.network(name)
                network = loaded[name]
                digest = network.source.sha256 if network.source else ""
                if not one.ask.of_image:
                    for ask in one.ask.resolved(network, None, None):
                        yield Question(one.name, ask, name, digest)
                    continue
                asked, skipped = False, ""
                for image in self._images(one, network):
                    where = f"{self.folder / FILE}, {one.name}: {name} and {image.name}"
                    try:
                        asks = list(one.ask.resolved(network, image.pixels, image.label))
                    except InvalidCriterion as error:
                        skipped = skipped or f"{where}: {error}"
                        if on_skip is not None:
                            on_skip(f"{where}: {error}")
                        continue
                    except InvalidInput as error:
                        raise InvalidInput(f"{where}: {error}") from error
                    asked = True
                    for ask in asks:
                        yield Question(
                            one.name, ask, name, digest, image.name, image.sha256,
                            image.label,
                        )  # fmt: skip
                if skipped and not asked:
                    raise InvalidInput(skipped)

    def network(self, name: str) -> Network:
        """A network by the name that it has in this study: a file of it, or an embedded one."""
        file = self._file(name)
        if os.path.isfile(file):
            return load(file)
        if name not in networks.names():
            raise InvalidModel(
                f"There is no file {name!r} in {self.folder}, and no embedded network of this "
                f"name; these are {', '.join(networks.names())}."
            )
        return load(networks.path(name))

    def _images(self, one: Series, network: Network) -> Iterator[Image]:
        names = list(dict.fromkeys(name for spec in one.scope.images for name in spelt_out(spec)))
        if one.scope.choose == "random":
            rng = np.random.default_rng(one.scope.seed)
            names = [names[k] for k in rng.permutation(len(names))]
        found = 0
        for name in names:
            image = self.image(name, network)
            if image.label is not None and one.scope.keep != "all":
                correct = int(np.argmax(network(image.pixels))) == image.label
                if correct != (one.scope.keep == "correct"):
                    continue
            yield image
            found += 1
            if found == one.scope.count:
                return

    def image(self, name: str, network: Network) -> Image:
        """An image by the name that it has in this study."""
        file = self._file(name)
        in_a_set = not os.path.isfile(file) and name.partition(":")[0] in NAMES
        image = load_image(name if in_a_set else str(file), network.input_shape)
        return replace(image, name=name)

    def files(self) -> set[Path]:
        """Every file that the study reads, its networks and images among them."""
        names = {
            file_of(name)
            for one in self.series
            for spec in (*one.scope.networks, *one.scope.images)
            for name in spelt_out(spec)
            if spec.partition(":")[0] not in NAMES
        }
        return {self.folder.resolve() / FILE, *(self._file(name) for name in names)}

    def _file(self, name: str) -> Path:
        """Where a file is, though the study's folder may not be there yet."""
        return Path(os.path.normpath(self.folder.resolve() / name))


def spelt_out(spec: str) -> list[str]:
    """The images that a range means; anything else stands for itself.

    >>> spelt_out("sample:8-10"), spelt_out("mnist:test:7")
    (['sample:8', 'sample:9', 'sample:10'], ['mnist:test:7'])
    """
    match = _RANGE.fullmatch(spec)
    if match is None:
        return [spec]
    first, last = int(match["first"]), int(match["last"])
    if last - first >= MANY:
        raise InvalidInput(f"{spec!r} names more than {MANY:,} images: use several studies.")
    if last < first:
        raise InvalidInput(f"{spec!r} is an empty range: it ends before it begins.")
    return [f"{match['set']}:{k}" for k in range(first, last + 1)]


def _series(entry: Any, number: int, scope: Scope, where: str) -> Series:
    if not isinstance(entry, Mapping):
        raise InvalidInput(f"{where} is no table: write [[questions]] above its keys.")
    table = dict(entry)
    query = table.pop("query", None)
    if not isinstance(query, str) or query not in KINDS:
        found = "no query" if query is None else f"query = {query!r}"
        raise InvalidInput(f"{where}: {found}; known are {', '.join(KINDS)}.")
    kind = KINDS[query]
    name = table.pop("name", f"{query} {number}" if number > 1 else query)
    if not isinstance(name, str):
        raise InvalidInput(f"{where}: name takes a text, found {name!r}.")
    own = {key: table.pop(key) for key in list(table) if key in Scope.__dataclass_fields__}
    scope = replace(scope, **checked(Scope, own, where))
    for key, value in (("networks", scope.networks), ("images", scope.images)):
        if not value and (key == "networks" or kind.of_image):
            raise InvalidInput(f"{where}: {query} needs {key}; name some there or at the top.")
    return Series(name, ask_from(kind, table, where), scope)


def _at(where: object, read: Callable[[], T]) -> T:
    """What is read, its errors with the place in front."""
    try:
        return read()
    except (InvalidInput, SolverError) as error:
        if str(error).startswith(str(where)):
            raise
        raise type(error)(f"{where}: {error}") from error
