"""The face model of the course: 64×64, v-prediction, conditional on attributes; any may be open."""

import torch

from helpers.checkpoints import load_denoiser
from helpers.data import load_faces
from helpers.diffusion import Denoiser, diffusion_loss
from helpers.guidance import drop_attributes
from helpers.schedules import make_schedule
from helpers.unet import UNet
from recipes.common import FACE_SCHEDULE, FACE_UNET, Part, Recipe, about_faces, scores

NUMBERS = dict(
    steps=5000, batch=32, lr=2e-3, warmup=200, ema=0.999, seed=0, precision="auto", channels_last=True
)
# Faces drawn after the first part had hair of two colours: that is settled in the noisiest third of the
# steps, and without a condition. The second part sees both more often.
MORE = NUMBERS | dict(steps=7500, lr=1.5e-3, seed=1)


def recipe() -> Recipe:
    torch.manual_seed(0)
    data = load_faces("embedded", "train")
    network = UNet(attributes=data.cardinalities, **FACE_UNET)
    card = about_faces(
        data,
        names=data.names,
        values=data.values,
        steps=NUMBERS["steps"] + MORE["steps"],
        more=dict(dropped=0.3, weight="1 + 2 sigmoid(-log SNR - 3)"),
    )
    second = conditional_loss(0.3, lambda log_snr: 1 + 2 * torch.sigmoid(-log_snr - 3))
    return Recipe(network, data, [Part(conditional_loss(0.1), NUMBERS), Part(second, MORE)], card)


def conditional_loss(dropped: float, weight=None):
    """The loss of a model that follows attributes, of which some are left open (`drop_attributes`)."""
    schedule = make_schedule(**FACE_SCHEDULE)

    def loss(network, batch, generator):
        attributes = drop_attributes(batch["attributes"], dropped, generator)
        denoiser = Denoiser(network, schedule, "v")
        return diffusion_loss(denoiser, batch["image"], generator, weight, attributes=attributes)

    return loss


def measure(name: str, device) -> dict:
    return scores(load_denoiser(name, device), device=device)
