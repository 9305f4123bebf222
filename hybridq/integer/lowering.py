"""The chains of a Keras network on grids as the layers of its integer network."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from math import floor, log2, prod
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridq.errors import UserError
from hybridq.formats import Format, holding
from hybridq.graph.kinds import Form
from hybridq.graph.operators import layer_of
from hybridq.integer import arithmetic, scaling
from hybridq.integer.bounds import worst_sum
from hybridq.integer.description import Description
from hybridq.integer.figures import chains_of
from hybridq.integer.fusion import Chain, image_shape
from hybridq.integer.map_lowering import bounds, valued
from hybridq.integer.map_skeleton import map_outline
from hybridq.integer.maps import WindowMean
from hybridq.integer.network import (
    INT16,
    LOWEST_SHIFT,
    Affine,
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
from hybridq.integer.skeleton import outline
from hybridq.integer.weights import TINY, Weights, weights_of
from hybridq.quantization.steps import CLIP, FUNCTION, GRID, NORM, SCALE, TURNED

if TYPE_CHECKING:
    import keras

BELOW_LARGEST = scaling.LARGEST_SCALE * (1 - 1e-9)  # whatever is rounded
FAINT_SCALE = 2.0**-12  # of a channel whose weights are left out
log = logging.getLogger("hybridq")


@dataclass(frozen=True)
class Sums:
    """What a chain adds up, a batch norm included: the result of a channel is sum * scale + offset."""

    weights: Integers  # (..., channels)
    width: Format
    scale: Reals  # by channel, above 0
    offset: Reals

    @property
    def reach(self) -> Reals:
        """How far the products of each channel can take its result."""
        reach: Reals = worst_sum(self.weights) * self.scale
        return reach


def integer_network(model: keras.Model, description: Description | None = None) -> IntegerNetwork:
    """The integer network of a Keras network on grids; a layer has the name of the Keras layer that it begins with."""
    chains = chains_of(model)
    empty = outline(chains)
    pairs = zip(empty.layers, chains[1:], strict=True)
    layers = tuple(_valued(layer, chain, model) for layer, chain in pairs)
    described = description or Description()
    functions = empty.description.activation
    if described.labels and functions == ("softmax",):
        functions = ()  # understood of classes
    rescaling = next((part.value for part in chains[0].parts if part.letter == SCALE), None)
    made = rescaling and {"scale": tuple(rescaling[0].tolist()), "offset": tuple(rescaling[1].tolist())}
    described = replace(described, activation=functions, rescaling=made)
    return replace(empty, layers=layers, description=described)


def _valued(layer: Layer, chain: Chain, model: keras.Model) -> Layer:
    """A layer of the outline with its values."""
    sums = sums_of(chain, model)
    if isinstance(layer, Convolution | Depthwise | Dense) and sums is not None:
        return _weighted(layer, chain, sums)
    return valued(layer, chain, model)


def sums_of(chain: Chain, model: keras.Model) -> Sums | None:
    """What a chain adds up of its input; None where it only moves or adds values."""
    op, shape = chain.operator, image_shape(chain.operator.input_shapes[0])
    if op.facts.form is Form.WEIGHTS:
        given = weights_of(model.get_layer(layer_of(op.name)), op)
    elif op.facts.form is Form.BEHIND:
        given = _constant((1, 1, image_shape(chain.map_shape)[-1]), 1.0)
    elif op.facts.form is Form.MEAN:
        fewest = prod(shape[:-1])
        if op.facts.family == "pool":
            pool = map_outline(chain, image_shape(op.output_shape), [shape])
            fewest = pool.places[0] if isinstance(pool, WindowMean) else fewest
        given = _constant((1, fewest, shape[-1]), 1 / fewest)
    else:
        return None
    scale, offset = given.step * 2.0 ** -chain.inputs[0].chain.fraction, given.bias
    if chain.parts and chain.parts[0].letter == NORM:
        by, plus = chain.parts[0].value
        scale, offset = scale * by, offset * by + plus
    return Sums(given.integers * np.where(scale < 0, -1, 1), given.width, np.abs(scale), offset)


def _constant(shape: Shape, value: float) -> Weights:
    """Depthwise weights that all stand for one value, as 64 so that the sums are finer than the results.

    Of an average this says no more than how fine its results can be: its sums are doubled up to 64 times.
    """
    channels = shape[-1]
    return Weights(np.full(shape, 64, np.int64), Format.INT8, np.full(channels, value / 64), np.zeros(channels))


# ------------------------------------------------------------------------------------------ layers with weights


def _weighted(layer: Weighted, chain: Chain, sums: Sums) -> Layer:
    """A layer with weights: what it adds up, and the parts behind it as bounds, table and affine."""
    if chain.wide:
        stored, (low, high) = _wide_fraction(sums), INT16
        table, affine, fraction = None, None, stored
    else:
        stored, (low, high) = next(part.value for part in chain.parts if part.letter == GRID), bounds(chain)
        table, affine, fraction = _behind(chain, stored)
    lowest = LOWEST_SHIFT if isinstance(layer, Dense) else 0
    steps = 2.0**stored  # in a result of 1
    sums = _requantizable(chain.name, replace(sums, scale=sums.scale * steps, offset=sums.offset * steps), lowest)
    out = scaling.requantization(chain.name, sums.scale, low, high, lowest)
    enough = sums.reach + 4 * (high + 1)  # an offset that clips every result need not be larger
    bias = scaling.bias(np.clip(sums.offset, -enough, enough), sums.scale)
    scaling.check_sums(chain.name, sums.weights, bias, out.doublings)
    turned = chain.inputs[0].view == TURNED  # the rows of the image are the channels
    weights = (sums.weights.swapaxes(0, 1) if turned else sums.weights).reshape(layer.weights.shape)
    return replace(
        layer, fraction=fraction, weights=weights, width=sums.width, bias=bias, out=out, table=table, affine=affine
    )


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


def finest_grid(sums: Sums) -> int:
    """The finest grid that sums can be requantized to, with weights of 8 bits multiplied as far as they go."""
    largest = np.abs(sums.weights).reshape(-1, sums.weights.shape[-1]).max(0)
    factors = Format.INT8.largest // np.maximum(largest, 1)
    return floor(log2(BELOW_LARGEST * float((factors / np.maximum(sums.scale, TINY)).min())))


def _wide_fraction(sums: Sums) -> int:
    """The finest grid of int16 on which no sum is clipped."""
    finest = floor(log2(INT16[1] / float((sums.reach + np.abs(sums.offset)).max())))
    return min(finest, floor(log2(BELOW_LARGEST / float(sums.scale.max()))))


def _requantizable(where: str, sums: Sums, lowest: int) -> Sums:
    """Sums whose scales, in steps of results, a requantization of that lowest shift can have.

    Where sums are coarser than results, all weights of the channel are multiplied. Where that would take a wider
    format, the sums are doubled instead, if such a shift there may be.
    """
    sums = _without_faint(where, sums)
    too_coarse = sums.scale >= scaling.LARGEST_SCALE
    factors = np.where(too_coarse, np.floor(sums.scale / scaling.LARGEST_SCALE) + 1, 1).astype(np.int64)
    multiplied = sums.weights * factors
    largest, width = int(np.abs(multiplied).max()), sums.width
    if not width.holds(np.unique(multiplied).tolist()):  # of 2-bit weights 1 may have become 2, which there is not
        coarsest, finest = scaling.LARGEST_SCALE * 2.0**-lowest, 2.0 ** (-32 - lowest)
        if sums.scale.max() < coarsest and sums.scale.min() >= finest:
            return sums
        log.info("%s: %d-bit weights are too few for its results, so it is stored in more", where, width.bits)
        if largest > Format.INT8.largest:
            raise UserError(f"{where}: its results are on a grid finer than its sums; calibrate anew")
        width = holding(largest)
    return replace(sums, weights=multiplied, width=width, scale=sums.scale / factors)


def _without_faint(where: str, sums: Sums) -> Sums:
    """Without the weights of channels that cannot move a result by a quarter of a step, and do not fit 32 bits."""
    bias_too_large = np.abs(sums.offset) >= sums.scale * 2.0**28
    faint = (sums.reach < 0.25) & bias_too_large | (sums.scale < 2.0**-32)
    if not faint.any():
        return sums
    if not sums.width.has_zero:
        raise UserError(f"{where}: a channel's weights are too small to count; give it 8-bit or ternary weights")
    return replace(sums, weights=np.where(faint, 0, sums.weights), scale=np.where(faint, FAINT_SCALE, sums.scale))
