"""The layers of an integer network as its planner sees them: runs over rows.

The network's input counts as a first layer, whose rows the caller hands over one by one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

from hybridq.image.dense_parts import sums_bytes
from hybridq.image.packing import least_tile, scratch_bytes
from hybridq.integer.maps import Channels, Concatenate, Multiply, Pad, PReLU, Reshape, Upsample, WindowMean
from hybridq.integer.network import (
    Add,
    Convolution,
    Dense,
    Depthwise,
    GlobalMean,
    IntegerNetwork,
    Layer,
    MaxPool,
    Memory,
)
from hybridq.integer.scaled import Lookup, PlaceMean, ScaledPair, ScaledPReLU

# Layers whose run reads the same row of each input.
ROW_BY_ROW = (Add, Memory, Multiply, Concatenate, Channels, PReLU, ScaledPair, ScaledPReLU, Lookup)


@dataclass(frozen=True)
class Step:
    """A layer as the planner sees it: it runs a number of times, each time on a window of rows of its inputs.

    Run r reads the rows r * stride - before to r * stride - before + window - 1 of those that there are. It makes row
    r; a global average makes its one row in its last run. Where `repeats` runs read the same rows, r counts these.
    """

    name: str
    inputs: tuple[str, ...]
    runs: int
    rows: int  # of what it makes
    row_bytes: int
    window: int = 1
    stride: int = 1
    before: int = 0  # below 0 where rows are left out at the top
    repeats: int = 1
    layer: Layer | None = None  # None: the network's input
    leaves: bool = False  # its result leaves the network
    outside: bool = False  # and nobody else reads it, so that it never lies in the arena

    def needs(self, run: int, rows: int) -> int:
        """How many rows must be there for a run, of an input of so many rows."""
        return min(max(run // self.repeats * self.stride - self.before + self.window, 0), rows)

    def oldest(self, run: int) -> int:
        """The first row that a run still reads."""
        return max(run // self.repeats * self.stride - self.before, 0)

    def scratch(self, tile: int = 0) -> int:
        """Bytes that it works in during a run, of a convolution for so many columns, or as few as there can be."""
        if isinstance(self.layer, Convolution | Depthwise):
            return scratch_bytes(self.layer, tile or least_tile(self.layer))
        if isinstance(self.layer, Dense):
            return sums_bytes(self.layer)
        if isinstance(self.layer, WindowMean | PlaceMean):
            return 4 * self.layer.shape[-1]
        return 0

    @property
    def sums(self) -> int:
        """Bytes that it gathers sums in from run to run."""
        return 4 * self.layer.shape[-1] if isinstance(self.layer, GlobalMean) else 0

    @property
    def stands_alone(self) -> bool:
        """Whether no other layer may run in its stage: it reads its whole input at once."""
        return isinstance(self.layer, Dense)


def steps_of(network: IntegerNetwork) -> list[Step]:
    """The input and the layers that the outputs depend on, in running order."""
    needed, read = set(network.outputs), set[str]()
    for layer in reversed(network.layers):
        if layer.name in needed:
            needed.update(layer.inputs)
            read.update(layer.inputs)
    shapes = network.shapes
    rows, row_bytes = _rows(network.input_shape)
    steps = [Step(network.input_name, (), rows, rows, row_bytes)]
    steps += [_step(layer, shapes[layer.inputs[0]]) for layer in network.layers if layer.name in needed]
    leaving = set(network.outputs)
    return [replace(one, leaves=one.name in leaving, outside=one.name in leaving - read) for one in steps]


def _step(layer: Layer, read: tuple[int, ...]) -> Step:
    rows, row_bytes = _rows(layer.shape)
    runs, window, stride, before, repeats = rows, 1, 1, 0, 1
    if isinstance(layer, Convolution | Depthwise):
        window, stride, before = layer.reach[0], layer.strides[0], layer.pads[0][0]
    elif isinstance(layer, MaxPool | WindowMean | PlaceMean):
        window, stride, before = layer.window[0], layer.strides[0], layer.pads[0][0]
    elif isinstance(layer, GlobalMean):
        runs = _rows(read)[0]
    elif isinstance(layer, Dense):
        window = _rows(read)[0]
    elif isinstance(layer, Reshape):
        window, stride = _rows(read)[0], 0
    elif isinstance(layer, Upsample):
        repeats = layer.factors[0]
    elif isinstance(layer, Pad):
        before = layer.pads[0][0]
    elif not isinstance(layer, ROW_BY_ROW):
        raise NotImplementedError(type(layer).__name__)
    return Step(layer.name, layer.inputs, runs, rows, row_bytes, window, stride, before, repeats, layer)


def _rows(shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows of a tensor, and bytes of each; a row of features is one row."""
    return (shape[0], prod(shape[1:])) if len(shape) == 3 else (1, prod(shape))
