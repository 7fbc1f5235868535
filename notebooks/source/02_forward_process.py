# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # {{number}} · The forward process
#
# {{badge}}
#
# To learn how to *make* pictures, we first take pictures apart. Today you learn to do it in a controlled way: you will know at every
# step how much of the picture is left, as a number and not as a feeling.
#
# **At the end you will have made this picture:** a row of noisy faces in which you see next to nothing, and below it the face that a
# three-line rule finds there, out of 256. It is right almost every time.
#
# **Time:** about 90 minutes. The cells themselves run for less than a minute on two CPU cores. A graphics card is not used.
#
# **Before:** session {{session:start_here}} (variances add, KL) and session {{session:why_diffusion}}. You need to know what a mean and a variance are, and how a tensor is
# broadcast.

# %% tags=["setup"]
from helpers import course

course.setup(minutes={{minutes}})

# %% [markdown]
# ## Do you remember?  <small>5 min</small>
#
# Answer aloud, then open.
#
# **1.** $X$ and $Y$ are independent Gaussians with standard deviations 3 and 4. What is the standard deviation of $X + Y$?
#
# <details><summary>Answer</summary>5. The variances add: 9 + 16 = 25. (Session {{session:start_here}}, section 6)</details>
#
# **2.** What is $\mathrm{KL}\big(\mathcal N(1, 1)\,\|\,\mathcal N(0, 1)\big)$, in nats?
#
# <details><summary>Answer</summary>0.5. With equal widths only (μ₁ − μ₂)² / 2σ² is left. (Session {{session:start_here}}, section 10)</details>
#
# **3.** The model of session {{session:start_here}} called its network 40 times to make faces. What did it start from? And what does the network guess in each
# of these calls: the next, slightly cleaner picture?
#
# <details><summary>Answer</summary>It starts from pure noise. And no: it always guesses the *end*, the clean picture, walks a little towards it, and guesses again.
# (Session {{session:start_here}}, section 2. Session {{session:why_diffusion}} compares this with methods that need a single call.)</details>

# %% [markdown]
# ## 1 · How does one ruin a picture gently?  <small>9 min</small>
#
# We want to go from a picture to pure noise in many small steps. The first idea is to add a little noise, again and again.
#
# **Predict.** A pixel has the value 1. We add noise of variance 0.02, three hundred times. Is the pixel at the end still near 1, somewhere
# between $-1$ and $1$, or anywhere between $-4$ and $6$?
#
# <details><summary>Answer, after you have committed to one</summary>
#
# The last. Variances add: 300 · 0.02 = 6, a standard deviation of 2.4. Most pixels end within two standard deviations, between −4 and 6. After
# 3000 steps it would be −14 to 16: the numbers grow without end, and a network would have to work with all sizes at once.
#
# </details>
#
# So before we add noise, we make the picture a little smaller. One step of the forward process is
#
# $$\boxed{\;q(x_t\mid x_{t-1}) = \mathcal N\big(\sqrt{1-\beta_t}\;x_{t-1},\; \beta_t I\big)\;}\tag{DDPM, eq. 2}$$
#
# Written as something one can compute:
#
# $$x_t = \sqrt{1-\beta_t}\;x_{t-1} + \sqrt{\beta_t}\;\varepsilon_t,\qquad \varepsilon_t\sim\mathcal N(0, I)$$
#
# - $x_t$ is the picture after $t$ steps; $x_0$ is the clean one, and its values lie in $[-1, 1]$.
# - $\beta_t$, a small number between 0 and 1, is the variance of the noise that step $t$ adds.
# - $\varepsilon_t$ is fresh noise, one number per pixel. $I$ says: each pixel by itself, all with the same variance.
# - The letter $q$ is kept for this process. It has no network in it. Nothing here is learned.
#
# **Why the square root?** Let $v$ be the variance of a pixel before the step. Three ways to shrink give three new variances:
#
# | factor | variance after the step | in the long run |
# |---|---|---|
# | $1$ | $v + \beta$ | grows for ever |
# | $1-\beta$ | $(1-\beta)^2\,v + \beta$ | settles at $\frac{1}{2-\beta}$, about ½ |
# | $\sqrt{1-\beta}$ | $(1-\beta)\,v + \beta$ | settles at exactly 1 |
#
# Only with the square root does a picture of variance 1 keep variance 1. This is called **variance preserving**.
#
# Let us follow many copies of one pixel in a loop.

# %%
import torch


def walk(factor, beta, steps=300, n=5000):
    """n copies of a pixel that starts at 1: values (steps + 1, n)."""
    generator = torch.Generator().manual_seed(0)
    x = [torch.ones(n)]
    for _ in range(steps):
        eps = torch.randn(n, generator=generator)
        x.append(factor * x[-1] + beta**0.5 * eps)           # one step
    return torch.stack(x)


beta = 0.02
walks = {"1": walk(1, beta), "1 − β": walk(1 - beta, beta),
         "√(1 − β)": walk((1 - beta) ** 0.5, beta)}
for name, x in walks.items():
    print(f"factor {name:9s} variance after 300 steps {x[-1].var():.2f}")

# %% [markdown]
# Three of the copies in each figure, and the mean and spread of all:

# %%
import matplotlib.pyplot as plt


def show_walk(ax, x, title, limit=6):
    mean, std = x.mean(1), x.std(1)
    ax.fill_between(range(len(x)), mean - 2 * std, mean + 2 * std, alpha=0.25,
                    label="mean ± 2 standard deviations")
    ax.plot(x[:, :3], color="0.5", lw=0.5)                   # three of the copies
    ax.plot(mean, color="C3", lw=2, label="mean")
    ax.set(title=title, xlabel="step t", ylim=(-limit, limit))


fig, axes = plt.subplots(1, 3, figsize=(9.5, 2.4), sharey=True)
for ax, (name, x) in zip(axes, walks.items()):
    show_walk(ax, x, f"factor {name}, variance {x[-1].var():.2f}")
axes[0].set_ylabel("value of the pixel")
axes[0].legend(fontsize=8, loc="lower left")
plt.show()

# %% [markdown]
# With the factor 1 the old value is never forgotten, and the noise grows over it. With $\sqrt{1-\beta}$ the mean goes to 0 *and* the width
# stays within a fixed band: at the end every pixel is nearly a standard Gaussian. (Its mean is $0.98^{150}=0.05$ times the value with which it began.)
#
# The numbers agree with the table. Each variance starts at 0 here, because all copies start at the same value.

# %%
assert abs(walks["1"][-1].var() - 300 * beta) < 0.5          # grows by β per step
assert abs(walks["1 − β"][-1].var() - 1 / (2 - beta)) < 0.05
assert abs(walks["√(1 − β)"][-1].var() - 1) < 0.1

# %% [markdown]
# What does $\beta$ do? Move it. A large $\beta$ forgets faster. All bands go towards the same one, $0\pm2$, but with a small $\beta$ 300 steps are not enough: at $\beta=0.002$ the mean is still 0.74.

# %%
from helpers.widgets import slide


def one_walk(beta):
    ax = plt.subplots(figsize=(4.2, 2.2))[1]
    show_walk(ax, walk((1 - beta) ** 0.5, beta), f"β = {beta:.3f}", limit=4)
    plt.show()


slide(one_walk, beta=(0.002, 0.2, 0.02))

# %% [markdown]
# The slider sleeps on GitHub and on paper, so here is the same as a strip:

# %%
fig, axes = plt.subplots(1, 4, figsize=(9.5, 2.2), sharey=True)
for ax, beta_shown in zip(axes, (0.002, 0.01, 0.05, 0.2)):
    paths = walk((1 - beta_shown) ** 0.5, beta_shown)
    show_walk(ax, paths, f"β = {beta_shown}", limit=4)
plt.show()

# %% [markdown]
# ## 2 · Can we jump to step t at once?  <small>16 min</small>
#
# To train a network we will need noisy pictures at random steps, millions of times. Must we really walk 700 steps to see step 700?
#
# **Predict.** With $\beta = 0.02$ each step multiplies the old picture by $\sqrt{0.98}$. After how many steps is its factor down to one half:
# 35, 70 or 350?
#
# <details><summary>Answer, after you have committed to one</summary>
#
# About 70. The factor after k steps is 0.98 to the power k/2, and 0.98 to the power 35 is 0.49. In the figure above (factor √(1 − β)) the mean
# passes 0.5 there.
#
# </details>
#
# Now we derive the jump, line by line. Write $\alpha_t = 1-\beta_t$ for what a step keeps of the variance.
#
# **Line 1.** One step, as before:
#
# $$x_t = \sqrt{\alpha_t}\;x_{t-1} + \sqrt{1-\alpha_t}\;\varepsilon_t$$
#
# **Line 2.** Put the step before it in place of $x_{t-1}$:
#
# $$x_t = \sqrt{\alpha_t}\,\Big(\sqrt{\alpha_{t-1}}\;x_{t-2} + \sqrt{1-\alpha_{t-1}}\;\varepsilon_{t-1}\Big) + \sqrt{1-\alpha_t}\;\varepsilon_t$$
#
# **Line 3.** Multiply out. There are two noises now:
#
# $$x_t = \sqrt{\alpha_t\,\alpha_{t-1}}\;x_{t-2} + \underbrace{\sqrt{\alpha_t(1-\alpha_{t-1})}\;\varepsilon_{t-1} + \sqrt{1-\alpha_t}\;\varepsilon_t}_{\text{two independent Gaussians}}$$
#
# **Line 4.** Independent Gaussians add their *variances* (session {{session:start_here}}, section 6), and two terms cancel:
#
# $$\alpha_t(1-\alpha_{t-1}) + (1-\alpha_t) = \alpha_t - \alpha_t\alpha_{t-1} + 1 - \alpha_t = 1 - \alpha_t\alpha_{t-1}$$
#
# **Line 5.** So the two noises together are *one* Gaussian noise $\varepsilon'$ of exactly this variance:
#
# $$x_t = \sqrt{\alpha_t\,\alpha_{t-1}}\;x_{t-2} + \sqrt{1-\alpha_t\,\alpha_{t-1}}\;\varepsilon'$$
#
# Compare line 5 with line 1. It is the same sentence; only $\alpha_t$ became the product $\alpha_t\alpha_{t-1}$. So we may repeat it, and swallow one step
# after the other, until we stand at $x_0$. Call the product $\bar\alpha_t$ ("alpha bar"):
#
# $$\bar\alpha_t = \alpha_1\,\alpha_2\cdots\alpha_t,\qquad
# \boxed{\;x_t = \sqrt{\bar\alpha_t}\;x_0 + \sqrt{1-\bar\alpha_t}\;\varepsilon,\quad \varepsilon\sim\mathcal N(0, I)\;}\tag{DDPM, eq. 4}$$
#
# The whole course rests on this line. The same as a distribution: $q(x_t\mid x_0) = \mathcal N\big(\sqrt{\bar\alpha_t}\,x_0,\,(1-\bar\alpha_t)I\big)$.
#
# We call $\sqrt{\bar\alpha_t}$ the **signal** and $\sqrt{1-\bar\alpha_t}$ the **noise** of step $t$. Both stand at the level of standard deviations, not of variances: look for the roots. (The noise *is* a standard deviation; the signal is the factor of $x_0$.)
#
# In code. Our tables have $T+1$ entries: index 0 is the clean picture ($\bar\alpha_0 = 1$), index $T$ the noisiest.

# %%
T = 1000
betas = torch.cat([torch.zeros(1), torch.linspace(1e-4, 0.02, T)])   # (T+1,) β_0 = 0
alphas_cumprod = torch.cumprod(1 - betas, dim=0)                     # (T+1,) ᾱ_0 = 1


def add_noise(x0, t, eps):
    """x_t in one jump; x0 and eps (B, C, H, W), t (B,) whole numbers in 0 … T."""
    a = alphas_cumprod[t].view(-1, 1, 1, 1)                          # (B, 1, 1, 1)
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


print(f"ᾱ at 1, 250, 1000: {alphas_cumprod[1]:.4f}, {alphas_cumprod[250]:.3f}, "
      f"{alphas_cumprod[T]:.6f}")

# %% [markdown]
# `alphas_cumprod[t]` takes one number for each picture, (B,), so each picture of a batch can have its own $t$. `view` gives it the shape (B, 1, 1, 1), so that it is multiplied with the whole picture.
#
# **Loop against formula.** Ten thousand copies of a pixel with $x_0 = 0.8$ walk all 1000 steps. Do they have the mean and the variance that
# the formula promises?

# %%
generator = torch.Generator().manual_seed(0)
x, walked = torch.full((10_000,), 0.8), []                           # (10000,)
for b in betas:                                                # β_0 = 0 changes nothing
    x = (1 - b).sqrt() * x + b.sqrt() * torch.randn(len(x), generator=generator)
    walked.append(x)                                           # walked[t] is x_t

print("    t    mean: loop  formula    variance: loop  formula")
for t in (0, 10, 100, 250, 500, 1000):
    mean, variance = alphas_cumprod[t].sqrt() * 0.8, 1 - alphas_cumprod[t]
    print(f"{t:5d} {walked[t].mean():13.3f} {mean:8.3f} "
          f"{walked[t].var():17.3f} {variance:8.3f}")
    assert abs(walked[t].mean() - mean) < 0.04                       # 4 standard errors
    assert abs(walked[t].var() - variance) < 0.06

# %% [markdown]
# Not only mean and variance: the whole distribution is the Gaussian of the formula.

# %%
import math


def show_pixel(ax, t):
    mean = 0.8 * alphas_cumprod[t].sqrt()
    std = (1 - alphas_cumprod[t]).sqrt()
    grid = torch.linspace(-4, 4, 300)
    bell = torch.exp(-0.5 * ((grid - mean) / std) ** 2) / (std * math.sqrt(2 * math.pi))
    ax.hist(walked[t], 60, range=(-4, 4), density=True, alpha=0.4, label="loop")
    ax.plot(grid, bell, lw=2, label="formula")
    ax.axvline(0.8, color="0.5", ls=":", label="$x_0$")
    ax.set(title=f"t = {t}", xlabel="$x_t$", yticks=[])


fig, axes = plt.subplots(1, 4, figsize=(9.5, 2.3))
for ax, t in zip(axes, (20, 100, 300, 1000)):
    show_pixel(ax, t)
axes[0].legend(fontsize=8, loc="upper left")
plt.show()

# %%
def pixel_at(t):
    show_pixel(plt.subplots(figsize=(4.4, 2.4))[1], t)
    plt.show()


slide(pixel_at, t=(1, 1000, 100))

# %% [markdown]
# **On a photograph.** Upper row: the loop, one step after the other, with new noise in each. Lower row: the jump, with one noise for
# all. (Eileen Collins, astronaut; photograph: NASA, public domain; here 32×32 pixels.)

# %%
from helpers.data import photograph
from helpers.plots import filmstrip, show_images

photo = photograph(32)                                               # (1, 3, 32, 32)
generator = torch.Generator().manual_seed(1)
x, loop = photo, []
for b in betas:
    x = (1 - b).sqrt() * x + b.sqrt() * torch.randn(x.shape, generator=generator)
    loop.append(x)                                                   # loop[t] is x_t
eps = torch.randn(photo.shape, generator=torch.Generator().manual_seed(0))
jump = [add_noise(photo, torch.tensor([t]), eps) for t in range(T + 1)]
ts = [0, 50, 150, 250, 400, 700]
filmstrip([loop[t] for t in ts] + [jump[t] for t in ts],
          [f"loop, {t}" for t in ts] + [f"jump, {t}" for t in ts], rows=2, side=1.3);

# %%
def loop_and_jump(t):
    show_images(torch.cat([loop[t], jump[t]]), [f"loop, t = {t}", f"jump, t = {t}"],
                side=2.2)


slide(loop_and_jump, t=(0, 1000, 250))

# %% [markdown]
# > **Easily mistaken.** The jump is not *the same picture* as 700 small steps: the noise differs, pixel by pixel. It is a picture *from the same
# > distribution*. For training that is all we need: one random $t$, one jump, no waiting.
#
# > **Easily mistaken.** "We add noise until the picture is white", or grey. No: at the end each pixel is a fresh random number, about
# > $0 \pm 1$. One third of these numbers lie outside $[-1, 1]$; to *show* them we cut them off, which is why noise on the
# > screen looks like hard colours.
#
# **By hand equals helper.** From now on we use `add_noise` of the course, which does the same for every table and any shape. Random
# pictures, random steps, five at a time:

# %%
from helpers import diffusion, schedules

generator = torch.Generator().manual_seed(2)
x0 = torch.rand(5, 3, 8, 8, generator=generator) * 2 - 1             # in [−1, 1]
e = torch.randn(x0.shape, generator=generator)
t5 = torch.randint(0, T + 1, (5,), generator=generator)
helper = diffusion.add_noise(schedules.linear(T), x0, t5, e)
assert torch.allclose(add_noise(x0, t5, e), helper, atol=1e-5)
outside = (jump[T].abs() > 1).float().mean()
print(f"equal at t = {t5.tolist()};  outside [−1, 1] at t = 1000: {outside:.0%}")

# %% [markdown]
# ## 3 · Who decides how fast?  <small>15 min</small>
#
# The numbers $\beta_1 \dots \beta_T$ are ours to choose. A complete list of them, or anything that says how much signal and noise step $t$ has, is called a **schedule**. Four of them are in daily use:
#
# | schedule | what is written down | used by |
# |---|---|---|
# | linear | $\beta_t$ in equal steps from $10^{-4}$ to $0.02$ | DDPM |
# | scaled linear | $\sqrt{\beta_t}$ in equal steps from $\sqrt{0.00085}$ to $\sqrt{0.012}$ | Stable Diffusion |
# | cosine | $\bar\alpha_t = f(t)/f(0)$ with $f(t)=\cos^2\!\big(\frac{t/T+s}{1+s}\cdot\frac\pi2\big)$, $s=0.008$, and $\beta_t\le 0.999$ | Improved DDPM |
# | rectified flow | $x_t = (1-\frac tT)\,x_0 + \frac tT\,\varepsilon$ | flow matching |
#
# The first two start from $\beta$, the third starts from $\bar\alpha$ and finds $\beta_t = 1-\bar\alpha_t/\bar\alpha_{t-1}$. The fourth has no $\beta$ at all: its
# $\text{signal}^2+\text{noise}^2$ is not 1. So one formula for all four needs two tables, `signal` and `noise`:
#
# $$x_t = \text{signal}_t\cdot x_0 + \text{noise}_t\cdot\varepsilon$$
#
# **Predict.** At $t = 500$ of 1000, half way: in which of the four is the face seen best, and in which worst?

# %%
def from_betas(betas):
    a = torch.cat([torch.ones(1), torch.cumprod(1 - betas, 0)])      # (T+1,) ᾱ
    return a.sqrt(), (1 - a).sqrt()                                  # signal, noise


def linear(T):
    return from_betas(torch.linspace(1e-4, 0.02, T, dtype=torch.float64))


def scaled_linear(T):
    roots = torch.linspace(0.00085**0.5, 0.012**0.5, T, dtype=torch.float64)
    return from_betas(roots**2)


def cosine(T, s=0.008):
    f = torch.cos((torch.arange(T + 1).double() / T + s) / (1 + s) * math.pi / 2) ** 2
    return from_betas((1 - f[1:] / f[:-1]).clamp(max=0.999))


def rectified_flow(T):
    u = torch.arange(T + 1).double() / T
    return 1 - u, u

# %% [markdown]
# By hand equals helper, for long and short tables:

# %%
from helpers.schedules import make_schedule

by_hand = {"linear": linear, "scaled_linear": scaled_linear,
           "cosine": cosine, "rectified_flow": rectified_flow}
for name, function in by_hand.items():
    for steps in (7, 100, 1000):
        signal, noise = function(steps)
        helper = make_schedule(name, steps)
        assert torch.allclose(signal, helper.signal, atol=1e-6), name
        assert torch.allclose(noise, helper.noise, atol=1e-6), name
tables = {name: make_schedule(name) for name in by_hand}             # T = 1000 each
print("four schedules, three lengths: equal")

# %% [markdown]
# How do we compare them? By the **signal-to-noise ratio** and its logarithm:
#
# $$\mathrm{SNR}_t = \frac{\text{signal}_t^2}{\text{noise}_t^2},\qquad \log\mathrm{SNR}_t = \ln \mathrm{SNR}_t$$
#
# $\log\mathrm{SNR} = 0$ means signal = noise. At $+4.6$ signal² is a hundred times noise² (the signal is ten times the noise), at $-4.6$ a hundredth of it.

# %%
STYLES = {"linear": "-", "scaled_linear": "--", "cosine": "-.", "rectified_flow": ":"}
fig, axes = plt.subplots(1, 3, figsize=(9.5, 3))
for name, table in tables.items():
    look = dict(ls=STYLES[name], lw=2, label=name.replace("_", " "))
    if table.variance_preserving:
        axes[0].semilogy(range(1, T + 1), table.betas[1:], **look)
    axes[1].plot(table.signal**2, **look)
    axes[2].plot(range(1, T), table.log_snr[1:-1], **look)
axes[0].set(title=r"$\beta_t$ (log scale)", xlabel="step t")
axes[1].set(title=r"signal$_t^2$  ($=\barα_t$ for the first three)", xlabel="step t")
axes[2].set(title=r"log SNR$_t$", xlabel="step t", ylim=(-12, 12))
axes[2].axhline(0, color="0.7", lw=1)
axes[1].legend(fontsize=8)
plt.show()

# %% [markdown]
# Read the middle picture from left to right. The linear schedule (solid) has $\bar\alpha_t<0.03$ from step 600 on, and spends 400 steps where
# there is almost nothing left to see. The cosine schedule falls evenly in the middle and slowly at both ends. This was the reason to invent it: Improved DDPM reports
# that for small pictures, 32×32 and 64×64, the end of the linear schedule is too noisy to be of much use (section 3.2).
#
# The same photograph, the same noise, the same $t$:

# %%
ts = [100, 250, 400, 500, 700]
rows, titles = [], []
for name, table in tables.items():
    for t in ts:
        rows.append(diffusion.add_noise(table, photo, torch.tensor([t]), eps))
        titles.append(f"{name.replace('_', ' ')}, {t}")
filmstrip(rows, titles, rows=4, side=1.3);

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# At $t = 500$ cosine and rectified flow show the face best, linear worst. (Rectified flow looks pale in the middle,
# because there $\text{signal}^2+\text{noise}^2 = 0.5$ only.)
#
# </details>
#
# Now move both, the step and the schedule:

# %%
def noised(t, schedule):
    table = tables[schedule]
    x = diffusion.add_noise(table, photo, torch.tensor([t]), eps)
    share = f"signal {table.signal[t]:.2f}, noise {table.noise[t]:.2f}"
    show_images(x, [f"t = {t}: {share}"], side=2.8)


slide(noised, t=(0, 1000, 250), schedule=list(tables))

# %% [markdown]
# **One road, four timetables.** Take the step at which each schedule has $\log\mathrm{SNR} = 0$, divide the result by $\sqrt{\text{signal}^2+\text{noise}^2}$, and
# compare. The steps differ; the picture does not.

# %%
pictures, titles = [], []
for name, table in tables.items():
    t = int(table.log_snr.abs().argmin())                      # nearest to 0
    total = (table.signal[t] ** 2 + table.noise[t] ** 2).sqrt()
    x = diffusion.add_noise(table, photo, torch.tensor([t]), eps)
    pictures.append(x / total.float())
    titles.append(f"{name.replace('_', ' ')}, t = {t}")
for picture in pictures:
    assert (picture - pictures[0]).abs().max() < 0.03          # t is a whole number
filmstrip(pictures, titles, side=1.8);

# %% [markdown]
# So, up to a factor, a schedule does not choose *which* pictures lie on the road. It chooses *how many steps* are spent at each noise level, and where the road ends (section 5). VDM (2021) builds its
# theory on this: what counts is the SNR; $t$ is only a name for it.
#
# The last entries, beside the table of Lin et al. (2023, table 1):

# %%
published = {"linear": 4.035993e-05, "cosine": 2.428735e-09, "scaled_linear": 0.004682}
for name, paper in published.items():
    snr = tables[name].log_snr[-1].exp().item()
    print(f"{name:14s} SNR at T = 1000: {snr:.4e}   paper {paper:.4e}")
    assert abs(snr / paper - 1) < 1e-3

# %% [markdown]
# ## 4 · Why does a larger picture need more noise?  <small>9 min, may be skipped</small>
#
# **Predict.** The same photograph with 16×16 and with 64×64 pixels, both noised at the *same* step. In which do you recognise the person more
# easily, or is it the same?
#
# Your eye averages neighbours. Average blocks of 2×2 pixels of a noisy picture:
#
# - the **signal** stays: the average of four clean neighbours *is* the picture at half the side;
# - the **noise** shrinks: four independent noises have a sum of variance $4\,\text{noise}^2$; divided by 4, the variance is
#   $\frac{4\,\text{noise}^2}{16} = \frac{\text{noise}^2}{4}$.
#
# The SNR becomes four times as large, so $\log\mathrm{SNR}$ grows by $\ln 4 = 2\ln 2 \approx 1.39$. In a large picture hides a small one with less
# noise!
#
# To make the task equally hard at twice the side, we must take this away again: add $-2\ln 2$ to $\log\mathrm{SNR}$, once for each doubling
# (Simple Diffusion, section 3.1).

# %%
from torch.nn.functional import avg_pool2d

generator = torch.Generator().manual_seed(3)
sizes = {side: avg_pool2d(photograph(64), 64 // side) for side in (16, 32, 64)}
noises = {side: torch.randn(1, 3, side, side, generator=generator) for side in sizes}
halved = avg_pool2d(noises[64], 2)
print(f"noise {noises[64].std():.3f}, after averaging 2×2: {halved.std():.3f}")
assert abs(halved.std() - 0.5) < 0.02


def shift(signal, noise, by):
    """The variance-preserving table whose log SNR is larger by `by`."""
    log_snr = 2 * (signal.log() - noise.log()) + by
    return torch.sigmoid(log_snr).sqrt(), torch.sigmoid(-log_snr).sqrt()


signal, noise = shift(*cosine(1000), -2 * math.log(2))
helper = schedules.shift(make_schedule("cosine"), -2 * math.log(2))
assert torch.allclose(signal, helper.signal) and torch.allclose(noise, helper.noise)

# %% [markdown]
# Why the sigmoid? For a variance-preserving table $\bar\alpha = \frac{\mathrm{SNR}}{1+\mathrm{SNR}}$, and that is the sigmoid of $\log\mathrm{SNR}$.
#
# Upper row: one table for all sizes. Lower row: each doubling shifted by $-2\ln 2$ more, starting from 16×16.

# %%
def at_size(side, t, shifted):
    doublings = round(math.log2(side / 16)) if shifted else 0
    table = make_schedule("cosine", 1000, -2 * math.log(2) * doublings)
    return diffusion.add_noise(table, sizes[side], torch.tensor([t]), noises[side])


def show_sizes(t, rows=(False, True), width=1.7):
    size = 3 * width, len(rows) * (width + 0.25)
    fig, axes = plt.subplots(len(rows), 3, figsize=size)
    for i, ax in enumerate(axes.flat):
        shifted, side = rows[i // 3], (16, 32, 64)[i % 3]
        x = at_size(side, t, shifted)[0].clamp(-1, 1) / 2 + 0.5
        ax.imshow(x.permute(1, 2, 0))
        moved = ", shifted" if shifted and side > 16 else ""
        ax.set_title(f"{side}×{side}{moved}", fontsize=9)
        ax.axis("off")
    plt.show()


show_sizes(300)

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# The large one: at the same step it is easier to recognise.
#
# </details>
#
# With the shift the advantage of the large picture is gone. (To the eye the shifted 64×64 may even look harder: the eye does not average perfectly, and values outside $[-1, 1]$ are cut off.) When we train on larger pictures later in
# this course, we shift the table.

# %%
def sizes_at(t, shifted):
    show_sizes(t, rows=(shifted == "yes",))


slide(sizes_at, t=(0, 1000, 450), shifted=["no", "yes"])

# %% [markdown]
# And a number, from the tables alone: averaging 4×4 divides the noise by 4. With that, the SNR of the shifted 64×64 table must be that of the 16×16 table.

# %%
table16 = make_schedule("cosine")
table64 = make_schedule("cosine", 1000, -2 * math.log(2) * 2)        # two doublings
t = 300
snr16 = (table16.signal[t] / table16.noise[t]) ** 2
snr64 = (table64.signal[t] / (table64.noise[t] / 4)) ** 2      # 4×4 averaged: std / 4
print(f"SNR at 16×16: {snr16:.4f};  at 64×64, averaged 4×4: {snr64:.4f}")
assert torch.isclose(snr16, snr64)

# %% [markdown]
# ## 5 · When is $x_T$ noise?  <small>13 min</small>
#
# When we *make* pictures, we start from pure noise $\mathcal N(0, I)$. In training the network sees $x_T$, which is only *nearly* noise. How far are the
# two apart? The question "how wrong is it to believe $\mathcal N(0, I)$" has a name: KL.
#
# **Predict.** The linear table ends with signal $0.006$. You have the choice: 1000 steps, or 100 steps with $\beta$ again from $10^{-4}$ to $0.02$. Does the
# second one also end in noise?
#
# We derive it. For one pixel with value $x_0$, both are Gaussians: $q$ has mean $\text{signal}\cdot x_0$ and variance $\text{noise}^2$, the other
# has mean 0 and variance 1. The formula of session {{session:start_here}} (section 10) with $\mu_2=0$, $\sigma_2=1$ says
#
# $$\mathrm{KL} = \log\frac{1}{\text{noise}} + \frac{\text{noise}^2 + \text{signal}^2x_0^2}{2} - \frac12
# = \tfrac12\big(\text{signal}^2\,x_0^2 + \text{noise}^2 - 1 - \log\text{noise}^2\big)$$
#
# The pixels are independent given $x_0$, so their KLs **add**. With $D$ numbers in the picture ($D = 3\cdot32\cdot32 = 3072$) and $\|x_0\|^2$ the sum of their
# squares:
#
# $$\boxed{\;\mathrm{KL}\big(q(x_T\mid x_0)\,\|\,\mathcal N(0,I)\big)
# = \tfrac12\Big(\text{signal}_T^2\,\|x_0\|^2 + D\,\big(\text{noise}_T^2 - 1 - \log\text{noise}_T^2\big)\Big)\;}$$
#
# The unit is the *nat*. In session {{session:elbo}} this number comes back under the name $L_T$, the first term of the bound.

# %%
def kl_to_noise(x0, signal, noise):
    """KL(q(x_t given x_0) ‖ N(0, I)) of one picture in nats."""
    width = noise**2 - 1 - (noise**2).log()                          # for one pixel
    return 0.5 * (signal**2 * x0.square().sum() + x0.numel() * width)


from torch.distributions import Normal, kl_divergence

x0 = photo.double()
table = tables["linear"]
for t in (1, 10, 500, 1000):
    signal, noise = table.signal[t], table.noise[t]
    library = kl_divergence(Normal(signal * x0, noise), Normal(0.0, 1.0)).sum()
    assert torch.isclose(kl_to_noise(x0, signal, noise), library)
    print(f"t = {t:4d}: {library:10.3f} nats")

# %% [markdown]
# Now the table: three schedules and three lengths, for the photograph.

# %%
lengths = (10, 100, 1000)
names = ("linear", "scaled_linear", "cosine")
kl_T = {}
print(f"{'KL in nats':14s}" + "".join(f"{f'T = {steps}':>14s}" for steps in lengths))
for name in names:
    for steps in lengths:
        table = make_schedule(name, steps)
        kl_T[name, steps] = kl_to_noise(x0, table.signal[-1], table.noise[-1]).item()
    print(f"{name:14s}" + "".join(f"{kl_T[name, steps]:14.6f}" for steps in lengths))

bits = kl_T["linear", 1000] / math.log(2) / x0.numel()
print(f"\nlinear, T = 1000, in bits for each of the {x0.numel():,} numbers: {bits:.1e}")
assert 0.5e-5 < bits < 2e-5                                          # DDPM says ≈ 1e-5

# %% [markdown]
# DDPM reports this very number for its table: $L_T\approx10^{-5}$ bits per dimension (section 4, on CIFAR-10). Our photograph gives the same.
#
# The same table as pictures. Each is $x_T$, the *last* picture of its schedule:

# %%
def nats(kl):
    return f"{kl:.0f}" if kl > 10 else f"{kl:.2g}"


ends, titles = [], []
for name in names:
    for steps in lengths:
        table = make_schedule(name, steps)
        ends.append(diffusion.add_noise(table, photo, torch.tensor([steps]), eps))
        titles.append(f"{name.replace('_', ' ')}, {steps}: {nats(kl_T[name, steps])}")
filmstrip(ends, titles, rows=3, side=1.75, title="schedule, T: KL in nats");

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# No. With $T=100$ the signal at the end is still 0.60, and the KL is 299 nats instead of 0.018: one sees hair and shoulders.
#
# </details>
#
# The linear table with $T = 10$ ends while one still recognises the face! Its $\beta$ run from $10^{-4}$ to $0.02$ whatever $T$ is. **The table is not rescaled with $T$.** Ten
# steps of at most 0.02 are ten small steps, and the process stops near the start of the road. For 100 steps one has to multiply $\beta$ by 10:

# %%
tenfold = schedules.from_betas(10 * torch.linspace(1e-4, 0.02, 100).double())
kl = kl_to_noise(x0, tenfold.signal[-1], tenfold.noise[-1]).item()
print(f"linear, T = 100, β ten times as large: KL {kl:.3f} nats")
assert kl < 0.05

# %% [markdown]
# > **Easily mistaken.** "More steps, more noise." That is true above all for tables that are written down as $\beta$. The cosine schedule is written down as $\bar\alpha$ over
# > $t/T$: a larger $T$ cuts the same road into smaller pieces, and already with $T=10$ it ends in noise (0.011 nats). The small rest comes from the cap $\beta_t\le0.999$; it shrinks with $T$.

# %%
def last_picture(T, schedule):
    table = make_schedule(schedule, T)
    x = diffusion.add_noise(table, photo, torch.tensor([T]), eps)
    kl = kl_to_noise(x0, table.signal[-1], table.noise[-1])
    show_images(x, [f"x_T of {schedule}, T = {T}: KL {nats(kl)} nats"], side=2.8)


slide(last_picture, T=[10, 50, 100, 200, 400, 1000], schedule=list(names))

# %% [markdown]
# ### Are 2.1 nats much?
#
# The scaled linear table, that of Stable Diffusion, ends with a signal of 0.068. You see nothing in its last picture. But average all 3072
# numbers: the noise shrinks by $\sqrt{3072}\approx 55$, and the *brightness* of the picture stands out.
#
# We noise an all-black picture ($x_0=-1$) and an all-white one ($x_0=+1$) up to $T$, 1000 times, and look at the mean of each result. (These two are the extreme case: by the formula above their KL is 7.2 nats.)

# %%
black, white = -torch.ones(3, 32, 32), torch.ones(3, 32, 32)
draws = torch.randn(1000, 3, 32, 32, generator=torch.Generator().manual_seed(4))
ending = {"scaled linear": tables["scaled_linear"], "linear": tables["linear"],
          "scaled linear,\nzero terminal SNR":
              schedules.zero_terminal_snr(tables["scaled_linear"])}
fig, axes = plt.subplots(1, 3, figsize=(9.5, 2.5), sharex=True, sharey=True)
for ax, (name, table) in zip(axes, ending.items()):
    for x, label, color in ((black, "black", "0.2"), (white, "white", "C1")):
        x_T = table.signal[-1] * x + table.noise[-1] * draws         # (1000, 3, 32, 32)
        means = x_T.mean((1, 2, 3))                                  # (1000,)
        ax.hist(means, 50, range=(-0.15, 0.15), alpha=0.6, color=color, label=label)
    ax.set(title=name, xlabel="mean of $x_T$", yticks=[])
axes[0].legend(fontsize=8)
plt.show()

# %% [markdown]
# On the left the mean alone tells black from white, every time. A network can notice this in training and rely on it. When we
# make pictures, though, we start from $\mathcal N(0,I)$, whose mean is always near 0: "medium brightness". Lin et al. (2023) report just that: Stable Diffusion has
# difficulty with very dark and very bright pictures.
#
# Their cure is **zero terminal SNR**: shift and stretch $\sqrt{\bar\alpha_t}$ so that the last value is exactly 0 and the first one stays.

# %%
root = tables["scaled_linear"].alphas_cumprod[1:].sqrt()             # (T,)
mended = (root - root[-1]) * root[0] / (root[0] - root[-1])          # two lines by hand
helper = schedules.zero_terminal_snr(tables["scaled_linear"])
assert torch.allclose(mended, helper.signal[1:])
kl_end = kl_to_noise(x0, helper.signal[-1], helper.noise[-1]).item()
print(f"last signal {mended[-1]:.3f}, KL {kl_end:.3f} nats")
assert mended[-1] == 0 and kl_end == 0

# %% [markdown]
# Now $x_T$ is noise, exactly. The price: there $x_T$ *is* $\varepsilon$, so a network that has to name $\varepsilon$ learns nothing about the picture. Session {{session:parameterisations}}
# shows what it has to predict instead.

# %% [markdown]
# ## 6 · How does a density melt?  <small>9 min, may be skipped</small>
#
# So far we noised one picture. What happens to *all data at once*, to their distribution? In the plane we can see it.
#
# Each data point becomes a Gaussian spot, and the density of $x_t$ is the mixture of them all:
#
# $$q(x_t) = \int q(x_t\mid x_0)\,q(x_0)\,dx_0$$
#
# The points move towards the middle (factor signal) and each is blurred (noise).
#
# **Predict.** Eight Gaussian hills stand on a circle. When the noise grows, do they merge in pairs (8 → 4 → 2 → 1), or otherwise?

# %%
from helpers.data import load_points
from helpers.plots import COLORS, scatter

linear_table = tables["linear"]
clouds = {name: load_points(name, 600) for name in ("swiss_roll", "eight_gaussians")}
ts = [0, 50, 120, 200, 350, 1000]
for cloud, color in zip(clouds.values(), COLORS):
    e = torch.randn(cloud.shape, generator=torch.Generator().manual_seed(5))
    melted = [diffusion.add_noise(linear_table, cloud, t, e) for t in ts]
    scatter(melted, [f"t = {t}" for t in ts], side=1.55, color=color)
    plt.show()

# %% [markdown]
# The thin spiral is gone by $t = 120$; the large shape stays longer. *Fine things go first, coarse things last.* On the way back it will be the
# other way round: first the coarse, then the fine. You saw this in the "belief" of session {{session:start_here}}.
#
# For the eight hills we know the density exactly: a mixture of Gaussians stays one, with means $\text{signal}\cdot\mu_k$ and variances
# $\text{signal}^2\sigma^2+\text{noise}^2$, where $\mu_k$ and $\sigma = 0.1$ are middle and width of hill $k$.

# %%
from helpers.exact import MixtureDenoiser

angles = torch.arange(8).double() * math.pi / 4
means = 1.4 * torch.stack([angles.cos(), angles.sin()], 1)     # (8, 2) on a circle
hills = MixtureDenoiser(linear_table, means, stds=0.1)
axis = torch.linspace(-2.2, 2.2, 90, dtype=torch.float64)
grid = torch.cartesian_prod(axis, axis)                              # (8100, 2)


def show_density(ax, t):
    height = hills.log_density(grid, torch.tensor(t)).exp().view(90, 90).T
    ax.contourf(axis, axis, height / height.max(), levels=8, cmap="cividis")
    ax.set(xticks=[], yticks=[], aspect="equal")
    ax.set_title(f"t = {t}", fontsize=9)


fig, axes = plt.subplots(1, 7, figsize=(9.8, 1.7))
for ax, t in zip(axes, (20, 80, 140, 200, 240, 280, 400)):
    show_density(ax, t)
plt.show()

# %%
def density_at(t):
    show_density(plt.subplots(figsize=(3, 3.2))[1], t)
    plt.show()


slide(density_at, t=(1, 600, 140))

# %% [markdown]
# **Count the tops.** Start at each of the eight means and climb until it goes no higher. For equal hills there is a simple way to climb: move to
# the average of the means, each weighted with its share in the density here.
#
# Beside it stands the depth of the valley: the density half way between two tops, divided by the density at the top.

# %%
def tops(t, turns=2500):
    """How many different tops q(x_t) has, and valley / top."""
    a = linear_table.signal[t]
    x = a * means
    for _ in range(turns):
        share = hills.components(x, torch.tensor(t))[0].softmax(1)   # (8, 8)
        x = share @ (a * means)                                      # uphill
    half = torch.tensor(math.pi / 8).double()                        # on the ridge
    between = x[0].norm() * torch.stack([half.cos(), half.sin()])[None]
    heights = hills.log_density(torch.cat([x[:1], between]), torch.tensor(t)).exp()
    return len(x.mul(20).round().unique(dim=0)), (heights[1] / heights[0]).item()


print("    t   tops   valley / top")
for t in (50, 100, 150, 180, 200, 240, 250, 270, 300):
    count, valley = tops(t)
    print(f"{t:5d} {count:6d} {valley:14.3f}")

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# Otherwise: 8 → 1, all at once.
#
# </details>
#
# The hills melt into a *ring* first: at $t = 200$ a valley is hardly lower than a top, and no eye sees eight of them. The ring then closes, and all eight tops meet
# in the centre at the same time: 8 → 1. Merging in pairs would break the symmetry: which pairs?
#
# When? The centre becomes the top when the blurred hill is wide enough for the circle of radius $r = 1.4$: $\text{signal}^2\sigma^2+\text{noise}^2 >
# \tfrac12\,\text{signal}^2r^2$. With $\text{noise}^2 = 1-\bar\alpha_t$ this says $\bar\alpha_t < 1/(1+\tfrac12r^2-\sigma^2) = 0.508$.

# %%
critical = 1 / (1 + 1.4**2 / 2 - 0.1**2)
t_one = int((linear_table.alphas_cumprod < critical).nonzero()[0])
print(f"one top from t = {t_one} on (ᾱ = {linear_table.alphas_cumprod[t_one]:.3f})")
assert tops(t_one - 6)[0] == 8 and tops(t_one + 6)[0] == 1

# %% [markdown]
# ## 7 · Where does the eye lose the face, and where is it really gone?  <small>11 min</small>
#
# Here are faces of the course (drawn; the test part; 64×64), noised with the linear table.
#
# **Predict.** Write down two numbers: the step at which *you* cannot tell the faces apart any more, and the step at which you think
# *nobody* could. (In session {{session:start_here}} you noted such a step for the photograph.)

# %%
from helpers.data import load_faces

limit = course.pick(smoke=64, cpu=256, gpu=256)
faces = load_faces("embedded", "test", limit=limit).images
noise7 = torch.randn(faces.shape, generator=torch.Generator().manual_seed(6))
shown, ts = [3, 21], [0, 200, 300, 400, 500, 600]
rows = [diffusion.add_noise(linear_table, faces[[i]], torch.tensor([t]), noise7[[i]])
        for i in shown for t in ts]
filmstrip(rows, [f"t = {t}" for t in ts] * 2, rows=2, side=1.3);

# %%
def face_at(t, face):
    one, e = faces[[face]], noise7[[face]]
    x = diffusion.add_noise(linear_table, one, torch.tensor([t]), e)
    show_images(x, [f"face {face}, t = {t}"], side=2.8)


slide(face_at, t=(0, 1000, 400), face=(0, len(faces) - 1, 10))

# %% [markdown]
# Now the best possible observer, who knows the 256 faces and must say which one is hidden in $x_t$. All are equally likely, so Bayes says:
# choose the face $f$ under which $x_t$ is most likely.
#
# $$q(x_t\mid x_0 = f)\;\propto\;\exp\Big(-\frac{\|x_t-\text{signal}_t f\|^2}{2\,\text{noise}_t^2}\Big)$$
#
# Most likely means nearest. Multiply the square out; $\|x_t\|^2$ is the same for all faces, so it can be left out. What remains is the **matched filter**:
#
# $$\boxed{\;\text{choose the } f \text{ with the largest}\quad \langle x_t, f\rangle - \tfrac12\,\text{signal}_t\,\|f\|^2\;}$$
#
# $\langle x_t, f\rangle$ multiplies the two pictures number by number and adds up all 12288 products. No rule can do better on average.

# %%
def recognise(x_t, faces, signal):
    """The most likely face for each x_t (B, C, H, W): positions in faces, (B,)."""
    flat = faces.flatten(1)                                          # (K, D)
    score = x_t.flatten(1) @ flat.T - 0.5 * signal * flat.square().sum(1)    # (B, K)
    return score.argmax(1)


def accuracy(table, t, rounds=2):
    right = 0
    for seed in range(rounds):
        e = torch.randn(faces.shape, generator=torch.Generator().manual_seed(seed))
        x_t = diffusion.add_noise(table, faces, torch.tensor(t), e)
        found = recognise(x_t, faces, table.signal[t].float())
        right += (found == torch.arange(len(faces))).sum().item()
    return right / (rounds * len(faces))


signal = linear_table.signal[300].float()
x_t = diffusion.add_noise(linear_table, faces, torch.tensor(300), noise7)
nearest = torch.cdist(x_t.flatten(1), signal * faces.flatten(1)).argmin(1)
assert torch.equal(recognise(x_t, faces, signal), nearest)           # the same choice

# %% [markdown]
# Here is the picture that was promised: what you see, and what the rule finds in it. ✓ means right.

# %%
t_seen = 550
x_t = diffusion.add_noise(linear_table, faces, torch.tensor(t_seen), noise7)
found = recognise(x_t, faces, linear_table.signal[t_seen].float())
six = range(6)
marks = ["✓" if found[i] == i else "✗" for i in six]
titles = [f"$x_{{{t_seen}}}$"] * 6 + [f"found {mark}" for mark in marks]
filmstrip([x_t[i] for i in six] + [faces[found[i]] for i in six], titles, rows=2,
          side=1.3);

# %% [markdown]
# Now all faces, at eleven noise levels, with two schedules. For each level we take the step whose $\log\mathrm{SNR}$ is nearest.

# %%
levels = torch.tensor([0, -1, -2, -3, -3.5, -4, -4.5, -5, -6, -8, -10])
curves = {}
for name in ("linear", "cosine"):
    table = tables[name]
    steps = [int((table.log_snr - level).abs().argmin()) for level in levels]
    curves[name] = steps, [accuracy(table, t) for t in steps]

n = 2 * len(faces)
print(f"n = {n} noisy pictures: {len(faces)} faces, 2 noises each (seeds 0 and 1)")
print("log SNR      " + "".join(f"{level:6.1f}" for level in levels))
for name, (steps, values) in curves.items():
    print(f"{name:7s} t    " + "".join(f"{t:6d}" for t in steps))
    print("    right    " + "".join(f"{v:6.0%}" for v in values))

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 2.6), sharey=True)
for (name, (steps, values)), marker in zip(curves.items(), "os"):
    look = dict(marker=marker, ls=STYLES[name], label=name)
    left.plot(steps, values, **look)
    right.plot(tables[name].log_snr[steps], values, **look)
for ax in (left, right):
    ax.axhline(1 / len(faces), color="0.5", ls=":", label="pure guessing")
left.set(xlabel="step t", ylabel="faces recognised", ylim=(-0.03, 1.05))
right.set(xlabel="log SNR (noise grows to the right)", xlim=(0.3, -10.3))
left.legend(fontsize=8, loc="lower left")
plt.show()

# %% [markdown]
# At $t = 550$ of the linear table you see coloured grain, and the rule still names 99 of 100 faces. What you miss is *there*; it is spread over $3\cdot64\cdot64 = 12288$ numbers, a
# little in each. An eye does not add them up; a sum does. A network can learn to do it too, and that is why one can denoise what looks like nothing.
#
# <details><summary>And where is the face really gone?</summary>
#
# From about $t = 590$ on (96 %) faces get confused more and more often. At $t = 889$ the rule names 2 of 100, and pure guessing would name 0.4. The information does not end at one step. It fades.
#
# </details>
#
# Look at the right panel: with the same noises, the two schedules lie on *one* curve over $\log\mathrm{SNR}$. It is section 3 again: one road, two timetables.

# %% [markdown]
# ### And on the photograph
#
# Only two candidates now: the astronaut, or her mirror image. For two pictures $f, g$ one can compute how often the best rule is right:
#
# $$P(\text{right}) = \Phi\Big(\frac{\text{signal}_t\,\|f-g\|}{2\,\text{noise}_t}\Big)$$
#
# $\Phi$ is the distribution function of the standard Gaussian. The rule is wrong only when the noise pushes $x_t$ over the middle between the two, along the one line that
# connects them.

# %%
big = photograph(64)
pair = torch.cat([big, big.flip(-1)])                                # (2, 3, 64, 64)
apart = (pair[0] - pair[1]).norm()
tries = torch.randn(1000, 3, 64, 64, generator=torch.Generator().manual_seed(7))
measured, formula = [], []
for t in (300, 500, 600, 700, 800, 900, 1000):
    signal, noise = linear_table.signal[t].float(), linear_table.noise[t].float()
    found = recognise(signal * big + noise * tries, pair, signal)
    measured.append((found == 0).float().mean().item())
    formula.append(Normal(0.0, 1.0).cdf(signal * apart / (2 * noise)).item())
    print(f"t = {t:4d}: right {measured[-1]:.3f}, formula {formula[-1]:.3f}")
    assert abs(measured[-1] - formula[-1]) < 0.06              # about 4 standard errors

# %% [markdown]
# Even at $t = 1000$ the rule is right a little more often than a coin. It fits the KL of section 5, which was small, not zero.
#
# Look at it: left the photograph, right its mirror image, with the same noise. $P$ is the formula for the pair.

# %%
def show_duel(ts, side=1.4):
    images, titles = [], []
    for t in ts:
        signal, noise = linear_table.signal[t].float(), linear_table.noise[t].float()
        right = Normal(0.0, 1.0).cdf(signal * apart / (2 * noise.clamp(min=1e-6)))
        images += list(signal * pair + noise * tries[0])
        titles += [f"t = {t}", f"mirrored; P {right:.1%}"]
    filmstrip(images, titles, side=side)


show_duel((300, 500, 800))

# %%
def duel_at(t):
    show_duel([t], side=2)


slide(duel_at, t=(0, 1000, 600))

# %% [markdown]
# ## At the end  <small>3 min</small>
#
# **By hand equals helper**, all of them once more in one place: the jump (section 2), four schedules at three lengths (3), the shift (4), the KL against
# PyTorch (5), zero terminal SNR (5), nearest equals matched filter (7). Each was an `assert` above: a cell that is wrong would have stopped the notebook.
#
# **Measured here**, beside what papers or formulas say:

# %%
def last_with(level):
    kept = [t for t, value in zip(*curves["linear"]) if value >= level]
    return f"t = {max(kept)}"


sd = tables["scaled_linear"].log_snr[-1].exp()
rows = [
    ("KL at T, linear", f"{bits:.1e} bits/dim", "≈ 1e-5, CIFAR-10 (DDPM)"),
    ("SNR at T, scaled linear", f"{sd:.6f}", "0.004682 (Lin et al.)"),
    ("eight hills become one", f"t = {t_one - 6} … {t_one + 6}",
     f"formula: t = {t_one}"),
    (f"≥ 95 % of {len(faces)} faces found up to", last_with(0.95), ""),
    (f"≥ 40 % of {len(faces)} faces found up to", last_with(0.4), ""),
    ("mirror image told at T", f"{measured[-1]:.1%}", f"formula {formula[-1]:.1%}"),
]
for what, here, reported in rows:
    print(f"{what:34s} {here:>16s}    {reported}")
print(f"\nlinear table unless said otherwise; faces: drawn, test, n = {n}, seeds 0, 1;")
print("the last of the eleven steps tried; mirror: n = 1000, seed 7; one photograph;")
print("computed on the CPU in seconds")

# %% [markdown]
# **Minutes.** Recall 5, one step 9, the jump 16, schedules 15, larger pictures 9, $x_T$ 13, densities 9, eye and rule 11, end 3: together 90. In a hurry leave out
# sections 4 and 6; then it is 72.
#
# **Summary**
#
# - One step shrinks by $\sqrt{1-\beta_t}$ and adds noise of variance $\beta_t$. The root keeps the variance at 1.
# - Many steps are one jump: $x_t = \sqrt{\bar\alpha_t}\,x_0+\sqrt{1-\bar\alpha_t}\,\varepsilon$. Two Gaussians merge because variances add.
# - A schedule says how many steps are spent at which $\log\mathrm{SNR}$. Twice the side asks for $-2\ln 2$.
# - $x_T$ is noise when $\mathrm{KL}(q(x_T\mid x_0)\,\|\,\mathcal N(0,I))$ is near 0. That depends on the table *and* on $T$.
# - Fine structure goes first. What the eye has lost, a sum over all pixels can still find.
#
# **At the exit.** A table has $\bar\alpha_t = 0.2$. How large are signal and noise? What is $\log\mathrm{SNR}$? And is there another schedule with the same picture $x_t$?
# <details><summary>Answer</summary>Signal √0.2 = 0.45, noise √0.8 = 0.89, log SNR = ln(0.2 / 0.8) = −1.39. Every other schedule shows (up to a factor) the same picture at the step where its
# log SNR is −1.39.</details>
#
# **Try next.** Put your own photograph in (`from helpers.data import load_picture`). Replace the linear table of section 7 by one that is shifted by $-2\ln 2$. Noise
# *moons* and *pinwheel* in section 6: what goes first?
#
# **Homework:** [homework/{{notebook}}](homework/{{notebook}}), four exercises that answer back. **Next session:** we walk back.
#
# **To read**
#
# - J. Sohl-Dickstein and others, *Deep Unsupervised Learning using Nonequilibrium Thermodynamics*, 2015 (arXiv 1503.03585), section 2.1: where the idea was born.
# - J. Ho, A. Jain, P. Abbeel, *Denoising Diffusion Probabilistic Models*, 2020 (arXiv 2006.11239), section 2 (equations 2 and 4) and the beginning of section 4.
# - A. Nichol, P. Dhariwal, *Improved Denoising Diffusion Probabilistic Models*, 2021 (arXiv 2102.09672), section 3.2: the cosine schedule.
# - D. Kingma, T. Salimans, B. Poole, J. Ho, *Variational Diffusion Models*, 2021 (arXiv 2107.00630), section 3.1: the signal-to-noise ratio.
# - S. Lin and others, *Common Diffusion Noise Schedules and Sample Steps are Flawed*, 2023 (arXiv 2305.08891), table 1 and algorithm 1.
# - E. Hoogeboom, J. Heek, T. Salimans, *Simple Diffusion: End-to-End Diffusion for High Resolution Images*, 2023 (arXiv 2301.11093), section 3.1: the shift.
