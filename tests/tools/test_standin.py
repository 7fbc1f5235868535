"""The stand-in for a GPU: right numbers, and an error wherever devices mix; what runs on it here."""

import json
import os
import subprocess
import sys

import pytest

from tools.run import ROOT

BEGIN = "from tools import standin; standin.install()\nimport torch\ncuda = torch.device('cuda')\n"
MIXED = {
    "a sum": ("torch.ones(2, device=cuda) + torch.ones(2)", "found cuda:0 and cpu"),
    "positions": ("torch.ones(2)[torch.tensor([0], device=cuda)]", "found cuda:0 and cpu"),
    "a generator": (
        "torch.randn(2, generator=torch.Generator(cuda))",
        "Expected a 'cpu' device type for generator",
    ),
    "the other": (
        "torch.randn(2, device=cuda, generator=torch.Generator())",
        "Expected a 'cuda' device type for generator",
    ),
    "numpy": ("torch.ones(2, device=cuda).numpy()", "can't convert cuda:0"),
    "a network": ("torch.nn.Linear(2, 2).to(cuda)(torch.ones(1, 2))", "found cuda:0 and cpu"),
}
RIGHT = """\
x = torch.arange(6.0).view(2, 3)
assert float((x.to(cuda) * 2 + 1).sum()) == 36 and x.to(cuda).device.type == "gpu"
assert torch.equal(x.to(cuda)[torch.tensor([1])].cpu(), x[1:])  # CUDA takes positions from the CPU
assert torch.randn(3, device=cuda, generator=torch.Generator(cuda).manual_seed(1)).cpu().equal(
    torch.randn(3, generator=torch.Generator().manual_seed(1)))
network = torch.nn.Linear(3, 2)
wanted = network(x)
assert torch.equal(network.to(cuda)(x.to(cuda)).cpu(), wanted)
optimizer = torch.optim.AdamW(network.parameters(), fused=True)
network(x.to(cuda)).sum().backward()
optimizer.step()
assert not torch.equal(network(x.to(cuda)).cpu(), wanted)
"""
# What the course gives to the device and takes back; whatever is of another device is moved or refused.
COURSE = """\
from helpers import profile
from helpers.checkpoints import load_denoiser
from helpers.data import load_faces
from helpers.guidance import guide
from helpers.likelihood import bound
from helpers.samplers import draw, last, pairs, sample, timesteps
from helpers.solvers import dpm_solver, heun
from helpers.tasks import cut, damage, make_holes, restore
device = profile.device()
assert device.type == "gpu"
faces = load_faces("embedded", "valid", limit=2)
predict, palette = load_denoiser("ddpm-faces", device), load_denoiser("palette-faces", device)
table, here = predict.schedule, torch.Generator().manual_seed(0)
x = torch.randn(2, 3, 64, 64, generator=here).to(device)
attributes = faces.attributes.long()  # on the CPU: moved
for eta in (0.0, 1.0):
    assert draw(predict, table, 2, 2, 0, device, eta=eta).device.type == "cpu"
walk = pairs(timesteps(1000, 2))
for generator in (None, here, torch.Generator(device)):
    guided = guide(predict, 2.0, attributes=-1)
    last(sample(guided, table, x, walk, 1.0, generator=generator, attributes=attributes))
def reads(call):
    before = standin.READ[0]
    call()
    return standin.READ[0] - before
# Nobody waits for a GPU inside a step but fit, twice: for the loss and for its gradient's norm.
assert reads(lambda: last(sample(guided, table, x, walk, 1.0, attributes=attributes.to(device)))) == 0
from helpers.diffusion import Denoiser, diffusion_loss
from helpers.train import fit
from helpers.unet import UNet
network = UNet(widths=(8, 16), attention=(1,), attributes=faces.cardinalities)
def loss(network, batch, generator):
    denoiser = Denoiser(network, table, "v")
    return diffusion_loss(denoiser, batch["image"], generator, attributes=batch["attributes"])
runs = [reads(lambda: last(fit(network, faces, loss, n, batch=2))) for n in (3, 7)]
assert runs[1] - runs[0] == 4 * 2, runs
for solver in (heun, dpm_solver):
    last(solver(predict, table, x, walk))
hole = make_holes("centre", 2, 64, here)  # on the CPU: moved
y = cut(faces.images.to(device), hole, torch.Generator(device))
last(sample(restore(palette, table, y, hole), table, x, walk))
for task in ("inpaint", "uncrop", "colourise", "super_resolve", "jpeg"):
    y, hole = damage(task, faces.images.to(device), torch.Generator(device))
    assert y.device.type == hole.device.type == "gpu"
bound(predict, table, faces.images.to(device), [1, 10, 1000])
filler = restore(palette, table, faces.images, hole)
for wrong in (lambda: predict(faces.images, torch.tensor(500)), lambda: filler(x, torch.tensor(500))):
    try:
        wrong()
    except ValueError as error:
        assert "device" in str(error), error
    else:
        raise AssertionError("taken")
"""
RECIPES = """\
import sys
from pathlib import Path
from tools import checkpoints
checkpoints.BUILD = Path(sys.argv[1]) / "a" / "b"
for name in sys.argv[2:]:
    checkpoints.make(name, steps=2, batch=4)
"""


def run(code, *arguments):
    env = dict(COURSE_PROFILE="smoke", OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1", TQDM_DISABLE="1")
    command = [sys.executable, "-c", BEGIN + code, *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True, timeout=300
    )


def test_what_cuda_computes():
    done = run(RIGHT)
    assert done.returncode == 0, done.stderr


def test_what_cuda_refuses():
    code = "import json\nsaid = []\n"
    for expression, _ in MIXED.values():
        code += f"try:\n    {expression}\n    said.append('taken')\n"
        code += "except (RuntimeError, TypeError) as error:\n    said.append(str(error))\n"
    done = run(code + "print(json.dumps(said))")
    assert done.returncode == 0, done.stderr
    for name, said in zip(MIXED, json.loads(done.stdout.splitlines()[-1]), strict=True):
        assert MIXED[name][1] in said, (name, said)


def test_the_course_on_the_device():
    done = run(COURSE)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("names", [("face-features", "ddpm-faces"), ("palette-faces", "cascade-64")])
def test_recipes_on_the_device(names, tmp_path):
    done = run(RECIPES, tmp_path, *names)
    assert done.returncode == 0, done.stderr


def test_the_check_of_a_gpu(tmp_path):
    code = f"""\
from pathlib import Path
from tools import gpu_check
gpu_check.OUT = Path({str(tmp_path)!r}) / "check"
gpu_check.main(["--quick"])
"""
    done = run(code)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "check.json").read_text())
    assert set(found) == {"machine", "numbers", "resuming", "training", "sampling", "two", "lectures"}
    assert not [part for part, rows in found.items() if "failed" in rows]
    assert found["resuming"]["resumed"] == 0 and found["numbers"]["float32"] < 1e-4
    assert found["training"]["float32, batch 4"]["ms"] > 0
    assert "| resumed | 0 |" in (tmp_path / "check.md").read_text()
