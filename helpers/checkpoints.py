"""Trained models of the course: a folder with the weights (safetensors) and a card (JSON)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
from torch import nn

from .course import DATA
from .diffusion import Denoiser
from .metrics import FaceFeatures
from .schedules import make_schedule
from .unet import UNet

FOLDER = DATA / "checkpoints"
NETWORKS = {"UNet": UNet, "FaceFeatures": FaceFeatures}


def save_model(name: str, network: nn.Module, card: dict, half: bool = True, folder: Path = FOLDER) -> Path:
    """Writes folder/name/model.safetensors (half precision unless told otherwise) and card.json.

    The network's class and `config` go into the card, so that `load_model` can build it again.
    """
    from safetensors.torch import save_file

    path = Path(folder) / name
    path.mkdir(parents=True, exist_ok=True)
    weights = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    if half:
        weights = {k: v.half() if v.is_floating_point() else v for k, v in weights.items()}
    save_file(weights, path / "model.half")
    os.replace(path / "model.half", path / "model.safetensors")
    card = {
        "name": name,
        "network": type(network).__name__,
        "config": network.config,
        **card,
        "parameters": sum(p.numel() for p in network.parameters()),
        "bytes": (path / "model.safetensors").stat().st_size,
    }
    write_card(path, card)
    return path


def write_card(path: Path, card: dict) -> None:
    """Replaces path/card.json at once, so that no reader sees half a card."""
    write_json(path / "card.json", card)


def write_json(file: Path, content: dict) -> None:
    """Replaces a JSON file at once, so that a kill leaves the old one or the new one whole."""
    half = file.with_suffix(".half")
    half.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(half, file)


def load_card(name: str, folder: Path = FOLDER) -> dict:
    """What is known of a checkpoint: recipe, data, seconds, device, measured quality."""
    path = Path(folder) / name / "card.json"
    if not path.exists():
        there = sorted(p.parent.name for p in Path(folder).glob("*/card.json"))
        raise FileNotFoundError(
            f"There is no checkpoint '{name}' in {folder} (there: {', '.join(there) or 'none'}): "
            f"train it with `make checkpoints NAME={name}`."
        )
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RuntimeError(
            f"The card of '{name}' ({path}) cannot be read: fetch it again. ({error})"
        ) from None


def load_model(name: str, device: str | torch.device = "cpu", folder: Path = FOLDER) -> nn.Module:
    """The network of a checkpoint in float32, in eval mode, its parameters frozen.

    Raises FileNotFoundError for an unknown name, RuntimeError where the file is damaged or does not fit.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    card = load_card(name, folder)
    network = NETWORKS[card["network"]](**card["config"])
    path = Path(folder) / name / "model.safetensors"
    try:
        network.load_state_dict(
            {k: v.float() if v.is_floating_point() else v for k, v in load_file(path).items()}
        )
    except (SafetensorError, OSError, RuntimeError) as error:
        raise RuntimeError(
            f"The weights of '{name}' ({path}) cannot be read: fetch the file again or train it "
            f"with `make checkpoints NAME={name}`. ({error})"
        ) from None
    return network.eval().requires_grad_(False).to(device)


def load_denoiser(name: str, device: str | torch.device = "cpu", folder: Path = FOLDER) -> Denoiser:
    """A trained model as `predict(x_t, t, **condition) -> (x0, eps)`, schedule and target from its card."""
    card = load_card(name, folder)
    return Denoiser(load_model(name, device, folder), make_schedule(**card["schedule"]), card["target"])
