# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # {{number}} · Filling holes
#
# {{badge}}
#
# A scratch on an old photograph, a person who walked through the picture, a logo on a face: something is missing, and it should look as if nothing had been missing. Today a diffusion model does useful work. We do it in
# two ways: with the face model that we already have, without any training (**RePaint**), and with a model that was trained for the task (**Palette**). And we set both beside what one did before.
#
# At the end you will have made a sheet of faces that no model has seen, each with a hole and four different answers. Then you cut holes where you like, and press a button.
#
# **Time:** 90 minutes; the cells run for about four minutes on two CPU cores.
#
# **Before:** sessions {{session:forward_process}} (the jump to $x_t$), {{session:ddpm}} (the U-Net, algorithms 1 and 2, how pictures are scored) and {{session:parameterisations}} (what $v$ is).
#
# | section | minutes | may be skipped |
# |---|---|---|
# | recall | 4 | |
# | 1 · smooth it over | 8 | |
# | 2 · what is a good answer? | 14 | SSIM |
# | 3 · RePaint: no training at all | 16 | |
# | 4 · Palette: learn the task | 16 | |
# | 5 · faces | 9 | |
# | 6 · by hand | 7 | bad input |
# | 7 · the U-Net's parts, on and off | 5 | yes |
# | 8 · all methods, measured | 7 | |
# | 9 · photographs | 2 | yes |
# | 10 · summary, exit | 2 | |

# %% tags=["setup"]
from helpers import course

course.setup(minutes={{minutes}})

# %% [markdown]
# ## Recall  <small>4 min</small>
#
# Answer aloud, then open.
#
# **1** (session {{session:parameterisations}}). A network answers with $v = \sqrt{\bar\alpha_t}\,\varepsilon - \sqrt{1-\bar\alpha_t}\,x_0$. It sees $x_t$. How do you get $x_0$ from it?
# <details><summary>Answer</summary>
#
# $x_0 = \sqrt{\bar\alpha_t}\,x_t - \sqrt{1-\bar\alpha_t}\,v$. (Put in $x_t$ and $v$: the parts with $\varepsilon$ cancel.)
#
# </details>
#
# **2** (session {{session:ddpm}}). A thief sells copies of training faces as his own work. Which score catches him: FD, precision, recall, or the distance to the training faces?
# <details><summary>Answer</summary>
#
# Only the distance to the training faces. FD loves copies.
#
# </details>
#
# **3** (session {{session:forward_process}}). We know $x_{300}$ and want $x_{500}$ of the same chain, in one jump. With which factor is $x_{300}$ multiplied?
# <details><summary>Answer</summary>
#
# With $\sqrt{\bar\alpha_{500}/\bar\alpha_{300}}$. The rest of the variance is new noise. We need this today.
#
# </details>

# %% [markdown]
# ## 1 · Smooth it over  <small>8 min</small>
#
# A **hole** is a picture of yes and no: yes where a pixel is unknown. Four kinds will stay with us: the middle, a half, boxes, and strokes of a brush.
#
# The faces are held out, and not easy: their combinations of hat, hair, glasses and so on stand in no training face.

# %%
import matplotlib.pyplot as plt
import torch

from helpers.data import load_faces
from helpers.plots import show_images
from helpers.tasks import make_holes

test = load_faces("embedded", "test", limit=100).images      # no model has seen them
KINDS = ("centre", "half", "boxes", "brush")


def seeded(seed, device="cpu"):
    return torch.Generator(device).manual_seed(seed)


def grid(images, columns, side=1.0, above=(), left=()):
    """Pictures in rows, names above the columns and left of the rows."""
    fig = show_images(images, columns=columns, side=side, show=False)
    for ax, name in zip(fig.axes, above):
        ax.set_title(name, fontsize=9, pad=2)
    for ax, name in zip(fig.axes[::columns], left):
        ax.text(-0.05, 0.5, name, transform=ax.transAxes, ha="right", va="center",
                fontsize=9)
    plt.show()


# %%
holes = torch.cat([make_holes(k, 2, 64, seeded(3)) for k in KINDS])    # (8, 1, 64, 64)
faces = test[:8]
shown = torch.where(holes, torch.tensor(1.0), faces)         # holes are white
grid(torch.cat([faces, shown]), columns=8, side=0.95,
     above=[k for k in KINDS for _ in "12"], left=["face", "with hole"])

# %% [markdown]
# What would you do without a network? The simplest: paint the hole in the mean colour of the rest. A little better: **every unknown pixel becomes the mean of its four neighbours**, again and again, until nothing changes.
# The colours flow in from the border like heat.
#
# **Predict.** What will stand in the hole at the end: eyes, or fog?

# %%
def mean_colour(image, hole):
    """image (1, 3, H, W); every unknown pixel gets the mean of the known ones."""
    known = image[:, :, ~hole[0, 0]].mean(2)                 # (1, 3)
    return torch.where(hole, known[:, :, None, None], image)


def flow(image, hole, rounds):
    """Unknown pixels become the mean of their four neighbours, `rounds` times."""
    x = mean_colour(image, hole)
    for _ in range(rounds):
        wide = torch.nn.functional.pad(x, (1, 1, 1, 1), mode="replicate")
        mean = (wide[:, :, :-2, 1:-1] + wide[:, :, 2:, 1:-1]
                + wide[:, :, 1:-1, :-2] + wide[:, :, 1:-1, 2:]) / 4
        x = torch.where(hole, mean, x)                       # known pixels stay
    return x


ramp = torch.linspace(-1, 1, 64).expand(1, 3, 64, 64)        # a slope comes back:
assert torch.allclose(flow(ramp, holes[:1], 4000), ramp, atol=1e-3)

# %%
from helpers.widgets import slide


def flowed(face, rounds):
    show_images(flow(faces[face:face + 1], holes[face:face + 1], rounds), side=2,
                title=f"{rounds} rounds")


slide(flowed, face=(0, 7), rounds=(0, 300, 30))

# %%
from skimage.restoration import inpaint_biharmonic


def biharmonic(image, hole):
    """As smooth as possible: values and slopes go on across the border of the hole."""
    pixels = image[0].permute(1, 2, 0).double().numpy()
    filled = inpaint_biharmonic(pixels, hole[0, 0].numpy(), channel_axis=-1)
    return torch.from_numpy(filled).permute(2, 0, 1)[None].float().clamp(-1, 1)


rows = []
for i in (0, 6):
    face, hole = faces[i:i + 1], holes[i:i + 1]
    rows += [shown[i:i + 1], mean_colour(face, hole), flow(face, hole, 30),
             flow(face, hole, 1000), biharmonic(face, hole), face]
grid(torch.cat(rows), columns=6, side=1.4,
     above=["hole", "mean colour", "30 rounds", "1000 rounds", "biharmonic", "truth"])

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# Fog. What flows in from the border knows colours, but not that a face has two eyes. For a thin hole it does better (lower row): in the hair and the background one hardly sees it, because the answer lies a few pixels away. At the temple a dark smear is left, and the eyebrow is gone.
#
# </details>
#
# Two names to know: repeated means solve $\Delta u = 0$ (*harmonic*), where $u$ is the picture and $\Delta u$ (the *Laplace operator*) says how far each value lies from the mean of its neighbours; `inpaint_biharmonic` of scikit-image solves $\Delta\Delta u = 0$; its solution also continues the slope, so there are no kinks at the border of the hole. With OpenCV there is also Telea's method, which carries the border inwards layer by layer.

# %% [markdown]
# ## 2 · What is a good answer?  <small>14 min</small>
#
# Behind a hole there was *one* face. But what we know of it leaves many faces possible: glasses or none, a smile or not. So the right answer is not a picture, but a **distribution**:
#
# $$p(\text{unknown}\mid\text{known})$$
#
# Take the smallest example. One unknown pixel is dark, $-1$, or bright, $+1$, with equal chance (frame of glasses or skin). You must say a number $c$, and you pay the squared error. (The slider changes $p$, the chance of $+1$; *a fair draw* tosses a coin with that chance.)
#
# **Predict.** Which $c$ is the cheapest? And what does a player pay who tosses a coin and says $-1$ or $+1$?

# %%
def show_cost(ax, p):
    """p: the chance that the pixel is +1."""
    c = torch.linspace(-1.5, 1.5, 200)
    cost = p * (1 - c) ** 2 + (1 - p) * (-1 - c) ** 2
    mean = p - (1 - p)
    variance = p * (1 - mean) ** 2 + (1 - p) * (-1 - mean) ** 2
    ax.plot(c, cost)
    ax.plot(mean, variance, "o", color="C2", label="the mean")
    ax.axhline(2 * variance, color="C3", ls="--", label="a fair draw")
    ax.set(xlabel="what you say, c", title=f"p = {p:.2f}", ylim=(0, 5))


def cost_of(p):
    ax = plt.subplots(figsize=(4, 2.6))[1]
    show_cost(ax, p)
    ax.set_ylabel("mean squared error")
    ax.legend(fontsize=8)
    plt.show()


slide(cost_of, p=(0.0, 1.0, 0.5))

# %%
fig, axes = plt.subplots(1, 4, figsize=(10, 2.4), sharey=True)
for ax, p in zip(axes, (0.5, 0.7, 0.9, 1.0)):
    show_cost(ax, p)
axes[0].set_ylabel("mean squared error")
axes[3].legend(fontsize=8)
plt.show()
coin = torch.where(torch.rand(2, 1_000_000, generator=seeded(0)) < 0.7, 1.0, -1.0)
truth, draw = coin                      # two independent tosses; mean 0.7 − 0.3 = 0.4
print(f"p = 0.7: say the mean {(truth - 0.4).square().mean():.3f},",
      f"draw {(truth - draw).square().mean():.3f}")
assert abs((truth - draw).square().mean() / (truth - 0.4).square().mean() - 2) < 0.01

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# $c = 0$, the mean: a grey that is *never* right, and costs 1. The coin is right half of the time, and otherwise off by 2: it costs 2.
#
# </details>
#
# This is general, in three lines. Let $x$ be the truth, $m = \mathbb E[x\mid\text{known}]$ the mean of all possible truths, and $x'$ an honest draw, independent of $x$ but from the same distribution. For any answer $c$
#
# $$\mathbb E\|x-c\|^2 = \underbrace{\mathbb E\|x-m\|^2}_{\text{variance}} + \|m-c\|^2$$
#
# (the mixed term is $2\,\mathbb E[x-m]\cdot(m-c) = 0$). So the best answer is $m$, and it costs the variance $V$. The draw costs the variance and, on average, $\mathbb E\|m-x'\|^2 = V$ once more:
#
# $$\mathbb E\|x-x'\|^2 = 2V$$
#
# > **The price of honesty.** A perfect sampler has exactly *twice* the squared error of the perfect blur.
#
# And the mean of $K$ independent draws costs $V + V/K$, because the variance of such a mean is $V/K$. Keep it in mind: with eight draws, $\frac{1+1/8}{2} = 0.56$ of what one draw costs. We will test our models with it.

# %%
for K in (1, 2, 8, 100):
    draws = torch.where(torch.rand(K, 200_000, generator=seeded(K)) < 0.7, 1.0, -1.0)
    cost = (truth[:200_000] - draws.mean(0)).square().mean() / 0.84      # V = 1 − 0.4²
    print(f"mean of {K:3d} draws: {cost:.3f} V, expected {1 + 1 / K:.3f} V")
    assert abs(cost - 1 - 1 / K) < 0.02

# %% [markdown]
# **PSNR, by hand.** Pictures are compared in decibel: how large is the error beside the largest error that could occur? Our values go from $-1$ to $1$, a range of 2:
#
# $$\text{PSNR} = 10\,\log_{10}\frac{2^2}{\text{mean squared error}}$$
#
# Each factor of two in the error costs $10\log_{10}2 = 3.01$ dB. Only the pixels **inside the hole** count: the others are given.

# %%
from helpers.metrics import psnr, ssim


def psnr_by_hand(answer, truth, hole):
    """answer, truth (1, 3, H, W), hole (1, 1, H, W): dB."""
    error = (answer - truth)[:, :, hole[0, 0]].square().mean()
    return float(10 * torch.log10(4 / error))


face, hole = faces[:1], holes[:1]
answers = {"mean colour": mean_colour(face, hole),
           "1000 rounds": flow(face, hole, 1000), "biharmonic": biharmonic(face, hole),
           "another face": torch.where(hole, test[50:51], face)}
for name, answer in answers.items():
    by_hand = psnr_by_hand(answer, face, hole)
    assert abs(by_hand - psnr(answer, face, hole)) < 1e-3
    print(f"{name:13s} {by_hand:5.1f} dB in the hole,",
          f"{float(psnr(answer, face)):5.1f} dB in the whole picture")
fog, other = (psnr(answers[k], face, hole) for k in ("1000 rounds", "another face"))
assert fog > other + 3                                       # the fog wins

# %% [markdown]
# Look at the last row: the hole is filled with a piece of *another face*, sharp and with eyes and a mouth (but it does not fit its neighbours), and the PSNR is low. The fog of 1000 rounds, which shows no eyes at all, wins.
#
# **SSIM** (Wang et al. 2004) wants to be wiser: it compares, in a small window around each pixel, the means, the spreads, and whether the two go up and down together:
#
# $$\text{SSIM} = \frac{(2\mu_a\mu_b+c_1)\,(2\sigma_{ab}+c_2)}{(\mu_a^2+\mu_b^2+c_1)\,(\sigma_a^2+\sigma_b^2+c_2)}$$
#
# $a$ and $b$ are the two pictures; $\mu_a,\mu_b$ their means in the window, $\sigma_a^2,\sigma_b^2$ the variances, $\sigma_{ab}$ the covariance (it is large where both go up and down together); $c_1 = 0.02^2$ and $c_2 = 0.06^2$ keep it from dividing by 0 (1 % and 3 % of the range 2). It is 1 for equal pictures. The window is a Gaussian bell of 11×11 pixels.

# %%
places = torch.arange(-5, 6.0)
bell = torch.exp(-(places**2) / (2 * 1.5**2))
window = torch.outer(bell, bell) / bell.sum() ** 2           # (11, 11), adds up to 1


def ssim_at(a, b, row, column):
    """SSIM of two grey pictures (H, W) in the window around one pixel."""
    here = (slice(row - 5, row + 6), slice(column - 5, column + 6))
    a, b = a[here], b[here]
    m_a, m_b = (window * a).sum(), (window * b).sum()
    v_a, v_b = (window * (a - m_a) ** 2).sum(), (window * (b - m_b) ** 2).sum()
    both = (window * (a - m_a) * (b - m_b)).sum()
    same = (2 * m_a * m_b + 0.02**2) / (m_a**2 + m_b**2 + 0.02**2)
    return same * (2 * both + 0.06**2) / (v_a + v_b + 0.06**2)


a, b = faces[0, :1], answers["biharmonic"][0, :1]            # the red channel
one = torch.zeros(1, 1, 64, 64, dtype=torch.bool)
one[0, 0, 30, 20] = True                                     # a "hole" of one pixel
assert abs(ssim_at(a[0], b[0], 30, 20) - ssim(b[None], a[None], one)) < 1e-4
for name, answer in answers.items():
    print(f"{name:13s} SSIM in the hole {float(ssim(answer, face, hole)):.2f}")

# %% [markdown]
# (By hand = `helpers.metrics.ssim`, which the tests compare with torchmetrics. *In the hole* means: the mean over the pixels of the hole. The windows of pixels near its border also see known pixels, so a thin hole gets points for what was given.)
#
# Both scores ask: is it like the *one* truth? Neither asks: could it be a face? For that question we have the Fréchet distance of session {{session:ddpm}}.
#
# > **Easily mistaken.** "A higher PSNR means a better picture." PSNR says how near the answer is to the one truth. On average over many pictures the best answer is the mean of all possible pictures, and that mean is a blur.

# %% [markdown]
# ## 3 · RePaint: no training at all  <small>16 min</small>
#
# We have a model that draws whole faces. Can it fill holes? RePaint (Lugmayr et al. 2022) says: let it draw a whole face, and **after every step put back what we know**, with the noise that belongs to this step.
#
# $$x_s \leftarrow \begin{cases}\text{what the model made of } x_t & \text{in the hole}\\[2pt] \sqrt{\bar\alpha_s}\,x_\text{known} + \sqrt{1-\bar\alpha_s}\,z & \text{elsewhere}\end{cases}$$
#
# ($t$ is the step where we are, $s<t$ the next one; $x_\text{known}$ the picture with the hole, $z$ new noise in each step; $\leftarrow$ reads "becomes".)
#
# To see whether this is *right*, take a world in which we know the answer. Pictures have two pixels, left and right. Both are $\mathcal N(0,1)$, and they are nearly alike: their correlation is $\rho = 0.9$. For such a world the best denoiser is known exactly: no training, no
# error of a network.
#
# For *one* pixel of variance $\sigma^2$ it is Bayes' rule of session {{session:start_here}} (there $\sigma^2$ was 1, and the answer $a\,x_t$): $\mathbb E[x_0\mid x_t] = \dfrac{\sqrt{\bar\alpha}\,\sigma^2}{\bar\alpha\,\sigma^2+(1-\bar\alpha)}\,x_t$. Below the line stands the variance of $x_t$.
#
# For two pixels $\sigma^2$ becomes a 2×2 matrix $\Sigma$: on its diagonal the variances, 1 and 1, beside it the covariance $\rho$ (`Sigma` in the cell). 1 becomes the identity matrix $I$, and "divided by" becomes "times the inverse":
#
# $$\mathbb E[x_0\mid x_t] = \sqrt{\bar\alpha}\;\Sigma\,\big(\bar\alpha\,\Sigma + (1-\bar\alpha)\,I\big)^{-1}x_t$$

# %%
from helpers.schedules import make_schedule

schedule = make_schedule("cosine")                           # T = 1000
rho = 0.9
Sigma = torch.tensor([[1, rho], [rho, 1]])


def two_pixels(x_t, t):
    """The exact denoiser: x_t (B, 2), all at one step → E[x_0 | x_t] and its ε."""
    signal, noise = (float(v[0]) for v in schedule.at(t, like=x_t))
    spread = signal**2 * Sigma + noise**2 * torch.eye(2)     # of x_t
    x0 = x_t @ torch.linalg.inv(spread) @ (signal * Sigma)
    return x0, (x_t - signal * x0) / noise


data = torch.randn(300_000, 2, generator=seeded(0)) @ torch.linalg.cholesky(Sigma).T
near = data[(data[:, 0] - 1).abs() < 0.1]                    # left is about 1
print(f"counted: right is {near[:, 1].mean():.2f} ± {near[:, 1].std():.2f}",
      f"(n = {len(near):,});",
      f"exact {rho:.2f} ± {(1 - rho**2) ** 0.5:.2f}")

# %% [markdown]
# The left pixel is known: 1. The right pixel is the hole. The right answer is $\mathcal N(\rho\cdot 1,\ 1-\rho^2)$, mean 0.9 and standard deviation 0.44.
#
# In the code, `walk` is a list of pairs $(t, s)$, and `step` one line of Algorithm 2: from the guess of $x_0$ and $\varepsilon$ at $t$ to $x_s$, with new noise (session {{session:ddim}} writes it).
#
# **Predict.** We put the left pixel back after every step. Will the right pixel come out with mean 0.9, with less, or with more?

# %%
from helpers.samplers import pairs, step, timesteps

signal, noise = schedule.signal.tolist(), schedule.noise.tolist()


def repaint_by_hand(predict, x, walk, known, hole, g):
    """x (B, …) at the first step → x_0; hole is True where a pixel is unknown."""
    for t, s in walk:
        z = torch.randn(x.shape, generator=g)
        if s > t:                                            # up: more noise (later)
            r = signal[s] / signal[t]
            x = r * x + (noise[s] ** 2 - r**2 * noise[t] ** 2) ** 0.5 * z
            continue
        times = torch.full((len(x),), t)
        x0, eps = predict(x, times)
        fresh = torch.randn(x.shape, generator=g) if s > 0 else None
        next_times = torch.full((len(x),), s)
        x = step(schedule, x0, eps, times, next_times, eta=1, z=fresh)    # DDPM
        x = torch.where(hole, x, signal[s] * known + noise[s] * z)   # put back
    return x


# %%
N = 2000
known, hole2 = torch.ones(N, 2), torch.tensor([[False, True]])
start = torch.randn(N, 2, generator=seeded(1))
down = pairs(timesteps(1000, 50))                            # (1000, 980), …, (20, 0)
plain = repaint_by_hand(two_pixels, start, down, known, hole2, seeded(2))
print(f"right pixel: {plain[:, 1].mean():.2f} ± {plain[:, 1].std():.2f}")
assert (plain[:, 0] == 1).all() and plain[:, 1].mean() < 0.7

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# Less: about 0.6. The denoiser is exact, the known pixel is right at every step, and the answer is still wrong.
#
# </details>
#
# Why? At step $t$ the left pixel is drowned in noise, and it is *new* noise each time. The right pixel must decide early, from a hint that it can hardly see; and what it decided stays in it. The two halves never had time to agree.
#
# Would finer steps help? Try: 250 steps in place of 50.

# %%
finer = pairs(timesteps(1000, 250))
fine = repaint_by_hand(two_pixels, start, finer, known, hole2, seeded(2))
print(f"50 steps {plain[:, 1].mean():.2f}, 250 steps {fine[:, 1].mean():.2f},",
      f"right {rho:.2f}")

# %% [markdown]
# No. So RePaint does something else: **go back up, and come down again.** From $x_s$ add noise to reach a noisier step, as in recall question 3. The noise washes out a part of what was decided, and on the way down it is decided again, now beside a neighbour
# that has been put right. After some rounds both halves agree.
#
# Two numbers say how: a jump goes up by $j$ entries of the list of steps (`length`), and each stretch of $j$ entries, except the first, is walked down $r$ times (`repeats`). Here is the walk for 20 steps, $j = 5$, $r = 3$:

# %%
from helpers.repaint import jumps, repaint


def show_walk(ax, count, length, repeats):
    walk = jumps(timesteps(1000, count), length, repeats)
    ax.plot([walk[0][0]] + [s for _, s in walk], lw=1)
    asked = sum(s < t for t, s in walk)
    ax.set(title=f"{count} steps, j = {length}, r = {repeats}: {asked} calls",
           xlabel="number of moves", ylabel="step t")
    ax.title.set_fontsize(9)


def one_walk(count, length, repeats):
    show_walk(plt.subplots(figsize=(6, 2.2))[1], count, length, repeats)
    plt.show()


slide(one_walk, count=(10, 100, 20), length=(1, 10, 5), repeats=(1, 10, 3))

# %%
fig, axes = plt.subplots(1, 3, figsize=(10, 2.4), sharey=True)
for ax, setting in zip(axes, ((20, 5, 1), (20, 5, 3), (50, 10, 7))):
    show_walk(ax, *setting)
    ax.label_outer()
plt.show()
assert jumps([6, 4, 2, 0], 1, 2)[:4] == [(6, 4), (4, 2), (2, 4), (4, 2)]
paper = jumps(list(range(250, -1, -1)), 10, 10)
small = sum(abs(t - s) for t, s in paper)                    # a jump is ten small steps
print(f"the paper's 250 steps, j = 10, r = 10: {small:,} steps,",
      f"{sum(s < t for t, s in paper):,} of them down: calls of the network")

# %% [markdown]
# **The price.** The paper's choice makes 4,570 small steps. Those upwards only add noise, but each of the 2,410 steps down asks the network. (We go up in one jump instead of ten small steps; it is the same distribution.) On two CPU cores that would be many seconds for one small face. Today RePaint gets 290 calls: 50 steps, $j = 10$, $r = 7$.
#
# Does it repair the two pixels?

# %%
from helpers.samplers import last

walk = jumps(timesteps(1000, 50), 10, 7)
jumped = repaint_by_hand(two_pixels, start, walk, known, hole2, seeded(2))
helper = last(repaint(two_pixels, schedule, start, walk, known, hole2,
                      clip=False, generator=seeded(2)))      # values may leave −1 … 1
assert torch.allclose(jumped, helper.x, atol=1e-4)
print("by hand = helpers.repaint.repaint")
print(f"right pixel: {jumped[:, 1].mean():.2f} ± {jumped[:, 1].std():.2f}")

# %%
def show_right(ax, x, name):
    ax.hist(x[:, 1], bins=50, range=(-2, 3), density=True, color="C0", alpha=0.5)
    u = torch.linspace(-2, 3, 200)
    exact = torch.exp(-((u - rho) ** 2) / (2 * (1 - rho**2)))
    ax.plot(u, exact / (2 * torch.pi * (1 - rho**2)) ** 0.5, color="C3")
    ax.set(title=f"{name}: mean {x[:, 1].mean():.2f}", xlabel="right pixel", yticks=[])
    ax.title.set_fontsize(9)


def right_pixel(length, repeats):
    walk = jumps(timesteps(1000, 50), length, repeats)
    x = last(repaint(two_pixels, schedule, start, walk, known, hole2, clip=False,
                     generator=seeded(2))).x
    ax = plt.subplots(figsize=(4, 2.4))[1]
    show_right(ax, x, f"{sum(s < t for t, s in walk)} calls")
    plt.show()


slide(right_pixel, length=(1, 10, 10), repeats=(1, 10, 7))

# %%
fig, axes = plt.subplots(1, 3, figsize=(10, 2.4))
show_right(axes[0], plain, "50 calls, no jumps")
show_right(axes[1], fine, "250 calls, no jumps")
show_right(axes[2], jumped, "290 calls with jumps")
plt.show()
assert abs(jumped[:, 1].mean() - rho) < 0.1 < abs(fine[:, 1].mean() - rho)

# %% [markdown]
# The curve: the right answer. Nearly the same number of calls; spent on finer steps they are wasted, spent on jumps they bring the mean from about 0.6 to 0.85. (Not quite 0.9: that needs finer steps, shorter jumps and more rounds together.)
#
# Now faces, with the face model of session {{session:ddpm}}. It was never told of holes.

# %%
from helpers.checkpoints import load_card, load_denoiser

device = course.device()
painter = load_denoiser("ddpm-faces", device)
table = painter.schedule                                     # its noise table
smoke = course.profile() == "smoke"
COUNT = 4 if smoke else 50
J, R = (1, 2) if smoke else (10, 7)
four = torch.tensor([0, 2, 4, 6])                            # one face of each kind


def repainted(picture, hole, walk, seed=0):
    """Fills (B, 3, 64, 64) of pictures with holes, by the unconditional model."""
    g = seeded(seed, device)
    x = torch.randn(picture.shape, generator=g, device=device)
    known, hole = picture.to(device), hole.to(device)
    end = last(repaint(painter, table, x, walk, known, hole, generator=g))
    return end.x.clamp(-1, 1).cpu()


no_jumps = pairs(timesteps(1000, COUNT))
once = repainted(faces[four], holes[four], no_jumps)
print(len(no_jumps), "calls")

# %%
import time

with_jumps = jumps(timesteps(1000, COUNT), J, R)
clock = time.perf_counter()
often = repainted(faces[four], holes[four], with_jumps)
print(f"{sum(s < t for t, s in with_jumps)} calls for {len(often)} faces,",
      f"{time.perf_counter() - clock:.0f} s on {device.type}")

# %%
grid(torch.cat([shown[four], once, often, faces[four]]), columns=4, side=1.1,
     left=("hole", "no jumps", "with jumps", "truth"))
same = ~holes[four].expand_as(often)
assert torch.allclose(often[same], faces[four][same], atol=1e-5)     # known stays

# %% [markdown]
# Look at the seams: does the hair go on, has the background one colour, are both lenses of one kind? The second face keeps hair of two colours here, jumps or not. Two reasons are possible: 290 calls are few beside the 2,410 of the paper's settings; and blue hair on pink stands in no training face, so this model has never drawn the right answer. Section 8 measures a hundred faces.
#
# RePaint needs no training and takes any hole. It pays with hundreds of calls.

# %% [markdown]
# ## 4 · Palette: learn the task  <small>16 min</small>
#
# The other way: train a network *for* the task. Palette (Saharia et al. 2021) does so. For holes we change three things in Algorithm 1: 1 and 3 as the paper has them (section 5.2); 2 the paper states only for sampling, and we do it in training as well.
#
# 1. The network sees **two pictures**: the noisy $x_t$, and beside it $y$, what is known. In the hole $y$ carries pure noise, so the network need not be told where the hole is: it sees it.
# 2. In $x_t$ **only the hole is noisy**. Known pixels stay clean.
# 3. The **loss counts only the hole**. What is known need not be guessed.
#
# $$L = \mathbb E\ \frac1{|\text{hole}|}\sum_{\text{pixels in the hole}}\big(v - v_\theta(x_t,\,t,\,y)\big)^2$$
#
# ($|\text{hole}|$ is the number of its values. $v=\sqrt{\bar\alpha_t}\,\varepsilon-\sqrt{1-\bar\alpha_t}\,x_0$ as in recall 1, and $v_\theta$ is what the network answers; the paper asks for $\varepsilon$ in its place.)

# %%
def conditions(hole, t):
    """x_0, y, x_t, and what counts, for the first face."""
    eps = torch.randn(faces[:1].shape, generator=seeded(0))
    y = torch.where(hole, torch.randn(eps.shape, generator=seeded(1)), faces[:1])
    x_t = torch.where(hole, signal[t] * faces[:1] + noise[t] * eps, faces[:1])
    counted = torch.where(hole, torch.tensor(1.0), torch.tensor(-1.0)).expand_as(eps)
    return torch.cat([faces[:1], y, x_t, counted])


NAMES = ["$x_0$", "$y$: what is known", "$x_t$", "what counts: white"]


def condition(kind, t):
    grid(conditions(make_holes(kind, 1, 64, seeded(5)), t), 4, 1.6, NAMES, [f"t = {t}"])


slide(condition, kind=list(KINDS), t=(0, 1000, 400))

# %%
brush = make_holes("brush", 1, 64, seeded(5))
grid(torch.cat([conditions(brush, t) for t in (100, 900)]), 4, 1.4, NAMES,
     ["t = 100", "t = 900"])

# %% [markdown]
# **Predict.** Suppose we forget points 2 and 3: $x_t$ is noisy everywhere, and the loss counts *all* pixels. The hole is a tenth of the picture. In the known part the network sees $x_0$ (in $y$) and $x_t$, and can work out $v$. How much of the loss is the hole's, at first and later?

# %%
from helpers.diffusion import Denoiser, diffusion_loss
from helpers.tasks import cut


def palette_loss(network, x0, hole, g):
    """x0 (B, C, H, W), hole (B, 1, H, W): one step of the training."""
    y = torch.where(hole, torch.randn(x0.shape, generator=g), x0)
    t = torch.randint(1, 1001, (len(x0),), generator=g)
    eps = torch.randn(x0.shape, generator=g)
    a, b = schedule.at(t, like=x0)                           # (B, 1, 1, 1) each
    x_t = torch.where(hole, a * x0 + b * eps, x0)            # known pixels stay clean
    error = (network(x_t, t, image=y) - (a * eps - b * x0)).square()
    inside = hole.expand_as(error)                           # (B, C, H, W)
    each = (error * inside).sum((1, 2, 3)) / inside.sum((1, 2, 3))
    return each.mean()


# %%
def lazy(x_t, t, image):
    return 0.5 * x_t + 0.1 * image                           # any function will do


g = seeded(7)
y = cut(faces, holes, g)                                     # noise in the hole
by_helper = diffusion_loss(Denoiser(lazy, schedule, "v"), faces, g, hole=holes, image=y)
assert torch.allclose(palette_loss(lazy, faces, holes, seeded(7)), by_helper, atol=1e-5)
print("by hand = helpers.diffusion.diffusion_loss with hole=")

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# At first about a tenth. The known part can be worked out, so with training it costs less and less; then the hole is nearly all of the loss, but still divided by the number of *all* pixels: ten times weaker than it could be, and a small hole counts less than a large one.
#
# With point 2 alone it would be worse: where $x_t$ is clean, nothing tells which $\varepsilon$ was drawn. The network can learn the part $-\sqrt{1-\bar\alpha_t}\,x_0$ of $v$ there, but never the part with $\varepsilon$: a large share of the loss stays, whatever it learns. Points 2 and 3 belong together.
#
# </details>
#
# **Sampling** is Algorithm 2, with two lines around the network: before each call put the known pixels into $x_t$, after it put them into the guess of $x_0$. This is again a denoiser, `predict(x_t, t) → (x0, ε)`, so every sampler that we have fills holes:

# %%
from helpers.samplers import sample
from helpers.targets import eps_from_x0
from helpers.tasks import restore


def restored(predict, schedule, y, hole):
    def inner(x_t, t):
        clean = torch.where(hole, x_t, y)                    # known pixels are clean
        x0, _ = predict(clean, t, image=y)                   # the network sees both
        x0 = torch.where(hole, x0, y)
        return x0, eps_from_x0(schedule, x_t, x0, t)         # the ε that belongs to it
    return inner


any_model = Denoiser(lazy, schedule, "v")
x = torch.randn(faces.shape, generator=g)
mine = restored(any_model, schedule, y, holes)(x, torch.tensor(300))
helper = restore(any_model, schedule, y, holes)(x, torch.tensor(300))
assert all(torch.equal(a, b) for a, b in zip(mine, helper))
print("by hand = helpers.tasks.restore")

# %% [markdown]
# **Live.** Digits again, 8×8, with holes of all four kinds: `damage("inpaint", x)` draws a hole for each picture and gives $y$ and the hole. The network is the U-Net of session {{session:ddpm}} with one more channel to look at.

# %%
import tempfile
from pathlib import Path

from tqdm.auto import tqdm

from helpers.data import load_digits
from helpers.tasks import damage
from helpers.train import fit
from helpers.unet import UNet

digits, labels = load_digits(8)                              # (1797, 1, 8, 8)
train_digits, held_out = digits[:1500], digits[1500:]
STEPS = course.pick(smoke=6, cpu=600, gpu=1800)          # in two parts
folder = tempfile.TemporaryDirectory()
losses, nets, took = {}, {}, {}


def digit_loss(network, batch, g):
    number = int(torch.randint(2**31, (), generator=g, device=batch.device))
    y, hole = damage("inpaint", batch.cpu(), seeded(number))     # cut on the CPU
    y, hole = y.to(batch.device), hole.to(batch.device)
    denoiser = Denoiser(network, schedule, "v")
    return diffusion_loss(denoiser, batch, g, hole=hole, image=y)


# %%
def train(until):
    """Train to this step, from where the checkpoint stands; the averaged network."""
    torch.manual_seed(0)
    network = UNet(channels=1, widths=(32, 64), attention=(1,), image_channels=1)
    clock = time.perf_counter()
    run = fit(network, train_digits, digit_loss, STEPS, batch=48, ema=0.99, seed=0,
              until=until, every=STEPS // 2, checkpoint=Path(folder.name, "digits.pt"))
    for now in tqdm(run, total=until - len(losses)):
        losses.setdefault(now.step, now.loss)
    took.setdefault(until, time.perf_counter() - clock)
    return now.ema.cpu()


nets[STEPS // 2] = train(STEPS // 2)
print(f"{STEPS // 2} steps in {took[STEPS // 2]:.0f} s")

# %%
nets[STEPS] = train(STEPS)
first, final = list(losses.values())[:50], list(losses.values())[-50:]
print(f"{STEPS} steps in {sum(took.values()):.0f} s; mean loss of the first 50",
      f"{sum(first) / len(first):.2f}, of the last 50 {sum(final) / len(final):.2f}")

# %%
@torch.no_grad()
def fill_digits(network, x0, hole, seed=0, steps=20):
    g = seeded(seed)
    y = cut(x0, hole, g)
    predict = restore(Denoiser(network, schedule, "v"), schedule, y, hole)
    x = torch.randn(x0.shape, generator=g)
    walk = pairs(timesteps(1000, steps))
    end = last(sample(predict, schedule, x, walk, eta=1, generator=g))
    return end.x.clamp(-1, 1)


some = held_out[:12]
lower = torch.zeros(12, 1, 8, 8, dtype=torch.bool)
lower[:, :, 4:] = True                                       # the lower half is unknown
rows = [torch.where(lower, torch.tensor(0.0), some)]
rows += [fill_digits(net, some, lower) for net in nets.values()]
grid(torch.cat([*rows, some]), columns=12, side=0.7,
     left=["hole", *(f"step {s}" for s in nets), "truth"])

# %% [markdown]
# **Predict.** The upper half of a 9 could also be that of a 7 or an 8. We ask eight times for the lower half of the same digit. Will the eight answers be equal?

# %%
pick = [int((labels[1500:] == d).nonzero()[0]) for d in (9, 2, 4)]
upper = held_out[pick].repeat_interleave(8, 0)               # each one eight times
hole24 = lower[:1].expand(24, 1, 8, 8)
eight = fill_digits(nets[STEPS], upper, hole24, seed=1)
blur = eight.view(3, 8, 1, 8, 8).mean(1)                     # (3, 1, 8, 8)
rows = torch.cat([torch.cat([e, b[None], h[None]]) for e, b, h in
                  zip(eight.view(3, 8, 1, 8, 8), blur, held_out[pick])])
grid(rows, columns=10, side=0.75,
     above=[f"fill {i}" for i in range(1, 9)] + ["mean", "truth"])

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# No, and they should not be: the upper half leaves it open. The mean of the eight is grey where they differ: it is the blur of section 2.
#
# </details>
#
# Does the price of honesty hold? For a perfect sampler the mean of eight fills has 0.56 times the squared error of one fill. On 297 held-out digits:

# %%
every = held_out if not smoke else held_out[:16]
half = lower[:1].expand(len(every), 1, 8, 8)
fills = torch.stack([fill_digits(nets[STEPS], every, half, seed) for seed in range(8)])
inside = half.expand_as(every)
one = (fills[0] - every)[inside].square().mean()
mean = (fills.mean(0) - every)[inside].square().mean()
print(f"n = {len(every)}: one fill {one:.3f}, mean of eight {mean:.3f},",
      f"ratio {mean / one:.2f} (perfect: 0.56)")
print(f"PSNR: one {10 * torch.log10(4 / one):.1f} dB,",
      f"mean {10 * torch.log10(4 / mean):.1f} dB")
if not smoke:
    assert 0.5 < mean / one < 0.7

# %% [markdown]
# ## 5 · Faces  <small>9 min</small>
#
# The same, larger: `palette-faces` is the U-Net of our face model with three more channels to look at. It began with the weights of the face model (those that see $y$ began at zero), and was trained for **five tasks at once**: holes, a missing border, grey pictures, small pictures and JPEG
# damage. Where a task changes the whole picture, everything is "hole" and all pixels count. Today we use the first task, session {{session:restoration}} the others.

# %%
palette, card = load_denoiser("palette-faces", device), load_card("palette-faces")
print(f"{card['parameters']:,} weights, {card['recipe']['steps']:,} steps of",
      f"{card['recipe']['batch']}, {card['seconds'] / 60:.0f} min on {card['device']}")
print("data:", card["data"])
CALLS = 4 if smoke else 25                                   # for each fill


@torch.no_grad()
def fill(picture, hole, seed=0, model=palette):
    """Fills of pictures (B, 3, 64, 64) with holes (B, 1, 64, 64), on the CPU again."""
    g = seeded(seed, device)
    hole = hole.to(device)
    y = cut(picture.to(device), hole, g)
    x = torch.randn(y.shape, generator=g, device=device)
    walk = pairs(timesteps(1000, CALLS))
    filler = restore(model, model.schedule, y, hole)
    end = last(sample(filler, model.schedule, x, walk, eta=1, generator=g))
    return end.x.clamp(-1, 1).cpu()


# %% [markdown]
# (25 of the 1,000 steps: the sampler may skip; session {{session:ddim}} explains why that works.) Sixteen holes, with the clock running:

# %%
sixteen = test[8:24]
holes16 = torch.cat([make_holes(k, 4, 64, seeded(4)) for k in KINDS])
clock = time.perf_counter()
filled16 = fill(sixteen, holes16)
print(f"16 holes in {time.perf_counter() - clock:.1f} s, {CALLS} calls each,",
      f"{device.type}")
white = torch.where(holes16, torch.tensor(1.0), sixteen)
grid(torch.cat([white[:8], filled16[:8], white[8:], filled16[8:]]), 8, 0.95,
     left=["hole", "filled"] * 2)

# %%
def show_growth(face, frames=8):
    """What stands in the hole on the way: x_t above, the guess of x_0 below."""
    g, hole = seeded(2, device), holes[face:face + 1].to(device)
    y = cut(faces[face:face + 1].to(device), hole, g)
    x = torch.randn(y.shape, generator=g, device=device)
    walk = pairs(timesteps(1000, CALLS))
    filler = restore(palette, palette.schedule, y, hole)
    states = list(sample(filler, palette.schedule, x, walk, eta=1, generator=g))
    at = torch.linspace(0, len(states) - 1, frames).long().tolist()
    noisy = [torch.where(hole, states[i].x, y) for i in at]
    guess = [states[i].x0 for i in at]
    grid(torch.cat(noisy + guess).cpu(), frames, 0.95,
         above=[f"t = {states[i].s}" for i in at], left=["$x_t$", "guess of $x_0$"])


show_growth(0)

# %% [markdown]
# **Predict.** Four fills of one hole, same picture, other noise. Where will they differ most: in the background, in the skin, or in glasses, mouth and hair?

# %%
four_fills = torch.stack([fill(faces, holes, seed) for seed in range(4)])    # (4, 8, …)
spread = four_fills.std(0).mean(1, keepdim=True)             # (8, 1, 64, 64)
heat = (2 * spread / spread.max() - 1).expand(-1, 3, -1, -1)     # black … white
rows = [torch.stack([shown[i], *four_fills[:, i], heat[i]]) for i in (0, 2, 4, 6)]
grid(torch.cat(rows), 6, 1.0,
     above=["hole", "fill 1", "fill 2", "fill 3", "fill 4", "spread"])

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# The background has one colour, and the known part shows it: nearly no difference. Skin the same, if some of it is known. What cannot be seen from outside is open: eyes, eyebrows and mouth of the first face, the eyes and brows of the second; there the fills differ (the grey marks in the last column). The hair goes on in its colour. In the two lower rows nearly everything is given, and the fills are nearly equal. (Glasses are open, too: in the strip above, with another seed, the first face got some.)
#
# </details>
#
# **The sheet.** Twenty-four held-out faces, holes of seed 1, fills of seeds 1 to 4, nothing chosen: hole, four fills, original. Be a strict judge: mark what is *wrong* (not what differs from the original).

# %%
NUMBER = 24 if not smoke else 4
sheet_faces = load_faces("embedded", "test", limit=200).images[100:100 + NUMBER]
each = NUMBER // 4
sheet_holes = torch.cat([make_holes(k, each, 64, seeded(1)) for k in KINDS])
clock = time.perf_counter()
sheet = [fill(sheet_faces, sheet_holes, seed=1 + i) for i in range(4)]
print(f"{4 * NUMBER} fills in {time.perf_counter() - clock:.0f} s")

# %%
white = torch.where(sheet_holes, torch.tensor(1.0), sheet_faces)
blocks = torch.stack([sheet_faces, white, *sheet], 1)        # (24, 6, 3, 64, 64)
grid(blocks.flatten(0, 1), columns=12, side=0.78,
     above=["original", "hole", "fill 1", "fill 2", "fill 3", "fill 4"] * 2)
if "sheet" in card:
    print(card["sheet"])

# %% [markdown]
# What we saw when we marked the 96 fills: where much is known (the lower half of the sheet: boxes and brush), a fill can hardly be told from an original. About ten fills are wrong, most of them in the large holes:
#
# - **reddish spots** on the bald forehead of the second face on the left, in all four fills;
# - a **moustache of another colour than the hair**, which the data never have: ninth face on the right, grey and brown under blond hair;
# - a **smear** around the mouth where the whole lower half was missing: sixth face on the right, third fill.
#
# And the four fills of one hole differ in what is open, glasses, eyes and mouth, as they should.
#
# What a small model cannot do: it was trained on 10,000 drawings of one artist's kit, at 64×64. Everything that it fills in comes from that kit.

# %% [markdown]
# ## 6 · By hand  <small>7 min</small>
#
# Your turn: choose a picture, place, size and shape of the hole; then press **fill**. (Another `seed`, four other fills. For a picture of your own put its file beside this notebook and write its name into `my_picture`.) The astronaut is a photograph (Eileen Collins, NASA, public domain): the model has seen drawings only.
#
# **Predict.** What will the model put into a hole in a *photograph*?

# %%
from helpers.data import load_picture, photograph

my_picture = None                                            # or a path: "me.jpg"
album = {f"face {i}": test[i:i + 1] for i in (0, 2, 24, 31)}
album["astronaut"] = photograph(64)
if my_picture:
    album["my picture"] = load_picture(my_picture, 64)


def my_hole(shape, across, down, size):
    """One hole, bool (1, 1, 64, 64), its middle at (across, down) in pixels."""
    rows = torch.arange(64)[:, None] - down
    columns = torch.arange(64)[None] - across
    if shape == "circle":
        hole = rows**2 + columns**2 <= (size / 2) ** 2
    elif shape == "square":
        hole = (rows.abs() <= size / 2) & (columns.abs() <= size / 2)
    else:                                                    # a scratch
        hole = ((rows - columns).abs() <= 2) & (rows.abs() <= size / 2)
    return hole[None, None]


# %%
def preview(picture, shape, across, down, size, seed):
    hole = my_hole(shape, across, down, size)
    cut_out = torch.where(hole, torch.tensor(1.0), album[picture])
    show_images(cut_out, side=2, title=f"{int(hole.sum()):,} of 4,096 pixels unknown")


def show_fills(picture, shape, across, down, size, seed=0):
    hole, truth = my_hole(shape, across, down, size), album[picture]
    cut_out = torch.where(hole, torch.tensor(1.0), truth)
    fills = fill(truth.expand(4, -1, -1, -1), hole.expand(4, -1, -1, -1), seed)
    grid(torch.cat([cut_out, fills, truth]), 6, 1.25,
         ["hole", "fill 1", "fill 2", "fill 3", "fill 4", "original"])


# %%
import ipywidgets
from IPython.display import display

panel = slide(preview, picture=list(album), shape=["square", "circle", "scratch"],
              across=(0, 63, 32), down=(0, 63, 28), size=(4, 64, 24), seed=(0, 99))
button, answer = ipywidgets.Button(description="fill"), ipywidgets.Output()


def press(_=None):
    answer.clear_output(wait=True)
    with answer:
        show_fills(**panel.kwargs)


button.on_click(press)
display(panel, button, answer)
press()                                                      # once, to begin with

for shape in ("square", "circle", "scratch"):                # from one end to the other
    for where in ((0, 0, 4), (63, 63, 64), (63, 0, 4)):
        assert my_hole(shape, *where).any()

# %%
show_fills("face 24", "square", 32, 28, 24)
show_fills("face 31", "circle", 32, 44, 30)
show_fills("astronaut", "circle", 32, 30, 26)
show_fills("astronaut", "scratch", 32, 32, 50)

# %%
scratch = my_hole("scratch", 32, 32, 50)
gain = {}
for name in ("face 24", "astronaut"):
    picture = album[name]
    smooth = float(psnr(biharmonic(picture, scratch), picture, scratch))
    learnt = float(psnr(fill(picture, scratch), picture, scratch))
    gain[name] = learnt - smooth
    print(f"scratch, {name:9s}: biharmonic {smooth:.1f} dB, Palette {learnt:.1f} dB")
if not smoke:
    assert gain["face 24"] > 5 and gain["astronaut"] < 0

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# Something drawn: eyes or sunglasses of the kit, skin in a flat colour, more orange than hers; the scratch becomes flat stripes. It has learned drawings, and continues everything as if it were a drawing. A model knows its training data, and nothing else. Even a scratch shows it, though the neighbours say nearly everything there: on a drawn face Palette is far nearer to the truth than the smooth continuation of section 1; on the photograph the smooth continuation is nearer, because Palette goes on in flat drawn strokes.
#
# </details>
#
# **Bad input.** What do you get for a hole of the wrong size, no hole, all hole, or a file that is no picture?

# %%
from helpers.pictures import odd_files

for name, file in odd_files().items():
    try:
        x = load_picture(file)
        middle = [round(v, 2) for v in x[0, :, 32, 32].tolist()]
        print(f"{name:12s} {tuple(x.shape)}, middle {middle}")
    except ValueError as error:
        print(f"{name:12s} refused: {str(error).split('(')[0]}")

# %%
try:
    fill(faces[:1], make_holes("centre", 1, 32))
except ValueError as error:
    print(error)
nothing = torch.zeros(1, 1, 64, 64, dtype=torch.bool)
assert torch.equal(fill(faces[:1], nothing), faces[:1])      # no hole: as it was
everything = ~nothing
show_images(fill(faces[:4], everything.expand(4, 1, 64, 64)), side=1.1,
            title="all hole: nothing is known, so it draws");

# %% [markdown]
# ## 7 · The U-Net's parts, on and off  <small>5 min, may be skipped</small>
#
# *Diffusion Models Beat GANs* (Dhariwal and Nichol 2021) won with a better U-Net. Three of its changes, for which our `UNet` has a switch each:
#
# - **attention at several resolutions**, not only the smallest (theirs: 32×32, 16×16 and 8×8);
# - **several heads** (section 1 of session {{session:ddpm}});
# - the step is told by **scale and shift** after the norm (*AdaGN*), $h\leftarrow\text{norm}(h)(1+\text{scale})+\text{shift}$, not added.
#
# What does each bring? Small Palette models on holes in faces of 32×32, folded 4×4 (levels of 8×8 and 4×4): the full network, and three that lack one part each, in equal steps, two seeds. `python -m experiments.palette_parts` makes the table. The loss is that of the hole on held-out faces (same holes, $t$, $\varepsilon$).

# %%
import json


def stored(name):
    return json.loads((course.ROOT / "experiments" / f"{name}.json").read_text())


parts = stored("palette_parts")
machine = parts["machine"]
print(f"{machine['steps']} steps of {machine['batch']}, n = {machine['n']},",
      f"{machine['device']}; floor of FD {parts['floor']['fd']:.2f}")
print(f"{'':32s}{'weights':>9}{'loss':>9}{'to full':>9}{'PSNR':>7}{'FD':>7}")
for key, run in parts["runs"].items():
    full = parts["runs"][f"full, seed {run['seed']}"]["loss"]
    print(f"{key:32s}{run['parameters']:9,d}{run['loss']:9.4f}",
          f"{run['loss'] / full - 1:+8.1%}{run['psnr']:7.2f}{run['fd']:7.2f}")

# %% [markdown]
# **What it says** (column *to full*: how much higher the loss is than that of the full network with the same seed): at this size nothing is gained. One head or four: hardly a difference. Scale and shift against adding: the sign changes from seed to seed. Attention at 4×4 only is even a little *better* in both seeds than attention at both levels.
#
# These are tiny networks after 400 steps, with two seeds; the paper measured far larger networks, on ImageNet 128×128, over long trainings (its section 3). A published gain is a gain at its size. Before you copy a part into a small network, switch it off once and measure. (Our face model has two of the three, several heads and scale and shift, and attends at 8×8 only.)

# %% [markdown]
# ## 8 · All methods, measured  <small>7 min</small>
#
# 100 held-out faces, 25 with each kind of hole, the same holes for all methods. PSNR (computed once, from the mean squared error of all pictures; section 9 prints the mean of the single PSNRs, which is higher, so do not compare the two) and SSIM are taken inside the hole; FD is taken on whole pictures, against other held-out faces; so is the kernel distance (Bińkowski et al. 2018), which compares the same features pair by pair: it is 0 on average for two sets of one kind, also where $n$ is small. The row *untouched* says what real faces get. *Mean of 8 fills* is the blur of our own model. The faces with brush holes avoid the four combinations that training never shows; the other 75 each show at least one of them: so compare methods, not kinds of holes. (`python -m experiments.inpainting` makes the table; the seeds stand there.)
#
# **Predict, before you run the cell.** Which method wins PSNR? Which FD? Write both down.

# %%
measured = stored("inpainting")
rows, m, floor = measured["methods"], measured["machine"], measured["floor"]
print(f"n = {m['n']}, against {m['reference']}, {m['device']}")
jump = m["jumps"]
print(f"Palette: {m['steps']} calls, η = {m['eta']:g}; RePaint: {jump['steps']} steps,",
      f"j = {jump['length']}, r = {jump['repeats']}")
print(f"{'':17s}{'PSNR':>6}{'SSIM':>6}{'FD':>7}{'  95 % interval':>16}{'kernel':>8}",
      f"{'calls':>6}{'seconds':>9}")
for name, row in (rows | {"untouched": floor}).items():
    low, high = row["fd_interval"]
    line = f"{row['fd']:7.2f}{low:8.2f} …{high:6.2f}{row['kernel']:8.2f}"
    if name == "untouched":
        print(f"{name:29s}{line}")
    else:
        print(f"{name:17s}{row['psnr']:6.1f}{row['ssim']:6.2f}{line}",
              f"{row['calls']:6d}{row['processor_seconds']:9.2f}")
nearest = max(rows, key=lambda name: rows[name]["psnr"])
likest = min(rows, key=lambda name: rows[name]["fd"])
print(f"best PSNR: {nearest}; best FD: {likest} (seconds of one core for a picture)")
for name, row in rows.items():                               # the same faces, untouched
    low, high = row["excess_interval"]
    print(f"FD above untouched: {name:16s}{row['excess']:+6.2f}",
          f"({low:+.2f} … {high:+.2f}){'  hardly told apart' if low < 0 else ''}")

# %%
fig, axes = plt.subplots(1, 2, figsize=(10, 2.8))
for i, (name, row) in enumerate(rows.items()):
    low, high = row["fd_interval"]
    axes[0].errorbar(row["psnr"], row["fd"], marker="o", label=name,
                     yerr=[[row["fd"] - low], [high - row["fd"]]])
    heights = [row["kinds"][k]["psnr"] for k in KINDS]
    axes[1].bar([k + 0.15 * i for k in range(4)], heights, 0.14)
axes[0].axhline(floor["fd"], color="0.5", ls=":", label="untouched")
axes[0].set(xlabel="PSNR in the hole, dB: higher is nearer",
            ylabel="FD: lower is better", ylim=(0, None))
axes[0].legend(fontsize=7)
axes[1].set_xticks([k + 0.3 for k in range(4)], KINDS)
axes[1].set(title="PSNR by kind of hole, same colours", ylabel="dB")
plt.show()

# %%
one, mean = rows["Palette"], rows["mean of 8 fills"]
print(f"squared error, mean of 8 / one fill: {mean['mse'] / one['mse']:.2f}",
      "(perfect sampler: 0.56)")
for name in ("RePaint", "Palette"):
    varied = rows[name]["diversity"]
    kinds = "  ".join(f"{k} {varied[k]:.2f}" for k in KINDS)
    print(f"spread of {varied['fills']} fills, {name:8s} n = {varied['n']}:  {kinds}")
assert nearest == "mean of 8 fills" and likest != nearest    # wins PSNR only
assert max(one["fd"], rows["RePaint"]["fd"]) < rows["biharmonic"]["fd"]
assert one["processor_seconds"] < rows["RePaint"]["processor_seconds"] / 5

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# PSNR: the blur, *mean of 8 fills*. It is not the best in FD (but not far: most of the picture is given). FD: look at the last lines, *above untouched*: by how much FD rises over that of the *same* 100 faces without any hole. Where that interval holds 0, FD cannot tell the fills from real faces; the order of such methods in this column should not be read as a ranking. The fog of the classical methods loses both: it is a blur too, but not the *right* one. The mean over all pictures that continue the border smoothly knows
# nothing of faces; the mean over all faces that fit does.
#
# </details>
#
# The first line above: how much of the squared error of one fill is left in the mean of eight. At 0.56 the fills lie as far from their own mean as the truth does; below it they lie farther, above it nearer (they vary too little, or their mean is off), and 1 would mean eight equal answers. (With 100 pictures the number itself is uncertain.)
#
# (*Spread*: the standard deviation of a value among eight fills, root mean square over the hole; only two faces of each kind, so no more than a hint.)
#
# **RePaint or Palette?** On these faces FD tells neither from real ones (the eye does: sections 3 and 5). Palette is nearer to the truth (21.4 dB against 18.4) and asks its network less than a tenth as often (25 calls against 290). It needed a training of its own, with holes of these kinds; RePaint needed none, and does not care about the kind of hole. Where one has an unconditional model and few pictures to repair, RePaint; where many will come, Palette.
#
# **Published, to set beside.** Palette on ImageNet 256×256 (Saharia et al. 2021): FID 5.2 for free-form holes, where the untouched pictures have 5.1, and 6.6 for the centre. Other data, other features, another $n$: the numbers cannot be compared. In the paper both kinds of hole cover about a quarter of the picture; with free-form holes the fills reach the floor, with the middle missing they stay above it.
#
# Our FD is for all kinds together, so it cannot show this. Our PSNR by kind (right picture) goes the same way: for Palette brush is best and centre lowest.

# %% [markdown]
# ## 9 · Photographs  <small>2 min, may be skipped</small>
#
# The same cells on photographs of CelebA. They run where the photographs are at hand (a folder named in `$CELEBA`, or a graphics card and a network); the pictures may not be shown here or passed on, so only numbers are printed.

# %%
import os

here = os.environ.get("CELEBA") or course.profile() == "gpu"
name, model, n = "embedded", palette, course.pick(smoke=4, cpu=16, gpu=64)
try:
    if not here:
        raise FileNotFoundError("No photographs here: $CELEBA names no folder")
    people = load_faces("celeba", "test", size=64, limit=n).images
    model, name = load_denoiser("palette-celeba", device), "celeba"
except FileNotFoundError as error:
    print(str(error).split(". Put")[0].rstrip("."), "(so: the drawn faces).")
    people = load_faces("embedded", "test", limit=n).images
middle = make_holes("centre", len(people), 64)
answers = fill(people, middle, model=model)
print(f"{name}: n = {len(people)}, centre hole, seed 0, {CALLS} calls:",
      f"PSNR {psnr(answers, people, middle).mean():.1f} dB,",
      f"SSIM {ssim(answers, people, middle).mean():.2f}")

# %% [markdown]
# Drawn faces and photographs take the same cells; what changes is the name of the data and of the checkpoint. What is known of the photographs' model stands in its card:

# %%
try:
    about = load_card("palette-celeba")
except FileNotFoundError:
    about = {}
    print("There is no checkpoint 'palette-celeba' here yet.")
for key in ("data", "licence", "seconds", "device"):
    if key in about:
        print(f"{key}: {about[key]}")
if seen := about.get("measured"):
    print(f"n = {seen['n']} photographs of {seen['people']} other people,",
          f"{seen['machine']['steps']} calls;",
          "kernel distance above untouched, 95 % interval")
    for kind, methods in seen["kinds"].items():
        for method in ("mean colour", "biharmonic", "Palette"):
            row = methods[method]
            low, high = row["excess_interval"]
            print(f"{kind:7s}{method:12s} PSNR {row['psnr']:5.1f} ",
                  f"SSIM {row['ssim']:.2f}  kernel {row['excess']:6.3f}",
                  f"({low:.3f} … {high:.3f})")
    near = seen["kinds"]["centre"]["copying"]
    print("centre holes: root mean square distance to the nearest training")
    print("photograph, median: fills",
          f"{near['fills']['0.5']:.3f}, originals {near['originals']['0.5']:.3f}")

# %% [markdown]
# We looked at fills of 24 of these photographs, which may not be shown here. Thin holes are filled well to the eye (in PSNR and SSIM the smooth continuation is even ahead there, 18.7 against 17.9 dB: it is a blur, section 2).
#
# For large holes we shuffled originals, fills of this model and fills of an earlier one, and marked what is visibly broken without knowing which is which: two eyes that do not belong together, a shadow across the nose, a side that dissolves. Two looked, one more strictly than the other: of 24 centre holes 10 and 14 are broken, of 24 halves 8 and 14. Of the earlier model, less deep and trained for an hour instead of three, it was 18 and 22, and 15 and 19; of the originals none.
#
# So more training and a deeper network help the eye, and there is a way to go: 152 people and three hours on two cores are few.
#
# The kernel distance does not see it (its interval holds 0), although it sees the classical fills in the same holes: it compares sets of features, and does not ask whether two eyes belong together. Numbers do not replace looking.
#
# The command that trains it, on one machine; and with all 162,770 training photographs of CelebA (the folder in `$CELEBA`) on several GPUs, where more steps are needed:
#
#     python -m tools.checkpoints palette-celeba
#     accelerate launch -m tools.checkpoints palette-celeba --steps 200000
#     accelerate launch -m tools.checkpoints palette-celeba-128
#
# (With `--steps` the weights go to `build/training`; the last line is the model at 128×128. We could not try it with so many photographs: the number of steps is a guess, about 40 times through the data with a batch of 32, which the GPUs share.)
#
# Why no Fréchet distance for photographs here? The photographs of the test partition that the course was tried with show 22 people, too few for a covariance of 64 features.
#
# The kernel distance above uses the features of another network, `celeba-features`, which was trained on photographs to tell CelebA's 40 attributes. The reference are 1,000 training photographs, and for its interval people are drawn again, not photographs.

# %% [markdown]
# ## 10 · Summary and exit  <small>2 min</small>
#
# - A hole has **many right answers**. The mean of them all is a blur: it has the best PSNR, and is no picture.
# - An honest draw pays **twice** the squared error of that mean, 3 dB. So PSNR alone must not judge a generator.
# - **RePaint** uses any unconditional model: put back what is known after each step, and jump up and down so that both parts agree. No training, hundreds of calls.
# - **Palette** trains for the task: the network sees what is known beside $x_t$, only the hole is noisy, only the hole counts. Few calls, four answers in a second or two.
# - Score both sides: nearness (PSNR, SSIM), likeness to real pictures (FD with its floor), variety, and time.
#
# **At the exit.** A colleague shows you an inpainting model with the best PSNR of all. All its fills of one hole are equal. What do you suspect, and what do you ask for?
# <details><summary>Answer</summary>
#
# It answers with the mean, a blur. Ask to see several fills of one hole at full size, and for their spread. Ask for the FD too (with floor and $n$), but in section 8 it could not tell our own blur from real faces: most of each picture was given.
#
# </details>
#
# **Try next.** Fill a hole twice: first the left half of it, then the right. Give Palette a hole of a shape that it never saw in training (a checkerboard). Give RePaint fewer and fewer calls until you see the seam. Let RePaint ask the face model for glasses in every hole (session {{session:start_here}} asked like this).
#
# **Next session:** {{session:restoration}}, restoration: the same checkpoint colours, enlarges and continues pictures.
#
# **Homework:** [homework/{{notebook}}](homework/{{notebook}}): the condition picture, the loss of the hole, RePaint's way up, PSNR, and the blur as a posterior mean.
#
# **To read.** C. Saharia et al., *Palette: Image-to-Image Diffusion Models*, 2021 (arXiv 2111.05826), sections 3 and 5.2. A. Lugmayr et al., *RePaint*, 2022 (2201.09865), section 4. P. Dhariwal, A. Nichol, *Diffusion Models Beat GANs on Image Synthesis*, 2021 (2105.05233), section 3. Z. Wang et al., *Image Quality Assessment: From Error Visibility
# to Structural Similarity*, 2004. Y. Blau, T. Michaeli, *The Perception-Distortion Tradeoff*, 2018 (1711.06077): that nearness and likeness pull apart, proved.
