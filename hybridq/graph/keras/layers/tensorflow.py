"""TensorFlow's functions in a model of Keras 2: `x + y`, `tf.nn.relu(x)`, `x[:, 0]`, saved as the layer TFOpLambda.

Each is brought into the form of the layer that computes the same. A function that is in no row is unknown, by its name.
Arguments are read as data: tensors among them are [layer, use, result], arrays are lists of their numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

from hybridq.graph.keras.layers.description import MOST_AXES, Config
from hybridq.graph.keras.layers.plain import TRANSLATED
from hybridq.graph.kinds import FUNCTIONS, KINDS, of_family
from hybridq.graph.operators import Shape

CLASSES = ("TFOpLambda", "SlicingOpLambda")
FIRST = "_first"  # among the arguments: the first, where it is no tensor but a number or an array
MERGES = of_family("merge")

Arguments = Mapping[str, Any]
Settings = Callable[[Arguments, Sequence[Shape]], Config]


class Operation(NamedTuple):
    """The layer that computes what a function does, its settings, and how many of the tensors are its input."""

    layer: str
    settings: Settings = lambda given, inputs: {}
    reads: int | None = None  # None: all


class Call(NamedTuple):
    """A function of TensorFlow in the form of a layer."""

    layer: dict[str, Any]
    inputs: Sequence[Shape]  # arrays among its operands too
    stored: int  # numbers of the arrays that it is given


def called(config: Config, arguments: Arguments, inputs: Sequence[Shape]) -> Call:
    """The layer of a saved TFOpLambda; one of an unknown class where no row has its function."""
    function = str(config.get("function")).removeprefix("compat.v1.")
    row = OPERATIONS.get(function)
    arrays = [shape for value in arguments.values() if (shape := array_shape(value)) is not None]
    stored = sum(map(prod, arrays))
    if row is None or not inputs or not all(inputs):
        return Call({"class_name": function, "module": "tensorflow", "config": {}}, inputs, stored)
    read = list(inputs if row.reads is None else inputs[: row.reads])
    settings = row.settings(arguments, read)
    name = str(settings.get("layer", row.layer))  # which settings may say more narrowly
    if row.layer in MERGES or row.layer == "Matmul":
        read += [shape[1:] if len(shape) > 1 and shape[0] == 1 else shape for shape in arrays]
    return Call({"class_name": name, "config": settings, "module": TRANSLATED}, read, stored)


def array_shape(value: Any) -> Shape | None:
    """The shape of an array of floats that is saved as lists of lists; None for anything else, tensors too."""
    shape: list[int] = []
    while isinstance(value, list) and value and len(shape) < MOST_AXES:
        shape.append(len(value))
        value = value[0]
    return tuple(shape) if shape and type(value) is float else None


# ------------------------------------------------------------------------------------------------ settings


def _sizes(value: Any) -> list[Any]:
    """A list of whole numbers, those that a tensor says as None."""
    return [n if type(n) is int else None for n in value] if isinstance(value, list) else []


def _reshape(given: Arguments, inputs: Sequence[Shape]) -> Config:
    """The batch, first, may be a number that the shape of another tensor says."""
    batch, *sizes = _sizes(given.get("shape")) or [0]
    return {"newshape": [None if batch in (1, -1, None) else batch, *sizes]}


def _expand(given: Arguments, inputs: Sequence[Shape]) -> Config:
    axis, axes = given.get("axis"), len(inputs[0])
    at = axis - 1 if type(axis) is int and axis > 0 else axes + 1 + axis if type(axis) is int and axis < 0 else -1
    shape = list(inputs[0])
    return {"target_shape": [*shape[:at], 1, *shape[at:]]} if 0 <= at <= axes else {"newshape": [1, None]}


def _squeeze(given: Arguments, inputs: Sequence[Shape]) -> Config:
    axis, rank = given.get("axis"), len(inputs[0]) + 1
    axes = [n % rank for n in (axis if isinstance(axis, list) else [axis]) if type(n) is int]
    kept = [n for i, n in enumerate(inputs[0], start=1) if n != 1 or (axes and i not in axes)]
    return {"target_shape": kept or [1]}


def _permute(given: Arguments, inputs: Sequence[Shape]) -> Config:
    batch, *axes = _sizes(given.get("perm")) or [None]
    return {"dims": axes} if batch == 0 else {"layer": "Transpose of the batch"}


def _pad(given: Arguments, inputs: Sequence[Shape]) -> Config:
    """Zeros around an image or a sequence are the layer's of that name; others are on any axis."""
    pads = given.get("paddings")
    pairs = [list(pair) for pair in pads] if isinstance(pads, list) and all(isinstance(p, list) for p in pads) else []
    places = len(inputs[0]) - 1
    if places in (1, 2, 3) and len(pairs) == places + 2 and not any(pairs[0] + pairs[-1]):
        inside = pairs[1:-1] if places > 1 else pairs[1]
        return {"layer": f"ZeroPadding{places}D", "padding": inside}
    return {"pads": pairs}


def _reduction(pool: str = "") -> Settings:
    """Over all places of an image or a sequence a mean or a maximum is a global pool."""

    def settings(given: Arguments, inputs: Sequence[Shape]) -> Config:
        axis, axes = given.get("axis"), len(inputs[0])
        reduced = {n % (axes + 1) for n in (axis if isinstance(axis, list) else [axis]) if type(n) is int}
        places = set(range(1, axes))
        if pool and axes in (2, 3, 4) and reduced == places:
            return {"layer": f"{pool}{axes - 1}D", "keepdims": bool(given.get("keepdims"))}
        return {"axis": axis, "keepdims": bool(given.get("keepdims"))}

    return settings


def _slice(given: Arguments, inputs: Sequence[Shape]) -> Config:
    begin, size = _sizes(given.get("begin")), _sizes(given.get("size"))
    if len(begin) != len(size) or len(begin) != len(inputs[0]) + 1 or None in (*begin, *size):
        return {"slice_spec": ["by tensors"]}
    ends = [None if n == -1 else start + n for start, n in zip(begin, size, strict=True)]
    batch = {} if begin[0] == 0 and size[0] == -1 else {"start": begin[0], "stop": ends[0]}
    ranges = zip(begin[1:], ends[1:], strict=True)
    return {"slice_spec": [batch, *({"start": start, "stop": stop} for start, stop in ranges)]}


def _resize(given: Arguments, inputs: Sequence[Shape]) -> Config:
    height, width = (*_sizes(given.get("size")), None, None)[:2]
    return {"height": height, "width": width, "interpolation": given.get("method", "bilinear")}


def _window(given: Arguments, inputs: Sequence[Shape]) -> Config:
    """Sizes of two axes, of one for both, or of four with the batch and the channels."""

    def places(value: Any) -> Any:
        return value[1:3] if isinstance(value, list) and len(value) == 4 else value

    padding = str(given.get("padding")).lower()
    return {"pool_size": places(given.get("ksize")), "strides": places(given.get("strides")), "padding": padding}


def _same_named(*names: str) -> Settings:
    """The settings of that name, as they stand."""
    return lambda given, inputs: {name: given[name] for name in names if name in given}


def _nonlinearity(name: str) -> Operation:
    return Operation("Activation", lambda given, inputs: {"activation": name}, 1)


# ------------------------------------------------------------------------------------------------ the table

# fmt: off
OPERATIONS: dict[str, Operation] = {
    **{f"{module}.{name}": _nonlinearity(name)
       for name, row in FUNCTIONS.items() if row.operation for module in ("nn", "math")},
    "nn.swish": _nonlinearity("silu"),
    **{f"math.{name.lower()}": Operation(name, reads=1)
       for name, row in KINDS.items() if row.family == "unary" and name != "Clip"},
    "clip_by_value": Operation("Clip", reads=1),
    "__operators__.add": Operation("Add"), "math.add": Operation("Add"), "math.add_n": Operation("Add"),
    "nn.bias_add": Operation("Add"),
    "math.subtract": Operation("Subtract"), "math.multiply": Operation("Multiply"),
    "math.truediv": Operation("Divide"), "math.divide": Operation("Divide"), "math.realdiv": Operation("Divide"),
    "math.pow": Operation("Power"), "math.squared_difference": Operation("SquaredDifference"),
    "math.maximum": Operation("Maximum"), "math.minimum": Operation("Minimum"),
    "linalg.matmul": Operation("Matmul", _same_named("transpose_a", "transpose_b")),
    "math.l2_normalize": Operation("UnitNormalization", _same_named("axis"), 1),
    "math.reduce_mean": Operation("Mean", _reduction("GlobalAveragePooling"), 1),
    "math.reduce_max": Operation("Max", _reduction("GlobalMaxPooling"), 1),
    "math.reduce_sum": Operation("Sum", _reduction(), 1),
    "math.reduce_min": Operation("Min", _reduction(), 1),
    "math.reduce_prod": Operation("Prod", _reduction(), 1),
    "nn.max_pool": Operation("MaxPooling2D", _window, 1), "nn.max_pool2d": Operation("MaxPooling2D", _window, 1),
    "nn.avg_pool": Operation("AveragePooling2D", _window, 1),
    "nn.avg_pool2d": Operation("AveragePooling2D", _window, 1),
    "concat": Operation("Concatenate", _same_named("axis")),
    "stack": Operation("Stack", _same_named("axis")),
    "split": Operation("Split", lambda given, inputs: {
        "parts": given.get("num_or_size_splits"), "axis": given.get("axis", 0)}, 1),
    "reshape": Operation("Reshape", _reshape, 1),
    "expand_dims": Operation("Reshape", _expand, 1),
    "squeeze": Operation("Reshape", _squeeze, 1),
    "transpose": Operation("Permute", _permute, 1),
    "pad": Operation("Pad", _pad, 1),
    "tile": Operation("Tile", lambda given, inputs: {"times": given.get("multiples")}, 1),
    "slice": Operation("Slice", _slice, 1),
    "__operators__.getitem": Operation("Slice", _same_named("slice_spec"), 1),
    "image.resize": Operation("Resizing", _resize, 1),
    "shape": Operation("Shape", reads=1),
    **{name: Operation("Identity", reads=1) for name in (
        "cast", "identity", "stop_gradient", "grad_pass_through", "nn.dropout",
        "quantization.fake_quant_with_min_max_vars", "quantization.fake_quant_with_min_max_args")},
}
# fmt: on
