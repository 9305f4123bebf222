"""Reading recipes: a file, what it extends, what it starts from or is taught by, and settings of the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from hybridq.data.settings import OwnData
from hybridq.data.task import Task
from hybridq.errors import UserError
from hybridq.graph.keras.file import SUFFIXES
from hybridq.models.config import DEFAULT_NETWORK, NetworkConfig, ReferenceConfig, config_type
from hybridq.models.own import OWN_NETWORKS
from hybridq.precision import PrecisionPlan
from hybridq.recipe.schema import DATA, REFERENCES, Recipe
from hybridq.recipe.sections import OwnTrainingSection, TrainingSection
from hybridq.recipe.tree import SOUND, Files, check_trail, data_kind, network_of, recipe_path, with_setting
from hybridq.recipe.variants import variants_of
from hybridq.settings.tree import Key, Node, Override, node_of
from hybridq.settings.validation import MOST_EXPLAINED, Fault, check, keys, refuse
from hybridq.settings.yamlfile import parse_override
from hybridq.speech.settings import DataSettings

SHARED = ("data", "features")  # settings of these reach the start recipe and the teacher too
MOST_NEEDED = 100  # recipes that must be trained before one, those included that they need themselves
MOST_OF_A_SWEEP = 20_000  # of all its runs together, those that several need counted for each


def load_recipe(path: str | Path, overrides: Sequence[str] = (), variant: Sequence[Override] = ()) -> Recipe:
    """Read a recipe with what it extends and starts from; `overrides` are settings like "training.epochs=3".

    Overrides of data, features and training.seed apply to the recipe it starts from and to its teachers as well (the
    seed not to a teacher whose seeds are named), those of model to the former: weights can only be handed on between
    networks that agree. `variant` are the settings of one of the recipe's own `variants`, which hold where no override
    speaks. Raises UserError naming the file and line (or the setting), the key and the nearest valid one.
    """
    if Path(path).suffix.lower() in SUFFIXES:
        raise UserError(f"{path}: a model, not a recipe; a recipe (YAML) may name it, as model: {{keras: FILE}}")
    return _loaded(Path(path), overrides, variant, Files())


def load_variants(path: Path, overrides: Sequence[str] = ()) -> list[Recipe]:
    """The recipe of each run that the `sweep` section of a file asks for; the one recipe of a file without."""
    files = Files()
    recipe = _loaded(path, overrides, (), files)
    recipes, count = [], 0
    for variant in recipe.variants:
        recipes.append(_loaded(path, overrides, variant, files))
        count += len(recipes[-1].needed)
        if count > MOST_OF_A_SWEEP:
            where = recipe.where("sweep")
            raise UserError(f"{where}: sweep: its runs need more than {MOST_OF_A_SWEEP:,} recipes to be trained first")
    return recipes or [recipe]


def linked(recipes: Sequence[Recipe]) -> list[Recipe]:
    """Where one recipe starts from another of them, or is taught by it, it is by that one with its settings."""
    listed = {(recipe.path.resolve(), recipe.training.seed): recipe for recipe in recipes}
    done: dict[int, Recipe] = {}  # by the identity of the recipe as it was given

    def link(recipe: Recipe) -> Recipe:
        if id(recipe) not in done:
            others = {
                key: tuple(listed_one(other, recipe) for other in several) for key, several in recipe.references.items()
            }
            done[id(recipe)] = recipe.with_references(others)
        return done[id(recipe)]

    def listed_one(other: Recipe, recipe: Recipe) -> Recipe:
        inside = other.path == recipe.path  # it stands whole in the file of the recipe
        one = None if inside else listed.get((other.path.resolve(), other.training.seed))
        return link(one) if one else other

    return [link(recipe) for recipe in recipes]


def recipe_of(resolved: Mapping[str, Any]) -> Recipe:
    """The recipe of `Recipe.resolved()`."""
    return _Making(Files()).recipe(node_of(resolved, "the resolved recipe"), Path(), [], ())


def varied(recipe: Recipe, settings: Sequence[Override]) -> Recipe:
    """The recipe with other values, whatever the command line said of them; UserError as `load_recipe` raises it."""
    return _Making(Files()).recipe(node_of(recipe.resolved(), str(recipe.path)), recipe.path, list(settings), ())


def _loaded(path: Path, overrides: Sequence[str], variant: Sequence[Override], files: Files) -> Recipe:
    settings = [*variant, *(parse_override(text) for text in overrides)]
    tree = files.tree(path)
    return _Making(files).recipe(tree.without("sweep") if variant else tree, path, settings, (path,))


@dataclass
class _Making:
    """Makes one recipe and those that it needs, which are bounded: a few short files may name millions."""

    files: Files
    needed: int = 0

    def recipe(self, tree: Node, path: Path, settings: list[Override], trail: tuple[Path, ...]) -> Recipe:
        """The recipe that a tree describes, with the recipes that it refers to."""
        for setting in settings:
            tree = with_setting(tree, setting)
        name = tree.get("name") or Node(path.stem, tree.place)
        tree, variants = tree.having(name=name), variants_of(tree.get("sweep"), str(name.plain()))
        references = {}
        for key in REFERENCES:
            node = tree.get(key)
            if node and node.value is not None:
                handed = [part for setting in settings for part in _for_reference(key, setting)]
                others = [self.reference(key, one, path, [*handed, *seed], trail) for one, seed in _members(key, node)]
                references[key] = tuple(others)
                tree = tree.having(**{key: Node(", ".join(other.name for other in others), node.place)})
        return _validated(tree).read_from(path, references, variants, tree)

    def reference(self, key: str, node: Node, path: Path, settings: list[Override], trail: tuple[Path, ...]) -> Recipe:
        """The recipe that `start_from` or `teacher` names or, in a resolved recipe, holds."""
        here = f"{node.place}: {key}"
        self.needed += 1
        if self.needed > MOST_NEEDED:
            raise UserError(f"{here}: more than {MOST_NEEDED} recipes would have to be trained first")
        if isinstance(node.value, dict):
            return self.recipe(node, path, settings, trail)
        other_path = Path(recipe_path(node, (key,)))
        check_trail(trail, other_path, here)
        other = self.recipe(self.files.tree(other_path, (), here), other_path, settings, (*trail, other_path))
        if other.variants:
            raise UserError(f"{here}: {other_path} has a sweep section: name a recipe of one run")
        return other


def _members(key: str, node: Node) -> Iterator[tuple[Node, list[Override]]]:
    """Each recipe that a reference names, by its path or whole, with the setting of its seed where seeds are named."""
    several = isinstance(node.value, list) or node.get("recipe") or node.get("seeds")
    if key != "teacher" or not several:
        yield node, []
    elif isinstance(node.value, list):
        if not node.value:
            raise UserError(f"{node.place}: {key}: names no recipe")
        for item in node.value:
            yield from _members(key, item)
    else:
        recipe, seeds = node.get("recipe"), node.get("seeds")
        if not recipe or not seeds or len(node.mapping) > 2 or not isinstance(seeds.value, list) or not seeds.value:
            raise UserError(
                f"{node.place}: {key}: several seeds of a recipe are written {{recipe: FILE, seeds: [0, 1, 2]}}"
            )
        for seed in seeds.value:
            yield recipe, [Override(("training", "seed"), seed)]


def _for_reference(key: str, setting: Override) -> list[Override]:
    """What of a setting applies to the start recipe or the teacher too."""
    if setting.key[0] in SHARED or (setting.key[0], key) == ("model", "start_from"):
        return [setting]
    seed = setting.tree.get("training", "seed")
    return [Override(("training", "seed"), seed)] if seed else []


def _validated(tree: Node) -> Recipe:
    """The tree as a Recipe, without path and references; raises UserError with the first faults."""
    data = tree.plain()
    faults = list(islice(_precision_faults(tree), MOST_EXPLAINED))
    if faults or data.get("precision", {}) is None:
        data["precision"] = {}
    known = [key for key in keys(Recipe) if len(key) == 1 or key[0] not in ("data", "training")]
    own = _sections_checked(tree, data, known)
    if isinstance(data.get("model"), dict):
        network = _network(tree, data["model"], known)
        faults += network if isinstance(network, list) else []
        data["model"] = ReferenceConfig() if isinstance(network, list) else network
    else:
        known += _network_keys(ReferenceConfig)
    recipe = check(Recipe, data, tree, known)
    order = list(Recipe.model_fields)
    of_recipe = sorted(
        own + (recipe if isinstance(recipe, list) else []),
        key=lambda one: order.index(str(one.key[0])) if one.key[0] in order else len(order),
    )
    refuse(of_recipe + faults)
    assert isinstance(recipe, Recipe)
    return recipe


def _sections_checked(tree: Node, data: dict[str, Any], known: list[Key]) -> list[Fault]:
    """Replace the sections `data` and `training` by what they are of that kind of data; what is wrong with them."""
    kind = data_kind(tree) or DataSettings
    of_sound = not issubclass(kind, OwnData)
    faults: list[Fault] = []
    several = [one.PLACE for one in DATA if tree.get("data", one.PLACE)]
    if len(several) > 1:
        other = ("data", several[1])
        faults.append(
            Fault(other, tree.where(other), f"stands beside data.{several[0]}: a recipe has one kind of data")
        )
        data["data"] = {name: value for name, value in data["data"].items() if name not in several[1:]}
    for key, section in (("data", kind), ("training", TrainingSection if of_sound else OwnTrainingSection)):
        known += [(key, *rest) for rest in keys(section)]
        if isinstance(data.get(key, {}), dict):
            checked = check(section, data.get(key, {}), tree, known, (key,))
            faults += checked if isinstance(checked, list) else []
            data[key] = section.model_construct() if isinstance(checked, list) else checked
    if not of_sound:
        faults += [
            Fault((one,), tree.where((one,)), f"is for sound; these are {kind.PLACE}") for one in SOUND if one in data
        ]
        if "model" not in data:
            names = " or ".join(f"model.{one}" for one in OWN_NETWORKS)
            faults.append(Fault(("model",), tree.where(("data",)), f"must be given: {names}, or a name"))
    elif data.get("task", Task.CLASSIFY) != Task.CLASSIFY and data.get("task") in list(Task):
        faults.append(Fault(("task",), tree.where(("task",)), "sound can only be classified"))
    return faults


def _network(tree: Node, data: dict[str, Any], known: list[Key]) -> NetworkConfig | list[Fault]:
    """The `model` section as the configuration of the network that it names, whose keys become known."""
    name = network_of(tree) or DEFAULT_NETWORK
    key: Key = ("model", "name")
    try:
        kind = config_type(name if isinstance(name, str) else DEFAULT_NETWORK)
    except UserError as error:
        return [Fault(key, tree.where(key), str(error))]
    known += _network_keys(kind)
    return check(kind, data, tree, known, ("model",))


def _network_keys(kind: type[NetworkConfig]) -> list[Key]:
    return [("model", *key) for key in keys(kind) if key != ("name",)]


def _precision_faults(tree: Node) -> Iterator[Fault]:
    """What is wrong with the precision plan, rule by rule, so that each fault has its own line."""
    section = tree.get("precision")
    for pattern, rule in (section.mapping if section else {}).items():
        for part, node in (rule.mapping or {"": rule}).items():
            try:
                PrecisionPlan.from_data({pattern: {part: node.plain()} if part else node.plain()})
            except UserError as error:
                key = ("precision", pattern, part) if part else ("precision", pattern)
                message = str(error).removeprefix(f"precision.{pattern}")
                message = message.removeprefix(f".{part or 'weights'}").removeprefix(": ")
                yield Fault(key, node.place, message)
