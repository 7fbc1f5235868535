"""Trained models of the course: a folder with the weights (safetensors) and a card (JSON)."""

from __future__ import annotations

import hashlib
import importlib
import json
import warnings
from pathlib import Path

import torch
from torch import nn

from .blocks import from_blocks, to_blocks
from .diffusion import Denoiser
from .files import plain, replacing, write_json
from .profile import DATA
from .schedules import make_schedule

FOLDER = DATA / "checkpoints"
SMALL = 2**14  # tensors with fewer numbers are never stored in 8 bits;
SHARE = 1 / 225  # of a small network: those with less than this share of its numbers


def save_model(name: str, network: nn.Module, card: dict, bits: int = 16, folder: Path = FOLDER) -> Path:
    """Writes folder/name/model.safetensors, its numbers in 32, 16 or 8 bits (`to_blocks`), and card.json.

    The network's class and `config` go into the card, so that `load_model` can build it again. In 8 bits
    the small tensors, the first and last layer among them, stay in 16: an error there costs the most.
    """
    from safetensors.torch import save_file

    if bits not in (8, 16, 32):
        raise ValueError(f"Weights are stored in 8, 16 or 32 bits, not in {bits}.")
    kind = class_path(type(network))
    if not hasattr(network, "config"):
        raise TypeError(f"A checkpoint needs the network's `config` to build it again; {kind} has none.")
    path = Path(folder).expanduser() / name
    weights = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    small = min(SMALL, SHARE * sum(value.numel() for value in weights.values()))
    for key, value in list(weights.items()) if bits < 32 else ():
        if bits == 8 and value.is_floating_point() and value.numel() >= small:
            weights[key], weights[f"{key}.scale"] = to_blocks(value)
        elif value.is_floating_point():
            weights[key] = value.half()
    card = {"name": name, "network": kind, "config": network.config, **card, "bits": bits}
    card = plain(card | dict(parameters=sum(p.numel() for p in network.parameters())))
    with replacing(path / "model.safetensors") as half:
        save_file(weights, half, {"card": json.dumps(card)})  # so that weights are never without their card
        about = dict(bytes=half.stat().st_size, sha256=digest(half))
    write_card(path, card | about)
    return path


def digest(file: Path) -> str:
    """The SHA-256 of a file, by which a card knows its weights."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def class_path(kind: type) -> str:
    """How a card names a class: `helpers.unet.UNet`; TypeError for a class that is not in helpers."""
    path = f"{kind.__module__}.{kind.__qualname__}"
    network_class(path)
    return path


def network_class(path: str) -> type[nn.Module]:
    """The class that a card names, imported from helpers and nowhere else: a card is data.

    Raises TypeError where the path does not lead to a network of helpers.
    """
    module, _, name = path.rpartition(".")
    if module.startswith("helpers."):
        try:
            found = getattr(importlib.import_module(module), name, None)
        except ImportError:
            found = None
        if isinstance(found, type) and issubclass(found, nn.Module) and found.__module__ == module:
            return found
    raise TypeError(f"A checkpoint holds a network out of `helpers`, such as helpers.unet.UNet, not {path}.")


def write_card(path: Path, card: dict) -> None:
    """Replaces path/card.json at once, so that no reader sees half a card."""
    write_json(path / "card.json", card)


def load_card(name: str, folder: Path = FOLDER) -> dict:
    """What is known of a checkpoint: recipe, data, seconds, device, measured quality."""
    path = Path(folder) / name / "card.json"
    if not path.exists():
        there = sorted(p.parent.name for p in Path(folder).glob("*/card.json"))
        known = f"choose one of {', '.join(there)}" if there else "none is there"
        raise FileNotFoundError(
            f"There is no checkpoint '{name}' in {folder}: {known}, "
            "or train one of the course's with `make checkpoints NAME=…`."
        )
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RuntimeError(
            f"The card of '{name}' ({path}) cannot be read: fetch it again. ({error})"
        ) from None
    weights = path.with_name("model.safetensors")
    if not weights.exists() or card.get("sha256", wanted := digest(weights)) == wanted:
        return card
    return card_within(weights) or card


def card_within(weights: Path) -> dict | None:
    """The card that weights carry themselves, with a warning that card.json is not theirs, or None."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(weights, "pt") as file:
            inner = (file.metadata() or {}).get("card")
    except (SafetensorError, OSError):
        return None
    if inner is None:
        return None
    warnings.warn(f"{weights.parent}/card.json is of other weights; theirs is used.", stacklevel=3)
    return json.loads(inner)


def load_model(name: str, device: str | torch.device = "cpu", folder: Path = FOLDER) -> nn.Module:
    """The network of a checkpoint in float32, in eval mode, its parameters frozen.

    Raises FileNotFoundError for an unknown name, RuntimeError where the file is damaged or does not fit.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    card = load_card(name, folder)
    network = network_class(card["network"])(**card["config"])
    path = Path(folder) / name / "model.safetensors"
    try:
        if card.get("sha256", wanted := digest(path)) != wanted:
            raise RuntimeError("weights and card are not of one training")
        stored = load_file(path)
        for key, like in network.state_dict().items():
            if (scale := stored.pop(f"{key}.scale", None)) is not None:
                stored[key] = from_blocks(stored[key], scale, like.shape)
        network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in stored.items()})
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
