"""One operator of a `.tflite` file with what it reads, as the rules in `layers` are given it.

Shapes are without the batch, channels last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hybridq.errors import UserError
from hybridq.graph.keras.layers import TRANSLATED, Description, describe
from hybridq.graph.operators import Shape
from hybridq.graph.tflite.file import Node, Tensor

FUSED = ("linear", "relu", "relu_n1_to_1", "relu6", "tanh", "sign_bit")  # by their number in the schema
PADDING = ("same", "valid")


@dataclass
class Call:
    """One operator with what it reads. `sources` are the shapes of the computed tensors, in order, at `positions`."""

    node: Node
    sources: tuple[Shape, ...]
    positions: tuple[int, ...]
    constants: Mapping[int, Tensor]  # by their position among the inputs
    variables: Mapping[int, Tensor]  # states, likewise
    recorded: Shape  # of its first output; () where the file leaves it open
    further: tuple[Shape, ...]  # of the others
    open_batch: bool  # the file leaves the batch of its output open: it may hold steps or windows too

    def fused(self, slot: int) -> str:
        """The activation that runs inside the operator."""
        return _named(FUSED, self.node.options.number(slot, "b"), "activation")

    def padding(self) -> str:
        """Its padding; it is the first field of all options that have one."""
        return _named(PADDING, self.node.options.number(0, "b"), "padding")

    def values(self, position: int) -> tuple[int, ...]:
        """The whole numbers of a constant; empty where it is computed or left out."""
        tensor = self.constants.get(position)
        return (tensor.values if tensor else None) or ()

    def unknown(self, why: str = "") -> Description:
        """The description of an operator without a rule."""
        return Description(f"unknown: {self.node.name}{why}", self.recorded)


Rule = Callable[[Call], Description]


def keras_layer(call: Call, kind: str, config: Mapping[str, Any], activation: str = "linear") -> Description:
    """The Keras layer of those settings; an image layer works on each image where there are several."""
    sources, several = call.sources, Shape()
    if kind.endswith(("2D", "2DTranspose")) and len(sources[0]) == 4:
        sources, several = (sources[0][1:],), sources[0][:1]
    layer = describe({"class_name": kind, "config": config, "module": TRANSLATED}, sources, None)
    attributes = layer.attributes if activation == "linear" else {**layer.attributes, "activation": activation}
    return replace(layer, output_shape=(*several, *layer.output_shape), attributes=attributes)


def without_batch(shape: Shape) -> Shape:
    """A leading axis of 1 is the batch; any other stays. A single number is a vector of one."""
    return shape[1:] if len(shape) > 1 and shape[0] == 1 else shape or (1,)


def _named(names: tuple[str, ...], number: int, what: str) -> str:
    if not 0 <= number < len(names):
        raise UserError(f"its {what} has the number {number}, which does not exist")
    return names[number]
