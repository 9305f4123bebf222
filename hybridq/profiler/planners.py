"""Where tensors lie in an arena: two planners, on sizes and lifetimes alone.

`chain` is for networks without branches and finds what X-CUBE-AI finds; `first_fit` is for all others. In both, what is
alive at the same step never overlaps, except what a step reads and the result that it writes over it.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Lifetime(NamedTuple):
    """Where a tensor lies in the arena, in bytes, and from which step to which, both included."""

    tensor: str
    first: int  # counts the steps from 0
    last: int
    offset: int
    bytes: int

    @property
    def end(self) -> int:
        """The first byte above it."""
        return self.offset + self.bytes


@dataclass(frozen=True)
class Layout:
    """All tensors in their places. Those of no bytes lie outside the arena and are left out."""

    bytes: int  # of the arena
    peak: int  # the step that needs most
    lifetimes: tuple[Lifetime, ...]


def scratch_name(step: str) -> str:
    """What a step's scratch is called among the tensors."""
    return f"{step} (scratch)"


# ------------------------------------------------------------------------------------------------ chains


@dataclass(frozen=True)
class Link:
    """A step of a chain, with the bytes of what it reads, of its result and of its scratch."""

    name: str  # of the step and of its result
    source: int
    result: int
    scratch: int = 0
    # The choices: how far above the result what it reads must start, to be written over; None where it is not.
    lags: tuple[int | None, ...] = (None,)


@dataclass(frozen=True, order=True)
class _Way:
    """One way to lay out the steps from some step to the last."""

    below: int = 0  # how far above the bottom of its block the first tensor must start
    bytes: int = 0  # of the arena
    peak: int = 0
    apart: bool = field(default=True, compare=False)  # whether the first step keeps its result off what it reads
    rest: _Way | None = field(default=None, compare=False)  # the same without the first step


def chain(start: str, size: int, links: Sequence[Link]) -> Layout:
    """The smallest arena for steps each of which reads the result of the one before; the first reads `start`.

    Tensors written over one another hang together in a block: their lags add up. Walking backwards, the ways that are
    worse in both lag and bytes are dropped.
    """
    ways = [_Way(bytes=size if not links else 0)]
    for i, link in reversed(list(enumerate(links))):
        ways = _useful([_extended(way, i, link, lag) for way in ways for lag in link.lags])
    return min((_placed(start, size, links, way) for way in ways), key=lambda layout: layout.bytes)


def _extended(way: _Way, step: int, link: Link, lag: int | None) -> _Way:
    """The same way with one more step before its first."""
    if lag is None:
        below = 0
        needed = max(link.source + link.result + link.scratch, way.below + link.result)
    else:
        below = way.below + lag
        needed = _top(way.below, below, link)
        # What lies under the result is free; scratch that does not fit there comes on top.
        needed += link.scratch if link.scratch > way.below else 0
    fuller = needed > way.bytes
    return _Way(below, max(way.bytes, needed), step if fuller else way.peak, lag is None, way)


def _top(result: int, source: int, link: Link) -> int:
    """Where a step's two tensors end, by where they start."""
    return max(source + link.source, result + link.result)


def _useful(ways: list[_Way]) -> list[_Way]:
    """The ways that no other beats in both."""
    kept: list[_Way] = []
    for way in sorted(set(ways)):
        if not kept or way.bytes < kept[-1].bytes:
            kept.append(way)
    return kept


@dataclass
class _Block:
    """Tensors that hang together, by their distance from its bottom, where its last one starts."""

    below: int  # where its first tensor starts
    first: int  # bytes of its first tensor
    gap: int = 0  # scratch between its first tensor and the last one of the block before
    last: int = 0  # bytes of its last tensor
    height: int = 0
    inner: list[tuple[int, int, int]] = field(default_factory=list)  # its steps: bottom, top, scratch below or above


def _placed(start: str, size: int, links: Sequence[Link], way: _Way) -> Layout:
    """The chosen way with a place for each tensor; where its blocks do not fit in its bytes, in the least they do."""
    ways = [way]
    while rest := ways[-1].rest:
        ways.append(rest)
    blocks = [_Block(way.below, size, height=way.below + size)]
    holder = [blocks[0]]  # of each tensor
    for before, after, link in zip(ways, ways[1:], links, strict=False):
        if before.apart:
            blocks[-1].last = link.source
            blocks.append(_Block(after.below, link.result, link.scratch, height=after.below + link.result))
        else:
            top = _top(after.below, before.below, link)
            blocks[-1].height = max(blocks[-1].height, top)
            blocks[-1].inner.append((after.below, top, link.scratch))
        holder.append(blocks[-1])
    room, shifts = _fitted(blocks, way.bytes)
    starts = {id(block): shift for block, shift in zip(blocks, shifts, strict=True)}
    offsets = [starts[id(block)] + way.below for block, way in zip(holder, ways, strict=True)]
    found = [Lifetime(start, 0, 0, offsets[0], size)]
    for i, (link, source, result) in enumerate(zip(links, offsets, offsets[1:], strict=False)):
        found.append(Lifetime(link.name, i, min(i + 1, len(links) - 1), result, link.result))
        if ways[i].apart:
            at = source + link.source if result >= source + link.source else source - link.scratch
        else:
            at = result - link.scratch if result >= link.scratch else _top(result, source, link)
        found.append(Lifetime(scratch_name(link.name), i, i, at, link.scratch))
    return Layout(room, way.peak, tuple(one for one in found if one.bytes))


def _fitted(blocks: list[_Block], least: int) -> tuple[int, list[int]]:
    """The smallest arena of `least` bytes or more in which the blocks fit, and where each starts."""
    heights = [max([block.height, *(top + scratch for _, top, scratch in block.inner)]) for block in blocks]
    pairs = itertools.pairwise(heights)
    most = max([*heights, *(sum(pair) + block.gap for pair, block in zip(pairs, blocks[1:], strict=True))])
    rooms = range(least, max(most, least) + 1)
    room = rooms[bisect_left(rooms, True, key=lambda room: _shifts(blocks, room) is not None)]
    return room, _shifts(blocks, room) or []


def _shifts(blocks: list[_Block], room: int) -> list[int] | None:
    """Where each block starts in an arena of so many bytes; None where they do not fit.

    Only a block's first tensor and the last one of the block before are alive together. Forwards, the lowest and the
    highest start that each block can have; backwards, one of the two.
    """
    reach: list[tuple[int, int]] = []
    for i, block in enumerate(blocks):
        free = room - block.height
        barred = [(room - top - scratch, scratch - below) for below, top, scratch in block.inner]
        if i:
            barred.append(_neighbours(blocks[i - 1], block, *reach[-1]))
        low = _lowest(barred)
        high = free - _lowest([(free - above, free - below) for below, above in barred])
        if low > free or high < 0:
            return None
        reach.append((low, high))
    shifts = [reach[-1][0]]
    for i in reversed(range(len(blocks) - 1)):
        _, above = _neighbours(blocks[i], blocks[i + 1], *reach[i])
        shifts.append(reach[i][0] if shifts[-1] >= above else reach[i][1])
    return shifts[::-1]


def _neighbours(before: _Block, block: _Block, lowest: int, highest: int) -> tuple[int, int]:
    """Up to where a block is under the one before, at its highest; from where on above it, at its lowest."""
    return highest - block.gap - block.first - block.below, lowest + before.last + block.gap - block.below


def _lowest(barred: Iterable[tuple[int, int]]) -> int:
    """The lowest start, 0 or more, that is not strictly between the two of any pair."""
    found = 0
    for below, above in sorted(barred):
        if found <= below:
            break
        found = max(found, above)
    return found


# --------------------------------------------------------------------------------------- other networks


def first_fit(groups: Iterable[Sequence[Lifetime]], steps: int) -> Layout:
    """Each group in turn, the largest first, as low as it fits; those of one group start at the same byte.

    A group is a tensor, or a row of them of which each is written over the one before. Offsets given are ignored.
    """
    placed: list[Lifetime] = []
    groups = [group for group in groups if any(one.bytes for one in group)]
    for group in sorted(groups, key=lambda group: (-max(one.bytes for one in group), group[0].first)):
        offset = _lowest(
            (other.offset - one.bytes, other.end)
            for one in group
            for other in placed
            if other.first <= one.last and one.first <= other.last
        )
        placed += [one._replace(offset=offset) for one in group if one.bytes]
    return Layout(max((one.end for one in placed), default=0), _fullest(groups, steps), tuple(sorted(placed, key=_age)))


def _age(one: Lifetime) -> tuple[int, int, str]:
    return one.first, one.last, one.tensor


def _fullest(groups: Iterable[Sequence[Lifetime]], steps: int) -> int:
    """The step during which most bytes are alive; what is written over counts once."""
    steps = max(steps, 1)
    change = [0] * (steps + 1)

    def count(first: int, last: int, size: int) -> None:
        change[first] += size
        change[last + 1] -= size

    for group in groups:
        for one in group:
            count(one.first, one.last, one.bytes)
        for before, after in itertools.pairwise(group):
            count(after.first, after.first, -min(before.bytes, after.bytes))
    alive = list(itertools.accumulate(change))
    return max(range(steps), key=alive.__getitem__)
