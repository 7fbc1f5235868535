"""Ways to fill a hole, on the same held-out faces and holes; writes inpainting.json for its lecture.

    python -m experiments.inpainting        resumes after a kill; what is done stays in build/inpainting

Four kinds of holes, each for a hundred test faces of its own: the first 25 are filled, the other 75 are the
reference of the distances. PSNR and SSIM are taken inside the hole, distances on whole pictures.
"""

import argparse
import json
import math
from pathlib import Path

import torch
from torch import Tensor

from experiments.common import above, fingerprint, part
from helpers import profile
from helpers.checkpoints import FOLDER, load_denoiser, load_model
from helpers.data import load_faces
from helpers.features import extract
from helpers.files import write_json
from helpers.metrics import bootstrap, frechet_distance, kernel_distance, masked_mean, ssim
from helpers.profile import BUILD, device_name
from helpers.repaint import jumps, repaint
from helpers.samplers import last, pairs, sample, timesteps
from helpers.tasks import HOLES, cut, make_holes, restore

FILE = Path(__file__).with_suffix(".json")
KINDS = HOLES[:4]  # centre, half, boxes, brush
EACH, FILLED = 100, 25  # faces of each kind, and those of them that are filled
FILLS, DIVERSE = 8, 2  # eight answers for every face; RePaint gives them for so many faces of each kind
STEPS, ETA = 25, 1.0  # of Palette
JUMPS = dict(length=10, repeats=7)  # of RePaint, in 50 steps
WALKS = {"Palette": pairs(timesteps(1000, STEPS)), "RePaint": jumps(timesteps(1000, 50), **JUMPS)}


def mean_colour(images: Tensor, hole: Tensor) -> Tensor:
    """Every pixel of the hole becomes the mean of the known ones; images (B, C, H, W), hole (B, 1, H, W)."""
    known = ~hole
    mean = (images * known).sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True)
    return torch.where(hole, mean, images)


def biharmonic(images: Tensor, hole: Tensor) -> Tensor:
    """The smoothest continuation into the hole, ΔΔu = 0 (scikit-image, Damelin and Hoang 2018)."""
    from skimage.restoration import inpaint_biharmonic

    filled = [
        inpaint_biharmonic(image.permute(1, 2, 0).double().numpy(), mask[0].numpy(), channel_axis=-1)
        for image, mask in zip(images, hole, strict=True)
    ]
    return torch.stack([torch.from_numpy(f) for f in filled]).permute(0, 3, 1, 2).to(images).clamp(-1, 1)


def telea(images: Tensor, hole: Tensor, radius: float = 3) -> Tensor:
    """Known pixels marched into the hole from its border (Telea 2004); needs OpenCV."""
    import cv2

    filled = []
    for image, mask in zip(images, hole, strict=True):
        pixels = ((image + 1) * 127.5).round().byte().permute(1, 2, 0).contiguous().numpy()
        filled.append(cv2.inpaint(pixels, mask[0].byte().numpy(), radius, cv2.INPAINT_TELEA))
    return torch.stack([torch.from_numpy(f) for f in filled]).permute(0, 3, 1, 2).to(images) / 127.5 - 1


@torch.no_grad()
def diffuse(method: str, predict, images: Tensor, hole: Tensor, seed: int) -> Tensor:
    """images (B, 3, H, W) with their holes filled by the model."""
    generator = torch.Generator().manual_seed(seed)
    y = cut(images, hole, generator)
    x = torch.randn(y.shape, generator=generator).to(memory_format=torch.channels_last)
    with profile.autocast("cpu"):
        if method == "RePaint":
            states = repaint(predict, predict.schedule, x, WALKS[method], y, hole, generator=generator)
        else:
            predict_y = restore(predict, predict.schedule, y, hole)
            states = sample(predict_y, predict.schedule, x, WALKS[method], ETA, generator=generator)
        end = last(states).x.float()
    return torch.where(hole, end.clamp(-1, 1), images)


def calls(method: str) -> int:
    """How often a method asks its network for one fill."""
    return sum(s < t for t, s in WALKS.get(method, ()))


def spread(fills: Tensor, hole: Tensor) -> float:
    """Root mean square over the hole of the deviation among fills (K, B, C, H, W), mean over B pictures."""
    return float(masked_mean(fills.var(0), hole).sqrt().mean())


def similar(fills: Tensor, images: Tensor, hole: Tensor) -> dict:
    """Mean squared error inside the hole, mean over the pictures; its PSNR; the mean of SSIM."""
    error = float(masked_mean((fills - images).square(), hole).mean())  # PSNR's own mean could be infinite
    return dict(n=len(images), psnr=decibel(error), ssim=float(ssim(fills, images, hole).mean()), mse=error)


def decibel(error: float) -> float:
    """The PSNR that belongs to a mean squared error of values in [−1, 1]."""
    return 10 * math.log10(4 / error)


def distances(features: Tensor, reference: Tensor) -> dict:
    """Fréchet and kernel distance of n pictures to the reference, each with its 95 % interval."""

    def fd(some):
        return frechet_distance(some, reference)

    def kernel(some):
        return kernel_distance(some, reference)

    return dict(
        n=len(features),
        fd=fd(features),
        fd_interval=bootstrap(fd, features, repeats=50),
        kernel=kernel(features),
        kernel_interval=bootstrap(kernel, features, repeats=50),
    )


def fill_all(method: str, predict, images: Tensor, hole: Tensor, folder: Path, name: str, seed: int) -> dict:
    """fills (K, n, 3, H, W) of the first K answers that a method gives, and what one of them took."""
    if predict is None:
        make = {"mean colour": mean_colour, "biharmonic": biharmonic, "Telea": telea}[method]
        parts = [part(folder, f"{name}-0", lambda: make(images, hole)[None])]
        first = parts[0]["fills"][0]
        again = None
    else:
        some = DIVERSE if method == "RePaint" else len(images)

        def many_parts(images, hole, key, seed):
            """All the pictures filled, a few at a time."""
            for i, begin in enumerate(range(0, len(images), FILLED)):
                here = slice(begin, begin + FILLED)

                def make(here=here, seed=seed + i):
                    return diffuse(method, predict, images[here], hole[here], seed)

                parts.append(part(folder, f"{name}-{key}-{begin}", make))
            return torch.cat([p["fills"] for p in parts])

        parts = []
        first = many_parts(images, hole, "0", 1000 * seed)
        twice = [x[:some].repeat(FILLS - 1, 1, 1, 1) for x in (images, hole)]
        again = many_parts(*twice, "again", 1000 * seed + 100)[len(images) :].unflatten(0, (FILLS - 1, some))
    total = sum(len(p["fills"]) for p in parts) if predict is not None else len(images)
    return dict(
        first=first,
        several=None if again is None else torch.cat([first[None, : again.shape[1]], again]),
        seconds=sum(p["seconds"] for p in parts) / total,
        processor_seconds=sum(p["processor_seconds"] for p in parts) / total,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", nargs="+", help="methods, e.g. RePaint Palette; none means all")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the checkpoint palette-faces is")
    parser.add_argument("--file", type=Path, default=FILE)
    args = parser.parse_args()
    models = {"mean colour": None, "biharmonic": None}
    try:
        import cv2  # noqa: F401

        models["Telea"] = None
    except ImportError:
        print("OpenCV is not installed: no Telea.")
    models["RePaint"] = load_denoiser("ddpm-faces")
    marks = {"RePaint": fingerprint("ddpm-faces", FOLDER)}
    if (args.folder / "palette-faces" / "card.json").exists():
        models["Palette"] = load_denoiser("palette-faces", folder=args.folder)
        marks["Palette"] = fingerprint("palette-faces", args.folder)
    else:
        print("There is no checkpoint 'palette-faces' yet: no Palette.")
    features, test = load_model("face-features"), load_faces("embedded", "test").images
    sets, others = {}, []
    for k, kind in enumerate(KINDS):
        faces = test[k * EACH : (k + 1) * EACH]
        holes = make_holes(kind, EACH, test.shape[-1], torch.Generator().manual_seed(100 + k))
        sets[kind] = (faces[:FILLED], holes[:FILLED])
        others.append(faces[FILLED:])
    reference = extract(features, torch.cat(others))

    results = json.loads(args.file.read_text()) if args.file.exists() else {}
    results["machine"] = dict(
        device=device_name(),
        torch=torch.__version__,
        n=FILLED * len(KINDS),
        fills=FILLS,
        diverse=DIVERSE,
        steps=STEPS,
        eta=ETA,
        jumps=dict(JUMPS, steps=50),
        reference=f"{len(reference)} other test faces",
    )
    real = torch.cat([extract(features, x) for x, _ in sets.values()])
    results["floor"] = distances(real, reference)
    methods = results.setdefault("methods", {})
    for method, predict in models.items():
        if args.only and method not in args.only:
            continue
        found = {}
        for k, (kind, (images, holes)) in enumerate(sets.items()):
            name = method.replace(" ", "-") + (f"-{marks[method]}" if method in marks else "")
            found[kind] = fill_all(
                method, predict, images, holes, BUILD.parent / "inpainting" / kind, name, k
            )
        methods[method] = score(method, found, sets, features, reference, real)
        if method == "Palette":
            blur = {kind: dict(fill, first=fill["several"].mean(0)) for kind, fill in found.items()}
            methods["mean of 8 fills"] = score("mean of 8 fills", blur, sets, features, reference, real)
        write_json(args.file, results)
        print(method, json.dumps(methods[method], indent=1), flush=True)


def score(method: str, found: dict, sets: dict, features, reference: Tensor, real: Tensor) -> dict:
    """All that the table tells of a method: found is {kind: what `fill_all` gave}."""
    fills = FILLS if method == "mean of 8 fills" else 1
    row = dict(
        calls=calls("Palette") * FILLS if fills > 1 else calls(method),
        seconds=fills * sum(f["seconds"] for f in found.values()) / len(found),
        processor_seconds=fills * sum(f["processor_seconds"] for f in found.values()) / len(found),
    )
    kinds = {kind: similar(f["first"], *sets[kind]) for kind, f in found.items()}
    row |= dict(kinds=kinds, ssim=sum(k["ssim"] for k in kinds.values()) / len(kinds))
    row["mse"] = sum(k["mse"] for k in kinds.values()) / len(kinds)
    row["psnr"] = decibel(row["mse"])
    seen = torch.cat([extract(features, f["first"].clamp(-1, 1)) for f in found.values()])
    row |= distances(seen, reference) | above(seen, real, reference)
    if fills == 1 and all(f["several"] is not None for f in found.values()):
        row["diversity"] = dict(
            n=DIVERSE * len(found),
            fills=FILLS,
            **{kind: spread(f["several"][:, :DIVERSE], sets[kind][1][:DIVERSE]) for kind, f in found.items()},
        )
    return row


if __name__ == "__main__":
    main()
