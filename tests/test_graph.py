"""What a network is read as, of a Keras model in memory: branches, unknown layers, models that are refused."""

from __future__ import annotations

from typing import Any

import pytest

from hybridq.errors import UserError
from hybridq.graph.reader import Graph, read_graph


def branching() -> Any:
    """Two uses of one layer, two branches, an unknown layer."""
    import keras
    from keras import layers

    inputs = keras.Input((8, 8, 2))
    shared = layers.Conv2D(2, 3, padding="same", name="shared")
    one = shared(inputs)
    two = shared(one)
    x = layers.Add(name="add")([one, two])
    x = layers.Concatenate(name="joined")([x, two])
    x = layers.Lambda(lambda t: t[:, :, ::2], name="odd")(x)
    x = layers.Conv2D(3, 3, name="last")(x)
    return keras.Model(inputs, [x, layers.GlobalAveragePooling2D(name="mean")(x)], name="branching")


def test_branches_shared_layers_and_unknown_layers() -> None:
    graph = read_graph(branching())
    ops = {op.name: op for op in graph.operators}
    assert ops["shared"].parameters == 38
    assert ops["shared:1"].parameters == 0
    assert ops["add"].inputs == ("shared", "shared:1")
    assert ops["joined"].output_shape == (8, 8, 4)
    assert ops["odd"].kind == "unknown: Lambda"
    assert not ops["odd"].known
    assert ops["last"].input_shapes == ((8, 4, 4),)  # recorded in the model, so what follows is known again
    assert graph.outputs == ("last", "mean")


def test_a_class_of_the_users_own_is_unknown_whatever_its_name() -> None:
    import keras

    class Dense(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x

    inputs = keras.Input((4,))
    graph = read_graph(keras.Model(inputs, Dense(name="mine")(inputs)))
    assert graph.operators[1].kind == "unknown: Dense"


def test_sequential_with_and_without_an_input_layer() -> None:
    import keras

    model = keras.Sequential([keras.layers.Conv1D(4, 3), keras.layers.Flatten(), keras.layers.Dense(2)])
    with pytest.raises(UserError, match="not built"):
        read_graph(model)
    model.build((None, 10, 3))
    graph = read_graph(model)
    assert [op.output_shape for op in graph.operators] == [(10, 3), (8, 4), (32,), (2,)]
    assert graph.outputs == (graph.operators[-1].name,)


def test_open_shapes_and_other_objects_are_refused() -> None:
    import keras

    inputs = keras.Input((None, 3))
    with pytest.raises(UserError, match="is not fixed"):
        read_graph(keras.Model(inputs, keras.layers.Conv1D(4, 3)(inputs)))
    with pytest.raises(UserError, match="is not a Keras model"):
        read_graph(3)

    class Own(keras.Model):
        pass

    with pytest.raises(UserError):
        read_graph(Own())


def test_a_graph_is_its_own_reading() -> None:
    graph = Graph("empty", (), ())
    assert read_graph(graph) is graph


def test_operations_along_axes_and_on_each_value() -> None:
    """Those of Keras 3 are read as TensorFlow's in a file of Keras 2; one that takes the batch too is not."""
    import keras
    from keras import ops

    inputs = keras.Input((9, 4))
    ends = [
        ops.mean(inputs, axis=1),
        ops.max(inputs, axis=2, keepdims=True),
        ops.sum(inputs, axis=(1, 2)),
        ops.sqrt(inputs),
        inputs / 3.0,
        ops.mean(inputs),
    ]
    graph = read_graph(keras.Model(inputs, ends))
    assert {op.kind: op.output_shape for op in graph.operators[1:]} == {
        "Mean": (4,),
        "Max": (9, 1),
        "Sum": (1,),
        "Sqrt": (9, 4),
        "TrueDivide": (9, 4),
        "unknown: Mean over the batch": (),
    }
