"""YAML that remembers where each value stands, and the merging of one file over another.

A file becomes a tree of `Node`. Every node carries its place ("recipes/paper/int8.yaml:7", or
"--set training.epochs=3"), so that a fault found long after reading, in a value that came through `extends`,
still names the right line.

Only plain data is read (YAML 1.2: `yes`, `no`, `on` and `off` are words, not booleans); a tag that asks for
anything else is refused, and nothing in a file is ever executed.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybridq.errors import UserError, did_you_mean

Scalar = str | int | float | bool | None
Key = tuple[str | int, ...]

LARGEST_FILE = 200_000  # bytes; the parser takes seconds for so much, and a recipe has one or two thousand
MOST_VALUES = 10_000  # counted with every alias written out: stops an alias bomb
DEEPEST = 20  # nested lists and mappings; a recipe needs four


@dataclass(frozen=True)
class Node:
    """A value and the place where its key stands."""

    value: dict[str, Node] | list[Node] | Scalar
    place: str

    @property
    def mapping(self) -> dict[str, Node]:
        """The children of a mapping; empty for anything else."""
        return self.value if isinstance(self.value, dict) else {}

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
        """The same mapping with these children added or replaced."""
        return Node({**self.mapping, **children}, self.place)

    def without(self, *keys: str) -> Node:
        """The same mapping less these keys."""
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


# ---------------------------------------------------------------------------------------------- reading


def read_yaml(path: Path, place: str = "") -> Node:
    """Read a file whose top is a mapping; `place` says where it is asked for, should it be missing."""
    asked = f"{place}: " if place else ""
    try:
        with open(path, "rb") as file:
            raw = file.read(LARGEST_FILE + 1)
    except IsADirectoryError:
        raise UserError(f"{asked}{path} is a folder, not a YAML file") from None
    except FileNotFoundError:
        raise UserError(f"{asked}{path}: no such file{_sibling(path)}") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{asked}cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    if len(raw) > LARGEST_FILE:
        raise UserError(f"{path}: more than {LARGEST_FILE:,} bytes; that is no recipe")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}:{line}: not text in UTF-8") from None
    node = _parse(text, str(path), one_place=False)
    if node is None:
        raise UserError(f"{path}: the file is empty")
    if not isinstance(node.value, dict):
        raise UserError(f"{node.place}: must be a mapping, 'key: value' on each line (is {shown(node.plain())})")
    return node


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


def parse_override(text: str) -> Override:
    """Read "training.epochs=3"; the value is YAML. Its place is the setting itself."""
    place = f"--set {text if len(text) <= 80 else text[:77] + '...'}"
    key, equals, value = text.partition("=")
    parts = [part.strip() for part in key.split(".")]
    if not equals or not all(parts):
        raise UserError(f"{place}: write KEY=VALUE, for example --set training.epochs=3")
    if len(parts) > DEEPEST:
        raise UserError(f"{place}: nested too deeply")
    return Override(tuple(parts), _parse(value, place, one_place=True) or Node(None, place))


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


def _sibling(path: Path) -> str:
    """A hint at a file of nearly that name in the same folder."""
    try:
        names = [entry.name for entry in os.scandir(path.parent) if entry.name.endswith((".yaml", ".yml"))]
    except OSError:
        return ""
    return did_you_mean(path.name, names)


def _parse(text: str, source: str, one_place: bool) -> Node | None:
    """Text to a tree, None for an empty document; with `one_place` the source is every node's place."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    def place(line: int) -> str:
        return source if one_place else f"{source}:{line + 1}"

    yaml = YAML(typ="safe", pure=True)
    try:
        root = yaml.compose(text)  # nodes only: no object is constructed
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        why = " ".join(str(error.problem or error.context or error).split())
        raise UserError(f"{place(mark.line) if mark else source}: not valid YAML: {why}") from None
    except YAMLError as error:
        line = text.count("\n", 0, getattr(error, "position", 0))
        raise UserError(f"{place(line)}: not valid YAML: {getattr(error, 'reason', error)}") from None
    except RecursionError:
        raise UserError(f"{source}: nested too deeply") from None
    except Exception as error:  # the parser has its own slips on malformed text: e.g. a bad %YAML line
        raise UserError(f"{source}: not valid YAML: {error}") from None
    return None if root is None else _Builder(yaml, place).build(root, root.start_mark.line, ())


class _Builder:
    """Turns the parser's nodes into ours, with the checks that a plain construction leaves out."""

    def __init__(self, yaml: Any, place: Any) -> None:
        construct = yaml.constructor
        self.place = place
        self.count = 0
        self.scalars = {
            "null": lambda node: None,
            "bool": construct.construct_yaml_bool,
            "int": construct.construct_yaml_int,
            "float": construct.construct_yaml_float,
            "str": lambda node: str(node.value),
            "timestamp": lambda node: str(node.value),  # a date stays text
            "value": lambda node: str(node.value),  # so does a lone "="
            "merge": lambda node: str(node.value),  # and "<<", which `extends` replaces
        }

    def build(self, node: Any, line: int, key: Key) -> Node:
        """The tree under a parser's node; `line` (from 0) is that of its key."""
        where = f"{self.place(line)}: {dotted(key) + ': ' if key else ''}"
        self.count += 1
        if self.count > MOST_VALUES:
            raise UserError(f"{where}more than {MOST_VALUES:,} values; that is no recipe")
        if len(key) > DEEPEST:
            raise UserError(f"{self.place(line)}: nested too deeply")
        tag = str(node.tag)
        kind = tag.removeprefix("tag:yaml.org,2002:")
        if isinstance(node.value, str):
            if kind not in self.scalars:
                raise UserError(f"{where}the tag {tag} is not allowed")
            try:
                return Node(self.scalars[kind](node), self.place(line))
            except (ValueError, KeyError, OverflowError, IndexError):
                raise UserError(f"{where}{shown(node.value)} cannot be read as {kind}") from None
        if kind not in ("map", "seq"):
            raise UserError(f"{where}the tag {tag} is not allowed")
        if kind == "seq":
            items = enumerate(node.value)
            return Node([self.build(item, item.start_mark.line, (*key, n)) for n, item in items], self.place(line))
        return Node(self.mapping(node, key), self.place(line))

    def mapping(self, node: Any, key: Key) -> dict[str, Node]:
        children: dict[str, Node] = {}
        lines: dict[str, int] = {}
        for name_node, value_node in node.value:
            line = name_node.start_mark.line
            name = self.build(name_node, line, key).plain()
            if not isinstance(name, str):
                inside = f"{dotted(key)}: " if key else ""
                raise UserError(f"{self.place(line)}: {inside}a key must be text (is {shown(name)}): put it in quotes")
            if name in children:
                first = f"first on line {lines[name] + 1}"
                raise UserError(f"{self.place(line)}: {dotted((*key, name))}: given twice ({first})")
            lines[name] = line
            children[name] = self.build(value_node, line, (*key, name))
        return children


# ---------------------------------------------------------------------------------------------- writing

_PLAIN = re.compile(r"(?!(yes|no|on|off|true|false|null|y|n)$)[a-z][\w ./*-]*", re.IGNORECASE)


def to_yaml(data: Any) -> str:
    """Plain data as YAML, in its own order, that readers of YAML 1.1 and 1.2 understand alike.

    They disagree on what a bare `yes` or `5e3` is, and either may be a word to spot; in doubt it is quoted.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.representer import SafeRepresenter

    class Representer(SafeRepresenter):  # type: ignore[misc]
        def ignore_aliases(self, value: Any) -> bool:
            return True  # the same pair twice is written twice

    def text(representer: Any, value: str) -> Any:
        style = None if _PLAIN.fullmatch(value) else '"'
        return representer.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    def number(representer: Any, value: float) -> Any:
        digits, e, exponent = repr(value).partition("e")  # YAML 1.1 wants the point in 1.0e-06
        written = f"{digits}{'' if '.' in digits else '.0'}e{exponent}" if e else digits
        return representer.represent_scalar("tag:yaml.org,2002:float", written)

    def items(representer: Any, value: list[Any]) -> Any:
        return representer.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=True)

    def mapping(representer: Any, value: dict[str, Any]) -> Any:
        return representer.represent_mapping("tag:yaml.org,2002:map", list(value.items()))

    Representer.add_representer(str, text)
    Representer.add_representer(float, number)
    Representer.add_representer(list, items)
    Representer.add_representer(dict, mapping)
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = Representer
    yaml.default_flow_style = False
    yaml.width = 1 << 20
    stream = io.StringIO()
    yaml.dump(data, stream)
    return stream.getvalue()


def resolve_path(text: str, file: Path) -> str:
    """A path written in a file, relative to that file's folder, as one that opens from the current folder."""
    return os.path.join(file.parent, os.path.expanduser(text))


def circle(paths: Sequence[Path], again: Path) -> str | None:
    """The chain "a.yaml -> b.yaml -> a.yaml" if `again` is among the paths being read, else None."""
    resolved = [os.path.realpath(path) for path in paths]
    if os.path.realpath(again) not in resolved:
        return None
    start = resolved.index(os.path.realpath(again))
    return " -> ".join(str(path) for path in (*paths[start:], again))
