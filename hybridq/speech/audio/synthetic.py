"""The embedded default data: spoken words from a speech synthesiser, in Speech Commands layout.

For trying the tool without a download; figures from it say nothing about real speech. eSpeak NG
(GPL-3.0-or-later, installed beside hybridq, see `espeak.py`) says each word in many voices; each take gets
its own pitch, speed, place in the second, room, noise, microphone and level.
"""

import hashlib
import io
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hybridq.errors import NotWritable, UserError
from hybridq.paths import locked
from hybridq.speech.audio import acoustics
from hybridq.speech.audio.acoustics import RATE, Signal
from hybridq.speech.audio.clips import STANDARD_WORDS
from hybridq.speech.audio.contents import LISTS, NOISE_FOLDER
from hybridq.speech.audio.espeak import Espeak, Utterance, espeak_version
from hybridq.speech.audio.progress import bar
from hybridq.speech.audio.voices import Voice, cast

GENERATOR = 1
"""To be raised with every change of this module, `acoustics`, `voices` or `espeak` that changes a sample."""

OTHER_WORDS = ("bed", "cat", "eight", "five", "happy", "house", "one", "zero")
"""No commands: what a spotter must not take for one."""
NOISE_SECONDS = 30
SNR_DB = (15.0, 45.0)
PEAK_DB = (-26.0, -1.0)
"""Peak of a clip, against full scale."""
DRY = 0.4
"""Share of the takes without a room."""
ENDINGS = ("", ".", "!", "?")
"""Each gives a word another melody."""
SENTENCES = (
    "The morning train was late again, and nobody on the platform seemed surprised about it.",
    "We could have soup with bread, or else fish and potatoes with a little lemon.",
    "My neighbour keeps seven chickens in her garden behind the old brick house.",
    "After the meeting they walked slowly through the rain towards the harbour.",
    "Several hundred people came to see the play, although few could hear the actors.",
    "Every summer these children build a raft from barrels, planks and blue rope.",
)
"""What the babble says: none of the words to be learnt."""

SETTINGS = "synthetic.json"
README = """\
Synthetic voices, not recordings of people.

Made by hybridq with the speech synthesiser eSpeak NG (espeakng-loader {espeak}): {voices} voices (accent,
variant, pitch, speed), with noise and rooms added, in the layout of Google's Speech Commands. For trying
the tool: figures measured on these clips say nothing about real speech. voices.json tells who each speaker
is. The folder can be deleted: it is made again when needed.
"""


def make_synthetic(
    cache: Path,
    voices: int = 240,
    *,
    words: Sequence[str] = STANDARD_WORDS,
    seed: int = 0,
    progress: bool = True,
) -> Path:
    """The folder of synthetic clips with these settings, below `cache`; made now unless there and complete.

    Clips are FLAC, mono, 16 bit, 16 kHz, one second; the same settings give the same bytes on the same
    machine. Training voices say each word once or twice, the others twice. Of two processes that want the
    same folder one makes it and the other waits.

    Raises UserError: fewer than 3 voices or a word that is not plain letters (status 2); no synthesiser on
    this machine, the folder not writable or the disk full (status 3).
    """
    for word in words:
        if not (word.isascii() and word.isalpha() and word.islower()):
            raise UserError(f"words: a synthetic word is written in plain small letters a to z, not {word!r}")
    if not words or len(set(words)) != len(words):
        raise UserError(f"words: different words are needed, not {', '.join(words) or 'none'}")
    people = cast(voices, seed)
    folder, settings = _place(cache, voices, words, seed)
    parent = folder.parent
    try:
        if _complete(folder, settings):
            return folder
        parent.mkdir(parents=True, exist_ok=True)
        with locked(parent / f".{folder.name}.lock"):
            if not _complete(folder, settings):
                _build(folder, people, settings, progress)
    except OSError as error:
        raise NotWritable(error.filename or folder, error) from error
    return folder


def spoken(others: bool) -> tuple[str, ...]:
    """The words that the voices say: the standard commands, and others for the class "unknown"."""
    return STANDARD_WORDS + OTHER_WORDS if others else STANDARD_WORDS


def is_made(cache: Path, voices: int, others: bool = False) -> bool:
    """Whether `make_synthetic` would find the clips of so many voices, the other words too."""
    folder, settings = _place(cache, voices, spoken(others), 0)
    return _complete(folder, settings)


def _place(cache: Path, voices: int, words: Sequence[str], seed: int) -> tuple[Path, dict[str, Any]]:
    """The folder of the clips with these settings, and all that decides their content."""
    settings = {
        "generator": GENERATOR,
        "espeak": espeak_version(),
        "voices": voices,
        "words": list(words),
        "seed": seed,
    }
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
    return cache / "synthetic" / digest, settings


def _complete(folder: Path, settings: dict[str, Any]) -> bool:
    """Whether the folder was made with these settings and has all its files, by number and total size."""
    try:
        written = json.loads((folder / SETTINGS).read_text())
        return bool(written == {**settings, "files": _count(folder)})
    except (OSError, ValueError):
        return False


def _count(folder: Path) -> list[int]:
    """Number and total bytes of the sounds in a folder."""
    sizes = [file.stat().st_size for file in folder.glob("*/*.flac")]
    return [len(sizes), sum(sizes)]


def _build(folder: Path, people: list[Voice], settings: dict[str, Any], progress: bool) -> None:
    """Make all in a folder beside the final one, then rename: what has the final name was once whole."""
    unfinished = f".{folder.name}.making-"
    for left in folder.parent.glob(f"{unfinished}*"):  # of a run that was killed: ours is the lock
        shutil.rmtree(left, ignore_errors=True)
    making = Path(tempfile.mkdtemp(prefix=unfinished, dir=folder.parent))
    try:
        _fill(making, people, settings, progress)
        making.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        os.rename(making, folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)


@dataclass(frozen=True)
class _Take:
    """One clip to be made; `rng` has given the utterance and then gives all that happens to it."""

    path: str
    voice: Voice
    utterance: Utterance
    rng: np.random.Generator


def _fill(folder: Path, people: list[Voice], settings: dict[str, Any], progress: bool) -> None:
    words, seed = settings["words"], settings["seed"]
    for name in (*words, NOISE_FOLDER):
        (folder / name).mkdir()
    if progress and not sys.stderr.isatty():
        print(f"making {len(people)} synthetic voices (once)", file=sys.stderr)
    takes = [take for voice in people for word in words for take in _takes(voice, word, seed)]
    shown = bar("making synthetic voices", len(takes), show=progress)
    with Espeak() as espeak, shown as advance:
        noises = _noises(espeak, people, seed)
        for name, noise in noises.items():
            heard = _half(noise, "training")
            _write(folder / NOISE_FOLDER / f"{name}.flac", heard * 0.3 / np.max(np.abs(heard)))
        spoken = espeak.say_all(take.utterance for take in takes)
        for number, (take, samples) in enumerate(zip(takes, spoken, strict=True)):
            _write(folder / take.path, _record(take, _speech(samples, espeak.rate, take.voice), noises))
            advance(number + 1)
    for split, name in LISTS.items():
        paths = sorted(take.path for take in takes if take.voice.split == split)
        (folder / name).write_text("".join(f"{path}\n" for path in paths))
    (folder / "voices.json").write_text(json.dumps([asdict(voice) for voice in people], indent=1))
    (folder / "README.txt").write_text(README.format(**settings))
    (folder / SETTINGS).write_text(json.dumps({**settings, "files": _count(folder)}, indent=1))


def _takes(voice: Voice, word: str, seed: int) -> Iterator[_Take]:
    key = [seed, int(voice.speaker, 16), *word.encode()]
    count = 2 if voice.split in LISTS else np.random.default_rng(key).integers(1, 3)
    for number in range(count):
        rng = np.random.default_rng([*key, 1 + number])
        utterance = _utterance(voice, word + rng.choice(ENDINGS), rng)
        yield _Take(f"{word}/{voice.speaker}_nohash_{number}.flac", voice, utterance, rng)


def _utterance(voice: Voice, text: str, rng: np.random.Generator) -> Utterance:
    """In the voice's manner, with the small differences between two takes."""
    return Utterance(
        voice.name,
        text,
        rate=round(voice.speed * rng.uniform(0.9, 1.12)),
        pitch=round(voice.pitch + rng.uniform(-8, 8)),
        range=round(voice.melody + rng.uniform(-15, 15)),
    )


def _speech(samples: np.ndarray, rate: int, voice: Voice) -> Signal:
    """At 16 kHz, in the voice's vocal tract: a longer one, played slower, has lower formants and pitch."""
    from scipy.signal import resample_poly

    up = round(320 * voice.tract)
    speech: Signal = resample_poly(samples / 32768, up * RATE, 320 * rate)
    return speech


def _record(take: _Take, speech: Signal, noises: dict[str, Signal]) -> Signal:
    """One second, shape (16000,): the word wholly inside where it fits, room, noise, microphone, level."""
    rng, spoken = take.rng, acoustics.trimmed(speech)
    if not len(spoken):
        raise UserError(f"words: the voice {take.voice.name} is silent on {take.utterance.text!r}")
    length = min(len(spoken), RATE)
    start = round(rng.triangular(0, 0.5, 1) * (RATE - length))  # near the middle more often than at an end
    clip = np.zeros(RATE)
    clip[start : start + length] = acoustics.normalised(spoken)[:length]
    if rng.random() >= DRY:
        clip = acoustics.convolved(clip, acoustics.room(rng))
    noise = _half(noises[str(rng.choice(sorted(noises)))], take.voice.split)
    offset = rng.integers(0, len(noise) - RATE)
    clip = clip + noise[offset : offset + RATE] * 10 ** (-rng.uniform(*SNR_DB) / 20)
    clip = np.fft.irfft(np.fft.rfft(clip) * acoustics.microphone(RATE, rng), RATE)
    levelled: Signal = clip * (10 ** (rng.uniform(*PEAK_DB) / 20) / np.max(np.abs(clip)))
    return levelled


def _noises(espeak: Espeak, people: list[Voice], seed: int) -> dict[str, Signal]:
    """Noises of mean square 1 by name; training takes hear the first half of each, the others the second."""
    samples = 2 * NOISE_SECONDS * RATE
    noises = {
        name: make(samples, np.random.default_rng([seed, *name.encode()])) for name, make in acoustics.NOISES.items()
    }
    rng = np.random.default_rng([seed, *b"babble"])
    babble = np.zeros(samples)
    heard = [voice for voice in people if voice.split == "training"]
    for voice in heard[:: max(1, len(heard) // 8)]:
        text = " ".join(SENTENCES[index] for index in rng.permutation(len(SENTENCES)))
        sentences = espeak.say(_utterance(voice, text, rng))
        spoken = acoustics.normalised(_speech(sentences, espeak.rate, voice))
        babble += np.roll(np.resize(spoken, samples), rng.integers(samples)) * 10 ** (rng.uniform(-8, 0) / 20)
    noises["babble"] = acoustics.normalised(babble)
    return noises


def _half(noise: Signal, split: str) -> Signal:
    middle = len(noise) // 2
    return noise[:middle] if split == "training" else noise[middle:]


def _write(path: Path, signal: Signal) -> None:
    import soundfile

    # Through memory: libsndfile loses the system's reason for a failed write.
    file = io.BytesIO()
    soundfile.write(file, np.round(signal * 32767).astype(np.int16), RATE, format="FLAC", subtype="PCM_16")
    path.write_bytes(file.getvalue())
