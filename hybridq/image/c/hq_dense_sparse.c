/* A dense layer whose 4-bit weights are mostly zero: hybridq/image/sparse.py describes how they are packed. */
#include "hq_arithmetic.h"

/* One entry of a word: so many inputs are passed over, the next one is multiplied. */
#define ENTRY(i)                                                 \
    x += entries >> (8 * (i)) & 15u;                             \
    sum += *x++ * ((int32_t)(entries << (24 - 8 * (i))) >> 28)

static int32_t dot(const uint32_t *words, const uint32_t *end, const int8_t *x)
{
    int32_t sum = 0;
    for (; words != end; words++) {
        const uint32_t entries = *words;
        ENTRY(0);
        ENTRY(1);
        ENTRY(2);
        ENTRY(3);
    }
    return sum;
}

void hq_dense_sparse(const hq_dense *layer, const int8_t *x, int32_t *sums)
{
    const uint32_t *const counts = layer->weights, *words = counts + (layer->outputs + 1u) / 2;
    for (uint32_t o = 0; o < layer->outputs; o++) {
        const uint32_t *const end = words + (counts[o / 2] >> (16 * (o % 2)) & 0xffffu);
        sums[o] = dot(words, end, x);
        words = end;
    }
}
