"""Speech from eSpeak NG, in a child process of its own.

Why a child: the library keeps its state (phases, noise, echo) in globals that no call resets, so the same
words give the same samples only in the same order from a fresh start; and a fault in it ends the child, not
the caller.

Licence: eSpeak NG is GPL-3.0-or-later. It is not part of hybridq: it is a program installed beside it (the
PyPI wheel `espeakng-loader` carries library and voices) that is run to make clips.
"""

import importlib
import json
import os
import struct
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import numpy as np

from hybridq.errors import ENVIRONMENT, UserError

_WHEEL = "espeakng-loader"

# Utterances asked for before the first is read. Their text stays far below a pipe's buffer (64 KiB), so
# asking never waits for a child that waits for its answers to be read.
_AHEAD = 32


def _unavailable(reason: str) -> UserError:
    return UserError(
        f"synthetic voices cannot be made here ({reason}); pass --data with a folder of clips, v0.01 or v0.02",
        ENVIRONMENT,
    )


def espeak_version() -> str:
    """Version of the installed wheel. UserError (status 3) where it is not installed."""
    try:
        return metadata.version(_WHEEL)
    except metadata.PackageNotFoundError:
        raise _unavailable(f"the package {_WHEEL} is not installed") from None


def _installed() -> tuple[str, str]:
    """Paths of the wheel's library and of its voice data."""
    try:
        wheel = importlib.import_module("espeakng_loader")
        library, data = wheel.get_library_path(), wheel.get_data_path()
    except ImportError:
        raise _unavailable(f"the package {_WHEEL} is not installed") from None
    except (RuntimeError, OSError) as error:
        raise _unavailable(f"{_WHEEL}: {error}") from None
    return os.path.abspath(library), os.path.abspath(data)


@dataclass(frozen=True)
class Utterance:
    """What is to be said, and how.

    `voice` is accent+variant ("en-us+f2"); `rate` in words per minute (80 to 450); `pitch` and `range` 0 to
    99, 50 being the voice's own.
    """

    voice: str
    text: str
    rate: int
    pitch: int
    range: int


class Espeak:
    """A running synthesiser: `with Espeak() as espeak: samples = espeak.say(utterance)`.

    Utterances depend a little on those before them, so a reproducible set asks for them in a fixed order.
    UserError (status 3) where the wheel is absent, does not load on this platform, or ends unexpectedly.
    """

    rate: int
    """Samples per second of what `say` returns."""

    def __init__(self) -> None:
        library, data = _installed()
        script = Path(__file__).with_name("espeak_child.py")
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(script), library, data],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        greeting = self._output.readline()
        if not greeting:
            self.close()
            raise self._ended("on loading")
        answer = json.loads(greeting)
        if "error" in answer:
            self.close()
            raise _unavailable(str(answer["error"]))
        self.rate = int(answer["rate"])

    def say(self, utterance: Utterance) -> np.ndarray:
        """Speech as int16, shape (samples,), with the silence the synthesiser puts around it.

        UserError where there is no such voice.
        """
        self._ask(utterance)
        return self._answer(utterance)

    def say_all(self, utterances: Iterable[Utterance]) -> Iterator[np.ndarray]:
        """Each as `say` would give it, in order; the next ones are made while the caller works on one."""
        asked: deque[Utterance] = deque()
        for utterance in utterances:
            self._ask(utterance)
            asked.append(utterance)
            if len(asked) > _AHEAD:
                yield self._answer(asked.popleft())
        while asked:
            yield self._answer(asked.popleft())

    def close(self) -> None:
        """End the process: closing its input is enough, a hung one is killed after two seconds."""
        for pipe in (self._input, self._output):
            with suppress(BrokenPipeError):
                pipe.close()
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, utterance: Utterance) -> None:
        try:
            self._input.write(json.dumps(asdict(utterance)).encode() + b"\n")
            self._input.flush()
        except BrokenPipeError:
            raise self._ended(f"before {utterance.voice}") from None

    def _answer(self, utterance: Utterance) -> np.ndarray:
        head = self._output.read(4)
        (count,) = struct.unpack("<i", head) if len(head) == 4 else (0,)
        if count < 0:
            raise _unavailable(f"eSpeak NG has no voice {utterance.voice}")
        body = self._output.read(2 * count)
        if not count or len(body) < 2 * count:
            raise self._ended(f"in {utterance.voice} saying {utterance.text!r}")
        return np.frombuffer(body, dtype="<i2").astype(np.int16)

    @property
    def _input(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def _output(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def _ended(self, when: str) -> UserError:
        self.close()
        return _unavailable(f"eSpeak NG ended {when}, status {self._process.returncode}")
