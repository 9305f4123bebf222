"""From when to when each tensor of a network is needed, and which lie over one another: what a planner places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hybridq.arena.choices import Choice, Over
from hybridq.arena.planners import Lifetime, scratch_name
from hybridq.graph.reader import Graph
from hybridq.profiler.count.merge import Step, outputs_of
from hybridq.profiler.count.overlap import written_over


class Needs(NamedTuple):
    """What a step needs of the arena, in bytes."""

    result: int  # 0 outside the arena
    scratch: int
    overlap: int | None  # see `overlap.overlap`
    always: bool  # whether it writes over what it reads in every plan
    scratch_above: bool  # above its input and its result, where it writes over the input; False: anywhere
    unclipped: bool  # whether it holds its result twice: before its nonlinearity too


def choices(needs: Sequence[Needs]) -> list[Choice]:
    """What a plan may write over what."""
    found = [Choice(i) for i, need in enumerate(needs) if need.overlap is not None and not need.always]
    return found + [Choice(i, Over.UNCLIPPED) for i, need in enumerate(needs) if need.unclipped]


def lifetimes(
    graph: Graph,
    steps: tuple[Step, ...],
    inside: Mapping[str, int],
    needs: Sequence[Needs],
    taken: frozenset[Choice],
) -> list[list[Lifetime]]:
    """Tensors with their lifetimes, together with those written over them, and the scratch of each step; in order.

    A network input is there from the start, an output to the end. `taken` are the choices of a plan, `inside` the bytes
    of each tensor in the arena.
    """
    leaving = outputs_of(graph, steps) | frozenset(graph.outputs)
    end = max(len(steps) - 1, 0)
    last = {name: i for i, step in enumerate(steps) for name in (step.name, *step.inputs)}
    last |= {name: end for name in leaving if name in inside}
    starts = [op.name for op in graph.operators if op.kind == "InputLayer"]
    group_of = {name: [Lifetime(name, 0, last.get(name, 0), 0, inside[name])] for name in starts}
    placed = {name: group[0] for name, group in group_of.items()}
    groups = list(group_of.values())
    for i, (step, need) in enumerate(zip(steps, needs, strict=True)):
        dying = [name for name in step.inputs if last[name] == i and name not in leaving]
        over = need.always or Choice(i) in taken
        lag = need.overlap if over and step.inputs and step.inputs[0] in dying else None
        under = step.inputs[0] if lag is not None else written_over(step, inside, dying)
        own = Lifetime(step.name, i, last[step.name], placed[under].offset - (lag or 0) if under else 0, need.result)
        work = Lifetime(scratch_name(step.name), i, i, 0, need.scratch)
        if lag and need.scratch_above:
            group_of[under].append(work._replace(offset=max(placed[under].end, own.end)))
        else:
            groups.append([work])
        placed[step.name] = own
        group_of[step.name] = group_of[under] if under else []
        group_of[step.name].append(own)
        if need.unclipped:
            before = Lifetime(f"{step.name} (before its nonlinearity)", i, i, own.offset, need.result)
            if Choice(i, Over.UNCLIPPED) in taken:
                group_of[step.name].append(before)
            else:
                groups.append([before._replace(offset=0)])
        if not under:
            groups.append(group_of[step.name])
    return groups
