"""The lines that a program for TensorFlow Lite for Microcontrollers needs for a file: its arena, its operators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hybridq.graph.reader import Graph
from hybridq.profiler.result import Result
from hybridq.profiler.targets import Target

if TYPE_CHECKING:
    from hybridq.profiler.tflm.cost import Tflm

# How MicroMutableOpResolver calls an operator where that is not its name in words (micro_mutable_op_resolver.h).
ADDED_AS = {
    "AVERAGE_POOL_2D": "AveragePool2D",
    "BATCH_MATMUL": "BatchMatMul",
    "CONV_2D": "Conv2D",
    "CUMSUM": "CumSum",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2D",
    "L2_NORMALIZATION": "L2Normalization",
    "L2_POOL_2D": "L2Pool2D",
    "MAX_POOL_2D": "MaxPool2D",
    "PADV2": "PadV2",
    "REVERSE_V2": "ReverseV2",
    "SELECT_V2": "SelectV2",
    "SPLIT_V": "SplitV",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTM",
}


@dataclass(frozen=True, repr=False)
class Setup(Result):
    """What a file needs of a program, and what it takes."""

    name: str  # of the network
    target: Target
    tflm: Tflm

    @property
    def not_costed(self) -> tuple[str, ...]:
        """Kernels whose memory is not known."""
        return self.tflm.uncounted

    @property
    def lines(self) -> tuple[tuple[str, str], ...]:
        """What each line is for, and the line."""
        return setup_lines(self.tflm)


def setup_lines(tflm: Tflm) -> tuple[tuple[str, str], ...]:
    """What each line is for, and the line: C++ and, for ESPHome's wake words, the key of the manifest."""
    grouped = f"{tflm.arena_size:,}".replace(",", "'")
    lines = [
        ("arena", f"constexpr int kTensorArenaSize = {grouped};"),
        ("", "alignas(16) uint8_t tensor_arena[kTensorArenaSize];"),
        ("operators", f"tflite::MicroMutableOpResolver<{len(tflm.operators)}> resolver;"),
        *(("", f"resolver.{_added(name)};") for name in tflm.operators),
    ]
    if tflm.variables:
        lines.append(("variables", f"tflite::MicroResourceVariables::Create(allocator, {tflm.variables});"))
    sizes = ((tflm.kernels, tflm.arena_size), *tflm.also) if tflm.also else ()  # of the ESP32-S3, which ESPHome runs on
    return (*lines, *((f"manifest, {kernels}", f'"tensor_arena_size": {size}') for kernels, size in sizes))


def _added(name: str) -> str:
    return f'AddCustom("{name.split()[-1]}", ...)' if name.startswith("CUSTOM") else f"Add{added_as(name)}()"


def added_as(name: str) -> str:
    """How the resolver calls an operator: "DepthwiseConv2D"."""
    return ADDED_AS.get(name) or "".join(word.capitalize() for word in name.split("_"))


def setup(graph: Graph, target: Target) -> Setup:
    """The lines for the `.tflite` file that a network was read from. Raises UserError as `cost` does."""
    from hybridq.profiler.tflm.cost import cost

    return Setup(graph.name, target, cost(graph, target.core))
