"""Where tensors lie in an arena: two planners, on sizes and lifetimes alone.

`chain` is for networks without branches, and gives what X-CUBE-AI's published reports say; `overlapped` is for all
others. What is alive at the same step never overlaps, but for what a step reads and the result it writes over it.
"""

from __future__ import annotations

from bisect import bisect_left
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

    def top(self, lag: int) -> int:
        """How far above the start of the result the two tensors end, one written over the other."""
        return max(lag + self.source, self.result)


Reach = list[tuple[int, int]]  # where a tensor may start: ranges of bytes, both ends included


def chain(start: str, size: int, links: Sequence[Link]) -> Layout:
    """The smallest arena for steps each of which reads the result of the one before; the first reads `start`.

    Forwards, all the places that each tensor can have in an arena of some size; then backwards, one of them for each.
    The lags of tensors written over one another add up.
    """
    most = size + sum(link.result + link.scratch + max(lag or 0 for lag in link.lags) for link in links)
    room = bisect_left(range(most), True, key=lambda room: bool(_reaches(size, links, room)))
    reaches = _reaches(size, links, room)
    offset = reaches[-1][0][0]
    found, needs = [], [0]
    for i, (link, sources) in reversed(list(enumerate(zip(links, reaches, strict=False)))):
        found.append(Lifetime(link.name, i, min(i + 1, len(links) - 1), offset, link.result))
        offset, scratch, needed = _source(link, sources, offset, room)
        found.append(Lifetime(scratch_name(link.name), i, i, scratch, link.scratch))
        needs.insert(0, needed)
    found.append(Lifetime(start, 0, 0, offset, size))
    return Layout(room, needs.index(max(needs)), tuple(one for one in reversed(found) if one.bytes))


def _reaches(size: int, links: Sequence[Link], room: int) -> list[Reach]:
    """Where each tensor may start in an arena of `room` bytes, given where the one before may; empty if nowhere."""
    reaches = [_union([(0, room - size)])]
    for link in links:
        if not reaches[-1]:
            break
        reaches.append(_union([one for lag in link.lags for one in _choice(link, lag, reaches[-1], room)]))
    return reaches if reaches[-1] else []


def _choice(link: Link, lag: int | None, sources: Reach, room: int) -> Reach:
    """Where the result may start, by one choice."""
    if lag is None:  # above the source or below it, with the scratch between them
        lowest, highest = sources[0][0], sources[-1][1]
        return [
            (0, highest - link.scratch - link.result),
            (lowest + link.source + link.scratch, room - link.result),
        ]
    windows = (link.scratch, room - link.result), (0, room - link.top(lag) - link.scratch)  # scratch below or above
    return [
        (max(low - lag, first), min(high - lag, last, room - link.result))
        for low, high in sources
        for first, last in windows
    ]


def _source(link: Link, sources: Reach, result: int, room: int) -> tuple[int, int, int]:
    """Where the source and the scratch start for a result that starts there; and the bytes that the step needs."""
    for lag in link.lags:
        if not any(first <= result <= last for first, last in _choice(link, lag, sources, room)):
            continue
        if lag is not None:
            below = result >= link.scratch
            return (
                result + lag,
                result - link.scratch if below else result + link.top(lag),
                link.top(lag) + link.scratch,
            )
        needed = link.source + link.result + link.scratch
        if result >= sources[0][0] + link.source + link.scratch:
            return sources[0][0], sources[0][0] + link.source, needed
        return sources[-1][1], sources[-1][1] - link.scratch, needed
    raise AssertionError(f"{link.name}: no choice leads to {result}")


def _union(ranges: Iterable[tuple[int, int]]) -> Reach:
    """The same ranges in order, those that touch joined, without the empty ones."""
    found: Reach = []
    for first, last in sorted(one for one in ranges if one[0] <= one[1]):
        if found and first <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(found[-1][1], last)
        else:
            found.append((first, last))
    return found


# --------------------------------------------------------------------------------------- other networks


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
    """Each group in turn, the largest first, as low as it fits.

    A group is a tensor, or a row of them of which each is written over the one before; it moves as one, for the
    offsets given say how they lie to one another.
    """
    placed: list[Lifetime] = []
    blocks = [block for group in groups if (block := _block(group))]
    for block in sorted(blocks, key=lambda block: (-max(one.end for one in block), block[0].first)):
        offset = _lowest(
            (other.offset - one.end, other.end - one.offset)
            for one in block
            for other in placed
            if other.first <= one.last and one.first <= other.last
        )
        placed += [one._replace(offset=offset + one.offset) for one in block]
    return Layout(max((one.end for one in placed), default=0), _fullest(placed, steps), tuple(sorted(placed, key=_age)))


def _block(group: Sequence[Lifetime]) -> list[Lifetime]:
    """The tensors of a group that have bytes, the lowest at 0."""
    lowest = min((one.offset for one in group if one.bytes), default=0)
    return [one._replace(offset=one.offset - lowest) for one in group if one.bytes]


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
