"""Scores: the Fréchet distance against two libraries and closed forms, and what it notices."""

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from helpers.checkpoints import FOLDER, load_card, load_model
from helpers.data import load_faces
from helpers.features import FaceFeatures, extract
from helpers.metrics import (
    bootstrap,
    frechet_distance,
    inception_score,
    kernel_distance,
    moments,
    nearest,
    precision_recall,
    psnr,
)


def randn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def with_moments(n, mean, covariance, seed=0):
    """n points whose mean and (unbiased) covariance are exactly these."""
    x = randn(n, len(mean), seed=seed)
    x = x - x.mean(0)
    x = x @ torch.linalg.inv(torch.linalg.cholesky(x.T @ x / (n - 1))).T
    return x @ torch.linalg.cholesky(covariance).T + mean


def covariance(d, seed):
    root = randn(d, d, seed=seed)
    return root @ root.T + 0.1 * torch.eye(d, dtype=torch.float64)


# The Fréchet distance


@pytest.mark.parametrize("d, n, m", [(1, 20, 30), (5, 200, 50), (40, 60, 300)])
def test_frechet_is_that_of_torchmetrics_and_scipy(d, n, m):
    import scipy.linalg
    from torchmetrics.image.fid import _compute_fid

    a = with_moments(n, randn(d), covariance(d, 1))
    b = with_moments(m, randn(d, seed=2), covariance(d, 3), seed=4)
    mu_a, mu_b = a.mean(0), b.mean(0)
    s_a, s_b = ((x - x.mean(0)).T @ (x - x.mean(0)) / (len(x) - 1) for x in (a, b))
    got = frechet_distance(a, b)
    assert got == pytest.approx(float(_compute_fid(mu_a, s_a, mu_b, s_b)), rel=1e-7)
    root = scipy.linalg.sqrtm((s_a @ s_b).numpy()).real
    wanted = float((mu_a - mu_b).square().sum() + s_a.trace() + s_b.trace()) - 2 * root.trace()
    assert got == pytest.approx(wanted, rel=1e-7)


def test_frechet_of_features_and_of_their_moments_is_one_number():
    a, b = with_moments(50, randn(8), covariance(8, 1)), randn(70, 8, seed=3)
    m = moments(b)
    assert m.n == 70
    assert torch.equal(m.mean, b.double().mean(0)) and torch.equal(m.covariance, b.double().T.cov())
    wanted = frechet_distance(a, b)
    assert wanted == frechet_distance(a, m) == frechet_distance(moments(a), m) > 1
    assert frechet_distance(m, a) == pytest.approx(wanted, rel=1e-9)


def test_frechet_closed_form():
    """Axes of their own: ‖μ_a − μ_b‖² + Σ (σ_a − σ_b)²."""
    mu_a, mu_b = torch.tensor([0.0, 1.0, -2.0]).double(), torch.tensor([0.5, 1.0, 1.0]).double()
    sd_a, sd_b = torch.tensor([1.0, 2.0, 0.5]).double(), torch.tensor([1.5, 0.5, 0.5]).double()
    a = with_moments(50, mu_a, sd_a.square().diag())
    b = with_moments(80, mu_b, sd_b.square().diag(), seed=1)
    assert frechet_distance(a, b) == pytest.approx(9.25 + 0.25 + 2.25, rel=1e-9)
    assert frechet_distance(b, a) == pytest.approx(frechet_distance(a, b), rel=1e-9)
    assert frechet_distance(a, 2 * a) == pytest.approx(5 + 5.25, rel=1e-9)


def test_frechet_of_a_set_with_itself():
    a = with_moments(100, randn(20), covariance(20, 1))
    assert abs(frechet_distance(a, a)) < 1e-7
    assert abs(frechet_distance(a, a.flip(0))) < 1e-7
    assert frechet_distance(a.float(), (a + 1).float()) == pytest.approx(20, rel=1e-4)


@pytest.mark.parametrize("n, m", [(8, 100), (100, 8), (2, 2)])
def test_too_few_samples(n, m):
    with pytest.raises(ValueError, match=f"8 features needs more than 8 samples.*{n} and {m}"):
        frechet_distance(randn(n, 8), randn(m, 8))
    with pytest.raises(ValueError, match=f"8 features needs more than 8 samples.*{n} and {m}"):
        frechet_distance(randn(n, 8), moments(randn(m, 8)))
    frechet_distance(randn(9, 8), randn(9, 8, seed=1))


# Inception score, precision and recall


@pytest.mark.parametrize("d, n, m", [(5, 40, 40), (64, 200, 200)])
def test_kernel_distance_is_that_of_torchmetrics(d, n, m):
    from torchmetrics.image.kid import poly_mmd

    a, b = randn(n, d), 0.3 + randn(m, d, seed=1)
    assert kernel_distance(a, b) == pytest.approx(float(poly_mmd(a, b)), rel=1e-9)


def test_kernel_distance_by_brute_force_where_the_counts_differ():
    a, b = randn(4, 3), randn(6, 3, seed=1)

    def mean(x, y, same=False):
        pairs = [(i, j) for i in range(len(x)) for j in range(len(y)) if not (same and i == j)]
        return sum(float((x[i] @ y[j] / 3 + 1) ** 3) for i, j in pairs) / len(pairs)

    wanted = mean(a, a, True) + mean(b, b, True) - 2 * mean(a, b)
    assert kernel_distance(a, b) == pytest.approx(wanted, rel=1e-12)


def test_kernel_distance_of_one_distribution_is_zero_on_average_at_any_size():
    for n in (10, 100):
        values = [kernel_distance(randn(n, 4, seed=2 * i), randn(n, 4, seed=2 * i + 1)) for i in range(400)]
        error = np.std(values) / 400**0.5
        assert abs(np.mean(values)) < 3 * error
    assert kernel_distance(randn(100, 4), randn(100, 4, seed=1) + 0.5) > 10 * error
    with pytest.raises(ValueError, match="two samples on each side, not 1 and 5"):
        kernel_distance(randn(1, 4), randn(5, 4))


def test_inception_score_closed_forms():
    sure = 1e4 * torch.eye(5)  # five classes, one picture each, no doubt
    assert inception_score(sure) == pytest.approx(5, rel=1e-9)
    assert inception_score(sure[[0, 0, 0]]) == pytest.approx(1, rel=1e-9)  # always the same class
    assert inception_score(torch.zeros(7, 5)) == pytest.approx(1, rel=1e-9)  # never sure
    # three pictures of class 0, one of class 1: exp of the entropy of (3/4, 1/4)
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert inception_score(sure[[0, 0, 0, 1]]) == pytest.approx(math.exp(entropy), rel=1e-9)
    # one picture is half sure: p(y|x) = (2/3, 1/3) and (1, 0)
    logits = torch.tensor([[2 / 3, 1 / 3], [1.0, 1e-300]]).double().log()
    kl = 2 / 3 * math.log(2 / 3 / (5 / 6)) + 1 / 3 * math.log(1 / 3 / (1 / 6)), math.log(1 / (5 / 6))
    assert inception_score(logits) == pytest.approx(math.exp(sum(kl) / 2), rel=1e-9)


def test_inception_score_is_that_of_torchmetrics():
    from torchmetrics.image.inception import InceptionScore

    logits = 2 * randn(50, 7, dtype=torch.float32)
    theirs = InceptionScore(feature=torch.nn.Identity(), splits=1)
    theirs.update(logits)
    assert inception_score(logits) == pytest.approx(float(theirs.compute()[0]), rel=1e-4)


def test_precision_and_recall_on_a_line():
    """Real at 0, 1, 2, 3 and far at 10; k = 1: balls reach 1, 1, 1, 1 and 7."""
    real = torch.tensor([0.0, 1, 2, 3, 10])[:, None]
    fake = torch.tensor([-2.0, -1, 3.9, 5, 16, 18])[:, None]  # their balls reach 1, 1, 1.1, 1.1, 2, 2
    # −2 lies in none; −1 at the edge of 0's; 3.9, 5, 16 within 10's; 18 in none: 4 of 6
    # 0 at the edge of −1's; 1, 2, 10 in none; 3 within 3.9's: 2 of 5
    assert precision_recall(real, fake, k=1) == pytest.approx((4 / 6, 2 / 5))
    assert precision_recall(fake, real, k=1) == pytest.approx((2 / 5, 4 / 6))
    assert precision_recall(real, fake, k=1, batch=2) == pytest.approx((4 / 6, 2 / 5))
    # k = 4 of five real ones: 3 reaches 7, and 10 reaches 10
    fake = torch.tensor([19.0, 21, 60, 61, 62])[:, None]
    assert precision_recall(real, fake, k=4)[0] == pytest.approx(1 / 5)


def test_precision_and_recall_by_brute_force():
    real, fake, k = randn(40, 3), randn(30, 3, seed=1) + 0.7, 3

    def covered(points, by):
        reach = [sorted(float((b - c).norm()) for c in by)[k] for b in by]
        hits = [any(float((p - b).norm()) <= r for b, r in zip(by, reach, strict=True)) for p in points]
        return sum(hits) / len(hits)

    assert precision_recall(real, fake, k) == pytest.approx((covered(fake, real), covered(real, fake)))
    assert 0.2 < covered(fake, real) < 0.95


def test_precision_and_recall_of_copies_and_of_strangers():
    real = randn(60, 64, dtype=torch.float32)
    assert precision_recall(real, real) == (1, 1)
    assert precision_recall(real, real + 100) == (0, 0)
    one = real[:1].repeat(60, 1)  # always the same real picture: perfect, and hardly any variety
    assert precision_recall(real, one) == pytest.approx((1, 1 / 60))


@pytest.mark.parametrize("k", [0, 5, 9])
def test_precision_recall_needs_neighbours(k):
    with pytest.raises(ValueError, match=f"k must be at least 1 and below both counts, 5 and 8, not {k}"):
        precision_recall(randn(5, 2), randn(8, 2), k=k)


def test_inception_score_needs_rows():
    with pytest.raises(ValueError, match=r"must be \(N, K\).*\(5,\)"):
        inception_score(torch.zeros(5))


# Intervals, neighbours, decibels


def test_bootstrap_covers_the_truth():
    """95 % intervals of 300 samples: 279 to 295 cover the mean, but for 3 standard errors."""
    hits = 0
    for seed in range(300):
        low, high = bootstrap(torch.mean, randn(60, seed=seed), repeats=120, seed=seed)
        hits += low <= 0 <= high
    assert 268 <= hits <= 297


def test_bootstrap_of_a_frechet_distance_holds_the_distance():
    """Rows drawn twice push the distance up: the interval must not move with them."""
    a, b = randn(60, 20), randn(60, 20, seed=1) + 0.2
    low, high = bootstrap(frechet_distance, a, b, repeats=60)
    assert (low + high) / 2 == pytest.approx(frechet_distance(a, b), rel=0.02)
    assert 0.02 < (high - low) / (low + high) < 0.6


def test_bootstrap_by_value():
    x, y = randn(400), 2 * randn(900, seed=1)
    low, high = bootstrap(lambda a, b: float(a.mean() - b.mean()), x, y, repeats=3000)
    error = math.sqrt(float(x.var()) / 400 + float(y.var()) / 900)
    middle = float(x.mean() - y.mean())
    assert low == pytest.approx(middle - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(middle + 1.96 * error, abs=0.15 * error)
    narrow = bootstrap(torch.mean, x, level=0.5)
    wide = bootstrap(torch.mean, x, level=0.99)
    assert wide[0] < narrow[0] < float(x.mean()) < narrow[1] < wide[1]
    assert bootstrap(torch.mean, x, level=0.5) == narrow != bootstrap(torch.mean, x, level=0.5, seed=1)


def test_nearest_is_brute_force():
    a, b = randn(23, 3, 4, 4), randn(31, 3, 4, 4, seed=1)
    distance, index = nearest(a, b, batch=10)
    for i in range(23):
        far = [math.sqrt(float((a[i] - other).square().mean())) for other in b]
        assert int(index[i]) == int(np.argmin(far))
        assert float(distance[i]) == pytest.approx(min(far), rel=1e-5)


def test_nearest_finds_a_copy_among_pictures():
    a = randn(60, 3, 64, 64, dtype=torch.float32).clamp(-1, 1)
    distance, index = nearest(a[[5, 40]], a)
    assert index.tolist() == [5, 40] and distance.max() < 2e-3  # far below one grey level
    distance, index = nearest(a[[5, 40]] + 0.1, a)
    assert index.tolist() == [5, 40] and torch.allclose(distance, torch.tensor(0.1), atol=1e-4)


def test_psnr_is_that_of_torchmetrics():
    from torchmetrics.functional.image import peak_signal_noise_ratio

    a, b = randn(4, 3, 8, 8).clamp(-1, 1), randn(4, 3, 8, 8, seed=1).clamp(-1, 1)
    got = psnr(a, b)
    for i in range(4):
        theirs = peak_signal_noise_ratio(a[i], b[i], data_range=2.0)
        assert float(got[i]) == pytest.approx(float(theirs), rel=1e-6)
    assert float(psnr(a, a + 0.2)[0]) == pytest.approx(20)
    assert psnr(a, a)[0] == math.inf


# The network behind the features


def test_extract_in_batches():
    torch.manual_seed(0)
    network = FaceFeatures((2, 5, 3), width=8, features=16).eval()
    x = randn(7, 3, 64, 64, dtype=torch.float32).clamp(-1, 1)
    with torch.no_grad():
        wanted = network(x)
    assert torch.allclose(extract(network, x, batch=3), wanted, atol=1e-6)
    assert wanted.shape == (7, 16) and not extract(network, x).requires_grad
    logits = network(x, classify=True)
    assert [tuple(part.shape) for part in logits] == [(7, 2), (7, 5), (7, 3)]
    head = network.heads[1]
    by_hand = F.silu(network.features(network.body(x).flatten(1))) @ head.weight.T + head.bias
    assert torch.allclose(logits[1], by_hand, atol=1e-6)
    small = x[:, :, :32, :32]
    large = F.interpolate(small, (64, 64), mode="bilinear", antialias=True)
    assert torch.allclose(extract(network, small), extract(network, large), atol=1e-6)


@pytest.mark.parametrize(
    "image, error",
    [
        (torch.zeros(1, 3, 64, 64, dtype=torch.uint8), TypeError),
        (torch.full((1, 3, 64, 64), 2.0), ValueError),
    ],
)
def test_features_of_what_is_no_image(image, error):
    with pytest.raises(error, match=r"\[−1, 1\]"):
        FaceFeatures((2,), width=8)(image)


# The committed network: what the distance notices

COMMITTED = pytest.mark.skipif(
    not (FOLDER / "face-features" / "card.json").exists(),
    reason="data/checkpoints/face-features is not there",
)


@pytest.fixture(scope="module")
def judge():
    return load_model("face-features")


@pytest.fixture(scope="module")
def faces():
    return load_faces("embedded", "valid", limit=600)


@pytest.fixture(scope="module")
def features(judge, faces):
    return extract(judge, faces.images)


def blurred(x, sigma):
    at = torch.arange(-8, 9.0)
    kernel = torch.exp(-0.5 * (at / sigma) ** 2)
    kernel = (kernel / kernel.sum()).expand(3, 1, 1, -1)
    x = F.conv2d(F.pad(x, (8, 8, 8, 8), mode="reflect"), kernel, groups=3)
    return F.conv2d(x, kernel.transpose(2, 3), groups=3)


def noisy(x, std):
    return x + std * randn(*x.shape, dtype=torch.float32)


def jpeg(x, quality):
    pixels = ((x + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    damaged = []
    for picture in pixels:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=quality)
        damaged.append(np.asarray(Image.open(file)))
    return torch.from_numpy(np.stack(damaged)).permute(0, 3, 1, 2) / 127.5 - 1


def hue_shifted(x, turn):
    from torchvision.transforms.functional import adjust_hue

    return adjust_hue(x / 2 + 0.5, turn) * 2 - 1


DAMAGE = {
    "blur": (blurred, (0.6, 1.0, 2.0)),
    "noise": (noisy, (0.1, 0.2, 0.4)),
    "JPEG": (jpeg, (80, 40, 10)),
    "hue": (hue_shifted, (0.03, 0.08, 0.2)),
}


@COMMITTED
@pytest.mark.parametrize("damage, levels", DAMAGE.values(), ids=DAMAGE)
def test_the_distance_rises_with_damage(judge, faces, features, damage, levels):
    """300 faces against themselves damaged: each level at least half as far again as the last."""
    images, clean = faces.images[:300], features[:300]
    found = [frechet_distance(clean, clean)]
    for level in levels:
        damaged = damage(images, level).clamp(-1, 1)
        found.append(frechet_distance(clean, extract(judge, damaged)))
    assert found[0] < 1e-6 and found[1] > 0.01
    assert all(far > 1.5 * near for near, far in zip(found[1:-1], found[2:], strict=True)), found


@COMMITTED
@pytest.mark.parametrize("name", ["Eyeglasses", "Wearing_Hat", "Smiling"])
def test_the_distance_rises_when_a_mode_is_lost(faces, features, name):
    """Faces without, say, glasses are farther away than as many faces drawn at random."""
    has = faces.column(name).bool()
    without, some = features[~has], features[has]
    found = [
        frechet_distance(features, torch.cat([without, some[: int(share * len(some))]]))
        for share in (1, 0.5, 0.2, 0)
    ]
    assert all(far > near + 0.1 for near, far in zip(found[:-1], found[1:], strict=True)), found
    chance = torch.Generator().manual_seed(0)
    floor = [
        frechet_distance(features, features[torch.randperm(600, generator=chance)[: len(without)]])
        for _ in range(5)
    ]
    assert found[-1] > 2 * max(floor)


@COMMITTED
def test_features_have_unit_variance(features):
    assert float(features.var(0).mean()) == pytest.approx(1, abs=0.1)


@COMMITTED
def test_the_accuracy_on_the_card(judge, faces):
    """300 faces again: each attribute within 3 points of the card, all together within half a one."""
    card, few = load_card("face-features"), faces.take(range(300))
    assert tuple(card["names"]) == few.names and card["n"] == 1000
    assert {n: tuple(v) for n, v in card["values"].items()} == few.values
    with torch.no_grad():
        logits = judge(few.images, classify=True)
    found = {
        name: float((part.argmax(1) == few.column(name)).double().mean())
        for name, part in zip(few.names, logits, strict=True)
    }
    for name, accuracy in found.items():
        assert accuracy == pytest.approx(card["accuracy"][name], abs=0.03), name
    assert np.mean(list(found.values())) == pytest.approx(np.mean(list(card["accuracy"].values())), abs=0.005)
    for name in few.names:  # each answer follows its attribute, not chance
        place, column = few.position(name), few.column(name)
        for value in column.unique():
            shown = logits[place].argmax(1)[column == value]
            assert float((shown == value).double().mean()) > 0.9, (name, int(value))
