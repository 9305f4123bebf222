"""What `hybridq verify` says of an image, beside what had been estimated: for a terminal, as data, for a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from hybridq.data.task import CLIPS, SAMPLES
from hybridq.image.verification import CODE, FLASH, RAM, SHARED, STACK, TENSORS, WEIGHTS, Agreement, ImageFigures
from hybridq.settings.units import to_kib

if TYPE_CHECKING:
    from rich.console import RenderableType

ESTIMATES = {  # of `ImageFigures.sizes`: the figure of the memory report (totals, accounting "packed") that foretold it
    f"flash: {WEIGHTS}": "flash_bytes",
    f"RAM: {TENSORS}": "ram_bytes",
    f"RAM: {SHARED}": "ram_bytes",
}
METRICS = {  # of `ImageFigures.sizes`: the metric of a run
    f"flash: {CODE}": "image code KiB",
    f"flash: {WEIGHTS}": "image weights KiB",
    FLASH: "image flash KiB",
    f"RAM: {TENSORS}": "image tensors KiB",
    f"RAM: {SHARED}": "image tensors KiB",
    RAM: "image RAM KiB",
    STACK: "image stack KiB",
}


@dataclass(frozen=True)
class Verification(ImageFigures):
    """An image's figures, with those of the whole chain from sound to class, where it hears sound."""

    chain: Agreement | None  # classes against those by Python's front end; None without a front end
    accuracy: float | None  # percent of the examples on this machine, where there are labels
    estimate: Mapping[str, int] = field(default_factory=dict)  # totals of the memory report, where one was made
    run: str = ""  # id of the run that the network is of, where it is of one
    r2: float | None = None  # percent, of a network that answers with numbers, where these are known
    note: str = ""  # what there is to know of its examples

    @property
    def unit(self) -> str:
        """What its examples are called."""
        return CLIPS if self.chain else SAMPLES

    @property
    def estimates(self) -> dict[str, int]:
        """Of some sizes, what the memory report foretold."""
        sizes = self.sizes
        return {name: self.estimate[key] for name, key in ESTIMATES.items() if key in self.estimate and name in sizes}

    def metrics(self) -> dict[str, float]:
        """For the run: see `hybridq.tracking.metrics`."""
        sizes, metrics = self.sizes, dict[str, float]()
        for name, metric in METRICS.items():
            if name not in sizes:
                continue
            metrics[metric] = to_kib(sizes[name])
            if name in self.estimates:
                metrics[metric.replace(" KiB", " beyond estimate KiB")] = to_kib(sizes[name] - self.estimates[name])
        metrics["image instructions M"] = self.classify_instructions / 1e6
        metrics["image exact %"] = self.board.percent
        if self.chain:
            metrics["image agreement %"] = self.chain.percent
        if self.accuracy is not None:
            metrics |= {"image accuracy %": self.accuracy, f"image {self.unit}": self.host.examples}
        return metrics

    def __str__(self) -> str:
        """What the command prints, 80 characters wide."""
        from rich.console import Console

        console = Console(width=80, color_system=None)
        with console.capture() as captured:
            console.print(self.to_rich())
        return captured.get().rstrip()

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
        what, column = (
            ("outputs", "")
            if self.column_instructions is None
            else ("logits", f"; a column of the front end: {self.column_instructions:,}")
        )
        both = ["estimated: the network alone, as the memory report counts it; together: the whole image"]
        lines = [
            *(both if self.estimates else []),
            f"one inference: {self.classify_instructions:,} instructions{column}",
            f"{what} equal to the integer network's: this machine {self.host}; emulated {self.board}",
        ]
        if self.chain:
            lines.append(f"class equal to that by Python's front end: {self.chain}")
        if self.accuracy is not None:
            lines.append(f"accuracy: {self.accuracy:.2f} % of {self.host.examples} {self.unit}")
        if self.r2 is not None:
            lines.append(f"R2: {self.r2:.2f} % of {self.host.examples} {self.unit}")
        lines += [self.note] if self.note else []
        return Group(f"image by {self.compiler}, network {self.digest[:16]}", memory, layers, "\n".join(lines))


def _table(first: str, *others: str) -> Any:
    """A table whose figures stand to the right."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(first, box=SIMPLE_HEAD, pad_edge=False)
    for heading in others:
        table.add_column(heading, justify="left" if heading == "kind" else "right")
    return table
