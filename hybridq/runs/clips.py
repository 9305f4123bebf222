"""A recipe on clips of words: what its sections `data` and `features` stand for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridq.data.task import TrainingData
from hybridq.paths import cache_root
from hybridq.recipe.sections import TrainingSection
from hybridq.speech.audio import (
    UNKNOWN,
    AudioSet,
    check_source,
    choose_other_words,
    choose_words,
    is_here,
    open_folder,
    open_source,
)
from hybridq.speech.audio.clips import STANDARD_WORDS
from hybridq.speech.audio.everyday import EVERYDAY_WORDS
from hybridq.speech.audio.negatives import Negatives, commands_of
from hybridq.speech.dataset import Dataset
from hybridq.speech.mfcc import FrontEnd
from hybridq.speech.settings import DataSettings
from hybridq.speech.synthetic_mix import SyntheticVoices

if TYPE_CHECKING:
    from hybridq.recipe.schema import Recipe


@cache
def open_audio(source: str, voices: int, negatives: bool = False) -> AudioSet:
    """The clips of a source; `voices`: how many synthetic ones; `negatives`: for silence and unknown words too."""
    return open_source(source, voices=voices, negatives=negatives)


def open_clips(recipe: Recipe) -> Dataset:
    """The data set that a recipe trains on, with its words chosen, and the classes silence and unknown behind them."""
    asked, training = _sections(recipe)
    audio = open_audio(asked.source, asked.voices, bool(asked.negatives))
    words = choose_words(audio, asked.words)
    unknown = choose_other_words(audio, words, asked.unknown_words) if asked.unknown else []
    labels = [*words, *(f"_{name}_" for name in asked.negatives)]
    negatives = Negatives(asked.silence, asked.unknown, asked.unknown_spliced, tuple(unknown))
    voices = SyntheticVoices(
        lambda: open_voices(recipe, labels), training.synthetic_share, training.synthetic_unknown_share
    )
    return Dataset(
        audio,
        labels,
        FrontEnd.of(recipe.features),
        cache_root(),
        asked.balance,
        recipe.features.normalisation,
        negatives,
        voices if training.synthetic_voices else None,
        training.augment,
    )


def open_voices(recipe: Recipe, labels: Sequence[str]) -> AudioSet:
    """The synthetic voices that a recipe mixes into training; made where they are missing.

    They say the words among the labels, and for the class unknown everyday words.
    """
    words = set(commands_of(labels))
    if UNKNOWN in labels:
        words.update(EVERYDAY_WORDS)
    ordered = STANDARD_WORDS if words == set(STANDARD_WORDS) else tuple(sorted(words))  # one order: made once
    return _voices(_sections(recipe)[1].synthetic_voices, ordered, cache_root())


@cache
def _voices(count: int, words: tuple[str, ...], cache: Path) -> AudioSet:
    from hybridq.speech.audio.synthetic import make_synthetic

    return open_folder(make_synthetic(cache, count, words=words), cache, name="synthetic voices", synthetic=True)


def ends(recipe: Recipe) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shapes of what its network reads and answers with. `words: auto` counts as ten."""
    asked, _ = _sections(recipe)
    words = 10 if asked.words == "auto" else len(asked.words)
    return (*FrontEnd.of(recipe.features).shape, 1), (words + len(asked.negatives),)


def check_clips(recipe: Recipe) -> None:
    """Raise UserError where the folder of its clips is not on this machine."""
    check_source(recipe.data.place)


def clips_are_here(recipe: Recipe) -> bool:
    """Whether its clips are on this machine, so that none would have to be downloaded or made."""
    asked, _ = _sections(recipe)
    return is_here(asked.source, voices=asked.voices, negatives=bool(asked.negatives))


def travels_with(data: TrainingData) -> dict[str, Any]:
    """What the folder of a network trained on clips holds besides the network."""
    assert isinstance(data, Dataset)
    return {"front_end": data.front_end, "normalisation": data.normalisation, "unknown_words": data.unknown_words}


def _sections(recipe: Recipe) -> tuple[DataSettings, TrainingSection]:
    """Its sections `data` and `training`, which are those of sound."""
    assert isinstance(recipe.data, DataSettings)
    assert isinstance(recipe.training, TrainingSection)
    return recipe.data, recipe.training
