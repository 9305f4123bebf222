"""Whatever a microphone says, in pieces of any size: the whole chain in C is exact, and clean under the sanitizers."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from front_end_builds import hostile, plain
from network_builds import Made
from network_runs import constants, machine

from hybridq.formats import Format
from hybridq.image import toolchain
from hybridq.image.export import SOURCES
from hybridq.image.machines import FLAGS
from hybridq.integer.arithmetic import logits
from hybridq.integer.artefact import save_network
from hybridq.runs.export import export
from hybridq.runs.verify import matrix
from hybridq.speech.mfcc import FrontEnd

CLASSES = 3
WAYS = 3

# Each sound in one piece, sample by sample, and in pieces of many sizes; of each the input and the logits at the end,
# the class, and how often there was something new. A piece lies at the end of its buffer, before a red zone.
PROGRAM = """
#include "hybridq.h"
#include "say.h"
#include "sounds.h"
enum { SAMPLES = sizeof sounds[0] / 2, SIZES = sizeof sizes[0] / 2 };
static int16_t block[SAMPLES], logits[HYBRIDQ_CLASSES];
int main(void)
{
    static int8_t row[HYBRIDQ_INPUT_ROW_BYTES];
    for (uint32_t sound = 0; sound < sizeof sounds / sizeof sounds[0]; sound++) {
        for (uint32_t way = 0; way < WAYS; way++) {
            int32_t columns = 0;
            hybridq_init();
            for (uint32_t at = 0, piece = 0, count; at < SAMPLES; at += count, piece++) {
                count = way == 0 ? SAMPLES : way == 1 ? 1 : (uint32_t)sizes[0][piece % SIZES];
                count = count < SAMPLES - at ? count : SAMPLES - at;
                __builtin_memcpy(block + SAMPLES - count, sounds[sound] + at, 2 * count);
                const int made = hybridq_push_audio(block + SAMPLES - count, count);
                columns += made;
                if (made > 0) {
                    hybridq_classify(logits);
                }
            }
            for (uint32_t k = 0; k < HYBRIDQ_INPUT_ROWS; k++) {
                hybridq_input_row(k, row);
                for (uint32_t n = 0; n < HYBRIDQ_INPUT_ROW_BYTES; n++) {
                    say(row[n]);
                }
            }
            const int found = hybridq_classify(logits);
            for (uint32_t k = 0; k < HYBRIDQ_CLASSES; k++) {
                say(logits[k]);
            }
            say(found);
            say(columns);
        }
    }
    return 0;
}
"""


@pytest.mark.parametrize("name", ["here", "zig", "gcc", "zig portable", "gcc portable"])
@pytest.mark.parametrize(
    "end",
    [
        FrontEnd(coefficients=10, frames=12, mel_bands=20),
        FrontEnd(coefficients=20, frames=5, mel_bands=20, window=400, hop=600, transform=1024),
    ],
)
def test_any_sound_in_any_pieces(name: str, end: FrontEnd, tmp_path: Path) -> None:
    on, normalisation = machine(name), plain(end)
    made = Made((*end.shape, 1), 0)
    x = made.conv(made.conv("input", 4, pads=((1, 1), (1, 1)), behind=3), 4, width=Format.BINARY)
    made.dense(made.dense(made.max_pool(x), 8, Format.TERNARY), CLASSES, logits=True)
    network = made.network(
        labels=["a", "b", "c"],
        front_end=asdict(end),
        normalisation={"mean": normalisation.mean, "deviation": normalisation.deviation},
    )
    save_network(network, tmp_path / "made.hqn")
    export(str(tmp_path / "made.hqn"), tmp_path)
    sounds = np.stack(list(hostile(5100).values()))  # a click is at 5000
    random = np.random.default_rng(0)
    sizes = np.concatenate([[0, 1, 2, end.hop, end.window, 4000], random.integers(0, 700, 40)])
    declared = constants("int16_t", "sounds", sounds) + constants("int16_t", "sizes", sizes[None])
    (tmp_path / "sounds.h").write_text(f"#define WAYS {WAYS}\n{declared}")
    (tmp_path / "main.c").write_text(PROGRAM)
    source = tmp_path / SOURCES
    kernels = {path.name for path in toolchain.SOURCES.glob("*.c")}  # the machine has compiled them
    rest = [path for path in sorted(source.glob("*.c")) if path.name not in kernels]
    said = on.said([tmp_path / "main.c", *rest, on.kernels()], tmp_path, f"-I{source}", *FLAGS)
    said = said.reshape(len(sounds), WAYS, -1)
    assert (said == said[:, :1]).all()  # whatever the pieces
    rows, scores, found, columns = np.split(said[:, 0], np.cumsum([np.prod(end.shape), CLASSES, 1]), axis=1)
    heard = rows.reshape(-1, *end.shape)
    python = matrix(end, normalisation, network.input_fraction, sounds)[..., -end.frames :]
    assert np.abs(heard - python).max() <= 1
    wanted = logits(network, heard[..., None].astype(np.int8))
    assert np.array_equal(scores, wanted)
    assert np.array_equal(found[:, 0], wanted.argmax(1))
    assert (columns == 1 + (sounds.shape[1] - end.window) // end.hop).all()
    assert len(np.unique(wanted)) > 20  # it hears something
