/* A dense layer with 8-bit weights. */
#include "hq_dense.h"

#if HQ_DSP

/* 16 MACC in 23 instructions. */
#define LOAD(pair) "ldrd   r8, r9, [" pair "], #8\n"
HQ_DOT_FOUR(dot, LOAD)

#else

static void dot(const uint32_t *first, const uint32_t *second, const int8_t *x, const int8_t *end, int32_t sums[4])
{
    sums[0] = sums[1] = sums[2] = sums[3] = 0;
    for (; x != end; x += 4, first += 2, second += 2) {
        sums[0] += hq_dot_word(first[0], x);
        sums[1] += hq_dot_word(first[1], x);
        sums[2] += hq_dot_word(second[0], x);
        sums[3] += hq_dot_word(second[1], x);
    }
}

#endif

void hq_dense_s8(const hq_dense *layer, const int8_t *x, int32_t *sums)
{
    hq_dense_fours(layer, x, sums, dot, 2);
}
