"""What `hybridq verify` found of an image: bytes, instructions, agreement; beside them what had been estimated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from hybridq.settings.units import to_kib

if TYPE_CHECKING:
    from rich.console import RenderableType

STATES = "states of the memories"
CODE, WEIGHTS, TENSORS = "code", "weights and tables of the network", "tensors (the front end works there too)"
FLASH, RAM, STACK = "flash, together", "RAM, together", "deepest stack"
ESTIMATES = {  # of `Verification.sizes`: the figure of the memory report (totals, accounting "packed") that foretold it
    f"flash: {WEIGHTS}": "flash_bytes",
    FLASH: "flash_bytes",
    f"RAM: {TENSORS}": "ram_bytes",
    RAM: "ram_bytes",
}
METRICS = {  # of `Verification.sizes`: the metric of a run
    f"flash: {CODE}": "image code KiB",
    f"flash: {WEIGHTS}": "image weights KiB",
    FLASH: "image flash KiB",
    f"RAM: {TENSORS}": "image tensors KiB",
    RAM: "image RAM KiB",
    STACK: "image stack KiB",
}


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
    """Sounds, and of these how many had another input, other logits or another class than they should."""

    sounds: int
    differing: int

    @property
    def percent(self) -> float:
        """Of the sounds, those that had what they should."""
        return 100 * (self.sounds - self.differing) / self.sounds

    def __str__(self) -> str:
        return f"{self.sounds - self.differing} of {self.sounds}"


@dataclass(frozen=True)
class Verification:
    """All that was found; bytes are the linker's, instructions the emulator's."""

    digest: str
    compiler: str
    flash: dict[str, int]
    ram: dict[str, int]
    stack_bytes: int
    column_instructions: int
    classify_instructions: int
    layers: tuple[LayerCount, ...]
    host: Agreement  # logits on this machine against the integer network
    board: Agreement  # input, logits and class in the emulator against the same
    chain: Agreement  # classes against those by Python's front end
    accuracy: float | None  # percent of the sounds on this machine, where there are words
    estimate: Mapping[str, int] = field(default_factory=dict)  # totals of the memory report, where one was made
    run: str = ""  # id of the run that the network is of, where it is of one

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

    @property
    def estimates(self) -> dict[str, int]:
        """Of some sizes, what the memory report had said."""
        return {name: self.estimate[key] for name, key in ESTIMATES.items() if key in self.estimate}

    def metrics(self) -> dict[str, float]:
        """For the run: see `hybridq.tracking.metrics`."""
        sizes, found = self.sizes, dict[str, float]()
        for name, metric in METRICS.items():
            found[metric] = to_kib(sizes[name])
            if name in self.estimates:
                found[metric.replace(" KiB", " beyond estimate KiB")] = to_kib(sizes[name] - self.estimates[name])
        found["image instructions M"] = self.classify_instructions / 1e6
        found["image exact %"] = self.board.percent
        found["image agreement %"] = self.chain.percent
        heard = {} if self.accuracy is None else {"image accuracy %": self.accuracy, "image clips": self.host.sounds}
        return found | heard

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        more = {"exact": self.exact, "groups": self.groups(), "sizes": self.sizes, "estimates": self.estimates}
        return asdict(self) | more

    def groups(self) -> dict[str, float]:
        """Instructions per MACC over all convolutions, and over the binary dense layers, where there are such."""
        found = {}
        for kind in ("Convolution", "Binary dense"):
            some = [layer for layer in self.layers if layer.kind == kind]
            if some:
                found[kind] = sum(layer.instructions for layer in some) / sum(layer.macc for layer in some)
        return found

    def to_rich(self) -> RenderableType:
        """For the terminal."""
        from rich.console import Group

        memory = _table("bytes", "measured", *(("estimated", "difference") if self.estimates else ()))
        for name, count in self.sizes.items():
            guess = self.estimates.get(name)
            memory.add_row(name, f"{count:,}", *(() if guess is None else (f"{guess:,}", f"{count - guess:+,}")))
        layers = _table("layer", "kind", "MACC", "instructions", "per MACC", "constants B")
        for layer in self.layers:
            ratio = "" if layer.per_macc is None else f"{layer.per_macc:.3f}"
            macc, constants = (f"{count:,}" if count else "" for count in (layer.macc, layer.constants_bytes))
            layers.add_row(layer.name, layer.kind, macc, f"{layer.instructions:,}", ratio, constants)
        for name, mean in self.groups().items():
            layers.add_row(f"all: {name.lower()}", "", "", "", f"{mean:.3f}", "")
        said = [
            f"one inference: {self.classify_instructions:,} instructions; a column of the front end: "
            f"{self.column_instructions:,}",
            f"logits equal to the integer network's: this machine {self.host}; emulated {self.board}",
            f"class equal to that by Python's front end: {self.chain}",
        ]
        if self.accuracy is not None:
            said.append(f"accuracy: {self.accuracy:.2f} % of {self.host.sounds} test clips")
        return Group(f"image by {self.compiler}, network {self.digest[:16]}", memory, layers, "\n".join(said))


def _table(first: str, *others: str) -> Any:
    """A table whose figures stand to the right."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(first, box=SIMPLE_HEAD, pad_edge=False)
    for heading in others:
        table.add_column(heading, justify="left" if heading == "kind" else "right")
    return table
