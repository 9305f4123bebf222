"""Which kind of data a recipe is on: one row a kind, and no other place asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridq.data.arrays import Arrays, read_arrays
from hybridq.data.images import read_images
from hybridq.data.samples import Samples, arrays_of, samples_of
from hybridq.data.settings import ArraysData, DataSection, ImagesData, LayersAugment, OwnData, PythonData
from hybridq.data.task import Task, TrainingData
from hybridq.errors import UserError
from hybridq.paths import cache_root
from hybridq.recipe.sections import OwnTrainingSection
from hybridq.runs import clips
from hybridq.settings.python_function import call, file_digest, split_name
from hybridq.speech.settings import DataSettings

if TYPE_CHECKING:
    from hybridq.recipe.schema import Recipe

Shape = tuple[int, ...]
LAYERS = "training.augment.layers"


@dataclass(frozen=True)
class Source:
    """What there is to ask of a kind of data.

    opened: the data set of a recipe. ends: the shapes of an input and of an answer, before the data set is opened where
    that takes long. check: raises UserError, with the line of the recipe, where it is not there. is_here: whether it is
    on this machine. travels: what the folder of a network trained on it holds besides the network, as `save_bundle`
    takes it. ends_from_data: whether `ends` opens the data set.
    """

    opened: Callable[[Recipe], TrainingData]
    ends: Callable[[Recipe], tuple[Shape, Shape]]
    check: Callable[[Recipe], object]
    is_here: Callable[[Recipe], bool]
    travels: Callable[[TrainingData], dict[str, Any]]
    ends_from_data: bool = True


def open_dataset(recipe: Recipe) -> TrainingData:
    """The data set that a recipe trains on. Raises UserError where it cannot be."""
    return source_of(recipe).opened(recipe)


def source_of(recipe: Recipe) -> Source:
    """The row of its kind of data."""
    return SOURCES[type(recipe.data)]


def placed(recipe: Recipe, error: UserError) -> UserError:
    """An error of a recipe's data, with the line that says where they are; of their augmentation with its line."""
    if str(error).startswith(f"{LAYERS}: "):
        return UserError(f"{recipe.where(*LAYERS.split('.'))}: {error}", error.exit_code)
    key = recipe.data.PLACE
    place = recipe.where("data", key)
    # one of the command line is in the message already
    text = str(error) if place.startswith("--") or not place else f"{place}: data.{key}: {error}"
    return UserError(text, error.exit_code)


def _check_clips(recipe: Recipe) -> None:
    try:
        clips.check_clips(recipe)
    except UserError as error:
        raise placed(recipe, error) from None


# ----------------------------------------------------------------------------------------------- no sound


def _samples(recipe: Recipe) -> Samples:
    """Raises UserError with the line of the recipe."""
    data, training = recipe.data, recipe.training
    assert isinstance(data, OwnData)
    assert isinstance(training, OwnTrainingSection)
    try:
        return _opened(data, recipe.task, training.augment.model_dump_json(), _stamp(data))
    except UserError as error:
        raise placed(recipe, error) from None


def _stamp(data: OwnData) -> tuple[int, ...]:
    """When the file or folder was last changed: what is opened once in a process is opened anew then."""
    path = _path(data)
    try:
        status = path.stat()
    except OSError:
        raise UserError(f"{path}: no such file or folder") from None
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=4)
def _opened(data: OwnData, task: Task, augment: str, stamp: tuple[int, ...]) -> Samples:
    path = _path(data)
    arrays, digest = READERS[type(data)](data)
    samples = samples_of(arrays, data, task, path.stem, str(path), digest, LayersAugment.model_validate_json(augment))
    samples.augmentation.check(samples.shape)
    return samples


def _path(data: OwnData) -> Path:
    return split_name(data.place)[0] if isinstance(data, PythonData) else Path(data.place)


def _of_file(data: OwnData) -> tuple[Arrays, str]:
    return read_arrays(_path(data)), ""


def _of_pictures(data: OwnData) -> tuple[Arrays, str]:
    assert isinstance(data, ImagesData)
    return read_images(_path(data), data, cache_root())


def _of_function(data: OwnData) -> tuple[Arrays, str]:
    file, name = split_name(data.place)
    return arrays_of(f"{file}:{name}", call(data.place)), file_digest(data.place)


READERS: dict[type[OwnData], Callable[[OwnData], tuple[Arrays, str]]] = {
    ArraysData: _of_file,
    ImagesData: _of_pictures,
    PythonData: _of_function,
}


def _ends_of_samples(recipe: Recipe) -> tuple[Shape, Shape]:
    data = _samples(recipe)
    return data.shape, data.outputs


def _samples_are_here(recipe: Recipe) -> bool:
    assert isinstance(recipe.data, OwnData)
    return _path(recipe.data).exists()


def _travels_with_samples(data: TrainingData) -> dict[str, Any]:
    assert isinstance(data, Samples)
    return {"front_end": None, "normalisation": None, "task": data.task, "standardisation": data.standardisation}


SAMPLES = Source(_samples, _ends_of_samples, _samples, _samples_are_here, _travels_with_samples)
SOURCES: dict[type[DataSection], Source] = {
    DataSettings: Source(clips.open_clips, clips.ends, _check_clips, clips.clips_are_here, clips.travels_with, False),
    **dict.fromkeys(READERS, SAMPLES),
}
