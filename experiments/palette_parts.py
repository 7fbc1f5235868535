"""The U-Net's parts on or off: small Palette models, equal steps, two seeds, holes in faces of 32×32.

    python -m experiments.palette_parts    resumes after a kill; writes palette_parts.json

"full" attends at both levels with four heads, and tells the step by scale and shift; each other network
lacks one of these three (Diffusion Models Beat GANs, section 3). All are asked for the loss in the hole and
for the PSNR of their fills on held-out faces: the same holes, t and ε for everyone.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from experiments.attention import SCHEDULE, SIDE
from experiments.common import RECIPE, ablation, held_out
from helpers.checkpoints import load_model
from helpers.data import load_faces
from helpers.diffusion import Denoiser, diffusion_loss
from helpers.features import extract
from helpers.metrics import frechet_distance, psnr
from helpers.profile import device_name
from helpers.samplers import last, pairs, sample, timesteps
from helpers.tasks import damage, restore
from helpers.unet import UNet

FILE = Path(__file__).with_suffix(".json")
FULL = dict(attention=(0, 1), heads=4, adaptive=True)  # pixels folded 4×4: level 0 is 8×8, level 1 is 4×4
NETWORKS = {
    "full": FULL,
    "attention at 4×4 only": FULL | dict(attention=(1,)),
    "one head": FULL | dict(heads=1),
    "step added": FULL | dict(adaptive=False),
}


def build(arguments: dict, seed: int) -> UNet:
    torch.manual_seed(seed)
    return UNet(widths=(32, 64), patch=4, image_channels=3, **arguments)


def loss(network, batch, generator) -> Tensor:
    y, hole = damage("inpaint", batch["image"], generator)
    return diffusion_loss(Denoiser(network, SCHEDULE, "v"), batch["image"], generator, hole=hole, image=y)


@torch.no_grad()
def fill(network, images: Tensor, steps: int = 20) -> tuple[Tensor, Tensor]:
    """(fills, holes) of images (N, 3, H, W): the same holes and the same noise for every network."""
    generator = torch.Generator().manual_seed(1)
    y, hole = damage("inpaint", images, generator)
    x = torch.randn(y.shape, generator=generator)
    predict = restore(Denoiser(network, SCHEDULE, "v"), SCHEDULE, y, hole)
    walk = pairs(timesteps(SCHEDULE.steps, steps))
    return last(sample(predict, SCHEDULE, x, walk, eta=1.0, generator=generator)).x.clamp(-1, 1), hole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--n", type=int, default=200, help="faces to fill")
    parser.add_argument("--seeds", type=int, default=2)
    args = parser.parse_args()
    train, valid = (load_faces("embedded", split, size=SIDE) for split in ("train", "valid"))
    features, real = load_model("face-features"), valid.images[: args.n]
    reference = extract(features, train.images)
    machine = dict(RECIPE, steps=args.steps, n=args.n, device=device_name(), torch=torch.__version__)
    floor = dict(fd=frechet_distance(extract(features, real), reference))

    def score(average, name):
        fills, hole = fill(average, real)
        return dict(
            loss=held_out(average, valid, loss),
            psnr=float(psnr(fills, real, hole).mean()),
            fd=frechet_distance(extract(features, fills), reference),
        )

    ablation(FILE, machine, floor, NETWORKS, build, train, loss, score, args.seeds)


if __name__ == "__main__":
    main()
