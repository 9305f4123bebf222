"""Fitting a network: checkpoints, distillation, pruning, the bound on latent weights."""
