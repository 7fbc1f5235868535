"""A small face model to which nothing can be said: no attributes at all (session guidance)."""

import torch

from helpers.checkpoints import load_denoiser
from helpers.data import load_faces
from helpers.schedules import make_schedule
from helpers.unet import UNet
from recipes.common import FACE_SCHEDULE, Part, Recipe, about_faces, plain_loss, small_scores

SMALL_UNET = dict(widths=(24, 48, 64), patch=2)
NUMBERS = dict(
    steps=3000, batch=32, lr=3e-3, warmup=200, ema=0.999, seed=0, precision="auto", channels_last=True
)


def recipe() -> Recipe:
    torch.manual_seed(0)
    data = load_faces("embedded", "train")
    part = Part(plain_loss(make_schedule(**FACE_SCHEDULE)), NUMBERS)
    return Recipe(UNet(**SMALL_UNET), data, [part], about_faces(data))


def measure(name: str, device) -> dict:
    return small_scores(load_denoiser(name, device), device)
