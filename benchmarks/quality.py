"""The headline: trainings of equal minutes at the learning rate that a short search found best."""

import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from tqdm.auto import tqdm

from benchmarks.common import BATCH, PLAIN, SETTINGS, SIDE, Images
from benchmarks.figures import sides, value
from benchmarks.results import Results
from benchmarks.runs import prepared, setting_of
from helpers.checkpoints import load_model
from helpers.data import load_faces
from helpers.features import extract
from helpers.files import previous
from helpers.metrics import bootstrap, frechet_distance, moments
from helpers.train import fit


def quality(results: Results, plan: dict, rivals: dict, data: Images) -> None:
    """The headline: distance after minutes of training, own and peers, in their best settings."""
    part, features = results.part, load_model("face-features")
    reference = moments(extract(features, data.images))

    def floor():
        valid = load_faces("embedded", "valid", SIDE).images[: plan["n"]]
        return dict(n=len(valid), fd=frechet_distance(extract(features, valid), reference))

    part("floor", make=floor)

    def run(where, name, minutes, lr, n):
        measured = results.found["training"][name], results.found["memory"]["training"][name]
        how, steps = steps_in(minutes, *measured)
        key = f"{lr:g}" if where == "search" else f"{minutes:g}"
        file = results.scratch / (f"{where}-{name}-{key}".replace(" ", "_").replace(",", "") + ".pt")
        score = part(
            where,
            name,
            key,
            make=lambda: train_and_score(rivals[name], data, reference, lr, steps, n, how, file),
        )
        return value(score)

    best = {
        name: best_lr(name, plan, lambda lr, n=name: run("search", n, plan["search"], lr, plan["n_search"]))
        for name in rivals
    }

    def at(name, minutes):
        return run("quality", name, minutes, best[name], plan["n"])

    short, middle, long = plan["minutes"]
    after = {name: at(name, middle) for name in rivals}
    ours, others = sides(rivals)
    ahead = [min(others, key=after.get)] if others else []
    for name in (ours[0], *ahead, *ours[1:]):  # what the goals ask for comes first
        for minutes in (short, long):
            at(name, minutes)


def best_lr(name: str, plan: dict, score: Callable[[float], float]) -> float:
    """The learning rate with the smallest score, tried ever further as long as it is at an edge."""
    lowest, highest = min(plan["rates"]) / plan["beyond"], max(plan["rates"]) * plan["beyond"]
    tried, wanted = {}, plan["rates"]
    while wanted:
        tried |= {lr: score(lr) for lr in wanted}
        best = min(tried, key=tried.get)
        wanted = [lr for lr in beyond(best, tried) if lowest <= lr <= highest]
    if tried[best] == math.inf:
        raise RuntimeError(
            f"{name} diverged at every learning rate tried ({min(tried):g} to {max(tried):g})."
        )
    return best


def beyond(best: float, tried) -> list[float]:
    """The rate to try next: one further than the best where that is at an edge of what was tried."""
    return ([best / 2] if best == min(tried) else []) + ([best * 2] if best == max(tried) else [])


def steps_in(minutes: float, training: dict, memory: dict) -> tuple[str, int]:
    """The setting in which the most training steps fit into the minutes, the compiling counted, and how many.

    training: `spread` for each setting; memory: those measured in a process of their own. A compiled setting
    that is not among these is slower even without the compiling.
    """
    fit_in = {}
    for setting, how in SETTINGS.items():
        compiling = 0.0
        if how.get("compile"):
            if setting not in memory:
                continue
            compiling = memory[setting]["first"]
        fit_in[setting] = int((minutes * 60 - compiling) / training[setting]["median"])
    setting = max(fit_in, key=fit_in.get)
    return setting, max(fit_in[setting], 2)


def train_and_score(
    peer, data: Images, reference, lr: float, steps: int, n: int, setting: str, checkpoint: Path
) -> dict:
    """Fréchet distance with its interval of n pictures after so many steps from scratch, seed 0.

    'fd' is None where the training diverged; 'step' is the median seconds of a step.
    """
    for old in checkpoint.parent.glob("*.pt*"):
        if old not in (checkpoint, previous(checkpoint)):
            old.unlink()
    found = dict(fd=None, interval=None, steps=steps, rate=lr, n=n, setting=setting)
    torch.manual_seed(0)
    network = peer.network(SIDE)
    how = prepared(peer, network, setting)
    bar, seconds = tqdm(total=steps, desc=checkpoint.stem, mininterval=2), []
    # Warm-up is a tenth of the steps: a fixed number would be most of a slow network's training.
    kept = dict(lr=lr, warmup=steps // 10, ema=0.995, checkpoint=checkpoint)
    start = time.perf_counter()
    try:
        for step in fit(network, data, peer.loss, steps=steps, batch=BATCH, **kept, **how):
            seconds.append(time.perf_counter() - start)
            bar.update(step.step - bar.n)
            start = time.perf_counter()
    except FloatingPointError:
        return found
    bar.close()
    if seconds[1:]:  # the first has the loading and the compiling in it, and may be all that was left to do
        found |= dict(step=statistics.median(seconds[1:]))
    torch.manual_seed(0)
    images = []
    with setting_of(PLAIN, peer, step.ema):
        for begin in tqdm(range(0, n, 50), f"{n} pictures", mininterval=2):
            images.append(peer.sample(step.ema, min(50, n - begin), SIDE).float().clamp(-1, 1))
    images = torch.cat(images)
    if not images.isfinite().all():
        return found
    seen = extract(load_model("face-features"), images)

    def distance(some):
        return frechet_distance(some, reference)

    return found | dict(fd=distance(seen), interval=bootstrap(distance, seen, repeats=200))
