"""The tree of a file of settings: each value knows where it stands, so that a fault found late names the right line.

A place is "recipes/paper/int8.yaml:7", or "--set training.epochs=3", also of a value that came through `extends`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Scalar = str | int | float | bool | None
Key = tuple[str | int, ...]


@dataclass(frozen=True)
class Node:
    """A value and the place where its key stands."""

    value: dict[str, Node] | list[Node] | Scalar
    place: str

    @property
    def mapping(self) -> dict[str, Node]:
        """The children of a mapping; empty for anything else."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def count(self) -> int:
        """How many values there are, lists and mappings and what is in them."""
        children = self.value if isinstance(self.value, list) else self.mapping.values()
        return 1 + sum(child.count for child in children)

    def plain(self) -> Any:
        """The value as ordinary dicts, lists and scalars."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value

    def way(self, key: Key) -> list[Node]:
        """The nodes on the way to that key, from this one to the deepest that there is."""
        nodes = [self]
        for part in key:
            value = nodes[-1].value
            if isinstance(value, dict) and part in value:
                nodes.append(value[str(part)])
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                nodes.append(value[part])
            else:
                break
        return nodes

    def get(self, *key: str | int) -> Node | None:
        """The node at that key, if there is one."""
        way = self.way(key)
        return way[-1] if len(way) > len(key) else None

    def where(self, key: Key) -> str:
        """The place of that key or, where it is not given, of the deepest section on the way to it."""
        return self.way(key)[-1].place

    def having(self, **children: Node) -> Node:
        """This mapping with these children added or replaced."""
        return Node({**self.mapping, **children}, self.place)

    def without(self, *keys: str) -> Node:
        """This mapping less these keys."""
        return Node({key: child for key, child in self.mapping.items() if key not in keys}, self.place)


def dotted(key: Key) -> str:
    """A key as a user writes it: ("model", "filters", 2) is model.filters[2]."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def merge(base: Node, over: Node) -> Node:
    """`over` laid upon `base`: mappings merge key by key, all else is replaced."""
    if not (isinstance(base.value, dict) and isinstance(over.value, dict)):
        return over
    merged = dict(base.value)
    for key, child in over.value.items():
        merged[key] = merge(merged[key], child) if key in merged else child
    return Node(merged, over.place)


def node_of(data: Any, place: str) -> Node:
    """Plain data as a tree whose nodes all stand at `place`."""
    if isinstance(data, Mapping):
        return Node({str(key): node_of(value, place) for key, value in data.items()}, place)
    if isinstance(data, list | tuple):
        return Node([node_of(value, place) for value in data], place)
    return Node(data, place)


@dataclass(frozen=True)
class Override:
    """One setting of the command line: a dotted key and its value."""

    key: tuple[str, ...]
    node: Node

    @property
    def tree(self) -> Node:
        """The setting as a file that says nothing else."""
        node = self.node
        for part in reversed(self.key):
            node = Node({part: node}, node.place)
        return node


def shown(value: Any) -> str:
    """A value as it looks in YAML, cut to a length that fits a message."""
    names = {None: "null", True: "true", False: "false"}
    text = names[value] if value is None or isinstance(value, bool) else _written(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _written(value: Any) -> str:
    try:
        return repr(value)
    except ValueError:  # an integer of thousands of digits
        return "a very large number"
