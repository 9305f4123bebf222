"""In what order an integer network runs on the device, and where its tensors lie in one static arena.

A network runs in stages, each a run of consecutive layers (`stage_costs`). Stages share the arena, so where to cut is a
matter of exact bytes: of all ways to cut, those whose fullest stage is smallest, and of these one with as many stages
as there can be, as layer by layer is simpler. Each convolution then gets as much scratch as the fullest stage leaves
room for: that saves instructions.

The states of memories, which stay from run to run, lie outside the arena.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from hybridq.arena.planners import Lifetime, first_fit
from hybridq.image.packing import is_gathered, least_tile, scratch_bytes
from hybridq.image.stage_costs import StageCosts, cuts_of, rounded_up
from hybridq.image.steps import Step, steps_of
from hybridq.integer.network import Convolution, Depthwise, IntegerNetwork


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
    """Layers that run together, row by row; `outputs` are those that later stages read, or that leave the network."""

    steps: tuple[Step, ...]
    outputs: tuple[Step, ...]
    tiles: Mapping[str, int]  # of the convolutions
    scratch: Buffer
    sums: Buffer


@dataclass(frozen=True)
class Plan:
    """The stages in their order, the tensors by name, and the bytes of the arena.

    What leaves the network and is read by no layer lies outside.
    """

    stages: tuple[Stage, ...]
    maps: Mapping[str, Map]
    arena_bytes: int

    @cached_property
    def buffers(self) -> tuple[Buffer, ...]:
        """All pieces of the arena, by the stage in which they begin."""
        pieces = [*self.maps.values(), *(piece for stage in self.stages for piece in (stage.scratch, stage.sums))]
        return tuple(sorted((one for one in pieces if one.bytes), key=lambda one: (one.first, one.offset)))


def plan(network: IntegerNetwork) -> Plan:
    """The plan of a network that `checks.check` accepts. Layers that no output depends on are left out."""
    steps = steps_of(network)
    costs = StageCosts(steps)
    cuts = cuts_of(costs, len(steps))
    most = max(costs.bytes(first, end) for first, end in cuts)
    stages: list[Stage] = []
    maps: dict[str, Map] = {}
    for number, (first, end) in enumerate(cuts):
        inside, parts = tuple(steps[first:end]), costs.parts(first, end)
        room = parts.scratch + most - costs.bytes(first, end)
        convolutions = {step.name: step.layer for step in inside if isinstance(step.layer, Convolution | Depthwise)}
        tiles = {name: _tile(layer, room) for name, layer in convolutions.items() if not is_gathered(layer)}
        scratch = max(rounded_up(step.scratch(tiles.get(step.name, 0))) for step in inside)
        stages.append(
            Stage(
                steps=inside,
                outputs=tuple(step for step in inside if step.leaves or costs.last[step.name] >= end),
                tiles=tiles,
                scratch=Buffer(f"scratch {number + 1}", scratch, number, number),
                sums=Buffer(f"sums {number + 1}", parts.sums, number, number),
            )
        )
        for step in inside:
            if step.outside:
                continue
            kept = parts.kept[step.name]
            last = next(k for k, (_, stop) in enumerate(cuts) if costs.last[step.name] < stop)
            size = rounded_up(kept * step.row_bytes)
            maps[step.name] = Map(step.name, size, number, last, 0, step.rows, step.row_bytes, kept)
    return _placed(stages, maps)


def _tile(layer: Convolution | Depthwise, room: int) -> int:
    """The most columns, an even number or all, for which a strip fits into the room; the least where none does."""
    columns, least = layer.shape[1], least_tile(layer)
    if rounded_up(scratch_bytes(layer, columns)) <= room:
        return columns
    fitting = (tile for tile in range(least, columns, 2) if rounded_up(scratch_bytes(layer, tile)) <= room)
    return max(fitting, default=least)


def _placed(stages: Sequence[Stage], maps: Mapping[str, Map]) -> Plan:
    """All buffers at their offsets."""
    pieces: list[Buffer] = [*maps.values(), *(piece for stage in stages for piece in (stage.scratch, stage.sums))]
    lifetimes = [Lifetime(str(number), one.first, one.last, 0, one.bytes) for number, one in enumerate(pieces)]
    layout = first_fit([[one] for one in lifetimes], len(stages))
    offsets = {int(one.tensor): one.offset for one in layout.lifetimes}
    placed = iter([replace(one, offset=offsets.get(number, 0)) for number, one in enumerate(pieces)])
    moved_maps = {name: next(placed) for name in maps}
    moved = tuple(replace(stage, scratch=next(placed), sums=next(placed)) for stage in stages)
    return Plan(moved, {name: one for name, one in moved_maps.items() if isinstance(one, Map)}, layout.bytes)
