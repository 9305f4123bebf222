"""Every layer class of Keras and of QKeras: read as Keras has it, or named as not costed. A new class fails here."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

from hybridq.graph.kinds import UNCHANGED
from hybridq.graph.reader import read_graph
from hybridq.profiler import profile

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """The smallest model of a layer: what makes it, the shapes of its inputs, and their type.

    `within` makes the layer or the layers that it is around, its first argument: anew, for they belong to one model.
    """

    arguments: tuple[Any, ...] = ()
    shapes: tuple[Shape, ...] = ((9, 4),)
    keywords: dict[str, Any] = field(default_factory=dict)
    dtype: str = "float32"
    call: Callable[[Any, Sequence[Any]], Any] = lambda layer, inputs: layer(inputs if len(inputs) > 1 else inputs[0])
    within: Callable[[], Any] | None = None


def case(*arguments: Any, shapes: tuple[Shape, ...] = ((9, 4),), **keywords: Any) -> Case:
    """A layer made with those arguments."""
    return Case(arguments, shapes, keywords)


def around(make: Callable[[], Any], shapes: tuple[Shape, ...] = ((9, 4),)) -> Case:
    """A layer around what that makes."""
    return Case((), shapes, within=make)


def apart(layer: Any, inputs: Sequence[Any]) -> Any:
    """Attention takes its query, value and key one by one."""
    return layer(*inputs)


def with_state(layer: Any, inputs: Sequence[Any]) -> Any:
    """A cell takes its states as a list, and gives its new ones; a stack takes a list for each cell."""
    states = list(inputs[1:])
    return layer(inputs[0], [states] if type(layer).__name__ == "StackedRNNCells" else states)[0]


# The layer classes of Keras and of QKeras, by name: to import them for the list of the tests would take seconds.
LAYERS = """
    Activation ELU LeakyReLU PReLU ReLU Softmax AdditiveAttention Attention GroupedQueryAttention MultiHeadAttention
    Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose DepthwiseConv1D DepthwiseConv2D
    SeparableConv1D SeparableConv2D Dense EinsumDense Embedding Identity InputLayer Lambda Masking
    ReversibleEmbedding Add Average Concatenate Dot Maximum Minimum Multiply Subtract BatchNormalization
    GroupNormalization LayerNormalization RMSNormalization SpectralNormalization UnitNormalization
    AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D AdaptiveMaxPooling1D
    AdaptiveMaxPooling2D AdaptiveMaxPooling3D AveragePooling1D AveragePooling2D AveragePooling3D
    GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D GlobalMaxPooling1D GlobalMaxPooling2D
    GlobalMaxPooling3D MaxPooling1D MaxPooling2D MaxPooling3D CategoryEncoding Discretization HashedCrossing Hashing
    AugMix AutoContrast CenterCrop ContrastLimitedAdaptiveHistogramEqualization CutMix MaxNumBoundingBoxes MixUp
    RandAugment RandomBrightness RandomColorDegeneration RandomColorJitter RandomContrast RandomCrop
    RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur RandomGrayscale RandomHue RandomInvert
    RandomPerspective RandomPosterization RandomRotation RandomSaturation RandomSharpness RandomShear
    RandomTranslation RandomZoom Resizing Solarization IntegerLookup MelSpectrogram Normalization Pipeline Rescaling
    STFTSpectrogram StringLookup TextVectorization ActivityRegularization AlphaDropout Dropout GaussianDropout
    GaussianNoise SpatialDropout1D SpatialDropout2D SpatialDropout3D Cropping1D Cropping2D Cropping3D Flatten
    Permute RepeatVector Reshape UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D
    Bidirectional ConvLSTM1D ConvLSTM2D ConvLSTM3D GRU GRUCell LSTM LSTMCell RNN SimpleRNN SimpleRNNCell
    StackedRNNCells TimeDistributed QConv1D QConv2D QDepthwiseConv2D QActivation QDense QConv2DBatchnorm
    QConv2DTranspose QSeparableConv1D QSeparableConv2D QDenseBatchnorm QDepthwiseConv2DTranspose
    QDepthwiseConv2DBatchnorm QScaleShift QBatchNormalization QAveragePooling2D QGlobalAveragePooling2D
    QSimpleRNNCell QSimpleRNN QLSTMCell QLSTM QGRUCell QGRU QBidirectional QSeparableConv2DTranspose
"""
NAMES = LAYERS.split()
IMAGE, AUDIO = ((16, 16, 3),), ((1000,),)
SPACES: dict[int, tuple[Shape]] = {1: ((6, 4),), 2: ((6, 7, 4),), 3: ((6, 7, 8, 4),)}  # a sequence, an image, a volume
ABSTRACT = {"Layer", "Wrapper", "Model"}  # classes that layers derive from
NEEDS_MORE = {  # of another framework or a file; the last two cannot be part of a saved functional model
    *("TFSMLayer", "FlaxLayer", "JaxLayer", "TorchModuleWrapper", "QAdaptiveActivation", "Equalization"),
}
NO_RULE = {  # named as not costed
    *("Lambda", "ReversibleEmbedding", "AutoContrast", "ContrastLimitedAdaptiveHistogramEqualization", "RandomCrop"),
    *("MaxNumBoundingBoxes", "Pipeline", "MelSpectrogram", "STFTSpectrogram", "Discretization", "CategoryEncoding"),
    *("Hashing", "HashedCrossing", "IntegerLookup", "StringLookup", "TextVectorization", "StackedRNNCells"),
    *(f"{q}{kind}Cell" for kind in ("LSTM", "GRU", "SimpleRNN") for q in ("", "Q")),
    *("QScaleShift", "QDepthwiseConv2DTranspose", "QSeparableConv2DTranspose"),
}
# Numbers that Keras stores, and that inference does without: statistics of a batch norm, which are folded into its
# scale and offset, counts of samples and steps, the vector of a spectral norm.
NOT_NEEDED = ("moving_mean", "moving_variance", "count", "iteration", "vector_u")


H5 = {  # read from an .h5 file too, which says of a layer what a .keras file says: one of each form
    *("Conv2D", "SeparableConv1D", "Conv3DTranspose", "DepthwiseConv2D", "MaxPooling2D", "GlobalAveragePooling1D"),
    *("Dense", "EinsumDense", "Embedding", "BatchNormalization", "LayerNormalization", "Activation", "PReLU"),
    *("LSTM", "RNN", "ConvLSTM2D", "Bidirectional", "TimeDistributed", "MultiHeadAttention", "Attention"),
    *("Add", "Concatenate", "Dot", "Reshape", "Permute", "ZeroPadding2D", "InputLayer", "Rescaling", "Resizing"),
    *("QConv2D", "QDense", "QDenseBatchnorm", "QActivation", "QLSTM", "Lambda", "LSTMCell", "Discretization"),
}


@functools.cache
def cases() -> dict[str, Case]:
    """The cases by the names of their classes."""
    from keras import layers

    return {
        **{f"{form}Conv{n}D": case(3, 2, shapes=SPACES[n]) for form in ("", "Separable") for n in SPACES},
        **{f"{form}{n}DTranspose": case(3, 2, shapes=SPACES[n]) for form in ("Conv", "SeparableConv") for n in SPACES},
        **{f"DepthwiseConv{n}D": case(2, shapes=SPACES[n]) for n in SPACES},
        "QDepthwiseConv2DTranspose": case(4, 2, shapes=SPACES[2]),
        **{f"{which}Pooling{n}D": case(2, shapes=SPACES[n]) for which in ("Max", "Average") for n in SPACES},
        **{f"Global{which}Pooling{n}D": case(shapes=SPACES[n]) for which in ("Max", "Average") for n in SPACES},
        **{f"Adaptive{which}Pooling{n}D": case(4, shapes=SPACES[n]) for which in ("Max", "Average") for n in SPACES},
        **{
            f"{which}{n}D": case(shapes=SPACES[n])
            for which in ("ZeroPadding", "Cropping", "UpSampling")
            for n in SPACES
        },
        **{f"SpatialDropout{n}D": case(0.1, shapes=SPACES[n]) for n in SPACES},
        **{f"ConvLSTM{n}D": case(3, 2, shapes=((5, *SPACES[n][0]),)) for n in SPACES},
        "QConv2DBatchnorm": case(3, 2, shapes=SPACES[2]),
        "QDepthwiseConv2DBatchnorm": case(2, shapes=SPACES[2]),
        "QDenseBatchnorm": case(3, shapes=((4,),)),
        **dict.fromkeys(("LSTM", "GRU", "SimpleRNN"), case(5)),
        "LSTMCell": Case((5,), ((4,), (5,), (5,)), call=with_state),
        "StackedRNNCells": Case((), ((4,), (5,), (5,)), call=with_state, within=lambda: [layers.LSTMCell(5)]),
        **dict.fromkeys(("GRUCell", "SimpleRNNCell"), Case((5,), ((4,), (5,)), call=with_state)),
        "RNN": around(lambda: layers.LSTMCell(5)),
        "Bidirectional": around(lambda: layers.LSTM(5)),
        "TimeDistributed": around(lambda: layers.Dense(3)),
        "SpectralNormalization": around(lambda: layers.Dense(3)),
        **dict.fromkeys(("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"), case(shapes=((9, 4),) * 2)),
        "Concatenate": case(shapes=((9, 4), (9, 2))),
        "Dot": case(1, shapes=((4,), (4,))),
        **dict.fromkeys(("Attention", "AdditiveAttention"), case(shapes=((5, 4), (7, 4)))),
        "MultiHeadAttention": Case((2, 3), ((5, 4), (7, 6)), call=apart),
        "GroupedQueryAttention": Case((3, 4, 2), ((5, 4), (7, 4)), call=apart),
        **{f"{which}Normalization": case() for which in ("Batch", "Layer", "RMS", "Unit", "")},
        "GroupNormalization": case(2),
        **dict.fromkeys(("ReLU", "ELU", "LeakyReLU", "PReLU", "Softmax", "Flatten", "Identity", "Masking"), case()),
        **dict.fromkeys(("Dropout", "GaussianDropout", "GaussianNoise", "AlphaDropout"), case(0.1)),
        "ActivityRegularization": case(),
        "Activation": case("tanh"),
        "Dense": case(3),
        "EinsumDense": case("abc,cd->abd", (9, 5), bias_axes="d"),
        **dict.fromkeys(("Embedding", "ReversibleEmbedding"), case(11, 3, shapes=((5,),))),
        "Permute": case((2, 1)),
        "RepeatVector": case(3, shapes=((4,),)),
        "Reshape": case((6, 6)),
        "Rescaling": case(0.5),
        "Lambda": case(lambda x: x * 2),
        "QScaleShift": case(),
        "InputLayer": Case(call=lambda layer, inputs: layers.ReLU()(inputs[0])),
        **dict.fromkeys(("AugMix", "AutoContrast", "ContrastLimitedAdaptiveHistogramEqualization"), case(shapes=IMAGE)),
        **dict.fromkeys(("CutMix", "MixUp", "RandAugment", "Solarization"), case(shapes=IMAGE)),
        **{
            f"Random{what}": case(shapes=IMAGE)
            for what in (
                "ColorJitter",
                "ElasticTransform",
                "Erasing",
                "Flip",
                "GaussianBlur",
                "Grayscale",
                "Perspective",
            )
        },
        **{
            f"Random{what}": case(0.2, shapes=IMAGE)
            for what in (
                *("Brightness", "ColorDegeneration", "Contrast", "Hue", "Invert", "Rotation", "Saturation"),
                *("Sharpness", "Shear", "Zoom"),
            )
        },
        "RandomPosterization": case(4, shapes=IMAGE),
        "RandomTranslation": case(0.2, 0.2, shapes=IMAGE),
        **dict.fromkeys(("RandomCrop", "CenterCrop"), case(8, 6, shapes=IMAGE)),
        "Resizing": case(8, 6, shapes=IMAGE),
        "MaxNumBoundingBoxes": case(5, shapes=IMAGE),
        "Pipeline": around(lambda: [layers.RandomFlip()], IMAGE),
        "MelSpectrogram": case(shapes=AUDIO, num_mel_bins=20, sequence_stride=128, sequence_length=256, fft_length=256),
        "STFTSpectrogram": case(shapes=((1000, 1),), frame_length=256, frame_step=128, fft_length=256),
        "CategoryEncoding": case(5, shapes=((3,),)),
        "Discretization": case([0.0, 1.0], shapes=((3,),)),
        "Hashing": Case((5,), ((3,),), dtype="int64"),
        "HashedCrossing": Case((5,), ((1,), (1,)), dtype="int64"),
        "IntegerLookup": Case((), ((3,),), {"vocabulary": [1, 2, 3]}, dtype="int64"),
        "StringLookup": Case((), ((3,),), {"vocabulary": ["a", "b"]}, dtype="string"),
        "TextVectorization": Case((), ((1,),), {"vocabulary": ["a"], "output_sequence_length": 4}, dtype="string"),
    }


@functools.cache
def classes() -> dict[str, Any]:
    """All layer classes of Keras and QKeras; the same under a second name is there once."""
    import qkeras
    from keras import layers

    found: dict[str, Any] = {}
    for module in (layers, qkeras):
        for value in vars(module).values():
            if inspect.isclass(value) and issubclass(value, layers.Layer):
                found.setdefault(value.__name__, value)
    return {name: value for name, value in found.items() if name not in ABSTRACT | NEEDS_MORE}


def case_of(name: str) -> Case | None:
    """The case of a class; that of the Keras layer for a QKeras layer without one of its own."""
    found = cases()
    return found.get(name) or (found.get(name[1:]) if name.startswith("Q") else None)


def layer_of(name: str, found: Case) -> Any:
    """The layer of a case."""
    if name == "InputLayer":
        return None
    within = () if found.within is None else (found.within(),)
    return classes()[name](*within, *found.arguments, **found.keywords)


def model_of(name: str) -> Any:
    """A model of that layer alone."""
    import keras

    found = case_of(name)
    assert found is not None, f"no case for {name}: give it one, and a rule or a place in NO_RULE"
    inputs = [keras.Input(shape, dtype=found.dtype) for shape in found.shapes]
    return keras.Model(inputs, found.call(layer_of(name, found), inputs))


def needed(model: Any) -> int:
    """How many numbers of a model inference needs; a batch norm that is folded in leaves its bias alone."""
    folded = ("gamma", "beta") if "Batchnorm" in type(model.layers[-1]).__name__ else ()
    weights = [weight for layer in model.layers for weight in layer.weights]
    return sum(prod(weight.shape) for weight in weights if not weight.path.endswith((*NOT_NEEDED, *folded)))


def files(model: Any, name: str, folder: Path) -> list[Path]:
    """The files of a model that Keras writes."""
    found = [folder / "model.keras", *([folder / "model.h5"] if name in H5 else [])]
    for file in found:
        model.save(file)
    return found


def test_the_classes_are_those_known_here() -> None:
    assert sorted(classes()) == sorted(NAMES)
    assert [name for name in NAMES if case_of(name) is None] == []
    assert len(NAMES) > 150
    assert set(NAMES) >= NO_RULE | H5


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_every_layer_is_right_or_named(name: str, tmp_path: Path) -> None:
    model = model_of(name)
    for source in (model, *files(model, name, tmp_path)):
        graph = read_graph(source)
        last = graph.operators[-1]
        not_costed = profile(graph).not_costed
        if name in NO_RULE:
            assert last.kind.startswith("unknown: ")
            assert any(last.name in said for said in not_costed)
            assert last.output_shape in ((), model.output_shape[1:])
        else:
            assert last.output_shape == model.output_shape[1:]
            assert sum(op.parameters for op in graph.operators) == needed(model)
            assert not not_costed


@pytest.mark.parametrize("name", [name for name in UNCHANGED if name in NAMES])
def test_what_is_free_does_nothing_at_inference(name: str) -> None:
    found = cases()[name]
    values = np.random.default_rng(1).uniform(0, 255, (2, *found.shapes[0])).astype("float32")
    layer = layer_of(name, found)
    np.testing.assert_array_equal(np.asarray(layer(values, training=False)), values)
