/* What the kernels are compiled for; `hybridq export` writes it for a network. */
#ifndef HQ_OPTIONS_H
#define HQ_OPTIONS_H

/* Whether sums of convolutions are rounded twice, as TensorFlow Lite's reference kernels round them. */
#ifndef HQ_ROUNDS_TWICE
#define HQ_ROUNDS_TWICE 0
#endif

/* Whether any zero point of what they read or make is another integer than 0. */
#ifndef HQ_ZERO_POINTS
#define HQ_ZERO_POINTS 1
#endif

/* Whether there is a depthwise convolution of 3 x 3. */
#ifndef HQ_THREE_BY_THREE
#define HQ_THREE_BY_THREE 1
#endif

/* Whether no shift of theirs is 0, which takes fewer instructions. */
#ifndef HQ_SHIFTED
#define HQ_SHIFTED 0
#endif

/* Whether there is a kernel for the last place of an odd number of them, which else is computed twice. */
#ifndef HQ_ONE_PLACE
#define HQ_ONE_PLACE 1
#endif

/* Between which bounds they all are, and those of dense layers: 1 for -128 and 127, 3 for 0 and 127, 2 for some of
 * each, 0 for any. */
#ifndef HQ_BOUNDS
#define HQ_BOUNDS 0
#endif

#endif
