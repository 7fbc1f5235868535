"""The counterpart of DDIM's table 1 on the drawn faces: steps S against η; writes ddim.json for lecture 10.

    python -m benchmarks.ddim              resumes after a kill; 100 faces a part, kept in build/ddim
    python -m benchmarks.ddim --compile    a fifth faster; needs a C++ compiler

All rows begin at the same noise. The rows grow in rounds, so that an unfinished table is already a table:
each row says how many faces it has. Of a face only its 64 features are kept, in ddim.safetensors beside
ddim.json, so that another machine can go on, and everyone can compute the distances again.
"""

import argparse
import json
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import mean, median

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from tqdm.auto import tqdm

from benchmarks.inpainting import above, fingerprint
from helpers.checkpoints import FOLDER, load_denoiser, load_model, write_json
from helpers.data import load_faces
from helpers.metrics import Moments, bootstrap, extract, frechet_distance, moments
from helpers.samplers import last, pairs, sample, timesteps
from helpers.solvers import dpm_solver, karras
from helpers.train import load_state, save_state
from tools.checkpoints import BUILD, device_name

FILE = Path(__file__).with_suffix(".json")
MODEL, SEED, PART, BATCH = "ddpm-faces", 0, 100, 50
# How noise is added on the way: options of `sample`. "2M" is DPM-Solver++, which adds none,
# on the steps of EDM.
KINDS = {
    "0": dict(eta=0.0),
    "0.2": dict(eta=0.2),
    "0.5": dict(eta=0.5),
    "1": dict(eta=1.0),
    "σ̂": dict(eta=1.0, variance="large"),
    "2M": {},
}
EVERY = tuple(KINDS)
NOISY = EVERY[:-1]  # the rows of the paper
ROUNDS = (  # faces, steps, kinds; the cheapest and most telling first
    (500, (10, 20, 5), EVERY),
    (500, (50,), EVERY),
    (500, (100,), NOISY),
    (200, (250,), ("0", "1", "σ̂")),
    (100, (1000,), ("0", "σ̂")),
    (200, (1000,), ("0", "σ̂")),
    (1000, (10, 20, 5, 50), EVERY),
    (1000, (100,), NOISY),
    (1000, (250,), ("0", "1", "σ̂")),
    (1000, (1000,), ("0", "σ̂")),
    (2000, (10, 20, 5, 50, 100), NOISY),
)
HELD: dict = {}  # by a process of the pool
WITHIN, REPEATS = 1.1, 100  # "as good" is: at most 10 % more (FD − floor); draws of the bootstrap


def noise(part: int, shape: tuple, what: int) -> tuple[Tensor, torch.Generator]:
    """The x_T of a part, the same for all rows (what = 0), and the generator to go on with."""
    generator = torch.Generator().manual_seed(100_000 * SEED + 10 * part + what)
    return torch.randn(shape, generator=generator), generator


def walk_of(schedule, steps: int, kind: str) -> list[tuple[int, int]]:
    """Uniform steps; for 2M those of EDM, after one from T."""
    if kind == "2M":
        return pairs([schedule.steps, *karras(schedule, steps - 1)])
    return pairs(timesteps(schedule.steps, steps))


@torch.no_grad()
def draw(predict, steps: int, kind: str, part: int, n: int = PART, side: int = 64) -> Tensor:
    """n faces (n, 3, side, side) in [−1, 1] by one row of the table."""
    x, _ = noise(part, (n, 3, side, side), 0)
    generator = torch.Generator().manual_seed(100_000 * SEED + 10 * part + 1)
    walk, ends = walk_of(predict.schedule, steps, kind), []
    for some in x.split(BATCH):
        some = some.to(memory_format=torch.channels_last)
        if kind == "2M":
            states = dpm_solver(predict, predict.schedule, some, walk)
        else:
            states = sample(predict, predict.schedule, some, walk, **KINDS[kind], generator=generator)
        ends.append(last(states).x.clamp(-1, 1))
    return torch.cat(ends)


def file_of(folder: Path, steps: int, kind: str, part: int) -> Path:
    """Where a part is kept."""
    return folder / f"{steps}-{'large' if kind == 'σ̂' else kind}-{part:02d}.pt"


def part_of(folder: Path, predict, judge, steps: int, kind: str, part: int) -> dict:
    """Features (100, 64) of one part and what it took; done once, kept in `folder`."""
    file = file_of(folder, steps, kind, part)
    if (state := load_state(file)) is None:
        clock, processors = time.perf_counter(), time.process_time()
        faces = draw(predict, steps, kind, part)
        spent = dict(seconds=time.perf_counter() - clock, processor=time.process_time() - processors)
        # In half precision they are kept, so from it all scores are computed.
        state = dict(features=extract(judge, faces).half().float(), **spent)
        save_state(file, state)
    return state


def pack(folder: Path, file: Path) -> None:
    """Replaces `file` by the features, in half precision, and the seconds of all parts in `folder`."""
    content = {}
    for path in sorted(folder.glob("*.pt")):
        part = load_state(path)
        content[path.stem] = part["features"].half()
        content[path.stem + ".seconds"] = torch.tensor([part["seconds"], part["processor"]])
    half = file.with_suffix(".half")
    save_file(content, half, {"weights": folder.name})
    os.replace(half, file)


def unpack(file: Path, folder: Path) -> None:
    """Puts the parts of `file` that are not in `folder` there, if they were drawn with the same weights."""
    with safe_open(file, "pt") as content:
        if content.metadata()["weights"] != folder.name:
            return
        for name in content.keys():
            path = folder / f"{name}.pt"
            if name.endswith(".seconds") or path.exists():
                continue
            seconds, processor = content.get_tensor(name + ".seconds").tolist()
            state = dict(features=content.get_tensor(name).float(), seconds=seconds, processor=processor)
            save_state(path, state)


def begin(threads: int, compiled: bool) -> None:
    """What a process of the pool holds: the model and the judge."""
    torch.set_num_threads(threads)
    HELD.update(predict=load_denoiser(MODEL), judge=load_model("face-features"))
    if compiled:
        HELD["predict"].network = torch.compile(HELD["predict"].network)
        draw(HELD["predict"], 1, "0", 0, n=BATCH)  # compiled here, and not in the time of a part


def make(folder: Path, job: tuple) -> None:
    """One part, by the process that this runs in."""
    part_of(folder, HELD["predict"], HELD["judge"], *job)


def key(steps: int, kind: str) -> str:
    """The name of a row in the file."""
    return f"{steps}, {kind}"


def score(parts: list[dict], reference: Moments) -> dict:
    """What the file tells of a row."""
    features = torch.cat([part["features"] for part in parts])

    def fd(some):
        return frechet_distance(some, reference)

    return dict(
        n=len(features),
        fd=fd(features),
        interval=bootstrap(fd, features, repeats=REPEATS),
        first=fd(parts[0]["features"]),  # of its first hundred faces, which lecture 10 draws again
        seconds=median(p["seconds"] / len(p["features"]) for p in parts),
        processor_seconds=median(p["processor"] / len(p["features"]) for p in parts),
    )


def floor_of(real: Tensor, n: int, reference: Moments) -> float:
    """FD of n real faces: the mean over all the groups of n that `real` has."""
    return mean(frechet_distance(group, reference) for group in groups_of(real, n))


def groups_of(real: Tensor, n: int) -> list[Tensor]:
    """All the groups of n that there are."""
    return [group for group in real.split(n) if len(group) == n]


def compare(some: Tensor, other: Tensor, real: Tensor, reference: Moments) -> dict:
    """(FD − floor) of `some` over that of `other`, features (n, F) that began at the same noise.

    And the difference of the two FDs, which needs no floor: with few faces it says more than the ratio.
    """
    n = min(len(some), len(other), len(real))
    width = some.shape[1]

    def distances(both):
        return [frechet_distance(half, reference) for half in (both[:, :width], both[:, width:])]

    def ratio(both, *groups):
        floor = mean(frechet_distance(group, reference) for group in groups)
        mine, others = (distance - floor for distance in distances(both))
        return mine / others

    # The two are drawn again together, as they began together; the floor is a random number, too. Its
    # groups are drawn again one by one: so all FDs are of n rows with repetitions, which raise an FD.
    both, groups = torch.cat([some[:n], other[:n]], 1), groups_of(real, n)
    low, high = bootstrap(ratio, both, *groups, repeats=REPEATS)
    floor = floor_of(real, n, reference)
    verdict = "as good" if high <= WITHIN else "worse" if low > WITHIN else "open"
    if distances(both)[1] <= floor:  # the longer row does not rise above the floor: no ratio to speak of
        verdict = "open"
    over = above(some[:n], other[:n], reference, repeats=REPEATS)
    return dict(
        n=n,
        floor=floor,
        ratio=ratio(both, *groups),
        interval=(low, high),
        verdict=verdict,
        difference=over["excess"],
        difference_interval=over["excess_interval"],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--steps", nargs="+", type=int, help="only these S, e.g. 5 10")
    parser.add_argument("--eta", nargs="+", choices=KINDS, help="only these rows")
    parser.add_argument("--n", type=int, default=2000, help="at most so many faces a row")
    parser.add_argument("--file", type=Path, default=FILE)
    parser.add_argument("--folder", type=Path, default=BUILD.parent / "ddim", help="where the parts are kept")
    parser.add_argument("--workers", type=int, default=min(4, os.cpu_count()), help="processes (1.5 GB each)")
    parser.add_argument("--compile", action="store_true", help="torch.compile the network")
    asked = parser.parse_args()
    judge, mark = load_model("face-features"), fingerprint(MODEL, FOLDER)
    training, real = (extract(judge, load_faces("embedded", s).images) for s in ("train", "valid"))
    reference = moments(training)

    def chosen(steps, kind):
        return (not asked.steps or steps in asked.steps) and (not asked.eta or kind in asked.eta)

    jobs = []  # in the order in which they are done; a row's parts come again with a larger n
    for n, all_steps, kinds in ROUNDS:
        for steps in all_steps:
            parts = range(min(n, asked.n) // PART)
            here = [(steps, kind, part) for part in parts for kind in kinds if chosen(steps, kind)]
            if here := [job for job in here if job not in jobs]:
                jobs += here
                jobs.append(None)  # time to write the file
    results = json.loads(asked.file.read_text()) if asked.file.exists() else {}
    if results.get("machine", {}).get("weights") != mark:
        results = {}  # other weights, another table
    results["machine"] = dict(
        device=device_name(),
        torch=torch.__version__,
        model=MODEL,
        weights=mark,
        seed=SEED,
        precision="float32",
        processes=asked.workers,
        compiled=asked.compile,
    )
    results["floor"] = {n: floor_of(real, n, reference) for n in (100, 200, 500, 1000)}
    rows: dict[tuple, list] = {}
    folder, changed, kept = asked.folder / mark, set(), asked.file.with_suffix(".safetensors")
    if kept.exists():
        unpack(kept, folder)
    missing = [job for job in jobs if job and not file_of(folder, *job).exists()]
    total = sum(PART * job[0] for job in jobs if job)
    bar = tqdm(
        total=total,
        initial=total - sum(PART * job[0] for job in missing),
        unit=" calls",
        unit_scale=True,
        mininterval=5,
    )
    threads = max(1, torch.get_num_threads() // asked.workers)
    pool = ProcessPoolExecutor(  # two processes of one thread are a fifth faster than one of two
        asked.workers, multiprocessing.get_context("spawn"), begin, (threads, asked.compile)
    )
    waiting = {job: pool.submit(make, folder, job) for job in missing}
    try:
        for job in jobs:
            if job is None:
                write(asked.file, results, rows, changed, reference, real)
                pack(folder, kept)
                changed = set()
                continue
            steps, kind, part = job
            bar.set_description(f"S = {steps}, {kind}, faces to {PART * (part + 1)}")
            done = job not in waiting
            if not done:
                waiting.pop(job).result()
            rows.setdefault((steps, kind), []).append(load_state(file_of(folder, *job)))
            changed.add((steps, kind))
            bar.update(0 if done else PART * steps)
            if steps >= 250:  # such a part takes minutes
                write(asked.file, results, rows, changed, reference, real)
                pack(folder, kept)
                changed = set()
    finally:  # also when stopped: the queue is dropped
        bar.close()
        pool.shutdown(cancel_futures=True)


def write(file: Path, results: dict, rows: dict, changed: set, reference: Moments, real: Tensor) -> None:
    """Scores the rows that have grown, and the claims that they are part of, and replaces the file."""
    table = results.setdefault("rows", {})
    for row in sorted(changed, key=str):
        name = key(*row)
        if table.get(name, {}).get("n", 0) > PART * len(rows[row]):
            continue
        table[name] = dict(steps=row[0], kind=row[1], **score(rows[row], reference))
        zero = (row[0], "0")
        if row != zero and zero in rows:  # both began at the same noise, so more certain than each alone
            n = min(len(rows[row]), len(rows[zero]))
            some, other = (torch.cat([p["features"] for p in rows[r][:n]]) for r in (row, zero))
            table[name]["over_zero"] = dict(n=len(some)) | above(some, other, reference)
    results["claims"] = claims(rows, real, reference, results.get("claims", []))
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, results)


def claims(rows: dict, real: Tensor, reference: Moments, old: list) -> list:
    """DDIM (η = 0) and 2M in few steps beside more: 100 and the longest rows, of η = 0 and of σ̂.

    The rows of 100 have many faces, the longest are what the paper's claim is about.
    """
    longest = {kind: max((s for s, k in rows if k == kind), default=0) for kind in ("0", "σ̂")}
    long = [(s, k) for s, k in rows if k in longest and s >= 100 and s in (100, longest[k])]
    gone = {key(s, k) for s, k in rows if s not in (100, longest.get(k))}  # beside which a longer one stands
    kept = {(c["steps"], c["kind"], c["beside"]): c for c in old if c["beside"] not in gone}
    for most, kind in long:
        for steps, mine in sorted(rows):
            if mine not in ("0", "2M") or steps >= most:
                continue
            some, other = (
                torch.cat([p["features"] for p in rows[row]]) for row in ((steps, mine), (most, kind))
            )
            name = (steps, mine, key(most, kind))
            if kept.get(name, {}).get("n", 0) < min(len(some), len(other), len(real)):
                named = dict(zip(("steps", "kind", "beside"), name, strict=True))
                kept[name] = named | compare(some, other, real, reference)
    return list(kept.values())


if __name__ == "__main__":
    main()
