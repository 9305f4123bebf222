"""The arena that TensorFlow Lite for Microcontrollers takes for a file, to the byte.

What stays lies at its end and grows downwards: the interpreter's own tables, what operators keep, states. Tensors and
scratch lie at its beginning, where its greedy planner puts them. `allocate` goes the way of `AllocateTensors` (tflite-
micro, commit 90b983c2: micro_interpreter.cc, micro_allocator.cc, micro_allocation_info.cc, memory_planner/
greedy_memory_planner.cc), step by step.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hybridq.arena.planners import Lifetime, lowest_fit
from hybridq.profiler.tflm import structs
from hybridq.profiler.tflm.buffers import Call, variable_names
from hybridq.profiler.tflm.lifetimes import Request, lifetimes
from hybridq.profiler.tflm.model import ONLINE, Model, Tensor
from hybridq.profiler.tflm.operators import ALL, Row, row_of
from hybridq.profiler.tflm.structs import BUFFER, Build, int_array, rounded


@dataclass(frozen=True)
class Arena:
    """Bytes of an arena whose end lies at a multiple of 16.

    `needed` is the smallest one with which `AllocateTensors` succeeds; it may be more than `used`, what
    `arena_used_bytes()` says afterwards, for planning has working arrays of its own.
    """

    persistent: int
    non_persistent: int
    needed: int
    variables: int  # of the persistent part: states and resource variables with their table
    scratch: int  # the largest scratch buffer
    lifetimes: tuple[Lifetime, ...]  # by the operators of the network: those of what one of them calls are its own
    no_kernel: tuple[str, ...] = ()  # operators that are not among its kernels: they keep nothing here

    @property
    def used(self) -> int:
        """What `arena_used_bytes()` says."""
        return self.persistent + self.non_persistent


@dataclass
class _Building:
    """The arena while it is built up: bytes taken at its end, and the most that both ends ever took together."""

    build: Build
    end: int = 0
    most: int = 0
    variables: int = 0
    assigned: set[str] = field(default_factory=set)
    requests: list[Request] = field(default_factory=list)

    def keep(self, size: int, alignment: int = BUFFER) -> int:
        """Take so much at the end for good; gives what that makes it longer."""
        before, self.end = self.end, rounded(self.end + size, alignment)
        return self.end - before

    def keep_struct(self, layout: str, count: int = 1) -> None:
        self.keep(self.build.size(layout) * count, self.build.alignment(layout))

    def peak(self, beginning: int) -> None:
        """Take notice of what both ends take now."""
        self.most = max(self.most, beginning + self.end)

    def tensor(self, tensor: Tensor) -> None:
        """A tensor's description, kept: those of the network's inputs and outputs."""
        self.keep_struct(structs.TENSOR)
        if tensor.scales:
            self.keep_struct(structs.QUANTIZATION)
            self.keep(int_array(tensor.scales), 4)

    def room_for_requests(self) -> int:
        """Bytes at the beginning while operators prepare: scratch that was asked for, and room for the next ones."""
        return self.build.size(structs.SCRATCH_REQUEST) * (len(self.requests) + structs.MOST_REQUESTS)


def allocate(model: Model, build: Build) -> Arena:
    """The arena of a file in a build."""
    arena = _Building(build)
    _own_tables(arena, model)
    rows = [[row_of(op.name, build) for op in graph.ops] for graph in model.subgraphs]
    for kernels in rows:
        for row in filter(None, kernels):
            if row.parameters:
                arena.keep_struct(row.parameters)
    for kernels in rows:
        for row in filter(None, kernels):
            if row.data:
                arena.keep(build.size(row.data))
    for number, (graph, kernels) in enumerate(zip(model.subgraphs, rows, strict=True)):
        for index, (op, kernel) in enumerate(zip(graph.ops, kernels, strict=True)):
            if kernel:
                _prepare(arena, number, index, Call(op, graph, build, arena.assigned), kernel)
    if arena.requests:
        arena.keep_struct(structs.SCRATCH_HANDLE, len(arena.requests))
    beginning, planned = _plan(arena, model)
    network = model.subgraphs[0]
    for ends in (network.inputs, network.outputs):
        arena.keep(build.pointer * len(ends))
        for index in ends:
            arena.tensor(network.tensors[index])
    arena.peak(beginning)
    return Arena(
        persistent=arena.end,
        non_persistent=beginning,
        needed=arena.most,
        variables=arena.variables,
        scratch=max((one.bytes for one in arena.requests), default=0),
        lifetimes=planned,
        no_kernel=_without_kernel(model, build),
    )


def _own_tables(arena: _Building, model: Model) -> None:
    """What the interpreter keeps of itself, of each subgraph, tensor and operator."""
    arena.keep_struct(structs.SINGLE_ARENA)
    arena.keep_struct(structs.GREEDY_PLANNER)
    arena.keep_struct(structs.MICRO_ALLOCATOR)
    if names := variable_names(model):
        arena.variables += arena.keep(arena.build.size(structs.VARIABLES))
        arena.variables += arena.keep(arena.build.size(structs.VARIABLE) * len(names))
    arena.keep_struct(structs.BUILTIN_DATA_ALLOCATOR)
    arena.keep_struct(structs.SUBGRAPH, len(model.subgraphs))
    for graph in model.subgraphs:
        arena.keep_struct(structs.EVAL_TENSOR, len(graph.tensors))
    for graph in model.subgraphs:
        arena.keep_struct(structs.NODE, len(graph.ops))
    arena.peak(arena.room_for_requests())


def _prepare(arena: _Building, number: int, index: int, call: Call, row: Row) -> None:
    """What a kernel asks for while it prepares, and the descriptions of tensors that it looks at meanwhile."""
    room = arena.room_for_requests()
    kept, scratch = row.buffers(call)
    for size in kept:
        taken = arena.keep(size)
        arena.variables += taken if call.op.name == "ASSIGN_VARIABLE" else 0
    arena.peak(room + sum(_described(tensor, arena.build) for tensor in _looked_at(call, row.looks)))
    arena.requests += [Request(number, index, size) for size in scratch]
    arena.peak(arena.room_for_requests())


def _looked_at(call: Call, looks: str) -> list[Tensor]:
    op, tensors = call.op, call.subgraph.tensors
    if looks == ALL:
        numbers = [*op.inputs, *op.outputs]
    else:
        of = {"o": op.outputs[:1], "*": op.inputs} | {str(i): (number,) for i, number in enumerate(op.inputs)}
        numbers = [number for letter in looks for number in of.get(letter, ())]
    return [tensors[number] for number in numbers if number != -1]


def _described(tensor: Tensor, build: Build) -> int:
    """A tensor's description for a moment; a scale for each channel has its zero point."""
    size = build.size(structs.TENSOR)
    if tensor.scales:
        size += build.size(structs.QUANTIZATION) + rounded(int_array(tensor.scales), build.pointer)
    return size


# ------------------------------------------------------------------------------------------- the beginning


def _plan(arena: _Building, model: Model) -> tuple[int, tuple[Lifetime, ...]]:
    """Bytes of tensors and scratch at the beginning of the arena, and where each lies."""
    build, tensors = arena.build, sum(len(graph.tensors) for graph in model.subgraphs)
    entries = arena.room_for_requests() + build.pointer * len(model.subgraphs)
    entries = rounded(entries, build.pointer) + build.size(structs.ALLOCATION) * (tensors + len(arena.requests))
    arena.peak(entries)
    for tensor in (tensor for graph in model.subgraphs for tensor in graph.tensors):
        if tensor.variable:
            arena.variables += arena.keep(tensor.bytes)
    wanted, scope = lifetimes(model, arena.requests)
    planning = rounded(entries, BUFFER) + build.size(structs.PLANNED_BUFFER) * len(wanted)
    arena.most = max(arena.most, planning + rounded(arena.end, BUFFER))
    # A plan in the file goes first; then the largest first, of equal ones the last.
    fixed = [one._replace(offset=at) for one, at in wanted if at != ONLINE]
    free = [one for one, at in wanted if at == ONLINE]
    order = sorted(range(len(free)), key=lambda i: (-free[i].bytes, -i))
    placed = lowest_fit([free[i] for i in order], fixed)
    rows = tuple(one._replace(first=scope.row(one.first), last=scope.row(one.last)) for one in placed)
    return max((one.end for one in placed), default=0), rows


def _without_kernel(model: Model, build: Build) -> tuple[str, ...]:
    names = [op.name for graph in model.subgraphs for op in graph.ops]
    return tuple(dict.fromkeys(name for name in names if not row_of(name, build)))
