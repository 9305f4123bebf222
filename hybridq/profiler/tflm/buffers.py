"""What kernels ask for while they prepare: buffers that stay, and scratch that is there while the operator runs.

Sources: micro/kernels/ of tflite-micro (commit 90b983c2), and what CMSIS-NN (99f736a6) answers to the functions named
`..._get_buffer_size` on processors with the DSP instructions and without. Bytes; sizes as the kernel asks for them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

from hybridq.graph.operators import Shape
from hybridq.profiler.tflm.model import BYTES, FLOAT32, INT4, INT8, INT16, INT64, Model, Op, Subgraph, Tensor
from hybridq.profiler.tflm.structs import CMSIS_NN, EVAL_TENSOR, Build, int_array

SAME = 0  # padding, by its number in the schema
TABLE_16_BITS = 2 * 513  # bytes of a table of a function of 16 bits
REVERSED_FROM = 17  # input channels from which a transposed convolution is computed as a convolution


class Buffers(NamedTuple):
    """Bytes of each buffer, in the order in which they are asked for."""

    kept: tuple[int, ...] = ()
    scratch: tuple[int, ...] = ()


@dataclass(frozen=True)
class Call:
    """An operator with its tensors, in a build. `assigned` are the resource variables that have memory already."""

    op: Op
    subgraph: Subgraph
    build: Build
    assigned: set[str]

    def input(self, index: int) -> Tensor | None:
        """The tensor of an input; None where it is left out."""
        number = self.op.inputs[index] if index < len(self.op.inputs) else -1
        return None if number == -1 else self.subgraph.tensors[number]

    def shape(self, index: int) -> Shape:
        """The shape of an input, with the batch; of four axes at least, so that a damaged file does no harm."""
        tensor = self.input(index)
        return _four(tensor.shape if tensor else ())

    def type(self, index: int = 0) -> int:
        """The type of an input by its number in the schema."""
        tensor = self.input(index)
        return tensor.type if tensor else -1

    @property
    def output(self) -> Tensor | None:
        """The first output; None of an operator without."""
        return self.subgraph.tensors[self.op.outputs[0]] if self.op.outputs else None

    @property
    def result(self) -> Shape:
        """The shape of the first output, of four axes at least."""
        return _four(self.output.shape if self.output else ())

    @property
    def whole(self) -> bool:
        """Whether its first input is of 8 or 16 bits."""
        return self.type() in (INT8, INT16)

    def number(self, slot: int, default: int = 0) -> int:
        """One of its options, a whole number."""
        return self.op.options.number(slot, "i", default)


def _four(shape: Shape) -> Shape:
    return (1,) * (4 - len(shape)) + shape


def _elements(tensor: Tensor | None) -> int:
    return tensor.elements if tensor else 0


# ------------------------------------------------------------------------------------ layers with weights


def convolution(call: Call) -> Buffers:
    """A multiplier and a shift for each channel; CMSIS-NN: two columns of what is under the kernel, as 16 bits."""
    filter_ = call.shape(1)
    if call.build.kernels != CMSIS_NN:
        return Buffers((4 * filter_[0],) * 2, unpacked(call))
    kept = (4 * filter_[0],) * 2 if call.whole else ()
    return Buffers(kept, _asked(_convolution_scratch(call)))


def _convolution_scratch(call: Call) -> int:
    source, filter_ = call.shape(0), call.shape(1)
    strides, dilations = (call.number(2), call.number(1)), (call.number(5, 1), call.number(4, 1))
    pads = pads_of(call, strides, dilations)
    taps = filter_[1] * filter_[2] * source[3]
    if call.type() == INT16:
        bias = call.input(2)
        return 4 * taps if bias is None or bias.type == INT64 else 0
    if call.type() != INT8:
        return 0
    pointwise = filter_[1] == filter_[2] == 1 and dilations == (1, 1) and not any(pads) and filter_[3] == source[3]
    if pointwise:
        return 0
    return 4 * taps if call.type(1) == INT4 else 4 * (-(-taps // 4) * 4)


def depthwise(call: Call) -> Buffers:
    """A multiplier and a shift for each channel; CMSIS-NN: the kernels as 16 bits.

    But not those of 3 x 3 with at most one pixel of padding.
    """
    source, filter_ = call.shape(0), call.shape(1)
    if call.build.kernels != CMSIS_NN:
        return Buffers((4 * filter_[3],) * 2, unpacked(call))
    kept = (4 * filter_[3],) * 2 if call.whole else ()
    strides, dilations = (call.number(2), call.number(1)), (call.number(6, 1), call.number(5, 1))
    once = source[3] == call.result[3] and source[0] == 1 and dilations == (1, 1)
    narrow = max(pads_of(call, strides, dilations)) <= 1
    plain = filter_[1] == filter_[2] == 3 and narrow and call.type(1) == INT8
    if call.type() != INT8 or not once or plain or not (call.build.dsp or call.type(1) == INT4):
        return Buffers(kept)
    return Buffers(kept, _asked(2 * source[3] * filter_[1] * filter_[2]))


def pads_of(call: Call, strides: tuple[int, int], dilations: tuple[int, int]) -> tuple[int, int]:
    """Rows above and columns to the left."""
    if call.op.options.number(0, "b") != SAME:
        return 0, 0
    source, filter_ = call.shape(0), call.shape(1)
    pads = []
    for axis in (0, 1):
        stride, size = max(strides[axis], 1), source[axis + 1]
        reach = (filter_[axis + 1] - 1) * dilations[axis] + 1
        pads.append(max((-(-size // stride) - 1) * stride + reach - size, 0) // 2)
    return pads[0], pads[1]


def unpacked(call: Call) -> tuple[int, ...]:
    """The reference kernels unpack 4-bit weights to bytes."""
    return (_elements(call.input(1)),) if call.type(1) == INT4 else ()


def dense(call: Call) -> Buffers:
    """A multiplier and a shift for each channel with a scale of its own.

    CMSIS-NN computes a result of more than two axes as a convolution of 1 x 1, for which it writes the one scale out.
    """
    weights = call.input(1)
    scales = weights.scales if weights and call.whole else 0
    kept = (4 * scales,) * 2 if scales > 1 else ()
    if call.build.kernels != CMSIS_NN:
        return Buffers(kept, unpacked(call))
    axes = len(call.output.shape) if call.output else 0
    pointwise = call.type() == INT8 and call.type(1) != INT4 and axes > 2 and call.shape(1)[-1] % 4 == 0
    return Buffers(kept, _asked(8 * call.result[-1]) if pointwise and scales <= 1 else ())


def transposed(call: Call) -> Buffers:
    """A multiplier and a shift for each channel, and the sums that are added up. Its input is the third."""
    filter_, source, result = call.shape(1), call.shape(2), call.result
    kept = (4 * filter_[0],) * 2
    if call.type(2) == INT16:
        bias = (8 * _elements(call.input(3)),) if call.type(3) == INT16 else ()
        return Buffers(kept, (8 * prod(result), *bias))
    if call.type(2) != INT8:
        return Buffers(kept)
    if call.build.kernels != CMSIS_NN:
        return Buffers(kept, (4 * prod(result),))
    height, width = call.number(2), call.number(1)
    taps = filter_[1] * filter_[2] * source[3]
    if height <= 2 and width <= 2 and source[3] >= REVERSED_FROM:
        return Buffers(kept, (4 * (-(-taps // 4) * 4), taps * filter_[0]))
    columns = (source[2] - 1) * width + max(filter_[2], height)
    return Buffers(kept, (4 * columns * result[3] * max(filter_[1], height), 0))


def svdf(call: Call) -> Buffers:
    """The sums of the features and, in 8 bits, of the results."""
    batch, filters = call.shape(0)[-2], call.shape(1)[-2]
    if call.type() != INT8:
        return Buffers((), (4 * batch * filters,))
    return Buffers((), (4 * batch * filters, 4 * batch * (filters // max(call.number(0), 1))))


def lstm(call: Call) -> Buffers:
    """Three or four rows of the state; CMSIS-NN: for each gate the sums of the weights of input and state."""
    state, cell = call.shape(18), call.input(19)
    units, size = state[-1], BYTES.get(cell.type, 0) if cell else 0
    batch = call.shape(0)[-2] if call.op.options.number(3, "b") else call.shape(0)[-3]
    gates = call.build.kernels == CMSIS_NN and call.whole and cell is not None and cell.type == INT16
    kept = ((8 if call.type() == INT16 else 4) * units,) * 8 if gates else ()
    return Buffers(kept, (batch * units * size,) * (3 if gates else 4))


def batch_matmul(call: Call) -> Buffers:
    """Copies of what is to be transposed, the result's shape, and how it is quantized."""
    turned = [call.input(0)] * call.op.options.number(0, "b") + [call.input(1)] * (not call.op.options.number(1, "b"))
    copies = ((call.build.size(EVAL_TENSOR), int_array(len(one.shape)), one.bytes) for one in turned if one)
    shape = int_array(len(call.output.shape)) if call.output else 0
    quantized = (28,) if call.type() != FLOAT32 else ()
    return Buffers((*(size for copy in copies for size in copy), shape, *quantized))


# --------------------------------------------------------------------------------------- layers without


def average_pool(call: Call) -> Buffers:
    """CMSIS-NN: a sum for each channel, with the DSP instructions."""
    return Buffers((), _asked(4 * call.shape(0)[3]) if call.whole and call.build.dsp else ())


def reduction(call: Call) -> Buffers:
    """A sum for each result, where it is quantized and no extreme; a counter for each axis, and the axes."""
    sums = (4 * _elements(call.output),) if call.whole and call.op.name in ("MEAN", "SUM") else ()
    source = call.input(0)
    return Buffers((), (*sums, 4 * len(source.shape) if source else 0, 4 * _elements(call.input(1))))


def softmax(call: Call) -> Buffers:
    """Two tables of a function for 16 bits."""
    return Buffers((TABLE_16_BITS,) * 2 if call.type() == INT16 else ())


def reshape(call: Call) -> Buffers:
    """The result's shape, where the file leaves an axis of it open."""
    return shape_of_output(call) if call.output and -1 in call.output.shape else Buffers()


def shape_of_output(call: Call) -> Buffers:
    """The result's shape, copied."""
    return Buffers((int_array(len(call.output.shape)),) if call.output else ())


def mirror_pad(call: Call) -> Buffers:
    """Two numbers for each axis."""
    source = call.input(0)
    return Buffers((), (4 * len(source.shape),) * 2 if source else ())


def add_n(call: Call) -> Buffers:
    """Where each input lies; in 8 bits also how it is rescaled."""
    pointers = call.build.pointer * len(call.op.inputs)
    return Buffers((40,) if call.type() == INT8 else (), (pointers,))


def assign(call: Call) -> Buffers:
    """The memory of a resource variable, the first time that it is given a value."""
    handle = next((op for op in call.subgraph.ops if op.outputs[:1] == call.op.inputs[:1]), None)
    name = variable_name(handle) if handle else ""
    value = call.input(1)
    if handle is None or handle.name != "VAR_HANDLE" or name in call.assigned or value is None:
        return Buffers()
    call.assigned.add(name)
    return Buffers((value.bytes,))


def variable_name(handle: Op) -> str:
    """The name that the operators of one resource variable share."""
    return handle.options.text(1)


def variable_names(model: Model) -> set[str]:
    """The resource variables of a file by their names."""
    return {variable_name(op) for graph in model.subgraphs for op in graph.ops if op.name == "VAR_HANDLE"}


def kept_by_8_bits(layout: str) -> Callable[[Call], Buffers]:
    """A kernel that keeps something only in 8 bits."""

    def kept(call: Call) -> Buffers:
        return Buffers((call.build.size(layout),)) if call.type() == INT8 else Buffers()

    return kept


def none(call: Call) -> Buffers:
    """No buffers."""
    return Buffers()


def _asked(size: int) -> tuple[int, ...]:
    """A buffer of no bytes is not asked for."""
    return (size,) if size > 0 else ()
