"""What attention adds: one small U-Net with and without it, equal steps, three seeds, faces of 32×32.

    python -m experiments.attention    resumes after a kill; writes attention.json, which lecture ddpm reads

Each run trains on the drawn faces and is then asked three things: the loss on held-out faces (the same t
and ε for all), the Fréchet distance, and how far the colours of the two upper corners of a picture are
apart. In a drawn face both show the background, which has one colour: they must agree over the whole width.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from experiments.common import RECIPE, ablation, held_out
from helpers.checkpoints import load_model
from helpers.data import load_faces
from helpers.diffusion import Denoiser, diffusion_loss
from helpers.features import extract
from helpers.metrics import frechet_distance
from helpers.profile import device_name
from helpers.samplers import draw
from helpers.schedules import make_schedule
from helpers.unet import UNet

FILE = Path(__file__).with_suffix(".json")
SIDE = 32
NETWORKS = {"without": (), "with": (0, 1)}  # pixels folded 4×4: level 0 is 8×8, level 1 is 4×4
SCHEDULE = make_schedule("cosine")


def build(attention: tuple[int, ...], seed: int) -> UNet:
    torch.manual_seed(seed)
    return UNet(widths=(32, 64), patch=4, attention=attention)


def loss(network, batch, generator):
    return diffusion_loss(Denoiser(network, SCHEDULE, "v"), batch["image"], generator)


def corners(images: Tensor) -> float:
    """Mean difference in colour of the upper corners, 3×3 pixels each; images (N, 3, H, W) in [−1, 1]."""
    left, right = images[:, :, :3, :3].mean((2, 3)), images[:, :, :3, -3:].mean((2, 3))
    return float((left - right).abs().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--n", type=int, default=300, help="samples for each distance")
    args = parser.parse_args()
    train, valid = (load_faces("embedded", split, size=SIDE) for split in ("train", "valid"))
    features = load_model("face-features")
    reference = extract(features, train.images)
    machine = dict(RECIPE, steps=args.steps, n=args.n, device=device_name(), torch=torch.__version__)
    real = valid.images[: args.n]
    floor = dict(fd=frechet_distance(extract(features, real), reference), corners=corners(real))

    def score(average, name):
        predict = Denoiser(average, SCHEDULE, "v")
        images = draw(predict, SCHEDULE, args.n, steps=20, seed=0, side=SIDE)  # the same noise for all
        return dict(
            attention=bool(NETWORKS[name]),
            loss=held_out(average, valid, loss),
            fd=frechet_distance(extract(features, images), reference),
            corners=corners(images),
        )

    ablation(FILE, machine, floor, NETWORKS, build, train, loss, score)


if __name__ == "__main__":
    main()
