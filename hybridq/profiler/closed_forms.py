"""The size of Hello Edge's networks from their settings alone, tens of thousands a second, as a search needs it.

Each network is a chain of layers with weights, so it is told by what each of them holds, reads and gives. The rules of
counting are those of `hello_edge.size`, which reads a network that was built; tests hold the two together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

from hybridq.models.base import NetworkConfig
from hybridq.models.cnn import STRIDES, check_size
from hybridq.models.hello_edge import (
    KERNEL,
    CNNConfig,
    CRNNConfig,
    DNNConfig,
    DSCNNConfig,
    GRUConfig,
    LSTMConfig,
)
from hybridq.profiler.hello_edge import CELL, Size

Shape = tuple[int, int]  # coefficients, frames
KERNEL_AREA = KERNEL[0] * KERNEL[1]
LSTM_GATES, GRU_GATES = 4, 3


class Layer(NamedTuple):
    """A layer with weights: numbers that it stores, and values that are there while it runs."""

    weights: int
    biases: int
    uses: int  # of each weight: places of its results, or steps
    reads: int
    gives: int
    additions: int  # operations beside the products

    @property
    def values(self) -> int:
        """Values that are there while it runs."""
        return self.reads + self.gives


def size_of(config: NetworkConfig, shape: Shape, classes: int) -> Size:
    """The size of a network of Hello Edge on features (coefficients, frames), as `hello_edge.size` counts it.

    Raises UserError where the maps would shrink to nothing, KeyError for a network of another name.
    """
    layers = list(CHAINS[config.name](config, shape, classes))
    parameters = sum(layer.weights + layer.biases for layer in layers)
    macs = sum(layer.weights * layer.uses for layer in layers)
    most = max(layer.values for layer in layers)
    return Size(parameters, macs, parameters + most, 2 * macs + sum(layer.additions for layer in layers))


def _dnn(config: DNNConfig, shape: Shape, classes: int) -> Iterator[Layer]:
    yield from _dense(shape[0] * shape[1], *config.units, classes)


def _cnn(config: CNNConfig, shape: Shape, classes: int) -> Iterator[Layer]:
    check_size(shape, STRIDES)
    channels = 1
    for filters, strides in zip(config.filters, STRIDES, strict=True):
        smaller = _unpadded(shape, strides)
        yield _convolution(KERNEL_AREA * channels * filters, shape, channels, smaller, filters)
        shape, channels = smaller, filters
    yield from _dense(shape[0] * shape[1] * channels, config.linear, config.dense, classes)


def _lstm(config: LSTMConfig, shape: Shape, classes: int) -> Iterator[Layer]:
    (coefficients, frames), units = shape, config.units
    if config.projection is None:
        outputs, further, states = units, 0, LSTM_GATES
    else:  # peepholes at three gates, the projection, and cells apart from what is fed back
        outputs, further, states = config.projection, 3 * units + units * config.projection, LSTM_GATES + 1
    weights = LSTM_GATES * units * (coefficients + outputs) + further
    additions = frames * units * (LSTM_GATES + CELL)
    yield Layer(weights, LSTM_GATES * units, frames, coefficients * frames, units * states, additions)
    yield from _dense(outputs, classes)


def _gru(config: GRUConfig, shape: Shape, classes: int) -> Iterator[Layer]:
    yield _recurrent(*shape, config.units)
    yield from _dense(config.units, classes)


def _crnn(config: CRNNConfig, shape: Shape, classes: int) -> Iterator[Layer]:
    check_size(shape, (config.strides,))
    smaller = _unpadded(shape, config.strides)
    yield _convolution(KERNEL_AREA * config.filters, shape, 1, smaller, config.filters)
    width, steps = smaller[0] * config.filters, smaller[1]
    for units in config.units:
        yield _recurrent(width, steps, units)
        width = units
    yield from _dense(width, config.dense, classes)


def _ds_cnn(config: DSCNNConfig, shape: Shape, classes: int) -> Iterator[Layer]:
    channels = config.channels
    smaller = _padded(shape, config.strides)
    yield _convolution(KERNEL_AREA * channels, shape, 1, smaller, channels)
    for stride in (config.block_stride, *[1] * (config.blocks - 1)):
        shape, smaller = smaller, _padded(smaller, (stride, stride))
        yield _convolution(9 * channels, shape, channels, smaller, channels)  # 3 x 3, each channel by itself
        yield _convolution(channels * channels, smaller, channels, smaller, channels)
    yield from _dense(channels, classes)


def _dense(*widths: int) -> Iterator[Layer]:
    """Dense layers from each width to the next."""
    for inputs, outputs in pairwise(widths):
        yield Layer(inputs * outputs, outputs, 1, inputs, outputs, outputs)


def _convolution(weights: int, shape: Shape, channels: int, smaller: Shape, filters: int) -> Layer:
    """A convolution from maps of one shape to maps of another; where it has no bias, its batch norm gives it one."""
    places = smaller[0] * smaller[1]
    return Layer(weights, filters, places, shape[0] * shape[1] * channels, places * filters, places * filters)


def _recurrent(inputs: int, steps: int, units: int) -> Layer:
    """A GRU with one bias a gate."""
    weights = GRU_GATES * units * (inputs + units)
    additions = steps * units * (GRU_GATES + CELL)
    return Layer(weights, GRU_GATES * units, steps, inputs * steps, GRU_GATES * units, additions)


def _unpadded(shape: Shape, strides: Shape) -> Shape:
    """What a 10 x 4 convolution leaves of (coefficients, frames); its strides are (frames, coefficients)."""
    return (shape[0] - KERNEL[1]) // strides[1] + 1, (shape[1] - KERNEL[0]) // strides[0] + 1


def _padded(shape: Shape, strides: Shape) -> Shape:
    return -(-shape[0] // strides[1]), -(-shape[1] // strides[0])


CHAINS: dict[str, Callable[[Any, Shape, int], Iterator[Layer]]] = {
    "dnn": _dnn,
    "cnn": _cnn,
    "lstm": _lstm,
    "gru": _gru,
    "crnn": _crnn,
    "ds_cnn": _ds_cnn,
}
