"""The section `training` of a recipe: how a network is fitted, and what is done to the clips that it hears."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from hybridq.settings.section import Range, Section
from hybridq.settings.validation import fault
from hybridq.settings.yamlfile import shown


class AugmentSettings(Section):
    """Changes made to each training clip at random, anew in every epoch."""

    shift_ms: float = Field(default=100.0, ge=0, le=1_000, description="largest shift in time, either way (ms)")
    speed: Range = Field(
        default=(0.9, 1.1),
        description="change of speed, and so of pitch and tempo, slowest and fastest, from 0.5 to 2 (factor)",
    )
    tempo: Range = Field(
        default=(1.0, 1.0), description="change of tempo at the same pitch, slowest and fastest, from 0.5 to 2 (factor)"
    )
    pitch_semitones: Range = Field(
        default=(0.0, 0.0),
        description="change of pitch at the same tempo, lowest and highest, from -12 to 12 (semitones)",
    )
    vocal_tract: Range = Field(
        default=(1.0, 1.0),
        description=(
            "length of the speaker's vocal tract over what it is, shortest and longest, from 0.5 to 2 (factor)"
        ),
    )
    noise_probability: float = Field(
        default=0.8, ge=0, le=1, description="share of clips that get background noise (0 to 1)"
    )
    noise_snr_db: Range = Field(
        default=(5.0, 40.0), description="signal-to-noise ratio of that noise, lowest and highest (dB)"
    )
    hiss_db: Range | None = Field(
        default=(30.0, 60.0),
        description="white noise in every clip, this far below its level, least and most; null: none (dB)",
    )
    gain_db: Range = Field(default=(-6.0, 6.0), description="change of level, lowest and highest (dB)")
    mixup: float = Field(
        default=0.0, ge=0, le=10, description="mix pairs of clips, shares from Beta(mixup, mixup); 0: off"
    )
    time_mask: int = Field(default=0, ge=0, description="longest stretch of frames blanked out (frames)")
    time_masks: int = Field(default=1, ge=1, le=100, description="how many such stretches in each clip (count)")
    frequency_mask: int = Field(default=0, ge=0, description="widest band of coefficients blanked out (coefficients)")
    frequency_masks: int = Field(default=1, ge=1, le=100, description="how many such bands in each clip (count)")

    @field_validator("speed", "tempo", "vocal_tract")
    @classmethod
    def _speakable(cls, factors: tuple[float, float]) -> tuple[float, float]:
        if not 0.5 <= factors[0] <= factors[1] <= 2:
            raise fault(f"two factors from 0.5 to 2, the lower first (is {shown(list(factors))})")
        return factors

    @field_validator("pitch_semitones")
    @classmethod
    def _within_an_octave(cls, pitch: tuple[float, float]) -> tuple[float, float]:
        if not -12 <= pitch[0] <= pitch[1] <= 12:
            raise fault(f"two numbers from -12 to 12, the lower first (is {shown(list(pitch))})")
        return pitch

    @field_validator("noise_snr_db", "hiss_db", "gain_db")
    @classmethod
    def _ascending(cls, pair: tuple[float, float] | None) -> tuple[float, float] | None:
        if pair and pair[0] > pair[1]:
            raise fault(f"the lower value comes first (is {shown(list(pair))})")
        return pair


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


class TrainingSettings(Section):
    """How the network is fitted."""

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
    synthetic_voices: int = Field(
        default=0,
        ge=0,
        le=100_000,
        description="synthetic voices, of which eight in ten say the words in the place of training clips; 0: none"
        " (count)",
    )
    synthetic_share: float = Field(
        default=0.2,
        gt=0,
        lt=1,
        description="share of the training clips that they replace, others in every epoch (0 to 1)",
    )
    synthetic_unknown_share: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="the same of the clips of _unknown_, where they say everyday words; null: synthetic_share (0 to 1)",
    )
    prune: PruneSettings = Field(default=PruneSettings(), description="weights that become zero in training")
    augment: AugmentSettings = Field(default=AugmentSettings(), description="random changes to the training clips")

    @field_validator("latent_clip")
    @classmethod
    def _above_the_mean(cls, bounds: tuple[float, float] | None) -> tuple[float, float] | None:
        if bounds and min(bounds) <= 1:
            raise fault(f"two factors above 1, for the first and the last epoch (is {shown(list(bounds))})")
        return bounds

    @model_validator(mode="after")
    def _pruned_in_time(self) -> TrainingSettings:
        if self.prune.sparsity and self.prune.last > self.epochs:
            message = f"at most training.epochs, {self.epochs} (is {self.prune.last})"
            raise fault(message, "prune", "epochs")
        return self

    @field_validator("synthetic_voices")
    @classmethod
    def _heard(cls, count: int) -> int:
        if count in (1, 2):
            raise fault(f"must be 0, or 3 or more: voices are kept out for validation and test (is {count})")
        return count
