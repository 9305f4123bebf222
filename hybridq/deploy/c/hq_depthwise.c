/* A depthwise convolution. */
#include "hq_conv.h"

/* `places` of one row of the window, for 4 channels or what is left of them. */
static void accumulate(const int8_t *x, const int8_t *weights, uint32_t places, uint32_t channels, uint32_t count,
                       int32_t sums[4])
{
    const int8_t *const end = x + places * channels;
#if HQ_DSP
    if (count == 4) {
        int32_t a = sums[0], b = sums[1], c = sums[2], d = sums[3];
        for (; x != end; x += channels, weights += channels) {
            const uint32_t v = hq_word(x), w = hq_word(weights);
            const int16x2_t even = hq_even(v), odd = hq_odd(v), w_even = hq_even(w), w_odd = hq_odd(w);
            a = __smlabb(w_even, even, a);
            b = __smlabb(w_odd, odd, b);
            c = __smlatt(w_even, even, c);
            d = __smlatt(w_odd, odd, d);
        }
        sums[0] = a;
        sums[1] = b;
        sums[2] = c;
        sums[3] = d;
        return;
    }
#endif
    for (; x != end; x += channels, weights += channels) {
        for (uint32_t i = 0; i < count; i++) {
            sums[i] += weights[i] * x[i];
        }
    }
}

void hq_depthwise_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out)
{
    const uint32_t channels = layer->inputs, window = layer->window_columns;
    const hq_output by = layer->out;
    for (uint32_t p = 0; p < layer->out_columns; p++) {
        const hq_inside inside = hq_columns_inside(layer, p, window);
        const uint32_t skipped = inside.first * channels, from = (uint32_t)(inside.left + (int32_t)inside.first) * channels;
        for (uint32_t o = 0; o < channels;) {
            const uint32_t count = channels - o < 4 ? channels - o : 4;
            const int8_t *weights = (const int8_t *)layer->weights + skipped + o;
            int32_t sums[4] = {0, 0, 0, 0};
            for (uint32_t row = 0; row < layer->window_rows; row++, weights += window * channels) {
                if (rows[row] != 0 && inside.first < inside.end) {
                    accumulate(rows[row] + from + o, weights, inside.end - inside.first, channels, count, sums);
                }
            }
            for (uint32_t i = 0; i < count; i++, o++) {
                *out++ = (int8_t)hq_stored(sums[i], by.channels[o], by.shifts[o], by.low, by.high);
            }
        }
    }
}
