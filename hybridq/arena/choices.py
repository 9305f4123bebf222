"""Plans in which some tensors are written over others, where that makes the arena smaller: choice by choice."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import NamedTuple

from hybridq.arena.planners import Groups, Layout, Lifetime, first_fit

MOST_OVERLAPS = 50  # that are tried, beside those that cost nothing
PATIENCE = 25  # choices that may make the arena larger before one makes it smaller than ever


class Over(IntEnum):
    """What a step may write its result over; of two at one step the lower is tried first."""

    UNCLIPPED = 0  # the values before its nonlinearity
    INPUT = 1


class Choice(NamedTuple):
    """A step, and what it may write over."""

    step: int
    over: Over = Over.INPUT


Grouped = Callable[[frozenset[Choice]], Groups]
Placed = Callable[[Groups, int], Layout]


def overlapped(groups: Grouped, choices: Iterable[Choice], steps: int) -> Layout:
    """`first_fit` with choices taken one after the other: always one of the fullest step.

    `groups` are those to place when the choices given are taken. Where the fullest step has no choice, it is one at
    which the arena ends, for there may be gaps below; and without such a step it is done. What makes the arena larger
    is not taken.
    """
    left = sorted(choices)
    taken: frozenset[Choice] = frozenset()
    best = first_fit(groups(taken), steps)
    for _ in range(MOST_OVERLAPS):
        at_top = _at_top(best)
        choice = next((one for i in (best.peak, *at_top) for one in left if one.step == i), None)
        if choice is None:
            break
        left.remove(choice)
        more = taken | {choice}
        layout = first_fit(groups(more), steps)
        if layout.bytes <= best.bytes:
            taken, best = more, layout
    return best


def gradual(groups: Grouped, choices: Iterable[Choice], steps: int, place: Placed) -> Layout:
    """The smallest layout met when, again and again, one choice is taken of the steps at which the arena ends.

    Of those the one that makes the arena smallest, or least larger: several may have to be taken before it shrinks. It
    ends where no step at the top has a choice left, or where the arena grew `PATIENCE` times.
    """
    left = set(choices)
    taken: frozenset[Choice] = frozenset()
    now = best = place(groups(taken), steps)
    grew = 0
    while grew <= PATIENCE:
        tops = set(_at_top(now))
        tries = [(place(groups(taken | {one}), steps), one) for one in sorted(left) if one.step in tops]
        if not tries:
            break
        layout, choice = min(tries, key=lambda tried: tried[0].bytes)
        grew += layout.bytes > now.bytes
        left.remove(choice)
        taken, now = taken | {choice}, layout
        best = min(best, now, key=lambda one: one.bytes)
    return best


def _at_top(layout: Layout) -> list[int]:
    """The steps at which a tensor ends where the arena does."""
    tops: Iterable[Lifetime] = (one for one in layout.lifetimes if one.end == layout.bytes)
    return sorted({i for one in tops for i in range(one.first, one.last + 1)})
