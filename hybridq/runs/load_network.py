"""A trained network by its name (a run, a folder, a file), with the integer network that a device computes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hybridq.data.standardisation import AS_THEY_ARE, Standardisation
from hybridq.data.task import Floats, Task
from hybridq.errors import UserError
from hybridq.graph.keras.file import SUFFIXES as MODEL_FILES
from hybridq.graph.keras.file import layers_config
from hybridq.graph.saved_model import MODEL_FILE as SAVED_MODEL
from hybridq.integer.artefact import NETWORK, SUFFIX, digest, load_network
from hybridq.integer.checks import check
from hybridq.integer.convert import convert
from hybridq.integer.description import Rejection
from hybridq.integer.network import IntegerNetwork
from hybridq.precision import LayerPrecision, PrecisionPlan
from hybridq.pretrained import PREFIX, pretrained_file
from hybridq.quantization.load_model import INSTEAD, load_model
from hybridq.quantization.model import is_grid
from hybridq.recipe.file import recipe_of
from hybridq.runs.experiment import CALIBRATION
from hybridq.runs.model_folder import ABOUT, MODEL, Bundle, load_bundle, model_file
from hybridq.runs.sources import open_dataset
from hybridq.speech.dataset import Dataset
from hybridq.speech.mfcc import FrontEnd
from hybridq.speech.normalisation import Normalisation
from hybridq.tflite.reading import read_tflite

if TYPE_CHECKING:
    from hybridq.tracking import Store

NETWORK_DIGEST = "network.sha256"  # tag of the run: the digest of that network
TFLITE = ".tflite"
NO_SOUND = "this network has no front end, so it hears no sound"


@dataclass(frozen=True)
class Trained:
    """A network as Keras computes it, in integers, or both.

    `bundle` is None for an integer network by itself; `integers` where the network is not quantized, or has no form in
    integers: then `lacking` says why. `run` is the id of the run that made it, "" where that is not known.
    """

    name: str
    bundle: Bundle | None
    integers: IntegerNetwork | None = None
    lacking: str = ""
    run: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        """Of its classes, in the order of its outputs; () where it has none, or none that have a name."""
        if self.bundle:
            return self.bundle.labels
        return self.integers.description.labels if self.integers else ()

    @property
    def task(self) -> Task:
        """What it answers with."""
        if self.bundle:
            return self.bundle.task
        return (self.integers and self.integers.description.task) or Task.CLASSIFY

    @property
    def says_task(self) -> Task | None:
        """What it answers with, None where that is not known: it is in no folder, and has no labels and no softmax."""
        if self.bundle:
            return self.task if self.bundle.digest or self.task is Task.CLASSIFY else None
        about = self.integers and self.integers.description
        return (about.task or (Task.CLASSIFY if about.labels else None)) if about else None

    @property
    def standardisation(self) -> Standardisation:
        """What is done to inputs of its data before it reads them, where it hears no sound."""
        if self.bundle:
            return self.bundle.standardisation
        return standardisation_of(self.integers) if self.integers else AS_THEY_ARE

    @property
    def hears_sound(self) -> bool:
        """Whether it has a front end."""
        if self.bundle:
            return self.bundle.front_end is not None
        return self.integers is not None and self.integers.description.front_end is not None

    @property
    def hears(self) -> tuple[FrontEnd, Normalisation, tuple[str, ...]]:
        """Its front end, normalisation and labels. Raises UserError for a network that hears no sound."""
        if self.bundle:
            if self.bundle.front_end is None or self.bundle.normalisation is None:
                raise UserError(f"{self.name}: {NO_SOUND}")
            return self.bundle.front_end, self.bundle.normalisation, self.bundle.labels
        assert self.integers
        try:
            return chain_of(self.integers)
        except UserError as error:
            raise UserError(f"{self.name}: {error}") from None

    @property
    def rejection(self) -> Rejection | None:
        """How it rejects what is no command; None for a network that always answers with a command."""
        if self.bundle:
            return self.bundle.rejection
        return self.integers.description.rejection if self.integers else None


def is_path(name: str) -> bool:
    """Whether a name means a file, a folder, or a network that comes with hybridq: not a run."""
    known = (SUFFIX, *MODEL_FILES, *INSTEAD)
    return name.startswith(PREFIX) or Path(name).exists() or Path(name).suffix.lower() in known


def find_trained(name: str, store: Store | None = None) -> Trained:
    """The trained network of a run (id or name), a model's folder or file, an integer network's file, an int8 `.tflite`
    file, or an export; `pretrained:NAME` is one that comes with hybridq.

    The integer network is the one that the run has logged, where it has. Raises UserError for what is none of these,
    and for a logged network that is not the one of the run's tag.
    """
    path = pretrained_file(name) if name.startswith(PREFIX) else Path(name)
    if path.suffix.lower() == TFLITE:
        return Trained(name, None, read_tflite(path))
    if path.suffix == SUFFIX or (path / NETWORK).is_file():
        return _with_file(name, path)
    if is_path(name) or store is None:
        return with_integers(_bundle_at(path), name)
    view = store.find(name)
    bundle = load_bundle(store.download(view.id, "model"))
    logged = view.tags.get(NETWORK_DIGEST)
    if logged is None:
        return with_integers(bundle, view.name, run=view.id)
    network = load_network(store.download(view.id, NETWORK))
    if digest(network) != logged:
        raise UserError(f"run {view.id[:8]}: its {NETWORK} is not the one of its tag {NETWORK_DIGEST}")
    return Trained(view.name, bundle, network, run=view.id)


def find_bundle(name: str, store: Store | None = None) -> Bundle:
    """The Keras model of a run, a model's folder or a model file. Raises UserError for what holds none."""
    if is_path(name) or store is None:
        if name.startswith(PREFIX) or Path(name).suffix == SUFFIX:
            raise UserError(f"{name}: a network of integers already; this takes the Keras model that it was made of")
        return _bundle_at(Path(name))
    return load_bundle(store.download(store.find(name).id, "model"))


def _bundle_at(path: Path) -> Bundle:
    """The folder of a trained network, or a model file by itself. Raises UserError, for other files with what to do."""
    if path.suffix.lower() in INSTEAD:
        load_model(path)  # says what to do instead
    if (path / SAVED_MODEL).is_file():
        layers_config(path)  # says what to do where it has none
        return model_file(path)
    described = path.name == MODEL and (path.parent / ABOUT).is_file()
    if path.suffix.lower() in MODEL_FILES and path.exists() and not described:
        return model_file(path)
    return load_bundle(path)


def _with_file(name: str, path: Path) -> Trained:
    """An integer network's file by itself, or in a folder; where the trained network is there too, both."""
    if not path.is_dir():
        return Trained(name, None, load_network(path))
    network, bundle = load_network(path / NETWORK), load_bundle(path) if (path / ABOUT).is_file() else None
    if bundle and network.description.model_sha256 != bundle.digest:
        raise UserError(f"{path / NETWORK}: not made of the model beside it (its SHA-256 differs)")
    return Trained(name, bundle, network)


def with_integers(bundle: Bundle, name: str, calibration: Callable[[], Floats] | None = None, run: str = "") -> Trained:
    """A network with its integers.

    `calibration` gives some hundred inputs (n, *shape), by default of what the recipe was trained on. They are looked
    at where the network was not trained on grids of 8 bits, to find grids.
    """
    model, plan = bundle.model, PrecisionPlan.from_data(bundle.recipe.get("precision", {}))
    if all(plan.of(layer.name) == LayerPrecision() for layer in model.layers):
        return Trained(name, bundle, run=run)
    try:
        inputs = None
        if not any(map(is_grid, model.layers)):
            inputs = calibration() if calibration else calibration_of(bundle)
        network = convert(model, bundle.description, inputs)
        check(network)
        return Trained(name, bundle, network, run=run)
    except UserError as error:
        return Trained(name, bundle, lacking=str(error), run=run)


def calibration_of(bundle: Bundle) -> Floats:
    """Some hundred inputs that its recipe was trained on. Raises UserError where it has none."""
    if "data" not in bundle.recipe:
        raise UserError("it was not trained on grids of 8 bits; `hybridq quantize` with --calibrate puts it on them")
    data = open_dataset(recipe_of(bundle.recipe))
    if isinstance(data, Dataset):  # of which there may be more now than it was trained on
        return data.calibration(CALIBRATION, bundle.normalisation)
    return data.calibration(CALIBRATION)


def standardisation_of(network: IntegerNetwork) -> Standardisation:
    """What is done to samples before an integer network reads them; nothing to what a front end makes of sound."""
    about = network.description
    return AS_THEY_ARE if about.front_end else Standardisation(**(about.normalisation or {}))


def chain_of(network: IntegerNetwork) -> tuple[FrontEnd, Normalisation, tuple[str, ...]]:
    """What an integer network says of its sound: front end, normalisation, labels; UserError where it hears none."""
    description, labels = network.description, network.description.labels
    if description.front_end is None or description.normalisation is None or not labels:
        raise UserError(NO_SOUND)
    try:
        end, normalisation = FrontEnd(**description.front_end), Normalisation(**description.normalisation)
    except TypeError as error:
        raise UserError(f"the network does not say what it hears ({error!r})") from None
    if network.input_shape != (*end.shape, 1):
        raise UserError(f"the network reads {network.input_shape}, its front end makes {end.shape}")
    if len(labels) != network.layers[-1].shape[-1]:
        raise UserError(f"the network has {network.layers[-1].shape[-1]} outputs and {len(labels)} labels")
    return end, normalisation, labels
