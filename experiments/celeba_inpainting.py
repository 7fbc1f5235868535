"""Holes in photographs of people whom the model has never seen: python -m experiments.celeba_inpainting

Needs CelebA in the official layout ($CELEBA or data/celeba) with identity_CelebA.txt, and the checkpoints
palette-celeba and celeba-features. Fills every photograph of the test partition that is there, with each
kind of hole, by each method; resumes after a kill; writes celeba_inpainting.json and the same into the
card of palette-celeba. No photograph is written but to build/celeba-sheet.png, which stays there.
"""

import argparse
import os
from pathlib import Path

import torch
from torch import Tensor
from torchvision.utils import save_image

from experiments.common import fingerprint, part
from experiments.inpainting import ETA, KINDS, STEPS, biharmonic, diffuse, mean_colour
from helpers.checkpoints import FOLDER, load_card, load_denoiser, load_model, write_card
from helpers.data import load_faces
from helpers.features import extract
from helpers.files import write_json
from helpers.metrics import bootstrap, kernel_distance, nearest, psnr, ssim
from helpers.profile import BUILD, DATA, device_name
from helpers.tasks import make_holes
from recipes.common import quantiles

FILE = Path(__file__).with_suffix(".json")


def people(ids: tuple) -> list[Tensor]:
    """The positions of each person's photographs, by identity_CelebA.txt."""
    path = Path(os.environ.get("CELEBA") or DATA / "celeba") / "identity_CelebA.txt"
    if not path.exists():
        raise SystemExit(
            f"{path.name} is missing beside the photographs: it comes with the official download."
        )
    who = dict(line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    whose = [int(who[name]) for name in ids]
    return [torch.tensor([i for i, w in enumerate(whose) if w == person]) for person in sorted(set(whose))]


def interval(statistic, groups: list[Tensor]) -> tuple[float, float]:
    """The bootstrap's interval of statistic(positions), where people, not photographs, are drawn again."""

    def of(drawn):
        return statistic(torch.cat([groups[i] for i in drawn]))

    return bootstrap(of, torch.arange(len(groups)))


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter).parse_args()
    predict, features = load_denoiser("palette-celeba"), load_model("celeba-features")
    train, test = load_faces("celeba", "train"), load_faces("celeba", "test")
    groups, images = people(test.ids), test.images
    reference = extract(features, train.images[:1000])
    real = extract(features, images)
    ways = {"mean colour": None, "biharmonic": None, "Palette": predict}
    mark = fingerprint("palette-celeba", FOLDER)
    results = dict(
        machine=dict(device=device_name(), torch=torch.__version__, steps=STEPS, eta=ETA),
        n=len(images),
        people=len(groups),
        trained_on=dict(n=len(train), partition="train"),
        reference=f"{len(reference):,} training photographs",
        floor=kernel_distance(real, reference),
        floor_interval=interval(lambda i: kernel_distance(real[i], reference), groups),
        kinds={},
    )
    near_real = nearest(images, train.images)[0]
    rows = []
    for k, kind in enumerate(KINDS):
        holes = make_holes(kind, len(images), images.shape[-1], torch.Generator().manual_seed(200 + k))
        found = results["kinds"][kind] = {}
        for method, model in ways.items():
            folder, fills = BUILD.parent / "celeba-inpainting" / kind, []
            for begin in range(0, len(images), 60):
                x, hole, at = images[begin : begin + 60], holes[begin : begin + 60], 10_000 * k + begin

                def make(x=x, hole=hole, at=at, model=model, method=method):
                    if model is not None:
                        return diffuse("Palette", model, x, hole, at)
                    return (mean_colour if method == "mean colour" else biharmonic)(x, hole)

                name = f"{method.replace(' ', '-')}-{mark if model is not None else 0}-{begin}"
                fills.append(part(folder, name, make))
            filled = torch.cat([f["fills"] for f in fills])
            seen = extract(features, filled.clamp(-1, 1))

            def excess(i, seen=seen):  # over the same people's untouched photographs
                return kernel_distance(seen[i], reference) - kernel_distance(real[i], reference)

            found[method] = dict(
                psnr=float(psnr(filled, images, holes).mean()),
                ssim=float(ssim(filled, images, holes).mean()),
                kernel=kernel_distance(seen, reference),
                excess=excess(torch.cat(groups)),
                excess_interval=interval(excess, groups),
                seconds=sum(f["seconds"] for f in fills) / len(filled),
            )
            print(kind, method, found[method], flush=True)
        near = nearest(filled, train.images)[0]
        results["kinds"][kind]["copying"] = dict(
            what="root mean square distance to the nearest training photograph, pixels in [−1, 1]",
            fills=quantiles(near),
            originals=quantiles(near_real),
        )
        six, cut = images[60 * k :][:6], holes[60 * k :][:6]
        several = [diffuse("Palette", predict, six, cut, seed) for seed in range(4)]
        shown = torch.where(cut, 0.0, six)
        rows += [torch.stack(row) for row in zip(six, shown, *several, strict=True)]
    write_json(FILE, results)
    card = load_card("palette-celeba") | dict(measured=results)
    write_card(FOLDER / "palette-celeba", card)
    save_image(torch.cat(rows) / 2 + 0.5, BUILD.parent / "celeba-sheet.png", nrow=12)


if __name__ == "__main__":
    main()
