"""Data folders of an unlucky or hostile world: links to nothing, pipes, strange names, headers that lie, long files."""

import io
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from audio_files import RATE, assert_plain, speakers_of, tone, write
from rich.console import Console

from hybridq.errors import UserError
from hybridq.speech.audio import check, choose_words, open_folder, read_clip
from hybridq.speech.audio.reading import read_clips
from hybridq.speech.mfcc import FrontEnd
from hybridq.streaming import sources
from hybridq.streaming.sources import from_file
from hybridq.sweeps import Board, Schedule, plan

NOT_HERE = "a link to what is not here; where git-annex or DVC keeps the data, they fetch it"
LOOP = "cannot be read: Too many levels of symbolic links"
NO_LIST = "cannot be read: a list is a file of lines, <word>/<file>"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def root(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two words, three clips each, all good, in every split; the current folder, and the cache, are beside it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYBRIDQ_CACHE", str(cache))
    for split in ("training", "validation", "test"):
        for number, word in enumerate(("yes", "no")):
            wave = tone(level=0.1 + 0.1 * number)
            wave[0] = len(split) / 100  # no two alike
            write(tmp_path / "data" / word / f"{speakers_of(split, 1)[0]}_nohash_0.wav", wave)
    return tmp_path / "data"


def raw(name: bytes) -> str:
    """A name of any bytes as Python has it."""
    return os.fsdecode(name)


def spoil(root: Path) -> dict[str, str]:
    """Put in what looks like clips and is none; what is wrong with each, as it is to be printed."""
    yes = root / "yes"
    (yes / "a.wav").symlink_to(root / ".git" / "annex" / "a.wav")
    (yes / "b.flac").symlink_to("b.flac")
    os.mkfifo(yes / "c.OGG")
    (yes / "d.wav").mkdir()
    (yes / "e.mp3").write_bytes(b"ID3")
    write(root / "top.wav")
    (root / "turning").symlink_to("turning")
    (root / "gone").symlink_to("nowhere")
    return {
        "gone": NOT_HERE,
        "top.wav": "not in the folder of a word",
        "turning": LOOP,
        "yes/a.wav": NOT_HERE,
        "yes/b.flac": LOOP,
        "yes/c.OGG": "a pipe, a socket or a device, not a recording",
        "yes/d.wav": "a folder, not a recording",
        "yes/e.mp3": "no WAV, FLAC or OGG file: convert it (.mp3 is not read)",
    }


def test_check_names_all_that_looks_like_a_clip_and_is_none(root: Path, cache: Path) -> None:
    good = open_folder(root, cache)
    assert check(good) == []
    wrong = spoil(root)
    (root / "yes" / "notes.txt").write_text("a note")
    (root / "yes" / "more").mkdir()
    (root / "_background_noise_").mkdir()
    (root / "_background_noise_" / "README.md").write_text("of the archive")
    audio = open_folder(root, cache, checking=True)
    assert audio.digest == good.digest  # what is left out changes nothing
    assert [str(finding) for finding in check(audio)] == [
        *(f"fault: {root}/{path}: {why}" for path, why in wrong.items()),
        "note: no recording by its name, passed over (2 files): yes/more/, yes/notes.txt",
    ]


def test_training_is_told_how_many_are_left_out(root: Path, cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    count = len(spoil(root))
    assert len(open_folder(root, cache).clips) == 6
    (line,) = caplog.messages
    assert line == (
        f"{root}: left out: {count} files or folders, such as gone ({NOT_HERE}); `hybridq data check` names each"
    )


def test_a_folder_of_links_to_nothing_is_not_called_empty(run, root: Path, cache: Path) -> None:
    for clip in [*(root / "yes").iterdir(), *(root / "no").iterdir()]:
        clip.unlink()
        clip.symlink_to("nowhere")
    with pytest.raises(UserError, match=r"no recordings found; left out: 6 files or folders, such as no/\S+ \(a link"):
        open_folder(root, cache)
    code, out, _ = run("data", "check", "--data", root)
    assert code == 1
    assert out.count(NOT_HERE) == 6
    assert "0 clips, 6 faults" in out


def test_a_word_without_recordings_is_named(root: Path, cache: Path) -> None:
    (root / "up").mkdir()
    (root / "up" / "a.wav").symlink_to("nowhere")
    with pytest.raises(UserError, match="the folder of the word 'up' holds no recording"):
        choose_words(open_folder(root, cache), ["yes", "up"])


@pytest.mark.parametrize("name", ["testing_list.txt", "validation_list.txt"])
@pytest.mark.parametrize("kind", ["folder", "pipe", "loop", "link to nothing"])
def test_a_list_that_is_none_ends_a_training_and_no_check(root: Path, cache: Path, name: str, kind: str) -> None:
    """Without it the splits would be others: nothing may be trained on those unasked."""
    path = root / name
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(name if kind == "loop" else "nowhere")
    why = {"loop": LOOP, "link to nothing": "cannot be read: No such file or directory"}.get(kind, NO_LIST)
    with pytest.raises(UserError, match=why) as caught:
        open_folder(root, cache)
    assert_plain(caught.value, path)
    (root / "yes" / "broken_nohash_0.wav").write_text("no sound")
    faults = [str(one) for one in check(open_folder(root, cache, checking=True)) if one.severity == "fault"]
    assert faults[0] == f"fault: {path}: {why}"
    assert "broken_nohash_0.wav: not a whole WAV" in faults[1]


def test_names_that_are_no_text_are_left_out_and_printed_as_their_bytes(run, root: Path, cache: Path) -> None:
    write(root / "yes" / raw(b"caf\xe9_nohash_0.wav"))
    write(root / raw(b"\xff") / "a_nohash_0.wav")
    write(root / "ye\ns" / "a_nohash_0.wav")
    code, out, err = run("data", "check", "--data", root)
    assert code == 1
    assert err == ""
    assert out.splitlines() == [
        f"fault: {root}/ye\\ns: its name is not one line of plain text, and so no word: rename the folder",
        f"fault: {root}/yes/caf\\xe9_nohash_0.wav: its name is not UTF-8: rename it",
        f"fault: {root}/\\xff: its name is not UTF-8, and so no word: rename the folder",
        "data: 6 clips, 3 faults, 0 notes",
    ]
    code, out, err = run("data", "info", "--data", root)
    assert code == 0
    assert "total   2          2            2" in out
    assert "left out: 3 files or folders" in err
    audio = open_folder(root, cache)
    assert sorted(audio.words()) == ["no", "yes"]
    read_clips([audio.file(clip) for clip in audio.clips], RATE, RATE)


def test_a_name_cannot_fake_a_line_or_colour_one(run, root: Path) -> None:
    for name in ("a\nfault: forged_nohash_0.wav", "b\x1b[31m_nohash_0.wav", "c\u2028\u202e_nohash_0.wav"):
        write(root / "yes" / name, tone(8000, level=0.3 + len(name) / 1000))
    _, out, _ = run("data", "check", "--data", root)
    short = ", ".join(rf"yes/{name}_nohash_0.wav" for name in (r"a\nfault: forged", r"b\x1b[31m", r"c\u2028\u202e"))
    assert f"note: shorter than 1 s, padded (3 files): {short}\n" in out
    assert all(line.startswith(("note: ", "fault: ", "data: ")) for line in out.split("\n")[:-1])


def test_what_a_run_logs_is_one_line(root: Path, cache: Path) -> None:
    (root / "yes" / "a\nb.wav").symlink_to("nowhere")
    shown = io.StringIO()
    with Board(Schedule(plan([])), console=Console(file=shown, width=1000)):
        open_folder(root, cache)
    assert r"yes/a\nb.wav" in shown.getvalue()
    assert shown.getvalue().count("\n") == 1


@pytest.mark.parametrize("command", [("data", "info"), ("data", "check"), ("train", "recipe.yaml")])
def test_a_data_folder_whose_name_is_not_utf8_is_refused_in_plain_words(run, root: Path, command) -> None:
    folder = root.rename(root.with_name(raw(b"d\xe4ta")))
    Path("recipe.yaml").write_text("model:\n  name: dnn\n")
    code, _, err = run(*command, "--data", folder)
    assert code == 2
    assert err == (
        f"hybridq: {folder.parent}/d\\xe4ta: the path of a data folder must be UTF-8: rename it, or make a link to it\n"
    )


def test_names_in_brackets_are_printed_as_they_are(run, root: Path) -> None:
    (root / "no").rename(root / "[b]:smile:")
    root = root.rename(root.with_name("[red]d\na\x1b"))
    code, out, _ = run("data", "info", "--data", root)
    assert code == 0
    assert out.startswith(f"[red]d\\na\\x1b: {root.parent}/[red]d\\na\\x1b\n")
    assert " [b]:smile: " in out


def test_check_notes_what_nobody_hears_and_who_may_be_in_two_splits(root: Path, cache: Path) -> None:
    other = speakers_of("training", 2)[1]
    write(root / "yes" / f"{other}_nohash_0.wav", np.zeros(RATE))
    write(root / "no" / f"{other}_nohash_0.wav", np.full(RATE, 0.25))
    write(root / "no" / "1.wav", np.stack([tone(), -tone()], axis=1), subtype="FLOAT")  # its mean is nothing
    write(root / "official_test_v2" / "_silence_" / "0.wav", np.zeros(RATE))
    quiet = f"no/{other}_nohash_0.wav, no/1.wav, yes/{other}_nohash_0.wav"
    found = [str(finding) for finding in check(open_folder(root, cache))]
    assert f"note: nothing to hear, one value throughout (3 files): {quiet}" in found
    assert (
        "note: no _nohash_ behind the speaker's name: each name counts as a speaker, so splits may share one "
        "(1 file): no/1.wav"
    ) in found


def lying(path: Path, rate: int) -> Path:
    """A WAV file with any rate in its header."""
    content = bytearray(write(path).read_bytes())
    content[24:28] = struct.pack("<I", rate)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("rate", [1, 999, 768_001, 2**31 - 1])
def test_a_rate_that_no_recording_has_is_refused_by_the_files_name(root: Path, cache: Path, rate: int) -> None:
    path = lying(root / "yes" / "liar_nohash_0.wav", rate)
    why = f"its header says {rate:,} Hz; recordings of 1,000 to 768,000 Hz are read"
    for read in (read_clip, lambda one: read_clips([one], RATE, RATE), lambda one: list(from_file(one, FrontEnd()))):
        with pytest.raises(UserError, match=why) as caught:
            read(path)
        assert_plain(caught.value, path)
    assert f"fault: {path}: {why}" in map(str, check(open_folder(root, cache)))


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_file_is_not_waited_for(run, tmp_path: Path, kind: str) -> None:
    path = Path("/dev/zero")
    if kind == "pipe":
        path = tmp_path / "a.wav"
        os.mkfifo(path)
    code, _, err = run("listen", path, "--threshold", "0.9")
    assert code == 2
    assert err == f"hybridq: {path}: a pipe or a device; a WAV, FLAC or OGG file is needed\n"


def test_a_recording_with_any_name_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(sources.log, "warning", lambda text, *values: lines.append(text % values))
    path = write(tmp_path / raw(b"caf\xe9.wav"), tone(2000))
    assert sum(map(len, from_file(path, FrontEnd()))) == 2000
    assert any("the network answers first after" in line for line in lines)
