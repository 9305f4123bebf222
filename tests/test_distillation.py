"""Distillation: what a teacher's answers make of the targets, and of a network that is trained on them."""

import numpy as np
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
    return build_model(DNNConfig(units=(8, 8)), (38, 55), 2)


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
    answers = teacher.predict_on_batch(x)
    np.testing.assert_allclose(soft_targets([teacher])(x, labels), answers, atol=1e-6)
    np.testing.assert_array_equal(soft_targets([teacher], share=0)(x, labels), labels)
    np.testing.assert_allclose(
        soft_targets([teacher], share=0.25)(x, labels), 0.25 * answers + 0.75 * labels, atol=1e-6
    )
    other = network(1)
    both = (answers + other.predict_on_batch(x)) / 2
    np.testing.assert_allclose(soft_targets([teacher, other])(x, labels), both, atol=1e-6)


def test_a_pupil_believes_its_teacher_rather_than_the_labels(data, tmp_path):
    """A teacher that calls each word by the other's name: the pupil does so too."""
    import keras

    teacher = network(0)
    x, labels = data.inputs("training")
    teacher.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    teacher.fit(x, 1 - labels, epochs=30, verbose=0)
    assert teacher.evaluate(x, labels, verbose=0)[1] < 0.05

    settings = TrainingSettings(epochs=6, batch=8, learning_rate=0.01)
    pupil = network(1)
    history = train(pupil, data, settings, tmp_path / "whole", Notes(), teachers=[teacher])
    assert history.epochs[-1].validation_accuracy < 10
