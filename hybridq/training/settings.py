"""What fitting a network is told: keys of the section `training` of a recipe, with defaults, limits and meaning."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from hybridq.settings.section import Range, Section
from hybridq.settings.tree import shown
from hybridq.settings.validation import fault


class PruneSettings(Section):
    """Magnitude pruning: the smallest weights become zero, more of them from epoch to epoch (arXiv 1710.01878)."""

    sparsity: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="share of the weights of each kernel that are zero at the end; 0: off (0 to 1)",
    )
    first: int = Field(default=1, ge=1, description="epoch that prunes first, the first of all is 1 (count)")
    last: int = Field(
        default=1,
        ge=1,
        description="epoch from which on the share is full; weights of earlier ones are not kept (count)",
    )

    @model_validator(mode="after")
    def _rises(self) -> PruneSettings:
        if self.first > self.last:
            raise fault(f"at most training.prune.last, {self.last} (is {self.first})", "first", "last")
        return self


class FitSettings(Section):
    """How the weights are fitted."""

    seed: int = Field(
        default=0, ge=0, lt=2**32, description="seed of the weights, the order of clips and the augmentation"
    )
    epochs: int = Field(
        default=40,
        ge=0,
        le=100_000,
        description="passes over the training clips; 0: the weights of start_from as they are (count)",
    )
    batch: int = Field(default=64, ge=1, le=65_536, description="clips per training step (count)")
    optimizer: Literal["adam", "adamw", "sgd"] = Field(default="adam", description="the rule that updates the weights")
    learning_rate: float = Field(default=1e-3, gt=0, description="step size after the warm-up (per update)")
    weight_decay: float = Field(
        default=0.0, ge=0, description="pull of the weights towards zero, as the optimizer takes it"
    )
    schedule: Literal["constant", "cosine", "step"] = Field(
        default="cosine",
        description=(
            "how the learning rate falls: not, to 0 along a half cosine,"
            " or to a tenth after 60 % of the steps and a hundredth after 85 %"
        ),
    )
    warmup_epochs: int = Field(
        default=1, ge=0, description="epochs over which the learning rate rises from zero (count)"
    )
    label_smoothing: float = Field(
        default=0.1, ge=0, lt=1, description="share of each label spread evenly over all words (0 to 1)"
    )
    average: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="exponential moving average of the weights, share kept per step; 0: off (0 to 1)",
    )
    bfloat16: bool = Field(
        default=False,
        description="multiply in bfloat16 in training, where TensorFlow and the processor can; answers are float32",
    )
    teacher_share: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="share of each target that is the teacher's answer, the rest is the label (0 to 1)",
    )
    teacher_temperature: float = Field(
        default=1.0,
        gt=0,
        description="above 1 the teacher's answer is made more even, below 1 sharper; arXiv 1503.02531 (factor)",
    )
    latent_clip: Range | None = Field(
        default=None,
        description="bound on the latent weights of binary and ternary layers in the first and in the last epoch,"
        " linear between: a multiple, more than 1, of their mean magnitude in an output channel; null: none (factor)",
    )

    @field_validator("latent_clip")
    @classmethod
    def _above_the_mean(cls, bounds: tuple[float, float] | None) -> tuple[float, float] | None:
        if bounds and min(bounds) <= 1:
            raise fault(f"two factors above 1, for the first and the last epoch (is {shown(list(bounds))})")
        return bounds


class TrainingSettings(FitSettings):
    """All that `training.fit.train` is told: how the weights are fitted, and which of them become zero."""

    prune: PruneSettings = Field(default=PruneSettings(), description="weights that become zero in training")

    @model_validator(mode="after")
    def _pruned_in_time(self) -> TrainingSettings:
        if self.prune.sparsity and self.prune.last > self.epochs:
            message = f"at most training.epochs, {self.epochs} (is {self.prune.last})"
            raise fault(message, "prune", "epochs")
        return self
