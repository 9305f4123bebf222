"""What keeping computed columns would save: the MACC of one second of a stream, by the memory report's own count.

From one inference to the next the input moves by a few columns. A column of a layer's output is the same as one that
was computed before where its window touches neither the new columns nor the zeros of a padding, old or new. Where the
input moves by less than a layer's stride, its columns fall between those of the inference before, and on those of an
earlier one: those are kept too. A linear memory goes on from its states.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd, prod
from typing import Any

from hybridq.graph.reader import Graph, Operator
from hybridq.profiler.accounting import NEWEST, Accounting
from hybridq.profiler.count.macc import step_macc
from hybridq.profiler.count.merge import CONVOLUTIONS, POOLS, merge
from hybridq.settings.units import to_millions
from hybridq.speech.mfcc import FrontEnd

MEMORY = "LinearMemory"


@dataclass(frozen=True)
class Columns:
    """Where time is in a tensor: its axis, input columns from one of its own to the next; those no padding reaches."""

    axis: int
    stride: int
    first: int
    stop: int

    def kept(self, every: int) -> int:
        """How many were computed before, where an inference comes every so many input columns."""
        return max(0, self.stop - self.first - every // gcd(every, self.stride))


@dataclass(frozen=True)
class LayerReuse:
    """A step of the network: its MACC, and how many of them are computed anew when columns are kept."""

    name: str
    convolution: bool
    macc: int
    anew: int


@dataclass(frozen=True)
class Reuse:
    """Of one inference, layer by layer, and how many inferences there are in a second."""

    layers: tuple[LayerReuse, ...]
    inferences: float

    @property
    def share(self) -> float:
        """Percent of the convolutions' MACC that need not be computed again."""
        whole = sum(layer.macc for layer in self.layers if layer.convolution)
        return 100 * (1 - sum(layer.anew for layer in self.layers if layer.convolution) / whole) if whole else 0.0

    def to_json(self) -> dict[str, Any]:
        """MACC a second of audio, all computed and with columns kept."""
        return {
            "inferences_per_second": self.inferences,
            "macc_per_second": self.inferences * sum(layer.macc for layer in self.layers),
            "macc_per_second_kept": self.inferences * sum(layer.anew for layer in self.layers),
            "convolutions_reused_percent": self.share,
            "layers": [vars(layer) for layer in self.layers],
        }

    def __str__(self) -> str:
        figures = self.to_json()
        computed, kept = (to_millions(figures[key]) for key in ("macc_per_second", "macc_per_second_kept"))
        return (
            f"One second of audio: {computed:.1f} M MACC in {self.inferences:.1f} inferences; "
            f"{kept:.1f} M if columns already computed were kept ({self.share:.0f} % of the convolutions)"
        )


def reuse(graph: Graph, end: FrontEnd, every: int, rules: Accounting = NEWEST) -> Reuse:
    """Of a network that reads (coefficients, frames, 1), with an inference every so many columns.

    A layer without a rule for its MACC counts as nothing.
    """
    columns, layers = time_columns(graph, end), []
    for step in merge(graph, rules):
        macc, here = step_macc(step, rules) or 0, columns[step.name]
        kept = here.kept(every) / step.operator.output_shape[here.axis] if here else 0.0
        if step.operator.kind == MEMORY:
            kept = max(0.0, 1 - every / step.operator.attributes["steps"])
        layers.append(LayerReuse(step.name, step.operator.kind in CONVOLUTIONS, macc, round(macc * (1 - kept))))
    return Reuse(tuple(layers), end.sample_rate / (end.hop * every))


def time_columns(graph: Graph, end: FrontEnd) -> dict[str, Columns | None]:
    """Where time is in the output of each operator; None where each result depends on all of it, or nobody knows."""
    columns: dict[str, Columns | None] = {}
    for op in graph.operators:
        columns[op.name] = _of_input(op, end) if op.kind == "InputLayer" else _after(op, columns)
    return columns


def _of_input(op: Operator, end: FrontEnd) -> Columns | None:
    return Columns(1, 1, 0, end.frames) if op.output_shape[:2] == end.shape else None


def _after(op: Operator, columns: dict[str, Columns | None]) -> Columns | None:
    inputs = [columns[name] for name in op.inputs]
    sources = [one for one in inputs if one]
    if not sources or len(sources) < len(inputs):
        return None
    source, shape = sources[0], op.input_shapes[0]
    if op.facts.elementwise:
        alike = all((one.axis, one.stride) == (source.axis, source.stride) for one in sources)
        if not alike or any(one != op.output_shape for one in op.input_shapes):
            return None
        edges = max(one.first for one in sources), min(one.stop for one in sources)
        return Columns(source.axis, source.stride, *edges)
    if op.kind == "Permute":
        return Columns(op.attributes["dims"].index(source.axis + 1), source.stride, source.first, source.stop)
    if op.kind == "Reshape":
        return _reshaped(op, source)
    if op.kind == MEMORY:
        return source if op.attributes["return_sequences"] and source.axis == 0 else None
    if op.kind in CONVOLUTIONS | POOLS:
        return _windowed(op, source) if source.axis < len(shape) - 1 else None
    return None


def _reshaped(op: Operator, source: Columns) -> Columns | None:
    before, after = op.input_shapes[0], op.output_shape
    for axis, size in enumerate(after):
        if size == before[source.axis] and prod(after[:axis]) == prod(before[: source.axis]):
            return Columns(axis, source.stride, source.first, source.stop)
    return None


def _windowed(op: Operator, source: Columns) -> Columns:
    axis, window = source.axis, op.attributes
    stride, pad = window["strides"][axis], window["pads"][axis][0]
    reach = (window["kernel"][axis] - 1) * window.get("dilation", (1,) * (axis + 1))[axis]
    first = -(-(source.first + pad) // stride)
    stop = min((source.stop - 1 - reach + pad) // stride + 1, op.output_shape[axis])
    return Columns(axis, source.stride * stride, first, max(first, stop))
