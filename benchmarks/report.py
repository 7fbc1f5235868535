"""RESULTS.md and the table of the README, written from the measurements alone."""

import re

from benchmarks.common import OWN, PLAIN, SETTINGS, SIZES, USER
from benchmarks.figures import exponent, fastest, goals, ms, quartiles, with_interval


def report(found: dict) -> str:
    """RESULTS.md."""
    sections = (about, aims, step_times, draw_times, costs, growth, quality, search)
    return "\n".join(section(found) for section in sections)


def table(columns, rows) -> str:
    """A Markdown table; each row begins with a name, over which no column stands."""
    text = "| | " + " | ".join(columns) + " |\n" + "|---" * (1 + len(columns)) + "|\n"
    return text + "".join("| " + " | ".join(row) + " |\n" for row in rows)


def about(found: dict) -> str:
    """What was compared, how, and where."""
    m = found["machine"]
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
        text += "\nThis processor has no instructions for bf16: what is called bf16 here ran in float32.\n"
    return text


def aims(found: dict) -> str:
    """The goals, met or not."""
    return "## Goals\n\n" + "".join(f"- {line}\n" for line in goals(found))


def step_times(found: dict) -> str:
    """Training steps in each setting."""
    settings = (USER, *SETTINGS)
    rows = [
        [name, f"{found['parameters'][name] / 1e6:.2f} M", *(ms(times[s]) for s in settings)]
        for name, times in found["training"].items()
    ]
    title = f"## Milliseconds of a training step of {found['machine']['batch']} images\n\n"
    return title + table(("parameters", *settings), rows)


def draw_times(found: dict) -> str:
    """Draws in each setting."""
    m, names = found["machine"], list(found["training"])
    settings = list(found["sampling"][names[0]])
    rows = [[n, *(quartiles(found["sampling"][n][s], "{:.2f}") for s in settings)] for n in names]
    return f"## Seconds for {m['batch']} images in {m['sampler_steps']} steps\n\n" + table(settings, rows)


def costs(found: dict) -> str:
    """Memory, compiling, operations, and what the sampler costs besides its forwards."""
    peak = found["peak"]["operations_per_second"]
    text = (
        "## Memory, operations, share of the convolution peak, overhead\n\n"
        f"The fastest 3×3 convolution found here: {peak / 1e9:.0f} billion operations a second.\n\n"
        "MiB beyond what Python, torch and the pictures take, of a process that compiles anew where it is "
        "compiled; the first training step has the compiling in it. "
        "Overhead: the share of a run of the sampler that is not in its forwards, and the same against as "
        "many forwards alone, which has the noise of both.\n\n"
    )
    columns = ("training, MiB, users' way", "best", "sampling, MiB, users' way", "best")
    columns += ("first step, s", "billion operations a step", "share of the peak")
    columns += ("overhead, %", "against forwards alone, %")
    rows = []
    for name, times in found["training"].items():
        best = fastest(times)
        count, over = found["operations"][name], found["overhead"][name]
        cells = [found["memory"][w][name][s]["mib"] for w in ("training", "sampling") for s in (USER, best)]
        cells += [found["memory"]["training"][name][best]["first"], count / 1e9]
        share = f"{count / times[best]['median'] / peak:.0%}"
        shares = (quartiles(over[k], "{:.2f}", 100) for k in ("inside", "alone"))
        rows.append([name, *(f"{x:.0f}" for x in cells), share, *shares])
    return text + table(columns, rows)


def growth(found: dict) -> str:
    """Training steps against the number of pixels."""
    rows = []
    for name in found["training"]:
        sizes = found["sizes"][name]
        slope = exponent({int(s): v["median"] for s, v in sizes.items()})
        rows.append([name, *(ms(sizes[str(s)]) for s in SIZES), f"{slope:.2f}"])
    columns = (*(f"{s}×{s}" for s in SIZES), "exponent in the pixels")
    return f"## Milliseconds of a training step against the side ({PLAIN})\n\n" + table(columns, rows)


def quality(found: dict) -> str:
    """The distances after minutes of training."""
    m, floor = found["machine"], found["floor"]
    text = f"""## Time to quality

Fréchet distance in the 64 features of `face-features`, {m["sampler_steps"]} steps of each library's own
sampler, all set to DDIM, against the 10,000 training faces; real against real {floor["fd"]:.2f}
(n = {floor["n"]}). One seed (0), from scratch; intervals are those of the drawn pictures only. The learning
rate is the best of a short search (below), with warm-up over the first tenth of the steps and linear decay
to the end. The steps are those that fit into the minutes by the median time of a step measured above, in the
setting in which the most fit, where compiling counts; "ms a step" is the median in this training.

"""
    rows = []
    for name, runs in found["quality"].items():
        for minutes in sorted(runs, key=float):
            r = runs[minutes]
            took = f"{1000 * r['step']:.0f}" if "step" in r else ""
            rows.append([name, r["setting"], f"{r['rate']:g}", minutes, str(r["steps"]), took])
            rows[-1].append(with_interval(r))
    return text + table(("setting", "rate", "minutes", "steps", "ms a step", "FD (95 %)"), rows)


def search(found: dict) -> str:
    """The distances at each learning rate that was tried."""
    tried = sorted({float(rate) for runs in found["search"].values() for rate in runs})
    n = next(iter(next(iter(found["search"].values())).values()))["n"]
    columns = [f"{rate:g}" for rate in tried]
    rows = [
        [name, *(with_interval(runs[c]) if c in runs else "" for c in columns)]
        for name, runs in found["search"].items()
    ]
    text = f"The search: FD (n = {n}) after a short training with each learning rate\n\n"
    return text + table(columns, rows)


def summary(found: dict) -> str:
    """The table of the README: images a second, and the distance after the middle minutes."""
    m, floor = found["machine"], found["floor"]
    minutes = sorted(found["quality"][next(iter(found["training"]))], key=float)[1]
    columns = ("training", "best setting", f"sampling, {m['sampler_steps']} steps", "best setting")
    columns += (f"FD after {minutes} min (95 %)",)
    text = f"{m['processor']}, {m['device']}; {m['side']}×{m['side']}, batch {m['batch']}, seed 0, "
    text += f"n = {floor['n']}, real against real {floor['fd']:.2f}.\n\n"
    text += "Images a second, the way the users of each run it and in its best setting:\n\n"
    rows = []
    for name in found["training"]:
        rows.append([name])
        for what, form in (("training", ".1f"), ("sampling", ".2f")):
            times = found[what][name]
            speeds = (m["batch"] / times[setting]["median"] for setting in (USER, fastest(times)))
            rows[-1] += [f"{speed:{form}}" for speed in speeds]
        rows[-1].append(with_interval(found["quality"][name][minutes]))
    return text + table(columns, rows)


def in_readme(text: str, found: dict) -> str:
    """The README with the table of these measurements in it."""
    block = f"<!-- bench -->\n\n{summary(found)}\n<!-- /bench -->"
    return re.sub(r"(?s)<!-- bench -->.*<!-- /bench -->", lambda _: block, text)
