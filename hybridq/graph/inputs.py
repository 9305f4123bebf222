"""Shapes of the network's inputs that a file leaves open, as a user gives them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hybridq.errors import UserError
from hybridq.graph.operators import Shape

OPTION = "--input-shape"


@dataclass(frozen=True)
class InputShapes:
    """Shapes without the batch, by the name of the input; "" is the shape of every input without one of its own."""

    shapes: Mapping[str, Shape] = field(default_factory=dict)

    @classmethod
    def of_any(cls, given: Sequence[int] | Mapping[str, Sequence[int]] | None) -> InputShapes:
        """Of one shape, of shapes by the names of their inputs, or of none. Raises UserError for what is no shape."""
        named = given if isinstance(given, Mapping) else {} if given is None else {"": given}
        return cls({str(name): _shape(shape) for name, shape in named.items()})

    @classmethod
    def of_texts(cls, texts: Sequence[str]) -> InputShapes:
        """Of what a command line has: "96x96x3", "audio=16000". Raises UserError for what is no shape."""
        pairs = [text.rpartition("=")[::2] for text in texts]
        return cls.of_any({name: _sizes(text) for name, text in pairs})

    def shape_of(self, name: str, known: Sequence[int | None]) -> Shape:
        """The shape of an input of which the file knows these sizes, None for one that it leaves open.

        Raises UserError where one is left open, and where a given shape is not of these sizes.
        """
        given = self.shapes.get(name, self.shapes.get(""))
        fixed = tuple(n for n in known if n is not None)
        said = f"is {'x'.join(str(n or '?') for n in known)}" if known else "is not built: its shape is not known"
        if given is None:
            if len(fixed) == len(known) and known:
                return fixed
            if not known:
                raise UserError(f"the model is not built: its input shape is not known; {OPTION} or an Input states it")
            raise UserError(
                f"the input '{name}' {said}, which is not fixed: state it, as in {OPTION} {_example(known)}"
            )
        if known and not (len(given) == len(known) and all(n in (None, m) for n, m in zip(known, given, strict=True))):
            one_of_several = "" if name in self.shapes else "; of several inputs name the open one, NAME=SIZES"
            raise UserError(f"{OPTION} {'x'.join(map(str, given))}: the input '{name}' {said}{one_of_several}")
        return given

    def check_used(self, names: Iterable[str]) -> None:
        """Raise UserError for a name that no input of the network bears."""
        known = list(names)
        for name in self.shapes:
            if name and name not in known:
                raise UserError(f"{OPTION} {name}=...: the network has no such input (it has {', '.join(known)})")


NONE_GIVEN = InputShapes()


def _sizes(text: str) -> list[int]:
    sizes = text.strip().lower().replace(",", "x").split("x")
    if not all(size.strip().isdecimal() and len(size) < 12 for size in sizes):
        raise UserError(f"{OPTION} {text}: not sizes such as 96x96x3, without the batch")
    return [int(size) for size in sizes]


def _shape(given: Any) -> Shape:
    shape = tuple(given) if isinstance(given, Sequence) and not isinstance(given, str) else ()
    if not shape or not all(isinstance(n, int) and n > 0 for n in shape):
        raise UserError(f"the input shape {given!r} is none such as (96, 96, 3), without the batch")
    return tuple(int(n) for n in shape)


def _example(known: Sequence[int | None]) -> str:
    """Sizes that a person would recognise as such."""
    sizes = {1: [64], 2: [49, 10], 3: [96, 96, 3]}.get(len(known), [16] * max(len(known), 1))
    return "x".join(str(n or size) for n, size in zip(known or sizes, sizes, strict=True))
