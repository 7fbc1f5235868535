"""One model for five tasks on the drawn faces (sessions inpainting and restoration)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from helpers.checkpoints import load_model
from helpers.data import load_faces
from helpers.diffusion import Denoiser, diffusion_loss
from helpers.schedules import Schedule, make_schedule
from helpers.tasks import HOLES, damage, make_holes
from helpers.unet import UNet
from recipes.common import FACE_SCHEDULE, FACE_UNET, Part, Recipe, about_faces, flip

NUMBERS = dict(
    steps=8000, batch=32, lr=1.5e-3, warmup=200, ema=0.999, seed=0, precision="auto", channels_last=True
)
# How many of each 32 pictures are damaged how: one session fills holes, the next does the rest.
PALETTE_TASKS = {"inpaint": 12, "uncrop": 5, "colourise": 5, "super_resolve": 5, "jpeg": 5}


def recipe() -> Recipe:
    return five_tasks(palette_loss(make_schedule(**FACE_SCHEDULE)))


def five_tasks(loss: Callable) -> Recipe:
    """A U-Net that sees y and begins as ddpm-faces, on all tasks."""
    torch.manual_seed(0)
    data = load_faces("embedded", "train")
    network = palette_network(load_model("ddpm-faces"))
    start = "ddpm-faces, all attributes open; what sees the condition picture begins at 0"
    return Recipe(network, data, [Part(loss, NUMBERS)], about_faces(data, start=start, tasks=PALETTE_TASKS))


def share_tasks(
    x0: Tensor, generator: torch.Generator, shares: dict[str, int] = PALETTE_TASKS
) -> tuple[Tensor, Tensor]:
    """What a model is shown of a batch of 32 faces, or any number, each task having its share: (y, hole).

    A task of shares is one of TASKS, or one of HOLES, which is inpainting with this kind alone.
    """
    ends = torch.tensor(list(shares.values())).cumsum(0) * len(x0) // sum(shares.values())
    here = torch.Generator().manual_seed(  # holes are cut on the CPU
        int(torch.randint(2**31, (), generator=generator, device=x0.device))
    )
    shown = []
    for task, part in zip(shares, torch.tensor_split(x0, ends[:-1].tolist()), strict=True):
        if len(part):
            hole = make_holes(task, len(part), part.shape[-1], here) if task in HOLES else None
            shown.append(damage(task if hole is None else "inpaint", part, here, hole))
    y, hole = (torch.cat(part) for part in zip(*shown, strict=True))
    return y.to(memory_format=torch.channels_last), hole


def palette_loss(
    schedule: Schedule, mirror: bool = False, shares: dict[str, int] = PALETTE_TASKS
) -> Callable:
    """The loss of a Palette model on a batch: every task has its share of it."""

    def loss(network, batch, generator):
        x0 = flip(batch["image"], generator) if mirror else batch["image"]
        y, hole = share_tasks(x0, generator, shares)
        return diffusion_loss(Denoiser(network, schedule, "v"), x0, generator, hole=hole, image=y)

    return loss


def palette_network(start: UNet) -> UNet:
    """A U-Net that sees one more picture and begins as `start` with all attributes left open.

    The weights that see the new picture begin at 0, so the first answer is that of `start`; they are
    kept where `start` sees one already.
    """
    network = UNet(image_channels=3, **FACE_UNET)
    weights = start.state_dict()
    first = network.first.weight.detach().clone().zero_()
    seen = weights["first.weight"].shape[1]  # x comes before the picture
    first[:, :seen] = weights["first.weight"]
    weights["first.weight"] = first
    if start.attributes is not None:
        left_open = torch.full((1, len(start.attributes.cardinalities)), -1)
        weights["time.2.bias"] = weights["time.2.bias"] + start.attributes(left_open)[0].detach()
        weights = {k: v for k, v in weights.items() if not k.startswith("attributes.")}
    network.load_state_dict(weights)
    return network
