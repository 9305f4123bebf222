"""The finished runs of a sweep, each with what it logged."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hybridq.errors import UserError
from hybridq.results.diff import recipe_of
from hybridq.tracking.metrics import SCORES

if TYPE_CHECKING:
    from hybridq.tracking import RunView, Store

CURVE, LOSS = "validation accuracy %", "validation loss"  # by epoch; the loss where there are no classes


@dataclass(frozen=True)
class Member:
    """A finished run of the sweep, with what it logged; None for what is not there."""

    run: RunView
    evaluation: Mapping[str, Any] | None
    profile: Mapping[str, Any] | None
    recipe: Mapping[str, Any] | None
    curve: Sequence[tuple[int, float]]
    clips: Mapping[str, int]

    @property
    def missing(self) -> list[str]:
        """What the run should have logged, and has not."""
        parts = {
            "evaluation.json": self.evaluation,
            "profile.json": self.profile,
            "recipe.yaml": self.recipe,
            "its learning curve": self.curve,
        }
        return [name for name, part in parts.items() if not part]

    @property
    def has_classes(self) -> bool:
        """Whether it is measured by its accuracy."""
        return SCORES["test"][0] in self.run.metrics

    @property
    def minutes(self) -> float | None:
        """From its start to its end, data and evaluation included."""
        return (self.run.ended - self.run.started).total_seconds() / 60 if self.run.ended else None


def member_of(store: Store, run: RunView) -> Member:
    """A finished run with what the store has of it."""
    return Member(
        run=run,
        evaluation=_json(store, run, "evaluation.json"),
        profile=_json(store, run, "profile.json", "layers", "target"),
        recipe=recipe_of(store, run),
        curve=store.history(run.id, CURVE if SCORES["test"][0] in run.metrics else LOSS),
        clips=store.clips(run.id),
    )


def _json(store: Store, run: RunView, name: str, *keys: str) -> Mapping[str, Any] | None:
    try:
        data = json.loads(store.download(run.id, name).read_text(encoding="utf-8"))
    except (UserError, OSError, ValueError):  # not there, or not whole
        return None
    return data if isinstance(data, dict) and all(key in data for key in keys) else None
