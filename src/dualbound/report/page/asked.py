"""What a study asked, in words."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from dualbound.criterion.targeted import how_clearly
from dualbound.region import NORMS
from dualbound.report.page.answers import Answers
from dualbound.search.bab import Bab
from dualbound.studies.asks import Activate, Ask, BoundNeurons, Forward, Nearest, Perfect, Verify
from dualbound.studies.specification import Scope, Series

_KEPT = {
    "correct": "those that the network reads correctly",
    "misread": "those that the network misreads",
    "all": "",
}


@dataclass(frozen=True)
class Told:
    """A series of questions, for people.

    Attributes:
        name: of the series.
        sentence: what is asked.
        facts: the rest of it, as names and words.
    """

    name: str
    sentence: str
    facts: tuple[tuple[str, str], ...]


def told(answers: Answers) -> list[Told]:
    """Every series of a study in words; what is the same in all of several comes last, once."""
    series = [_told(one) for one in answers.specification.series]
    if len(series) < 2:
        return series
    same = tuple(fact for fact in series[0].facts if all(fact in one.facts for one in series))
    own = [
        dataclasses.replace(one, facts=tuple(fact for fact in one.facts if fact not in same))
        for one in series
    ]
    return [*own, Told("In all of them", "", same)] if same else own


def target_words(ask: Nearest) -> str:
    """What the network shall answer.

    >>> target_words(Nearest(target="+5")), target_words(Nearest(targets=(1, 2)))
    ('the label 5 after the true one', 'one of the labels 1, 2')
    """
    target = ask.target
    if ask.targets is not None:
        return f"one of the labels {_listed(ask.targets)}"
    if isinstance(target, int):
        return f"the label {target}"
    if isinstance(target, tuple):
        return f"a target of its own for each true label: {_listed(target)}"
    if target is not None and target.startswith("+"):
        return f"the label {target[1:]} after the true one"
    return {
        "runner-up": "the label whose output is second",
        "repair": "the true label, of an image that is misread",
    }.get(target or "any", "any other label")


def _told(series: Series) -> Told:
    ask, scope = series.ask, series.scope
    facts = [("networks", _listed(scope.networks))]
    if ask.of_image:
        facts.append(("images", _images(scope)))
    facts += _of_query(ask)
    facts += [("limits", _limits(ask)), ("engine", _engine(ask))]
    return Told(series.name, _sentence(ask), tuple((name, what) for name, what in facts if what))


def _sentence(ask: Ask) -> str:
    if isinstance(ask, Nearest):
        then = (
            f", and of all that are as near, the {NORMS[ask.then].title}-nearest"
            if ask.then
            else ""
        )
        return (
            f"The nearest input in {NORMS[ask.norm].title} that reaches {target_words(ask)}{then}."
        )
    if isinstance(ask, Verify):
        radii = ask.eps if isinstance(ask.eps, tuple) else (ask.eps,)
        label = "its true label" if ask.label is None else f"the label {ask.label}"
        around = f"within {_listed(radii)} of an image in {NORMS[ask.norm].title}"
        return f"Whether every input {around} is answered with {label}."
    if isinstance(ask, Activate):
        which = {"all": "every neuron", "logits": "the logits"}.get(
            str(ask.layer), f"layer {ask.layer}"
        )
        one = "" if ask.neuron == "all" else f"neuron {ask.neuron} of "
        most = "largest" if ask.maximise else "smallest"
        value = "value after the rectifier" if ask.post else "value before the rectifier"
        value = "value" if ask.layer == "logits" else value
        return f"The {most} {value} of {one}{which}, and the input that has it."
    if isinstance(ask, Perfect):
        label = "each label" if ask.label == "all" else f"label {ask.label}"
        loss = {"l1": "the sum of the differences", "squared": "the sum of their squares"}[ask.loss]
        return f"The input that the network takes for a perfect example of {label}, by {loss}."
    if isinstance(ask, BoundNeurons):
        return f"Proved bounds of every neuron over all inputs, by the method {ask.method}."
    if isinstance(ask, Forward):
        return "The program at a fixed input: are its outputs the network's own?"
    return f"{ask.query}."


def _of_query(ask: Ask) -> list[tuple[str, str]]:
    facts: list[tuple[str, str]] = []
    if isinstance(ask, Nearest):
        facts.append(("criterion", how_clearly(ask.ratio, ask.margin)))
    if isinstance(ask, Verify):
        counts = "ties" if ask.margin is None else f"margin {ask.margin:g}"
        facts.append(("counted as another answer", counts))
    low, high = getattr(ask, "range", (0.0, 1.0))
    inputs = [f"between {low:g} and {high:g}"]
    if getattr(ask, "cap", None) is not None:
        inputs.append(f"none moves by more than {getattr(ask, 'cap', 0):g}")
    if getattr(ask, "levels", None) is not None:
        inputs.append(f"on {getattr(ask, 'levels', 0) + 1} evenly spaced values")
    return [*facts, ("inputs", ", ".join(inputs))]


def _images(scope: Scope) -> str:
    words = [_listed(scope.images), _KEPT[scope.keep]]
    if scope.count is not None:
        which = "the first" if scope.choose == "first" else f"at random (seed {scope.seed}),"
        words.append(f"{which} {scope.count} for each network")
    return ", ".join(word for word in words if word)


def _limits(ask: Ask) -> str:
    seconds, gap = getattr(ask, "seconds", None), getattr(ask, "gap", None)
    words = ["no time limit" if seconds is None else f"{seconds:g} s a question"]
    each = getattr(ask, "seconds_per_neuron", None)
    if each is not None:
        words.append(f"{each:g} s a neuron")
    if gap is not None:
        words.append(f"gap {100 * gap:g} %")
    return ", ".join(words)


def _engine(ask: Ask) -> str:
    """The engine, and what of its options is not as it would be anyway."""
    if isinstance(ask, BoundNeurons):
        return f"solver {ask.solver}" if ask.method in ("lp", "milp") else ""
    if isinstance(ask, Verify):
        return f"{Bab.name}, branching {ask.branching}"
    words = [str(getattr(ask, "engine", ""))]
    for name in ("strategy", "solver", "formulation", "bounds"):
        value = getattr(ask, name, None)
        words.append("" if value is None else f"{name} {value}")
    if not getattr(ask, "attack", True):
        words.append("no attack before the proof")
    return ", ".join(word for word in words if word)


def _listed(items: tuple[object, ...]) -> str:
    shown = ", ".join(str(item) for item in items[:24])
    return shown + (f", … ({len(items)} in all)" if len(items) > 24 else "")
