"""Networks as operators, for tests of the arena."""

from __future__ import annotations

from typing import Any

from hybridq.graph.keras.layers import describe
from hybridq.graph.reader import Graph, Operator
from hybridq.profiler.accounting import accounting
from hybridq.profiler.count.arena import Ram, ram
from hybridq.profiler.count.merge import merge

VERSIONS = ("5.2", "6.0", "7.2", "8.1", "8.1:time", "9.0", "1.0", "2.2")
IMAGE = (6, 5, 2)


class Network:
    """A graph built from the settings of Keras layers, without Keras."""

    def __init__(self, *inputs: tuple[int, ...]) -> None:
        self.operators = [Operator(f"input{i}", "InputLayer", (), (), shape) for i, shape in enumerate(inputs)]

    def shape(self, name: str) -> tuple[int, ...]:
        return next(op.output_shape for op in self.operators if op.name == name)

    def add(self, kind: str, *sources: str, **config: Any) -> str:
        name, read = f"{kind}_{len(self.operators)}", sources or (self.operators[-1].name,)
        shapes = tuple(map(self.shape, read))
        found = describe({"class_name": kind, "config": config}, shapes, None)
        counts = (found.kernel, found.bias, found.other, found.precision, found.further_outputs)
        self.operators.append(Operator(name, kind, read, shapes, found.output_shape, found.attributes, *counts))
        return name

    def graph(self, *outputs: str) -> Graph:
        return Graph("network", tuple(self.operators), outputs or (self.operators[-1].name,))


def planned(network: Network, *outputs: str, version: str = "2.2") -> Ram:
    graph, rules = network.graph(*outputs), accounting(f"x-cube-ai:{version}")
    return ram(graph, merge(graph, rules), rules=rules)
