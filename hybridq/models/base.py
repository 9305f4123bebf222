"""What the configurations of all networks, and the networks, are made of."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from hybridq.settings.section import Section


class NetworkConfig(Section):
    """What every network's configuration shares: `name`, its key in CONFIGS."""

    name: str = Field(description="the network, by its name in the registry")


Layers = Any  # what a network is built of: `Input`, `Model` and layers by their names, of Keras or on paper
Width = Annotated[int, Field(ge=1, le=4096)]
Stride = Annotated[int, Field(ge=1, le=8)]
