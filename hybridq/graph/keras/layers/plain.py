"""Layers saved in a form of their own that are others at inference, brought into the form of those.

So one rule serves a QKeras layer under either of its saved names, `RNN(LSTMCell(8))` and `LSTM(8)`, a layer with its
batch norm folded in, a layer under spectral normalisation (which only training changes), and `keras.ops.relu(x)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hybridq.graph.kinds import FUNCTIONS

Layer = Mapping[str, Any]  # a saved layer: {"class_name": ..., "config": ..., "module": ..., "registered_name": ...}

TRANSLATED = "hybridq.graph"  # the module of a layer that a reader here has written, of a kind that Keras may not have
OPERATION_MODULES = ("keras.ops", "keras.src.ops")  # the layers that operators on Keras tensors are saved as
OURS = (
    *("keras.layers", "keras.src.layers", "keras.src.applications"),
    *("tf_keras.layers", "tf_keras.src.layers", "qkeras", "larq"),
    *("hybridq.models.projected_lstm", "hybridq.models.linear_memory"),
)
# Operations that are a nonlinearity: hard_silu, saved as HardSilu.
ACTIVATIONS = {"".join(map(str.capitalize, name.split("_"))): name for name, row in FUNCTIONS.items() if row.operation}
RENAMED = {"GroupQueryAttention": "GroupedQueryAttention"}  # saved under the name that Keras exports it by
RUN = ("return_sequences", "return_state", "go_backwards", "stateful")  # settings of an RNN, not of its cell
FOLDED = "Batchnorm"  # QConv2DBatchnorm: a QConv2D with its batch norm in the kernel and the bias


def is_of_keras(layer: Layer) -> bool:
    """Whether the class is of Keras, QKeras or this project.

    One of the user's own may bear its name and do something else.
    """
    module, registered = layer.get("module"), layer.get("registered_name")
    if module is not None and not str(module).startswith(OURS):
        return False
    unregistered = registered is None or (module is not None and registered == layer.get("class_name"))
    return unregistered or str(registered).startswith(("keras>", "qkeras>", "hybridq>"))


def holds_array(layer: Layer) -> bool:
    """Whether an array, whose numbers the model stores, is among the arguments of an operation."""
    nodes = layer.get("inbound_nodes") or ()
    return any(_is_or_holds_array(node.get("args")) for node in nodes if isinstance(node, Mapping))


def _is_or_holds_array(tree: Any) -> bool:
    if isinstance(tree, list | tuple):
        return any(map(_is_or_holds_array, tree))
    return isinstance(tree, Mapping) and tree.get("class_name") in ("__numpy__", "__tensor__")


def plain(layer: Layer) -> Layer:
    """The layer in the form of the one that computes the same at inference; most are that already."""
    name, config = str(layer.get("class_name")), layer.get("config")
    if _is_operation(layer):
        return _operation(name, layer) or {**layer, "module": "keras.ops"}
    if not is_of_keras(layer) or not isinstance(config, Mapping):
        return layer
    if name.startswith("qkeras>"):  # in an .h5 file of Keras 3
        return plain(_renamed(layer, name.removeprefix("qkeras>"), config))
    if name.startswith("Q") and name.endswith(FOLDED):
        return _renamed(layer, name.removesuffix(FOLDED), {**config, "use_bias": True})
    if name in RENAMED:
        return _renamed(layer, RENAMED[name], config)
    if name == "SpectralNormalization":
        return plain(config["layer"])
    if name == "RNN" and isinstance(config.get("cell"), Mapping):
        return _recurrent(config, plain(config["cell"])) or layer
    return layer


def _renamed(layer: Layer, name: str, config: Mapping[str, Any]) -> Layer:
    return {**layer, "class_name": name, "registered_name": None, "config": config}


def _is_operation(layer: Layer) -> bool:
    """Whether it is an operation on tensors; an .h5 file of Keras 3 leaves out its module, but its settings are few."""
    if layer.get("module") is not None:
        return str(layer["module"]).startswith(OPERATION_MODULES)
    config, nodes = layer.get("config"), layer.get("inbound_nodes")
    called = isinstance(nodes, list) and any(isinstance(node, Mapping) and "args" in node for node in nodes)
    return called and isinstance(config, Mapping) and not {"trainable", "dtype"} & config.keys()


def _operation(name: str, layer: Layer) -> Layer | None:
    """`keras.ops.hard_silu(x)`, saved as HardSilu, as Activation("hard_silu"); a reshape or a join as its layer."""
    config = layer.get("config")
    if not isinstance(config, Mapping) or holds_array(layer):
        return None
    if name in ACTIVATIONS:
        return {"class_name": "Activation", "module": "keras.layers", "config": {"activation": ACTIVATIONS[name]}}
    return {**layer, "module": "keras.layers", "registered_name": None} if name in ("Reshape", "Concatenate") else None


def _recurrent(config: Mapping[str, Any], cell: Layer) -> Layer | None:
    """The layer of that cell; None for a cell of the user's own, and for several in a stack."""
    name = str(cell.get("class_name"))
    if not name.endswith(("LSTMCell", "GRUCell", "SimpleRNNCell")) or not is_of_keras(cell):
        return None
    settings = {**cell["config"], **{key: config[key] for key in RUN if key in config}}
    return _renamed(cell, name.removesuffix("Cell"), settings)
