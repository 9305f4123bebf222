"""hybridq: hybrid binary/8-bit quantization of small neural networks, measured for a microcontroller."""

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hybridq.profiler import profile as profile

__all__ = ["profile"]

try:
    __version__ = version("hybridq")
except PackageNotFoundError:  # run from a folder that was never installed
    __version__ = "0"


def __getattr__(name: str) -> Any:
    """`hybridq.profile` on first use: nothing heavy is imported before it is needed."""
    if name == "profile":
        from hybridq import profiler

        return profiler.profile
    raise AttributeError(f"module 'hybridq' has no attribute '{name}'")
