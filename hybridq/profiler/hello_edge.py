"""The size of a network as the paper Hello Edge counts it (Zhang et al., arXiv 1711.07128, table 4).

The paper states that weights and activations have 8 bits, and gives the sums. That these are counted as here is a
reconstruction: it gives 38 of the 42 printed figures to their last digit, and the other four within 0.1
(`docs/results/zoo.md`).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from hybridq.graph.reader import Operator, read_graph
from hybridq.profiler.count import memory
from hybridq.profiler.count.merge import Step, merge

CELL = 4  # sums and products of a recurrent cell, for each unit and step


@dataclass(frozen=True)
class Size:
    """What a network needs, for one inference; batch norms behind convolutions are folded into them."""

    parameters: int
    macs: int  # products of a weight and a value
    memory_bytes: int
    operations: int


def size(model: Any) -> Size:
    """The size of a Keras model, a model file or a Graph.

    Memory: a byte for each parameter, and for each value that is there while the layer with weights runs that has most
    of them: what it reads and gives, the gates of a recurrent layer, and what a later layer reads. Operations: two for
    each product of a weight, one for each bias added, and 4 a unit and step in recurrent cells.
    """
    graph = read_graph(model)
    steps = merge(graph)
    parameters = sum(map(memory.parameters, steps))
    weighted = [step.operator for step in steps if step.operator.kernel]
    macs = sum(op.kernel * _places(op) for op in weighted)
    last = {source: place for place, step in enumerate(steps) for source in step.inputs}
    values = {op.name: prod(op.output_shape) for op in graph.operators if op.kind == "InputLayer"}
    most = 0
    for place, step in enumerate(steps):
        values = {name: count for name, count in values.items() if last.get(name, -1) >= place}
        if step.operator.kernel:
            most = max(most, sum(values.values()) + _results(step))
        values[step.name] = prod(step.map_shape)
    return Size(
        parameters, macs, parameters + most, 2 * macs + sum(_additions(step) for step in steps if step.operator.kernel)
    )


def _places(op: Operator) -> int:
    """How often a layer uses each of its weights: at each place of its results, or at each step."""
    return int(op.attributes.get("steps") or prod(op.output_shape[:-1]))


def _results(step: Step) -> int:
    """Values that a layer gives; of a recurrent one those of its gates, and its cells where they are projected."""
    attributes = step.operator.attributes
    if "gates" not in attributes:
        return prod(step.map_shape)
    return int(attributes["units"] * (attributes["gates"] + ("projection" in attributes)))


def _additions(step: Step) -> int:
    """Operations of a layer beside its products."""
    attributes = step.operator.attributes
    if "gates" not in attributes:
        return prod(step.map_shape)
    return int(attributes["steps"] * attributes["units"] * (attributes["gates"] + CELL))
