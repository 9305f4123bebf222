"""The bound on latent weights: which layers, how far, when, and that nothing is left of it in the trained network."""

import numpy as np
import pytest
from conftest import answers
from hypothesis import given
from hypothesis import strategies as st
from small_training import Notes, small_network, two_words

from hybridq.errors import UserError
from hybridq.precision import PrecisionPlan
from hybridq.quantization.model import quantize
from hybridq.training.fit import train
from hybridq.training.latent_clipping import clipped_latents, latent_bound, latents
from hybridq.training.settings import TrainingSettings

SETTINGS = TrainingSettings(epochs=3, batch=8, warmup_epochs=0, learning_rate=3e-2, average=0.5, latent_clip=(1.8, 1.2))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The two words of `write_tones`, for all tests of this file."""
    return two_words(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def bounded(data, tmp_path_factory):
    """A network trained with the tightest of bounds."""
    model, tight = network(), SETTINGS.model_copy(update={"latent_clip": (1.2, 1.2), "average": 0.0})
    train(model, data, tight, tmp_path_factory.mktemp("bounded") / "a", Notes())
    return model


def network(plan=None):
    return small_network(plan or {"conv2d": "8-bit", "conv2d_1": "ternary", "dense": "binary"})


def farthest(kernel):
    """The largest magnitude over the mean one, of the channel where it is largest."""
    sizes = np.abs(np.asarray(kernel))
    sizes = sizes.reshape(-1, sizes.shape[-1])
    return (sizes.max(axis=0) / sizes.mean(axis=0)).max()


@given(first=st.floats(1.01, 50), last=st.floats(1.01, 50), epochs=st.integers(1, 100))
def test_the_bound_goes_from_the_first_to_the_last_in_even_steps(first, last, epochs):
    settings = TrainingSettings(epochs=epochs, latent_clip=(first, last))
    bounds = [latent_bound(settings, epoch) for epoch in range(epochs)]
    assert bounds[0] == first
    assert epochs == 1 or bounds[-1] == pytest.approx(last)
    np.testing.assert_allclose(np.diff(bounds), (last - first) / max(1, epochs - 1), atol=1e-9)
    assert latent_bound(TrainingSettings(), 0) is None


def test_only_binary_and_ternary_layers_have_latents_and_a_depthwise_one_by_channel():
    import keras

    plan = {"*": "8-bit", "conv2d_1": "ternary", "dense*": "binary", "dense_1": "4-bit"}
    model = network(plan)
    names = [variable.path.split("/")[0] for variable, _ in latents(model)]
    assert names == ["conv2d_1", "dense"]
    inputs = keras.Input((6, 6, 5))
    maps = keras.layers.Flatten()(keras.layers.DepthwiseConv2D(3, name="deep")(inputs))
    model = quantize(keras.Model(inputs, maps), PrecisionPlan.from_data({"deep": "binary"}))
    ((kernel, axes),) = latents(model)
    assert (tuple(kernel.shape), axes) == ((3, 3, 5, 1), (0, 1))


def test_training_keeps_the_latents_within_the_bound_and_the_others_free(bounded, data, tmp_path):
    free = network()
    train(free, data, SETTINGS.model_copy(update={"latent_clip": None}), tmp_path / "a", Notes())
    assert max(farthest(kernel) for kernel, _ in latents(free)) > 2
    for kernel, _ in latents(bounded):  # the mean itself falls by the clipping, so the last bound is a little lower
        assert farthest(kernel) < 1.2 * 1.2
    assert farthest(bounded.get_layer("conv2d").kernel) > 1.5


def test_a_saved_network_has_nothing_of_the_bound(bounded, data, tmp_path):
    import keras

    bounded.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    x = data.inputs("test")[0]
    np.testing.assert_array_equal(answers(loaded, x), answers(bounded, x))


def test_a_failure_in_training_takes_the_bound_away_too(data, tmp_path):
    model = network()

    def own():
        return [variable.constraint for variable in model.trainable_variables]

    before = own()  # QKeras has some of its own
    with clipped_latents(model):
        assert own() != before
    assert own() == before
    wild = SETTINGS.model_copy(update={"learning_rate": 1e30, "optimizer": "sgd"})
    with pytest.raises(UserError, match="diverged"):
        train(model, data, wild, tmp_path / "a", Notes())
    assert own() == before
