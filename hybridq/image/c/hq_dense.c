/* A dense layer with 8- or 4-bit weights, 4 outputs at a time. */
#include "hq_dense.h"

/* Less the sum of the even inputs; without SIMD it is not needed. */
static int32_t less_even(const int8_t *x, const int8_t *end)
{
    int32_t sum = 0;
#if HQ_DSP
    for (; x != end; x += 4) {
        sum = __smlad(hq_even(hq_word(x)), (int16x2_t)0x00010001, sum);
    }
#else
    (void)x, (void)end;
#endif
    return -sum;
}

void hq_dense_fours(const hq_dense *layer, const int8_t *x, int32_t *sums, hq_dot_fours *dot, uint32_t words)
{
    const uint32_t length = HQ_ROUND4((uint32_t)layer->inputs), pair = length / 4 * words, fours = layer->outputs / 4;
    const uint32_t left = layer->outputs % 4, *weights = layer->weights;
    hq_dots of = {x, x + length, sums, less_even(x, x + length), fours, 4 * pair};
    if (fours > 0) {
        dot(weights, weights + pair, &of);
        weights += 2 * fours * pair;
    }
    if (left > 0) {
        int32_t found[4];
        of.sums = found;
        of.fours = 1;
        dot(weights, left > 2 ? weights + pair : weights, &of); /* else the first is computed twice */
        __builtin_memcpy(sums + 4 * fours, found, left * sizeof *found);
    }
}
