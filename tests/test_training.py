"""Training: the schedule, the same seed, a stop and its continuation, a loss that is no number."""

import shutil

import numpy as np
import pytest
from conftest import answers
from hypothesis import given
from hypothesis import strategies as st
from small_training import Notes, small_network, two_words

from hybridq.errors import UserError
from hybridq.models import build_model
from hybridq.models.hello_edge import DNNConfig
from hybridq.precision import PrecisionPlan
from hybridq.quantization.model import quantize
from hybridq.training.fit import learning_rate, train
from hybridq.training.history import Epoch, History
from hybridq.training.settings import PruneSettings, TrainingSettings
from hybridq.training.tasks import validate

SETTINGS = TrainingSettings(epochs=3, batch=16, average=0.9, warmup_epochs=1)
BARE = TrainingSettings(epochs=4, batch=8, learning_rate=1e-2)  # without an average


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The two words of `write_tones`, for all tests of this file."""
    return two_words(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def training(data, tmp_path_factory):
    """A network trained without an average; its history, its checkpoint, and what its watcher was told."""
    file, notes = tmp_path_factory.mktemp("trained") / "checkpoint", Notes()
    return *trained(half_binary(), data, BARE, file, notes), file, notes


class Keeping(Notes):
    """Keeps the checkpoint of an epoch, with which a run that is stopped after it leaves off."""

    def __init__(self, epoch, file, copy):
        super().__init__()
        self.number, self.file, self.copy = epoch, file, copy

    def epoch(self, row):
        super().epoch(row)
        if row.epoch == self.number:
            shutil.copyfile(self.file, self.copy)


def network(seed=0, dense="binary"):
    return small_network({"conv2d*": "8-bit", "dense": dense}, seed)


def half_binary(seed=0):
    """The smallest network that there is, for what does not depend on layers."""
    import keras

    keras.utils.set_random_seed(seed)
    return quantize(build_model(DNNConfig(units=(8,)), (38, 55), 2), PrecisionPlan.from_data({"dense": "binary"}))


def trained(model, *arguments, **options):
    return model, train(model, *arguments, **options)


def assert_same_weights(one, other):
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_same_seed_gives_the_same_weights_also_to_a_run_that_was_resumed(data, tmp_path):
    """With all that has a state of its own or depends on the epoch: dropout, average, pruning, latents, teachers."""
    prune, teachers = PruneSettings(sparsity=0.8, first=2, last=3), [small_network({}, 5)]
    settings = SETTINGS.model_copy(update={"prune": prune, "latent_clip": (1.8, 1.2)})
    kept = Keeping(2, tmp_path / "a", tmp_path / "b")
    whole, history = trained(network(0, "ternary"), data, settings, tmp_path / "a", kept, teachers=teachers)
    notes, other = Notes(), network(9, "ternary")
    resumed, rest = trained(other, data, settings, tmp_path / "b", notes, resume=True, teachers=teachers)
    assert [row.epoch for row in notes.rows] == [3]
    assert rest.epochs == history.epochs
    assert_same_weights(whole, resumed)


def test_another_seed_gives_other_weights(training, data, tmp_path):
    settings = BARE.model_copy(update={"seed": 1})
    one, other = training[0], trained(half_binary(1), data, settings, tmp_path / "a", Notes())[0]
    assert any(not np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))


def test_an_early_stopper_measures_the_latest_weights_also_where_their_average_is_kept(training, data, tmp_path):
    class Listener:
        key, found = "", ()

        def should_stop(self, epochs, latest):
            self.found = (*self.found, latest())
            return False

    listener, slow, bare = Listener(), BARE.model_copy(update={"average": 0.999}), training[1]
    history = train(half_binary(), data, slow, tmp_path / "a", Notes(), stopper=listener)
    assert listener.found == pytest.approx([row.validation_accuracy for row in bare.epochs])
    assert listener.found != pytest.approx([row.validation_accuracy for row in history.epochs])


def test_it_learns_two_tones_and_tells_of_every_epoch(training):
    _, history, _, notes = training
    assert notes.rows == history.epochs
    assert history.best.validation_accuracy == max(row.validation_accuracy for row in history.epochs) == 100
    assert notes.shares == sorted(notes.shares)
    assert notes.shares[-1] == 4
    assert history.minutes > 0


def test_no_epochs_leave_the_weights_as_they_are(data, tmp_path):
    model = network()
    before = model.get_weights()
    settings = SETTINGS.model_copy(update={"epochs": 0})
    assert train(model, data, settings, tmp_path / "a", Notes()).epochs == []
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    found = validate(model, data)
    inputs, labels = data.inputs("validation")
    right = answers(model, inputs)[np.arange(len(labels)), labels]
    assert found.error == pytest.approx(-np.log(right).mean(), rel=1e-4)  # of labels not smoothed


def test_a_loss_that_is_no_number_stops_with_a_reason(data, tmp_path):
    settings = TrainingSettings(epochs=3, batch=8, learning_rate=1e30, warmup_epochs=0, optimizer="sgd")
    with pytest.raises(
        UserError, match=r"diverged: the loss is (nan|inf) in epoch \d; try a training.learning_rate"
    ) as found:
        train(small_network({}), data, settings, tmp_path / "a", Notes())
    assert found.value.exit_code == 1


def test_a_damaged_checkpoint_is_refused(training, data, tmp_path):
    (tmp_path / "a").write_bytes(training[2].read_bytes()[:3000])
    with pytest.raises(UserError, match="train again without --resume"):
        train(half_binary(), data, SETTINGS, tmp_path / "a", Notes(), resume=True)


@given(
    schedule=st.sampled_from(["constant", "cosine", "step"]),
    epochs=st.integers(1, 60),
    warmup=st.integers(0, 10),
    steps=st.integers(1, 300),
)
def test_schedules_rise_to_the_rate_and_never_beyond(schedule, epochs, warmup, steps):
    settings = TrainingSettings(epochs=epochs, warmup_epochs=warmup, schedule=schedule, learning_rate=0.01)
    rates = [learning_rate(settings, step, steps) for step in range(epochs * steps)]
    assert max(rates) <= 0.01 * (1 + 1e-9)
    assert min(rates) >= 0
    after = rates[warmup * steps :]
    assert after == sorted(after, reverse=True)
    if after:
        assert after[0] == pytest.approx(0.01)
    if schedule == "cosine" and len(after) > 200:
        assert after[-1] < 1e-5


def test_the_best_epoch_is_the_most_accurate_and_between_equals_the_lower_loss():
    rows = [
        Epoch(i, 0, 0, accuracy, loss, 0) for i, (accuracy, loss) in enumerate([(90, 1), (91, 2), (91, 1), (90, 0)])
    ]
    assert History(rows).best is rows[2]
