"""Trains a checkpoint of the course: python -m tools.checkpoints NAME (resumes after a kill)."""

import argparse
import copy
import importlib
import json
import time
from pathlib import Path

import torch
from tqdm.auto import tqdm

from helpers.checkpoints import FOLDER, load_card, load_denoiser, save_model, write_card
from helpers.files import write_text
from helpers.profile import BUILD, ROOT
from helpers.samplers import draw
from helpers.train import fit
from recipes.common import card_of


def names() -> list[str]:
    """The checkpoints that have a recipe: recipes/ddpm_faces.py makes ddpm-faces."""
    files = sorted((ROOT / "recipes").glob("[a-z]*.py"))
    return [path.stem.replace("_", "-") for path in files if path.stem != "common"]


def module_of(name: str):
    """The module with the recipe of a checkpoint."""
    return importlib.import_module("recipes." + name.replace("-", "_"))


def make(name: str, steps: int | None = None, batch: int | None = None, **options) -> Path | None:
    """Trains, keeps and measures a checkpoint; where it is, None in all processes but the main one.

    With steps it is a trial: so many steps in each part, kept under build/ as NAME-STEPS and not measured.
    batch: another size of the batches, where a GPU has room for it.
    """
    from accelerate import PartialState

    module, folder = module_of(name), FOLDER
    recipe = module.recipe()
    changed = {} if batch is None else dict(batch=batch)
    recipe.parts = [part._replace(numbers=part.numbers | changed) for part in recipe.parts]
    if steps is not None:  # a trial is not gone on with, so it has a name of its own
        name, folder = f"{name}-{steps}", BUILD
        recipe.parts = [part._replace(numbers=part.numbers | dict(steps=steps)) for part in recipe.parts]
    network, seconds = recipe.network, 0.0
    for number, part in enumerate(recipe.parts):
        state = name + ("", "-more")[number]
        average, spent = train(state, network, recipe.data, part.loss, **part.numbers, **options)
        network, seconds = copy.deepcopy(average).requires_grad_(True), seconds + spent
    if not PartialState().is_main_process:
        return None
    network.requires_grad_(False)
    card = card_of(recipe, seconds) | recipe.finish(network)
    path = save_model(name, network, card, recipe.bits, folder)
    if steps is None and hasattr(module, "measure"):
        measure(name)
    return path


def measure(name: str) -> None:
    """Writes the scores of the stored weights into a checkpoint's card."""
    found = module_of(name).measure(name, "cuda" if torch.cuda.is_available() else "cpu")
    write_card(FOLDER / name, load_card(name) | found)
    print(json.dumps(found, indent=1))


def train(name: str, network, data, loss, **numbers):
    """Runs `fit` under a progress bar with the loss; (averaged network, seconds of all runs so far)."""
    checkpoint = BUILD / f"{name}.pt"
    start, mean, before = time.perf_counter(), None, time_spent(checkpoint)
    bar = tqdm(total=numbers["steps"], desc=name, smoothing=0.02)
    for step in fit(network, data, loss, checkpoint=checkpoint, **numbers):
        if step.loss == step.loss:  # nan says that nothing was left to do
            mean = step.loss if mean is None else 0.99 * mean + 0.01 * step.loss
            bar.set_postfix(loss=f"{mean:.4f}", lr=f"{step.lr:.1e}", refresh=False)
        bar.update(step.step - bar.n)
        if step.step % 250 == 0:
            write_text(time_file(checkpoint), f"{before + time.perf_counter() - start:.0f}")
    bar.close()
    return step.ema, before + time.perf_counter() - start


def time_file(checkpoint: Path) -> Path:
    """Where the seconds of earlier, interrupted runs are kept."""
    return checkpoint.with_suffix(".seconds")


def time_spent(checkpoint: Path) -> float:
    file = time_file(checkpoint)
    return float(file.read_text()) if file.exists() and checkpoint.exists() else 0.0


def sheet(name: str, n: int = 100, steps: int = 40, seed: int = 1) -> None:
    """Writes build/NAME-sheet.png: n unselected faces as the first session draws them, nothing asked for."""
    from torchvision.utils import save_image

    predict = load_denoiser(name)
    images = draw(predict, predict.schedule, n, steps, seed, eta=1.0)
    save_image(images / 2 + 0.5, BUILD.parent / f"{name}-sheet.png", nrow=10)


def main(arguments=None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.checkpoints", description=__doc__)
    parser.add_argument("name", choices=names(), help="which checkpoint")
    parser.add_argument("--compile", action="store_true", help="faster, where a C++ compiler is at hand")
    parser.add_argument("--batch", type=int, help="another batch, as 128 or more on a GPU")
    parser.add_argument("--steps", type=int, help="a trial of so many steps, kept under build/")
    parser.add_argument("--sheet", action="store_true", help="draw 100 faces with it instead of training it")
    parser.add_argument("--measure", action="store_true", help="measure the stored weights again")
    args = parser.parse_args(arguments)
    for option in ("steps", "batch"):
        if getattr(args, option) is not None and getattr(args, option) < 1:
            parser.error(f"--{option} is a number of at least 1.")
    if args.sheet:
        return sheet(args.name)
    if args.measure:
        return measure(args.name)
    make(args.name, args.steps, args.batch, compile=args.compile)


if __name__ == "__main__":
    main()
