"""When each tensor and scratch buffer of a file is needed: what its planner is given."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from hybridq.arena.planners import Lifetime
from hybridq.errors import UserError
from hybridq.profiler.tflm.model import ONLINE, Model, Op, Subgraph
from hybridq.profiler.tflm.structs import BUFFER, rounded

CALLS = {"IF": (0, 1), "WHILE": (0, 1), "CALL_ONCE": (0,)}  # the options of an operator that name subgraphs
NEVER = (-1, -1)  # the steps of a tensor that no operator needs
MOST_STEPS, MOST_DEPTH = 50_000, 20  # of operators that call subgraphs: beyond them a file is damaged or hostile


class Request(NamedTuple):
    """A scratch buffer, as an operator asks for it."""

    subgraph: int
    op: int
    bytes: int


@dataclass
class Scope:
    """The steps in which tensors and scratch are first and last needed; a called subgraph has steps of its own."""

    model: Model
    requests: Sequence[Request]
    step: int = 0
    tensors: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)  # by subgraph and tensor
    scratch: dict[int, tuple[int, int]] = field(default_factory=dict)
    rows: list[int] = field(default_factory=lambda: [0])  # for each step the operator of the network that it is of

    def __post_init__(self) -> None:
        asked: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        for number, one in enumerate(self.requests):
            asked[one.subgraph, one.op].append(number)
        self.asked = asked
        self.run(0, 0)

    def row(self, step: int) -> int:
        """The operator of the network that a step is of, from 0."""
        return self.rows[max(step, 0)]

    def run(self, number: int, depth: int) -> None:
        """Go through a subgraph."""
        graph = self.model.subgraphs[number]
        self._mark(number, *graph.inputs)
        for index, op in enumerate(graph.ops):
            self._next(index if not depth else self.rows[-1])
            begun = self.step
            self._mark(number, *op.outputs)
            for called in _called(op, self.model) if depth < MOST_DEPTH else ():
                self._next(self.rows[-1])
                self.run(called, depth + 1)
            self._mark(number, *(i for i in op.inputs if i != -1), *op.outputs)
            for request in self.asked.get((number, index), ()):
                first, _ = self.scratch.get(request, (begun, 0))
                self.scratch[request] = first, self.step
        self._mark(number, *graph.outputs)

    def _next(self, row: int) -> None:
        self.step += 1
        self.rows.append(row)
        if self.step > MOST_STEPS:
            raise UserError(f"more than {MOST_STEPS:,} operators run in subgraphs that call each other")

    def _mark(self, number: int, *indices: int) -> None:
        for index in indices:
            first, _ = self.tensors.get((number, index), (self.step, 0))
            self.tensors[number, index] = first, self.step


def lifetimes(model: Model, requests: Sequence[Request]) -> tuple[list[tuple[Lifetime, int]], Scope]:
    """What the planner is given, in its order, each with its offset in a plan of the file; and the steps."""
    scope = Scope(model, requests)
    wanted, place = [], 0
    for number, graph in enumerate(model.subgraphs):
        handles = {index for op in graph.ops if op.name == "VAR_HANDLE" for index in op.outputs}
        names = _names(graph, number)
        for index, tensor in enumerate(graph.tensors):
            offset = model.offline[place] if model.offline else ONLINE
            place += 1
            elsewhere = tensor.constant or (tensor.variable and offset == ONLINE) or index in handles
            if elsewhere or not tensor.bytes:
                continue
            life = scope.tensors.get((number, index), NEVER)
            wanted.append(
                (Lifetime(names.get(index, f"tensor_{index}"), *life, 0, rounded(tensor.bytes, BUFFER)), offset)
            )
    for request, one in enumerate(requests):
        name = f"{label(model.subgraphs[one.subgraph].ops[one.op], one.op)} (scratch)"
        life = scope.scratch.get(request, NEVER)
        wanted.append((Lifetime(name, *life, 0, rounded(one.bytes, BUFFER)), ONLINE))
    return wanted, scope


def _called(op: Op, model: Model) -> list[int]:
    """The subgraphs that an operator runs."""
    numbers = [op.options.number(slot) for slot in CALLS.get(op.name, ())]
    return [number for number in numbers if 0 <= number < len(model.subgraphs)]


def label(op: Op, index: int) -> str:
    """The name of an operator in a report."""
    return f"{op.name.split()[0].lower()}_{index}"


def _names(graph: Subgraph, number: int) -> dict[int, str]:
    """The tensors' names in a report: of the operator that makes it, or of the network's input."""
    of = f" of subgraph {number}" if number else ""
    made = {tensor: f"{label(op, index)}{of}" for index, op in enumerate(graph.ops) for tensor in op.outputs}
    return made | {tensor: f"input_{index}{of}" for index, tensor in enumerate(graph.inputs)}
