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

#if HQ_DSP
/* Rows of 4 channels at a time, whose next column is so many bytes further. */
__attribute__((naked)) static void sum_four(IN(const int8_t *from), IN(const int8_t *end), IN(uint32_t step),
                                            IN(int32_t sums[4]))
{
    __asm__("push   {r4-r7, lr}\n"
            "ldm    r3, {r4-r7}\n"
            "1:\n"
            "ldr    r12, [r0]\n"
            "add    r0, r0, r2\n"
            "sxtab  r4, r4, r12\n"
            "sxtab  r5, r5, r12, ror #8\n"
            "sxtab  r6, r6, r12, ror #16\n"
            "add    r7, r7, r12, asr #24\n"
            "cmp    r0, r1\n"
            "bne    1b\n"
            "stm    r3, {r4-r7}\n"
            "pop    {r4-r7, pc}\n");
}
#endif

void hq_sum_row(const int8_t *row, uint32_t columns, uint32_t channels, int32_t *sums)
{
    uint32_t first = 0;
#if HQ_DSP
    for (; first + 4 <= channels; first += 4) {
        sum_four(row + first, row + first + columns * channels, channels, sums + first);
    }
#endif
    for (uint32_t c = 0; c < columns; c++, row += channels) {
        for (uint32_t channel = first; channel < channels; channel++) {
            sums[channel] += row[channel];
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
