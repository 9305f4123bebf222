"""Fitting a network to whatever data: checkpoints, distillation, pruning, the bound on latent weights."""
