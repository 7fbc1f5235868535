"""Bits per dimension of held-out faces under the face model, term by term (session elbo).

    python -m experiments.likelihood --n 200        resumes after a kill; writes likelihood.json

Each face gets one random step in each stratum, so the mean over faces is unbiased and the spread over
faces tells its standard error. Beside it: what PNG and WebP without loss need for the same faces.
"""

import argparse
import io
import time
from pathlib import Path

import torch
from PIL import Image
from tqdm.auto import tqdm

from experiments.common import fingerprint
from helpers import profile
from helpers.checkpoints import FOLDER, load_card, load_denoiser
from helpers.data import load_faces
from helpers.files import load_state, save_state, write_json
from helpers.likelihood import Bound, bits_per_dim, bound, strata
from helpers.profile import BUILD, device_name

HERE = Path(__file__).parent
NAME, BATCH, DIMS = "ddpm-faces", 20, 3 * 64 * 64


def file_bits(pixels: torch.Tensor, kind: str, **options) -> float:
    """Bits per dimension of a picture (3, H, W) uint8, saved without loss in this format."""
    file = io.BytesIO()
    Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(file, kind, **options)
    return 8 * len(file.getvalue()) / pixels.numel()


def measure(n: int, pieces: int, seed: int) -> tuple[Bound, float]:
    """The bound (n faces) in nats and the seconds it took, batch after batch, each stored at once."""
    device = profile.device()
    predict = load_denoiser(NAME, device)
    weights = fingerprint(NAME, FOLDER)
    edges = strata(predict.schedule.steps, pieces)
    faces = load_faces("embedded", "test", limit=n)
    path = BUILD / f"likelihood-{weights}-{pieces}-{seed}.pt"
    state = load_state(path) or dict(parts=[], seconds=0.0)
    for first in tqdm(range(0, n, BATCH)):
        if first // BATCH < len(state["parts"]):
            continue
        begin, generator = time.perf_counter(), torch.Generator(device).manual_seed(seed * 1009 + first)
        x0 = faces[first : first + BATCH]["image"].to(device)
        part = bound(predict, predict.schedule, x0, edges, generator, bins=256, variance="large")
        state["parts"].append([v.cpu() for v in part])
        state["seconds"] += time.perf_counter() - begin
        save_state(path, state)
    columns = zip(*state["parts"][: -(-n // BATCH)], strict=True)
    return Bound(*(torch.cat(column)[:n] for column in columns)), state["seconds"]


def summary(n: int, pieces: int, seed: int) -> dict:
    """What the lecture shows, in bits per dimension, each with its standard error over the faces."""
    result, seconds = measure(n, pieces, seed)
    faces = load_faces("embedded", "test", limit=n)
    card = load_card(NAME)
    rate = result.prior + result.steps.sum(1)
    parts = dict(prior=result.prior, steps=result.steps.sum(1), first=result.first)
    parts |= dict(rate=rate, total=result.total)

    def mean(nats):
        bits = bits_per_dim(nats, DIMS)
        return dict(value=float(bits.mean()), se=float(bits.std() / len(bits) ** 0.5))

    return dict(
        what="bits per dimension of held-out drawn faces, 64×64×3, 256 levels; large variance, x0 clipped",
        model=dict(name=NAME, steps=card["steps"], seconds=card["seconds"], device=card["device"]),
        n=n,
        seed=seed,
        device=device_name(),
        seconds=round(seconds),
        schedule=card["schedule"],
        edges=strata(card["schedule"]["steps"], pieces),
        **{name: mean(nats) for name, nats in parts.items()},
        each=[float(v) for v in bits_per_dim(result.steps, DIMS).mean(0)],
        rmse=[float(v) * 127.5 for v in result.rmse.square().mean(0).sqrt()],
        png=sum(file_bits(p, "PNG", optimize=True) for p in faces.pixels) / n,
        webp=sum(file_bits(p, "WEBP", lossless=True, quality=100, method=6) for p in faces.pixels) / n,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=200, help="faces")
    parser.add_argument("--pieces", type=int, default=60, help="strata of t = 2…T")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found = summary(options.n, options.pieces, options.seed)
    write_json(HERE / "likelihood.json", found)
    for name in ("prior", "steps", "first", "total"):
        print(f"{name:6s} {found[name]['value']:.4f} ± {found[name]['se']:.4f} bits/dim")
    print(f"PNG {found['png']:.3f}, WebP {found['webp']:.3f}, {found['seconds']} s")


if __name__ == "__main__":
    main()
