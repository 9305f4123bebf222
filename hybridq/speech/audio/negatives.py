"""Which clips a network hears in each split: those of its commands, of other words, and silence.

Other words and silence are classes only where their labels, UNKNOWN and SILENCE, are among the network's. In training
and validation each has a share of clips, spread over all that there are. In the test they have the official clips, or
a share where the data set comes without. Validation and test hold every word that is no command, so that the network
is asked about words that it never heard.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hybridq.speech.audio.clips import NEGATIVES, SILENCE, UNKNOWN, AudioSet, Clip


@dataclass(frozen=True)
class Negatives:
    """How many clips silence and other words get for each clip of a command, and which words train `unknown`.

    `words`: None for all with training clips that are no command. `spliced`: share of the unknown training clips that
    are put together from halves of two words.
    """

    silence: float = 0.1
    unknown: float = 0.1
    spliced: float = 0.0
    words: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Selection:
    """The clips of a split, and behind them so many pieces of silence that are to be made.

    `notes` say, a line each, where silence and other words come from.
    """

    clips: tuple[Clip, ...]
    pieces: int
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.clips) + self.pieces

    @property
    def words(self) -> tuple[str, ...]:
        """The word in each clip, SILENCE where there is none, "" where the official test set does not tell."""
        return (*(clip.word for clip in self.clips), *[SILENCE] * self.pieces)


def commands_of(labels: Sequence[str]) -> tuple[str, ...]:
    """The classes that are commands."""
    return tuple(label for label in labels if label not in NEGATIVES)


def present(audio: AudioSet, labels: Sequence[str]) -> tuple[str, ...]:
    """Those of the classes that an audio set has clips of, in any split."""
    words = {clip.word for clip in audio.clips}
    classes = words | {SILENCE if clip.word == SILENCE else UNKNOWN for clip in audio.official}
    if audio.noise:
        classes.add(SILENCE)
    if words.difference(labels):
        classes.add(UNKNOWN)
    return tuple(label for label in labels if label in classes)


def unknown_words(audio: AudioSet, labels: Sequence[str], negatives: Negatives) -> tuple[str, ...]:
    """The words that train the class unknown; none where it is not among the labels."""
    if UNKNOWN not in labels:
        return ()
    every = (word for word in audio.words("training") if word not in labels)
    return tuple(every) if negatives.words is None else negatives.words


def selection(audio: AudioSet, labels: Sequence[str], split: str, negatives: Negatives) -> Selection:
    """What a network with these labels hears of a split: 'training', 'validation', 'test', or 'all'."""
    commands = audio.select(commands_of(labels), split)
    clips, notes, pieces = list(commands), [], 0
    if SILENCE in labels:
        official = _official(audio, split, silent=True)
        pieces = 0 if official else max(1, round(negatives.silence * len(commands)))
        clips += official
        notes.append(f"{SILENCE}: {_silence_note(audio, len(official), pieces)}")
    if UNKNOWN in labels:
        others, note = _unknown(audio, labels, split, negatives, len(commands))
        clips += others
        notes.append(f"{UNKNOWN}: {note}")
    return Selection(tuple(clips), pieces, tuple(notes))


def _unknown(
    audio: AudioSet, labels: Sequence[str], split: str, negatives: Negatives, commands: int
) -> tuple[list[Clip], str]:
    """The clips of other words beside so many of commands, and in words where they come from."""
    official = _official(audio, split, silent=False)
    if not official:
        learnt = unknown_words(audio, labels, negatives)
        words = learnt if split == "training" else set(audio.words()).difference(labels)
        every = audio.select(words, split)
        count = max(1, round(negatives.unknown * commands))
        if split != "training":  # where every clip is another sound in every epoch, some may come twice
            count = min(count, len(every))
        note = f"{count} of {len(every)}" if count <= len(every) else f"{count} in each epoch, from {len(every)}"
        return [every[i * len(every) // count] for i in range(count)], f"{note} clips of other words"
    clips = [clip for clip in official if clip.word not in labels]
    note = f"{len(clips)} official test clips"
    if len(clips) < len(official):
        ours = sorted({clip.word for clip in official}.intersection(labels))
        note += f"; {len(official) - len(clips)} more are of {' and '.join(ours)}, commands here, and left out"
    return clips, note


def _official(audio: AudioSet, split: str, silent: bool) -> list[Clip]:
    return [clip for clip in audio.official if split == "test" and (clip.word == SILENCE) == silent]


def _silence_note(audio: AudioSet, official: int, pieces: int) -> str:
    if official:
        return f"{official} official test clips"
    source = "the background recordings" if audio.noise else "white noise, for want of background recordings"
    return f"{pieces} pieces of {source}"
