"""Whether an integer network holds together: what converters, readers of files and writers of C rely on."""

from __future__ import annotations

from math import prod

import numpy as np

from hybridq.integer import scaled_checks as scaled_checks  # registers its layers
from hybridq.integer.bounds import LARGEST, worst_sum
from hybridq.integer.description import Description
from hybridq.integer.map_checks import (
    check_map,
    check_requantization,
    image_of,
    require,
    require_bounds,
    require_inside,
    window_places,
    within,
)
from hybridq.integer.maps import Concatenate, Multiply
from hybridq.integer.network import (
    INT8,
    INT16,
    LOWEST_SHIFT,
    Add,
    AveragePool,
    Convolution,
    Dense,
    Depthwise,
    Grid,
    IntegerNetwork,
    Layer,
    MaxPool,
    Memory,
    Shape,
    Windowed,
)
from hybridq.integer.scaled import ScaledPair

LARGEST_TENSOR = 2**24  # elements
COARSEST, FINEST = -64, 64  # fractions
MOST_STATES = 64  # of a memory: the kernel has room for so many


def check(network: IntegerNetwork) -> None:
    """Raise UserError, naming the layer, where shapes, values or ranges contradict `hybridq.integer.network`."""
    require(network.input_name, _is_shape(network.input_shape), f"the shape {network.input_shape}")
    require(network.input_name, COARSEST <= network.input_fraction <= FINEST, f"fraction {network.input_fraction}")
    _check_grid(network.input_name, network.reads)
    require("the network", bool(network.layers), "no layers")
    _check_affine(network.description, network.input_shape[-1])
    shapes: dict[str, Shape] = {network.input_name: network.input_shape}
    for layer in network.layers:
        name = layer.name
        require(name, name not in shapes, "a name that is there already")
        require(name, set(layer.inputs) <= shapes.keys(), f"inputs {layer.inputs}, not all made before it")
        require(name, _is_shape(layer.shape), f"the shape {layer.shape}")
        require(name, COARSEST <= layer.fraction <= FINEST, f"fraction {layer.fraction}")
        _check_grid(name, layer.stands_for)
        _check_layer(layer, [shapes[one] for one in layer.inputs])
        shapes[name] = layer.shape
    _check_outputs(network)


def _check_grid(name: str, grid: Grid) -> None:
    require(name, 2.0**-FINEST <= grid.scale <= 2.0**-COARSEST, f"the scale {grid.scale}")
    require(name, INT8[0] <= grid.zero <= INT8[1], f"the zero point {grid.zero}")


def _check_outputs(network: IntegerNetwork) -> None:
    """That int16 leave the network and nothing else does with them; and of how many outputs the description says."""
    names, known = network.outputs, {layer.name for layer in network.layers}
    require("the network", set(names) <= known, f"outputs {names}, which are not all layers")
    require("the network", len(set(names)) == len(names), f"outputs {names}, one of them twice")
    read = {name for layer in network.layers for name in layer.inputs}
    for layer in network.layers:
        require(layer.name, not layer.is_wide or layer.name not in read, "results of 16 bits that a layer reads")
        require(layer.name, not layer.is_wide or layer.name in names, "results of 16 bits, and is no output")
    about = network.description.activation
    require("the network", len(about) in (0, len(names)), f"{len(names)} outputs and {len(about)} functions of them")


def _check_affine(about: Description, channels: int) -> None:
    """That what is done to numbers before they become the input has one of each, or one for each channel."""
    standard = {} if about.front_end else about.normalisation or {}
    require("the network", standard.keys() in (set(), {"mean", "deviation"}), "a normalisation without its numbers")
    for numbers in (*standard.values(), *(about.rescaling or {}).values()):
        require("the network", len(numbers) in (1, channels), f"numbers for {len(numbers)} of {channels} channels")
    deviations = standard.get("deviation", ())
    require("the network", all(one > 0 for one in deviations), "a deviation that is not above 0")
    largest = float(np.abs(about.affine).max())
    require(
        "the network", largest <= float(np.finfo(np.float32).max), f"a factor or summand of {largest:g} for its input"
    )


def _check_layer(layer: Layer, sources: list[Shape]) -> None:
    name = layer.name
    count = 1 + (isinstance(layer, Multiply) or (isinstance(layer, ScaledPair) and layer.constant is None))
    fits = len(sources) > 1 if isinstance(layer, Add | Concatenate) else len(sources) == count
    require(name, fits, f"{len(sources)} inputs")
    source = sources[0]
    if isinstance(layer, Add):
        require(
            name,
            {image_of(layer.shape)} == set(map(image_of, sources)),
            f"inputs {sources} for the result {layer.shape}",
        )
        require(name, len(layer.scales) == len(sources) and all(layer.scales), f"scales {layer.scales}")
        require(name, 0 <= layer.shift <= 31, f"the shift {layer.shift}")
        require(name, worst_sum(np.array(layer.scales)[:, None], 2**layer.shift)[0] <= LARGEST, "sums beyond 32 bits")
        require_bounds(name, layer.low, layer.high)
    elif isinstance(layer, MaxPool):
        made = window_places(name, source, layer.window, layer.strides, layer.pads)
        require_inside(name, layer.window, layer.pads)
        require(name, layer.shape == (*made, source[-1]), f"the shape {layer.shape}")
    elif isinstance(layer, AveragePool):
        require(name, prod(layer.shape) == layer.shape[-1] == source[-1], f"the shape {layer.shape}")
        check_requantization(name, layer.out, source[-1], INT8, LOWEST_SHIFT)
        largest = int(worst_sum(np.full((1, 1), prod(source[:-1])))[0]) << layer.out.doublings
        require(name, largest <= LARGEST, f"sums of up to {largest}")
    elif isinstance(layer, Memory):
        _check_memory(layer, source)
    elif isinstance(layer, Convolution | Depthwise | Dense):
        _check_weighted(layer, source)
    else:
        check_map(layer, sources)


def _check_weighted(layer: Convolution | Depthwise | Dense, source: Shape) -> None:
    name, weights, outputs = layer.name, layer.weights, layer.shape[-1]
    axes = {Convolution: 4, Depthwise: 3, Dense: 2}[type(layer)]
    require(name, weights.ndim == axes and weights.size > 0, f"weights of shape {weights.shape}")
    require(name, weights.shape[-1] == outputs, f"weights of shape {weights.shape} for the result {layer.shape}")
    if isinstance(layer, Dense):
        fits = len(layer.shape) == 1 and weights.shape[0] == prod(source)
    else:
        require(name, min(layer.dilation) > 0 and len(layer.dilation) == 2, f"dilation {layer.dilation}")
        made = window_places(name, source, layer.reach, layer.strides, layer.pads)
        read = source[-1] * (layer.depth_multiplier if isinstance(layer, Depthwise) else 1)
        fits = layer.shape == (*made, outputs) and weights.shape[2] == read
    require(name, fits, f"weights of shape {weights.shape} from {source} to {layer.shape}")
    require(name, int(np.abs(weights).max()) <= layer.width.largest, f"weights beyond {layer.width.name}")
    there = np.isin(weights, list(layer.width.row.integers))
    require(name, bool(there.all()), f"weights of {weights[~there].ravel()[:1]} among {layer.width} ones")
    require(name, layer.bias.shape == (outputs,), f"biases of shape {layer.bias.shape}")
    lowest = -1 if layer.out.twice else LOWEST_SHIFT if isinstance(layer, Dense) else 0
    check_requantization(name, layer.out, outputs, INT16 if layer.is_wide else INT8, lowest)
    doublings = layer.out.twice or layer.out.doublings  # beyond 2**30 a factor of 0 would round to 1
    worst = int(worst_sum(weights, layer.bias).max()) << doublings
    require(name, worst <= LARGEST, f"sums that can reach {worst:,}, beyond 32 bits")
    require(
        name, int(layer.out.shift.max()) + doublings <= 31, f"shifts {doublings} below 0 and beyond {31 - doublings}"
    )
    require(name, not layer.out.twice or layer.affine is None, "a batch norm behind what is rounded twice")
    if isinstance(layer, Windowed):
        require(name, INT8[0] <= layer.outside <= INT8[1], f"{layer.outside} around its input")
    behind = layer.table is not None or layer.affine is not None
    require(name, not (layer.is_wide and behind), "a table or a batch norm behind 16 bits")
    if layer.table is not None:
        fits = layer.table.shape == (256,) and within(layer.table, INT8)
        require(name, fits, "a table that is not 256 int8")
    if layer.affine is not None:
        by = layer.affine
        require(name, by.bias.shape == by.multiplier.shape == (outputs,), "a batch norm of another shape")
        require(name, 0 <= by.shift <= 31, f"the shift {by.shift}")
        require(name, bool(by.multiplier.all()), "a multiplier of 0 in a batch norm")
        highest = int(worst_sum(by.scale[None], by.offset).max()) + 2**by.shift // 2  # what rounding adds
        require(name, highest <= LARGEST, "a batch norm beyond 32 bits")


def _check_memory(layer: Memory, source: Shape) -> None:
    name, matrix = layer.name, layer.matrix
    require(name, matrix.ndim == 2 and matrix.shape[1] == matrix.shape[0] + 1, f"a matrix of shape {matrix.shape}")
    require(name, 0 < layer.order <= MOST_STATES, f"{layer.order} states")
    row = len(source) == 1 or source[0] == 1
    states = source[-1] * layer.order
    require(name, row and layer.shape in ((*source[:-1], states), (states,)), f"the shape {layer.shape} from {source}")
    require(name, within(matrix, INT16), "a matrix beyond 16 bits")
    require(name, 0 <= layer.matrix_shift <= 30, f"the shift {layer.matrix_shift} of its matrix")
    require(name, 0 <= layer.input_shift <= 8, f"the shift {layer.input_shift} of its signals")
    require(name, 0 <= layer.output_shift <= 15, f"the shift {layer.output_shift} of its results")
    worst = int(worst_sum(matrix.T, 1 << layer.matrix_shift >> 1, -INT16[0]).max())
    require(name, worst <= LARGEST, f"sums that can reach {worst:,}, beyond 32 bits")


def _is_shape(shape: Shape) -> bool:
    return len(shape) in (1, 3) and all(0 < n <= LARGEST_TENSOR for n in shape) and prod(shape) <= LARGEST_TENSOR
