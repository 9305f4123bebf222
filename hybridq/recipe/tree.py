"""The tree of a recipe: its file laid upon the file that it extends, and settings of the command line upon both."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hybridq.data.settings import DataSection
from hybridq.errors import UserError
from hybridq.models.config import DEFAULT_NETWORK
from hybridq.models.own import OWN_NETWORKS
from hybridq.recipe.schema import DATA, FILES, REFERENCES, SECTIONS
from hybridq.settings.tree import Key, Node, Override, dotted, merge, shown
from hybridq.settings.yamlfile import MOST_VALUES, read_yaml
from hybridq.speech.settings import SOURCES, DataSettings

SOUND = ("features", "decision")  # sections that are of sound alone
OWN = ("name", "description", "sweep", "search")  # what `extends` does not hand on


LONGEST_CHAIN = 8  # files, each of which names the next: so deep a recipe can still be written out whole
MOST_READ = 3 * MOST_VALUES  # of all files that one recipe leads to


@dataclass
class Files:
    """The files that a recipe leads to: each is read once, however often it is named, and together they are bounded."""

    trees: dict[Path, Node] = field(default_factory=dict)
    values: int = 0

    def tree(self, path: Path, trail: tuple[Path, ...] = (), place: str = "") -> Node:
        """The tree of a file laid upon that of the file it extends; paths in it open from the current folder.

        `trail` are the files that are being read, `place` is where this one is asked for. Raises UserError where it
        cannot be read, or extends one of them.
        """
        if path not in self.trees:
            self.trees[path] = self._read(path, trail, place)
        return self.trees[path]

    def _read(self, path: Path, trail: tuple[Path, ...], place: str) -> Node:
        tree = read_yaml(path, place)
        self.values += tree.count
        if self.values > MOST_READ:
            raise UserError(f"{place}: with {path} there are more than {MOST_READ:,} values; that is no recipe")
        tree = _paths_resolved(tree, path)
        for key, node in tree.mapping.items():
            if key in (*SECTIONS, "decision") and node.value is None:  # all its lines are commented out: it is silent
                tree = tree.having(**{key: Node({}, node.place)})
        extends = tree.get("extends")
        tree = tree.without("extends")
        if extends is None or extends.value is None:
            return tree
        base_path = Path(_resolved(recipe_path(extends, ("extends",)), path))
        here = f"{extends.place}: extends"
        check_trail((*trail, path), base_path, here)
        return _laid_upon(self.tree(base_path, (*trail, path), here).without(*OWN), tree)


def _paths_resolved(tree: Node, path: Path) -> Node:
    """A recipe of the file at `path`, with every path in it resolved."""
    for key in REFERENCES:
        other = tree.get(key)
        if other:
            tree = tree.having(**{key: _reference_resolved(other, path)})
    for section, key in FILES:
        inside, file = tree.get(section), tree.get(section, key)
        if inside and file:
            tree = tree.having(**{section: inside.having(**{key: _file_resolved(file, path)})})
    sweep = tree.get("sweep")
    return tree.having(sweep=_sweep_resolved(sweep, path)) if sweep else tree


def _sweep_resolved(node: Node, path: Path) -> Node:
    """Its `sweep` section, a grid or a list of runs, with every path resolved."""
    if isinstance(node.value, list):
        return Node([_sweep_resolved(one, path) for one in node.value], node.place)
    resolvers = dict.fromkeys(REFERENCES, _reference_resolved) | {dotted(key): _file_resolved for key in FILES}
    for key, resolve in resolvers.items():
        value = node.get(key)
        if value:
            node = node.having(**{key: resolve(value, path)})
    return node


def _file_resolved(node: Node, path: Path) -> Node:
    """A path, or a list of them, relative to the folder of the file at `path`, resolved; names of archives stay."""
    if isinstance(node.value, list):
        return Node([_file_resolved(one, path) for one in node.value], node.place)
    if not isinstance(node.value, str) or node.value in ("", *SOURCES):
        return node
    return Node(_resolved(node.value, path), node.place)


def _reference_resolved(node: Node, path: Path) -> Node:
    """What names another recipe, several of them, or is one, with every path resolved."""
    if isinstance(node.value, list):
        return Node([_reference_resolved(one, path) for one in node.value], node.place)
    if isinstance(node.value, dict):
        inside = node.get("recipe")
        return node.having(recipe=_reference_resolved(inside, path)) if inside else _paths_resolved(node, path)
    return Node(_resolved(node.value, path), node.place) if isinstance(node.value, str) else node


def _laid_upon(base: Node, over: Node) -> Node:
    """Merge two recipes; precision and what names a recipe are replaced whole, so is a model of another network.

    The published figures of one network are not those of another. Data of another kind replaces what was there, and
    what goes with that kind alone.
    """
    dropped = [key for key in ("precision", "published", *REFERENCES) if over.get(key)]
    name = network_of(over)
    if name is not None and name != (network_of(base) or DEFAULT_NETWORK):
        dropped += ["model", "published"]
    kind = data_kind(over)
    if kind is not None and kind is not (data_kind(base) or DataSettings):
        dropped += ["data", *(SOUND if kind is not DataSettings else ())]
        training = base.get("training")
        base = base.having(training=training.without("augment")) if training else base
    return merge(base.without(*dropped), over)


def network_of(tree: Node) -> Any:
    """The name of the network that a recipe asks for; None where it says nothing of it."""
    own = [key for key in OWN_NETWORKS if tree.get("model", key)]
    name = tree.get("model", "name")
    return name.plain() if name else own[0] if own else None


def data_kind(tree: Node) -> type[DataSection] | None:
    """The form of the section `data` of a recipe; None where it does not say where the data is."""
    return next((kind for kind in DATA if tree.get("data", kind.PLACE)), None)


def with_setting(tree: Node, setting: Override) -> Node:
    """A setting of the command line laid upon a recipe; raises UserError for a key that cannot be set there."""
    first, place = setting.key[0], setting.node.place
    kind = data_kind(tree)
    if setting.key == ("data", DataSettings.PLACE) and kind:  # --data: where the data is, of whatever kind
        setting = Override(("data", kind.PLACE), setting.node)
    if first in ("extends", "sweep", "search"):
        raise UserError(f"{place}: {first}: cannot be set here")
    whole = isinstance(setting.node.value, dict) and not setting.node.get("recipe")
    if first in REFERENCES and (len(setting.key) > 1 or whole):
        raise UserError(f"{place}: {first}: must be the path of a recipe, or null")
    if first == "precision" and len(setting.key) > 1:  # one rule, or one part of it
        rule = tree.get(*setting.key[:2])
        if rule and len(setting.key) > 2 and not isinstance(rule.value, dict):  # bare: that of the weights
            tree = merge(tree, Override((*setting.key[:2], "weights"), rule).tree)
        return merge(tree, setting.tree)
    return _laid_upon(tree, setting.tree)


def recipe_path(node: Node, key: Key) -> str:
    """The path that stands at a key; raises UserError where something else stands there."""
    if not isinstance(node.value, str) or "\0" in node.value:
        given = shown(node.plain())
        raise UserError(f"{node.place}: {dotted(key)}: must be the path of a recipe (is {given})")
    return node.value


def check_trail(trail: Sequence[Path], path: Path, here: str) -> None:
    """Raise UserError where `path` is among the files being read, or these are too many.

    A circle is told as the chain "a.yaml -> b.yaml -> a.yaml".
    """
    real = [os.path.realpath(one) for one in trail]
    if os.path.realpath(path) in real:
        start = real.index(os.path.realpath(path))
        chain = " -> ".join(str(one) for one in (*trail[start:], path))
        raise UserError(f"{here}: goes in a circle: {chain}")
    if len(trail) > LONGEST_CHAIN:
        raise UserError(f"{here}: more than {LONGEST_CHAIN} files in a row, each named by the one before")


def _resolved(text: str, file: Path) -> str:
    """A path written in a file, relative to that file's folder, as one that opens from the current folder."""
    return os.path.join(file.parent, os.path.expanduser(text))
