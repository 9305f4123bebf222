"""The parts of a stream: its features, when a command counts, long audio and its truth, what is kept."""

import functools
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridq.errors import UserError
from hybridq.graph.reader import read_graph
from hybridq.speech.mfcc import FrontEnd
from hybridq.speech.settings import DecisionSettings
from hybridq.streaming.listening import matrices
from hybridq.streaming.outcome import PLACES, curve, outcome, together
from hybridq.streaming.reuse import reuse, time_columns
from hybridq.streaming.rule import Moment, Rule, heard, moments
from hybridq.streaming.scene import Scene, Speech, Utterance, scene, spoken

LABELS = ("yes", "no", "_silence_", "_unknown_")
RATE = 16000

answers_of = st.lists(st.lists(st.floats(0.01, 1), min_size=4, max_size=4), min_size=1, max_size=40).map(
    lambda rows: [(1024 * at, np.array(row) / sum(row)) for at, row in enumerate(rows)]
)


@settings(max_examples=20)
@given(
    cuts=st.lists(st.integers(1, 5000), max_size=12),
    every=st.integers(1, 7),
    hop=st.sampled_from([160, 256, 600]),
    seed=st.integers(0, 2**31),
)
def test_the_fifo_holds_the_features_of_the_last_samples_to_the_bit(cuts, every, hop, seed):
    end = FrontEnd(hop=hop, frames=9)
    samples = np.random.default_rng(seed).normal(0, 0.1, end.samples + 4 * hop + sum(cuts)).astype(np.float32)
    found = list(matrices(np.split(samples, np.cumsum(cuts)), end, every))
    assert len(found) == 1 + (len(samples) - end.samples) // (hop * every)
    for at, (sample, features) in enumerate(found):
        assert sample == end.samples + at * every * hop
        np.testing.assert_array_equal(features, end.mfcc(samples[sample - end.samples : sample]))


def test_a_recipe_gives_the_rule_in_answers_and_samples():
    settings_ = DecisionSettings(threshold=0.7, every=2, smoothing_ms=96, refractory_ms=500)
    assert Rule.of(settings_, FrontEnd()) == Rule(0.7, 2, smoothing=3, refractory=8000)
    assert Rule.of(DecisionSettings(smoothing_ms=0), FrontEnd()).smoothing == 1


@given(answers_of, st.integers(1, 6))
def test_smoothing_is_the_mean_of_the_last_answers(found, smoothing):
    for at, moment in enumerate(moments(found, LABELS, smoothing)):
        last = [one for _, one in found[max(0, at + 1 - smoothing) : at + 1]]
        np.testing.assert_allclose(moment.probabilities, np.mean(last, axis=0))
        largest = int(np.argmax(moment.probabilities))
        assert moment.word == (LABELS[largest] if largest < 2 else "")
        assert moment.score == (moment.probabilities[largest] if largest < 2 else -1)


@given(answers_of, st.integers(1, 6), st.floats(0, 1), st.integers(0, 9000))
def test_what_is_heard_is_a_command_sure_enough_and_not_too_soon(found, smoothing, threshold, refractory):
    said = list(moments(found, LABELS, smoothing))
    hits = [moment for moment, hit in heard(said, threshold, refractory) if hit]
    assert all(moment.word in LABELS[:2] and moment.score >= threshold for moment in hits)
    assert all(b.sample - a.sample >= refractory for a, b in pairwise(hits))
    for moment in said:  # and nothing else is passed over
        if moment.score >= threshold and moment not in hits:
            assert any(0 < moment.sample - hit.sample < refractory for hit in hits)


@given(answers_of, st.integers(1, 6), st.integers(0, 40))
def test_a_live_stream_decides_as_the_whole_recording_does(found, smoothing, length):
    def hits(part):
        return [(one.sample, hit) for one, hit in heard(moments(part, LABELS, smoothing), 0.4, 3000)]

    assert hits(found[:length]) == hits(found)[:length]


def speech(clips=30, noise=True):
    """Words that are bursts of noise in the middle of silent clips, at many levels."""
    rng = np.random.default_rng(3)
    sounds = np.zeros((clips, RATE), np.int16)
    for sound in sounds:
        sound[4000:12000] = rng.normal(0, rng.uniform(300, 5000), 8000)
    words = tuple(("yes", "no", "cat")[at % 3] for at in range(clips))
    recordings = (rng.normal(0, 900, 3 * RATE).astype(np.int16),) if noise else ()
    return Speech(sounds, words, ("yes", "no"), recordings, synthetic=True)


@given(st.integers(15, 50), st.integers(60, 99), st.integers(0, 2**31))
def test_a_word_is_found_in_its_clip(first, last, seed):
    rng = np.random.default_rng(seed)
    sound = rng.normal(0, 30, RATE)
    sound[160 * first : 160 * last] = rng.normal(0, 3000, 160 * (last - first))
    found = spoken(sound.astype(np.int16), RATE)
    assert found == pytest.approx((160 * first, 160 * last), abs=2 * 160)
    assert spoken(np.zeros(RATE, np.int16), RATE) == (0, RATE)


@pytest.mark.parametrize("noise", [True, False])
def test_a_scene_is_what_its_truth_says_at_the_level_it_says(noise):
    said = speech(noise=noise)
    loud, soft = (scene(said, snr, 60, RATE, seed=1) for snr in (20.0, 0.0))
    assert loud.utterances == soft.utterances
    assert len(loud.sound) == 60 * RATE
    assert {one.word for one in loud.utterances} == {"yes", "no", "cat"}
    assert all(one.command == (one.word != "cat") for one in loud.utterances)
    assert all(a.end + 1.5 * RATE <= b.start for a, b in pairwise(loud.utterances))
    silent = np.ones(60 * RATE, bool)
    for one in loud.utterances:
        silent[one.start - 8000 : one.end + 8000] = False
        assert one.end - one.start == pytest.approx(8000, abs=320)
    noise_level = {one.snr_db: np.std(one.sound[silent]) for one in (loud, soft)}
    assert noise_level[0] / noise_level[20] == pytest.approx(10, rel=0.05)
    for one in loud.utterances:
        level = np.std(loud.sound[one.start : one.end])
        assert 20 * np.log10(level / noise_level[20]) == pytest.approx(20, abs=0.5)


def test_a_scene_depends_on_its_seed_alone():
    again = [scene(speech(), 10, 30, RATE, seed).sound for seed in (1, 1, 2)]
    np.testing.assert_array_equal(again[0], again[1])
    assert (again[0] != again[2]).any()
    with pytest.raises(UserError, match="too short to say a word in"):
        scene(speech(), 10, 2, RATE, 0)


SAID = (
    Utterance("yes", 10_000, 18_000, True),
    Utterance("cat", 60_000, 70_000, False),
    Utterance("no", 110_000, 118_000, True),
)
QUIET = Scene(np.zeros(10 * RATE, np.int16), SAID, 10.0, RATE)


def moment(sample, word, score=0.9):
    return Moment(sample, np.zeros(4), word, score if word else -1)


def test_an_outcome_by_hand():
    stream = [
        moment(9_000, "yes"),  # before it is said: in noise
        moment(16_000, "yes"),  # 2,000 samples before its end
        moment(20_000, ""),
        moment(30_000, "yes"),  # again
        moment(36_000, "yes"),  # more than a second after its end
        moment(70_000, "yes", 0.5),
        moment(120_000, "yes"),  # another command
        moment(126_000, "no", 0.6),
    ]
    found = outcome(stream, QUIET, 0.0, refractory=0)
    assert (found.commands, found.hits, found.missed) == (2, 2, 0)
    assert found.latencies == (-125.0, 500.0)
    assert found.latency == 187.5
    assert found.false_alarms == dict(zip(PLACES, (2, 1, 2), strict=True))
    assert found.false_alarms_per_hour == 5 * 360
    strict = outcome(stream, QUIET, 0.8, refractory=0)
    assert (strict.hits, sum(strict.false_alarms.values())) == (1, 4)
    rested = outcome(stream, QUIET, 0.0, refractory=16_000)  # the first one takes the place of the true one
    assert rested.latencies == (750.0,) or rested.hits < 2
    both = together([found, strict])
    assert (both.commands, both.hits, both.seconds) == (4, 3, 20)
    assert both.false_alarms_per_hour == 9 * 180


@given(st.lists(st.tuples(st.integers(0, 159_000), st.sampled_from(["yes", "no", ""]), st.floats(0, 1)), max_size=30))
def test_every_command_that_is_heard_is_found_or_a_false_alarm(stream):
    found = [moment(*one) for one in sorted(stream)]
    for one in curve(found, QUIET, Rule(0.5, 4, 1, 1000)):
        hits = sum(hit for _, hit in heard(found, one.threshold, 1000))
        assert hits == one.hits + sum(one.false_alarms.values())
        assert len(one.latencies) == one.hits <= one.commands


def test_nothing_heard_is_all_missed():
    silent = outcome([], QUIET, 0.0, 0)
    assert (silent.missed, silent.false_alarms_per_hour, silent.latency) == (100, 0, None)


@functools.cache
def networks():
    """Made once: nothing here changes their weights."""
    import keras

    from hybridq.models import build_model
    from hybridq.models.config import ReferenceConfig, TCResNetConfig, TENetConfig

    keras.utils.set_random_seed(0)  # among all weights there are some that make a whole channel zero
    small = {"filters": (2, 2, 3, 3, 4, 4), "dense": (4, 4)}
    return {
        "valid": build_model(ReferenceConfig(**small, padding="valid"), (38, 55), 4),
        "same": build_model(ReferenceConfig(**small, padding="same"), (38, 55), 4),
        "tc_resnet": build_model(TCResNetConfig(channels=(4, 6, 8)), (38, 55), 4),
        "tenet": build_model(TENetConfig(channels=(16, 24), blocks=(2, 1)), (38, 55), 4),
    }


@pytest.mark.parametrize("name", ["valid", "same", "tc_resnet", "tenet"])
@pytest.mark.parametrize("every", [1, 4, 6])
def test_the_columns_that_count_as_kept_are_the_same_and_no_others(name, every):
    """Computed: each layer's output now, and as many inferences earlier as a stride of the layer needs."""
    import keras

    model = networks()[name]
    graph, end = read_graph(model), FrontEnd()
    long = np.random.default_rng(0).normal(0, 1, (38, 55 + 8 * every)).astype(np.float32)
    inputs = np.stack([long[:, at * every : at * every + 55] for at in range(9)])[..., None]
    columns = {name: one for name, one in time_columns(graph, end).items() if one}
    convolutions = {op.name for op in graph.operators if "Conv" in op.kind}
    assert convolutions <= set(columns)
    every_output = keras.Model(model.input, [model.get_layer(name).output for name in columns])
    outputs = map(np.asarray, every_output(inputs, training=False))
    for (layer, here), found in zip(columns.items(), outputs, strict=True):
        moved = np.lcm(every, here.stride)
        now, before = (np.moveaxis(found[at], here.axis, 0) for at in (-1, -1 - moved // every))
        step = moved // here.stride
        near = 1e-5 * float(np.std(found))
        same = [bool(np.allclose(now[at], before[at + step], atol=near)) for at in range(len(now) - step)]
        kept = range(here.first, max(here.first, here.stop - step))
        assert all(same[at] for at in kept), layer
        assert len(kept) == here.kept(every)
        if layer in convolutions:  # a ReLU may make equal what was not
            assert not any(same[at] for at in range(len(same)) if at not in kept), layer


def test_columns_are_kept_behind_any_elementwise_layer() -> None:
    """Found: behind a dropout they were, behind Gaussian noise, a PReLU or a maximum not."""
    import keras
    from keras import layers

    inputs = keras.Input((38, 55, 1))
    x = layers.Conv2D(2, 3)(inputs)
    x = layers.PReLU(shared_axes=[1, 2])(layers.GaussianNoise(0.1)(x))
    x = layers.Conv2D(2, 3, name="last")(layers.Maximum()([x, layers.Rescaling(0.5)(x)]))
    columns = time_columns(read_graph(keras.Model(inputs, x)), FrontEnd())["last"]
    assert columns
    assert (columns.axis, columns.stop) == (1, 51)


def test_the_cost_of_a_second_by_hand():
    found = reuse(read_graph(networks()["valid"]), FrontEnd(), every=4)
    first = found.layers[0]
    assert found.inferences == 15.625
    assert first.name == "conv2d"
    assert first.anew == round(first.macc * 4 / 53)  # 53 columns, of which 4 are new
    dense = next(layer for layer in found.layers if layer.name == "dense")
    assert dense.anew == dense.macc
    assert 0 < found.share < 100
    assert reuse(read_graph(networks()["valid"]), FrontEnd(), every=60).share == 0
