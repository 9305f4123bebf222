"""The front end gives librosa's numbers, from a clip, a batch or a stream."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridq.errors import UserError
from hybridq.speech.mfcc import FrontEnd, warped_mel

TOLERANCE = 1e-3  # the agreement with librosa that users are promised, in every coefficient


def librosa_mfcc(sound: np.ndarray, end: FrontEnd) -> np.ndarray:
    """librosa.feature.mfcc with the front end's settings, `top_db=None`; its window is mid-frame."""
    import librosa

    beside = (end.transform - end.window) // 2
    mel = librosa.feature.melspectrogram(
        y=np.pad(sound, beside), sr=end.sample_rate, n_fft=end.transform, win_length=end.window, hop_length=end.hop,
        center=False, n_mels=end.mel_bands, fmin=end.low_hz, fmax=end.high_hz,
    )  # fmt: skip
    return librosa.feature.mfcc(S=librosa.power_to_db(mel, amin=end.floor, top_db=None), n_mfcc=end.coefficients)


@pytest.mark.parametrize("transform", [512, 2048])
def test_real_clips_agree_with_librosa(gsc, transform):
    from hybridq.speech.audio import read_exact

    end = FrontEnd(transform=transform)
    paths = sorted((gsc / "yes").glob("*.flac"))[:40] + sorted((gsc / "bed").glob("*.flac"))[:40]
    sounds = np.stack([read_exact(path)[: end.samples] for path in paths])
    expected = np.stack([librosa_mfcc(sound, end) for sound in sounds])
    assert end.mfcc(sounds).shape == (80, 38, 55)
    np.testing.assert_allclose(end.mfcc(sounds), expected, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(end.mfcc_parallel(sounds), expected, rtol=0, atol=TOLERANCE)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    decibel=st.floats(-90, 0),
    transform=st.sampled_from([512, 1024, 2048]),
    mel_bands=st.sampled_from([38, 40, 64]),
    floor=st.sampled_from([1e-10, 1e-6, 1e-3]),
)
def test_any_setting_and_level_agrees_with_librosa(seed, decibel, transform, mel_bands, floor):
    end = FrontEnd(transform=transform, mel_bands=mel_bands, floor=floor)
    sound = np.random.default_rng(seed).standard_normal(end.samples).astype(np.float32) * 10 ** (decibel / 20)
    np.testing.assert_allclose(end.mfcc(sound), librosa_mfcc(sound, end), rtol=0, atol=TOLERANCE)


def test_librosas_default_transform_gives_55_frames_of_a_second_uncentred():
    assert 1 + (16000 - 2048) // 256 == 55
    end = FrontEnd(transform=2048)
    sound = np.random.default_rng(0).standard_normal(16000).astype(np.float32)
    import librosa

    mel = librosa.feature.melspectrogram(
        y=sound,
        sr=16000,
        n_fft=2048,
        win_length=512,
        hop_length=256,
        center=False,
        n_mels=40,
        fmin=20,
        fmax=8000,
    )
    expected = librosa.feature.mfcc(S=librosa.power_to_db(mel, amin=end.floor, top_db=None), n_mfcc=38)
    np.testing.assert_allclose(end.mfcc(sound[768 : 768 + end.samples]), expected, rtol=0, atol=TOLERANCE)


@settings(max_examples=25, deadline=None)
@given(
    cuts=st.lists(st.integers(1, 900), min_size=1, max_size=30),
    hop=st.sampled_from([256, 512, 700, 1500]),  # a hop longer than the window leaves samples out
    seed=st.integers(0, 2**31),
)
def test_a_stream_of_any_blocks_gives_the_batch_columns(cuts, hop, seed):
    end = FrontEnd(hop=hop, frames=8)
    sound = np.random.default_rng(seed).standard_normal(max(sum(cuts), 512)).astype(np.float32)
    blocks = np.split(sound, np.cumsum(cuts)[:-1])
    columns = list(end.stream(iter(blocks)))
    np.testing.assert_array_equal(np.stack(columns, axis=1), end.mfcc(sound))


@settings(max_examples=25)
@given(
    clips=st.integers(1, 20),
    transform=st.sampled_from([512, 1024]),
    mel_bands=st.sampled_from([38, 40, 64]),
    seed=st.integers(0, 2**31),
)
def test_a_clip_has_the_same_bits_in_any_batch_and_in_a_stream(clips, transform, mel_bands, seed):
    end = FrontEnd(transform=transform, mel_bands=mel_bands)
    sounds = np.random.default_rng(seed).normal(0, 0.1, (clips, end.samples)).astype(np.float32)
    together = end.mfcc(sounds)
    for sound, found in zip(sounds, together, strict=True):
        np.testing.assert_array_equal(end.mfcc(sound), found)
    np.testing.assert_array_equal(np.stack(list(end.stream(iter([sounds[-1]]))), axis=1), together[-1])


SAME_BITS = """
import hashlib
import sys
from types import SimpleNamespace

import numpy as np
from threadpoolctl import threadpool_info
from hybridq.speech.mfcc import FrontEnd

sys.modules["librosa"] = SimpleNamespace(mel_frequencies=None)  # for a tract of another length; seconds to import
whole = hashlib.sha256()
for name, mel_weights in np.load(sys.argv[1]).items():
    transform, mel_bands, hop = map(int, name.split())
    end = FrontEnd(transform=transform, mel_bands=mel_bands, hop=hop)
    vars(end)["mel_weights"] = mel_weights  # of librosa
    sounds = np.random.default_rng(7).normal(0, 0.1, (11, end.samples)).astype(np.float32)
    together = end.mfcc(sounds)
    for sound, found in zip(sounds, together, strict=True):
        np.testing.assert_array_equal(end.mfcc(sound), found)
        np.testing.assert_array_equal(np.stack(list(end.stream(iter(np.array_split(sound, 9)))), axis=1), found)
    whole.update(together.tobytes())
kernels = {one["architecture"] for one in threadpool_info() if one["internal_api"] == "openblas"}
print(whole.hexdigest(), *kernels)
"""
CORES = {  # of OpenBLAS, and the instructions that each needs, by the names of NumPy's releases
    "Prescott": {"SSE3", "X86_V2"},
    "Nehalem": {"SSE42", "X86_V2"},
    "Sandybridge": {"AVX", "X86_V3"},
    "Haswell": {"AVX2", "X86_V3"},
    "Zen": {"AVX2", "X86_V3"},
    "SkylakeX": {"AVX512_SKX", "X86_V4"},
}


@pytest.fixture(scope="module")
def banks(tmp_path_factory):
    """A file of mel filter banks for SAME_BITS, each named by its transform, mel_bands and hop."""
    path = tmp_path_factory.mktemp("banks") / "banks.npz"
    settings = ((512, 40, 256), (1024, 64, 320), (2048, 38, 700))
    np.savez(
        path,
        **{f"{transform} {bands} {hop}": FrontEnd(transform=transform, mel_bands=bands, hop=hop).mel_weights
           for transform, bands, hop in settings},
    )  # fmt: skip
    return path


def test_features_do_not_depend_on_the_kernels_of_blas(banks):
    """In a process for each kind of processor of OpenBLAS that this one can be: the same bits, alone and together."""
    has = {name for name, there in np._core._multiarray_umath.__cpu_features__.items() if there}
    able = [core for core, needed in CORES.items() if needed & has]
    runs = {
        core: subprocess.run(
            [sys.executable, "-c", SAME_BITS, banks],
            env=os.environ | ({"OPENBLAS_CORETYPE": core} if core else {}),
            capture_output=True,
            text=True,
        )
        for core in ("", *able)
    }
    assert not [run.stderr for run in runs.values() if run.returncode]
    digests, *kernels = zip(*(run.stdout.split() for run in runs.values()), strict=True)
    assert len(set(digests)) == 1
    assert not kernels or len(set(kernels[0])) > len(able) // 2  # OpenBLAS has taken what it was asked for


def test_a_stream_has_the_bits_of_a_clip_without_wide_vectors(banks):
    """NumPy itself has other code for such processors."""
    wide = [name for name in np._core._multiarray_umath.__cpu_dispatch__ if name.startswith(("AVX", "X86_V"))]
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SAME_BITS, banks],
        env=os.environ | {"NPY_DISABLE_CPU_FEATURES": " ".join(wide), "OPENBLAS_CORETYPE": "Nehalem"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), gain=st.floats(0.01, 1))
def test_gain_moves_the_first_coefficient_alone(seed, gain):
    """No per-clip normalisation: half the level is 6 dB less in every band, and a stream would see the same."""
    end = FrontEnd(floor=1e-30)
    sound = np.random.default_rng(seed).standard_normal(2048).astype(np.float32)
    loud, soft = end.mfcc(sound), end.mfcc(sound * np.float32(gain))
    np.testing.assert_allclose(loud[1:], soft[1:], atol=0.05)
    np.testing.assert_allclose(loud[0] - soft[0], -20 * np.log10(gain) * np.sqrt(40), atol=0.05)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"coefficients": 41}, "coefficients 41 must be at most mel_bands, 40"),
        ({"window": 513}, "window 513 must be 2 to transform, 512"),
        ({"window": 1}, "window 1 must be 2 to transform, 512"),
        ({"transform": 600}, "transform 600 must be a power of two"),
        ({"hop": 0}, "lengths and counts must be integers from 1 to 192000"),
        ({"frames": 55.0}, "lengths and counts must be integers"),
        ({"transform": 1 << 40}, "lengths and counts must be integers from 1 to 192000"),
        ({"low_hz": -1.0}, "low_hz -1.0 and high_hz 8000.0 must rise from 0 to half of 16000"),
        ({"high_hz": 8001.0}, "must rise from 0 to half of 16000"),
        ({"high_hz": 20.0}, "low_hz 20.0 and high_hz 20.0 must rise"),
        ({"low_hz": float("nan")}, "low_hz nan"),
        ({"floor": 0.0}, "floor 0.0 must be above 0"),
    ],
)
def test_a_front_end_that_cannot_be_is_refused(settings, message):
    with pytest.raises(UserError, match=f"front end: .*{message}"):
        FrontEnd(**settings)


def test_silence_is_finite_and_too_little_sound_is_refused():
    end = FrontEnd()
    assert np.isfinite(end.mfcc(np.zeros(end.samples))).all()
    assert end.samples == 14336
    with pytest.raises(ValueError, match="no window"):
        end.mfcc(np.zeros(511))


@settings(max_examples=15)
@given(count=st.integers(1, 20), seed=st.integers(0, 2**31), transform=st.sampled_from([512, 1024]))
def test_sound_that_is_not_varied_has_the_same_features(count, seed, transform):
    end = FrontEnd(transform=transform)
    sounds = np.random.default_rng(seed).normal(0, 0.1, (count, end.samples)).astype(np.float32)
    np.testing.assert_allclose(end.varied(sounds, np.ones(count), np.ones(count)), end.mfcc(sounds), atol=1e-3)


@settings(max_examples=20)
@given(hop=st.integers(128, 512), beside=st.integers(0, 400), seed=st.integers(0, 2**31))
def test_a_faster_tempo_reads_frames_further_apart_around_the_middle(hop, beside, seed):
    end, apart = FrontEnd(), FrontEnd(hop=hop)
    assert end.samples_at(hop / 256) == apart.samples
    sounds = np.random.default_rng(seed).normal(0, 0.1, (2, apart.samples + 2 * beside)).astype(np.float32)
    found = end.varied(sounds, np.array([hop / 256, 0.5]), np.ones(2))
    np.testing.assert_allclose(found[0], apart.mfcc(sounds[0, beside : beside + apart.samples]), atol=1e-3)
    with pytest.raises(ValueError, match="too few for a tempo of"):
        end.varied(sounds, np.array([8.0, 0.5]), np.ones(2))


@pytest.mark.parametrize("settings_", [{}, {"transform": 2048, "mel_bands": 64}, {"low_hz": 100.0, "high_hz": 7000.0}])
def test_a_vocal_tract_of_its_own_length_is_the_filter_bank_itself(settings_):
    end = FrontEnd(**settings_)
    bank = warped_mel(end, 1 + 1e-9)
    np.testing.assert_allclose(bank, end.mel_weights, atol=1e-5 * end.mel_weights.max())


@pytest.mark.parametrize("tract", [0.8, 0.9, 1.1, 1.25])
@pytest.mark.parametrize("hertz", [400, 900, 1900, 3000])
def test_a_longer_vocal_tract_lowers_what_it_says(tract, hertz):
    """A tone is heard in the bands where one lower by that factor is heard otherwise."""
    end = FrontEnd(coefficients=40)
    time = np.arange(end.samples) / 16000
    tone, lower = (np.sin(2 * np.pi * f * time).astype(np.float32)[None] for f in (hertz, hertz / tract))
    mel = {
        name: np.linalg.solve(end.dct_weights.T.astype(float), column[0, :, 20])
        for name, column in (
            ("longer", end.varied(tone, np.ones(1), np.array([tract]))),
            ("lower", end.mfcc(lower)),
        )
    }
    middle = {name: np.sum(np.exp(log) * np.arange(40)) / np.sum(np.exp(log)) for name, log in mel.items()}
    assert middle["longer"] == pytest.approx(middle["lower"], abs=0.3)
