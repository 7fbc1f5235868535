"""CelebA at 64×64, unconditional, for one or several GPUs (session ddpm); not shipped."""

import torch

from helpers.data import load_faces
from helpers.schedules import make_schedule
from helpers.unet import UNet
from recipes.common import FACE_SCHEDULE, Part, Recipe, about_faces, plain_loss

NUMBERS = dict(steps=100_000, batch=64, lr=5e-4, warmup=1000, ema=0.9999, seed=0, every=1000)
NUMBERS |= dict(precision="auto", channels_last=True)


def recipe() -> Recipe:
    torch.manual_seed(0)
    data = load_faces("celeba", "train")
    network = UNet(widths=(64, 128, 192), blocks=2, attention=(1, 2), patch=2)  # attends at 16×16 and 8×8
    quality = "not measured: the features of drawn faces mean little on photographs"
    part = Part(plain_loss(make_schedule(**FACE_SCHEDULE)), NUMBERS)
    return Recipe(network, data, [part], about_faces(data, quality=quality), bits=16)
