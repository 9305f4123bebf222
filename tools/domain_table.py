"""Networks on data of one's own as a table in Markdown: what they score, and what their images take.

    python tools/domain_table.py RECIPE... [--inputs 200] [--model FILE]

Trained before by `hybridq sweep RECIPE... --seeds 0,1,2`, in ./mlruns or at MLFLOW_TRACKING_URI. A row holds the
mean of a network's runs over the seeds, with the standard deviation: in integers where it is quantized. The image is
that of the first seed; it is built, run on this machine and on the emulated board with the first test inputs, and
compared with the integer network to the last bit. The first recipe is a float one: it stands a second time as "8-bit
after training", calibrated with 400 training inputs. With --model so does a model file as it came, before training.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hybridq
from hybridq.data.samples import Samples
from hybridq.errors import UserError
from hybridq.quantization.load_model import load_model
from hybridq.recipe.file import load_recipe
from hybridq.results.compare import has_result
from hybridq.runs.load_network import NETWORK_DIGEST, find_trained
from hybridq.runs.sources import open_dataset
from hybridq.tracking import RunView, Store, open_store
from hybridq.training.evaluation import evaluated

CALIBRATION = 400
EIGHT_BITS = {"*": {"weights": "8-bit", "outputs": "8-bit"}}
SCORES = ("test accuracy %", "test R2 %")
HEAD = ("network", "score %", "seeds", "flash B", "RAM B", "instructions", "MACC", "host", "board")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="+", type=Path)
    parser.add_argument("--inputs", type=int, default=200, help="how many test inputs each image is tried on")
    parser.add_argument("--model", type=Path, help="a model file as it came")
    asked = parser.parse_args()
    recipes = [load_recipe(path) for path in asked.recipes]
    data = open_dataset(recipes[0])
    if not isinstance(data, Samples):
        raise UserError(f"{asked.recipes[0]}: is on sound; this table is of other data")
    store, table = open_store(make=False), Table(data, asked.inputs)
    print("| " + " | ".join(HEAD) + " |\n|---|" + "--:|" * (len(HEAD) - 1))
    if asked.model:
        model = load_model(asked.model)
        table.line(f"{asked.model.name}, float", [table.score(model.predict(table.read, verbose=0))])
        table.after_training(f"{asked.model.name}, 8-bit after training", [model])
    for number, recipe in enumerate(recipes):
        runs = runs_of(store, recipe.name)
        if NETWORK_DIGEST in runs[0].tags:
            network = find_trained(runs[0].id, store).integers
            assert network is not None
            table.line(recipe.name, [score(run) for run in runs], hybridq.Network(network), table.raw)
            continue
        table.line(recipe.name, [score(run) for run in runs])
        if number == 0:
            bundles = [find_trained(run.id, store).bundle for run in runs]
            table.after_training(f"{recipe.name}, 8-bit after training", [one.model for one in bundles if one])


def runs_of(store: Store, name: str) -> list[RunView]:
    """The finished runs of a recipe, the last one of each seed, by seed."""
    runs = [run for run in store.runs() if run.tags.get("recipe") == name and has_result(run)]
    by_seed = {int(run.params["training.seed"]): run for run in sorted(runs, key=lambda run: run.started)}
    if not by_seed:
        raise UserError(f"{name}: no finished run; `hybridq sweep` it first")
    return [by_seed[seed] for seed in sorted(by_seed)]


def score(run: RunView) -> float:
    """In percent, that of the integer network where there is one."""
    named = [f"{begin}{name}" for begin in ("integer ", "") for name in SCORES]
    return next(run.metrics[name] for name in named if name in run.metrics)


class Table:
    """Rows of networks on one data set; `raw` are its test inputs as they are, `read` as a network reads them."""

    def __init__(self, data: Samples, count: int) -> None:
        self.data, self.count = data, count
        self.raw = data.splits["test"].chosen(slice(None))
        self.read, self.truth = data.inputs("test")

    def line(
        self, name: str, scores: Sequence[float], network: hybridq.Network | None = None, inputs: Any = None
    ) -> None:
        """Print a row; with an integer network, which takes such inputs, also of its image."""
        spread = f" ± {statistics.stdev(scores):.1f}" if len(scores) > 1 else ""
        cells = [name, f"{statistics.fmean(scores):.1f}{spread}", str(len(scores))]
        cells += self.image(network, inputs) if network else ["-"] * (len(HEAD) - len(cells))
        print("| " + " | ".join(cells) + " |", flush=True)

    def image(self, network: hybridq.Network, inputs: Any) -> list[str]:
        """What the image takes, and whether it computes what the network does."""
        with tempfile.TemporaryDirectory() as folder:
            network.export(Path(folder) / "image")
            image = hybridq.verify(Path(folder) / "image", inputs[: self.count])
        counts = sum(image.flash.values()), sum(image.ram.values()), image.classify_instructions
        macc = sum(layer.macc for layer in image.layers)
        return [*(f"{count:,}" for count in (*counts, macc)), str(image.host), str(image.board)]

    def score(self, outputs: Any) -> float:
        """Of a network's answers to the test inputs, in percent."""
        return evaluated(self.data.task, outputs, self.read, self.truth, self.data.labels).score

    def after_training(self, name: str, models: Sequence[Any]) -> None:
        """Print the row of float models that are put on grids of 8 bits, and not trained on."""
        inputs = self.data.calibration(CALIBRATION)
        quantized = [hybridq.quantize(model, EIGHT_BITS, calibrate=inputs) for model in models]
        networks = [hybridq.convert(model) for model in quantized]
        self.line(name, [self.score(one.predict(self.read)) for one in networks], networks[0], self.read)


if __name__ == "__main__":
    main()
