"""Reading YAML into a tree whose values know their file and line, and writing plain data as YAML.

Only plain data is read (YAML 1.2: `yes`, `no`, `on` and `off` are words, not booleans); a tag that asks for
anything else is refused, and nothing in a file is ever executed.
"""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import Any

from hybridq.errors import UserError, did_you_mean, plain
from hybridq.paths import open_regular
from hybridq.settings.tree import Key, Node, Override, dotted, shown

LARGEST_FILE = 200_000  # bytes; a recipe has one or two thousand
MOST_VALUES = 10_000  # counted with every alias written out: stops an alias bomb
DEEPEST = 20  # nested lists and mappings; a recipe needs four
TOO_MANY, TOO_DEEP = f"more than {MOST_VALUES:,} values; that is no recipe", "nested too deeply"


# ---------------------------------------------------------------------------------------------- reading


def read_yaml(path: Path, place: str = "") -> Node:
    """Read a file whose top is a mapping; `place` says where another file asks for it, "" where the user does.

    Nothing is quoted of what another file asks for and is no mapping: it may be meant for nobody's eyes.
    """
    asked = f"{place}: " if place else ""
    try:
        with open_regular(path) as file:
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
    try:
        node = _parse(text, str(path), one_place=False)
    except UserError as error:
        if not place:
            raise
        at = re.match(r":\d+", str(error).removeprefix(plain(str(path))))
        raise UserError(f"{path}{at[0] if at else ''}: cannot be read as a recipe") from None
    if node is None:
        raise UserError(f"{path}: the file is empty")
    if not isinstance(node.value, dict):
        given = "" if place else f" (is {shown(node.plain())})"
        raise UserError(f"{node.place}: must be a mapping, 'key: value' on each line{given}")
    return node


def parse_mapping(text: str, place: str) -> dict[str, Any]:
    """The mapping that a text on the command line is; `place`, its option, begins the UserError where it is none."""
    node = _parse(text, place, one_place=True)
    plain_data = None if node is None else node.plain()
    if not isinstance(plain_data, dict):
        raise UserError(f"{place}: must be a mapping, as 'key: value, other: value' (is {shown(plain_data)})")
    return plain_data


def parse_override(text: str) -> Override:
    """Read "training.epochs=3"; the value is YAML. Its place is the setting itself."""
    place = f"--set {text if len(text) <= 80 else text[:77] + '...'}"
    key, equals, value = text.partition("=")
    parts = [part.strip() for part in key.split(".")]
    if not equals or not all(parts):
        raise UserError(f"{place}: write KEY=VALUE, for example --set training.epochs=3")
    if len(parts) > DEEPEST:
        raise UserError(f"{place}: {TOO_DEEP}")
    return Override(tuple(parts), _parse(value, place, one_place=True) or Node(None, place))


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
    yaml.Scanner, yaml.Composer = _bounded(place)
    try:
        root = yaml.compose(text)  # nodes only: no object is constructed
    except UserError:
        raise
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        why = " ".join(str(error.problem or error.context or error).split())
        raise UserError(f"{place(mark.line) if mark else source}: not valid YAML: {why}") from None
    except YAMLError as error:
        line = text.count("\n", 0, getattr(error, "position", 0))
        raise UserError(f"{place(line)}: not valid YAML: {getattr(error, 'reason', error)}") from None
    except Exception as error:  # the parser has its own slips on malformed text: e.g. a bad %YAML line
        raise UserError(f"{source}: not valid YAML: {error}") from None
    return None if root is None else _Builder(yaml, place).build(root, root.start_mark.line, ())


def _bounded(place: Any) -> tuple[Any, Any]:
    """The classes of the parser that find brackets and make nodes; they stop at once where a file is too large."""
    from ruamel.yaml.composer import Composer
    from ruamel.yaml.scanner import Scanner

    class Shallow(Scanner):  # type: ignore[misc]
        def fetch_flow_collection_start(self, *given: Any, **named: Any) -> None:
            if self.flow_level >= DEEPEST:  # it reads far ahead, and goes through all open brackets for each
                raise UserError(f"{place(self.reader.line)}: {TOO_DEEP}")
            super().fetch_flow_collection_start(*given, **named)

    class Bounded(Composer):  # type: ignore[misc]
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            self.warn_double_anchors = False  # with four lines for each
            self.nodes = self.around = 0  # those made; those that the next one stands in

        def compose_node(self, parent: Any, index: Any) -> Any:
            self.nodes += 1
            if self.nodes > MOST_VALUES or self.around > DEEPEST:
                line = place(self.parser.peek_event().start_mark.line)
                raise UserError(f"{line}: {TOO_MANY if self.nodes > MOST_VALUES else TOO_DEEP}")
            self.around += 1
            node = super().compose_node(parent, index)
            self.around -= 1
            return node

    return Shallow, Bounded


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
            raise UserError(f"{where}{TOO_MANY}")
        if len(key) > DEEPEST:
            raise UserError(f"{self.place(line)}: {TOO_DEEP}")
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
