"""Runs as the laboratory logs them, without the training: real recipes, a real store, made-up figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hybridq.errors import UserError
from hybridq.recipe.file import load_recipe
from hybridq.settings.yamlfile import to_yaml
from hybridq.tracking import Store
from hybridq.training.evaluation import Evaluation

PAPER = Path(__file__).resolve().parent.parent / "recipes" / "paper"
WORDS = ("yes", "no", "up", "down")
BITS = {"fp32": ("float32", "float32", 4), "int8": ("8-bit", "8-bit", 1), "hybrid": ("8-bit", "binary", 0.125)}


def evaluation(wrong: int) -> Evaluation:
    """Of 100 clips a word, so many taken for the next word."""
    confusion = (100 - wrong) * np.eye(4, dtype=np.int64) + wrong * np.roll(np.eye(4, dtype=np.int64), 1, axis=1)
    return Evaluation(WORDS, confusion)


def profile(network: str) -> dict[str, Any]:
    conv, dense, each = BITS[network]
    layers = [("conv2d_5", conv, int(36_928 * max(each, 1))), ("dense", dense, int(49_152 * each)), ("softmax", "", 0)]
    total = sum(size for _, _, size in layers)
    target = {
        "label": "STM32L496",
        "flash_bytes": 2**20,
        "ram_bytes": 320 * 1024,
        "core": "Cortex-M4F",
        "clock_mhz": 80,
    }
    return {
        "target": target,
        "totals": {"flash_bytes": total},
        "layers": [
            {
                "name": name,
                "weights_bytes": size,
                "flash_share": 100 * size / total,
                "precision": {"weights": bits} if bits else None,
            }
            for name, bits, size in layers
        ],
    }


def log(
    store: Store,
    network: str = "fp32",
    seed: int = 0,
    *,
    parent: str | None = None,
    settings: tuple[str, ...] = (),
    failure: str = "",
    synthetic: bool = False,
    without: tuple[str, ...] = (),
) -> str:
    """Log one run of a recipe of the paper; with a failure it ends there. Returns its id."""
    recipe = load_recipe(PAPER / f"{network}.yaml", [f"training.seed={seed}", *settings])
    published = recipe.published.model_dump(exclude_none=True) if recipe.published else {}
    tags = {"recipe": recipe.name} | {f"published.{key}": str(value) for key, value in published.items()}
    name = f"{network} seed {seed}" if seed else network
    run = store.start_run(name, params=recipe.flat(), tags=tags, parent=parent)
    clips = {"training": 1600, "validation": 200, "test": 400}
    run.dataset("clips", "d1" * 16, "/data/clips", words=WORDS, synthetic=synthetic, clips=clips)
    if failure:
        run.close(UserError(failure))
        return run.id
    result, cost = evaluation(7 - list(BITS).index(network) + seed), profile(network)
    for epoch in range(1, 6):
        run.metrics({"training loss": 2 / epoch, "validation accuracy %": 95 - 40 / epoch + seed}, step=epoch)
    run.metrics(
        {
            "test accuracy %": result.accuracy,
            "test accuracy low %": result.interval[0],
            "test accuracy high %": result.interval[1],
            "flash KiB": cost["totals"]["flash_bytes"] / 1024,
            "flash share %": 100 * cost["totals"]["flash_bytes"] / 2**20,
            "RAM KiB": 130.7,
            "fits": 1.0,
            "training minutes": 2.5 + seed,
        }
    )
    for path, data in (("evaluation.json", result.to_json()), ("profile.json", cost)):
        if path not in without:
            run.json(path, data)
    if "recipe.yaml" not in without:
        run.text("recipe.yaml", to_yaml(recipe.resolved()))
    run.close()
    return run.id
