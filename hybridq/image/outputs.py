"""What leaves a network, as arguments of its function in C.

A network of one row of int16, as classifiers are, has `int16_t logits[HYBRIDQ_CLASSES]`. Any other has `output`, of
`HYBRIDQ_OUTPUT_SIZE` numbers, or `output_1` and so on where there are several.
"""

from __future__ import annotations

from dataclasses import dataclass

from hybridq.image.tensors import classes_of, tensors_of
from hybridq.integer.network import IntegerNetwork


@dataclass(frozen=True)
class Output:
    """An output of a network: an array of C that a layer fills."""

    name: str
    type: str  # int8_t or int16_t
    size: int  # numbers
    macro: str  # its size by name, without HYBRIDQ_

    @property
    def parameter(self) -> str:
        """As a parameter of the network's function."""
        return f"{self.type} {self.name}[HYBRIDQ_{self.macro}]"

    @property
    def pointer(self) -> str:
        """As a parameter of the functions that fill it."""
        return f"{self.type} *{self.name}"


def outputs_of(network: IntegerNetwork) -> dict[str, Output]:
    """The outputs in order, by the names of their layers."""
    made = {}
    for layer, tensor in zip(network.results, tensors_of(network), strict=True):
        name, macro = tensor.argument, f"{tensor.macro}_SIZE"
        if layer.is_wide and classes_of(network) == layer.shape[-1]:
            name, macro = "logits", "CLASSES"
        made[layer.name] = Output(name, tensor.ctype, tensor.size, macro)
    return made
