/* The layers of an integer network, row by row. What they compute is defined by hybridq/integer/arithmetic.py.
 *
 * Rows are int8, (columns, channels) in C order, and may start anywhere. A row pointer of a convolution may be NULL: a
 * row of what stands for 0, the padding above and below. Weights are packed as hybridq/image/packing.py describes, in arrays of
 * 32-bit words; scratch starts at a multiple of 4. Dense layers may read up to 3 bytes behind their inputs.
 *
 * Where the compiler defines __ARM_FEATURE_DSP (Armv7E-M) the kernels use its SIMD instructions; elsewhere they are
 * plain C. Both give the same integers. */
#ifndef HQ_KERNELS_H
#define HQ_KERNELS_H

#include <stdint.h>

#include "hq_options.h" /* generated: what the kernels of a network are compiled for */

#define HQ_ROUND4(n) (((n) + 3) / 4 * 4)

/* From the sum of a channel to a stored integer: (sum + bias) * multiplier / 2**(32 + shift) + zero. With
 * HQ_ROUNDS_TWICE those of convolutions are rounded after 31 bits too, and their shifts are one more. */
typedef struct {
    int32_t bias;       /* see hybridq/image/channels.py; twice that where sums are doubled */
    int32_t multiplier; /* 2**30 to 2**31 - 1, or 0; not 0 where it is rounded twice */
} hq_channel;

typedef struct {
    const hq_channel *channels;
    const uint8_t *shifts; /* 0 to 31 */
    int16_t low, high;
    int16_t zero;
} hq_output;

typedef struct {
    const uint32_t *weights;
    hq_output out;
    uint16_t columns, inputs; /* of a row that is read, and its channels */
    uint16_t out_columns, outputs;
    uint16_t tile; /* columns of the output that are computed from one strip: 2 or more, or all */
    uint8_t window_rows, window_columns, stride, pad_left;
    int8_t outside; /* what stands for 0 in what is read */
} hq_conv;

/* One row of the output from the window_rows rows of the input under it. The scratch takes a strip of input columns,
 * each (window_rows, inputs): packing.scratch_bytes. With 8- and 4-bit weights the inputs of a strip are a multiple of 4,
 * and what finishes a sum stands with the weights (hybridq/image/channels.py), not in out. */
void hq_conv_s8_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out, void *scratch);
void hq_conv_s4_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out, void *scratch);
void hq_conv_i2_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out, void *scratch);
void hq_conv_t2_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out, void *scratch);
void hq_conv_b1_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out, void *scratch);

/* The same for any inputs: the scratch takes two windows, the bytes of one and 4 more. It may read up to 3 bytes behind
 * its rows. */
void hq_conv_s8_each_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out, void *scratch);
void hq_conv_s4_each_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out, void *scratch);

/* Each channel by itself: 8-bit weights; inputs == outputs. It may read up to 3 bytes behind its rows. */
void hq_depthwise_row(const hq_conv *layer, const int8_t *const rows[], int8_t *out, void *scratch);

typedef struct {
    const uint32_t *weights;
    hq_output out;
    uint16_t inputs, outputs;
} hq_dense;

/* The sums of a dense layer, one for each output; then the stored integers, or the logits of a last layer. */
void hq_dense_s8(const hq_dense *layer, const int8_t *x, int32_t *sums);
void hq_dense_s4(const hq_dense *layer, const int8_t *x, int32_t *sums);
void hq_dense_i2(const hq_dense *layer, const int8_t *x, int32_t *sums);
void hq_dense_t2(const hq_dense *layer, const int8_t *x, int32_t *sums);
void hq_dense_b1(const hq_dense *layer, const int8_t *x, int32_t *sums);
void hq_dense_sparse(const hq_dense *layer, const int8_t *x, int32_t *sums); /* 4 bits: hybridq/image/sparse.py */
void hq_dense_doubled(const hq_dense *layer, uint32_t times, int32_t *sums); /* where they are coarser than results */
void hq_dense_out_s8(const hq_dense *layer, const int32_t *sums, int8_t *out);
/* The stored integers, so many outputs at a time as there is room for their sums; their weights take so many words. */
enum { HQ_DENSE_PART = 64 };
void hq_dense_in_parts(const hq_dense *layer, void (*sums_of)(const hq_dense *, const int8_t *, int32_t *),
                       uint32_t words, uint32_t doublings, const int8_t *x, int32_t *sums, int8_t *out);
void hq_dense_out_s16(const hq_dense *layer, const int32_t *sums, int16_t *out);
void hq_window_out_s8(const hq_dense *layer, const int32_t *sums, int8_t *out); /* rounded as of a convolution */

/* The windows of convolutions that are dilated, make int16, or several channels of each: the rest of these is dense. */
typedef struct {
    uint16_t columns, inputs; /* of a row that is read, and its channels */
    uint8_t window_rows, window_columns, stride, pad_left;
    uint8_t apart_rows, apart_columns; /* places from one of the window to the next */
    int8_t outside;                    /* what stands for 0 in what is read */
} hq_window;

/* The window of an output column, (window_rows, window_columns, inputs), as what a dense layer reads. The rows are all
 * that the window reaches over, also those between. */
void hq_window_gather(const hq_window *of, const int8_t *const rows[], uint32_t column, int8_t *to);
/* The sums of each channel by itself: weights as of a depthwise convolution, of each input outputs / inputs channels. */
void hq_window_sums(const hq_window *of, const hq_dense *layer, const int8_t *const rows[], uint32_t column,
                    int32_t *sums);

typedef struct {
    uint16_t out_columns, channels;
    uint8_t window_rows, window_columns, stride;
} hq_pool;

void hq_maxpool_row(const hq_pool *layer, const int8_t *const rows[], int8_t *out);

/* Global average: the sums, set to 0 by the caller, gather row after row; then one multiplier and shift for all. */
void hq_sum_row(const int8_t *row, uint32_t columns, uint32_t channels, int32_t *sums);
typedef struct {
    int32_t multiplier;
    int8_t shift; /* below 0: the sums are doubled so many times first */
    int16_t low, high;
} hq_average;
void hq_average_s8(const hq_average *by, const int32_t *sums, uint32_t count, int8_t *out);

typedef struct {
    int32_t scale_a, scale_b;
    uint8_t shift;
    int16_t low, high;
} hq_addition;
void hq_add(const hq_addition *layer, const int8_t *a, const int8_t *b, uint32_t count, int8_t *out);

/* Windows that may reach beyond the image: no row, and no column, that lies outside counts. Of a mean there is an entry
 * for each number of places that there are in a window. */
void hq_maxpool_padded_row(const hq_window *of, const int8_t *const rows[], uint32_t out_columns, int8_t *out);
typedef struct {
    hq_window window;
    const uint16_t *places;
    const hq_average *by;
} hq_mean;
void hq_mean_row(const hq_mean *layer, const int8_t *const rows[], uint32_t out_columns, int32_t *sums, int8_t *out);

/* The sum of more than two. */
typedef struct {
    const int32_t *scales;
    uint8_t inputs, shift;
    int16_t low, high;
} hq_sum;
void hq_add_many(const hq_sum *layer, const int8_t *const inputs[], uint32_t count, int8_t *out);

/* A row times another; of that the next column and the next channel are so many numbers apart, or 0: the same one. */
typedef struct {
    int32_t scale;
    uint16_t columns, channels, next_column;
    uint8_t next_channel, shift;
    int16_t low, high;
} hq_product;
void hq_multiply(const hq_product *layer, const int8_t *a, const int8_t *b, int8_t *out);

/* A part of a concatenation: its channels among all. A shift below 0 is to the left. */
typedef struct {
    uint16_t columns, channels, all_channels;
    int8_t shift;
    int16_t low, high;
} hq_part;
void hq_join(const hq_part *part, const int8_t *x, int8_t *out);

/* Each column so many times; or once, and what stands for 0 behind it. A row of that is NULL. */
void hq_upsample_row(const int8_t *row, uint32_t columns, uint32_t channels, uint32_t times, int8_t *out);
void hq_spread_row(const int8_t *row, uint32_t columns, uint32_t channels, uint32_t times, int8_t zero, int8_t *out);

/* Of each column `count` channels, from the first one on. */
void hq_channels_row(const int8_t *row, uint32_t columns, uint32_t channels, uint32_t first, uint32_t count,
                     int8_t *out);

/* What stands for 0 before and behind a row; below 0 so many columns are cut off. A row of that is NULL. */
void hq_pad_row(const int8_t *row, uint32_t columns, uint32_t channels, int32_t left, uint32_t out_columns, int8_t zero,
                int8_t *out);

/* What is below 0 times the slope of its channel. Shifts below 0 are to the left. */
typedef struct {
    const int8_t *slopes;
    uint16_t channels;
    int8_t above, below;
} hq_slopes;
void hq_prelu_row(const hq_slopes *layer, const int8_t *x, uint32_t columns, int8_t *out);

/* Of tensors of any scale and zero point, as TensorFlow Lite's reference kernels compute them: hq_scaled.c. A factor is
 * multiplier / 2**(31 + shift), rounded twice; the multiplier is 2**30 to 2**31 - 1, of a mean any. */
typedef struct {
    int32_t multiplier;
    uint8_t shift;
} hq_factor;

/* Of a row times another, or their sum; where b has fewer columns or channels the next is so many numbers apart, or 0:
 * the same one. */
typedef struct {
    hq_factor a, b, out; /* of a product the last one alone */
    int16_t zero_a, zero_b, zero;
    int16_t low, high;
    uint16_t columns, channels, next_column;
    uint8_t next_channel, minus;
} hq_pair;
void hq_scaled_add(const hq_pair *layer, const int8_t *a, const int8_t *b, int8_t *out);
void hq_scaled_multiply(const hq_pair *layer, const int8_t *a, const int8_t *b, int8_t *out);

/* What is below the zero point of what is read times the slope of its channel; first moved up by so many bits. */
typedef struct {
    hq_factor above, below;
    const int8_t *slopes;
    int16_t read, slope, zero;
    uint16_t channels;
    uint8_t up_above, up_below;
} hq_scaled_slopes;
void hq_scaled_prelu(const hq_scaled_slopes *layer, const int8_t *x, uint32_t columns, int8_t *out);

/* Means: of the places of each window that lie inside the image, and of sums over all places, as hq_average_s8. */
typedef struct {
    hq_window window;
    int16_t low, high;
} hq_place_mean;
void hq_place_mean_row(const hq_place_mean *layer, const int8_t *const rows[], uint32_t out_columns, int32_t *sums,
                       int8_t *out);
typedef struct {
    int32_t places;
    int16_t low, high;
} hq_place_average;
void hq_place_average_s8(const hq_place_average *layer, const int32_t *sums, uint32_t count, int8_t *out);
typedef struct {
    hq_factor by;
    int32_t added; /* to a sum */
    int16_t zero, low, high;
} hq_scaled_average;
void hq_scaled_average_s8(const hq_scaled_average *layer, const int32_t *sums, uint32_t count, int8_t *out);

/* Linear memories: one frame of their signals, and from states to states. The matrix has an even number of rows, each of
 * HQ_MEMORY_WIDTH(order): what the signal and the states before count. So have the states of each signal: the signal
 * itself, its states, and a zero where that makes them even. Both start at a multiple of 4. */
enum { HQ_MEMORY_MOST_STATES = 64 };
#define HQ_MEMORY_WIDTH(order) (((order) + 2) / 2 * 2)
typedef struct {
    const int16_t *matrix;
    uint16_t signals;
    uint8_t order, input_shift, matrix_shift, output_shift;
} hq_memory;
void hq_memory_s16(const hq_memory *layer, const int8_t *x, int16_t *states, int8_t *out);

/* Behind a convolution, a depthwise or a dense layer, in place. */
void hq_table(const int8_t table[256], int8_t *x, uint32_t count);
typedef struct {
    const int32_t *scale, *offset; /* by channel */
    uint8_t shift;
} hq_norm;
void hq_affine(const hq_norm *by, int8_t *x, uint32_t columns, uint32_t channels);

/* The first of the largest. */
uint32_t hq_argmax(const int16_t *logits, uint32_t count);

#endif
