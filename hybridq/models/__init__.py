"""The networks, by name: each a function from its own typed config to a Keras model.

To add one: its config in config.py (those of Hello Edge: hello_edge.py), a module with
`build(config, shape, classes)`, a line in `BUILDERS`.

base.py              what configs share; config.py: those of all networks but hello_edge.py's
reference.py         the reference keyword spotter
tc_resnet.py         TC-ResNet; tenet.py: TENet; bc_resnet.py: BC-ResNet; svdf.py: SVDF
dnn.py               of Hello Edge, as cnn.py, lstm.py, gru.py, crnn.py and ds_cnn.py
lmu.py               Legendre memory units; legendre.py: the fixed matrices of their memories
projected_lstm.py    layers of our own, as linear_memory.py
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from hybridq.backend.tensorflow import load_tensorflow
from hybridq.models.config import CONFIGS as CONFIGS

if TYPE_CHECKING:
    import keras

BUILDERS = {
    "reference": "hybridq.models.reference",
    "tc_resnet": "hybridq.models.tc_resnet",
    "tenet": "hybridq.models.tenet",
    "bc_resnet": "hybridq.models.bc_resnet",
    "svdf": "hybridq.models.svdf",
    "lmu": "hybridq.models.lmu",
    "dnn": "hybridq.models.dnn",
    "cnn": "hybridq.models.cnn",
    "lstm": "hybridq.models.lstm",
    "gru": "hybridq.models.gru",
    "crnn": "hybridq.models.crnn",
    "ds_cnn": "hybridq.models.ds_cnn",
}


def build_model(config: Any, shape: tuple[int, int], classes: int) -> keras.Model:
    """The float32 Keras model of a recipe's `model` section, for (coefficients, frames) features."""
    load_tensorflow()
    module = importlib.import_module(BUILDERS[config.name])
    model: keras.Model = module.build(config, shape, classes)
    return model
