"""What a second of a stream costs each network: all computed, and with the columns kept that an earlier inference has.

python tools/stream_cost.py [--every N] [RECIPE ...]      (default: the pretrained networks and those of recipes/zoo)

A table in Markdown, of MACC as `hybridq profile` counts them; nothing is trained.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from hybridq.errors import UserError  # noqa: E402
from hybridq.recipe.file import load_recipe  # noqa: E402
from hybridq.runs.experiment import graph_of  # noqa: E402
from hybridq.speech.mfcc import FrontEnd  # noqa: E402
from hybridq.streaming.reuse import reuse  # noqa: E402

ZOO = ROOT / "recipes" / "zoo"
DEFAULT = (
    *sorted((ROOT / "hybridq" / "pretrained").glob("*.yaml")),
    *sorted((ZOO / "hello-edge").glob("*_s.yaml")),
    *sorted(ZOO.glob("*.yaml")),
    ZOO / "lmu" / "lmu_1.yaml",
    ZOO / "lmu" / "lmu_2.yaml",
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="*", type=Path, metavar="RECIPE", default=DEFAULT)
    parser.add_argument("--every", type=int, metavar="N", help="columns from one inference to the next")
    given = parser.parse_args()
    print("| network | inferences a second | MACC M, all computed | columns kept | of the convolutions kept |")
    print("|---|--:|--:|--:|--:|")
    for path in given.recipes:
        recipe = load_recipe(path)
        found = reuse(graph_of(recipe), FrontEnd.of(recipe.features), given.every or recipe.decision.every).to_json()
        convolutions = any(layer["convolution"] for layer in found["layers"])
        share = f"{found['convolutions_reused_percent']:.0f} %" if convolutions else "-"
        print(
            f"| `{recipe.name}` | {found['inferences_per_second']:.1f} | {found['macc_per_second'] / 1e6:.1f} "
            f"| {found['macc_per_second_kept'] / 1e6:.1f} | {share} |"
        )


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
