"""What the saved configuration of a Keras or QKeras layer says: shapes, attributes, parameters, precision.

Everything is read from plain data (the `config` of a layer in a `.keras` file); neither Keras nor any code of
the model runs. To add a layer: one function (config, input shapes) -> Description and a line in LAYERS.

Shapes are without the batch, channels last.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

from hybridq.errors import UserError
from hybridq.precision import LayerPrecision, Precision

Shape = tuple[int, ...]
Config = Mapping[str, Any]

LARGEST_DIMENSION = 2**31  # beyond these a file is damaged or hostile, not a network
LARGEST_TENSOR = 2**40  # elements
MOST_AXES = 16


@dataclass(frozen=True)
class Description:
    """A layer as its configuration tells it; the counts are numbers, not bytes."""

    kind: str
    output_shape: Shape
    attributes: Mapping[str, Any] = field(default_factory=dict)
    kernel: int = 0
    bias: int = 0
    other: int = 0  # neither kernel nor bias: scale and offset of a batch norm, slopes of a PReLU
    precision: LayerPrecision | None = None


def describe(layer: Mapping[str, Any], inputs: Sequence[Shape], recorded: Shape | None) -> Description:
    """Describe one saved layer; `recorded` is the output shape that the file gives, where it gives one.

    A layer without a rule comes back with the kind "unknown: X". Raises UserError for settings that
    contradict.
    """
    class_name = str(layer.get("class_name"))
    config = layer.get("config")
    config = config if isinstance(config, Mapping) else {}
    kind = class_name[1:] if class_name.startswith("Q") and class_name[1:] in LAYERS else class_name
    if kind not in LAYERS or not _from_keras(layer) or any(not shape for shape in inputs):
        return Description(f"unknown: {class_name}", recorded or ())
    if config.get("data_format", "channels_last") not in ("channels_last", None):
        return Description(f"unknown: {class_name} with channels first", recorded or ())
    found = LAYERS[kind](config, inputs)
    if found.kernel > LARGEST_TENSOR:
        raise UserError(f"{found.kernel} weights are not possible")
    if recorded and recorded != checked(found.output_shape):
        raise UserError(f"its settings give the output {found.output_shape}, the file says {recorded}")
    quantized = class_name.startswith("Q")
    return replace(found, kind=kind, precision=_precision(config) if quantized else None)


def checked(shape: Shape) -> Shape:
    """The shape itself; raises UserError where it is empty, not positive or absurdly large."""
    possible = len(shape) <= MOST_AXES and all(0 < n <= LARGEST_DIMENSION for n in shape)
    if not possible or prod(shape) > LARGEST_TENSOR:
        raise UserError(f"the shape {shape} is not possible")
    return shape


def _from_keras(layer: Mapping[str, Any]) -> bool:
    """False for a class of the user's own: it may bear the name of a Keras layer and do something else."""
    module, registered = layer.get("module"), layer.get("registered_name")
    keras = module is None or str(module).startswith(("keras.layers", "keras.src.layers", "qkeras"))
    return keras and (registered is None or str(registered).startswith(("keras>", "qkeras>")))


# ------------------------------------------------------------------------------------------ precisions

# QKeras quantizers: the function that each computes as an activation, and its bits if not configured.
QUANTIZERS: dict[str, tuple[str, int]] = {
    "quantized_bits": ("linear", 8),
    "quantized_linear": ("linear", 8),
    "quantized_po2": ("linear", 8),
    "quantized_ulaw": ("linear", 8),
    "quantized_relu": ("relu", 8),
    "quantized_relu_po2": ("relu", 8),
    "quantized_tanh": ("tanh", 8),
    "quantized_sigmoid": ("sigmoid", 8),
    "quantized_hswish": ("hard_swish", 8),
    "ternary": ("linear", 2),
    "stochastic_ternary": ("linear", 2),
    "binary": ("linear", 1),
    "stochastic_binary": ("linear", 1),
    "bernoulli": ("linear", 1),
}
QUANTIZER_KEYS = ("kernel_quantizer", "depthwise_quantizer", "pointwise_quantizer")
CALL = re.compile(r"(\w+)\s*(?:\((.*)\))?\s*", re.DOTALL)  # "quantized_bits(8, 0, 1)", read, never evaluated


def precision_of(quantizer: Any) -> Precision:
    """The precision of a saved QKeras quantizer (its dict or its text); none is float32.

    A width between two precisions takes the next wider one; above 8 bits, and for a quantizer that is not
    QKeras', float32: never fewer bytes than the weights need.
    """
    name, settings = _quantizer(quantizer)
    if name not in QUANTIZERS:
        return Precision.FLOAT32
    bits = settings.get("bits", QUANTIZERS[name][1]) if QUANTIZERS[name][1] == 8 else QUANTIZERS[name][1]
    wide_enough = [p for p in Precision if isinstance(bits, int) and p.bits >= bits]
    return min(wide_enough, key=lambda p: p.bits, default=Precision.FLOAT32)


def _quantizer(value: Any) -> tuple[str, Mapping[str, Any]]:
    """Class name and settings of a quantizer, from its dict or its text; ("", {}) for none."""
    if isinstance(value, Mapping):
        settings = value.get("config")
        return str(value.get("class_name")), settings if isinstance(settings, Mapping) else {}
    match = CALL.fullmatch(value) if isinstance(value, str) else None
    if not match:
        return "", {}
    bits = re.match(r"\s*(?:bits\s*=\s*)?(\d{1,3})\s*(?:,|$)", match[2] or "")
    return match[1], {"bits": int(bits[1])} if bits else {}


def _precision(config: Config) -> LayerPrecision:
    weights = [precision_of(config[key]) for key in QUANTIZER_KEYS if key in config]
    return LayerPrecision(
        weights=max(weights, key=lambda p: p.bits, default=Precision.FLOAT32),
        bias=precision_of(config.get("bias_quantizer")),
        outputs=precision_of(config.get("activation")),
    )


def activation_of(value: Any) -> str:
    """The name of a saved activation function ("linear" for none); of a quantizer, the function it rounds."""
    if value is None:
        return "linear"
    name, settings = _quantizer(value)
    if name in QUANTIZERS:
        return "leaky_relu" if settings.get("negative_slope") else QUANTIZERS[name][0]
    if name == "function":  # Keras' form of a function: {"class_name": "function", "config": "softmax"}
        name = str(value.get("config"))
    if name in ACTIVATION_LAYERS:
        return ACTIVATION_LAYERS[name](settings)
    name = name or "a function of its own"
    return {"swish": "silu", "hard_swish": "hard_silu"}.get(name, name)


# Layers that are one nonlinearity.
ACTIVATION_LAYERS: dict[str, Callable[[Config], str]] = {
    "Activation": lambda config: activation_of(config.get("activation")),
    "ReLU": lambda config: (
        "leaky_relu" if config.get("negative_slope") else "relu6" if config.get("max_value") else "relu"
    ),
    "ELU": lambda config: "elu",
    "LeakyReLU": lambda config: "leaky_relu",
    "Softmax": lambda config: "softmax",
}


# ------------------------------------------------------------------------------------------- the layers


def _number(config: Config, key: str, default: int | None = None) -> int:
    value = config.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= LARGEST_DIMENSION:
        raise UserError(f"{key} is {value!r}, not a positive whole number")
    return value


def _numbers(config: Config, key: str, count: int, default: int | None = None) -> Shape:
    value = config.get(key, default)
    items = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value] * count
    if len(items) != count:
        raise UserError(f"{key} is {value!r}, not {count} numbers")
    return tuple(_number({key: item}, key) for item in items)


def _one(inputs: Sequence[Shape], axes: int | None = None) -> Shape:
    if len(inputs) != 1 or (axes is not None and len(inputs[0]) != axes):
        raise UserError(f"it cannot take the input {', '.join(map(str, inputs)) or 'none'}")
    return inputs[0]


def _window(config: Config, source: Shape, kernel: Shape, strides: Shape, dilation: Shape) -> tuple[Shape, Any]:
    """Output rows and columns of a window moved over the input; the zeros added (before, after) in each."""
    padding = config.get("padding", "valid")
    size, pads = [], []
    for n, k, stride, rate in zip(source[:-1], kernel, strides, dilation, strict=True):
        reach = (k - 1) * rate + 1
        if padding == "valid":
            size.append((n - reach) // stride + 1)
            pads.append((0, 0))
        elif padding in ("same", "causal"):
            size.append(-(-n // stride))
            total = max((size[-1] - 1) * stride + reach - n, 0)
            pads.append((total, 0) if padding == "causal" else (total // 2, total - total // 2))
        else:
            raise UserError(f"padding is {padding!r}")
        if size[-1] < 1:
            raise UserError(f"its window of {reach} does not fit the input of {n}")
    return tuple(size), tuple(pads)


def _convolution(axes: int, form: str) -> Callable[[Config, Sequence[Shape]], Description]:
    """Conv1D/2D ("full"), DepthwiseConv1D/2D ("depthwise"), SeparableConv1D/2D ("separable")."""

    def read(config: Config, inputs: Sequence[Shape]) -> Description:
        source = _one(inputs, axes + 1)
        kernel = _numbers(config, "kernel_size", axes)
        strides, dilation = _numbers(config, "strides", axes, 1), _numbers(config, "dilation_rate", axes, 1)
        size, pads = _window(config, source, kernel, strides, dilation)
        multiplier = 1 if form == "full" else _number(config, "depth_multiplier", 1)
        groups = _number(config, "groups", 1) if form == "full" else source[-1]
        filters = source[-1] * multiplier if form == "depthwise" else _number(config, "filters")
        if source[-1] % groups or filters % (groups if form == "full" else 1):
            raise UserError(f"{source[-1]} channels and {filters} filters do not divide into {groups} groups")
        if form == "full":
            weights = prod(kernel) * (source[-1] // groups) * filters
        else:
            weights = prod(kernel) * source[-1] * multiplier
            weights += source[-1] * multiplier * filters if form == "separable" else 0
        bias = bool(config.get("use_bias", True))
        attributes = {
            "kernel": kernel,
            "strides": strides,
            "dilation": dilation,
            "pads": pads,
            "groups": groups,
            "padding": config.get("padding", "valid"),
            "depth_multiplier": multiplier,
            "filters": filters,
            "use_bias": bias,
            "activation": activation_of(config.get("activation")),
        }
        return Description("", (*size, filters), attributes, weights, filters if bias else 0)

    return read


def _dense(config: Config, inputs: Sequence[Shape]) -> Description:
    source, units = _one(inputs), _number(config, "units")
    bias = bool(config.get("use_bias", True))
    attributes = {"units": units, "use_bias": bias, "activation": activation_of(config.get("activation"))}
    return Description("", (*source[:-1], units), attributes, source[-1] * units, units if bias else 0)


def _batch_norm(config: Config, inputs: Sequence[Shape]) -> Description:
    source = _one(inputs)
    axis = config.get("axis", -1)
    axis = axis[0] if isinstance(axis, Sequence) and len(axis) == 1 else axis
    if axis not in (-1, len(source)):
        raise UserError(f"it normalises along axis {axis!r}, not along the channels")
    return Description("", source, other=2 * source[-1])  # at inference one scale and one offset a channel


def _activation(kind: str) -> Callable[[Config, Sequence[Shape]], Description]:
    name = ACTIVATION_LAYERS[kind]
    return lambda config, inputs: Description("", _one(inputs), {"activation": name(config)})


def _prelu(config: Config, inputs: Sequence[Shape]) -> Description:
    source, shared = _one(inputs), config.get("shared_axes") or ()
    slopes = prod(n for axis, n in enumerate(source, start=1) if axis not in shared)
    return Description("", source, {"activation": "prelu"}, other=slopes)


def _pool(axes: int) -> Callable[[Config, Sequence[Shape]], Description]:
    def read(config: Config, inputs: Sequence[Shape]) -> Description:
        source = _one(inputs, axes + 1)
        kernel = _numbers(config, "pool_size", axes, 2)
        strides = _numbers(config, "strides", axes) if config.get("strides") else kernel
        size, pads = _window(config, source, kernel, strides, (1,) * axes)
        return Description("", (*size, source[-1]), {"kernel": kernel, "strides": strides, "pads": pads})

    return read


def _global_pool(axes: int) -> Callable[[Config, Sequence[Shape]], Description]:
    def read(config: Config, inputs: Sequence[Shape]) -> Description:
        source = _one(inputs, axes + 1)
        kept = (1,) * axes if config.get("keepdims") else ()
        return Description("", (*kept, source[-1]), {"kernel": source[:-1]})

    return read


def _flatten(config: Config, inputs: Sequence[Shape]) -> Description:
    return Description("", (prod(_one(inputs)),))


def _reshape(config: Config, inputs: Sequence[Shape]) -> Description:
    source, target = _one(inputs), config.get("target_shape")
    if not isinstance(target, list | tuple) or not all(isinstance(n, int) for n in target):
        raise UserError(f"target_shape is {target!r}")
    known = prod(n for n in target if n != -1)
    shape = tuple(prod(source) // max(known, 1) if n == -1 else n for n in target)
    if prod(shape) != prod(source):
        raise UserError(f"{source} does not reshape to {tuple(target)}")
    return Description("", shape)


def _permute(config: Config, inputs: Sequence[Shape]) -> Description:
    source = _one(inputs)
    order = _numbers(config, "dims", len(source))
    if sorted(order) != list(range(1, len(source) + 1)):
        raise UserError(f"dims is {order}, not an order of the axes of {source}")
    return Description("", tuple(source[axis - 1] for axis in order))


def _same(config: Config, inputs: Sequence[Shape]) -> Description:
    return Description("", _one(inputs))


def _zero_padding(axes: int) -> Callable[[Config, Sequence[Shape]], Description]:
    def read(config: Config, inputs: Sequence[Shape]) -> Description:
        source, padding = _one(inputs, axes + 1), config.get("padding", 1)
        sides = [padding] * axes if isinstance(padding, int) else list(padding)
        if axes == 1 and len(sides) == 2:
            sides = [sides]
        pairs = [(side, side) if isinstance(side, int) else tuple(side) for side in sides]
        size = tuple(n + before + after for n, (before, after) in zip(source[:-1], pairs, strict=True))
        return Description("", (*size, source[-1]), {"pads": tuple(pairs)})

    return read


def _elementwise(config: Config, inputs: Sequence[Shape]) -> Description:
    if len(inputs) < 2 or any(shape != inputs[0] for shape in inputs):
        raise UserError(f"it cannot take the inputs {', '.join(map(str, inputs))}")
    return Description("", inputs[0])


def _concatenate(config: Config, inputs: Sequence[Shape]) -> Description:
    axis, axes = config.get("axis", -1), len(inputs[0]) if inputs else 0
    at = axis - 1 if isinstance(axis, int) and axis > 0 else axes + axis if isinstance(axis, int) else -1
    rest = {(shape[:at], shape[at + 1 :]) for shape in inputs}
    if not 0 <= at < axes or len(rest) != 1:
        raise UserError(f"it cannot join {', '.join(map(str, inputs))} along axis {axis!r}")
    return Description("", (*inputs[0][:at], sum(shape[at] for shape in inputs), *inputs[0][at + 1 :]))


UNCHANGED = (  # layers that do nothing at inference
    "Dropout",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "GaussianNoise",
    "GaussianDropout",
    "AlphaDropout",
    "ActivityRegularization",
    "Identity",
)
LAYERS: dict[str, Callable[[Config, Sequence[Shape]], Description]] = {
    **{f"Conv{n}D": _convolution(n, "full") for n in (1, 2)},
    **{f"DepthwiseConv{n}D": _convolution(n, "depthwise") for n in (1, 2)},
    **{f"SeparableConv{n}D": _convolution(n, "separable") for n in (1, 2)},
    **{f"{which}Pooling{n}D": _pool(n) for which in ("Max", "Average") for n in (1, 2)},
    **{f"Global{which}Pooling{n}D": _global_pool(n) for which in ("Max", "Average") for n in (1, 2)},
    **{f"ZeroPadding{n}D": _zero_padding(n) for n in (1, 2)},
    **{kind: _activation(kind) for kind in ACTIVATION_LAYERS},
    **dict.fromkeys(UNCHANGED, _same),
    **dict.fromkeys(("Add", "Multiply"), _elementwise),
    "Dense": _dense,
    "BatchNormalization": _batch_norm,
    "PReLU": _prelu,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Permute": _permute,
    "Concatenate": _concatenate,
}
