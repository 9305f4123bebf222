"""What `hybridq export` does: a trained network by its name, with its front end where it has one, as a folder of C.

Beside the network stands where it is from: the id of its run, and what the memory report estimates of it.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridq.errors import UserError
from hybridq.image.export import BUILD
from hybridq.image.export import export as write
from hybridq.integer.convert import EVERYTHING
from hybridq.integer.network import IntegerNetwork
from hybridq.integer.online import on_device
from hybridq.paths import scratch
from hybridq.precision import PrecisionPlan
from hybridq.profiler import profile
from hybridq.profiler.accounting import OWN
from hybridq.profiler.targets import DEFAULT_TARGET
from hybridq.runs.load_network import Trained, chain_of, find_trained
from hybridq.runs.model_folder import MODEL
from hybridq.runs.quantize_model import Request, quantize
from hybridq.speech.c_front_end import CFrontEnd

if TYPE_CHECKING:
    from hybridq.tracking import Store


def export(
    name: str,
    folder: Path,
    store: Store | None = None,
    with_tflite: bool = False,
    overwrite: bool = False,
    calibrate: str | None = None,
) -> dict[str, Any]:
    """Write a trained network, a run, a model's folder or file, or an .hqn file, as C; returns what build.json says.

    with_tflite: as a `.tflite` file too; overwrite: also over files of these names that are not an export's; calibrate:
    samples (see `data.given`) by which a model that is not quantized gets 8 bits throughout.

    Raises UserError where the network has no form in integers, and for files in the way.
    """
    if calibrate:
        with scratch() as place:
            return _written(quantize(Request(name, calibrate=calibrate), place, store), folder, with_tflite, overwrite)
    return _written(find_trained(name, store), folder, with_tflite, overwrite)


def _written(trained: Trained, folder: Path, with_tflite: bool, overwrite: bool) -> dict[str, Any]:
    network = trained.integers
    if network is None:
        raise UserError(
            trained.lacking
            or f"{trained.name} is not quantized: --calibrate X.npy, some hundred samples, gives it 8 bits"
        )
    return write(network, folder, c_front_end_of(network), _origin_of(trained), with_tflite, overwrite)


def c_front_end_of(network: IntegerNetwork) -> CFrontEnd | None:
    """The front end of a keyword spotter on a device; None for a network that hears no sound.

    Raises UserError where network and front end do not go together.
    """
    if network.description.front_end is None:
        return None
    end, normalisation, _ = chain_of(network)
    (scale, *_), (offset, *_) = network.description.affine  # a matrix of features has one channel
    if scale <= 0:
        raise UserError(
            f"the network rescales its input by {scale:g}, and its front end on a device only by more than 0"
        )
    if (scale, offset) != (1, 0):
        normalisation = normalisation.rescaled(scale, offset)
    frames = on_device(network).input_shape[1]
    return CFrontEnd(replace(end, frames=frames), normalisation, network.input_fraction)


def origin(folder: Path) -> dict[str, Any]:
    """What an exported folder says of the network: `run`, its id, and `estimate`, the memory report; where known.

    Raises UserError where its build.json is not what `hybridq export` wrote.
    """
    try:
        build = json.loads((folder / BUILD).read_text())
        return {key: build[key] for key in ("run", "estimate") if key in build}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{folder / BUILD}: not what `hybridq export` wrote ({error})") from None


def _origin_of(trained: Trained) -> dict[str, Any]:
    """`run` and `estimate` of a network; the report is of its layers in 8 bits where the recipe left them in float."""
    if trained.bundle is None:
        return origin(Path(trained.name)) if Path(trained.name).is_dir() else {}
    recipe = trained.bundle.recipe
    plan = PrecisionPlan((*EVERYTHING.rules, *PrecisionPlan.from_data(recipe.get("precision", {})).rules))
    totals = profile(trained.bundle.folder / MODEL, recipe.get("target", DEFAULT_TARGET), plan, OWN).totals
    estimate = {"flash_bytes": totals.flash_bytes, "ram_bytes": totals.ram_bytes, "macc": totals.macc}
    return {"estimate": estimate} | ({"run": trained.run} if trained.run else {})
