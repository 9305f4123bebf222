"""The embedded default data, made with a few voices by the real synthesiser."""

import hashlib
import json
import os
import resource
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridq.errors import BAD_INPUT, ENVIRONMENT, NotWritable, UserError
from hybridq.speech.audio import espeak, synthetic
from hybridq.speech.audio.acoustics import RATE, coloured_noise, convolved, room, trimmed
from hybridq.speech.audio.clips import STANDARD_WORDS, open_folder
from hybridq.speech.audio.contents import LISTS, NOISE_FOLDER
from hybridq.speech.audio.espeak import Espeak, Utterance
from hybridq.speech.audio.synthetic import make_synthetic
from hybridq.speech.audio.voices import VARIANTS, cast

VOICES = 6


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_synthetic(tmp_path_factory.mktemp("made"), VOICES, progress=False)


@pytest.fixture
def short_noises(monkeypatch: pytest.MonkeyPatch) -> None:
    """The noises, and not the words, are most of the work for a few voices."""
    monkeypatch.setattr(synthetic, "NOISE_SECONDS", 2)


def _digests(folder: Path) -> dict[str, str]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def _tiny(cache: Path) -> Path:
    return make_synthetic(cache, 3, words=["yes", "no"], progress=False)


def test_layout(made: Path) -> None:
    names = {file.name for file in made.iterdir() if file.is_dir()}
    assert names == {*STANDARD_WORDS, NOISE_FOLDER}
    assert "not recordings of people" in (made / "README.txt").read_text()
    speakers = {voice["speaker"] for voice in json.loads((made / "voices.json").read_text())}
    assert len(speakers) == VOICES
    for word in STANDARD_WORDS:
        assert {file.name.split("_nohash_")[0] for file in (made / word).iterdir()} == speakers


def test_opens_as_a_data_set_split_by_voice(made: Path, tmp_path: Path) -> None:
    audio = open_folder(made, tmp_path, synthetic=True, progress=False)
    assert not audio.missing
    assert not audio.empty
    assert len(audio.noise) == 5
    speakers = defaultdict(set)
    for clip in audio.clips:
        speakers[clip.split].add(clip.speaker)
    assert {split: len(who) for split, who in speakers.items()} == {"training": 4, "validation": 1, "test": 1}
    assert len(set.union(*speakers.values())) == VOICES
    for split in LISTS:
        assert set(audio.words(split)) == set(STANDARD_WORDS)


def test_clips_are_one_second_of_audible_speech_below_full_scale(made: Path) -> None:
    for path in made.glob("*/*.flac"):
        details = soundfile.info(path)
        assert (details.samplerate, details.channels, details.subtype) == (RATE, 1, "PCM_16")
        samples, _ = soundfile.read(path)
        assert 0.04 < np.max(np.abs(samples)) < 1
        if path.parent.name == NOISE_FOLDER:
            assert 20 * RATE <= len(samples) <= 60 * RATE
            continue
        assert len(samples) == RATE
        power = np.mean(samples.reshape(-1, 400) ** 2, axis=1)  # of each 25 ms
        assert np.max(power) > 10 * np.percentile(power, 10), path


def test_the_same_settings_give_the_same_bytes(made: Path, tmp_path: Path) -> None:
    again = make_synthetic(tmp_path, VOICES, progress=False)
    assert again != made
    assert again.name == made.name
    assert _digests(again) == _digests(made)
    other = make_synthetic(tmp_path, VOICES, words=STANDARD_WORDS[:2], seed=1, progress=False)
    clips = {digest for name, digest in _digests(made).items() if name.endswith(".flac")}
    assert not clips & {*_digests(other).values()}


@pytest.mark.usefixtures("short_noises")
def test_a_complete_folder_is_reused(tmp_path: Path) -> None:
    first = _tiny(tmp_path)
    before = {file: file.stat().st_mtime_ns for file in first.rglob("*")}
    assert _tiny(tmp_path) == first
    assert {file: file.stat().st_mtime_ns for file in first.rglob("*")} == before


@pytest.mark.usefixtures("short_noises")
def test_a_damaged_folder_is_made_again(tmp_path: Path) -> None:
    first = _tiny(tmp_path)
    whole = _digests(first)
    next((first / "yes").iterdir()).unlink()
    assert _digests(_tiny(tmp_path)) == whole
    next((first / "no").iterdir()).write_bytes(b"")
    assert _digests(_tiny(tmp_path)) == whole
    (first / "synthetic.json").write_text("{")
    assert _digests(_tiny(tmp_path)) == whole


@pytest.mark.usefixtures("short_noises")
def test_what_a_killed_run_left_is_not_used(tmp_path: Path) -> None:
    """A real one: killed once it has begun to write, its folder is cleared away by the next."""
    code = (
        "import sys, pathlib; from hybridq.speech.audio import synthetic; synthetic.NOISE_SECONDS = 2;"
        "synthetic.make_synthetic(pathlib.Path(sys.argv[1]), 60, words=['yes'], progress=False)"
    )
    child = os.posix_spawn(sys.executable, [sys.executable, "-c", code, str(tmp_path)], {**os.environ})
    parent = tmp_path / "synthetic"
    deadline = time.monotonic() + 30
    while not list(parent.glob(".*.making-*/yes/*.flac")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    assert list(parent.glob(".*.making-*"))
    assert not [file for file in parent.iterdir() if file.name[0] != "."]
    folder = make_synthetic(tmp_path, 60, words=["yes"], progress=False)
    assert not list(parent.glob(".*.making-*"))
    speakers = {path.name.split("_")[0] for path in folder.glob("yes/*")}
    assert speakers == {voice.speaker for voice in cast(60, 0)}


@pytest.mark.parametrize("words", [["../up"], ["Yes"], [""], [], ["yes", "yes"]])
def test_words_that_cannot_be_folders(tmp_path: Path, words: list[str]) -> None:
    with pytest.raises(UserError, match="words") as caught:
        make_synthetic(tmp_path, 3, words=words, progress=False)
    assert caught.value.exit_code == BAD_INPUT


def test_too_few_voices(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="3 synthetic voices or more"):
        make_synthetic(tmp_path, 2, progress=False)


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotWritable, match="cannot write") as caught:
        make_synthetic(tmp_path / "file", 3, progress=False)
    assert caught.value.exit_code == ENVIRONMENT


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """A limit on the size of a file stands for a full disk: the same call fails, for another reason."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(NotWritable, match="cannot write"):
            _tiny(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list((tmp_path / "synthetic").iterdir())


def test_without_the_synthesiser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(UserError, match=r"not installed.*pass --data") as caught:
        _tiny(tmp_path)
    assert caught.value.exit_code == ENVIRONMENT


def test_a_library_that_does_not_load_is_an_answer(tmp_path: Path) -> None:
    library = tmp_path / "libespeak-ng.so"
    library.write_text("not for this platform")
    script = Path(espeak.__file__).with_name("espeak_child.py")
    child = subprocess.run([sys.executable, script, library, tmp_path], capture_output=True, check=True)
    assert "libespeak-ng.so" in json.loads(child.stdout)["error"]


def test_an_unknown_voice_says_what_to_do_instead() -> None:
    with Espeak() as child, pytest.raises(UserError, match="pass --data") as caught:
        child.say(Utterance("en-zz+nobody", "yes", rate=150, pitch=50, range=50))
    assert caught.value.exit_code == ENVIRONMENT


def test_asking_ahead_changes_nothing() -> None:
    utterances = [
        Utterance("en+f2", text, rate=150, pitch=50, range=50) for text in ("yes", "no", "stop") for _ in range(40)
    ]
    with Espeak() as one, Espeak() as other:
        for utterance, samples in zip(utterances, one.say_all(utterances), strict=True):
            assert np.array_equal(other.say(utterance), samples)


@settings(deadline=None, max_examples=30)  # the time depends on the number of voices
@given(voices=st.integers(3, 1000), seed=st.integers(0, 2**32))
def test_cast_splits_by_voice_and_by_variant(voices: int, seed: int) -> None:
    people = cast(voices, seed)
    assert len(people) == len({voice.speaker for voice in people}) == voices
    assert people == cast(voices, seed)
    for voice in people:
        assert voice.variant in VARIANTS[voice.split]
    held_out = sum(voice.split == "test" for voice in people)
    assert held_out == sum(voice.split == "validation" for voice in people) == max(1, round(voices / 10))


def test_no_variant_is_in_two_splits() -> None:
    every = [variant for variants in VARIANTS.values() for variant in variants]
    assert len(every) == len(set(every))


@pytest.mark.parametrize(("slope", "decibels"), [(0, 0), (1, -3.01), (2, -6.02)])
def test_noise_falls_by_its_slope(slope: float, decibels: float) -> None:
    """Decibels an octave, between the octaves about 700 and 2,800 Hz."""
    noise = coloured_noise(8 * RATE, slope, np.random.default_rng(0))
    assert np.mean(noise**2) == pytest.approx(1)
    power, frequency = np.abs(np.fft.rfft(noise)) ** 2, np.fft.rfftfreq(len(noise), 1 / RATE)
    low, high = (np.mean(power[(frequency >= at) & (frequency < 2 * at)]) for at in (500, 2000))
    assert 10 * np.log10(high / low) / 2 == pytest.approx(decibels, abs=0.3)


def test_a_room_follows_the_sound() -> None:
    click = np.zeros(RATE)
    click[8000] = 1
    response = room(np.random.default_rng(3))
    heard = convolved(click, response)
    assert np.max(np.abs(heard[:8000])) < 1e-9
    np.testing.assert_allclose(heard[8000 : 8000 + len(response)], response[:8000], atol=1e-9)


def test_trimming_keeps_the_word() -> None:
    word = np.zeros(1000)
    word[400:600] = 1
    assert np.array_equal(trimmed(word, margin=10), word[390:610])
    assert len(trimmed(np.zeros(100))) == 0
