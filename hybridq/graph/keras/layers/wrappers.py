"""What tools for training put around a layer: pruning, clustering, training for 8 bits.

At inference the layer inside is left. One that is trained for 8 bits (by TensorFlow's model optimization toolkit, by
Vitis AI) counts as what becomes of it: a layer of 8-bit weights that computes in whole numbers, as in a `.tflite` file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from hybridq.formats import Format
from hybridq.graph.keras.layers.description import Description
from hybridq.graph.keras.layers.plain import TRANSLATED
from hybridq.graph.keras.layers.quantizers import VITIS
from hybridq.precision import LayerPrecision

MODULES = ("tensorflow_model_optimization", "tfmot", "vitis")
INT8 = Format.INT8


class Wrapper(NamedTuple):
    """Which of its settings holds the layer, and whether it is trained for 8 bits."""

    holds: str
    quantizes: bool = False


WRAPPERS = {
    "PruneLowMagnitude": Wrapper("layer"),
    "ClusterWeights": Wrapper("layer"),
    "QuantizeAnnotate": Wrapper("layer"),
    "QuantizeWrapper": Wrapper("layer", True),
    "QuantizeWrapperV2": Wrapper("layer", True),
    "VitisConvBN": Wrapper("conv_layer", True),
    "VitisConvBNQuantize": Wrapper("conv_layer", True),
    "VitisDepthwiseConvBN": Wrapper("conv_layer", True),
    "VitisDepthwiseConvBNQuantize": Wrapper("conv_layer", True),
}
QUANTIZERS = ("QuantizeLayer", "VitisQuantize")  # of a tensor
REPLACED = {  # layers of Vitis AI that are Keras' own but for how they are trained
    "VitisAveragePooling2D": "AveragePooling2D",
    "VitisGlobalAveragePooling2D": "GlobalAveragePooling2D",
}
Layer = Mapping[str, Any]


def unwrapped(layer: Layer) -> tuple[Layer, bool]:
    """The layer inside, and whether it is trained for 8 bits; a layer that nothing is put around stays as it is."""
    name, config = str(layer.get("class_name")).removeprefix(VITIS), layer.get("config")
    module = layer.get("module")
    if not isinstance(config, Mapping) or (module is not None and not str(module).startswith(MODULES)):
        return layer, False
    if name in QUANTIZERS:
        return {"class_name": "Quantize", "config": {}, "module": TRANSLATED}, True
    if name in REPLACED:
        return {"class_name": REPLACED[name], "config": config}, True
    row = WRAPPERS.get(name)
    inner = config.get(row.holds) if row else None
    if row is None or not isinstance(inner, Mapping) or not isinstance(inner.get("config"), Mapping):
        return layer, False
    if row.holds != "layer":  # the bias of the batch norm is the layer's own
        activation = config.get("activation", "linear")
        inner = {**inner, "config": {**inner["config"], "use_bias": True, "activation": activation}}
    deeper, quantized = unwrapped(inner)
    return deeper, quantized or row.quantizes


def in_8_bits(described: Description) -> Description:
    """The description of a layer that was trained for 8 bits."""
    precision = LayerPrecision(weights=INT8 if described.kernel else Format.FLOAT32, outputs=INT8)
    attributes = dict(described.attributes)
    if described.kernel:
        attributes["per_channel"] = "Conv" in described.kind
    return replace(described, precision=precision, attributes=attributes)
