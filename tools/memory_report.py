#!/usr/bin/env python3
"""Where the flash, RAM and MACC of a Keras model go: `tools/memory_report.py model.keras --target stm32l496`.

The model is read as data: TensorFlow is not needed, and no code of the file runs.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from hybridq.errors import UserError
from hybridq.graph import Graph, read_graph
from hybridq.precision import PrecisionPlan
from hybridq.profiler import TARGETS, Profile, profile, standard_plans

FORMATS = ("table", "json", "csv", "markdown")


def main() -> int:
    """Parse, report, print; returns the exit status."""
    parser = argparse.ArgumentParser(description="Where the flash, RAM and MACC of a Keras model go, layer by layer.")
    parser.add_argument("model", help="a .keras file")
    parser.add_argument("--target", default="stm32l496", help=f"one of {', '.join(TARGETS)}")
    parser.add_argument("--format", default="table", choices=FORMATS)
    parser.add_argument(
        "--plan",
        help="what the weights would be: int8, hybrid, or a YAML file with a 'precision' mapping (a recipe)",
    )
    arguments = parser.parse_args()
    try:
        graph = read_graph(arguments.model)
        plan = _plan(arguments.plan, graph) if arguments.plan else None
        _print(profile(graph, arguments.target, plan), arguments.format)
    except UserError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _plan(text: str, graph: Graph) -> PrecisionPlan:
    """The plan of that name, or the `precision` of that YAML file, or the file itself as a plan."""
    standard = standard_plans(graph)
    if text in standard:
        return standard[text]
    from hybridq.yamlfile import read_yaml

    data = read_yaml(Path(text)).plain()
    if "extends" in data:
        from hybridq.recipe import load_recipe

        data = load_recipe(Path(text)).resolved()
    given = data.get("precision", {} if "model" in data or "training" in data else data)
    if not isinstance(given, dict):
        raise UserError(f"{text}: precision must map layer names to precisions")
    return PrecisionPlan.from_data(given)


def _print(report: Profile, style: str) -> None:
    if style == "table":
        from rich.console import Console

        Console(width=None if sys.stdout.isatty() else 100).print(report.to_rich())
        return
    texts = {
        "json": lambda: json.dumps(report.to_json(), indent=2),
        "csv": report.to_csv,
        "markdown": report.to_markdown,
    }
    print(texts[style]().rstrip("\n"))


if __name__ == "__main__":
    sys.exit(main())
