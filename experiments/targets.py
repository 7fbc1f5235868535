"""What a network should answer: ε, x0, v or the score; two schedules, two weightings, three seeds.

    python -m experiments.targets    resumes after a kill; writes targets.json for lecture parameterisations

One small network and one budget for all. Digits (8×8, real) are scored by the Fréchet distance in the
features of a digit classifier, the Swiss roll (2-D) by the energy distance; never by the loss of a target,
which has a unit of its own. Beside it the error of the guessed x0 at single t.
"""

import argparse
import json
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from helpers.data import load_digits, load_points
from helpers.diffusion import Denoiser, add_noise, diffusion_loss
from helpers.features import extract
from helpers.files import write_json
from helpers.layers import sinusoidal_embedding, zero_module
from helpers.metrics import frechet_distance
from helpers.profile import device_name
from helpers.samplers import last, pairs, sample, timesteps
from helpers.schedules import make_schedule
from helpers.targets import min_snr_weight
from helpers.train import fit

FILE = Path(__file__).with_suffix(".json")
FOUR = ("eps", "x0", "v", "score")  # the targets of lecture parameterisations
RECIPE = dict(batch=128, lr=2e-3, warmup=100, ema=0.995)
TIMES = (1, 3, 10, 30, 100, 200, 300, 400, 500, 600, 700, 800, 900, 960, 990, 1000)
TRAINED, JUDGED = 1000, 797  # digits for training, and digits that no generator sees


class Network(nn.Module):
    """Three residual layers: x (B, …) of `dims` numbers and t (B,) → an answer like x, at first 0."""

    def __init__(self, dims: int, width: int = 256):
        super().__init__()
        self.first = nn.Linear(dims + 64, width)
        self.middle = nn.ModuleList(nn.Linear(width, width) for _ in range(3))
        self.last = zero_module(nn.Linear(width, dims))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        h = self.first(torch.cat([x.flatten(1), sinusoidal_embedding(t, 64)], 1))
        for layer in self.middle:
            h = h + layer(F.silu(h))
        return self.last(F.silu(h)).view_as(x)


class DigitFeatures(nn.Module):
    """A digit classifier: images (B, 1, 8, 8) → features (B, 16) of unit variance, or logits (B, 10)."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.SiLU(), nn.Linear(128, 16))
        self.head = nn.Linear(16, 10)
        self.register_buffer("scale", torch.ones(()))

    def forward(self, images: Tensor, classify: bool = False) -> Tensor:
        features = self.body(images)
        return self.head(F.silu(features)) if classify else features / self.scale


def digits() -> tuple[Tensor, Tensor]:
    """(training digits, held-out digits), mixed with a fixed seed: the file is sorted by writer."""
    images = load_digits(8)[0]
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    return images[order[:TRAINED]], images[order[TRAINED:]]


def digit_features(steps: int = 1500) -> DigitFeatures:
    """The judge, trained once with a fixed seed on all real digits, so that both halves are alike to it."""
    torch.manual_seed(0)
    network, (images, labels) = DigitFeatures(), load_digits(8)

    def loss(network, batch, generator):
        images, labels = batch
        noise = torch.randn(images.shape, generator=generator, device=images.device)
        return F.cross_entropy(network(images + 0.2 * noise, classify=True), labels)

    judge = last(fit(network, TensorDataset(images, labels), loss, steps, batch=128)).ema.cpu()
    judge.scale.copy_(extract(judge, images).var(0).mean().sqrt())
    return judge


def energy_distance(a: Tensor, b: Tensor) -> float:
    """2 E‖a − b‖ − E‖a − a′‖ − E‖b − b′‖ of points (N, D), (M, D); 0 only for equal distributions.

    The means run over different points of a set (Székely and Rizzo 2013, eq. 1): no bias, and the value
    of two samples of one distribution can lie below 0.
    """

    def within(x):
        return float(torch.cdist(x, x).sum()) / (len(x) * (len(x) - 1))

    return 2 * float(torch.cdist(a, b).mean()) - within(a) - within(b)


def weight(target: str, name: str):
    """The `weight` of `diffusion_loss`: none, noise² (makes the score's error that of ε), or Min-SNR."""
    return {
        "own": None,
        "noise²": lambda log_snr: torch.sigmoid(-log_snr),
        "min-SNR 5": min_snr_weight(target, 5.0),
    }[name]


def runs(seeds: int = 3):
    """All (data, schedule, target, weight, seed): the plain losses of the digits first, then what is new."""
    for data, name, targets, schedules in (
        ("digits", "own", FOUR, ("linear", "cosine")),
        ("digits", "min-SNR 5", ("eps", "x0", "v"), ("cosine",)),
        ("digits", "noise²", ("score",), ("linear", "cosine")),
        ("roll", "own", FOUR, ("linear", "cosine")),
    ):
        for seed in range(seeds):
            for schedule in schedules:
                for target in targets:
                    yield data, schedule, target, name, seed


def train(data: Tensor, schedule, target: str, name: str, seed: int, steps: int) -> tuple[nn.Module, float]:
    """The averaged network after `steps`, and the seconds it took."""
    torch.manual_seed(seed)
    network, start = Network(data[0].numel()), time.perf_counter()

    def loss(network, batch, generator):
        return diffusion_loss(Denoiser(network, schedule, target), batch, generator, weight(target, name))

    average = last(fit(network, data, loss, steps, seed=seed, **RECIPE)).ema
    return average.cpu(), time.perf_counter() - start


def draw(predict: Denoiser, n: int, like: Tensor, eta: float = 1.0, clip: bool = True, count: int = 100):
    """n samples in `count` steps, always from the same noise; they may be infinite where it breaks."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(n, *like.shape[1:], generator=generator)
    walk = pairs(timesteps(predict.schedule.steps, count))
    return last(sample(predict, predict.schedule, x, walk, eta, clip=clip, generator=generator)).x


@torch.no_grad()
def errors(predict: Denoiser, x0: Tensor) -> list[float]:
    """Mean squared error of the guessed x0, not clipped, at each of TIMES; the same ε for every network."""
    generator, found = torch.Generator().manual_seed(2), []
    for t in TIMES:
        eps = torch.randn(x0.shape, generator=generator)
        guess = predict(add_noise(predict.schedule, x0, torch.full((len(x0),), t), eps), t)[0]
        found.append(float((guess - x0).square().mean()))
    return found


@torch.no_grad()
def own_loss(predict: Denoiser, x0: Tensor) -> float:
    """The loss in the target's own unit on data that nobody trained on, each used ten times."""
    generator = torch.Generator().manual_seed(3)
    return float(torch.stack([diffusion_loss(predict, x0, generator) for _ in range(10)]).mean())


def measure_digits(predict: Denoiser, judge: nn.Module, held_out: Tensor) -> dict:
    def fd(**options):
        images = draw(predict, TRAINED, held_out, **options).clamp(-1, 1)
        if not images.isfinite().all():
            return None  # beyond all numbers
        return frechet_distance(extract(judge, images), extract(judge, held_out))

    return dict(fd=fd(), fd_unclipped=fd(clip=False))


def measure_roll(predict: Denoiser, held_out: Tensor) -> dict:
    points = draw(predict, len(held_out), held_out, clip=False)
    return dict(energy=energy_distance(points, held_out) if points.isfinite().all() else None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--file", type=Path, default=FILE)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    sets = dict(digits=digits(), roll=tuple(load_points("swiss_roll", 2000, seed) for seed in (0, 1)))
    judge, results = digit_features(), json.loads(args.file.read_text()) if args.file.exists() else {}
    machine = dict(RECIPE, steps=args.steps, device=device_name(), torch=torch.__version__)
    if results.get("machine", machine) != machine:
        raise SystemExit(f"{args.file} was begun otherwise ({results['machine']}): delete it to start anew.")
    features = [extract(judge, half) for half in sets["digits"]]
    results["machine"], results["times"] = machine, TIMES
    results["floor"] = dict(fd=frechet_distance(*features), energy=energy_distance(*sets["roll"]))
    results["n"] = dict(digits=[TRAINED, JUDGED], roll=[len(half) for half in sets["roll"]])
    for data, schedule, target, name, seed in runs(args.seeds):
        stored, (training, held_out) = results.setdefault(data, {}), sets[data]
        if (key := f"{schedule}, {target}, {name}, seed {seed}") in stored:
            continue
        table = make_schedule(schedule)
        network, seconds = train(training, table, target, name, seed, args.steps)
        predict = Denoiser(network, table, target)
        scores = measure_digits(predict, judge, held_out) if data == "digits" else {}
        scores |= measure_roll(predict, held_out) if data == "roll" else {}
        scores |= dict(loss=own_loss(predict, held_out), x0=errors(predict, held_out))
        stored[key] = dict(scores, seconds=round(seconds, 1))
        write_json(args.file, results)
        print(data, key, {k: v for k, v in stored[key].items() if k != "x0"}, flush=True)


if __name__ == "__main__":
    main()
