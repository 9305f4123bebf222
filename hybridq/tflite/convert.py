"""An integer network as a `.tflite` file of int8 tensors, for LiteRT and TensorFlow Lite for Microcontrollers.

Every tensor has four axes, (1, rows, columns, channels), and stands for integer * 2**-fraction; a row of features is an
image of one place. A requantization becomes the scales of the weights, one for each channel. What differs from
`arithmetic` is the rounding, which each runtime has its own of: a value may be one step off where it lies near the
middle between two.

- Weights of 4 bits and fewer are INT4, two in a byte, of convolutions and dense layers that make int8.
- A dense layer is FULLY_CONNECTED; with INT4, and where it makes int16, a 1 x 1 convolution: TensorFlow Lite for
  Microcontrollers knows scales by channel there alone.
- A mean over the whole map is AVERAGE_POOL_2D where its grid is that of what it reads, as runtimes are slow at MEAN.
- The sums that leave the network are int16, as in the integer network: in int8 the largest two may become the same.
- A table is the operator ELU where that gives the same 256 values, else GATHER, whose indices take four bytes each.
- A batch norm behind a nonlinearity is a depthwise convolution of 1 x 1, exactly (`network.Affine`).
"""

from __future__ import annotations

from dataclasses import replace
from functools import singledispatchmethod

import numpy as np

from hybridq.errors import UserError
from hybridq.integer.artefact import digest
from hybridq.integer.checks import check
from hybridq.integer.network import (
    Convolution,
    Dense,
    Depthwise,
    IntegerNetwork,
    Integers,
    Layer,
)
from hybridq.tflite.maps import map_form
from hybridq.tflite.numbers import VALID, bits_of, clip, elu_of, norm, padding_of, sums_of
from hybridq.tflite.tensors import ACTIVATIONS, Tensors, Type
from hybridq.tflite.writer import packed


def tflite(network: IntegerNetwork) -> bytes:
    """The content of the file: input (1, rows, columns, channels) int8; outputs (1, classes) int16, or as they are.

    Raises UserError naming a layer that has no form in TFLite, and for a network that is of a `.tflite` file already.
    """
    check(network)
    if network.input_grid or any(layer.grid for layer in network.layers):
        raise UserError("this network is of a .tflite file: that is its form there")
    return Forms(network).content()


class Forms(Tensors):
    """The tensors and operators of a network, and which tensor each layer made."""

    def __init__(self, network: IntegerNetwork) -> None:
        super().__init__(network)
        for layer in network.layers:
            self.made[layer.name] = self.add(layer)
            self.fractions[layer.name] = layer.fraction

    def content(self) -> bytes:
        results = [self.made[layer.name] for layer in self.network.results]
        for number, layer in enumerate(self.network.results):
            if len(layer.shape) == 1:
                results[number] = self.reshaped(f"{layer.name} (row)", results[number], (1, *layer.shape))
        about = f"hybridq, integer network {digest(self.network)}"
        return packed(self.tensors, self.operations, self.made[self.network.input_name], results, about)

    # ------------------------------------------------------------------------------------------ layers

    @singledispatchmethod
    def add(self, layer: Layer) -> int:
        """A layer as operators; what it makes."""
        return map_form(layer, self)

    @add.register
    def _(self, layer: Convolution) -> int:
        return self.windowed(layer, layer.weights.transpose(3, 0, 1, 2), axis=0)

    @add.register
    def _(self, layer: Depthwise) -> int:
        return self.windowed(layer, layer.weights[None], axis=3)

    @add.register
    def _(self, layer: Dense) -> int:
        source = self.made[layer.inputs[0]]
        row = (1, 1, 1, layer.weights.shape[0])
        if self.tensors[source].shape != row:
            source = self.reshaped(f"{layer.name} (row)", source, row)
        if layer.is_wide or bits_of(layer) == 4:
            return self.finished(layer, self.widened(layer, source), layer.weights.T[:, None, None], 0)
        return self.finished(layer, source, layer.weights.T, 0)

    # ------------------------------------------------------------------------------------------ parts of layers

    def windowed(self, layer: Convolution | Depthwise, weights: Integers, axis: int) -> int:
        """A layer that moves a window over an image; zeros around it by PAD where TFLite has no name for them."""
        source = self.made[layer.inputs[0]]
        padding = padding_of(self.tensors[source].shape, layer)
        if padding is None:
            source, padding = self.padded(f"{layer.name} (padded)", source, layer.pads), VALID
        (down, right), (apart, beside) = layer.strides, layer.dilation
        moves = {"padding": padding, "strideH": down, "strideW": right}
        moves |= {"dilationHFactor": apart, "dilationWFactor": beside}
        if isinstance(layer, Depthwise):
            moves["depthMultiplier"] = layer.depth_multiplier
        return self.finished(layer, self.widened(layer, source), weights, axis, **moves)

    def widened(self, layer: Layer, source: int) -> int:
        """What a layer reads, as int16 where it makes int16."""
        if not layer.is_wide:
            return source
        wide = replace(self.tensors[source], name=f"{layer.name} (int16)", type=np.int16)
        return self.run("CAST", (source,), self.tensor(wide))

    def finished(
        self,
        layer: Convolution | Depthwise | Dense,
        source: int,
        weights: Integers,
        axis: int,
        **moves: int,
    ) -> int:
        """The sums requantized, then the table and the batch norm where there are such."""
        name, shape, table, affine = layer.name, layer.shape, layer.table, layer.affine
        sums = sums_of(weights, axis, layer.bias, layer.out, bits_of(layer))
        if sums.bounds not in ACTIVATIONS:
            kept = clip(sums.bounds)
            table = kept if table is None else table[kept + 128]
        # The grids between the parts are not known. They matter to ELU alone: all else is relative.
        elu = None if table is None else elu_of(table, layer.fraction if affine is None else None)
        before, after = elu or (layer.fraction, layer.fraction)
        type_: Type = np.int16 if layer.is_wide else np.int8
        summed = name if table is None and affine is None else f"{name} (sums)"
        result = self.convolved(self.image(summed, shape, before, type_), source, sums, **moves)
        if table is not None:
            named = name if affine is None else f"{name} (function)"
            if elu:
                result = self.run("ELU", (result,), self.image(named, shape, after))
            else:
                result = self.looked_up(named, result, table, after)
        if affine is not None:
            result = self.convolved(self.image(name, shape, layer.fraction), result, norm(affine))
        return result
