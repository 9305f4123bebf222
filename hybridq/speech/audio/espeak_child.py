"""The process that holds eSpeak NG: a script run by `espeak.py`, standard library only.

`python espeak_child.py LIBRARY DATA` answers one line of JSON, `{"rate": Hz}` or `{"error": text}`. Then each
line of JSON on its input, `{"voice", "text", "rate", "pitch", "range"}`, gets a 4-byte count (little
endian, -1: no such voice or nothing said) and that many 16-bit samples. It ends when its input does.
"""

import ctypes
import json
import os
import signal
import struct
import sys
from typing import Any, BinaryIO

# Names and numbers from espeak-ng's speak_lib.h.
_SYNCHRONOUS = 2
_DO_NOT_EXIT = 0x8000
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4
_POSITION_CHARACTER = 1
_UTF8 = 1
# Below the default of 100: several voices run into 16 bits at that level.
_LEVEL = 50
_ON_SAMPLES = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


class _Library:
    """eSpeak NG behind ctypes. One to a process: its state is global."""

    def __init__(self, library: str, data: str) -> None:
        self._c = ctypes.CDLL(library)
        self._c.espeak_Initialize.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int]
        self._c.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
        self._c.espeak_Synth.argtypes = [
            ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int,
            ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p,
        ]  # fmt: skip
        # A relative path: the library keeps it in a short fixed buffer, and site-packages may lie deep.
        folder, name = os.path.split(data)
        os.chdir(folder)
        self.rate = int(self._c.espeak_Initialize(_SYNCHRONOUS, 0, name.encode(), _DO_NOT_EXIT))
        if self.rate <= 0:
            raise OSError(f"eSpeak NG found no voices in {data}")
        if hasattr(self._c, "espeak_ng_SetRandSeed"):
            self._c.espeak_ng_SetRandSeed(ctypes.c_long(1))
        self._samples = bytearray()
        self._callback = _ON_SAMPLES(self._take)
        self._c.espeak_SetSynthCallback(self._callback)

    def _take(self, samples: int | None, count: int, _events: int | None) -> int:
        if samples and count > 0:
            self._samples += ctypes.string_at(samples, 2 * count)
        return 0

    def say(self, voice: str, text: str, rate: int, pitch: int, range: int) -> bytes | None:
        """The 16-bit samples of `text`; None where the library has no such voice."""
        if self._c.espeak_SetVoiceByName(voice.encode()) != 0:
            return None
        for number, value in ((_RATE, rate), (_VOLUME, _LEVEL), (_PITCH, pitch), (_RANGE, range)):
            self._c.espeak_SetParameter(number, value, 0)
        self._samples.clear()
        words = text.encode()
        failed = self._c.espeak_Synth(words, len(words) + 1, 0, _POSITION_CHARACTER, 0, _UTF8, None, None)
        return None if failed else bytes(self._samples)


def _serve(requests: BinaryIO, answers: BinaryIO, library: str, data: str) -> None:
    greeting: dict[str, Any]
    try:
        espeak = _Library(library, data)
        greeting = {"rate": espeak.rate}
    except (OSError, AttributeError) as error:
        greeting = {"error": str(error)}
    answers.write(json.dumps(greeting).encode() + b"\n")
    answers.flush()
    if "error" in greeting:
        return
    for line in requests:
        samples = espeak.say(**json.loads(line))
        answers.write(struct.pack("<i", len(samples) // 2 if samples else -1) + (samples or b""))
        answers.flush()


if __name__ == "__main__":
    # Ctrl-C ends the parent, whose closing pipe ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The library may print: only the answers reach the parent.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _serve(sys.stdin.buffer, answers, sys.argv[1], sys.argv[2])
