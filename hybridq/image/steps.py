"""The layers of an integer network as steps that run row by row, and how many rows of each must be kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod

from hybridq.image.packing import scratch_bytes
from hybridq.integer.network import (
    Add,
    AveragePool,
    Convolution,
    Dense,
    Depthwise,
    IntegerNetwork,
    Layer,
    MaxPool,
    Memory,
)


@dataclass(frozen=True)
class Step:
    """A layer as the planner sees it: it runs a number of times, each time on a window of rows of its inputs.

    Run r reads the rows r * stride - before to r * stride - before + window - 1 of those that there are. It makes row
    r; a global average makes its one row in its last run.
    """

    name: str
    inputs: tuple[str, ...]
    runs: int
    rows: int  # of what it makes
    row_bytes: int
    window: int = 1
    stride: int = 1
    before: int = 0
    layer: Layer | None = None  # None: the network's input

    def needs(self, run: int, rows: int) -> int:
        """How many rows must be there for a run, of an input of so many rows."""
        return min(max(run * self.stride - self.before + self.window, 0), rows)

    def oldest(self, run: int) -> int:
        """The first row that a run still reads."""
        return max(run * self.stride - self.before, 0)

    def scratch(self, tile: int) -> int:
        """Bytes that it works in during a run."""
        if isinstance(self.layer, Convolution):
            return scratch_bytes(self.layer, min(tile, self.layer.shape[1]))
        return 4 * self.layer.shape[-1] if isinstance(self.layer, Dense) else 0

    @property
    def sums(self) -> int:
        """Bytes that it gathers sums in from run to run."""
        return 4 * self.layer.shape[-1] if isinstance(self.layer, AveragePool) else 0

    @property
    def stands_alone(self) -> bool:
        """Whether no other layer may run in its stage: it reads its whole input at once."""
        return isinstance(self.layer, Dense)


def steps_of(network: IntegerNetwork) -> list[Step]:
    """The input and the layers that the last one depends on, in running order."""
    needed = {network.layers[-1].name}
    for layer in reversed(network.layers):
        if layer.name in needed:
            needed.update(layer.inputs)
    shapes = network.shapes
    rows, row_bytes = _rows(network.input_shape)
    steps = [Step(network.input_name, (), rows, rows, row_bytes)]
    return steps + [_step(layer, shapes[layer.inputs[0]]) for layer in network.layers if layer.name in needed]


def _step(layer: Layer, read: tuple[int, ...]) -> Step:
    rows, row_bytes = _rows(layer.shape)
    runs, window, stride, before = rows, 1, 1, 0
    if isinstance(layer, Convolution | Depthwise):
        window, stride, before = layer.weights.shape[0], layer.strides[0], layer.pads[0][0]
    elif isinstance(layer, MaxPool):
        window, stride = layer.window[0], layer.strides[0]
    elif isinstance(layer, AveragePool):
        runs = _rows(read)[0]
    elif isinstance(layer, Dense):
        window = _rows(read)[0]
    elif not isinstance(layer, Add | Memory):
        raise NotImplementedError(type(layer).__name__)
    return Step(layer.name, layer.inputs, runs, rows, row_bytes, window, stride, before, layer)


def rows_kept(steps: Sequence[Step], outputs: Iterable[str]) -> dict[str, int]:
    """How many rows of each map a stage must keep, found by running it; the outputs are kept whole.

    Each turn runs the last of the steps that can run: its inputs have the rows that it needs, and what it makes is
    wanted, by the next run of a step that reads it or outside. The emitted code does the same.
    """
    outputs = set(outputs)
    done = {step.name: 0 for step in steps}
    kept = {step.name: step.rows if step.name in outputs else 1 for step in steps}
    rows = {step.name: step.rows for step in steps}
    readers = {step.name: [other for other in steps if step.name in other.inputs] for step in steps}

    def wanted(step: Step) -> bool:
        return step.name in outputs or any(
            done[reader.name] < reader.runs and done[step.name] < reader.needs(done[reader.name], step.rows)
            for reader in readers[step.name]
        )

    def ready(step: Step) -> bool:
        return all(done[name] >= step.needs(done[step.name], rows[name]) for name in step.inputs if name in done)

    backwards = steps[::-1]
    while any(done[step.name] < step.runs for step in steps if step.name in outputs):
        step = next(one for one in backwards if done[one.name] < one.runs and ready(one) and wanted(one))
        if step.name not in outputs:
            going_on = [one.oldest(done[one.name]) for one in readers[step.name] if done[one.name] < one.runs]
            alive = done[step.name] + 1 - min(going_on, default=done[step.name])
            kept[step.name] = max(kept[step.name], alive)
        done[step.name] += 1
    return kept


def _rows(shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows of a tensor, and bytes of each; a row of features is one row."""
    return (shape[0], prod(shape[1:])) if len(shape) == 3 else (1, prod(shape))
