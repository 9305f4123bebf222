"""What each operator of TensorFlow Lite for Microcontrollers keeps in the arena: one row an operator.

A row has layouts as in `structs`: the parameters that are read from the file, and what the kernel keeps for itself;
then which tensors the kernel looks at while it prepares, and the function that says what buffers it asks for. An
operator without a row has no kernel there. Sources (tflite-micro, commit 90b983c2): core/c/builtin_op_data.h, and
micro/kernels/*.h and *.cc; for CMSIS-NN micro/kernels/cmsis_nn/*.cc; for ESP-NN esp-tflite-micro. The rows of OTHERS
go before those of the reference kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hybridq.profiler.tflm import buffers, esp_nn
from hybridq.profiler.tflm.buffers import Buffers, Call
from hybridq.profiler.tflm.structs import CMSIS_NN, ESP_NN, ESP_NN_BEFORE, REFERENCE, Build

ALL = "all"  # each tensor of the operator, once


class Row(NamedTuple):
    """How one operator is kept."""

    parameters: str = ""  # layout; "" none
    data: str = ""  # layout; "" none
    looks: str = ALL  # inputs by their numbers and "o", the output, as often as the kernel looks; "*" all inputs
    buffers: Callable[[Call], Buffers] = buffers.none


def row_of(name: str, build: Build) -> Row | None:
    """The row of an operator in a build; None for one without a kernel."""
    return OTHERS[build.kernels].get(name) or ROWS.get(name)


CONVOLUTION = "9i2p3i2c"  # kernels/conv.h: OpDataConv
POOL, POOLING = "e4ie4i", "8i"
DENSE = "9i2pb2c"  # kernels/fully_connected.h
SOFTMAX = "q7i5p"  # kernels/internal/types.h: SoftmaxParams
TRANSPOSED = "i52b"  # ... ConvParams, 56 B
LSTM = "q680b"  # kernels/lstm_shared.h: OpDataLSTM, 688 B
MATMUL = "3p3b"
ADD = "b14i"
REDUCTION = Row("b", "11i", "0o101o", buffers.reduction)  # its axes are looked at twice
PLAIN = Row()
COMPARISON = Row("", "7ib")
EXTREME = Row("", "", "")

ROWS: dict[str, Row] = {
    "ADD": Row("eb", ADD),
    "ADD_N": Row("", "", ALL, buffers.add_n),
    "ARG_MAX": Row("e", "", ""),
    "ARG_MIN": Row("e", "", ""),
    "ASSIGN_VARIABLE": Row("", "c", "1", buffers.assign),
    "AVERAGE_POOL_2D": Row(POOL, POOLING, "0o"),
    "BATCH_MATMUL": Row("3b", MATMUL, ALL, buffers.batch_matmul),
    "BATCH_TO_SPACE_ND": PLAIN,
    "BROADCAST_ARGS": PLAIN,
    "BROADCAST_TO": PLAIN,
    "CALL_ONCE": Row("i", "ib"),
    "CAST": Row("2e"),
    "CEIL": PLAIN,
    "CONCATENATION": Row("ie", "i2p3i10c", "0o*"),
    "CONV_2D": Row("e2ie2ie", CONVOLUTION, "o01012o", buffers.convolution),
    "CUMSUM": Row("2b", "", ALL, buffers.kept_by_8_bits("9i")),
    "DEPTH_TO_SPACE": Row("i", "", ALL, buffers.shape_of_output),
    "DEPTHWISE_CONV_2D": Row("e3ie2i", CONVOLUTION, "o01012o", buffers.depthwise),
    "DEQUANTIZE": Row("", "q5i"),
    "DIV": Row("e", "7i"),
    "ELU": Row("", "256b"),
    "EQUAL": COMPARISON,
    "EXP": PLAIN,
    "EXPAND_DIMS": PLAIN,
    "FILL": PLAIN,
    "FLOOR": EXTREME,
    "FLOOR_DIV": PLAIN,
    "FLOOR_MOD": PLAIN,
    "FULLY_CONNECTED": Row("2e2be", DENSE, ALL, buffers.dense),
    "GATHER": Row("2i", "", ALL, buffers.shape_of_output),
    "GATHER_ND": Row("", "", ALL, buffers.shape_of_output),
    "GREATER": COMPARISON,
    "GREATER_EQUAL": COMPARISON,
    "HARD_SWISH": Row("", "3hihi"),
    "IF": Row("2i", "2i", ALL),
    "L2_NORMALIZATION": Row("e", "i"),
    "L2_POOL_2D": Row(POOL, "", ALL, buffers.shape_of_output),
    "LEAKY_RELU": Row("i", "6i"),
    "LESS": COMPARISON,
    "LESS_EQUAL": COMPARISON,
    "LOG_SOFTMAX": Row("", "", ALL, buffers.kept_by_8_bits("5i2p")),
    "LOGICAL_AND": EXTREME,
    "LOGICAL_NOT": PLAIN,
    "LOGICAL_OR": EXTREME,
    "LOGISTIC": Row("", "4i"),
    "MAX_POOL_2D": Row(POOL, POOLING, "0o"),
    "MAXIMUM": EXTREME,
    "MEAN": REDUCTION,
    "MINIMUM": EXTREME,
    "MIRROR_PAD": Row("e", "5i", ALL, buffers.mirror_pad),
    "MUL": Row("e", "9i"),
    "NEG": EXTREME,
    "NOT_EQUAL": COMPARISON,
    "PACK": Row("2i", "", ""),
    "PAD": Row("", "b5ib5ibi"),
    "PADV2": Row("", "b5ib5ibi"),
    "PRELU": Row("", "7i"),
    "QUANTIZE": Row("", "q5i"),
    "READ_VARIABLE": PLAIN,
    "REDUCE_MAX": REDUCTION,
    "REDUCE_MIN": REDUCTION,
    "REDUCE_ALL": REDUCTION,
    "RELU": Row("", "b6i"),
    "RELU6": Row("", "2i", "0"),
    "RESHAPE": Row("9i", "", "0o", buffers.reshape),
    "RESIZE_BILINEAR": Row("2b"),
    "RESIZE_NEAREST_NEIGHBOR": Row("2b"),
    "REVERSE_V2": PLAIN,
    "ROUND": PLAIN,
    "SELECT_V2": Row("", "b"),
    "SHAPE": Row("e", "", ""),
    "SLICE": PLAIN,
    "SOFTMAX": Row("i", SOFTMAX, ALL, buffers.softmax),
    "SPACE_TO_BATCH_ND": Row("", "i"),
    "SPACE_TO_DEPTH": Row("i", "", ALL, buffers.shape_of_output),
    "SPLIT": Row("i", "", "0"),
    "SPLIT_V": Row("i", "", "2"),
    "SQUEEZE": Row("9i"),
    "SQUARED_DIFFERENCE": Row("", "q104b"),
    "STRIDED_SLICE": Row("5ib", "b5ib5ib5i5hb"),
    "SUB": Row("eb", "b12i"),
    "SUM": REDUCTION,
    "SVDF": Row("ieb", "9i", ALL, buffers.svdf),
    "TANH": Row("", "4i"),
    "TRANSPOSE": PLAIN,
    "TRANSPOSE_CONV": Row("e2i2e", f"{TRANSPOSED}i2ci2p", "o21213o", buffers.transposed),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": Row("e2i3b", LSTM, ALL, buffers.lstm),
    "UNPACK": Row("2i", "", ""),
    "VAR_HANDLE": Row("2p", "i", ""),
    "WHILE": Row("2i", "2i", ALL),
    "ZEROS_LIKE": PLAIN,
    **dict.fromkeys(("COS", "LOG", "SIN", "SQRT", "SQUARE"), PLAIN),
    **dict.fromkeys(("ABS", "RSQRT"), Row("", "4ib2e")),
}

_CMSIS_NN: dict[str, Row] = {
    "AVERAGE_POOL_2D": Row(POOL, f"{POOLING}i", "0o0o", buffers.average_pool),
    "BATCH_MATMUL": Row("3b", f"{MATMUL}5i", ALL, buffers.batch_matmul),
    "CONV_2D": Row("e2ie2ie", f"{CONVOLUTION}i", "01o012o", buffers.convolution),
    "DEPTHWISE_CONV_2D": Row("e3ie2i", f"{CONVOLUTION}i", "01o012o", buffers.depthwise),
    "FULLY_CONNECTED": Row("2e2be", f"{DENSE}2ip3i", ALL, buffers.dense),
    "MAX_POOL_2D": Row(POOL, f"{POOLING}i", "0o"),
    "SOFTMAX": Row("i", f"{SOFTMAX}2i", ALL, buffers.softmax),
    "SVDF": Row("ieb", "9ip", ALL, buffers.svdf),
    "TRANSPOSE_CONV": Row("e2i2e", f"{TRANSPOSED}3i2p", "o21213o", buffers.transposed),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": Row("e2i3b", "q904b", ALL, buffers.lstm),
}


def _esp_nn(before: bool) -> dict[str, Row]:
    """The rows of ESP-NN, in its versions to 1.1 or in 1.2.3."""
    own = f"{CONVOLUTION}i"
    return {
        "CONV_2D": Row("e2ie2ie", own, "o01012o", esp_nn.convolution(before)),
        "DEPTHWISE_CONV_2D": Row("e3ie2i", own, "o01012o", esp_nn.depthwise(before)),
        "SOFTMAX": Row("i", f"{SOFTMAX}i", ALL, esp_nn.softmax),
    }


OTHERS = {CMSIS_NN: _CMSIS_NN, ESP_NN: _esp_nn(before=False), ESP_NN_BEFORE: _esp_nn(before=True), REFERENCE: {}}
