"""A precision plan onto a Keras model: the layers it names become QKeras layers, the others stay as they are.

The model is rebuilt layer by layer from the float one, so there is one definition of each network. Weights keep their
names and shapes: a quantized network starts from a float network's weights by copying them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hybridq.errors import UserError
from hybridq.precision import Precision, PrecisionPlan

if TYPE_CHECKING:
    import keras

# The quantizers of each precision, as QKeras spells them. alpha="auto" gives every output channel its own scale,
# fitted to the latent weights; biases and outputs are on a fixed grid (+-8), since a scale that follows the batch would
# differ between training and the device.
WEIGHTS = {
    Precision.INT8: "quantized_bits(8, 0, 1, alpha='auto')",
    Precision.INT4: "quantized_bits(4, 0, 1, alpha='auto')",
    Precision.TERNARY: "ternary(alpha='auto')",
    Precision.BINARY: "binary(alpha='auto')",
}
BIAS = {
    Precision.INT8: "quantized_bits(8, 3, 1, alpha=1.0)",
    Precision.INT4: "quantized_bits(4, 3, 1, alpha=1.0)",
}
OUTPUTS = BIAS | {
    Precision.TERNARY: "ternary(alpha=1.0)",
    Precision.BINARY: "binary(alpha=1.0)",
}

# Keras layers with weights that a plan can name: their QKeras counterpart and the name of its weight quantizer.
COUNTERPARTS = {
    "Conv1D": ("QConv1D", "kernel_quantizer"),
    "Conv2D": ("QConv2D", "kernel_quantizer"),
    "DepthwiseConv2D": ("QDepthwiseConv2D", "depthwise_quantizer"),
    "Dense": ("QDense", "kernel_quantizer"),
}


def quantizable(model: keras.Model) -> list[str]:
    """The names of the layers that a plan can name."""
    return [layer.name for layer in model.layers if type(layer).__name__ in COUNTERPARTS]


def quantize(model: keras.Model, plan: PrecisionPlan) -> keras.Model:
    """A copy of the model, its weights included, with the layers as the plan represents them.

    Raises UserError for a pattern that matches no layer, or a precision that a part of a layer cannot have.
    """
    named = quantizable(model)
    plan.check(named)
    if not plan.rules:
        return model
    import keras

    copy = keras.models.clone_model(
        model,
        clone_function=lambda layer: _clone(layer, plan),
        call_function=lambda layer, *args, **kwargs: _call(plan, set(named), layer, *args, **kwargs),
    )
    copy_weights(model, copy)
    return copy


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Copy the weights of the layers that bear the same name; raises UserError where they do not fit."""
    there = {layer.name: layer for layer in source.layers}
    for layer in target.layers:
        if not layer.weights:
            continue
        if layer.name not in there:
            raise UserError(f"start_from: the network to start from has no layer '{layer.name}'")
        mine, theirs = layer.get_weights(), there[layer.name].get_weights()
        for one, other in zip(mine, theirs, strict=False):
            if one.shape != other.shape:
                raise UserError(
                    f"start_from: layer '{layer.name}' has weights {other.shape} there and {one.shape} here; "
                    "both recipes need the same model"
                )
        layer.set_weights(theirs[: len(mine)])


def _clone(layer: Any, plan: PrecisionPlan) -> Any:
    kind = type(layer).__name__
    wanted = plan.of(layer.name)
    if kind not in COUNTERPARTS or wanted.weights == wanted.bias == Precision.FLOAT32:
        return layer.__class__.from_config(layer.get_config())
    import qkeras

    counterpart, weights_key = COUNTERPARTS[kind]
    config = layer.get_config()
    if config.pop("groups", 1) != 1:
        raise UserError(f"precision: {layer.name} is a grouped convolution, which QKeras cannot quantize")
    config[weights_key] = _quantizer(WEIGHTS, wanted.weights, f"{layer.name}: weights")
    config["bias_quantizer"] = _quantizer(BIAS, wanted.bias, f"{layer.name}: bias")
    return getattr(qkeras, counterpart)(**config)


def _call(plan: PrecisionPlan, named: set[str], layer: Any, *args: Any, **kwargs: Any) -> Any:
    result = layer(*args, **kwargs)
    outputs = plan.of(layer.name).outputs if layer.name in named else Precision.FLOAT32
    if outputs is Precision.FLOAT32:
        return result
    import qkeras

    quantizer = _quantizer(OUTPUTS, outputs, f"{layer.name}: outputs")
    return qkeras.QActivation(quantizer, name=f"{layer.name}_outputs")(result)


def _quantizer(table: dict[Precision, str], precision: Precision, where: str) -> str | None:
    if precision is Precision.FLOAT32:
        return None
    if precision not in table:
        known = ", ".join(["float32", *(p.value for p in table)])
        raise UserError(f"precision: {where} cannot be {precision.value} (one of: {known})")
    return table[precision]
