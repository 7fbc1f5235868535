"""GAN, VAE, flow and diffusion on the same data: eight settings each, then three seeds of the best.

    python -m experiments.rivals    resumes after a kill; writes rivals.json for lecture why_diffusion

The models are not written here: the cells of the lecture that carry the tag `rivals` are executed. All four
have the same number of parameters (all that is trained is counted, in a GAN both networks), see the same
number of batches, and search over four rates × two values of the one knob that matters for each. The
best setting is the one with the smallest distance to the real points (digits: Fréchet distance); it is
trained again with seeds 1, 2, 3. The 25 Gaussians get the best settings of the eight, nothing is tuned there.
Last, what more time buys: the same settings with four times the steps, seed 1.
"""

import argparse
import json
import math
import time
from pathlib import Path

import jupytext
import torch

from helpers.diffusion import Denoiser
from helpers.files import write_json
from helpers.likelihood import bound, strata
from helpers.profile import ROOT, device_name

FILE = Path(__file__).with_suffix(".json")
LECTURE = ROOT / "notebooks" / "source" / "01_why_diffusion.py"
RATES = (1e-3, 2e-3, 5e-3, 1e-2)
STEPS = {"eight_gaussians": 2000, "pinwheel": 2000, "digits": 2000, "grid": 2000}
LONG = {"grid": 8000, "digits": 8000}
KNOBS = {  # name, its two values in the plane, and for digits
    "GAN": ("penalty", (0.0, 0.1), (0.0, 1.0)),
    "VAE": ("sigma", (0.05, 0.1), (0.15, 0.3)),
    "Flow": ("layers", (4, 8), (4, 8)),
    "Diffusion": ("T", (20, 100), (20, 100)),
}
SEEDS = (1, 2, 3)


def lecture() -> dict:
    """The names that the lecture's cells with the tag `rivals` define."""
    cells = jupytext.reads(LECTURE.read_text(encoding="utf-8"), fmt="py:percent").cells
    names = {}
    for cell in cells:
        if "rivals" in cell.metadata.get("tags", []):
            exec(compile(cell.source, LECTURE.name, "exec"), names)
    names["tqdm"] = iter  # no bars here
    return names


def knobs(kind: str, data: str) -> tuple:
    """The two values that the knob of this model takes on these data."""
    return KNOBS[kind][2 if data == "digits" else 1]


@torch.no_grad()
def nats(kind: str, model, x: torch.Tensor) -> float | None:
    """Mean log-likelihood of x (N, D) in nats: exact (flow), a lower bound (VAE, diffusion), none (GAN)."""
    if kind == "GAN":
        return None
    torch.manual_seed(0)
    if kind != "Diffusion":
        repeats = 1 if kind == "Flow" else 10  # a VAE draws one z for each x and call
        return float(torch.stack([model.nats(x).mean() for _ in range(repeats)]).mean())
    predict = Denoiser(model.guess, model.table)
    edges, generator = strata(model.T, model.T - 1), torch.Generator().manual_seed(0)
    terms = bound(predict, model.table, x, edges, generator, bins=None, variance="large", clip=False)
    return -float(terms.total.mean())


def packed(x: torch.Tensor) -> str:
    """Samples as text: hundredths, whole numbers between commas."""
    return ",".join(str(int(v)) for v in (x.nan_to_num(9).clamp(-9, 9) * 100).round().flatten())


def measure(there: dict, data, kind: str, rate: float, knob, seed: int, steps: int) -> dict:
    """Train one model and measure everything that the lecture's table shows."""
    model = there["build"](there[kind], data, knob, seed)
    there["train"](model, data, rate, steps, steps, seed)
    with torch.no_grad():
        torch.manual_seed(seed)
        x = model.draw(data.n)
        took = []
        for _ in range(5):
            begin = time.perf_counter()
            model.draw(1000)
            took.append(time.perf_counter() - begin)
    torch.manual_seed(0)
    fresh = there["dequantise"](data.fresh) if data.name == "digits" else data.fresh
    value = nats(kind, model, fresh)
    return dict(
        data=data.name,
        model=kind,
        rate=rate,
        knob=knob,
        seed=seed,
        parameters=there["count"](model),
        seconds=round(model.seconds, 2),
        calls=model.T if kind == "Diffusion" else 1,
        draw=round(min(took), 5),
        nats=value if value is None or math.isfinite(value) else None,
        **there["report"](data, x),
        samples="" if data.name == "digits" else packed(x[:300]),  # digits are drawn live
    )


def save(key: str, run: dict, machine: dict, floors: dict, part: str) -> None:
    """Add one run to a part of the file, keeping what others have written meanwhile."""
    results = json.loads(FILE.read_text()) if FILE.exists() else {}
    results |= dict(machine=machine, floors={**results.get("floors", {}), **floors})
    results.setdefault(part, {})[key] = run
    write_json(FILE, results)


def best(runs: dict, data: str, kind: str) -> dict:
    """The run of the search, seed 0, with the smallest distance to the real data."""
    tried = [r for r in runs.values() if (r["data"], r["model"], r["seed"]) == (data, kind, 0)]
    return min(tried, key=lambda run: run["distance"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="*", default=[*STEPS], help=f"of {', '.join(STEPS)}")
    args = parser.parse_args()
    torch.set_num_threads(1)  # small networks: a second thread only waits
    torch.distributions.Distribution.set_default_validate_args(False)  # a run that diverges is a result
    there = lecture()
    machine = dict(device=device_name(), torch=torch.__version__, steps=STEPS, rates=RATES, knobs=KNOBS)
    machine = json.loads(json.dumps(machine))
    if FILE.exists() and (begun := json.loads(FILE.read_text())["machine"]) != machine:
        raise SystemExit(f"{FILE.name} was begun otherwise ({begun}): delete it to start anew.")

    def run(data, kind, rate, knob, seed, floors, part="runs"):
        key = f"{data.name}, {kind}, {rate:g}, {knob:g}, seed {seed}"
        done = json.loads(FILE.read_text()).get(part, {}) if FILE.exists() else {}
        if key not in done:
            steps = (STEPS if part == "runs" else LONG)[data.name]
            found = measure(there, data, kind, rate, knob, seed, steps)
            save(key, found, machine, floors, part)
            shown = {k: v for k, v in found.items() if k in ("modes", "off", "distance", "nats", "seconds")}
            print(key, shown, flush=True)

    for name in args.data:
        data = there["Digits"]() if name == "digits" else there["Plane"](name)
        floors = {name: dict(there["report"](data, data.fresh), n=len(data.fresh))}
        for kind in KNOBS:
            if name != "grid":
                for knob in knobs(kind, name):
                    for rate in RATES:
                        run(data, kind, rate, knob, 0, floors)
            chosen = best(json.loads(FILE.read_text())["runs"], name.replace("grid", "eight_gaussians"), kind)
            for seed in SEEDS:
                run(data, kind, chosen["rate"], chosen["knob"], seed, floors)
            if name in LONG:
                run(data, kind, chosen["rate"], chosen["knob"], 1, floors, "long")


if __name__ == "__main__":
    main()
