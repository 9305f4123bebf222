/* What the kernels are compiled for; `hybridq export` writes it for a network. */
#ifndef HQ_OPTIONS_H
#define HQ_OPTIONS_H

/* Whether sums of convolutions are rounded twice, as TensorFlow Lite's reference kernels round them. */
#ifndef HQ_ROUNDS_TWICE
#define HQ_ROUNDS_TWICE 0
#endif

#endif
