"""The recipe: one experiment as data. What may stand in the file is what these classes say, and nothing else.

The same six lines are enough for a new experiment::

    name: smaller
    extends: paper/fp32.yaml        # everything else as there
    model:
      filters: [8, 8, 16, 16, 32, 32]
    training:
      epochs: 20
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, PrivateAttr, SerializeAsAny, ValidationInfo, field_validator

from hybridq.data.settings import OWN_DATA, DataSection, OwnData
from hybridq.data.task import Task
from hybridq.errors import UserError, plain
from hybridq.models.config import NetworkConfig, ReferenceConfig
from hybridq.models.own import OWN_NETWORKS
from hybridq.precision import PrecisionPlan
from hybridq.profiler import accounting, targets
from hybridq.recipe.sections import Published, SearchAxis, TrainingSection
from hybridq.recipe.text import leaves, names, one_line
from hybridq.settings.section import Section
from hybridq.settings.tree import Node, Override, dotted, shown
from hybridq.settings.validation import fault
from hybridq.speech.settings import (
    SOURCES,
    DataSettings,
    DecisionSettings,
    FeatureSettings,
)
from hybridq.training.settings import TrainingSettings

SECTIONS = ("data", "features", "model", "precision", "training")  # what decides a result
DEFAULTS = 1  # raised where a default of one of them changes its value: a recipe silent about it then means another
# Keys that name other recipes, which are trained first; all agree on the features and on this section.
REFERENCES = {"start_from": "model", "teacher": "data"}
DATA: tuple[type[DataSection], ...] = (*OWN_DATA.values(), DataSettings)  # the forms of the section `data`
# Keys whose values are paths, relative to the file in which they stand.
FILES = (
    *(("data", kind.PLACE) for kind in DATA),
    *(("model", key) for key in OWN_NETWORKS),
)


class Recipe(Section):
    """A whole recipe, every value filled in. Read one with `file.load_recipe`."""

    name: str = Field(description="name of the run; the file's own name if not given")
    description: str | None = Field(default=None, description="a line on what the experiment is for")
    extends: str | None = Field(
        default=None,
        exclude=True,
        description="recipe whose values hold where this one is silent, relative to this file",
    )
    start_from: str | None = Field(
        default=None,
        description="recipe whose trained weights to start from, relative to this file; null: none",
    )
    teacher: str | dict[str, Any] | list[str | dict[str, Any]] | None = Field(
        default=None,
        description="recipe whose trained network gives the training targets (distillation), relative to this file; "
        "{recipe: FILE, seeds: [0, 1, 2]}, or a list of either, for the mean of several",
    )
    task: Task = Field(
        default=Task.CLASSIFY,
        strict=False,
        description="what is learnt: the class of an example, numbers, or the input itself (an autoencoder)",
    )
    data: SerializeAsAny[DataSection] = Field(default=DataSettings(), description="what to train on")
    features: FeatureSettings = Field(default=FeatureSettings(), description="the front end of a network for sound")
    model: SerializeAsAny[NetworkConfig] = Field(
        default=ReferenceConfig(), description="the network and its own settings"
    )
    precision: dict[str, Any] = Field(
        default={},
        description="layer-name pattern to precision, the last match wins; other layers stay float32",
    )
    training: SerializeAsAny[TrainingSettings] = Field(
        default=TrainingSection(), description="how the network is fitted"
    )
    decision: DecisionSettings = Field(default=DecisionSettings(), description="when a command is acted upon")
    target: str = Field(default="stm32l496", min_length=1, description="the board that sizes are measured against")
    accounting: str = Field(
        default=accounting.NAME,
        description="how MACC, flash and RAM are counted: x-cube-ai (its newest version), x-cube-ai:5.2 (that version) "
        "or packed (the image that `hybridq export` makes)",
    )
    published: Published | None = Field(default=None, description="published figures to show beside the run's own")

    sweep: dict[str, list[Any]] | list[dict[str, Any]] | None = Field(
        default=None,
        exclude=True,
        description="for `hybridq sweep`: keys with a list of values each, every combination a run; or a list of runs",
    )

    search: dict[str, SearchAxis] | None = Field(
        default=None,
        exclude=True,
        description="for `hybridq search --trials`: keys, and which values of each to try",
    )

    _path: Path = PrivateAttr(default=Path())
    _tree: Node = PrivateAttr(default=Node({}, ""))
    _variants: Sequence[Sequence[Override]] = PrivateAttr(default=())
    _references: Mapping[str, tuple[Recipe, ...]] = PrivateAttr(default={})

    def read_from(
        self,
        path: Path,
        references: Mapping[str, tuple[Recipe, ...]],
        variants: Sequence[Sequence[Override]],
        tree: Node,
    ) -> Recipe:
        """A copy that knows its file, the places in it, and what of it became other recipes and runs."""
        placed = self.with_references(references)
        placed._path, placed._variants, placed._tree = path, variants, tree
        return placed

    def with_references(self, references: Mapping[str, tuple[Recipe, ...]]) -> Recipe:
        """A copy that starts from these recipes, or is taught by them."""
        referring = self.model_copy()
        referring._references = references
        return referring

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        if not re.fullmatch(r"\w[^/\\]{0,99}", name) or plain(name) != name:
            raise fault(f"must start with a letter or digit and have no slash (is {shown(name)})")
        return name

    @field_validator("target", "accounting")
    @classmethod
    def _is_known(cls, name: str, about: ValidationInfo) -> str:
        try:
            if about.field_name == "target":
                targets.target(name)
            else:
                accounting.accounting(name)
        except UserError as error:  # now, not after an hour of training
            raise fault(str(error)) from None
        return name

    @property
    def path(self) -> Path:
        """The file it was read from."""
        return self._path

    @property
    def references(self) -> Mapping[str, tuple[Recipe, ...]]:
        """The recipes that must be trained first, by the keys that name them: `start_from`, `teacher`."""
        return self._references

    @property
    def variants(self) -> Sequence[Sequence[Override]]:
        """The settings of each run that its `sweep` section asks for; none without one."""
        return self._variants

    def where(self, *key: str) -> str:
        """File and line of a key, or of the deepest section on the way to it that is given."""
        return self._tree.where(key)

    @property
    def parent(self) -> Recipe | None:
        """The recipe whose trained weights this one starts from."""
        return next(iter(self._references.get("start_from", ())), None)

    @property
    def tutors(self) -> tuple[Recipe, ...]:
        """The recipes of the networks that this one is taught by (`teacher` in the file)."""
        return self._references.get("teacher", ())

    @property
    def needed(self) -> list[Recipe]:
        """All recipes that must be trained first, those included that they need themselves; several times, as named."""
        others = [other for several in self._references.values() for other in several]
        return [one for other in others for one in (other, *other.needed)]

    @property
    def hears_voices(self) -> bool:
        """Whether synthetic voices are in its training, or in that of a network it starts from or is taught by."""
        return any(getattr(recipe.training, "hears_voices", False) for recipe in (self, *self.needed))

    @property
    def plan(self) -> PrecisionPlan:
        """The precision of each layer."""
        return PrecisionPlan.from_data(self.precision)

    def brief(self, epochs: int) -> Recipe:
        """A copy with at most so many epochs, for itself and for the recipe that it starts from."""
        training = self.training.model_copy(update={"epochs": min(epochs, self.training.epochs)})
        shorter = self.model_copy(update={"training": training})
        if self.parent is None:
            return shorter
        return shorter.with_references({**self._references, "start_from": (self.parent.brief(epochs),)})

    @property
    def own_data(self) -> OwnData | None:
        """Its data where that is no sound."""
        return self.data if isinstance(self.data, OwnData) else None

    def check_references(self) -> None:
        """Raise UserError where a recipe that this one starts from, or is taught by, does not go together with it."""
        for key, other in [(key, other) for key, others in self._references.items() for other in others]:
            same = REFERENCES[key]
            if other.features != self.features or getattr(other, same) != getattr(self, same):
                raise UserError(f"{self.name}: {key} needs the same features and the same {same} as {other.name}")
            if other.task != self.task:
                raise UserError(f"{self.name}: {key} needs the same task as {other.name}")
            if _negatives(other) != _negatives(self):
                raise UserError(f"{self.name}: {key} needs the same data.silence and data.unknown as {other.name}")
            other.check_references()

    def resolved(self) -> dict[str, Any]:
        """All values as plain data: saved as YAML it is a recipe that needs no other recipe file.

        The start recipe and the teachers stand in it whole, and files and folders with their absolute paths.
        """
        values = self.model_dump(mode="json", exclude=self._not_meant)
        values = {key: value for key, value in values.items() if value is not None}
        values["precision"] = self.plan.to_data()
        for section, key in FILES:
            text = values[section].get(key)
            if text is not None and (key != "source" or text not in SOURCES):
                values[section][key] = os.path.abspath(text)
        for key, others in self._references.items():
            whole = [recipe.resolved() for recipe in others]
            values[key] = whole if len(whole) > 1 else whole[0]
        return values

    @property
    def _not_meant(self) -> set[str]:
        """The sections that say nothing about this recipe's run."""
        return {"features", "decision"} if self.own_data else set()

    def flat(self) -> dict[str, str]:
        """The values as text under dotted keys, for a table of parameters; no prose, no published figures."""
        without = {"description", "published", "precision", *self._not_meant}
        if self.task is Task.CLASSIFY:  # as it was before there were others: runs of then and now make one row
            without.add("task")
        shown_sections = self.model_dump(mode="json", exclude=without)
        texts = {dotted(key): text for key, text in leaves(shown_sections, ())}
        texts["precision"] = one_line(self.plan)
        return texts | {
            key: names((one.name, one.training.seed) for one in others) for key, others in self._references.items()
        }

    def digest(self) -> str:
        """SHA-256 (hex) of what decides the result, the start recipe and the teachers included.

        Not in it: name, description, published figures, target, accounting, decision, and paths. The data set has a
        digest of its own, and of a network's file it is the content that counts. Raises UserError where that is not
        there.
        """
        # Defaults are left out: a key that a later version adds changes no digest, so finished runs are found again.
        include = {"task", *SECTIONS}
        decides: dict[str, Any] = self.model_dump(mode="json", include=include, exclude_defaults=True)
        decides["data"] = {key: value for key, value in decides.get("data", {}).items() if key != self.data.PLACE}
        try:
            decides["model"] = decides.get("model", {}) | {"name": self.model.name} | self.model.content()
        except UserError as error:
            raise UserError(f"{self.where('model')}: {error}") from None
        decides["defaults"] = DEFAULTS
        decides["precision"] = list(self.plan.to_data().items())  # a list, since the order of rules matters
        decides |= {key: [recipe.digest() for recipe in others] for key, others in self._references.items()}
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


def _negatives(recipe: Recipe) -> tuple[str, ...]:
    """The classes besides the words; none where there are no words."""
    return recipe.data.negatives if isinstance(recipe.data, DataSettings) else ()
