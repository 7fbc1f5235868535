"""How pictures are scored: Fréchet distance, Inception score, precision and recall."""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist
from typing import NamedTuple

import torch
from torch import Tensor

from .arguments import alike, check_hole, check_images, whole


class Moments(NamedTuple):
    """Of n features of size F: the mean (F,) and the covariance (F, F), float64."""

    n: int
    mean: Tensor
    covariance: Tensor


def moments(features: Tensor) -> Moments:
    """All that a Fréchet distance needs of features (N, F): worth keeping of a reference used often.

    Raises ValueError for NaN or infinite features, which would end the process inside the linear algebra.
    """
    features = check_table(features)
    return Moments(len(features), features.mean(0), torch.atleast_2d(torch.cov(features.T)))


def check_features(*sets: Tensor) -> list[Tensor]:
    """Each set of features (N, F) in float64; ValueError unless finite and of one F."""
    checked = [check_table(features) for features in sets]
    if len({features.shape[1] for features in checked}) > 1:
        told = " and ".join(str(tuple(features.shape)) for features in checked)
        raise ValueError(f"Features must be of one size, not {told}.")
    return checked


def check_table(features: Tensor) -> Tensor:
    """features (N, F) in float64; TypeError unless a tensor, ValueError unless a finite table."""
    alike(features=features)
    if features.ndim != 2:
        raise ValueError(f"Features must be (N, F), one row for each sample, not {tuple(features.shape)}.")
    features = features.double()
    if bad := int((~features.isfinite()).any(1).sum()):
        raise ValueError(f"{bad} of {len(features)} samples have features that are NaN or infinite.")
    return features


def frechet_distance(a: Tensor | Moments, b: Tensor | Moments) -> float:
    """‖μ_a − μ_b‖² + tr(Σ_a + Σ_b − 2(Σ_a Σ_b)^½) of features (N, F), (M, F) (Heusel et al. 2017, eq. 6).

    Either side may be given by its moments. Raises ValueError for fewer samples than features, where the
    covariance has no full rank.
    """
    a, b = (x if isinstance(x, Moments) else moments(x) for x in (a, b))
    if len(a.mean) != len(b.mean):
        raise ValueError(f"Features must be of one size, not {len(a.mean)} and {len(b.mean)}.")
    if min(a.n, b.n) <= len(a.mean):
        raise ValueError(
            f"A Fréchet distance in {len(a.mean)} features needs more than {len(a.mean)} samples "
            f"on each side, not {a.n} and {b.n}."
        )
    # tr (Σ_a Σ_b)^½ is the sum of the roots of Σ_a Σ_b's eigenvalues, which are real and ≥ 0
    roots = torch.linalg.eigvals(a.covariance @ b.covariance).real.clamp(min=0).sqrt().sum()
    traces = a.covariance.trace() + b.covariance.trace()
    return float((a.mean - b.mean).square().sum() + traces - 2 * roots)


def kernel_distance(a: Tensor, b: Tensor) -> float:
    """Unbiased squared MMD of features (N, F), (M, F), kernel (x·y / F + 1)³ (Bińkowski et al. 2018).

    Its mean is 0 for two samples of one distribution at any size, so it may be below 0, and it suits the
    small sets for which a Fréchet distance is biased. Raises ValueError for fewer than two samples.
    """
    a, b = check_features(a, b)
    if min(len(a), len(b)) < 2:
        raise ValueError(f"A kernel distance needs two samples on each side, not {len(a)} and {len(b)}.")

    def kernel(x, y):
        return (x @ y.T / x.shape[1] + 1) ** 3

    def within(x):  # pairs of different samples
        k = kernel(x, x)
        return (k.sum() - k.trace()) / (len(x) * (len(x) - 1))

    return float(within(a) + within(b) - 2 * kernel(a, b).mean())


def inception_score(logits: Tensor) -> float:
    """exp of the mean KL(p(y|x) ‖ p(y)) of logits (N, K), between 1 and K (Salimans et al. 2016, section 4).

    p(y) is the mean of p(y|x) over the N pictures. Raises ValueError unless logits are (N, K), N ≥ 1.
    """
    alike(logits=logits)
    if logits.ndim != 2 or not len(logits) or logits.isnan().any():
        raise ValueError(f"logits must be (N, K), without NaN, one row a picture, not {tuple(logits.shape)}.")
    log = logits.double().log_softmax(1)  # (N, K)
    marginal = log.exp().mean(0)  # (K,)
    # 0 · log 0 is 0: a class that no picture shows has no part in the sum
    kl = log.exp() * (log - marginal.clamp(min=1e-300).log()).nan_to_num()
    return float(kl.sum(1).mean().exp())


def precision_recall(real: Tensor, fake: Tensor, k: int = 3, batch: int = 1000) -> tuple[float, float]:
    """Precision and recall, in [0, 1], of features (N, F), (M, F) (Kynkäänniemi et al. 2019, eq. 1, 2).

    Around each sample lies a ball that reaches its k-th nearest neighbour in its own set. Precision is the
    share of fakes in a ball of a real sample, recall the share of real ones in a ball of a fake. Raises
    ValueError unless 1 ≤ k < N, M.
    """
    (real, fake), k = check_features(real, fake), whole(k, "k", None)
    if not 1 <= k < min(len(real), len(fake)):
        raise ValueError(f"k must be at least 1 and below both counts, {len(real)} and {len(fake)}, not {k}.")

    def distances(a: Tensor, b: Tensor):
        for part in a.split(batch):  # exact: a copy is at distance 0
            yield torch.cdist(part, b, compute_mode="donot_use_mm_for_euclid_dist")

    def covered(points: Tensor, by: Tensor) -> float:
        # the nearest of its own set is the point itself, so the k-th neighbour is number k + 1
        reach = torch.cat([d.kthvalue(k + 1, dim=1).values for d in distances(by, by)])
        return float(torch.cat([(d <= reach).any(1) for d in distances(points, by)]).double().mean())

    return covered(fake, real), covered(real, fake)


def bootstrap(
    statistic: Callable, *samples: Tensor, repeats: int = 200, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """statistic(*samples) ± z · the standard deviation it has when every sample's rows are drawn again.

    The normal interval and not the quantiles: drawing again repeats rows, which raises a
    Fréchet distance, so that quantiles would lie above the value they belong to.
    """
    repeats = whole(repeats, "repeats", 2)
    if not 0 < level < 1 or not all(len(sample) for sample in samples):
        raise ValueError(f"An interval needs samples and a level between 0 and 1, not {level}.")
    generator = torch.Generator().manual_seed(seed)

    def again(sample: Tensor) -> Tensor:
        return sample[torch.randint(len(sample), (len(sample),), generator=generator)]

    spread = torch.tensor([float(statistic(*map(again, samples))) for _ in range(repeats)]).std()
    middle = float(statistic(*samples))
    z = float(spread) * NormalDist().inv_cdf((1 + level) / 2)
    return middle - z, middle + z


def nearest(a: Tensor, b: Tensor, batch: int = 200) -> tuple[Tensor, Tensor]:
    """Root-mean-square distance (N,) of each a (N, …) to its nearest in b (M, …), and its index (N,)."""
    alike(a=a)
    alike(b=b)
    if a.shape[1:] != b.shape[1:] or not len(b):
        raise ValueError(f"Nothing in b {tuple(b.shape)} can be compared with a {tuple(a.shape)}.")
    b, batch = b.flatten(1).float(), whole(batch, "batch")
    found = [torch.cdist(part.flatten(1).float(), b).min(dim=1) for part in a.split(batch)]
    scale = b.shape[1] ** 0.5
    return torch.cat([f.values for f in found]) / scale, torch.cat([f.indices for f in found])


def psnr(a: Tensor, b: Tensor, hole: Tensor | None = None) -> Tensor:
    """Peak signal-to-noise ratio in dB per image (B,), for images (B, C, H, W) in [−1, 1].

    With hole, bool (B, 1, H, W), over the pixels in it; ValueError where a picture has none.
    """
    alike(a=a, b=b)
    return 10 * torch.log10(4 / masked_mean((a - b).square(), hole))


def ssim(a: Tensor, b: Tensor, hole: Tensor | None = None) -> Tensor:
    """Structural similarity per image (B,), at most 1, of images (B, C, H, W) in [−1, 1] (Wang et al. 2004).

    Each pixel is judged by a Gaussian window of 11×11 (σ = 1.5) around it; pictures are mirrored at their
    edges. With hole, bool (B, 1, H, W), the mean is over the pixels in it; windows at its border see known
    pixels too. Raises ValueError where a picture has no hole.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    alike(a=check_images(a, "a"), b=check_images(b, "b"))
    options = dict(data_range=2.0, reduction="none", return_full_image=True)
    return masked_mean(structural_similarity_index_measure(a, b, **options)[1], hole)


def masked_mean(values: Tensor, hole: Tensor | None) -> Tensor:
    """Mean per image (B,) of values (B, C, H, W) where hole, bool (B, 1, H, W), is True; None: everywhere."""
    if hole is None:
        return values.flatten(1).mean(1)
    hole = check_hole(hole, values).expand(len(values), -1, -1, -1)
    counts = hole.flatten(1).sum(1) * values.shape[1]
    if (counts == 0).any():
        raise ValueError("A picture has no hole, so there is nothing inside it to score.")
    return (values * hole).flatten(1).sum(1) / counts
