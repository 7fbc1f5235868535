"""This project as one of those compared, with and without the folding of its pixels."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from benchmarks.common import BATCH, STEPS, WIDTHS, Images, Peer
from helpers.diffusion import Denoiser, diffusion_loss
from helpers.samplers import last, pairs, sample, timesteps
from helpers.schedules import cosine
from helpers.train import fit
from helpers.unet import UNet


class Own(Peer):
    """This project: v-prediction on the cosine schedule, DDIM.

    With patch = 2 it is the course's face model, which folds 2×2 pixels into channels; with patch = 1 the
    same network works on the pixels, as the peers' do.
    """

    def __init__(self, name: str, patch: int):
        self.name, self.patch = name, patch
        self.schedule = cosine()

    def network(self, side: int) -> nn.Module:
        return UNet(widths=WIDTHS, patch=self.patch)

    def call(self, network: nn.Module, x: Tensor, t: Tensor) -> Tensor:
        return network(x, t)

    def loss(self, network: nn.Module, batch: Tensor, generator: torch.Generator) -> Tensor:
        return diffusion_loss(Denoiser(network, self.schedule, "v"), batch, generator)

    def sample(self, network: nn.Module, n: int, side: int) -> Tensor:
        x = torch.randn(n, 3, side, side)
        walk = pairs(timesteps(self.schedule.steps, STEPS))
        return last(sample(Denoiser(network, self.schedule, "v"), self.schedule, x, walk)).x

    def user_loop(self, network: nn.Module, data: Images) -> Iterator[None]:
        """Training as the first cell of a user would: nothing asked of `fit` but the data."""
        for _ in fit(network, data, self.loss, steps=10**6, batch=BATCH):
            yield

    user_sample = sample
