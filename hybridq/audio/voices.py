"""The cast of the synthetic data set: who speaks, and in which split.

A voice is an accent and a variant of eSpeak NG with its own pitch, speed, melody and length of the vocal tract.
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

# Variants of eSpeak NG 1.52 by split. Left out: robots, monsters and echo effects, and those whose words a linear
# classifier trained on all others took for another word in more than a quarter of the cases.
VARIANTS = {
    "test": ("Annie", "Diogo", "Reed", "boris", "f3", "grandma", "m4", "marcelo", "quincy", "victor"),
    "validation": ("Hugo", "Michael", "belinda", "caleb", "f5", "grandpa", "m7", "pablo", "paul", "sandro"),
    "training": (
        "Alex", "Andy", "Denis", "Gene", "Gene2", "Henrique", "Jacky", "Mario", "Mike", "Mr serious",
        "Nguyen", "Storm", "adam", "anika", "antonio", "aunty", "benjamin", "croak", "david", "ed",
        "edward", "edward2", "f1", "f2", "f4", "fast", "gustave", "iven", "iven2", "iven3",
        "iven4", "john", "klatt", "klatt3", "klatt4", "klatt5", "klatt6", "linda", "m1", "m2",
        "m3", "m5", "m6", "m8", "max", "michel", "miguel", "mike2", "norbert", "pedro",
        "rob", "robert", "steph", "steph2", "travis", "whisper",
    ),
}  # fmt: skip

HELD_OUT_PERCENT = 10

# Ranges that a voice's own values are drawn from, all evenly.
SPEED = (105, 185)  # words a minute
PITCH = (28, 72)  # of eSpeak's 0 to 99, 50 being the variant's own
MELODY = (20, 80)  # as PITCH: how far the pitch moves
TRACT = (0.91, 1.10)  # length of the vocal tract over the variant's own: formants and pitch fall as it grows


@dataclass(frozen=True)
class Voice:
    """One synthetic speaker; `speaker` is its name in file names, 8 hexadecimal digits as in Speech Commands."""

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

    Every pair of accent and variant comes once before any comes again (as another voice, with other values).
    UserError for fewer than 3 voices: each split needs one.
    """
    if voices < 3:
        raise UserError(f"data.voices: at least 3 synthetic voices are needed (one for each split), not {voices}")
    held_out = max(1, round(voices * HELD_OUT_PERCENT / 100))
    counts = {"training": voices - 2 * held_out, "validation": held_out, "test": held_out}
    return [
        _voice(split, pair, seed) for split, count in counts.items() for pair in _pairs(VARIANTS[split], count, seed)
    ]


def _pairs(variants: tuple[str, ...], count: int, seed: int) -> list[tuple[str, str, int]]:
    """Accent, variant and round; within a round each pair once, in an order drawn from the seed."""
    rng = np.random.default_rng([seed, *variants[0].encode()])
    pairs: list[tuple[str, str, int]] = []
    while len(pairs) < count:
        number = len(pairs) // (len(ACCENTS) * len(variants))
        every = [(accent, variant, number) for accent in ACCENTS for variant in variants]
        pairs += [every[index] for index in rng.permutation(len(every))]
    return pairs[:count]


def _voice(split: str, pair: tuple[str, str, int], seed: int) -> Voice:
    accent, variant, number = pair
    speaker = hashlib.sha1(f"{seed} {accent}+{variant} {number}".encode()).hexdigest()[:8]
    rng = np.random.default_rng([seed, int(speaker, 16)])
    speed, pitch, melody, tract = (float(rng.uniform(low, high)) for low, high in (SPEED, PITCH, MELODY, TRACT))
    return Voice(speaker, split, accent, variant, speed, pitch, melody, tract)
