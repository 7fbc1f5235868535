"""As palette-faces, but it answers at once, with one picture: the mean of all (session restoration)."""

import torch

from helpers.diffusion import Denoiser
from helpers.metrics import masked_mean
from helpers.schedules import make_schedule
from helpers.tasks import restore
from recipes.common import FACE_SCHEDULE, Recipe
from recipes.palette_faces import five_tasks, share_tasks


def recipe() -> Recipe:
    return five_tasks(regression_loss(make_schedule(**FACE_SCHEDULE)))


def regression_loss(schedule):
    """The squared error of x0, guessed once from y alone: t = T, and 0 where Palette has noise."""

    def loss(network, batch, generator):
        x0 = batch["image"]
        y, hole = share_tasks(x0, generator)
        predict = restore(Denoiser(network, schedule, "v"), schedule, y, hole)
        guess, _ = predict(torch.zeros_like(x0), torch.tensor(schedule.steps))
        return masked_mean((guess - x0).square(), hole).mean()

    return loss
