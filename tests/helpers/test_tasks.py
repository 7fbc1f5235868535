"""Holes, damage, and a denoiser that keeps what is known."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.data import load_faces
from helpers.diffusion import Denoiser, add_noise, diffusion_loss
from helpers.samplers import last, pairs, sample, timesteps
from helpers.schedules import make_schedule
from helpers.tasks import HOLES, TASKS, cut, damage, enlarge, grey, jpeg, make_holes, restore, shrink

SCHEDULE = make_schedule("cosine")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def faces():
    return load_faces("embedded", "test", limit=6).images


@pytest.mark.parametrize("kind", HOLES)
def test_holes_repeat_with_their_seed_and_differ_without(kind):
    a, b, c = (make_holes(kind, 20, 64, seeded(s)) for s in (0, 0, 1))
    assert torch.equal(a, b) and a.dtype == torch.bool
    assert (kind == "centre") == torch.equal(a, c)
    share = a.float().mean((1, 2, 3))
    assert share.min() > 0.003 and share.max() < 0.76


def test_holes_have_the_areas_that_their_names_say():
    centre = make_holes("centre", 1, 64)[0, 0]
    assert centre[16:48, 16:48].all() and centre.sum() == 32 * 32
    half = make_holes("half", 100, 64, seeded())[:, 0]
    assert (half.sum((1, 2)) == 2048).all()
    corners = {tuple(h[[0, 0, -1, -1], [0, -1, 0, -1]].tolist()) for h in half}
    assert len(corners) == 4  # left, right, upper and lower
    border = make_holes("border", 100, 64, seeded())[:, 0].sum((1, 2))
    assert set(border.tolist()) == {2048, 3072}


def test_a_brush_is_thicker_than_a_pixel():
    holes = make_holes("brush", 50, 64, seeded()).float()
    inside = -torch.nn.functional.max_pool2d(-holes, 3, 1, 1)  # what is left when a pixel is peeled off
    assert inside.sum() > 0.4 * holes.sum()
    assert 0.05 < holes.mean() < 0.35


@pytest.mark.parametrize(
    "bad, says",
    [
        (("stars", 1, 64), "kind 'stars'"),
        (("half", 0, 64), "n must be at least 1, not 0"),
        (("half", 1, 4), "size must be at least 8, not 4"),
    ],
)
def test_a_hole_that_cannot_be(bad, says):
    with pytest.raises(ValueError, match=says):
        make_holes(*bad)


def test_cut_leaves_what_is_known_and_fills_with_standard_noise(faces):
    hole = make_holes("half", 6, 64, seeded())
    y = cut(faces, hole, seeded())
    assert torch.equal(y[~hole.expand_as(y)], faces[~hole.expand_as(y)])
    noise = y[hole.expand_as(y)]
    assert abs(noise.mean()) < 0.02 and abs(noise.std() - 1) < 0.02
    one = cut(faces, make_holes("centre", 1, 64))  # one hole for all
    assert torch.equal(one[:, :, :16], faces[:, :, :16])


@pytest.mark.parametrize("side", [32, 128])
def test_a_hole_of_another_size_is_refused(faces, side):
    with pytest.raises(ValueError, match=r"hole \(1, 1, \d+, \d+\) does not fit .* \(\d+, 1, 64, 64\)"):
        cut(faces, make_holes("centre", 1, side))


def test_a_hole_of_numbers_is_refused(faces):
    with pytest.raises(TypeError, match="bool tensor, True where the picture is unknown, not torch.float32"):
        cut(faces, make_holes("centre", 1, 64).float())


def test_all_hole_and_no_hole(faces):
    none, everything = torch.zeros(1, 1, 64, 64, dtype=torch.bool), torch.ones(1, 1, 64, 64, dtype=torch.bool)
    assert torch.equal(cut(faces, none), faces)
    assert abs(cut(faces, everything, seeded()).std() - 1) < 0.01


def test_grey_small_and_large_by_numbers(faces):
    red = torch.tensor([1.0, -1, -1]).view(1, 3, 1, 1).expand(1, 3, 8, 8)
    assert torch.allclose(grey(red), torch.full((1, 3, 8, 8), 0.299 - 0.587 - 0.114))
    assert torch.allclose(shrink(faces)[0, 0, 3, 5], faces[0, 0, 12:16, 20:24].mean())
    flat = torch.full((1, 3, 16, 16), 0.3)
    assert torch.allclose(enlarge(flat), torch.full((1, 3, 64, 64), 0.3), atol=1e-6)
    by_pillow = [
        Image.fromarray(c.numpy()).resize((64, 64), Image.Resampling.BICUBIC) for c in shrink(faces)[0]
    ]
    by_pillow = torch.from_numpy(np.stack(by_pillow)).clamp(-1, 1)
    away = (enlarge(shrink(faces))[0] - by_pillow).abs()
    assert away.mean() < 0.04  # Pillow's kernel has a = −0.5, torch's −0.75


def test_jpeg_is_pillows_and_worse_at_lower_quality(faces):
    after = jpeg(faces, torch.tensor([5, 5, 20, 20, 95, 95]))
    file = io.BytesIO()
    pixels = ((faces[2] + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(file, "JPEG", quality=20)
    again = torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1).float() / 127.5 - 1
    assert torch.allclose(after[2], again)
    error = [(jpeg(faces, q) - faces).square().mean().item() for q in (5, 10, 30, 95)]
    assert (
        error == sorted(error, reverse=True) and error[-1] < 0.005
    )  # even quality 95 halves the colours' size


@pytest.mark.parametrize("quality", [0, 96])
def test_a_jpeg_of_another_quality_is_refused(faces, quality):
    with pytest.raises(ValueError, match=f"1…95, not {quality}"):
        jpeg(faces, quality)


def test_random_holes_are_for_square_pictures():
    with pytest.raises(ValueError, match="square pictures, not .2, 3, 32, 64.: give a hole"):
        damage("inpaint", torch.zeros(2, 3, 32, 64))
    hole = torch.ones(2, 1, 32, 64, dtype=torch.bool)
    assert damage("inpaint", torch.zeros(2, 3, 32, 64), hole=hole)[1] is not None


@pytest.mark.parametrize("task", TASKS)
def test_damage_takes_a_generator_of_a_gpu(task, faces):
    """It is only asked for a number there; what is drawn is drawn on the CPU."""

    class Elsewhere(torch.Generator):
        device = torch.device("cuda", 0)

    real = torch.randint

    def randint(*sizes, device="cpu", **options):
        assert torch.device(device) == options["generator"].device
        return real(*sizes, **options)

    there = Elsewhere().manual_seed(3)
    here = torch.Generator().manual_seed(int(real(2**31, (), generator=torch.Generator().manual_seed(3))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "randint", randint)
        y, hole = damage(task, faces, there)
    wanted, where = damage(task, faces, here)
    assert torch.equal(y, wanted) and torch.equal(hole, where)


@pytest.mark.parametrize("task", TASKS)
def test_damage_repeats_and_shows_only_what_is_known(task, faces):
    (y, hole), (again, _) = (damage(task, faces, seeded()) for _ in range(2))
    assert torch.equal(y, again)
    known = ~hole.expand_as(y)
    assert torch.equal(y[known], faces[known])
    assert bool(hole.all()) == (task in ("colourise", "super_resolve", "jpeg"))
    assert (y - faces).abs()[hole.expand_as(y)].mean() > 0.02


def test_damage_in_bad_cases(faces):
    with pytest.raises(ValueError, match="no task 'sharpen'"):
        damage("sharpen", faces)
    with pytest.raises(TypeError, match="torch.uint8"):
        damage("jpeg", (faces * 127).byte())
    given = make_holes("centre", 6, 64)
    assert torch.equal(damage("inpaint", faces, hole=given)[1], given)


def test_restore_keeps_the_known_pixels_at_every_step(faces):
    y, hole = damage("inpaint", faces, seeded())
    seen = []

    def network(x_t, t, image):
        seen.append((x_t, image))
        return torch.full_like(x_t, 0.25)

    predict = restore(Denoiser(network, SCHEDULE, "x0"), SCHEDULE, y, hole)
    x = torch.randn(faces.shape, generator=seeded())
    end = last(sample(predict, SCHEDULE, x, pairs(timesteps(1000, 5)), eta=1.0, generator=seeded()))
    known = ~hole.expand_as(y)
    assert len(seen) == 5
    assert all(torch.equal(x_t[known], faces[known]) and torch.equal(image, y) for x_t, image in seen)
    assert not torch.equal(seen[0][0][~known], seen[1][0][~known])
    assert torch.allclose(end.x, torch.where(hole, torch.tensor(0.25), faces), atol=1e-6)


def test_the_loss_counts_and_noises_only_the_hole(faces):
    hole = torch.cat([make_holes("centre", 3, 64), make_holes("half", 3, 64, seeded())])
    given = []

    def network(x_t, t):
        given.append((x_t, t))
        return 0.5 * x_t

    value = diffusion_loss(Denoiser(network, SCHEDULE), faces, seeded(7), hole=hole)
    again = seeded(7)
    t = torch.randint(1, 1001, (6,), generator=again)
    eps = torch.randn(faces.shape, generator=again)
    x_t = add_noise(SCHEDULE, faces, t, eps)
    assert torch.equal(given[0][1], t)
    by_hand = []
    for i in range(6):
        inside = hole[i].expand(3, 64, 64)
        assert torch.equal(given[0][0][i], torch.where(inside, x_t[i], faces[i]))
        by_hand.append((0.5 * x_t[i] - eps[i])[inside].square().mean())
    assert value.item() == pytest.approx(torch.stack(by_hand).mean().item(), rel=1e-5)
    whole = torch.ones(6, 1, 64, 64, dtype=torch.bool)
    all_pixels = diffusion_loss(Denoiser(network, SCHEDULE), faces, seeded(7))
    assert diffusion_loss(Denoiser(network, SCHEDULE), faces, seeded(7), hole=whole).item() == pytest.approx(
        all_pixels.item(), rel=1e-5
    )
    assert diffusion_loss(Denoiser(network, SCHEDULE), faces, seeded(7), hole=~whole).item() == 0
