/* A depthwise convolution: 4 channels at a time where there is SIMD, else one. */
#include "hq_conv.h"

/* The part of a window that lies inside a row: its first place, and how many. */
typedef struct {
    uint32_t offset, weights_offset, places;
} part;

static int8_t one(const hq_conv *layer, const int8_t *const rows[], part in, uint32_t channel)
{
    const uint32_t channels = layer->inputs;
    const int8_t *weights = (const int8_t *)layer->weights + channel + in.weights_offset;
    int32_t sum = 0;
    for (uint32_t row = 0; row < layer->window_rows; row++, weights += layer->window_columns * channels) {
        for (uint32_t k = 0; rows[row] != 0 && k < in.places * channels; k += channels) {
            sum += rows[row][in.offset + channel + k] * weights[k];
        }
    }
    const hq_output *const by = &layer->out;
    return (int8_t)hq_stored(sum, by->channels[channel], by->shifts[channel], by->low, by->high);
}

#if HQ_DSP
static void four(const hq_conv *layer, const int8_t *const rows[], part in, uint32_t channel, int8_t *out)
{
    const uint32_t channels = layer->inputs, length = in.places * channels;
    const int8_t *weights = (const int8_t *)layer->weights + channel + in.weights_offset;
    int32_t a = 0, b = 0, c = 0, d = 0;
    for (uint32_t row = 0; row < layer->window_rows; row++, weights += layer->window_columns * channels) {
        if (rows[row] != 0) {
            const int8_t *x = rows[row] + in.offset + channel, *w = weights;
            for (const int8_t *const end = x + length; x != end; x += channels, w += channels) {
                const uint32_t inputs = hq_word(x), word = hq_word(w);
                const int16x2_t even = hq_even(inputs), w_even = hq_even(word);
                a = __smlabb(w_even, even, a);
                c = __smlatt(w_even, even, c);
                const int16x2_t odd = hq_odd(inputs), w_odd = hq_odd(word);
                b = __smlabb(w_odd, odd, b);
                d = __smlatt(w_odd, odd, d);
            }
        }
    }
    const int32_t low = layer->out.low, high = layer->out.high;
    const hq_channel *const by = layer->out.channels + channel;
    const uint8_t *const shifts = layer->out.shifts + channel;
    out[0] = (int8_t)hq_stored(a, by[0], shifts[0], low, high);
    out[1] = (int8_t)hq_stored(b, by[1], shifts[1], low, high);
    out[2] = (int8_t)hq_stored(c, by[2], shifts[2], low, high);
    out[3] = (int8_t)hq_stored(d, by[3], shifts[3], low, high);
}
#endif

void hq_depthwise_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out)
{
    const uint32_t channels = layer->inputs;
    for (uint32_t p = 0; p < layer->out_columns; p++, out += channels) {
        const hq_inside inside = hq_columns_inside(layer, p, layer->window_columns);
        part in = {0, inside.first * channels, 0};
        if (inside.first < inside.end) {
            in.places = inside.end - inside.first;
            in.offset = (uint32_t)(inside.left + (int32_t)inside.first) * channels;
        }
        uint32_t channel = 0;
#if HQ_DSP
        for (; channel + 4 <= channels; channel += 4) {
            four(layer, rows, in, channel, out + channel);
        }
#endif
        for (; channel < channels; channel++) {
            out[channel] = one(layer, rows, in, channel);
        }
    }
}
