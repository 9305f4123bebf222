"""What the Legendre memory units of recipes/zoo/lmu take on the device, as tables in Markdown: nothing is trained.

python tools/power_lmu.py

Each network is exported with the weights that it starts training with, the smallest of them pruned as its recipe says,
built, and run in the emulator: of the weights, sizes and instructions depend on the zeros alone. Power is instructions
times a rating in uW/MHz, as if each took one cycle: a lower bound. Ratings of the core and of the chip stand in tables
of their own.
"""

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from hybridq.image.verification import FLASH, RAM, STATES, WEIGHTS  # noqa: E402
from hybridq.integer.artefact import save_network  # noqa: E402
from hybridq.integer.convert import convert, settle  # noqa: E402
from hybridq.models import build_model  # noqa: E402
from hybridq.profiler.estimates import POWER  # noqa: E402
from hybridq.profiler.kbits import kbits  # noqa: E402
from hybridq.quantization.model import calibrated, quantize  # noqa: E402
from hybridq.recipe.file import load_recipe  # noqa: E402
from hybridq.recipe.schema import Recipe  # noqa: E402
from hybridq.runs.experiment import graph_of  # noqa: E402
from hybridq.runs.export import export  # noqa: E402
from hybridq.runs.model_folder import save_bundle  # noqa: E402
from hybridq.runs.verification import Verification  # noqa: E402
from hybridq.runs.verify import Examples, verify  # noqa: E402
from hybridq.speech.mfcc import FrontEnd  # noqa: E402
from hybridq.speech.normalisation import Normalisation  # noqa: E402
from hybridq.training.pruning import masked_kernels  # noqa: E402

LMU = ROOT / "recipes" / "zoo" / "lmu"
PRINTED_KBIT = {"lmu_1": 1683, "lmu_2": 361, "lmu_3": 105, "lmu_4": 49}
PRINTED_CYCLES = {"lmu_2": 17.24}  # millions for a second of audio, on a Cortex-M4F, by the source
CORE = (12.26, 6.88)  # uW/MHz of a Cortex-M4 core alone: Arm's datasheet, and Racyics and GlobalFoundries
CLASSES = 12
Rows = list[tuple[str, ...]]


@dataclass(frozen=True)
class Device:
    """A network on the device; instructions in millions for a second of audio."""

    recipe: Recipe
    found: Verification
    end: FrontEnd

    @property
    def frames(self) -> float:
        """In a second."""
        return self.end.sample_rate / self.end.hop

    @property
    def front_end(self) -> float:
        return self.frames * self.found.column_instructions / 1e6

    @property
    def network(self) -> float:
        return self.frames * self.found.classify_instructions / 1e6


def main() -> None:
    """Measure and print."""
    sizes: Rows = [("network", "kbit", "printed", "weights KiB", "flash KiB", "RAM KiB", "states B")]
    counts: Rows = [("network", "MACC a frame", "instructions a MACC", "network M", "front end M", "together M")]
    core: Rows = [("network", "M a second", *(f"{rating} uW/MHz" for rating in CORE))]
    low, high = POWER["stm32l496"].low, POWER["stm32l496"].high
    chip: Rows = [("network", "M a second", f"{low:.0f} uW/MHz (SMPS)", f"{high:.0f} uW/MHz (LDO)")]
    for name, printed in PRINTED_KBIT.items():
        device = measured(load_recipe(LMU / f"{name}.yaml"))
        recipe, found, label = device.recipe, device.found, name.upper().replace("_", "-")
        bytes_, macc = found.sizes, sum(layer.macc for layer in found.layers)
        kbit = kbits(graph_of(recipe), recipe.plan, recipe.training.prune.sparsity)
        in_kib = (f"{bytes_[key] / 1024:.1f}" for key in (f"flash: {WEIGHTS}", FLASH, RAM))
        sizes.append((label, f"{kbit:.0f}", str(printed), *in_kib, str(found.ram[STATES])))
        per_macc = f"{found.classify_instructions / macc:.2f}"
        together = device.network + device.front_end
        millions = [f"{count:.2f}" for count in (device.network, device.front_end, together)]
        counts.append((label, f"{macc:,}", per_macc, *millions))
        core.append((label, millions[2], *(f"{rating * together:.0f} uW" for rating in CORE)))
        chip.append((label, millions[2], *(f"{rating * together / 1e3:.2f} mW" for rating in (low, high))))
    for name, cycles in PRINTED_CYCLES.items():
        powers = (f"{rating * cycles:.0f} uW" for rating in CORE)
        core.append((f"{name.upper().replace('_', '-')}, printed cycles", f"{cycles}", *powers))
    for rows in (sizes, counts, core, chip):
        lines = [rows[0], ("---", *["--:"] * (len(rows[0]) - 1)), *rows[1:]]
        print("\n".join("| " + " | ".join(line) + " |" for line in lines), end="\n\n")


def measured(recipe: Recipe) -> Device:
    """The untrained network of a recipe, exported and verified. Raises UserError where compilers are missing."""
    end = FrontEnd.of(recipe.features)
    plain = build_model(recipe.model, end.shape, CLASSES)
    clips = np.random.default_rng(0).standard_normal((32, *end.shape, 1)).astype(np.float32)
    model = quantize(plain, recipe.plan, calibrated(plain, recipe.plan, clips))
    if recipe.training.prune.sparsity:
        with masked_kernels(model) as masks:
            masks.prune(recipe.training.prune.sparsity)
    settle(model)
    normalisation = Normalisation((0.0,) * end.coefficients, (30.0,) * end.coefficients)
    with tempfile.TemporaryDirectory() as place:
        labels = tuple(f"word {number}" for number in range(CLASSES))
        bundle = save_bundle(Path(place) / "model", model, labels, end, normalisation, recipe.resolved())
        file = Path(place) / "network.hqn"
        save_network(convert(bundle.model, bundle.description), file)
        export(str(file), Path(place) / "out")
        found = verify(Path(place) / "out", Examples(emulated=1))
    assert found.exact, f"{recipe.name}: the image does not compute what its network computes"
    return Device(recipe, found, end)


if __name__ == "__main__":
    main()
