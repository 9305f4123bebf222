"""Silence and unknown words: which clips a network hears, others in every epoch, the official ones in the test."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hybridq.errors import UserError
from hybridq.recipe.file import load_recipe
from hybridq.runs.sources import open_dataset
from hybridq.speech.audio import choose_other_words, open_folder
from hybridq.speech.audio.everyday import EVERYDAY_WORDS
from hybridq.speech.audio.negatives import Negatives, commands_of, present, selection
from hybridq.speech.audio.silence import made_silence, part_of
from hybridq.speech.dataset import Dataset
from hybridq.speech.mfcc import FrontEnd
from hybridq.speech.negative_sampling import FADE, spliced
from hybridq.speech.settings import AugmentSettings
from hybridq.speech.synthetic_mix import SyntheticVoices

COMMANDS = ("yes", "no")
LABELS = (*COMMANDS, "_silence_", "_unknown_")
STILL = AugmentSettings(shift_ms=0, speed=(1, 1), noise_probability=0, hiss_db=None, gain_db=(0, 0))


@pytest.fixture
def clips(folder: Path) -> Path:
    """The two words of `folder`, and two more by the same speakers."""
    rng = np.random.default_rng(1)
    for word, pitch in (("cat", 0.4), ("zero", 0.7)):
        (folder / word).mkdir()
        for speaker in range(40):
            tone = 0.3 * np.sin(np.arange(12000) * pitch) + 0.01 * rng.standard_normal(12000)
            soundfile.write(folder / word / f"{speaker:08x}_nohash_0.wav", tone, 16000)
    return folder


@pytest.fixture
def official(clips: Path) -> Path:
    """With official test clips: three silent, and of other words six that name theirs, one that does not."""
    said = ("cat", "cat", "zero", "visual", "visual", "yes")
    names = {"_unknown_": [f"{word}_0000{i}_nohash_0.wav" for i, word in enumerate(said)] + ["17.wav"]}
    names["_silence_"] = ["1.wav", "2.wav", "3.wav"]
    for kind, files in names.items():
        (clips / "official_test_v2" / kind).mkdir(parents=True)
        for number, name in enumerate(files):
            sound = np.random.default_rng(number).normal(0, 0.05, 16000)
            soundfile.write(clips / "official_test_v2" / kind / name, sound, 16000)
    return clips


def opened(folder: Path, tmp_path: Path, labels=LABELS, augment=STILL, **negatives) -> Dataset:
    audio, cache = open_folder(folder, tmp_path / "cache"), tmp_path / "cache"
    return Dataset(audio, labels, FrontEnd(), cache, negatives=Negatives(**negatives), augment=augment)


def counts(data: Dataset, split: str) -> list[int]:
    return np.bincount(data.split(split).truth, minlength=len(data.labels)).tolist()


def test_each_of_the_two_classes_has_its_share_behind_the_words(clips, tmp_path):
    data = opened(clips, tmp_path, silence=0.25, unknown=0.5)
    for split in ("training", "validation", "test"):
        yes, no, silent, unknown = counts(data, split)
        assert silent == round(0.25 * (yes + no))
        assert unknown == round(0.5 * (yes + no))
        assert data.size(split) == len(data.split(split)) == yes + no + silent + unknown
        assert set(data.split(split).words) == {"yes", "no", "cat", "zero", "_silence_"}
    weights = data.class_weights()
    assert weights is not None
    weighted = [weights[i] * count for i, count in enumerate(counts(data, "training"))]
    np.testing.assert_allclose(weighted, weighted[0])


def test_words_that_are_not_learnt_are_asked_about_all_the_same(clips, tmp_path):
    data = opened(clips, tmp_path, unknown=1.0, words=("cat",))
    assert data.unknown_words == ("cat",)
    assert set(data.split("training").words) == {"yes", "no", "cat", "_silence_"}
    for split in ("validation", "test"):
        assert "zero" in data.split(split).words


def test_the_official_clips_are_the_test_less_those_of_commands(official, tmp_path):
    split = opened(official, tmp_path).split("test")
    asked = [word for word, label in zip(split.words, split.truth, strict=True) if label == 3]
    assert sorted(asked) == ["", "cat", "cat", "visual", "visual", "zero"]
    assert split.words.count("_silence_") == 3
    assert any("1 more are of yes, commands here, and left out" in note for note in split.notes)
    assert "official" not in " ".join(opened(official, tmp_path).split("validation").notes)


def test_official_clips_are_no_words_and_change_nothing_for_other_networks(clips, official, tmp_path):
    audio = open_folder(official, tmp_path / "cache")
    assert set(audio.words()) == {"yes", "no", "cat", "zero"}
    plain = opened(official, tmp_path, COMMANDS)
    assert plain.digest == audio.digest
    assert counts(plain, "test") == counts(opened(official, tmp_path), "test")[:2]
    before = opened(official, tmp_path).digest
    assert before != audio.digest
    soundfile.write(official / "official_test_v2" / "_silence_" / "2.wav", np.zeros(16000), 16000)
    assert opened(official, tmp_path).digest != before
    assert opened(official, tmp_path, COMMANDS).digest == plain.digest


def test_every_epoch_has_other_silence_and_other_unknown_clips_but_the_same_for_its_number(clips, tmp_path):
    """Without augmentation, what differs between two epochs is what was drawn anew."""
    data = opened(clips, tmp_path, silence=0.5, unknown=0.2)

    def heard(epoch: int) -> list[set[bytes]]:
        x, y = data.epoch(epoch, 7)
        return [{one.tobytes() for one in x[y.argmax(1) == label]} for label in range(4)]

    first, second = heard(0), heard(1)
    assert first == heard(0)
    assert first[0] == second[0]
    assert first[1] == second[1]
    assert len(first[2] & second[2]) <= 1  # digital silence is always the same
    assert len(first[2] | second[2]) > len(first[2])
    assert first[3] != second[3]


def test_a_spliced_word_begins_as_one_and_ends_as_another():
    low, high = (np.zeros(16000, np.int16) for _ in range(2))
    low[4000:12000] = 8000 * np.sin(np.arange(8000) * 0.05)
    high[6000:10000] = 2000 * np.sin(np.arange(4000) * 0.9)
    made = spliced(low, high)
    np.testing.assert_array_equal(made[:7900], low[:7900])  # half of its energy passes by 8000
    end = made[8000 + FADE : 9600 + FADE].astype(float)
    assert np.abs(np.fft.rfft(end)).argmax() == round(0.9 / (2 * np.pi) * 1600)
    assert np.abs(end).max() > 4000  # louder than it was: as loud as the beginning


@given(arrays(np.int16, (2, 400), elements=st.integers(-32768, 32767)))
def test_any_two_sounds_can_be_spliced(sounds):
    made = spliced(*sounds)
    assert made.shape == (400,)
    assert made.dtype == np.int16


def test_spliced_words_are_unknown_and_others_are_left_alone(clips, tmp_path):
    plain, mixed = (opened(clips, tmp_path, spliced=share).epoch(0, 0) for share in (0.0, 1.0))
    np.testing.assert_array_equal(plain[1], mixed[1])
    unknown = plain[1].argmax(1) == 3
    changed = (plain[0] != mixed[0]).any((1, 2, 3))
    assert changed[unknown].all()
    assert not changed[plain[1].argmax(1) < 2].any()


def test_synthetic_voices_say_other_words_for_unknown(clips, tmp_path):
    """Here all clips of the epoch are theirs, of one sound a word."""
    voices = tmp_path / "voices"
    for number, word in enumerate(("yes", "no", "goat", "paper")):
        (voices / word).mkdir(parents=True)
        tone = 0.3 * np.sin(np.arange(16000) * (0.1 + 0.2 * number))
        soundfile.write(voices / word / "0000000a_nohash_0.wav", tone, 16000)
    (voices / "testing_list.txt").touch()
    (voices / "validation_list.txt").touch()
    cache = tmp_path / "cache"
    for labels, sounds in ((LABELS, [1, 1, None, 2]), (COMMANDS, [1, 1])):
        audio = open_folder(clips, cache)
        heard = {"voices": SyntheticVoices(lambda: open_folder(voices, cache), 1.0), "augment": STILL}
        x, y = Dataset(audio, labels, FrontEnd(), cache, **heard).epoch(0, 0)
        for label, count in enumerate(sounds):
            if count:
                assert len({one.tobytes() for one in x[y.argmax(1) == label]}) == count


def test_more_unknown_clips_than_there_are_come_more_than_once_in_training_alone(clips, tmp_path):
    data = opened(clips, tmp_path, unknown=1.0, words=("cat",))
    there = len(data.audio.select(["cat"], "training"))
    x, y = data.epoch(0, 7)
    heard = [one.tobytes() for one in x[y.argmax(1) == 3]]
    assert len(heard) == counts(data, "training")[0] + counts(data, "training")[1] > there
    assert len(set(heard)) == there
    assert {heard.count(one) for one in heard} <= {len(heard) // there, -(-len(heard) // there)}
    others = set(data.audio.words()).difference(LABELS)
    assert counts(data, "validation")[3] == len(data.audio.select(others, "validation"))


def test_voices_may_say_another_share_of_the_unknown_words(clips, tmp_path):
    voices = tmp_path / "voices"
    for word in ("yes", "goat"):
        (voices / word).mkdir(parents=True)
        soundfile.write(voices / word / "0000000a_nohash_0.wav", 0.3 * np.sin(np.arange(16000) * 0.1), 16000)
    cache = tmp_path / "cache"

    def said(unknown_share: float | None) -> list[int]:
        mix = SyntheticVoices(lambda: open_folder(voices, cache), 0.01, unknown_share)
        data = Dataset(open_folder(clips, cache), LABELS, FrontEnd(), cache, voices=mix, augment=STILL)
        x, y = data.epoch(0, 0)
        return [len({one.tobytes() for one in x[y.argmax(1) == label]}) for label in range(4)]

    assert said(0.99)[3] == 1
    assert said(0.99)[0] == said(None)[0] > 1
    assert said(None)[3] > 1


def test_the_everyday_words_are_none_that_the_test_asks_about():
    asked = """backward bed bird cat dog down eight five follow forward four go happy house learn left marvin nine no
    off on one right seven sheila six stop three tree two up visual wow yes zero"""
    assert not set(EVERYDAY_WORDS) & set(asked.split())
    assert len(set(EVERYDAY_WORDS)) == len(EVERYDAY_WORDS)


def test_without_the_two_classes_an_epoch_is_what_it_was(clips, tmp_path):
    """The random stream of the augmentation is not touched by the sampling."""
    plain, more = (
        opened(clips, tmp_path, COMMANDS, AugmentSettings()),
        opened(clips, tmp_path, ("yes", "no", "_unknown_")),
    )
    assert plain.noise[0].size == more.noise[0].size > opened(clips, tmp_path).noise[0].size
    assert plain.epoch(0, 0)[1].shape[1] == 2


def test_silence_of_validation_and_test_is_never_heard_in_training():
    recording = np.arange(32000, dtype=np.int16)
    parts = [set(part_of(recording, split).tolist()) for split in ("training", "validation", "test")]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 32000


@given(count=st.integers(0, 20), lengths=st.lists(st.integers(1, 3000), max_size=3), seed=st.integers(0, 99))
def test_silence_is_never_louder_than_its_recording(count, lengths, seed):
    recordings = [np.full(length, 1000, np.int16) for length in lengths]
    made = made_silence(recordings, 1600, count, np.random.default_rng(seed))
    assert made.shape == (count, 1600)
    assert made.dtype == np.int16
    if recordings:
        assert np.abs(made).max(initial=0) <= 1000


def test_a_set_without_background_recordings_has_white_noise_for_silence(clips, tmp_path):
    (clips / "_background_noise_" / "hum.wav").unlink()
    data = opened(clips, tmp_path, augment=AugmentSettings())
    assert any("white noise" in note for note in data.split("validation").notes)
    assert present(data.audio, LABELS) == ("yes", "no", "_unknown_")  # nothing to evaluate silence on
    data.epoch(0, 0)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["nine"], "no folder for the word 'nine'; words that may be: cat, zero"),
        (["yes"], "'yes' is a command"),
    ],
)
def test_a_word_that_cannot_be_unknown_is_named(clips, tmp_path, words, reason):
    audio = open_folder(clips, tmp_path / "cache")
    with pytest.raises(UserError, match=reason):
        choose_other_words(audio, COMMANDS, words)
    assert choose_other_words(audio, COMMANDS, "auto") == ["cat", "zero"]


def test_unknown_needs_other_words(folder, tmp_path):
    with pytest.raises(UserError, match="no training clips of words that are no command"):
        choose_other_words(open_folder(folder, tmp_path / "cache"), COMMANDS, "auto")


def test_the_classes_of_a_recipe(clips, tmp_path, monkeypatch):
    monkeypatch.setenv("HYBRIDQ_CACHE", str(tmp_path / "cache"))
    (tmp_path / "a.yaml").write_text(f"data: {{source: {clips}, words: [yes, no], silence: 0.1, unknown: 0.1}}\n")
    data = open_dataset(load_recipe(tmp_path / "a.yaml"))
    assert data.labels == LABELS
    assert commands_of(data.labels) == COMMANDS
    assert data.unknown_words == ("cat", "zero")
    only = open_dataset(load_recipe(tmp_path / "a.yaml", ["data.silence=0", "data.unknown_words=[zero]"]))
    assert only.labels == ("yes", "no", "_unknown_")
    assert only.unknown_words == ("zero",)


def test_the_real_clips(gsc, tmp_path):
    """bed and cat are commands there: their clips in the official unknown words are those of the test already."""
    audio = open_folder(gsc, tmp_path)
    labels = ("yes", "no", "up", "down", "left", "right", "stop", "go", "bed", "cat", "_silence_", "_unknown_")
    found = selection(audio, labels, "test", Negatives())
    assert found.words.count("_silence_") == 408
    assert len(found) == 3520 + 408 + 388
    assert any("20 more are of bed and cat" in note for note in found.notes)
    speakers = {clip.speaker for clip in audio.clips if clip.split != "test"}
    assert not speakers & {clip.speaker for clip in audio.official}
