"""``dualbound info``."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text

from dualbound.cli import exit_codes, options
from dualbound.cli.inputs import read_model
from dualbound.cli.records import about, finite
from dualbound.cli.streams import say, say_error, say_json
from dualbound.cli.summaries import listing, table
from dualbound.data import networks
from dualbound.network import Affine, Check, Network
from dualbound.network import check as check_network

CheckOption = Annotated[
    bool,
    typer.Option(
        "--check",
        help="Evaluate the network beside onnxruntime on its file, at some dozens of inputs.",
    ),
]


def info(model: options.ModelName, check: CheckOption = False, json: options.Json = False) -> int:
    """Describe a network: layers, rectifiers, parameters, what the reader noted, its hash."""
    network = read_model(model)
    found = check_network(network) if check else None
    record = about("info", model, network) | description(network) | {"check": _checked(found)}
    path = network.source.path if network.source else None
    embedded = path is not None and model in networks.names() and path == networks.path(model)
    card = networks.card(model) if embedded else None
    if json:
        say_json(record | {"card": card})
    else:
        _show(record, card)
    if found is None or found.agrees:
        return exit_codes.ANSWERED
    say_error(
        "Error",
        f"dualbound and onnxruntime do not agree on {model}: at one of {found.points} inputs they "
        f"differ by {found.difference:.2g} of the largest output; rounding explains "
        f"{found.tolerance:.0e}. One of the two is wrong, and no answer about this model can be "
        "trusted: please report it with the file.",
    )
    return exit_codes.INTERNAL


def _checked(found: Check | None) -> dict[str, Any] | None:
    """The figures of a check, null without one."""
    if found is None:
        return None
    difference = finite(found.difference)
    return {"points": found.points, "difference": difference, "agrees": found.agrees}


def description(network: Network) -> dict[str, Any]:
    """The figures of a network, as they stand in the record."""
    layers: list[dict[str, Any]] = [
        {
            "name": node.name,
            "kind": type(node.op).__name__.lower(),
            "size": node.size,
            "parameters": (node.op.parameters if isinstance(node.op, Affine) else 0),
        }
        for node in network.nodes
    ]
    return {
        "input_shape": list(network.input_shape),
        "inputs": network.input_size,
        "outputs": network.output_size,
        "relus": sum(relu.size for relu in network.relus),
        "parameters": sum(layer["parameters"] for layer in layers),
        "layers": layers,
        "notes": list(network.source.notes) if network.source else [],
    }


def _show(record: dict[str, Any], card: dict[str, Any] | None) -> None:
    shape = " × ".join(map(str, record["input_shape"]))
    rows = [
        ("input", f"{shape} ({record['inputs']:,} numbers)"),
        ("outputs", f"{record['outputs']:,}"),
        ("ReLUs", f"{record['relus']:,}"),
        ("parameters", f"{record['parameters']:,}"),
        ("sha256", str(record["model_sha256"])),
    ]
    rows += [("note", note) for note in record["notes"]]
    if record["check"] is not None:
        rows.append(("check", _check_words(record["check"])))
    if card is not None:
        rows.append(("about", card["description"]))
        training = card["training"]
        rows.append(("trained", f"{training['data']}; {training['loss']}, seed {training['seed']}"))
        rows.append(("accuracy", f"{100 * card['accuracy']['test']:.2f} % on the full test set"))
        rows.append(("licence", f"{card['licence']}; data: {card['data_licence']}"))
    layers = table("layer", "kind", "size", "parameters")
    for layer in record["layers"]:
        layers.add_row(
            layer["name"], layer["kind"], f"{layer['size']:,}", f"{layer['parameters']:,}"
        )
    say(Text(record["model"], "bold"), listing(rows), "", layers)


def _check_words(check: dict[str, Any]) -> str:
    apart = "without bound" if check["difference"] is None else f"by {check['difference']:.2g}"
    return (
        f"float64 and onnxruntime differ {apart} of the largest output at most, at "
        f"{check['points']} inputs"
    )
