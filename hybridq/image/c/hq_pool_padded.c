/* Maximum and mean of windows that may reach beyond the image: what lies outside does not count. */
#include "hq_arithmetic.h"

/* Column j of the window that makes an output column; before the row it has wrapped around. */
static inline uint32_t column_of(const hq_window *of, uint32_t column, uint32_t j)
{
    return column * of->stride + j - of->pad_left;
}

void hq_maxpool_padded_row(const hq_window *of, const int8_t *const rows[], uint32_t out_columns, int8_t *out)
{
    const uint32_t channels = of->inputs;
    for (uint32_t column = 0; column < out_columns; column++, out += channels) {
        __builtin_memset(out, -128, channels);
        for (uint32_t i = 0; i < of->window_rows; i++) {
            for (uint32_t j = 0; rows[i] != 0 && j < of->window_columns; j++) {
                const uint32_t at = column_of(of, column, j);
                for (uint32_t c = 0; at < of->columns && c < channels; c++) {
                    const int8_t x = rows[i][at * channels + c];
                    out[c] = x > out[c] ? x : out[c];
                }
            }
        }
    }
}

void hq_mean_row(const hq_mean *layer, const int8_t *const rows[], uint32_t out_columns, int32_t *sums, int8_t *out)
{
    const hq_window *const of = &layer->window;
    const uint32_t channels = of->inputs;
    for (uint32_t column = 0; column < out_columns; column++, out += channels) {
        uint32_t places = 0, entry = 0;
        __builtin_memset(sums, 0, channels * sizeof *sums);
        for (uint32_t i = 0; i < of->window_rows; i++) {
            for (uint32_t j = 0; rows[i] != 0 && j < of->window_columns; j++) {
                const uint32_t at = column_of(of, column, j);
                if (at < of->columns) {
                    hq_sum_row(rows[i] + at * channels, 1, channels, sums);
                    places++;
                }
            }
        }
        while (layer->places[entry] != places) {
            entry++;
        }
        hq_average_s8(&layer->by[entry], sums, channels, out);
    }
}
