"""The networks compared: as many parameters, the same loss."""

import pytest
import torch

from benchmarks.peers import peers
from helpers.schedules import cosine
from helpers.unet import count_parameters


def test_networks_that_answer_0_have_the_same_loss_in_all_libraries():
    """v-prediction on the cosine schedule everywhere: the mean of v² is one number."""
    images = torch.rand(2**15, 3, 8, 8, generator=torch.Generator().manual_seed(1)) * 2 - 1
    losses = {}
    for name, peer in peers().items():
        network = peer.network(8)
        as_tuple = name == "diffusers"

        def nothing(x, *_, as_tuple=as_tuple, **__):
            return (torch.zeros_like(x),) if as_tuple else torch.zeros_like(x)

        peer.inner(network).forward = nothing
        if hasattr(network, "loss_weight"):  # denoising-diffusion-pytorch weighs v by SNR / (SNR + 1)
            network.loss_weight.fill_(1.0)
        losses[name] = float(peer.loss(network, images, torch.Generator().manual_seed(0)))
    assert len(losses) >= 2
    mean = float(cosine().alphas_cumprod[1:].mean())
    wanted = mean + (1 - mean) / 3  # E v² = ᾱ E ε² + (1 − ᾱ) E x0², and E x0² = 1/3
    assert losses == {name: pytest.approx(wanted, rel=0.01) for name in losses}


def test_all_networks_have_nearly_as_many_parameters():
    counts = {name: count_parameters(peer.network(32)) for name, peer in peers().items()}
    own = counts["this project, pixels not folded"]
    assert own == 3_686_595 and counts["this project"] == 3_694_380
    assert all(0.9 < count / own < 1.1 for count in counts.values()), counts
