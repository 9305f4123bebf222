"""A program that has imported h5py runs other programs that need it, each in a copy of itself, with nothing else in it.

It reads a line of JSON for each, {"program": TEXT, "arguments": [...], "output": FILE, "errors": FILE}, and answers
with its exit status, negative for the signal that ended it.
"""

from __future__ import annotations

import json
import os
import sys
import traceback


def run_apart(program: str, arguments: list[str], output: str, errors: str) -> int:
    """Run a program's text in a copy of this process; its exit status."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = 1
    try:
        with open(os.devnull, "rb") as nothing, open(output, "wb") as out, open(errors, "wb") as err:
            for descriptor, file in enumerate((nothing, out, err)):
                os.dup2(file.fileno(), descriptor)
        sys.argv = ["-c", *arguments]
        exec(compile(program, "<string>", "exec"), {"__name__": "__main__"})
        sys.stdout.flush()
        status = 0
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)


if __name__ == "__main__":
    import h5py  # noqa: F401

    for line in sys.stdin:
        print(run_apart(**json.loads(line)), flush=True)
