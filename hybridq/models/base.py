"""What the configurations of all networks, and the networks, are made of."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from hybridq.settings.section import Section


class NetworkConfig(Section):
    """What every network's configuration shares: `name`, its key in CONFIGS."""

    name: str = Field(description="the network, by its name in the registry")

    @property
    def has_weights(self) -> bool:
        """Whether its weights are those of a trained network before any training here."""
        return False

    def content(self) -> dict[str, str]:
        """What else decides the network, of files that it is from; nothing for one that is built here."""
        return {}


Layers = Any  # what a network is built of: `Input`, `Model` and layers by their names, of Keras or on paper
Width = Annotated[int, Field(ge=1, le=4096)]
Stride = Annotated[int, Field(ge=1, le=8)]
