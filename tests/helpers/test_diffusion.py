"""The forward process, its posterior, the four targets, and the loss."""

import math

import pytest
import torch

from helpers import schedules
from helpers.arguments import check_images
from helpers.diffusion import Denoiser, add_noise, diffusion_loss, posterior, transition
from helpers.schedules import make_schedule
from helpers.targets import TARGETS, eps_from_x0, from_target, min_snr_weight, to_target, x0_weight

TABLES = {name: make_schedule(name, 40) for name in schedules.SCHEDULES}
TABLES["shifted"] = make_schedule("cosine", 40, log_snr_shift=-2 * math.log(2))
TABLES["zero_snr"] = schedules.zero_terminal_snr(make_schedule("scaled_linear", 40))


def randn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def normal(x, mean, variance):
    return torch.exp(-0.5 * (x - mean) ** 2 / variance) / math.sqrt(2 * math.pi * variance)


@pytest.mark.parametrize("t", [2, 3, 20, 39, 40])
@pytest.mark.parametrize("name", TABLES)
def test_posterior_is_bayes_on_a_grid(name, t):
    """q(x_{t−1} | x_t, x_0) ∝ q(x_t | x_{t−1}) · q(x_{t−1} | x_0), integrated numerically."""
    table, x0, x_t = TABLES[name], 0.3, -0.7
    a_t, a_s = float(table.signal[t]), float(table.signal[t - 1])
    v_t, v_s = float(table.noise[t]) ** 2, float(table.noise[t - 1]) ** 2
    ratio = a_t / a_s  # x_t = ratio · x_{t−1} + noise of this variance
    x = torch.linspace(-8, 8, 160_001, dtype=torch.float64)
    density = normal(x_t, ratio * x, v_t - ratio**2 * v_s) * normal(x, a_s * x0, v_s)
    density /= density.sum()
    mean = (density * x).sum()
    variance = (density * (x - mean) ** 2).sum()
    one = torch.ones(1, 1, dtype=torch.float64)
    m, v = posterior(table, x0 * one, x_t * one, torch.tensor([t]))
    assert float(m) == pytest.approx(float(mean), abs=1e-8)
    assert float(v) == pytest.approx(float(variance), rel=1e-6)


def test_posterior_of_the_first_step_is_the_clean_image():
    x0, x_t = randn(2, 3), randn(2, 3, seed=1)
    mean, variance = posterior(TABLES["linear"], x0, x_t, torch.tensor([1, 1]))
    assert torch.allclose(mean, x0, rtol=0, atol=1e-12) and (variance == 0).all()
    with pytest.raises(ValueError, match="nothing before the clean image"):
        posterior(TABLES["linear"], x0, x_t, torch.tensor([1, 0]))


def test_posterior_takes_its_own_t_for_each_image():
    table, x0, x_t = TABLES["cosine"], randn(4, 2, 3), randn(4, 2, 3, seed=1)
    t = torch.tensor([1, 7, 23, 40])
    mean, variance = posterior(table, x0, x_t, t)
    assert variance.shape == (4, 1, 1)
    for i in range(4):
        m, v = posterior(table, x0[i : i + 1], x_t[i : i + 1], t[i : i + 1])
        assert torch.equal(m[0], mean[i]) and torch.equal(v[0], variance[i])


def test_add_noise_and_v_are_those_of_diffusers():
    from diffusers import DDPMScheduler

    theirs = DDPMScheduler(num_train_timesteps=40)
    for name in ("linear", "scaled_linear", "cosine", "shifted", "zero_snr"):
        table = TABLES[name]
        theirs.alphas_cumprod = table.alphas_cumprod[1:]
        t = torch.arange(1, 41)
        x0, eps = randn(40, 3, 2, 2), randn(40, 3, 2, 2, seed=1)
        x_t = theirs.add_noise(x0, eps, t - 1)
        assert torch.allclose(add_noise(table, x0, t, eps), x_t, rtol=0, atol=1e-12)
        v = theirs.get_velocity(x0, eps, t - 1)
        assert torch.allclose(to_target(table, x0, eps, t, "v"), v, rtol=0, atol=1e-12)


def test_score_is_the_gradient_of_the_log_density():
    table, t = TABLES["cosine"], torch.tensor([1, 20, 40])
    x0, eps = randn(3, 5), randn(3, 5, seed=1)
    x_t = add_noise(table, x0, t, eps).requires_grad_()
    for i in range(3):
        signal, noise = table.signal[t[i]], table.noise[t[i]]
        log = torch.distributions.Normal(signal * x0[i], noise).log_prob(x_t[i]).sum()
        (wanted,) = torch.autograd.grad(log, x_t)
        got = to_target(table, x0, eps, t, "score")[i]
        assert torch.allclose(got, wanted[i], rtol=1e-9, atol=0)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", TABLES)
def test_round_trip(name, target):
    """Every target leads back to the same x0 and ε, at every step that can carry it."""
    table = TABLES[name]
    no_signal = float(table.signal[-1]) == 0
    t = torch.arange(1, 40 if no_signal and target in ("eps", "score") else 41)
    x0, eps = randn(len(t), 3, 2, 2), randn(len(t), 3, 2, 2, seed=1)
    x_t = add_noise(table, x0, t, eps)
    answer = to_target(table, x0, eps, t, target)
    back_x0, back_eps = from_target(table, answer, x_t, t, target)
    assert torch.allclose(back_x0, x0, rtol=0, atol=1e-9)
    assert torch.allclose(back_eps, eps, rtol=0, atol=1e-9)
    assert torch.allclose(eps_from_x0(table, x_t, x0, t), eps, rtol=0, atol=1e-9)


@pytest.mark.parametrize("target", TARGETS)
def test_denoiser_calls_its_network_and_converts(target):
    table, x_t = TABLES["cosine"], randn(3, 2)
    seen = []

    def network(x, t, **condition):
        seen.append((t, condition))
        return (0.5 * x + 0.1 * t[:, None]).float()

    predict = Denoiser(network, table, target)
    x0, eps = predict(x_t, 7, label="cat")
    assert torch.equal(seen[0][0], torch.tensor([7, 7, 7])) and seen[0][1] == {"label": "cat"}
    answer = network(x_t, torch.tensor([7, 7, 7])).double()
    wanted = from_target(table, answer, x_t, torch.tensor([7, 7, 7]), target)
    assert x0.dtype == torch.float64
    assert torch.equal(x0, wanted[0]) and torch.equal(eps, wanted[1])
    assert torch.allclose(table.signal[7] * x0 + table.noise[7] * eps, x_t, rtol=0, atol=1e-12)


LOSSES = [(name, target) for name in ("linear", "cosine") for target in TARGETS]
LOSSES += [(name, target) for name in ("rectified_flow", "zero_snr") for target in ("x0", "v", "velocity")]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name, target", LOSSES)
def test_loss_is_the_loop(name, target, weighted):
    """Algorithm 1, image by image, with the random numbers of the same generator."""
    table = TABLES[name]
    x0 = randn(6, 3, 4, 4).clamp(-1, 1)

    def network(x, t, shift):
        return torch.tanh(x) * (1 + t.view(-1, 1, 1, 1) / 40) + shift

    def weight(log_snr):
        return torch.sigmoid(-log_snr)

    generator = torch.Generator().manual_seed(5)
    got = diffusion_loss(
        Denoiser(network, table, target), x0, generator, weight if weighted else None, shift=0.25
    )
    generator = torch.Generator().manual_seed(5)
    t = torch.randint(1, 41, (6,), generator=generator)
    eps = torch.randn(x0.shape, generator=generator, dtype=torch.float64)
    total = 0.0
    for i in range(6):
        signal, noise = float(table.signal[t[i]]), float(table.noise[t[i]])
        x_t = signal * x0[i] + noise * eps[i]
        wanted = {
            "eps": eps[i],
            "x0": x0[i],
            "v": signal * eps[i] - noise * x0[i],
            "score": -eps[i] / noise,
            "velocity": eps[i] - x0[i],
        }[target]
        error = float(((network(x_t[None], t[i : i + 1], 0.25)[0] - wanted) ** 2).mean())
        factor = 1.0
        if weighted:
            log_snr = 2 * math.log(signal / noise) if signal else -math.inf
            factor = 1 / (1 + math.exp(min(log_snr, 700.0)))
        total += factor * error / 6
    assert float(got) == pytest.approx(total, rel=1e-5)


def test_loss_draws_every_step_equally_often():
    times = []

    def network(x, t):
        times.append(t)
        return x

    predict = Denoiser(network, make_schedule("linear", 4))
    diffusion_loss(predict, torch.zeros(8000, 1), torch.Generator().manual_seed(0))
    counts = torch.bincount(times[0], minlength=5)
    assert counts[0] == 0 and len(counts) == 5
    assert ((counts[1:] - 2000).abs() < 4 * math.sqrt(8000 * 0.25 * 0.75)).all()


# Bad input: one clear sentence each

BAD_T = {
    "float": (torch.tensor([1.0, 2.0]), TypeError, "integer"),
    "bool": (torch.tensor([True, False]), TypeError, "integer"),
    "a float number": (3.0, TypeError, "integer"),
    "too large": (torch.tensor([1, 41]), ValueError, "0…40.*1 to 41"),
    "negative": (torch.tensor([-1, 4]), ValueError, "0…40.*-1 to 4"),
    "too many": (torch.tensor([1, 2, 3]), ValueError, r"shape \(2,\), not \(3,\)"),
    "two axes": (torch.tensor([[1], [2]]), ValueError, r"shape \(2,\), not \(2, 1\)"),
}


@pytest.mark.parametrize("t, error, message", BAD_T.values(), ids=BAD_T)
def test_bad_t(t, error, message):
    x = torch.zeros(2, 3)
    table = TABLES["linear"]
    for call in (
        lambda: add_noise(table, x, t, x),
        lambda: to_target(table, x, x, t, "v"),
        lambda: from_target(table, x, x, t, "v"),
        lambda: Denoiser(lambda x, t: x, table)(x, t),
    ):
        with pytest.raises(error, match=message):
            call()


def test_uint8_images_are_refused_everywhere():
    """Cast to whole numbers, signal and noise would be 0: nothing of it may pass in silence."""
    x, t = torch.full((2, 3), 200, dtype=torch.uint8), torch.tensor([3, 4])
    table = TABLES["linear"]
    for call in (
        lambda: add_noise(table, x, t, torch.zeros(2, 3)),
        lambda: posterior(table, x, x, t),
        lambda: from_target(table, torch.zeros(2, 3), x, t, "v"),
        lambda: diffusion_loss(Denoiser(lambda x, t: x, table), x),
    ):
        with pytest.raises(TypeError, match="uint8.*floats"):
            call()


def test_batch_mismatch():
    x = torch.zeros(2, 3)
    with pytest.raises(ValueError, match=r"x0 \(2, 3\) and eps \(3, 3\)"):
        add_noise(TABLES["linear"], x, torch.tensor([1, 2]), torch.zeros(3, 3))


@pytest.mark.parametrize("target", ["eps", "score"])
@pytest.mark.parametrize("name", ["zero_snr", "rectified_flow"])
def test_no_noise_prediction_without_signal(name, target):
    table, x = TABLES[name], randn(1, 2)
    with pytest.raises(ValueError, match="predict x0 or v"):
        Denoiser(lambda x, t: x, table, target)
    with pytest.raises(ValueError, match="predict x0 or v"):
        from_target(table, x, x, torch.tensor([40]), target)


def test_unknown_target():
    x, t = randn(1, 2), torch.tensor([3])
    table = TABLES["linear"]
    for call in (
        lambda: to_target(table, x, x, t, "noise"),
        lambda: from_target(table, x, x, t, "noise"),
        lambda: Denoiser(lambda x, t: x, table, "noise"),
    ):
        with pytest.raises(ValueError, match="no target 'noise'.*eps, x0, v, score"):
            call()


BAD_IMAGES = {
    "uint8": (torch.zeros(1, 3, 2, 2, dtype=torch.uint8), TypeError, "uint8.*127.5"),
    "0…255": (torch.full((1, 3, 2, 2), 255.0), ValueError, "255.00"),
    "too dark": (torch.full((1, 3, 2, 2), -1.01), ValueError, "-1.01"),
    "nan": (torch.full((1, 3, 2, 2), math.nan), ValueError, "must lie in"),
}


@pytest.mark.parametrize("image, error, message", BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_bad_images(image, error, message):
    with pytest.raises(error, match=f"photo.*{message}"):
        check_images(image, "photo")


def test_good_images_pass_unchanged():
    for image in (torch.tensor([[-1.0, 1.0]]), torch.zeros(0, 3, 2, 2), torch.ones(1).half()):
        assert check_images(image) is image


@pytest.mark.parametrize("name", ["linear", "cosine", "shifted"])
def test_each_targets_error_is_that_of_x0_times_its_weight(name):
    table, t = TABLES[name], torch.arange(1, 41)
    x0, eps, wrong = randn(3, 40, 50)
    x_t = add_noise(table, x0, t, eps)
    wrong_eps = eps_from_x0(table, x_t, wrong, t)
    of_x0 = (wrong - x0).square().mean(1)
    for target in TARGETS:
        error = to_target(table, wrong, wrong_eps, t, target) - to_target(table, x0, eps, t, target)
        ratio = error.square().mean(1) / of_x0
        assert torch.allclose(ratio, x0_weight(table.log_snr[1:], target), rtol=1e-6)


def test_weights_by_value():
    log_snr = torch.tensor([0.25, 1.0, 16.0]).log()
    assert x0_weight(log_snr, "x0").tolist() == pytest.approx([1, 1, 1])
    assert x0_weight(log_snr, "eps").tolist() == pytest.approx([0.25, 1, 16])
    assert x0_weight(log_snr, "v").tolist() == pytest.approx([1.25, 2, 17])
    assert x0_weight(log_snr, "score").tolist() == pytest.approx([0.3125, 2, 272])
    assert x0_weight(log_snr, "velocity").tolist() == pytest.approx([2.25, 4, 25])
    assert min_snr_weight("x0", 2.0)(log_snr).tolist() == pytest.approx([0.25, 1, 2])
    assert min_snr_weight("eps", 2.0)(log_snr).tolist() == pytest.approx([1, 1, 1 / 8])
    assert min_snr_weight("v", 2.0)(log_snr).tolist() == pytest.approx([0.2, 0.5, 2 / 17])
    assert min_snr_weight("score", 2.0)(log_snr).tolist() == pytest.approx([0.8, 0.5, 1 / 136])


def test_min_snr_without_signal_and_without_noise():
    """log SNR is −∞ at a mended end and +∞ at the clean one: factors stay numbers."""
    ends = torch.tensor([-math.inf, math.inf])
    assert min_snr_weight("x0")(ends).tolist() == [0, 5]
    assert min_snr_weight("eps")(ends).tolist() == [1, 0]
    assert min_snr_weight("v")(ends).tolist() == [0, 0]
    assert min_snr_weight("score")(ends).tolist() == [1, 0]
    assert min_snr_weight("velocity")(ends).tolist() == [0, 0]


def test_min_snr_makes_one_loss_of_all():
    """One guess of x0, answered in every target: with its factor each loss is the same number."""
    table, x0 = TABLES["cosine"], randn(20, 1, 4, 4).clamp(-1, 1)

    def loss(target, weight):
        def network(x_t, t):
            guess = torch.tanh(0.7 * x_t)
            return to_target(table, guess, eps_from_x0(table, x_t, guess, t), t, target)

        generator = torch.Generator().manual_seed(1)
        return float(diffusion_loss(Denoiser(network, table, target), x0, generator, weight))

    values = [loss(target, min_snr_weight(target, 3.0)) for target in TARGETS]
    assert values == pytest.approx([values[0]] * len(TARGETS), rel=1e-4)
    generator = torch.Generator().manual_seed(1)  # and by hand
    t = torch.randint(1, 41, (20,), generator=generator)
    eps = torch.randn(x0.shape, generator=generator, dtype=torch.float64)
    error = (torch.tanh(0.7 * add_noise(table, x0, t, eps)) - x0).square().mean((1, 2, 3))
    snr = (table.signal / table.noise)[t] ** 2
    assert values[0] == pytest.approx(float((snr.clamp(max=3.0) * error).mean()), rel=1e-4)
    plain = [loss(target, None) for target in TARGETS]
    assert max(plain) > 100 * min(plain)


def test_weights_refuse_what_they_do_not_know():
    for call in (lambda: x0_weight(torch.zeros(1), "noise"), lambda: min_snr_weight("noise")):
        with pytest.raises(ValueError, match="no target 'noise'.*eps, x0, v, score"):
            call()
    with pytest.raises(ValueError, match="γ must be positive, not 0"):
        min_snr_weight("v", 0)


@pytest.mark.parametrize("answer", [lambda x: x.mean(1, keepdim=True), lambda x: x[0]])
def test_an_answer_of_another_shape_is_not_stretched(answer):
    denoiser = Denoiser(lambda x, t: answer(x), make_schedule("linear"), "v")
    with pytest.raises(ValueError, match=r"answered .* to x_t \(4, 2\)"):
        denoiser(torch.randn(4, 2), 5)
    with pytest.raises(ValueError, match=r"answered .* to x_t \(4, 2\)"):
        diffusion_loss(denoiser, torch.zeros(4, 2))


def test_x0_says_nothing_of_the_noise_where_there_is_none():
    denoiser = Denoiser(lambda x, t: x, make_schedule("linear"), "x0")
    with pytest.raises(ValueError, match="At t = 0 nothing is noise"):
        denoiser(torch.randn(4, 2), 0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_posterior_in_low_precision_is_that_in_high(dtype):
    table, t = make_schedule("cosine"), torch.arange(1, 1001)
    x = torch.ones(1000, 1, dtype=torch.float64)
    mean, variance = posterior(table, x, x / 2, t)
    low_mean, low_variance = posterior(table, x.to(dtype), (x / 2).to(dtype), t)
    assert low_mean.dtype == low_variance.dtype == dtype
    assert torch.allclose(low_variance.double(), variance, rtol=0.01, atol=1e-7)
    assert torch.allclose(low_mean.double(), mean, rtol=0.02)


@pytest.mark.parametrize("name", ["linear", "cosine", "rectified_flow"])
def test_two_steps_of_the_forward_process_are_one(name):
    """q(x_t given x_r) through s: factors multiply, and the variance of s is carried on."""
    table, like = make_schedule(name), torch.zeros(1, 1)
    r, s, t = (torch.tensor([k]) for k in (100, 400, 700))
    (first, var_s), (second, var_t) = transition(table, s, r, like), transition(table, t, s, like)
    factor, variance = transition(table, t, r, like)
    assert factor == pytest.approx(float(first * second), rel=1e-12)
    assert variance == pytest.approx(float(second**2 * var_s + var_t), rel=1e-12)
