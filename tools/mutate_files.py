"""Files from a stranger, mutated: each must be read, or refused in a line, and nothing else may happen.

    python tools/mutate_files.py [--count 2000] [--seed 0]

Bits are flipped, numbers made absurd, ends cut off. Prints for each sort of file how many were read, how many refused,
and what else happened: another exception, a file that was written, a message that is not one printable line. Exit
status 1 where there is any of that. A mutation that is read may be one of a part that decides nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
import sys
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from hybridq.errors import UserError
from hybridq.integer.artefact import load_network
from hybridq.profiler import profile
from hybridq.recipe.file import load_variants
from hybridq.runs.model_folder import load_bundle, save_bundle
from hybridq.speech.audio.reading import read_clip
from hybridq.speech.audio.unpack import unpack
from hybridq.speech.mfcc import FrontEnd
from hybridq.speech.normalisation import Normalisation

HOME = Path(__file__).resolve().parent.parent
sys.path.append(str(HOME / "tests"))

from stranger_files import archive, cut, description, edited, flipped, h5, keras_2, listing, overwritten, tflite  # noqa: E402
from tflite_builds import KEEPING  # noqa: E402

SCRATCH = re.compile(re.escape(tempfile.gettempdir()) + r"/\w+")
UNEXPECTED = re.compile(r"unexpected \w*(Error|Exception)")  # how a command tells of what it was not made for


@dataclass(frozen=True)
class Sort:
    """Files of one kind: sound ones by their bytes, how one is read, and its share of all mutated files."""

    name: str
    sounds: list[bytes]
    read: Callable[[Path], Any]
    share: float
    file: str  # its name


def main() -> None:
    """Mutate, read, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    rng = random.Random(asked.seed)
    surprises: list[str] = []
    print("| file | mutated | read | refused | anything else | messages | s |\n|---|--:|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for sort in sorts(home):
            (home / sort.name).mkdir()
            start, ends, said = time.monotonic(), Counter[str](), set[str]()
            for number in range(round(sort.share * asked.count)):
                end, message = tried(sort, home / sort.name, rng)
                ends[end] += 1
                said.add(message)
                if end == "else":
                    surprises.append(f"{sort.name} {number}: {message}")
            counts = f"{ends.total()} | {ends['read']} | {ends['refused']} | {ends['else']} | {len(said)}"
            print(f"| {sort.name} | {counts} | {time.monotonic() - start:.0f} |", flush=True)
    print(*surprises, sep="\n")
    sys.exit(bool(surprises))


def tried(sort: Sort, folder: Path, rng: random.Random) -> tuple[str, str]:
    """How it ended: "read", "refused" or "else"; and what was said."""
    path = folder / sort.file
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(mutated(rng.choice(sort.sounds), sort.name, rng))
    before = listing(folder)
    try:
        sort.read(path)
    except UserError as error:
        message = SCRATCH.sub("", str(error).replace(str(folder), ""))
        if not all(line.isprintable() for line in message.splitlines()) or UNEXPECTED.search(message):
            return "else", repr(message)
        end = "refused", message
    except Exception as error:
        return "else", f"{type(error).__name__}: {error}"
    else:
        end = "read", ""
    return end if listing(folder) == before else ("else", "something was written")


def mutated(sound: bytes, name: str, rng: random.Random) -> bytes:
    if name == "Keras' .keras, description" and rng.random() < 0.5:
        return archived(edited(description(), rng))
    return rng.choice([flipped, overwritten, cut])(sound, rng)


def archived(text: bytes) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return archive(Path(folder) / "a.keras", text).read_bytes()


def sorts(home: Path) -> list[Sort]:
    """Every sort of file that a command reads."""
    with_h5 = [h5(home / "a.h5", keras_2().decode()).read_bytes()]
    networks = [path.read_bytes() for path in sorted((HOME / "hybridq" / "pretrained").glob("*.hqn"))]
    texts = [path.read_bytes() for path in sorted((HOME / "recipes").rglob("*.yaml"))]
    recipes = [text for text in texts if b"extends:" not in text]  # the others name files that are not beside them
    return [
        Sort(
            "Keras' .keras, description", [archived(edited(description(), random.Random(0)))], profile, 0.2, "a.keras"
        ),
        Sort("TensorFlow Lite's .tflite", [tflite(), KEEPING], profile, 0.2, "a.tflite"),
        Sort("Keras' .h5", with_h5, profile, 0.05, "a.h5"),
        Sort("integer network .hqn", networks, load_network, 0.13, "a.hqn"),
        Sort("recipe .yaml", recipes, load_variants, 0.1, "a.yaml"),
        Sort("recording .wav", [recorded(home, "a.wav")], read_clip, 0.1, "a.wav"),
        Sort("recording .flac", [recorded(home, "a.flac")], read_clip, 0.06, "a.flac"),
        Sort("recording .ogg", [recorded(home, "a.ogg")], read_clip, 0.06, "a.ogg"),
        Sort("archive .tar.gz", [packed(home, "gz")], unpacked, 0.04, "a.tar"),
        Sort("archive .tar", [packed(home, "")], unpacked, 0.02, "a.tar"),
        *model_folder(home),
    ]


def recorded(home: Path, name: str) -> bytes:
    """A second of a tone and some noise."""
    wave = 0.3 * np.sin(np.arange(16000) * 0.05) + 0.01 * np.random.default_rng(0).standard_normal(16000)
    soundfile.write(home / name, wave, 16000)
    return (home / name).read_bytes()


def packed(home: Path, how: str) -> bytes:
    """An archive of a few small clips in word folders."""
    with tarfile.open(home / "a.tar", f"w:{how}") as tar:
        for word in ("yes", "no"):
            tar.add(home / "a.flac", f"{word}/00000001_nohash_0.flac")
    return (home / "a.tar").read_bytes()


def unpacked(path: Path) -> None:
    """Into a folder that is removed, whatever comes of it."""
    with tempfile.TemporaryDirectory() as folder:
        unpack(path, Path(folder) / "clips", progress=False)


def loaded(about: bytes, model: bytes) -> None:
    """The network of a folder with these two files."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "hybridq.json").write_bytes(about)
        (folder / "model.keras").write_bytes(model)
        _ = load_bundle(folder).model


def model_folder(home: Path) -> list[Sort]:
    """What `evaluate` takes: the description of a trained network, and its network with the digest made right."""
    import keras

    network = keras.Sequential(
        [
            keras.Input((10, 12, 1), name="input"),
            keras.layers.Conv2D(4, 3, name="conv"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(2, name="dense"),
        ]
    )
    normalisation = Normalisation((0.0,) * 10, (1.0,) * 10)
    bundle = save_bundle(
        home / "whole", network, ("yes", "no"), FrontEnd(coefficients=10, frames=12), normalisation, {}
    )
    about = (bundle.folder / "hybridq.json").read_bytes()
    model = (bundle.folder / "model.keras").read_bytes()

    def described(path: Path) -> None:
        loaded(path.read_bytes(), model)

    def trusted(path: Path) -> None:
        right = json.loads(about) | {"model_sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        loaded(json.dumps(right).encode(), path.read_bytes())

    return [
        Sort("trained network's hybridq.json", [about], described, 0.02, "hybridq.json"),
        Sort("trained network's model.keras", [model], trusted, 0.02, "model.keras"),
    ]


if __name__ == "__main__":
    main()
