"""Legendre memory units: the fixed state space, the same answers from a clip and from a stream, the printed sizes."""

from pathlib import Path

import numpy as np
import pytest
from conftest import answers as evaluate
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridq.errors import UserError
from hybridq.graph.reader import read_graph
from hybridq.models import build_model
from hybridq.models.config import LMUConfig, ReferenceConfig
from hybridq.models.legendre import reach, step, zero_order_hold
from hybridq.precision import PrecisionPlan
from hybridq.profiler import profile
from hybridq.profiler.kbits import kbits
from hybridq.quantization.model import quantize
from hybridq.recipe.file import load_recipe
from hybridq.runs.experiment import graph_of
from hybridq.runs.load_network import Trained
from hybridq.runs.model_folder import load_bundle, save_bundle
from hybridq.speech.mfcc import FrontEnd
from hybridq.speech.normalisation import Normalisation
from hybridq.streaming.listening import answers, prepare, spotter
from hybridq.streaming.reuse import reuse

LMU = Path(__file__).resolve().parent.parent / "recipes" / "zoo" / "lmu"
PRINTED = {"lmu_1": (1683, 8, 0.0), "lmu_2": (361, 4, 0.0), "lmu_3": (105, 4, 0.8), "lmu_4": (49, 4, 0.91)}
SMALL = LMUConfig(memories=(3, 2), order=(4, 5), window=(5.0, 9.0), units=(6, 7), dropout=0.0)
COEFFICIENTS, FRAMES, CLASSES = 5, 11, 3
IN_8_BITS = PrecisionPlan.from_data({"*": {"weights": "8-bit", "outputs": "8-bit"}})


def clips(count, frames=FRAMES, seed=0):
    shape = (count, COEFFICIENTS, frames, 1)
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def network(plan=None):
    """With batch norms that do something."""
    import keras

    keras.utils.set_random_seed(0)
    model = build_model(SMALL, (COEFFICIENTS, FRAMES), CLASSES)
    random = np.random.default_rng(1)
    for layer in model.layers:
        if "norm" in layer.name:
            layer.set_weights([random.uniform(0.5, 2, weights.shape) for weights in layer.get_weights()])
    return quantize(model, plan) if plan else model


def streamed(model, sound):
    """The answers to every frame of (coefficients, frames, 1)."""
    from hybridq.models.lmu import online

    stream = online(model)
    return np.concatenate([evaluate(stream, sound[None, :, [at]]) for at in range(sound.shape[1])])


# ------------------------------------------------------------------------------------------------ the memory


@given(order=st.integers(1, 32), window=st.floats(1, 1000))
def test_the_step_is_the_exact_solution_over_a_frame_in_16_bits_and_stable(order, window):
    a, b = zero_order_hold(order, window)
    steady = np.linalg.solve(np.eye(order) - a, b)  # a constant signal is the first polynomial alone
    np.testing.assert_allclose(steady, np.eye(order)[0], atol=1e-6)
    found = step(order, window)
    assert found.shift >= 13
    np.testing.assert_allclose(found.a, a, atol=2.0**-14)
    np.testing.assert_allclose(found.b, b, atol=2.0**-14)
    assert np.abs(np.linalg.eigvals(found.a)).max() < 1
    assert np.abs(found.matrix).max() < 2**15
    assert (np.abs(found.matrix).sum(1) * 2**15 + 2**found.shift < 2**31).all()
    assert reach(order, window) < 8


@settings(max_examples=20)
@given(delay=st.integers(0, 40), seed=st.integers(0, 100))
def test_the_states_are_weights_of_legendre_polynomials_of_the_last_frames(delay, seed):
    """A slow signal can be read back from them at any delay within the window."""
    from scipy.special import eval_legendre

    window, order, frames = 40.0, 12, 240
    random = np.random.default_rng(seed)
    time = np.arange(-40, frames) + 0.5
    signal = sum(np.sin(2 * np.pi * time / period + random.uniform(0, 6)) for period in random.uniform(40, 120, 3))
    response = step(order, window).impulse_response(frames)
    states = sum(response[back] * signal[-1 - back] for back in range(frames))
    read = eval_legendre(np.arange(order), 2 * delay / window - 1) @ states
    assert read == pytest.approx(signal[-1 - delay], abs=0.25)


# ---------------------------------------------------------------------------------------- clip and stream


@pytest.mark.parametrize("plan", [None, IN_8_BITS], ids=["float", "8 bits"])
def test_the_stream_s_answer_at_the_last_frame_is_the_clip_s(plan):
    model = network(plan)
    sounds = clips(2)
    expected = evaluate(model, sounds)
    found = np.stack([streamed(model, sound)[-1] for sound in sounds])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.ptp(expected, axis=0).max() > 0.01  # they differ by clip at all


def test_a_stream_is_never_reset():
    """Behind another clip a clip is answered as the end of both together."""
    model = network()
    both = clips(1, 2 * FRAMES)[0]
    whole = build_model(SMALL, (COEFFICIENTS, 2 * FRAMES), CLASSES)
    whole.set_weights(model.get_weights())
    together = evaluate(whole, both[None])[0]
    np.testing.assert_allclose(streamed(model, both)[-1], together, atol=1e-5)
    assert np.abs(streamed(model, both[:, FRAMES:])[-1] - together).max() > 1e-3


def test_in_training_each_clip_follows_another_of_its_batch():
    import keras

    from hybridq.models.linear_memory import LinearMemory

    signals = np.random.default_rng(0).standard_normal((3, 7, 2)).astype(np.float32)
    for whole in (True, False):
        memory = LinearMemory(4, 6.0, return_sequences=whole)
        found = memory(signals, training=True)
        behind = memory(np.concatenate([np.roll(signals, 1, axis=0), signals], axis=1))
        np.testing.assert_allclose(found, behind[:, 7:] if whole else behind, atol=1e-5)
    inputs = keras.Input((7, 2))
    assert tuple(keras.Model(inputs, LinearMemory(4, 6.0)(inputs)).output_shape) == (None, 7, 8)


def test_a_network_without_memories_has_no_stream():
    from hybridq.models.lmu import online

    model = build_model(ReferenceConfig(filters=[2] * 6, dense=[2, 2]), (38, 55), 2)
    with pytest.raises(UserError, match="it has no memory"):
        online(model)


def test_it_is_saved_with_its_network(tmp_path):
    model, sounds = network(IN_8_BITS), clips(3)
    normalisation = Normalisation((0.0,) * COEFFICIENTS, (1.0,) * COEFFICIENTS)
    save_bundle(tmp_path, model, ("a", "b", "c"), FrontEnd(), normalisation, {})
    again = load_bundle(tmp_path).model
    np.testing.assert_array_equal(evaluate(again, sounds), evaluate(model, sounds))
    assert profile(tmp_path / "model.keras").totals == profile(model).totals


@settings(max_examples=3)
@given(every=st.integers(1, 4), at_once=st.sampled_from([1, 7]), seed=st.integers(0, 100))
def test_listening_gives_the_answers_of_a_stream_that_began_with_its_first_column(trained, every, at_once, seed):
    model, end, bundle = trained
    sound = np.random.default_rng(seed).normal(0, 0.1, end.samples + 9 * end.hop).astype(np.float32)
    mine = spotter(Trained("lmu", bundle))
    prepare(mine)
    found = list(answers(np.array_split(sound, 13), mine, every, at_once))
    assert [sample for sample, _ in found] == list(range(end.samples, len(sound) + 1, every * end.hop))
    for sample, probabilities in (found[0], found[-1]):
        features = bundle.normalisation.apply(end.mfcc(sound[:sample]))
        whole = build_model(SMALL, features.shape, CLASSES)
        whole.set_weights(model.get_weights())
        np.testing.assert_allclose(probabilities, evaluate(whole, features[None, ..., None])[0], atol=1e-5)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A network, its front end and its bundle."""
    end = FrontEnd(coefficients=COEFFICIENTS, frames=FRAMES)
    normalisation = Normalisation((-20.0,) + (0.0,) * (COEFFICIENTS - 1), (20.0,) * COEFFICIENTS)
    model = network()
    return model, end, save_bundle(tmp_path_factory.mktemp("lmu"), model, ("a", "b", "c"), end, normalisation, {})


def test_a_stream_goes_on_from_the_states_and_computes_each_frame_once():
    layers = {one.name: one for one in reuse(read_graph(network()), FrontEnd(coefficients=5, frames=11), 1).layers}
    for name in ("lmu_1_memory", "lmu_2_memory"):
        assert layers[name].anew == layers[name].macc / FRAMES
    assert layers["lmu_1_dense"].anew == pytest.approx(layers["lmu_1_dense"].macc / FRAMES, abs=1)
    assert layers["lmu_2_dense"].anew == layers["lmu_2_dense"].macc  # of the last frame alone


# ------------------------------------------------------------------------------------------------------ sizes


@pytest.mark.parametrize("name", PRINTED)
def test_the_recipes_have_the_printed_kbit(name):
    """Weights that are kept and biases, by the bits of the weights: see `hybridq.profiler.kbits`."""
    recipe, (printed, bits, sparsity) = load_recipe(LMU / f"{name}.yaml"), PRINTED[name]
    graph = graph_of(recipe)
    assert {recipe.plan.of(op.name).weights.bits for op in graph.weighted} == {bits}
    assert {recipe.plan.of(op.name).outputs.bits for op in graph.operators} == {8}
    assert recipe.training.prune.sparsity == sparsity
    assert round(kbits(graph, recipe.plan, sparsity)) == printed
    assert (recipe.features.window, recipe.features.hop) == (640, 320)  # 40 ms every 20 ms


def test_a_memory_costs_its_matrices_at_each_frame_and_stores_them_once():
    rows = {row.name: row for row in profile(network()).rows}
    assert (rows["lmu_1_memory"].parameters, rows["lmu_1_memory"].macc) == (20, FRAMES * 3 * 20)
    assert (rows["lmu_2_memory"].parameters, rows["lmu_2_memory"].macc) == (30, FRAMES * 2 * 30)


def test_the_learned_parameters_are_those_of_keras():
    graph = read_graph(build_model(SMALL, (COEFFICIENTS, FRAMES), CLASSES))
    model = build_model(SMALL, (COEFFICIENTS, FRAMES), CLASSES)
    scales = sum(SMALL.units)  # of the batch norms, folded
    assert kbits(graph, IN_8_BITS) == 8 * (sum(np.prod(w.shape) for w in model.trainable_weights) - scales) / 1000


@pytest.mark.parametrize("key", ["order", "window", "units"])
def test_each_layer_has_its_own_numbers(key):
    with pytest.raises(ValueError, match="as many numbers as model"):
        LMUConfig(**{key: [2]})
