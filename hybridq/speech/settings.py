"""All that a recipe says of sound: every key, with its default, its limits and what it means.

`data`, `features` and `decision` are sections of their own, the others are among the keys of `training`.

The unit of a number stands last in its description, in parentheses: docs/recipes.md is made from here.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from hybridq.data.settings import DataSection
from hybridq.errors import plain
from hybridq.settings.section import Range, Section
from hybridq.settings.tree import shown
from hybridq.settings.validation import fault

SOURCES = ("synthetic", "v0.01", "v0.02")  # any other source of audio is a folder
NormalisationKind = Literal["per_coefficient", "global"]


class DataSettings(DataSection):
    """Which clips, and which words of them."""

    PLACE = "source"
    source: str = Field(
        default="synthetic",
        min_length=1,
        description="synthetic, v0.01, v0.02 or a folder laid out as those are, relative to this file",
    )
    words: Literal["auto"] | tuple[str, ...] = Field(
        default="auto",
        description="the words to tell apart, two folders or more; auto: the ten standard commands where present",
    )
    silence: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="adds the class _silence_; usual: 0.1, 0: no such class (clips for each clip of a word)",
    )
    unknown: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="adds the class _unknown_, other words; usual: 0.1, 0: none (clips for each clip of a word)",
    )
    unknown_words: Literal["auto"] | tuple[str, ...] = Field(
        default="auto",
        description="the words to learn as _unknown_; auto: every word that is not in words. The others test it only",
    )
    unknown_spliced: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="share of the _unknown_ training clips that are the beginning of one word and the end of another, "
        "commands included; teaches that a part of a command is none (0 to 1)",
    )
    voices: int = Field(default=240, ge=3, le=100_000, description="voices of the synthetic source (count)")
    balance: bool = Field(default=True, description="weigh each word inversely to its number of clips")

    @property
    def negatives(self) -> tuple[str, ...]:
        """Which classes there are besides the words: silence, unknown."""
        return tuple(name for name, share in (("silence", self.silence), ("unknown", self.unknown)) if share)

    @field_validator("words", "unknown_words", mode="before")
    @classmethod
    def _words(cls, value: Any, about: ValidationInfo) -> Any:
        least = {"words": 2, "unknown_words": 1}[str(about.field_name)]
        if value == "auto":
            return value
        if not isinstance(value, list | tuple):
            raise fault(f"must be auto or a list of words (is {shown(value)})")
        for word in value:
            if not isinstance(word, str):
                raise fault(f"a word must be text (is {shown(word)}); put it in quotes")
            if not word or word.startswith(("_", ".")) or "/" in word or "\\" in word or plain(word) != word:
                raise fault(f"{shown(word)} is not a word: words are names of folders")
        twice = [word for word, count in Counter(value).items() if count > 1]
        if twice:
            raise fault(f"{shown(twice[0])} stands there twice")
        if len(value) < least:
            raise fault(f"must have {'two words' if least == 2 else 'a word'} or more (has {len(value)})")
        return tuple(value)

    @model_validator(mode="after")
    def _apart(self) -> DataSettings:
        if "auto" in (self.words, self.unknown_words):
            return self
        words = set(self.words)
        both = [word for word in self.unknown_words if word in words]
        if both:
            raise fault(f"{shown(both[0])} is one of data.words: it cannot be unknown", "unknown_words", "words")
        return self


class FeatureSettings(Section):
    """The front end: from a clip of one second to a matrix of MFCC, coefficients x frames."""

    sample_rate: int = Field(default=16_000, ge=1_000, le=192_000, description="samples a second (Hz)")
    window: int = Field(default=512, ge=2, le=65_536, description="length of the analysis window (samples)")
    hop: int = Field(default=256, ge=1, le=192_000, description="step from one frame to the next (samples)")
    transform: int = Field(
        default=512,
        ge=2,
        le=65_536,
        description="length of the Fourier transform, a power of two, at least window (samples)",
    )
    coefficients: int = Field(
        default=38, ge=1, description="mel-frequency cepstral coefficients kept per frame, at most mel_bands (count)"
    )
    frames: int = Field(
        default=55,
        ge=1,
        le=192_000,
        description="frames per clip; (frames - 1) x hop + window samples must fit into one second (count)",
    )
    mel_bands: int = Field(default=40, ge=1, le=1_024, description="bands of the mel filter bank (count)")
    low_hz: float = Field(default=20.0, ge=0, description="lower edge of the lowest mel band, less than high_hz (Hz)")
    high_hz: float = Field(
        default=8_000.0, gt=0, description="upper edge of the highest mel band, at most sample_rate / 2 (Hz)"
    )
    floor: float = Field(default=1e-6, gt=0, description="smallest power before the logarithm (full scale is 1)")
    normalisation: NormalisationKind = Field(
        default="per_coefficient",
        description=(
            "standardised with the training set's mean and deviation of each coefficient,"
            " or with one mean and deviation of them all, which keeps their differences"
        ),
    )

    @model_validator(mode="after")
    def _fits_together(self) -> FeatureSettings:
        if self.transform & (self.transform - 1):
            raise fault(f"must be a power of two (is {self.transform})", "transform")
        if self.window > self.transform:
            message = f"must be at most features.transform, {self.transform} (is {self.window})"
            raise fault(message, "window", "transform")
        if self.coefficients > self.mel_bands:
            message = f"must be at most features.mel_bands, {self.mel_bands} (is {self.coefficients})"
            raise fault(message, "coefficients", "mel_bands")
        if self.high_hz > self.sample_rate / 2:
            message = f"must be at most features.sample_rate / 2, {self.sample_rate / 2:g} (is {self.high_hz:g})"
            raise fault(message, "high_hz", "sample_rate")
        if self.low_hz >= self.high_hz:
            message = f"must be less than features.high_hz, {self.high_hz:g} (is {self.low_hz:g})"
            raise fault(message, "low_hz", "high_hz")
        crop = (self.frames - 1) * self.hop + self.window
        if crop > self.sample_rate:
            message = (
                f"{self.frames} frames need {crop} samples, (frames - 1) x hop + window,"
                f" and a clip of one second has {self.sample_rate}"
            )
            raise fault(message, "frames", "hop", "window", "sample_rate")
        return self


class DecisionSettings(Section):
    """When a command is acted upon, in a clip and in a stream. It changes no weight, and so no fingerprint."""

    threshold: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="a command counts as heard from this probability on; below it, and where the network hears "
        "_silence_ or _unknown_, nothing does (0 to 1)",
    )
    every: int = Field(
        default=4, ge=1, le=1_000, description="of a stream: from one inference to the next (columns of features)"
    )
    smoothing_ms: float = Field(
        default=250.0,
        ge=0,
        le=10_000,
        description="of a stream: the probabilities are the mean of the answers of this time; 0: the last one's (ms)",
    )
    refractory_ms: float = Field(
        default=1_000.0,
        ge=0,
        le=60_000,
        description="of a stream: after a command none counts as heard for this time (ms)",
    )


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


class SyntheticSettings(Section):
    """Synthetic voices among the training clips."""

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

    @field_validator("synthetic_voices")
    @classmethod
    def _heard(cls, count: int) -> int:
        if count in (1, 2):
            raise fault(f"must be 0, or 3 or more: voices are kept out for validation and test (is {count})")
        return count
