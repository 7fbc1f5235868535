"""Trains a checkpoint of the course: python -m tools.checkpoints NAME (resumes after a kill)."""

import argparse
import platform
import time
from pathlib import Path

import torch
from torch.nn import functional as F
from tqdm.auto import tqdm

from helpers.checkpoints import save_model
from helpers.data import DATA, load_faces
from helpers.metrics import FaceFeatures, extract
from helpers.train import fit

BUILD = DATA.parent / "build" / "training"


def device_name() -> str:
    """The GPU's name, or the processor's kind and the threads in use."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"CPU ({platform.machine()}, {torch.get_num_threads()} threads)"


def train(name: str, network, data, loss, **recipe):
    """Runs `fit` under a progress bar with the loss; (averaged network, seconds of this run)."""
    checkpoint = BUILD / f"{name}.pt"
    start, mean, before = time.perf_counter(), None, time_spent(checkpoint)
    bar = tqdm(total=recipe["steps"], desc=name, smoothing=0.02)
    for step in fit(network, data, loss, checkpoint=checkpoint, **recipe):
        if step.loss == step.loss:                              # nan says that nothing was left to do
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


def face_features() -> None:
    """The feature network of the Fréchet distance: an attribute classifier of the embedded faces."""
    torch.manual_seed(0)
    data, valid = load_faces("embedded", "train"), load_faces("embedded", "valid")
    network = FaceFeatures(data.cardinalities, width=24)
    recipe = dict(steps=1200, batch=64, rate=2e-3, warmup=100, ema=0.99, seed=0, bf16=True, channels_last=True)

    def loss(network, batch, generator):
        guesses, truths = network(nudge(batch["image"], generator), classify=True), batch["attributes"].T
        return sum(map(F.cross_entropy, guesses, truths)) / len(truths)

    network, seconds = train("face-features", network, data, loss, **recipe)
    network.scale.copy_(extract(network, data.images).var(0).mean().sqrt())
    with torch.no_grad():
        logits = network(valid.images, classify=True)
    accuracy = {n: round(float((guess.argmax(1) == valid.column(n)).float().mean()), 4)
                for n, guess in zip(data.names, logits)}
    save_model("face-features", network, dict(
        recipe=recipe, data="embedded faces, train", names=data.names, values=data.values,
        seconds=round(seconds), device=device_name(), accuracy=accuracy, n=len(valid)))
    print(accuracy)


RECIPES = {"face-features": face_features}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(RECIPES), help="which checkpoint")
    RECIPES[parser.parse_args().name]()


if __name__ == "__main__":
    main()
