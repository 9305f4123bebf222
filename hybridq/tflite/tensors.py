"""The tensors and operators of a `.tflite` file in the making, and the parts that layers are made of.

A tensor that is computed has four axes; tensors are known by their places in the list.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from hybridq.errors import UserError
from hybridq.integer.network import INT8, INT16, IntegerNetwork, Integers, Layer, Shape
from hybridq.integer.scaling import Reals
from hybridq.tflite.numbers import VALID, Sums, clip
from hybridq.tflite.writer import Operation, Tensor

ACTIVATIONS = {INT8: 0, INT16: 0, (0, INT8[1]): 1}  # none or RELU by their number in the schema, by what they leave

Places = tuple[tuple[int, int], tuple[int, int]]  # (before, after) by axis
Type = type[np.signedinteger[Any]]


class Tensors:
    """The lists, and for each tensor of the integer network which it is (`made`) and its fraction."""

    def __init__(self, network: IntegerNetwork) -> None:
        self.network = network
        self.tensors: list[Tensor] = []
        self.operations: list[Operation] = []
        self.fractions = {network.input_name: network.input_fraction}
        self.made = {network.input_name: self.image(network.input_name, network.input_shape, network.input_fraction)}

    def require(self, layer: Layer, holds: Any) -> None:
        """Raise UserError where a layer's scale is not that between its grids."""
        if not holds:
            raise UserError(f"{layer.name}: its scale is not that between its grids, so it has no form in TFLite")

    def result(self, layer: Layer) -> int:
        """The tensor that a layer makes."""
        return self.image(layer.name, layer.shape, layer.fraction)

    def bounded(self, layer: Layer, made: int, bounds: tuple[int, int]) -> int:
        """A result within bounds."""
        return made if bounds == INT8 else self.looked_up(layer.name, made, clip(bounds), layer.fraction)

    # ------------------------------------------------------------------------------------------ parts of layers

    def convolved(self, result: int, source: int, sums: Sums, **moves: int) -> int:
        """A convolution, a depthwise one where the channels are the last axis of its weights; moves: its options."""
        made, read = self.tensors[result], self.scale(source)
        scales = sums.scale * self.scale(result) / read
        kernel = self.constant(f"{made.name} (weights)", sums.weights, np.int8, scales, sums.axis, sums.bits)
        wide = np.int32 if made.type is np.int8 else np.int64
        bias = self.constant(f"{made.name} (bias)", sums.bias, wide, scales * read)
        kept = ACTIVATIONS.get(sums.bounds, 0)
        if sums.weights.ndim == 2:
            dense = {"fusedActivationFunction": kept, "keepNumDims": True}
            return self.run("FULLY_CONNECTED", (source, kernel, bias), result, **dense)
        options = {"padding": VALID, "strideH": 1, "strideW": 1, "fusedActivationFunction": kept} | moves
        if sums.axis == 0:
            return self.run("CONV_2D", (source, kernel, bias), result, **options)
        return self.run("DEPTHWISE_CONV_2D", (source, kernel, bias), result, **{"depthMultiplier": 1, **options})

    def looked_up(self, name: str, source: int, table: Integers, fraction: int) -> int:
        """An exact function of int8: the integers as int32, plus 128, are places in the table."""
        shape = self.tensors[source].shape
        wide = self.run("CAST", (source,), self.tensor(Tensor(f"{name} (int32)", shape, np.int32)))
        middle = self.constant(f"{name} (128)", np.array([128]), np.int32)
        places = self.run("ADD", (wide, middle), self.tensor(Tensor(f"{name} (places)", shape, np.int32)))
        values = self.constant(f"{name} (table)", table, np.int8, np.array([2.0**-fraction]))
        return self.run("GATHER", (values, places), self.image(name, shape, fraction), axis=0)

    def padded(self, name: str, source: int, pads: Places, value: int = 0) -> int:
        """Zeros, or another integer, around the middle axes of a tensor."""
        first, rows, columns, channels = self.tensors[source].shape
        shape = (first, rows + sum(pads[0]), columns + sum(pads[1]), channels)
        widths = self.constant(f"{name} (widths)", np.array([(0, 0), *pads, (0, 0)]), np.int32)
        made = self.tensor(replace(self.tensors[source], name=name, shape=shape))
        if value == 0:
            return self.run("PAD", (source, widths), made)
        filled = self.constant(f"{name} (value)", np.array([value]), np.int8, self.tensors[source].scales)
        return self.run("PADV2", (source, widths, filled), made)

    def reshaped(self, name: str, source: int, shape: Shape) -> int:
        """The numbers of a tensor in another shape."""
        wanted = self.constant(f"{name} (shape)", np.array(shape), np.int32)
        result = self.tensor(replace(self.tensors[source], name=name, shape=shape))
        return self.run("RESHAPE", (source, wanted), result, newShape=list(shape))

    # ------------------------------------------------------------------------------------------ the lists

    def image(self, name: str, shape: Shape, fraction: int, type_: Type = np.int8) -> int:
        """A tensor to be computed; one of features is an image of one place."""
        return self.tensor(Tensor(name, (1,) * (4 - len(shape)) + shape, type_, np.array([2.0**-fraction])))

    def constant(
        self,
        name: str,
        values: Integers,
        type_: Type,
        scales: Reals | None = None,
        axis: int = 0,
        bits: int | None = None,
    ) -> int:
        """An array that is part of the file."""
        return self.tensor(Tensor(name, values.shape, type_, scales, axis, values=values, is_packed=bits == 4))

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
