# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Homework {{number}} · Parameterisations
#
# {{badge}}
#
# You write the four translations, Tweedie's formula for any density, the factors of the loss, and mend a table so that it ends in pure noise. At the end you let the course's face model make a small mistake in each of the four languages, and look at what becomes of the face.
#
# **Time:** about 70 minutes. Nothing here needs a graphics card.
#
# **Before:** lecture {{session:parameterisations}}, sections 1 to 4; for exercise 4 also session {{session:forward_process}}, section 5.

# %% tags=["setup"]
from helpers import course
from helpers.checks import parameterisations as check

course.setup()

# %%
import torch

# %% [markdown]
# ## 1 · Four languages
#
# With $a$ = `signal` and $b$ = `noise`, and $a^2+b^2=1$:
#
# $$x_t = a\,x_0 + b\,\varepsilon,\qquad v = a\,\varepsilon - b\,x_0,\qquad \text{score} = -\varepsilon/b$$
#
# A network saw `x_t` and gave an `answer` in the language `target`: "x0", "eps", "v" or "score". Find **both**, $x_0$ and $\varepsilon$, in this order. They must lead back to the same $x_t$.
#
# *Lecture: section 1.* Solve for it on paper first. For $v$ no division is needed.

# %% tags=["answer:convert"]
def convert(answer, x_t, signal, noise, target):
    """answer, x_t (B, D); signal, noise (B, 1). Returns x0, eps, both (B, D)."""
    # <solution>
    if target == "x0":
        return answer, (x_t - signal * answer) / noise
    if target == "v":
        return signal * x_t - noise * answer, noise * x_t + signal * answer
    eps = -noise * answer if target == "score" else answer
    return (x_t - noise * eps) / signal, eps
    # </solution>

# %% tags=["check:convert"]
check.convert(convert)

# %% tags=["second:convert"]
def convert(answer, x_t, signal, noise, target):
    # two readings of a point, as two equations with two unknowns
    one, nought = torch.ones_like(signal), torch.zeros_like(signal)
    second = {"x0": (one, nought), "eps": (nought, one), "v": (-noise, signal),
              "score": (nought, -1 / noise)}[target]
    rows = [torch.cat([signal, noise], 1), torch.cat(second, 1)]
    known = torch.stack([x_t, answer], 1)                    # (B, 2, D)
    found = torch.linalg.solve(torch.stack(rows, 1), known)
    return found[:, 0], found[:, 1]

# %% tags=["second:convert"]
def convert(answer, x_t, signal, noise, target):
    if target == "x0":
        x0 = answer
    elif target == "v":
        x0 = signal * x_t - noise * answer
    elif target == "eps":
        x0 = (x_t - noise * answer) / signal
    else:
        x0 = (x_t + noise**2 * answer) / signal              # Tweedie
    return x0, (x_t - signal * x0) / noise

# %% tags=["wrong:convert"] expect="changed places"
def convert(answer, x_t, signal, noise, target):
    if target == "x0":
        return (x_t - signal * answer) / noise, answer
    if target == "v":
        return noise * x_t + signal * answer, signal * x_t - noise * answer
    eps = -noise * answer if target == "score" else answer
    return eps, (x_t - noise * eps) / signal

# %% tags=["wrong:convert"] expect="signs of `v`"
def convert(answer, x_t, signal, noise, target):
    if target == "x0":
        return answer, (x_t - signal * answer) / noise
    if target == "v":
        return signal * x_t + noise * answer, noise * x_t - signal * answer
    eps = -noise * answer if target == "score" else answer
    return (x_t - noise * eps) / signal, eps

# %% tags=["wrong:convert"] expect="Which way do the rulers turn"
def convert(answer, x_t, signal, noise, target):
    if target == "x0":
        return answer, (x_t - signal * answer) / noise
    if target == "v":
        return noise * x_t - signal * answer, signal * x_t + noise * answer
    eps = -noise * answer if target == "score" else answer
    return (x_t - noise * eps) / signal, eps

# %% tags=["wrong:convert"] expect="sign of the score"
def convert(answer, x_t, signal, noise, target):
    if target == "x0":
        return answer, (x_t - signal * answer) / noise
    if target == "v":
        return signal * x_t - noise * answer, noise * x_t + signal * answer
    eps = noise * answer if target == "score" else answer
    return (x_t - noise * eps) / signal, eps

# %% tags=["wrong:convert"] expect="by the noise *squared*"
def convert(answer, x_t, signal, noise, target):
    if target == "x0":
        return answer, (x_t - signal * answer) / noise
    if target == "v":
        return signal * x_t - noise * answer, noise * x_t + signal * answer
    eps = -(noise**2) * answer if target == "score" else answer
    return (x_t - noise * eps) / signal, eps

# %% tags=["wrong:convert"] expect="You divide the score by the noise"
def convert(answer, x_t, signal, noise, target):
    if target == "x0":
        return answer, (x_t - signal * answer) / noise
    if target == "v":
        return signal * x_t - noise * answer, noise * x_t + signal * answer
    eps = -answer / noise if target == "score" else answer
    return (x_t - noise * eps) / signal, eps

# %% tags=["wrong:convert"] expect="You treat the score as"
def convert(answer, x_t, signal, noise, target):
    if target == "x0":
        return answer, (x_t - signal * answer) / noise
    if target == "v":
        return signal * x_t - noise * answer, noise * x_t + signal * answer
    return (x_t - noise * answer) / signal, answer

# %% tags=["wrong:convert"] expect="by the noise: there is no division"
def convert(answer, x_t, signal, noise, target):
    if target == "x0":
        return answer, x_t - signal * answer
    if target == "v":
        return signal * x_t - noise * answer, noise * x_t + signal * answer
    eps = -noise * answer if target == "score" else answer
    return (x_t - noise * eps) / signal, eps

# %% tags=["wrong:convert"] expect="by the signal: there is no division"
def convert(answer, x_t, signal, noise, target):
    if target == "x0":
        return answer, (x_t - signal * answer) / noise
    if target == "v":
        return signal * x_t - noise * answer, noise * x_t + signal * answer
    eps = -noise * answer if target == "score" else answer
    return x_t - noise * eps, eps

# %% tags=["wrong:convert"] expect="divide by the wrong factor"
def convert(answer, x_t, signal, noise, target):
    if target == "x0":
        return answer, (x_t - signal * answer) / noise
    if target == "v":
        return signal * x_t - noise * answer, noise * x_t + signal * answer
    eps = -noise * answer if target == "score" else answer
    return (x_t - noise * eps) / noise, eps

# %% tags=["wrong:convert"] expect="squares of the two factors"
def convert(answer, x_t, signal, noise, target):
    signal, noise = signal**2, noise**2                      # ᾱ for its root
    if target == "x0":
        return answer, (x_t - signal * answer) / noise
    if target == "v":
        return signal * x_t - noise * answer, noise * x_t + signal * answer
    eps = -noise * answer if target == "score" else answer
    return (x_t - noise * eps) / signal, eps

# %% tags=["wrong:convert"] expect="`eps` for the target `v`"
def convert(answer, x_t, signal, noise, target):
    if target == "x0":
        return answer, (x_t - signal * answer) / noise
    if target == "v":
        return signal * x_t - noise * answer, answer
    eps = -noise * answer if target == "score" else answer
    return (x_t - noise * eps) / signal, eps

# %% tags=["wrong:convert"] expect="first picture of the batch"
def convert(answer, x_t, signal, noise, target):
    signal, noise = signal[0], noise[0]
    if target == "x0":
        return answer, (x_t - signal * answer) / noise
    if target == "v":
        return signal * x_t - noise * answer, noise * x_t + signal * answer
    eps = -noise * answer if target == "score" else answer
    return (x_t - noise * eps) / signal, eps

# %% [markdown]
# ## 2 · Tweedie
#
# Somebody gives you a function `log_density(x)`: the logarithm of the density of *noisy* numbers, $\log q(x_t)$, one value for each row of $x$. Nothing else is known of the data. Find the best guess of the clean data:
#
# $$\mathbb E[x_0\mid x_t] = \frac{x_t + b^2\,\nabla\log q(x_t)}{a}$$
#
# *Lecture: section 2*, where a cell did it for one point. Useful: `torch.autograd.grad(number, x)[0]` is the gradient of *one number* with respect to the tensor `x`, if `x` was made ready by `x.requires_grad_(True)` before the number was computed from it. `x_t.clone()` is a copy.
#
# `log_density` gives one value for each row. How do you make *one* number of them, so that each row gets just its own gradient?

# %% tags=["answer:best_guess"]
def best_guess(log_density, x_t, signal, noise):
    """log_density: x (B, D) → (B,); x_t (B, D); signal, noise: numbers.

    Returns the best guess of the clean data, a tensor (B, D).
    """
    # <solution>
    x = x_t.detach().clone().requires_grad_(True)
    score = torch.autograd.grad(log_density(x).sum(), x)[0]
    return (x_t + noise**2 * score) / signal
    # </solution>

# %% tags=["check:best_guess"]
check.best_guess(best_guess)

# %% tags=["second:best_guess"]
def best_guess(log_density, x_t, signal, noise):
    def one(row):
        return log_density(row[None])[0]

    score = torch.stack([torch.func.grad(one)(row) for row in x_t])
    eps = -noise * score
    return (x_t - noise * eps) / signal

# %% tags=["wrong:best_guess"] expect="noise, not its square"
def best_guess(log_density, x_t, signal, noise):
    x = x_t.detach().clone().requires_grad_(True)
    score = torch.autograd.grad(log_density(x).sum(), x)[0]
    return (x_t + noise * score) / signal

# %% tags=["wrong:best_guess"] expect="uphill"
def best_guess(log_density, x_t, signal, noise):
    x = x_t.detach().clone().requires_grad_(True)
    score = torch.autograd.grad(log_density(x).sum(), x)[0]
    return (x_t - noise**2 * score) / signal

# %% tags=["wrong:best_guess"] expect="still shrunk"
def best_guess(log_density, x_t, signal, noise):
    x = x_t.detach().clone().requires_grad_(True)
    return x_t + noise**2 * torch.autograd.grad(log_density(x).sum(), x)[0]

# %% tags=["wrong:best_guess"] expect="Both parts stand over"
def best_guess(log_density, x_t, signal, noise):
    x = x_t.detach().clone().requires_grad_(True)
    return x_t / signal + noise**2 * torch.autograd.grad(log_density(x).sum(), x)[0]

# %% tags=["wrong:best_guess"] expect="of the density itself"
def best_guess(log_density, x_t, signal, noise):
    x = x_t.detach().clone().requires_grad_(True)
    slope = torch.autograd.grad(log_density(x).exp().sum(), x)[0]
    return (x_t + noise**2 * slope) / signal

# %% tags=["wrong:best_guess"] expect="by the signal *squared*"
def best_guess(log_density, x_t, signal, noise):
    x = x_t.detach().clone().requires_grad_(True)
    score = torch.autograd.grad(log_density(x).sum(), x)[0]
    return (x_t + noise**2 * score) / signal**2

# %% tags=["wrong:best_guess"] expect="This is the score"
def best_guess(log_density, x_t, signal, noise):
    x = x_t.detach().clone().requires_grad_(True)
    return torch.autograd.grad(log_density(x).sum(), x)[0]

# %% tags=["wrong:best_guess"] expect="depends on how many rows"
def best_guess(log_density, x_t, signal, noise):
    x = x_t.detach().clone().requires_grad_(True)
    score = torch.autograd.grad(log_density(x).mean(), x)[0]
    return (x_t + noise**2 * score) / signal

# %% tags=["wrong:best_guess"] expect="Only the first row"
def best_guess(log_density, x_t, signal, noise):
    x = x_t.detach().clone().requires_grad_(True)
    score = torch.autograd.grad(log_density(x)[0], x)[0]
    return (x_t + noise**2 * score) / signal

# %% tags=["wrong:best_guess"] expect="the value of log q"
def best_guess(log_density, x_t, signal, noise):
    return (x_t + noise**2 * log_density(x_t)[:, None]) / signal

# %% [markdown]
# ## 3 · The factor of the loss
#
# Write $e = \hat x_0 - x_0$. The plain loss of a target is $\|e\|^2$ times the target's own weight. We wish for another one, Min-SNR:
#
# $$w = \min(\mathrm{SNR},\gamma)$$
#
# With which **factor** must the target's plain loss be multiplied, so that it becomes $w\,\|e\|^2$? For the targets "x0", "eps" and "v". *Lecture: section 3.* Useful: `snr.clamp(max=gamma)`.

# %% tags=["answer:factor"]
def factor(snr, gamma, target):
    """snr (B,), all positive; gamma a number. Returns the factors, a tensor (B,)."""
    # <solution>
    own = {"x0": torch.ones_like(snr), "eps": snr, "v": snr + 1}[target]
    return snr.clamp(max=gamma) / own
    # </solution>

# %% tags=["check:factor"]
check.factor(factor)

# %% tags=["second:factor"]
def factor(snr, gamma, target):
    # the helper wants the logarithm
    from helpers.targets import min_snr_weight

    return min_snr_weight(target, gamma)(snr.log())

# %% tags=["second:factor"]
def factor(snr, gamma, target):
    wish = torch.where(snr < gamma, snr, torch.full_like(snr, gamma))
    if target == "eps":
        wish = wish / snr
    if target == "v":
        wish = wish / snr / (1 + 1 / snr)
    return wish

# %% tags=["wrong:factor"] expect="the larger one"
def factor(snr, gamma, target):
    own = {"x0": torch.ones_like(snr), "eps": snr, "v": snr + 1}[target]
    return snr.clamp(min=gamma) / own

# %% tags=["wrong:factor"] expect="one factor for all targets"
def factor(snr, gamma, target):
    return snr.clamp(max=gamma)

# %% tags=["wrong:factor"] expect="The same for all targets: that of ε"
def factor(snr, gamma, target):
    return snr.clamp(max=gamma) / snr

# %% tags=["wrong:factor"] expect="brackets"
def factor(snr, gamma, target):
    wish = snr.clamp(max=gamma)
    return {"x0": wish, "eps": wish / snr, "v": wish / snr + 1}[target]

# %% tags=["wrong:factor"] expect="the wish is the same for all targets"
def factor(snr, gamma, target):
    own = {"x0": torch.ones_like(snr), "eps": snr, "v": snr + 1}[target]
    wish = own if target == "v" else snr
    return wish.clamp(max=gamma) / own

# %% tags=["wrong:factor"] expect="nothing to get rid of"
def factor(snr, gamma, target):
    own = {"x0": snr, "eps": torch.ones_like(snr), "v": snr + 1}[target]
    return snr.clamp(max=gamma) / own

# %% tags=["wrong:factor"] expect="the weight of the loss. The loss of ε"
def factor(snr, gamma, target):
    own = {"x0": torch.ones_like(snr), "eps": snr, "v": snr + 1}[target]
    return snr.clamp(max=gamma) * own

# %% tags=["wrong:factor"] expect="upside down"
def factor(snr, gamma, target):
    own = {"x0": torch.ones_like(snr), "eps": snr, "v": snr + 1}[target]
    return own / snr.clamp(max=gamma)

# %% tags=["wrong:factor"] expect="You treat v like ε"
def factor(snr, gamma, target):
    own = {"x0": torch.ones_like(snr), "eps": snr, "v": snr}[target]
    return snr.clamp(max=gamma) / own

# %% tags=["wrong:factor"] expect="already a ratio of squares"
def factor(snr, gamma, target):
    own = {"x0": torch.ones_like(snr), "eps": snr**2, "v": snr**2 + 1}[target]
    return (snr**2).clamp(max=gamma) / own

# %% tags=["wrong:factor"] expect="no cap"
def factor(snr, gamma, target):
    own = {"x0": torch.ones_like(snr), "eps": snr, "v": snr + 1}[target]
    return snr / own

# %% tags=["wrong:factor"] expect="γ is always 5"
def factor(snr, gamma, target):
    own = {"x0": torch.ones_like(snr), "eps": snr, "v": snr + 1}[target]
    return snr.clamp(max=5) / own

# %% [markdown]
# ## 4 · Mend a table
#
# `alphas_cumprod` has $T+1$ entries: entry 0 is 1 (clean), entry $t$ is $\bar\alpha_t$. The last one is small, but not 0. Give the mended table of the same length:
#
# - work on the roots $r_t = \sqrt{\bar\alpha_t}$ of $t = 1,\dots,T$;
# - shift and stretch them, $r'_t = (r_t - r_T)\cdot\dfrac{r_1}{r_1 - r_T}$, so that $r'_T = 0$ and $r'_1 = r_1$;
# - give back the squares, with the clean entry 1 in front again.
#
# *Session {{session:forward_process}}, section 5; lecture {{session:parameterisations}}, section 7.* Useful: `torch.cat([one, other])`.

# %% tags=["answer:mend"]
def mend(alphas_cumprod):
    """alphas_cumprod (T+1,). Returns the mended table, a tensor (T+1,)."""
    # <solution>
    root = alphas_cumprod[1:].sqrt()
    root = (root - root[-1]) * root[0] / (root[0] - root[-1])
    return torch.cat([alphas_cumprod[:1], root**2])
    # </solution>

# %% tags=["check:mend"]
check.mend(mend)

# %% tags=["second:mend"]
def mend(alphas_cumprod):
    from helpers.schedules import from_alphas_cumprod, zero_terminal_snr

    table = zero_terminal_snr(from_alphas_cumprod(alphas_cumprod[1:]))
    return table.alphas_cumprod.to(alphas_cumprod)

# %% tags=["second:mend"]
def mend(alphas_cumprod):
    r = [float(a) ** 0.5 for a in alphas_cumprod]
    first, end = r[1], r[-1]
    new = [first * (x - end) / (first - end) for x in r[1:]]
    return torch.tensor([1.0] + [x * x for x in new], dtype=alphas_cumprod.dtype)

# %% tags=["wrong:mend"] expect="on ᾱ itself"
def mend(alphas_cumprod):
    a = alphas_cumprod[1:]
    a = (a - a[-1]) * a[0] / (a[0] - a[-1])
    return torch.cat([alphas_cumprod[:1], a])

# %% tags=["wrong:mend"] expect="You return the roots"
def mend(alphas_cumprod):
    root = alphas_cumprod[1:].sqrt()
    root = (root - root[-1]) * root[0] / (root[0] - root[-1])
    return torch.cat([alphas_cumprod[:1], root])

# %% tags=["wrong:mend"] expect="shifted, but not stretched"
def mend(alphas_cumprod):
    root = alphas_cumprod[1:].sqrt()
    return torch.cat([alphas_cumprod[:1], (root - root[-1]) ** 2])

# %% tags=["wrong:mend"] expect="the clean entry is stretched along"
def mend(alphas_cumprod):
    root = alphas_cumprod.sqrt()
    return ((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2

# %% tags=["wrong:mend"] expect="should be a torch tensor of shape (5,)"
def mend(alphas_cumprod):
    root = alphas_cumprod[1:].sqrt()
    return ((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2

# %% tags=["wrong:mend"] expect="Only the last entry"
def mend(alphas_cumprod):
    mended = alphas_cumprod.clone()
    mended[-1] = 0
    return mended

# %% tags=["wrong:mend"] expect="at the index 0"
def mend(alphas_cumprod):
    root = alphas_cumprod[1:].sqrt()
    root = (root - root[-1]) * root[1] / (root[1] - root[-1])
    return torch.cat([alphas_cumprod[:1], root**2])

# %% tags=["wrong:mend"] expect="r_1 has become 1"
def mend(alphas_cumprod):
    root = alphas_cumprod[1:].sqrt()
    root = (root - root[-1]) / (root[0] - root[-1])
    return torch.cat([alphas_cumprod[:1], root**2])

# %% tags=["wrong:mend"] expect="does not end in 0"
def mend(alphas_cumprod):
    root = alphas_cumprod[1:].sqrt()
    root = root * root[0] / (root[0] - root[-1]) - root[-1]
    return torch.cat([alphas_cumprod[:1], root**2])

# %% tags=["wrong:mend"] expect="grows above 1"
def mend(alphas_cumprod):
    root = alphas_cumprod.sqrt()
    new = (root - root[-1]) * root[1] / (root[1] - root[-1])
    return new**2

# %% tags=["wrong:mend"] expect="stretched, but not shifted"
def mend(alphas_cumprod):
    root = alphas_cumprod[1:].sqrt()
    root = root * root[0] / (root[0] - root[-1])
    return torch.cat([alphas_cumprod[:1], root**2])

# %% [markdown]
# ## A small mistake in four languages
#
# The face model answers with $v$. With *your* `convert` we translate its answer into each language, add the **same** small mistake in all four (one picture of noise, standard deviation 0.1), translate back, and look at the guess of $x_0$.
#
# **Predict.** At $t = 30$, nearly clean: which of the four guesses suffers most? And at $t=900$? (The table of lecture {{session:parameterisations}}, section 4, says how the mistake is multiplied.)

# %%
from helpers.checkpoints import load_denoiser
from helpers.data import load_faces
from helpers.diffusion import add_noise
from helpers.plots import show_images
from helpers.targets import to_target

predict = load_denoiser("ddpm-faces")
table = predict.schedule
face = load_faces("embedded", "test", limit=4).images[2:3]
g = torch.Generator().manual_seed(0)
drawn, mistake = torch.randn(2, *face.shape, generator=g)
LANGUAGES = ("x0", "eps", "v", "score")


def spoiled_guess(t, target):
    """The guess of x0 after a mistake in this language; and how far it moved."""
    step = torch.tensor([t])
    x_t = add_noise(table, face, step, drawn)
    with torch.no_grad():
        x0, eps = predict(x_t, step)
    spoiled = to_target(table, x0, eps, step, target) + 0.1 * mistake
    a, b = table.signal[t].float().view(1, 1), table.noise[t].float().view(1, 1)
    again = convert(spoiled.flatten(1), x_t.flatten(1), a, b, target)[0].view_as(face)
    return again, (again - x0).square().mean().sqrt()

# %%
if check.convert.passed:
    print("mistake of 0.1 in" + "".join(f"{target:>9s}" for target in LANGUAGES))
    for t in (30, 300, 600, 900, 990):
        guesses, moved = zip(*(spoiled_guess(t, target) for target in LANGUAGES))
        print(f"t = {t:3d}, moved x0 by" + "".join(f"{m:9.3f}" for m in moved))
        if t in (300, 900, 990):
            show_images(torch.cat([add_noise(table, face, torch.tensor([t]), drawn),
                                   *guesses]), ["seen", *LANGUAGES], side=1.5,
                        title=f"t = {t}")

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# At $t=30$ it is **$x_0$**: there the mistake stays 0.1, all others shrink it to 0.012 and less, because it is multiplied by the small noise. (In exchange the $\varepsilon$ that follows from this $x_0$ is wrong by $0.1\,a/b$, almost 0.9.)
#
# At $t=900$ **$\varepsilon$ and the score** are multiplied by $b/a\approx 13$: the guess drowns in a mistake of 1.3, and at $t=990$ of 13. $x_0$ and $v$ stay at 0.1. The mistake was the same each time; only the language was another.
#
# Is a network's mistake the same in every language? No: that is why lecture {{session:parameterisations}}, section 6, measured it.
#
# </details>

# %% [markdown] tags=["solution-only"]
# **For the lecturer.** In exercise 1 the usual slips are the signs of $v$ and the forgotten factor of the score. Exercise 3 is the one where a well-known library slipped, too (the brackets). In exercise 4 many forget that entry 0 is the clean picture and must stay 1.

# %% [markdown]
# ## Where you stand

# %%
check.summary()
