"""A small archive, and a server that hands it out well or badly."""

import hashlib
import io
import tarfile
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

import numpy as np
import soundfile

from hybridq.speech.audio.archive import Archive

FILE = "tiny.tar.gz"


@dataclass
class Behaviour:
    """What the server does. The lists are used up, one entry a request."""

    content: bytes
    etag: str | None = '"one"'
    ranges: bool = True
    break_after: list[int] = field(default_factory=list)  # bytes sent before the connection is closed
    statuses: list[int] = field(default_factory=list)  # sent instead of an answer
    block: int = 100  # bytes sent at once
    pause_s: float = 0.0  # after each block
    claimed_size: int | None = None
    circle: bool = False  # sends whoever asks back to where it asked
    asked: list[str | None] = field(default_factory=list)  # the Range of each request


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        behaviour: Behaviour = self.server.behaviour  # type: ignore[attr-defined]
        behaviour.asked.append(self.headers["Range"])
        if behaviour.statuses:
            self.send_error(behaviour.statuses.pop(0))
            return
        if behaviour.circle:
            self.send_response(302)
            self.send_header("Location", self.path)
            self.end_headers()
            return
        content, start = behaviour.content, 0
        same = self.headers["If-Range"] in (None, behaviour.etag)
        if behaviour.ranges and self.headers["Range"] and same:
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(behaviour.claimed_size or len(content) - start))
        if behaviour.etag:
            self.send_header("ETag", behaviour.etag)
        self.end_headers()
        end = start + behaviour.break_after.pop(0) if behaviour.break_after else len(content)
        try:
            for at in range(start, end, behaviour.block):
                self.wfile.write(content[at : min(at + behaviour.block, end)])
                time.sleep(behaviour.pause_s)
        except OSError:
            pass  # the client was killed

    def log_message(self, *_: object) -> None:
        pass


def packed(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def recording(seed: int) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, np.random.default_rng(seed).normal(0, 0.1, 400), 16000, format="WAV")
    return out.getvalue()


def folder_entry(name: str) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type = tarfile.DIRTYPE
    return member, b""


# As the published archives are made: "./" first, then "./<word>/<clip>".
TINY = packed(
    folder_entry("./"),
    (tarfile.TarInfo("./testing_list.txt"), b"yes/b_nohash_0.wav\n"),
    (tarfile.TarInfo("./validation_list.txt"), b""),
    folder_entry("./yes"),
    *((tarfile.TarInfo(f"./yes/{name}_nohash_0.wav"), recording(at)) for at, name in enumerate("abc")),
    *((tarfile.TarInfo(f"./no/{name}_nohash_0.wav"), recording(at)) for at, name in enumerate("de", 3)),
)


def archive_of(content: bytes) -> Archive:
    return Archive(FILE, len(content), hashlib.sha256(content).hexdigest())
