"""The kinds of layers and the nonlinearities that are known, a row each: what the rooms know of them.

What must be code for a kind is a handler of its family, in a table of the room that needs it: how its settings are read
(`graph.keras.layers`, `graph.tflite.layers`), counted (`profiler.count`), made of integers (`integer`). A row more of a
family that is there already needs no code.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any


class Form(Enum):
    """What a layer is in the network of integers; `quantization.steps` says what runs with it as one step."""

    NONE = "none"
    INPUT = "input"
    WEIGHTS = "weights"  # a layer with weights
    BEHIND = "behind"  # part of the step before it where that has room, else a layer whose weights are all 1
    MEAN = "mean"
    LARGEST = "largest"
    SUM = "sum"
    PRODUCT = "product"
    JOINED = "joined"  # side by side along the channels
    MOVED = "moved"  # values of the tensor that it reads at other places, on the grid of that
    SLOPES = "slopes"  # by channel, of what is below 0
    MEMORY = "memory"
    VIEW = "view"  # the tensor that it reads, in another shape
    NOTHING = "nothing"
    ANSWER = "answer"  # as the last layer nothing: answers are made of what leaves the network, outside


class Over(Enum):
    """What a layer writes its result over, by the rules that X-CUBE-AI's reports follow."""

    NOTHING = "nothing"
    INPUT = "input"
    FIRST = "first"  # where all inputs have the shape of the result; the others are masks
    ANY = "any"  # where all inputs have the shape of the result: the largest that nobody reads any more


@dataclass(frozen=True)
class LayerKind:
    """What is known of a kind of layer at inference."""

    name: str  # of the Keras layer, "Conv2D" also for QConv2D
    family: str  # by which the rooms find their handlers
    axes: int = 0  # along which its window moves, or its images go: 1 in a sequence, 2 in an image, 3 in a volume
    macc: int | None = None  # for each value of its result; None: the rule of the family says
    assumed: bool = False  # no published report has its MACC: the count is ours, made of the parts that reports do have
    elementwise: bool = False  # a value of its result depends on the values at that place of its inputs alone
    keeps_precision: bool = False  # its result is as wide as the widest that it reads, where nothing else is said
    over: Over = Over.NOTHING
    form: Form = Form.NONE
    counterpart: str = ""  # the layer that trains its weights by a plan; "": a plan cannot name it
    quantizers: tuple[str, ...] = ()  # of its weights, as the counterpart names them
    tflite: tuple[str, ...] = ()  # the operators of TFLite that are read as it


@dataclass(frozen=True)
class Function:
    """What is known of a nonlinearity. In the network of integers one that is not `bounds` is a table of 256 values."""

    name: str  # as Keras names it
    macc: int | None  # for each value; None: the version says (`profiler.accounting`)
    assumed: bool = False  # as of a layer: 10 an exponential, logarithm or tanh, 1 any other operation
    bounds: tuple[float, float | None] | None = None  # it keeps values within these and does nothing else
    operation: bool = True  # Keras saves the operation on tensors of that name
    tflite: str = ""  # the operator of TFLite that is read as it
    layer: str = "Activation"  # and the kind of layer that it is then


# fmt: off
FUNCTIONS = {row.name: row for row in (
    # seen in reports; of an 8-bit layer `profiler.count.macc` has more
    Function("linear", 0, operation=False),
    Function("relu", 1, bounds=(0.0, None), tflite="RELU", layer="ReLU"),
    Function("relu6", 1, bounds=(0.0, 6.0), tflite="RELU6", layer="ReLU"),
    Function("leaky_relu", 3, tflite="LEAKY_RELU", layer="LeakyReLU"),
    Function("prelu", 2, operation=False),
    Function("elu", None, tflite="ELU", layer="ELU"),
    Function("sigmoid", 10, tflite="LOGISTIC"),
    Function("tanh", 10, tflite="TANH"),
    Function("softmax", 15, tflite="SOFTMAX", layer="Softmax"),
    # ours
    Function("selu", 10, assumed=True),
    Function("celu", 10, assumed=True),
    Function("exponential", 10, assumed=True, operation=False),
    Function("silu", 11, assumed=True),
    Function("gelu", 11, assumed=True, tflite="GELU"),
    Function("log_softmax", 15, assumed=True, tflite="LOG_SOFTMAX"),
    Function("softplus", 20, assumed=True),
    Function("log_sigmoid", 20, assumed=True),
    Function("mish", 31, assumed=True, operation=False),
    Function("hard_tanh", 1, assumed=True),
    Function("softsign", 2, assumed=True),
    Function("sign", 1, assumed=True, operation=False),  # 1 at 0, as binary networks have it; Keras' operation has 0
    Function("hard_sigmoid", 3, assumed=True),
    Function("hard_silu", 4, assumed=True, tflite="HARD_SWISH"),
)}

KERNEL, DEPTHWISE = ("kernel_quantizer",), ("depthwise_quantizer",)
RECURRENT = ("kernel_quantizer", "recurrent_quantizer")
# What several rows have in common.
ACTS: dict[str, Any] = {"macc": 0, "keeps_precision": True, "over": Over.INPUT}  # MACC: those of its function
JOINS: dict[str, Any] = {"elementwise": True, "keeps_precision": True, "over": Over.ANY}
NORMS: dict[str, Any] = {"assumed": True, "keeps_precision": True, "over": Over.FIRST}
MOVES: dict[str, Any] = {"macc": 0, "keeps_precision": True}
POOLS: dict[str, Any] = {"keeps_precision": True, "over": Over.INPUT}
EACH: dict[str, Any] = {"assumed": True, "elementwise": True, "keeps_precision": True}
FLOATING: dict[str, Any] = {"macc": 10, **EACH}  # as an exponential
MEMORY_CELL = "hybridq.models.projected_lstm.QProjectedLSTM"
# Layers that do nothing at inference; RandomCrop is none of them: what it does then differs from what it says.
UNCHANGED = (
    "AugMix", "CutMix", "Equalization", "MixUp", "RandAugment", "RandomBrightness", "RandomContrast", "RandomHue",
    "RandomSaturation", "RandomSharpness", "RandomGrayscale", "RandomInvert", "RandomColorDegeneration",
    "RandomColorJitter", "RandomPosterization", "RandomGaussianBlur", "RandomErasing", "RandomFlip", "RandomRotation",
    "RandomShear", "RandomTranslation", "RandomZoom", "RandomPerspective", "RandomElasticTransform", "Solarization",
    "Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "GaussianNoise", "GaussianDropout",
    "AlphaDropout", "ActivityRegularization", "StochasticDepth", "Identity",
)

KINDS = {row.name: row for row in (
    LayerKind("InputLayer", "input", form=Form.INPUT),
    # --- weights, each place of an image or a sequence
    LayerKind("Conv1D", "convolution", 1, form=Form.WEIGHTS, counterpart="qkeras.QConv1D", quantizers=KERNEL),
    LayerKind("Conv2D", "convolution", 2, form=Form.WEIGHTS, counterpart="qkeras.QConv2D", quantizers=KERNEL,
              tflite=("CONV_2D",)),
    LayerKind("Conv3D", "convolution", 3, assumed=True),
    LayerKind("DepthwiseConv1D", "depthwise", 1, form=Form.WEIGHTS),
    LayerKind("DepthwiseConv2D", "depthwise", 2, form=Form.WEIGHTS, counterpart="qkeras.QDepthwiseConv2D",
              quantizers=DEPTHWISE, tflite=("DEPTHWISE_CONV_2D",)),
    LayerKind("SeparableConv1D", "separable", 1, assumed=True),
    LayerKind("SeparableConv2D", "separable", 2, assumed=True),
    LayerKind("Conv1DTranspose", "transposed", 1, assumed=True, form=Form.WEIGHTS),
    LayerKind("Conv2DTranspose", "transposed", 2, assumed=True, form=Form.WEIGHTS,
              counterpart="qkeras.QConv2DTranspose", quantizers=KERNEL, tflite=("TRANSPOSE_CONV",)),
    LayerKind("Conv3DTranspose", "transposed", 3, assumed=True),
    LayerKind("Dense", "dense", form=Form.WEIGHTS, counterpart="qkeras.QDense", quantizers=KERNEL,
              tflite=("FULLY_CONNECTED",)),
    LayerKind("EinsumDense", "einsum", assumed=True),
    LayerKind("Embedding", "embedding", macc=0),
    # --- sequences
    LayerKind("LSTM", "recurrent", counterpart="qkeras.QLSTM", quantizers=RECURRENT,
              tflite=("UNIDIRECTIONAL_SEQUENCE_LSTM",)),
    LayerKind("GRU", "recurrent", counterpart="qkeras.QGRU", quantizers=RECURRENT),
    LayerKind("SimpleRNN", "recurrent", assumed=True),
    LayerKind("ProjectedLSTM", "projected_lstm", assumed=True, counterpart=MEMORY_CELL, quantizers=RECURRENT),
    LayerKind("LinearMemory", "linear_memory", assumed=True, form=Form.MEMORY),
    LayerKind("SVDF", "svdf", assumed=True, tflite=("SVDF",)),
    LayerKind("ConvLSTM1D", "convolutional_lstm", 1, assumed=True),
    LayerKind("ConvLSTM2D", "convolutional_lstm", 2, assumed=True),
    LayerKind("ConvLSTM3D", "convolutional_lstm", 3, assumed=True),
    LayerKind("Attention", "attention", assumed=True),
    LayerKind("AdditiveAttention", "additive_attention", assumed=True),
    LayerKind("MultiHeadAttention", "multi_head_attention", assumed=True),
    LayerKind("GroupedQueryAttention", "grouped_query_attention", assumed=True),
    LayerKind("Bidirectional", "bidirectional"),
    LayerKind("TimeDistributed", "time_distributed", assumed=True),
    # --- nonlinearities: the MACC are those of the function
    LayerKind("Activation", "activation", elementwise=True, form=Form.BEHIND, **ACTS),
    LayerKind("ReLU", "activation", elementwise=True, form=Form.BEHIND, **ACTS),
    LayerKind("ELU", "activation", elementwise=True, form=Form.BEHIND, **ACTS),
    LayerKind("LeakyReLU", "activation", elementwise=True, form=Form.BEHIND, **ACTS),
    LayerKind("PReLU", "prelu", elementwise=True, form=Form.SLOPES, tflite=("PRELU",), **ACTS),
    LayerKind("Softmax", "activation", form=Form.ANSWER, **ACTS),
    # --- scales and offsets; the MACC: one for each mean, mean of squares, scale, offset
    LayerKind("BatchNormalization", "batch_norm", macc=2, elementwise=True, keeps_precision=True, over=Over.INPUT,
              form=Form.BEHIND),
    LayerKind("LayerNormalization", "layer_norm", macc=4, **NORMS),
    LayerKind("GroupNormalization", "group_norm", macc=4, **NORMS),
    LayerKind("RMSNormalization", "rms_norm", macc=2, **NORMS),
    LayerKind("UnitNormalization", "unit_norm", macc=2, tflite=("L2_NORMALIZATION",), **NORMS),
    LayerKind("Normalization", "normalization", macc=2, elementwise=True, form=Form.BEHIND, **NORMS),
    LayerKind("Rescaling", "rescaling", macc=2, elementwise=True, form=Form.BEHIND, **NORMS),
    LayerKind("LayerScale", "layer_scale", macc=1, assumed=True, elementwise=True),
    LayerKind("Quantize", "requantization", macc=2, elementwise=True, tflite=("CAST", "QUANTIZE")),
    LayerKind("Dequantize", "requantization", macc=2, elementwise=True, tflite=("DEQUANTIZE",)),
    # --- several inputs
    LayerKind("Add", "merge", form=Form.SUM, tflite=("ADD",), **JOINS),
    LayerKind("Subtract", "merge", assumed=True, form=Form.SUM, tflite=("SUB",), **JOINS),
    LayerKind("Multiply", "merge", form=Form.PRODUCT, tflite=("MUL",), **JOINS),
    LayerKind("Minimum", "merge", tflite=("MINIMUM",), **JOINS),
    LayerKind("Maximum", "merge", assumed=True, tflite=("MAXIMUM",), **JOINS),
    LayerKind("Divide", "merge", assumed=True, tflite=("DIV",), **JOINS),
    LayerKind("TrueDivide", "merge", assumed=True, **JOINS),
    LayerKind("SquaredDifference", "merge", assumed=True, tflite=("SQUARED_DIFFERENCE",), **JOINS),
    LayerKind("Power", "merge", macc=10, assumed=True, tflite=("POW",), **JOINS),
    LayerKind("Average", "average", assumed=True, **JOINS),
    LayerKind("CustomScaleLayer", "merge", macc=2, assumed=True, elementwise=True),  # of InceptionResNetV2: a + f * b
    LayerKind("Dot", "dot", assumed=True),
    LayerKind("Matmul", "matmul", assumed=True, tflite=("BATCH_MATMUL",)),
    LayerKind("Concatenate", "concatenation", form=Form.JOINED, tflite=("CONCATENATION",), **MOVES),
    LayerKind("Stack", "stack", tflite=("PACK",), **MOVES),
    # --- operations on each value
    LayerKind("Abs", "unary", macc=1, tflite=("ABS",), **EACH),
    LayerKind("Absolute", "unary", macc=1, **EACH),
    LayerKind("Negative", "unary", macc=1, tflite=("NEG",), **EACH),
    LayerKind("Square", "unary", macc=1, tflite=("SQUARE",), **EACH),
    LayerKind("Floor", "unary", macc=1, tflite=("FLOOR",), **EACH),
    LayerKind("Round", "unary", macc=1, tflite=("ROUND",), **EACH),
    LayerKind("Clip", "unary", macc=1, tflite=("RELU_N1_TO_1", "RELU_0_TO_1"), **EACH),
    LayerKind("Sqrt", "unary", tflite=("SQRT",), **FLOATING),
    LayerKind("Rsqrt", "unary", tflite=("RSQRT",), **FLOATING),
    LayerKind("Exp", "unary", tflite=("EXP",), **FLOATING),
    LayerKind("Log", "unary", tflite=("LOG",), **FLOATING),
    # --- along some axes
    LayerKind("Mean", "reduction", assumed=True, keeps_precision=True, tflite=("MEAN",)),
    LayerKind("Sum", "reduction", assumed=True, keeps_precision=True, tflite=("SUM",)),
    LayerKind("Max", "reduction", assumed=True, keeps_precision=True, tflite=("REDUCE_MAX",)),
    LayerKind("Min", "reduction", assumed=True, keeps_precision=True, tflite=("REDUCE_MIN",)),
    LayerKind("Prod", "reduction", assumed=True, keeps_precision=True, tflite=("REDUCE_PROD",)),
    # --- masks
    LayerKind("Masking", "masking", **NORMS),
    LayerKind("NotEqual", "comparison", assumed=True),
    LayerKind("Any", "any", assumed=True),
    # --- windows without weights
    LayerKind("MaxPooling1D", "pool", 1, form=Form.LARGEST, **POOLS),
    LayerKind("MaxPooling2D", "pool", 2, form=Form.LARGEST, tflite=("MAX_POOL_2D",), **POOLS),
    LayerKind("MaxPooling3D", "pool", 3, assumed=True),
    LayerKind("AveragePooling1D", "pool", 1, form=Form.MEAN, **POOLS),
    LayerKind("AveragePooling2D", "pool", 2, form=Form.MEAN, tflite=("AVERAGE_POOL_2D",), **POOLS),
    LayerKind("AveragePooling3D", "pool", 3, assumed=True),
    LayerKind("GlobalMaxPooling1D", "global_pool", 1, keeps_precision=True, form=Form.LARGEST),
    LayerKind("GlobalMaxPooling2D", "global_pool", 2, keeps_precision=True, form=Form.LARGEST),
    LayerKind("GlobalMaxPooling3D", "global_pool", 3, assumed=True, keeps_precision=True),
    LayerKind("GlobalAveragePooling1D", "global_pool", 1, keeps_precision=True, form=Form.MEAN),
    LayerKind("GlobalAveragePooling2D", "global_pool", 2, keeps_precision=True, form=Form.MEAN),
    LayerKind("GlobalAveragePooling3D", "global_pool", 3, assumed=True, keeps_precision=True),
    *(LayerKind(f"Adaptive{of}Pooling{n}D", "adaptive_pool", n, assumed=True) for of in ("Max", "Average")
      for n in (1, 2, 3)),
    # --- shapes and sizes
    LayerKind("Flatten", "flatten", macc=0, form=Form.VIEW),
    LayerKind("Reshape", "reshape", macc=0, form=Form.VIEW, tflite=("RESHAPE", "EXPAND_DIMS", "SQUEEZE")),
    LayerKind("Permute", "permutation", keeps_precision=True, form=Form.VIEW, tflite=("TRANSPOSE",)),
    LayerKind("RepeatVector", "repetition", **MOVES),
    LayerKind("ZeroPadding1D", "padding", 1, form=Form.MOVED, tflite=("PAD", "PADV2"), **MOVES),
    LayerKind("ZeroPadding2D", "padding", 2, form=Form.MOVED, tflite=("PAD", "PADV2"), **MOVES),
    LayerKind("ZeroPadding3D", "padding", 3, **MOVES),
    *(LayerKind(f"Cropping{n}D", "cropping", n, form=Form.MOVED, **MOVES) for n in (1, 2)),
    LayerKind("Cropping3D", "cropping", 3, **MOVES),
    *(LayerKind(f"UpSampling{n}D", "up_sampling", n, keeps_precision=True, form=Form.MOVED) for n in (1, 2)),
    LayerKind("UpSampling3D", "up_sampling", 3, keeps_precision=True),
    LayerKind("Resizing", "resizing", tflite=("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")),
    LayerKind("CenterCrop", "center_crop", macc=0),
    LayerKind("Slice", "slice", macc=0, tflite=("SLICE", "STRIDED_SLICE")),
    LayerKind("Split", "split", tflite=("SPLIT", "SPLIT_V", "UNPACK"), **MOVES),
    LayerKind("Pad", "pad", **MOVES),  # of any axis
    LayerKind("Tile", "tile", tflite=("TILE",), **MOVES),
    LayerKind("Shape", "shape", macc=0),
    LayerKind("Constant", "constant", macc=0),  # an output that no input decides
    # --- states, kept from one run to the next
    LayerKind("ReadVariable", "variable", macc=0, tflite=("READ_VARIABLE",)),
    LayerKind("AssignVariable", "assignment", macc=0, tflite=("ASSIGN_VARIABLE",)),
    LayerKind("SpaceToBatch", "space_to_batch", tflite=("SPACE_TO_BATCH_ND",)),
    LayerKind("BatchToSpace", "batch_to_space", tflite=("BATCH_TO_SPACE_ND",)),
    *(LayerKind(name, "unchanged", macc=0, elementwise=True, form=Form.NOTHING) for name in UNCHANGED),
)}
# fmt: on
UNKNOWN = LayerKind("", "unknown")


def kind_of(name: str) -> LayerKind:
    """The row of a kind of layer; UNKNOWN for one that is not there, as "unknown: X"."""
    return KINDS.get(name, UNKNOWN)


def of_family(*families: str, axes: tuple[int, ...] = (0, 1, 2, 3)) -> frozenset[str]:
    """The names of the kinds of those families, of that many axes."""
    return frozenset(row.name for row in KINDS.values() if row.family in families and row.axes in axes)


def of_form(*forms: Form) -> frozenset[str]:
    """The names of the kinds that are that in the network of integers."""
    return frozenset(row.name for row in KINDS.values() if row.form in forms)
