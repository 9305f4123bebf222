"""The code of TensorFlow Lite for Microcontrollers by the operators that a file has: an estimate of its flash.

Read off linked programs for a Cortex-M4F, whose sections for code and constants are counted: arm-none-eabi-gcc 12.2.1,
tflite-micro 90b983c2 with CMSIS-NN 99f736a6, kernels `-O2`, interpreter `-Os`, the variants of kernels for 8 bits.
Published are six such programs without error texts (27,296 to 52,472 B). What an operator adds to others was measured
with the texts, and counts by the part that is left of the published operators without them.
"""

from __future__ import annotations

from collections.abc import Iterable

# The interpreter, and the arithmetic that nearly all kernels of 8 bits share.
CORE = 17_200
WITHOUT_TEXTS = 0.80

# What each operator adds, with its error texts.
WITH_TEXTS = {
    "ADD": 6_322,
    "ASSIGN_VARIABLE": 1_244,
    "AVERAGE_POOL_2D": 2_740,
    "BATCH_MATMUL": 6_212,
    "BATCH_TO_SPACE_ND": 1_640,
    "CALL_ONCE": 380,
    "CONCATENATION": 4_260,
    "CONV_2D": 10_299,
    "DEPTHWISE_CONV_2D": 9_055,
    "DEQUANTIZE": 968,
    "EXPAND_DIMS": 1_336,
    "FULLY_CONNECTED": 12_615,
    "GATHER": 1_968,
    "HARD_SWISH": 1_472,
    "LEAKY_RELU": 1_308,
    "LOGISTIC": 4_316,
    "LOG_SOFTMAX": 4_864,
    "MAXIMUM": 1_472,
    "MAX_POOL_2D": 1_920,
    "MEAN": 4_832,
    "MINIMUM": 1_472,
    "MIRROR_PAD": 1_020,
    "MUL": 5_876,
    "PACK": 1_224,
    "PAD": 2_804,
    "PADV2": 5_116,
    "PRELU": 4_076,
    "QUANTIZE": 2_552,
    "READ_VARIABLE": 388,
    "REDUCE_ALL": 2_792,
    "REDUCE_MAX": 3_160,
    "REDUCE_MIN": 3_160,
    "RELU": 1_280,
    "RELU6": 896,
    "RESHAPE": 2_800,
    "RESIZE_BILINEAR": 3_156,
    "RESIZE_NEAREST_NEIGHBOR": 3_096,
    "SHAPE": 340,
    "SOFTMAX": 6_019,
    "SPACE_TO_BATCH_ND": 1_832,
    "SPLIT": 1_740,
    "SPLIT_V": 1_828,
    "SQUEEZE": 776,
    "STRIDED_SLICE": 12_060,
    "SUB": 9_220,
    "SUM": 5_108,
    "SVDF": 6_940,
    "TANH": 5_352,
    "TRANSPOSE": 1_808,
    "TRANSPOSE_CONV": 5_836,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": 11_164,
    "UNPACK": 1_032,
    "VAR_HANDLE": 476,
}
OTHERS = 3_500  # one that was not measured: the mean of those that were


def code_bytes(operators: Iterable[str]) -> int:
    """Bytes of code and its constants for operators, each named once."""
    return CORE + round(WITHOUT_TEXTS * sum(WITH_TEXTS.get(name, OTHERS) for name in operators))
