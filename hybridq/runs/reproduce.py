"""A logged run, trained again from its recipe on the same data: is the result the same?

The data must be the same, by their digest. Other versions of the packages, another machine, another Keras backend or
another number of threads may change the last digits of the weights: what differs of these is named beside the verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hybridq.errors import UserError
from hybridq.recipe.file import load_recipe
from hybridq.recipe.schema import Recipe
from hybridq.runs.log import WEIGHTS
from hybridq.runs.model_folder import load_bundle, weights_digest
from hybridq.runs.run_recipe import BACKEND, THREADS
from hybridq.runs.sources import open_dataset
from hybridq.tracking.metrics import SCORES, first_of

if TYPE_CHECKING:
    from rich.console import RenderableType

    from hybridq.tracking import RunView, Store

MADE_WITH = (BACKEND, THREADS, "mlflow.source.git.commit", "commit.changed")  # and every version.*
SHOWN = (*SCORES["test"], *SCORES["validation"], "flash KiB", "RAM KiB", "MACC M", "training minutes")
MUST_AGREE = SHOWN[:-1]


@dataclass(frozen=True)
class Reproduction:
    """Two runs of one recipe; digests of the weights in hex."""

    first: RunView
    again: RunView
    weights: tuple[str, str]

    @property
    def same_weights(self) -> bool:
        """Whether the weights are equal to the last bit, by their digests."""
        return self.weights[0] == self.weights[1]

    @property
    def same(self) -> bool:
        """Whether the weights are equal to the last bit, or at least all figures are."""
        figures = [[run.metrics.get(name) for name in MUST_AGREE] for run in (self.first, self.again)]
        return self.same_weights or figures[0] == figures[1]

    @property
    def verdict(self) -> str:
        """The answer in words; where the accuracy differs, by how much and whether chance explains it."""
        if self.same_weights:
            return "the same: every weight, to the last bit"
        if self.same:
            return "the same figures, from other weights"
        before, now = (first_of(SCORES["test"], run.metrics) or float("nan") for run in (self.first, self.again))
        if "test accuracy low %" not in self.first.metrics:
            return f"not the same: {now - before:+.2f} points of R2"
        low, high = (self.first.metrics.get(f"test accuracy {end} %", float("nan")) for end in ("low", "high"))
        where = "within" if low <= now <= high else "outside"
        return f"not the same: {now - before:+.2f} points, {where} the first run's 95 % interval"

    def differences(self) -> dict[str, tuple[str, str]]:
        """What the runs were made with, where it differs: the first run's, this one's."""
        tags = self.first.tags, self.again.tags
        names = [name for name in {**tags[0], **tags[1]} if name in MADE_WITH or name.startswith("version.")]
        pairs = {name.removeprefix("mlflow.source.git."): tuple(each.get(name, "-") for each in tags) for name in names}
        return {name: (pair[0], pair[1]) for name, pair in sorted(pairs.items()) if pair[0] != pair[1]}

    def to_json(self) -> dict[str, Any]:
        """`{"schema": 1, "runs", "same", "same_weights", "verdict", "weights", "metrics", "differences"}`, in pairs."""
        pairs = {name: [run.metrics.get(name) for run in (self.first, self.again)] for name in SHOWN}
        return {
            "schema": 1,
            "runs": [self.first.id, self.again.id],
            "same": self.same,
            "same_weights": self.same_weights,
            "verdict": self.verdict,
            "weights": list(self.weights),
            "metrics": pairs,
            "differences": {name: list(pair) for name, pair in self.differences().items()},
        }

    def to_rich(self) -> RenderableType:
        """The figures of both runs, what differs in what they were made with, and the verdict, for a terminal."""
        from rich.box import SIMPLE_HEAD
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=SIMPLE_HEAD, padding=(0, 2, 0, 0), pad_edge=False)
        for heading in ("", f"run {self.first.id[:8]}", f"again: {self.again.id[:8]}"):
            table.add_column(heading, overflow="fold")
        for name in [name for name in SHOWN if name in self.first.metrics]:
            table.add_row(name, *(f"{run.metrics.get(name, float('nan')):.2f}" for run in (self.first, self.again)))
        table.add_row("weights, SHA-256", *(digest[:16] for digest in self.weights))
        for name, pair in self.differences().items():
            table.add_row(name, *pair)
        return Group(table, Text(f"{self.first.name}: {self.verdict}", style="bold" if self.same else "bold red"))


def logged_recipe(store: Store, id_or_name: str, overrides: Sequence[str] = ()) -> tuple[RunView, Recipe]:
    """A finished run and its recipe, ready to be trained again; `overrides` may say where the data is now.

    Raises UserError where the run is not finished, or the data is not what it was trained on.
    """
    view = store.find(id_or_name)
    if view.status != "FINISHED" or first_of(SCORES["test"], view.metrics) is None:
        raise UserError(f"run {view.id[:8]} ({view.name}) has no result to reproduce: it is {view.status.lower()}")
    recipe = load_recipe(store.download(view.id, "recipe.yaml"), overrides)
    data = open_dataset(recipe)
    logged = view.tags.get("data.digest", "none")
    if data.digest != logged:
        raise UserError(
            f"{data.place}: not the {data.unit} that run {view.id[:8]} was trained on (digest {data.digest[:12]},"
            f" logged {logged[:12]}); --data says where they are"
        )
    return view, recipe


def reproduction(store: Store, first: RunView, again: str) -> Reproduction:
    """The comparison of a run with the run that reproduced it."""
    view = store.find(again)
    return Reproduction(first, view, (_weights(store, first), _weights(store, view)))


def _weights(store: Store, view: RunView) -> str:
    return view.tags.get(WEIGHTS) or weights_digest(load_bundle(store.download(view.id, "model")).model)
