/* The steps that kernels share. */
#ifndef HQ_ARITHMETIC_H
#define HQ_ARITHMETIC_H

#include "hq_kernels.h"

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP
#define HQ_DSP 1
#include <arm_acle.h>
#else
#define HQ_DSP 0
#endif

static inline int32_t hq_clamp(int32_t value, int32_t low, int32_t high)
{
    value = value < low ? low : value;
    return value > high ? high : value;
}

/* Within int8. */
static inline int8_t hq_int8(int32_t value)
{
#if HQ_DSP
    __asm__("ssat %0, #8, %0" : "+r"(value)); /* gcc 12 does not see it in a clamp */
    return (int8_t)value;
#else
    return (int8_t)hq_clamp(value, -128, 127);
#endif
}

/* Within int16. */
static inline int16_t hq_int16(int32_t value)
{
#if HQ_DSP
    __asm__("ssat %0, #16, %0" : "+r"(value));
    return (int16_t)value;
#else
    return (int16_t)hq_clamp(value, -32768, 32767);
#endif
}

/* value / 2**shift, rounded half up. */
static inline int32_t hq_shifted(int32_t value, uint32_t shift)
{
#if HQ_DSP
    /* The last bit that ASRS moves out is what rounds; CMN clears it for a shift of 0. */
    __asm__("cmn %0, #0\n\tasrs %0, %0, %1\n\tadc %0, %0, #0" : "+r"(value) : "r"(shift) : "cc");
    return value;
#else
    return shift == 0 ? value : (value + (int32_t)(1u << (shift - 1))) >> shift;
#endif
}

/* value * multiplier / 2**(32 + shift), rounded half up, and more. */
static inline int32_t hq_scaled(int32_t value, int32_t multiplier, uint32_t shift, int32_t more)
{
#if HQ_DSP
    /* Rounded by the last bit that ASRS moves out; where nothing is moved, by SMMULR, and CMN has cleared that bit. */
    __asm__("cmn %2, #0\n\t"
            "ite eq\n\t"
            "smmulreq %0, %0, %1\n\t"
            "smmulne %0, %0, %1\n\t"
            "asrs %0, %0, %2\n\t"
            "adc %0, %0, %3"
            : "+&r"(value)
            : "r"(multiplier), "r"(shift), "rI"(more)
            : "cc");
    return value;
#else
    return (int32_t)(((int64_t)value * multiplier + ((int64_t)1 << (31 + shift))) >> (32 + shift)) + more;
#endif
}

/* The same with a shift above 0. */
static inline int32_t hq_scaled_down(int32_t value, int32_t multiplier, uint32_t shift, int32_t more)
{
#if HQ_DSP
    __asm__("smmul %0, %0, %1\n\tasrs %0, %0, %2\n\tadc %0, %0, %3"
            : "+&r"(value)
            : "r"(multiplier), "r"(shift), "rI"(more)
            : "cc");
    return value;
#else
    return hq_scaled(value, multiplier, shift, more);
#endif
}

/* value * multiplier / 2**(32 + shift): rounded half up after 32 bits, then half away from 0; and more. */
static inline int32_t hq_scaled_twice(int32_t value, int32_t multiplier, uint32_t shift, int32_t more)
{
#if HQ_DSP
    /* Half up of one less where it is below 0, as the last bit that ASRS moves out says; CMN clears it where none is. */
    __asm__("smmulr %0, %0, %1\n\t"
            "cmn %2, #0\n\t"
            "it ne\n\t"
            "addne %0, %0, %0, asr #31\n\t"
            "asrs %0, %0, %2\n\t"
            "adc %0, %0, %3"
            : "+&r"(value)
            : "r"(multiplier), "r"(shift), "rI"(more)
            : "cc");
    return value;
#else
    const int32_t once = (int32_t)(((int64_t)value * multiplier + ((int64_t)1 << 31)) >> 32);
    return (shift == 0 ? once : (once - (once < 0) + (int32_t)(1u << (shift - 1))) >> shift) + more;
#endif
}

/* The same with a shift above 0. */
static inline int32_t hq_scaled_down_twice(int32_t value, int32_t multiplier, uint32_t shift, int32_t more)
{
#if HQ_DSP
    __asm__("smmulr %0, %0, %1\n\tadd %0, %0, %0, asr #31\n\tasrs %0, %0, %2\n\tadc %0, %0, %3"
            : "+&r"(value)
            : "r"(multiplier), "r"(shift), "rI"(more)
            : "cc");
    return value;
#else
    return hq_scaled_twice(value, multiplier, shift, more);
#endif
}

/* What the sum of a channel is added up to. Bits' sums alone may exceed int32; with the bias added none does. */
static inline int32_t hq_biased(int32_t sum, hq_channel by)
{
    return (int32_t)((uint32_t)sum + (uint32_t)by.bias);
}

/* The integer that stands for 0 in a result, and in what a convolution reads. */
static inline int32_t hq_zero(const hq_output *out)
{
    return HQ_ZERO_POINTS ? out->zero : 0;
}
#define HQ_OUTSIDE(layer) (HQ_ZERO_POINTS ? (layer)->outside : 0)

/* The stored integer for the sum of a channel of a dense layer. */
static inline int32_t hq_stored(int32_t sum, hq_channel by, uint32_t shift, const hq_output *out)
{
    return hq_clamp(hq_scaled(hq_biased(sum, by), by.multiplier, shift, hq_zero(out)), out->low, out->high);
}

/* The result of a convolution within its bounds. */
static inline int32_t hq_bounded(int32_t value, const hq_output *out)
{
#if HQ_BOUNDS == 1
    (void)out;
    return hq_int8(value);
#elif HQ_BOUNDS == 2
    value = hq_int8(value);
    return value < out->low ? out->low : value;
#else
    return hq_clamp(value, out->low, out->high);
#endif
}

/* What is added up of a convolution as its stored integer; where it is rounded twice, twice the sum. */
static inline int32_t hq_finished(int32_t sum, int32_t multiplier, uint32_t shift, const hq_output *out)
{
#if HQ_ROUNDS_TWICE && HQ_SHIFTED
    return hq_bounded(hq_scaled_down_twice(sum, multiplier, shift, hq_zero(out)), out);
#elif HQ_ROUNDS_TWICE
    return hq_bounded(hq_scaled_twice(sum, multiplier, shift, hq_zero(out)), out);
#elif HQ_SHIFTED
    return hq_bounded(hq_scaled_down(sum, multiplier, shift, hq_zero(out)), out);
#else
    return hq_bounded(hq_scaled(sum, multiplier, shift, hq_zero(out)), out);
#endif
}

/* The stored integer for the sum of a channel of a convolution. */
static inline int32_t hq_stored_place(int32_t sum, hq_channel by, uint32_t shift, const hq_output *out)
{
    return hq_finished(hq_biased(HQ_ROUNDS_TWICE ? 2 * sum : sum, by), by.multiplier, shift, out);
}

/* Where the weight at a place of a depthwise window of 3 x 3, row after row, lies among those of its channel: see
 * hybridq/image/packing.py. */
static inline uint32_t hq_tap_of_three(uint32_t place)
{
    return place == 8 ? 8 : 0x75632410u >> 4 * place & 15;
}

static inline uint32_t hq_word(const void *at)
{
    uint32_t word;
    __builtin_memcpy(&word, at, sizeof word);
    return word;
}

/* Input i of 4 in a word of weights. */
static inline int32_t hq_byte(uint32_t word, uint32_t i)
{
    return (int8_t)(word >> (8 * i));
}

#if HQ_DSP
/* Bytes 0 and 2, and bytes 1 and 3, as two int16. gcc 12 does not fold a rotation into SXTB16. */
static inline int16x2_t hq_even(uint32_t word)
{
    return __sxtb16((int8x4_t)word);
}
static inline int16x2_t hq_odd(uint32_t word)
{
    int16x2_t pair;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(pair) : "r"(word));
    return pair;
}
#endif

#endif
