"""An integer network as a folder: its C with all that it needs, and how to build it.

network.hqn   the integer network            build.json   what was planned, and the list of these files
src/          the C to take into a program   board/       start-up, linker script and a small main
README.md     how to build and call it       network.tflite  where asked for: the network for LiteRT
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hybridq.image import toolchain
from hybridq.image.constants import constants_bytes
from hybridq.image.emit import emit, kernel_files
from hybridq.image.folder import strangers, write
from hybridq.image.front_end import Interface
from hybridq.image.inference import Inference
from hybridq.image.memory_plan import Map, Plan, plan
from hybridq.image.tensors import check_labels
from hybridq.integer.artefact import NETWORK, digest, network_file
from hybridq.integer.checks import check
from hybridq.integer.network import IntegerNetwork, Layer, Memory, Weighted
from hybridq.integer.online import on_device
from hybridq.tflite.convert import tflite

BUILD, SOURCES, BOARD = "build.json", "src", "board"
TFLITE = "network.tflite"

README = """# {name}

{title} as C99, made by `hybridq export`: `src/` is what a program needs, `board/` a start-up, a linker script
and a small `main.c` for the STM32L496 (Cortex-M4F). `network.hqn` is the integer network, of digest
{digest}.

```c
{usage}
```

Build it with gcc, here for the board:

```sh
arm-none-eabi-gcc -std=c99 -mcpu=cortex-m4 -mthumb -mfpu=fpv4-sp-d16 -mfloat-abi=hard -O2 -ffp-contract=off \\
  -ffreestanding -ffunction-sections -fdata-sections -Isrc -Iboard src/*.c board/*.c \\
  -nostdlib -Wl,-T,board/stm32l496.ld -Wl,--gc-sections -o image.elf
```

or let `hybridq verify` of this folder build it, run it in an emulator, and compare every output with the integer
network.

{notes}The tensors take {arena:,} bytes of static memory, the weights and tables of the layers {constants:,} bytes of
flash; `build.json` says where they go.
"""


def export(
    network: IntegerNetwork,
    folder: Path,
    front_end: Interface | None = None,
    origin: Mapping[str, Any] | None = None,
    with_tflite: bool = False,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write a network as C, with the front end that makes its input, or without; returns what build.json says.

    origin: what build.json says besides, of where the network is from; with_tflite: as a `.tflite` file too; overwrite:
    also over files of these names that no export wrote, or that were changed since. Other files stay as they are.

    Raises UserError for a network that contradicts itself or is beyond what the kernels hold, and for files in the way;
    NotWritable.
    """
    check(network)
    check_labels(network)
    planned = plan(on_device(network))
    build = _planned(network, planned) | dict(origin or {})
    interface = front_end or Inference(network)
    files = _sources(network, planned, interface)
    files |= {NETWORK: network_file(network), "README.md": _readme(network, interface, build).encode()}
    if with_tflite:
        files[TFLITE] = tflite(network)
    write(folder, files, BUILD, build, overwrite)
    return build


def not_exported(folder: Path, network: IntegerNetwork, front_end: Interface | None = None) -> list[str]:
    """The paths in an exported folder whose C is not what this version writes of the network: all that it would run."""
    written = _sources(network, plan(on_device(network)), front_end or Inference(network))
    return strangers(folder, written, (SOURCES, BOARD))


def macc_of(layer: Layer) -> int:
    """Multiplications of a layer, those with padding included; of an online network those of a frame."""
    if isinstance(layer, Memory):
        return layer.shape[-1] // layer.order * layer.matrix.size
    if not isinstance(layer, Weighted):
        return 0
    return int(np.prod(layer.shape[:-1], dtype=np.int64)) * layer.weights.size


def _sources(network: IntegerNetwork, planned: Plan, interface: Interface) -> dict[str, bytes]:
    """The C, by its paths in the folder."""
    device = on_device(network)
    sources = emit(device, planned, interface.defines)
    sources |= {name: (toolchain.SOURCES / name).read_text() for name in kernel_files(planned)}
    sources |= interface.sources
    board = {file.name: file.read_text() for file in sorted(toolchain.BOARD.iterdir())}
    board["main.c"] = interface.program
    rooms = {SOURCES: sources, BOARD: board}
    return {f"{room}/{name}": text.encode() for room, texts in rooms.items() for name, text in texts.items()}


def _readme(network: IntegerNetwork, interface: Interface, build: Mapping[str, Any]) -> str:
    return README.format(
        name=network.description.name or "network",
        title=interface.title,
        digest=build["digest"],
        usage=interface.usage,
        notes=interface.notes,
        arena=build["arena_bytes"],
        constants=sum(layer["constants_bytes"] for layer in build["layers"]),
    )


def _planned(network: IntegerNetwork, planned: Plan) -> dict[str, Any]:
    """The plan as plain data; stages count from 1."""
    steps = [step for stage in planned.stages for step in stage.steps]
    layers = [step.layer for step in steps if step.layer is not None]
    return {
        "digest": digest(network),
        "arena_bytes": planned.arena_bytes,
        "layers": [
            {
                "name": layer.name,
                "kind": type(layer).__name__,
                "bits": layer.width.bits if isinstance(layer, Weighted) else None,
                "macc": macc_of(layer),
                "constants_bytes": constants_bytes(layer),
            }
            for layer in layers
        ],
        "stages": [[step.name for step in stage.steps] for stage in planned.stages],
        "arena": [
            {
                "what": one.name,
                "offset": one.offset,
                "bytes": one.bytes,
                "stages": [one.first + 1, one.last + 1],
                **({"rows": one.rows, "rows_kept": one.kept} if isinstance(one, Map) else {}),
            }
            for one in planned.buffers
        ],
    }
