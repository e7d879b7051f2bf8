"""Train the networks that the package embeds, or check those that are committed.

    python scripts/train_embedded.py [NAME ...]     train and write (all of them by default)
    python scripts/train_embedded.py --check        checksum and test accuracy, nothing is written

MNIST comes from where `dualbound.data.mnist` finds it. Everything is seeded and runs in one
thread, so a second run on the same versions gives the same bytes; another build of torch may
round differently and give other networks of the same quality.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import sys
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from dualbound.data.mnist import mnist
from dualbound.errors import DataError

FOLDER = Path(__file__).parents[1] / "src" / "dualbound" / "data" / "networks"
OPSET, IR_VERSION = 17, 8


@dataclass(frozen=True)
class Recipe:
    """Plain SGD with momentum on the cross-entropy; the rate falls to 0 along a cosine."""

    epochs: int = 50
    batch: int = 128
    rate: float = 0.05
    momentum: float = 0.9
    warmup_epochs: int = 1


@dataclass(frozen=True)
class Plan:
    """One network: sizes of its layers, the seed that gave a live one, where it comes from."""

    widths: tuple[int, ...]
    seed: int
    note: str


KOOT = "the architecture of this name in the literature on bounds for MILP models of ReLU networks"
PLANS = {
    "dnn1": Plan((784, 8, 8, 8, 10), 1, KOOT),
    "dnn2": Plan((784, 8, 8, 8, 8, 8, 8, 10), 1, KOOT),
    "dnn3": Plan((784, 20, 10, 8, 8, 10), 1, KOOT),
    "dnn4": Plan((784, 20, 10, 8, 8, 8, 10), 1, KOOT),
    "dnn5": Plan((784, 20, 20, 10, 10, 10, 10), 1, KOOT),
    "mlp-64-64": Plan((784, 64, 64, 10), 1, "the network of early work on networks as MILPs"),
    "mlp-50-20": Plan((784, 50, 20, 10), 1, "a base network of work on pruning by MILP"),
}


@dataclass(frozen=True)
class Digits:
    """Images as float32 rows in [0, 1], and labels."""

    x: Tensor
    y: Tensor

    @classmethod
    def of(cls, split: str) -> Digits:
        """All images of a split."""
        data = mnist(split)
        rows = data.values().reshape(len(data), -1)
        return cls(torch.from_numpy(rows), torch.from_numpy(data.labels.copy()))


def build(widths: tuple[int, ...]) -> nn.Sequential:
    """Flatten, then affine maps with a ReLU between each two; He initialisation, zero biases."""
    layers: list[nn.Module] = [nn.Flatten()]
    for k, (n, m) in enumerate(pairwise(widths)):
        if k:
            layers.append(nn.ReLU())
        affine = nn.Linear(n, m)
        nn.init.kaiming_normal_(affine.weight, nonlinearity="relu")
        nn.init.zeros_(affine.bias)
        layers.append(affine)
    return nn.Sequential(*layers)


def train(plan: Plan, recipe: Recipe, digits: Digits) -> nn.Sequential:
    torch.manual_seed(plan.seed)
    net = build(plan.widths)
    optimizer = torch.optim.SGD(net.parameters(), lr=recipe.rate, momentum=recipe.momentum)
    steps = len(digits.y) // recipe.batch
    schedule = torch.optim.lr_scheduler.SequentialLR(
        optimizer,
        [
            torch.optim.lr_scheduler.LinearLR(optimizer, 0.05, 1.0, recipe.warmup_epochs * steps),
            torch.optim.lr_scheduler.CosineAnnealingLR(
                optimizer, (recipe.epochs - recipe.warmup_epochs) * steps
            ),
        ],
        [recipe.warmup_epochs * steps],
    )
    for _ in range(recipe.epochs):
        order = torch.randperm(len(digits.y))[: steps * recipe.batch]
        x, y = digits.x[order], digits.y[order]
        for rows, labels in zip(x.split(recipe.batch), y.split(recipe.batch), strict=True):
            optimizer.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(net(rows), labels).backward()
            optimizer.step()
            schedule.step()
    return net


def to_onnx(name: str, net: nn.Sequential) -> bytes:
    """Flatten, Gemm and Relu only; no exporter, no time stamp: the same weights, the same bytes."""
    nodes, weights, value = [], [], "image"
    affine = [layer for layer in net if isinstance(layer, nn.Linear)]
    nodes.append(helper.make_node("Flatten", [value], ["pixels"], name="flatten", axis=1))
    value = "pixels"
    for k, layer in enumerate(affine):
        last = k == len(affine) - 1
        for kind, parameter in (("weight", layer.weight), ("bias", layer.bias)):
            array = parameter.detach().numpy().astype(np.float32)
            weights.append(numpy_helper.from_array(array, f"layer{k}.{kind}"))
        out = "logits" if last else f"layer{k}"
        nodes.append(
            helper.make_node(
                "Gemm",
                [value, f"layer{k}.weight", f"layer{k}.bias"],
                [out],
                name=f"gemm{k}",
                transB=1,
            )
        )
        value = out
        if not last:
            nodes.append(helper.make_node("Relu", [value], [f"relu{k}"], name=f"relu{k}"))
            value = f"relu{k}"
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 28, 28])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 10])],
        weights,
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="dualbound",
    )
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def accuracy(model: bytes, digits: Digits) -> float:
    """Share of images classified right by onnxruntime, ties counted as wrong."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"image": digits.x.numpy().reshape(-1, 1, 28, 28)})
    labels = digits.y.numpy()
    rows = np.arange(len(labels))
    own = logits[rows, labels].copy()
    logits[rows, labels] = -np.inf
    return float(np.mean(own > logits.max(axis=1)))


def write(name: str, model: bytes, recipe: Recipe, scores: dict[str, float]) -> None:
    plan = PLANS[name]
    card = {
        "name": name,
        "description": f"MNIST classifier {'-'.join(map(str, plan.widths))}, {plan.note}",
        "widths": plan.widths,
        "activation": "ReLU between affine layers; logits are affine",
        "input": "float32 (batch, 1, 28, 28), pixels in [0, 1] (byte / 255)",
        "output": "10 logits, one a digit",
        "training": {
            "data": "MNIST, all 60,000 training images, no augmentation",
            "loss": "cross-entropy",
            "optimizer": "SGD, cosine learning rate after a linear warm-up",
            "seed": plan.seed,
            **asdict(recipe),
        },
        "accuracy": scores,
        "sha256": hashlib.sha256(model).hexdigest(),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__.partition("+")[0],
            "onnx": onnx.__version__,
            "onnxruntime": onnxruntime.__version__,
            "opset": OPSET,
        },
        "script": "scripts/train_embedded.py",
        "licence": "MIT",
        "data_licence": "MNIST by Yann LeCun and Corinna Cortes, CC BY-SA 3.0",
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{name}.onnx").write_bytes(model)
    text = json.dumps(card, indent=2, ensure_ascii=False) + "\n"
    (FOLDER / f"{name}.json").write_text(text, encoding="utf-8")


def check(names: list[str]) -> bool:
    """Compare the committed files with their cards; tell what differs."""
    test, fine = Digits.of("test"), True
    for name in names:
        model = (FOLDER / f"{name}.onnx").read_bytes()
        card = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        same_bytes = hashlib.sha256(model).hexdigest() == card["sha256"]
        found = accuracy(model, test)
        # A near-tie may fall either way with another runtime: one image in 10,000 is let through.
        same_accuracy = abs(found - card["accuracy"]["test"]) < 1.5e-4 and found > 0.9
        fine = fine and same_bytes and same_accuracy
        print(
            f"{name:10} sha256 {'ok' if same_bytes else 'DIFFERS'}  test accuracy {found:.4f} "
            f"{'ok' if same_accuracy else 'DIFFERS from the card'}"
        )
    return fine


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PLANS)}")
    parser.add_argument("--check", action="store_true", help="verify the committed files instead")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.names if name not in PLANS]:
        parser.error(f"unknown network {', '.join(unknown)}; known are {', '.join(PLANS)}")
    names = arguments.names or list(PLANS)
    if arguments.check:
        return 0 if check(names) else 1

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    digits: dict[str, Digits] = {"train": Digits.of("train"), "test": Digits.of("test")}
    recipe, failed = Recipe(), []
    for name in names:
        model = to_onnx(name, train(PLANS[name], recipe, digits["train"]))
        scores = {split: round(accuracy(model, data), 5) for split, data in digits.items()}
        print(f"{name:10} seed {PLANS[name].seed}  {scores}", flush=True)
        if scores["test"] > 0.9:
            write(name, model, recipe, scores)
        else:
            failed.append(name)
    if failed:
        print(f"Not above 90 %, not written: {', '.join(failed)}. Try another seed.")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except DataError as error:
        sys.exit(str(error))
