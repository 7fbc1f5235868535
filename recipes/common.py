"""What recipes share: their form, the face model's numbers, and the scores of a face model."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from helpers.checkpoints import load_model
from helpers.data import load_faces
from helpers.diffusion import Denoiser, diffusion_loss
from helpers.features import extract
from helpers.guidance import guide
from helpers.metrics import bootstrap, frechet_distance, nearest
from helpers.profile import device, device_name, fast_dtype
from helpers.samplers import draw
from helpers.schedules import Schedule

# Chosen in benchmarks/candidates.md; later sessions build on it, so it stays as it is.
FACE_UNET = dict(widths=(48, 96, 128), patch=2)
FACE_SCHEDULE = dict(name="cosine", steps=1000, log_snr_shift=-2 * math.log(2))
CELEBA_LICENCE = "CelebA is for non-commercial research only, and so are these weights"


class Part(NamedTuple):
    """One call of `helpers.train.fit`: its loss and its numbers (steps, batch, lr, warmup, ema, seed, …)."""

    loss: Callable
    numbers: dict


@dataclass
class Recipe:
    """All that makes a checkpoint; `recipes/NAME.py` has a function `recipe()` that answers one.

    network and data go to `fit` with each part in turn, the average of one part being the start of the next.
    card: what is said of it, besides numbers, seconds and device. finish(network) may change the trained
    network and answers more of the card. bits: how the weights are stored. A module may also have
    `measure(name, device)`, which answers scores of the stored weights for the card.
    """

    network: nn.Module
    data: object
    parts: Sequence[Part]
    card: dict = field(default_factory=dict)
    bits: int = 8
    finish: Callable[[nn.Module], dict] = lambda network: {}


def card_of(recipe: Recipe, seconds: float) -> dict:
    """The card of a recipe that trained for so long, without what `finish` and `measure` find."""
    first, *more = (ran(part.numbers) for part in recipe.parts)
    later = dict(more=more[0] | recipe.card.get("more", {})) if more else {}
    about = dict(recipe=first, seed=first["seed"], seconds=round(seconds), device=device_name())
    return about | recipe.card | later


def ran(numbers: dict) -> dict:
    """The numbers of a part, with the precision that this machine made of 'auto': `bf16`, `fp16` or none."""
    name = {torch.bfloat16: "bf16", torch.float16: "fp16"}.get(fast_dtype(device().type))
    told = {name: True} if name and numbers.get("precision") == "auto" else {}
    return {key: value for key, value in numbers.items() if key != "precision"} | told


def about_faces(faces, **more) -> dict:
    """What the card of a v-predicting model of 64×64 faces says of its data; more overwrites it."""
    drawn = faces.source == "embedded"
    where = "drawn faces (embedded, train)" if drawn else "photographs (CelebA, train)"
    licence = {} if drawn else dict(licence=CELEBA_LICENCE)
    return dict(schedule=FACE_SCHEDULE, target="v", data=f"{len(faces):,} {where}") | licence | more


def plain_loss(schedule: Schedule, change: Callable = lambda images: images) -> Callable:
    """The loss of an unconditional v-model on a batch of faces, each changed first."""

    def loss(network, batch, generator):
        return diffusion_loss(Denoiser(network, schedule, "v"), change(batch["image"]), generator)

    return loss


def flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each picture (B, C, H, W) in the mirror with probability 1/2."""
    mirror = torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device) < 0.5
    return torch.where(mirror, images.flip(3), images)


@torch.no_grad()
def attribute_accuracy(predict, schedule, features, faces, **options) -> dict:
    """How many of the attributes asked for a classifier finds in the picture, guided with scale 2."""
    wanted = faces.attributes.long()
    guided = guide(predict, 2.0, attributes=-1)
    images = draw(guided, schedule, len(wanted), 20, 0, attributes=wanted, **options)
    guesses = torch.stack([g.argmax(1) for g in features(images, classify=True)], 1)  # (N, A)
    return dict(
        n=len(wanted),
        steps=20,
        guidance=2.0,
        seed=0,
        judge="face-features",
        attributes=float((guesses == wanted).float().mean()),
        all_right=float((guesses == wanted).all(1).float().mean()),
    )


def scores(predict, n: int = 1000, steps: int = 50, seed: int = 0, device="cpu") -> dict:
    """What a face model's card tells of its quality: distance, copying, attribute accuracy."""
    schedule, features = predict.schedule, load_model("face-features")
    data, test = load_faces("embedded", "train"), load_faces("embedded", "test")
    seen, unseen = (test.take(torch.where(test.unseen == u)[0][:200]) for u in (False, True))
    reference = extract(features, data.images)
    real = extract(features, load_faces("embedded", "valid").images)
    images = draw(predict, schedule, n, steps, seed, device)
    fake = extract(features, images)
    near, near_real = nearest(images, data.images)[0], nearest(seen.images, data.images)[0]
    return dict(
        fd=dict(
            n=n,
            steps=steps,
            seed=seed,
            value=frechet_distance(fake, reference),
            interval=bootstrap(frechet_distance, fake, reference, repeats=100),
            floor=frechet_distance(real[:n], reference),
            reference="10,000 training faces",
        ),
        fd_small=fd_small(predict, features, reference, device, seed),
        copying=dict(
            what="root mean square distance to the nearest training face, pixels in [−1, 1]",
            n=n,
            samples=quantiles(near),
            test_faces=quantiles(near_real),
        ),
        attribute_accuracy=dict(
            seen=attribute_accuracy(predict, schedule, features, seen, device=device),
            unseen=attribute_accuracy(predict, schedule, features, unseen, device=device),
        ),
    )


def fd_small(predict, features, reference: Tensor, device="cpu", seed: int = 0) -> dict:
    """The distance of 200 faces in ten steps, which a test can measure again."""
    small = dict(n=200, steps=10, seed=seed)
    few = extract(features, draw(predict, predict.schedule, **small, device=device))
    value = frechet_distance(few, reference)
    return small | dict(value=value, interval=[0.9 * value, 1.1 * value])


def small_scores(predict, device="cpu") -> dict:
    """The distance of a model that is not the course's best, for its card."""
    features = load_model("face-features")
    reference = extract(features, load_faces("embedded", "train").pixels)
    return dict(fd_small=fd_small(predict, features, reference, device))


def quantiles(values: Tensor) -> dict:
    """The 1st, 5th and 50th percentile of values (N,), for a card."""
    return {f"{q:g}": round(float(values.quantile(q)), 4) for q in (0.01, 0.05, 0.5)}
