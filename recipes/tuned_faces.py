"""plain-faces, taught attributes afterwards; also the worse model of autoguidance (session guidance)."""

import torch

from helpers.checkpoints import load_denoiser, load_model
from helpers.data import load_faces
from helpers.unet import UNet
from recipes.common import Part, Recipe, about_faces, small_scores
from recipes.ddpm_faces import conditional_loss
from recipes.plain_faces import NUMBERS

NUMBERS = NUMBERS | dict(steps=2000, lr=2e-3, seed=1)


def recipe() -> Recipe:
    data = load_faces("embedded", "train")
    network = with_attributes(load_model("plain-faces"), data.cardinalities)
    card = about_faces(
        data, names=data.names, values=data.values, start="plain-faces; what sees the attributes begins at 0"
    )
    return Recipe(network, data, [Part(conditional_loss(0.1), NUMBERS)], card)


def with_attributes(plain: UNet, cardinalities: tuple[int, ...]) -> UNet:
    """A U-Net that can be told attributes and, until it is trained, answers what `plain` answers."""
    network = UNet(**plain.config | dict(attributes=tuple(cardinalities)))
    network.load_state_dict(network.state_dict() | plain.state_dict())
    torch.nn.init.zeros_(network.attributes.table.weight)
    return network


def measure(name: str, device) -> dict:
    return small_scores(load_denoiser(name, device), device)
