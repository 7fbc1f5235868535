"""Every kind of guidance at equal calls, on wishes of faces never seen: guidance.json for its lecture.

    python -m experiments.guidance            resumes after a kill; 250 faces a part, kept in build/guidance
    python -m experiments.guidance --sheet    only guidance.webp, the faces behind the lecture's slider

A wish names four attributes of a held-out face (ASKED) and leaves the rest open. All rows have the same
wishes and begin at the same noise. A call is one answer of a network for one face; the classifier's answer
and its gradient count as one, and so does the answer of the small, worse model of autoguidance. The judge
is face-features, which guides nothing. The rows grow in rounds: each says how many faces it has.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor
from torchvision.transforms.functional import to_pil_image

from experiments.common import fingerprint, part
from helpers.checkpoints import FOLDER, load_denoiser, load_model
from helpers.classifier import log_prob
from helpers.data import load_faces
from helpers.features import extract
from helpers.files import write_json
from helpers.guidance import classifier_guide, guide, project, rescale
from helpers.metrics import bootstrap, frechet_distance, moments, precision_recall
from helpers.pictures import Faces
from helpers.profile import BUILD, device, device_name
from helpers.samplers import draw
from recipes.face_features import balanced

FILE = Path(__file__).with_suffix(".json")
ASKED = ("hair_color", "glasses", "mouth", "facial_hair")
CALLS, SEED, PART = 32, 0, 250
ROUNDS = (250, 500, 1000)
INTERVAL = (200, 700)  # in which "interval" guides
WISHES = (  # of the sheet
    dict(glasses="sunglasses", hair_color="red"),
    dict(hat="turban", mouth="smile"),
    dict(hair_color="blue", facial_hair="beard"),
    dict(hair_style="bald", mouth="sad", clothing="hoodie"),
)
SCALES = (0.0, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0)
PLAIN = 5.0  # the scale at which what mends is compared with plain guidance


def wishes(faces: Faces, asked: tuple = ASKED) -> Tensor:
    """The attributes (N, A) of faces, all but those asked for left open."""
    kept = torch.tensor([name in asked for name in faces.names])
    return faces.attributes.long().masked_fill(~kept, -1)


def ways() -> dict:
    """Each row's denoiser, its scale, and its steps for CALLS calls (interval: some steps have one call)."""
    face, worse = load_denoiser("ddpm-faces", device()), load_denoiser("tuned-faces", device())
    table, asks = face.schedule, log_prob(load_model("noisy-classifier", device()))

    rows = {"none": (face, 1.0, CALLS)}
    rows["none, 16 steps"] = (face, 1.0, CALLS // 2)  # as many steps as with guidance, half the calls
    for scale in (1.5, 2.0, 3.0, 5.0, 8.0):
        rows[f"classifier-free, {scale:g}"] = (guide(face, scale, attributes=-1), scale, CALLS // 2)
    for scale in (1.0, 3.0, 8.0):
        rows[f"classifier, {scale:g}"] = (classifier_guide(face, table, asks, scale), scale, CALLS // 2)
    for name, combine in dict(rescaled=rescale(table), projected=project(table)).items():
        guided = guide(face, PLAIN, combine=combine, attributes=-1)
        rows[f"{name}, {PLAIN:g}"] = (guided, PLAIN, CALLS // 2)
    guided = guide(face, PLAIN, interval=INTERVAL, attributes=-1)
    share = 1 + (INTERVAL[1] - INTERVAL[0]) / 1000  # calls a step, on average
    rows[f"interval, {PLAIN:g}"] = (guided, PLAIN, round(CALLS / share))
    for scale in (1.5, 2.0):
        rows[f"autoguidance, {scale:g}"] = (guide(face, scale, worse=worse), scale, CALLS // 2)
    rows["small model, none"] = (worse, 1.0, CALLS)  # does guidance help more where there is more to mend?
    for scale in (1.5, 2.0, 3.0):
        rows[f"small model, {scale:g}"] = (guide(worse, scale, attributes=-1), scale, CALLS // 2)
    return rows


def found(predict, schedule, asked: Tensor, steps: int, seed: int, judge) -> dict:
    """What is kept of the faces drawn for asked (n, A): features, the judge's guesses, contrast, colour."""
    images = draw(predict, schedule, len(asked), steps, seed, device(), attributes=asked)
    with torch.no_grad():
        guesses = torch.stack([g.argmax(1) for g in judge(images, classify=True)], 1)
    return dict(features=extract(judge, images), guesses=guesses) | colours(images)


def colours(images: Tensor) -> dict:
    """Per picture (N,): contrast (standard deviation) and colour (largest less smallest channel)."""
    return dict(
        contrast=images.flatten(1).std(1), colour=(images.amax(1) - images.amin(1)).flatten(1).mean(1)
    )


def score(
    row: dict, asked: Tensor, against: dict | None, reference, real: Tensor, asked_columns: list
) -> dict:
    """What the file tells of a row; `against` is the row that it is compared with, face by face."""
    features, n = row["features"], len(row["features"])
    right = (row["guesses"] == asked[:n])[:, asked_columns].float()  # (n, 4)
    precision, recall = precision_recall(real[:n], features)

    def fd(some):
        return frechet_distance(some, reference)

    told = dict(
        n=n,
        fd=fd(features),
        interval=bootstrap(fd, features, repeats=100),
        right=float(right.mean()),
        all_right=float(right.all(1).float().mean()),
        balanced={
            name: float(balanced(row["guesses"][:, c], asked[:n, c]))
            for name, c in zip(ASKED, asked_columns, strict=True)
        },
        precision=precision,
        recall=recall,
        contrast=float(row["contrast"].mean()),
        colour=float(row["colour"].mean()),
    )
    if against is not None:
        both, width = torch.cat([features, against["features"][:n]], 1), features.shape[1]
        told["difference"] = bootstrap(
            lambda rows: fd(rows[:, :width]) - fd(rows[:, width:]), both, repeats=100
        )
    return told


def sheet() -> None:
    """guidance.webp: four faces (columns) from the same noises; a row for each scale of each wish."""
    face, faces = load_denoiser("ddpm-faces", device()), load_faces("embedded", "valid")
    rows = []
    for wish in WISHES:
        row = faces.ask(4, **wish)
        for scale in SCALES:
            images = draw(
                guide(face, scale, attributes=-1), face.schedule, 4, 16, 0, device(), attributes=row
            )
            rows.append(torch.cat(list(images), 2))  # (3, 64, 4 · 64)
    to_pil_image(torch.cat(rows, 1) / 2 + 0.5).save(FILE.with_suffix(".webp"), quality=90, method=6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sheet", action="store_true")
    if parser.parse_args().sheet:
        return sheet()
    train, valid = load_faces("embedded", "train"), load_faces("embedded", "valid")
    judge = load_model("face-features")
    asked = wishes(valid)
    columns = [valid.position(name) for name in ASKED]
    features, floor = extract(judge, train.pixels), extract(judge, valid.pixels)
    reference, real = moments(features), features[:1000]
    schedule, rows, kept = load_denoiser("ddpm-faces").schedule, ways(), {}
    names = ("ddpm-faces", "tuned-faces", "noisy-classifier")
    mark = "-".join(fingerprint(name, FOLDER) for name in names)
    for n in ROUNDS:
        results = dict(
            machine=dict(device=device_name(), torch=torch.__version__, seed=SEED, eta=0.0, calls=CALLS),
            asked=ASKED,
            wishes="of the valid faces; all other attributes open",
            judge="face-features",
            reference="10,000 training faces; precision and recall: 1,000 of them",
            interval=INTERVAL,
            floor=dict(n=n, fd=frechet_distance(floor[:n], reference))
            | dict(zip(("precision", "recall"), precision_recall(real[:n], floor[:n]), strict=True))
            | {k: float(v.mean()) for k, v in colours(valid.images[:n]).items()},
            rows={},
        )
        for key, (predict, scale, steps) in rows.items():
            parts = []
            for first in range(0, n, PART):

                def make(predict=predict, steps=steps, first=first):
                    return found(predict, schedule, asked[first : first + PART], steps, SEED + first, judge)

                parts.append(part(BUILD.parent / "guidance", f"{key.replace(' ', '')}-{mark}-{first}", make))
            row = {k: torch.cat([p["fills"][k] for p in parts]) for k in parts[0]["fills"]}
            kept[key] = row
            mends = scale == PLAIN and "free" not in key
            against = f"classifier-free, {PLAIN:g}" if mends else "none" if key != "none" else None
            told = score(row, asked, kept.get(against), reference, real, columns)
            results["rows"][key] = dict(scale=scale, steps=steps, against=against) | told
            results["rows"][key]["seconds"] = sum(p["seconds"] for p in parts) / n
            print(key, n, {k: told[k] for k in ("fd", "all_right", "precision", "recall")}, flush=True)
        write_json(FILE, results)


if __name__ == "__main__":
    main()
