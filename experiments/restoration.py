"""One model for four kinds of damage beside a regression, and a cascade beside one model.

    python -m experiments.restoration        resumes after a kill; what is done stays in build/restoration

Each task damages the same n held-out faces; the other test faces are the reference of the distances. PSNR and
SSIM are taken where pixels are unknown. The cascades draw `--faces` faces, against the 10,000 training faces.
"""

import argparse
import json
from pathlib import Path

import torch
from torch import Tensor

from experiments.common import above, fingerprint, part
from experiments.inpainting import ETA, FILLS, STEPS, distances, mean_colour, similar, spread
from helpers import profile
from helpers.checkpoints import FOLDER, load_card, load_denoiser, load_model
from helpers.data import load_faces
from helpers.features import extract
from helpers.files import write_json
from helpers.metrics import bootstrap, frechet_distance
from helpers.profile import BUILD, device_name
from helpers.samplers import draw, last, pairs, sample, timesteps
from helpers.schedules import make_schedule
from helpers.tasks import damage, noisy_large, restore, shrink

FILE = Path(__file__).with_suffix(".json")
PARTS = BUILD.parent / "restoration"
TASKS = ("colourise", "super_resolve", "uncrop", "jpeg")
NAMES = {"regression": "regress-faces", "Palette": "palette-faces"}
BATCH = 25
STAGES = dict(small=50, large=25, one=50)  # steps of the two stages, and of the one model; η = 0
LEVELS = {"cascade-64-plain": (0,), "cascade-64": (0, 100, 200, 300, 500)}


def no_network(task: str, y: Tensor, hole: Tensor) -> Tensor:
    """What one has without a network: y itself (bicubic, grey, JPEG), the mean colour around a picture."""
    return mean_colour(y, hole) if task == "uncrop" else y


@torch.no_grad()
def answer(method: str, predict, y: Tensor, hole: Tensor, seed: int) -> Tensor:
    """One answer for each y (n, 3, H, W), a few at a time: at once, or by diffusion."""
    generator, answers = torch.Generator().manual_seed(seed), []
    for known, unknown in zip(y.split(BATCH), hole.split(BATCH), strict=True):
        schedule = predict.schedule
        repair = restore(predict, schedule, known, unknown)
        with profile.autocast("cpu"):
            if method == "regression":
                x0 = repair(torch.zeros_like(known), torch.tensor(schedule.steps))[0]
            else:
                x = torch.randn(known.shape, generator=generator).to(memory_format=torch.channels_last)
                walk = pairs(timesteps(schedule.steps, STEPS))
                x0 = last(sample(repair, schedule, x, walk, ETA, generator=generator)).x
        answers.append(torch.where(unknown, x0.float().clamp(-1, 1), known))
    return torch.cat(answers)


def colours(features, faces, fills: Tensor) -> dict:
    """What a classifier sees in fills (K, n, 3, H, W): shirt colours a face, how often the right one."""
    with torch.no_grad():
        column = faces.position("clothing_color")
        seen = torch.stack([features(f, classify=True)[column].argmax(1) for f in fills])  # (K, n)
    counts = [len(set(one)) for one in seen.T.tolist()]
    return dict(
        attribute="clothing_color",
        fills=len(fills),
        different=sum(counts) / len(counts),
        right=float((seen == faces.column("clothing_color")).float().mean()),
    )


def row(fills: Tensor, faces, hole: Tensor, seen: Tensor, reference: Tensor, spent: dict, calls: int) -> dict:
    """All that the table tells of answers (K, n, 3, H, W): their first is scored by its features `seen`."""
    found = similar(fills[0], faces.images, hole) | distances(seen, reference)
    found |= dict(calls=calls, **{k: spent[k] / len(faces) for k in ("seconds", "processor_seconds")})
    return found | (dict(diversity=spread(fills, hole)) if len(fills) > 1 else {})


def one_task(task: str, faces, models: dict, marks: dict, features, reference: Tensor) -> dict:
    """The rows of one task: {method: row}."""
    seed = 100 + TASKS.index(task)
    y, hole = damage(task, faces.images, torch.Generator().manual_seed(seed))
    nothing, seen = dict(seconds=0, processor_seconds=0), {}
    blank = no_network(task, y, hole)
    rows = {"no network": row(blank[None], faces, hole, extract(features, blank), reference, nothing, 0)}
    for method, predict in models.items():
        parts = [
            part(
                PARTS / task,
                f"{NAMES[method]}-{marks[method]}-{len(faces)}-{k}",
                lambda k=k, method=method, predict=predict: answer(method, predict, y, hole, 1000 * seed + k),
            )
            for k in range(FILLS if method == "Palette" else 1)
        ]
        fills, spent = torch.stack([p["fills"] for p in parts]), parts[0]
        calls = STEPS if method == "Palette" else 1
        seen[method] = extract(features, fills[0])
        rows[method] = row(fills, faces, hole, seen[method], reference, spent, calls)
        if len(fills) > 1:
            all_of_them = {k: sum(p[k] for p in parts) for k in nothing}
            blur = fills.mean(0)
            rows[f"mean of {FILLS} fills"] = row(
                blur[None], faces, hole, extract(features, blur), reference, all_of_them, calls * FILLS
            )
        if task == "colourise":
            rows[method]["colours"] = colours(features, faces, fills)
    if len(seen) == 2:  # the same faces, so the difference is more certain than the two distances
        rows["regression"]["over_palette"] = above(seen["regression"], seen["Palette"], reference)
    return rows


def far(fake: Tensor, reference: Tensor) -> dict:
    """The Fréchet distance of pictures, given by features, to the training faces, and its 95 % interval."""
    interval = bootstrap(frechet_distance, fake, reference, repeats=50)
    return dict(n=len(fake), fd=frechet_distance(fake, reference), fd_interval=interval)


def cascades(folder: Path, n: int, features) -> dict:
    """Faces drawn by one model, by two stages, and by the second stage from real small faces."""
    train, valid = load_faces("embedded", "train").images, load_faces("embedded", "valid").images[:n]
    reference, small_reference = extract(features, train), extract(features, shrink(train))

    def drawn(name, key, size, count=n, where=folder, **options):
        """Faces by `draw`, once, with what they took."""
        predict = load_denoiser(name, folder=where)
        options = dict(steps=STAGES[size], seed=0) | options

        def make():
            return draw(predict, predict.schedule, count, **options)

        return part(PARTS / "cascade", f"{name}-{fingerprint(name, where)}-{n}-{key}", make)

    def cost(name, state, where=folder):
        card = load_card(name, where)
        return dict(
            parameters=card["parameters"],
            training_seconds=card["seconds"],
            **{k: state[k] / n for k in ("seconds", "processor_seconds")},
        )

    one = drawn("ddpm-faces", "drawn", "one", where=FOLDER)
    own = drawn("cascade-16", "drawn", "small", side=16)
    results = dict(
        n=n,
        steps=STAGES,
        eta=0.0,
        seed=0,
        reference=f"{len(reference):,} training faces",
        floor=dict(
            large=far(extract(features, valid), reference),
            small=far(extract(features, shrink(valid)), small_reference),
        ),
        one=cost("ddpm-faces", one, FOLDER) | far(extract(features, one["fills"]), reference),
        small=cost("cascade-16", own) | far(extract(features, own["fills"]), small_reference),
        large=[],
    )
    schedule, plain = make_schedule(**load_card("cascade-16", folder)["schedule"]), {}
    for name, levels in LEVELS.items():
        if not (folder / name / "card.json").exists():
            print(f"There is no checkpoint '{name}' yet.")
            continue
        for level in levels:
            for source, small in (("own", own["fills"]), ("real", shrink(valid))):
                s, g = torch.full((n,), level), torch.Generator().manual_seed(1)
                state = drawn(
                    name,
                    f"{source}-{level}-{fingerprint('cascade-16', folder)}",
                    "large",
                    seed=2,
                    image=noisy_large(small, schedule, s, g),
                )
                fake = extract(features, state["fills"])
                found = far(fake, reference)
                if name == "cascade-64-plain":
                    plain[source] = fake
                elif source in plain:  # the same small faces and the same start, so more certain
                    found["over_plain"] = above(fake, plain[source], reference)
                results["large"].append(
                    dict(model=name, level=level, noise=float(schedule.noise[level]), source=source)
                    | cost(name, state)
                    | found
                    | dict(follows=float((shrink(state["fills"]) - small).square().mean().sqrt()))
                )
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--n", type=int, default=200, help="faces for each task, at least 65")
    parser.add_argument("--faces", type=int, default=1000, help="faces for each cascade, at least 65")
    parser.add_argument("--only", nargs="+", help=f"of {' '.join(TASKS)} cascade; none means all")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the checkpoints are")
    parser.add_argument("--file", type=Path, default=FILE)
    args = parser.parse_args()
    features, test = load_model("face-features"), load_faces("embedded", "test")
    chosen = torch.zeros(len(test), dtype=torch.bool)
    chosen[:: len(test) // args.n][: args.n] = True  # evenly: unseen combinations stand first in the file
    faces, reference = test.take(torch.where(chosen)[0]), extract(features, test.images[~chosen])
    there = {m: n for m, n in NAMES.items() if (args.folder / n / "card.json").exists()}
    models = {method: load_denoiser(name, folder=args.folder) for method, name in there.items()}
    marks = {method: fingerprint(name, args.folder) for method, name in there.items()}
    results = json.loads(args.file.read_text()) if args.file.exists() else {}
    results["machine"] = dict(
        device=device_name(),
        torch=torch.__version__,
        n=args.n,
        fills=FILLS,
        steps=STEPS,
        eta=ETA,
        seeds="damage and answers of task k: 100 + k",
        reference=f"{len(reference)} other test faces",
    )
    results["floor"] = distances(extract(features, faces.images), reference)
    results["floor"]["colours"] = colours(features, faces, faces.images[None])
    for task in (*TASKS, "cascade"):
        if args.only and task not in args.only:
            continue
        if task == "cascade":
            results["cascade"] = cascades(args.folder, args.faces, features)
        else:
            done = one_task(task, faces, models, marks, features, reference)
            results.setdefault("tasks", {})[task] = done
        write_json(args.file, results)
        print(f"{task} is done.", flush=True)


if __name__ == "__main__":
    main()
