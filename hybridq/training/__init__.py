"""Fitting a network to whatever data.

fit.py              epochs, the learning rate, a checkpoint after every epoch
settings.py         what fitting is told
history.py          what is reached from epoch to epoch, who is told, who may end it early
checkpoint.py       the file from which a training goes on
tasks.py            what is minimised and watched, a row for each task
evaluation.py       accuracy, its interval, confusion; errors, R2, AUC
distillation.py     targets from the answers of other networks
pruning.py          the smallest weights become zero
latent_clipping.py  the bound on the latent weights of binary and ternary layers
fused_norms.py      batch norms as one operation of TensorFlow
"""
