"""Recordings of spoken words: where they come from, which split each is in, and how one is read.

archive.py    downloads an archive; unpack.py: unpacks it; progress.py: a bar meanwhile
contents.py   what lies in a folder, and what of it is left out; digests.py: the content of its files
clips.py      a folder's clips and their splits
reading.py    a file as samples
negatives.py  which clips are heard in each split; silence.py: those of no word
synthetic.py  words from synthetic voices: voices.py who speaks, acoustics.py through what; everyday.py: words for the
              class unknown
espeak.py     eSpeak NG, in the process of espeak_child.py
checks.py     what is in a data set, and what is wrong with it
"""

from pathlib import Path

from hybridq.paths import cache_root
from hybridq.speech.audio.archive import ARCHIVES, TEST_SETS, download, download_test_set, is_downloaded
from hybridq.speech.audio.checks import Finding, WordCount, check, info
from hybridq.speech.audio.clips import (
    NEGATIVES,
    SILENCE,
    SPLITS,
    UNKNOWN,
    AudioSet,
    Clip,
    choose_other_words,
    choose_words,
    existing_folder,
    open_folder,
    speaker_split,
)
from hybridq.speech.audio.reading import Recording, decode, fit, mono, read_clip, read_exact

__all__ = [
    "ARCHIVES",
    "NEGATIVES",
    "SILENCE",
    "SPLITS",
    "UNKNOWN",
    "AudioSet",
    "Clip",
    "Finding",
    "Recording",
    "WordCount",
    "check",
    "check_source",
    "choose_other_words",
    "choose_words",
    "decode",
    "download",
    "fit",
    "info",
    "is_here",
    "mono",
    "open_folder",
    "open_source",
    "read_clip",
    "read_exact",
    "speaker_split",
]


def open_source(
    source: str,
    *,
    voices: int = 240,
    negatives: bool = False,
    cache: Path | None = None,
    progress: bool = True,
    checking: bool = False,
) -> AudioSet:
    """Open a data set by its source: "synthetic", "v0.01", "v0.02", or a folder in Speech Commands layout.

    The first three are made or downloaded into `cache` (`cache_root()` by default) once, and reused; `voices`
    is for the synthetic ones. `negatives`: with what the classes silence and unknown need besides, the official test
    clips of an archive, and other words from the synthetic voices. `checking` as for `open_folder`. Raises UserError.
    """
    cache = cache or cache_root()
    if source == "synthetic":
        from hybridq.speech.audio.synthetic import make_synthetic, spoken

        root = make_synthetic(cache, voices, words=spoken(negatives), progress=progress)
        return open_folder(root, cache, name="synthetic voices", synthetic=True, progress=progress, checking=checking)
    if source in ARCHIVES:
        root = download(source, cache, progress=progress)
        if negatives and source in TEST_SETS:
            download_test_set(source, cache, progress=progress)
        return open_folder(root, cache, name=f"Speech Commands {source}", progress=progress, checking=checking)
    return open_folder(Path(source), cache, progress=progress, checking=checking)


def check_source(source: str) -> None:
    """Raise UserError for a folder that is not there; what is made or downloaded will be there."""
    if source != "synthetic" and source not in ARCHIVES:
        existing_folder(source)


def is_here(source: str, *, voices: int = 240, negatives: bool = False, cache: Path | None = None) -> bool:
    """Whether `open_source` would have nothing to make or download first."""
    cache = cache or cache_root()
    if source == "synthetic":
        from hybridq.speech.audio.synthetic import is_made

        return is_made(cache, voices, negatives)
    return source not in ARCHIVES or is_downloaded(source, cache, negatives)
