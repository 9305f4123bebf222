/* Maps joined, stretched, cut, and their slopes: small rather than fast. */
#include "hq_arithmetic.h"

/* value / 2**shift, rounded half up; the shift may be below 0. */
static inline int32_t moved(int32_t value, int32_t shift)
{
    return shift < 0 ? value * (1 << -shift) : hq_shifted(value, (uint32_t)shift);
}

void hq_add_many(const hq_sum *layer, const int8_t *const inputs[], uint32_t count, int8_t *out)
{
    for (uint32_t k = 0; k < count; k++) {
        int32_t sum = 0;
        for (uint32_t i = 0; i < layer->inputs; i++) {
            sum += inputs[i][k] * layer->scales[i];
        }
        out[k] = (int8_t)hq_clamp(hq_shifted(sum, layer->shift), layer->low, layer->high);
    }
}

void hq_multiply(const hq_product *layer, const int8_t *a, const int8_t *b, int8_t *out)
{
    for (uint32_t column = 0; column < layer->columns; column++, b += layer->next_column) {
        for (uint32_t c = 0; c < layer->channels; c++) {
            const int32_t product = *a++ * b[c * layer->next_channel] * layer->scale;
            *out++ = (int8_t)hq_clamp(hq_shifted(product, layer->shift), layer->low, layer->high);
        }
    }
}

void hq_join(const hq_part *part, const int8_t *x, int8_t *out)
{
    for (uint32_t column = 0; column < part->columns; column++, out += part->all_channels) {
        for (uint32_t c = 0; c < part->channels; c++) {
            const int32_t value = moved(*x++, part->shift);
            out[c] = (int8_t)hq_clamp(value, part->low, part->high);
        }
    }
}

void hq_upsample_row(const int8_t *row, uint32_t columns, uint32_t channels, uint32_t times, int8_t *out)
{
    for (uint32_t column = 0; column < columns; column++, row += channels) {
        for (uint32_t k = 0; k < times; k++, out += channels) {
            __builtin_memcpy(out, row, channels);
        }
    }
}

void hq_spread_row(const int8_t *row, uint32_t columns, uint32_t channels, uint32_t times, int8_t zero, int8_t *out)
{
    __builtin_memset(out, zero, columns * channels * times);
    for (uint32_t column = 0; row != 0 && column < columns; column++, row += channels, out += channels * times) {
        __builtin_memcpy(out, row, channels);
    }
}

void hq_channels_row(const int8_t *row, uint32_t columns, uint32_t channels, uint32_t first, uint32_t count,
                     int8_t *out)
{
    for (row += first; columns > 0; columns--, row += channels, out += count) {
        __builtin_memcpy(out, row, count);
    }
}

void hq_pad_row(const int8_t *row, uint32_t columns, uint32_t channels, int32_t left, uint32_t out_columns, int8_t zero,
                int8_t *out)
{
    for (uint32_t column = 0; column < out_columns; column++, out += channels) {
        const uint32_t at = column - (uint32_t)left; /* before the row it has wrapped around */
        if (row == 0 || at >= columns) {
            __builtin_memset(out, zero, channels);
        } else {
            __builtin_memcpy(out, row + at * channels, channels);
        }
    }
}

void hq_prelu_row(const hq_slopes *layer, const int8_t *x, uint32_t columns, int8_t *out)
{
    for (uint32_t column = 0; column < columns; column++) {
        for (uint32_t c = 0; c < layer->channels; c++, x++) {
            *out++ = hq_int8(*x < 0 ? moved(*x * layer->slopes[c], layer->below) : moved(*x, layer->above));
        }
    }
}
