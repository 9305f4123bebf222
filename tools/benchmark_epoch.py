"""What the clips of an epoch cost before the network sees them, part by part, on one core.

    python tools/benchmark_epoch.py [RECIPE] [--set KEY=VALUE ...]     (default: recipes/paper/fp32.yaml)

Made of noise, for the speed does not depend on the sound. What counts is the processor time, which hardly depends on
other work on the machine; the parts take turns, and the median is printed. A part that the recipe has switched off is
timed as it would be with the values named here.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from hybridq.recipe.file import load_recipe
from hybridq.speech.augmentation import Manner, augmented, centred, highest_tempo, masked, mixed
from hybridq.speech.dataset import CHUNK
from hybridq.speech.mfcc import FrontEnd
from hybridq.speech.settings import AugmentSettings

RECIPE = Path(__file__).resolve().parent.parent / "recipes" / "paper" / "fp32.yaml"
ROUNDS = 15
OFF = AugmentSettings(shift_ms=0, speed=(1, 1), gain_db=(0, 0), noise_probability=0, hiss_db=None)
ON: dict[str, Any] = {"mixup": 0.3, "time_mask": 8, "time_masks": 2, "frequency_mask": 4, "frequency_masks": 2}


def parts(end: FrontEnd, settings: AugmentSettings) -> dict[str, Callable[[], Any]]:
    """What is done to CHUNK clips, and the whole of it; each by itself on clips made beforehand."""
    rng = np.random.default_rng(0)
    clips = rng.integers(-3000, 3000, (CHUNK, end.sample_rate)).astype(np.int16)
    noise = [rng.integers(-3000, 3000, 60 * end.sample_rate).astype(np.int16)]
    targets = np.eye(10, dtype=np.float32)[rng.integers(0, 10, CHUNK)]
    on = settings.model_copy(update={key: value for key, value in ON.items() if not getattr(settings, key)})
    manner = Manner.drawn(settings, CHUNK, rng)
    sounds = centred(clips, end.samples)
    longer = np.resize(sounds, (CHUNK, end.samples_at(highest_tempo(settings))))

    def sound(**changes: Any) -> Callable[[], Any]:
        chosen = OFF.model_copy(update=changes)
        return lambda: augmented(clips, noise, end.samples, chosen, end.sample_rate, manner.speed, rng)

    def whole() -> Any:
        drawn = Manner.drawn(settings, CHUNK, rng)
        heard = augmented(clips, noise, longer.shape[1], settings, end.sample_rate, drawn.speed, rng)
        return masked(end.varied(mixed(heard, targets, settings, rng)[0], drawn.tempo, drawn.tract), settings, rng)

    noisy = {"noise_probability": settings.noise_probability or 1.0, "noise_snr_db": settings.noise_snr_db}
    frames = np.lib.stride_tricks.sliding_window_view(sounds[:8], end.window, axis=1)[:, :: end.hop]
    return {
        "crop, speed, gain": sound(),
        "background noise, on top": sound(**noisy),
        "hiss, on top": sound(hiss_db=settings.hiss_db or (30.0, 60.0)),
        "hiss, were it drawn anew": lambda: rng.standard_normal(sounds.shape, np.float32),
        "mixup": lambda: mixed(sounds, targets, on, rng),
        "MFCC, as they are": lambda: end.mfcc(sounds),
        "MFCC, tempo and tract": lambda: end.varied(longer, manner.tempo, manner.tract),
        "of it, windows and FFT": lambda: [end._power(frames) for _ in range(CHUNK // 8)],
        "masks": lambda: masked(np.ones((CHUNK, *end.shape), np.float32), on, rng),
        "all that the recipe asks for": whole,
    }


def main() -> None:
    """Print the time of each part for a clip."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", nargs="?", type=Path, default=RECIPE)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as in `hybridq train`")
    given = parser.parse_args()
    recipe = load_recipe(given.recipe, given.set)
    ways = parts(FrontEnd.of(recipe.features), recipe.training.augment)
    took: dict[str, list[float]] = {name: [] for name in ways}
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    for turn in range(ROUNDS + 1):
        for name, way in ways.items():
            start = time.thread_time()
            way()
            if turn:  # the first turn makes tables
                took[name].append(1e3 * (time.thread_time() - start) / CHUNK)
    plain = statistics.median(took["crop, speed, gain"])
    for name, times in took.items():
        less = plain if name.endswith("on top") else 0
        low, middle, high = (of(times) - less for of in (min, statistics.median, max))
        print(f"{name:30} {middle:.3f} ms a clip ({low:.3f} to {high:.3f} over {ROUNDS} turns)")


if __name__ == "__main__":
    main()
