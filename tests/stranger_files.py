"""Model files from a stranger: sound ones, mutated ones, and what reading them may cost."""

from __future__ import annotations

import copy
import json
import random
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from effort import within

from hybridq.errors import UserError
from hybridq.profiler import profile

# --------------------------------------------------------------------------------------------- sound files


def layer(kind: str, name: str, shape: list[int], source: str, read: list[int], **config: Any) -> dict[str, Any]:
    """A layer of a functional model as Keras 3 saves it; `read` is the shape of the tensor that it reads."""
    history = {"shape": [None, *read], "dtype": "float32", "keras_history": [source, 0, 0]}
    tensor = {"class_name": "__keras_tensor__", "config": history}
    return {
        "module": "keras.layers",
        "class_name": kind,
        "config": {"name": name, "activation": "linear", **config},
        "registered_name": None,
        "build_config": {"input_shape": [None, *shape]},
        "name": name,
        "inbound_nodes": [{"args": [tensor], "kwargs": {}}] if source else [],
    }


def description() -> dict[str, Any]:
    """A small network: a convolution, a pool, a flatten and two dense layers."""
    image = {"kernel_size": [3, 3], "strides": [1, 1], "padding": "same"}
    layers = [
        layer("InputLayer", "input", [12, 10, 1], "", [], batch_shape=[None, 12, 10, 1]),
        layer("Conv2D", "conv", [12, 10, 1], "input", [12, 10, 1], filters=4, use_bias=True, **image),
        layer("MaxPooling2D", "pool", [12, 10, 4], "conv", [12, 10, 4], pool_size=[2, 2], strides=[2, 2]),
        layer("Flatten", "flat", [6, 5, 4], "pool", [6, 5, 4]),
        layer("Dense", "dense", [120], "flat", [120], units=16, use_bias=True),
        layer("Dense", "last", [16], "dense", [16], units=3, use_bias=True),
    ]
    ends = {"input_layers": [["input", 0, 0]], "output_layers": [["last", 0, 0]]}
    return {"class_name": "Functional", "config": {"name": "small", "layers": layers, **ends}}


def archive(path: Path, text: bytes, name: str = "config.json", method: int = zipfile.ZIP_DEFLATED) -> Path:
    """A `.keras` file with that description, and other files beside it."""
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr("metadata.json", b'{"keras_version": "3.10.0"}')
        file.writestr(name, text)
        file.writestr("model.weights.h5", bytes(500))
    return path


def h5(path: Path, text: Any) -> Path:
    """An `.h5` file with that description."""
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = "2.15.0"
        file.attrs["model_config"] = text
        file["weights"] = [1.0] * 100
    return path


def keras_2() -> bytes:
    """The same network as Keras 2 saves it, in an `.h5` file."""
    saved = description()
    for one in saved["config"]["layers"]:
        nodes = one["inbound_nodes"]
        one["inbound_nodes"] = [[[*node["args"][0]["config"]["keras_history"], {}]] for node in nodes]
    return json.dumps(saved).encode()


def tflite() -> bytes:
    """A sound `.tflite` file of 8-bit convolutions and dense layers."""
    from tflite_builds import SMALL

    return SMALL


# ------------------------------------------------------------------------------------------------ mutations


def flipped(content: bytes, rng: random.Random, start: int = 0, end: int | None = None) -> bytes:
    """A few bits flipped, in a part of the file."""
    found = bytearray(content)
    for _ in range(rng.randint(1, 6)):
        found[rng.randrange(start, min(end or len(found), len(found)))] ^= 1 << rng.randrange(8)
    return bytes(found)


def overwritten(content: bytes, rng: random.Random, start: int = 0, end: int | None = None) -> bytes:
    """A number in a part of the file made absurd."""
    at = rng.randrange(start, min(end or len(content), len(content)))
    absurd = rng.choice([b"\xff" * 8, b"\xff\xff\xff\x7f", b"\0\0\0\x80", bytes(8), b"\x08\0\0\0", b"\xff\x7f"])
    return content[:at] + absurd + content[at + len(absurd) :]


def cut(content: bytes, rng: random.Random) -> bytes:
    """The beginning of the file."""
    return content[: rng.randrange(len(content))]


ODD = (
    *(None, True, -1, 0, 3.5, 2**31, 2**62, 10**30, float("nan"), float("inf"), 10**4000),
    *("", "x", "Lambda", "input", "\x1b[2J", "../../etc/passwd", "x" * 100_000),
    *([], [0], [-5, 7], [10**9] * 4, [None, None], [[[[[]]]]], {}, {"config": {}}, {"class_name": "Functional"}),
)


def places(tree: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a tree of plain data."""
    keys = list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else []
    return [(tree, key) for key in keys] + [place for key in keys for place in places(tree[key])]


def edited(saved: dict[str, Any], rng: random.Random) -> bytes:
    """The description with some of its values made odd."""
    tree = copy.deepcopy(saved)
    for _ in range(rng.randint(1, 3)):
        container, key = rng.choice(places(tree) or [(tree, "config")])
        container[key] = copy.deepcopy(rng.choice(ODD))
    return json.dumps(tree).encode()


def keras_files(folder: Path, count: int) -> Iterator[Path]:
    """Mutated `.keras` files: of the archive, and of what it holds."""
    rng = random.Random(1)
    saved = description()
    text = json.dumps(saved).encode()
    sound = archive(folder / "model.keras", text, method=zipfile.ZIP_STORED).read_bytes()
    for i in range(count):
        path = folder / "model.keras"
        if i % 4 < 2:
            archive(path, edited(saved, rng))
        elif i % 4 == 2:
            archive(path, rng.choice([flipped, overwritten, lambda t, _: cut(t, rng)])(text, rng))
        else:
            path.write_bytes(rng.choice([flipped, overwritten, lambda t, _: cut(t, rng)])(sound, rng))
        yield path


def tflite_files(folder: Path, count: int, sound: bytes) -> Iterator[Path]:
    """Mutated `.tflite` files."""
    rng = random.Random(2)
    for i in range(count):
        path = folder / "model.tflite"
        path.write_bytes((flipped, overwritten, cut)[i % 3](sound, rng))
        yield path


def h5_files(folder: Path, count: int, sounds: list[bytes]) -> Iterator[Path]:
    """Mutated `.h5` files: most in the superblock, the root's header and heaps, and the description."""
    rng = random.Random(3)
    for i in range(count):
        sound = sounds[i % len(sounds)]
        text = sound.find(b"class_name")
        parts = [(0, 96), (96, 1500), (max(text - 200, 0), text + 20), (text, text + 2000), (0, len(sound))]
        mutate = (flipped, overwritten)[i // 5 % 2]
        content = cut(sound, rng) if i % 12 == 11 else mutate(sound, rng, *parts[i % 5])
        path = folder / "model.h5"
        path.write_bytes(content)
        yield path


# ------------------------------------------------------------------------------------------------- watching


def read_or_refused(path: Path, read: Callable[[Path], Any] = profile, lines: int = 1_000_000) -> str:
    """What is said of a file: its report, or why there is none. Any other exception than a UserError is a fault.

    So is the execution of more than so many lines of Python.
    """

    def said() -> str:
        try:
            return json.dumps(read(path).to_json())
        except UserError as error:
            return str(error)

    text = within(said, lines)
    assert text.isprintable()
    return text


def watched(folder: Path, files: Iterator[Path]) -> list[str]:
    """What is said of each file; nothing may be written, in the folder or the one around it."""
    said = []
    for path in files:
        before = listing(folder)
        said.append(read_or_refused(path))
        assert listing(folder) == before
    return said


def listing(folder: Path) -> list[tuple[str, int, int]]:
    """Every file and folder with its size and time, the folder's neighbours included."""
    return sorted((str(p), p.lstat().st_size, p.lstat().st_mtime_ns) for p in folder.parent.rglob("*"))


def nested(depth: int) -> dict[str, Any]:
    """Models inside a model, as deep as that."""
    saved = description()
    for i in range(depth):
        layers = [{"class_name": "Sequential", "config": saved["config"], "name": f"m{i}"}]
        saved = {"class_name": "Sequential", "config": {"name": f"m{i}", "layers": layers}}
    return saved
