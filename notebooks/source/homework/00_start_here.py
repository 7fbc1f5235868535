# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Homework {{number}} · Start here
#
# {{badge}}
#
# The five formulas of lecture {{session:start_here}}, written by you. They are all that the derivations of sessions {{session:forward_process}}
# to {{session:elbo}} need.
#
# **Time:** about 60 minutes. Nothing here needs a graphics card.
#
# **Before:** lecture {{session:start_here}}, sections 6 to 10.

# %% tags=["setup"]
from helpers import course
from helpers.checks import start_here as check

course.setup()

# %%
import math

import matplotlib.pyplot as plt
import torch

# %% [markdown]
# ## How it works
#
# Write your code where it says `YOUR CODE HERE` (and take the line `raise NotImplementedError`
# away), run the cell, then run the check below it. A check answers with one line. It never breaks
# your notebook, and you may ask it as often as you like.
#
# There are four kinds of answers. Let us see them all, with one small exercise.

# %% [markdown]
# ## 1 · Mean 0, standard deviation 1
#
# Networks like numbers of size 1. Write `standardise(x, mean, std)`: it takes `mean` away from the
# tensor `x` and divides the difference by `std`, so that an `x` that lies one standard deviation
# above the mean becomes 1.
#
# Nothing is written yet. Run the next cell: the answer is ✏️.

# %%
check.standardise(...)

# %% [markdown]
# Somebody was in a hurry, and the code runs but is wrong. 🔶 is a hint: it says *what* is wrong, and
# the repair is yours.

# %%
def in_a_hurry(x, mean, std):
    return x - mean / std


check.standardise(in_a_hurry)

# %% [markdown]
# Here the code stops half way. ⚠️ says where: the kind of error, its message and the line.

# %%
def too_many_letters(x, mean, std):
    difference = x - mean
    return difference / sdt


check.standardise(too_many_letters)

# %% [markdown]
# And now you. ✅ says that it is right, and what the result is good for.

# %% tags=["answer:standardise"]
def standardise(x, mean, std):
    """x: a tensor (n,); mean, std: numbers. Returns a tensor (n,)."""
    # <solution>
    return (x - mean) / std
    # </solution>

# %% tags=["check:standardise"]
check.standardise(standardise)

# %% tags=["second:standardise"]
def standardise(x, mean, std):
    scale = 1 / std
    return scale * x - scale * mean

# %% tags=["second:standardise"]
def standardise(x, mean, std):
    x -= mean  # in place: the check hands over a copy
    x /= std
    return x

# %% tags=["wrong:standardise"] expect="a pair of brackets"
def standardise(x, mean, std):
    return x - mean / std

# %% tags=["wrong:standardise"] expect="Is the division missing"
def standardise(x, mean, std):
    return x - mean

# %% tags=["wrong:standardise"] expect="is this the variance?"
def standardise(x, mean, std):
    return (x - mean) / std**2

# %% tags=["wrong:standardise"] expect="should be a step of 1; yours is 4"
def standardise(x, mean, std):
    return (x - mean) * std

# %% tags=["wrong:standardise"] expect="exactly the mean should become 0, not -1.5"
def standardise(x, mean, std):
    return x / std - mean

# %% tags=["wrong:standardise"] expect="with which sign"
def standardise(x, mean, std):
    return (x + mean) / std

# %% tags=["wrong:standardise"] expect="yours gets smaller"
def standardise(x, mean, std):
    return (mean - x) / std

# %% tags=["wrong:standardise"] expect="not those of x"
def standardise(x, mean, std):
    return (x - x.mean()) / x.std()

# %% tags=["wrong:standardise"] expect="stopped with NameError: name 'sdt'" expect-status="error"
def standardise(x, mean, std):
    return (x - mean) / sdt

# %% [markdown]
# ## 2 · The sum of two Gaussians
#
# $X\sim\mathcal N(m_1, s_1^2)$ and $Y\sim\mathcal N(m_2, s_2^2)$ are independent. Write `combine`:
# it returns mean and **standard deviation** of $aX + bY$. All six are plain numbers, and $a$ or $b$
# may be negative.
#
# *Lecture: section 6.*

# %% tags=["answer:combine"]
def combine(a, m1, s1, b, m2, s2):
    """Mean and standard deviation of a·X + b·Y. Returns two numbers (mean, std)."""
    # <solution>
    variance = a**2 * s1**2 + b**2 * s2**2
    return a * m1 + b * m2, variance**0.5
    # </solution>

# %% tags=["check:combine"]
check.combine(combine)

# %% tags=["second:combine"]
def combine(a, m1, s1, b, m2, s2):
    return math.fsum([a * m1, b * m2]), math.hypot(a * s1, b * s2)

# %% tags=["wrong:combine"] expect="Which quantity is it that adds?"
def combine(a, m1, s1, b, m2, s2):
    return a * m1 + b * m2, a * s1 + b * s2

# %% tags=["wrong:combine"] expect="a variance. The std was asked for"
def combine(a, m1, s1, b, m2, s2):
    return a * m1 + b * m2, a**2 * s1**2 + b**2 * s2**2

# %% tags=["wrong:combine"] expect="as if they were variances already"
def combine(a, m1, s1, b, m2, s2):
    return a * m1 + b * m2, (a**2 * s1 + b**2 * s2) ** 0.5

# %% tags=["wrong:combine"] expect="nothing of Y is left"
def combine(a, m1, s1, b, m2, s2):
    return a * m1 + b * m2, (s1**2 + s2**2) ** 0.5

# %% tags=["wrong:combine"] expect="What becomes of a factor"
def combine(a, m1, s1, b, m2, s2):
    return a * m1 + b * m2, (abs(a) * s1**2 + abs(b) * s2**2) ** 0.5

# %% tags=["wrong:combine"] expect="A minus takes no noise away"
def combine(a, m1, s1, b, m2, s2):
    return a * m1 + b * m2, (a * abs(a) * s1**2 + b * abs(b) * s2**2) ** 0.5

# %% tags=["wrong:combine"] expect="Your mean is m1 + m2"
def combine(a, m1, s1, b, m2, s2):
    return m1 + m2, (a**2 * s1**2 + b**2 * s2**2) ** 0.5

# %% tags=["wrong:combine"] expect="have changed places"
def combine(a, m1, s1, b, m2, s2):
    return a * m2 + b * m1, (a**2 * s1**2 + b**2 * s2**2) ** 0.5

# %% tags=["wrong:combine"] expect="a sum, not an average"
def combine(a, m1, s1, b, m2, s2):
    mean = (a * m1 + b * m2) / (a + b) if a + b else 0.0
    return mean, (a**2 * s1**2 + b**2 * s2**2) ** 0.5

# %% tags=["wrong:combine"] expect="Is a `return` missing?"
def combine(a, m1, s1, b, m2, s2):
    mean = a * m1 + b * m2
    std = (a**2 * s1**2 + b**2 * s2**2) ** 0.5

# %% [markdown]
# ## 3 · The product of many Gaussians
#
# Several people measure the same length; person $i$ says "$m_i$, give or take $s_i$". The lecture
# multiplied two of them. Write `fuse` for any number: it returns mean and **standard deviation** of the
# product of all the densities $\mathcal N(m_i, s_i^2)$.
#
# *Lecture: section 7. Complete the square once more, now with $n$ terms in each bracket.*

# %% tags=["answer:fuse"]
def fuse(means, stds):
    """means, stds: tensors (n,). Returns two numbers (mean, std)."""
    # <solution>
    precisions = 1 / stds**2
    mean = (precisions * means).sum() / precisions.sum()
    return mean, precisions.sum() ** -0.5
    # </solution>

# %% tags=["check:fuse"]
check.fuse(fuse)

# %% tags=["second:fuse"]
def fuse(means, stds):
    mean, variance = means[0], stds[0] ** 2  # one after the other, as the lecture's two
    for m, s in zip(means[1:], stds[1:]):
        both = variance + s**2
        mean, variance = (mean * s**2 + m * variance) / both, variance * s**2 / both
    return float(mean), float(variance) ** 0.5

# %% tags=["wrong:fuse"] expect="Weights of a mean add up to 1"
def fuse(means, stds):
    return (means / stds**2).sum(), (1 / stds**2).sum() ** -0.5

# %% tags=["wrong:fuse"] expect="that is the variance"
def fuse(means, stds):
    precision = (1 / stds**2).sum()
    return (means / stds**2).sum() / precision, 1 / precision

# %% tags=["wrong:fuse"] expect="you say ± 4. This is the precision or its root"
def fuse(means, stds):
    precision = (1 / stds**2).sum()
    return (means / stds**2).sum() / precision, precision

# %% tags=["wrong:fuse"] expect="make you ± 4: no surer than one of them"
def fuse(means, stds):
    precision = (1 / stds**2).sum()
    return (means / stds**2).sum() / precision, (stds**2).sum() ** 0.5

# %% tags=["wrong:fuse"] expect="know twice as much as one"
def fuse(means, stds):
    precision = (1 / stds**2).sum()
    return (means / stds**2).sum() / precision, 1 / (1 / stds).sum()

# %% tags=["wrong:fuse"] expect="as if both were equally sure"
def fuse(means, stds):
    return means.mean(), (1 / stds**2).sum() ** -0.5

# %% tags=["wrong:fuse"] expect="twice, or more?"
def fuse(means, stds):
    weights = 1 / stds
    return (weights * means).sum() / weights.sum(), (1 / stds**2).sum() ** -0.5

# %% tags=["wrong:fuse"] expect="nearer to the one who is unsure"
def fuse(means, stds):
    weights = stds**2
    return (weights * means).sum() / weights.sum(), (1 / stds**2).sum() ** -0.5

# %% tags=["wrong:fuse"] expect="your mean is right, but your ±"
def fuse(means, stds):
    precisions = 1 / stds**2
    return (precisions * means).sum() / precisions.sum(), stds.mean() / len(stds) ** 0.5

# %% [markdown]
# ## 4 · Bayes: the best guess about the past
#
# Now the clean value comes from $\mathcal N(m, s^2)$, and $x_t = a\,x_0 + b\,\varepsilon$ with any
# $a > 0$ and $b > 0$. Write `best_guess`: it returns mean and **standard deviation** of
# $p(x_0\mid x_t)$.
#
# The lecture had $m = 0$, $s = 1$ and $a^2 + b^2 = 1$. Go the same way: as functions of $x_0$ both
# factors of Bayes' rule are Gaussian. Where is the top of $q(x_t\mid x_0)$, how wide is it? Then
# use the product. (`x_t` is a tensor of many observations and your `fuse` returns plain numbers, so
# write the product of two Gaussians out here.)
#
# *Lecture: section 8.*

# %% tags=["answer:best_guess"]
def best_guess(x_t, a, b, m, s):
    """x_t: a tensor (n,), the others numbers. Returns mean (n,) and std, a number."""
    # <solution>
    seen, known = a**2 / b**2, 1 / s**2  # precisions of x_t / a and of m
    mean = (seen * x_t / a + known * m) / (seen + known)
    return mean, (seen + known) ** -0.5
    # </solution>

# %% tags=["check:best_guess"]
check.best_guess(best_guess)

# %% tags=["second:best_guess"]
def best_guess(x_t, a, b, m, s):
    gain = a * s**2 / (a**2 * s**2 + b**2)  # of a Kalman filter
    return m + gain * (x_t - a * m), s * (1 - gain * a) ** 0.5

# %% tags=["wrong:best_guess"] expect="Your mean is that of section 8"
def best_guess(x_t, a, b, m, s):
    return a * x_t, (1 / s**2 + a**2 / b**2) ** -0.5

# %% tags=["wrong:best_guess"] expect="fall back to m"
def best_guess(x_t, a, b, m, s):
    return x_t / a, (1 / s**2 + a**2 / b**2) ** -0.5

# %% tags=["wrong:best_guess"] expect="same for m = 3 and for m = 0"
def best_guess(x_t, a, b, m, s):
    gain = a * s**2 / (a**2 * s**2 + b**2)
    return gain * x_t, (1 / s**2 + a**2 / b**2) ** -0.5

# %% tags=["wrong:best_guess"] expect="With what do you compare x_t?"
def best_guess(x_t, a, b, m, s):
    gain = a * s**2 / (a**2 * s**2 + b**2)
    return m + gain * (x_t - m), (1 / s**2 + a**2 / b**2) ** -0.5

# %% tags=["wrong:best_guess"] expect="the mixing can be undone"
def best_guess(x_t, a, b, m, s):
    gain = a * s**2 / (a**2 * s**2 + b**2)
    return m - gain * (x_t - a * m), (1 / s**2 + a**2 / b**2) ** -0.5

# %% tags=["wrong:best_guess"] expect="Does a std stand where a variance belongs?"
def best_guess(x_t, a, b, m, s):
    gain = a * s / (a**2 * s + b**2)
    return m + gain * (x_t - a * m), (1 / s**2 + a**2 / b**2) ** -0.5

# %% tags=["wrong:best_guess"] expect="or a precision?"
def best_guess(x_t, a, b, m, s):
    gain = a * s**2 / (a**2 * s**2 + b**2)
    return m + gain * (x_t - a * m), 1 / (1 / s**2 + a**2 / b**2)

# %% tags=["wrong:best_guess"] expect="cannot know less after seeing x_t"
def best_guess(x_t, a, b, m, s):
    gain = a * s**2 / (a**2 * s**2 + b**2)
    return m + gain * (x_t - a * m), (s**2 + b**2 / a**2) ** 0.5

# %% tags=["wrong:best_guess"] expect="How does a enter the precision"
def best_guess(x_t, a, b, m, s):
    seen, known = a / b**2, 1 / s**2
    return (seen * x_t / a + known * m) / (seen + known), (seen + known) ** -0.5

# %% [markdown]
# Look at it (the picture comes when the check is ✅). The same prior $\mathcal N(3, 1)$, more and
# more noise: the best guess turns from "undo the mixing" into "say what is usual". This is how a
# denoiser behaves at small and at large $t$.

# %%
if check.best_guess.passed:
    x_t = torch.linspace(0, 6, 50)
    for b in (0.1, 0.5, 1.0, 4.0):
        mean, std = best_guess(x_t, 0.8, b, 3.0, 1.0)
        plt.plot(x_t, mean, label=f"noise {b}: ± {std:.2f}")
    plt.plot(x_t, x_t / 0.8, "k--", lw=1, label="x_t / a")
    plt.gcf().set_size_inches(4.5, 3)
    plt.gca().set(xlabel="x_t", ylabel="best guess for x_0", ylim=(-0.5, 8))
    plt.legend(fontsize=8)
    plt.show()

# %% [markdown]
# ## 5 · KL of Gaussians with many coordinates
#
# Later a picture will be described by a few hundred numbers, its *coordinates*, each a Gaussian by
# itself. $p$ has the means `m1` and standard deviations `s1`, $q$ has `m2` and `s2`, one for each
# coordinate. A batch holds several such pairs $p$, $q$, one in each row. Write `kl`: one number
# $\mathrm{KL}(p\,\|\,q)$ for each row of the batch.
#
# The density of independent coordinates is a product. What does the logarithm in the definition of
# KL make of a product?
#
# *Lecture: section 10.*

# %% tags=["answer:kl"]
def kl(m1, s1, m2, s2):
    """KL(p ‖ q) in nats. All four: tensors (batch, d). Returns a tensor (batch,)."""
    # <solution>
    square = s1**2 + (m1 - m2) ** 2  # (batch, d)
    return (torch.log(s2 / s1) + square / (2 * s2**2) - 0.5).sum(dim=1)
    # </solution>

# %% tags=["check:kl"]
check.kl(kl)

# %% tags=["second:kl"]
from torch.distributions import Independent, Normal, kl_divergence


def kl(m1, s1, m2, s2):
    return kl_divergence(Independent(Normal(m1, s1), 1), Independent(Normal(m2, s2), 1))

# %% tags=["second:kl"]
def kl(m1, s1, m2, s2):
    ratio = (s1 / s2) ** 2
    return 0.5 * (ratio - ratio.log() - 1 + ((m1 - m2) / s2) ** 2).sum(-1)

# %% tags=["wrong:kl"] expect="one number for each coordinate"
def kl(m1, s1, m2, s2):
    return torch.log(s2 / s1) + (s1**2 + (m1 - m2) ** 2) / (2 * s2**2) - 0.5

# %% tags=["wrong:kl"] expect="one number for the whole batch"
def kl(m1, s1, m2, s2):
    return (torch.log(s2 / s1) + (s1**2 + (m1 - m2) ** 2) / (2 * s2**2) - 0.5).sum()

# %% tags=["wrong:kl"] expect="Which term is missing"
def kl(m1, s1, m2, s2):
    return (torch.log(s2 / s1) + (s1**2 + (m1 - m2) ** 2) / (2 * s2**2)).sum(dim=1)

# %% tags=["wrong:kl"] expect="surprises are not averaged"
def kl(m1, s1, m2, s2):
    return (torch.log(s2 / s1) + (s1**2 + (m1 - m2) ** 2) / (2 * s2**2) - 0.5).mean(dim=1)

# %% tags=["wrong:kl"] expect="Is a factor ½ missing?"
def kl(m1, s1, m2, s2):
    return (torch.log(s2 / s1) + (s1**2 + (m1 - m2) ** 2) / s2**2 - 1).sum(dim=1)

# %% tags=["wrong:kl"] expect="How does the distance enter"
def kl(m1, s1, m2, s2):
    return (torch.log(s2 / s1) + (s1**2 + (m1 - m2).abs()) / (2 * s2**2) - 0.5).sum(dim=1)

# %% tags=["wrong:kl"] expect="Who is the world, who the belief?"
def kl(m1, s1, m2, s2):
    return (torch.log(s1 / s2) + (s2**2 + (m1 - m2) ** 2) / (2 * s1**2) - 0.5).sum(dim=1)

# %% tags=["wrong:kl"] expect="Check the log"
def kl(m1, s1, m2, s2):
    return (torch.log(s1 / s2) + (s1**2 + (m1 - m2) ** 2) / (2 * s2**2) - 0.5).sum(dim=1)

# %% tags=["wrong:kl"] expect="logarithm has base 2"
def kl(m1, s1, m2, s2):
    return (torch.log2(s2 / s1) + (s1**2 + (m1 - m2) ** 2) / (2 * s2**2) - 0.5).sum(dim=1)

# %% tags=["wrong:kl"] expect="Are these variances?"
def kl(m1, s1, m2, s2):
    return (torch.log(s2 / s1) + (s1 + (m1 - m2) ** 2) / (2 * s2) - 0.5).sum(dim=1)

# %% tags=["wrong:kl"] expect="Stds 1 and 2, same mean"
def kl(m1, s1, m2, s2):
    log_ratio = torch.log(s2**2 / s1**2)
    return (log_ratio + (s1**2 + (m1 - m2) ** 2) / (2 * s2**2) - 0.5).sum(dim=1)

# %% [markdown]
# ## 6 · An experiment: closing Jensen's gap
#
# The gap $\log\mathbb E[X] - \mathbb E[\log X]$ comes from the spread of $X$. What if one first
# averages $k$ draws, so that less spread is left?
#
# `x` holds draws in $n$ rows of $k$. Write `jensen_gap`: the logarithm of the mean of **all** the
# draws, minus the average, over the rows, of the logarithm of the **row's** mean. With $k = 1$ it
# is the gap of the lecture.
#
# *Lecture: section 9.*

# %% tags=["answer:jensen_gap"]
def jensen_gap(x):
    """x: a tensor (n, k) of positive numbers. Returns a number."""
    # <solution>
    of_rows = x.mean(dim=1)  # (n,)
    return of_rows.mean().log() - of_rows.log().mean()
    # </solution>

# %% tags=["check:jensen_gap"]
check.jensen_gap(jensen_gap)

# %% tags=["second:jensen_gap"]
import numpy as np


def jensen_gap(x):
    x = np.asarray(x)
    return float(np.log(x.mean()) - np.mean([np.log(row.sum() / len(row)) for row in x]))

# %% tags=["wrong:jensen_gap"] expect="Are both terms there"
def jensen_gap(x):
    return x.mean().log()

# %% tags=["wrong:jensen_gap"] expect="do both take the mean?"
def jensen_gap(x):
    return x.sum().log() - x.mean(dim=1).log().mean()

# %% tags=["wrong:jensen_gap"] expect="the gap is never negative"
def jensen_gap(x):
    return x.mean(dim=1).log().mean() - x.mean().log()

# %% tags=["wrong:jensen_gap"] expect="When is the mean taken?"
def jensen_gap(x):
    return x.mean().log() - x.mean(dim=1).mean().log()

# %% tags=["wrong:jensen_gap"] expect="another base"
def jensen_gap(x):
    return x.mean().log10() - x.mean(dim=1).log10().mean()

# %% tags=["wrong:jensen_gap"] expect="the mean of a row or the log?"
def jensen_gap(x):
    return x.mean().log() - x.log().mean()

# %% tags=["wrong:jensen_gap"] expect="which of the two directions"
def jensen_gap(x):
    return x.mean().log() - x.mean(dim=0).log().mean()

# %% tags=["wrong:jensen_gap"] expect="The gap of 1 and 8"
def jensen_gap(x):
    rows = x.mean(dim=1)
    return ((rows / rows.mean() - 1) ** 2).mean() / 2

# %% [markdown]
# **Predict.** The draws are $X = e^{Z}$ with $Z\sim\mathcal N(0,1)$, whose gap is ½. How many must
# one average before it is below 0.05: about 5, 20 or 100? The picture comes when the check is ✅.

# %%
if check.jensen_gap.passed:
    draws = torch.randn(65_536, generator=torch.Generator().manual_seed(0)).exp()
    ks = [1, 2, 4, 8, 16, 32, 64, 128]
    gaps = [float(jensen_gap(draws.reshape(-1, k))) for k in ks]
    plt.figure(figsize=(4.5, 2.8))
    plt.loglog(ks, gaps, "o-", base=2)
    plt.axhline(0.05, color="0.6", ls="--", label="0.05")
    plt.legend()
    plt.xticks(ks, ks)
    plt.yticks([0.5, 0.2, 0.1, 0.05, 0.02, 0.01], [0.5, 0.2, 0.1, 0.05, 0.02, 0.01])
    plt.gca().set(xlabel="draws averaged, k", ylabel="gap")
    plt.show()

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# About 16. For large $k$ the gap is near $\mathrm{Var}[X]/(2k\,\mathbb E[X]^2)$, here
# $0.86/k$: each doubling halves it. Session {{session:elbo}} builds a bound on a likelihood from Jensen's inequality; there $k = 1$, and the gap gets small in another way: by a better model.
#
# </details>

# %% [markdown] tags=["solution-only"]
# **For the lecturer.** Exercises 3 and 4 are one idea: `best_guess` is `fuse` of the measurement
# $x_t/a \pm b/a$ and of the prior $m \pm s$. Students who see it write exercise 4 in one line.

# %% [markdown]
# ## Where you stand

# %%
check.summary()
