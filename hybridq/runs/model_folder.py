"""What a trained network needs to be used elsewhere, in one folder: `model.keras` and `hybridq.json`.

The JSON holds the labels in the order of the outputs, the front end, the normalisation, the recipe and the digest of
the model file; where unknown words are a class, also which words it was trained on.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridq.backend.tensorflow import load_qkeras
from hybridq.errors import UserError
from hybridq.graph.keras.file import saved_config, short
from hybridq.integer.description import Description, Rejection
from hybridq.precision import PrecisionPlan
from hybridq.speech.audio import NEGATIVES
from hybridq.speech.mfcc import FrontEnd
from hybridq.speech.normalisation import Normalisation
from hybridq.speech.settings import DataSettings, DecisionSettings

if TYPE_CHECKING:
    import keras

MODEL, ABOUT = "model.keras", "hybridq.json"
SCHEMA = 1
CODE = ("Lambda", "__lambda__", "TFSMLayer")  # the last runs a program that lies elsewhere
PACKAGES = ("keras", "qkeras", "hybridq", "builtins")  # whose classes a saved model may have


@dataclass(frozen=True)
class Bundle:
    """A trained network with its labels, front end and normalisation."""

    folder: Path
    labels: tuple[str, ...]
    front_end: FrontEnd
    normalisation: Normalisation
    recipe: dict[str, Any]
    digest: str
    unknown_words: tuple[str, ...] = ()

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
            front_end=asdict(self.front_end),
            normalisation=asdict(self.normalisation),
            name=self.recipe.get("name", ""),
            model_sha256=self.digest,
        )

    @cached_property
    def model(self) -> keras.Model:
        """The Keras model, for evaluation; read when it is first asked for, and then once. Raises UserError."""
        _check_classes(self.folder / MODEL)
        load_qkeras()  # registers the quantized layers
        import keras

        import hybridq.models.linear_memory  # (and the layers of our own)
        import hybridq.models.projected_lstm
        import hybridq.quantize.quantizers  # noqa: F401  (and the quantizers of our own)

        try:
            return keras.models.load_model(self.folder / MODEL, compile=False)
        except MemoryError:
            raise
        except Exception as error:  # whatever Keras trips over
            _, _, reason = str(error).rpartition("Exception encountered: ")  # behind the description of a layer
            reason = short(reason.strip().partition("\n")[0] or type(error).__name__)
            raise UserError(f"{self.folder / MODEL}: Keras cannot build the model ({reason})") from error


def save_bundle(
    folder: Path,
    model: keras.Model,
    labels: tuple[str, ...],
    front_end: FrontEnd,
    normalisation: Normalisation,
    recipe: dict[str, Any],
    unknown_words: tuple[str, ...] = (),
) -> Bundle:
    """Write a bundle into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / MODEL)
    digest = _digest(folder / MODEL)
    about = {
        "schema": SCHEMA,
        "labels": list(labels),
        "unknown_words": list(unknown_words),
        "front_end": asdict(front_end),
        "normalisation": asdict(normalisation),
        "recipe": recipe,
        "model_sha256": digest,
    }
    (folder / ABOUT).write_text(json.dumps(about, indent=1))
    return Bundle(folder, labels, front_end, normalisation, recipe, digest, unknown_words)


def load_bundle(path: Path) -> Bundle:
    """Read a bundle from its folder, or from the path of the `.keras` file in it; raises UserError."""
    folder = path.parent if path.suffix == ".keras" else path
    if not (folder / ABOUT).is_file() or not (folder / MODEL).is_file():
        raise UserError(
            f"{path}: no trained network here; a network travels as {MODEL} with {ABOUT} (its labels, front end "
            "and normalisation) beside it"
        )
    try:
        about = json.loads((folder / ABOUT).read_text())
        bundle = Bundle(
            folder,
            tuple(map(str, about["labels"])),
            FrontEnd(**about["front_end"]),
            Normalisation(**{k: tuple(v) for k, v in about["normalisation"].items()}),
            _checked(about["recipe"]),
            about["model_sha256"],
            tuple(map(str, about.get("unknown_words", ()))),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{folder / ABOUT}: not a readable description of a network ({short(repr(error))})") from error
    if _digest(folder / MODEL) != bundle.digest:
        raise UserError(f"{folder / MODEL}: not the file that {ABOUT} describes (its SHA-256 differs)")
    return bundle


def weights_digest(model: keras.Model) -> str:
    """SHA-256 (hex) of all weights in their order: equal networks have equal ones, whatever the file around them."""
    whole = hashlib.sha256()
    for weight in model.get_weights():
        whole.update(str((weight.dtype, weight.shape)).encode() + weight.tobytes())
    return whole.hexdigest()


def _checked(recipe: dict[str, Any]) -> dict[str, Any]:
    """A resolved recipe; ValueError or UserError for sections that cannot be those of one."""
    DataSettings.model_validate(recipe.get("data", {}))
    DecisionSettings.model_validate(recipe.get("decision", {}))
    PrecisionPlan.from_data(recipe.get("precision", {}))
    return recipe


def _check_classes(path: Path) -> None:
    """Raise UserError for a layer that is code, or anything of a class that is not known: no code of a file is run."""
    left = [(saved_config(path), "")]
    while left:
        part, name = left.pop()
        if isinstance(part, dict) and "class_name" in part:
            kind, module, config = part["class_name"], part.get("module"), part.get("config")
            name = str(config.get("name") or name) if isinstance(config, dict) else name
            foreign = module is not None and str(module).partition(".")[0] not in PACKAGES
            if kind in CODE or foreign:
                what = f"{module}.{config if kind == 'function' else kind}" if foreign else str(kind).strip("_")
                where = f"{path}: layer '{name}'" if name else f"{path}: it"
                raise UserError(short(f"{where} holds code, {what}, and hybridq runs none that comes with a model"))
        if isinstance(part, dict | list):
            left += [(inside, name) for inside in (part.values() if isinstance(part, dict) else part)]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
