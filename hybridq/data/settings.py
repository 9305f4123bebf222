"""What a recipe says of data that is no sound: three forms of the section `data`, and changes to training inputs."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from hybridq.settings.section import Section
from hybridq.settings.tree import shown
from hybridq.settings.validation import fault

NormaliseKind = Literal["none", "unit", "global", "per_channel"]


class DataSection(Section):
    """What every form of the section `data` shares."""

    PLACE: ClassVar[str]  # the key that says where the data lies; it is a matter of the machine, not of the result

    @property
    def place(self) -> str:
        """Where the data lies, as the recipe says it."""
        return str(getattr(self, self.PLACE))


class OwnData(DataSection):
    """Examples of any kind, in splits that are given or drawn."""

    labels: tuple[str, ...] | None = Field(
        default=None, strict=False, description="names of the classes, in their order; null: as the data says"
    )
    validation: float = Field(
        default=0.1, ge=0, lt=1, description="share to validate on, where no such split is given (0 to 1)"
    )
    test: float = Field(default=0.1, ge=0, lt=1, description="share to test on, where no such split is given (0 to 1)")
    split_seed: int = Field(default=0, ge=0, lt=2**32, description="seed by which these are drawn")
    normalise: NormaliseKind = Field(
        default="none",
        description="what the network reads: numbers as they are (none), divided by 255 (unit), or with the training"
        " split's mean 0 and deviation 1, over all numbers (global) or channel by channel, the last axis (per_channel)",
    )
    balance: bool = Field(default=False, description="weigh each class inversely to its number of training examples")
    synthetic: bool = Field(default=False, description="made-up data: every result says so")

    @field_validator("labels")
    @classmethod
    def _different(cls, labels: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if labels is not None and (len(set(labels)) < len(labels) or not all(labels) or len(labels) < 2):
            raise fault(f"two names or more, all different (is {shown(list(labels))})")
        return labels


class ArraysData(OwnData):
    """Arrays from a file. Names: see "Your own data" above."""

    PLACE = "arrays"
    arrays: str = Field(
        min_length=1, description="an .npz file, or a folder of .npy files, relative to this file; must be given"
    )


class ImagesData(OwnData):
    """Pictures in a folder for each class, all of one size."""

    PLACE = "images"
    images: str = Field(
        min_length=1, description="a folder or a zip with class folders, relative to this file; must be given"
    )
    size: tuple[int, int] | None = Field(
        default=None,
        strict=False,
        description="rows and columns, to which pictures are scaled; null: as they are, all alike (pixels)",
    )
    colour: Literal["rgb", "grey"] = Field(default="rgb", description="three channels or one")
    normalise: NormaliseKind = Field(default="unit", description="as for arrays; unit: values from 0 to 1")

    @field_validator("size")
    @classmethod
    def _of_a_picture(cls, size: tuple[int, int] | None) -> tuple[int, int] | None:
        if size and not all(1 <= side <= 4096 for side in size):
            raise fault(f"two numbers from 1 to 4,096 (is {shown(list(size))})")
        return size


class PythonData(OwnData):
    """What a Python function returns. Training a recipe with it runs the file."""

    PLACE = "python"
    python: str = Field(
        min_length=1,
        pattern=r".+\.py:[^:]+$",
        description="FILE.py:function, relative to this file; called without arguments; must be given",
    )


OWN_DATA: dict[str, type[OwnData]] = {kind.PLACE: kind for kind in (ArraysData, ImagesData, PythonData)}


class LayersAugment(Section):
    """Random changes to the training inputs, anew in every epoch."""

    layers: tuple[dict[str, dict[str, Any]], ...] = Field(
        default=(),
        strict=False,
        description="random layers of Keras with their settings, in their order, as [{RandomFlip: {mode: horizontal}}]",
    )

    @model_validator(mode="after")
    def _one_each(self) -> LayersAugment:
        for layer in self.layers:
            name = next(iter(layer), "")
            if len(layer) != 1 or not name.startswith("Random"):
                raise fault(
                    f"each is one of Keras' random layers, as {{RandomFlip: {{}}}} (is {shown(layer)})", "layers"
                )
        return self
