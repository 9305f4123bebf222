"""Where the samples of a live stream come from: a file, or a microphone."""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hybridq.errors import ENVIRONMENT, UserError, first_line
from hybridq.speech.audio import read_clip
from hybridq.speech.mfcc import FrontEnd

log = logging.getLogger("hybridq")
Blocks = Iterator[NDArray[np.float32]]  # each (samples,), float in [-1, 1]
BEHIND = 1.0  # seconds of sound that may wait before that is told


def from_file(path: Path, end: FrontEnd, paced: bool = False) -> Blocks:
    """A recording, a hop at a time; `paced`: as fast as it was spoken. Raises UserError as `read_clip` does.

    One that ends before a network has heard enough to answer is told of.
    """
    sound = read_clip(path, end.sample_rate)
    if len(sound) < end.samples:
        lasts, needed = len(sound) / end.sample_rate, end.samples / end.sample_rate
        log.warning("%s lasts %.2f s: the network answers first after %.2f s of sound", path, lasts, needed)
    began = time.monotonic()
    for at in range(0, len(sound), end.hop):
        if paced:
            time.sleep(max(0.0, began + at / end.sample_rate - time.monotonic()))
        yield sound[at : at + end.hop]


def from_microphone(end: FrontEnd, device: str | None = None) -> Blocks:
    """A microphone, until Ctrl-C: the default one, or that of a number or a part of a name.

    Raises UserError without the library, or such a microphone. Where the network falls behind, it says so once.
    """
    try:
        import sounddevice
    except ImportError:
        raise UserError("a microphone needs: pip install 'hybridq[mic]'", ENVIRONMENT) from None
    except OSError as error:  # the library behind it, PortAudio
        raise UserError(f"no microphone: {error}", ENVIRONMENT) from None
    heard: queue.SimpleQueue[NDArray[np.float32]] = queue.SimpleQueue()

    def take(samples: NDArray[np.float32], frames: int, when: object, status: object) -> None:
        heard.put(samples[:, 0].copy())

    named = int(device) if device and device.isdigit() else device
    warned = False
    try:
        with sounddevice.InputStream(
            samplerate=end.sample_rate, blocksize=end.hop, device=named, channels=1, dtype="float32", callback=take
        ):
            while True:
                yield heard.get()
                behind = heard.qsize() * end.hop / end.sample_rate
                if behind > BEHIND and not warned:
                    log.warning("%.1f s behind: a higher --every asks the network less often", behind)
                    warned = True
    except (sounddevice.PortAudioError, ValueError) as error:
        named_so = [f"{one['index']} {one['name']}" for one in sounddevice.query_devices() if one["max_input_channels"]]
        there = f"there are: {', '.join(named_so)}" if named_so else "there is none"
        raise UserError(f"no microphone: {first_line(error).rstrip(':')}; {there}", ENVIRONMENT) from None
