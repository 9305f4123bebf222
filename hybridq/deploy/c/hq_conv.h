/* What the convolutions of all widths share: the strip, and the loop over the tiles of a row. */
#ifndef HQ_CONV_H
#define HQ_CONV_H

#include "hq_arithmetic.h"

static inline uint32_t hq_column(const hq_conv *layer)
{
    return HQ_ROUND4((uint32_t)layer->window_rows * layer->inputs);
}

/* Which columns of a strip lie inside the row: from first to end; the strip's first is column `left` of the row. */
typedef struct {
    uint32_t first, end;
    int32_t left;
} hq_inside;

static inline hq_inside hq_columns_inside(const hq_conv *layer, uint32_t out_column, uint32_t span)
{
    const int32_t left = (int32_t)(out_column * layer->stride) - layer->pad_left, right = layer->columns - left;
    const uint32_t first = left < 0 ? (uint32_t)-left : 0, end = right < 0 ? 0 : (uint32_t)right;
    return (hq_inside){first, end < span ? end : span, left};
}

/* 2 outputs at 2 positions: x0 to end and x1 on, against one pair of rows of weights; out: both positions of the first
 * output, then of the second. */
typedef void hq_dot_pair(const uint32_t *weights, const int16_t *x0, const int16_t *x1, const int16_t *end,
                         int32_t sums[4]);

void hq_conv_pairs_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out, int16_t *strip,
                       hq_dot_pair *dot, uint32_t words_per_pair);

#endif
