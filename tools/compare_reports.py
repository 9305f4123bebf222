"""Our figures beside those of published X-CUBE-AI reports on the same models, as a Markdown table.

python tools/compare_reports.py FOLDER      (with pairs.json: a list of reports, and the models that they are on)
"""

import argparse
import json
from pathlib import Path

from hybridq.errors import UserError
from hybridq.profiler import profile
from hybridq.profiler.accounting import MODES

FIGURES = {"macc": "macc", "weights": "weights_ro", "activations": "activations_rw", "RAM": "ram_total"}
OURS = {"macc": "macc", "weights": "weights_bytes", "activations": "activations_bytes", "RAM": "ram_bytes"}


def main() -> None:
    """One row a report: how far each of our figures is off; then how many are exact."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    print("| model | kind | tool | " + " | ".join(FIGURES) + " |\n|---|---|---|" + "--:|" * len(FIGURES))
    exact = dict.fromkeys(FIGURES, 0)
    pairs = json.loads((folder / "pairs.json").read_text())
    for pair in pairs:
        cells = []
        try:
            totals = profile(folder / pair["model"], accounting=accounting(pair)).to_json()["totals"]
        except UserError as error:
            cells = [f"not read: {error}"]
        else:
            for figure, key in FIGURES.items():
                off = totals[OURS[figure]] - pair[key]
                exact[figure] += not off
                cells.append("exact" if not off else f"{off:+,} of {pair[key]:,}")
        name, kind = Path(pair["model"]).name.split("__")[0].replace("+", "/"), Path(pair["model"]).suffix[1:]
        kind += f", {pair['model_fmt']}" if pair["model_fmt"] else ""
        print(f"| {name} | {kind} | {pair['version']} | " + " | ".join(cells) + " |")
    print(f"\nExact: {', '.join(f'{figure} {count} of {len(pairs)}' for figure, count in exact.items())}.")


def accounting(pair: dict[str, str]) -> str:
    """The name of the rules by which a report counts."""
    version = ".".join(pair["version"].lstrip("v").split(".")[:2])
    mode = pair["optimization"]
    return f"x-cube-ai:{version}" + (f":{mode}" if mode in MODES else "")


if __name__ == "__main__":
    main()
