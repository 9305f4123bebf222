/* What the convolutions of all widths share: the strip, and the loop over the tiles of a row. */
#ifndef HQ_CONV_H
#define HQ_CONV_H

#include "hq_arithmetic.h"

static inline uint32_t hq_column(const hq_conv *layer)
{
    return HQ_ROUND4((uint32_t)layer->window_rows * layer->inputs);
}

/* 2 outputs at 2 positions: x0 to end and x1 on, against one pair of rows of weights; out: both positions of the first
 * output, then of the second. */
typedef void hq_dot_pair(const uint32_t *weights, const int16_t *x0, const int16_t *x1, const int16_t *end,
                         int32_t sums[4]);

void hq_conv_pairs_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out, int16_t *strip,
                       hq_dot_pair *dot, uint32_t words_per_pair);

#endif
