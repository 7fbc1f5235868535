"""python -m tools.gpu_check: what only a CUDA machine can tell, in about ten minutes.

Executes every lecture in the gpu profile, resumes a training across devices, and measures milliseconds a
step, memory and the share of the device's own peak. Writes build/gpu_check.json and the same as a page,
build/gpu_check.md. A part that fails is told and does not stop the others; the exit status counts them.
"""

import argparse
import copy
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from helpers import profile
from helpers.checkpoints import load_denoiser
from helpers.data import load_digits, load_faces
from helpers.diffusion import Denoiser, diffusion_loss
from helpers.files import write_json, write_text
from helpers.samplers import last, pairs, sample, timesteps
from helpers.schedules import make_schedule
from helpers.train import fit
from helpers.unet import UNet
from recipes.common import FACE_SCHEDULE, FACE_UNET
from recipes.palette_faces import palette_loss
from tools.run import NOTEBOOKS, ROOT

OUT = ROOT / "build" / "gpu_check"
SCHEDULE = make_schedule(**FACE_SCHEDULE)
SETTINGS = {
    "float32": dict(),
    "auto": dict(precision="auto"),
    "auto, channels last": dict(precision="auto", channels_last=True),
    "auto, channels last, compiled": dict(precision="auto", channels_last=True, compile=True),
}


def sync():
    """Wait until the device has done all it was asked to do."""
    if profile.device().type == "cuda":
        torch.cuda.synchronize()


def loss(network, batch, generator):
    """The loss of a v-model on faces or digits."""
    images = batch["image"] if isinstance(batch, dict) else batch
    return diffusion_loss(Denoiser(network, SCHEDULE, "v"), images, generator)


def matmul_rate(quick):
    """Operations a second of large matrix products in the fast precision: the peak to compare with."""
    device, n = profile.device(), 256 if quick else 8192
    a, b = (torch.randn(n, n, device=device, dtype=profile.fast_dtype(device.type)) for _ in range(2))
    seconds = []
    for _ in range(3 if quick else 10):
        sync()
        begin = time.perf_counter()
        a @ b
        sync()
        seconds.append(time.perf_counter() - begin)
    return 2 * n**3 / sorted(seconds)[len(seconds) // 2]


def pace(network, data, loss, quick, **options):
    """Median seconds of a step of `fit`, and the peak of the device's memory in GiB."""
    if profile.device().type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    steps, marks = 4 if quick else 40, []
    for _ in fit(network, data, loss, steps, warmup=1, **options):
        sync()
        marks.append(time.perf_counter())
    seconds = sorted(b - a for a, b in zip(marks[steps // 3 :], marks[steps // 3 + 1 :], strict=False))
    peak = torch.cuda.max_memory_allocated() / 2**30 if profile.device().type == "cuda" else 0.0
    return seconds[len(seconds) // 2], peak


def training(quick):
    """Milliseconds a step, pictures a second and memory of the face model, in each setting and batch."""
    faces = load_faces("embedded", "train", limit=64 if quick else 4000)
    found = {}
    for batch in (4,) if quick else (32, 128, 512):
        for name, options in SETTINGS.items():
            if quick and options.get("compile"):
                continue
            seconds, gib = pace(UNet(**FACE_UNET), faces, loss, quick, batch=batch, **options)
            found[f"{name}, batch {batch}"] = dict(
                ms=1e3 * seconds, pictures_a_second=batch / seconds, gib=round(gib, 2)
            )
    network, options = UNet(image_channels=3, **FACE_UNET), SETTINGS["auto, channels last"]
    seconds, gib = pace(network, faces, palette_loss(SCHEDULE), quick, batch=32, **options)
    return found | {"palette, auto, channels last, batch 32": dict(ms=1e3 * seconds, gib=round(gib, 2))}


def sampling(quick):
    """Milliseconds a step of the sampler on the shipped face model."""
    device, found = profile.device(), {}
    predict, walk = load_denoiser("ddpm-faces", device), pairs(timesteps(1000, 3 if quick else 40))
    for n in (2,) if quick else (16, 128, 512):
        x = torch.randn(n, 3, 64, 64, device=device)
        for _ in range(2):  # the first warms up
            sync()
            begin = time.perf_counter()
            with profile.autocast(device):
                last(sample(predict, SCHEDULE, x, walk, eta=1.0))
            sync()
        found[f"{n} faces"] = dict(ms=1e3 * (time.perf_counter() - begin) / len(walk))
    return found


def numbers(quick):
    """The largest difference of an x0 in [−1, 1] from the processor's, in float32 and in fast precision."""
    device, g = profile.device(), torch.Generator().manual_seed(0)
    x, t = torch.randn(2 if quick else 8, 3, 64, 64, generator=g), torch.tensor(500)
    there, found = load_denoiser("ddpm-faces", device), {}
    with torch.no_grad():
        here = load_denoiser("ddpm-faces")(x, t)[0]
        found["float32"] = float((there(x.to(device), t)[0].cpu() - here).abs().max())
        with profile.autocast(device):
            found["auto"] = float((there(x.to(device), t)[0].float().cpu() - here).abs().max())
    return found


def short(file, until=None):
    """A short training on digits that is kept in `file`; its averaged weights in one row."""
    torch.manual_seed(0)
    network, digits = UNet(channels=1, widths=(16, 32), attention=(1,)), load_digits(8)[0][:500]
    steps = fit(network, digits, loss, 12, batch=16, every=3, checkpoint=file, until=until)
    return torch.cat([p.detach().flatten().cpu() for p in last(steps).ema.parameters()])


def resuming(quick):
    """How far a training that was interrupted here ends from one that was not; and one begun on the CPU."""
    with tempfile.TemporaryDirectory() as folder:
        whole = short(Path(folder, "a"))
        short(Path(folder, "b"), 7)
        resumed = short(Path(folder, "b"))
        elsewhere = Path(folder, "c")
        code = f"from tools.gpu_check import short; short({str(elsewhere)!r}, 6)"
        env = {**os.environ, "COURSE_PROFILE": "cpu"}  # a process trains on one kind of device
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, check=True, timeout=300)
        return dict(
            resumed=float((resumed - whole).abs().max()),
            begun_on_cpu=float((short(elsewhere) - whole).abs().mean()),
        )


def lectures(quick):
    """The seconds of each lecture in the gpu profile, and the cells that failed."""
    import nbformat

    from tools.run import CellFailed, execute

    found = {}
    for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))[: 0 if quick else None]:
        begin = time.perf_counter()
        try:
            execute(nbformat.read(path, as_version=4), path.parent, path.stem, COURSE_PROFILE="gpu")
            found[path.stem] = dict(seconds=round(time.perf_counter() - begin))
        except CellFailed as error:
            found[path.stem] = dict(failed=str(error))
    if bad := [name for name, row in found.items() if "failed" in row]:
        raise RuntimeError(f"{', '.join(bad)}: {found}")
    return found


def two(quick):
    """Two steps of a recipe by two processes, where there are two GPUs."""
    if quick or torch.cuda.device_count() < 2:
        return dict(gpus=torch.cuda.device_count())
    command = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "2", "--multi_gpu"]
    command += ["-m", "tools.checkpoints", "ddpm-faces", "--steps", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return dict(gpus=torch.cuda.device_count(), trained=True)


PARTS = {part.__name__: part for part in (numbers, resuming, training, sampling, two, lectures)}


def check(quick=False, parts=PARTS):
    """All parts in turn; {part: what it found, or {'failed': why}} beside the machine."""
    device = profile.device()
    found = dict(
        machine=dict(
            device=profile.device_name(),
            torch=torch.__version__,
            precision=str(profile.fast_dtype(device.type)).removeprefix("torch."),
            matmul_tflops=round(matmul_rate(quick) / 1e12, 1),
        )
    )
    for name, part in parts.items():
        begin = time.perf_counter()
        try:
            found[name] = copy.deepcopy(part(quick))
        except Exception as error:  # the next part can still tell something
            found[name] = dict(failed=f"{type(error).__name__}: {str(error)[:2000]}")
        print(f"{name}: {time.perf_counter() - begin:.0f} s  {found[name]}", flush=True)
    return found


def told(value):
    """A number in four digits, anything else as it is."""
    return f"{value:.4g}" if isinstance(value, float) else value


def page(found):
    """The findings as a page of tables."""
    text = "# What this GPU does with the course\n\n"
    for name, rows in found.items():
        text += f"## {name}\n\n| | |\n|---|---|\n"
        for key, value in rows.items():
            if isinstance(value, dict):
                value = ", ".join(f"{k} {told(v)}" for k, v in value.items())
            text += f"| {key} | {told(value)} |\n"
        text += "\n"
    return text


def main(arguments=None):
    """Checks the GPU of this machine; the exit status is the number of parts that failed."""
    parser = argparse.ArgumentParser(prog="python -m tools.gpu_check", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a trial of the program itself, also on a CPU")
    args = parser.parse_args(arguments)
    if profile.device().type == "cpu" and not args.quick:
        sys.exit("There is no GPU that this PyTorch can use here: run it on a CUDA machine.")
    found = check(args.quick)
    write_json(OUT.with_suffix(".json"), found)
    write_text(OUT.with_suffix(".md"), page(found))
    print(f"wrote {os.path.relpath(OUT)}.json and .md")
    sys.exit(sum("failed" in rows for rows in found.values()))


if __name__ == "__main__":
    main()
