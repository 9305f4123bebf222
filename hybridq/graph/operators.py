"""A network as one neutral list of operators, whatever file or object it was read from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hybridq.graph.kinds import LayerKind, kind_of
from hybridq.precision import LayerPrecision

Shape = tuple[int, ...]  # without the batch, channels last

MOST_OPERATORS = 5_000  # beyond these a file is damaged or hostile, not a network for a microcontroller


ARRAYS = "arrays"  # the attribute of a layer without a rule whose numbers its arrays tell: how many arrays
FILE_BYTES = "file_bytes"  # what its arrays take in the model's file, where that is not what their numbers take
USE = re.compile(r":[1-9]\d*$")  # behind the name of a layer that was called before


def layer_of(name: str) -> str:
    """The name of the Keras layer that an operator is a call of: "conv:1" is the second call of "conv"."""
    return USE.sub("", name)


@dataclass(frozen=True)
class Operator:
    """One layer of a network at inference. Shapes are without the batch, channels last.

    A layer of a model inside the model is named "outer/inner". A wrapper (Bidirectional, TimeDistributed) is one
    operator with what it holds as the Graph attributes["inside"]; its counts are the sums over that.
    """

    name: str
    kind: str  # the Keras layer ("Conv2D", also for QConv2D), "InputLayer" or "unknown: X"
    inputs: tuple[str, ...]  # the operators whose outputs it reads
    input_shapes: tuple[Shape, ...]
    output_shape: Shape  # () where it is not known
    attributes: Mapping[str, Any] = field(default_factory=dict)
    kernel: int = 0  # numbers stored, not bytes; 0 in the second use of a shared layer
    bias: int = 0
    other: int = 0  # scale and offset of a batch norm, slopes of a PReLU
    precision: LayerPrecision | None = None  # of a QKeras layer's quantizers, None for a Keras layer
    further_outputs: tuple[Shape, ...] = ()  # the states of a recurrent layer that returns them

    @property
    def parameters(self) -> int:
        """How many numbers the layer stores for inference."""
        return self.kernel + self.bias + self.other

    @property
    def facts(self) -> LayerKind:
        """What is known of its kind."""
        return kind_of(self.kind)

    @property
    def known(self) -> bool:
        """Whether there is a rule for this kind of layer."""
        return not self.kind.startswith("unknown")

    @property
    def counted(self) -> bool:
        """Whether the numbers that it stores are known: by a rule, or by the arrays of its file."""
        return self.known or ARRAYS in self.attributes


@dataclass(frozen=True)
class Graph:
    """A network: its operators, each after those it reads, and the names of those whose results leave it."""

    name: str
    operators: tuple[Operator, ...]
    outputs: tuple[str, ...]
    file: str = ""  # the path of the `.tflite` file that it was read from

    @property
    def weighted(self) -> tuple[Operator, ...]:
        """The operators with a kernel: those that a precision plan is about."""
        return tuple(op for op in self.operators if op.kernel)

    def consumers(self) -> dict[str, tuple[str, ...]]:
        """For each operator, the operators that read its output."""
        readers: dict[str, list[str]] = {op.name: [] for op in self.operators}
        for op in self.operators:
            for source in op.inputs:
                readers[source].append(op.name)
        return {name: tuple(names) for name, names in readers.items()}
