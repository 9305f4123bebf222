"""Models saved by Keras 2 (TensorFlow before 2.16): what they say of their layers as Keras 3 reads it, and SavedModels.

A SavedModel folder holds TensorFlow's graph, of which nothing is run, and beside it the description of the layers, as
in an `.h5` file, and a checkpoint with their arrays.
"""

from __future__ import annotations

import copy
import json
import math
import shutil
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridq.errors import UserError
from hybridq.graph.keras.file import KERAS_2_METADATA, short

if TYPE_CHECKING:
    import keras

# Entries of a layer's configuration that Keras 3 has no more, with the value that says nothing; ANY: all say nothing.
ANY = object()
UNGROUPED = {"groups": 1}
SEPARABLE = UNGROUPED | dict.fromkeys(("kernel_initializer", "kernel_regularizer", "kernel_constraint"), ANY)
RECURRENT = {"time_major": False}
DROPOUT = {"trainable": ANY, "noise_shape": None}
RANDOM = {"rng_type": ANY}
LEFT_OUT: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "DepthwiseConv1D", "DepthwiseConv2D"), UNGROUPED),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), SEPARABLE),
    **dict.fromkeys(("SimpleRNN", "LSTM", "GRU", "RNN"), RECURRENT),
    **dict.fromkeys(("SpatialDropout1D", "SpatialDropout2D"), DROPOUT),
    "Normalization": {"batch_input_shape": ANY},
    **dict.fromkeys(("RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom"), RANDOM),
}
INSIDE = ("layer", "forward_layer", "backward_layer", "cell")  # what in Bidirectional, TimeDistributed, RNN is a layer
FUNCTIONAL = ("keras.src.engine.functional", "tf_keras.src.engine.functional")  # where Keras 2 has that class

OBJECTS = "_CHECKPOINTABLE_OBJECT_GRAPH"  # of a checkpoint: its objects, and which of them has which array
VALUE = "VARIABLE_VALUE"


def modern(saved: Any) -> Any:
    """What a file says of a model as Keras 3 reads it; what it says itself, where it is not of Keras 2."""
    made = copy.deepcopy(saved)
    left = [made]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            if part.get("class_name") == "Functional" and part.get("module") in FUNCTIONAL:
                part["module"] = "keras.src.models.functional"
            if isinstance(part.get("config"), dict):
                _modern_layer(str(part.get("class_name")), part["config"])
            if isinstance(part.get("layers"), list):
                _rewire(part, [layer for layer in part["layers"] if isinstance(layer, dict)])
        left += part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    return made


def _modern_layer(kind: str, config: dict[str, Any]) -> None:
    """Leave out what Keras 3 has no more, and say of layers inside a layer where they are from."""
    import keras

    silent = LEFT_OUT.get(kind, {})
    for key in silent.keys() & config.keys():
        if silent[key] in (ANY, config[key]):
            del config[key]
    if kind == "BatchNormalization" and isinstance(config.get("axis"), list):
        (config["axis"],) = config["axis"]
    for key in INSIDE:
        layer = config.get(key)
        if isinstance(layer, dict) and not layer.get("module") and hasattr(keras.layers, str(layer.get("class_name"))):
            layer["module"] = "keras.layers"


def _rewire(config: dict[str, Any], layers: list[dict[str, Any]]) -> None:
    """Count the uses of models inside a functional model from 0, as Keras 3 does; Keras 2 counted from 1.

    Keras 2 also lists the one input and the one output of a model, which Keras 3 would take and give as lists.
    """
    nodes = [node for layer in layers for node in layer.get("inbound_nodes") or ()]
    if not any(isinstance(node, list) for node in nodes):
        return
    inner = {layer["name"]: layer["class_name"] for layer in layers if "layers" in layer["config"]}
    for node in nodes:
        for source in [node] if isinstance(node[0], str) else node:
            source[1] -= source[0] in inner
    for key in ("input_layers", "output_layers"):
        for end in config[key]:
            end[1] -= inner.get(end[0]) == "Sequential"  # of a functional one Keras 3 does it
        if len(config[key]) == 1:
            config[key] = config[key][0]


def rewritten(path: Path, saved: Any, folder: Path) -> Path:
    """A copy, in `folder`, of the model file at a path, whose description is `saved` instead of its own."""
    file = folder / f"model{path.suffix.lower()}"
    if file.suffix == ".keras":
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(file, "w") as new:
            for name in old.namelist():
                new.writestr(name, json.dumps(saved) if name == "config.json" else old.read(name))
        return file
    import h5py

    shutil.copyfile(path, file)
    with h5py.File(file, "r+") as made:
        made.attrs["model_config"] = json.dumps(saved)
    return file


def restored(folder: Path, saved: Any, classes: dict[str, Any]) -> keras.Model:
    """The model of a SavedModel folder, whose description is `saved`; `classes` are those that Keras does not know.

    Raises UserError where arrays are missing or damaged.
    """
    from keras.src.legacy.saving import saving_options, saving_utils

    with saving_options.keras_option_scope(use_legacy_config=True):
        model = saving_utils.model_from_config(copy.deepcopy(saved), custom_objects=classes)  # Keras takes it apart
    try:
        checkpoint = _Checkpoint(folder)
        checkpoint.put_model(model, saved, 0)
    except UserError:
        raise
    except MemoryError:
        raise
    except Exception as error:  # whatever TensorFlow trips over in a damaged checkpoint
        reason = short(str(error).strip().partition("\n")[0] or type(error).__name__)
        raise UserError(f"{folder}: its variables are damaged ({reason})") from None
    return model


class _Checkpoint:
    """The arrays of a SavedModel folder: a tree of objects as the model is one of layers, each child by its name."""

    def __init__(self, folder: Path) -> None:
        import tensorflow as tf
        from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

        files = list((folder / "variables").glob("variables.*"))
        if not any(file.suffix == ".index" for file in files) or not all(file.is_file() for file in files):
            raise UserError(f"{folder}: no weights: variables/variables.index is missing beside {KERAS_2_METADATA}")
        self.folder, self.file = folder, tf.train.load_checkpoint(str(folder / "variables" / "variables"))
        types, shapes = self.file.get_variable_to_dtype_map(), self.file.get_variable_to_shape_map()
        if sum(math.prod(shapes[key]) * types[key].size for key in shapes) > sum(file.stat().st_size for file in files):
            raise UserError(f"{folder}: its variables are damaged (they are larger than their files)")
        self.objects = TrackableObjectGraph.FromString(self.file.get_tensor(OBJECTS)).nodes

    def children(self, number: int) -> dict[str, int]:
        """The numbers of the objects that an object holds, by their names in it."""
        return {child.local_name: child.node_id for child in self.objects[number].children}

    def put_model(self, model: keras.Model, saved: Any, number: int) -> None:
        """Give a model, and the models inside it, the arrays of that object."""
        layers, inside = saved["config"]["layers"], self.children(number)
        if saved["class_name"] == "Sequential":  # the input is none of its layers
            layers = [layer for layer in layers if layer["class_name"] != "InputLayer"]
        for place, layer in enumerate(layers):
            put = self.put_model if "layers" in layer["config"] else self.put_layer
            put(model.get_layer(layer["config"]["name"]), layer, inside[f"layer-{place}"])

    def put_layer(self, layer: keras.layers.Layer, saved: Any, number: int) -> None:
        """Give a layer, and the layers inside it, the arrays of that object."""
        inside = self.children(number)
        held = [name for name in INSIDE if name in inside and hasattr(layer, name)]
        for name in held:
            self.put_layer(getattr(layer, name), saved, inside[name])
        for variable in () if held else layer.weights:
            by = next((name for name in (variable.name, f"depthwise_{variable.name}") if name in inside), None)
            if by is None:
                raise UserError(f"{self.folder}: no weights for the {variable.name} of '{saved['config']['name']}'")
            (value,) = (one for one in self.objects[inside[by]].attributes if one.name == VALUE)
            variable.assign(self.file.get_tensor(value.checkpoint_key))
        if hasattr(layer, "finalize_state"):  # of a normalisation
            layer.finalize_state()
