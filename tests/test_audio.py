"""Folders of clips: splits, digests, words, checks."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from audio_files import RATE, assert_plain, fill, speakers_of, tone, write

from hybridq.errors import UserError
from hybridq.speech.audio import (
    check,
    choose_words,
    info,
    open_folder,
    open_source,
    read_exact,
    speaker_split,
)
from hybridq.speech.audio.clips import STANDARD_WORDS, AudioSet

TEN_OF_THE_SUBSET = ["yes", "no", "up", "down", "left", "right", "stop", "go", "bed", "cat"]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_opens_a_folder_and_leaves_out_what_is_no_clip(folder: Path, cache: Path) -> None:
    fill(folder, {"yes": 3, "no": 2})
    write(folder / "yes" / "deadbeef_nohash_1.FLAC", format="FLAC")
    write(folder / "yes" / ".hidden.wav")
    (folder / "yes" / "notes.txt").write_text("a note")
    write(folder / "_background_noise_" / "tap.wav", tone(40000))
    write(folder / "_other_" / "a.wav")
    write(folder / ".cache" / "a.wav")
    write(folder / "nested" / "deeper" / "a.wav")
    (folder / "blank").mkdir()
    audio = open_folder(folder, cache)
    assert audio.words() == {"no": 2, "yes": 4}
    assert audio.noise == (Path("_background_noise_/tap.wav"),)
    assert audio.empty == ("blank",)
    assert audio.missing == ()
    assert audio.name == "data"
    assert not audio.synthetic
    assert [clip.path for clip in audio.clips] == sorted(clip.path for clip in audio.clips)
    assert all(audio.file(clip).is_file() for clip in audio.clips)
    assert len(audio.select(["yes"], "all")) == 4
    assert not audio.select(["maybe"], "all")
    assert audio.clips[0].speaker == audio.clips[0].path.name.split("_")[0]


def test_splits_by_the_rule_without_lists_and_is_stable(folder: Path, cache: Path) -> None:
    for split in ("training", "validation", "test"):
        fill(folder, {"yes": 3, "no": 3}, split)
    before = open_folder(folder, cache)
    assert before.split_rule == "test and validation by speaker hash"
    assert {split: before.words(split) for split in ("training", "validation", "test")} == {
        split: {"no": 3, "yes": 3} for split in ("training", "validation", "test")
    }
    fill(folder, {"yes": 20, "up": 4})
    after = {clip.path: clip.split for clip in open_folder(folder, cache).clips}
    assert all(after[clip.path] == clip.split for clip in before.clips)


def test_lists_decide_where_present(folder: Path, cache: Path) -> None:
    fill(folder, {"yes": 4}, suffix=".flac")
    fill(folder, {"yes": 2}, "test", suffix=".flac")
    training = speakers_of("training", 4)
    (folder / "testing_list.txt").write_text(f"yes/{training[0]}_nohash_0.wav\nyes/gone_nohash_0.wav\n\n")
    (folder / "validation_list.txt").write_text(f"yes/{training[1]}_nohash_0.flac\r\n")
    audio = open_folder(folder, cache)
    splits = {clip.speaker: clip.split for clip in audio.clips}
    assert splits[training[0]] == "test"
    assert splits[training[1]] == "validation"
    assert list(splits.values()).count("training") == 4  # also those whom the rule would test on
    assert audio.missing == ("yes/gone_nohash_0.wav",)
    assert audio.split_rule == "testing_list.txt, validation_list.txt"


def test_one_list_leaves_the_other_split_to_the_rule(folder: Path, cache: Path) -> None:
    for split in ("training", "validation", "test"):
        fill(folder, {"yes": 2}, split)
    listed = speakers_of("training", 1)[0]
    (folder / "testing_list.txt").write_text(f"yes/{listed}_nohash_0.wav\n")
    audio = open_folder(folder, cache)
    splits = {clip.speaker: clip.split for clip in audio.clips}
    assert splits[listed] == "test"
    assert [splits[name] for name in speakers_of("validation", 2)] == ["validation"] * 2
    assert [splits[name] for name in speakers_of("test", 2)] == ["training"] * 2
    assert audio.split_rule == "testing_list.txt, validation by speaker hash"


@pytest.mark.parametrize("make", ["missing", "empty", "file", "flat"])
def test_says_what_a_data_folder_is(folder: Path, cache: Path, make: str) -> None:
    if make == "file":
        folder.write_text("not a folder")
    elif make != "missing":
        folder.mkdir()
        if make == "flat":
            write(folder / "a.wav")
    with pytest.raises(UserError, match=r"<word>/<speaker>_nohash_<take>.*synthetic, v0\.01, v0\.02") as caught:
        open_source(str(folder), cache=cache)
    assert_plain(caught.value, folder)


def test_digest_follows_the_content_and_not_the_place(folder: Path, cache: Path, tmp_path: Path) -> None:
    fill(folder, {"yes": 3, "no": 2})
    first = open_folder(folder, cache)
    fill(tmp_path / "elsewhere", {"yes": 3, "no": 2})
    copy = open_folder(tmp_path / "elsewhere", cache)
    assert copy.digest == first.digest
    assert copy.clips == first.clips
    assert open_folder(folder, cache).digest == first.digest

    path = folder / first.clips[0].path
    stat = path.stat()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # neither size nor time of change gives it away
    changed = open_folder(folder, cache)
    assert changed.digest != first.digest
    assert [old.path for old, new in zip(first.clips, changed.clips, strict=True) if old != new] == [
        first.clips[0].path
    ]

    (folder / "validation_list.txt").write_text(str(first.clips[1].path))
    assert open_folder(folder, cache).digest != changed.digest


def age(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what was just written count as long unchanged."""
    monkeypatch.setattr("hybridq.speech.audio.digests.SETTLED", -60_000_000_000)


def test_unchanged_files_are_not_read_again(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(folder, {"yes": 3, "no": 2})
    age(monkeypatch)
    first = open_folder(folder, cache).clips[0]
    (kept,) = (cache / "digests").glob("*.json")
    kept.write_text(kept.read_text().replace(first.digest, "remembered"))
    assert open_folder(folder, cache).clips[0].digest == "remembered"


def test_what_was_just_written_is_read_again(folder: Path, cache: Path) -> None:
    fill(folder, {"yes": 3, "no": 2})
    open_folder(folder, cache)
    assert [kept.read_text() for kept in (cache / "digests").glob("*.json")] in ([], ["{}"])


@pytest.mark.parametrize("broken", ["", "{", "[]", '{"yes/a.wav": 1}', '{"yes/a.wav": [1, 2, "x", 3]}', "null"])
def test_a_broken_digest_cache_is_made_anew(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    fill(folder, {"yes": 2, "no": 2})
    age(monkeypatch)
    first = open_folder(folder, cache)
    (kept,) = (cache / "digests").glob("*.json")
    whole = kept.read_text()
    kept.write_text(broken)
    assert open_folder(folder, cache).digest == first.digest
    assert kept.read_text() == whole
    assert len(list((cache / "digests").iterdir())) == 1


def test_works_without_a_writable_cache(folder: Path, tmp_path: Path) -> None:
    fill(folder, {"yes": 2, "no": 2})
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert open_folder(folder, tmp_path / "cache").digest == open_folder(folder, tmp_path / "other").digest


def open_with(folder: Path, cache: Path, words: dict[str, int]) -> AudioSet:
    return open_folder(fill(folder, words), cache)


def test_auto_takes_the_ten_standard_words(folder: Path, cache: Path) -> None:
    audio = open_with(folder, cache, dict.fromkeys(STANDARD_WORDS, 1) | {"zero": 5})
    assert choose_words(audio, "auto") == list(STANDARD_WORDS)


def test_auto_takes_the_words_with_most_training_clips(
    folder: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    counts = {"yes": 1, "go": 3, "stop": 2} | {f"word{number}": 2 for number in range(8)} | {"rare": 1}
    fill(folder, {"tested": 9}, "test")
    (folder / "blank").mkdir()
    audio = open_with(folder, cache, counts)
    assert choose_words(audio, "auto") == ["stop", "go", *(f"word{number}" for number in range(8))]
    assert "blank, tested" in caplog.text


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["yes", "maybe"], "no folder for the word 'maybe'; words with training clips: no, yes"),
        (["yes", "blank"], "the folder of the word 'blank' holds no recording"),
        (["yes", "tested"], "the word 'tested' has no training clips"),
        (["yes", "yes"], "two or more different words"),
        (["yes"], "two or more different words"),
    ],
)
def test_says_why_a_word_cannot_be_trained(folder: Path, cache: Path, words: list[str], reason: str) -> None:
    fill(folder, {"tested": 2}, "test")
    (folder / "blank").mkdir()
    audio = open_with(folder, cache, {"yes": 1, "no": 1})
    assert choose_words(audio, ["no", "yes"]) == ["no", "yes"]
    with pytest.raises(UserError, match=reason):
        choose_words(audio, words)


def test_auto_needs_two_words(folder: Path, cache: Path) -> None:
    with pytest.raises(UserError, match="two words with training clips are needed; it has yes"):
        choose_words(open_with(folder, cache, {"yes": 3}), "auto")


def test_check_finds_what_is_wrong(folder: Path, cache: Path) -> None:
    first, second, third = speakers_of("training", 3)
    write(folder / "yes" / f"{first}_nohash_0.wav", tone(level=0.1))
    write(folder / "yes" / f"{first}_nohash_1.wav", tone(level=0.2))
    write(folder / "no" / f"{second}_nohash_0.wav", tone(level=0.2))
    write(folder / "no" / f"{third}_nohash_0.wav", tone(8000, rate=8000), rate=8000)
    write(folder / "no" / f"{third}_nohash_1.wav", np.stack([tone(9000)] * 2, axis=1))
    write(folder / "no" / f"{third}_nohash_2.wav", tone(20000, level=2), subtype="FLOAT")
    (folder / "no" / f"{third}_nohash_3.wav").write_text("no sound")
    write(folder / "_background_noise_" / "tap.wav", tone(40000))
    (folder / "testing_list.txt").write_text(f"yes/{first}_nohash_1.wav\nno/gone_nohash_0.wav\n")
    (folder / "blank").mkdir()
    findings = [str(finding) for finding in check(open_folder(folder, cache))]
    yes, no = f"yes/{first}_nohash_", f"no/{second}_nohash_0.wav"
    assert findings == [
        f"fault: {folder}/no/{third}_nohash_3.wav: not a whole WAV, FLAC or OGG file: Format not recognised",
        f"fault: the speaker '{first}' is in training and test: {yes}0.wav, {yes}1.wav",
        f"fault: the same recording is in training and test: {no}, {yes}1.wav",
        f"fault: the same recording is given as no and yes: {no}, {yes}1.wav",
        "note: named by the lists but not there, passed over (1 file): no/gone_nohash_0.wav",
        "note: the word folder 'blank' holds no recording, passed over",
        "note: no validation clips (testing_list.txt, validation by speaker hash)",
        f"note: 2 channels mixed to one (1 file): no/{third}_nohash_1.wav",
        f"note: longer than 1 s, its centre taken (1 file): no/{third}_nohash_2.wav",
        f"note: resampled from 8000 to 16000 Hz (1 file): no/{third}_nohash_0.wav",
        f"note: samples beyond -1 to 1 clipped (1 file): no/{third}_nohash_2.wav",
        f"note: shorter than 1 s, padded (1 file): no/{third}_nohash_1.wav",
    ]


def test_check_of_a_good_folder_finds_nothing(folder: Path, cache: Path) -> None:
    for number, split in enumerate(("training", "validation", "test")):
        write(folder / "yes" / f"{speakers_of(split, 1)[0]}_nohash_0.wav", tone(level=0.1 * (number + 1)))
    assert check(open_folder(folder, cache)) == []


def test_info_counts_clips_and_speakers(folder: Path, cache: Path) -> None:
    fill(folder, {"yes": 3, "no": 2})
    fill(folder, {"yes": 1}, "test")
    rows = info(open_folder(folder, cache))
    assert [(row.word, row.training, row.validation, row.test, row.clips, row.speakers) for row in rows] == [
        ("no", 2, 0, 0, 2, 2),
        ("yes", 3, 0, 1, 4, 4),
        ("total", 5, 0, 1, 6, 4),
    ]


def test_real_clips(gsc: Path, tmp_path: Path) -> None:
    audio = open_folder(gsc, tmp_path)
    assert choose_words(audio, "auto") == TEN_OF_THE_SUBSET
    assert {"one", "five", "eight", "zero", "happy"} < audio.words().keys()
    assert "official_test_v2" not in audio.words()
    assert not audio.empty
    assert not audio.missing
    assert len(audio.noise) == 6
    by_speaker: dict[str, set[str]] = {}
    for clip in audio.clips:
        by_speaker.setdefault(clip.speaker, set()).add(clip.split)
        assert speaker_split(clip.path.name) == clip.split  # the published lists follow the rule
    assert all(len(splits) == 1 for splits in by_speaker.values())
    assert read_exact(audio.file(audio.clips[0])).shape == (RATE,)


def test_importing_loads_nothing_heavy() -> None:
    heavy = ("scipy", "soundfile", "librosa", "tensorflow", "rich", "mlflow")
    code = f"import sys, hybridq.speech.audio; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
