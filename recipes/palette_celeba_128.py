"""The tasks of palette-celeba on photographs of 128×128, for GPUs and all of CelebA; not shipped.

    accelerate launch -m tools.checkpoints palette-celeba-128 --batch 128

162,770 photographs are 8 GB: they are read once and mapped into memory from then on (helpers/reading.py).
"""

import math

import torch

from helpers.data import load_faces
from helpers.schedules import make_schedule
from helpers.unet import UNet
from recipes.common import Part, Recipe, about_faces
from recipes.palette_celeba import SHARES
from recipes.palette_faces import palette_loss

NUMBERS = dict(steps=200_000, batch=64, lr=5e-4, warmup=1000, ema=0.9999, seed=0, every=1000)
NUMBERS |= dict(precision="auto", channels_last=True)
# Twice the side has four times the pixels that tell the same: so the same picture takes twice the noise.
SCHEDULE = dict(name="cosine", steps=1000, log_snr_shift=-2 * math.log(4))


def recipe() -> Recipe:
    torch.manual_seed(0)
    data = load_faces("celeba", "train", size=128)
    network = UNet(image_channels=3, widths=(64, 128, 192, 256), blocks=2, attention=(2, 3), patch=2)
    start = "random; every other picture in the mirror"
    about = about_faces(data, start=start, tasks=SHARES, schedule=SCHEDULE, quality="not measured")
    return Recipe(
        network, data, [Part(palette_loss(make_schedule(**SCHEDULE), True, SHARES), NUMBERS)], about, bits=16
    )
