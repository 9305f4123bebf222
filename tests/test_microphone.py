"""A microphone: PulseAudio's null sink, whose monitor hears what is played to it."""

import ctypes.util
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from itertools import islice

import numpy as np
import pytest
import soundfile

from hybridq.errors import UserError
from hybridq.speech.mfcc import FrontEnd
from hybridq.streaming.sources import from_microphone

MISSING = [name for name in ("pulseaudio", "paplay") if not shutil.which(name)]
MISSING += [] if importlib.util.find_spec("sounddevice") else ["sounddevice"]
MISSING += [] if ctypes.util.find_library("portaudio") else ["PortAudio"]  # which the package finds in the system
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"a microphone of software needs {', '.join(MISSING)}")
RATE, SECONDS = 16_000, 1.5
DEVICE = "pulse"  # by which ALSA, and so PortAudio, knows it


@pytest.fixture(scope="module")
def speaker(tmp_path_factory):
    """A command that plays a WAV file to the microphone, and goes on at once."""
    folder = tmp_path_factory.mktemp("pulse")
    folder.chmod(0o700)
    modules = ("-L", f"module-null-sink rate={RATE} channels=1", "-L", f"module-native-protocol-unix socket={folder}/s")
    own = os.environ | {"XDG_RUNTIME_DIR": str(folder), "HOME": str(folder)}
    server = subprocess.Popen(["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", *modules], env=own)
    os.environ["PULSE_SERVER"] = f"unix:{folder}/s"
    until = time.monotonic() + 10
    while not (folder / "s").exists() and time.monotonic() < until:
        time.sleep(0.05)
    yield lambda file: subprocess.Popen(["paplay", file])
    del os.environ["PULSE_SERVER"]
    server.terminate()
    server.wait(10)


@pytest.fixture
def chirp(tmp_path):
    """A sound that is like itself at no other moment, and its file."""
    times = np.arange(int(SECONDS * RATE)) / RATE
    sound = 0.5 * np.sin(2 * np.pi * (200 * times + 1500 * times**2))
    silence = np.zeros(RATE // 2)  # the monitor may miss how a stream begins
    soundfile.write(tmp_path / "chirp.wav", np.concatenate([silence, sound]), RATE)
    return sound, tmp_path / "chirp.wav"


def test_what_is_played_arrives_in_blocks_of_a_hop(speaker, chirp):
    sound, file = chirp
    end = FrontEnd()
    blocks = from_microphone(end, DEVICE)
    first = next(blocks)
    with speaker(file):
        heard = [first, *islice(blocks, int((SECONDS + 2) * RATE / end.hop))]
    blocks.close()
    assert {(one.shape, one.dtype) for one in heard} == {((end.hop,), np.dtype(np.float32))}
    whole = np.concatenate(heard)
    begins = int(np.correlate(whole, sound, "valid").argmax())
    assert np.abs(whole[begins : begins + len(sound)] - sound).max() < 2**-14  # PulseAudio's 16 bits


@pytest.mark.parametrize("name", ["no such", "99", ""])
def test_another_one_is_refused_with_those_that_there_are(speaker, name):
    with pytest.raises(UserError, match=rf"^no microphone: .*; there are: .*{DEVICE}") as told:
        next(from_microphone(FrontEnd(), name))
    assert "\n" not in str(told.value)


def test_the_command_hears_until_ctrl_c(speaker):
    words = ["listen", "--network", "pretrained:best-16k", "--device", DEVICE]
    running = subprocess.Popen(
        [sys.executable, "-m", "hybridq", *words],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        assert running.stdout.readline().split()[1] == "s"  # threshold 0: something is heard, whatever it is
        running.send_signal(signal.SIGINT)
        assert running.wait(20) == 0
    finally:
        running.kill()
