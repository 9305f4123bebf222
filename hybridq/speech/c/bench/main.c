/* The smallest program around a keyword spotter: fill the FIFO with silence and classify it. `hybridq verify` runs it
 * in the emulator, and calls the functions of hybridq.h one by one. */
#include "board.h"
#include "hybridq.h"

enum { BLOCK = 256 };
int16_t bench_block[BLOCK]; /* where a microphone's driver would put the samples */
int16_t bench_logits[HYBRIDQ_CLASSES];

int main(void)
{
    hybridq_init();
    for (uint32_t heard = 0; heard < HYBRIDQ_INPUT_SAMPLES; heard += BLOCK) {
        hybridq_push_audio(bench_block, BLOCK);
    }
    board_print(hybridq_labels[hybridq_classify(bench_logits)]);
    return 0;
}
