"""A study: a folder that says what is asked and keeps every answer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from dualbound.errors import DataError, InvalidInput, OutputError
from dualbound.limits import Clock
from dualbound.network import Network
from dualbound.studies.executors import Inline, check_executor, compile_first, executor_named
from dualbound.studies.question import Question
from dualbound.studies.runner import Moment, Watch, work_off
from dualbound.studies.specification import FILE, Specification
from dualbound.studies.store import COLUMNS, Difference, Open, Store
from dualbound.studies.store import FILE as ANSWERS
from dualbound.studies.task import Task

if TYPE_CHECKING:
    import pandas as pd

LOCK = ".lock"


class Study:
    """Many questions, each with its answer as soon as it is known.

    ``study.toml`` says what is asked (`Specification`), ``answers.sqlite`` keeps what is answered
    (`Store`). A run that is stopped, or killed, goes on where it was.

    Attributes:
        folder: where both are.
        specification: what is asked.
        skipped: images that the last `run` left out, because what is asked makes no sense there,
            each with the reason.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "study.toml").write_text('''
    ... networks = ["dnn1"]
    ... images = ["sample:0-1"]
    ... [[questions]]
    ... query = "nearest"
    ... target = "+5"
    ... ratio = 1.2
    ... ''')
    >>> study = Study.open(folder)
    >>> study.run(executor="serial").done
    2
    >>> study.frame()[["image", "target", "status"]].values.tolist()
    [['sample:0', 2, 'optimal'], ['sample:1', 7, 'optimal']]
    """

    def __init__(self, folder: Path, specification: Specification) -> None:
        self.folder, self.specification = folder, specification
        self.skipped: list[str] = []

    @classmethod
    def open(cls, folder: Path | str) -> Study:
        """Open a study by its folder.

        Raises:
            DataError: it is none.
            InvalidInput: its ``study.toml`` is not understood.
        """
        folder = Path(folder)
        return cls(folder, Specification.read(folder))

    @property
    def title(self) -> str:
        """Of the study."""
        return self.specification.title

    def run(
        self,
        *,
        executor: str | Executor = "processes",
        update: bool = False,
        again: bool = False,
        on_progress: Watch | None = None,
    ) -> Moment:
        """Ask what has no answer yet, until all is answered or Ctrl-C.

        Answers are the same whoever asks, as long as no time limit cuts a question short.

        Args:
            executor: ``serial``, ``processes`` (one for each core), ``processes:4``, ``dask`` (a
                cluster on this machine), ``dask://HOST:PORT``, or any
                `concurrent.futures.Executor`.
            update: where ``study.toml``, or a file that it names, has changed since the last run:
                ask what is new, and set aside the answers to what is asked no more.
            again: ask those that were given up once more.
            on_progress: is told how it goes, some times a second.

        Returns:
            How it went.

        Raises:
            InvalidInput: what is asked has changed, and ``update`` was not said.
            OutputError: an answer cannot be written, or another run is at work on this study.
            SoundnessError: a proof was contradicted.
            WorkersLost: the executor cannot run anything.
        """
        if isinstance(executor, str):
            check_executor(executor)
        self.skipped = []
        asked = self.specification.questions(self.skipped.append)
        questions = {question.key: question for question in asked}
        if not questions:
            raise InvalidInput(
                f"{self.folder / FILE} asks nothing: no image is left of those to keep."
            )
        text = (self.folder / FILE).read_text(encoding="utf-8")
        with self._alone(), Store(self.folder, writable=True) as store:
            difference = store.difference(questions.values())
            if difference.gone and not update:
                raise InvalidInput(self._changed(difference, store))
            if not store.is_taken_up(questions.values(), text):
                store.take_up(questions.values(), text)
            networks: dict[str, Network] = {}

            def task_of(one: Open) -> Task:
                return self._task(one, questions[one.key], networks)

            with contextlib.ExitStack() as stack:
                clock = stack.enter_context(Clock().catching_ctrl_c())
                waiting = store.unanswered(again=again)
                if not waiting:
                    return work_off(store, [], task_of, Inline(), clock, on_progress)
                compile_first()
                if isinstance(executor, str):
                    executor = stack.enter_context(executor_named(executor))
                moment = work_off(store, waiting, task_of, executor, clock, on_progress)
                if clock.interrupted:
                    executor.shutdown(wait=False, cancel_futures=True)
                return moment

    def frame(self) -> pd.DataFrame:
        """A row for each answer, in the order of the questions; the index is its number.

        Raises:
            DataError: the study has no answers yet, or they cannot be read.
        """
        import pandas as pd  # here: it takes a while to load

        with self.store() as store:
            names, rows = store.rows()
        frame = pd.DataFrame.from_records(rows, columns=names, index="id")
        kinds = {"INTEGER": "Int64", "REAL": "float64"}
        wanted = {name: kinds[kind] for name, kind in COLUMNS.items() if kind in kinds}
        wanted |= {"label": "Int64", "replayed": "boolean", "started": "float64"}
        try:
            return frame.astype(wanted | {"finished": "float64"})
        except (TypeError, ValueError) as error:
            raise DataError(
                f"{self.folder / ANSWERS} holds what no run has written: {error}. Bring back a "
                "copy of it, or move it away to begin anew."
            ) from error

    def witness(self, number: int) -> Float[np.ndarray, "*shape"] | None:
        """The witness of an answer, in the network's input shape; None if it has none.

        Args:
            number: of the answer, as in the index of `frame`.

        Raises:
            InvalidInput: there is no such answer.
        """
        with self.store() as store:
            return store.witness(number)

    def counts(self) -> dict[str, int]:
        """How many questions have each status; ``open`` ones have no answer yet.

        Raises:
            DataError: the study was never run.
        """
        with self.store() as store:
            return store.counts()

    @property
    def edited(self) -> bool:
        """Whether ``study.toml`` is another one by now than the last run took up.

        Raises:
            DataError: the study was never run.
        """
        with self.store() as store:
            then = store.meta(FILE)
        now = (self.folder / FILE).read_text(encoding="utf-8", errors="replace")
        return then is not None and then != now

    def files(self) -> set[Path]:
        """The files that belong to the study: what it reads, and its answers."""
        own = self.folder.resolve()
        answers = {own / f"{ANSWERS}{end}" for end in ("", "-wal", "-shm")}
        return self.specification.files() | answers | {own / LOCK}

    def store(self) -> Store:
        """The answers, to be read; a context manager."""
        return Store(self.folder)

    def _task(self, one: Open, question: Question, networks: dict[str, Network]) -> Task:
        name = question.network
        if name not in networks:
            networks[name] = self.specification.network(name)
        network = networks[name]
        source = network.source
        if source is None or source.sha256 != question.network_sha256:
            raise InvalidInput(f"{name} was changed while the study ran. Run it again.")
        x = None
        if question.image is not None:
            image = self.specification.image(question.image, network)
            if image.sha256 != question.image_sha256:
                raise InvalidInput(
                    f"{question.image} was changed while the study ran. Run it again."
                )
            x = image.pixels
        return Task(one.id, question.ask, str(source.path or name), source.model, x)

    def _changed(self, difference: Difference, store: Store) -> str:
        text = (self.folder / FILE).read_text(encoding="utf-8")
        what = "A network or an image that it names" if text == store.meta(FILE) else FILE
        return (
            f"{what} has changed since the last run of {self.folder}: {len(difference.new)} "
            f"questions are new, {len(difference.gone)} are asked no more, of which "
            f"{difference.answered} have an answer. Say --update to ask the new ones and set those "
            "answers aside (they are kept, and shown nowhere), or undo the change."
        )

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        import filelock

        lock = filelock.FileLock(self.folder / LOCK, timeout=0)
        try:
            lock.acquire()
        except filelock.Timeout:
            raise OutputError(
                f"Another run is at work on {self.folder}. Wait until it is done, or stop it."
            ) from None
        except OSError as error:
            raise OutputError(
                f"{self.folder} cannot be written: {error.strerror or error}. Answers are kept "
                "there: make it writable, or copy the study to a folder that is."
            ) from error
        try:
            yield
        finally:
            lock.release()  # the file stays: to delete it would let two runs in
