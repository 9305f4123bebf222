"""The chains of a Keras network on grids as the layers of its integer network."""

from __future__ import annotations

import logging
from dataclasses import replace
from math import floor, log2, prod
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridq.errors import UserError
from hybridq.formats import Format, holding
from hybridq.graph.kinds import Form
from hybridq.integer import arithmetic, scaling
from hybridq.integer.description import Description
from hybridq.integer.fusion import Chain, chains_of
from hybridq.integer.network import (
    INT8,
    INT16,
    LOWEST_SHIFT,
    Add,
    Affine,
    AveragePool,
    Convolution,
    Dense,
    Depthwise,
    IntegerNetwork,
    Integers,
    Layer,
    Shape,
    Weighted,
)
from hybridq.integer.scaling import Reals
from hybridq.integer.skeleton import image_shape, mean_scale, outline
from hybridq.integer.weights import TINY, Weights, weights_of
from hybridq.quantize.steps import CLIP, FUNCTION, GRID, NORM, TURNED

if TYPE_CHECKING:
    import keras

FAINT_SCALE = 2.0**-12  # of a channel whose weights are left out
log = logging.getLogger("hybridq")


def integer_network(model: keras.Model, description: Description | None = None) -> IntegerNetwork:
    """The integer network of a Keras network on grids; a layer has the name of the Keras layer that it begins with."""
    chains = chains_of(model)
    found = outline(chains)
    pairs = zip(found.layers, chains[1:], strict=True)
    layers = tuple(_valued(layer, chain, model, last=chain is chains[-1]) for layer, chain in pairs)
    return replace(found, layers=layers, description=description or Description())


def _valued(layer: Layer, chain: Chain, model: keras.Model, last: bool) -> Layer:
    """A layer of the outline with its values."""
    if isinstance(layer, AveragePool):
        scale = np.array([mean_scale(chain)])
        return replace(layer, out=scaling.requantization(layer.name, scale, *_bounds(chain), LOWEST_SHIFT))
    if isinstance(layer, Add):
        one, other = (source.chain.fraction for source in chain.inputs)
        scales, shift = scaling.sum_scales(layer.name, (one, other), layer.fraction)
        low, high = _bounds(chain)
        return replace(layer, scales=scales, shift=shift, low=low, high=high)
    given = acting(chain, model)
    if isinstance(layer, Convolution | Depthwise | Dense) and given is not None:
        return _weighted(layer, chain, given, last)
    return layer


def acting(chain: Chain, model: keras.Model) -> Weights | None:
    """What a chain multiplies its input by; None where it only moves or adds values."""
    op, source = chain.operator, image_shape(chain.operator.input_shapes[0])
    if op.facts.form is Form.WEIGHTS:
        return weights_of(model.get_layer(op.name), op)
    if op.facts.form is Form.BEHIND:
        return _constant((1, 1, source[-1]), 1.0)
    return _constant(source, 1 / prod(source[:-1])) if op.facts.form is Form.MEAN else None


def sums(chain: Chain, given: Weights) -> tuple[Integers, Reals, Reals]:
    """The weights of a chain, what a step of its sums stands for by channel, and its offset; a batch norm included."""
    scale, offset = given.step * 2.0 ** -chain.inputs[0].chain.fraction, given.bias
    if chain.parts and chain.parts[0].letter == NORM:
        by, plus = chain.parts[0].value
        scale, offset = scale * by, offset * by + plus
    return given.integers * np.where(scale < 0, -1, 1), np.abs(scale), offset


def _constant(shape: Shape, value: float) -> Weights:
    """Depthwise weights that all stand for one value, as 64 so that the sums are finer than the results.

    Of an average this says no more than how fine its results can be: its sums are doubled up to 64 times.
    """
    channels = shape[-1]
    return Weights(np.full(shape, 64, np.int64), Format.INT8, np.full(channels, value / 64), np.zeros(channels))


# ------------------------------------------------------------------------------------------ layers with weights


def _weighted(layer: Weighted, chain: Chain, given: Weights, last: bool) -> Layer:
    """A layer with weights: the parts behind it as scale, offset, bounds, table and affine."""
    name, parts = chain.name, chain.parts
    integers, scale, offset = sums(chain, given)
    stored = _logits_fraction(integers, scale, offset) if last else next(p.value for p in parts if p.letter == GRID)
    low, high = INT16 if last else _bounds(chain)
    lowest = LOWEST_SHIFT if isinstance(layer, Dense) else 0
    scale, offset = scale * 2.0**stored, offset * 2.0**stored
    integers, width, scale = _fitting(name, integers, given.width, scale, offset, lowest)
    out = scaling.requantization(name, scale, low, high, lowest)
    added = scaling.bias(_within_reach(integers, scale, offset, high), scale)
    scaling.check_sums(name, integers, added, out.doublings)
    table, affine, fraction = _behind(chain, stored) if not last else (None, None, stored)
    if chain.inputs[0].view == TURNED:  # the rows of the image are the channels
        integers = integers.swapaxes(0, 1)
    weights = integers.reshape(layer.weights.shape)
    return replace(
        layer, fraction=fraction, weights=weights, width=width, bias=added, out=out, table=table, affine=affine
    )


def _bounds(chain: Chain) -> tuple[int, int]:
    """Of the integers that are stored first: from 0 where a ReLU is all that stands before the grid."""
    letters = [part.letter for part in chain.parts]
    place = letters.index(GRID)
    if CLIP not in letters[:place]:
        return INT8
    fraction, highest = chain.parts[place].value, chain.parts[letters.index(CLIP)].value
    return 0, INT8[1] if highest is None else min(INT8[1], floor(highest * 2.0**fraction + 0.5))


def _behind(chain: Chain, stored: int) -> tuple[Integers | None, Affine | None, int]:
    """The table and the batch norm behind what is stored first, and the fraction that they leave."""
    table, affine, fraction = None, None, stored
    letters = [part.letter for part in chain.parts]
    for part in chain.parts[letters.index(GRID) + 1 :]:
        if part.letter in (FUNCTION, CLIP):
            function: Any = part.value if part.letter == FUNCTION else _clip(part.value)
        elif part.letter == NORM:
            function, (by, plus) = None, part.value
        elif function is None:
            change = 2.0 ** (part.value - fraction)
            affine, fraction = scaling.affine(chain.name, by * change, plus * 2.0**part.value), part.value
        else:
            table, fraction = arithmetic.table_of(_in_float32(function), fraction, part.value), part.value
    return table, affine, fraction


def _clip(highest: float | None) -> Any:
    return lambda values: np.clip(values, 0, highest)


def _in_float32(function: Any) -> Any:
    """A Keras layer or function as one of float64, computed as Keras does."""
    return lambda values: np.asarray(function(values[None].astype(np.float32)), np.float64)[0]


# ------------------------------------------------------------------------------------------ ranges


def _reach(integers: Integers) -> Reals:
    """How far the products of a channel can add up, with inputs of -128."""
    found: Reals = 128.0 * np.abs(integers).reshape(-1, integers.shape[-1]).sum(0)
    return found


def _logits_fraction(integers: Integers, scale: Reals, offset: Reals) -> int:
    """The finest grid of int16 on which no sum is clipped."""
    finest = floor(log2(INT16[1] / float((_reach(integers) * scale + np.abs(offset)).max())))
    coarse_enough = floor(log2(scaling.LARGEST_SCALE * (1 - 1e-9) / float(scale.max())))
    return min(finest, coarse_enough)


def finest_grid(integers: Integers, scale: Reals) -> int:
    """The finest grid that sums can be requantized to, with weights of 8 bits multiplied as far as they go."""
    largest = np.abs(integers).reshape(-1, integers.shape[-1]).max(0)
    factors = Format.INT8.largest // np.maximum(largest, 1)
    return floor(log2(scaling.LARGEST_SCALE * (1 - 1e-9) * float((factors / np.maximum(scale, TINY)).min())))


def _within_reach(integers: Integers, scale: Reals, offset: Reals, high: int) -> Reals:
    """The offsets, those that clip every result no larger than needed for that."""
    most = _reach(integers) * scale + 4 * (high + 1)
    return np.clip(offset, -most, most)


def _fitting(
    name: str, integers: Integers, width: Format, scale: Reals, offset: Reals, lowest: int
) -> tuple[Integers, Format, Reals]:
    """Weights and scales (of results, by channel) that a requantization of that lowest shift can have.

    A channel whose weights cannot move a result by a quarter of a step, and whose scale or bias would not fit, loses
    its weights. Where sums are coarser than results, all integers of the channel are multiplied. Where it would take a
    wider width for that, the sums are doubled, if such a shift there may be.
    """
    faint = (_reach(integers) * scale < 0.25) & (np.abs(offset) >= scale * 2.0**28) | (scale < 2.0**-32)
    if faint.any():
        if not width.has_zero:
            raise UserError(f"{name}: a channel's weights are too small to count; give it 8-bit or ternary weights")
        integers, scale = np.where(faint, 0, integers), np.where(faint, FAINT_SCALE, scale)
    factors = np.maximum(1, np.floor(scale / scaling.LARGEST_SCALE) + 1).astype(np.int64)
    factors = np.where(scale < scaling.LARGEST_SCALE, 1, factors)
    largest = int(np.abs(integers * factors).max())
    if largest > width.largest:
        if scale.max() < scaling.LARGEST_SCALE * 2.0**-lowest and scale.min() >= 2.0 ** (-32 - lowest):
            return integers, width, scale
        log.info("%s: %d-bit weights are too few for its results, so it is stored in more", name, width.bits)
        width = holding(min(largest, Format.INT8.largest))
    if largest > Format.INT8.largest:
        raise UserError(f"{name}: its results are on a grid finer than its sums; calibrate anew")
    return integers * factors, width, scale / factors
