/* A dense layer with 4-bit weights. A byte is 16 b + a, the weights a and b of two outputs: see hq_conv_s4.c. */
#include "hq_arithmetic.h"

static const uint32_t *pair(const uint32_t *weights, const int8_t *x, uint32_t inputs, int32_t sums[2])
{
    int32_t low = 0, both = 0; /* 16 A, 16 B + A */
#if HQ_DSP
    for (const int8_t *const end = x + HQ_ROUND4(inputs); x != end; x += 4) {
        const uint32_t word = hq_word(x), weight = *weights++, lower = weight << 4 & 0xf0f0f0f0u;
        const int16x2_t even = hq_even(word), odd = hq_odd(word);
        both = __smlad(hq_even(weight), even, both);
        both = __smlad(hq_odd(weight), odd, both);
        low = __smlad(hq_even(lower), even, low);
        low = __smlad(hq_odd(lower), odd, low);
    }
#else
    for (uint32_t k = 0; k < inputs; k++) {
        const uint32_t word = weights[k / 4];
        both += hq_byte(word, k % 4) * x[k];
        low += hq_byte(word << 4 & 0xf0f0f0f0u, k % 4) * x[k];
    }
    weights += HQ_ROUND4(inputs) / 4;
#endif
    sums[0] = low >> 4;
    sums[1] = (both - sums[0]) >> 4;
    return weights;
}

void hq_dense_s4(const hq_dense *layer, const int8_t *x, int32_t *sums)
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
