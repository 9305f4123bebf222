/* Convolutions with 1-bit, 2-bit and ternary weights: as in hq_conv.c, but the strip is int8, and one position at a time. */
#include "hq_bits.h"
#include "hq_conv.h"

static void fill(const hq_conv *layer, const int8_t *const rows[], uint32_t out_column, uint32_t span, int8_t *strip)
{
    const uint32_t inputs = layer->inputs, length = hq_column(layer), used = layer->window_rows * inputs;
    const hq_inside inside = hq_columns_inside(layer, out_column, span);
    for (uint32_t c = 0; c < span; c++, strip += length) {
        int8_t *to = strip;
        for (uint32_t row = 0; row < layer->window_rows; row++, to += inputs) {
            if (rows[row] == 0 || c < inside.first || c >= inside.end) {
                __builtin_memset(to, HQ_OUTSIDE(layer), inputs);
            } else {
                __builtin_memcpy(to, rows[row] + (inside.left + (int32_t)c) * (int32_t)inputs, inputs);
            }
        }
        for (uint32_t k = used; k < length; k++) {
            strip[k] = -128; /* counts as nothing */
        }
    }
}

/* All outputs at one position. */
static void position(const hq_conv *layer, const int8_t *x, int8_t *out, hq_bit_outputs *outputs)
{
    const uint32_t length = layer->window_columns * hq_column(layer), all = hq_sum_of(x, length);
    const hq_output to = layer->out; /* a store to int8_t could change *layer, as far as a compiler knows */
    const hq_channel *by = layer->out.channels;
    const uint8_t *shifts = layer->out.shifts;
    const uint32_t *weights = layer->weights;
    for (int8_t *const end = out + layer->outputs; out != end; weights += (length + 31) / 32 * 4) {
        int32_t sums[4];
        const int32_t *sum = sums;
        for (uint32_t count = outputs(weights, x, length / 4, all, sums); count > 0 && out != end; count--) {
            *out++ = (int8_t)hq_stored_place(*sum++, *by++, *shifts++, &to);
        }
    }
}

static void bits_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out, int8_t *strip,
                     hq_bit_outputs *outputs)
{
    const uint32_t step = layer->stride * hq_column(layer);
    for (uint32_t first = 0; first < layer->out_columns; first += layer->tile) {
        uint32_t count = layer->out_columns - first;
        count = count < layer->tile ? count : layer->tile;
        fill(layer, rows, first, (count - 1) * layer->stride + layer->window_columns, strip);
        for (uint32_t p = 0; p < count; p++, out += layer->outputs) {
            position(layer, strip + p * step, out, outputs);
        }
    }
}

void hq_conv_b1_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out, void *scratch)
{
    bits_row(layer, rows, out, scratch, hq_binary_outputs);
}

void hq_conv_i2_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out, void *scratch)
{
    bits_row(layer, rows, out, scratch, hq_4_level_outputs);
}

void hq_conv_t2_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out, void *scratch)
{
    bits_row(layer, rows, out, scratch, hq_ternary_outputs);
}
