"""A network on paper: what Keras would save of it, written down as it is built. There are no weights, and no Keras.

So its layers and what it would cost are known at once, however large it is: TensorFlow alone takes seconds to import.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from hybridq.errors import UserError
from hybridq.graph.keras.layers import describe, plain
from hybridq.graph.keras.reader import keras_graph
from hybridq.graph.kinds import KINDS, of_family
from hybridq.graph.operators import Graph, Shape

# The settings that a layer may be given by their place, as Keras and our own layers have them; others by name alone.
SETTINGS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(of_family("convolution", "separable", "transposed"), ("filters", "kernel_size", "strides")),
    **dict.fromkeys(of_family("depthwise"), ("kernel_size", "strides")),
    **dict.fromkeys(of_family("pool"), ("pool_size", "strides")),
    **dict.fromkeys(of_family("dense", "recurrent"), ("units",)),
    **dict.fromkeys(of_family("padding"), ("padding",)),
    **dict.fromkeys(("Dropout", "SpatialDropout1D", "SpatialDropout2D"), ("rate",)),
    "Activation": ("activation",),
    "Reshape": ("target_shape",),
    "Permute": ("dims",),
    "ProjectedLSTM": ("units", "projection"),
    "LinearMemory": ("order", "window"),
}
DEFAULTS = {"GRU": {"reset_after": True}}  # of settings whose lack in a file means something else


@dataclass(frozen=True)
class Tensor:
    """What a layer gives."""

    layer: str
    place: Shape  # its shape, without the batch

    @property
    def shape(self) -> tuple[int | None, ...]:
        """With the batch, as that of a Keras tensor."""
        return (None, *self.place)


class Layer:
    """A layer, to be called once, on a tensor or a list of them."""

    def __init__(self, paper: Paper, kind: str, *given: Any, **settings: Any) -> None:
        names = SETTINGS.get(kind, ())
        if len(given) > len(names):
            raise TypeError(f"{kind}: give its settings by their names")
        self.paper, self.kind = paper, kind
        self.settings = DEFAULTS.get(kind, {}) | dict(zip(names, given, strict=False)) | settings
        self.name: str = settings["name"]

    def __call__(self, read: Tensor | Sequence[Tensor]) -> Tensor:
        return self.paper.add(self.kind, self.settings, [read] if isinstance(read, Tensor) else list(read))


class Paper:
    """Stands in for Keras where a network is built: `Input`, `Model`, and every kind of layer that is known."""

    def __init__(self) -> None:
        self.saved: dict[str, dict[str, Any]] = {}  # by name, each behind all that it reads
        self.read: dict[str, list[str]] = {}

    def __getattr__(self, kind: str) -> Callable[..., Layer]:
        if kind not in KINDS:
            raise AttributeError(f"{kind}: no kind of layer with a row in hybridq.graph.kinds")
        return partial(Layer, self, kind)

    def Input(self, shape: Sequence[int], name: str) -> Tensor:
        """What the network reads."""
        return self.add("InputLayer", {"batch_shape": [None, *shape], "name": name}, [])

    def add(self, kind: str, settings: dict[str, Any], read: list[Tensor]) -> Tensor:
        """Note a layer that reads these tensors, and give its result; UserError where it cannot read them."""
        name = settings["name"]
        if name in self.saved:
            raise ValueError(f"two layers of the network are named {name!r}")
        histories = [{"shape": one.shape, "keras_history": [one.layer, 0, 0]} for one in read]
        arguments = [{"class_name": "__keras_tensor__", "config": history} for history in histories]
        layer = {
            "class_name": kind,
            "module": "keras.layers",
            "config": settings,
            "name": name,
            "inbound_nodes": [{"args": arguments, "kwargs": {}}] if read else [],
        }
        if kind == "InputLayer":
            place = tuple(settings["batch_shape"][1:])
        else:
            try:
                place = describe(plain(layer), [one.place for one in read], None).output_shape
            except UserError as error:
                raise UserError(f"model: layer {name!r}: {error}") from None
        self.saved[name], self.read[name] = layer, [one.layer for one in read]
        return Tensor(name, place)

    def Model(self, inputs: Tensor, outputs: Tensor, name: str) -> Graph:
        """The network between its input and its output."""
        layers = [self.saved[one] for one in self._ordered(outputs.layer)]
        ends = {"input_layers": [[inputs.layer, 0, 0]], "output_layers": [[outputs.layer, 0, 0]]}
        return keras_graph({"class_name": "Functional", "config": {"name": name, "layers": layers, **ends}}, name)

    def _ordered(self, output: str) -> list[str]:
        """The layers that lead to the last one, in Keras' order: the farthest from it first.

        Of those as far from it, the one that is come upon first, going back from it.
        """
        met: dict[str, int] = {}
        left = [output]
        while left:
            name = left.pop()
            if name not in met:
                met[name] = len(met)
                left += reversed(self.read[name])
        steps = dict.fromkeys(met, 0)
        for name in reversed(self.saved):
            for source in self.read[name] if name in met else ():
                steps[source] = max(steps[source], steps[name] + 1)
        return sorted(met, key=lambda name: (-steps[name], met[name]))
