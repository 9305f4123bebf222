"""Puts the trained network of a run into the package, as `pretrained:NAME`.

python tools/ship_network.py RUN NAME

RUN is in ./mlruns or at MLFLOW_TRACKING_URI. What is written: its integer network, its recipe with everything filled
in, and what it scored (hybridq/pretrained). The recipe names the public archive in the place of a folder of clips.
"""

import argparse
import json
import shutil
from typing import Any

from ruamel.yaml import YAML

from hybridq.errors import UserError
from hybridq.integer.artefact import NETWORK, SUFFIX
from hybridq.pretrained import FOLDER, INDEX, networks
from hybridq.runs.load_network import NETWORK_DIGEST
from hybridq.settings.yamlfile import to_yaml
from hybridq.tracking import open_store

ARCHIVE = "v0.02"
FIGURES = {
    "accuracy": "test accuracy %",
    "interval_low": "test accuracy low %",
    "interval_high": "test accuracy high %",
    "flash_kib": "flash KiB",
    "ram_kib": "RAM KiB",
    "macc_m": "MACC M",
}


def main() -> None:
    """Copy the network and its recipe, and note its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("name")
    asked = parser.parse_args()
    store = open_store(make=False)
    view = store.find(asked.run)
    if NETWORK_DIGEST not in view.tags:
        raise UserError(f"{asked.run}: the run has no integer network")
    shutil.copyfile(store.download(view.id, NETWORK), FOLDER / f"{asked.name}{SUFFIX}")
    recipe = YAML(typ="safe").load(store.download(view.id, "recipe.yaml"))
    words = [word for word in view.tags["data.words"].split() if not word.startswith("_")]
    name_archive(recipe, words)
    (FOLDER / f"{asked.name}.yaml").write_text(to_yaml(recipe))
    said = {
        "sha256": view.tags[NETWORK_DIGEST],
        "recipe": view.tags["recipe"],
        "seed": int(view.params["training.seed"]),
        "data": view.tags["data.name"],
        "data_digest": view.tags["data.digest"],
        **{key: round(view.metrics[metric], 2) for key, metric in FIGURES.items()},
    }
    INDEX.write_text(json.dumps(dict(sorted((networks() | {asked.name: said}).items())), indent=1) + "\n")
    print(f"pretrained:{asked.name}: {json.dumps(said)}")


def name_archive(recipe: Any, words: list[str]) -> None:
    """In a recipe and those inside it: the public archive in the place of a folder, and the words it was trained on."""
    if isinstance(recipe, dict):
        if isinstance(recipe.get("data"), dict):
            recipe["data"] |= {"source": ARCHIVE, "words": words}
        for part in recipe.values():
            name_archive(part, words)
    elif isinstance(recipe, list):
        for part in recipe:
            name_archive(part, words)


if __name__ == "__main__":
    main()
