"""Which layers to make narrower so that a network fits a flash: the fewest, by their bytes alone.

What a layer's precision costs in accuracy is not in this: a suggestion is where to begin, not a result.
"""

from __future__ import annotations

import glob
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hybridq.formats import Format
from hybridq.graph.reader import Graph
from hybridq.precision import PARTS, PrecisionPlan
from hybridq.profiler.accounting import NEWEST, Accounting
from hybridq.profiler.count import macc
from hybridq.profiler.count.memory import stored_as, weights_bytes
from hybridq.profiler.count.merge import merge, precision_of
from hybridq.profiler.result import Result

if TYPE_CHECKING:
    from hybridq.profiler.packed import Image


@dataclass(frozen=True)
class Change:
    """One layer made narrower: the bytes that this saves, and the flash of the network after it."""

    layer: str
    before: Format
    saved_bytes: int
    flash_bytes: int


@dataclass(frozen=True, repr=False)
class Suggestion(Result):
    """A precision plan, how it comes about, and whether it is enough."""

    name: str  # of the network
    plan: PrecisionPlan
    to: Format
    limit_bytes: int
    start_bytes: int  # flash before the first change
    changes: tuple[Change, ...]  # the most bytes saved first
    not_costed: tuple[str, ...] = ()  # layers without a rule: of them only the arrays of the file are counted

    @property
    def flash_bytes(self) -> int:
        """Flash under the plan."""
        return self.changes[-1].flash_bytes if self.changes else self.start_bytes

    @property
    def fits(self) -> bool | None:
        """Whether that is within the limit; None where it may be, for a layer is not counted."""
        return False if self.flash_bytes > self.limit_bytes else not self.not_costed or None


def suggest(
    graph: Graph,
    flash_bytes: int,
    to: Format = Format.BINARY,
    start: PrecisionPlan | None = None,
    keep_last: bool = True,
    rules: Accounting = NEWEST,
) -> Suggestion:
    """The fewest layers whose weights must go to the precision `to` for the network to take `flash_bytes` or less.

    `start` is the plan to begin with; without it the network's own precisions. With `keep_last` the layers that the
    network ends with, which decide between the classes, are changed only where all others are not enough. If nothing
    is enough, all layers that save something are changed. The bytes are counted by `rules`.

    What a layer saves depends on its own precision only, so whoever takes the largest savings first needs the fewest.
    """
    base = start or PrecisionPlan(_own_rules(graph))
    image = _image(graph, base, rules)
    steps = {op.name: step for step in merge(graph, rules, base) for op in step.operators}

    def flash(plan: PrecisionPlan) -> int:
        return sum(weights_bytes(merge(graph, rules, plan), plan, rules))

    def saving(name: str) -> int:
        if image:
            return image.saving(name, to)
        narrowed, step = base.narrowed({name: to}), steps[name]
        if step.head:  # with narrow weights the batch norm before it is a step of its own
            return start_bytes - flash(narrowed)
        return sum(weights_bytes((step,), base, rules)) - sum(weights_bytes((step,), narrowed, rules))

    total = start_bytes = sum(image.sizes) if image else flash(base)
    now = {op.name: precision_of(op, base).weights for op in graph.weighted}
    names = [name for name, weights in now.items() if to.bits < weights.bits]
    savings = {name: saved for name in names if (saved := saving(name)) > 0}  # tables may eat it up
    if keep_last:
        last = _last(graph)
        others = {name: saved for name, saved in savings.items() if name not in last}
        if total - sum(others.values()) <= flash_bytes:
            savings = others
    changes = []
    for name, saved in sorted(savings.items(), key=lambda pair: -pair[1]):
        if total <= flash_bytes:
            break
        total -= saved
        changes.append(Change(name, now[name], saved, total))
    plan = base.narrowed({change.layer: to for change in changes})
    missing = tuple(filter(None, (macc.not_costed(op) for op in graph.operators if op.kind != "InputLayer")))
    return Suggestion(graph.name, plan, to, flash_bytes, start_bytes, tuple(changes), missing)


def _image(graph: Graph, plan: PrecisionPlan, rules: Accounting) -> Image | None:
    """The image that the bytes are those of, if they are."""
    if not rules.own:
        return None
    from hybridq.profiler.packed import image_of

    image = image_of(graph, plan)
    return None if isinstance(image, str) else image  # text: why there is none


def _own_rules(graph: Graph) -> tuple[tuple[str, tuple[tuple[str, Format], ...]], ...]:
    """The precisions that the layers have by themselves, as rules; none for a float network."""
    own = {
        op.name: replace(precision_of(op, None), weights=stored_as(op, None)) for op in graph.weighted if op.precision
    }
    return tuple(
        (glob.escape(name), tuple((part, getattr(precision, part)) for part in PARTS))
        for name, precision in own.items()
    )


def _last(graph: Graph) -> set[str]:
    """The layers with a kernel after which there is no other on the way to an output."""
    operators = {op.name: op for op in graph.operators}
    last, waiting, seen = set(), list(graph.outputs), set()
    while waiting:
        op = operators[waiting.pop()]
        if op.name in seen:
            continue
        seen.add(op.name)
        if op.kernel:
            last.add(op.name)
        else:
            waiting.extend(op.inputs)
    return last
