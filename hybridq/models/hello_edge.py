"""The typed configurations of the networks of Hello Edge (Zhang et al., arXiv 1711.07128).

The defaults are the small ones.
Pairs are (frames, coefficients), as the paper prints them. All first convolutions are 10 frames x 4 coefficients.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hybridq.models.base import NetworkConfig, Stride, Width

KERNEL = (10, 4)  # frames, coefficients

Strides = Annotated[tuple[Stride, Stride], Field(strict=False)]  # a YAML list; its two numbers stay strict


class DNNConfig(NetworkConfig):
    """DNN: dense layers on the whole matrix."""

    name: Literal["dnn"] = Field(default="dnn", description="the network, by its name in the registry")
    units: tuple[Width, ...] = Field(
        default=(144, 144, 144),
        strict=False,
        min_length=1,
        max_length=16,
        description="outputs of the hidden dense layers (units)",
    )
    dropout: float = Field(
        default=0.1, ge=0, lt=1, description="share of values dropped behind each hidden layer in training (0 to 1)"
    )


class CNNConfig(NetworkConfig):
    """CNN: two convolutions, a dense layer without a nonlinearity, one with it."""

    name: Literal["cnn"] = Field(default="cnn", description="the network, by its name in the registry")
    filters: tuple[Width, ...] = Field(
        default=(28, 30),
        strict=False,
        min_length=2,
        max_length=2,
        description="outputs of the two convolutions (channels)",
    )
    linear: Width = Field(default=16, description="outputs of the dense layer without a nonlinearity (units)")
    dense: Width = Field(default=128, description="outputs of the dense layer behind it (units)")
    dropout: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="share of values dropped behind the convolutions and the dense layer in training (0 to 1)",
    )


class LSTMConfig(NetworkConfig):
    """LSTM over the frames; with a projection also with peepholes."""

    name: Literal["lstm"] = Field(default="lstm", description="the network, by its name in the registry")
    units: Width = Field(default=118, description="memory cells (units)")
    projection: Width | None = Field(
        default=None,
        description="outputs, which are projected from the cells and fed back; null: the basic LSTM (units)",
    )
    dropout: float = Field(
        default=0.1, ge=0, lt=1, description="share of values dropped before the dense layer in training (0 to 1)"
    )


class GRUConfig(NetworkConfig):
    """GRU over the frames."""

    name: Literal["gru"] = Field(default="gru", description="the network, by its name in the registry")
    units: Width = Field(default=154, description="outputs, which are the state (units)")
    dropout: float = Field(
        default=0.1, ge=0, lt=1, description="share of values dropped before the dense layer in training (0 to 1)"
    )


class CRNNConfig(NetworkConfig):
    """CRNN: a convolution, GRUs over its frames, a dense layer."""

    name: Literal["crnn"] = Field(default="crnn", description="the network, by its name in the registry")
    filters: Width = Field(default=48, description="outputs of the convolution (channels)")
    strides: Strides = Field(default=(2, 2), description="its strides (frames, coefficients)")
    units: tuple[Width, ...] = Field(
        default=(60, 60), strict=False, min_length=1, max_length=8, description="outputs of each GRU (units)"
    )
    dense: Width = Field(default=84, description="outputs of the hidden dense layer (units)")
    dropout: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="share of values dropped behind the convolution and the dense layer in training (0 to 1)",
    )


class DSCNNConfig(NetworkConfig):
    """DS-CNN: a convolution, then blocks of a depthwise and a pointwise convolution."""

    name: Literal["ds_cnn"] = Field(default="ds_cnn", description="the network, by its name in the registry")
    channels: Width = Field(default=64, description="outputs of every convolution (channels)")
    strides: Strides = Field(default=(2, 2), description="strides of the first convolution (frames, coefficients)")
    blocks: int = Field(default=4, ge=1, le=32, description="blocks after the first convolution (count)")
    block_stride: Stride = Field(default=1, description="stride of the first block along both axes (places)")
    dropout: float = Field(
        default=0.2, ge=0, lt=1, description="share of values dropped before the dense layer in training (0 to 1)"
    )
