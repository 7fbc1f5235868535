"""The five tasks of palette-faces on photographs of CelebA, most of all large holes (session inpainting).

The shipped weights saw only the 4,560 training photographs that were at hand; with all 162,770 ask for more
steps, on one or several GPUs.
"""

from __future__ import annotations

import torch

from helpers.checkpoints import load_model
from helpers.data import load_faces
from helpers.schedules import make_schedule
from helpers.unet import UNet
from recipes.common import FACE_SCHEDULE, FACE_UNET, Part, Recipe, about_faces
from recipes.palette_faces import palette_loss

NUMBERS = dict(
    steps=8000, batch=32, lr=5e-4, warmup=300, ema=0.9995, seed=0, precision="auto", channels_last=True
)
# How many of each 32 photographs are damaged how: the large holes are what the model finds hardest.
SHARES = {
    "centre": 6,
    "half": 6,
    "boxes": 3,
    "brush": 2,
    "uncrop": 5,
    "colourise": 3,
    "super_resolve": 4,
    "jpeg": 3,
}


def recipe() -> Recipe:
    data = load_faces("celeba", "train")
    network = deeper(load_model("palette-celeba"))
    start = "palette-celeba of the step before; every other picture in the mirror"
    about = about_faces(data, start=start, tasks=SHARES)
    return Recipe(
        network, data, [Part(palette_loss(make_schedule(**FACE_SCHEDULE), True, SHARES), NUMBERS)], about
    )


def deeper(start: UNet) -> UNet:
    """A U-Net with two blocks a level and attention at 16×16 too, which begins with the answers of `start`.

    A residual block and an attention layer whose last convolution is 0 change nothing. On the way up a new
    block stands between the two old ones and lets the skip that it gets pass by.
    """
    if start.config["blocks"] == 2:
        return start.requires_grad_(True)
    torch.manual_seed(0)
    network = UNet(image_channels=3, blocks=2, attention=(1, 2), **FACE_UNET)
    levels = range(len(start.config["widths"]))
    down = {2 * i + j: 3 * i + 2 * j for i in levels for j in (0, 1)}  # block, Downsample
    up = {3 * i + j: 4 * i + (0, 2, 3)[j] for i in levels for j in (0, 1, 2)}  # block, block, Upsample
    weights = {}
    for key, value in start.state_dict().items():
        part, number, *rest = key.split(".", 2)
        if part in ("down", "up"):
            number = str({"down": down, "up": up}[part][int(number)])
        weights[".".join([part, number, *rest])] = value
    network.load_state_dict(network.state_dict() | weights)
    with torch.no_grad():
        for i in levels:
            block = network.up[4 * i + 1][0]
            block.shortcut.weight.zero_()[:, : block.shortcut.out_channels, 0, 0].fill_diagonal_(1)
            block.shortcut.bias.zero_()
    return network
