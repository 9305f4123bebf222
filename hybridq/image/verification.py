"""What is measured of an image: bytes by the linker, instructions by the emulator, agreement with its network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

STATES = "states of the memories"
CODE, WEIGHTS, TENSORS = "code", "weights and tables of the network", "tensors"
SHARED = f"{TENSORS} (the front end works there too)"
FLASH, RAM, STACK = "flash, together", "RAM, together", "deepest stack"
GROUPS = ("Convolution", "Binary dense")  # kinds of layers whose instructions per MACC are said together


@dataclass(frozen=True)
class LayerCount:
    """What one layer took of one inference: its instructions, and of these how many a MACC (None: it has none)."""

    name: str
    kind: str
    macc: int
    instructions: int
    constants_bytes: int

    @property
    def per_macc(self) -> float | None:
        """Instructions per MACC."""
        return self.instructions / self.macc if self.macc else None


@dataclass(frozen=True)
class Agreement:
    """Examples, and of these how many had another input, another output or another class than they should."""

    examples: int
    differing: int

    @classmethod
    def of(cls, same: NDArray[Any]) -> Agreement:
        """From whether each example (n,) had what it should."""
        return cls(len(same), int((~same).sum()))

    @property
    def percent(self) -> float:
        """Of the examples, those that had what they should."""
        return 100 * (self.examples - self.differing) / self.examples

    def __str__(self) -> str:
        return f"{self.examples - self.differing} of {self.examples}"


@dataclass(frozen=True)
class ImageFigures:
    """What an image takes, and whether it computes what its network computes."""

    digest: str  # of the network
    compiler: str
    flash: dict[str, int]  # bytes by purpose
    ram: dict[str, int]
    stack_bytes: int
    column_instructions: int | None  # of the front end; None without one
    classify_instructions: int  # of an inference
    layers: tuple[LayerCount, ...]
    host: Agreement  # outputs and class on this machine against the integer network
    board: Agreement  # input, outputs and class in the emulator against those on this machine and of the network

    @property
    def exact(self) -> bool:
        """Whether both machines computed what the integer network computes."""
        return self.host.differing == self.board.differing == 0

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes by purpose, with their sums."""
        flash = {f"flash: {name}": count for name, count in self.flash.items()}
        ram = {f"RAM: {name}": count for name, count in self.ram.items()}
        sums = {FLASH: sum(self.flash.values())}, {RAM: sum(self.ram.values())}
        return flash | sums[0] | ram | sums[1] | {STACK: self.stack_bytes}

    def groups(self) -> dict[str, float]:
        """Instructions per MACC over all convolutions, and over the binary dense layers, where there are such."""
        means = {}
        for kind in GROUPS:
            layers = [layer for layer in self.layers if layer.kind == kind]
            if layers:
                means[kind] = sum(layer.instructions for layer in layers) / sum(layer.macc for layer in layers)
        return means
