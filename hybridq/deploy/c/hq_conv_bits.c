/* Convolutions with 1-bit and ternary weights: as in hq_conv.c, but the strip is int8, and one position at a time. */
#include "hq_bits.h"
#include "hq_conv.h"

static void column(const hq_conv *layer, const int8_t *const rows[], int32_t at, int8_t *to)
{
    const uint32_t inputs = layer->inputs;
    int8_t *const end = to + hq_column(layer);
    for (uint32_t row = 0; row < layer->window_rows; row++, to += inputs) {
        if (rows[row] == 0 || at < 0 || at >= layer->columns) {
            __builtin_memset(to, 0, inputs);
        } else {
            __builtin_memcpy(to, rows[row] + (uint32_t)at * inputs, inputs);
        }
    }
    for (; to != end; to++) {
        *to = -128; /* counts as nothing */
    }
}

/* All outputs at one position. */
static void position(const hq_conv *layer, const int8_t *x, int8_t *out, hq_bit_outputs *outputs)
{
    const uint32_t length = layer->window_columns * hq_column(layer), all = hq_sum_of(x, length);
    const hq_output *const by = &layer->out;
    const uint32_t *weights = layer->weights;
    for (uint32_t o = 0; o < layer->outputs; weights += (length + 31) / 32 * 4) {
        uint32_t sums[4], *sum = sums;
        const uint32_t end = o + outputs(weights, x, length / 4, all, sums);
        for (; o < end && o < layer->outputs; o++) {
            const int32_t value = (int32_t)((uint32_t)by->bias[o] + *sum++);
            out[o] = (int8_t)hq_clamp(hq_scaled(value, by->multiplier[o], by->shift[o]), by->low, by->high);
        }
    }
}

static void bits_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out, int8_t *strip,
                     hq_bit_outputs *outputs)
{
    const uint32_t length = hq_column(layer);
    for (uint32_t first = 0; first < layer->out_columns; first += layer->tile) {
        uint32_t count = layer->out_columns - first;
        count = count < layer->tile ? count : layer->tile;
        const uint32_t span = (count - 1) * layer->stride + layer->window_columns;
        for (uint32_t c = 0; c < span; c++) {
            column(layer, rows, (int32_t)(first * layer->stride + c) - layer->pad_left, strip + c * length);
        }
        for (uint32_t p = 0; p < count; p++, out += layer->outputs) {
            position(layer, strip + p * layer->stride * length, out, outputs);
        }
    }
}

void hq_conv_b1_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out, void *scratch)
{
    bits_row(layer, rows, out, scratch, hq_binary_outputs);
}

void hq_conv_t2_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out, void *scratch)
{
    bits_row(layer, rows, out, scratch, hq_ternary_outputs);
}
