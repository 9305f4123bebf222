#!/usr/bin/env python3
"""Write the tables of docs/recipes.md anew, from the schema of recipes: `python tools/document_recipes.py`.

What stands above the mark in the page is written by hand and stays. All below it is read off the classes that check a
recipe, so a new key, section, network, board or precision needs no line here.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from hybridq.data.settings import OWN_DATA, LayersAugment, OwnData  # noqa: E402
from hybridq.formats import Format  # noqa: E402
from hybridq.models.config import CONFIGS  # noqa: E402
from hybridq.models.own import OWN_NETWORKS  # noqa: E402
from hybridq.precision import PARTS  # noqa: E402
from hybridq.profiler.targets import TARGETS  # noqa: E402
from hybridq.quantization.model import COUNTERPARTS  # noqa: E402
from hybridq.recipe.schema import Recipe  # noqa: E402
from hybridq.recipe.sections import TrainingSection  # noqa: E402
from hybridq.settings.section import Section  # noqa: E402
from hybridq.settings.units import to_kib  # noqa: E402
from hybridq.speech.settings import DataSettings  # noqa: E402

PAGE = ROOT / "docs" / "recipes.md"
MARK = "<!-- Below this line the page is written by tools/document_recipes.py. -->\n"
KINDS = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "null": "null"}
LIMITS = {
    "minimum": "{:,} or more",
    "exclusiveMinimum": "more than {:,}",
    "maximum": "{:,} or less",
    "exclusiveMaximum": "less than {:,}",
}
UNIT = re.compile(r" \(([^()]*)\)$")  # of a number: the last parentheses of its description

Schema = Mapping[str, Any]  # of one key or section, as JSON Schema says it


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def page(text: str) -> str:
    """The page with its tables made anew; `text` is the page as it stands."""
    by_hand, mark, _ = text.partition(MARK)
    if not mark:
        sys.exit(f"{PAGE}: the line '{MARK.strip()}' is missing")
    return f"{by_hand}{MARK}\n" + "\n\n".join(blocks()) + "\n"


def blocks() -> Iterator[str]:
    """The paragraphs and tables of the page."""
    root = Recipe.model_json_schema()
    yield "## Every key"
    yield "A dash in place of a default: there is none. Lists are written `[1, 2]`."
    yield from section("", root, root["$defs"])


def section(name: str, schema: Schema, definitions: Schema) -> Iterator[str]:
    """A section's keys as a table, then the sections inside it; `name` is its dotted key, "" for the whole recipe."""
    inside: dict[str, Callable[[], Iterator[str]]] = {}
    rows = []
    for key, field in schema["properties"].items():
        full = f"{name}.{key}".lstrip(".")
        row = _row(key, field, key in schema.get("required", ()), definitions)
        inner = _section_of(field, definitions)
        if full in OWN:
            inside[full] = OWN[full]
        elif inner:
            inside[full] = partial(_described, full, inner, definitions)
        link = f": [{full}](#{full.replace('.', '')})" if full in inside else ""
        rows.append((*row[:-1], row[-1] + link))
    yield _table(("key", "type", "unit", "default", "limits", "meaning"), rows)
    for full, tables in inside.items():
        yield f"### {full}"
        yield from tables()


def _described(name: str, schema: Schema, definitions: Schema) -> Iterator[str]:
    yield str(schema["description"])
    yield from section(name, schema, definitions)


def data() -> Iterator[str]:
    """The forms of `data`: clips of words, and data of the user's own."""
    yield f"Clips of words, with the keys of the first table, or data of your own: {_codes(OWN_DATA, 'or')} says where."
    yield "#### clips of words"
    yield from _of_class("data", DataSettings)
    shared = OwnData.model_json_schema()
    yield "#### data of your own"
    yield from _described("data", shared, shared.get("$defs", {}))
    for place, kind in OWN_DATA.items():
        schema = kind.model_json_schema()
        own = {key: field for key, field in schema["properties"].items() if field != shared["properties"].get(key)}
        yield f"#### data.{place}"
        yield from _described("data", schema | {"properties": own}, schema.get("$defs", {}))


def training() -> Iterator[str]:
    """The keys of `training`, and what differs where the data is no sound."""
    yield from _of_class("training", TrainingSection)
    yield "#### training.augment of data of your own"
    yield "There `training` has no `synthetic_` keys, and `augment` has this one alone:"
    yield from _of_class("training.augment", LayersAugment)


def _of_class(name: str, kind: type[Section]) -> Iterator[str]:
    schema = kind.model_json_schema()
    yield from _described(name, schema, schema.get("$defs", {}))


def networks() -> Iterator[str]:
    """The keys of `model`, network by network."""
    own = _codes((f"model.{key}" for key in OWN_NETWORKS), "or")
    yield (
        f"`model.name` is one of {_codes(CONFIGS)}; it decides which other keys there are. Of a network of your own"
        f" {own} says where it is."
    )
    for name, config in (CONFIGS | OWN_NETWORKS).items():
        yield f"#### {name}"
        yield from _of_class("model", config)


def precision() -> Iterator[str]:
    """What a rule of `precision` may say."""
    yield (
        "Keys are layer-name patterns (`*`, `?`, `[45]`; capitals matter), values a precision, which is that of the"
        f" weights, or a mapping with any of {_codes(PARTS)}. These kinds of layers can be named:"
        f" {_codes(COUNTERPARTS)}. What may be how wide:"
    )
    parts = ("kernel", "bias", "outputs")
    rows = [
        (f"`{p}`", str(p.bits), *("yes" if p is Format.FLOAT32 or getattr(p.row, part) else "" for part in parts))
        for p in Format
    ]
    yield _table(("precision", "bits", *PARTS), rows)


def boards() -> Iterator[str]:
    """What `target` may be."""
    rows = [
        (f"`{name}`", board.label, _kib(board.flash_bytes), _kib(board.ram_bytes), board.description)
        for name, board in TARGETS.items()
    ]
    yield _table(("target", "name", "flash KiB", "RAM KiB", "what else"), rows)


# What JSON Schema cannot say of a key.
OWN: dict[str, Callable[[], Iterator[str]]] = {
    "data": data,
    "model": networks,
    "precision": precision,
    "training": training,
    "target": boards,
}

# ------------------------------------------------------------------------------------------------- one key


def _row(key: str, field: Schema, required: bool, definitions: Schema) -> tuple[str, ...]:
    meaning, kind, default = " ".join(field["description"].split()), _kind(field, definitions), field.get("default")
    unit = UNIT.search(meaning) if "number" in kind else None
    shown = "-" if required else "" if isinstance(default, Mapping) else f"`{_written(default)}`"
    return (
        f"`{key}`",
        kind,
        unit[1] if unit else "",
        shown,
        "; ".join(_limits(field)),
        UNIT.sub("", meaning) if unit else meaning,
    )


def _referred(schema: Schema, definitions: Schema) -> Schema:
    referred: Schema = definitions[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    return referred


def _section_of(field: Any, definitions: Schema) -> Schema | None:
    """The section that a key holds, alone (`Published | None`), in a list or in a mapping; None if it holds none."""
    if not isinstance(field, Mapping):
        return None
    schema = _referred(field, definitions)
    if "properties" in schema:
        return schema
    forms = (*schema.get("anyOf", ()), schema.get("items"), schema.get("additionalProperties"))
    return next(filter(None, (_section_of(form, definitions) for form in forms)), None)


def _kind(field: Schema, definitions: Schema) -> str:
    """The type of a value in words, the allowed values included."""
    field = _referred(field, definitions)
    if "anyOf" in field:
        return " or ".join(_kind(form, definitions) for form in field["anyOf"])
    if "const" in field:
        return f"`{_written(field['const'])}`"
    if "enum" in field:
        return _codes(map(_written, field["enum"]), "or")
    if field.get("type") == "array":
        return _list(field, definitions)
    if field.get("type") == "object":
        inside = field.get("additionalProperties")
        return "mapping" + (f" to {_kind(inside, definitions)}" if isinstance(inside, Mapping) and inside else "")
    return KINDS.get(str(field.get("type")), "any value")


def _list(field: Schema, definitions: Schema) -> str:
    """ "list of 2 numbers", "list of 2 to 64 whole numbers", "list of text"."""
    each = " or ".join(dict.fromkeys(_kind(item, definitions) for item in _items(field)))
    least, most = field.get("minItems", 0), field.get("maxItems")
    count = f"{least} to {most} " if most else f"{least} or more " if least else ""
    count = f"{least} " if least == most else count
    return f"list of {count}{each}{'s' if each.endswith(('number', 'mapping')) else ''}"


def _items(field: Schema) -> list[Schema]:
    """What is said of the items of a list; nothing for what is no list."""
    return [*field.get("prefixItems", ()), *([field["items"]] if "items" in field else [])]


def _limits(field: Schema) -> Iterator[str]:
    """The limits of a value; those of a list's items are said of each."""
    for form in field.get("anyOf", [field]):
        limits = [text.format(form[name]) for name, text in LIMITS.items() if name in form]
        if {"minimum", "maximum"} <= form.keys():
            limits = [f"{form['minimum']:,} to {form['maximum']:,}"]
        of_items = [limit for item in _items(form) for limit in _limits(item)]
        limits += [f"each {', '.join(dict.fromkeys(of_items))}"] if of_items else []
        limits += ["not empty"] if form.get("minLength") else []
        if limits:
            yield ", ".join(limits)


def _kib(size: int) -> str:
    return f"{to_kib(size):,.1f}".removesuffix(".0")


def _written(value: Any) -> str:
    """A value as it stands in a recipe."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_written, value))}]"
    names = {None: "null", True: "true", False: "false"}
    if value is None or isinstance(value, bool):
        return names[value]
    return str(value).removesuffix(".0")


def _codes(names: Any, last: str = "") -> str:
    listed = [f"`{name}`" for name in names]
    return f"{', '.join(listed[:-1])} {last} {listed[-1]}" if last and len(listed) > 1 else ", ".join(listed)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


if __name__ == "__main__":
    main()
