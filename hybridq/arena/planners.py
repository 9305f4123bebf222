"""Where tensors lie in an arena, on sizes and lifetimes alone.

What is alive at the same step never overlaps, but for what a step reads and the result it writes over it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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


Groups = Iterable[Sequence[Lifetime]]


def first_fit(groups: Groups, steps: int) -> Layout:
    """Each group in turn as low as it fits: in the order that makes the arena smallest of those tried.

    A group is a tensor, or a row of them of which each is written over the one before; it moves as one, for the
    offsets given say how they lie to one another.
    """
    blocks = [block for group in groups if (block := _block(group))]
    orders = (
        sorted(blocks, key=lambda block: (-_top(block), block[0].first)),
        blocks,
        sorted(blocks, key=lambda block: (block[0].first, -_top(block))),
    )
    tries = list(map(_placed, orders))
    # Without branches two blocks are there at once, and scratch: at both ends of the least room there are no gaps.
    lasting = [block for block in blocks if block[0].first < block[-1].last]
    crowd = Counter(i for block in lasting for i in range(block[0].first, block[-1].last + 1))
    if max(crowd.values(), default=0) <= 2:
        brief = [block for block in blocks if block[0].first >= block[-1].last]
        tries.append(_placed([*lasting, *brief], max(_taken(tries[0], steps))))
    return _layout(min(tries, key=_top), steps)


def largest_first(groups: Groups, steps: int) -> Layout:
    """Each group in turn as low as it fits, the largest first."""
    blocks = [block for group in groups if (block := _block(group))]
    return _layout(_placed(sorted(blocks, key=lambda block: (-_top(block), block[0].first))), steps)


def in_order(groups: Groups, steps: int) -> Layout:
    """Each group in turn as low as it fits, in the order given."""
    return _layout(_placed(block for group in groups if (block := _block(group))), steps)


def around_fullest(groups: Groups, steps: int) -> Layout:
    """What is alive at the fullest step first, then what comes later in order of time, then what was before, backwards.

    Each as low as it fits, but for what was before: as high as it fits below the top of the others. So X-CUBE-AI lays
    networks of 8-bit layers that clip their results, as their generated code shows.
    """
    blocks = [block for group in groups if (block := _block(group))]
    needs = needed(blocks, steps)
    peak = needs.index(max(needs))
    alive = [block for block in blocks if any(one.first <= peak <= one.last for one in block)]
    others = [block for block in blocks if block not in alive]
    after = sorted((block for block in others if _first(block) > peak), key=_first)
    before = sorted(
        (block for block in others if _first(block) < peak), key=lambda block: (-_last(block), -_top(block))
    )
    placed = _placed([*alive, *after])
    return _layout([*placed, *_placed(before, _top(placed), placed, high=True)], steps)


def needed(groups: Groups, steps: int) -> list[int]:
    """The bytes that each step needs wherever the groups lie: no plan has a smaller arena than the largest of them."""
    apart = (_taken(block, steps) for group in groups if (block := _block(group)))
    return [sum(each) for each in zip(*apart, [0] * max(steps, 1), strict=True)]


def _layout(placed: Sequence[Lifetime], steps: int) -> Layout:
    taken = _taken(placed, steps)
    return Layout(_top(placed), taken.index(max(taken)), tuple(sorted(placed, key=_age)))


def lowest_fit(wanted: Iterable[Lifetime], fixed: Iterable[Lifetime] = ()) -> tuple[Lifetime, ...]:
    """Each tensor in turn as low as it fits beside those before; `fixed` lie where they are, before all others.

    Tensors that are alive at no step (from -1 to -1) meet each other alone.
    """
    placed = list(fixed)
    there: defaultdict[int, list[Lifetime]] = defaultdict(list)
    for one in placed:
        for step in range(one.first, one.last + 1):
            there[step].append(one)
    for one in wanted:
        steps = range(one.first, one.last + 1)
        barred = {(other.offset - one.bytes, other.end) for step in steps for other in there[step] if other.bytes}
        placed.append(one._replace(offset=_lowest(barred)))
        for step in steps:
            there[step].append(placed[-1])
    return tuple(placed)


def _placed(
    blocks: Iterable[Sequence[Lifetime]], room: int = 0, beside: Iterable[Lifetime] = (), high: bool = False
) -> list[Lifetime]:
    """The tensors of each block in turn, as low as it fits beside those before and `beside` those placed already.

    With a room: what does not fit at its bottom lies as high in it as it fits; all of it with `high`.
    """
    placed: list[Lifetime] = []
    there: defaultdict[int, list[Lifetime]] = defaultdict(list)  # by step: of thousands of layers few meet
    for other in beside:
        for step in range(other.first, other.last + 1):
            there[step].append(other)
    for block in blocks:
        barred = {
            (other.offset - one.end, other.end - one.offset)
            for one in block
            for step in range(one.first, one.last + 1)
            for other in there[step]
        }
        offset, free = _lowest(barred), room - _top(block)
        highest = free - _lowest((free - above, free - below) for below, above in barred)
        if (offset or high) and highest >= 0:
            offset = highest
        for one in block:
            placed.append(one._replace(offset=offset + one.offset))
            for step in range(one.first, one.last + 1):
                there[step].append(placed[-1])
    return placed


def _block(group: Sequence[Lifetime]) -> list[Lifetime]:
    """The tensors of a group that have bytes, the lowest at 0."""
    lowest = min((one.offset for one in group if one.bytes), default=0)
    return [one._replace(offset=one.offset - lowest) for one in group if one.bytes]


def _first(block: Iterable[Lifetime]) -> int:
    return min(one.first for one in block)


def _last(block: Iterable[Lifetime]) -> int:
    return max(one.last for one in block)


def _age(one: Lifetime) -> tuple[int, int, str]:
    return one.first, one.last, one.tensor


def _top(placed: Iterable[Lifetime]) -> int:
    return max((one.end for one in placed), default=0)


def _taken(placed: Iterable[Lifetime], steps: int) -> list[int]:
    """The bytes taken during each step; what is written over counts once."""
    taken = [0] * max(steps, 1)
    top = [0] * max(steps, 1)
    for one in sorted(placed, key=lambda one: one.offset):
        for i in range(one.first, one.last + 1):
            taken[i] += max(one.end - max(one.offset, top[i]), 0)
            top[i] = max(top[i], one.end)
    return taken


def _lowest(barred: Iterable[tuple[int, int]]) -> int:
    """The lowest start, 0 or more, that is not strictly between the two of any pair."""
    start = 0
    for below, above in sorted(barred):
        if start <= below:
            break
        start = max(start, above)
    return start
