"""The multiple-choice knapsack problem, solved exactly: one option of every group, the least cost within a limit.

By dynamic programming over the groups: after each of them there is a list of the partial choices that can still become
one of the best. Kellerer, Pferschy and Pisinger, Knapsack Problems (Springer 2004), chapter 11.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import NamedTuple


class Option(NamedTuple):
    """What taking it costs, and what it adds to the weight. Either may be negative."""

    cost: float
    weight: float


class _Part(NamedTuple):
    """A choice among the first groups; by `sorted` the lightest comes first."""

    weight: float
    cost: float
    places: tuple[int, ...]


def best_choices(groups: Sequence[Sequence[Option]], limit: float, count: int = 1) -> list[tuple[int, ...]]:
    """The `count` choices of least cost with a weight of at most `limit`, the cheapest first; or all there are.

    A choice is the place of the option taken of each group. Of equal cost the lighter comes first; beyond `count`,
    choices that cost and weigh no less than so many others are left out.
    """
    parts = [_Part(0, 0, ())] if groups or limit >= 0 else []
    for at, group in enumerate(groups):
        lightest = sum(min(option.weight for option in later) for later in groups[at + 1 :])
        grown = (
            _Part(part.weight + option.weight, part.cost + option.cost, (*part.places, place))
            for part in parts
            for place, option in enumerate(group)
        )
        parts = _promising([part for part in grown if part.weight + lightest <= limit], count)
    return [part.places for part in sorted(parts, key=lambda part: (part.cost, part.weight))[:count]]


def _promising(parts: list[_Part], count: int) -> list[_Part]:
    """Those that fewer than `count` others beat: whatever follows, the others give better choices than the rest do."""
    kept: list[_Part] = []
    cheapest: list[float] = []  # the costs of the `count` cheapest so far, negated: the dearest of them first
    for part in sorted(parts):
        if len(cheapest) < count:
            heapq.heappush(cheapest, -part.cost)
        elif part.cost < -cheapest[0]:
            heapq.heapreplace(cheapest, -part.cost)
        else:
            continue
        kept.append(part)
    return kept
