/* Dense layers with 1-bit, 2-bit and ternary weights. */
#include "hq_bits.h"

static void bits(const hq_dense *layer, const int8_t *x, int32_t *sums, hq_bit_outputs *outputs)
{
    const uint32_t quads = (layer->inputs + 3u) / 4, all = hq_sum_of(x, layer->inputs);
    const uint32_t *weights = layer->weights;
    uint32_t count;
    for (uint32_t first = 0; first < layer->outputs; first += count, weights += (quads + 7) / 8 * 4) {
        const uint32_t left = layer->outputs - first;
        int32_t found[4], *const to = left < 4 ? found : sums + first;
        count = outputs(weights, x, quads, all, to);
        for (uint32_t o = 0; to == found && o < count && o < left; o++) {
            sums[first + o] = found[o];
        }
    }
}

void hq_dense_b1(const hq_dense *layer, const int8_t *x, int32_t *sums)
{
    bits(layer, x, sums, hq_binary_outputs);
}

void hq_dense_i2(const hq_dense *layer, const int8_t *x, int32_t *sums)
{
    bits(layer, x, sums, hq_4_level_outputs);
}

void hq_dense_t2(const hq_dense *layer, const int8_t *x, int32_t *sums)
{
    bits(layer, x, sums, hq_ternary_outputs);
}
