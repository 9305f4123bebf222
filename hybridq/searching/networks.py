"""The space of Hello Edge's networks as data, and networks drawn from it that are within the limits of a class.

The paper (Zhang et al., arXiv 1711.07128) searched features and sizes, and prints what it found: the choices here
enclose its small, medium and large networks. Sizes are multiples of 4, as kernels take four weights at once.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil, log2
from typing import TYPE_CHECKING, Any

from hybridq.errors import UserError
from hybridq.models.config import CONFIGS
from hybridq.profiler.closed_forms import size_of
from hybridq.profiler.hello_edge import Size
from hybridq.profiler.rates import WHOLE
from hybridq.profiler.targets import Target, target
from hybridq.searching.axes import MULTIPLE

if TYPE_CHECKING:
    from hybridq.speech.settings import FeatureSettings

Axis = Sequence[Mapping[str, Any]]  # settings, one of which is drawn


def each(key: str, values: Iterable[Any]) -> Axis:
    """The axis of one key."""
    return [{key: value} for value in values]


def sizes(low: int, high: int) -> list[int]:
    """Multiples of 4 from one to another, each about a tenth more than the one before."""
    counts = [low]
    while counts[-1] < high:
        counts.append(min(high, MULTIPLE * max(counts[-1] // MULTIPLE + 1, round(1.1 * counts[-1] / MULTIPLE))))
    return counts


# ------------------------------------------------------------------------------------------------ the space

BASE = "recipes/zoo/hello-edge/ds_cnn_s.yaml"  # whose data and training the networks get where no recipe is named
FEATURES = (
    [{"window": window, "hop": hop} for window in (20, 30, 40) for hop in (10, 20, 30, 40) if hop <= window],  # ms
    each("coefficients", (10, 13, 20, 40)),
)
FAMILIES: dict[str, tuple[Axis, ...]] = {  # by name, the `model` section of a recipe
    "dnn": (
        each("name", ["dnn"]),
        each("units", [(units,) * layers for layers in (2, 3, 4) for units in sizes(64, 512)]),
    ),
    "cnn": (
        each("name", ["cnn"]),
        each("filters", [(first, second) for first in sizes(16, 96) for second in sizes(16, 96)]),
        each("linear", sizes(12, 64)),
        each("dense", sizes(64, 256)),
    ),
    "basic_lstm": (each("name", ["lstm"]), each("units", sizes(64, 400))),
    "lstm": (
        each("name", ["lstm"]),
        [{"units": units, "projection": to} for units in sizes(64, 512) for to in sizes(32, 256) if to < units],
    ),
    "gru": (each("name", ["gru"]), each("units", sizes(64, 400))),
    "crnn": (
        each("name", ["crnn"]),
        each("filters", sizes(24, 160)),
        each("strides", [(1, 2), (2, 1), (2, 2), (3, 2)]),
        each("units", [(units,) * layers for layers in (1, 2) for units in sizes(32, 160)]),
        each("dense", sizes(32, 256)),
    ),
    "ds_cnn": (
        each("name", ["ds_cnn"]),
        each("channels", sizes(24, 320)),
        each("strides", [(1, 1), (2, 1), (1, 2), (2, 2)]),
        each("blocks", range(3, 8)),
        each("block_stride", (1, 2)),
    ),
}

# ----------------------------------------------------------------------------------------------- the limits

CLASSES = {"S": "hello-edge-small", "M": "hello-edge-medium", "L": "hello-edge-large"}
DECISIONS = 10  # a second, as the paper's limits are for
LEAST = 0.5  # share of a limit: a network below it in all of them leaves the class to smaller ones
NO_NETWORK = "that the features do not allow"
TOO_SMALL = f"under {LEAST:.0%} of every limit"


def limits_of(name: str) -> Target:
    """The limits of class S, M or L, or those of a board, in whose clock ten decisions a second must find their time.

    Cycles a MACC are those measured on other 8-bit networks (`rates.WHOLE`). UserError for an unknown board, and
    for one of whose core there is no measurement.
    """
    try:
        limits = target(CLASSES.get(name.upper(), name))
    except UserError as error:
        raise UserError(f"--class is S, M, L or a board: {error}") from None
    if limits.operations:
        return limits
    rate = WHOLE.get(limits.core)
    if not rate or not limits.clock_mhz:
        raise UserError(f"--class {name}: there is no measurement of the cycles of a MACC on a {limits.core}")
    return replace(limits, operations=int(2 * limits.clock_mhz * 1e6 / DECISIONS / rate))


def shares(size: Size, limits: Target) -> dict[str, float]:
    """What a network takes of each limit; more than 1 is beyond it. Weights and values have 8 bits."""
    needed = (
        ("memory", size.memory_bytes, limits.memory_bytes),
        ("flash", size.parameters, limits.flash_bytes),
        ("RAM", size.memory_bytes - size.parameters, limits.block_bytes or limits.ram_bytes),
        ("operations", size.operations, limits.operations),
    )
    return {name: count / allowed for name, count, allowed in needed if allowed}


# ---------------------------------------------------------------------------------------------- the networks


@dataclass(frozen=True)
class Network:
    """A network that was drawn: what it sets in a recipe, and its size by `closed_forms`."""

    name: str  # all that tells it: "gru, 25 x 10, window 40 hop 40 ms, units 152"
    family: str
    features: dict[str, int]
    model: dict[str, Any]
    size: Size


@dataclass
class Sample:
    """Networks within the limits, families in turn, and what became of the others.

    They depend on the seed alone: more of the same seed begin with the same.
    """

    networks: list[Network] = field(default_factory=list)
    drawn: int = 0
    dropped: Counter[str] = field(default_factory=Counter)  # by the first limit that is broken
    barren: list[str] = field(default_factory=list)  # families of which no further one was found

    def summary(self) -> str:
        """How many there were, and why most are dropped."""
        reasons = [f"{count:,} {reason}" for reason, count in self.dropped.most_common()]
        return f"{self.drawn:,} networks drawn; {', '.join([*reasons, f'{len(self.networks)} to train'])}"


MOST_DRAWN = 20_000  # in a row, of one family


def sample(
    families: Sequence[str], features: FeatureSettings, classes: int, limits: Target, count: int, seed: int
) -> Sample:
    """Draw from families in turn until `count` networks are within the limits; UserError where there are none.

    `features` are those of the base recipe: of them the sample rate and the mel bands hold for all networks.
    """
    rng, sampled, left = random.Random(seed), Sample(), list(families)
    known: set[str] = set()
    while len(sampled.networks) < count and left:
        family = left.pop(0)
        for _ in range(MOST_DRAWN):
            network = draw(rng, family, features, classes)
            sampled.drawn += 1
            reason = NO_NETWORK if network is None else _reason(network, limits)
            if network and network.name in known:
                reason = "drawn before"
            if network and not reason:
                known.add(network.name)
                sampled.networks.append(network)
                left.append(family)
                break
            sampled.dropped[reason] += 1
        else:
            sampled.barren.append(family)
    if not sampled.networks:
        raise UserError(f"none of {sampled.drawn:,} networks of {', '.join(families)} is within {limits.label}")
    return sampled


def draw(rng: random.Random, family: str, features: FeatureSettings, classes: int) -> Network | None:
    """A network of the family, of any size; None where the features do not allow it."""
    drawn, model = _one_of_each(rng, FEATURES), _one_of_each(rng, FAMILIES[family])
    rate, coefficients = features.sample_rate, drawn["coefficients"]
    window, hop = (drawn[key] * rate // 1000 for key in ("window", "hop"))
    if coefficients > features.mel_bands:
        return None
    frames = (rate - window) // hop + 1
    try:
        size = size_of(CONFIGS[model["name"]](**model), (coefficients, frames), classes)
    except UserError:
        return None
    transform = 2 ** ceil(log2(window))
    chosen = {"window": window, "hop": hop, "transform": transform, "coefficients": coefficients, "frames": frames}
    settings = (f"{key} {_shown(value)}" for key, value in model.items() if key != "name")
    times = f"window {drawn['window']} hop {drawn['hop']} ms"
    return Network(f"{family}, {frames} x {coefficients}, {times}, {', '.join(settings)}", family, chosen, model, size)


def chosen_families(text: str | None) -> list[str]:
    """The families that "ds_cnn,gru" names, all of them for None; UserError for another name."""
    names = [name.strip() for name in text.split(",")] if text is not None else list(FAMILIES)
    for name in names:
        if name not in FAMILIES:
            raise UserError(f"--family: '{name}' is not one of {', '.join(FAMILIES)}")
    return list(dict.fromkeys(names))


def _reason(network: Network, limits: Target) -> str:
    """Why a network is dropped; "" where it is not."""
    taken = shares(network.size, limits)
    over = next((f"over the {name}" for name, share in taken.items() if share > 1), "")
    return over or (TOO_SMALL if max(taken.values()) < LEAST else "")


def _one_of_each(rng: random.Random, axes: Sequence[Axis]) -> dict[str, Any]:
    return {key: value for axis in axes for key, value in rng.choice(axis).items()}


def _shown(value: Any) -> str:
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)
