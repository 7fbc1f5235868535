"""Which U-Net at which resolution: candidates trained for equal minutes, compared by Fréchet distance.

    python -m benchmarks.candidates --minutes 4        resumes after a kill; writes candidates.json and .md

A step's time is measured first, alone and interleaved; each candidate then takes as many steps as fit
into the minutes by that median, so that other work on the machine cannot favour one of them.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from torchvision.utils import save_image
from tqdm.auto import tqdm

from helpers.checkpoints import load_model
from helpers.data import load_faces
from helpers.diffusion import Denoiser, diffusion_loss
from helpers.features import extract
from helpers.files import write_json
from helpers.guidance import drop_attributes
from helpers.layers import AttributeEmbedding
from helpers.metrics import frechet_distance
from helpers.profile import BUILD, device_name
from helpers.samplers import draw
from helpers.schedules import make_schedule
from helpers.train import fit
from helpers.unet import UNet, count_parameters

HERE = Path(__file__).parent
RECIPE = dict(batch=32, lr=2e-3, warmup=100, ema=0.995, precision="auto", channels_last=True)
CANDIDATES = {  # name: (side of the picture, arguments of the network)
    "32², 48-96-128": (32, dict(widths=(48, 96, 128))),
    "64² folded, 48-96-128": (64, dict(widths=(48, 96, 128), patch=2)),
    "64² folded, 64-128-192": (64, dict(widths=(64, 128, 192), patch=2)),
    "64² folded, 32-96-192, attention 16² 8²": (64, dict(widths=(32, 96, 192), patch=2, attention=(1, 2))),
    "64² folded twice, 128-256": (64, dict(widths=(128, 256), patch=4, attention=(1,))),
    "64² folded, 48-96-128, two blocks": (64, dict(widths=(48, 96, 128), patch=2, blocks=2)),
    "64² folded, diffusers 48-96-128": (64, None),
}


class DiffusersUNet(nn.Module):
    """diffusers.UNet2DModel with the same folding and the same attribute embedding as ours."""

    def __init__(self, attributes: tuple[int, ...]):
        super().__init__()
        from diffusers import UNet2DModel

        self.attributes = AttributeEmbedding(attributes, 192)
        self.unet = UNet2DModel(
            in_channels=12,
            out_channels=12,
            block_out_channels=(48, 96, 128),
            layers_per_block=1,
            down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
            norm_num_groups=8,
            up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
            attention_head_dim=32,
            class_embed_type="identity",
            resnet_time_scale_shift="scale_shift",
        )

    def forward(self, x, t, attributes=None):
        if attributes is None:
            attributes = t.new_full((len(x), len(self.attributes.cardinalities)), -1)
        answer = self.unet(F.pixel_unshuffle(x, 2), t, class_labels=self.attributes(attributes)).sample
        return F.pixel_shuffle(answer, 2)


def build(name: str, cardinalities) -> nn.Module:
    torch.manual_seed(0)
    arguments = CANDIDATES[name][1]
    return DiffusersUNet(cardinalities) if arguments is None else UNet(attributes=cardinalities, **arguments)


def face_loss(schedule):
    """The loss of every candidate: v-prediction with dropped attributes."""

    def loss(network, batch, generator):
        attributes = drop_attributes(batch["attributes"], generator=generator)
        return diffusion_loss(
            Denoiser(network, schedule, "v"), batch["image"], generator, attributes=attributes
        )

    return loss


def schedule_for(side: int):
    """Cosine, shifted by −2·ln 2 where the side doubles from 32 to 64."""
    return make_schedule("cosine", log_snr_shift=-2 * 0.6931471805599453 * (side == 64))


def seconds_per_step(data, rounds: int = 8) -> dict[str, float]:
    """Median seconds of a training step, the candidates taking turns."""
    runs = {
        name: fit(
            build(name, data[side].cardinalities),
            data[side],
            face_loss(schedule_for(side)),
            steps=10**6,
            **RECIPE,
        )
        for name, (side, _) in CANDIDATES.items()
    }
    times = {name: [] for name in runs}
    for turn in range(rounds + 2):
        for name, run in runs.items():
            start = time.perf_counter()
            next(run)
            if turn >= 2:  # the first two warm up
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(t) for name, t in times.items()}


def evaluate(network, side: int, n: int, reference, steps: int = 20, seed: int = 0):
    """Fréchet distance of n unconditional faces (DDIM, 20 steps), seconds an image, the first 64 pictures."""
    schedule, features = schedule_for(side), load_model("face-features")
    start = time.perf_counter()
    images = draw(Denoiser(network, schedule, "v"), schedule, n, steps, seed, side=side)
    seconds = (time.perf_counter() - start) / n
    return frechet_distance(extract(features, images), reference), seconds, images[:64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--n", type=int, default=500, help="samples for each distance")
    args = parser.parse_args()
    file = HERE / "candidates.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    data = {side: load_faces("embedded", "train", side) for side in (32, 64)}
    features = load_model("face-features")
    reference = extract(features, data[64].images)
    valid = {side: load_faces("embedded", "valid", side).images for side in (32, 64)}
    if "step" not in results:
        results["step"] = seconds_per_step(data)
        results["machine"] = dict(
            device=device_name(),
            torch=torch.__version__,
            minutes=args.minutes,
            n=args.n,
            seed=0,
            batch=RECIPE["batch"],
        )
        results["floor"] = {
            str(s): frechet_distance(extract(features, valid[s][: args.n]), reference) for s in valid
        }
        write_json(file, results)
    for number, (name, (side, _)) in enumerate(CANDIDATES.items()):
        if name in results:
            continue
        network = build(name, data[side].cardinalities)
        steps = int(args.minutes * 60 / results["step"][name])
        bar = tqdm(total=steps, desc=name, mininterval=5)
        start = time.perf_counter()
        for step in fit(
            network,
            data[side],
            face_loss(schedule_for(side)),
            steps=steps,
            checkpoint=BUILD / f"candidate-{number}.pt",
            **RECIPE,
        ):
            bar.update(step.step - bar.n)
        bar.close()
        elapsed = time.perf_counter() - start
        distance, seconds, images = evaluate(step.ema, side, args.n, reference)
        save_image(images / 2 + 0.5, BUILD / f"candidate-{number}.png", nrow=16)
        results[name] = dict(
            side=side,
            parameters=count_parameters(network),
            steps=steps,
            fd=distance,
            seconds_per_image=seconds,
            elapsed=elapsed,
        )
        write_json(file, results)
        (HERE / "candidates.md").write_text(table(results))
        print(name, results[name], flush=True)


def table(results: dict) -> str:
    """The results as Markdown."""
    m, floor = results["machine"], results["floor"]
    text = f"""# Candidates for the face model

{m["minutes"]:g} minutes of training each on {m["device"]}, torch {m["torch"]}, batch {m["batch"]},
seed {m["seed"]}: v-prediction, cosine schedule (shifted at 64²), bf16, channels-last. The steps are those
that fit into the minutes by the median time of a step, measured in turns.

FD: {m["n"]} unconditional samples (DDIM, 20 steps, EMA weights) against the 10,000 training faces in the 64
features of `face-features`, everything resized to 64². Real against real (valid against train, same n):
{floor["64"]:.2f}; real faces reduced to 32² first: {floor["32"]:.2f}.

One seed; distances this far above the floor are those of half-formed faces and rank the candidates weakly.
The reference of diffusers is ahead after these minutes (its time an image was taken beside other work).
"64² folded, 48-96-128" was frozen because 64² is what a student wants to see and a longer training of it had
been looked at, not because it leads this table.

| candidate | parameters | ms a step | steps | FD | ms an image (20 steps) |
|---|---|---|---|---|---|
"""
    for name in [name for name in CANDIDATES if name in results]:
        r, ms = results[name], 1000 * results["step"][name]
        text += f"| {name} | {r['parameters'] / 1e6:.2f} M | {ms:.0f} | {r['steps']} | {r['fd']:.2f} "
        text += f"| {1000 * r['seconds_per_image']:.0f} |\n"
    return text


if __name__ == "__main__":
    main()
