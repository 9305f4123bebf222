"""The chains of a Keras network with the figures of its layers: scales and offsets, bounds, functions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridq.errors import UserError
from hybridq.graph.kinds import FUNCTIONS
from hybridq.graph.operators import layer_of
from hybridq.graph.reader import read_graph
from hybridq.integer.fusion import Chain, Part, structure
from hybridq.integer.scaling import Reals
from hybridq.quantization.steps import CLIP, FUNCTION, NORM, SCALE

if TYPE_CHECKING:
    import keras

EPSILON = 1e-7  # of Keras: no deviation of a normalisation is taken for less


def chains_of(model: keras.Model) -> list[Chain]:
    """`structure` of a Keras network, with the figures of its layers."""
    chains = structure(read_graph(model))
    for chain in chains:
        chain.parts = [_measured(part, model) for part in chain.parts]
    return chains


def _measured(part: Part, model: keras.Model) -> Part:
    op = part.operator
    if op is None:
        return part
    operations = getattr(model, "operations", model.layers)  # layers, and those of keras.ops
    layer = next(one for one in operations if one.name == layer_of(op.name))
    value = part.value
    if part.letter == NORM:
        value = _norm(layer)
    elif part.letter == SCALE:
        value = _scale(layer)
    elif part.letter == CLIP:
        value = layer.max_value if op.kind == "ReLU" else _upper_bound(op.attributes["activation"])
    elif part.letter == FUNCTION:
        value = layer
    return replace(part, value=value, layer=layer)


def _scale(layer: Any) -> tuple[Reals, Reals]:
    """A rescaling or normalisation as scale and offset: one of each, or one by channel."""
    if hasattr(layer, "mean"):
        mean, variance = (np.atleast_1d(np.asarray(v, np.float64)) for v in (layer.mean, layer.variance))
        if mean.size > mean.shape[-1]:
            raise UserError(f"{layer.name}: it must have one scale and offset for all values, or one for each channel")
        mean, variance = mean.ravel(), variance.ravel()
        scale = 1 / np.maximum(np.sqrt(variance), EPSILON)
        return scale, -mean * scale
    scale, offset = (np.atleast_1d(np.asarray(v, np.float64)).ravel() for v in (layer.scale, layer.offset))
    size = max(len(scale), len(offset))
    return np.broadcast_to(scale, size), np.broadcast_to(offset, size)


def _upper_bound(function: str) -> float | None:
    bounds = FUNCTIONS[function].bounds
    return bounds[1] if bounds else None


def _norm(layer: Any) -> tuple[Reals, Reals]:
    """A batch norm at inference as scale and offset, by channel."""
    mean, variance = (np.asarray(v, np.float64) for v in (layer.moving_mean, layer.moving_variance))
    scale = 1 / np.sqrt(variance + layer.epsilon)
    scale = scale * np.asarray(layer.gamma, np.float64) if layer.scale else scale
    offset = np.asarray(layer.beta, np.float64) if layer.center else np.zeros_like(mean)
    return scale, offset - mean * scale
