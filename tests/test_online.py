"""Networks with memories in integers: a clip and a stream give the same, here, in C, and in an exported image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import answers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from network_builds import Made, some_inputs
from network_runs import machine

from hybridq.errors import UserError
from hybridq.formats import INTEGERS, Format
from hybridq.image import toolchain
from hybridq.integer.arithmetic import logits, quantized
from hybridq.integer.artefact import digest, load_network, save_network
from hybridq.integer.convert import settle
from hybridq.integer.lowering import integer_network
from hybridq.integer.network import INT16, IntegerNetwork, Memory
from hybridq.integer.online import Streams, frame_by_frame, is_online
from hybridq.models import build_model
from hybridq.models.config import LMUConfig
from hybridq.precision import PrecisionPlan
from hybridq.quantization.model import calibrated, quantize
from hybridq.runs.export import export
from hybridq.runs.load_network import Trained, chain_of
from hybridq.runs.verify import Examples, verify
from hybridq.speech.decision import softmax
from hybridq.streaming import listening

LABELS = ["yes", "no", "go"]
FRONT_END = {"sample_rate": 16000, "window": 640, "hop": 320, "transform": 1024, "mel_bands": 40, "low_hz": 20.0}
ABOUT = {
    "labels": LABELS,
    "front_end": FRONT_END | {"high_hz": 8000.0, "coefficients": 10, "frames": 49, "floor": 1e-6},
    "normalisation": {"mean": [0.0] * 10, "deviation": [30.0] * 10},
}


def spotter(
    shape: tuple[int, int] = (10, 49), seed: int = 0, width: Format = Format.INT4, **about: object
) -> IntegerNetwork:
    """Two layers of memories, of an odd and an even order, as `hybridq.models.lmu` has them."""
    made = Made((*shape, 1), seed)
    signals = made.conv("input", 5, (shape[0], 1), width=width)
    x = made.conv(made.memory(signals, 3, 5.0), 8, (1, 1), width=width, behind=4)
    x = made.memory(made.conv(x, 4, (1, 1), width=width), 6, 20.0, last=True)
    made.dense(made.dense(x, 9, width, behind=4), 3, logits=True)
    return made.network(**about)


def streamed(network: IntegerNetwork, clip: np.ndarray) -> np.ndarray:
    """The logits at every frame of (coefficients, frames, 1)."""
    stream = Streams(network)
    return np.concatenate([stream.answer(clip[None, :, [at]]) for at in range(clip.shape[1])])


@settings(max_examples=25)
@given(rows=st.integers(1, 9), frames=st.integers(1, 30), seed=st.integers(0, 2**31), width=st.sampled_from(INTEGERS))
def test_a_stream_says_at_its_last_frame_what_the_clip_is_said_to_be(
    rows: int, frames: int, seed: int, width: Format
) -> None:
    network = spotter((rows, frames), seed, width)
    clips = some_inputs(network, 5, seed)
    found = [streamed(network, clip) for clip in clips]
    np.testing.assert_array_equal([said[-1] for said in found], logits(network, clips))
    together = Streams(network, len(clips))
    for at in range(frames):
        np.testing.assert_array_equal(together.answer(clips[:, :, [at]]), [said[at] for said in found])


def test_states_stay_within_16_bits_without_being_cut() -> None:
    """The shifts leave room for any signal: one that follows the signs of the response goes farthest."""
    network = spotter()
    for layer in (one for one in network.layers if isinstance(one, Memory)):
        a, b = layer.matrix[:, 1:] / 2.0**layer.matrix_shift, layer.matrix[:, 0] / 2.0**layer.matrix_shift
        response = [b]
        for _ in range(400):
            response.append(a @ response[-1])
        farthest = np.abs(response).sum(0).max() * 128 * 2**layer.input_shift
        assert INT16[1] / 2 < farthest <= INT16[1]


@pytest.mark.parametrize("name", ["here", "zig", "gcc", "zig portable"])
def test_the_c_gives_the_stream_s_answers_to_every_frame(name: str) -> None:
    on = machine(name)
    for seed, width in enumerate([Format.INT8, Format.INT4]):
        network = spotter((10, 40), seed, width)
        clip = np.random.default_rng(seed).integers(-128, 128, (10, 40, 1)).astype(np.int8)
        wanted = streamed(network, clip)
        frames = np.stack([clip[:, [at]] for at in range(40)])
        found = on.answers(frame_by_frame(network), frames)
        np.testing.assert_array_equal(found, np.column_stack([wanted, wanted.argmax(1)]))


def test_an_image_is_exact_and_hears_every_column_once(tmp_path: Path) -> None:
    pytest.importorskip("elftools", reason="needs pip install hybridq[deploy]")
    pytest.importorskip("unicorn", reason="needs pip install hybridq[deploy]")
    if not toolchain.cortex_m4() or toolchain.host() is None:
        pytest.skip("no compilers")
    network = spotter(**ABOUT)
    save_network(network, tmp_path / "trained.hqn")
    build = export(str(tmp_path / "trained.hqn"), tmp_path / "out")
    assert [layer["macc"] for layer in build["layers"]] == [50, 60, 120, 32, 168, 216, 27]  # of a frame
    found = verify(tmp_path / "out", Examples(emulated=2))
    assert found.exact
    assert (found.host.examples, found.board.examples) == (16, 2)
    assert found.ram["states of the memories"] == 2 * (5 * 4 + 4 * 8)
    assert found.ram["FIFO of columns"] == 10
    assert 0 < sum(layer.instructions for layer in found.layers) <= found.classify_instructions < 5000
    assert found.column_instructions > 20_000


def test_listening_to_an_integer_network_goes_on_from_its_states() -> None:
    network = spotter(**ABOUT)
    mine = listening.spotter(Trained("lmu", None, network))
    end, normalisation, _ = chain_of(network)
    sound = np.random.default_rng(0).normal(0, 0.1, end.samples + 7 * end.hop).astype(np.float32)
    found = list(listening.answers(np.array_split(sound, 5), mine, every=3, at_once=4))
    assert [sample for sample, _ in found] == [end.samples + at * end.hop for at in (0, 3, 6)]
    features = normalisation.apply(end.mfcc(sound))[..., None]
    wanted = streamed(network, quantized(features, network.input_fraction)) * 2.0 ** -network.layers[-1].fraction
    np.testing.assert_allclose([said for _, said in found], softmax(wanted)[[48, 51, 54]])


def test_the_file_keeps_memories_and_refuses_sums_beyond_32_bits(tmp_path: Path) -> None:
    network = spotter()
    save_network(network, tmp_path / "a.hqn")
    assert digest(load_network(tmp_path / "a.hqn")) == digest(network)
    wide = (replace(one, matrix=one.matrix * 0 + 30000) if isinstance(one, Memory) else one for one in network.layers)
    network = replace(network, layers=tuple(wide))
    with pytest.raises(UserError, match=r"sums that can reach .* beyond 32 bits"):
        save_network(network, tmp_path / "b.hqn")


def test_what_mixes_frames_has_no_stream() -> None:
    made = Made((10, 9, 1), 0)
    x = made.conv("input", 4, (10, 3))
    made.dense(made.memory(x, 3, 5.0, last=True), 3, logits=True)
    network = made.network()
    assert is_online(network)
    with pytest.raises(UserError, match="it reads several frames"):
        frame_by_frame(network)


@settings(max_examples=4, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 10_000), width=st.sampled_from(["8-bit", "4-bit"]))
def test_the_integer_network_of_a_keras_one_answers_as_it(seed: int, width: str) -> None:
    """Its states alone are rounded where Keras' are not: a logit may differ by a few steps of the results between."""
    import keras

    keras.utils.set_random_seed(seed)
    config = LMUConfig(memories=(6, 4), order=(3, 6), window=(5.0, 12.0), units=(16, 16))
    plan = PrecisionPlan.from_data({"*": {"weights": width, "outputs": "8-bit"}})
    clips = np.random.default_rng(seed).standard_normal((40, 8, 15, 1)).astype(np.float32)
    plain = build_model(config, (8, 15), 3)
    model = quantize(plain, plan, calibrated(plain, plan, clips))
    settle(model)
    network = integer_network(model)
    scale = 2.0 ** -network.layers[-1].fraction
    inputs = np.clip(np.floor(clips * 2.0**network.input_fraction + 0.5), -128, 127).astype(np.int8)
    of_integers = logits(network, inputs) * scale
    of_keras = answers(keras.Model(model.inputs, model.layers[-1].input), clips)
    kernel = model.layers[-1].kernel_quantizer_internal(model.layers[-1].kernel)
    expected = of_keras @ np.asarray(kernel) + np.asarray(model.layers[-1].bias)
    spread = np.ptp(expected)
    assert np.abs(of_integers - expected).max() < 0.06 * spread
    assert np.corrcoef(of_integers.ravel(), expected.ravel())[0, 1] > 0.999
