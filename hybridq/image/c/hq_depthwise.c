/* A depthwise convolution: 4 channels at a time where there is SIMD, else one. */
#include "hq_conv.h"

/* The part of a window that lies inside a row: its first place, and how many. */
typedef struct {
    uint32_t offset, weights_offset, places;
} part;

/* What the places of a window outside the image count: each what stands for 0 there. */
static int32_t outside_of(const hq_conv *layer, const int8_t *const rows[], part in, uint32_t channel)
{
    const uint32_t channels = layer->inputs;
    const int8_t *weights = (const int8_t *)layer->weights + channel;
    int32_t sum = 0;
    for (uint32_t row = 0; row < layer->window_rows; row++) {
        for (uint32_t k = 0; k < layer->window_columns * channels; k += channels, weights += channels) {
            const uint32_t inside = k - in.weights_offset; /* before them it has wrapped around */
            sum += rows[row] != 0 && inside < in.places * channels ? 0 : *weights;
        }
    }
    return sum * layer->outside;
}

static uint32_t is_partly_outside(const hq_conv *layer, const int8_t *const rows[], part in)
{
    uint32_t missing = in.places < layer->window_columns;
    for (uint32_t row = 0; row < layer->window_rows; row++) {
        missing |= rows[row] == 0;
    }
    return missing;
}

static int8_t one(const hq_conv *layer, const int8_t *const rows[], part in, uint32_t channel, int32_t sum)
{
    const uint32_t channels = layer->inputs;
    const int8_t *weights = (const int8_t *)layer->weights + channel + in.weights_offset;
    for (uint32_t row = 0; row < layer->window_rows; row++, weights += layer->window_columns * channels) {
        for (uint32_t k = 0; rows[row] != 0 && k < in.places * channels; k += channels) {
            sum += rows[row][in.offset + channel + k] * weights[k];
        }
    }
    const hq_output *const by = &layer->out;
    return (int8_t)hq_stored_place(sum, by->channels[channel], by->shifts[channel], by);
}

#if HQ_DSP
static void four(const hq_conv *layer, const int8_t *const rows[], part in, uint32_t channel, const int32_t *start,
                 int8_t *out)
{
    const uint32_t channels = layer->inputs, length = in.places * channels;
    const int8_t *weights = (const int8_t *)layer->weights + channel + in.weights_offset;
    int32_t a = start[0], b = start[1], c = start[2], d = start[3];
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
    const hq_output to = layer->out; /* a store to int8_t could change *layer, as far as a compiler knows */
    const hq_channel *const by = to.channels + channel;
    const uint8_t *const shifts = to.shifts + channel;
    out[0] = (int8_t)hq_stored_place(a, by[0], shifts[0], &to);
    out[1] = (int8_t)hq_stored_place(b, by[1], shifts[1], &to);
    out[2] = (int8_t)hq_stored_place(c, by[2], shifts[2], &to);
    out[3] = (int8_t)hq_stored_place(d, by[3], shifts[3], &to);
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
        const uint32_t counts = layer->outside != 0 && is_partly_outside(layer, rows, in);
#if HQ_DSP
        for (; channel + 4 <= channels; channel += 4) {
            int32_t start[4] = {0, 0, 0, 0};
            for (uint32_t k = 0; counts && k < 4; k++) {
                start[k] = outside_of(layer, rows, in, channel + k);
            }
            four(layer, rows, in, channel, start, out + channel);
        }
#endif
        for (; channel < channels; channel++) {
            out[channel] = one(layer, rows, in, channel, counts ? outside_of(layer, rows, in, channel) : 0);
        }
    }
}
