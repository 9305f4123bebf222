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

void hq_dense_fours(const hq_dense *layer, const int8_t *x, int32_t *sums, hq_dot_four *dot, uint32_t words)
{
    const uint32_t length = HQ_ROUND4((uint32_t)layer->inputs), pair = length / 4 * words;
    const uint32_t *weights = layer->weights;
    const int32_t less = less_even(x, x + length);
    for (uint32_t first = 0; first < layer->outputs; first += 4, weights += 2 * pair) {
        const uint32_t left = layer->outputs - first;
        const uint32_t *const second = left > 2 ? weights + pair : weights; /* else the first is computed twice */
        int32_t found[4], *const to = left < 4 ? found : sums + first;
        dot(weights, second, x, x + length, to, less);
        for (uint32_t o = 0; to == found && o < left; o++) {
            sums[first + o] = found[o];
        }
    }
}
