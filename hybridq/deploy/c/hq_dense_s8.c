/* A dense layer with 8-bit weights: 2 outputs at a time, their weights interleaved by 4 inputs. */
#include "hq_arithmetic.h"

static const uint32_t *pair(const uint32_t *weights, const int8_t *x, uint32_t inputs, int32_t sums[2])
{
    int32_t first = 0, second = 0;
#if HQ_DSP
    for (const int8_t *const end = x + HQ_ROUND4(inputs); x != end; x += 4, weights += 2) {
        const uint32_t word = hq_word(x);
        const int16x2_t even = hq_even(word), odd = hq_odd(word);
        first = __smlad(hq_even(weights[0]), even, first);
        first = __smlad(hq_odd(weights[0]), odd, first);
        second = __smlad(hq_even(weights[1]), even, second);
        second = __smlad(hq_odd(weights[1]), odd, second);
    }
#else
    for (uint32_t k = 0; k < inputs; k++) {
        first += hq_byte(weights[k / 4 * 2], k % 4) * x[k];
        second += hq_byte(weights[k / 4 * 2 + 1], k % 4) * x[k];
    }
    weights += HQ_ROUND4(inputs) / 2;
#endif
    sums[0] = first;
    sums[1] = second;
    return weights;
}

void hq_dense_s8(const hq_dense *layer, const int8_t *x, int32_t *sums)
{
    const uint32_t *weights = layer->weights;
    for (uint32_t o = 0; o < layer->outputs; o += 2) {
        int32_t both[2];
        weights = pair(weights, x, layer->inputs, both);
        sums[o] = both[0];
        if (o + 1 < layer->outputs) {
            sums[o + 1] = both[1];
        }
    }
}
