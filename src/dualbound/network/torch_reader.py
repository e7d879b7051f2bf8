"""Torch modules become networks through torch's own ONNX export."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import onnx

from dualbound.errors import InvalidInput, InvalidModel
from dualbound.network.graph import Network
from dualbound.network.onnx_reader import read_onnx

if TYPE_CHECKING:
    import torch


def read_torch(module: torch.nn.Module, input_shape: tuple[int, ...] | None = None) -> Network:
    """Read a torch module as it is in evaluation mode.

    The module is exported by ``torch.onnx.export`` for one input; its mode is restored after. The
    network's source is that export, without the traces of where the module's code lies, so the
    same module gives the same bytes everywhere.

    Args:
        module: feed-forward, on inputs with a batch axis before them.
        input_shape: of one input, without the batch axis; inferred from the first layer if that
            is a ``Linear`` of a ``Sequential``.

    Raises:
        InvalidInput: the input shape is missing and cannot be inferred, or is not one.
        InvalidModel: torch cannot export the module for this shape.
        UnsupportedOperator: the module computes what cannot be represented.

    >>> import torch
    >>> module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU(), torch.nn.Linear(2, 4))
    >>> read_torch(module)
    Network(3-2-4, 2 ReLU)
    """
    shape = _inferred_shape(module) if input_shape is None else checked_shape(input_shape)
    return read_onnx(without_traces(exported(module, shape, type(module).__name__)))


def checked_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The sizes of an input's axes, each at least 1.

    Raises:
        InvalidInput: they are not sizes.
    """
    if not isinstance(shape, tuple | list) or not all(isinstance(n, int) for n in shape):
        raise InvalidInput(f"input_shape is {shape!r}; expected sizes such as (1, 28, 28).")
    if not shape or min(shape) < 1:
        raise InvalidInput(f"input_shape is {shape!r}; every axis needs at least one entry.")
    return tuple(shape)


def _inferred_shape(module: torch.nn.Module) -> tuple[int, ...]:
    """The inputs of the first layer that fixes a shape, if only a chain of layers is before it."""
    from torch import nn

    keeping = (nn.Identity, nn.Dropout, nn.ReLU)
    first = next((layer for layer in _chain(module) if not isinstance(layer, keeping)), module)
    if isinstance(first, nn.Linear):
        return (first.in_features,)
    raise InvalidInput(
        f"The input shape of this {type(module).__name__} cannot be told from its first layer, "
        f"{type(first).__name__}; pass it without the batch axis, such as input_shape=(1, 28, 28)."
    )


def _chain(module: torch.nn.Module) -> Iterator[torch.nn.Module]:
    """The layers of a sequential module, those of sequential ones inside included."""
    from torch import nn

    if isinstance(module, nn.Sequential):
        for layer in module:
            yield from _chain(layer)
    else:
        yield module


def exported(
    module: torch.nn.Module, shape: tuple[int, ...], name: str, *, batches: bool = False
) -> onnx.ModelProto:
    """Torch's ONNX export, with its notes on where every node comes from.

    Args:
        module: on inputs with a batch axis before them.
        shape: of one input, without the batch axis.
        name: what an error calls the module.
        batches: whether the model takes batches of any size; else of one.

    Raises:
        InvalidModel: torch cannot export the module for this shape.
    """
    import torch

    like = next((p for p in _tensors(module) if p.is_floating_point()), torch.zeros(()))
    example = torch.zeros((1, *shape), dtype=like.dtype, device=like.device)
    try:
        with _evaluation_mode(module), quiet():
            axes = ({0: torch.export.Dim("batch")},) if batches else None
            program = torch.onnx.export(
                module, (example,), dynamo=True, verbose=False, dynamic_shapes=axes
            )
        if program is None:
            raise RuntimeError("the exporter returned nothing")
        proto: onnx.ModelProto = program.model_proto
    except Exception as error:
        lines = [line.strip() for line in str(_root(error)).splitlines() if line.strip()]
        reason = lines[0].rstrip(".") if lines else type(error).__name__
        raise InvalidModel(
            f"torch cannot export this {name} to ONNX for one input of shape "
            f"{shape}: {reason}. Check input_shape and the module's forward."
        ) from error
    return proto


def _tensors(module: torch.nn.Module) -> Iterator[torch.Tensor]:
    yield from module.parameters()
    yield from module.buffers()


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


@contextlib.contextmanager
def _evaluation_mode(module: torch.nn.Module) -> Iterator[None]:
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, training in modes.items():
            part.training = training


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No warnings, progress lines or log entries of what runs inside."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    sinks = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    try:
        with warnings.catch_warnings(), sinks[0], sinks[1]:
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def without_traces(proto: onnx.ModelProto) -> bytes:
    """The bytes of an export, without what the exporter noted about the module's source code."""
    graph = proto.graph
    proto.ClearField("metadata_props")
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    for tensor in graph.initializer:
        tensor.ClearField("doc_string")
    return proto.SerializeToString(deterministic=True)
