"""An integer network as a `.tflite` file of int8 tensors, for LiteRT and TensorFlow Lite for Microcontrollers.

Every tensor has four axes, (1, rows, columns, channels), and stands for integer * 2**-fraction; a row of features is an
image of one place. A requantization becomes the scales of the weights, one for each channel; weights of few bits are
stored as int8. What differs from `arithmetic` is the rounding, which each runtime has its own of: a value may be one
step off where it lies near the middle between two.

- A dense layer is a 1 x 1 convolution: runtimes know scales by channel there, and with them int16, in FULLY_CONNECTED
  some take the first scale for all.
- The logits are int16, as they are in the integer network, because in int8 the largest two may become the same.
- A table is the operator ELU where that gives the same 256 values, else GATHER, whose indices take four bytes each.
- A batch norm behind a nonlinearity is a depthwise convolution of 1 x 1, exactly (`network.Affine`).
"""

from __future__ import annotations

from dataclasses import replace
from functools import singledispatchmethod
from typing import Any

import numpy as np

from hybridq.errors import UserError
from hybridq.integer.arithmetic import is_logits
from hybridq.integer.artefact import digest
from hybridq.integer.checks import check
from hybridq.integer.network import (
    INT8,
    INT16,
    Add,
    AveragePool,
    Convolution,
    Dense,
    Depthwise,
    IntegerNetwork,
    Integers,
    Layer,
    MaxPool,
    Shape,
)
from hybridq.integer.scaling import Reals
from hybridq.tflite.numbers import VALID, Sums, clip, elu_of, norm, padding_of, scale_of, sums_of
from hybridq.tflite.writer import Operation, Tensor, packed

ACTIVATIONS = {INT8: 0, INT16: 0, (0, INT8[1]): 1}  # none or RELU by their number in the schema, by what they leave
ALMOST = 1e-6  # relative: by how much the scales of a mean or sum may differ from those of its grids
TOO_FINE = 19  # bits of a sum's results beyond its inputs': runtimes, which shift these by 20, end the process

Places = tuple[tuple[int, int], tuple[int, int]]  # (before, after) by axis
Type = type[np.signedinteger[Any]]


def tflite(network: IntegerNetwork) -> bytes:
    """The content of the file: input (1, rows, columns, channels) int8, output (1, classes) int16.

    Raises UserError naming a layer that has no form in TFLite.
    """
    check(network)
    return Forms(network).content()


class Forms:
    """The tensors and operators of a network, and which tensor each layer made; tensors are places in the list."""

    def __init__(self, network: IntegerNetwork) -> None:
        self.network = network
        self.tensors: list[Tensor] = []
        self.operations: list[Operation] = []
        self.fractions = {network.input_name: network.input_fraction}
        self.made = {network.input_name: self.image(network.input_name, network.input_shape, network.input_fraction)}
        for layer in network.layers:
            self.made[layer.name] = self.add(layer)
            self.fractions[layer.name] = layer.fraction

    def content(self) -> bytes:
        last = self.network.layers[-1]
        result = self.reshaped(f"{last.name} (row)", self.made[last.name], (1, last.shape[-1]))
        about = f"hybridq, integer network {digest(self.network)}"
        return packed(self.tensors, self.operations, self.made[self.network.input_name], [result], about)

    # ------------------------------------------------------------------------------------------ layers

    @singledispatchmethod
    def add(self, layer: Layer) -> int:
        """A layer as operators; what it makes."""
        raise UserError(f"{layer.name}: a {type(layer).__name__} has no form in TFLite")

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
        if is_logits(layer.out):
            wide = replace(self.tensors[source], name=f"{layer.name} (int16)", type=np.int16)
            source = self.run("CAST", (source,), self.tensor(wide))
        return self.finished(layer, source, layer.weights.T[:, None, None], 0)

    @add.register
    def _(self, layer: MaxPool) -> int:
        self.require(layer, layer.fraction == self.fractions[layer.inputs[0]])
        (rows, columns), (down, right) = layer.window, layer.strides
        options = {"padding": VALID, "filterHeight": rows, "filterWidth": columns, "strideH": down, "strideW": right}
        result = self.image(layer.name, layer.shape, layer.fraction)
        return self.run("MAX_POOL_2D", (self.made[layer.inputs[0]],), result, **options)

    @add.register
    def _(self, layer: AveragePool) -> int:
        rows, columns = self.tensors[self.made[layer.inputs[0]]].shape[1:3]
        grids = 2.0 ** (layer.fraction - self.fractions[layer.inputs[0]])
        self.require(layer, np.allclose(scale_of(layer.out) * rows * columns, grids, rtol=ALMOST))
        axes = self.constant(f"{layer.name} (axes)", np.array([1, 2]), np.int32)
        result = self.image(layer.name, layer.shape, layer.fraction)
        self.run("MEAN", (self.made[layer.inputs[0]], axes), result, keepDims=True)
        bounds = layer.out.low, layer.out.high
        return result if bounds == INT8 else self.looked_up(layer.name, result, clip(bounds), layer.fraction)

    @add.register
    def _(self, layer: Add) -> int:
        for scale, name in zip(layer.scales, layer.inputs, strict=True):
            grids = 2.0 ** (layer.fraction - self.fractions[name])
            self.require(layer, np.isclose(scale / 2**layer.shift, grids, rtol=ALMOST))
        if layer.fraction - min(self.fractions[name] for name in layer.inputs) >= TOO_FINE:
            raise UserError(f"{layer.name}: its results are on a grid too much finer than what it adds for TFLite")
        bounds = layer.low, layer.high
        result = self.image(layer.name, layer.shape, layer.fraction)
        inputs = tuple(self.made[name] for name in layer.inputs)
        self.run("ADD", inputs, result, fusedActivationFunction=ACTIVATIONS.get(bounds, 0))
        return result if bounds in ACTIVATIONS else self.looked_up(layer.name, result, clip(bounds), layer.fraction)

    def require(self, layer: Layer, holds: Any) -> None:
        if not holds:
            raise UserError(f"{layer.name}: its scale is not that between its grids, so it has no form in TFLite")

    # ------------------------------------------------------------------------------------------ parts of layers

    def windowed(self, layer: Convolution | Depthwise, weights: Integers, axis: int) -> int:
        """A layer that moves a window over an image; zeros around it by PAD where TFLite has no name for them."""
        source = self.made[layer.inputs[0]]
        padding = padding_of(self.tensors[source].shape, layer)
        if padding is None:
            source, padding = self.padded(f"{layer.name} (padded)", source, layer.pads), VALID
        return self.finished(layer, source, weights, axis, padding, layer.strides)

    def finished(
        self,
        layer: Convolution | Depthwise | Dense,
        source: int,
        weights: Integers,
        axis: int,
        padding: int = VALID,
        strides: tuple[int, int] = (1, 1),
    ) -> int:
        """The sums requantized, then the table and the batch norm where there are such."""
        name, shape, table, affine = layer.name, layer.shape, layer.table, layer.affine
        sums = sums_of(weights, axis, layer.bias, layer.out)
        if sums.bounds not in ACTIVATIONS:
            kept = clip(sums.bounds)
            table = kept if table is None else table[kept + 128]
        # The grids between the parts are not known. They matter to ELU alone: all else is relative.
        elu = None if table is None else elu_of(table, layer.fraction if affine is None else None)
        before, after = elu or (layer.fraction, layer.fraction)
        type_: Type = np.int16 if is_logits(layer.out) else np.int8
        summed = name if table is None and affine is None else f"{name} (sums)"
        result = self.convolved(self.image(summed, shape, before, type_), source, sums, padding, strides)
        if table is not None:
            named = name if affine is None else f"{name} (function)"
            if elu:
                result = self.run("ELU", (result,), self.image(named, shape, after))
            else:
                result = self.looked_up(named, result, table, after)
        if affine is not None:
            result = self.convolved(self.image(name, shape, layer.fraction), result, norm(affine))
        return result

    def convolved(
        self, result: int, source: int, sums: Sums, padding: int = VALID, strides: tuple[int, int] = (1, 1)
    ) -> int:
        """A convolution, a depthwise one where the channels are the last axis of its weights."""
        made, read = self.tensors[result], self.scale(source)
        scales = sums.scale * self.scale(result) / read
        kernel = self.constant(f"{made.name} (weights)", sums.weights, np.int8, scales, sums.axis)
        wide = np.int32 if made.type is np.int8 else np.int64
        bias = self.constant(f"{made.name} (bias)", sums.bias, wide, scales * read)
        options = {"padding": padding, "strideH": strides[0], "strideW": strides[1]}
        options["fusedActivationFunction"] = ACTIVATIONS.get(sums.bounds, 0)
        if sums.axis == 0:
            return self.run("CONV_2D", (source, kernel, bias), result, **options)
        return self.run("DEPTHWISE_CONV_2D", (source, kernel, bias), result, **options, depthMultiplier=1)

    def looked_up(self, name: str, source: int, table: Integers, fraction: int) -> int:
        """An exact function of int8: the integers as int32, plus 128, are places in the table."""
        shape = self.tensors[source].shape
        wide = self.run("CAST", (source,), self.tensor(Tensor(f"{name} (int32)", shape, np.int32)))
        middle = self.constant(f"{name} (128)", np.array([128]), np.int32)
        places = self.run("ADD", (wide, middle), self.tensor(Tensor(f"{name} (places)", shape, np.int32)))
        values = self.constant(f"{name} (table)", table, np.int8, np.array([2.0**-fraction]))
        return self.run("GATHER", (values, places), self.image(name, shape, fraction), axis=0)

    def padded(self, name: str, source: int, pads: Places) -> int:
        """Zeros around an image."""
        _, rows, columns, channels = self.tensors[source].shape
        shape = (1, rows + sum(pads[0]), columns + sum(pads[1]), channels)
        widths = self.constant(f"{name} (widths)", np.array([(0, 0), *pads, (0, 0)]), np.int32)
        return self.run("PAD", (source, widths), self.tensor(replace(self.tensors[source], name=name, shape=shape)))

    def reshaped(self, name: str, source: int, shape: Shape) -> int:
        """The numbers of a tensor in another shape."""
        wanted = self.constant(f"{name} (shape)", np.array(shape), np.int32)
        result = self.tensor(replace(self.tensors[source], name=name, shape=shape))
        return self.run("RESHAPE", (source, wanted), result, newShape=list(shape))

    # ------------------------------------------------------------------------------------------ the lists

    def image(self, name: str, shape: Shape, fraction: int, type_: Type = np.int8) -> int:
        """A tensor to be computed; one of features is an image of one place."""
        return self.tensor(Tensor(name, (1,) * (4 - len(shape)) + shape, type_, np.array([2.0**-fraction])))

    def constant(self, name: str, values: Integers, type_: Type, scales: Reals | None = None, axis: int = 0) -> int:
        """An array that is part of the file."""
        return self.tensor(Tensor(name, values.shape, type_, scales, axis, values=values))

    def tensor(self, tensor: Tensor) -> int:
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def run(self, name: str, inputs: tuple[int, ...], result: int, **options: Any) -> int:
        self.operations.append(Operation(name, inputs, result, options))
        return result

    def scale(self, index: int) -> float:
        """What a step of a computed tensor stands for."""
        scales = self.tensors[index].scales
        assert scales is not None
        return float(scales[0])
