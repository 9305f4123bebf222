"""Magnitude pruning: when how much, that zeros stay zeros, and what is kept of a run."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_training import Notes, small_network, two_words

from hybridq.errors import UserError
from hybridq.integer.convert import settle
from hybridq.integer.lowering import integer_network
from hybridq.profiler import profile
from hybridq.recipe.file import load_recipe
from hybridq.runs.experiment import graph_of
from hybridq.runs.export import export
from hybridq.runs.run_recipe import Laboratory
from hybridq.tracking import open_store
from hybridq.tracking.run import Run
from hybridq.training.fit import train
from hybridq.training.pruning import masked_kernels, sparsity
from hybridq.training.settings import PruneSettings, TrainingSettings

PRUNE = PruneSettings(sparsity=0.8, first=2, last=3)
SETTINGS = TrainingSettings(epochs=4, batch=8, warmup_epochs=0, learning_rate=3e-3, average=0.9, prune=PRUNE)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The two words of `write_tones`, for all tests of this file."""
    return two_words(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def pruned(data, tmp_path_factory):
    """A pruned network, its history, and what its watcher was told."""
    model, notes = network(), Notes()
    return model, train(model, data, SETTINGS, tmp_path_factory.mktemp("pruned") / "a", notes), notes


def network(plan=None):
    return small_network(plan or {"*": {"weights": "4-bit", "outputs": "8-bit"}})


def zeros(model):
    """The share of zeros in each kernel."""
    return {w.path: float(np.mean(w.numpy() == 0)) for w in model.trainable_variables if len(w.shape) > 1}


@given(final=st.floats(0.01, 0.99), first=st.integers(1, 20), count=st.integers(1, 30))
def test_the_share_rises_to_the_last_epoch_of_the_schedule_steeply_first(final, first, count):
    settings = PruneSettings(sparsity=final, first=first, last=first + count - 1)
    shares = [sparsity(settings, epoch) for epoch in range(first + count + 3)]
    assert shares[: first - 1] == [0] * (first - 1)
    assert shares[first - 1] > 0
    assert shares[settings.last - 1 :] == pytest.approx([final] * 5)
    rises = np.diff(shares[first - 1 : settings.last])
    assert (rises > 0).all()
    assert (np.diff(rises) < 1e-12).all()


def test_the_smallest_are_pruned_and_zeros_stay_zeros(pruned):
    model = network()
    kernel = model.get_layer("conv2d_1").kernel
    before = np.abs(kernel.numpy())
    with masked_kernels(model) as masks:
        masks.prune(0.5)
        kept = kernel.numpy() != 0
        assert before[kept].min() >= before[~kept].max()
    model, history, watched = pruned
    assert [row.sparsity for row in watched.rows] == pytest.approx([0, 0.7, 0.8, 0.8])
    assert history.best.epoch in (3, 4)
    for share in zeros(model).values():
        assert share == pytest.approx(0.8, abs=0.03)  # a kernel has few weights


def test_an_integer_network_has_the_zeros_too(pruned):
    import keras

    model = keras.models.clone_model(pruned[0])
    model.set_weights(pruned[0].get_weights())
    settle(model)
    for layer in integer_network(model).layers:
        if hasattr(layer, "weights"):
            assert np.mean(layer.weights == 0) > 0.75


def test_the_flash_of_a_run_is_that_of_its_image(folder, move_in, tmp_path, monkeypatch):
    move_in(monkeypatch, tmp_path)
    (tmp_path / "pruned.yaml").write_text(
        f"""
name: pruned
data: {{source: {folder}, words: ["yes", "no"]}}
model: {{name: dnn, units: [32]}}
precision: {{"*": {{weights: 4-bit, outputs: 8-bit}}}}
training: {{epochs: 2, prune: {{sparsity: 0.9, first: 1, last: 2}}}}
accounting: packed
"""
    )
    recipe = load_recipe(tmp_path / "pruned.yaml")
    monkeypatch.setattr(Run, "figure", lambda *_: None)  # the pictures are not looked at
    store = open_store(tmp_path / "mlruns")
    run = Laboratory(store, lambda recipe, data: Notes()).run(recipe)
    image = export(run, tmp_path / "image", store)
    stored = sum(layer["constants_bytes"] for layer in image["layers"])
    logged = next(view for view in store.runs() if view.id == run).metrics["flash KiB"] * 1024
    before = profile(graph_of(recipe), plan=recipe.plan, accounting="packed").totals.flash_bytes
    assert logged == stored < 0.4 * before


def test_nothing_is_left_of_the_masks_in_the_model():
    model = network()
    before = [variable.constraint for variable in model.trainable_variables]
    with masked_kernels(model):
        assert [variable.constraint for variable in model.trainable_variables] != before
    assert [variable.constraint for variable in model.trainable_variables] == before


def test_binary_weights_cannot_be_pruned(data, tmp_path):
    with pytest.raises(UserError, match="the binary weights of dense have no zero"):
        train(network({"dense": "binary"}), data, SETTINGS, tmp_path / "a", Notes())


@pytest.mark.parametrize(
    ("prune", "message"),
    [
        ({"sparsity": 0.5, "first": 4, "last": 3}, "at most training.prune.last, 3"),
        ({"sparsity": 0.5, "last": 5}, "at most training.epochs, 4"),
    ],
)
def test_a_schedule_that_cannot_end_is_refused(prune, message):
    with pytest.raises(ValueError, match=message):
        TrainingSettings(epochs=4, prune=prune)
