"""A TensorFlow SavedModel as a Graph: the folder of Keras' `model.export(folder)`.

A SavedModel is a graph of TensorFlow's operations, not a list of layers, so TensorFlow's converter first makes a float
`.tflite` file of it. Unlike all other model files it therefore needs TensorFlow, which takes seconds, and TensorFlow
loads it, which restores its variables and runs its initialisers, in a process of its own. A recurrent layer comes out
as a loop, which has no rule: the `.keras` or `.h5` file of the same model says more. The folder of `model.save(folder)`
in Keras 2 describes its layers beside the graph; see `keras.file.folder_config`, only the rest of them comes here.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from hybridq.backend.startup import sealed
from hybridq.errors import UserError
from hybridq.graph.inputs import NONE_GIVEN, InputShapes
from hybridq.graph.operators import Graph, Operator
from hybridq.graph.tflite.reader import read_tflite
from hybridq.paths import scratch
from hybridq.precision import LayerPrecision

MODEL_FILE = "saved_model.pb"
SECONDS = 300  # small networks take about 5, most of them TensorFlow's start
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}

# Operations that TensorFlow Lite does not have stay in the file as custom ones, which have no rule and are not costed.
CONVERT = """
import sys
try:
    import tensorflow as tf
    converter = tf.lite.TFLiteConverter.from_saved_model(sys.argv[1])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    converter.allow_custom_ops = True
    content = converter.convert()
except Exception as error:
    print(type(error).__name__, *str(error).splitlines()[:1], sep=": ", flush=True)
    sys.exit(1)
with open(sys.argv[2], "wb") as file:
    file.write(content)
"""


def read_saved_model(path: Path, given: InputShapes = NONE_GIVEN) -> Graph:
    """The network that a SavedModel serves by default, its batch left open or 1; the graph has the folder's name.

    `given` are the shapes of inputs that it leaves open.

    Operators are those of TensorFlow Lite, with its names. Raises UserError for a folder that holds no SavedModel, for
    a damaged one and for one that takes more than five minutes.
    """
    if not (path / MODEL_FILE).is_file():
        raise UserError(f"cannot read {path}: a folder without {MODEL_FILE} is no model")
    with scratch() as folder:
        converted = folder / f"{path.resolve().name}.tflite"
        _convert(path, converted)
        try:
            graph = read_tflite(converted, given)
        except UserError as error:  # its message names the temporary file
            raise UserError(f"{path}: {str(error).removeprefix(f'{converted}: ')}") from None
    return replace(graph, operators=tuple(map(_undecided, graph.operators)))


def _undecided(op: Operator) -> Operator:
    """float32 is the converter's choice here, not the network's: as for a Keras layer, a plan may say otherwise."""
    if op.precision != LayerPrecision():
        return op
    attributes = {name: value for name, value in op.attributes.items() if name != "per_channel"}
    return replace(op, precision=None, attributes=attributes)


def _convert(path: Path, converted: Path) -> None:
    command = [sys.executable, "-c", CONVERT, str(path), str(converted)]
    try:
        done = subprocess.run(command, env=sealed() | QUIET, capture_output=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise UserError(f"{path}: converting it takes more than {SECONDS // 60} minutes") from None
    if done.returncode:
        lines = done.stdout.decode(errors="replace").strip().splitlines()
        reason = lines[-1] if lines else "TensorFlow crashed"
        raise UserError(f"{path}: damaged, or a SavedModel that TensorFlow Lite cannot convert ({reason})")
