"""Seconds measured in turns, what a sampler costs besides its forwards, and how much a step computes."""

import itertools
import statistics
import time

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from tqdm.auto import tqdm

from benchmarks.common import BATCH, COMPILED, PLAIN, SETTINGS, SIDE, SIZES, STEPS, USER, Images
from benchmarks.runs import sampling, setting_of, training_step
from helpers.profile import fast_bf16


def spread(seconds: list[float]) -> dict:
    """Median and quartiles of measured seconds."""
    low, middle, high = statistics.quantiles(seconds, n=4) if len(seconds) > 1 else seconds * 3
    return dict(median=middle, low=low, high=high, n=len(seconds))


def in_turns(runs: dict, rounds: int, skip: int = 2, bar: str = "") -> dict:
    """`spread` of each run's seconds; the runs take turns, and the first `skip` rounds only warm up."""
    seconds = {name: [] for name in runs}
    for turn in tqdm(range(rounds + skip), bar):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if turn >= skip:
                seconds[name].append(time.perf_counter() - start)
    return {name: spread(s) for name, s in seconds.items()}


def training_speeds(rivals: dict, data: Images, rounds: int) -> dict:
    """`spread` of a training step's seconds for each name and setting, all taking turns."""
    places = itertools.product(rivals, (USER, *SETTINGS))
    runs = {(name, setting): training_step(rivals[name], setting, data, SIDE) for name, setting in places}
    return by_name(in_turns(runs, rounds, bar="training steps"))


def sampling_speeds(rivals: dict, rounds: int) -> dict:
    """`spread` of a draw's seconds for each name and setting, all taking turns."""
    places = itertools.product(rivals, (USER, PLAIN, COMPILED))
    runs = {(name, setting): sampling(rivals[name], setting, SIDE) for name, setting in places}
    return by_name(in_turns(runs, rounds, skip=1, bar="sampling"))  # a draw has many calls


def size_speeds(rivals: dict, faces: dict, rounds: int) -> dict:
    """`spread` of a training step's seconds for each name and side, all taking turns."""
    places = itertools.product(rivals, SIZES)
    runs = {(name, str(side)): training_step(rivals[name], PLAIN, faces[side], side) for name, side in places}
    return by_name(in_turns(runs, rounds, bar="sizes"))


def by_name(found: dict) -> dict:
    """{(name, other): value} as {name: {other: value}}."""
    rows = {}
    for (name, other), value in found.items():
        rows.setdefault(name, {})[other] = value
    return rows


class Clocked:
    """Stands in for a network's forward; counts its calls and adds up their seconds."""

    def __init__(self, forward):
        self.forward, self.seconds, self.calls = forward, 0.0, 0

    def __call__(self, *inputs, **options):
        start = time.perf_counter()
        answer = self.forward(*inputs, **options)
        self.seconds += time.perf_counter() - start
        self.calls += 1
        return answer


def overhead(peer, rounds: int) -> dict:
    """What a run of STEPS steps costs besides its forwards, in two ways, as a share of the run.

    'inside': the run less what its own STEPS forwards took; 'alone': the run less STEPS forwards on their
    own, right after it, which has the noise of both.
    """
    torch.manual_seed(0)
    network = peer.network(SIDE)
    inner = peer.inner(network)
    clock = inner.forward = Clocked(inner.forward)
    x, t = torch.randn(BATCH, 3, SIDE, SIDE), torch.full((BATCH,), 500)
    x = x.to(memory_format=torch.channels_last)
    shares = {"inside": [], "alone": []}
    with setting_of(PLAIN, peer, network):
        for turn in tqdm(range(rounds + 1), f"overhead, {peer.name}"):
            clock.seconds, clock.calls = 0.0, 0
            start = time.perf_counter()
            peer.sample(network, BATCH, SIDE)
            run, inside = time.perf_counter() - start, clock.seconds
            if clock.calls != STEPS:
                raise RuntimeError(f"{peer.name} asked its network {clock.calls} times in {STEPS} steps.")
            start = time.perf_counter()
            for _ in range(STEPS):
                peer.call(network, x, t)
            alone = time.perf_counter() - start
            if turn:  # the first only warms up
                shares["inside"].append(1 - inside / run)
                shares["alone"].append(1 - alone / run)
    return {name: spread(values) for name, values in shares.items()}


def operations(peer) -> int:
    """Floating-point operations of one training step (forward and backward), counted by torch.

    Products inside torch's fused attention are not in it on a CPU: at 8×8 pixels less than 1 % of a step.
    """
    network = peer.network(SIDE)
    generator = torch.Generator().manual_seed(0)
    with FlopCounterMode(display=False) as counter:
        peer.loss(network, torch.zeros(BATCH, 3, SIDE, SIDE), generator).backward()
    return counter.get_total_flops()


def convolution_peak(rounds: int) -> dict:
    """The most operations a second that a 3×3 convolution reaches here, of a few good shapes.

    In bf16, or in float32 where the processor has no instructions for bf16, as everything else here.
    """
    rates, dtype = {}, torch.bfloat16 if fast_bf16("cpu") else torch.float32
    for channels, side in ((64, 64), (128, 32), (256, 32), (512, 16)):
        layer = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        layer = layer.to(dtype, memory_format=torch.channels_last)
        x = torch.randn(BATCH, channels, side, side, dtype=dtype)
        x = x.to(memory_format=torch.channels_last)
        count = 2 * BATCH * side**2 * channels**2 * 9
        with torch.no_grad():
            found = in_turns({"": lambda layer=layer, x=x: layer(x)}, 3 * rounds, bar="convolution peak")
        rates[f"{channels} channels, {side}×{side}"] = count / found[""]["median"]
    return dict(operations_per_second=max(rates.values()), shapes=rates)
