"""Where tensors lie in an arena, on sizes and lifetimes alone.

What is alive at the same step never overlaps, but for what a step reads and the result it writes over it. `overlapped`
finds what X-CUBE-AI's published reports say of networks without branches.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

MOST_OVERLAPS = 50  # that are tried, beside those that cost nothing


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


def overlapped(groups: Callable[[frozenset[int]], Groups], choices: Iterable[int], steps: int) -> Layout:
    """`first_fit` with steps that write over what they read, taken one after the other: always the fullest step.

    `groups` are those to place when the steps given do so, `choices` the steps that can. Where the fullest step is no
    choice, it is one at which the arena ends, for there may be gaps below; and without such a step it is done.
    """
    left = set(choices)
    taken: frozenset[int] = frozenset()
    best = first_fit(groups(taken), steps)
    for _ in range(MOST_OVERLAPS):
        at_top = {i for one in best.lifetimes if one.end == best.bytes for i in range(one.first, one.last + 1)}
        step = next((i for i in (best.peak, *sorted(at_top)) if i in left), None)
        if step is None:
            break
        left.remove(step)
        more = taken | {step}
        layout = first_fit(groups(more), steps)
        if layout.bytes <= best.bytes:
            taken, best = more, layout
    return best


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
    placed = min(tries, key=_top)
    taken = _taken(placed, steps)
    return Layout(_top(placed), taken.index(max(taken)), tuple(sorted(placed, key=_age)))


def _placed(blocks: Iterable[Sequence[Lifetime]], room: int = 0) -> list[Lifetime]:
    """The tensors of each block in turn, as low as it fits beside those before.

    With a room: what does not fit at its bottom lies as high in it as it fits.
    """
    placed: list[Lifetime] = []
    there: defaultdict[int, list[Lifetime]] = defaultdict(list)  # by step: of thousands of layers few meet
    for block in blocks:
        barred = {
            (other.offset - one.end, other.end - one.offset)
            for one in block
            for step in range(one.first, one.last + 1)
            for other in there[step]
        }
        offset, free = _lowest(barred), room - _top(block)
        high = free - _lowest((free - above, free - below) for below, above in barred)
        if offset and high >= 0:
            offset = high
        for one in block:
            placed.append(one._replace(offset=offset + one.offset))
            for step in range(one.first, one.last + 1):
                there[step].append(placed[-1])
    return placed


def _block(group: Sequence[Lifetime]) -> list[Lifetime]:
    """The tensors of a group that have bytes, the lowest at 0."""
    lowest = min((one.offset for one in group if one.bytes), default=0)
    return [one._replace(offset=one.offset - lowest) for one in group if one.bytes]


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
