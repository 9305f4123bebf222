"""Where tensors lie in an arena, on sizes and lifetimes alone.

What is alive at the same step never overlaps, but for what a step reads and the result it writes over it. `overlapped`
finds what X-CUBE-AI's published reports say of networks without branches.
"""

from __future__ import annotations

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

    `groups` are those to place when the steps given do so, `choices` the steps that can. It ends where the fullest
    step is no choice, or was one that made the arena larger.
    """
    left = set(choices)
    taken: frozenset[int] = frozenset()
    best = first_fit(groups(taken), steps)
    for _ in range(MOST_OVERLAPS):
        if best.peak not in left:
            break
        left.remove(best.peak)
        more = taken | {best.peak}
        found = first_fit(groups(more), steps)
        if found.bytes <= best.bytes:
            taken, best = more, found
    return best


def first_fit(groups: Groups, steps: int) -> Layout:
    """Each group in turn as low as it fits: in the order that makes the arena smallest of the three below.

    A group is a tensor, or a row of them of which each is written over the one before; it moves as one, for the
    offsets given say how they lie to one another.
    """
    blocks = [block for group in groups if (block := _block(group))]
    orders = (
        sorted(blocks, key=lambda block: (-_size(block), block[0].first)),
        blocks,
        sorted(blocks, key=lambda block: (block[0].first, -_size(block))),
    )
    placed = min(map(_placed, orders), key=lambda placed: max((one.end for one in placed), default=0))
    return Layout(max((one.end for one in placed), default=0), _fullest(placed, steps), tuple(sorted(placed, key=_age)))


def _placed(blocks: Iterable[Sequence[Lifetime]]) -> list[Lifetime]:
    """The tensors of each block in turn, as low as it fits beside those before."""
    placed: list[Lifetime] = []
    for block in blocks:
        offset = _lowest(
            (other.offset - one.end, other.end - one.offset)
            for one in block
            for other in placed
            if other.first <= one.last and one.first <= other.last
        )
        placed += [one._replace(offset=offset + one.offset) for one in block]
    return placed


def _block(group: Sequence[Lifetime]) -> list[Lifetime]:
    """The tensors of a group that have bytes, the lowest at 0."""
    lowest = min((one.offset for one in group if one.bytes), default=0)
    return [one._replace(offset=one.offset - lowest) for one in group if one.bytes]


def _size(block: Iterable[Lifetime]) -> int:
    return max(one.end for one in block)


def _age(one: Lifetime) -> tuple[int, int, str]:
    return one.first, one.last, one.tensor


def _fullest(placed: Iterable[Lifetime], steps: int) -> int:
    """The step during which most bytes are taken; what is written over counts once."""
    taken = [0] * max(steps, 1)
    top = [0] * max(steps, 1)
    for one in sorted(placed, key=lambda one: one.offset):
        for i in range(one.first, one.last + 1):
            taken[i] += max(one.end - max(one.offset, top[i]), 0)
            top[i] = max(top[i], one.end)
    return max(range(len(taken)), key=taken.__getitem__)


def _lowest(barred: Iterable[tuple[int, int]]) -> int:
    """The lowest start, 0 or more, that is not strictly between the two of any pair."""
    found = 0
    for below, above in sorted(barred):
        if found <= below:
            break
        found = max(found, above)
    return found
