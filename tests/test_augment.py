"""Augmented sounds: what is drawn, from what, and that a seed decides it."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridq.speech.augmentation import Manner, augmented, centred, highest_tempo, masked, mixed
from hybridq.speech.settings import AugmentSettings

SAMPLES = 14336
PLAIN = AugmentSettings(shift_ms=0, speed=(1, 1), noise_probability=0, hiss_db=None, gain_db=(0, 0))


def tones(count=6):
    time = np.arange(16000) / 16000
    return np.stack([8000 * np.sin(2 * np.pi * (200 + 50 * i) * time) for i in range(count)]).astype(np.int16)


def make(settings, seed=0, noise=(), sounds=None):
    sounds = tones() if sounds is None else sounds
    rng = np.random.default_rng(seed)
    speeds = Manner.drawn(settings, len(sounds), rng).speed
    return augmented(sounds, noise, SAMPLES, settings, 16000, speeds, rng)


def test_with_everything_off_it_is_what_evaluation_hears():
    np.testing.assert_array_equal(make(PLAIN), centred(tones(), SAMPLES))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), shift=st.floats(0, 1000))
def test_a_shift_moves_the_clip_by_at_most_what_is_allowed(seed, shift):
    sounds = np.zeros((4, 16000), np.int16)
    sounds[:, 8000] = 16384  # the middle of the clip is the middle of the crop
    out = make(PLAIN.model_copy(update={"shift_ms": shift}), seed, sounds=sounds)
    for row in out:
        at = np.flatnonzero(row)
        moved = shift * 16 + 1
        assert len(at) <= 1
        assert abs(at[0] - SAMPLES // 2) <= moved if len(at) else moved > SAMPLES // 2 - 1
        assert row[at].tolist() in ([], [0.5])


@settings(max_examples=15)
@given(speed=st.floats(0.5, 2), seed=st.integers(0, 2**31))
def test_a_faster_clip_is_higher_by_that_factor(speed, seed):
    out = make(PLAIN.model_copy(update={"speed": (speed, speed)}), seed)
    middle = out[:, SAMPLES // 2 - 3000 : SAMPLES // 2 + 3000] * np.hanning(6000)
    heard = np.argmax(np.abs(np.fft.rfft(middle, n=2**16)), axis=1) * 16000 / 2**16
    np.testing.assert_allclose(heard, speed * (200 + 50 * np.arange(6)), atol=2)


@settings(max_examples=30, deadline=None)
@given(speed=st.floats(0.5, 2), shift=st.integers(0, 1000), seed=st.integers(0, 2**31), samples=st.integers(1, 20000))
def test_a_clip_is_played_by_linear_interpolation_and_is_silent_beyond_its_ends(speed, shift, seed, samples):
    sound = np.random.default_rng(seed).integers(-32768, 32768, (1, 16000)).astype(np.int16)
    moved = PLAIN.model_copy(update={"shift_ms": float(shift)})
    out = augmented(sound, (), samples, moved, 16000, np.array([speed]), np.random.default_rng(seed))
    most = 16 * shift
    middle = 8000 + np.random.default_rng(seed).integers(-most, most + 1, 1)
    places = middle + speed * (np.arange(samples) - samples // 2)
    expected = np.interp(places, np.arange(16000), sound[0], left=0, right=0).astype(np.float32) / 32768
    np.testing.assert_array_equal(out[0], expected)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), low=st.floats(0, 20), width=st.floats(0, 20), length=st.integers(500, 40000))
def test_noise_lies_as_far_below_the_clip_as_the_recipe_says(seed, low, width, length):
    noise = np.random.default_rng(seed).integers(-9000, 9000, length).astype(np.int16)
    noisy = PLAIN.model_copy(update={"noise_probability": 1.0, "noise_snr_db": (low, low + width)})
    clean = centred(tones(), SAMPLES)
    added = make(noisy, seed, [noise]) - clean
    snr = 10 * np.log10(np.mean(clean**2, axis=1) / np.mean(added**2, axis=1))
    assert (snr >= low - 0.1).all()
    assert (snr <= low + width + 0.1).all()


def test_hiss_fills_the_zeros_of_a_padded_clip_and_silence_stays_finite():
    sounds = tones()
    sounds[:, :4000] = 0
    sounds[-1] = 0
    out = make(PLAIN.model_copy(update={"hiss_db": (40.0, 40.0)}), sounds=sounds)
    assert np.isfinite(out).all()
    quiet, whole = out[:-1, :3000], out[:-1]
    below = 10 * np.log10(np.mean(whole**2, axis=1) / np.mean(quiet**2, axis=1))
    np.testing.assert_allclose(below, 40, atol=0.5)
    assert 0 < np.abs(out[-1]).max() < 1e-3


def test_the_generator_decides_everything():
    full = AugmentSettings(time_mask=8, frequency_mask=4)
    noise = [np.arange(-9000, 9000, dtype=np.int16)]
    np.testing.assert_array_equal(make(full, 3, noise), make(full, 3, noise))
    assert not np.array_equal(make(full, 3, noise), make(full, 4, noise))


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**31),
    ends=st.tuples(*[st.tuples(st.floats(0.5, 2), st.floats(0.5, 2)).map(sorted) for _ in range(3)]),
    pitch=st.tuples(st.floats(-12, 12), st.floats(-12, 12)).map(sorted),
)
def test_a_manner_lies_within_the_limits_and_pitch_leaves_the_tempo(seed, ends, pitch):
    speed, tempo, tract = map(tuple, ends)
    wide = AugmentSettings(speed=speed, tempo=tempo, vocal_tract=tract, pitch_semitones=tuple(pitch))
    found = Manner.drawn(wide, 300, np.random.default_rng(seed))
    low, high = speed[0] * tempo[0], speed[1] * tempo[1]
    heard = found.speed * found.tempo  # how much faster the word is over, by both
    assert ((heard > low * (1 - 1e-9)) & (heard < high * (1 + 1e-9))).all()
    higher = 2 ** (np.array(pitch) / 12)
    assert (found.speed >= speed[0] * higher[0] * (1 - 1e-9)).all()
    assert (found.speed <= speed[1] * higher[1] * (1 + 1e-9)).all()
    assert found.tempo.max() <= highest_tempo(wide) * (1 + 1e-9)
    assert ((found.tract > tract[0] * (1 - 1e-9)) & (found.tract < tract[1] * (1 + 1e-9))).all()


@settings(max_examples=30)
@given(seed=st.integers(0, 2**31), count=st.integers(1, 4))
def test_several_masks_hide_more_but_none_is_wider(seed, count):
    many = AugmentSettings(time_mask=5, time_masks=count, frequency_mask=3, frequency_masks=count)
    out = masked(np.ones((50, 38, 55), np.float32), many, np.random.default_rng(seed))
    for axis, widest in ((1, 5), (2, 3)):
        hidden = (out == 0).all(axis=axis)
        blocks = np.diff(np.pad(hidden, ((0, 0), (1, 1))).astype(int), axis=1)
        assert hidden.sum(axis=1).max() <= widest * count
        assert (blocks == 1).sum(axis=1).max() <= count
        assert (blocks == 1).sum(axis=1).max() > 1 or count == 1  # fifty clips: some show two apart


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), frames=st.integers(0, 80), coefficients=st.integers(0, 60))
def test_masks_are_one_block_of_each_kind_within_the_limits(seed, frames, coefficients):
    settings_ = AugmentSettings(time_mask=frames, frequency_mask=coefficients)
    out = masked(np.ones((5, 38, 55), np.float32), settings_, np.random.default_rng(seed))
    for clip in out:
        hidden_frames = (clip == 0).all(axis=0)
        hidden_rows = (clip == 0).all(axis=1)
        expected = np.ones((38, 55))
        expected[:, hidden_frames] = 0
        expected[hidden_rows] = 0
        np.testing.assert_array_equal(clip, expected)
        for hidden, most in ((hidden_frames, frames), (hidden_rows, coefficients)):
            if not hidden.all():  # a mask as wide as the matrix hides the other axis too
                assert hidden.sum() <= most
                assert np.count_nonzero(np.diff(hidden.astype(int)) == 1) <= 1


@settings(max_examples=20)
@given(seed=st.integers(0, 2**31), alpha=st.floats(0.05, 5))
def test_a_mixup_shares_sound_and_target_alike(seed, alpha):
    sounds, targets = centred(tones(), SAMPLES), np.eye(6, dtype=np.float32)
    both = AugmentSettings(mixup=alpha)
    out, shares = mixed(sounds, targets, both, np.random.default_rng(seed))
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(out, shares @ sounds, atol=1e-5)  # the tones are independent: the target tells the mix
    unmixed, same = mixed(sounds, targets, AugmentSettings(), np.random.default_rng(seed))
    assert unmixed is sounds
    assert same is targets
