"""The front end in C hears what Python's hears: on the host, and in an emulated Cortex-M4F with the same bits."""

import ctypes
import functools
import subprocess

import numpy as np
import pytest
from front_end_builds import FRACTION, STREAM, OnBoard, OnHost, build, hostile, plain
from hypothesis import given, settings
from hypothesis import strategies as st
from network_runs import SANITIZERS, has_sanitizers

from hybridq.errors import UserError
from hybridq.image.verification import Agreement
from hybridq.integer.arithmetic import classes
from hybridq.integer.network import Dense, IntegerNetwork, Requantization
from hybridq.runs.verify import matrix
from hybridq.speech.c_front_end import Flanks, sources
from hybridq.speech.mfcc import FrontEnd
from hybridq.speech.normalisation import Normalisation

TOLERANCE = 1e-3  # of the standardised features, in every coefficient


@functools.cache
def reference() -> OnHost:
    """The front end of the recipes as they come."""
    return OnHost(FrontEnd(), plain(FrontEnd()))


def test_real_clips_have_pythons_features(gsc):
    import soundfile

    paths = sorted(gsc.glob("[a-z]*/*.flac"))
    end = FrontEnd()
    clips = [soundfile.read(path, dtype="int16")[0] for path in paths[:: len(paths) // 200][:200]]
    sounds = np.stack([np.pad(clip, (0, 16000))[: end.samples] for clip in clips])
    fitted = OnHost(end, Normalisation.fit(end.mfcc(sounds / np.float32(32768))))
    found = [fitted.compare(sound) for sound in sounds]
    assert len(found) == 200
    apart = np.stack([steps for _, steps in found])
    assert max(largest for largest, _ in found) < TOLERANCE / 10
    assert apart.max() <= 1
    assert np.mean(apart > 0) < 1e-3


@pytest.mark.parametrize("name", hostile(1))
def test_hostile_sound_has_pythons_features(name):
    largest, apart = reference().compare(hostile(20000)[name])
    assert largest < TOLERANCE
    assert apart.max() <= 1
    assert np.mean(apart > 0) < 5e-3


@st.composite
def front_ends(draw: st.DrawFn) -> FrontEnd:
    """Any that a recipe may ask for, up to transforms of 2048 samples."""
    transform = 2 ** draw(st.integers(1, 11))
    window = draw(st.integers(2, transform))
    hop = draw(st.integers(1, 2 * window))
    bands = draw(st.integers(1, 80))
    rate = draw(st.sampled_from([8000, 16000, 44100]))
    low = draw(st.floats(0, rate / 2 - 100))
    return FrontEnd(
        sample_rate=rate,
        window=window,
        hop=hop,
        transform=transform,
        coefficients=draw(st.integers(1, bands)),
        frames=draw(st.integers(1, min(60, 1 + (rate - window) // hop))),
        mel_bands=bands,
        low_hz=low,
        high_hz=draw(st.floats(low + 100, rate / 2)),
        floor=draw(st.sampled_from([1e-6, 1e-5, 1e-3])),
    )


@pytest.mark.filterwarnings("ignore:Empty filters")
@settings(max_examples=60, deadline=None)
@given(end=front_ends())
def test_flanks_are_the_mel_filters(end):
    flanks, built = Flanks.of(end), np.zeros((end.transform // 2 + 1, end.mel_bands))
    at = flanks.first_bin
    for i, count in enumerate(flanks.bins):
        for n in range(count):
            height = flanks.height[i] + n * flanks.step[i]
            if i < end.mel_bands:
                built[at, i] += height * flanks.areas[i]
            if i > 0:
                built[at, i - 1] += (1 - height) * flanks.areas[i - 1]
            at += 1
    np.testing.assert_allclose(built, end.mel_weights, rtol=0, atol=1e-6 * flanks.areas.max())


@pytest.mark.filterwarnings("ignore:Empty filters")
@settings(max_examples=25, deadline=None)
@given(end=front_ends(), seed=st.integers(0, 2**31), decibel=st.floats(-60, 0))
def test_any_front_end_has_pythons_features(end, seed, decibel):
    noise = np.random.default_rng(seed).uniform(-1, 1, end.samples + 3 * end.hop) * 32767 * 10 ** (decibel / 20)
    largest, apart = OnHost(end, plain(end)).compare(noise.astype(np.int16))
    assert largest < TOLERANCE
    assert apart.max() <= 1


@settings(max_examples=100, deadline=None)
@given(
    pieces=st.lists(st.one_of(st.just(1), st.just(256), st.integers(0, 3000)), min_size=1, max_size=40),
    seed=st.integers(0, 2**31),
)
def test_a_stream_in_any_pieces_has_the_columns_of_the_whole(pieces, seed):
    ours = reference()
    sound = np.random.default_rng(seed).integers(-32768, 32768, sum(pieces), np.int16)
    ours.start()
    total = ours.push(sound)
    whole = ours.matrix()
    assert total == max(0, 1 + (len(sound) - 512) // 256)
    ours.start()
    assert sum(ours.push(piece) for piece in np.split(sound, np.cumsum(pieces)[:-1])) == total
    np.testing.assert_array_equal(ours.matrix(), whole)


@pytest.mark.parametrize("hop", [100, 512, 700])
def test_one_sample_at_a_time_and_windows_apart(hop):
    """The matrix after each sample is the last columns of what was heard, zeros before there were any."""
    end = FrontEnd(hop=hop, frames=3)
    ours, sound = OnHost(end, plain(end)), np.random.default_rng(hop).integers(-3000, 3000, 5000, np.int16)
    made = 0
    ours.push(sound)
    ours.start()  # and nothing of what was before
    for n in range(len(sound)):
        new = ours.push(sound[n : n + 1])
        made += new
        assert made == max(0, 1 + (n + 1 - end.window) // hop)
        if new:
            heard = matrix(end, ours.normalisation, FRACTION, sound[: n + 1])[:, -3:].astype(int)
            expected = np.pad(heard, ((0, 0), (3 - heard.shape[1], 0)))
            assert np.abs(ours.matrix() - expected).max() <= 1
        elif not made:
            assert not ours.matrix().any()


def test_the_logarithm_is_within_its_bound_for_every_mantissa():
    mantissas = np.arange(1 << 23, dtype=np.uint32)
    logarithms = np.log2((mantissas + np.uint32(127 << 23)).view(np.float32).astype(np.float64))
    y = np.empty(len(mantissas), np.float32)
    room = ctypes.c_void_p(y.ctypes.data)
    for exponent in (-126, -20, -1, 0, 1, 30, 127):
        x = mantissas + np.uint32((exponent + 127) << 23)
        reference().library.logarithms(ctypes.c_void_p(x.ctypes.data), room, ctypes.c_size_t(len(x)))
        error = np.abs(y - (logarithms + exponent))
        error -= np.spacing(np.abs(y)) / 2
        assert error.max() <= 1.5e-7, exponent


@pytest.mark.parametrize("hop", [256, 600])
def test_sanitizers_find_nothing(hop, tmp_path):
    end = FrontEnd(hop=hop, frames=20, window=400)
    if not has_sanitizers():
        pytest.skip("no gcc with AddressSanitizer")
    program = build(STREAM, sources(end, plain(end), FRACTION), tmp_path, *SANITIZERS)
    for sound in hostile(3000).values():
        for length in (1, 256, 3000):
            pieces = [sound[n : n + length] for n in range(0, len(sound), length)]
            sent = b"".join(np.uint32(len(piece)).tobytes() + piece.tobytes() for piece in pieces)
            answer = subprocess.run([program], input=sent, capture_output=True, check=True)
            assert not answer.stderr
            assert len(answer.stdout) == len(pieces) * 38 * 20


@pytest.mark.parametrize("optimised", ["-O2", "-Os"])
@pytest.mark.parametrize("compiler", ["zig", "gcc"])
@pytest.mark.parametrize(
    "end", [FrontEnd(), FrontEnd(window=400, hop=160, transform=1024, mel_bands=27, coefficients=13)]
)
def test_a_cortex_m4f_gives_the_same_bits(end, compiler, optimised, tmp_path):
    ours = OnHost(end, plain(end))
    on_board = OnBoard(ours, compiler, optimised, tmp_path)
    for name in ("tone", "noise", "clicks"):
        on_board.board.call("start")
        ours.start()
        for piece in np.split(hostile(2000)[name], range(256, 2000, 256)):
            assert on_board.push(piece) == ours.push(piece)
        unrounded = -4 * end.mel_bands  # what the columns were last made of
        assert on_board.read("work")[unrounded:] == ours.work.raw[unrounded:]
        on_board.board.call("rows")
        assert on_board.read("columns") == ours.matrix().tobytes()


@pytest.mark.parametrize("compiler", ["zig", "gcc"])
def test_it_is_as_small_and_quick_as_promised(compiler, tmp_path):
    ours = OnBoard(reference(), compiler, "-Os", tmp_path)
    board = ours.board
    counts = [ours.push(piece) * board.instructions for piece in np.split(hostile(2048)["noise"], 8)]
    assert 0 < max(counts) < 48_000
    assert 0 < board.stack_bytes < 256
    assert sum(symbol.bytes for name, symbol in board.symbols.items() if name.startswith("hq_mfcc_")) < 5_000
    assert board.symbols["state"].bytes + board.symbols["work"].bytes < 5_500


def test_agreement_is_the_share_of_equal_classes():
    rng = np.random.default_rng(0)
    out = Requantization(np.full(1, 1 << 30), np.zeros(1, np.int64), -32768, 32767)
    weights = rng.integers(-127, 128, (38 * 55, 10))
    last = Dense("last", ("input",), (10,), 0, weights=weights, bias=np.zeros(10, np.int64), out=out)
    network = IntegerNetwork("input", (38, 55, 1), FRACTION, (last,))
    some = rng.integers(-128, 128, (40, 38, 55)).astype(np.int8)

    def agreement(columns: np.ndarray) -> float:
        return Agreement.of(classes(network, some[..., None]) == classes(network, columns[..., None])).percent

    assert agreement(some) == 100
    others = some.copy()
    others[:20] = -others[:20]
    assert 50 <= agreement(others) < 70


NUMBERS = tuple(range(1, 39))
INF = float("inf")


@pytest.mark.parametrize(
    ("mean", "deviation", "message"),
    [
        (NUMBERS, NUMBERS[1:], "must be 38 means, and as many deviations above 0"),
        (NUMBERS[1:], NUMBERS, "must be 38 means"),
        (NUMBERS, (*NUMBERS[1:], 0.0), "deviations above 0"),
        (NUMBERS, (*NUMBERS[1:], float("nan")), "deviations above 0"),
        ((*NUMBERS[1:], float("nan")), NUMBERS, "need nan, which no float of the device holds"),
        ((*NUMBERS[1:], INF), NUMBERS, "need -inf"),
        (NUMBERS, (*NUMBERS[1:], 1e-40), r"need 2.*e\+41"),
    ],
)
def test_a_normalisation_that_would_make_nan_is_refused(mean, deviation, message):
    with pytest.raises(UserError, match=message):
        sources(FrontEnd(), Normalisation(mean, deviation), FRACTION)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"floor": 1e-40}, r"features.floor: must be at least 1\.18e-38 on a device \(is 1e-40\)"),
        ({"low_hz": 8000 - 1e-12}, "features.low_hz and features.high_hz are too close for 40 mel bands"),
    ],
)
def test_what_no_float_holds_is_refused(settings, message):
    with pytest.raises(UserError, match=message):
        sources(FrontEnd(**settings), plain(FrontEnd()), FRACTION)
