"""Batch norms in training as one operation: that they train as Keras's own, and leave nothing behind."""

import numpy as np
import pytest
from conftest import answers

from hybridq.training.fused_norms import fused_norms


def network(*kinds):
    """Batch norms of each kind (the settings of Keras's layer), one behind the other, of images, sequences, vectors."""
    import keras
    from keras import layers

    def normed(x, name):
        for i, settings in enumerate(kinds or [{}]):
            x = layers.BatchNormalization(name=f"{name}_{i}", **settings)(x)
        return x

    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 5, 1))
    x = normed(layers.Conv2D(3, 3, name="conv")(inputs), "image")
    x = layers.Reshape((4, 9))(layers.ReLU()(x))
    x = normed(layers.Conv1D(4, 2)(x), "sequence")
    x = normed(layers.Dense(4)(layers.Flatten()(x)), "vector")
    model = keras.Model(inputs, layers.Dense(2, activation="softmax")(x))
    model.compile(keras.optimizers.SGD(0.1), "categorical_crossentropy")
    return model


def vectors(*kinds):
    """Batch norms of each kind, one behind the other, of vectors alone: for every operation is traced."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 5, 1))
    x = layers.Dense(4)(layers.Flatten()(inputs))
    for settings in kinds:
        x = layers.BatchNormalization(**settings)(x)
    model = keras.Model(inputs, layers.Dense(2, activation="softmax")(x))
    model.compile(keras.optimizers.SGD(0.1), "categorical_crossentropy")
    return model


def fitted(model):
    rng = np.random.default_rng(0)
    x, y = rng.normal(3, 2, (70, 6, 5, 1)).astype(np.float32), np.eye(2, dtype=np.float32)[rng.integers(0, 2, 70)]
    losses = model.fit(x, y, batch_size=32, epochs=3, shuffle=False, verbose=0).history["loss"]
    return losses, model.get_weights(), answers(model, x)


def test_training_is_that_of_keras():
    """The last batch has six clips: its mean and variance are kept as Keras keeps them, over so few clips too."""
    kinds = {}, {"momentum": 0.5, "epsilon": 0.1}, {"axis": -1, "dtype": "float32"}
    plain, fused = network(*kinds), network(*kinds)
    expected = fitted(plain)
    with fused_norms(fused):
        for i in range(len(kinds)):
            assert all("call" in vars(fused.get_layer(f"{name}_{i}")) for name in ("image", "sequence", "vector"))
        found = fitted(fused)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-4)
    for mine, theirs in zip(found[1], expected[1], strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found[2], expected[2], atol=1e-3)


def test_a_batch_norm_that_the_kernel_does_not_compute_is_left_to_keras():
    kinds = {"scale": False}, {"center": False}, {"epsilon": 1e-6}, {"renorm": True}
    everywhere = network(*kinds)
    with fused_norms(everywhere):
        assert not any("call" in vars(layer) for layer in everywhere.layers)
    plain, fused = vectors(*kinds), vectors(*kinds)
    expected = fitted(plain)
    with fused_norms(fused):
        assert not any("call" in vars(layer) for layer in fused.layers)
        found = fitted(fused)
    np.testing.assert_array_equal(found[0], expected[0])


def test_a_batch_norm_that_stands_in_two_places_is_one():
    import keras
    from keras import layers

    def shared():
        keras.utils.set_random_seed(0)
        inputs = keras.Input((6, 5, 1))
        norm = layers.BatchNormalization()
        x = norm(layers.Dense(3)(norm(layers.Dense(3)(layers.Flatten()(inputs)))))
        model = keras.Model(inputs, layers.Dense(2, activation="softmax")(x))
        model.compile(keras.optimizers.SGD(0.1), "categorical_crossentropy")
        return model

    plain, fused = shared(), shared()
    expected = fitted(plain)
    with fused_norms(fused):
        found = fitted(fused)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-3)


def test_nothing_of_it_is_left_behind_or_saved(tmp_path):
    import keras

    model = network()
    with fused_norms(model):
        fitted(model)
        model.save(tmp_path / "within.keras")
    assert not any("call" in vars(layer) for layer in model.layers)
    again = keras.models.load_model(tmp_path / "within.keras")
    assert {type(layer) for layer in again.layers} == {type(layer) for layer in model.layers}
    x = np.random.default_rng(1).normal(size=(4, 6, 5, 1)).astype(np.float32)
    np.testing.assert_array_equal(answers(again, x), answers(model, x))


def test_it_ends_with_an_error_too():
    model = network()

    def interrupted():
        with fused_norms(model):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not any("call" in vars(layer) for layer in model.layers)


def test_layers_that_are_frozen_stay_as_they_are():
    model = network()
    for name in ("image_0", "sequence_0", "vector_0"):
        model.get_layer(name).trainable = False
    model.compile(loss="categorical_crossentropy")
    before = [weight.copy() for weight in model.get_layer("image_0").get_weights()]
    with fused_norms(model):
        fitted(model)
    for mine, theirs in zip(model.get_layer("image_0").get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, theirs)
