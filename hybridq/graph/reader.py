"""Reads a Keras model, or what a model file says of one, as one neutral list of operators."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from hybridq.errors import UserError
from hybridq.graph.inputs import NONE_GIVEN, InputShapes
from hybridq.graph.keras.arrays import arrays_of_file, arrays_of_model, with_arrays
from hybridq.graph.keras.file import folder_config, is_folder, saved_config, short
from hybridq.graph.keras.reader import keras_graph
from hybridq.graph.operators import Graph as Graph
from hybridq.graph.operators import Operator as Operator
from hybridq.graph.saved_model import read_saved_model
from hybridq.graph.tflite.reader import read_tflite

# Files of others that are no models, and what makes one of them.
FOREIGN = {
    ".onnx": "an ONNX file; the package onnx2tf makes a .tflite file of it, which can be read",
    ".pt": "a PyTorch file; the package litert-torch makes a .tflite file of its model, which can be read",
    ".pth": "a PyTorch file; the package litert-torch makes a .tflite file of its model, which can be read",
    ".hqn": "a network of integers, not a model; `hybridq export` of it says what it takes",
}
# What reading a damaged description can raise: a key missing, a list in place of a number, endless nesting.
MALFORMED = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError)


def read_graph(model: Any, inputs: InputShapes = NONE_GIVEN) -> Graph:
    """Read a Keras model (functional or sequential), or a model file or folder by its path; a Graph stays as it is.

    `inputs` are the shapes of inputs that the model leaves open. A layer without a rule is kept, with the kind
    "unknown: X" and, as far as the file's arrays tell, the numbers that it stores. Raises UserError for what is no such
    model, and where an input stays open.
    """
    if isinstance(model, Graph):
        return model
    if isinstance(model, str | os.PathLike):
        path = Path(model)
        if path.suffix.lower() in FOREIGN:
            raise UserError(f"{path}: {FOREIGN[path.suffix.lower()]}")
        folder = is_folder(path)
        if not folder and path.suffix.lower() == ".tflite":
            return read_tflite(path, inputs)
        saved = folder_config(path) if folder else saved_config(path)
        if saved is None:
            return read_saved_model(path, inputs)
        where, name, arrays = str(path), path.stem, partial(arrays_of_file, path, saved)
    else:
        where, saved = f"the model {getattr(model, 'name', model)!r}", _config_of_object(model)
        name, arrays = "", partial(arrays_of_model, model)
    try:
        return with_arrays(keras_graph(saved, name, inputs), arrays)
    except UserError as error:
        raise UserError(f"{where}: {short(error)}") from None
    except MALFORMED as error:
        reason = f"{type(error).__name__}: {short(error)}"
        raise UserError(f"{where}: not a Keras model that can be read ({reason})") from None


# --------------------------------------------------------------------------------------------- sources


def _config_of_object(model: Any) -> Any:
    """What a model in memory says of itself, as the file of a saved one does (so Keras is not imported here)."""
    get_config = getattr(model, "get_config", None)
    if not callable(get_config) or not hasattr(model, "layers"):
        raise UserError(f"a {type(model).__name__} is not a Keras model or the path of one")
    try:
        config = get_config()
    except NotImplementedError:  # a model written as a class of its own
        config = None
    except Exception as error:  # a layer's own code, which cannot describe itself
        reason = f"{type(error).__name__}: {short(error)}"
        raise UserError(f"the model {model.name!r} cannot be described as data: {reason}") from None
    if not isinstance(config, Mapping) or "layers" not in config:
        raise UserError(f"the model {model.name!r} is neither functional nor sequential: its layers are not data")
    return {"class_name": type(model).__name__, "config": json.loads(json.dumps(config, default=str))}
