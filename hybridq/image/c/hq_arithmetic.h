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

/* value * multiplier / 2**(31 + shift): rounded half up after 31 bits, then half away from 0. */
static inline int32_t hq_scaled_twice_by_any(int32_t value, int32_t multiplier, uint32_t shift)
{
    const int32_t once = (int32_t)(((int64_t)value * multiplier + ((int64_t)1 << 30)) >> 31);
    return shift == 0 ? once : (once - (once < 0) + (int32_t)(1u << (shift - 1))) >> shift;
}

/* The same for a multiplier from 2**30 to 2**31 - 1; and more. */
static inline int32_t hq_scaled_twice(int32_t value, int32_t multiplier, uint32_t shift, int32_t more)
{
#if HQ_DSP
    /* Twice the multiplier is 2**32 more than it is as an int32. Half away from 0 is half up of one less where it is
     * below 0, as the last bit that ASRS moves out says; CMN clears it where none is. */
    __asm__("smmlar %0, %0, %1, %0\n\t"
            "cmn %2, #0\n\t"
            "it ne\n\t"
            "addne %0, %0, %0, asr #31\n\t"
            "asrs %0, %0, %2\n\t"
            "adc %0, %0, %3"
            : "+&r"(value)
            : "r"((uint32_t)multiplier << 1), "r"(shift), "rI"(more)
            : "cc");
    return value;
#else
    return hq_scaled_twice_by_any(value, multiplier, shift) + more;
#endif
}

/* The same with a shift above 0. */
static inline int32_t hq_scaled_down_twice(int32_t value, int32_t multiplier, uint32_t shift, int32_t more)
{
#if HQ_DSP
    __asm__("smmlar %0, %0, %1, %0\n\tadd %0, %0, %0, asr #31\n\tasrs %0, %0, %2\n\tadc %0, %0, %3"
            : "+&r"(value)
            : "r"((uint32_t)multiplier << 1), "r"(shift), "rI"(more)
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

/* A result within int8 within its bounds. */
static inline int32_t hq_bounded(int32_t value, const hq_output *out)
{
#if HQ_BOUNDS == 1
    (void)out;
    return hq_int8(value);
#elif HQ_BOUNDS == 2
    value = hq_int8(value);
    return value < out->low ? out->low : value;
#elif HQ_BOUNDS == 3
    (void)out;
    return hq_clamp(value, 0, 127);
#else
    return hq_clamp(value, out->low, out->high);
#endif
}

/* The stored integer for the sum of a channel of a dense layer, int8 or, where it leaves the network, int16. */
static inline int32_t hq_stored(int32_t sum, hq_channel by, uint32_t shift, const hq_output *out)
{
    return hq_bounded(hq_scaled(hq_biased(sum, by), by.multiplier, shift, hq_zero(out)), out);
}
static inline int32_t hq_stored_wide(int32_t sum, hq_channel by, uint32_t shift, const hq_output *out)
{
    return hq_int16(hq_scaled(hq_biased(sum, by), by.multiplier, shift, hq_zero(out)));
}

/* What is added up of a convolution as its stored integer. */
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
    return hq_finished(hq_biased(sum, by), by.multiplier, shift, out);
}

/* Where the weight at a place of a depthwise window of 3 x 3, row after row, lies among those of its channel: see
 * hybridq/image/packing.py. */
static inline uint32_t hq_tap_of_three(uint32_t place)
{
    return place == 8 ? 8 : 0x75632410u >> 4 * place & 15;
}

/* Byte i of 4 in a word. */
static inline int32_t hq_byte(uint32_t word, uint32_t i)
{
    return (int8_t)(word >> (8 * i));
}

/* A weight of 4 in a word, those of 8 bits of a dense layer or a convolution: see hq_conv.c. */
static inline int32_t hq_weight(uint32_t word, uint32_t i)
{
    return hq_byte(word ^ 0x00800080u, i);
}

/* Of 4-bit weights 16 b + a; and a. */
static inline int32_t hq_both(uint32_t word, uint32_t i)
{
    return i & 1 ? hq_byte(word, i) : (int32_t)(word >> (8 * i) & 255) - 136;
}
static inline int32_t hq_lower(int32_t both)
{
    return ((both + 8) & 15) - 8;
}

static inline uint32_t hq_word(const void *at)
{
    uint32_t word;
    __builtin_memcpy(&word, at, sizeof word);
    return word;
}

#if HQ_DSP
#define IN(what) __attribute__((unused)) what /* an argument of a function in assembly */

/* The same for kernels in assembly, of which HQ_DOUBLED makes the multipliers first: v scaled by a register, and by the
 * shift and the zero point in others. */
#if HQ_ROUNDS_TWICE
#define HQ_DOUBLED(by) "lsl    " by ", " by ", #1\n"
#define HQ_HIGH(v, by, shift) "smmlar " v ", " v ", " by ", " v "\n" HQ_AWAY(v, shift)
#if HQ_SHIFTED
#define HQ_AWAY(v, shift) "add    " v ", " v ", " v ", asr #31\n"
#else
#define HQ_AWAY(v, shift) "cmn    " shift ", #0\nit     ne\naddne  " v ", " v ", " v ", asr #31\n"
#endif
#else
#define HQ_DOUBLED(by)
#if HQ_SHIFTED
#define HQ_HIGH(v, by, shift) "smmul  " v ", " v ", " by "\n"
#else
#define HQ_HIGH(v, by, shift)        \
    "cmn    " shift ", #0\n"         \
    "ite    eq\n"                    \
    "smmulreq " v ", " v ", " by "\n" \
    "smmulne " v ", " v ", " by "\n"
#endif
#endif
#define HQ_SCALED(v, by, shift, zero)            \
    HQ_HIGH(v, by, shift)                        \
    "asrs   " v ", " v ", " shift "\n"           \
    "adc    " v ", " v ", " zero "\n"

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
