"""One door for models, the embedded ones included."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dualbound.data import networks
from dualbound.network import Network
from dualbound.network import load as load_model

if TYPE_CHECKING:
    import keras
    import torch


def load(
    model: str | os.PathLike[str] | Network | torch.nn.Module | keras.Model,
    *,
    input_shape: tuple[int, ...] | None = None,
) -> Network:
    """Take a trained network: a file, a torch or Keras model, or the name of an embedded one.

    Args:
        model: the path of an ``.onnx``, ``.nnet``, ``.keras`` or ``.h5`` file, a
            ``torch.nn.Module``, a ``keras.Model``, a network, or one of
            `dualbound.data.networks.names`. A file in the way of a name wins.
        input_shape: of one input of a torch or Keras model that does not tell, without the batch
            axis.

    Returns:
        The network, ending in logits.

    Raises:
        InvalidModel: no such file, or not a model, or a damaged one.
        InvalidInput: not a model at all, or an input shape that is missing or not wanted.
        UnsupportedOperator: the model uses an operator that cannot be represented.

    >>> load("dnn1")
    Network(784-8-8-8-10, 24 ReLU)
    """
    if isinstance(model, str) and not os.path.isfile(model) and model in networks.names():
        model = networks.path(model)
    return load_model(model, input_shape=input_shape)
