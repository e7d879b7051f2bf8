"""``dualbound classify``."""

from __future__ import annotations

import time

from rich.text import Text

from dualbound import queries
from dualbound.cli import exit_codes, options
from dualbound.cli.inputs import read_image, read_model
from dualbound.cli.records import about, numbers
from dualbound.cli.streams import say, say_json
from dualbound.cli.summaries import listing, table


def classify(model: options.ModelName, image: options.ImageName, json: options.Json = False) -> int:
    """Evaluate a network at one image, in float64 and by onnxruntime on the file as given."""
    network = read_model(model)
    shown = read_image(image, network)
    start = time.perf_counter()
    found = queries.classify(network, shown.pixels)
    seconds = time.perf_counter() - start
    if json:
        say_json(
            about("classify", model, network)
            | {
                "image": image,
                "image_label": shown.label,
                "label": found.label,
                "outputs": numbers(found.outputs),
                "runtime_outputs": numbers(found.runtime_outputs),
                "difference": found.difference,
                "active": found.activity,
                "seconds": seconds,
            }
        )
        return exit_codes.ANSWERED
    truth = "" if shown.label is None else f"; its true label is {shown.label}"
    active = ", ".join(f"{name} {count}" for name, count in found.activity.items())
    outputs = table("label", "float64", "onnxruntime")
    for label, pair in enumerate(zip(found.outputs, found.runtime_outputs, strict=True)):
        style = "bold green" if label == found.label else ""
        outputs.add_row(Text(str(label), style), *(Text(f"{value:.6f}", style) for value in pair))
    say(
        Text.assemble((f"{found.label}", "bold green"), f": {model} on {image}{truth}"),
        listing(
            [("difference", f"{found.difference:.2g} between the two at most"), ("active", active)]
        ),
        "",
        outputs,
    )
    return exit_codes.ANSWERED
