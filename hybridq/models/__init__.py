"""The networks, by name: each a function from its own typed config to a Keras model, or to the same on paper.

To add one: its config in config.py (those of Hello Edge: hello_edge.py), a module with
`build(config, shape, classes, layers)`, a line in `BUILDERS`.

base.py              what configs share; config.py: those of all networks but hello_edge.py's
reference.py         the reference keyword spotter
tc_resnet.py         TC-ResNet; tenet.py: TENet; bc_resnet.py: BC-ResNet; svdf.py: SVDF
dnn.py               of Hello Edge, as cnn.py, lstm.py, gru.py, crnn.py and ds_cnn.py
lmu.py               Legendre memory units; legendre.py: the fixed matrices of their memories
projected_lstm.py    layers of our own, as linear_memory.py
paper.py             a network without Keras: its layers and their shapes alone
own.py               what a recipe says of the user's own
"""

from __future__ import annotations

import importlib
from functools import lru_cache
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from hybridq.backend.tensorflow import load_tensorflow
from hybridq.graph.operators import Graph
from hybridq.models.config import CONFIGS as CONFIGS
from hybridq.models.paper import Paper

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


OWN = {  # the layers that Keras does not have
    "LinearMemory": "hybridq.models.linear_memory.LinearMemory",
    "ProjectedLSTM": "hybridq.models.projected_lstm.ProjectedLSTM",
}


def build_model(config: Any, shape: tuple[int, int], classes: int) -> keras.Model:
    """The float32 Keras model of a recipe's `model` section, for (coefficients, frames) features."""
    load_tensorflow()
    return _built(config, shape, classes, _Keras())


@lru_cache(maxsize=100)
def outline(config: Any, shape: tuple[int, int], classes: int) -> Graph:
    """The operators of `build_model`'s model, in no time and without its weights; UserError as that raises it."""
    graph: Graph = _built(config, shape, classes, Paper())
    return graph


def _built(config: Any, shape: tuple[int, int], classes: int, layers: Any) -> Any:
    return importlib.import_module(BUILDERS[config.name]).build(config, shape, classes, layers)


class _Keras:
    """Keras' layers by their names, those of our own among them, its `Input` and its `Model`."""

    def __getattr__(self, name: str) -> Any:
        import keras

        return resolve_name(OWN[name]) if name in OWN else getattr(keras if name == "Model" else keras.layers, name)
