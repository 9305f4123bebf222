"""What a network reads and what it answers with, as its C says it: macros of shape, size, scale and zero point."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from hybridq.data.task import Task
from hybridq.errors import UserError
from hybridq.integer.network import Grid, IntegerNetwork, Shape

Defines = dict[str, int | str]


@dataclass(frozen=True)
class Tensor:
    """A tensor of integers at the border of a network, and what they stand for.

    macro: what its macros begin with behind HYBRIDQ_; argument: what it is called in C; bits: 8 or 16 of an integer.
    """

    macro: str
    argument: str
    shape: Shape
    bits: int
    grid: Grid

    @property
    def size(self) -> int:
        """How many integers."""
        return prod(self.shape)

    @property
    def ctype(self) -> str:
        """Of an integer, in C."""
        return f"int{self.bits}_t"

    @property
    def dtype(self) -> np.dtype[np.int8] | np.dtype[np.int16]:
        """Of an integer, as the board has it."""
        return np.dtype("<i1") if self.bits == 8 else np.dtype("<i2")

    @property
    def parameter(self) -> str:
        """As the parameter of a function in C."""
        return f"{self.ctype} {self.argument}[HYBRIDQ_{self.macro}_SIZE]"

    @property
    def scale(self) -> float:
        """Of a step."""
        return self.grid.scale

    @property
    def meaning(self) -> str:
        """What an integer stands for, in words."""
        zero = self.grid.zero
        number = f"(integer {'-' if zero > 0 else '+'} {abs(zero)})" if zero else "integer"
        return f"{number} times {self.scale!r}"

    @property
    def axes(self) -> str:
        """Its shape for a person, as 32 x 32 x 3."""
        return " x ".join(map(str, self.shape))

    @property
    def defines(self) -> Defines:
        """Its macros, without HYBRIDQ_."""
        return {
            f"{self.macro}_SIZE": self.size,
            f"{self.macro}_SHAPE": f"{{{', '.join(map(str, self.shape))}}}",
            f"{self.macro}_SCALE": f"{self.scale!r}f",
            f"{self.macro}_ZERO_POINT": self.grid.zero,
        }


def input_of(network: IntegerNetwork) -> Tensor:
    """What a network reads."""
    return Tensor("INPUT", "input", network.input_shape, 8, network.reads)


def tensors_of(network: IntegerNetwork) -> tuple[Tensor, ...]:
    """What a network answers with; several outputs are numbered from 1."""
    several = len(network.results) > 1
    return tuple(
        Tensor(
            macro=f"OUTPUT_{number}" if several else "OUTPUT",
            argument=f"output_{number}" if several else "output",
            shape=layer.shape,
            bits=16 if layer.is_wide else 8,
            grid=layer.stands_for,
        )
        for number, layer in enumerate(network.results, 1)
    )


def classes_of(network: IntegerNetwork) -> int:
    """How many classes a network tells apart with its one output, 0 where it answers with something else.

    The output is one row, and the class the first of its largest numbers; of a single number, whether it is above 0.
    """
    if network.description.task not in (None, Task.CLASSIFY) or len(network.results) != 1:
        return 0
    (output,) = tensors_of(network)
    if output.size != output.shape[-1]:
        return 0
    return output.size if output.size > 1 else max(2, len(network.description.labels))


def check_labels(network: IntegerNetwork) -> None:
    """Raise UserError where it has labels for another number of classes."""
    classes, labels = classes_of(network), len(network.description.labels)
    if classes and labels not in (0, classes):
        raise UserError(f"the network has {classes} outputs and {labels} labels")
