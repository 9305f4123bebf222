"""Distillation: what a teacher's answers make of the targets, and of a network that is trained on them."""

import numpy as np
from conftest import answers
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from small_training import Notes

from hybridq.models import build_model
from hybridq.models.hello_edge import DNNConfig
from hybridq.training.distillation import soft_targets, softened
from hybridq.training.fit import train
from hybridq.training.settings import TrainingSettings


def network(seed):
    import keras

    keras.utils.set_random_seed(seed)
    return build_model(DNNConfig(units=(8,)), (38, 55), 2)


def contrary(x, labels):
    """A network that calls each of two words by the other's name: one layer, its weights by least squares."""
    import keras
    from keras import layers

    inputs = keras.Input((38, 55, 1))
    model = keras.Model(inputs, layers.Dense(2, activation="softmax")(layers.Flatten()(inputs)))
    flat = x.reshape(len(x), -1)
    wanted = 5 * (1 - 2 * np.eye(2)[labels])
    kernel = flat.T @ np.linalg.solve(flat @ flat.T + np.eye(len(x)), wanted)  # it need not be exact: no large weights
    model.layers[-1].set_weights([kernel, np.zeros(2)])
    return model


logits = arrays(np.float32, (5, 4), elements=st.floats(-8, 8, width=32))


@given(logits=logits, temperature=st.floats(0.5, 8))
def test_a_temperature_divides_the_logits(logits, temperature):
    def softmax(values):
        powers = np.exp(values - values.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    found = softened(softmax(logits.astype(np.float64)).astype(np.float32), temperature)
    np.testing.assert_allclose(found, softmax(logits / temperature), atol=1e-4)


def test_the_targets_are_shared_between_teacher_and_labels(data):
    teacher = network(0)
    x = data.inputs("training")[0][:6]
    labels = np.eye(2, dtype=np.float32)[[0, 1, 0, 1, 0, 1]]
    alone = answers(teacher, x)
    np.testing.assert_allclose(soft_targets([teacher])(x, labels), alone, atol=1e-6)
    np.testing.assert_array_equal(soft_targets([teacher], share=0)(x, labels), labels)
    np.testing.assert_allclose(soft_targets([teacher], share=0.25)(x, labels), 0.25 * alone + 0.75 * labels, atol=1e-6)
    other = network(1)
    both = (alone + answers(other, x)) / 2
    np.testing.assert_allclose(soft_targets([teacher, other])(x, labels), both, atol=1e-6)


def test_a_pupil_believes_its_teacher_rather_than_the_labels(data, tmp_path):
    """A teacher that calls each word by the other's name: the pupil does so too."""
    x, labels = data.inputs("training")
    teacher = contrary(x, labels)
    assert np.mean(answers(teacher, x).argmax(1) == labels) < 0.05

    settings = TrainingSettings(epochs=6, batch=8, learning_rate=0.01)
    pupil = network(1)
    history = train(pupil, data, settings, tmp_path / "whole", Notes(), teachers=[teacher])
    assert history.epochs[-1].validation_accuracy < 10
