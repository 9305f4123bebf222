"""hybridq: hybrid binary/8-bit quantization of small neural networks, measured for a microcontroller."""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hybridq.api.network import Network as Network
    from hybridq.api.network import convert as convert
    from hybridq.api.network import load as load
    from hybridq.api.network import verify as verify
    from hybridq.api.quantizing import quantize as quantize
    from hybridq.api.search import search as search
    from hybridq.errors import UserError as UserError
    from hybridq.profiler import profile as profile

# Where each name is, which is imported when it is first used: nothing heavy before.
PLACES = {
    "Network": "hybridq.api.network",
    "UserError": "hybridq.errors",
    "convert": "hybridq.api.network",
    "load": "hybridq.api.network",
    "profile": "hybridq.profiler",
    "quantize": "hybridq.api.quantizing",
    "search": "hybridq.api.search",
    "verify": "hybridq.api.network",
}
__all__ = ["Network", "UserError", "convert", "load", "profile", "quantize", "search", "verify"]

try:
    __version__ = version("hybridq")
except PackageNotFoundError:  # run from a folder that was never installed
    __version__ = "0"


def __getattr__(name: str) -> Any:
    """A public name on first use."""
    if name in PLACES:
        return getattr(import_module(PLACES[name]), name)
    raise AttributeError(f"module 'hybridq' has no attribute '{name}'")
