"""One training loop for all models: a generator that keeps an average, saves, and resumes."""

from __future__ import annotations

import copy
import hashlib
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from . import profile
from .arguments import whole
from .files import alone, load_state, plain, save_state


class Step(NamedTuple):
    """What one training step tells: its number (from 1), loss, learning rate, and the averaged network."""

    step: int
    loss: float
    lr: float
    ema: nn.Module


def batch_indices(n: int, batch: int, step: int, seed: int) -> Tensor:
    """Indices (batch,) of step 0, 1, …: every epoch is a fresh shuffle of 0…n−1, cut into batches.

    It depends on nothing but its arguments, so a resumed run sees the pictures it would have seen.
    """
    n, batch, step, seed = (
        whole(n, "n"),
        whole(batch, "batch"),
        whole(step, "step", 0),
        whole(seed, "seed", 0),
    )
    first = step * batch
    epochs = range(first // n, (first + batch - 1) // n + 1)
    order = [torch.randperm(n, generator=torch.Generator().manual_seed(seed * 100_003 + e)) for e in epochs]
    return torch.cat(order)[first - epochs[0] * n :][:batch]


def learning_rate(step: int, steps: int, peak: float, warmup: int) -> float:
    """The rate of step 1…steps: a linear rise to `peak`, then a linear fall that ends just above 0."""
    return peak * min(step / max(warmup, 1), (steps - step + 1) / max(steps - warmup, 1), 1.0)


@torch.no_grad()
def update_ema(average: nn.Module, network: nn.Module, step: int, decay: float) -> None:
    """average ← d·average + (1 − d)·network, d growing from 2/11 to `decay` (Adam, section 7.2)."""
    decay = min(decay, (1 + step) / (10 + step))
    pairs = list(zip(average.state_dict().values(), network.state_dict().values(), strict=True))
    floats = [(mean, now.to(mean)) for mean, now in pairs if mean.is_floating_point()]
    torch._foreach_lerp_(*map(list, zip(*floats, strict=True)), 1 - decay)  # one call instead of hundreds
    for mean, now in pairs:
        if not mean.is_floating_point():
            mean.copy_(now)


def fit(
    network: nn.Module,
    data,
    loss: Callable[[nn.Module, object, torch.Generator], Tensor],
    steps: int,
    batch: int = 32,
    lr: float = 2e-3,
    warmup: int = 100,
    ema: float = 0.999,
    average: nn.Module | None = None,
    seed: int = 0,
    checkpoint: str | Path | None = None,
    every: int = 250,
    until: int | None = None,
    precision: str = "float32",
    channels_last: bool = False,
    compile: bool = False,
    weight_decay: float = 0.01,
    clip: float = 1.0,
) -> Iterator[Step]:
    """Trains and yields a Step after each update; `for step in fit(...)` is the whole training loop.

    data: len(data) and data[indices] for a tensor of indices; loss(network, batch, generator) → scalar,
    drawing its randomness from the generator. With `checkpoint` (a file) everything is saved `every`
    steps and at the end, and the same call resumes to the same numbers as an uninterrupted run; `until`
    pauses earlier than `steps`. `average` is the module that holds the EMA of the weights (decay `ema`):
    give a copy of the network where the loss itself looks at it, as the target of a consistency model does.
    Under `accelerate launch` every process takes its share of the batch. precision: 'float32', or 'auto':
    that at which the device is fast (profile.fast_dtype). In fp16 the loss is scaled, and a step whose
    gradient overflows is left out.
    Raises FloatingPointError when the loss or its gradient is not finite; the last good checkpoint stays.
    RuntimeError where another process trains the same checkpoint, or no whole one is left of it.
    """
    from accelerate import Accelerator
    from accelerate.utils import broadcast_object_list

    if precision not in ("float32", "auto"):
        raise ValueError(f"There is no precision '{precision}'; choose 'float32' or 'auto'.")
    accelerator = Accelerator(cpu=profile.device().type == "cpu")  # COURSE_PROFILE=cpu holds here too
    device, rank, world = accelerator.device, accelerator.process_index, accelerator.num_processes
    # As Python has them: a number of numpy could be saved, and not be read back.
    steps, until = int(steps), int(steps if until is None else min(until, steps))
    recipe = dict(steps=steps, batch=batch, lr=lr, warmup=warmup, ema=ema, seed=seed, world=world)
    recipe = plain(recipe | dict(weight_decay=weight_decay, clip=clip, data=len(data)))
    batch, lr, warmup, seed = (recipe[key] for key in ("batch", "lr", "warmup", "seed"))
    if batch % world:
        raise ValueError(f"A batch of {batch} cannot be shared equally among {world} processes.")
    if len(data) < 1:
        raise ValueError("There is no data to train on: it has length 0.")
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise ValueError(
            "All weights of this network are frozen, as `load_model` and `Step.ema` give them: "
            "say network.requires_grad_(True) first."
        )
    if average is network:
        raise ValueError("The average needs a module of its own: average=copy.deepcopy(network).")

    form = torch.channels_last if channels_last else torch.preserve_format
    network.to(device, memory_format=form).train()
    average = copy.deepcopy(network) if average is None else average
    average.load_state_dict(network.state_dict())
    average.to(device, memory_format=form).eval().requires_grad_(False)
    fused = device.type == "cuda"
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=lr, betas=(0.9, 0.99), weight_decay=recipe["weight_decay"], fused=fused
    )
    generator = torch.Generator(device).manual_seed(seed * 1009 + rank)
    half = precision == "auto" and profile.fast_dtype(device.type) == torch.float16
    scaler = torch.amp.GradScaler(device.type, enabled=half)
    with ExitStack() as stack:
        stack.callback(optimizer.zero_grad)  # no gradient of this run outlives it, however it ends
        optimizer.zero_grad()
        done = 0
        if checkpoint is not None:
            checkpoint = Path(checkpoint).expanduser()
            if accelerator.is_main_process:
                stack.enter_context(alone(checkpoint))
            # Machines without a common disk have the file on the first of them only.
            [state] = broadcast_object_list([load_state(checkpoint) if rank == 0 else None])
            if state is not None:
                same_recipe(checkpoint, state["recipe"], recipe)
                network.load_state_dict(state["network"])
                average.load_state_dict(state["ema"])
                for group in state["optimizer"]["param_groups"]:  # it may come from another device
                    group["fused"] = fused
                optimizer.load_state_dict(state["optimizer"])
                scaler.load_state_dict(state.get("scaler") or scaler.state_dict())
                set_random_state(generator, state["generator"][rank], state["random"][rank], device)
                done = state["step"]
        model, optimizer = accelerator.prepare(network, optimizer)
        run = torch.compile(model) if compile else model

        for step in range(done + 1, until + 1):
            mine = batch_indices(len(data), batch, step - 1, seed)[rank::world]
            items = move(data[mine], device, form)
            with profile.autocast(device, precision == "auto"):
                value = loss(run, items, generator)
            number = float(accelerator.reduce(value.detach().float(), reduction="mean"))
            if not math.isfinite(number):
                raise FloatingPointError(stopped(f"The loss became {number}", step, checkpoint))
            now = learning_rate(step, steps, lr, warmup)
            for group in optimizer.param_groups:
                group["lr"] = now
            accelerator.backward(scaler.scale(value))
            scaler.unscale_(optimizer)
            norm = float(accelerator.clip_grad_norm_(network.parameters(), recipe["clip"]))
            if not math.isfinite(norm) and not (half and scaler.get_scale() > 1):
                # a finite loss can have such a gradient; the weights are still good
                raise FloatingPointError(stopped(f"The gradient became {norm}", step, checkpoint))
            scaler.step(optimizer)  # left out where a gradient overflowed; the next loss is scaled less
            scaler.update()
            optimizer.zero_grad()
            update_ema(average, network, step, recipe["ema"])
            if checkpoint is not None and (step % every == 0 or step == until):
                states = random_states(generator, device)
                if accelerator.is_main_process:
                    weights = dict(network=network.state_dict(), ema=average.state_dict())
                    weights |= dict(optimizer=optimizer.state_dict(), scaler=scaler.state_dict())
                    save_state(checkpoint, dict(recipe=recipe, step=step) | weights | states)
            yield Step(step, number, now, average)
        if done >= until:  # nothing was left to do: say how it stands
            yield Step(done, float("nan"), 0.0, average)


def same_recipe(checkpoint: Path, begun: dict, recipe: dict) -> None:
    """ValueError where a checkpoint was begun with other numbers than those asked for now."""
    if changed := [key for key in recipe if begun.get(key) != recipe[key]]:
        raise ValueError(
            f"{checkpoint} was begun with another {', '.join(changed)}: "
            "ask for the same again, or delete it to start anew."
        )


def stopped(what: str, step: int, checkpoint: str | Path | None) -> str:
    """One sentence on why a training ended, and what is left of it."""
    there = checkpoint is not None and Path(checkpoint).exists()
    kept = f"the last good checkpoint is {checkpoint}" if there else "no checkpoint was written yet"
    return f"{what} at step {step}, so training stopped; {kept}. Try a lower learning rate."


def random_states(generator: torch.Generator, device: torch.device) -> dict:
    """The states of all processes from which a loss and dropout draw: `generator` and `random`."""
    from accelerate.utils import gather_object

    gpu = [] if device.type == "cpu" else [torch.get_device_module(device).get_rng_state()]
    states = gather_object([[torch.get_rng_state(), *gpu]])
    return dict(random=states, generator=gather_object([generator.get_state()]))


def set_random_state(generator: torch.Generator, mine: Tensor, states: list[Tensor], device) -> None:
    """Puts back what `random_states` took, as far as the device has such states.

    A run begun on a GPU may go on on a CPU, and back: then it draws other numbers from here on, and says so.
    """
    torch.set_rng_state(states[0])
    if device.type != "cpu" and len(states) > 1:
        torch.get_device_module(device).set_rng_state(states[1])
    if len(mine) != len(generator.get_state()):
        warnings.warn(
            "This training was begun on another kind of device: it goes on with other random numbers.",
            stacklevel=3,
        )
        generator.manual_seed(int.from_bytes(hashlib.sha256(mine.numpy().tobytes()).digest()[:7], "big"))
    else:
        generator.set_state(mine)


def move(items, device, form=torch.preserve_format):
    """Tensors on the device, alone or in dicts, tuples and lists; pictures (B, C, H, W) in the memory format.

    Texts, numbers and None stay what they are. Raises TypeError for anything else.
    """
    if isinstance(items, Tensor):
        pictures = items.ndim == 4 and items.is_floating_point()
        return items.to(device, memory_format=form) if pictures else items.to(device)
    if isinstance(items, dict):
        return {k: move(v, device, form) for k, v in items.items()}
    if isinstance(items, tuple) and hasattr(items, "_fields"):
        return type(items)(*(move(v, device, form) for v in items))
    if isinstance(items, (tuple, list)):
        return type(items)(move(v, device, form) for v in items)
    if items is None or isinstance(items, (str, bytes, bool, int, float)):
        return items
    raise TypeError(
        f"A batch holds tensors, texts and numbers, in dicts or lists, not a {type(items).__name__}."
    )
