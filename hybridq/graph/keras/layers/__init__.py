"""What the saved configuration of a Keras or QKeras layer says: shapes, attributes, parameters, precision.

Everything is read from plain data (the `config` of a layer in a model file); neither Keras nor any code of the model
runs. To add a kind of layer: its row in `graph.kinds` and, where no other of its family is there, one function
(config, input shapes) -> Description and a line in the table RULES of a module here.

Shapes are without the batch, channels last.

description.py  what a rule says of a layer, and how it reads settings
windows.py      rules for convolutions and pools; elements.py: dense layers, nonlinearities, normalisations;
                sequences.py: recurrent layers, attention; shapes.py: what moves or joins values
operations.py   operations on tensors that are no layers of Keras: sums along axes, slices, splits
quantizers.py   activation functions and quantizers: which function, which format
wrappers.py     what tools for training put around a layer
plain.py        layers saved in a form of their own, in that of the layer that computes the same
tensorflow.py   TensorFlow's functions in a model of Keras 2, in that form too
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hybridq.graph.keras.layers import elements, operations, sequences, shapes, windows
from hybridq.graph.keras.layers.description import Description as Description
from hybridq.graph.keras.layers.description import Rule, fixed, unknown, verified
from hybridq.graph.keras.layers.description import checked as checked
from hybridq.graph.keras.layers.plain import OPERATION_MODULES, holds_array, is_of_keras
from hybridq.graph.keras.layers.plain import TRANSLATED as TRANSLATED
from hybridq.graph.keras.layers.plain import plain as plain
from hybridq.graph.keras.layers.quantizers import activation_of as activation_of
from hybridq.graph.keras.layers.quantizers import format_of as format_of
from hybridq.graph.keras.layers.quantizers import is_quantizer, layer_precision, policy_precision, quantizers_of
from hybridq.graph.kinds import KINDS, of_family
from hybridq.graph.operators import Shape

RULES = windows.RULES | shapes.RULES | elements.RULES | sequences.RULES | operations.RULES  # by family
LAYERS: dict[str, Rule] = {row.name: RULES[row.family](row) for row in KINDS.values() if row.family in RULES}
WRAPPERS = of_family("bidirectional", "time_distributed")  # these hold layers: `graph.keras.reader` reads them
READ = LAYERS.keys() | WRAPPERS
QUANTIZED = ("Quant", "Q")  # how Larq and QKeras begin the name of a quantized layer
# `x + y` on Keras tensors, and keras.ops.add(x, y), are saved under the names of layers.
OPERATIONS = of_family("merge", "comparison", "any", "unary", "reduction")
# What no layer of Keras is: a class of that name in a file is the user's own.
NO_LAYERS = frozenset(("Divide", "TrueDivide", "SquaredDifference", "Power")) | of_family(
    *("unary", "reduction", "stack", "split", "pad", "tile", "matmul", "slice", "shape", "requantization")
)


def describe(layer: Mapping[str, Any], inputs: Sequence[Shape], recorded: Shape | None) -> Description:
    """Describe one saved layer, in its plain form; `recorded` is the output shape where the file gives one.

    A layer without a rule comes back with the kind "unknown: X". Raises UserError for settings that contradict.
    """
    class_name = str(layer.get("class_name"))
    config = layer.get("config")
    config = config if isinstance(config, Mapping) else {}
    kind = plain_kind(layer)
    if kind not in LAYERS or any(not shape for shape in inputs):
        return unknown(class_name, recorded or _stated(class_name, config))
    if config.get("data_format", "channels_last") not in ("channels_last", None):
        return unknown(f"{class_name} with channels first", recorded)
    described = LAYERS[kind](config, inputs)
    if described.kind:  # a rule that does not cover these settings
        return replace(described, output_shape=recorded or described.output_shape)
    rounds = kind == "Activation" and is_quantizer(config.get("activation"))
    if class_name.startswith("Q") or rounds:
        attributes = {**described.attributes, **quantizers_of(config)}
        described = replace(described, precision=layer_precision(config), attributes=attributes)
    else:
        described = replace(described, precision=policy_precision(kind, config))
    return verified(replace(described, kind=kind), recorded)


def plain_kind(layer: Mapping[str, Any]) -> str:
    """The name of the Keras layer ("Conv2D", also for QConv2D and Larq's QuantConv2D).

    "" for a class of the user's own, which may bear the name of a Keras layer and do something else.
    """
    class_name = str(layer.get("class_name"))
    if layer.get("module") == TRANSLATED:
        return class_name
    if str(layer.get("module")).startswith(OPERATION_MODULES):
        return class_name if class_name in OPERATIONS and not holds_array(layer) else ""
    if not is_of_keras(layer):
        return ""
    for prefix in QUANTIZED:
        if class_name.startswith(prefix) and class_name.removeprefix(prefix) in READ:
            return class_name.removeprefix(prefix)
    return "" if class_name in NO_LAYERS else class_name


def _stated(class_name: str, config: Mapping[str, Any]) -> Shape | None:
    """The output shape, without the batch, that a Lambda may state among its settings."""
    shape = config.get("output_shape") if class_name == "Lambda" else None
    return fixed([None, *shape]) if isinstance(shape, list | tuple) else None
