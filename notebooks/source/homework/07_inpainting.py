# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Homework {{number}} · Filling holes
#
# {{badge}}
#
# You write what a Palette model sees and what it pays for, RePaint's way up, and PSNR. At the end you know the answer with the smallest squared error, in a small world of digits where it can be computed, and see why it is a blur.
#
# **Time:** about 70 minutes. Nothing here needs a graphics card.
#
# **Before:** lecture {{session:inpainting}}, sections 2, 3 and 4.

# %% tags=["setup"]
from helpers import course
from helpers.checks import inpainting as check

course.setup()

# %%
import torch

# %% [markdown]
# A **hole** is a tensor of `True` and `False`; `True` where the picture is *unknown*. `torch.where(hole, a, b)` takes `a` in the hole and `b` elsewhere; a hole (B, 1, H, W) fits pictures (B, 3, H, W).
#
# ## 1 · What the network sees
#
# One training step of Palette shows the network two pictures:
#
# - $y$, what is known: $x_0$ where it is known, and noise in the hole. We call this noise `fog`;
# - $x_t$: in the hole $\sqrt{\bar\alpha_t}\,x_0+\sqrt{1-\bar\alpha_t}\,\varepsilon$, and $x_0$ itself where it is known.
#
# `fog` and `eps` are two different draws of noise. `abar` holds one $\bar\alpha_t$ for each picture: `.view(-1, 1, 1, 1)` gives it the right shape to multiply.
#
# *Lecture: section 4.* Return the pair `(y, x_t)`.

# %% tags=["answer:condition"]
def condition(x0, hole, fog, eps, abar):
    """x0, fog, eps (B, 3, H, W), hole (B, 1, H, W), abar (B,). Returns y and x_t."""
    # <solution>
    abar = abar.view(-1, 1, 1, 1)
    y = torch.where(hole, fog, x0)
    noisy = abar.sqrt() * x0 + (1 - abar).sqrt() * eps
    return y, torch.where(hole, noisy, x0)
    # </solution>

# %% tags=["check:condition"]
check.condition(condition)

# %% tags=["second:condition"]
def condition(x0, hole, fog, eps, abar):
    m = hole.float()                                         # 1 in the hole
    y, x_t = [], []
    for i in range(len(x0)):                                 # a picture after the other
        a = float(abar[i])
        y.append(m[i] * fog[i] + (1 - m[i]) * x0[i])
        noisy = a**0.5 * x0[i] + (1 - a) ** 0.5 * eps[i]
        x_t.append(m[i] * noisy + (1 - m[i]) * x0[i])
    return torch.stack(y), torch.stack(x_t)

# %% tags=["wrong:condition"] expect="The hole is True where it is *unknown*"
def condition(x0, hole, fog, eps, abar):
    a = abar.view(-1, 1, 1, 1)
    y = torch.where(hole, x0, fog)
    return y, torch.where(hole, x0, a.sqrt() * x0 + (1 - a).sqrt() * eps)

# %% tags=["wrong:condition"] expect="First y, then x_t"
def condition(x0, hole, fog, eps, abar):
    a = abar.view(-1, 1, 1, 1)
    y = torch.where(hole, fog, x0)
    return torch.where(hole, a.sqrt() * x0 + (1 - a).sqrt() * eps, x0), y

# %% tags=["wrong:condition"] expect="only have to copy it"
def condition(x0, hole, fog, eps, abar):
    a = abar.view(-1, 1, 1, 1)
    return x0, torch.where(hole, a.sqrt() * x0 + (1 - a).sqrt() * eps, x0)

# %% tags=["wrong:condition"] expect="reads the answer there"
def condition(x0, hole, fog, eps, abar):
    a = abar.view(-1, 1, 1, 1)
    y = torch.where(hole, eps, x0)
    return y, torch.where(hole, a.sqrt() * x0 + (1 - a).sqrt() * eps, x0)

# %% tags=["wrong:condition"] expect="a flat grey"
def condition(x0, hole, fog, eps, abar):
    a = abar.view(-1, 1, 1, 1)
    return x0 * ~hole, torch.where(hole, a.sqrt() * x0 + (1 - a).sqrt() * eps, x0)

# %% tags=["wrong:condition"] expect="nothing of the picture"
def condition(x0, hole, fog, eps, abar):
    a = abar.view(-1, 1, 1, 1)
    return x0 + fog * hole, torch.where(hole, a.sqrt() * x0 + (1 - a).sqrt() * eps, x0)

# %% tags=["wrong:condition"] expect="they stay clean"
def condition(x0, hole, fog, eps, abar):
    a = abar.view(-1, 1, 1, 1)
    return torch.where(hole, fog, x0), a.sqrt() * x0 + (1 - a).sqrt() * eps

# %% tags=["wrong:condition"] expect="noise alone"
def condition(x0, hole, fog, eps, abar):
    return torch.where(hole, fog, x0), torch.where(hole, eps, x0)

# %% tags=["wrong:condition"] expect="fog belongs to y"
def condition(x0, hole, fog, eps, abar):
    a = abar.view(-1, 1, 1, 1)
    y = torch.where(hole, fog, x0)
    return y, torch.where(hole, a.sqrt() * x0 + (1 - a).sqrt() * fog, x0)

# %% tags=["wrong:condition"] expect="Are the roots there?"
def condition(x0, hole, fog, eps, abar):
    a = abar.view(-1, 1, 1, 1)
    return torch.where(hole, fog, x0), torch.where(hole, a * x0 + (1 - a) * eps, x0)

# %% tags=["wrong:condition"] expect="changed places?"
def condition(x0, hole, fog, eps, abar):
    a = 1 - abar.view(-1, 1, 1, 1)
    y = torch.where(hole, fog, x0)
    return y, torch.where(hole, a.sqrt() * x0 + (1 - a).sqrt() * eps, x0)

# %% tags=["wrong:condition"] expect="one ᾱ for each picture"
def condition(x0, hole, fog, eps, abar):
    a = abar[0]
    y = torch.where(hole, fog, x0)
    return y, torch.where(hole, a.sqrt() * x0 + (1 - a).sqrt() * eps, x0)

# %% tags=["wrong:condition"] expect="noise with noise"
def condition(x0, hole, fog, eps, abar):
    a = abar.view(-1, 1, 1, 1)
    y = torch.where(hole, fog, x0)
    return y, torch.where(hole, a.sqrt() * y + (1 - a).sqrt() * eps, y)

# %% tags=["wrong:condition"] expect="first the difference, then the root"
def condition(x0, hole, fog, eps, abar):
    a = abar.view(-1, 1, 1, 1)
    y = torch.where(hole, fog, x0)
    return y, torch.where(hole, a.sqrt() * x0 + (1 - a.sqrt()) * eps, x0)

# %% tags=["wrong:condition"] expect="one and the same tensor"
def condition(x0, hole, fog, eps, abar):
    a, inside = abar.view(-1, 1, 1, 1), hole.expand_as(x0)
    noisy = a.sqrt() * x0 + (1 - a).sqrt() * eps
    y, x_t = x0, x0
    y[inside] = fog[inside]
    x_t[inside] = noisy[inside]
    return y, x_t

# %% tags=["wrong:condition"] expect="must match the size" expect-status="error"
def condition(x0, hole, fog, eps, abar):
    noisy = abar.sqrt() * x0 + (1 - abar).sqrt() * eps
    return torch.where(hole, fog, x0), torch.where(hole, noisy, x0)

# %% [markdown]
# ## 2 · What it pays for
#
# Only the hole counts. For each picture take the mean of the squared error over all values in its hole (each pixel of the hole has three, one for each colour); then the mean over the pictures. So a small hole counts as much as a large one.
#
# *Lecture: section 4.* Useful: `a.expand_as(b)` repeats a hole for all three colours; `.sum((1, 2, 3))` adds up each picture.

# %% tags=["answer:hole_loss"]
def hole_loss(guess, target, hole):
    """guess, target (B, 3, H, W), hole (B, 1, H, W). Returns one number (a tensor)."""
    # <solution>
    inside = hole.expand_as(guess)
    error = (guess - target) ** 2 * inside
    each = error.sum((1, 2, 3)) / inside.sum((1, 2, 3))      # (B,)
    return each.mean()
    # </solution>

# %% tags=["check:hole_loss"]
check.hole_loss(hole_loss)

# %% tags=["second:hole_loss"]
def hole_loss(guess, target, hole):
    each = [torch.nn.functional.mse_loss(g[:, h[0]], t[:, h[0]])
            for g, t, h in zip(guess, target, hole)]
    return sum(each) / len(each)

# %% tags=["wrong:hole_loss"] expect="counts all pixels"
def hole_loss(guess, target, hole):
    return (guess - target).square().mean()

# %% tags=["wrong:hole_loss"] expect="counts the *known* pixels"
def hole_loss(guess, target, hole):
    known = ~hole.expand_as(guess)
    return (((guess - target) ** 2 * known).sum((1, 2, 3)) / known.sum((1, 2, 3))).mean()

# %% tags=["wrong:hole_loss"] expect="put the pixels of all pictures together"
def hole_loss(guess, target, hole):
    inside = hole.expand_as(guess)
    return (guess - target)[inside].square().mean()

# %% tags=["wrong:hole_loss"] expect="still divide by *all* pixels"
def hole_loss(guess, target, hole):
    return ((guess - target) * hole).square().mean()

# %% tags=["wrong:hole_loss"] expect="each of them has three values"
def hole_loss(guess, target, hole):
    error = (guess - target) ** 2 * hole
    return (error.sum((1, 2, 3)) / hole.sum((1, 2, 3))).mean()

# %% tags=["wrong:hole_loss"] expect="is a sum"
def hole_loss(guess, target, hole):
    return ((guess - target) ** 2 * hole).sum((1, 2, 3)).mean()

# %% tags=["wrong:hole_loss"] expect="an absolute value or a root"
def hole_loss(guess, target, hole):
    inside = hole.expand_as(guess)
    error = (guess - target).abs() * inside
    return (error.sum((1, 2, 3)) / inside.sum((1, 2, 3))).mean()

# %% tags=["wrong:hole_loss"] expect="cancel in your mean"
def hole_loss(guess, target, hole):
    inside = hole.expand_as(guess)
    error = (guess - target) * inside
    return (error.sum((1, 2, 3)) / inside.sum((1, 2, 3))).square().mean()

# %% tags=["wrong:hole_loss"] expect="the sum over both pictures"
def hole_loss(guess, target, hole):
    inside = hole.expand_as(guess)
    error = (guess - target) ** 2 * inside
    return (error.sum((1, 2, 3)) / inside.sum((1, 2, 3))).sum()

# %% tags=["wrong:hole_loss"] expect="the first colour only"
def hole_loss(guess, target, hole):
    each = [(g - t)[0, h[0]].square().mean() for g, t, h in zip(guess, target, hole)]
    return sum(each) / len(each)

# %% tags=["wrong:hole_loss"] expect="no gradient can flow back"
def hole_loss(guess, target, hole):
    inside = hole.expand_as(guess)
    error = (guess - target) ** 2 * inside
    return (error.sum((1, 2, 3)) / inside.sum((1, 2, 3))).mean().item()

# %% [markdown]
# ## 3 · RePaint's way up
#
# RePaint goes from $x_s$ back up to a noisier $x_t$, in one jump. Both come from the same $x_0$: $x_s$ has $\sqrt{\bar\alpha_s}$ of it, $x_t$ shall have $\sqrt{\bar\alpha_t}$, and the whole variance of the noise in $x_t$ shall be $1-\bar\alpha_t$. So
#
# $$x_t = c\,x_s + d\,z,\qquad z\sim\mathcal N(0, I)$$
#
# Find $c$ from the factors of $x_0$ on both sides. Then $d$: the noise in $c\,x_s$ has the variance $c^2(1-\bar\alpha_s)$, and the variances must add up to $1-\bar\alpha_t$. Then write it.
#
# *Lecture: section 3, `repaint_by_hand`, the line "up"; recall question 3.* There the letters are exchanged (that line goes up from step `t` to step `s`, you go from $s$ up to $t$), and the tables `signal` and `noise` hold $\sqrt{\bar\alpha}$ and $\sqrt{1-\bar\alpha}$; here you get $\bar\alpha$ itself, as plain numbers, so take roots with `** 0.5` (`torch.sqrt` wants tensors).

# %% tags=["answer:way_up"]
def way_up(x_s, z, abar_s, abar_t):
    """x_s, z tensors of one shape; abar_s > abar_t numbers. Returns x_t."""
    # <solution>
    kept = abar_t / abar_s
    return kept**0.5 * x_s + (1 - kept) ** 0.5 * z
    # </solution>

# %% tags=["check:way_up"]
check.way_up(way_up)

# %% tags=["second:way_up"]
def way_up(x_s, z, abar_s, abar_t):
    c = abar_t**0.5 / abar_s**0.5
    d = ((1 - abar_t) - c * c * (1 - abar_s)) ** 0.5
    return c * x_s + d * z

# %% tags=["wrong:way_up"] expect="leads from the *clean* picture"
def way_up(x_s, z, abar_s, abar_t):
    return abar_t**0.5 * x_s + (1 - abar_t) ** 0.5 * z

# %% tags=["wrong:way_up"] expect="Upside down?"
def way_up(x_s, z, abar_s, abar_t):
    return (abar_s / abar_t) ** 0.5 * x_s + (1 - abar_t / abar_s) ** 0.5 * z

# %% tags=["wrong:way_up"] expect="by ᾱ_t/ᾱ_s itself"
def way_up(x_s, z, abar_s, abar_t):
    return abar_t / abar_s * x_s + (1 - abar_t / abar_s) * z

# %% tags=["wrong:way_up"] expect="the noise of the whole way"
def way_up(x_s, z, abar_s, abar_t):
    return (abar_t / abar_s) ** 0.5 * x_s + (1 - abar_t) ** 0.5 * z

# %% tags=["wrong:way_up"] expect="multiplied by a variance"
def way_up(x_s, z, abar_s, abar_t):
    return (abar_t / abar_s) ** 0.5 * x_s + (1 - abar_t / abar_s) * z

# %% tags=["wrong:way_up"] expect="the difference of two standard deviations"
def way_up(x_s, z, abar_s, abar_t):
    more = (1 - abar_t) ** 0.5 - (1 - abar_s) ** 0.5
    return (abar_t / abar_s) ** 0.5 * x_s + more * z

# %% tags=["wrong:way_up"] expect="what was in x_s is shrunk as well"
def way_up(x_s, z, abar_s, abar_t):
    return (abar_t / abar_s) ** 0.5 * x_s + (abar_s - abar_t) ** 0.5 * z

# %% tags=["wrong:way_up"] expect="Which factor shrinks it?"
def way_up(x_s, z, abar_s, abar_t):
    return x_s + (1 - abar_t / abar_s) ** 0.5 * z

# %% tags=["wrong:way_up"] expect="it does not erase"
def way_up(x_s, z, abar_s, abar_t):
    return (1 - abar_t / abar_s) ** 0.5 * z

# %% tags=["wrong:way_up"] expect="what is z for?"
def way_up(x_s, z, abar_s, abar_t):
    return (abar_t / abar_s) ** 0.5 * x_s

# %% tags=["wrong:way_up"] expect="Is it c in your d?"
def way_up(x_s, z, abar_s, abar_t):
    c = (abar_t / abar_s) ** 0.5
    return c * x_s + (1 - abar_t - c * (1 - abar_s)) ** 0.5 * z

# %% tags=["wrong:way_up"] expect="your answer is complex"
def way_up(x_s, z, abar_s, abar_t):
    c = (abar_s / abar_t) ** 0.5
    return c * x_s + (1 - abar_t - c**2 * (1 - abar_s)) ** 0.5 * z

# %% [markdown]
# ## 4 · PSNR in the hole
#
# $$\text{PSNR} = 10\,\log_{10}\frac{(\text{range})^2}{\text{mean squared error}}$$
#
# Our pictures go from $-1$ to $1$. Only the pixels in the hole count, in all three colours.
#
# *Lecture: section 2.* Useful: a picture (3, H, W) and a hole (H, W): `picture[:, hole]` has shape (3, number of pixels in the hole).

# %% tags=["answer:psnr"]
def psnr(answer, truth, hole):
    """answer, truth (3, H, W), hole (H, W). Returns one number, in decibels."""
    # <solution>
    error = (answer - truth)[:, hole].square().mean()
    return 10 * torch.log10(4 / error)
    # </solution>

# %% tags=["check:psnr"]
check.psnr(psnr)

# %% tags=["second:psnr"]
def psnr(answer, truth, hole):
    import math

    total = float(((answer - truth) ** 2 * hole).sum())
    count = 3 * int(hole.sum())
    return 20 * math.log10(2) - 10 * math.log10(total / count)

# %% tags=["wrong:psnr"] expect="how far is that?"
def psnr(answer, truth, hole):
    return 10 * torch.log10(1 / (answer - truth)[:, hole].square().mean())

# %% tags=["wrong:psnr"] expect="the range is not squared"
def psnr(answer, truth, hole):
    return 10 * torch.log10(2 / (answer - truth)[:, hole].square().mean())

# %% tags=["wrong:psnr"] expect="that of the whole picture"
def psnr(answer, truth, hole):
    return 10 * torch.log10(4 / (answer - truth).square().mean())

# %% tags=["wrong:psnr"] expect="of the known part"
def psnr(answer, truth, hole):
    return 10 * torch.log10(4 / (answer - truth)[:, ~hole].square().mean())

# %% tags=["wrong:psnr"] expect="*natural* logarithm"
def psnr(answer, truth, hole):
    return 10 * torch.log(4 / (answer - truth)[:, hole].square().mean())

# %% tags=["wrong:psnr"] expect="belongs to amplitudes"
def psnr(answer, truth, hole):
    return 20 * torch.log10(4 / (answer - truth)[:, hole].square().mean())

# %% tags=["wrong:psnr"] expect="the error stands on top"
def psnr(answer, truth, hole):
    return 10 * torch.log10((answer - truth)[:, hole].square().mean() / 4)

# %% tags=["wrong:psnr"] expect="Square it before you take the mean"
def psnr(answer, truth, hole):
    return 10 * torch.log10(4 / (answer - truth)[:, hole].abs().mean())

# %% tags=["wrong:psnr"] expect="First the mean of the squares"
def psnr(answer, truth, hole):
    return (10 * torch.log10(4 / (answer - truth)[:, hole].square())).mean()

# %% tags=["wrong:psnr"] expect="several decibels"
def psnr(answer, truth, hole):
    each = (answer - truth)[:, hole].square().mean(1)        # one for each colour
    return (10 * torch.log10(4 / each)).mean()

# %% tags=["wrong:psnr"] expect="still divide by *all* pixels"
def psnr(answer, truth, hole):
    return 10 * torch.log10(4 / ((answer - truth) * hole).square().mean())

# %% tags=["wrong:psnr"] expect="you divide by too few"
def psnr(answer, truth, hole):
    total = ((answer - truth) ** 2 * hole).sum()
    return 10 * torch.log10(4 / (total / hole.sum()))

# %% tags=["wrong:psnr"] expect="Only the first colour counts"
def psnr(answer, truth, hole):
    return 10 * torch.log10(4 / (answer - truth)[0, hole].square().mean())

# %% tags=["wrong:psnr"] expect="your range is too large"
def psnr(answer, truth, hole):
    return 10 * torch.log10(255**2 / (answer - truth)[:, hole].square().mean())

# %% [markdown]
# ## 5 · The perfect blur
#
# Suppose the world holds only $N$ pictures $p_1,\dots,p_N$, all equally likely. One of them was photographed with a bad camera, which adds Gaussian noise of standard deviation $\sigma$ to every known pixel. The hole is unknown. How probable is picture $i$, after we have seen $y$? By Bayes (session {{session:start_here}})
#
# $$w_i \propto \exp\Big(-\frac{\text{sum over known pixels of }(y-p_i)^2}{2\sigma^2}\Big),\qquad \sum_i w_i = 1$$
#
# ($\propto$: the right side, divided by its sum over all pictures.)
#
# Return $y$ with the hole filled by the mean of all pictures with these weights, $\sum_i w_i\,p_i$. Known pixels stay as they are in $y$, noise and all. Here a picture is one row of $D$ numbers: `y` has shape (D,), `hole` (D,), `pictures` (N, D).
#
# *Lecture: section 2.* Useful: `pictures[:, ~hole]` keeps the known columns. `softmax(dim=0)` takes the exponents and makes weights that add up to 1.

# %% tags=["answer:posterior_mean"]
def posterior_mean(y, hole, pictures, sigma):
    """y, hole (D,), pictures (N, D), sigma a number. Returns a tensor (D,)."""
    # <solution>
    distance = (y - pictures)[:, ~hole].square().sum(1)      # (N,)
    weights = (-distance / (2 * sigma**2)).softmax(dim=0)
    return torch.where(hole, weights @ pictures, y)
    # </solution>

# %% tags=["check:posterior_mean"]
check.posterior_mean(posterior_mean)

# %% tags=["second:posterior_mean"]
def posterior_mean(y, hole, pictures, sigma):
    far = torch.stack([((y - p) * ~hole / sigma).norm() ** 2 for p in pictures])
    chance = torch.exp(-(far - far.min()) / 2)
    filled = y.clone()
    filled[hole] = (chance[:, None] * pictures).sum(0)[hole] / chance.sum()
    return filled

# %% tags=["wrong:posterior_mean"] expect="All pictures count the same"
def posterior_mean(y, hole, pictures, sigma):
    return torch.where(hole, pictures.mean(0), y)

# %% tags=["wrong:posterior_mean"] expect="You take one of the pictures"
def posterior_mean(y, hole, pictures, sigma):
    near = (y - pictures)[:, ~hole].square().sum(1).argmin()
    return torch.where(hole, pictures[near], y)

# %% tags=["wrong:posterior_mean"] expect="has a part in your distances"
def posterior_mean(y, hole, pictures, sigma):
    weights = (-(y - pictures).square().sum(1) / (2 * sigma**2)).softmax(0)
    return torch.where(hole, weights @ pictures, y)

# %% tags=["wrong:posterior_mean"] expect="is the 2 of 2σ² there?"
def posterior_mean(y, hole, pictures, sigma):
    weights = (-(y - pictures)[:, ~hole].square().sum(1) / sigma**2).softmax(0)
    return torch.where(hole, weights @ pictures, y)

# %% tags=["wrong:posterior_mean"] expect="Is σ squared?"
def posterior_mean(y, hole, pictures, sigma):
    weights = (-(y - pictures)[:, ~hole].square().sum(1) / (2 * sigma)).softmax(0)
    return torch.where(hole, weights @ pictures, y)

# %% tags=["wrong:posterior_mean"] expect="it is the *squared* distance"
def posterior_mean(y, hole, pictures, sigma):
    weights = (-(y - pictures)[:, ~hole].norm(dim=1) / (2 * sigma**2)).softmax(0)
    return torch.where(hole, weights @ pictures, y)

# %% tags=["wrong:posterior_mean"] expect="do not add up to 1"
def posterior_mean(y, hole, pictures, sigma):
    weights = torch.exp(-(y - pictures)[:, ~hole].square().sum(1) / (2 * sigma**2))
    return torch.where(hole, weights @ pictures, y)

# %% tags=["wrong:posterior_mean"] expect="Look at the sign"
def posterior_mean(y, hole, pictures, sigma):
    weights = ((y - pictures)[:, ~hole].square().sum(1) / (2 * sigma**2)).softmax(0)
    return torch.where(hole, weights @ pictures, y)

# %% tags=["wrong:posterior_mean"] expect="Known pixels should stay"
def posterior_mean(y, hole, pictures, sigma):
    weights = (-(y - pictures)[:, ~hole].square().sum(1) / (2 * sigma**2)).softmax(0)
    return weights @ pictures

# %% tags=["wrong:posterior_mean"] expect="every e^(−large) is 0"
def posterior_mean(y, hole, pictures, sigma):
    weights = torch.exp(-(y - pictures)[:, ~hole].square().sum(1) / (2 * sigma**2))
    return torch.where(hole, weights @ pictures / weights.sum(), y)

# %% tags=["wrong:posterior_mean"] expect="not their mean"
def posterior_mean(y, hole, pictures, sigma):
    weights = (-(y - pictures)[:, ~hole].square().mean(1) / (2 * sigma**2)).softmax(0)
    return torch.where(hole, weights @ pictures, y)

# %% tags=["wrong:posterior_mean"] expect="not (2σ)²"
def posterior_mean(y, hole, pictures, sigma):
    weights = (-(y - pictures)[:, ~hole].square().sum(1) / (2 * sigma) ** 2).softmax(0)
    return torch.where(hole, weights @ pictures, y)

# %% tags=["wrong:posterior_mean"] expect="Is σ² below the line?"
def posterior_mean(y, hole, pictures, sigma):
    weights = (-(y - pictures)[:, ~hole].square().sum(1) / 2 * sigma**2).softmax(0)
    return torch.where(hole, weights @ pictures, y)

# %% tags=["wrong:posterior_mean"] expect="Known pixels should stay"
def posterior_mean(y, hole, pictures, sigma):
    weights = (-(y - pictures)[:, ~hole].square().sum(1) / (2 * sigma**2)).softmax(0)
    return weights @ pictures * hole

# %% [markdown]
# ## The price of honesty, in a world of digits
#
# Now your perfect blur meets a perfect sampler. The world: 1,500 handwritten digits. One of them was photographed, with noise of $\sigma = 1$ on its upper half; the lower half is the hole. The sampler draws one of the 1,500, with the same weights $w_i$.
#
# (It gets the weights from *your* function. Each digit $i$ receives 1,500 more unknown values: a mark, 1 at place $i$ and 0 elsewhere. The mean of the marks, $\sum_i w_i\,\text{mark}_i$, is the list of the weights.)
#
# **Predict.** Which has the better PSNR? By how much? (Lecture, section 2.)

# %%
import matplotlib.pyplot as plt

from helpers.data import load_digits

world = load_digits(8)[0][:1500].flatten(1)                  # (1500, 64)
lower = torch.arange(64) >= 32                               # the hole
g = torch.Generator().manual_seed(0)
truth = world[torch.randint(1500, (400,), generator=g)]      # 400 digits
seen = torch.where(lower, torch.tensor(0.0), truth + torch.randn(400, 64, generator=g))


marked = torch.cat([world, torch.eye(1500)], 1)              # (1500, 64 + 1500)
unknown = torch.cat([lower, torch.ones(1500, dtype=torch.bool)])


def one_draw(y):
    """A picture of the world, drawn with the weights of exercise 5."""
    all_of_it = torch.cat([y, torch.zeros(1500)])
    weights = posterior_mean(all_of_it, unknown, marked, 1.0)[64:]
    return torch.where(lower, world[torch.multinomial(weights, 1, generator=g)[0]], y)

# %%
if check.posterior_mean.passed and check.psnr.passed:
    blurs = torch.stack([posterior_mean(y, lower, world, 1.0) for y in seen])
    draws = torch.stack([one_draw(y) for y in seen])
    for name, fills in (("blur", blurs), ("draw", draws)):
        error = (fills - truth)[:, lower].square().mean()
        as_picture = fills.view(1, 400, 64).expand(3, -1, -1)
        all_truth = truth.view(1, 400, 64).expand(3, -1, -1)
        decibel = psnr(as_picture, all_truth, lower.expand(400, 64))
        print(f"{name}: squared error {error:.3f}, PSNR {decibel:.2f} dB, n = 400")
    some = torch.cat([part[:10] for part in (seen, blurs, draws, truth)])
    fig, axes = plt.subplots(4, 10, figsize=(8, 3.3))
    for ax, digit in zip(axes.flat, some):
        ax.imshow(digit.view(8, 8), cmap="gray", vmin=-1, vmax=1)
        ax.set(xticks=[], yticks=[])
    for ax, name in zip(axes[:, 0], ("seen", "blur", "draw", "truth")):
        ax.set_ylabel(name, rotation=0, ha="right", va="center")
    plt.show()

# %% [markdown]
# Look at the second row and at the third. Which would you show to a friend? Which has the better score?
#
# <details><summary>Answer to the prediction</summary>
#
# The blur, by about 3 dB: the draw pays twice its squared error. And only the draws look like digits. (With other random numbers the factor moves a little around 2.)
#
# </details>

# %%
check.summary()
