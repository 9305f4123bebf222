"""How fast the front end is beside librosa clip by clip: both in one run, on one core and on two.

    python tools/benchmark_mfcc.py [FOLDER]

FOLDER holds recordings in Speech Commands layout; without one, noise is used (the speed does not depend on the sound).
The rounds alternate, and the median counts, since other work on the machine would favour one or the other.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hybridq.speech.mfcc import Floats, FrontEnd

CLIPS, ROUNDS = 512, 7


def by_librosa(clips: Floats, end: FrontEnd) -> Floats:
    """librosa.feature.mfcc, one clip after the other, with the front end's settings."""
    import librosa

    beside = (end.transform - end.window) // 2
    out = []
    for clip in clips:
        mel = librosa.feature.melspectrogram(
            y=np.pad(clip, beside), sr=end.sample_rate, n_fft=end.transform, win_length=end.window,
            hop_length=end.hop, center=False, n_mels=end.mel_bands, fmin=end.low_hz, fmax=end.high_hz,
        )  # fmt: skip
        decibel = librosa.power_to_db(mel, amin=end.floor, top_db=None)
        out.append(librosa.feature.mfcc(S=decibel, n_mfcc=end.coefficients))
    return np.stack(out)


def clips_of(folder: str | None, end: FrontEnd) -> NDArray[np.float32]:
    """The first clips of a folder, or noise: (CLIPS, samples)."""
    if folder is None:
        return 0.1 * np.random.default_rng(0).standard_normal((CLIPS, end.samples)).astype(np.float32)
    from hybridq.speech.audio import read_exact

    paths = sorted(p for p in Path(folder).glob("[!_.]*/*") if p.suffix in (".wav", ".flac", ".ogg"))[:CLIPS]
    return np.stack([read_exact(path, end.sample_rate, end.samples) for path in paths])


def measure(folder: str | None, cores: int) -> None:
    """Print one line for each transform length."""
    for transform in (512, 2048):
        end = FrontEnd(transform=transform)
        clips = clips_of(folder, end)
        ways: dict[str, Callable[[], Floats]] = {
            "librosa": lambda end=end, clips=clips: by_librosa(clips, end),
            "hybridq": lambda end=end, clips=clips: end.mfcc(clips) if cores == 1 else end.mfcc_parallel(clips, cores),
        }
        results = {name: way() for name, way in ways.items()}  # the first call compiles and plans
        took: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, way in ways.items():
                start = time.perf_counter()
                way()
                took[name].append(1e3 * (time.perf_counter() - start) / len(clips))
        ratios = [slow / fast for slow, fast in zip(took["librosa"], took["hybridq"], strict=True)]
        slow, fast = statistics.median(took["librosa"]), statistics.median(took["hybridq"])
        apart = float(np.abs(results["librosa"] - results["hybridq"]).max())
        print(
            f"{cores} core{'s' * (cores > 1)}, transform {transform}: "
            f"librosa {slow:.3f} ms a clip, hybridq {fast:.3f} ms: {statistics.median(ratios):.1f} times "
            f"({min(ratios):.1f} to {max(ratios):.1f}); largest difference {apart:.0e}",
            flush=True,
        )


def main() -> None:
    """Measure on one core, then on two, each in a process that may use no more."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", help="recordings in Speech Commands layout")
    parser.add_argument("--cores", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: given.cores])
        measure(given.folder, given.cores)
        return
    for cores in (1, 2):
        again = [sys.executable, __file__, *([given.folder] if given.folder else []), "--cores", str(cores)]
        subprocess.run(again, check=True, env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"})


if __name__ == "__main__":
    main()
