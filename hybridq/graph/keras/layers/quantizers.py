"""Saved activation functions and QKeras quantizers: which function, which format. Read, never evaluated."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from hybridq.formats import Format
from hybridq.graph.keras.layers.description import Config
from hybridq.precision import LayerPrecision

# Quantizers of QKeras, and Grid: what function each computes as an activation, and its default bits.
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
    "Grid": ("linear", 8),
    # of Larq
    "SteSign": ("linear", 1),
    "ApproxSign": ("linear", 1),
    "SwishSign": ("linear", 1),
    "MagnitudeAwareSign": ("linear", 1),
    "SteTern": ("linear", 2),
    "DoReFa": ("linear", 8),  # or as many as its `k_bit` says
    "DoReFaQuantizer": ("linear", 8),
    "STCustomDoReFa": ("linear", 8),
}
READS = "reads"  # the attribute of a layer of Larq: the format to which it rounds what it reads
SNAKE = re.compile("(?<=[a-z])(?=[A-Z])")  # "SteSign" is "ste_sign" in a text
BY_TEXT = {
    SNAKE.sub("_", name).lower(): name
    for name in ("SteSign", "ApproxSign", "SwishSign", "MagnitudeAwareSign", "SteTern")
}
EARLIER = {"DepthwiseBits": "quantized_bits", "DepthwiseTernary": "ternary", "DepthwiseBinary": "binary"}  # names
VITIS = "Vitis>"  # before the classes of Vitis AI
# What training for 8 bits puts around an activation; in the last there is none.
AROUND = ("QuantizeAwareActivation", "NoQuantizeActivation", "QuantizeActivation", "NoOpActivation")
POLICY_KINDS = frozenset({"Dense", "EinsumDense", "Embedding"})  # that `model.quantize` of Keras changes
POLICY_MODES = {"int8": Format.INT8, "int4": Format.INT4}
QUANTIZER_KEYS = ("kernel_quantizer", "depthwise_quantizer", "pointwise_quantizer", "recurrent_quantizer")
FINEST = 64  # fraction of a Grid
LONGEST_NAME = 60  # characters of the name of a function that is not known here
CALL = re.compile(r"(\w+)\s*(?:\((.*)\))?\s*", re.DOTALL)  # "quantized_bits(8, 0, 1)", read, never evaluated


def format_of(quantizer: Any) -> Format:
    """The format of a saved quantizer's numbers (of its dict or its text); none is float32.

    One of this project bears its name. Another's width between two formats takes the next wider one; above 8 bits, and
    for a quantizer that is not QKeras', float32: never fewer bytes than the weights need.
    """
    name, settings = _quantizer(quantizer)
    if _bears_format(settings):
        return Format(settings["format"])
    if name not in QUANTIZERS:
        return Format.FLOAT32
    default = QUANTIZERS[name][1]
    bits = settings.get("k_bit", settings.get("bits", default)) if default == 8 else default
    wide_enough = [one for one in Format if isinstance(bits, int) and one.bits >= bits]
    with_zero = [one for one in wide_enough if one.has_zero or one.bits == 1]  # as all of QKeras' of two bits or more
    return min(with_zero, key=lambda one: one.bits, default=Format.FLOAT32)


def _quantizer(value: Any) -> tuple[str, Mapping[str, Any]]:
    """Class name and settings of a quantizer, from its dict or its text; ("", {}) for none."""
    if isinstance(value, Mapping):
        settings = value.get("config")
        name = str(value.get("class_name")).removeprefix("qkeras>").removeprefix("hybridq>")
        return EARLIER.get(name, name), settings if isinstance(settings, Mapping) else {}
    match = CALL.fullmatch(value) if isinstance(value, str) else None
    if not match:
        return "", {}
    bits = re.match(r"\s*(?:bits\s*=\s*)?(\d{1,3})\s*(?:,|$)", match[2] or "")
    return BY_TEXT.get(match[1], match[1]), {"bits": int(bits[1])} if bits else {}


def _bears_format(settings: Mapping[str, Any]) -> bool:
    return settings.get("format") in list(Format)


def layer_precision(config: Config) -> LayerPrecision:
    """How a QKeras layer is represented; of several kernels, the widest counts."""
    weights = [format_of(config[key]) for key in QUANTIZER_KEYS if key in config]
    return LayerPrecision(
        weights=max(weights, key=lambda one: one.bits, default=Format.FLOAT32),
        bias=format_of(config.get("bias_quantizer")),
        outputs=format_of(config.get("activation")),
    )


def quantizers_of(config: Config) -> dict[str, Any]:
    """The quantizers of a QKeras layer by their classes: of its kernel, of its results; and the fraction of a Grid."""
    kernels = [_quantizer(config[key])[0] for key in QUANTIZER_KEYS if config.get(key) is not None]
    attributes: dict[str, Any] = {"kernel_quantizer": kernels[0]} if kernels else {}
    name, settings = _quantizer(config.get("activation"))
    if name in QUANTIZERS or _bears_format(settings):
        attributes["quantizer"] = name
    if config.get("input_quantizer") is not None:
        attributes[READS] = format_of(config["input_quantizer"])
    fraction = settings.get("fraction")
    if name == "Grid" and type(fraction) is int and abs(fraction) <= FINEST:
        attributes["fraction"] = fraction
    return attributes


def is_quantizer(value: Any) -> bool:
    """Whether a saved activation rounds to a format."""
    name, settings = _quantizer(value)
    return name in QUANTIZERS or _bears_format(settings)


def policy_precision(kind: str, config: Config) -> LayerPrecision | None:
    """How Keras' own `model.quantize("int8")` left a layer: its kernel alone is quantized; None for other layers."""
    policy = config.get("dtype")
    settings = policy.get("config") if isinstance(policy, Mapping) else None
    mode = settings.get("mode") if isinstance(settings, Mapping) else None  # "int8", "int4/128" in blocks
    weights = POLICY_MODES.get(mode.partition("/")[0]) if isinstance(mode, str) else None
    return LayerPrecision(weights=weights) if weights and kind in POLICY_KINDS else None


def activation_of(value: Any) -> str:
    """The name of a saved activation function ("linear" for none); of a quantizer, the function it rounds."""
    if value is None:
        return "linear"
    name, settings = _quantizer(value)
    name = name.removeprefix(VITIS)
    if name in QUANTIZERS or _bears_format(settings):
        return "leaky_relu" if settings.get("negative_slope") else QUANTIZERS.get(name, ("linear",))[0]
    if name in AROUND:
        return activation_of(settings.get("activation"))
    if name == "function":  # Keras' form of a function: {"class_name": "function", "config": "softmax"}
        name = str(value.get("config"))
    if name in ACTIVATION_LAYERS:
        return ACTIVATION_LAYERS[name](settings)
    name = name if name.isprintable() and 0 < len(name) <= LONGEST_NAME else "a function of its own"
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
