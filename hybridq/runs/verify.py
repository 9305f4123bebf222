"""What `hybridq verify` does: an exported folder built, run, and compared with its network and with Python's front end.

The sounds are hostile ones made up here, or test clips of a data set. The input that the C front end makes of them and
the logits must be exact (`image.verify`); the classes of the whole chain may differ from those by Python's front end
where a feature is rounded otherwise.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hybridq.errors import UserError
from hybridq.image import toolchain
from hybridq.image import verify as image
from hybridq.image.export import not_exported
from hybridq.image.folder import named
from hybridq.image.verification import Agreement
from hybridq.integer import arithmetic
from hybridq.integer.artefact import NETWORK, load_network
from hybridq.paths import cache_root
from hybridq.runs.export import c_front_end_of, origin
from hybridq.runs.load_network import chain_of
from hybridq.runs.verification import Verification
from hybridq.speech.audio import open_source
from hybridq.speech.audio.negatives import commands_of
from hybridq.speech.audio.progress import bar
from hybridq.speech.augmentation import centred
from hybridq.speech.c_front_end import FULL_SCALE
from hybridq.speech.dataset import Dataset
from hybridq.speech.mfcc import FrontEnd
from hybridq.speech.normalisation import Normalisation


def verify(
    folder: Path,
    data: str | None = None,
    clips: int = 1000,
    emulated: int | None = None,
    compiler: str | None = None,
    changed: bool = False,
) -> Verification:
    """Build and check an exported folder. `data`: a source of clips as in recipes; without one, made-up hostile sounds.

    clips: on this machine, where the folder's C runs as any program does; emulated: of these, on the board (None: all);
    changed: also where that C is not what `export` writes. Raises UserError where it is not, where the image does not
    fit, saying which layers take most, and where the folder holds no export.
    """
    if not (folder / NETWORK).is_file():
        raise UserError(f"{folder}: nothing exported here; `hybridq export RUN --out {folder}` writes it")
    exported_from = origin(folder)
    toolchain.require_emulator()
    network = load_network(folder / NETWORK)
    front_end = c_front_end_of(network)
    strangers = [] if changed else not_exported(folder, network, front_end)
    if strangers:
        raise UserError(
            f"{folder}: {named(strangers)} not as this version of `hybridq export` writes it, so it is not run on this "
            "machine; export again, or verify it with --changed"
        )
    end, normalisation, labels = chain_of(network)
    sounds, truth = (hostile_sounds(end), None) if data is None else _test_clips(end, labels, data, clips)
    few = _spread(len(sounds), len(sounds) if emulated is None else emulated)
    figures, answers = image.verify(folder, network, front_end, sounds, few, compiler, bar)
    inputs = matrix(end, normalisation, network.input_fraction, sounds)
    expected = arithmetic.classes(network, inputs.reshape(-1, *network.input_shape))
    return Verification(
        **vars(figures),
        chain=Agreement.of(answers == expected),
        accuracy=None if truth is None else 100 * float(np.mean(answers == truth)),
        **exported_from,
    )


def matrix(end: FrontEnd, normalisation: Normalisation, fraction: int, sound: NDArray[np.int16]) -> NDArray[np.int8]:
    """What a network reads of sound (samples,) or (clips, samples), by Python: (..., coefficients, frames that fit)."""
    features = normalisation.apply(end.mfcc(np.asarray(sound) / np.float32(FULL_SCALE)))
    return arithmetic.quantized(features.astype(np.float64), fraction)


def hostile_sounds(end: FrontEnd) -> NDArray[np.int16]:
    """Silence, a constant, squares and tones at full scale, clicks, and noise of all levels: (16, end.samples)."""
    random, time = np.random.default_rng(0), np.arange(end.samples)
    square = np.where(time // 20 % 2 == 0, 32767, -32768)
    tones = [32767 * np.sin(2 * np.pi * time * hertz / end.sample_rate) for hertz in (50, 440, 3000)]
    sweep = 32767 * np.sin(np.pi * time**2 / len(time) / 2)
    clicks = np.where(time % 4000 == 0, -32768, 0)
    noise = [random.normal(0, 2.0**level, len(time)) for level in range(0, 16, 2)]
    every = [0 * time, 0 * time - 32768, square, clicks, sweep, *tones, *noise]
    sounds: NDArray[np.int16] = np.clip(np.rint(np.stack(every)), -32768, 32767).astype(np.int16)
    return sounds


def _test_clips(
    end: FrontEnd, labels: tuple[str, ...], data: str, count: int
) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
    """Test clips (clips, samples), evenly spread over all, and their classes (clips,)."""
    audio = open_source(data, negatives=commands_of(labels) != labels)
    split = Dataset(audio, labels, end, cache_root()).split("test")
    chosen = _spread(len(split.sounds), count)
    samples = np.rint(centred(split.sounds[chosen], end.samples) * FULL_SCALE)
    return samples.astype(np.int16), split.truth[chosen]


def _spread(count: int, most: int) -> NDArray[np.int64]:
    """The positions of at most so many, evenly spread over all of them."""
    chosen: NDArray[np.int64] = np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))
    return chosen
