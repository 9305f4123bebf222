/* Sums over the inputs whose bit is set: what 1-bit, 2-bit and ternary layers are made of. */
#ifndef HQ_BITS_H
#define HQ_BITS_H

#include "hq_arithmetic.h"

/* For each of 4 rows of bits, interleaved word by word: the sum of x + 128 over the 4 * quads inputs whose bit is set.
 * Input 4 t + i of a word's 32 is its bit 8 i + 7 - t. */
void hq_bit_sums(const uint32_t *weights, const int8_t *x, uint32_t quads, uint32_t sums[4]);

/* The sum of x + 128 over all inputs. */
uint32_t hq_sum_of(const int8_t *x, uint32_t count);

/* The sums (mod 2**32) of the outputs of 4 rows of bits; how many outputs. `all` is hq_sum_of(x). What x + 128 in place
 * of x adds is taken off by the bias. */
typedef uint32_t hq_bit_outputs(const uint32_t *weights, const int8_t *x, uint32_t quads, uint32_t all,
                                int32_t outputs[4]);
hq_bit_outputs hq_binary_outputs;  /* 4: a set bit is 1, a clear one -1 */
hq_bit_outputs hq_4_level_outputs; /* 2, each 2 a + b: a row of a and one of b, a set bit is 1, a clear one -1 */
hq_bit_outputs hq_ternary_outputs; /* 2, each a row of the weights that are 1 and a row of those that are -1 */

#endif
