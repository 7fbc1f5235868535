"""Whatever a public function is given, it answers rightly or says in one sentence what it wants.

A sentence is an error that the course itself raises: the innermost line of its traceback is in helpers/.
"""

import math
import traceback

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import (
    data,
    diffusion,
    guidance,
    likelihood,
    metrics,
    plots,
    samplers,
    schedules,
    solvers,
    targets,
    tasks,
    train,
)
from helpers.arguments import whole
from helpers.exact import MixtureDenoiser
from helpers.unet import UNet

TABLE = schedules.cosine(100)
X = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
EPS = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
HOLE = torch.zeros(2, 1, 16, 16, dtype=torch.bool)
HOLE[..., 4:9, 4:9] = True
T, S = torch.tensor([3, 50]), torch.tensor([2, 20])
A, B = torch.randn(60, 8), torch.randn(50, 8)
WALK = [(100, 50), (50, 0)]


def half(x, t, **condition):
    return x * 0.5, x * 0.5


def end(walker):
    return lambda **given: samplers.last(walker(half, TABLE, **given)).x


def loss(**given):
    return diffusion.diffusion_loss(diffusion.Denoiser(lambda x, t: x, TABLE, "v"), **given)


def guided(scale, x, t):
    return guidance.guide(lambda x, t, a: (x, x), scale, a=-1)(x, t, a=torch.ones(2, 2))


UNET = UNet(widths=(8, 16), attention=(1,))
MIXTURE = MixtureDenoiser(TABLE, torch.randn(3, 2), [0.1] * 3)
# Functions of pictures, with arguments that are right.
PICTURES = {
    "add_noise": (diffusion.add_noise, dict(schedule=TABLE, x0=X, t=T, eps=EPS)),
    "posterior": (diffusion.posterior, dict(schedule=TABLE, x0=X, x_t=EPS, t=T)),
    "step_variance": (diffusion.step_variance, dict(schedule=TABLE, t=T, s=S, like=X)),
    "diffusion_loss": (loss, dict(x0=X, hole=HOLE)),
    "to_target": (targets.to_target, dict(schedule=TABLE, x0=X, eps=EPS, t=T, target="v")),
    "from_target": (targets.from_target, dict(schedule=TABLE, answer=X, x_t=EPS, t=T, target="v")),
    "eps_from_x0": (targets.eps_from_x0, dict(schedule=TABLE, x_t=EPS, x0=X, t=T)),
    "step": (samplers.step, dict(schedule=TABLE, x0=X, eps=EPS, t=T, s=S, eta=0.5, z=EPS)),
    "denoise": (samplers.denoise, dict(predict=half, schedule=TABLE, x=X, t=50)),
    "sample": (end(samplers.sample), dict(x=X, walk=WALK)),
    "heun": (end(solvers.heun), dict(x=X, walk=WALK)),
    "dpm_solver": (end(solvers.dpm_solver), dict(x=X, walk=WALK)),
    "cut": (tasks.cut, dict(x0=X, hole=HOLE)),
    "grey": (tasks.grey, dict(x0=X)),
    "shrink": (tasks.shrink, dict(x0=X, factor=4)),
    "enlarge": (tasks.enlarge, dict(small=X, factor=2)),
    "noisy_large": (tasks.noisy_large, dict(small=X, schedule=TABLE, s=S, factor=2)),
    "jpeg": (tasks.jpeg, dict(x0=X, quality=50)),
    "damage": (tasks.damage, dict(task="inpaint", x0=X, hole=HOLE)),
    "frechet_distance": (metrics.frechet_distance, dict(a=A, b=B)),
    "kernel_distance": (metrics.kernel_distance, dict(a=A, b=B)),
    "inception_score": (metrics.inception_score, dict(logits=A)),
    "precision_recall": (metrics.precision_recall, dict(real=A, fake=B)),
    "nearest": (metrics.nearest, dict(a=X, b=X)),
    "psnr": (metrics.psnr, dict(a=X, b=-X, hole=HOLE)),
    "ssim": (metrics.ssim, dict(a=X, b=-X, hole=HOLE)),
    "drop_attributes": (guidance.drop_attributes, dict(attributes=torch.ones(3, 4).long())),
    "guide": (guided, dict(scale=2.0, x=X, t=T)),
    "show_images": (lambda **k: plots.show_images(show=False, **k), dict(images=X, titles=["a", "b"])),
    "to_pixels": (plots.to_pixels, dict(image=X[0])),
    "bound": (likelihood.bound, dict(predict=half, schedule=TABLE, x0=X, edges=[1, 10, 100], bins=None)),
    "unet": (lambda x, t: UNET(x, t), dict(x=X, t=T)),
    "mixture": (lambda x, t: MIXTURE(x, t), dict(x=torch.randn(2, 2), t=T)),
}
# Functions of whole numbers.
COUNTS = {
    "timesteps": (samplers.timesteps, dict(steps=100, count=10)),
    "karras": (solvers.karras, dict(schedule=TABLE, count=5)),
    "draw": (samplers.draw, dict(predict=half, schedule=TABLE, n=2, steps=2, seed=0, batch=2, side=16)),
    "make_schedule": (schedules.make_schedule, dict(name="cosine", steps=9)),
    "make_holes": (tasks.make_holes, dict(kind="boxes", n=2, size=16)),
    "shrink": (tasks.shrink, dict(x0=X, factor=4)),
    "enlarge": (tasks.enlarge, dict(small=X, factor=2)),
    "precision_recall": (metrics.precision_recall, dict(real=A, fake=B, k=3)),
    "nearest": (metrics.nearest, dict(a=X, b=X, batch=2)),
    "bootstrap": (lambda repeats: metrics.bootstrap(torch.mean, A, repeats=repeats), dict(repeats=3)),
    "batch_indices": (train.batch_indices, dict(n=10, batch=3, step=0, seed=0)),
    "load_points": (data.load_points, dict(name="moons", n=9, seed=0)),
    "load_digits": (data.load_digits, dict(size=8)),
    "load_faces": (data.load_faces, dict(split="valid", size=8, limit=3)),
    "show_images": (lambda columns: plots.show_images(X, columns=columns, show=False), dict(columns=2)),
}
ODD = {
    "nothing": lambda x: None,
    "text": lambda x: "a face",
    "a list": lambda x: x.tolist(),
    "numpy": lambda x: x.numpy(),
    "a number": lambda x: torch.tensor(1),
    "no picture": lambda x: x[:0],
    "pixels": lambda x: (x.float().abs() * 100).to(torch.uint8),
    "NaN": lambda x: torch.full_like(x, math.nan) if x.is_floating_point() else x.float(),
    "one picture": lambda x: x[0],
    "half a picture": lambda x: x[..., :1],
    "three times as many": lambda x: torch.cat([x, x, x]),
}


def told(function, given):
    """What the function answers; None where it refuses in a sentence of the course's own."""
    try:
        return function(**given)
    except (TypeError, ValueError, IndexError) as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        assert "helpers" in last.filename and str(error).rstrip().endswith((".", "]")), repr(error)
        return None


@pytest.mark.parametrize("name", PICTURES)
def test_tensors_that_do_not_fit(name):
    """Refused in a sentence, or answered."""
    function, right = PICTURES[name]
    assert told(function, right) is not None
    for key, value in right.items():
        for odd in ODD.values() if isinstance(value, torch.Tensor) else ():
            told(function, right | {key: odd(value)})


PAIRS = "add_noise posterior to_target from_target eps_from_x0 step psnr ssim nearest".split()


@pytest.mark.parametrize("name", PAIRS)
def test_nothing_is_stretched_to_fit(name):
    """Two pictures of different shapes are a mistake: broadcasting would hide it."""
    function, right = PICTURES[name]
    for key in {"x0", "eps", "z", "x_t", "answer", "a", "b"} & set(right):
        for odd in ("one picture", "half a picture", "a number", "nothing"):
            if (key, odd) != ("z", "nothing"):
                assert told(function, right | {key: ODD[odd](right[key])}) is None, (key, odd)


@settings(max_examples=25, deadline=None)
@given(value=st.integers(-5, 40), kind=st.sampled_from([int, np.int64, np.int32, np.uint8, torch.tensor]))
@pytest.mark.parametrize("name", COUNTS)
def test_whole_numbers_of_every_kind(name, value, kind):
    """A number of numpy or torch does what Python's does; one too small is refused."""
    function, right = COUNTS[name]
    for key, usual in right.items():
        if isinstance(usual, int) and not (kind is np.uint8 and value < 0):
            answers = []
            for as_kind in (int, kind):
                torch.manual_seed(0)
                answers.append(repr(told(function, right | {key: as_kind(value)})))
            assert answers[0] == answers[1] or key == "columns"


@settings(max_examples=40, deadline=None)
@given(value=st.one_of(st.floats(), st.text(), st.none(), st.binary(), st.just(np.float32(2)), st.just([1])))
@pytest.mark.parametrize("name", COUNTS)
def test_what_is_no_whole_number(name, value):
    function, right = COUNTS[name]
    for key, usual in right.items():
        if isinstance(usual, int) and (key, value) != ("limit", None):
            assert told(function, right | {key: value}) is None


@given(value=st.integers(), least=st.integers(-3, 3))
def test_a_whole_number_is_itself(value, least):
    if value >= least:
        assert whole(value, "n", least) == value and type(whole(value, "n", least)) is int
    else:
        with pytest.raises(ValueError, match=f"n must be at least {least}, not {value}"):
            whole(value, "n", least)
