"""Where a training stands, in a file: it goes on as if nothing had happened."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dualbound.data import Dataset
from dualbound.errors import DataError, InvalidInput
from dualbound.files import write_whole
from dualbound.learn.method import Method
from dualbound.learn.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

FILE = "checkpoint.pt"


@dataclass(frozen=True)
class Epoch:
    """What is known after an epoch.

    Attributes:
        epoch: how many are done.
        rate: the learning rate then.
        loss: mean of what was minimised.
        accuracy: on what was trained on, while it was.
        test_loss: of the test set, None without one.
        test_accuracy: of the test set, None without one.
        seconds: that the epoch took.
        added: inputs that it saw besides the data.
    """

    epoch: int
    rate: float
    loss: float
    accuracy: float
    test_loss: float | None
    test_accuracy: float | None
    seconds: float
    added: int = 0


@dataclass
class State:
    """Where a training stands, besides the weights.

    Attributes:
        epoch: how many are done.
        step: how many batches of the present one.
        history: of every epoch.
        loss: summed over the present epoch's inputs.
        right: inputs of it that were answered right.
        seen: inputs of it that were learned from.
        seconds: of the present epoch.
        added: inputs and labels that the present epoch sees besides the data.
    """

    epoch: int = 0
    step: int = 0
    history: list[Epoch] = field(default_factory=list)
    loss: float = 0.0
    right: int = 0
    seen: int = 0
    seconds: float = 0.0
    added: tuple[Tensor, Tensor] | None = None


def fingerprint(module: nn.Module, data: Dataset, recipe: Recipe, method: Method) -> str:
    """What must be the same for a training to go on."""
    about = [str(module), data.sha256, json.dumps(dataclasses.asdict(recipe)), repr(method)]
    return hashlib.sha256("\n".join(about).encode()).hexdigest()


def save(
    folder: Path, identity: str, module: nn.Module, optimiser: torch.optim.Optimizer, state: State
) -> None:
    """Write a checkpoint; the one before stays until this one is whole.

    Raises:
        OutputError: it cannot be written.
    """
    import torch

    content: dict[str, Any] = {
        "identity": identity,
        "module": module.state_dict(),
        "optimiser": optimiser.state_dict(),
        "random": torch.get_rng_state(),
        "state": {**vars(state), "history": [dataclasses.asdict(one) for one in state.history]},
    }
    if torch.cuda.is_available():
        content["cuda"] = torch.cuda.get_rng_state_all()
    data = io.BytesIO()
    torch.save(content, data)
    write_whole(folder / FILE, data.getvalue())


def restore(
    folder: Path, identity: str, module: nn.Module, optimiser: torch.optim.Optimizer
) -> State | None:
    """Put everything as a checkpoint has it; None where there is none.

    Raises:
        DataError: the file is damaged.
        InvalidInput: it is of another training.
    """
    import torch

    path = folder / FILE
    if not path.exists():
        return None
    try:
        with zipfile.ZipFile(path) as held:  # torch reads on where a checksum is wrong
            if held.testzip() is not None:
                raise zipfile.BadZipFile
        content: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
        if content["identity"] == identity:
            module.load_state_dict(content["module"])
            optimiser.load_state_dict(content["optimiser"])
            torch.set_rng_state(content["random"])
            if len(content.get("cuda", ())) == torch.cuda.device_count() > 0:
                torch.cuda.set_rng_state_all(content["cuda"])
            saved = content["state"]
            return State(**{**saved, "history": [Epoch(**one) for one in saved["history"]]})
    except Exception as error:
        raise DataError(
            f"{path} is damaged ({type(error).__name__}): delete it to begin anew."
        ) from error
    raise InvalidInput(
        f"{path} is of another training: of other layers, data, recipe or method. Name another "
        "folder, or delete it to begin anew."
    )
