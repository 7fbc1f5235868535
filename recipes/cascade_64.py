"""The second stage of a cascade, 16×16 → 64×64, trained on small faces with noise (session restoration)."""

import torch

from helpers.data import load_faces
from helpers.diffusion import Denoiser, diffusion_loss
from helpers.schedules import make_schedule
from helpers.tasks import noisy_large, shrink
from helpers.unet import UNet
from recipes.cascade_16 import SMALL_SCHEDULE
from recipes.common import FACE_SCHEDULE, Part, Recipe, about_faces
from recipes.palette_faces import NUMBERS

HIGHEST = 500  # of the 1,000 steps: the noisiest small face that the up-sampler is trained on


def recipe(highest: int = HIGHEST) -> Recipe:
    """The small face has the noise of a random step of 0…highest."""
    torch.manual_seed(0)
    data = load_faces("embedded", "train")
    network = UNet(widths=(32, 48, 80), patch=2, image_channels=4)  # sees the small face, and its noise
    part = Part(enlarging_loss(highest), NUMBERS | dict(steps=4000, lr=2e-3))
    return Recipe(network, data, [part], about_faces(data, highest=highest))


def enlarging_loss(highest: int):
    schedule, small_schedule = make_schedule(**FACE_SCHEDULE), make_schedule(**SMALL_SCHEDULE)

    def loss(network, batch, generator):
        x0 = batch["image"]
        s = torch.randint(highest + 1, (len(x0),), generator=generator, device=x0.device)
        image = noisy_large(shrink(x0), small_schedule, s, generator)
        return diffusion_loss(Denoiser(network, schedule, "v"), x0, generator, image=image)

    return loss
