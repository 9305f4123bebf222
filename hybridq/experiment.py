"""What a recipe stands for: its data set, its network, its operators; and a trained network measured on other clips."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridq.audio import AudioSet, choose_words, open_source
from hybridq.backend import load_tensorflow
from hybridq.bundle import Bundle, load_bundle
from hybridq.dataset import Dataset
from hybridq.errors import UserError
from hybridq.evaluation import Evaluation, evaluate
from hybridq.features import FrontEnd
from hybridq.graph import Graph, read_graph
from hybridq.models import build_model
from hybridq.paths import cache_root
from hybridq.quantize import calibrated, copy_weights, quantize

if TYPE_CHECKING:
    import keras

    from hybridq.recipe import Recipe
    from hybridq.tracking import RunView, Store

CALIBRATION = 400  # training clips, about, that say where the grids lie
log = logging.getLogger("hybridq")


def evaluate_bundle(bundle: Bundle, source: str, split: str, voices: int = 240) -> Evaluation:
    """The accuracy of a trained network on the clips of its words in another data set.

    Words that the folder lacks are left out of the count. Raises UserError where it has none of them.
    """
    audio = _audio(source, voices)
    words = [word for word in bundle.labels if any(clip.word == word for clip in audio.clips)]
    if not words:
        raise UserError(f"{audio.root}: no clips of {', '.join(bundle.labels)}, the words that this network knows")
    if len(words) < len(bundle.labels):
        log.warning("%s has no clips of %s", audio.name, ", ".join(w for w in bundle.labels if w not in words))
    data = Dataset(audio, words, bundle.front_end, cache_root())
    x, truth = data.inputs(split, bundle.normalisation)
    return evaluate(bundle.model(), x, _positions(bundle.labels, words)[truth], bundle.labels)


def find_bundle(run_or_model: str, store: Store | None) -> tuple[Bundle, RunView | None]:
    """A trained network by a path, or by the id or name of a run in the store."""
    path = Path(run_or_model)
    if path.exists() or path.suffix == ".keras" or store is None:
        return load_bundle(path), None
    view = store.find(run_or_model)
    return load_bundle(store.download(view.id, "model")), view


def open_dataset(recipe: Recipe) -> Dataset:
    """The data set that a recipe trains on, with its words chosen."""
    audio = _audio(recipe.data.source, recipe.data.voices)
    words = choose_words(audio, recipe.data.words)
    return Dataset(
        audio, words, FrontEnd.of(recipe.features), cache_root(), recipe.data.balance, recipe.features.normalisation
    )


def network(recipe: Recipe, classes: int) -> keras.Model:
    """The untrained network of a recipe, quantized by its plan; its first weights depend on the seed alone."""
    return quantize(_float_network(recipe, classes), recipe.plan)


def network_from(parent: keras.Model, recipe: Recipe, data: Dataset) -> keras.Model:
    """The network of a recipe with the weights of another one, whose tensors say where its grids of 8 bits lie."""
    model = _float_network(recipe, len(data.words))
    copy_weights(parent, model)
    clips = data.inputs("training")[0]
    return quantize(model, recipe.plan, calibrated(model, recipe.plan, clips[:: -(-len(clips) // CALIBRATION)]))


def graph_of(recipe: Recipe) -> Graph:
    """The operators of a recipe's network, float32 and untrained. `words: auto` counts as ten."""
    classes = 10 if recipe.data.words == "auto" else len(recipe.data.words)
    return read_graph(build_model(recipe.model, FrontEnd.of(recipe.features).shape, classes))


def run_name(recipe: Recipe) -> str:
    """The recipe's name, with the seed where it is not 0."""
    return f"{recipe.name} seed {recipe.training.seed}" if recipe.training.seed else recipe.name


@cache
def _audio(source: str, voices: int) -> AudioSet:
    return open_source(source, voices=voices)


def _float_network(recipe: Recipe, classes: int) -> keras.Model:
    load_tensorflow()
    import keras

    keras.utils.clear_session()  # a sweep builds many networks in one process
    keras.utils.set_random_seed(recipe.training.seed)
    return build_model(recipe.model, FrontEnd.of(recipe.features).shape, classes)


def _positions(labels: Sequence[str], words: Sequence[str]) -> Any:
    import numpy as np

    return np.array([labels.index(word) for word in words])
