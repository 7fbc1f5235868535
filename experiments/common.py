"""What the measured tables share: parts that are kept, weights by name, differences, and ablations."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from helpers.checkpoints import FOLDER
from helpers.files import load_state, save_state, write_json
from helpers.metrics import Moments, bootstrap, frechet_distance
from helpers.profile import BUILD
from helpers.train import fit
from helpers.unet import count_parameters

RECIPE = dict(batch=32, lr=2e-3, warmup=100, ema=0.99)  # of an ablation


def fingerprint(name: str, folder: Path = FOLDER) -> str:
    """A short name of a checkpoint's weights, so that new weights mean new fills."""
    return hashlib.sha256((folder / name / "model.safetensors").read_bytes()).hexdigest()[:8]


def part(folder: Path, name: str, make) -> dict:
    """What `make` fills, with its seconds by the clock and of the processors; done once, kept in `folder`."""
    if (state := load_state(folder / name)) is None:
        clock, processors = time.perf_counter(), time.process_time()
        fills = make()
        state = dict(
            fills=fills,
            seconds=time.perf_counter() - clock,
            processor_seconds=time.process_time() - processors,
        )
        save_state(folder / name, state)
        print(f"{folder.name}/{name}: {len(fills)} fills in {state['seconds']:.0f} s", flush=True)
    return state


def above(features: Tensor, other: Tensor, reference: Tensor | Moments, repeats: int = 200) -> dict:
    """By how much the distance of n pictures exceeds that of n others that belong to them one by one.

    So filled pictures beside the same untouched, or faces of two samplers from the same noise.

    Rows belong together and are drawn again together, so what is odd in the n pictures counts in neither.
    """

    def excess(rows):
        return frechet_distance(features[rows], reference) - frechet_distance(other[rows], reference)

    everyone = torch.arange(len(other))
    return dict(excess=excess(everyone), excess_interval=bootstrap(excess, everyone, repeats=repeats))


@torch.no_grad()
def held_out(network, faces, loss: Callable) -> float:
    """The loss on all held-out faces, with the same t and ε for every network."""
    generator = torch.Generator().manual_seed(0)
    return float(
        torch.stack(
            [loss(network, faces[torch.arange(i, i + 250)], generator) for i in range(0, len(faces), 250)]
        ).mean()
    )


def ablation(
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
            about = ("n", "device", "torch")
            options = {k: v for k, v in machine.items() if k not in about} | dict(seed=seed, every=100)
            for step in fit(network, data, loss, checkpoint=checkpoint, **options):
                if step.step % 100 == 0:
                    print(key, step.step, f"{step.loss:.4f} {time.perf_counter() - start:.0f} s", flush=True)
            seconds = round(time.perf_counter() - start)
            trained = dict(seed=seed, parameters=count_parameters(network), seconds=seconds)
            runs[key] = trained | score(step.ema, name)
            write_json(file, results)
            print(key, runs[key], flush=True)
    for checkpoint in BUILD.glob(f"{file.stem}-*.pt*"):
        checkpoint.unlink()
