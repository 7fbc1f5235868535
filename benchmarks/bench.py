"""This project's U-Net, training step and sampling beside its peers: make bench

    python -m benchmarks.bench              about four hours on two quiet cores; resumes after a kill
    python -m benchmarks.bench --quick      the same in some minutes, into build/, to see that it runs

Everything is measured in turns within one run, on the same drawn faces, batch and threads. Writes
benchmarks/bench.json after each part, RESULTS.md and bench.png at the end.
"""

import argparse
import contextlib
import importlib.metadata
import itertools
import json
import math
import platform
import resource
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
from helpers.checkpoints import load_model, write_json
from helpers.data import load_faces
from helpers.metrics import bootstrap, extract, frechet_distance, moments
from helpers.train import fit
from helpers.unet import count_parameters
from tools.checkpoints import BUILD, device_name

HERE = Path(__file__).parent
SIDE = 32
SIZES = (16, 32, 64)
SETTINGS = {  # how a step is run, besides the way its users run it
    "bf16": dict(bf16=True),
    "bf16, channels-last": dict(bf16=True, channels_last=True),
    "bf16, channels-last, compiled": dict(bf16=True, channels_last=True, compile=True),
}
USER = "as its users run it"
PLAIN = "bf16, channels-last"
RATES = (1e-3, 2e-3)
FULL = dict(rounds=11, draws=5, search=3.0, minutes=(5.0, 10.0, 20.0), n=1000, n_search=500)
QUICK = dict(rounds=2, draws=1, search=0.05, minutes=(0.05, 0.1, 0.2), n=80, n_search=70)


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


def training_step(peer, setting: str, data: Images, side: int):
    """A function that takes one training step of a fresh network."""
    torch.manual_seed(0)
    if setting == USER:
        loop = peer.user_loop(peer.network(side), data)
    else:
        how = dict(SETTINGS[setting])
        network = peer.network(side)
        if how.pop("compile", False):
            peer.inner(network).compile()
        loop = fit(network, data, peer.loss, steps=10**6, batch=BATCH, **how)
    return lambda: next(loop)


@contextlib.contextmanager
def setting_of(setting: str, peer, network: nn.Module):
    """The network as a sampler has it in a setting, and bf16 around what is done with it."""
    how = SETTINGS.get(setting, {})
    network.eval()
    if how.get("channels_last"):
        network.to(memory_format=torch.channels_last)
    if how.get("compile"):
        peer.inner(network).compile()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=bool(how)):
        yield


def sampling(peer, setting: str, side: int):
    """A function that draws BATCH pictures in STEPS steps."""
    torch.manual_seed(0)
    network = peer.network(side)
    draw = peer.user_sample if setting == USER else peer.sample

    def run():
        with setting_of(setting, peer, network):
            draw(network, BATCH, side)

    with setting_of(setting, peer, network):
        pass  # compiled once, not in each run
    return run


class Remember:
    """Stands in for a network's forward: calls it once, then gives the same answer for nothing."""

    def __init__(self, forward):
        self.forward, self.answer, self.calls = forward, None, 0

    def __call__(self, *inputs, **options):
        self.calls += 1
        if self.answer is None:
            self.answer = self.forward(*inputs, **options)
        return self.answer


def overhead(peer, rounds: int) -> dict:
    """What a run of STEPS steps costs besides its forwards, in two ways, as a share of the run.

    'without': the sampler with a network that answers at once, beside the forwards alone; 'difference': the
    whole run less STEPS forwards, which has the noise of both.
    """
    torch.manual_seed(0)
    network = peer.network(SIDE)
    silent = peer.network(SIDE)
    forward = Remember(peer.inner(silent).forward)
    peer.inner(silent).forward = forward
    x, t = torch.randn(BATCH, 3, SIDE, SIDE), torch.full((BATCH,), 500)
    with setting_of(PLAIN, peer, network), setting_of(PLAIN, peer, silent):
        x = x.to(memory_format=torch.channels_last)
        runs = {
            "forwards": lambda: [peer.call(network, x, t) for _ in range(STEPS)],
            "run": lambda: peer.sample(network, BATCH, SIDE),
            "silent": lambda: peer.sample(silent, BATCH, SIDE),
        }
        found = in_turns(runs, rounds, skip=1, bar=f"overhead, {peer.name}")
    calls = forward.calls // (rounds + 1)
    if calls != STEPS:
        raise RuntimeError(f"{peer.name} asked its network {calls} times in {STEPS} steps.")
    forwards, run, nothing = (found[k]["median"] for k in ("forwards", "run", "silent"))
    return found | dict(without=nothing / (nothing + forwards), difference=(run - forwards) / run)


def operations(peer) -> int:
    """Floating-point operations of one training step (forward and backward), counted by torch."""
    network = peer.network(SIDE)
    generator = torch.Generator().manual_seed(0)
    with FlopCounterMode(display=False) as counter:
        peer.loss(network, torch.zeros(BATCH, 3, SIDE, SIDE), generator).backward()
    return counter.get_total_flops()


def convolution_peak(rounds: int) -> dict:
    """The most bf16 operations a second that a 3×3 convolution reaches here, of a few good shapes."""
    rates = {}
    for channels, side in ((64, 64), (128, 32), (256, 32), (512, 16)):
        layer = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        layer = layer.to(torch.bfloat16, memory_format=torch.channels_last)
        x = torch.randn(BATCH, channels, side, side, dtype=torch.bfloat16)
        x = x.to(memory_format=torch.channels_last)
        count = 2 * BATCH * side**2 * channels**2 * 9
        with torch.no_grad():
            found = in_turns({"": lambda layer=layer, x=x: layer(x)}, 3 * rounds, bar="convolution peak")
        rates[f"{channels} channels, {side}×{side}"] = count / found[""]["median"]
    return dict(operations_per_second=max(rates.values()), shapes=rates)


def peak_memory(name: str, setting: str) -> float:
    """MiB that training takes beyond what Python, torch and the pictures take, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.bench", "--memory", name, setting]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise RuntimeError(f"Measuring the memory of {name} failed: {answer.stderr.strip()[-500:]}")
    return float(answer.stdout.split()[-1])


def report_memory(name: str, setting: str) -> None:
    """Prints how far three training steps raise this process's peak memory, in MiB."""
    peer = peers()[name]
    data = Images(torch.zeros(BATCH * 4, 3, SIDE, SIDE))
    step = training_step(peer, setting, data, SIDE)
    before = peak_of_process()
    for _ in range(3):
        step()
    print(peak_of_process() - before)


def peak_of_process() -> float:
    """The most memory that this process has held, in MiB.

    Not ru_maxrss where it can be avoided: on Linux a process begins with that of the one that started it.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 2**10  # KiB
    unit = 1 if platform.system() == "Darwin" else 2**10  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def train_and_score(peer, name: str, data: Images, reference, rate: float, steps: int, n: int, how: str):
    """Fréchet distance with its interval of n pictures after so many steps from scratch, seed 0."""
    torch.manual_seed(0)
    network = peer.network(SIDE)
    options = dict(SETTINGS[how])
    if options.pop("compile", False):
        peer.inner(network).compile()
    checkpoint = BUILD / "bench" / f"{name}.pt"
    bar = tqdm(total=steps, desc=name, mininterval=2)
    start = time.perf_counter()
    for step in fit(
        network,
        data,
        peer.loss,
        steps=steps,
        batch=BATCH,
        rate=rate,
        ema=0.995,
        checkpoint=checkpoint,
        **options,
    ):
        bar.update(step.step - bar.n)
    bar.close()
    elapsed = time.perf_counter() - start
    torch.manual_seed(0)
    images = []
    with setting_of(PLAIN, peer, step.ema):
        for begin in tqdm(range(0, n, 50), f"{n} pictures", mininterval=2):
            images.append(peer.sample(step.ema, min(50, n - begin), SIDE).float().clamp(-1, 1))
    features = load_model("face-features")
    seen = extract(features, torch.cat(images))

    def distance(some):
        return frechet_distance(some, reference)

    return dict(
        fd=distance(seen), interval=bootstrap(distance, seen, repeats=50), steps=steps, rate=rate, n=n,
        setting=how, seconds=elapsed,
    )  # fmt: skip


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


def fastest(training: dict) -> str:
    """The setting with the smallest median, not the one of its users."""
    return min(SETTINGS, key=lambda setting: training[setting]["median"])


class Results:
    """What was measured so far, in a file that is written after each part."""

    def __init__(self, file: Path):
        self.file = file
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


def machine() -> dict:
    """What the figures hold for."""
    names = ("torch", "diffusers", "denoising-diffusion-pytorch", "smalldiffusion", "accelerate")
    found = {}
    for name in names:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return dict(
        device=device_name(), python=platform.python_version(), date=time.strftime("%Y-%m-%d"),
        versions=found, batch=BATCH, side=SIDE, sampler_steps=STEPS,
    )  # fmt: skip


def measure(results: Results, plan: dict) -> dict:
    """All parts, each once; what `Results` has already is not measured again."""
    part, rivals = results.part, peers()
    part("machine", make=machine)
    faces = {side: Images(load_faces("embedded", "train", side).images) for side in SIZES}
    part(
        "parameters",
        make=lambda: {name: count_parameters(peer.network(SIDE)) for name, peer in rivals.items()},
    )

    def speeds(make_run, settings, rounds, bar):
        names = [(name, setting) for name in rivals for setting in settings(name)]
        runs = {(name, setting): make_run(rivals[name], setting) for name, setting in names}
        found = in_turns(runs, rounds, bar=bar)
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
        ),
    )
    for name in rivals:
        for setting in (USER, best[name]):
            part("memory", name, setting, make=lambda n=name, s=setting: peak_memory(n, s))
    part("peak", make=lambda: convolution_peak(plan["rounds"]))
    part("operations", make=lambda: {name: operations(peer) for name, peer in rivals.items()})
    part(
        "sizes",
        make=lambda: {
            name: {
                str(side): in_turns(
                    {"": training_step(peer, PLAIN, faces[side], side)}, plan["draws"], bar=f"{name}, {side}²"
                )[""]
                for side in SIZES
            }
            for name, peer in rivals.items()
        },
    )
    for name, peer in rivals.items():
        part("overhead", name, make=lambda peer=peer: overhead(peer, plan["draws"]))
    quality(results, plan, rivals, faces[SIDE], training, best)
    return results.found


def quality(results: Results, plan: dict, rivals: dict, data: Images, training: dict, best: dict) -> None:
    """The headline: distance after minutes of training, own and peers, in their best settings."""
    part, features = results.part, load_model("face-features")
    reference = moments(extract(features, data.images))

    def floor():
        valid = load_faces("embedded", "valid", SIDE).images[: plan["n"]]
        return dict(n=len(valid), fd=frechet_distance(extract(features, valid), reference))

    part("floor", make=floor)

    def run(name, peer, minutes, rate, n, key, how, seconds):
        steps = max(int(minutes * 60 / seconds), 2)
        label = f"{name}-{minutes:g}-{rate:g}".replace(" ", "_").replace(",", "")
        return part(*key, make=lambda: train_and_score(peer, label, data, reference, rate, steps, n, how))

    rate = {}
    for name, peer in rivals.items():
        seconds = training[name][best[name]]["median"]
        tried = {
            r: run(
                name,
                peer,
                plan["search"],
                r,
                plan["n_search"],
                ("search", name, f"{r:g}"),
                best[name],
                seconds,
            )["fd"]
            for r in RATES
        }
        rate[name] = min(tried, key=tried.get)

    def at(name, peer, minutes, how, seconds, rate):
        return run(name, peer, minutes, rate, plan["n"], ("quality", name, f"{minutes:g}"), how, seconds)[
            "fd"
        ]

    short, middle, long = plan["minutes"]
    after = {
        name: at(name, peer, middle, best[name], training[name][best[name]]["median"], rate[name])
        for name, peer in rivals.items()
    }
    ours, others = sides(rivals)
    for name in (*ours, *([min(others, key=after.get)] if others else [])):
        for minutes in (short, long):
            seconds = training[name][best[name]]["median"]
            at(name, rivals[name], minutes, best[name], seconds, rate[name])


def ms(measured: dict) -> str:
    """Milliseconds with their quartiles."""
    return f"{1000 * measured['median']:.0f} ({1000 * measured['low']:.0f}…{1000 * measured['high']:.0f})"


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

    best = {name: min(found["training"][name][s]["median"] for s in SETTINGS) for name in names}
    user = {name: found["training"][name][USER]["median"] for name in names}
    draw = {
        name: {s: found["sampling"][name][s]["median"] for s in found["sampling"][name]} for name in names
    }
    slow = {name: draw[name][USER] for name in names}
    fast = {name: min(v for s, v in draw[name].items() if s != USER) for name in names}
    scores = found["quality"]
    peer = max(others, key=lambda name: len(scores.get(name, {})))
    minutes = sorted(scores[peer], key=float)
    for own in ours:
        for what, default, quick in (("Training", user, best), ("Sampling", slow, fast)):
            ahead = f"{what}, images/s, {own} in its best setting over best peer's"
            line(f"{ahead} default", min(default[o] for o in others) / quick[own], 2)
            line(f"{ahead} best", min(quick[o] for o in others) / quick[own], 1.2)
        over = 100 * found["overhead"][own]["without"]
        line(f"Sampling overhead, {own}, percent of a run", over, 2, above=False)
        for half, whole in itertools.pairwise(minutes):
            a, b = scores[own][half]["fd"], scores[peer][whole]["fd"]
            lines.append(
                f"Half the time to equal FD, {own} after {half} min {a:.2f} against {peer} "
                f"after {whole} min {b:.2f}: {'met' if a <= b else 'not met'}"
            )
    return lines


def report(found: dict) -> str:
    """RESULTS.md."""
    m, names = found["machine"], list(found["training"])
    versions = ", ".join(f"{k} {v}" for k, v in m["versions"].items())
    text = f"""# This project beside its peers

{m["date"]}, {m["device"]}, Python {m["python"]}, {versions}. Written by `make bench` (benchmarks/bench.py).

The 10,000 drawn training faces at {m["side"]}×{m["side"]}, batch {m["batch"]}, the same threads for all,
measured in turns within one run; medians with quartiles. Each peer as its users run it (its own loop,
float32) and in bf16, channels-last and compiled; compiling itself is not counted. "{OWN}" is the
course's face model, which folds 2×2 pixels into channels before its first convolution; "pixels not folded"
is the same network without that, as the peers' are. What the first gains over the second comes from this
choice of architecture, not from faster code.

## Goals

"""
    text += "".join(f"- {line}\n" for line in goals(found))
    text += f"\n## Milliseconds of a training step of {m['batch']} images\n\n"
    columns = (USER, *SETTINGS)
    text += "| | parameters | " + " | ".join(columns) + " |\n|---" * 1 + "|---" * (1 + len(columns)) + "|\n"
    for name in names:
        row = " | ".join(ms(found["training"][name][s]) for s in columns)
        text += f"| {name} | {found['parameters'][name] / 1e6:.2f} M | {row} |\n"
    text += f"\n## Seconds for {m['batch']} images in {m['sampler_steps']} steps\n\n"
    columns = list(found["sampling"][names[0]])
    text += "| | " + " | ".join(columns) + " |\n" + "|---" * (1 + len(columns)) + "|\n"
    for name in names:
        row = " | ".join(f"{found['sampling'][name][s]['median']:.2f}" for s in columns)
        text += f"| {name} | {row} |\n"
    text += "\n## Memory, operations, share of the convolution peak, overhead\n\n"
    peak = found["peak"]["operations_per_second"]
    text += f"The fastest bf16 3×3 convolution found here: {peak / 1e9:.0f} billion operations a second.\n\n"
    text += (
        "| | MiB, users' way | MiB, best | billion operations a step | share of the peak | overhead of a run "
    )
    text += "| by difference |\n" + "|---" * 7 + "|\n"
    for name in names:
        best = fastest(found["training"][name])
        count, over = found["operations"][name], found["overhead"][name]
        share = count / found["training"][name][best]["median"] / peak
        memory = found["memory"][name]
        text += f"| {name} | {memory[USER]:.0f} | {memory[best]:.0f} | {count / 1e9:.0f} | {share:.0%} "
        text += f"| {over['without']:.1%} | {over['difference']:.1%} |\n"
    text += f"\n## Milliseconds of a training step against the side ({PLAIN})\n\n"
    text += (
        "| | "
        + " | ".join(f"{s}×{s}" for s in SIZES)
        + " | exponent in the pixels |\n|---|---|---|---|---|\n"
    )
    for name in names:
        sizes = found["sizes"][name]
        slope = exponent({int(s): v["median"] for s, v in sizes.items()})
        text += f"| {name} | " + " | ".join(ms(sizes[str(s)]) for s in SIZES) + f" | {slope:.2f} |\n"
    floor, rates = found["floor"], " and ".join(f"{r:g}" for r in RATES)
    text += f"""
## Time to quality

Fréchet distance in the 64 features of `face-features`, {m["sampler_steps"]} steps of each library's own
sampler, against the 10,000 training faces; real against real {floor["fd"]:.2f} (n = {floor["n"]}). One seed
(0), from scratch, AdamW, averaged weights; the learning rate is the better of {rates} after a short
search. The steps are those that fit into the minutes by the median time of a step.

| | setting | rate | minutes | steps | FD | 95 % interval |
|---|---|---|---|---|---|---|
"""
    for name, runs in found["quality"].items():
        for minutes in sorted(runs, key=float):
            r = runs[minutes]
            low, high = r["interval"]
            text += f"| {name} | {r['setting']} | {r['rate']:g} | {minutes} | {r['steps']} | {r['fd']:.2f} "
            text += f"| {low:.2f} … {high:.2f} |\n"
    return text


def picture(found: dict, file: Path) -> None:
    """Two panels: distance against minutes of training, and images a second in training."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    for name, runs in found["quality"].items():
        minutes = sorted(map(float, runs))
        left.plot(minutes, [runs[f"{x:g}"]["fd"] for x in minutes], marker="o", label=name)
    left.axhline(found["floor"]["fd"], color="0.5", ls=":", label="real against real")
    left.set(xlabel="minutes of training", ylabel="FD: lower is better", xscale="log", yscale="log")
    left.set_xticks([float(x) for x in next(iter(found["quality"].values()))])
    left.get_xaxis().set_major_formatter("{x:g}")
    left.minorticks_off()
    left.legend(fontsize=7)
    names = list(found["training"])
    for i, setting in enumerate((USER, "fastest setting")):
        rows = [found["training"][n] for n in names]
        steps = [r[USER if i == 0 else fastest(r)]["median"] for r in rows]
        places = [k + 0.38 * (i - 0.5) for k in range(len(names))]
        right.barh(places, [BATCH / s for s in steps], 0.36, label=setting)
    right.set_yticks(range(len(names)), names)
    right.invert_yaxis()
    right.set(xlabel="images a second in training: more is better")
    right.legend(fontsize=7)
    fig.savefig(file, dpi=80)
    plt.close(fig)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few steps of everything, into build/")
    parser.add_argument("--memory", nargs=2, metavar=("NAME", "SETTING"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.memory:
        return report_memory(*asked.memory)
    folder = BUILD.parent / "bench-quick" if asked.quick else HERE
    found = measure(Results(folder / "bench.json"), QUICK if asked.quick else FULL)
    (folder / "RESULTS.md").write_text(report(found), encoding="utf-8")
    picture(found, folder / "bench.png")
    print("\n".join(goals(found)))


if __name__ == "__main__":
    main()
