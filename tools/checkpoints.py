"""Trains a checkpoint of the course: python -m tools.checkpoints NAME (resumes after a kill)."""

import argparse
import copy
import json
import math
import platform
import time
from functools import partial
from pathlib import Path

import torch
from torch.nn import functional as F
from torchvision.utils import save_image
from tqdm.auto import tqdm

from helpers import course
from helpers.checkpoints import FOLDER, load_card, load_denoiser, load_model, save_model, write_card
from helpers.course import ROOT
from helpers.data import load_faces
from helpers.diffusion import Denoiser, diffusion_loss
from helpers.guidance import drop_attributes, guide
from helpers.metrics import FaceFeatures, bootstrap, extract, frechet_distance, inside, nearest
from helpers.samplers import last, pairs, sample, timesteps
from helpers.schedules import make_schedule
from helpers.tasks import damage, noisy_large, restore, shrink
from helpers.train import fit
from helpers.unet import UNet

BUILD = ROOT / "build" / "training"


def device_name() -> str:
    """The GPU's name, or the processor's kind and the threads in use."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    threads = torch.get_num_threads()
    return f"CPU ({platform.machine()}, {threads} thread{'s' * (threads > 1)})"


def train(name: str, network, data, loss, **recipe):
    """Runs `fit` under a progress bar with the loss; (averaged network, seconds of this run)."""
    checkpoint = BUILD / f"{name}.pt"
    start, mean, before = time.perf_counter(), None, time_spent(checkpoint)
    bar = tqdm(total=recipe["steps"], desc=name, smoothing=0.02)
    for step in fit(network, data, loss, checkpoint=checkpoint, **recipe):
        if step.loss == step.loss:  # nan says that nothing was left to do
            mean = step.loss if mean is None else 0.99 * mean + 0.01 * step.loss
            bar.set_postfix(loss=f"{mean:.4f}", rate=f"{step.rate:.1e}", refresh=False)
        bar.update(step.step - bar.n)
        if step.step % 250 == 0:
            time_file(checkpoint).write_text(f"{before + time.perf_counter() - start:.0f}")
    bar.close()
    return step.ema, before + time.perf_counter() - start


def time_file(checkpoint: Path) -> Path:
    """Where the seconds of earlier, interrupted runs are kept."""
    return checkpoint.with_suffix(".seconds")


def time_spent(checkpoint: Path) -> float:
    file = time_file(checkpoint)
    return float(file.read_text()) if file.exists() and checkpoint.exists() else 0.0


def nudge(images, generator):
    """Pictures moved by up to 2 pixels, so that the features do not count on exact places."""
    dx, dy = torch.randint(-2, 3, (2,), generator=generator).tolist()
    return torch.roll(F.pad(images, (2, 2, 2, 2), mode="replicate"), (dy, dx), (2, 3))[:, :, 2:-2, 2:-2]


def attribute_network(name: str, data, valid, recipe: dict, move, about: dict, **options) -> None:
    """Trains and keeps a classifier of all attributes, whose features the distances are measured in.

    move(images, generator) is the augmentation; about goes into the card.
    """
    torch.manual_seed(0)
    network = FaceFeatures(data.cardinalities, width=24)

    def loss(network, batch, generator):
        guesses, truths = (network(move(batch["image"], generator), classify=True), batch["attributes"].T)
        return sum(map(F.cross_entropy, guesses, truths)) / len(truths)

    network, seconds = train(name, network, data, loss, **recipe, **options)
    network.scale.copy_(extract(network, data.images).var(0).mean().sqrt())
    with torch.no_grad():
        guesses = torch.stack([g.argmax(1).cpu() for g in network(valid.images, classify=True)], 1)  # (N, A)
    right = (guesses == valid.attributes).float()
    card = dict(
        recipe=recipe,
        names=data.names,
        values=data.values,
        seconds=round(seconds),
        device=device_name(),
        accuracy={n: round(float(right[:, i].mean()), 4) for i, n in enumerate(data.names)},
        balanced_accuracy=round(float(balanced_accuracy(guesses, valid)), 4),
        n=len(valid),
        **about,
    )
    save_model(name, network, card)
    print(card["accuracy"], card["balanced_accuracy"])


def balanced_accuracy(guesses, faces) -> torch.Tensor:
    """The share recognised of each value, averaged over values and attributes; chance is 1/2 for two."""
    shares = []
    for column, name in enumerate(faces.names):
        truth = faces.column(name)
        hits = [(guesses[truth == v, column] == v).float().mean() for v in truth.unique()]
        shares.append(torch.stack(hits).mean())
    return torch.stack(shares).mean()


def face_features(**options) -> None:
    """The feature network of the Fréchet distance: an attribute classifier of the embedded faces."""
    data, valid = load_faces("embedded", "train"), load_faces("embedded", "valid")
    recipe = dict(
        steps=1200, batch=64, rate=2e-3, warmup=100, ema=0.99, seed=0, bf16=True, channels_last=True
    )
    about = dict(data="embedded faces, train")
    attribute_network("face-features", data, valid, recipe, nudge, about, **options)


CELEBA_LICENCE = "CelebA is for non-commercial research only, and so are these weights"


def nudge_and_flip(images, generator):
    """As `nudge`, every other picture in the mirror, and a little lighter or darker."""
    return nudge(flip(images, generator), generator).clamp(-1, 1)


def flip(images, generator):
    """Each picture in the mirror with probability 1/2."""
    mirror = torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device) < 0.5
    return torch.where(mirror, images.flip(3), images)


def celeba_features(**options) -> None:
    """The 40 attributes of CelebA: features for distances between photographs (session 07)."""
    data, valid = load_faces("celeba", "train"), load_faces("celeba", "valid")
    recipe = dict(steps=1500, batch=64, rate=1e-3, warmup=100, ema=0.99, seed=0, weight_decay=0.1)
    recipe |= dict(bf16=True, channels_last=True)
    about = dict(data=f"{len(data):,} photographs (CelebA, train)", licence=CELEBA_LICENCE)
    attribute_network("celeba-features", data, valid, recipe, nudge_and_flip, about, **options)


# Chosen in benchmarks/candidates.md; later sessions build on it, so it stays as it is.
FACE_UNET = dict(widths=(48, 96, 128), patch=2)
FACE_SCHEDULE = dict(name="cosine", steps=1000, log_snr_shift=-2 * math.log(2))


def ddpm_faces(**options) -> None:
    """The face model of the course: 64×64, v-prediction, conditional on attributes; any may be open."""
    torch.manual_seed(0)
    data = load_faces("embedded", "train")
    network = UNet(attributes=data.cardinalities, **FACE_UNET)
    schedule = make_schedule(**FACE_SCHEDULE)
    recipe = dict(
        steps=5000, batch=32, rate=2e-3, warmup=200, ema=0.999, seed=0, bf16=True, channels_last=True
    )
    # Faces drawn after the first part had hair of two colours: that is settled in the noisiest third of the
    # steps, and without a condition. The second part sees both more often.
    more = recipe | dict(steps=7500, rate=1.5e-3, seed=1)
    seconds = 0.0
    for part, recipe_of_part, dropped, weight in (
        ("", recipe, 0.1, None),
        ("-more", more, 0.3, lambda log_snr: 1 + 2 * torch.sigmoid(-log_snr - 3)),
    ):

        def loss(network, batch, generator, dropped=dropped, weight=weight):
            attributes = drop_attributes(batch["attributes"], dropped, generator)
            denoiser = Denoiser(network, schedule, "v")
            return diffusion_loss(denoiser, batch["image"], generator, weight, attributes=attributes)

        average, spent = train(f"ddpm-faces{part}", network, data, loss, **recipe_of_part, **options)
        network, seconds = copy.deepcopy(average).requires_grad_(True), seconds + spent
    card = model_card(recipe, seconds) | dict(
        more=more | dict(dropped=0.3, weight="1 + 2 sigmoid(-log SNR - 3)"),
        data="10,000 drawn faces (embedded, train)",
        names=data.names,
        values=data.values,
        steps=recipe["steps"] + more["steps"],
    )
    save_model("ddpm-faces", network, card)
    measure("ddpm-faces")


def model_card(recipe: dict, seconds: float) -> dict:
    """What every card of a model on faces tells of its training."""
    return dict(
        recipe=recipe,
        schedule=FACE_SCHEDULE,
        target="v",
        seed=0,
        seconds=round(seconds),
        device=device_name(),
    )


@torch.no_grad()
def draw(
    predict,
    schedule,
    n: int,
    steps: int,
    seed: int,
    device="cpu",
    batch: int = 50,
    side: int = 64,
    eta: float = 0.0,
    **condition,
) -> torch.Tensor:
    """n faces (n, 3, side, side) in [−1, 1] by DDIM with η; conditions have n rows."""
    generator, walk, parts = (
        torch.Generator().manual_seed(seed),
        pairs(timesteps(schedule.steps, steps)),
        [],
    )
    for first in tqdm(range(0, n, batch), f"{n} faces, {steps} steps", mininterval=5):
        x = torch.randn(min(batch, n - first), 3, side, side, generator=generator).to(device)
        asked = {k: v[first : first + batch].to(device) for k, v in condition.items()}
        with course.autocast(device):
            x = x.to(memory_format=torch.channels_last)
            end = last(sample(predict, schedule, x, walk, eta, generator=generator, **asked))
        parts.append(end.x.float().clamp(-1, 1).cpu())
    return torch.cat(parts)


@torch.no_grad()
def obedience(predict, schedule, features, faces, **options) -> dict:
    """How many of the attributes asked for a classifier finds in the picture, guided with scale 2."""
    asked = faces.attributes.long()
    images = draw(guide(predict, 2.0), schedule, len(asked), 20, 0, attributes=asked, **options)
    guesses = torch.stack([g.argmax(1) for g in features(images, classify=True)], 1)  # (N, A)
    return dict(
        n=len(asked),
        steps=20,
        guidance=2.0,
        seed=0,
        judge="face-features",
        attributes=float((guesses == asked).float().mean()),
        all_right=float((guesses == asked).all(1).float().mean()),
    )


def scores(predict, n: int = 1000, steps: int = 50, seed: int = 0, device="cpu") -> dict:
    """What a face model's card tells of its quality: distance, copying, obedience."""
    schedule, features = predict.schedule, load_model("face-features")
    data, test = load_faces("embedded", "train"), load_faces("embedded", "test")
    seen, unseen = (test.take(torch.where(test.unseen == u)[0][:200]) for u in (False, True))
    reference = extract(features, data.images)
    real = extract(features, load_faces("embedded", "valid").images)
    images = draw(predict, schedule, n, steps, seed, device)
    fake = extract(features, images)
    small = dict(n=200, steps=10, seed=seed)
    few = extract(features, draw(predict, schedule, **small, device=device))
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
        fd_small=dict(
            **small, value=(value := frechet_distance(few, reference)), interval=[0.9 * value, 1.1 * value]
        ),
        copying=dict(
            what="root mean square distance to the nearest training face, pixels in [−1, 1]",
            n=n,
            samples=quantiles(near),
            test_faces=quantiles(near_real),
        ),
        obedience=dict(
            seen=obedience(predict, schedule, features, seen, device=device),
            unseen=obedience(predict, schedule, features, unseen, device=device),
        ),
    )


def sheet(name: str, n: int = 100, steps: int = 40, seed: int = 1) -> None:
    """Writes build/NAME-sheet.png: n unselected faces as session 00 draws them, nothing asked for."""
    predict = load_denoiser(name)
    images = draw(predict, predict.schedule, n, steps, seed, eta=1.0)
    save_image(images / 2 + 0.5, BUILD.parent / f"{name}-sheet.png", nrow=10)


def quantiles(values: torch.Tensor) -> dict:
    return {f"{q:g}": round(float(values.quantile(q)), 4) for q in (0.01, 0.05, 0.5)}


def measure(name: str) -> None:
    """Writes the scores of a trained model into its card."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    card = load_card(name) | scores(load_denoiser(name, device), device=device)
    write_card(FOLDER / name, card)
    print(json.dumps({k: card[k] for k in ("fd", "fd_small", "copying", "obedience")}, indent=1))


# How many of each 32 pictures are damaged how: session 07 fills holes, session 08 does the rest.
PALETTE_TASKS = {"inpaint": 12, "uncrop": 5, "colourise": 5, "super_resolve": 5, "jpeg": 5}


def share_tasks(x0, generator):
    """What a model is shown of a batch of 32 faces, or any number, each task having its share: (y, hole)."""
    ends = torch.tensor(list(PALETTE_TASKS.values())).cumsum(0) * len(x0) // sum(PALETTE_TASKS.values())
    here = torch.Generator().manual_seed(  # holes are cut on the CPU
        int(torch.randint(2**31, (), generator=generator, device=x0.device))
    )
    parts = torch.tensor_split(x0.cpu(), ends[:-1].tolist())
    shown = [damage(task, part, here) for task, part in zip(PALETTE_TASKS, parts, strict=True) if len(part)]
    y, hole = (torch.cat(part).to(x0.device) for part in zip(*shown, strict=True))
    return y.to(memory_format=torch.channels_last), hole


def palette_loss(schedule, mirror: bool = False):
    """The loss of a Palette model on a batch: every task has its share of it."""

    def loss(network, batch, generator):
        x0 = flip(batch["image"], generator) if mirror else batch["image"]
        y, hole = share_tasks(x0, generator)
        return diffusion_loss(Denoiser(network, schedule, "v"), x0, generator, hole=hole, image=y)

    return loss


def regression_loss(schedule):
    """The squared error of x0, guessed once from y alone: t = T, and 0 where Palette has noise."""

    def loss(network, batch, generator):
        x0 = batch["image"]
        y, hole = share_tasks(x0, generator)
        guess, _ = restore(Denoiser(network, schedule, "v"), y, hole)(torch.zeros_like(x0), schedule.steps)
        return inside((guess - x0).square(), hole).mean()

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


FIVE_TASKS = dict(
    steps=8000, batch=32, rate=1.5e-3, warmup=200, ema=0.999, seed=0, bf16=True, channels_last=True
)


def five_tasks(name: str, loss, **options) -> None:
    """Trains and keeps a U-Net that sees y and begins as ddpm-faces, on all tasks."""
    torch.manual_seed(0)
    network = palette_network(load_denoiser("ddpm-faces", "cpu").network)
    start = "ddpm-faces, all attributes open; what sees the condition picture begins at 0"
    on_drawn_faces(name, network, loss, FIVE_TASKS, dict(start=start, tasks=PALETTE_TASKS), **options)


def on_drawn_faces(name: str, network: UNet, loss, recipe: dict, about: dict, **options) -> None:
    """Trains and keeps a network on the drawn faces; about goes into the card."""
    data = load_faces("embedded", "train")
    average, seconds = train(name, network, data, loss, **recipe, **options)
    card = model_card(recipe, seconds) | dict(data=f"{len(data):,} drawn faces (embedded, train)")
    save_model(name, average, card | about, bits=8)


def palette_faces(**options) -> None:
    """One model for five tasks on the drawn faces (sessions 07 and 08)."""
    five_tasks("palette-faces", palette_loss(make_schedule(**FACE_SCHEDULE)), **options)


def regress_faces(**options) -> None:
    """The same network, start, tasks and steps, but it answers at once, with one picture (session 08)."""
    five_tasks("regress-faces", regression_loss(make_schedule(**FACE_SCHEDULE)), **options)


# A picture of half the side stands noise worse: +2·ln 2 in log SNR for each halving, from 64×64.
SMALL_SCHEDULE = dict(FACE_SCHEDULE, log_snr_shift=2 * math.log(2))
SMALL_UNET = dict(widths=(48, 64), attention=(1,))
LARGE_UNET = dict(widths=(32, 48, 80), patch=2, image_channels=4)  # sees the small face, and its noise
HIGHEST = 500  # of the 1,000 steps: the noisiest small face that the up-sampler is trained on


def cascade_16(**options) -> None:
    """The first stage of a cascade: faces of 16×16, nothing asked for (session 08)."""
    schedule = make_schedule(**SMALL_SCHEDULE)

    def loss(network, batch, generator):
        return diffusion_loss(Denoiser(network, schedule, "v"), shrink(batch["image"]), generator)

    stage("cascade-16", SMALL_UNET, loss, 5000, dict(schedule=SMALL_SCHEDULE), **options)


def cascade_64(name: str = "cascade-64", highest: int = HIGHEST, **options) -> None:
    """The second stage, 16×16 → 64×64; the small face has the noise of a random step of 0…highest."""
    schedule, small_schedule = make_schedule(**FACE_SCHEDULE), make_schedule(**SMALL_SCHEDULE)

    def loss(network, batch, generator):
        x0 = batch["image"]
        s = torch.randint(highest + 1, (len(x0),), generator=generator, device=x0.device)
        image = noisy_large(shrink(x0), small_schedule, s, generator)
        return diffusion_loss(Denoiser(network, schedule, "v"), x0, generator, image=image)

    stage(name, LARGE_UNET, loss, 4000, dict(highest=highest), **options)


def stage(name: str, config: dict, loss, steps: int, about: dict, **options) -> None:
    """Trains and keeps one stage of the cascade; about goes into the card."""
    torch.manual_seed(0)
    recipe = FIVE_TASKS | dict(steps=steps, rate=2e-3)
    on_drawn_faces(name, UNet(**config), loss, recipe, about, **options)


def palette_celeba(steps: int | None = None, **options) -> None:
    """The same five tasks on photographs of CelebA (session 07); begins as palette-faces.

    The shipped weights saw only the 4,560 training photographs that were at hand; with all 162,770 ask
    for more `steps`, on one or several GPUs.
    """
    from accelerate import PartialState

    torch.manual_seed(0)
    data, schedule = load_faces("celeba", "train"), make_schedule(**FACE_SCHEDULE)
    network = palette_network(load_denoiser("palette-faces", "cpu").network)
    recipe = FIVE_TASKS | dict(steps=steps or 5000)
    name = "palette-celeba" if steps is None else f"palette-celeba-{steps}"  # a trial is not gone on with
    average, seconds = train(name, network, data, palette_loss(schedule, True), **recipe, **options)
    if not PartialState().is_main_process:
        return
    card = dict(
        start="palette-faces; every other picture in the mirror",
        data=f"{len(data):,} photographs (CelebA, train)",
        licence=CELEBA_LICENCE,
        tasks=PALETTE_TASKS,
    )
    card = model_card(recipe, seconds) | card
    save_model(name, average, card, folder=FOLDER if steps is None else BUILD)


def ddpm_celeba(steps: int | None = None, **options) -> None:
    """CelebA at 64×64, unconditional, for one or several GPUs (lecture 05); `steps` only tries so many."""
    from accelerate import PartialState

    torch.manual_seed(0)
    data, schedule = load_faces("celeba", "train"), make_schedule(**FACE_SCHEDULE)
    network = UNet(widths=(64, 128, 192), blocks=2, attention=(1, 2), patch=2)  # attends at 16×16 and 8×8
    recipe = dict(
        steps=steps or 100_000,
        batch=64,
        rate=5e-4,
        warmup=1000,
        ema=0.9999,
        seed=0,
        bf16=True,
        channels_last=True,
        every=steps or 1000,
    )

    def loss(network, batch, generator):
        return diffusion_loss(Denoiser(network, schedule, "v"), batch["image"], generator)

    name = "ddpm-celeba" if steps is None else f"ddpm-celeba-{steps}"  # a trial is not gone on with
    average, seconds = train(name, network, data, loss, **recipe, **options)
    if not PartialState().is_main_process:
        return
    if steps is not None:
        print(f"{steps} steps in {seconds:.0f} s by {PartialState().num_processes} processes; not kept.")
        return
    card = model_card(recipe, seconds) | dict(
        data=f"{len(data):,} photographs (CelebA, train)",
        licence=CELEBA_LICENCE,
        quality="not measured: the features of drawn faces mean little on photographs",
    )
    save_model("ddpm-celeba", average, card)


RECIPES = {
    "face-features": face_features,
    "ddpm-faces": ddpm_faces,
    "ddpm-celeba": ddpm_celeba,
    "palette-faces": palette_faces,
    "palette-celeba": palette_celeba,
    "regress-faces": regress_faces,
    "cascade-16": cascade_16,
    "cascade-64": cascade_64,
    "cascade-64-plain": partial(cascade_64, "cascade-64-plain", 0),
    "celeba-features": celeba_features,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(RECIPES), help="which checkpoint")
    parser.add_argument("--compile", action="store_true", help="faster, where a C++ compiler is at hand")
    parser.add_argument("--steps", type=int, help="only so many, to try it out, or more (CelebA models)")
    parser.add_argument("--sheet", action="store_true", help="draw 100 faces with it instead of training it")
    asked = parser.parse_args()
    if asked.sheet:
        return sheet(asked.name)
    if asked.steps is not None and (asked.name not in ("ddpm-celeba", "palette-celeba") or asked.steps < 1):
        parser.error("--steps is a number of at least 1, and goes with ddpm-celeba and palette-celeba.")
    trial = {} if asked.steps is None else {"steps": asked.steps}
    RECIPES[asked.name](compile=asked.compile, **trial)


if __name__ == "__main__":
    main()
