"""The counterpart of DDIM's table 1 on the drawn faces: steps S against η; writes ddim.json for lecture ddim.

    python -m experiments.ddim              resumes after a kill; 100 faces a part, kept in build/ddim
    python -m experiments.ddim --compile    a fifth faster; needs a C++ compiler

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

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from tqdm.auto import tqdm

from experiments.common import fingerprint
from experiments.ddim_scores import PART, floor_of, write
from helpers.checkpoints import FOLDER, load_denoiser, load_model
from helpers.data import load_faces
from helpers.features import extract
from helpers.files import load_state, replacing, save_state
from helpers.metrics import moments
from helpers.profile import BUILD, device_name
from helpers.samplers import last, pairs, sample, timesteps
from helpers.solvers import dpm_solver, karras

FILE = Path(__file__).with_suffix(".json")
MODEL, SEED, BATCH = "ddpm-faces", 0, 50
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
    with replacing(file) as half:
        save_file(content, half, {"weights": folder.name})


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--steps", nargs="+", type=int, help="only these S, e.g. 5 10")
    parser.add_argument("--eta", nargs="+", choices=KINDS, help="only these rows")
    parser.add_argument("--n", type=int, default=2000, help="at most so many faces a row")
    parser.add_argument("--file", type=Path, default=FILE)
    parser.add_argument("--folder", type=Path, default=BUILD.parent / "ddim", help="where the parts are kept")
    parser.add_argument("--workers", type=int, default=min(4, os.cpu_count()), help="processes (1.5 GB each)")
    parser.add_argument("--compile", action="store_true", help="torch.compile the network")
    args = parser.parse_args()
    judge, mark = load_model("face-features"), fingerprint(MODEL, FOLDER)
    training, real = (extract(judge, load_faces("embedded", s).images) for s in ("train", "valid"))
    reference = moments(training)

    def chosen(steps, kind):
        return (not args.steps or steps in args.steps) and (not args.eta or kind in args.eta)

    jobs = []  # in the order in which they are done; a row's parts come again with a larger n
    for n, all_steps, kinds in ROUNDS:
        for steps in all_steps:
            parts = range(min(n, args.n) // PART)
            here = [(steps, kind, part) for part in parts for kind in kinds if chosen(steps, kind)]
            if here := [job for job in here if job not in jobs]:
                jobs += here
                jobs.append(None)  # time to write the file
    results = json.loads(args.file.read_text()) if args.file.exists() else {}
    if results.get("machine", {}).get("weights") != mark:
        results = {}  # other weights, another table
    results["machine"] = dict(
        device=device_name(),
        torch=torch.__version__,
        model=MODEL,
        weights=mark,
        seed=SEED,
        precision="float32",
        processes=args.workers,
        compiled=args.compile,
    )
    results["floor"] = {n: floor_of(real, n, reference) for n in (100, 200, 500, 1000)}
    rows: dict[tuple, list] = {}
    folder, changed, kept = args.folder / mark, set(), args.file.with_suffix(".safetensors")
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
    threads = max(1, torch.get_num_threads() // args.workers)
    pool = ProcessPoolExecutor(  # two processes of one thread are a fifth faster than one of two
        args.workers, multiprocessing.get_context("spawn"), begin, (threads, args.compile)
    )
    waiting = {job: pool.submit(make, folder, job) for job in missing}
    try:
        for job in jobs:
            if job is None:
                write(args.file, results, rows, changed, reference, real)
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
                write(args.file, results, rows, changed, reference, real)
                pack(folder, kept)
                changed = set()
    finally:  # also when stopped: the queue is dropped
        bar.close()
        pool.shutdown(cancel_futures=True)


if __name__ == "__main__":
    main()
