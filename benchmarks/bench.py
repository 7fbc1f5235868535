"""This project's U-Net, training step and sampling beside its peers: make bench

    python -m benchmarks.bench              five to nine hours on two quiet cores; resumes after a kill
    python -m benchmarks.bench --quick      the same in less than an hour, into build/, to see that it runs

What is compared is measured in turns within one run, on the same drawn faces, batch and threads. Writes
benchmarks/bench.json after each part; RESULTS.md, bench.png and the README's table at the end. Begins anew
where bench.json is deleted.
"""

import argparse
import contextlib
import importlib.metadata
import itertools
import json
import math
import os
import platform
import re
import resource
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from tqdm.auto import tqdm

from benchmarks.peers import BATCH, OWN, STEPS, Images, peers
from helpers import course
from helpers.checkpoints import load_model, write_json
from helpers.data import load_faces
from helpers.metrics import bootstrap, extract, frechet_distance, moments
from helpers.train import fit, previous
from helpers.unet import count_parameters
from tools.checkpoints import BUILD, device_name

HERE = Path(__file__).parent
README = HERE.parent / "README.md"
SIDE = 32
SIZES = (16, 32, 64)
SETTINGS = {  # how a step is run, besides the way its users run it
    "bf16": dict(bf16=True),
    "bf16, channels-last": dict(bf16=True, channels_last=True),
    "bf16, channels-last, compiled": dict(bf16=True, channels_last=True, compile=True),
}
USER = "as its users run it"
PLAIN = "bf16, channels-last"
# The learning rates are tried first; then twice or half of the best as long as it is at an edge, until
# `beyond` times the outermost.
FULL = dict(rounds=11, draws=5, search=3.0, minutes=(5.0, 10.0, 20.0), n=1000, n_search=250)
FULL |= dict(rates=(5e-4, 1e-3, 2e-3), beyond=4)
QUICK = dict(rounds=2, draws=1, search=0.05, minutes=(0.05, 0.1, 0.2), n=80, n_search=70)
QUICK |= dict(rates=(2e-3,), beyond=1)
# One network class for many networks, with and without gradients: more graphs than the 8 after which
# torch silently goes on without compiling.
torch._dynamo.config.recompile_limit = 64


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


def prepared(peer, network: nn.Module, setting: str) -> dict:
    """The options of a setting besides 'compile'; where it has that, the network is compiled.

    Each picture size gets its own graph: the project's two networks share code, and would otherwise share one
    for any size, which the peers do not have.
    """
    how = dict(SETTINGS.get(setting, {}))
    if how.pop("compile", False):
        peer.inner(network).compile(dynamic=False)
    return how


def training_step(peer, setting: str, data: Images, side: int):
    """A function that takes one training step of a fresh network."""
    torch.manual_seed(0)
    if setting == USER:
        loop = peer.user_loop(peer.user_network(side), data)
    else:
        network = peer.network(side)
        how = prepared(peer, network, setting)
        loop = fit(network, data, peer.loss, steps=10**6, batch=BATCH, **how)
    return lambda: next(loop)


@contextlib.contextmanager
def setting_of(setting: str, peer, network: nn.Module):
    """The network as a sampler has it in a setting, and bf16 around what is done with it."""
    how = prepared(peer, network.eval(), setting)
    if how.get("channels_last"):
        network.to(memory_format=torch.channels_last)
    with torch.no_grad(), course.autocast("cpu", bool(how)):
        yield


def sampling(peer, setting: str, side: int):
    """A function that draws BATCH pictures in STEPS steps."""
    torch.manual_seed(0)
    user = setting == USER
    network = peer.user_network(side) if user else peer.network(side)
    draw = peer.user_sample if user else peer.sample

    def run():
        with setting_of(setting, peer, network):
            draw(network, BATCH, side)

    return run


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
    rates, dtype = {}, torch.bfloat16 if course.fast_bf16("cpu") else torch.float32
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


def alone(name: str, setting: str, what: str) -> dict:
    """`in_this_process` of training or sampling, in a process of its own that has nothing compiled yet."""
    command = [sys.executable, "-m", "benchmarks.bench", "--alone", name, setting, what]
    fresh = os.environ | dict(TORCHINDUCTOR_FORCE_DISABLE_CACHES="1")
    answer = subprocess.run(command, capture_output=True, text=True, check=False, env=fresh)
    if answer.returncode:
        raise RuntimeError(f"Measuring the memory of {name} failed: {answer.stderr.strip()[-500:]}")
    return json.loads(answer.stdout.splitlines()[-1])


def in_this_process(name: str, setting: str, what: str) -> dict:
    """'mib' by which three training steps, or one draw, raise the peak memory; seconds of the 'first'."""
    peer = peers()[name]
    data = Images(torch.zeros(BATCH * 4, 3, SIDE, SIDE))
    train = what == "training"
    run = training_step(peer, setting, data, SIDE) if train else sampling(peer, setting, SIDE)
    before, start = peak_of_process(), time.perf_counter()
    run()
    first = time.perf_counter() - start
    for _ in range(2 if train else 0):
        run()
    return dict(mib=peak_of_process() - before, first=first)


def peak_of_process() -> float:
    """The most memory that this process has held, in MiB.

    Not ru_maxrss where it can be avoided: on Linux a process begins with that of the one that started it.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 2**10  # KiB
    unit = 1 if platform.system() == "Darwin" else 2**10  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def train_and_score(
    peer, data: Images, reference, rate: float, steps: int, n: int, setting: str, checkpoint: Path
) -> dict:
    """Fréchet distance with its interval of n pictures after so many steps from scratch, seed 0.

    'fd' is None where the training diverged; 'step' is the median seconds of a step.
    """
    for old in checkpoint.parent.glob("*.pt*"):
        if old not in (checkpoint, previous(checkpoint)):
            old.unlink()
    found = dict(fd=None, interval=None, steps=steps, rate=rate, n=n, setting=setting)
    torch.manual_seed(0)
    network = peer.network(SIDE)
    how = prepared(peer, network, setting)
    bar, seconds = tqdm(total=steps, desc=checkpoint.stem, mininterval=2), []
    # Warm-up is a tenth of the steps: a fixed number would be most of a slow network's training.
    kept = dict(rate=rate, warmup=steps // 10, ema=0.995, checkpoint=checkpoint)
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


def value(run: dict) -> float:
    """The distance of a run; infinite where the training diverged."""
    return math.inf if run["fd"] is None else run["fd"]


def exponent(seconds: dict) -> float:
    """The slope of log seconds over log pixels, by least squares; {side: seconds}."""
    x = [math.log(side**2) for side in seconds]
    y = [math.log(s) for s in seconds.values()]
    middle = statistics.mean(x)
    return sum((a - middle) * b for a, b in zip(x, y, strict=True)) / sum((a - middle) ** 2 for a in x)


def sides(names) -> tuple[list[str], list[str]]:
    """The project's own networks, and its peers."""
    own = [name for name in names if name.startswith(OWN)]
    return own, [name for name in names if name not in own]


def fastest(measured: dict) -> str:
    """The setting with the smallest median, besides the way of its users."""
    return min((s for s in SETTINGS if s in measured), key=lambda setting: measured[setting]["median"])


class Results:
    """What was measured so far, in a file written after each part; unfinished trainings in a folder."""

    def __init__(self, file: Path, scratch: Path):
        self.file, self.scratch = file, scratch
        if not file.exists():
            shutil.rmtree(scratch, ignore_errors=True)  # those of another run
        self.found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}

    def part(self, *keys: str, make):
        """The value under these keys, made and written if it is not there yet."""
        place = self.found
        for key in keys[:-1]:
            place = place.setdefault(key, {})
        if keys[-1] not in place:
            place[keys[-1]] = make()
            self.file.parent.mkdir(parents=True, exist_ok=True)
            write_json(self.file, self.found)
        return place[keys[-1]]


def processor() -> str:
    """The processor's name as its system tells it, and the instructions that torch uses on it."""
    file, name = Path("/proc/cpuinfo"), platform.processor()
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else []:
        if line.startswith("model name"):
            name = line.split(":", 1)[1].strip()
    return f"{name} ({torch.backends.cpu.get_cpu_capability()})"


def machine() -> dict:
    """What the figures hold for."""
    names = ("torch", "diffusers", "denoising-diffusion-pytorch", "smalldiffusion", "accelerate")
    found = {}
    for name in names:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return dict(
        device=device_name(), processor=processor(), python=platform.python_version(),
        date=time.strftime("%Y-%m-%d"), versions=found, batch=BATCH, side=SIDE, sampler_steps=STEPS,
        bf16=course.fast_bf16("cpu"),
    )  # fmt: skip


def same_machine(begun: dict, here: dict, file: Path) -> None:
    """Ends the run where `file` was begun on another machine or with other versions: no ratio would hold."""
    for what in ("processor", "device", "versions"):
        if begun[what] != here[what]:
            raise SystemExit(
                f"{file.name} was begun with {what} {begun[what]}, here it is {here[what]}: "
                "delete the file to measure all anew, or go on where it was begun."
            )


def measure(results: Results, plan: dict) -> dict:
    """All parts, each once; what `Results` has already is not measured again."""
    part, rivals = results.part, peers()
    same_machine(part("machine", make=machine), machine(), results.file)
    faces = {side: Images(load_faces("embedded", "train", side).images) for side in SIZES}
    part(
        "parameters",
        make=lambda: {name: count_parameters(peer.network(SIDE)) for name, peer in rivals.items()},
    )

    def speeds(make_run, settings, rounds, bar, skip=2):
        names = [(name, setting) for name in rivals for setting in settings(name)]
        runs = {(name, setting): make_run(rivals[name], setting) for name, setting in names}
        found = in_turns(runs, rounds, skip, bar)
        return {name: {s: found[n, s] for n, s in names if n == name} for name in rivals}

    training = part(
        "training",
        make=lambda: speeds(
            lambda peer, setting: training_step(peer, setting, faces[SIDE], SIDE),
            lambda name: (USER, *SETTINGS),
            plan["rounds"],
            "training steps",
        ),
    )
    best = {name: fastest(training[name]) for name in rivals}
    part(
        "sampling",
        make=lambda: speeds(
            lambda peer, setting: sampling(peer, setting, SIDE),
            lambda name: (USER, PLAIN, "bf16, channels-last, compiled"),
            plan["draws"],
            "sampling",
            skip=1,  # a draw has many calls
        ),
    )
    for what, name in itertools.product(("training", "sampling"), rivals):
        for setting in (USER, best[name]):
            part("memory", what, name, setting, make=lambda n=name, s=setting, w=what: alone(n, s, w))
    part("peak", make=lambda: convolution_peak(plan["rounds"]))
    part("operations", make=lambda: {name: operations(peer) for name, peer in rivals.items()})
    part("sizes", make=lambda: sizes(rivals, faces, plan["draws"]))
    for name, peer in rivals.items():
        part("overhead", name, make=lambda peer=peer: overhead(peer, plan["draws"]))
    quality(results, plan, rivals, faces[SIDE])
    return results.found


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


def quality(results: Results, plan: dict, rivals: dict, data: Images) -> None:
    """The headline: distance after minutes of training, own and peers, in their best settings."""
    part, features = results.part, load_model("face-features")
    reference = moments(extract(features, data.images))

    def floor():
        valid = load_faces("embedded", "valid", SIDE).images[: plan["n"]]
        return dict(n=len(valid), fd=frechet_distance(extract(features, valid), reference))

    part("floor", make=floor)

    def run(where, name, minutes, rate, n):
        measured = results.found["training"][name], results.found["memory"]["training"][name]
        how, steps = steps_in(minutes, *measured)
        key = f"{rate:g}" if where == "search" else f"{minutes:g}"
        file = results.scratch / (f"{where}-{name}-{key}".replace(" ", "_").replace(",", "") + ".pt")
        return value(
            part(
                where,
                name,
                key,
                make=lambda: train_and_score(rivals[name], data, reference, rate, steps, n, how, file),
            )
        )

    lowest, highest = min(plan["rates"]) / plan["beyond"], max(plan["rates"]) * plan["beyond"]
    rate = {}
    for name in rivals:
        tried, wanted = {}, plan["rates"]
        while wanted:
            tried |= {r: run("search", name, plan["search"], r, plan["n_search"]) for r in wanted}
            rate[name] = min(tried, key=tried.get)
            wanted = [r for r in beyond(rate[name], tried) if lowest <= r <= highest]
        if tried[rate[name]] == math.inf:
            raise RuntimeError(
                f"{name} diverged at every learning rate tried ({min(tried):g} to {max(tried):g})."
            )

    def at(name, minutes):
        return run("quality", name, minutes, rate[name], plan["n"])

    short, middle, long = plan["minutes"]
    after = {name: at(name, middle) for name in rivals}
    ours, others = sides(rivals)
    ahead = [min(others, key=after.get)] if others else []
    for name in (ours[0], *ahead, *ours[1:]):  # what the goals ask for comes first
        for minutes in (short, long):
            at(name, minutes)


def beyond(best: float, tried) -> list[float]:
    """The rate to try next: one further than the best where that is at an edge of what was tried."""
    return ([best / 2] if best == min(tried) else []) + ([best * 2] if best == max(tried) else [])


def sizes(rivals: dict, faces: dict, rounds: int) -> dict:
    """`spread` of a training step's seconds for each name and side, all taking turns."""
    places = list(itertools.product(rivals, SIZES))
    runs = {(name, side): training_step(rivals[name], PLAIN, faces[side], side) for name, side in places}
    found = in_turns(runs, rounds, bar="sizes")
    return {name: {str(side): found[name, side] for side in SIZES} for name in rivals}


def ms(measured: dict) -> str:
    """Milliseconds with their quartiles."""
    return quartiles(measured, "{:.0f}", 1000)


def quartiles(measured: dict, form: str, scale: float = 1) -> str:
    """A median with its quartiles in brackets."""
    middle, low, high = (form.format(scale * measured[k]) for k in ("median", "low", "high"))
    return f"{middle} ({low}…{high})"


def goals(found: dict) -> list[str]:
    """One line for each goal: what was asked, what was measured, whether it is met."""
    names = list(found["training"])
    ours, others = sides(names)
    if not others:
        return ["No peer was installed, so there is nothing to compare with."]
    lines = []

    def line(what, ratio, wanted, above=True):
        met = ratio >= wanted if above else ratio <= wanted
        lines.append(f"{what}: {ratio:.2f} (asked: {wanted:g}): {'met' if met else 'not met'}")

    training, drawing = (
        {n: {s: r["median"] for s, r in found[what][n].items()} for n in names}
        for what in ("training", "sampling")
    )
    scores = found["quality"]
    peer = max(others, key=lambda name: len(scores.get(name, {})))
    minutes = sorted(scores[peer], key=float)
    for own in ours:
        for what, seconds in (("Training", training), ("Sampling", drawing)):
            ahead = f"{what}, images/s, {own} in its best setting over best peer's"
            quick = min(seconds[own].values())
            line(f"{ahead} default", min(seconds[o][USER] for o in others) / quick, 2)
            line(f"{ahead} best", min(min(seconds[o].values()) for o in others) / quick, 1.2)
        inside, alone = (found["overhead"][own][k] for k in ("inside", "alone"))
        rest = f"against forwards alone, with its noise: {quartiles(alone, '{:.2f}', 100)}"
        line(f"Sampling overhead, {own}, percent of a run ({rest})", 100 * inside["median"], 2, above=False)
        for half, whole in itertools.pairwise(minutes):
            ours_then, theirs = scores[own][half], scores[peer][whole]
            met = "met" if value(ours_then) <= value(theirs) else "not met"
            if None not in (ours_then["fd"], theirs["fd"]):
                (a, b), (c, d) = ours_then["interval"], theirs["interval"]
                met += ", intervals overlap" if a <= d and c <= b else ""
            lines.append(
                f"Half the time to equal FD, {own} after {half} min {told(ours_then)} against {peer} "
                f"after {whole} min {told(theirs)}: {met}"
            )
    return lines


def told(run: dict) -> str:
    """The distance of a run with its interval."""
    if run["fd"] is None:
        return "diverged"
    low, high = run["interval"]
    return f"{run['fd']:.2f} ({low:.2f} … {high:.2f})"


def head(*columns: str) -> str:
    """The first two lines of a Markdown table whose rows begin with a name."""
    return "| | " + " | ".join(columns) + " |\n" + "|---" * (1 + len(columns)) + "|\n"


def report(found: dict) -> str:
    """RESULTS.md."""
    m, names = found["machine"], list(found["training"])
    versions = ", ".join(f"{k} {v}" for k, v in m["versions"].items())
    text = f"""# This project beside its peers

{m["date"]}, {m["processor"]}, {m["device"]}, Python {m["python"]}, {versions}.
Written by `make bench` (benchmarks/bench.py).

The 10,000 drawn training faces at {m["side"]}×{m["side"]}, batch {m["batch"]}, the same threads for all.
Steps, draws and sizes were measured in turns within one run: medians with quartiles in brackets; overhead
one network after the other, memory once. Each library once as its users run it (its own network, loop and
sampler, float32), and once in bf16, channels-last and compiled, where all of them are trained by this
project's `fit` (AdamW, warm-up, averaged weights in every step). Speeds do not count the compiling; what it
takes is told beside the memory, and in the minutes of training it counts.

"{OWN}" is the course's face model, which folds 2×2 pixels into channels before its first convolution;
"pixels not folded" is the same network without that, as the peers' are. What the first gains over the
second comes from this choice of architecture, not from faster code. denoising-diffusion-pytorch has linear
attention at the higher resolutions too (its class always has), and weighs the loss of v by SNR / (SNR + 1).
smalldiffusion is without its dropout, and without the last σ of its cosine schedule, which its embedding
cannot tell from a small one, in all but its users' way.

"""
    if not m["bf16"]:
        text += "This processor has no instructions for bf16: what is called bf16 here ran in float32.\n\n"
    text += "## Goals\n\n"
    text += "".join(f"- {line}\n" for line in goals(found))
    text += f"\n## Milliseconds of a training step of {m['batch']} images\n\n"
    columns = (USER, *SETTINGS)
    text += head("parameters", *columns)
    for name in names:
        row = " | ".join(ms(found["training"][name][s]) for s in columns)
        text += f"| {name} | {found['parameters'][name] / 1e6:.2f} M | {row} |\n"
    text += f"\n## Seconds for {m['batch']} images in {m['sampler_steps']} steps\n\n"
    columns = list(found["sampling"][names[0]])
    text += head(*columns)
    for name in names:
        row = " | ".join(quartiles(found["sampling"][name][s], "{:.2f}") for s in columns)
        text += f"| {name} | {row} |\n"
    text += "\n## Memory, operations, share of the convolution peak, overhead\n\n"
    peak = found["peak"]["operations_per_second"]
    text += f"The fastest 3×3 convolution found here: {peak / 1e9:.0f} billion operations a second.\n\n"
    text += (
        "MiB beyond what Python, torch and the pictures take, of a process that compiles anew where it is "
        "compiled; the first training step has the compiling in it. "
        "Overhead: the share of a run of the sampler that is not in its forwards, and the same against as "
        "many forwards alone, which has the noise of both.\n\n"
    )
    columns = ("training, MiB, users' way", "best", "sampling, MiB, users' way", "best")
    columns += (
        "first step, s",
        "billion operations a step",
        "share of the peak",
        "overhead, %",
        "against forwards alone, %",
    )
    text += head(*columns)
    for name in names:
        best = fastest(found["training"][name])
        count, over = found["operations"][name], found["overhead"][name]
        share = count / found["training"][name][best]["median"] / peak
        cells = [found["memory"][w][name][s]["mib"] for w in ("training", "sampling") for s in (USER, best)]
        cells += [found["memory"]["training"][name][best]["first"], count / 1e9]
        text += f"| {name} | " + " | ".join(f"{x:.0f}" for x in cells) + f" | {share:.0%} "
        text += "| " + " | ".join(quartiles(over[k], "{:.2f}", 100) for k in ("inside", "alone")) + " |\n"
    text += f"\n## Milliseconds of a training step against the side ({PLAIN})\n\n"
    text += head(*(f"{s}×{s}" for s in SIZES), "exponent in the pixels")
    for name in names:
        sizes = found["sizes"][name]
        slope = exponent({int(s): v["median"] for s, v in sizes.items()})
        text += f"| {name} | " + " | ".join(ms(sizes[str(s)]) for s in SIZES) + f" | {slope:.2f} |\n"
    floor = found["floor"]
    text += f"""
## Time to quality

Fréchet distance in the 64 features of `face-features`, {m["sampler_steps"]} steps of each library's own
sampler, all set to DDIM, against the 10,000 training faces; real against real {floor["fd"]:.2f}
(n = {floor["n"]}). One seed (0), from scratch; intervals are those of the drawn pictures only. The learning
rate is the best of a short search (below), with warm-up over the first tenth of the steps and linear decay
to the end. The steps are those that fit into the minutes by the median time of a step measured above, in the
setting in which the most fit, where compiling counts; "ms a step" is the median in this training.

"""
    text += head("setting", "rate", "minutes", "steps", "ms a step", "FD (95 %)")
    for name, runs in found["quality"].items():
        for minutes in sorted(runs, key=float):
            r = runs[minutes]
            took = f"{1000 * r['step']:.0f}" if "step" in r else ""
            text += f"| {name} | {r['setting']} | {r['rate']:g} | {minutes} | {r['steps']} | {took} "
            text += f"| {told(r)} |\n"
    tried = sorted({float(rate) for runs in found["search"].values() for rate in runs})
    n = next(iter(next(iter(found["search"].values())).values()))["n"]
    text += f"\nThe search: FD (n = {n}) after a short training with each learning rate\n\n"
    text += head(*(f"{r:g}" for r in tried))
    for name, runs in found["search"].items():
        row = (told(runs[f"{r:g}"]) if f"{r:g}" in runs else "" for r in tried)
        text += f"| {name} | " + " | ".join(row) + " |\n"
    return text


def summary(found: dict) -> str:
    """The table of the README: images a second, and the distance after the middle minutes."""
    m, floor = found["machine"], found["floor"]
    minutes = sorted(found["quality"][next(iter(found["training"]))], key=float)[1]
    columns = ("training", "best setting", f"sampling, {m['sampler_steps']} steps", "best setting")
    columns += (f"FD after {minutes} min (95 %)",)
    text = f"{m['processor']}, {m['device']}; {m['side']}×{m['side']}, batch {m['batch']}, seed 0, "
    text += f"n = {floor['n']}, real against real {floor['fd']:.2f}.\n\n"
    text += "Images a second, the way the users of each run it and in its best setting:\n\n"
    text += head(*columns)
    for name in found["training"]:
        text += f"| {name} "
        for what, form in (("training", ".1f"), ("sampling", ".2f")):
            row = found[what][name]
            for setting in (USER, fastest(row)):
                text += f"| {m['batch'] / row[setting]['median']:{form}} "
        text += f"| {told(found['quality'][name][minutes])} |\n"
    return text


def in_readme(text: str, found: dict) -> str:
    """The README with the table of these measurements in it."""
    block = f"<!-- bench -->\n\n{summary(found)}\n<!-- /bench -->"
    return re.sub(r"(?s)<!-- bench -->.*<!-- /bench -->", lambda _: block, text)


def picture(found: dict, file: Path) -> None:
    """Two panels: distance against minutes of training, and images a second in training."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    markers = itertools.cycle("os^Dv")  # open and different: some points coincide
    for name, runs in found["quality"].items():
        minutes = sorted(map(float, runs))
        distances = [value(runs[f"{x:g}"]) for x in minutes]
        left.plot(minutes, distances, marker=next(markers), markerfacecolor="none", label=name)
    left.axhline(found["floor"]["fd"], color="0.5", ls=":", label="real against real")
    left.set(xlabel="minutes of training", ylabel="FD: lower is better", xscale="log", yscale="log")
    left.set_xticks([float(x) for x in next(iter(found["quality"].values()))])
    left.set_yticks([0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200])
    low, high = left.dataLim.intervaly
    left.set_ylim(low / 1.2, high * 1.2)
    for axis in (left.get_xaxis(), left.get_yaxis()):
        axis.set_major_formatter("{x:g}")
    left.minorticks_off()
    left.legend(fontsize=7, loc="upper left", bbox_to_anchor=(-0.1, -0.2), ncols=2)
    names = list(found["training"])
    for i, (setting, grey) in enumerate(((USER, "0.75"), ("fastest setting", "0.35"))):
        rows = [found["training"][n] for n in names]
        steps = [r[USER if i == 0 else fastest(r)]["median"] for r in rows]
        places = [k + 0.38 * (i - 0.5) for k in range(len(names))]
        right.barh(places, [BATCH / s for s in steps], 0.36, color=grey, label=setting)
    right.set_yticks(range(len(names)), names)
    right.invert_yaxis()
    right.set(xlabel="images a second in training: more is better")
    right.legend(fontsize=7)
    fig.savefig(file, dpi=120)
    plt.close(fig)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few steps of everything, into build/")
    parser.add_argument("--alone", nargs=3, metavar=("NAME", "SETTING", "WHAT"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.alone:
        return print(json.dumps(in_this_process(*asked.alone)))
    folder = BUILD.parent / "bench-quick" if asked.quick else HERE
    scratch = BUILD / ("bench-quick" if asked.quick else "bench")
    found = measure(Results(folder / "bench.json", scratch), QUICK if asked.quick else FULL)
    (folder / "RESULTS.md").write_text(report(found), encoding="utf-8")
    picture(found, folder / "bench.png")
    if not asked.quick:
        README.write_text(in_readme(README.read_text(encoding="utf-8"), found), encoding="utf-8")
    print("\n".join(goals(found)))


if __name__ == "__main__":
    main()
