"""The feature network of the Fréchet distance: an attribute classifier of the embedded faces."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from helpers.data import load_faces
from helpers.features import FaceFeatures, extract
from helpers.pictures import Faces, to_floats
from recipes.common import Part, Recipe


def recipe() -> Recipe:
    numbers = dict(
        steps=1200, batch=64, lr=2e-3, warmup=100, ema=0.99, seed=0, precision="auto", channels_last=True
    )
    data, valid = load_faces("embedded", "train"), load_faces("embedded", "valid")
    return classifier(data, valid, numbers, random_shift, data="embedded faces, train")


def classifier(faces: Faces, valid: Faces, numbers: dict, augment: Callable, **about) -> Recipe:
    """A network that tells all attributes, whose features are of unit variance over the training faces.

    augment(images, generator) changes the pictures of a batch; about goes into the card.
    """
    torch.manual_seed(0)
    network = FaceFeatures(faces.cardinalities, width=24)

    def loss(network, batch, generator):
        guesses, truths = network(augment(batch["image"], generator), classify=True), batch["attributes"].T
        return sum(map(F.cross_entropy, guesses, truths)) / len(truths)

    def finish(network):
        network.cpu()  # where the pictures are
        network.scale.copy_(extract(network, faces.pixels).var(0).mean().sqrt())
        return judged(network, valid)

    card = dict(names=faces.names, values=faces.values) | about
    # 16 bits: the judge is frozen, every stored distance was measured with these very numbers
    return Recipe(network, faces, [Part(loss, numbers)], card, bits=16, finish=finish)


@torch.no_grad()
def judged(network: FaceFeatures, valid: Faces) -> dict:
    """How often the network is right on faces it was not trained on, for its card."""
    parts = [network(to_floats(pixels), classify=True) for pixels in valid.pixels.split(500)]
    guesses = torch.cat([torch.stack([g.argmax(1).cpu() for g in part], 1) for part in parts])  # (N, A)
    right = (guesses == valid.attributes).float()
    return dict(
        accuracy={n: round(float(right[:, i].mean()), 4) for i, n in enumerate(valid.names)},
        balanced_accuracy=round(float(balanced_accuracy(guesses, valid)), 4),
        n=len(valid),
    )


def random_shift(images: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures moved by up to 2 pixels, so that the features do not count on exact places."""
    dx, dy = torch.randint(-2, 3, (2,), generator=generator, device=generator.device).tolist()
    return torch.roll(F.pad(images, (2, 2, 2, 2), mode="replicate"), (dy, dx), (2, 3))[:, :, 2:-2, 2:-2]


def balanced_accuracy(guesses: Tensor, faces: Faces) -> Tensor:
    """The share recognised of each value, averaged over values and attributes; chance is 1/2 for two."""
    return torch.stack([balanced(guesses[:, i], faces.column(n)) for i, n in enumerate(faces.names)]).mean()


def balanced(guesses: Tensor, truth: Tensor) -> Tensor:
    """The same for one attribute, guesses and truth (N,)."""
    return torch.stack([(guesses[truth == v] == v).float().mean() for v in truth.unique()]).mean()
