"""What every section of a recipe, and every configuration of a network, is made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Range = Annotated[tuple[float, float], Field(strict=False)]  # a YAML list; its two numbers stay strict


class Section(BaseModel):
    """A mapping in a recipe: no unknown keys, no silent conversion ("3" is not 3), no nan or infinity."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)
