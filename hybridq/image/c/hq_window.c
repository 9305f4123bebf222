/* Windows one position at a time: of convolutions that are dilated, whose sums leave the network as int16, or that make
 * several channels of each by itself. Small rather than fast; the products of a gathered window are a dense layer's. */
#include "hq_arithmetic.h"

/* Column j of the window that makes an output column; outside the row it is the padding. */
static inline uint32_t column_of(const hq_window *of, uint32_t column, uint32_t j)
{
    return column * of->stride + j * of->apart_columns - of->pad_left; /* before the row it has wrapped around */
}

void hq_window_gather(const hq_window *of, const int8_t *const rows[], uint32_t column, int8_t *to)
{
    for (uint32_t i = 0; i < of->window_rows; i++) {
        const int8_t *const row = rows[i * of->apart_rows];
        for (uint32_t j = 0; j < of->window_columns; j++, to += of->inputs) {
            const uint32_t at = column_of(of, column, j);
            if (row == 0 || at >= of->columns) {
                __builtin_memset(to, HQ_OUTSIDE(of), of->inputs);
            } else {
                __builtin_memcpy(to, row + at * of->inputs, of->inputs);
            }
        }
    }
}

void hq_window_sums(const hq_window *of, const hq_dense *layer, const int8_t *const rows[], uint32_t column,
                    int32_t *sums)
{
    const uint32_t outputs = layer->outputs, times = outputs / of->inputs;
    const uint32_t is_three = of->window_rows == 3 && of->window_columns == 3;
    const int8_t *const first = (const int8_t *)layer->weights;
    __builtin_memset(sums, 0, outputs * sizeof *sums);
    for (uint32_t i = 0; i < of->window_rows; i++) {
        const int8_t *const row = rows[i * of->apart_rows];
        for (uint32_t j = 0; j < of->window_columns; j++) {
            const uint32_t place = i * of->window_columns + j, apart = is_three ? 9 : 1;
            const int8_t *const weights = first + (is_three ? hq_tap_of_three(place) : place * outputs);
            const uint32_t at = column_of(of, column, j);
            const uint32_t is_inside = row != 0 && at < of->columns;
            for (uint32_t o = 0; o < outputs; o++) {
                sums[o] += (is_inside ? row[at * of->inputs + o / times] : HQ_OUTSIDE(of)) * weights[o * apart];
            }
        }
    }
}
