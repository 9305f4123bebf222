"""What a recipe stands for: its data set, its network, its operators."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from hybridq.backend.tensorflow import load_tensorflow
from hybridq.data.task import Floats
from hybridq.errors import UserError
from hybridq.graph.operators import Graph
from hybridq.models import build_model, outline
from hybridq.paths import cache_root
from hybridq.quantize.model import calibrated, copy_weights, quantize
from hybridq.speech.audio import (
    UNKNOWN,
    AudioSet,
    check_source,
    choose_other_words,
    choose_words,
    open_folder,
    open_source,
)
from hybridq.speech.audio.clips import STANDARD_WORDS
from hybridq.speech.audio.everyday import EVERYDAY_WORDS
from hybridq.speech.audio.negatives import Negatives, commands_of
from hybridq.speech.dataset import Dataset
from hybridq.speech.mfcc import FrontEnd
from hybridq.speech.normalisation import Normalisation
from hybridq.speech.synthetic_mix import SyntheticVoices

if TYPE_CHECKING:
    import keras

    from hybridq.recipe.schema import Recipe

CALIBRATION = 400  # training clips, about, that say where the grids lie


@cache
def open_audio(source: str, voices: int, negatives: bool = False) -> AudioSet:
    """The clips of a source; `voices`: how many synthetic ones; `negatives`: for silence and unknown words too."""
    return open_source(source, voices=voices, negatives=negatives)


def open_dataset(recipe: Recipe) -> Dataset:
    """The data set that a recipe trains on, with its words chosen, and the classes silence and unknown behind them."""
    asked, training = recipe.data, recipe.training
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
    return _voices(recipe.training.synthetic_voices, ordered, cache_root())


@cache
def _voices(count: int, words: tuple[str, ...], cache: Path) -> AudioSet:
    from hybridq.speech.audio.synthetic import make_synthetic

    return open_folder(make_synthetic(cache, count, words=words), cache, name="synthetic voices", synthetic=True)


def network(recipe: Recipe, classes: int) -> keras.Model:
    """The untrained network of a recipe, quantized by its plan; its first weights depend on the seed alone."""
    return quantize(_float_network(recipe, classes), recipe.plan)


def network_from(parent: keras.Model, recipe: Recipe, data: Dataset) -> keras.Model:
    """The network of a recipe with the weights of another one, whose tensors say where its grids of 8 bits lie."""
    model = _float_network(recipe, len(data.labels))
    copy_weights(parent, model)
    return quantize(model, recipe.plan, calibrated(model, recipe.plan, calibration_clips(data)))


def calibration_clips(data: Dataset, normalisation: Normalisation | None = None) -> Floats:
    """Some training clips as inputs (clips, coefficients, frames, 1), evenly spaced, that show where the grids lie."""
    clips = data.inputs("training", normalisation)[0]
    return clips[:: -(-len(clips) // CALIBRATION)]


def graph_of(recipe: Recipe) -> Graph:
    """The operators of a recipe's network, float32 and untrained. `words: auto` counts as ten."""
    words = 10 if recipe.data.words == "auto" else len(recipe.data.words)
    return outline(recipe.model, FrontEnd.of(recipe.features).shape, words + len(recipe.data.negatives))


def check_ready(recipe: Recipe, clips: bool = True) -> None:
    """Raise UserError, with the line of the recipe, where no run of it could begin; TensorFlow is not needed for that.

    So it is where a precision is for no layer or, of a recipe that it needs, features or data do not go together; and,
    if `clips` must be on this machine, where their folder is not there.
    """
    recipe.check_references()
    for one in (recipe, *recipe.needed):
        check_plan(one)
        if clips:
            _check_clips(one)


def check_plan(recipe: Recipe) -> None:
    """Raise UserError, with the line of the recipe, for a precision that is for no layer."""
    graph = graph_of(recipe)
    weighted, every = (op.name for op in graph.weighted), (op.name for op in graph.operators)
    recipe.plan.check(weighted, every, lambda pattern: recipe.where("precision", pattern))


def _check_clips(recipe: Recipe) -> None:
    try:
        check_source(recipe.data.source)
    except UserError as error:
        place = recipe.where("data", "source")
        # one of the command line is in the message already
        raise UserError(str(error) if place.startswith("--") else f"{place}: data.source: {error}") from None


def run_name(recipe: Recipe) -> str:
    """The recipe's name, with the seed where it is not 0."""
    return f"{recipe.name} seed {recipe.training.seed}" if recipe.training.seed else recipe.name


def _float_network(recipe: Recipe, classes: int) -> keras.Model:
    load_tensorflow()
    import keras

    keras.utils.clear_session()  # a sweep builds many networks in one process
    keras.utils.set_random_seed(recipe.training.seed)
    return build_model(recipe.model, FrontEnd.of(recipe.features).shape, classes)
