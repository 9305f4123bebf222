"""A trained network by its name (a run, a folder, a file), with the integer network that a device computes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hybridq.errors import UserError
from hybridq.integer.artefact import NETWORK, SUFFIX, digest, load_network
from hybridq.integer.checks import check
from hybridq.integer.convert import convert
from hybridq.integer.description import Rejection
from hybridq.integer.network import IntegerNetwork
from hybridq.precision import LayerPrecision, PrecisionPlan
from hybridq.pretrained import PREFIX, pretrained_file
from hybridq.quantize.model import is_grid
from hybridq.recipe.file import recipe_of
from hybridq.runs.experiment import calibration_clips, open_dataset
from hybridq.runs.model_folder import Bundle, load_bundle
from hybridq.speech.dataset import Dataset
from hybridq.speech.mfcc import FrontEnd
from hybridq.speech.normalisation import Normalisation

if TYPE_CHECKING:
    from hybridq.tracking import Store

NETWORK_DIGEST = "network.sha256"  # tag of the run: the digest of that network


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
    def hears(self) -> tuple[FrontEnd, Normalisation, tuple[str, ...]]:
        """Its front end, normalisation and labels."""
        if self.bundle:
            return self.bundle.front_end, self.bundle.normalisation, self.bundle.labels
        assert self.integers
        return chain_of(self.integers)

    @property
    def rejection(self) -> Rejection | None:
        """How it rejects what is no command; None for a network that always answers with a command."""
        if self.bundle:
            return self.bundle.rejection
        return self.integers.description.rejection if self.integers else None


def is_path(name: str) -> bool:
    """Whether a name means a file, a folder, or a network that comes with hybridq: not a run."""
    return name.startswith(PREFIX) or Path(name).exists() or Path(name).suffix in (SUFFIX, ".keras")


def find_trained(name: str, store: Store | None = None) -> Trained:
    """The trained network of a run (id or name), a model's folder or file, an integer network's file, or an export;
    `pretrained:NAME` is one that comes with hybridq.

    The integer network is the one that the run has logged, where it has. Raises UserError for what is none of these,
    and for a logged network that is not the one of the run's tag.
    """
    path = pretrained_file(name) if name.startswith(PREFIX) else Path(name)
    file = path / NETWORK if path.is_dir() else path
    if path.suffix == SUFFIX or (path / NETWORK).is_file():
        return Trained(name, None, load_network(file))
    if is_path(name) or store is None:
        return with_integers(load_bundle(path), name)
    view = store.find(name)
    bundle = load_bundle(store.download(view.id, "model"))
    logged = view.tags.get(NETWORK_DIGEST)
    if logged is None:
        return with_integers(bundle, view.name, run=view.id)
    network = load_network(store.download(view.id, NETWORK))
    if digest(network) != logged:
        raise UserError(f"run {view.id[:8]}: its {NETWORK} is not the one of its tag {NETWORK_DIGEST}")
    return Trained(view.name, bundle, network, run=view.id)


def with_integers(bundle: Bundle, name: str, data: Callable[[], Dataset] | None = None, run: str = "") -> Trained:
    """A network with its integers. `data` gives the clips it was trained on (else the recipe says where they are).

    They are looked at where it was not trained on grids of 8 bits, to find grids.
    """
    model, plan = bundle.model, PrecisionPlan.from_data(bundle.recipe.get("precision", {}))
    if all(plan.of(layer.name) == LayerPrecision() for layer in model.layers):
        return Trained(name, bundle, run=run)
    try:
        clips = None
        if not any(map(is_grid, model.layers)):
            clips = calibration_clips(data() if data else open_dataset(recipe_of(bundle.recipe)), bundle.normalisation)
        network = convert(model, bundle.description, clips)
        check(network)
        return Trained(name, bundle, network, run=run)
    except UserError as error:
        return Trained(name, bundle, lacking=str(error), run=run)


def chain_of(network: IntegerNetwork) -> tuple[FrontEnd, Normalisation, tuple[str, ...]]:
    """What an integer network says of its sound: the front end, the normalisation, the labels; UserError without."""
    description, labels = network.description, network.description.labels
    if description.front_end is None or description.normalisation is None or not labels:
        raise UserError("the network does not say what it hears: no keyword spotter")
    try:
        end, normalisation = FrontEnd(**description.front_end), Normalisation(**description.normalisation)
    except TypeError as error:
        raise UserError(f"the network does not say what it hears ({error!r}): no keyword spotter") from None
    if network.input_shape != (*end.shape, 1):
        raise UserError(f"the network reads {network.input_shape}, its front end makes {end.shape}")
    if len(labels) != network.layers[-1].shape[-1]:
        raise UserError(f"the network has {network.layers[-1].shape[-1]} outputs and {len(labels)} labels")
    return end, normalisation, labels
