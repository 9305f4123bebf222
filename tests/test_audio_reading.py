"""Sound files: what is read, resampled and refused."""

import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from audio_files import RATE, assert_plain, tone, write
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridq.errors import UserError
from hybridq.speech.audio import fit, read_clip, read_exact, reading
from hybridq.speech.audio.reading import int16, read_clips, survey


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_reads_each_kind_of_file(tmp_path: Path, suffix: str) -> None:
    wave = read_clip(write(tmp_path / f"a{suffix}"))
    assert wave.dtype == np.float32
    assert wave.shape == (RATE,)
    assert np.abs(wave - tone()).max() < (0.1 if suffix == ".ogg" else 1e-4)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_resamples_to_the_wanted_rate(tmp_path: Path, rate: int) -> None:
    wave = read_clip(write(tmp_path / "a.wav", tone(rate, rate), rate))
    assert wave.shape == (RATE,)
    assert wave.dtype == np.float32
    middle = slice(1000, -1000)  # the filter's ends aside
    assert np.abs(wave[middle] - tone()[middle]).max() < 0.01


def test_mixes_channels(tmp_path: Path) -> None:
    wave = read_clip(write(tmp_path / "a.wav", np.stack([tone(), np.zeros(RATE, np.float32)], axis=1)))
    np.testing.assert_allclose(wave, tone() / 2, atol=1e-4)


def test_clips_float_samples_beyond_full_scale(tmp_path: Path) -> None:
    wave = read_clip(write(tmp_path / "a.wav", tone(level=3.0), subtype="FLOAT"))
    assert wave.max() == 1.0
    assert wave.min() == -1.0


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "FLOAT"])
@pytest.mark.parametrize("samples", [1, 255, 1000])
def test_reads_whole_wav_files_of_any_sample_format(tmp_path: Path, subtype: str, samples: int) -> None:
    assert read_clip(write(tmp_path / "a.wav", tone(samples), subtype=subtype)).shape == (samples,)


def test_reads_a_wav_written_to_a_pipe(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav")
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[4:8] = data[at : at + 4] = b"\xff" * 4
    path.write_bytes(data)
    assert read_clip(path).shape == (RATE,)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
@pytest.mark.parametrize("kept", [0.001, 0.02, 0.3, 0.6, 0.9, 0.9999])
def test_refuses_a_file_that_was_cut_short(tmp_path: Path, suffix: str, kept: float) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, RATE)
    path = write(tmp_path / f"a{suffix}", noise)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(UserError) as caught:
        read_clip(path)
    assert_plain(caught.value, path)


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=200), magic=st.sampled_from([b"", b"RIFF\0\0\0\0WAVE", b"OggS", b"fLaC"]))
def test_any_bytes_give_a_clip_or_a_plain_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, magic: bytes
) -> None:
    path = tmp_path_factory.mktemp("bytes") / "a.wav"
    path.write_bytes(magic + data)
    try:
        assert np.isfinite(read_clip(path)).all()
    except UserError as error:
        assert_plain(error, path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"This is a text, not a sound.\n" * 40, "not a whole WAV, FLAC or OGG file"),
        (b"RIFF" + struct.pack("<I", 36) + b"WAVEfmt ", "cut short"),
    ],
)
def test_says_what_is_wrong_with_a_file(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(UserError, match=reason) as caught:
        read_clip(path)
    assert_plain(caught.value, path)


def test_refuses_what_holds_no_sound_or_no_numbers(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no samples"):
        read_clip(write(tmp_path / "none.wav", tone(0)))
    wave = tone()
    wave[5] = np.nan
    with pytest.raises(UserError, match="not numbers"):
        read_clip(write(tmp_path / "nan.wav", wave, subtype="FLOAT"))
    with pytest.raises(UserError, match="No such file"):
        read_clip(tmp_path / "gone.wav")
    with pytest.raises(UserError, match="directory"):
        read_clip(tmp_path)


@given(length=st.integers(0, 60), wanted=st.integers(1, 60))
def test_fit_keeps_the_middle_in_the_middle(length: int, wanted: int) -> None:
    wave = np.arange(1, length + 1, dtype=np.float32)
    fitted = fit(wave, wanted)
    assert fitted.shape == (wanted,)
    assert fitted.dtype == np.float32
    kept = fitted[fitted > 0]
    lost = length - len(kept)
    assert len(kept) == min(length, wanted)
    if lost:
        assert kept[0] == lost // 2 + 1
    elif len(kept):
        assert int(np.argmax(fitted > 0)) == (wanted - length) // 2
    assert (np.diff(kept) == 1).all()


def test_read_exact_pads_a_short_clip_at_both_sides(tmp_path: Path) -> None:
    wave = read_exact(write(tmp_path / "a.wav", tone(9000, hz=441)), samples=RATE)
    assert wave.shape == (RATE,)
    assert not wave[:3500].any()
    assert not wave[-3500:].any()
    assert wave[3500:-3500].any()


@pytest.mark.parametrize("rate", [1_000, 768_000])
def test_the_slowest_and_the_fastest_rate_are_read(tmp_path: Path, rate: int) -> None:
    assert len(read_clip(write(tmp_path / "a.wav", tone(rate // 10, rate, hz=50), rate))) == RATE // 10


@pytest.mark.parametrize("samples", [0, 20_000, 2**36 - 1])
def test_a_flac_that_lies_about_its_length_takes_no_memory_for_it(tmp_path: Path, samples: int) -> None:
    path = write(tmp_path / "a.flac")
    content = bytearray(path.read_bytes())
    content[21] = content[21] & 0xF0 | samples >> 32  # STREAMINFO: 36 bits
    content[22:26] = struct.pack(">I", samples & 0xFFFFFFFF)
    path.write_bytes(content)
    for read in (read_clip, survey, lambda one: read_clips([one], RATE, RATE)):
        with pytest.raises(UserError) as caught:
            read(path)
        assert_plain(caught.value, path)


def test_a_recording_larger_than_memory_can_be_checked_and_trained_on(tmp_path: Path) -> None:
    path = write(tmp_path / "long.wav")
    with open(path, "r+b") as file:  # nine minutes of zeros, which take no place on the disk
        size = 44 + 2 * 540 * RATE
        file.write(b"RIFF" + struct.pack("<I", size - 8))
        file.seek(40)
        file.write(struct.pack("<I", size - 44))
        file.truncate(size)
    tracemalloc.start()
    try:
        assert survey(path).length == 540 * RATE
        assert read_clips([path], RATE, RATE).shape == (1, RATE)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < size  # decoded whole it is twice that


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_a_file_is_the_same_in_blocks(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (RATE, 2))
    path = write(tmp_path / f"a{suffix}", noise)
    whole = soundfile.read(path, dtype="float32")[0]
    monkeypatch.setattr(reading, "BLOCK", 5000)
    np.testing.assert_array_equal(reading.decode(path).samples, whole)
    assert survey(path) == reading.Survey(RATE, 2, RATE, float(np.abs(whole).max()), False)


@pytest.mark.parametrize("samples", [60 * RATE + 1, 61 * RATE])
def test_of_a_long_recording_the_middle_is_the_clip(tmp_path: Path, samples: int) -> None:
    path = write(tmp_path / "a.wav", np.random.default_rng(0).uniform(-0.5, 0.5, samples))
    for wanted in (RATE, RATE + 1):
        np.testing.assert_array_equal(read_clips([path], RATE, wanted)[0], int16(fit(read_clip(path), wanted)))
