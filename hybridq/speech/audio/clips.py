"""A data set on disk: a folder in Speech Commands layout, its clips, and the split that each is in.

<word>/<speaker>_nohash_<take>.(wav|flac|ogg)
_background_noise_/*.(wav|flac|ogg)                 optional
testing_list.txt, validation_list.txt               optional, lines "<word>/<file>"
official_test_v2/_silence_, _unknown_/<word>_*.wav  optional, the official test clips of these two classes
"""

import hashlib
import logging
import os
import posixpath
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hybridq.errors import UserError, plain
from hybridq.speech.audio.contents import LISTS, LeftOut, bare, contents, folder_of
from hybridq.speech.audio.digests import file_digests

SPLITS = ("training", "validation", "test")
OFFICIAL_FOLDER = "official_test_v2"
SILENCE, UNKNOWN = NEGATIVES = ("_silence_", "_unknown_")  # the classes that are no command

STANDARD_WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")

# The dataset's README: a speaker's hash is taken modulo this many values ("about 134 million").
MAX_CLIPS_PER_WORD = 2**27 - 1

LAYOUT = "<word>/<speaker>_nohash_<take>.wav (or .flac, .ogg)"
OTHER_SOURCES = "other sources: synthetic, v0.01, v0.02"

logger = logging.getLogger("hybridq")


@dataclass(frozen=True)
class Clip:
    """One recording of one word.

    `path` is relative to the data set's root; `speaker` is the name before `_nohash_`; `split` is one of
    SPLITS; `digest` is the hex digest of the file's bytes, "" where it cannot be opened.
    """

    path: Path
    word: str
    speaker: str
    split: str
    digest: str


@dataclass(frozen=True)
class AudioSet:
    """All clips of a folder, sorted by path, each in its split.

    `noise` are the background recordings (paths relative to `root`); `digest` covers the content, names and
    splits of all clips and the noise, so equal digests mean the same data wherever it lies; `split_rule` says
    in words what decided the splits. `official` are the official test clips of silence (their word is SILENCE)
    and of words that are no command (their word is what is said, "" where the file's name does not tell); they
    have a digest of their own, for most networks never hear them.

    `empty` are word folders without a recording, `missing` are entries of the lists without a file, `left_out` is
    what looks like a clip and cannot be taken as one, `others` what lies in word folders besides (a folder's path
    ends with "/").
    """

    name: str
    root: Path
    clips: tuple[Clip, ...]
    noise: tuple[Path, ...]
    synthetic: bool
    digest: str
    split_rule: str
    empty: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    others: tuple[str, ...] = ()
    official: tuple[Clip, ...] = ()
    official_digest: str = ""

    def words(self, split: str = "all") -> dict[str, int]:
        """Clips of each word, words in alphabetical order; of one split, or of all."""
        counts = Counter(clip.word for clip in self.clips if split in ("all", clip.split))
        return {word: counts[word] for word in sorted(counts)}

    def select(self, words: Iterable[str], split: str) -> list[Clip]:
        """The clips of some words in one split ("all": in any), sorted by path."""
        wanted = frozenset(words)
        return [clip for clip in self.clips if clip.word in wanted and split in ("all", clip.split)]

    def file(self, item: Clip | Path) -> Path:
        """Where a clip, or a recording of `noise`, lies."""
        return self.root / (item.path if isinstance(item, Clip) else item)


def speaker_of(name: str) -> str:
    """The speaker of a clip: its file name before `_nohash_`, or all of it but the suffix."""
    return posixpath.splitext(posixpath.basename(name))[0].split("_nohash_")[0]


def speaker_split(name: str, validation: float = 10, testing: float = 10) -> str:
    """The split of a clip by the dataset's own rule; `name` is its file name or path, the others percentages.

    The SHA-1 of the speaker's name, as a number modulo 2**27, gives the speaker a place from 0 to 100:
    validation first, then test, the rest is training. Only the speaker matters, so all clips of one speaker
    fall into one split, and adding clips never moves another. Source: README of Speech Commands v0.01 and
    v0.02.
    """
    number = int(hashlib.sha1(speaker_of(name).encode("utf-8", "surrogateescape")).hexdigest(), 16)
    place = number % (MAX_CLIPS_PER_WORD + 1) * 100 / MAX_CLIPS_PER_WORD
    if place < validation:
        return "validation"
    return "test" if place < validation + testing else "training"


def open_folder(
    root: Path,
    cache: Path,
    *,
    name: str | None = None,
    synthetic: bool = False,
    progress: bool = True,
    checking: bool = False,
) -> AudioSet:
    """Open a folder in Speech Commands layout; its name is the folder's unless given.

    Where both lists are present they decide the splits, what they do not name trains. Where one is present,
    it decides its own split, and the dataset's rule on the speaker the other. Where none is, the rule decides
    both. A list entry names a clip whatever the suffix of either.

    How much there is that looks like a clip and cannot be taken as one is logged. `checking`, to have a folder
    looked at: nothing is logged, and lists and folders that cannot be read are in `left_out` as well.

    Raises UserError when there is no such folder or no clip in it, and unless `checking` for such a list or folder.
    """
    root = existing_folder(root)
    try:
        if not root.is_dir():
            what = "a file, not a folder" if root.exists() else "no such folder"
            raise UserError(f"{root}: {what}. A data folder holds {LAYOUT}; {OTHER_SOURCES}")
        there = contents(root, [f"{OFFICIAL_FOLDER}/{name}" for name in NEGATIVES])
    except OSError as error:
        raise UserError(f"{root}: cannot be read: {error.strerror or error}") from error
    if there.unreadable and not checking:
        raise UserError(f"{root / there.unreadable[0].path}: {there.unreadable[0].why}")
    words, noise, official, lists = there.words, there.noise, there.official, there.lists
    left_out = sorted([*there.left_out, *there.unreadable], key=lambda one: one.path)
    if not words and not (checking and left_out):
        what = f"no recordings found; {_told(left_out)}" if left_out else "no recordings found"
        raise UserError(f"{root}: {what}. A data folder holds {LAYOUT}; {OTHER_SOURCES}")
    if left_out and not checking:
        logger.warning("%s: %s", root, _told(left_out))
    digests = file_digests(root, {**words, **noise, **official}, cache, progress=progress)
    clips = []
    for path in sorted(words):
        word = path.partition("/")[0]
        clips.append(Clip(Path(path), word, speaker_of(path), _split(path, lists), digests[path]))
    present = {bare(path) for path in (*words, *(one.path for one in left_out))}
    missing = sorted(entry for entries in lists.values() for key, entry in entries.items() if key not in present)
    lines = [f"{clip.path}\0{clip.split}\0{clip.digest}\n" for clip in clips]
    lines += [f"{path}\0noise\0{digests[path]}\n" for path in sorted(noise)]
    return AudioSet(
        name=name or plain(root.resolve().name),
        root=root,
        clips=tuple(clips),
        noise=tuple(Path(path) for path in sorted(noise)),
        synthetic=synthetic,
        digest=_whole(lines),
        split_rule=_rule_in_words(lists.keys()),
        empty=tuple(there.empty),
        missing=tuple(missing),
        left_out=tuple(left_out),
        others=tuple(there.others),
        official=tuple(_official(path, digests[path]) for path in sorted(official)),
        official_digest=_whole(f"{path}\0{digests[path]}\n" for path in sorted(official)),
    )


def existing_folder(root: str | Path) -> Path:
    """A data folder by its whole path. Raises UserError where there is none, or its path cannot be written down."""
    whole = folder_of(root)
    if not whole.is_dir():
        what = "a file, not a folder" if whole.exists() else "no such folder"
        raise UserError(f"{whole}: {what}. A data folder holds {LAYOUT}; {OTHER_SOURCES}")
    return whole


def _told(left_out: Sequence[LeftOut]) -> str:
    """What is left out of a data set, in a line."""
    files = "1 file or folder" if len(left_out) == 1 else f"{len(left_out)} files or folders, such as"
    return f"left out: {files} {left_out[0].path} ({left_out[0].why}); `hybridq data check` names each"


def choose_words(audio: AudioSet, words: Literal["auto"] | Sequence[str]) -> list[str]:
    """The words to tell apart, in the order of the labels.

    "auto": the ten standard commands where all can be trained, else up to ten words with the most training
    clips, the standard ones first in their own order, the others alphabetical. A word without training clips
    is passed over, with a warning. A list is taken as it is: UserError names a word that cannot be trained,
    and why.
    """
    training = audio.words("training")
    if words == "auto":
        return _best_words(audio, training)
    if isinstance(words, str) or len(set(words)) != len(words) or len(words) < 2:
        raise UserError(f"words: two or more different words are needed, not {words!r}")
    for word in words:
        if word not in training:
            raise UserError(f"{audio.root}: {_why_not(audio, word)}; words with training clips: {', '.join(training)}")
    return list(words)


def choose_other_words(audio: AudioSet, commands: Sequence[str], words: Literal["auto"] | Sequence[str]) -> list[str]:
    """The words to learn as "unknown", in alphabetical order: those of a list, or all with training clips ("auto").

    UserError names a word that is a command or cannot be trained, and why.
    """
    training = [word for word in audio.words("training") if word not in commands]
    if not training:
        raise UserError(f"{audio.root}: no training clips of words that are no command; data.unknown needs some")
    for word in () if words == "auto" else words:
        if word not in training:
            why = f"'{word}' is a command" if word in commands else _why_not(audio, word)
            raise UserError(f"{audio.root}: data.unknown_words: {why}; words that may be: {', '.join(training)}")
    return training if words == "auto" else sorted(words)


def _best_words(audio: AudioSet, training: dict[str, int]) -> list[str]:
    passed_over = sorted({*audio.empty, *audio.words()} - training.keys())
    if passed_over:
        logger.warning("%s: passed over, as without training clips: %s", audio.root, ", ".join(passed_over))
    if all(word in training for word in STANDARD_WORDS):
        return list(STANDARD_WORDS)
    if len(training) < 2:
        raise UserError(
            f"{audio.root}: two words with training clips are needed; it has {', '.join(training) or 'none'}"
        )
    most = set(sorted(training, key=lambda word: (-training[word], word))[: len(STANDARD_WORDS)])
    return [word for word in STANDARD_WORDS if word in most] + sorted(most - set(STANDARD_WORDS))


def _why_not(audio: AudioSet, word: str) -> str:
    if word in audio.words():
        return f"the word '{word}' has no training clips"
    if word in audio.empty:
        return f"the folder of the word '{word}' holds no recording"
    return f"no folder for the word '{word}'"


def _official(path: str, digest: str) -> Clip:
    """A clip of the official test set: `<word>_<speaker>_nohash_<take>` in `_unknown_`."""
    word, _, speaker = speaker_of(path).rpartition("_")
    return Clip(Path(path), SILENCE if f"/{SILENCE}/" in path else word, speaker, "test", digest)


def _whole(lines: Iterable[str]) -> str:
    return hashlib.sha256(b"".join(map(os.fsencode, lines))).hexdigest()


def _split(path: str, lists: dict[str, dict[str, str]]) -> str:
    for split, entries in lists.items():
        if bare(path) in entries:
            return split
    by_rule = speaker_split(path)
    return "training" if by_rule in lists or len(lists) == len(LISTS) else by_rule


def _rule_in_words(listed: Iterable[str]) -> str:
    by_rule = [split for split in LISTS if split not in listed]
    rules = [LISTS[split] for split in LISTS if split in listed]
    if by_rule:
        rules.append(f"{' and '.join(by_rule)} by speaker hash")
    return ", ".join(rules)
