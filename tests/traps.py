"""A stranger's folder: Python files in it that bear the names of modules, and tell when one of them is run."""

import sys
from pathlib import Path

OTHERS = ("hybridq", "mlflow", "numpy", "ray", "sitecustomize", "tensorflow", "usercustomize", "uvicorn", "ziglang")


class Traps:
    """Set in a folder, one for each module of Python and for some of other packages."""

    def __init__(self, folder: Path) -> None:
        self._sprung = folder / "SPRUNG"
        code = f"open({str(self._sprung)!r}, 'a').write(__name__ + '\\n')\nraise ImportError('a stranger')\n"
        for name in {*sys.stdlib_module_names, *OTHERS}:
            (folder / f"{name}.py").write_text(code)

    @property
    def sprung(self) -> set[str]:
        """The modules that were run."""
        return set(self._sprung.read_text().split()) if self._sprung.exists() else set()
