"""The cast of the synthetic data set: who speaks, and in which split.

A voice is an accent and a variant of eSpeak NG with its own pitch, speed, melody and vocal tract length.
No variant is heard in two splits, so the test asks for speakers of a kind that was not heard in training.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

from hybridq.errors import UserError

ACCENTS = (
    "en-us",
    "en",
    "en-gb-x-rp",
    "en-gb-scotland",
    "en-029",
    "en-gb-x-gbclan",
    "en-gb-x-gbcwmd",
    "en-us-nyc",
)

# Variants of eSpeak NG 1.52 by split. Left out: robots, monsters and echo effects, and those whose words a
# linear classifier trained on the others took for another word in more than a quarter of the cases. The odd
# ones that remain train: they widen what is learnt, and the held-out figures are about ordinary voices.
VARIANTS = {
    "test": ("Diogo", "Michael", "Nguyen", "adam", "f2", "linda", "m1", "m4", "quincy", "victor"),
    "validation": ("Hugo", "Mario", "belinda", "f5", "grandpa", "m3", "m6", "pablo", "paul", "sandro"),
    "training": (
        "Alex", "Andy", "Annie", "Denis", "Gene", "Gene2", "Henrique", "Jacky", "Mike", "Mr serious",
        "Reed", "Storm", "anika", "antonio", "aunty", "benjamin", "boris", "caleb", "croak", "david",
        "ed", "edward", "edward2", "f1", "f3", "f4", "fast", "grandma", "gustave", "iven",
        "iven2", "iven3", "iven4", "john", "klatt", "klatt3", "klatt4", "klatt5", "klatt6", "m2",
        "m5", "m7", "m8", "marcelo", "max", "michel", "miguel", "mike2", "norbert", "pedro",
        "rob", "robert", "steph", "steph2", "travis", "whisper",
    ),
}  # fmt: skip

HELD_OUT_PERCENT = 10

# Ranges that a voice's own values are drawn from, all evenly.
SPEED = (110, 175)  # words a minute
PITCH = (32, 68)  # of eSpeak's 0 to 99, 50 being the variant's own
MELODY = (20, 80)  # as PITCH: how far the pitch moves
TRACT = (0.94, 1.07)  # length of the vocal tract over the variant's own: formants and pitch fall as it grows


@dataclass(frozen=True)
class Voice:
    """One synthetic speaker; `speaker` names it in file names, 8 hexadecimal digits as in Speech Commands."""

    speaker: str
    split: str
    accent: str
    variant: str
    speed: float
    pitch: float
    melody: float
    tract: float

    @property
    def name(self) -> str:
        """What eSpeak NG calls it."""
        return f"{self.accent}+{self.variant}"


def cast(voices: int, seed: int) -> list[Voice]:
    """So many voices, a tenth each for validation and test, in a fixed order.

    Within a split the variants have as nearly as possible the same number of voices, each with another accent
    while there are any; from then on pairs come again, as other voices with other values.
    UserError for fewer than 3 voices: each split needs one.
    """
    if voices < 3:
        raise UserError(f"data.voices: 3 synthetic voices or more are needed (one a split), not {voices}")
    held_out = max(1, round(voices * HELD_OUT_PERCENT / 100))
    counts = {"training": voices - 2 * held_out, "validation": held_out, "test": held_out}
    return [
        _voice(split, pair, seed) for split, count in counts.items() for pair in _pairs(VARIANTS[split], count, seed)
    ]


def _pairs(variants: tuple[str, ...], count: int, seed: int) -> list[tuple[str, str, int]]:
    """Accent, variant, and how often this pair came before."""
    rng = np.random.default_rng([seed, *variants[0].encode()])
    variants = tuple(variants[index] for index in rng.permutation(len(variants)))
    accents = [rng.permutation(len(ACCENTS)) for _ in variants]
    places = (divmod(index, len(variants)) for index in range(count))
    return [
        (ACCENTS[accents[variant][turn % len(ACCENTS)]], variants[variant], turn // len(ACCENTS))
        for turn, variant in places
    ]


def _voice(split: str, pair: tuple[str, str, int], seed: int) -> Voice:
    accent, variant, number = pair
    speaker = hashlib.sha1(f"{seed} {accent}+{variant} {number}".encode()).hexdigest()[:8]
    rng = np.random.default_rng([seed, int(speaker, 16)])
    own = (float(rng.uniform(low, high)) for low, high in (SPEED, PITCH, MELODY, TRACT))
    return Voice(speaker, split, accent, variant, *own)
