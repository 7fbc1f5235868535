"""A classifier of noisy faces, which guides the face model (session guidance); the judge is another one."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from helpers.checkpoints import load_model
from helpers.classifier import NoisyClassifier
from helpers.data import load_faces
from helpers.diffusion import add_noise, noise_like
from helpers.pictures import Faces, to_floats
from helpers.schedules import Schedule, make_schedule
from recipes.common import FACE_SCHEDULE, Part, Recipe, flip
from recipes.face_features import balanced_accuracy

NUMBERS = dict(
    steps=3000, batch=64, lr=2e-3, warmup=200, ema=0.999, seed=0, precision="auto", channels_last=True
)


def recipe() -> Recipe:
    torch.manual_seed(0)
    data = load_faces("embedded", "train")
    network = NoisyClassifier(data.cardinalities)
    about = dict(data=f"{len(data):,} drawn faces (embedded, train)", schedule=FACE_SCHEDULE)
    about |= dict(names=data.names, values=data.values)
    return Recipe(network, data, [Part(noisy_loss(make_schedule(**FACE_SCHEDULE)), NUMBERS)], about)


def noisy_loss(schedule: Schedule) -> Callable:
    """Cross-entropy of all attributes, at a random t for each face."""

    def loss(network, batch, generator):
        x0 = flip(batch["image"], generator)
        t = torch.randint(1, schedule.steps + 1, (len(x0),), generator=generator, device=x0.device)
        guesses = network(add_noise(schedule, x0, t, noise_like(x0, generator)), t)
        return sum(map(F.cross_entropy, guesses, batch["attributes"].T)) / len(guesses)

    return loss


@torch.no_grad()
def guesses(network, schedule: Schedule, faces: Faces, t: int, seed: int = 0) -> Tensor:
    """What the classifier finds in the faces when they are seen at step t: (N, A)."""
    device, generator, found = next(network.parameters()).device, torch.Generator().manual_seed(seed), []
    for pixels in faces.pixels.split(250):
        x0 = to_floats(pixels)
        noise = torch.randn(x0.shape, generator=generator)
        x, times = add_noise(schedule, x0, torch.tensor(t), noise).to(device), torch.full((len(x0),), t)
        found.append(torch.stack([g.argmax(1).cpu() for g in network(x, times.to(device))], 1))
    return torch.cat(found)


def measure(name: str, device) -> dict:
    network, schedule = load_model(name, device), make_schedule(**FACE_SCHEDULE)
    valid = load_faces("embedded", "valid")
    accuracy = {
        str(t): round(float(balanced_accuracy(guesses(network, schedule, valid, t), valid)), 4)
        for t in (1, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000)
    }
    return dict(balanced_accuracy=dict(by_step=accuracy, n=len(valid), seed=0, faces="valid"))
