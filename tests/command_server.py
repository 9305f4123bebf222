"""A program that has imported what is heavy runs commands one by one, each in a copy of itself, in the current folder.

So a command takes no seconds to start, and imports `hybridq` as its files are at that moment. It reads a line of JSON
for each command, {"words": [...], "output": FILE}, and answers with its exit status; FILE gets what it prints.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import sys

HEAVY = (
    "hypothesis",
    "librosa.filters",
    "matplotlib.backends.backend_agg",
    "mlflow.store.tracking.sqlalchemy_workspace_store",
    "pydantic",
    "pytest",
    "ruamel.yaml",
    "scipy.sparse",
    "soundfile",
)


def run(words: list[str]) -> int:
    """Run `hybridq ...`, `pytest ...` or `python FILE ...` in this process; its exit status."""
    program, *arguments = words
    sys.argv = words if program != "python" else arguments
    try:
        if program == "hybridq":
            from hybridq.cli import main

            main()
        elif program == "pytest":
            import pytest

            return int(pytest.main(["-q", "-p", "no:cacheprovider", *arguments]))
        else:
            sys.path.insert(0, os.path.dirname(os.path.abspath(arguments[0])))
            runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def run_apart(words: list[str], output: str) -> int:
    """Run a command in a copy of this process; its exit status."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = 1
    try:
        with open(output, "wb") as file, open(os.devnull, "rb") as nothing:
            for descriptor, target in enumerate((nothing, file, file)):
                os.dup2(target.fileno(), descriptor)
        status = run(words)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def serve() -> None:
    """Answer until there are no more lines."""
    sys.path.pop(0)  # the folder of this file: the commands have the tests of the current folder
    from hybridq.backend.startup import spare_imports
    from hybridq.backend.tensorflow import load_qkeras
    from hybridq.tracking.guard import quiet_mlflow

    spare_imports()
    load_qkeras()
    quiet_mlflow()
    for name in HEAVY:
        importlib.import_module(name)
    for name in [name for name in sys.modules if name.partition(".")[0] == "hybridq"]:
        del sys.modules[name]
    for line in sys.stdin:
        command = json.loads(line)
        print(run_apart(command["words"], command["output"]), flush=True)


if __name__ == "__main__":
    serve()
