/* Linear memories: the next states of each, by two rows of the matrix at a time. */
#include "hq_arithmetic.h"

void hq_memory_s16(const hq_memory *layer, const int8_t *x, int16_t *states, int8_t *out)
{
    const uint32_t order = layer->order, width = HQ_MEMORY_WIDTH(order), shift = layer->output_shift;
    for (uint32_t signal = 0; signal < layer->signals; signal++, states += width) {
        int16_t next[HQ_MEMORY_MOST_STATES + 1]; /* of an odd order one more, of zeros */
        const int16_t *row = layer->matrix;
        states[0] = (int16_t)(x[signal] * (1 << layer->input_shift));
        for (uint32_t i = 0; i < order; i += 2, row += 2 * width) {
            int32_t first = 0, second = 0;
            for (uint32_t k = 0; k < width; k += 2) {
#if HQ_DSP
                const int16x2_t pair = (int16x2_t)hq_word(states + k);
                first = __smlad((int16x2_t)hq_word(row + k), pair, first);
                second = __smlad((int16x2_t)hq_word(row + width + k), pair, second);
#else
                first += row[k] * states[k] + row[k + 1] * states[k + 1];
                second += row[width + k] * states[k] + row[width + k + 1] * states[k + 1];
#endif
            }
            next[i] = hq_int16(hq_shifted(first, layer->matrix_shift));
            next[i + 1] = hq_int16(hq_shifted(second, layer->matrix_shift));
        }
        for (uint32_t i = 0; i < order; i++) {
            states[i + 1] = next[i];
            *out++ = hq_int8(hq_shifted(next[i], shift));
        }
    }
}
