"""Features are made once, noticed when stale, and never trusted when broken."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile

from hybridq.errors import UserError
from hybridq.speech import dataset
from hybridq.speech.audio import open_folder
from hybridq.speech.dataset import Dataset
from hybridq.speech.mfcc import FrontEnd
from hybridq.speech.normalisation import Normalisation
from hybridq.speech.settings import AugmentSettings
from hybridq.speech.synthetic_mix import SyntheticVoices

WORDS = ("yes", "no")
PLAIN = AugmentSettings(shift_ms=0, speed=(1, 1), noise_probability=0, hiss_db=None, gain_db=(0, 0))


def opened(folder, tmp_path, **settings):
    return Dataset(open_folder(folder, tmp_path / "cache"), WORDS, FrontEnd(**settings), tmp_path / "cache")


def with_voices(folder, tmp_path, share, words=WORDS):
    """The tones, with a set of voices that says each of its words at a level of its own."""
    said = tmp_path / "voices"
    for i, word in enumerate(words):
        (said / word).mkdir(parents=True)
        for speaker in range(30):
            soundfile.write(said / word / f"{speaker:08x}_nohash_0.wav", np.full(16000, 0.1 + 0.2 * i), 16000)
    real = open_folder(folder, tmp_path / "cache")
    voices = open_folder(said, tmp_path / "cache", synthetic=True)
    return Dataset(
        real, WORDS, FrontEnd(), tmp_path / "cache", voices=SyntheticVoices(lambda: voices, share), augment=PLAIN
    )


def files(tmp_path, kind):
    return sorted((tmp_path / "cache" / kind).glob("*.npy"))


def test_features_are_computed_once_and_memory_mapped(folder, tmp_path):
    first = opened(folder, tmp_path).features("training")
    (made,) = files(tmp_path, "features")
    time = made.stat().st_mtime_ns
    again = opened(folder, tmp_path).features("training")
    assert isinstance(again, np.memmap)
    assert made.stat().st_mtime_ns == time
    np.testing.assert_array_equal(first, again)
    assert first.shape[1:] == (38, 55)


def test_of_several_that_want_the_same_one_computes_it(folder, tmp_path, monkeypatch):
    """Threads stand for processes: the lock is on the file, and each opens it for itself."""
    made = []
    real = dataset.read_clips
    monkeypatch.setattr(dataset, "read_clips", lambda *given: made.append(1) or real(*given))
    opened(folder, tmp_path)  # the digests are there
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: opened(folder, tmp_path).features("training"), range(4)))
    assert len(made) == 1
    for features in found:
        np.testing.assert_array_equal(features, found[0])
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.suffix in (".lock", ".new")]


def test_a_changed_file_or_setting_gives_other_features(folder, tmp_path):
    before = np.array(opened(folder, tmp_path).features("training"))
    assert not np.array_equal(before, opened(folder, tmp_path, floor=1e-3).features("training"))
    for clip in (folder / "yes").iterdir():
        soundfile.write(clip, np.full(16000, 0.2), 16000)
    assert not np.array_equal(before, opened(folder, tmp_path).features("training"))


@pytest.mark.parametrize("kind", ["sounds", "features"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "no checksum", "empty"])
def test_a_broken_cache_is_made_again(folder, tmp_path, kind, damage):
    expected = np.array(opened(folder, tmp_path).features("training"))
    if kind == "sounds":  # otherwise nobody would read the sounds again
        files(tmp_path, "features")[0].unlink()
    (path,) = files(tmp_path, kind)
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[-100] ^= 0xFF
        path.write_bytes(content)
    elif damage == "truncate":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "no checksum":
        path.with_suffix(".crc").unlink()
    else:
        path.write_bytes(b"")
    np.testing.assert_array_equal(opened(folder, tmp_path).features("training"), expected)


def test_inputs_are_standardised_with_the_training_set_alone(folder, tmp_path):
    data = opened(folder, tmp_path)
    x, labels = data.inputs("training")
    np.testing.assert_allclose(x.mean((0, 2, 3)), 0, atol=1e-3)
    np.testing.assert_allclose(x.std((0, 2, 3)), 1, atol=1e-3)
    assert x.shape == (len(labels), 38, 55, 1)
    shifted = Normalisation((0.0,) * 38, (1.0,) * 38)
    np.testing.assert_array_equal(data.inputs("test", shifted)[0][..., 0], data.features("test"))


def test_global_normalisation_keeps_the_differences_between_coefficients(folder, tmp_path):
    data = opened(folder, tmp_path)
    data.per = "global"  # as a recipe's features.normalisation says
    x, _ = data.inputs("training")
    assert x.mean() == pytest.approx(0, abs=1e-3)
    assert x.std() == pytest.approx(1, abs=1e-3)
    assert len(set(data.normalisation.mean)) == len(set(data.normalisation.deviation)) == 1
    raw = data.features("training")
    np.testing.assert_allclose(np.diff(x[..., 0], axis=1) * x.std() * raw.std(), np.diff(raw, axis=1), atol=0.1)


def test_an_epoch_depends_on_the_seed_and_its_number_alone(folder, tmp_path):
    data = opened(folder, tmp_path)
    whole = list(data.epochs(0, 3, 5))
    resumed = list(data.epochs(2, 3, 5))
    np.testing.assert_array_equal(whole[2][0], resumed[0][0])
    np.testing.assert_array_equal(whole[2][1], resumed[0][1])
    assert not np.array_equal(whole[0][0], whole[1][0])
    other = next(data.epochs(0, 1, 6))
    assert not np.array_equal(whole[0][0], other[0])


def test_voices_stand_in_for_training_clips_of_their_word_alone(folder, tmp_path):
    real, mixed = opened(folder, tmp_path), with_voices(folder, tmp_path, 0.5)
    x, y = mixed.epoch(0, 3)
    np.testing.assert_array_equal(y.sum(axis=0), np.bincount(real.split("training").truth))
    stood_in = x[:, 0].std(axis=(1, 2)) < 1e-3  # their level does not change
    assert 0.25 < stood_in.mean() < 0.75
    levels = np.round(x[stood_in, 0].mean((1, 2)), 1)
    for label in range(2):
        assert len(set(levels[y[stood_in, label] == 1])) == 1  # the voices say the clip's own word
    assert len(set(levels)) == 2
    again, other = mixed.epoch(0, 3)[0], mixed.epoch(1, 3)[0]
    np.testing.assert_array_equal(x, again)
    assert not np.array_equal(np.sort(x, axis=0), np.sort(other, axis=0))
    for split in ("training", "validation", "test"):  # what is fitted once, and what is measured, hears none
        np.testing.assert_array_equal(mixed.inputs(split)[0], real.inputs(split)[0])
    assert mixed.class_weights() == real.class_weights()


def test_a_word_that_no_voice_says_keeps_its_clips(folder, tmp_path):
    x, y = with_voices(folder, tmp_path, 0.99, words=["no"]).epoch(0, 0)
    assert (x[y[:, 1] == 1, 0].std(axis=(1, 2)) < 1e-3).mean() > 0.9
    assert (x[y[:, 0] == 1, 0].std(axis=(1, 2)) > 1e-3).all()


def test_leaving_the_epochs_early_ends_their_thread(folder, tmp_path):
    import threading

    turns = sys.getswitchinterval()
    epochs = opened(folder, tmp_path).epochs(0, 1000, 0)
    next(epochs)
    epochs.close()
    assert "epochs" not in {thread.name for thread in threading.enumerate()}
    assert sys.getswitchinterval() == turns


def test_rare_words_weigh_more(folder, tmp_path):
    for clip in sorted((folder / "no").iterdir())[5:]:
        clip.unlink()
    weights = opened(folder, tmp_path).class_weights()
    counts = np.bincount(opened(folder, tmp_path).split("training").truth)
    assert weights[1] > weights[0]
    assert counts[0] * weights[0] == pytest.approx(counts[1] * weights[1])


def test_a_split_without_clips_is_refused_by_name(tmp_path):
    for word in WORDS:
        (tmp_path / "few" / word).mkdir(parents=True)
        soundfile.write(tmp_path / "few" / word / "00000000_nohash_0.wav", np.zeros(16000), 16000)
    data = opened(tmp_path / "few", tmp_path)
    empty = [s for s in ("training", "validation", "test") if not data.audio.select(WORDS, s)]
    assert len(empty) == 2
    with pytest.raises(UserError, match=f"no {empty[0]} clips of yes, no"):
        data.split(empty[0])
    assert len(data.split("all")) == 2
