"""What a `.tflite` file takes under TensorFlow Lite for Microcontrollers: arena, file and code; for the report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hybridq.errors import UserError
from hybridq.graph.reader import Graph
from hybridq.profiler.count.arena import Ram
from hybridq.profiler.count.merge import Step
from hybridq.profiler.tflm.arena import Arena, allocate
from hybridq.profiler.tflm.buffers import variable_names
from hybridq.profiler.tflm.code import code_bytes
from hybridq.profiler.tflm.lifetimes import label
from hybridq.profiler.tflm.model import FLOAT32, Model, Op, Subgraph, read_model
from hybridq.profiler.tflm.structs import BUFFER, ESP_NN, ESP_NN_BEFORE, Build, rounded

PLANNER = "greedy"
WEIGHTED = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 0, "FULLY_CONNECTED": 0, "TRANSPOSE_CONV": 2}  # the place of the input
ESP32S3 = "Xtensa LX7"
WITHOUT_DSP = ("Cortex-M0+", "Cortex-M3")  # cores for which CMSIS-NN has plain C alone


@dataclass(frozen=True)
class Tflm:
    """What a file takes: its arena, its size in bytes, and an estimate of the code."""

    arena: Arena
    arena_size: int  # bytes to reserve: what is needed, to a multiple of 16
    file_bytes: int
    code_bytes: int  # an estimate: see code.py
    operators: tuple[str, ...]  # that it has, each once
    refused: tuple[str, ...]  # operators for which there is no kernel: the interpreter refuses the file
    uncounted: tuple[str, ...]  # kernels of the user's own: what they take is not known
    stored: dict[str, int]  # bytes of the constants of each operator of the network, in order
    io_bytes: int  # the network's inputs and outputs, which lie in the arena
    variables: int  # resource variables
    kernels: str  # of structs.KERNELS
    also: tuple[tuple[str, int], ...]  # the size to reserve with other versions of them

    @property
    def flash_bytes(self) -> int:
        """The file and the code."""
        return self.file_bytes + self.code_bytes

    def ram(self, steps: tuple[Step, ...]) -> Ram:
        """The arena; its lifetimes count the steps given."""
        names = [step.name for step in steps]
        rows = _rows(tuple(self.stored), names)
        lifetimes = tuple(
            one._replace(first=rows[one.first], last=rows[one.last]) for one in self.arena.lifetimes if rows
        )
        taken = [sum(one.bytes for one in lifetimes if one.first <= row <= one.last) for row in range(len(names))]
        return Ram(
            activations=self.arena_size,
            buffers=self.io_bytes,
            buffers_inside=True,
            peak=names[taken.index(max(taken))] if names else "",
            planner=PLANNER,
            lifetimes=lifetimes,
        )


def builds_for(core: str) -> tuple[Build, ...]:
    """The build for a processor, with CMSIS-NN on Arm; then others in use, of other versions of its kernels."""
    if core == ESP32S3:
        return tuple(Build(enum=4, kernels=kernels) for kernels in (ESP_NN, ESP_NN_BEFORE))
    return (Build(dsp=core not in WITHOUT_DSP),)


def cost(graph: Graph, core: str) -> Tflm:
    """What the file that a network was read from takes on a processor.

    Raises UserError for a network that was read from no `.tflite` file.
    """
    if not graph.file or Path(graph.file).suffix.lower() != ".tflite":
        raise UserError(
            f"the accounting tflm is of .tflite files, and {graph.name or 'this network'} is none: convert it first "
            "(hybridq export MODEL --calibrate SAMPLES.npy --out FOLDER --tflite)"
        )
    model = read_model(Path(graph.file))
    network = model.subgraphs[0]
    build, *others = builds_for(core)
    try:
        arena = allocate(model, build)
        also = tuple((other.kernels, _size(allocate(model, other))) for other in others)
    except UserError as error:
        raise UserError(f"{graph.file}: {error}") from None
    names = tuple(dict.fromkeys(op.name for part in model.subgraphs for op in part.ops))
    own = tuple(name for name in arena.no_kernel if name.startswith("CUSTOM"))
    missing = (name for name in arena.no_kernel if name not in own)
    return Tflm(
        arena=arena,
        arena_size=_size(arena),
        kernels=build.kernels,
        also=also,
        file_bytes=model.bytes,
        code_bytes=code_bytes(names),
        operators=names,
        refused=(*missing, *_mixed(model)),
        uncounted=own,
        stored=_stored(network),
        io_bytes=sum(network.tensors[index].bytes for index in (*network.inputs, *network.outputs)),
        variables=len(variable_names(model)),
    )


def _size(arena: Arena) -> int:
    return rounded(arena.needed, BUFFER)


def _mixed(model: Model) -> tuple[str, ...]:
    """Operators that multiply floats by narrow weights: no kernel does."""
    mixed = {
        f"{op.name} of floats with {_bits(part, op)}-bit weights": None
        for part in model.subgraphs
        for op in part.ops
        if op.name in WEIGHTED and _type(part, op, WEIGHTED[op.name]) == FLOAT32 != _type(part, op, 1)
    }
    return tuple(mixed)


def _type(part: Subgraph, op: Op, index: int) -> int:
    number = op.inputs[index] if index < len(op.inputs) else -1
    return part.tensors[number].type if number != -1 else FLOAT32


def _bits(part: Subgraph, op: Op) -> int:
    weights = part.tensors[op.inputs[1]]
    return 8 * weights.stored // max(weights.elements, 1)


def _stored(network: Subgraph) -> dict[str, int]:
    """Bytes of each operator's constants in the file; an array that two share counts for the first."""
    sizes: dict[str, int] = {}
    seen: set[int] = set()
    for index, op in enumerate(network.ops):
        constants = [network.tensors[number] for number in op.inputs if number != -1]
        new = {one.buffer: one.stored for one in constants if one.stored and one.buffer not in seen}
        seen |= new.keys()
        sizes[label(op, index)] = sum(new.values())
    return sizes


def _rows(labels: tuple[str, ...], names: list[str]) -> list[int]:
    """For each operator of the file the row that it is of; one without a row counts with the one before."""
    rows: list[int] = []
    for name in labels if names else ():
        rows.append(names.index(name) if name in names else rows[-1] if rows else 0)
    return rows
