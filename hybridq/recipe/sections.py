"""The sections of a recipe that belong to no other room: training, what a search may try, others' figures."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from hybridq.data.settings import LayersAugment
from hybridq.settings.section import Range, Section
from hybridq.settings.tree import shown
from hybridq.settings.validation import fault
from hybridq.speech.settings import AugmentSettings, SyntheticSettings
from hybridq.training.settings import FitSettings, TrainingSettings


class TrainingSection(TrainingSettings, SyntheticSettings, FitSettings):
    """How the network is fitted."""

    # Keys stand in the order of the bases, the last one's first: FitSettings is named again, so that its own lead.
    augment: AugmentSettings = Field(default=AugmentSettings(), description="random changes to the training clips")

    @property
    def hears_voices(self) -> bool:
        """Whether synthetic voices are among its training clips."""
        return self.synthetic_voices > 0


class OwnTrainingSection(TrainingSettings, FitSettings):
    """How the network is fitted to data that is no sound."""

    augment: LayersAugment = Field(default=LayersAugment(), description="random changes to the training inputs")


class SearchAxis(Section):
    """The values of one key that a search may try: one of these."""

    range: Range | None = Field(default=None, description="lowest and highest value; whole where the recipe's own is")
    log: Range | None = Field(default=None, description="the same, tried evenly in the logarithm")
    scale: Range | None = Field(
        default=None,
        description="smallest and largest factor, for all numbers that the key has in the recipe; multiples of 4",
    )
    choices: list[Any] | None = Field(default=None, min_length=1, description="any values")

    @model_validator(mode="after")
    def _one(self) -> SearchAxis:
        given = {name: value for name, value in self if value is not None}
        if len(given) != 1:
            raise fault(f"must have one of {', '.join(type(self).model_fields)} (has {', '.join(given) or 'none'})")
        for name, pair in given.items():
            if name != "choices" and not pair[0] < pair[1]:
                raise fault(f"the lower value comes first (is {shown(list(pair))})", name)
            if name in ("log", "scale") and pair[0] <= 0:
                raise fault(f"must be more than 0 (is {shown(list(pair))})", name)
        return self


class Published(Section):
    """Somebody else's figures for the same network, shown beside the run's own."""

    label: str = Field(min_length=1, description="name of the row; must be given")
    accuracy: float | None = Field(default=None, ge=0, le=100, description="accuracy (percent)")
    flash_mb: float | None = Field(default=None, ge=0, description="flash, as printed there (MB)")
    ram_kb: float | None = Field(default=None, ge=0, description="RAM, as printed there (KB)")
    macc_m: float | None = Field(default=None, ge=0, description="multiply-accumulates per inference (millions)")
    memory_kb: float | None = Field(
        default=None, ge=0, description="weights and activations together, in 8 bits, as printed there (KB)"
    )
    operations_m: float | None = Field(default=None, ge=0, description="operations per inference (millions)")
    source: str | None = Field(default=None, description="where the figures stand")
    note: str | None = Field(default=None, description="what to know before comparing")
