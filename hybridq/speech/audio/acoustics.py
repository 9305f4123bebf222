"""What lies between a mouth and a sample: noise, room and microphone. NumPy only, all from a given generator.

Signals are float64 or float32, shape (samples,), at 16 kHz unless a rate is given.
"""

from collections.abc import Callable

import numpy as np

RATE = 16_000
Signal = np.ndarray


def coloured_noise(samples: int, slope: float, rng: np.random.Generator) -> Signal:
    """Noise of mean square 1, its power falling as 1/frequency**slope: 0 white, 1 pink, 2 brown.

    Flat below 30 Hz.
    """
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    frequency = np.fft.rfftfreq(samples, 1 / RATE)
    spectrum *= np.maximum(frequency, 30.0) ** (-slope / 2)
    spectrum[0] = 0
    return normalised(np.fft.irfft(spectrum, samples))


def hum(samples: int, rng: np.random.Generator) -> Signal:
    """A motor or the mains: harmonics of a wandering 50 to 180 Hz, weaker as they rise, over pink noise."""
    time = np.arange(samples) / RATE
    base = rng.uniform(50, 180) * (1 + 0.01 * np.sin(2 * np.pi * rng.uniform(0.05, 0.3) * time))
    phase = 2 * np.pi * np.cumsum(base) / RATE
    harmonics = np.zeros(samples)
    for order in range(1, 17):
        harmonics += rng.uniform(0.3, 1) / order * np.sin(order * phase + rng.uniform(0, 2 * np.pi))
    return normalised(normalised(harmonics) + 0.3 * coloured_noise(samples, 1, rng))


NOISES: dict[str, Callable[[int, np.random.Generator], Signal]] = {
    "white": lambda samples, rng: coloured_noise(samples, 0, rng),
    "pink": lambda samples, rng: coloured_noise(samples, 1, rng),
    "brown": lambda samples, rng: coloured_noise(samples, 2, rng),
    "hum": hum,
}


def room(rng: np.random.Generator) -> Signal:
    """Impulse response of a small room: direct sound at 0, early reflections, an exponentially fading tail.

    Reverberation time (60 dB) 0.1 to 0.5 s; the direct sound is 4 to 20 dB above all that follows.
    """
    fades = rng.uniform(0.1, 0.5)
    samples = int(fades * RATE * 0.7)
    time = np.arange(samples) / RATE
    decay = 10 ** (-3 * time / fades)
    late = rng.standard_normal(samples) * decay
    late[: int(0.003 * RATE)] = 0
    reflections = rng.integers(int(0.002 * RATE), int(0.025 * RATE), 6)
    late[reflections] += rng.choice([-1, 1], 6) * rng.uniform(1, 4, 6) * decay[reflections]
    response: Signal = late * 10 ** (-rng.uniform(4, 20) / 20) / np.sqrt(np.sum(late**2))
    response[0] = 1
    return response


def microphone(samples: int, rng: np.random.Generator) -> Signal:
    """Gain at each frequency of `np.fft.rfft` of so many samples: tilt, low and high cut, two broad bumps."""
    frequency = np.maximum(np.fft.rfftfreq(samples, 1 / RATE), 1.0)
    octaves = np.log2(frequency / 1000)
    decibels = rng.uniform(-2, 2) * np.clip(octaves, -3, 3)
    for _ in range(2):
        decibels += rng.uniform(-3, 3) * np.exp(-0.5 * ((octaves - rng.uniform(-2.5, 2.5)) / 0.7) ** 2)
    low, high = rng.uniform(40, 200), rng.uniform(5000, 9000)
    cuts = 1 / np.sqrt((1 + (low / frequency) ** 4) * (1 + (frequency / high) ** 8))
    gain: Signal = 10 ** (decibels / 20) * cuts
    return gain


def convolved(signal: Signal, response: Signal) -> Signal:
    """The signal as heard through `response`, cut to the signal's own length."""
    size = 1 << (len(signal) + len(response) - 1).bit_length()
    product = np.fft.rfft(signal, size) * np.fft.rfft(response, size)
    heard: Signal = np.fft.irfft(product, size)[: len(signal)]
    return heard


def normalised(signal: Signal) -> Signal:
    """The signal at mean square 1; silence stays silence."""
    level = float(np.sqrt(np.mean(np.square(signal))))
    return signal / level if level > 0 else signal


def trimmed(signal: Signal, below_peak_db: float = 40.0, margin: int = RATE // 100) -> Signal:
    """Without the quiet ends: from the first to the last sample near the peak in level, and a margin."""
    loud = np.flatnonzero(np.abs(signal) > np.max(np.abs(signal), initial=0) * 10 ** (-below_peak_db / 20))
    return signal[max(0, loud[0] - margin) : loud[-1] + 1 + margin] if len(loud) else signal[:0]
