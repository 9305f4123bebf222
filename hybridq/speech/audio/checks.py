"""What is in a data set, and what is wrong with it (`hybridq data info` and `hybridq data check`)."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from hybridq.errors import UserError, plain
from hybridq.speech.audio.clips import SILENCE, SPLITS, AudioSet, Clip
from hybridq.speech.audio.progress import bar
from hybridq.speech.audio.reading import survey


@dataclass(frozen=True)
class WordCount:
    """Clips of one word by split, and the speakers who say it. The last row of `info` is named "total"."""

    word: str
    training: int
    validation: int
    test: int
    speakers: int

    @property
    def clips(self) -> int:
        """Clips in all splits."""
        return self.training + self.validation + self.test


@dataclass(frozen=True)
class Finding:
    """Something to know about a data set.

    A "fault" makes figures wrong or stops a run; a "note" is dealt with by hybridq, as `what` says. `files`
    are the paths concerned, relative to the data set's root, sorted; they may hold anything, printed they do not.
    """

    severity: Literal["fault", "note"]
    what: str
    files: tuple[str, ...] = ()

    def __str__(self) -> str:
        """One line, with at most three of the files."""
        shown = ", ".join(self.files[:3]) + (f" and {len(self.files) - 3} more" if len(self.files) > 3 else "")
        return plain(f"{self.severity}: {self.what}" + (f": {shown}" if shown else ""))


def info(audio: AudioSet) -> list[WordCount]:
    """Clips and speakers of each word, in alphabetical order, and of all together."""
    by_word = _group(audio.clips, lambda clip: clip.word)
    return [*(_count(word, by_word[word]) for word in sorted(by_word)), _count("total", audio.clips)]


def check(audio: AudioSet, sample_rate: int = 16000, seconds: float = 1.0, *, progress: bool = True) -> list[Finding]:
    """Read every recording of a data set and list what is wrong with it, faults first.

    A clip is expected to be of `sample_rate` Hz, mono, `seconds` long; one that is not is only noted.
    """
    clips = {clip.path: clip.word for clip in (*audio.clips, *audio.official)}
    files = sorted([*clips, *audio.noise])
    faults = [Finding("fault", f"{audio.root / one.path}: {one.why}") for one in audio.left_out]
    noted: dict[str, list[str]] = defaultdict(list)
    with bar("checking the clips", len(files), show=progress) as done:
        for count, path in enumerate(files, 1):
            done(count)
            try:
                sound = survey(audio.file(path))
            except UserError as error:
                faults.append(Finding("fault", str(error)))
                continue
            name, length = path.as_posix(), sound.length / sound.rate
            if sound.rate != sample_rate:
                noted[f"resampled from {sound.rate} to {sample_rate} Hz"].append(name)
            if sound.channels > 1:
                noted[f"{sound.channels} channels mixed to one"].append(name)
            if sound.peak > 1:
                noted["samples beyond -1 to 1 clipped"].append(name)
            if sound.constant and clips.get(path) != SILENCE:
                noted["nothing to hear, one value throughout"].append(name)
            if path in clips and length != seconds:
                kind = "shorter than {} s, padded" if length < seconds else "longer than {} s, its centre taken"
                noted[kind.format(f"{seconds:g}")].append(name)
    notes = [_note(what, names) for what, names in sorted(noted.items())]
    return [*faults, *_split_faults(audio), *_name_notes(audio), *notes]


def _split_faults(audio: AudioSet) -> list[Finding]:
    """What would test a network on what it was trained with, or teach it two names of one sound."""
    findings = []
    # Without the marker a name is only a number within its word's folder, and says nothing about who speaks.
    every = (*audio.clips, *audio.official)
    named = [clip for clip in every if "_nohash_" in clip.path.name]
    for speaker, clips in sorted(_group(named, lambda clip: clip.speaker).items()):
        if splits := _splits(clips):
            findings.append(Finding("fault", f"the speaker '{speaker}' is in {splits}", _paths(clips)))
    known = [clip for clip in every if clip.digest]
    for clips in _group(known, lambda clip: clip.digest).values():
        words = sorted({clip.word for clip in clips})
        if splits := _splits(clips):
            findings.append(Finding("fault", f"the same recording is in {splits}", _paths(clips)))
        if len(words) > 1:
            text = f"the same recording is given as {' and '.join(words)}"
            findings.append(Finding("fault", text, _paths(clips)))
    return findings


def _name_notes(audio: AudioSet) -> list[Finding]:
    """What lists, folders and names leave open."""
    findings = []
    if audio.missing:
        findings.append(_note("named by the lists but not there, passed over", audio.missing))
    findings += [Finding("note", f"the word folder '{word}' holds no recording, passed over") for word in audio.empty]
    if audio.others:
        findings.append(_note("no recording by its name, passed over", audio.others))
    unnamed = _paths(clip for clip in audio.clips if "_nohash_" not in clip.path.name)
    if unnamed:
        what = "no _nohash_ behind the speaker's name: each name counts as a speaker, so splits may share one"
        findings.append(_note(what, unnamed))
    unused = [split for split in SPLITS if not audio.words(split)]
    findings += [Finding("note", f"no {split} clips ({audio.split_rule})") for split in unused]
    return findings


def _count(word: str, clips: Iterable[Clip]) -> WordCount:
    clips = list(clips)
    training, validation, test = (sum(clip.split == split for clip in clips) for split in SPLITS)
    return WordCount(word, training, validation, test, len({clip.speaker for clip in clips}))


def _group(clips: Iterable[Clip], key: Callable[[Clip], str]) -> dict[str, list[Clip]]:
    groups: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        groups[key(clip)].append(clip)
    return groups


def _splits(clips: Iterable[Clip]) -> str:
    """The splits of some clips in words, or nothing if it is one."""
    splits = [split for split in SPLITS if any(clip.split == split for clip in clips)]
    return " and ".join(splits) if len(splits) > 1 else ""


def _paths(clips: Iterable[Clip]) -> tuple[str, ...]:
    return tuple(clip.path.as_posix() for clip in clips)


def _note(what: str, files: Iterable[str]) -> Finding:
    files = tuple(files)
    return Finding("note", f"{what} ({len(files)} file{'s' if len(files) > 1 else ''})", files)
