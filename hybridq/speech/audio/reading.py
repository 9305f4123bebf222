"""Reads recordings: WAV, FLAC or OGG to float32 mono at the wanted rate, or one line saying what is wrong.

libsndfile reads a WAV or OGG file that was cut short as if it were a shorter recording. A keyword cut in half
is worse than no clip, so the container's own promise is checked against the file before decoding.
"""

import logging
import math
import os
import stat
import struct
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from hybridq.errors import UserError

AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".ogg"})

# A WAV written to a pipe cannot know its length; writers put this in its place.
UNKNOWN_LENGTH = 0xFFFFFFFF

UNKNOWN_FRAMES = 2**63 - 1  # libsndfile's length of a FLAC file that was written to a pipe

# Slower than the oldest telephones, faster than any converter: another rate is no rate, and to resample from it would
# take all memory.
RATES = (1_000, 768_000)  # Hz

BLOCK = 2**20  # values decoded at once
LONGEST = 60.0  # seconds

OGG_LAST_PAGE = 0x04  # RFC 3533, section 6, header_type_flag: last page of the stream

log = logging.getLogger("hybridq")


@dataclass(frozen=True)
class Recording:
    """A decoded file: `samples` (n, channels) float32 as stored, not resampled, and its `rate` in Hz."""

    samples: np.ndarray
    rate: int


@dataclass(frozen=True)
class Survey:
    """What a file holds: `rate` in Hz, `channels`, `length` in samples of each, the largest `peak` (1 is full scale).

    `constant`: the mean of the channels has one value throughout, so that there is nothing to hear.
    """

    rate: int
    channels: int
    length: int
    peak: float
    constant: bool


def decode(path: Path, middle: float = math.inf) -> Recording:
    """Decode a file as it is stored; of one that lasts longer than `middle` seconds, those in its middle.

    Raises UserError, one line naming the file, when it is missing, no file, empty, not audio, cut short, of a rate
    that no recording has, or holds a sample that is not a number.
    """
    with _opened(path) as sound:
        rate, count = int(sound.samplerate), int(sound.frames)
        if count > middle * rate:
            wanted = round(middle * rate)
            wanted -= (count - wanted) % 2  # the middle of the part is that of the whole
            sound.seek((count - wanted) // 2)
            count = wanted
        blocks = list(_blocks(path, sound, count))
    return Recording(blocks[0] if len(blocks) == 1 else np.concatenate(blocks), rate)


def survey(path: Path) -> Survey:
    """What `check` asks of a file, read block by block: a recording may be larger than memory. Raises as `decode`."""
    with _opened(path) as sound:
        peak, lowest, highest = 0.0, math.inf, -math.inf
        for block in _blocks(path, sound, int(sound.frames)):
            peak = max(peak, float(np.abs(block).max()))
            wave = _one_channel(block)
            lowest, highest = min(lowest, float(wave.min())), max(highest, float(wave.max()))
        return Survey(int(sound.samplerate), sound.channels, int(sound.frames), peak, lowest == highest)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A sound file whose container and rate are right; what fails while it is read is a UserError too."""
    import soundfile

    try:
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # a pipe would be waited for
            raise UserError(f"{path}: a pipe or a device; a WAV, FLAC or OGG file is needed")
        if fault := _container_fault(path):
            raise UserError(f"{path}: {fault}")
        with soundfile.SoundFile(os.fsencode(path)) as sound:
            if not RATES[0] <= sound.samplerate <= RATES[1]:
                raise UserError(
                    f"{path}: its header says {sound.samplerate:,} Hz; "
                    f"recordings of {RATES[0]:,} to {RATES[1]:,} Hz are read"
                )
            if sound.frames == UNKNOWN_FRAMES:
                raise UserError(f"{path}: its header does not say how long it is; convert it, to FLAC or WAV")
            yield sound
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
    except soundfile.LibsndfileError as error:
        reason = str(error.error_string).rstrip(".").removeprefix("Error : ")
        raise UserError(f"{path}: not a whole WAV, FLAC or OGG file: {reason}") from error


def _blocks(path: Path, sound: Any, promised: int) -> Iterator[np.ndarray]:
    """The next so many samples, as (n, channels) float32; never more memory than what is really there takes."""
    if not promised:
        raise UserError(f"{path}: holds no samples")
    read, most = 0, max(1, BLOCK // sound.channels)
    while read < promised:
        block = sound.read(min(most, promised - read), dtype="float32", always_2d=True)
        if not len(block):
            raise UserError(f"{path}: cut short: {promised} samples promised, {read} there")
        if not np.isfinite(block).all():
            raise UserError(f"{path}: holds samples that are not numbers (NaN or infinite)")
        read += len(block)
        yield block


def read_clip(path: Path, sample_rate: int = 16000) -> np.ndarray:
    """Read a recording as float32 (n,), mono, within -1 to 1, at `sample_rate` Hz, of its own length.

    Channels are averaged, other rates resampled (polyphase, scipy's default Kaiser window); what lies outside
    -1 to 1 is clipped, as a converter would. Raises UserError as `decode` does.
    """
    return mono(decode(path), sample_rate)


def read_clips(paths: Sequence[Path], sample_rate: int, samples: int) -> np.ndarray:
    """Read recordings as `read_clip` does, each made exactly `samples` long: int16 (recordings, samples).

    A clip is far shorter than LONGEST; of what is longer than that only the middle is read.
    """
    log.info("reading %d clips", len(paths))
    converted = 0

    def read(path: Path) -> np.ndarray:
        nonlocal converted
        recording = decode(path, LONGEST)
        converted += recording.rate != sample_rate or recording.samples.shape[1] > 1
        return int16(fit(mono(recording, sample_rate), samples))

    with ThreadPoolExecutor(2) as pool:
        sounds = np.stack(list(pool.map(read, paths)))
    if converted:
        log.info("%d of them were not mono at %d Hz: channels mixed, rate converted", converted, sample_rate)
    return sounds


def int16(wave: np.ndarray) -> np.ndarray:
    """A float wave within -1 to 1 as int16, of which 32,768 would be 1."""
    whole: np.ndarray = np.clip(np.rint(wave * 32768), -32768, 32767).astype(np.int16)
    return whole


def mono(recording: Recording, sample_rate: int = 16000) -> np.ndarray:
    """One channel of a decoded recording, as `read_clip` gives it."""
    wave = _one_channel(recording.samples)
    if recording.rate != sample_rate:
        from scipy.signal import resample_poly

        common = math.gcd(sample_rate, recording.rate)
        wave = resample_poly(wave, sample_rate // common, recording.rate // common)
    clipped: np.ndarray = np.clip(wave, -1.0, 1.0, dtype=np.float32)
    return clipped


def _one_channel(samples: np.ndarray) -> np.ndarray:
    """The mean of the channels (n,) of samples (n, channels)."""
    mean: np.ndarray = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1, dtype=np.float32)
    return mean


def read_exact(path: Path, sample_rate: int = 16000, samples: int = 16000) -> np.ndarray:
    """Read a recording as `read_clip` does, made exactly `samples` long: float32 (samples,)."""
    return fit(read_clip(path, sample_rate), samples)


def fit(wave: np.ndarray, samples: int) -> np.ndarray:
    """Make `wave` (n,) exactly `samples` long, keeping its middle in the middle.

    A shorter one gets zeros at both sides alike (an odd one goes to the end), a longer one keeps its centre
    (an odd one is dropped from the end). The spoken word sits near the middle of a clip, whatever its length.
    """
    spare = samples - len(wave)
    if spare < 0:
        start = -spare // 2
        return wave[start : start + samples]
    return np.pad(wave, (spare // 2, spare - spare // 2))


def _container_fault(path: Path) -> str | None:
    """What is wrong with a file's container, if its length shows it; None for kinds libsndfile checks."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            return "the file is empty"
        magic = file.read(12)
        if magic[:4] in (b"RIFF", b"RIFX") and magic[8:] == b"WAVE":
            return _wav_fault(file, size, "<" if magic[:4] == b"RIFF" else ">")
        if magic[:4] == b"OggS":
            return _ogg_fault(file, size)
    return None


def _wav_fault(file: BinaryIO, size: int, order: str) -> str | None:
    """Follow the chunks of a WAV file (eight bytes of name and length, then the content, padded to even)."""
    at = 12
    while at + 8 <= size:
        file.seek(at)
        name, length = struct.unpack(f"{order}4sI", file.read(8))
        at += 8
        if name == b"data":
            if length != UNKNOWN_LENGTH and at + length > size:
                return f"cut short: {length} bytes of sound promised, {size - at} there"
            return None
        at += length + length % 2
    return "cut short: it ends before any sound"


def _ogg_fault(file: BinaryIO, size: int) -> str | None:
    """Follow the pages of an OGG file: each must be whole, and the last one marked as the last."""
    at = 0
    last = False
    while at < size:
        file.seek(at)
        header = file.read(27)
        if len(header) < 27 or header[:4] != b"OggS":
            return "cut short or damaged: a page of sound is not whole"
        last = bool(header[5] & OGG_LAST_PAGE)
        lengths = file.read(header[26])
        at += 27 + header[26] + sum(lengths)
    if at > size or not last:
        return "cut short: its last page is missing"
    return None
