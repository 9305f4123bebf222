"""The typed configuration of each network, without Keras: what `model:` in a recipe may hold."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from hybridq.errors import UserError, did_you_mean
from hybridq.models.base import NetworkConfig as NetworkConfig
from hybridq.models.base import Width
from hybridq.models.hello_edge import CNNConfig, CRNNConfig, DNNConfig, DSCNNConfig, GRUConfig, LSTMConfig
from hybridq.models.own import OWN_NETWORKS
from hybridq.settings.validation import fault


class ReferenceConfig(NetworkConfig):
    """The reference keyword spotter: six 3x3 convolutions, two max-pools, three dense layers."""

    name: Literal["reference"] = Field(default="reference", description="the network, by its name in the registry")
    padding: Literal["valid", "same"] = Field(
        default="valid", description="border of the convolutions: valid drops it, same pads it with zeros"
    )
    norm: Literal["before_pool", "after_pool"] = Field(
        default="before_pool", description="batch normalisation before or after the max-pool"
    )
    activation: Literal["relu", "elu", "selu", "tanh", "sigmoid", "gelu", "swish", "leaky_relu", "softsign"] = Field(
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


class BCResNetConfig(NetworkConfig):
    """BC-ResNet: each block filters along the coefficients, then their mean along time, and adds both."""

    name: Literal["bc_resnet"] = Field(default="bc_resnet", description="the network, by its name in the registry")
    width: int = Field(
        default=8,
        ge=2,
        le=256,
        multiple_of=2,
        description="outputs of the first blocks, of which all others are multiples; 8 is BC-ResNet-1 (channels)",
    )
    bands: int = Field(
        default=5,
        ge=1,
        le=64,
        description="parts of the coefficients that are normalised apart, each as many (count)",
    )
    dropout: float = Field(
        default=0.1, ge=0, lt=1, description="share of channels dropped in each block in training (0 to 1)"
    )


class SVDFConfig(NetworkConfig):
    """SVDF: layers of a filter over the coefficients and one along time for each unit, and a projection."""

    name: Literal["svdf"] = Field(default="svdf", description="the network, by its name in the registry")
    units: tuple[Width, ...] = Field(
        default=(16, 32, 32, 32, 64, 128),
        strict=False,
        min_length=1,
        max_length=32,
        description="outputs of each layer before its projection (units)",
    )
    memory: tuple[Annotated[int, Field(ge=1, le=199)], ...] = Field(
        default=(4, 10, 10, 10, 10, 10), strict=False, description="length of each layer's filters along time (frames)"
    )
    projections: tuple[Width, ...] = Field(
        default=(40, 40, 64, 64, 64),
        strict=False,
        description="outputs of each layer but the last, which has no projection (units)",
    )
    dropout: float = Field(
        default=0.1, ge=0, lt=1, description="share of values dropped before the dense layer in training (0 to 1)"
    )

    @model_validator(mode="after")
    def _one_for_each_layer(self) -> SVDFConfig:
        for key, count in (("memory", len(self.units)), ("projections", len(self.units) - 1)):
            if len(getattr(self, key)) != count:
                message = f"{count} numbers, for the {len(self.units)} of model.units (has {len(getattr(self, key))})"
                raise fault(message, key, "units")
        return self


class LMUConfig(NetworkConfig):
    """LMU: layers of linear memories, whose states go into one ReLU layer; hears a stream frame by frame."""

    name: Literal["lmu"] = Field(default="lmu", description="the network, by its name in the registry")
    memories: tuple[Width, ...] = Field(
        default=(32, 24), strict=False, min_length=1, max_length=8, description="linear memories of each layer (count)"
    )
    order: tuple[Annotated[int, Field(ge=1, le=32)], ...] = Field(
        default=(6, 12), strict=False, description="states of each memory of a layer (count)"
    )
    window: tuple[Annotated[float, Field(ge=1, le=1_000)], ...] = Field(
        default=(12.0, 40.0), strict=False, description="what each layer's memories hold (frames)"
    )
    units: tuple[Width, ...] = Field(
        default=(128, 128), strict=False, description="outputs of each layer's ReLU layer (units)"
    )
    dropout: float = Field(
        default=0.1, ge=0, lt=1, description="share of values dropped behind each ReLU layer in training (0 to 1)"
    )

    @model_validator(mode="after")
    def _one_for_each_layer(self) -> LMUConfig:
        for key in ("order", "window", "units"):
            if len(getattr(self, key)) != len(self.memories):
                message = f"as many numbers as model.memories, {len(self.memories)} (has {len(getattr(self, key))})"
                raise fault(message, key, "memories")
        return self


CONFIGS: dict[str, type[NetworkConfig]] = {
    "reference": ReferenceConfig,
    "tc_resnet": TCResNetConfig,
    "tenet": TENetConfig,
    "bc_resnet": BCResNetConfig,
    "svdf": SVDFConfig,
    "lmu": LMUConfig,
    "dnn": DNNConfig,
    "cnn": CNNConfig,
    "lstm": LSTMConfig,
    "gru": GRUConfig,
    "crnn": CRNNConfig,
    "ds_cnn": DSCNNConfig,
}
DEFAULT_NETWORK = "reference"


def config_type(name: str) -> type[NetworkConfig]:
    """The configuration class of the network of that name; raises UserError for an unknown one."""
    if name in CONFIGS or name in OWN_NETWORKS:
        return {**CONFIGS, **OWN_NETWORKS}[name]
    raise UserError(f"'{name}' is not one of {', '.join(CONFIGS)}{did_you_mean(name, CONFIGS, likeness=0.4)}")
