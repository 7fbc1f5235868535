"""What the comparisons with diffusers share."""

import torch

THEIR_NAMES = {"eps": "epsilon", "x0": "sample", "v": "v_prediction"}


def randn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def inject(scheduler, table):
    """A scheduler of diffusers with our float64 table: their t is our t − 1."""
    scheduler.alphas_cumprod = table.alphas_cumprod[1:]
    scheduler.betas, scheduler.alphas = table.betas[1:], 1 - table.betas[1:]
    one = torch.ones((), dtype=torch.float64)
    scheduler.one = scheduler.final_alpha_cumprod = scheduler.initial_alpha_cumprod = one
    return scheduler
