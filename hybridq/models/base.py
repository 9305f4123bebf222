"""What the configurations of all networks, and all sections of a recipe, are made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A mapping in a recipe: no unknown keys, no silent conversion ("3" is not 3), no nan or infinity."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)


class NetworkConfig(Section):
    """What every network's configuration shares: `name`, its key in CONFIGS."""

    name: str = Field(description="the network, by its name in the registry")


Width = Annotated[int, Field(ge=1, le=4096)]
Stride = Annotated[int, Field(ge=1, le=8)]
