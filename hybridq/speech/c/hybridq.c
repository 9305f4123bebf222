#include "hybridq.h"

#include "hq_kernels.h"
#include "hq_mfcc.h"

static hq_mfcc front_end;

/* The front end works where the network's tensors lie: neither needs anything from one call to the next. */
static union {
    hq_mfcc_work work;
    int8_t arena[HYBRIDQ_ARENA_BYTES];
} memory;

#ifdef HYBRIDQ_ONLINE

static int16_t answer[HYBRIDQ_CLASSES];

void hybridq_init(void)
{
    hq_mfcc_init(&front_end, &memory.work);
    hybridq_reset_network();
    __builtin_memset(answer, 0, sizeof answer);
}

int hybridq_push_audio(const int16_t *samples, size_t count)
{
    int columns = 0;
    while (count > 0) { /* in pieces that complete one column at most */
        const size_t piece = count < HQ_MFCC_HOP ? count : HQ_MFCC_HOP;
        if (hq_mfcc_push(&front_end, samples, piece) > 0) {
            hybridq_run_network(memory.arena, answer);
            columns++;
        }
        samples += piece;
        count -= piece;
    }
    return columns;
}

int hybridq_classify(int16_t logits[HYBRIDQ_CLASSES])
{
    __builtin_memcpy(logits, answer, sizeof answer);
    return (int)hq_argmax(logits, HYBRIDQ_CLASSES);
}

#else

void hybridq_init(void)
{
    hq_mfcc_init(&front_end, &memory.work);
}

int hybridq_push_audio(const int16_t *samples, size_t count)
{
    return hq_mfcc_push(&front_end, samples, count);
}

int hybridq_classify(int16_t logits[HYBRIDQ_CLASSES])
{
    hybridq_run_network(memory.arena, logits);
    return (int)hq_argmax(logits, HYBRIDQ_CLASSES);
}

#endif

void hybridq_input_row(uint32_t row, int8_t to[HYBRIDQ_INPUT_ROW_BYTES])
{
    hq_mfcc_row(&front_end, row, to);
}
