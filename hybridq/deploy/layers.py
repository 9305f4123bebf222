"""The chains of a Keras network on grids as the layers of its integer network."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from math import floor, log2, prod
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridq.deploy import arithmetic, scaling
from hybridq.deploy.chains import AVERAGES, CLIP, FUNCTION, GRID, IDENTITIES, NORM, TURNED, Chain, chains_of
from hybridq.deploy.network import (
    INT8,
    INT16,
    Add,
    Affine,
    AveragePool,
    Convolution,
    Dense,
    Depthwise,
    IntegerNetwork,
    Integers,
    Layer,
    MaxPool,
    Shape,
    Width,
)
from hybridq.deploy.scaling import Reals
from hybridq.deploy.weights import TINY, Weights, weights_of
from hybridq.errors import UserError
from hybridq.operators import Operator
from hybridq.quantize import WEIGHTED

if TYPE_CHECKING:
    import keras

FAINT_SCALE = 2.0**-12  # of a channel whose weights are left out
log = logging.getLogger("hybridq")


def integer_network(model: keras.Model, about: Mapping[str, Any] | None = None) -> IntegerNetwork:
    """The integer network of a Keras network on grids; a layer has the name of the Keras layer that it begins with."""
    start, *chains = chains_of(model)
    layers: list[Layer] = []
    shapes: dict[str, Shape] = {start.name: stored_shape(start.operator.output_shape)}
    for chain in chains:
        layer = _layer(chain, shapes[chain.inputs[0].chain.name], model, last=chain is chains[-1])
        shapes[chain.name] = layer.shape
        layers.append(layer)
    return IntegerNetwork(start.name, shapes[start.name], start.fraction, tuple(layers), about or {})


def stored_shape(shape: Shape) -> Shape:
    """The shape of a Keras tensor in the integer network: a sequence (steps, channels) is an image of one row."""
    return (1, *shape) if len(shape) == 2 else shape


def _layer(chain: Chain, source: Shape, model: keras.Model, last: bool) -> Layer:
    op, shape = chain.operator, stored_shape(chain.operator.output_shape)
    before = [source.chain.fraction for source in chain.inputs]
    if any(source.view == TURNED for source in chain.inputs) and op.kind != "Conv1D":
        raise UserError(f"{op.name}: only a 1-D convolution can read what a Permute makes")
    if op.kind == "InputLayer":
        raise UserError(f"{op.name}: only a network of one input can be converted")
    if op.kind in IDENTITIES and (len(source) != 3 or chain.inputs[0].view):
        raise UserError(f"{op.name}: put it directly behind a convolution or dense layer; here it reads a row")
    given = acting(chain, model)
    if given is not None and op.kind in AVERAGES:
        return _average(chain, shape, source, given)
    if given is not None:
        return _weighted(chain, shape, source, given, last)
    name, inputs = chain.name, tuple(read.chain.name for read in chain.inputs)
    if op.kind == "Add":
        if len(inputs) != 2 or len(set(op.input_shapes)) != 1 or any(read.view for read in chain.inputs):
            raise UserError(f"{op.name}: it must add two tensors of one shape")
        scales, shift = scaling.sum_scales(name, (before[0], before[1]), chain.fraction)
        low, high = _bounds(chain)
        return Add(name, inputs, shape, chain.fraction, scales, shift, low, high)
    kernel, strides = _window(op, source)
    if any(map(any, op.attributes.get("pads", ()))):
        raise UserError(f"{op.name}: a pool with padding has no form in integers; use padding 'valid'")
    shape = shape if len(shape) == 3 else (1, 1, *shape)
    return MaxPool(name, inputs, shape, before[0], window=kernel, strides=strides)


def _window(op: Operator, source: Shape) -> tuple[tuple[int, int], tuple[int, int]]:
    """Window and strides over rows and columns; a global pool's window is all of its input."""
    if op.kind.startswith("Global"):
        return (source[0], source[1]), (source[0], source[1])
    kernel, strides = (tuple(op.attributes[key]) for key in ("kernel", "strides"))
    return ((1, *kernel), (1, *strides)) if len(kernel) == 1 else (kernel, strides)


def _average(chain: Chain, shape: Shape, source: Shape, spread: Weights) -> Layer:
    """The mean as a sum and a scale; where it has too few places for that, as a convolution of equal weights."""
    scale = np.array([2.0 ** (chain.fraction - chain.inputs[0].chain.fraction) / prod(source[:-1])])
    if scale[0] >= scaling.LARGEST_SCALE:
        return _weighted(chain, (1, 1, source[-1]), source, spread, last=False)
    out = scaling.requantization(chain.name, scale, *_bounds(chain))
    return AveragePool(chain.name, (chain.inputs[0].chain.name,), shape, chain.fraction, out)


def acting(chain: Chain, model: keras.Model) -> Weights | None:
    """What a chain multiplies its input by; None where it only moves or adds values."""
    op, source = chain.operator, stored_shape(chain.operator.input_shapes[0])
    if op.kind in WEIGHTED:
        return weights_of(model.get_layer(op.name), op)
    if op.kind in IDENTITIES:
        return _constant((1, 1, source[-1]), 1.0)
    return _constant(source, 1 / prod(source[:-1])) if op.kind in AVERAGES else None


def sums(chain: Chain, given: Weights) -> tuple[Integers, Reals, Reals]:
    """The weights of a chain, what a step of its sums stands for by channel, and its offset; a batch norm included."""
    scale, offset = given.step * 2.0 ** -chain.inputs[0].chain.fraction, given.bias
    if chain.parts and chain.parts[0].letter == NORM:
        by, plus = chain.parts[0].value
        scale, offset = scale * by, offset * by + plus
    return given.integers * np.where(scale < 0, -1, 1), np.abs(scale), offset


def _constant(shape: Shape, value: float) -> Weights:
    """Depthwise weights that all stand for one value, as 64 so that the sums are finer than the results."""
    channels = shape[-1]
    return Weights(np.full(shape, 64, np.int64), Width.INT8, np.full(channels, value / 64), np.zeros(channels))


# ------------------------------------------------------------------------------------------ layers with weights


def _weighted(chain: Chain, shape: Shape, source: Shape, given: Weights, last: bool) -> Layer:
    """A layer with weights: the parts behind it as scale, offset, bounds, table and affine."""
    name, parts = chain.name, chain.parts
    integers, scale, offset = sums(chain, given)
    stored = _logits_fraction(integers, scale, offset) if last else next(p.value for p in parts if p.letter == GRID)
    low, high = INT16 if last else _bounds(chain)
    integers, width, scale = _fitting(name, integers, given.width, scale * 2.0**stored, offset * 2.0**stored)
    out = scaling.requantization(name, scale, low, high)
    added = scaling.bias(_within_reach(integers, scale, offset * 2.0**stored, high), scale, out)
    scaling.check_sums(name, integers, added)
    table, affine, fraction = _behind(chain, stored) if not last else (None, None, stored)
    op, inputs = chain.operator, (chain.inputs[0].chain.name,)
    if op.kind == "Dense" and len(op.input_shapes[0]) == 1:
        return Dense(name, inputs, shape, fraction, integers, width, added, out, table, affine)
    strides, pads = (1, 1), ((0, 0), (0, 0))
    if op.kind == "Dense":  # at each place of an image by itself
        integers = integers[None, None]
    elif op.kind in WEIGHTED:
        (_, strides), pads = _window(op, source), tuple(op.attributes["pads"])
        if len(pads) == 1:
            integers, pads = _of_sequence(integers, chain.inputs[0].view == TURNED), ((0, 0), *pads)
    kind = Depthwise if integers.ndim == 3 else Convolution
    return kind(name, inputs, shape, fraction, integers, width, added, out, table, affine, strides, pads)


def _of_sequence(kernel: Integers, turned: bool) -> Integers:
    """The kernel (steps, inputs, outputs), or (steps, channels) of a depthwise one, over an image.

    As one row; or, turned, over a matrix whose rows are the channels: all of them at once.
    """
    return kernel.transpose(1, 0, 2)[:, :, None, :] if turned else kernel[None]


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
    factors = Width.INT8.largest // np.maximum(largest, 1)
    return floor(log2(scaling.LARGEST_SCALE * (1 - 1e-9) * float((factors / np.maximum(scale, TINY)).min())))


def _within_reach(integers: Integers, scale: Reals, offset: Reals, high: int) -> Reals:
    """The offsets, those that clip every result no larger than needed for that."""
    most = _reach(integers) * scale + 4 * (high + 1)
    return np.clip(offset, -most, most)


def _fitting(name: str, integers: Integers, width: Width, scale: Reals, offset: Reals) -> tuple[Integers, Width, Reals]:
    """Weights and scales (of results, by channel) that a requantization can have.

    A channel whose weights cannot move a result by a quarter of a step, and whose scale or bias would not fit, loses
    its weights. Where sums are coarser than results, all integers of the channel are multiplied: it takes a wider
    width.
    """
    faint = (_reach(integers) * scale < 0.25) & (np.abs(offset) >= scale * 2.0**28) | (scale < 2.0**-32)
    if faint.any():
        if width is Width.BINARY:
            raise UserError(f"{name}: a channel's weights are too small to count; give it 8-bit or ternary weights")
        integers, scale = np.where(faint, 0, integers), np.where(faint, FAINT_SCALE, scale)
    factors = np.maximum(1, np.floor(scale / scaling.LARGEST_SCALE) + 1).astype(np.int64)
    factors = np.where(scale < scaling.LARGEST_SCALE, 1, factors)
    largest = int(np.abs(integers * factors).max())
    if largest > width.largest:
        log.info("%s: %d-bit weights are too few for its results, so it is stored in more", name, width.bits)
        width = Width.INT4 if largest <= Width.INT4.largest else Width.INT8
    if largest > Width.INT8.largest:
        raise UserError(f"{name}: its results are on a grid finer than its sums; calibrate anew")
    return integers * factors, width, scale / factors
