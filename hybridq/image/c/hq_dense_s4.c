/* A dense layer with 4-bit weights. A byte is 16 b + a, the weights a and b of two outputs: see hq_conv_s4.c. */
#include "hq_dense.h"

#if HQ_DSP

/* 16 MACC in 25 instructions. */
#define LOAD(pair)                \
    "ldr    r9, [" pair "], #4\n" \
    "and    r8, r11, r9, lsl #4\n"
HQ_DOT_FOUR(dot, LOAD)

#else

static void dot(const uint32_t *first, const uint32_t *second, const int8_t *x, const int8_t *end, int32_t sums[4])
{
    sums[0] = sums[1] = sums[2] = sums[3] = 0;
    for (; x != end; x += 4, first++, second++) {
        sums[0] += hq_dot_word(*first << 4 & 0xf0f0f0f0u, x);
        sums[1] += hq_dot_word(*first, x);
        sums[2] += hq_dot_word(*second << 4 & 0xf0f0f0f0u, x);
        sums[3] += hq_dot_word(*second, x);
    }
}

#endif

void hq_dense_s4(const hq_dense *layer, const int8_t *x, int32_t *sums)
{
    hq_dense_fours(layer, x, sums, dot, 1); /* 16 A, 16 B + A */
    for (uint32_t o = 0; o < layer->outputs; o += 2) {
        sums[o] >>= 4;
        if (o + 1u < layer->outputs) {
            sums[o + 1] = (sums[o + 1] - sums[o]) >> 4;
        }
    }
}
