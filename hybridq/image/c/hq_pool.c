/* Maximum and average. */
#include "hq_arithmetic.h"

void hq_maxpool_row(const hq_pool *layer, const int8_t *const rows[], int8_t *out)
{
    const uint32_t channels = layer->channels, span = layer->window_columns * channels;
    const uint32_t step = layer->stride * channels;
    for (uint32_t p = 0, first = 0; p < layer->out_columns; p++, first += step) {
        uint32_t channel = 0;
#if HQ_DSP
        for (; channel + 4 <= channels; channel += 4, out += 4) {
            uint32_t most = 0x80808080u;
            for (uint32_t row = 0; row < layer->window_rows; row++) {
                const int8_t *x = rows[row] + first + channel;
                for (const int8_t *const end = x + span; x != end; x += channels) {
                    uint32_t scrap; /* the flags of SSUB8 say which bytes are no less: the two belong together */
                    __asm__("ssub8 %1, %2, %0\n\tsel %0, %2, %0"
                            : "+r"(most), "=&r"(scrap)
                            : "r"(hq_word(x))
                            : "cc");
                }
            }
            __builtin_memcpy(out, &most, sizeof most);
        }
#endif
        for (; channel < channels; channel++) {
            int8_t most = -128;
            for (uint32_t row = 0; row < layer->window_rows; row++) {
                for (uint32_t k = channel; k < span; k += channels) {
                    const int8_t x = rows[row][first + k];
                    most = x > most ? x : most;
                }
            }
            *out++ = most;
        }
    }
}

void hq_sum_row(const int8_t *row, uint32_t columns, uint32_t channels, int32_t *sums)
{
    for (uint32_t c = 0; c < columns; c++) {
        for (uint32_t channel = 0; channel < channels; channel++) {
            sums[channel] += *row++;
        }
    }
}

void hq_average_s8(const hq_average *by, const int32_t *sums, uint32_t count, int8_t *out)
{
    const hq_average local = *by;
    const int32_t times = local.shift < 0 ? 1 << -local.shift : 1;
    const uint32_t shift = local.shift < 0 ? 0 : (uint32_t)local.shift;
    for (uint32_t o = 0; o < count; o++) {
        const int32_t value = hq_scaled(sums[o] * times, local.multiplier, shift, 0);
        out[o] = (int8_t)hq_clamp(value, local.low, local.high);
    }
}
