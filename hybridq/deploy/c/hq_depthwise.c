/* A depthwise convolution: a sum for each of up to 4 channels at a time. */
#include "hq_arithmetic.h"

/* 4 channels (or what is left of them) of one output: weights and inputs of the next place in the window. */
static void place(const int8_t *weights, const int8_t *x, uint32_t count, int32_t sums[4])
{
#if HQ_DSP
    if (count == 4) {
        const uint32_t w = hq_word(weights), v = hq_word(x);
        const int16x2_t w_even = hq_even(w), w_odd = hq_odd(w), even = hq_even(v), odd = hq_odd(v);
        sums[0] = __smlabb(w_even, even, sums[0]);
        sums[1] = __smlabb(w_odd, odd, sums[1]);
        sums[2] = __smlatt(w_even, even, sums[2]);
        sums[3] = __smlatt(w_odd, odd, sums[3]);
        return;
    }
#endif
    for (uint32_t i = 0; i < count; i++) {
        sums[i] += weights[i] * x[i];
    }
}

static void output(const hq_conv *layer, const int8_t *const rows[], int32_t left, uint32_t channel, uint32_t count,
                   int8_t *out)
{
    const uint32_t channels = layer->inputs;
    const hq_output *const by = &layer->out;
    const int8_t *weights = (const int8_t *)layer->weights + channel;
    int32_t sums[4] = {0, 0, 0, 0};
    for (uint32_t row = 0; row < layer->window_rows; row++) {
        for (int32_t c = left; c < left + layer->window_columns; c++, weights += channels) {
            if (rows[row] != 0 && c >= 0 && c < layer->columns) {
                place(weights, rows[row] + (uint32_t)c * channels + channel, count, sums);
            }
        }
    }
    for (uint32_t i = 0, o = channel; i < count; i++, o++) {
        out[o] = (int8_t)hq_clamp(hq_scaled(sums[i] + by->bias[o], by->multiplier[o], by->shift[o]), by->low, by->high);
    }
}

void hq_depthwise_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out)
{
    const uint32_t channels = layer->inputs;
    for (uint32_t p = 0; p < layer->out_columns; p++, out += channels) {
        const int32_t left = (int32_t)(p * layer->stride) - layer->pad_left;
        for (uint32_t channel = 0; channel < channels; channel += 4) {
            const uint32_t rest = channels - channel;
            output(layer, rows, left, channel, rest < 4 ? rest : 4, out);
        }
    }
}
