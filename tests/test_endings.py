"""What a network may end in: logits, probabilities, numbers, maps, several of these; from Keras to C."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from network_runs import expected, machine

from hybridq.errors import UserError
from hybridq.graph.reader import read_graph
from hybridq.image.outputs import outputs_of
from hybridq.integer.answers import activations, answers
from hybridq.integer.arithmetic import quantized
from hybridq.integer.artefact import digest, load_network, save_network
from hybridq.integer.convert import settle
from hybridq.integer.description import Description
from hybridq.integer.fusion import structure
from hybridq.integer.lowering import integer_network
from hybridq.integer.network import IntegerNetwork
from hybridq.integer.skeleton import outline
from hybridq.precision import PrecisionPlan
from hybridq.quantization.graph import quantized_graph
from hybridq.quantization.model import calibrated, quantize

PLAN = PrecisionPlan.from_data({"*": {"weights": "8-bit", "outputs": "8-bit"}})
SHAPE = (8, 7, 2)


def examples(count: int = 40, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, *SHAPE)).astype(np.float32)


def network(end: Callable[[Any, Any], Any]) -> Any:
    """A convolution and an end, which makes outputs of its map."""
    import keras

    keras.utils.set_random_seed(3)
    inputs = keras.Input(SHAPE, name="image")
    x = keras.layers.Conv2D(6, 3, activation="relu", name="conv")(inputs)
    return keras.Model(inputs, end(x, keras.layers), name="small")


def flat(x: Any, layers: Any) -> Any:
    return layers.Flatten(name="flat")(x)


# For each end its outputs: type, shape, function.
ENDS: dict[str, tuple[Callable[[Any, Any], Any], list[tuple[str, tuple[int, ...], str]]]] = {
    "one sigmoid": (
        lambda x, layers: layers.Dense(1, activation="sigmoid", name="end")(flat(x, layers)),
        [("int16_t", (1,), "sigmoid")],
    ),
    "numbers": (lambda x, layers: layers.Dense(3, name="end")(flat(x, layers)), [("int16_t", (3,), "")]),
    "tanh behind": (
        lambda x, layers: layers.Activation("tanh")(layers.Dense(3, name="end")(flat(x, layers))),
        [("int16_t", (3,), "tanh")],
    ),
    "numbers above 0": (
        lambda x, layers: layers.Dense(3, activation="relu", name="end")(flat(x, layers)),
        [("int8_t", (3,), "")],
    ),
    "normalised": (
        lambda x, layers: layers.BatchNormalization(name="norm")(layers.Dense(3, name="end")(flat(x, layers))),
        [("int16_t", (3,), "")],
    ),
    "segmentation": (
        lambda x, layers: layers.Conv2D(4, 3, padding="same", activation="softmax", name="end")(x),
        [("int16_t", (6, 5, 4), "softmax")],
    ),
    "pointwise": (
        lambda x, layers: layers.Activation("sigmoid")(layers.Conv2D(1, 1, name="end")(x)),
        [("int16_t", (6, 5, 1), "sigmoid")],
    ),
    "each channel": (lambda x, layers: layers.DepthwiseConv2D(3, name="end")(x), [("int16_t", (4, 3, 6), "")]),
    "a mean": (lambda x, layers: layers.GlobalAveragePooling2D(name="end")(x), [("int8_t", (6,), "")]),
    "shares of a mean": (
        lambda x, layers: layers.Softmax(name="shares")(layers.GlobalAveragePooling2D(name="end")(x)),
        [("int8_t", (6,), "softmax")],
    ),
    "the largest": (lambda x, layers: layers.MaxPooling2D(2, name="end")(x), [("int8_t", (3, 2, 6), "")]),
    "what there was": (lambda x, layers: x, [("int8_t", (6, 5, 6), "")]),
    "a sum": (lambda x, layers: layers.Add(name="end")([x, layers.Conv2D(6, 1)(x)]), [("int8_t", (6, 5, 6), "")]),
    "another shape": (
        lambda x, layers: layers.Reshape((4, 3), name="shaped")(
            layers.Dense(12, activation="sigmoid", name="end")(flat(x, layers))
        ),
        [("int16_t", (12,), "sigmoid")],
    ),
    "two heads": (
        lambda x, layers: [
            layers.Dense(2, name="numbers")(flat(x, layers)),
            layers.Conv2D(3, 1, activation="softmax", name="classes")(x),
        ],
        [("int16_t", (2,), ""), ("int16_t", (6, 5, 3), "softmax")],
    ),
    "one on the way": (
        lambda x, layers: [layers.Dense(2, activation="softmax", name="end")(flat(x, layers)), x],
        [("int16_t", (2,), "softmax"), ("int8_t", (6, 5, 6), "")],
    ),
}


def converted(model: Any) -> tuple[Any, IntegerNetwork]:
    """The model on grids, and its integer network."""
    on_grids = quantize(model, PLAN, calibrated(model, PLAN, examples()))
    settle(on_grids)
    return on_grids, integer_network(on_grids)


@pytest.mark.parametrize("name", ENDS)
def test_a_network_may_end_in(name: str, tmp_path: Any) -> None:
    end, wanted = ENDS[name]
    model = network(end)
    before = outline(structure(quantized_graph(read_graph(model), PLAN)))
    on_grids, integers = converted(model)
    sha = save_network(integers, tmp_path / "network.hqn")
    assert digest(load_network(tmp_path / "network.hqn")) == sha
    assert (before.outputs, before.description.activation) == (integers.outputs, integers.description.activation)
    arguments = outputs_of(integers).values()
    shapes = [layer.shape for layer in integers.results]
    assert [(one.type, *rest) for one, *rest in zip(arguments, shapes, activations(integers), strict=True)] == wanted
    x = examples(20, seed=1)
    inputs = quantized(x, integers.input_fraction)
    said = on_grids(x, training=False)
    reals = map(np.asarray, said if len(wanted) > 1 else [said])
    for made, real, layer in zip(answers(integers, inputs), reals, integers.results, strict=True):
        near = 2.5 if layer.is_wide else 1.01  # steps; of int8 a half in float32 may be rounded the other way
        np.testing.assert_allclose(made.reshape(real.shape), real, atol=near * 2.0**-layer.fraction)
    assert np.array_equal(machine("here").answers(integers, inputs), expected(integers, inputs))


def test_softmax_is_understood_where_there_are_labels() -> None:
    """So a network of classes has the digest that it had before."""
    model = network(lambda x, layers: layers.Dense(3, activation="softmax")(flat(x, layers)))
    on_grids, integers = converted(model)
    assert integers.description.activation == ("softmax",)
    labelled = integer_network(on_grids, Description(labels=("a", "b", "c")))
    assert labelled.description.activation == ()
    assert activations(labelled) == ("softmax",)


def test_one_tensor_twice_is_refused_before_a_training() -> None:
    import keras

    model = network(lambda x, layers: [layers.Flatten(name="row")(x), x])
    with pytest.raises(UserError, match="conv: two outputs of the network are this tensor in integers"):
        structure(quantized_graph(read_graph(model), PLAN))
    inputs = keras.Input((6, 5), name="given")
    given = keras.Model(inputs, [keras.layers.Conv1D(2, 1)(inputs), keras.layers.Flatten()(inputs)])
    with pytest.raises(UserError, match="given: an output of the network is its input; leave it out"):
        structure(quantized_graph(read_graph(given), PLAN))
    turned = keras.Model(inputs, keras.layers.Permute((2, 1))(keras.layers.Conv1D(2, 1, name="conv")(inputs)))
    with pytest.raises(UserError, match="conv: the network must not end in a Permute"):
        structure(quantized_graph(read_graph(turned), PLAN))
