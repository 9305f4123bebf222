"""From a tree of YAML to a pydantic model; a fault names its file, line, key and the nearest valid one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from hybridq.errors import UserError, did_you_mean
from hybridq.settings.tree import Key, Node, dotted, shown

Model = TypeVar("Model", bound=BaseModel)
MOST_EXPLAINED = 50  # faults of a file: two are told, and the search for what was meant takes its time for each


class Fault(NamedTuple):
    """One thing wrong with a file."""

    key: Key
    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {dotted(self.key)}: {self.message}" if self.key else f"{self.place}: {self.message}"


def fault(message: str, key: str | None = None, *beside: str) -> PydanticCustomError:
    """For validators to raise: what is wrong, with which key of the section, set against which others."""
    return PydanticCustomError("fault", "{message}", {"message": message, "key": key, "beside": beside})


def refuse(faults: Iterable[Fault]) -> None:
    """Raise UserError with the first two faults, if there are any: a message is at most two lines."""
    every = list(faults)
    deepest = [f for f in every if not any(f is not g and g.key[: len(f.key)] == f.key != g.key for g in every)]
    if deepest:
        raise UserError([str(f) for f in deepest[:2]])


def check(model: type[Model], data: Any, tree: Node, known: Sequence[Key], at: Key = ()) -> Model | list[Fault]:
    """Validate plain data as `model`, which stands at key `at` of the tree; the faults if it is not valid.

    `known` are the keys of the whole file: they tell the right section of a key that stands in a wrong one.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        faults = error.errors(include_url=False)[:MOST_EXPLAINED]
        return [_explain(details, model, tree, known, at) for details in faults]


def keys(model: type[BaseModel]) -> Iterator[Key]:
    """Every key that a model knows, sections before what they hold."""
    for name, field in model.model_fields.items():
        yield (name,)
        inner = _section(field.annotation)
        if inner:
            yield from ((name, *rest) for rest in keys(inner))


def _meant(word: str, choices: Iterable[str]) -> str:
    """The end of a message: the choice that was probably meant, else all of them."""
    names = list(choices)
    return did_you_mean(word, names) or f" (known: {', '.join(names)})"


def _explain(details: Any, model: type[BaseModel], tree: Node, known: Sequence[Key], at: Key) -> Fault:
    context = details.get("ctx") or {}
    inner: Key = details["loc"]
    if details["type"] == "extra_forbidden":
        key = (*at, *inner)
        near = _nearest_key(key, _section_at(model, inner[:-1]), known)
        return Fault(key, tree.where(key), f"unknown key{near}")
    if details["type"] == "missing" and isinstance(inner[-1], int):  # a pair with one value
        key = (*at, *inner[:-1])
        return Fault(key, tree.where(key), "must have 2 values")
    section: Key = (*at, *inner)
    beside = [(*section, name) for name in context.get("beside", ())]
    key = (*section, context["key"]) if context.get("key") else section
    return Fault(key, _place(tree, key, beside), _message(details))


def _place(tree: Node, key: Key, beside: list[Key]) -> str:
    """Where the key stands; if it was left at its default, where one it conflicts with does."""
    given = [k for k in (key, *beside) if tree.get(*k)]
    return tree.where(given[0] if given else key)


def _nearest_key(key: Key, section: type[BaseModel], known: Sequence[Key]) -> str:
    elsewhere = [k for k in known if k[-1] == key[-1]]
    if len(elsewhere) == 1:
        return f"; did you mean '{dotted(elsewhere[0])}'?"
    return _meant(str(key[-1]), section.model_fields)


def _section(annotation: Any) -> type[BaseModel] | None:
    """The model inside an annotation (`Augment`, `Published | None`), if there is one."""
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def _section_at(model: type[BaseModel], key: Key) -> type[BaseModel]:
    for part in key:
        field = model.model_fields.get(str(part))
        model = (_section(field.annotation) if field else None) or model
    return model


_WANTED = {  # pydantic's type of error -> what the value must be
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "string_unicode": "text in UTF-8, also the folders in it",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping, 'key: value' on each line",
    "model_type": "a mapping, 'key: value' on each line",
    "greater_than_equal": "at least {ge}",
    "greater_than": "more than {gt}",
    "less_than_equal": "at most {le}",
    "less_than": "less than {lt}",
}


def _message(details: Any) -> str:
    kind, context, given = details["type"], details.get("ctx") or {}, details.get("input")
    if kind == "fault":
        return str(context["message"])
    if kind in _WANTED:
        limits = {name: f"{v:g}" if isinstance(v, float) else v for name, v in context.items()}
        return f"must be {_WANTED[kind].format(**limits)} (is {shown(given)})"
    if kind in ("literal_error", "enum"):
        choices = [part.strip("'") for part in context["expected"].replace(" or ", ", ").split(", ")]
        listed = ", ".join(choices)
        return f"{shown(given)} is not one of {listed}{did_you_mean(given, choices) if isinstance(given, str) else ''}"
    if kind in ("too_short", "too_long"):
        wanted = context.get("min_length") or context.get("max_length")
        return f"must have {wanted} values (has {len(given)})"
    if kind == "missing":
        return "must be given"
    if kind == "string_too_short":
        return "must not be empty"
    return f"{details['msg']} (is {shown(given)})"
