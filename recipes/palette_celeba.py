"""The five tasks of palette-faces on photographs of CelebA (session inpainting).

The shipped weights saw only the 4,560 training photographs that were at hand; with all 162,770 ask for more
steps, on one or several GPUs.
"""

import torch

from helpers.checkpoints import load_model
from helpers.data import load_faces
from helpers.schedules import make_schedule
from recipes.common import FACE_SCHEDULE, Part, Recipe, about_faces
from recipes.palette_faces import NUMBERS, PALETTE_TASKS, palette_loss, palette_network


def recipe() -> Recipe:
    torch.manual_seed(0)
    data = load_faces("celeba", "train")
    network = palette_network(load_model("palette-faces"))
    part = Part(palette_loss(make_schedule(**FACE_SCHEDULE), mirror=True), NUMBERS | dict(steps=5000))
    start = "palette-faces; every other picture in the mirror"
    return Recipe(network, data, [part], about_faces(data, start=start, tasks=PALETTE_TASKS))
