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

from hybridq.errors import UserError
from hybridq.models.config import DEFAULT_NETWORK, NetworkConfig, ReferenceConfig, Section, config_type
from hybridq.precision import PrecisionPlan
from hybridq.profiler import accounting, targets
from hybridq.settings import (
    SOURCES,
    AugmentSettings,
    DataSettings,
    FeatureSettings,
    Published,
    TrainingSettings,
)
from hybridq.validation import Fault, check, fault, keys, refuse
from hybridq.variants import variants_of
from hybridq.yamlfile import (
    Key,
    Node,
    Override,
    circle,
    dotted,
    merge,
    node_of,
    parse_override,
    read_yaml,
    resolve_path,
    shown,
)

__all__ = [
    "AugmentSettings",
    "DataSettings",
    "FeatureSettings",
    "Published",
    "Recipe",
    "TrainingSettings",
    "linked",
    "load_recipe",
    "load_variants",
    "recipe_of",
]

OWN = ("name", "description", "sweep")  # what `extends` does not hand on
SECTIONS = ("data", "features", "model", "precision", "training")  # what decides a result
SHARED = ("data", "features")  # settings of these reach the start recipe and the teacher too
# Keys that name another recipe, which is trained first; the two agree on the features and on this section.
REFERENCES = {"start_from": "model", "teacher": "data"}


class Recipe(Section):
    """A whole recipe, every value filled in. Read one with `load_recipe`."""

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
    teacher: str | None = Field(
        default=None,
        description="recipe whose trained network gives the training targets (distillation), relative to this file",
    )
    data: DataSettings = Field(default=DataSettings(), description="which clips and words")
    features: FeatureSettings = Field(default=FeatureSettings(), description="the front end")
    model: SerializeAsAny[NetworkConfig] = Field(
        default=ReferenceConfig(), description="the network and its own settings"
    )
    precision: dict[str, Any] = Field(
        default={},
        description="layer-name pattern to precision, the last match wins; other layers stay float32",
    )
    training: TrainingSettings = Field(default=TrainingSettings(), description="how the network is fitted")
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

    _path: Path = PrivateAttr(default=Path())
    _variants: list[list[Override]] = PrivateAttr(default=[])
    _references: dict[str, Recipe] = PrivateAttr(default={})

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        if not re.fullmatch(r"\w[^/\\\x00-\x1f]{0,99}", name):
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
    def references(self) -> Mapping[str, Recipe]:
        """The recipes that must be trained first, by the keys that name them: `start_from`, `teacher`."""
        return self._references

    @property
    def variants(self) -> Sequence[Sequence[Override]]:
        """The settings of each run that its `sweep` section asks for; none without one."""
        return self._variants

    @property
    def parent(self) -> Recipe | None:
        """The recipe whose trained weights this one starts from."""
        return self._references.get("start_from")

    @property
    def tutor(self) -> Recipe | None:
        """The recipe of the network that this one is taught by (`teacher` in the file)."""
        return self._references.get("teacher")

    @property
    def plan(self) -> PrecisionPlan:
        """The precision of each layer."""
        return PrecisionPlan.from_data(self.precision)

    def check_references(self) -> None:
        """Raise UserError where a recipe that this one starts from, or is taught by, does not go together with it."""
        for key, other in self._references.items():
            same = REFERENCES[key]
            if other.features != self.features or getattr(other, same) != getattr(self, same):
                raise UserError(f"{self.name}: {key} needs the same features and the same {same} as {other.name}")
            other.check_references()

    def resolved(self) -> dict[str, Any]:
        """All values as plain data: saved as YAML it is a recipe that needs no other recipe file.

        The start recipe and the teacher stand in it whole, and a folder of clips with its absolute path.
        """
        found = self.model_dump(mode="json")
        found = {key: value for key, value in found.items() if value is not None}
        found["precision"] = self.plan.to_data()
        if self.data.source not in SOURCES:
            found["data"]["source"] = os.path.abspath(self.data.source)
        return found | {key: recipe.resolved() for key, recipe in self._references.items()}

    def flat(self) -> dict[str, str]:
        """The values as text under dotted keys, for a table of parameters; no prose, no published figures."""
        shown_sections = self.model_dump(mode="json", exclude={"description", "published", "precision"})
        found = {dotted(key): text for key, text in _leaves(shown_sections, ())}
        found["precision"] = _one_line(self.plan)
        return found | {key: recipe.name for key, recipe in self._references.items()}

    def digest(self) -> str:
        """SHA-256 (hex) of what decides the result, the start recipe and the teacher included.

        Not in it: name, description, published figures, target, accounting, paths, nor `data.source`: the data set has
        a digest of its own.
        """
        decides: dict[str, Any] = self.model_dump(mode="json", include=set(SECTIONS))
        del decides["data"]["source"]
        decides["precision"] = list(self.plan.to_data().items())  # a list, since the order of rules matters
        decides |= {key: recipe.digest() for key, recipe in self._references.items()}
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


def load_recipe(path: str | Path, overrides: Sequence[str] = (), variant: Sequence[Override] = ()) -> Recipe:
    """Read a recipe with what it extends and starts from; `overrides` are settings like "training.epochs=3".

    Overrides of data, features and training.seed apply to the recipe it starts from and to its teacher as well,
    those of model to the former: weights can only be handed on between networks that agree. `variant` are the settings
    of one of the recipe's own `variants`, which hold where no override speaks. Raises UserError naming the file and
    line (or the setting), the key and the nearest valid one.
    """
    settings = [*variant, *(parse_override(text) for text in overrides)]
    tree = _read(Path(path), (), "")
    return _build(tree.without("sweep") if variant else tree, Path(path), settings, (Path(path),))


def load_variants(path: Path, overrides: Sequence[str] = ()) -> list[Recipe]:
    """The recipe of each run that the `sweep` section of a file asks for; the one recipe of a file without."""
    recipe = load_recipe(path, overrides)
    return [load_recipe(path, overrides, variant) for variant in recipe.variants] or [recipe]


def linked(recipes: Sequence[Recipe]) -> list[Recipe]:
    """Where one recipe starts from another of them, or is taught by it, it is by that one with its settings."""
    listed = {(recipe.path.resolve(), recipe.training.seed): recipe for recipe in recipes}
    for recipe in recipes:
        recipe._references = {
            key: listed.get((other.path.resolve(), other.training.seed), other)
            for key, other in recipe._references.items()
        }
    return list(recipes)


def recipe_of(resolved: Mapping[str, Any]) -> Recipe:
    """The recipe of `Recipe.resolved()`."""
    return _build(node_of(resolved, "the resolved recipe"), Path(), [], ())


def _read(path: Path, trail: tuple[Path, ...], place: str) -> Node:
    """The tree of a file laid upon that of the file it extends; paths in it open from the current folder."""
    tree = _paths_resolved(read_yaml(path, place), path)
    for key, node in tree.mapping.items():
        if key in SECTIONS and node.value is None:  # a section whose lines are all commented out says nothing
            tree = tree.having(**{key: Node({}, node.place)})
    extends = tree.get("extends")
    tree = tree.without("extends")
    if extends is None or extends.value is None:
        return tree
    base_path = Path(resolve_path(_text(extends, ("extends",)), path))
    here = f"{extends.place}: extends"
    chain = circle((*trail, path), base_path)
    if chain:
        raise UserError(f"{here}: goes in a circle: {chain}")
    return _laid_upon(_read(base_path, (*trail, path), here).without(*OWN), tree)


def _paths_resolved(tree: Node, path: Path) -> Node:
    for key in REFERENCES:
        other = tree.get(key)
        if other and isinstance(other.value, dict):
            tree = tree.having(**{key: _paths_resolved(other, path)})
        elif other and isinstance(other.value, str):
            tree = tree.having(**{key: Node(resolve_path(other.value, path), other.place)})
    source, data = tree.get("data", "source"), tree.get("data")
    if data and source and isinstance(source.value, str) and source.value not in ("", *SOURCES):
        tree = tree.having(data=data.having(source=Node(resolve_path(source.value, path), source.place)))
    return tree


def _laid_upon(base: Node, over: Node) -> Node:
    """Merge two recipes; precision and what names a recipe are replaced whole, so is a model of another network.

    The published figures of one network are not those of another.
    """
    dropped = [key for key in ("precision", "published", *REFERENCES) if over.get(key)]
    name, before = over.get("model", "name"), base.get("model", "name")
    if name and name.value != (before.value if before else DEFAULT_NETWORK):
        dropped += ["model", "published"]
    return merge(base.without(*dropped), over)


def _build(tree: Node, path: Path, settings: list[Override], trail: tuple[Path, ...]) -> Recipe:
    """The recipe that a tree describes, with the recipes that it refers to."""
    for setting in settings:
        tree = _set(tree, setting)
    name = tree.get("name") or Node(path.stem, tree.place)
    tree, variants = tree.having(name=name), variants_of(tree.get("sweep"), str(name.plain()))
    references = {}
    for key in REFERENCES:
        node = tree.get(key)
        if node and node.value is not None:
            handed = [part for setting in settings for part in _for_reference(key, setting)]
            references[key] = other = _reference(key, node, path, handed, trail)
            origin = other.name if isinstance(node.value, dict) else str(other.path)
            tree = tree.having(**{key: Node(origin, node.place)})
    recipe = _validated(tree)
    recipe._path, recipe._references, recipe._variants = path, references, variants
    return recipe


def _reference(key: str, node: Node, path: Path, settings: list[Override], trail: tuple[Path, ...]) -> Recipe:
    """The recipe that `start_from` or `teacher` names or, in a resolved recipe, holds."""
    if isinstance(node.value, dict):
        return _build(node, path, settings, trail)
    other_path = Path(_text(node, (key,)))
    here = f"{node.place}: {key}"
    chain = circle(trail, other_path)
    if chain:
        raise UserError(f"{here}: goes in a circle: {chain}")
    other = _build(_read(other_path, (), here), other_path, settings, (*trail, other_path))
    if other.variants:
        raise UserError(f"{here}: {other_path} has a sweep section: name a recipe of one run")
    return other


def _set(tree: Node, setting: Override) -> Node:
    """One setting of the command line laid upon a recipe."""
    first, place = setting.key[0], setting.node.place
    if first in ("extends", "sweep"):
        raise UserError(f"{place}: {first}: cannot be set here")
    if first in REFERENCES and (len(setting.key) > 1 or isinstance(setting.node.value, dict)):
        raise UserError(f"{place}: {first}: must be the path of a recipe, or null")
    if first == "precision" and len(setting.key) > 1:  # one rule, or one part of it
        rule = tree.get(*setting.key[:2])
        if rule and len(setting.key) > 2 and not isinstance(rule.value, dict):  # bare: that of the weights
            tree = merge(tree, Override((*setting.key[:2], "weights"), rule).tree)
        return merge(tree, setting.tree)
    return _laid_upon(tree, setting.tree)


def _for_reference(key: str, setting: Override) -> list[Override]:
    """What of a setting applies to the start recipe or the teacher too."""
    if setting.key[0] in SHARED or (setting.key[0], key) == ("model", "start_from"):
        return [setting]
    seed = setting.tree.get("training", "seed")
    return [Override(("training", "seed"), seed)] if seed else []


def _validated(tree: Node) -> Recipe:
    """The tree as a Recipe, without path and references; raises UserError with the first faults."""
    data = tree.plain()
    faults = _precision_faults(tree)
    if faults or data.get("precision", {}) is None:
        data["precision"] = {}
    known = list(keys(Recipe))
    if isinstance(data.get("model"), dict):
        network = _network(tree, data["model"], known)
        faults += network if isinstance(network, list) else []
        data["model"] = ReferenceConfig() if isinstance(network, list) else network
    else:
        known += _network_keys(ReferenceConfig)
    recipe = check(Recipe, data, tree, known)
    refuse((recipe if isinstance(recipe, list) else []) + faults)
    assert isinstance(recipe, Recipe)
    return recipe


def _network(tree: Node, data: dict[str, Any], known: list[Key]) -> NetworkConfig | list[Fault]:
    """The `model` section as the configuration of the network that it names, whose keys become known."""
    name = data.get("name", DEFAULT_NETWORK)
    key: Key = ("model", "name")
    try:
        kind = config_type(name if isinstance(name, str) else DEFAULT_NETWORK)
    except UserError as error:
        return [Fault(key, tree.where(key), str(error))]
    known += _network_keys(kind)
    return check(kind, data, tree, known, ("model",))


def _network_keys(kind: type[NetworkConfig]) -> list[Key]:
    return [("model", *key) for key in keys(kind) if key != ("name",)]


def _precision_faults(tree: Node) -> list[Fault]:
    """What is wrong with the precision plan, rule by rule, so that each fault has its own line."""
    section = tree.get("precision")
    faults = []
    for pattern, rule in (section.mapping if section else {}).items():
        for part, node in (rule.mapping or {"": rule}).items():
            try:
                PrecisionPlan.from_data({pattern: {part: node.plain()} if part else node.plain()})
            except UserError as error:
                key = ("precision", pattern, part) if part else ("precision", pattern)
                message = str(error).removeprefix(f"precision.{pattern}")
                message = message.removeprefix(f".{part or 'weights'}").removeprefix(": ")
                faults.append(Fault(key, node.place, message))
    return faults


def _text(node: Node, key: Key) -> str:
    if not isinstance(node.value, str) or "\0" in node.value:
        given = shown(node.plain())
        raise UserError(f"{node.place}: {dotted(key)}: must be the path of a recipe (is {given})")
    return node.value


def _leaves(value: Any, key: Key) -> list[tuple[Key, str]]:
    if isinstance(value, dict):
        return [leaf for name, child in value.items() for leaf in _leaves(child, (*key, name))]
    if isinstance(value, list):
        return [(key, ", ".join(str(item) for item in value))]
    return [(key, value if isinstance(value, str) else shown(value))]


def _one_line(plan: PrecisionPlan) -> str:
    """A plan in one line: "binary, 8-bit: conv2d* 8-bit, dense* binary"; parts other than the weights are named.

    What is narrow comes first: charts cut the text after a few characters.
    """
    rules = [
        " ".join([pattern, *(str(p) if part == "weights" else f"{part} {p}" for part, p in parts)])
        for pattern, parts in plan.rules
    ]
    kinds = {dict(parts)["weights"] for _, parts in plan.rules if "weights" in dict(parts)}
    named = ", ".join(str(kind) for kind in sorted(kinds, key=lambda kind: kind.bits)) or "float32"
    return f"{named}: {', '.join(rules)}" if rules else named
