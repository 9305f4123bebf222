"""A network whose maps are one column wide with rows for columns, as kernels go along rows: the same numbers."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from hybridq.integer.network import IntegerNetwork, Layer, Shape, Windowed

BY_AXIS = ("strides", "pads", "dilation", "window", "factors")  # fields that say something of rows, then of columns


def turned(network: IntegerNetwork) -> IntegerNetwork:
    """The network with rows for columns where all its maps are one column wide; else as it is."""
    maps = [shape for shape in network.shapes.values() if len(shape) == 3]
    if not maps or any(columns > 1 for _, columns, _ in maps) or all(rows == 1 for rows, _, _ in maps):
        return network
    return replace(
        network, input_shape=_turned(network.input_shape), layers=tuple(_layer(layer) for layer in network.layers)
    )


def _layer(layer: Layer) -> Layer:
    names = {field.name for field in fields(layer)}
    changes: dict[str, Any] = {name: getattr(layer, name)[::-1] for name in BY_AXIS if name in names}
    if isinstance(layer, Windowed):
        changes["weights"] = layer.weights.swapaxes(0, 1)
    return replace(layer, shape=_turned(layer.shape), **changes)


def _turned(shape: Shape) -> Shape:
    return (shape[1], shape[0], *shape[2:]) if len(shape) == 3 else shape
