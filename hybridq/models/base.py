"""What the configurations of all networks are made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hybridq.settings.section import Section


class NetworkConfig(Section):
    """What every network's configuration shares: `name`, its key in CONFIGS."""

    name: str = Field(description="the network, by its name in the registry")


Width = Annotated[int, Field(ge=1, le=4096)]
Stride = Annotated[int, Field(ge=1, le=8)]
