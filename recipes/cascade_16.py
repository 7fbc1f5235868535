"""The first stage of a cascade: faces of 16×16, nothing asked for (session restoration)."""

import math

import torch

from helpers.data import load_faces
from helpers.schedules import make_schedule
from helpers.tasks import shrink
from helpers.unet import UNet
from recipes.common import FACE_SCHEDULE, Part, Recipe, about_faces, plain_loss
from recipes.palette_faces import NUMBERS

# A picture of half the side stands noise worse: +2·ln 2 in log SNR for each halving, from 64×64.
SMALL_SCHEDULE = dict(FACE_SCHEDULE, log_snr_shift=2 * math.log(2))


def recipe() -> Recipe:
    torch.manual_seed(0)
    data = load_faces("embedded", "train")
    part = Part(plain_loss(make_schedule(**SMALL_SCHEDULE), shrink), NUMBERS | dict(steps=5000, lr=2e-3))
    network = UNet(widths=(48, 64), attention=(1,))
    return Recipe(network, data, [part], about_faces(data, schedule=SMALL_SCHEDULE))
