"""RePaint: its walk, and what it fills in where the right answer is known."""

import pytest
import torch

from helpers.diffusion import Denoiser
from helpers.repaint import jumps, repaint
from helpers.samplers import last, pairs, timesteps
from helpers.schedules import make_schedule

SCHEDULE = make_schedule("cosine")
RHO = 0.9
HOLE = torch.tensor([False, True]).view(1, 1, 1, 2)  # of two pixels the right one is unknown


def gaussian(x, t):
    """The exact denoiser of two pixels, each N(0, 1), with correlation RHO; x (B, 1, 1, 2)."""
    covariance = torch.tensor([[1, RHO], [RHO, 1]], dtype=x.dtype)
    signal, noise = (float(v[0]) for v in SCHEDULE.at(t, like=x))
    x_t = signal**2 * covariance + noise**2 * torch.eye(2, dtype=x.dtype)
    x0 = (x.flatten(1) @ torch.linalg.solve(x_t, signal * covariance)).view_as(x)
    return x0, (x - signal * x0) / noise


def fill(walk, n=4000, a=1.0, predict=gaussian):
    """What stands in the hole at the end, where the known pixel is a: (n,)."""
    generator = torch.Generator().manual_seed(0)
    known = torch.full((n, 1, 1, 2), a, dtype=torch.float64)
    x = torch.randn(known.shape, generator=generator, dtype=known.dtype)
    end = last(repaint(predict, SCHEDULE, x, walk, known, HOLE, clip=False, generator=generator))
    assert (end.x[..., 0] == a).all()  # known pixels come out as they went in
    return end.x[..., 1].flatten()


def test_a_gaussian_is_filled_better_with_jumps():
    """Given a, the unknown pixel is N(ρa, 1 − ρ²); without jumps it is drawn from a wrong Gaussian."""
    plain = fill(pairs(timesteps(1000, 50)))
    finer = fill(pairs(timesteps(1000, 200)), n=2000)
    jumping = fill(jumps(timesteps(1000, 50), 10, 7))
    wanted, variance = RHO, 1 - RHO**2
    assert plain.mean() == pytest.approx(0.61, abs=0.05) and plain.var() == pytest.approx(0.29, abs=0.03)
    assert finer.mean() == pytest.approx(0.63, abs=0.05)  # finer steps are no cure
    assert jumping.mean() == pytest.approx(wanted, abs=0.07)
    assert jumping.var() == pytest.approx(variance, rel=0.15)


def test_the_walk_by_hand():
    down = [6, 5, 4, 3, 2, 1, 0]
    assert jumps(down, 2, 1) == pairs(down)
    # at entries 2 and 0 (not 4: the jump must stay on the list) up by two, once
    walk = [(6, 5), (5, 4), (4, 3), (3, 2), (2, 4), (4, 3), (3, 2), (2, 1), (1, 0), (0, 2), (2, 1), (1, 0)]
    assert jumps(down, 2, 2) == walk
    assert jumps([1000, 700, 200, 0], 1, 2)[:4] == [(1000, 700), (700, 200), (200, 700), (700, 200)]
    for bad in ((0, 2), (2, 0)):
        with pytest.raises(ValueError, match="length ≥ 1 and repeats ≥ 1"):
            jumps(down, *bad)


@pytest.mark.parametrize("count, length, repeats", [(250, 10, 10), (50, 10, 7), (50, 5, 3), (100, 1, 2)])
def test_the_walk_is_that_of_diffusers(count, length, repeats):
    from diffusers.schedulers import RePaintScheduler

    scheduler = RePaintScheduler()
    scheduler.set_timesteps(count, length, repeats)
    theirs = [count] + [int(t) * count // 1000 for t in scheduler.timesteps]
    ours = [count]
    for t, s in jumps(list(range(count, -1, -1)), length, repeats):
        ours += range(t + 1, s + 1) if s > t else [s]  # they count every small step up
    assert ours == theirs
    if (count, length) == (250, 10):  # the paper's choice: 4,570 small steps, 2,410 of them ask the network
        assert len(ours) - 1 == 4570
        assert sum(s < t for t, s in jumps(list(range(251))[::-1], 10, 10)) == 2410


def test_a_jump_up_keeps_the_law_of_x_t():
    """From x_s ~ q(x_s) a jump up gives q(x_t): mean and variance, for a picture of one value."""
    known = torch.full((20_000, 1, 1, 2), 0.5, dtype=torch.float64)
    generator = torch.Generator().manual_seed(1)
    steps = list(
        repaint(None, SCHEDULE, known, [(0, 300), (300, 700)], known, HOLE, generator=generator)
    )  # nothing goes down, so no model is asked
    for s, x, _ in steps:
        assert float(x.mean()) == pytest.approx(0.5 * float(SCHEDULE.signal[s]), abs=0.02)
        assert float(x.std()) == pytest.approx(float(SCHEDULE.noise[s]), rel=0.02)
    assert [s for s, _, _ in steps] == [300, 700]


def test_known_pixels_have_the_noise_of_their_step():
    def network(x, t):
        return torch.zeros_like(x)

    known = torch.full((20_000, 1, 1, 2), 0.5)
    x = torch.randn(known.shape, generator=torch.Generator().manual_seed(2))
    states = repaint(
        Denoiser(network, SCHEDULE, "x0"), SCHEDULE, x, [(600, 400)], known, HOLE,
        generator=torch.Generator().manual_seed(3),
    )  # fmt: skip
    left, right = last(states).x.flatten(1).T
    assert float(left.mean()) == pytest.approx(0.5 * float(SCHEDULE.signal[400]), abs=0.02)
    assert float(left.std()) == pytest.approx(float(SCHEDULE.noise[400]), rel=0.02)
    assert abs(float(right.mean())) < 0.02  # the model believed in 0


def test_all_hole_and_no_hole():
    walk = pairs(timesteps(1000, 4))
    known = torch.rand(2, 1, 4, 4, dtype=torch.float64)
    x = torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    predict = Denoiser(lambda x, t: torch.full_like(x, 0.25), SCHEDULE, "x0")
    for hole, wanted in ((torch.zeros(1, 1, 4, 4), known), (torch.ones(1, 1, 4, 4), 0.25 + 0 * known)):
        end = last(repaint(predict, SCHEDULE, x, walk, known, hole.bool()))
        assert torch.allclose(end.x, wanted)
    with pytest.raises(ValueError, match="does not fit the picture"):
        last(repaint(predict, SCHEDULE, x, walk, known, torch.ones(1, 1, 8, 8).bool()))
