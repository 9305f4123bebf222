"""What a trained network needs to be used elsewhere, in one folder: `model.keras` and `hybridq.json`.

The JSON holds the labels in the order of the outputs, the recipe and the digest of the model file; of a network that
hears sound the front end and the normalisation, of another how its inputs are standardised; of one that answers with
something else than classes its task; where unknown words are a class, also which words it was trained on.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridq.data.standardisation import AS_THEY_ARE, Standardisation
from hybridq.data.task import Task
from hybridq.errors import UserError
from hybridq.graph.keras.file import short
from hybridq.graph.reader import read_graph
from hybridq.integer.description import Description, Rejection
from hybridq.precision import PrecisionPlan
from hybridq.quantization.load_model import load_model
from hybridq.quantization.steps import ends_of
from hybridq.speech.audio import NEGATIVES
from hybridq.speech.mfcc import FrontEnd
from hybridq.speech.normalisation import Normalisation
from hybridq.speech.settings import DataSettings, DecisionSettings

if TYPE_CHECKING:
    import keras

MODEL, ABOUT = "model.keras", "hybridq.json"
SCHEMA = 1


@dataclass(frozen=True)
class Bundle:
    """A trained network with all that it takes to use it.

    labels: of the classes, in the order of the outputs; () where it has none, or none that have a name. front_end and
    normalisation: of one that hears sound. recipe: {} where it was made by none. standardisation: what is done to
    other inputs before it reads them. file: that of the model in the folder, of another name where a model file is read
    by itself.
    """

    folder: Path
    labels: tuple[str, ...]
    front_end: FrontEnd | None
    normalisation: Normalisation | None
    recipe: dict[str, Any]
    digest: str
    unknown_words: tuple[str, ...] = ()
    task: Task = Task.CLASSIFY
    standardisation: Standardisation = AS_THEY_ARE
    file: str = MODEL

    @property
    def rejection(self) -> Rejection | None:
        """How commands are told from the rest; None where nothing is rejected."""
        threshold = self.recipe.get("decision", {}).get("threshold", 0.0)
        if not threshold and not set(self.labels).intersection(NEGATIVES):
            return None
        return Rejection(threshold, self.unknown_words)

    @property
    def description(self) -> Description:
        """What its integer network says of itself; of decisions in a stream only what is not the default."""
        settings = DecisionSettings.model_validate(self.recipe.get("decision", {}))
        return Description(
            labels=self.labels,
            rejection=self.rejection,
            decision=settings.model_dump(exclude_defaults=True, exclude={"threshold"}) or None,
            front_end=asdict(self.front_end) if self.front_end else None,
            normalisation=asdict(self.normalisation) if self.normalisation else _numbers_of(self.standardisation),
            name=self.recipe.get("name", ""),
            model_sha256=self.digest,
            task=None if self.task is Task.CLASSIFY else self.task,
        )

    @cached_property
    def model(self) -> keras.Model:
        """The Keras model, for evaluation; read when it is first asked for, and then once. Raises UserError."""
        return load_model(self.folder / self.file)


def save_bundle(
    folder: Path,
    model: keras.Model,
    labels: tuple[str, ...],
    front_end: FrontEnd | None,
    normalisation: Normalisation | None,
    recipe: dict[str, Any],
    unknown_words: tuple[str, ...] = (),
    task: Task = Task.CLASSIFY,
    standardisation: Standardisation = AS_THEY_ARE,
) -> Bundle:
    """Write a bundle into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / MODEL)
    digest = _digest(folder / MODEL)
    sound = {"front_end": front_end, "normalisation": normalisation}
    about = {
        "schema": SCHEMA,
        "labels": list(labels),
        "unknown_words": list(unknown_words),
        **{name: asdict(part) for name, part in sound.items() if part},
        "recipe": recipe,
        "model_sha256": digest,
        **({} if task is Task.CLASSIFY else {"task": task.value}),
        **({"scaling": _numbers_of(standardisation)} if standardisation.changes else {}),
    }
    (folder / ABOUT).write_text(json.dumps(about, indent=1))
    return Bundle(folder, labels, front_end, normalisation, recipe, digest, unknown_words, task, standardisation)


def load_bundle(path: Path) -> Bundle:
    """Read a bundle from its folder, or from the path of the `.keras` file in it; raises UserError."""
    folder = path.parent if path.suffix == ".keras" else path
    if not path.exists():
        raise UserError(f"{path}: no trained network here: there is no such file or folder")
    if not (folder / ABOUT).is_file() or not (folder / MODEL).is_file():
        raise UserError(
            f"{path}: no trained network here; a network travels as {MODEL} with {ABOUT} beside it, which says what "
            "it reads and answers"
        )
    try:
        about = json.loads((folder / ABOUT).read_text())
        front_end, normalisation = _sound_of(about)
        bundle = Bundle(
            folder,
            tuple(map(str, about["labels"])),
            front_end,
            normalisation,
            _checked(about["recipe"], "front_end" in about),
            about["model_sha256"],
            tuple(map(str, about.get("unknown_words", ()))),
            Task(about.get("task", Task.CLASSIFY)),
            Standardisation.of(about.get("scaling", {})),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{folder / ABOUT}: not a readable description of a network ({short(repr(error))})") from error
    if _digest(folder / MODEL) != bundle.digest:
        raise UserError(f"{folder / MODEL}: not the file that {ABOUT} describes (its SHA-256 differs)")
    return bundle


def model_file(path: Path) -> Bundle:
    """A model file that nothing stands beside: what it answers with is read from how it ends. Raises UserError.

    It has no labels. Softmax at its end, or one sigmoid, tells classes apart; an output of the shape of the input is a
    reconstruction.
    """
    graph = read_graph(path)
    reads = {op.output_shape for op in graph.operators if op.kind == "InputLayer"}
    answers = {op.name: op.output_shape for op in graph.operators}[graph.outputs[0]]
    (function, *_), task = ends_of(graph).functions, Task.REGRESS
    if function == "softmax" or (function == "sigmoid" and answers == (1,)):
        task = Task.CLASSIFY
    elif reads == {answers}:
        task = Task.RECONSTRUCT
    return Bundle(path.parent, (), None, None, {}, "", task=task, file=path.name)


def _numbers_of(standardisation: Standardisation) -> dict[str, tuple[float, ...]] | None:
    """Its mean and deviation, for a file; None where it does nothing."""
    return asdict(standardisation) if standardisation.changes else None


def weights_digest(model: keras.Model) -> str:
    """SHA-256 (hex) of all weights in their order: equal networks have equal ones, whatever the file around them."""
    whole = hashlib.sha256()
    for weight in model.get_weights():
        whole.update(str((weight.dtype, weight.shape)).encode() + weight.tobytes())
    return whole.hexdigest()


def _sound_of(about: dict[str, Any]) -> tuple[FrontEnd, Normalisation] | tuple[None, None]:
    """The front end and the normalisation of a network that hears sound; KeyError where it says one of them alone."""
    if "front_end" not in about and "normalisation" not in about:
        return None, None
    normalisation = {name: tuple(numbers) for name, numbers in about["normalisation"].items()}
    return FrontEnd(**about["front_end"]), Normalisation(**normalisation)


def _checked(recipe: dict[str, Any], hears_sound: bool) -> dict[str, Any]:
    """A resolved recipe; ValueError or UserError for sections that cannot be those of one."""
    if hears_sound:
        DataSettings.model_validate(recipe.get("data", {}))
    DecisionSettings.model_validate(recipe.get("decision", {}))
    PrecisionPlan.from_data(recipe.get("precision", {}))
    return recipe


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
