"""The page from its parts: a template, a style sheet and a script, all inside one file."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from pathlib import Path

from jinja2 import Environment, FunctionLoader, StrictUndefined

from dualbound.files import write_whole
from dualbound.report.page import numbers
from dualbound.report.page.answers import Answers, looked_at
from dualbound.report.page.asked import told
from dualbound.report.page.classes import by_class, matrices
from dualbound.report.page.distances import distances
from dualbound.report.page.gallery import galleries
from dualbound.report.page.layers import bounded, passed_forward
from dualbound.report.page.origin import origin, percent
from dualbound.report.page.robustness import robustness
from dualbound.report.page.sheets import sheets
from dualbound.report.page.survival import survival
from dualbound.report.page.tables import distributions, every_answer, failures, headline
from dualbound.studies import Study
from dualbound.studies.task import versions


def save_page(study: Study, path: Path | str) -> None:
    """Write what a study has answered as one HTML file that needs no other file and no network.

    Args:
        study: with at least one answer.
        path: of the file.

    Raises:
        DataError: the study has no answers yet, or they cannot be read.
        OutputError: the file cannot be written.
    """
    write_whole(Path(path), as_page(study).encode())


def as_page(study: Study) -> str:
    """What `save_page` writes: the same text for the same answers.

    Args:
        study: with at least one answer.

    Raises:
        DataError: the study has no answers yet, or they cannot be read.
    """
    with looked_at(study) as answers:
        return _filled(answers)


def _filled(answers: Answers) -> str:
    script = _part("script.js")
    came_from = origin(answers)
    template = Environment(
        loader=FunctionLoader(_part),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template("page.html.j2")
    return template.render(
        title=answers.study.title,
        folder=answers.folder,
        edited=answers.edited,
        origin=came_from,
        percent=percent(came_from),
        asked=told(answers),
        headline=headline(answers),
        distributions=distributions(answers),
        answers=every_answer(answers),
        survival=survival(answers),
        robustness=robustness(answers),
        distances=distances(answers),
        galleries=galleries(answers),
        sheets=sheets(answers),
        by_class=by_class(answers),
        matrices=matrices(answers),
        layers=bounded(answers),
        forward=passed_forward(answers),
        failures=failures(answers),
        version=versions().get("dualbound", ""),
        integer=numbers.integer,
        style=_part("style.css"),
        script=script,
        script_hash=_hash(script),
    )


def _part(name: str) -> str:
    """A file of the template."""
    folder = resources.files("dualbound.report.page") / "template"
    return (folder / name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    """By which a browser knows the one script that it may run."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
