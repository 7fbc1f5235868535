"""What attention adds: one small U-Net with and without it, equal steps, three seeds, faces of 32×32.

    python -m benchmarks.attention        resumes after a kill; writes attention.json, which lecture 05 reads

Each run trains on the drawn faces and is then asked three things: the loss on held-out faces (the same t
and ε for all), the Fréchet distance, and how far the colours of the two upper corners of a picture are
apart. In a drawn face both show the background, which has one colour: they must agree over the whole width.
"""

import argparse
import json
import time
from pathlib import Path

import torch
from torch import Tensor

from helpers.checkpoints import load_model, write_json
from helpers.data import load_faces
from helpers.diffusion import Denoiser, diffusion_loss
from helpers.metrics import extract, frechet_distance
from helpers.schedules import make_schedule
from helpers.train import fit
from helpers.unet import UNet, count_parameters
from tools.checkpoints import BUILD, device_name, draw

FILE = Path(__file__).with_suffix(".json")
SIDE = 32
NETWORKS = {"without": (), "with": (0, 1)}  # pixels folded 4×4: level 0 is 8×8, level 1 is 4×4
RECIPE = dict(batch=32, rate=2e-3, warmup=100, ema=0.99)
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


@torch.no_grad()
def held_out(network, faces, loss=loss) -> float:
    """The loss on all held-out faces, with the same t and ε for every network."""
    generator = torch.Generator().manual_seed(0)
    return float(
        torch.stack(
            [loss(network, faces[torch.arange(i, i + 250)], generator) for i in range(0, len(faces), 250)]
        ).mean()
    )


def compare(
    file: Path, machine: dict, floor: dict, networks: dict, build, data, loss, score, seeds=3
) -> None:
    """Trains build(networks[name], seed) by `machine`'s recipe; writes score(average, name) to file.

    Resumes after a kill, and refuses a file that was begun with another recipe.
    """
    results = json.loads(file.read_text()) if file.exists() else {}
    if results.get("machine", machine) != machine:
        raise SystemExit(f"{file.name} was begun otherwise ({results['machine']}): delete it to start anew.")
    results |= dict(machine=machine, floor=floor)
    runs, steps = results.setdefault("runs", {}), machine["steps"]
    for seed in range(seeds):
        for name, arguments in networks.items():
            if (key := f"{name}, seed {seed}") in runs:
                continue
            network, start = build(arguments, seed), time.perf_counter()
            checkpoint = BUILD / f"{file.stem}-{name.replace(' ', '-')}-{seed}-{steps}.pt"
            told = ("n", "device", "torch")
            options = {k: v for k, v in machine.items() if k not in told} | dict(seed=seed, every=100)
            for step in fit(network, data, loss, checkpoint=checkpoint, **options):
                if step.step % 100 == 0:
                    print(key, step.step, f"{step.loss:.4f} {time.perf_counter() - start:.0f} s", flush=True)
            seconds = round(time.perf_counter() - start)
            about = dict(seed=seed, parameters=count_parameters(network), seconds=seconds)
            runs[key] = about | score(step.ema, name)
            write_json(file, results)
            print(key, runs[key], flush=True)
    for checkpoint in BUILD.glob(f"{file.stem}-*.pt*"):
        checkpoint.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--n", type=int, default=300, help="samples for each distance")
    asked = parser.parse_args()
    train, valid = (load_faces("embedded", split, size=SIDE) for split in ("train", "valid"))
    features = load_model("face-features")
    reference = extract(features, train.images)
    machine = dict(RECIPE, steps=asked.steps, n=asked.n, device=device_name(), torch=torch.__version__)
    real = valid.images[: asked.n]
    floor = dict(fd=frechet_distance(extract(features, real), reference), corners=corners(real))

    def score(average, name):
        predict = Denoiser(average, SCHEDULE, "v")
        images = draw(predict, SCHEDULE, asked.n, steps=20, seed=0, side=SIDE)  # the same noise for all
        return dict(
            attention=bool(NETWORKS[name]),
            loss=held_out(average, valid),
            fd=frechet_distance(extract(features, images), reference),
            corners=corners(images),
        )

    compare(FILE, machine, floor, NETWORKS, build, train, loss, score)


if __name__ == "__main__":
    main()
