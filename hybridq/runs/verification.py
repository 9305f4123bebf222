"""What `hybridq verify` says of an image, beside what had been estimated: for a terminal, as data, for a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from hybridq.image.verification import CODE, FLASH, RAM, STACK, TENSORS, WEIGHTS, Agreement, ImageFigures
from hybridq.settings.units import to_kib

if TYPE_CHECKING:
    from rich.console import RenderableType

ESTIMATES = {  # of `ImageFigures.sizes`: the figure of the memory report (totals, accounting "packed") that foretold it
    f"flash: {WEIGHTS}": "flash_bytes",
    FLASH: "flash_bytes",
    f"RAM: {TENSORS}": "ram_bytes",
    RAM: "ram_bytes",
}
METRICS = {  # of `ImageFigures.sizes`: the metric of a run
    f"flash: {CODE}": "image code KiB",
    f"flash: {WEIGHTS}": "image weights KiB",
    FLASH: "image flash KiB",
    f"RAM: {TENSORS}": "image tensors KiB",
    RAM: "image RAM KiB",
    STACK: "image stack KiB",
}


@dataclass(frozen=True)
class Verification(ImageFigures):
    """An image's figures, with those of the whole chain from sound to class."""

    chain: Agreement  # classes against those by Python's front end
    accuracy: float | None  # percent of the sounds on this machine, where there are words
    estimate: Mapping[str, int] = field(default_factory=dict)  # totals of the memory report, where one was made
    run: str = ""  # id of the run that the network is of, where it is of one

    @property
    def estimates(self) -> dict[str, int]:
        """Of some sizes, what the memory report foretold."""
        return {name: self.estimate[key] for name, key in ESTIMATES.items() if key in self.estimate}

    def metrics(self) -> dict[str, float]:
        """For the run: see `hybridq.tracking.metrics`."""
        sizes, metrics = self.sizes, dict[str, float]()
        for name, metric in METRICS.items():
            metrics[metric] = to_kib(sizes[name])
            if name in self.estimates:
                metrics[metric.replace(" KiB", " beyond estimate KiB")] = to_kib(sizes[name] - self.estimates[name])
        metrics["image instructions M"] = self.classify_instructions / 1e6
        metrics["image exact %"] = self.board.percent
        metrics["image agreement %"] = self.chain.percent
        if self.accuracy is not None:
            metrics |= {"image accuracy %": self.accuracy, "image clips": self.host.sounds}
        return metrics

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        more = {"exact": self.exact, "groups": self.groups(), "sizes": self.sizes, "estimates": self.estimates}
        return asdict(self) | more

    def to_rich(self) -> RenderableType:
        """For the terminal."""
        from rich.console import Group

        memory = _table("bytes", "measured", *(("estimated", "difference") if self.estimates else ()))
        for name, count in self.sizes.items():
            estimated = self.estimates.get(name)
            compared = () if estimated is None else (f"{estimated:,}", f"{count - estimated:+,}")
            memory.add_row(name, f"{count:,}", *compared)
        layers = _table("layer", "kind", "MACC", "instructions", "per MACC", "constants B")
        for layer in self.layers:
            ratio = "" if layer.per_macc is None else f"{layer.per_macc:.3f}"
            macc, constants = (f"{count:,}" if count else "" for count in (layer.macc, layer.constants_bytes))
            layers.add_row(layer.name, layer.kind, macc, f"{layer.instructions:,}", ratio, constants)
        for name, mean in self.groups().items():
            layers.add_row(f"all: {name.lower()}", "", "", "", f"{mean:.3f}", "")
        lines = [
            f"one inference: {self.classify_instructions:,} instructions; a column of the front end: "
            f"{self.column_instructions:,}",
            f"logits equal to the integer network's: this machine {self.host}; emulated {self.board}",
            f"class equal to that by Python's front end: {self.chain}",
        ]
        if self.accuracy is not None:
            lines.append(f"accuracy: {self.accuracy:.2f} % of {self.host.sounds} test clips")
        return Group(f"image by {self.compiler}, network {self.digest[:16]}", memory, layers, "\n".join(lines))


def _table(first: str, *others: str) -> Any:
    """A table whose figures stand to the right."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(first, box=SIMPLE_HEAD, pad_edge=False)
    for heading in others:
        table.add_column(heading, justify="left" if heading == "kind" else "right")
    return table
