"""What all results of the profiler have in common: plain data, which can be printed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple


class Forms(NamedTuple):
    """The functions by which a result shows itself."""

    text: Callable[[Any], str]
    fragment: Callable[[Any], str]  # HTML, without a page around it
    to_json: Callable[[Any], dict[str, Any]]


class Result:
    """Plain data that a user can print, look at in a notebook, and have as JSON.

    Results know no renderer: `hybridq.profiler`, which is imported before any of them is made, sets `forms` to the
    functions of `hybridq.profiler.render`. The other forms (a page, CSV, Markdown) are functions there.
    """

    forms: ClassVar[Forms]

    def __repr__(self) -> str:
        """A table of at most 100 columns, as in a terminal."""
        return self.forms.text(self)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return self.forms.fragment(self)

    def to_json(self) -> dict[str, Any]:
        """Numbers, texts, lists and dictionaries; a figure that is not known is None, never zero."""
        return self.forms.to_json(self)
