"""Training in bfloat16: near to float32, the same every time, and gone when the answers are computed."""

from pathlib import Path

import numpy as np
import pytest
from small_training import Notes

from hybridq.training.fit import train
from hybridq.training.settings import TrainingSettings
from hybridq.training.tasks import validate

EXACT = TrainingSettings(epochs=2, batch=16)
ROUNDED = EXACT.model_copy(update={"bfloat16": True})
CPU = Path("/proc/cpuinfo")


def network(seed=0):
    """A convolution, a batch norm and a matrix product: what may be rounded, and no more to trace."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    inputs = keras.Input((38, 55, 1))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3, strides=3, activation="elu")(inputs))
    x = layers.Dense(8, activation="elu")(layers.Flatten()(x))
    return keras.Model(inputs, layers.Dense(2, activation="softmax")(x))


def weights(data, settings, file, teachers=()):
    model = network()
    history = train(model, data, settings, file, Notes(), teachers=teachers)
    return model, history, [weight.copy() for weight in model.get_weights()]


def distance(some, others):
    return max(np.abs(a - b).max() for a, b in zip(some, others, strict=True))


def test_it_trains_nearly_as_float32_the_same_every_time_and_what_comes_after_is_float32(data, tmp_path):
    _, exact, kept = weights(data, EXACT, tmp_path / "a")
    model, rounded, near = weights(data, ROUNDED, tmp_path / "b")
    _, _, again = weights(data, ROUNDED, tmp_path / "c")
    assert distance(near, again) == 0
    assert distance(near, kept) < 0.05
    assert rounded.epochs[-1].training_loss == pytest.approx(exact.epochs[-1].training_loss, rel=0.05)
    if CPU.exists() and "avx512_bf16" in CPU.read_text():  # a processor without it computes in float32
        assert distance(near, kept) > 0

    fresh = network(seed=1)
    fresh.set_weights(near)
    fresh.compile(loss="categorical_crossentropy", metrics=["accuracy", "categorical_crossentropy"])
    inputs, labels = data.inputs("validation")
    np.testing.assert_array_equal(model.predict(inputs, verbose=0), fresh.predict(inputs, verbose=0))
    assert validate(model, data).error == pytest.approx(
        -np.log(fresh.predict(inputs, verbose=0)[np.arange(len(labels)), labels]).mean(), rel=1e-5
    )


def test_a_teacher_answers_in_float32(data, tmp_path):
    """It answers in the thread that makes the next epoch, beside the training."""
    teacher, heard = network(seed=3), []
    answer = teacher.predict_on_batch
    teacher.predict_on_batch = lambda x: heard.append((x, answer(x))) or heard[-1][1]
    weights(data, ROUNDED, tmp_path / "a", [teacher])
    assert len(heard) >= 2
    for inputs, answered in heard:
        np.testing.assert_array_equal(answered, answer(inputs))
