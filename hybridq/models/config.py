"""The typed configuration of each network, without Keras: what `model:` in a recipe may hold."""

from __future__ import annotations

import difflib
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hybridq.errors import UserError
from hybridq.validation import fault


class Section(BaseModel):
    """A mapping in a recipe: no unknown keys, no silent conversion ("3" is not 3), no nan or infinity."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)


class NetworkConfig(Section):
    """What every network's configuration shares: `name`, its key in CONFIGS."""

    name: str = Field(description="the network, by its name in the registry")


Width = Annotated[int, Field(ge=1, le=4096)]


class ReferenceConfig(NetworkConfig):
    """The reference keyword spotter: six 3x3 convolutions, two max-pools, three dense layers."""

    name: Literal["reference"] = Field(default="reference", description="the network, by its name in the registry")
    padding: Literal["valid", "same"] = Field(
        default="valid", description="border of the convolutions: valid drops it, same pads it with zeros"
    )
    norm: Literal["before_pool", "after_pool"] = Field(
        default="before_pool", description="batch normalisation before or after the max-pool"
    )
    activation: Literal["relu", "elu", "selu", "tanh", "sigmoid", "gelu", "swish", "leaky_relu"] = Field(
        default="elu", description="the nonlinearity after every convolution and the first two dense layers"
    )
    # A YAML list arrives as a list: strict mode would take nothing but a tuple. The items stay strict.
    filters: tuple[Width, ...] = Field(
        default=(16, 16, 32, 32, 64, 64),
        strict=False,
        min_length=6,
        max_length=6,
        description="outputs of the six convolutions (channels)",
    )
    dense: tuple[Width, ...] = Field(
        default=(64, 64),
        strict=False,
        min_length=2,
        max_length=2,
        description="outputs of the two hidden dense layers; the last one has an output for each word (units)",
    )
    dropout: float = Field(
        default=0.2,
        ge=0,
        lt=1,
        description="share of values dropped before the first two dense layers in training (0 to 1)",
    )


class TCResNetConfig(NetworkConfig):
    """TC-ResNet: residual blocks of convolutions along time, the coefficients as channels."""

    name: Literal["tc_resnet"] = Field(default="tc_resnet", description="the network, by its name in the registry")
    channels: tuple[Width, ...] = Field(
        default=(24, 36, 36, 48, 48, 72, 72),
        strict=False,
        min_length=2,
        max_length=64,
        description=(
            "outputs of the first convolution and of each block; frames are halved where they change;"
            " 16, 24, 32, 48 is TC-ResNet8, the default TC-ResNet14-1.5 (channels)"
        ),
    )
    dropout: float = Field(
        default=0.5, ge=0, lt=1, description="share of values dropped before the dense layer in training (0 to 1)"
    )


class TENetConfig(NetworkConfig):
    """TENet: inverted bottlenecks along time, nearly all weights in 1x1 convolutions."""

    name: Literal["tenet"] = Field(default="tenet", description="the network, by its name in the registry")
    first: Width = Field(default=32, description="outputs of the first convolution (channels)")
    channels: tuple[Width, ...] = Field(
        default=(32, 32, 32),
        strict=False,
        min_length=1,
        max_length=16,
        description="outputs of the blocks of each stage; a stage halves the frames (channels)",
    )
    blocks: tuple[Annotated[int, Field(ge=1, le=64)], ...] = Field(
        default=(4, 4, 4),
        strict=False,
        description="blocks in each stage; 4, 4, 4 is TENet12, 2, 2, 2 is TENet6 (count)",
    )
    expansion: int = Field(default=3, ge=1, le=16, description="how much wider a block is inside (factor)")
    length: int = Field(default=9, ge=1, le=199, description="length of the depthwise convolutions (frames)")
    dropout: float = Field(
        default=0.1, ge=0, lt=1, description="share of values dropped before the dense layer in training (0 to 1)"
    )

    @model_validator(mode="after")
    def _blocks_for_each_stage(self) -> TENetConfig:
        if len(self.blocks) != len(self.channels):
            message = f"as many numbers as model.channels, {len(self.channels)} (has {len(self.blocks)})"
            raise fault(message, "blocks", "channels")
        return self


CONFIGS: dict[str, type[NetworkConfig]] = {
    "reference": ReferenceConfig,
    "tc_resnet": TCResNetConfig,
    "tenet": TENetConfig,
}
DEFAULT_NETWORK = "reference"


def config_type(name: str) -> type[NetworkConfig]:
    """The configuration class of the network of that name; raises UserError for an unknown one."""
    if name in CONFIGS:
        return CONFIGS[name]
    near = difflib.get_close_matches(name, CONFIGS, n=1, cutoff=0.4)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    raise UserError(f"'{name}' is not one of {', '.join(CONFIGS)}{hint}")
