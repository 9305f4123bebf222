"""In what order an integer network runs on the device, and where its tensors lie in one static arena.

A network runs in stages, each a run of consecutive layers. The layers of a stage run depth first, a row at a time: a
map that nobody outside the stage reads is never there as a whole; only the rows that are still needed are kept, in a
ring. A map that later stages read is kept whole. Stages share the arena, so where to cut is a matter of exact bytes: of
all ways to cut, those whose fullest stage is smallest, and of these one with as many stages as there can be, as layer
by layer is simpler. Each convolution then gets as much scratch as the fullest stage leaves room for: that saves
instructions.

The network's input counts as a first layer, whose rows the caller hands over one by one. The states of memories, which
stay from run to run, lie outside the arena.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf, prod

from hybridq.arena.planners import Lifetime, first_fit
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

TILE = 4  # columns of a convolution's output for which there is scratch at the least
ALIGNMENT = 4  # bytes


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


@dataclass(frozen=True)
class Buffer:
    """A piece of the arena, taken from the first stage to the last one, both included."""

    name: str
    bytes: int
    first: int
    last: int
    offset: int = 0


@dataclass(frozen=True)
class Map(Buffer):
    """A tensor in the arena: row r lies at offset + r % kept * row_bytes. All rows are kept, or a ring of a few."""

    rows: int = 0
    row_bytes: int = 0
    kept: int = 0


@dataclass(frozen=True)
class Stage:
    """Layers that run together, row by row; `outputs` are those of them that later stages read."""

    steps: tuple[Step, ...]
    outputs: tuple[Step, ...]
    tiles: Mapping[str, int]  # of the convolutions
    scratch: Buffer
    sums: Buffer


@dataclass(frozen=True)
class Plan:
    """The stages in their order, the tensors by name, and the bytes of the arena. The logits lie outside."""

    stages: tuple[Stage, ...]
    maps: Mapping[str, Map]
    arena_bytes: int

    @cached_property
    def buffers(self) -> tuple[Buffer, ...]:
        """All pieces of the arena, by the stage in which they begin."""
        pieces = [*self.maps.values(), *(piece for stage in self.stages for piece in (stage.scratch, stage.sums))]
        return tuple(sorted((one for one in pieces if one.bytes), key=lambda one: (one.first, one.offset)))


def plan(network: IntegerNetwork) -> Plan:
    """The plan of a network that `checks.check` accepts. Layers that the answer does not depend on are left out."""
    steps = steps_of(network)
    costs = _Costs(steps)
    cuts = _cuts(costs, len(steps))
    most = max(costs.bytes(first, end) for first, end in cuts)
    stages: list[Stage] = []
    maps: dict[str, Map] = {}
    for number, (first, end) in enumerate(cuts):
        inside, parts = tuple(steps[first:end]), costs.parts(first, end)
        room = parts.scratch + most - costs.bytes(first, end)
        tiles = {step.name: _tile(step.layer, room) for step in inside if isinstance(step.layer, Convolution)}
        scratch = max(_up(step.scratch(tiles.get(step.name, TILE))) for step in inside)
        stages.append(
            Stage(
                steps=inside,
                outputs=tuple(step for step in inside if costs.last[step.name] >= end),
                tiles=tiles,
                scratch=Buffer(f"scratch {number + 1}", scratch, number, number),
                sums=Buffer(f"sums {number + 1}", parts.sums, number, number),
            )
        )
        for step in inside if end < len(steps) else inside[:-1]:  # the last step of all makes the logits
            kept = parts.kept[step.name]
            last = next(k for k, (_, stop) in enumerate(cuts) if costs.last[step.name] < stop)
            size = _up(kept * step.row_bytes)
            maps[step.name] = Map(step.name, size, number, last, 0, step.rows, step.row_bytes, kept)
    return _placed(stages, maps)


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


@dataclass(frozen=True)
class _Parts:
    """What a stage takes of the arena: rows kept of each of its maps, bytes of scratch and of sums."""

    kept: Mapping[str, int]
    scratch: int
    sums: int


class _Costs:
    """The bytes of every possible stage, each counted once."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = steps
        self.whole = {step.name: _up(step.rows * step.row_bytes) for step in steps}
        self.whole[steps[-1].name] = 0  # the logits
        self.last = {step.name: number for number, step in enumerate(steps)}  # the last step that reads it
        for number, step in enumerate(steps):
            self.last.update(dict.fromkeys(step.inputs, number))
        self.last[steps[-1].name] = len(steps)
        self._scratch = [_up(step.scratch(TILE)) for step in steps]
        made = {step.name: step for step in steps}
        self._window = {step.name: 0 for step in steps}  # bytes of the rows that one run of a reader needs at once
        runs = {steps[-1].name: steps[-1].runs}  # that the answer depends on: with wide strides some rows go unread
        for step in reversed(steps):
            for source in (made[name] for name in step.inputs):
                read = [(step.oldest(run), step.needs(run, source.rows)) for run in range(runs[step.name])]
                runs[source.name] = max([runs.get(source.name, 0), *(end for _, end in read)])
                rows = max((end - first for first, end in read), default=0)
                self._window[source.name] = max(self._window[source.name], _up(rows * source.row_bytes))
        self._bytes: dict[tuple[int, int], int] = {}

    def allowed(self, first: int, end: int) -> bool:
        """Whether these steps may be a stage. A global average ends one, as it makes nothing before its last run."""
        inside = self.steps[first:end]
        return end - first == 1 or not (
            any(step.stands_alone for step in inside)
            or any(isinstance(step.layer, AveragePool) for step in inside[:-1])
        )

    def least(self, first: int, end: int) -> int:
        """Bytes that a stage takes at least: what it keeps whole, the windows of its layers, the scratch."""
        rings = sum(self._window[step.name] for step in self.steps[first:end] if self.last[step.name] < end)
        return self._whole(first, end) + rings + max(self._scratch[first:end])

    def bytes(self, first: int, end: int) -> int:
        """All bytes alive during a stage, each convolution with the least scratch."""
        if (first, end) not in self._bytes:
            parts = self.parts(first, end)
            inside = [step for step in self.steps[first:end] if self.last[step.name] < end]
            rings = sum(_up(parts.kept[step.name] * step.row_bytes) for step in inside)
            self._bytes[first, end] = self._whole(first, end) + rings + parts.scratch + parts.sums
        return self._bytes[first, end]

    def parts(self, first: int, end: int) -> _Parts:
        """What a stage takes besides what earlier ones left."""
        inside = self.steps[first:end]
        outputs = {step.name for step in inside if self.last[step.name] >= end}
        scratch = max(self._scratch[first:end])
        return _Parts(rows_kept(inside, outputs), scratch, sum(step.sums for step in inside))

    def _whole(self, first: int, end: int) -> int:
        """The bytes of what is kept whole during a stage."""
        return sum(
            self.whole[step.name]
            for number, step in enumerate(self.steps[:end])
            if self.last[step.name] >= (end if number >= first else first)
        )


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


def _cuts(costs: _Costs, count: int) -> list[tuple[int, int]]:
    """The stages, as (first step, step behind the last): the smallest fullest stage, then the most stages."""
    best: list[float] = [0.0] + [inf] * count  # the smallest fullest stage of the first so many steps
    for end in range(1, count + 1):
        for first in range(end - 1, -1, -1):
            if costs.allowed(first, end) and max(best[first], costs.least(first, end)) < best[end]:
                best[end] = min(best[end], max(best[first], costs.bytes(first, end)))
    number, start = [0] + [-1] * count, [0] * (count + 1)  # the most stages of the first so many steps; -1: no way
    for end in range(1, count + 1):
        for first in range(end - 1, -1, -1):
            better = 0 <= number[first] >= number[end] and costs.allowed(first, end)
            if better and costs.least(first, end) <= best[count] and costs.bytes(first, end) <= best[count]:
                number[end], start[end] = number[first] + 1, first
    found = []
    while count > 0:
        found.append((start[count], count))
        count = start[count]
    return found[::-1]


def _tile(layer: Convolution, room: int) -> int:
    """The most columns, an even number or all, for which a strip fits into the room; TILE where none does."""
    columns = layer.shape[1]
    if _up(scratch_bytes(layer, columns)) <= room:
        return columns
    return max((t for t in range(TILE, columns, 2) if _up(scratch_bytes(layer, t)) <= room), default=min(TILE, columns))


def _placed(stages: Sequence[Stage], maps: Mapping[str, Map]) -> Plan:
    """All buffers at their offsets."""
    pieces: list[Buffer] = [*maps.values(), *(piece for stage in stages for piece in (stage.scratch, stage.sums))]
    lifetimes = [Lifetime(str(number), one.first, one.last, 0, one.bytes) for number, one in enumerate(pieces)]
    layout = first_fit([[one] for one in lifetimes], len(stages))
    offsets = {int(one.tensor): one.offset for one in layout.lifetimes}
    placed = iter([replace(one, offset=offsets.get(number, 0)) for number, one in enumerate(pieces)])
    found = {name: next(placed) for name in maps}
    moved = tuple(replace(stage, scratch=next(placed), sums=next(placed)) for stage in stages)
    return Plan(moved, {name: one for name, one in found.items() if isinstance(one, Map)}, layout.bytes)


def _rows(shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows of a tensor, and bytes of each; a row of features is one row."""
    return (shape[0], prod(shape[1:])) if len(shape) == 3 else (1, prod(shape))


def _up(count: int) -> int:
    return -(-count // ALIGNMENT) * ALIGNMENT
