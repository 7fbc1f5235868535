# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # {{number}} · Parameterisations: one thing, seen four ways
#
# {{badge}}
#
# In one lecture the network guesses the noise. In another it guesses the clean picture. In a third it learns "the gradient of $\log p$", and our own face model answers with something called $v$. Are these four methods? No: **they are one thing, seen four ways.** Each can be computed
# from each other. And still it matters which one you train, as you will measure today.
#
# At the end you will have made this picture: digits written by two small networks, trained live, with the same steps and the same data. One guessed the noise and one guessed the picture.
#
# **Time:** 90 minutes; the cells run for about three minutes on two CPU cores.
#
# **Before:** sessions {{session:forward_process}} (the jump to $x_t$, SNR), {{session:reverse_process}} (the best guess is a mean) and {{session:ddpm}} (training, sampling, FD).
#
# | section | minutes | may be skipped |
# |---|---|---|
# | recall | 4 | |
# | 1 · one point, two rulers | 15 | |
# | 2 · the score, and Tweedie's formula | 14 | |
# | 3 · one loss, four weights | 14 | |
# | 4 · where each must break | 10 | |
# | 5 · live: noise against picture | 11 | |
# | 6 · the table: four targets, two schedules | 9 | |
# | 7 · when the last step has no signal | 7 | yes |
# | 8 · the card of our face model; summary, exit | 6 | |

# %% tags=["setup"]
from helpers import course

course.setup(minutes={{minutes}})

# %% [markdown]
# ## Recall  <small>4 min</small>
#
# Answer aloud, then open.
#
# **1** (session {{session:ddpm}}). The network answers with a guess of $\varepsilon$. How do we get the guess of $x_0$ from it?
# <details><summary>Answer</summary>
#
# Solve $x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\varepsilon$ for $x_0$: take $\sqrt{1-\bar\alpha_t}$ times the guess away from $x_t$, and divide by $\sqrt{\bar\alpha_t}$.
#
# </details>
#
# **2** (session {{session:reverse_process}}). A network is trained with the squared error. What is its best possible answer?
# <details><summary>Answer</summary>
#
# The conditional mean: $\mathbb E[\varepsilon\mid x_t]$ if it has to name $\varepsilon$, $\mathbb E[x_0\mid x_t]$ if it has to name $x_0$.
#
# </details>
#
# **3** (session {{session:forward_process}}). What is $\mathrm{SNR}_t$, and what does $\log\mathrm{SNR}_t=0$ mean?
# <details><summary>Answer</summary>
#
# $\mathrm{SNR}_t = \bar\alpha_t/(1-\bar\alpha_t)$, signal power over noise power. At $\log\mathrm{SNR}=0$ both are equal.
#
# </details>
#
# Today we write short: $a_t = \sqrt{\bar\alpha_t}$ is the **signal** and $b_t=\sqrt{1-\bar\alpha_t}$ the **noise** factor, so $x_t = a_t\,x_0 + b_t\,\varepsilon$ and $a_t^2+b_t^2=1$. In code they are called `signal` and `noise`.

# %% [markdown]
# ## 1 · One point, two rulers  <small>15 min</small>
#
# Take one pixel. Its value is $x_0 = 1$ (white), and the noise that was drawn for it is $\varepsilon = 0.9$. Draw the pair as a **point** $P$ in a plane: $x_0$ to the right, $\varepsilon$ upwards.
#
# Two numbers whose squares add up to 1 are a cosine and a sine. So there is an angle $\varphi_t$ with
#
# $$a_t = \cos\varphi_t,\qquad b_t = \sin\varphi_t,\qquad x_t = \cos\varphi_t\;x_0 + \sin\varphi_t\;\varepsilon$$
#
# At $t=0$ the angle is $0°$ (all picture), at $t=T$ nearly $90°$ (all noise). And this $x_t$ is what one reads if one puts a **ruler** through the origin in the direction $\varphi_t$ and drops $P$ onto it.
#
# **Predict.** The network sees $x_t$ only: one reading of one ruler. How many more readings must it guess, so that $P$ is known? Which second ruler would *you* take?

# %%
import math

import matplotlib.pyplot as plt
import torch

from helpers.plots import COLORS, style
from helpers.widgets import slide

style()
P = torch.tensor([1.0, 0.9])                             # (x_0, ε) of one pixel


def rulers(degrees):
    """The directions of two rulers at this angle: that of x_t, and the one across."""
    phi = math.radians(degrees)
    along = torch.tensor([math.cos(phi), math.sin(phi)])
    across = torch.tensor([-math.sin(phi), math.cos(phi)])
    return along, across


# %%
def show_plane(ax, degrees):
    ax.axhline(0, color="0.8", lw=1)
    ax.axvline(0, color="0.8", lw=1)
    for direction, name, color in zip(rulers(degrees), ("x_t", "v"), COLORS[:2]):
        reading = float(P @ direction)
        (x, y), foot = 1.3 * direction, reading * direction
        ax.plot([-x, x], [-y, y], color=color, lw=1, alpha=0.5)
        ax.plot([0, foot[0]], [0, foot[1]], color=color, lw=3,
                label=f"${name}$ = {reading:.2f}")
        ax.plot([P[0], foot[0]], [P[1], foot[1]], ":", color=color)
    ax.plot(*P, "o", color=COLORS[3])
    ax.text(P[0] + 0.06, P[1] + 0.06, "P")
    ax.set(xlim=(-1.4, 1.4), ylim=(-1.4, 1.4), xticks=[-1, 0, 1], yticks=[-1, 0, 1])
    ax.set(aspect="equal", xlabel="$x_0$", title=f"φ = {degrees}°")
    ax.legend(fontsize=8, loc="lower left")


def plane(degrees):
    ax = plt.subplots(figsize=(3.4, 3.5))[1]
    show_plane(ax, degrees)
    ax.set_ylabel("ε")
    plt.show()


slide(plane, degrees=(0, 90, 30))

# %%
fig, axes = plt.subplots(1, 4, figsize=(10, 3), sharey=True)
for ax, degrees in zip(axes, (0, 30, 60, 90)):
    show_plane(ax, degrees)
axes[0].set_ylabel("ε")
plt.show()

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# One more: two readings fix a point in a plane. Any second ruler does, if it is not parallel to the first. The natural one stands at a **right angle** to that of $x_t$.
#
# </details>
#
# The reading of the ruler at a right angle is called $v$, for *velocity* (Salimans and Ho 2022):
#
# $$\boxed{\;v_t = \cos\varphi_t\;\varepsilon - \sin\varphi_t\;x_0 = a_t\,\varepsilon - b_t\,x_0\;}$$
#
# Why velocity? Turn the ruler, and look how fast its reading changes:
#
# $$\frac{d x_t}{d\varphi} = -\sin\varphi\;x_0 + \cos\varphi\;\varepsilon = v_t$$
#
# So $v$ is the direction in which $x_t$ is moving on its way from picture to noise. Checked with a small turn of 0.01°:

# %%
x0, eps = P.tolist()
for degrees in (0, 30, 60, 90):
    here, there = rulers(degrees)[0], rulers(degrees + 0.01)[0]
    speed = float(P.double() @ (there - here).double()) / math.radians(0.01)
    v = float(P @ rulers(degrees)[1])
    print(f"φ = {degrees:2d}°: x_t moves with {speed:+.3f}, v = {v:+.3f}")
    assert abs(speed - v) < 1e-3

# %% [markdown]
# **Back from the readings to the point.** The pair $(x_t, v_t)$ is the point $P$, turned by $-\varphi$. Turn it back:
#
# $$x_0 = \cos\varphi\;x_t - \sin\varphi\;v_t = a_t\,x_t - b_t\,v_t$$
#
# $$\varepsilon = \sin\varphi\;x_t + \cos\varphi\;v_t = b_t\,x_t + a_t\,v_t$$
#
# You can also put the definition of $v$ in: $a\,x_t - b\,v = a(a x_0 + b\varepsilon) - b(a\varepsilon - b x_0) = (a^2+b^2)\,x_0 = x_0$. There is **no division**, at any $t$.
#
# The other two readings, written by hand in the same way. (The fourth, the *score*, is explained in section 2; for now it is a name for $-\varepsilon/b_t$.)

# %%
def answer_wanted(x0, eps, a, b, target):
    """What a network of this kind should answer; a = signal, b = noise."""
    return {"eps": eps, "x0": x0, "v": a * eps - b * x0, "score": -eps / b}[target]


def read_back(answer, x_t, a, b, target):
    """(x0, ε) from the answer."""
    if target == "score":
        answer, target = -b * answer, "eps"
    if target == "eps":
        return (x_t - b * answer) / a, answer            # division by the signal!
    if target == "x0":
        return answer, (x_t - a * answer) / b            # division by the noise!
    return a * x_t - b * answer, b * x_t + a * answer    # v: no division


# %%
from helpers.diffusion import add_noise
from helpers.schedules import cosine, linear
from helpers.targets import from_target, to_target

FOUR = ("eps", "x0", "v", "score")
table = cosine()
g = torch.Generator().manual_seed(0)
x0, eps = torch.randn(2, 500, 3, generator=g, dtype=torch.float64)
t = torch.randint(1, 1000, (500,), generator=g)
a, b = (column[t][:, None] for column in (table.signal, table.noise))   # (500, 1)
x_t = a * x0 + b * eps
for target in FOUR:
    answer = answer_wanted(x0, eps, a, b, target)
    assert torch.allclose(answer, to_target(table, x0, eps, t, target))
    mine = read_back(answer, x_t, a, b, target)
    helper = from_target(table, answer, x_t, t, target)
    assert torch.allclose(mine[0], x0) and torch.allclose(mine[1], eps)
    assert torch.allclose(mine[0], helper[0]) and torch.allclose(mine[1], helper[1])
print("four targets, there and back; by hand = helpers.targets")

# %% [markdown]
# Now a real picture: every pixel has its own point $P$, and all rulers turn together. Move $t$, and ask at both ends: *which of the three targets looks like what I see already?*

# %%
from helpers.data import load_faces
from helpers.plots import show_images

face = load_faces("embedded", "test", limit=8).images[3:4]
drawn = torch.randn(face.shape, generator=torch.Generator().manual_seed(1))


def four_views(t):
    """x_t, and the targets x0, ε, v, at step t; (4, 3, 64, 64)."""
    step = torch.tensor([t])
    x_t = add_noise(table, face, step, drawn)
    v = to_target(table, face, drawn, step, "v")
    return torch.cat([x_t, face, drawn / 2, v / 2])      # halved: noise exceeds ±1


def views(t):
    names = ["seen: x_t", "x0", "ε", "v"]
    show_images(four_views(t), names, side=1.7, title=f"t = {t}")


slide(views, t=(1, 1000, 300))

# %%
def strip(columns, row_names, column_names, side=1.1):
    """Columns of pictures, with a name for each row and each column."""
    images = [column[row] for row in range(len(row_names)) for column in columns]
    fig = show_images(images, columns=len(columns), side=side, show=False)
    middle = images[0].shape[-1] / 2 - 0.5
    for ax, name in zip(fig.axes[::len(columns)], row_names):
        ax.text(-middle / 5, middle, name, ha="right", va="center", fontsize=9)
    for ax, name in zip(fig.axes, column_names):
        ax.set_title(name, fontsize=9)
    plt.show()


moments = (1, 250, 500, 750, 1000)
strip([four_views(t) for t in moments], ("seen: $x_t$", "$x_0$", "ε", "v"),
      [f"t = {t}" for t in moments])

# %% [markdown]
# ($\varepsilon$ and $v$ are shown at half strength; they reach beyond $\pm1$.) At $t=1$ the network sees the picture: to answer "$x_0$" is to repeat the question, to answer "$\varepsilon$" is hard work, it must find the last invisible grain. At $t=1000$ the roles are exchanged. **$v$ always asks for the part that one does not see**: at $t=1$ it is $\varepsilon$, at
# $t=1000$ it is $-x_0$ (a negative face).

# %% [markdown]
# ## 2 · The score, and Tweedie's formula  <small>14 min</small>
#
# Many papers do not speak of a "denoiser" at all. They learn the **score**: the gradient of the logarithm of the density of noisy pictures,
#
# $$s_t(x_t) = \nabla_{x_t}\log q(x_t)$$
#
# It is an arrow. It points to where noisy data are *denser*: uphill on $\log q$. Nobody knows $q(x_t)$ for pictures. So how can one learn its gradient? Four lines.
#
# **Line 1.** A noisy point comes from some clean one: average over all of them, with $q(x_t\mid x_0)=\mathcal N(a_t x_0,\,b_t^2 I)$.
#
# $$q(x_t) = \int q(x_0)\;q(x_t\mid x_0)\;dx_0$$
#
# **Line 2.** Take the gradient. A Gaussian's gradient is the Gaussian itself times $-(x_t - \text{mean})/\text{variance}$:
#
# $$\nabla q(x_t) = \int q(x_0)\;q(x_t\mid x_0)\;\Big(\!-\frac{x_t - a_t x_0}{b_t^2}\Big)\;dx_0$$
#
# **Line 3.** Divide by $q(x_t)$. On the left, $\nabla q/q = \nabla\log q$. On the right, by Bayes, $q(x_0)\,q(x_t\mid x_0)/q(x_t) = q(x_0\mid x_t)$. So the integral is a mean over all $x_0$ that may have made this $x_t$:
#
# $$\nabla\log q(x_t) = -\frac{x_t - a_t\,\mathbb E[x_0\mid x_t]}{b_t^2}$$
#
# **Line 4.** But $x_t - a_t x_0$ is just $b_t\,\varepsilon$:
#
# $$\boxed{\;\nabla\log q(x_t) = -\frac{\mathbb E[\varepsilon\mid x_t]}{b_t}\;}\qquad\text{and solved for the picture:}\qquad
# \boxed{\;\mathbb E[x_0\mid x_t] = \frac{x_t + b_t^2\,\nabla\log q(x_t)}{a_t}\;}$$
#
# The right box is **Tweedie's formula**. The left one says: a network that guesses $\varepsilon$ has learned the score, up to the factor $-1/b_t$. Two schools, one network.
#
# Checked on data that we know exactly: numbers around $-1$ (30 %) and $+1$ (70 %). First, the gradient by `autograd`. Second, without the density: draw two million pairs, take the mean $\varepsilon$ of those whose $x_t$ fell next to 0.3, and divide by $-b_t$.

# %%
from helpers.exact import MixtureDenoiser

means, shares = torch.tensor([[-1.0], [1.0]]).double(), torch.tensor([0.3, 0.7])
exact = MixtureDenoiser(table, means, [0.2, 0.2], shares.double())
t = torch.tensor([500])
point = torch.tensor([[0.3]]).double().requires_grad_(True)
gradient = torch.autograd.grad(exact.log_density(point, t).sum(), point)[0].item()

n, (a, b) = 2_000_000, (float(table.signal[500]), float(table.noise[500]))
g = torch.Generator().manual_seed(1)
clean, noise = exact.sample(n, g)[:, 0], torch.randn(n, generator=g).double()
near = (a * clean + b * noise - 0.3).abs() < 0.01
counted = -noise[near].mean().item() / b
tweedie = (0.3 + b**2 * gradient) / a
print(f"score at 0.3: autograd {gradient:.3f},",
      f"counted {counted:.3f} ({near.sum()} pairs)")
print(f"E[x0 | x_t = 0.3]: Tweedie {tweedie:.3f}, counted {clean[near].mean():.3f},",
      f"helper {exact(point.detach(), t)[0].item():.3f}")
assert abs(gradient - counted) < 0.05 and abs(tweedie - clean[near].mean()) < 0.03
assert abs(gradient - exact.score(point.detach(), t).item()) < 1e-6

# %% [markdown]
# In the picture: above, the density of $x_t$; the arrows show the direction of the score (long ones are cut to one length). Below, the best guess of $x_0$ for each $x_t$. Grey: the two places where clean data live.
#
# **Predict.** Pull $t$ up to 1000. What becomes of the best guess?

# %%
def show_score(top, low, t):
    x = torch.linspace(-2.5, 2.5, 400).double()[:, None]
    step = torch.full((400,), t)
    top.fill_between(x[:, 0], exact.log_density(x, step).exp(), alpha=0.4)
    spots, at = x[10::27], step[10::27]
    push = 0.5 * torch.tanh(exact.score(spots, at) / 2)    # only the direction counts
    top.quiver(spots, 0 * spots - 0.15, push, 0 * push, angles="xy", scale=1,
               scale_units="xy", width=0.008, color=COLORS[3])
    top.set(ylim=(-0.3, 1.5), yticks=[], title=f"t = {t}")
    for place in (-1, 1):
        low.axhline(place, color="0.85", lw=6, zorder=0)
    low.plot(x, exact(x, step)[0], color=COLORS[2], lw=2)
    low.set(ylim=(-1.6, 1.6), xlabel="$x_t$")


def score_at(t):
    fig, axes = plt.subplots(2, 1, figsize=(4, 3.2), sharex=True)
    show_score(*axes, t)
    axes[0].set_ylabel("$q(x_t)$")
    axes[1].set_ylabel("best $x_0$")
    plt.show()


slide(score_at, t=(20, 1000, 500))

# %%
fig, axes = plt.subplots(2, 4, figsize=(10, 3.4), sharex=True, sharey="row")
for pair, t in zip(axes.T, (100, 400, 700, 1000)):
    show_score(*pair, t)
axes[0, 0].set_ylabel("$q(x_t)$")
axes[1, 0].set_ylabel("best $x_0$")
plt.show()

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# It becomes flat: 0.4, the mean of all data ($0.7\cdot1 - 0.3\cdot1$), whatever one sees. With little noise it nearly repeats what it sees, and jumps where the two clouds meet: there the model decides.
#
# </details>
#
# In the plane the arrows have a place to go. Tweedie says $x_t + b_t^2\,s_t = a_t\,\mathbb E[x_0\mid x_t]$, so an arrow of length $b_t^2\,s_t$ ends *exactly* at the best guess (shrunk by $a_t$, as all data are at step $t$).

# %%
from helpers.data import load_points

turn = torch.arange(8) * math.pi / 4
ring = MixtureDenoiser(table, 1.4 * torch.stack([turn.cos(), turn.sin()], 1), 0.1)
dots = load_points("eight_gaussians", 400)
line = torch.linspace(-2, 2, 9)
grid = torch.cartesian_prod(line, line)                  # (81, 2)
fig, axes = plt.subplots(1, 4, figsize=(10, 2.7))
for ax, t in zip(axes, (150, 400, 600, 800)):
    step = torch.full((len(grid),), t)
    a, b = float(table.signal[t]), float(table.noise[t])
    arrow = b**2 * ring.score(grid, step)
    assert torch.allclose(grid + arrow, a * ring(grid, step)[0], atol=1e-4)
    ax.scatter(*(a * dots).T, s=3, color="0.7")
    ax.quiver(*grid.T, *arrow.T, angles="xy", scale=1, scale_units="xy", width=0.006,
              headwidth=5, headlength=6, headaxislength=6, color=COLORS[3])
    ax.set(xlim=(-2.3, 2.3), ylim=(-2.3, 2.3), xticks=[], yticks=[], aspect="equal")
    ax.set_title(f"t = {t}")
plt.show()

# %% [markdown]
# With little noise nearly every arrow runs to the nearest cluster. The more noise, the nearer to the middle they end: at $t=800$ at most 0.24 from it, while the clusters stand at 0.43. Only in pure noise would all end at the mean of the data.
#
# One more name that you will meet: **denoising score matching** (Vincent 2011). It trains a network on pairs with the loss $\|s_\theta(x_t,t) + \varepsilon/b_t\|^2$. The target $-\varepsilon/b_t$ is the gradient of $\log q(x_t\mid x_0)$, which everybody knows; its mean over all $x_0$ that may have made this $x_t$ (line 3) is the score, which
# nobody knows. The squared error finds the mean by itself (recall question 2).

# %% [markdown]
# ## 3 · One loss, four weights  <small>14 min</small>
#
# If the four are the same, why not take any? Because one trains with **the squared error of the answer**, and the four squared errors are not the same number.
#
# Let the network's answer, in whatever target, stand for the guess $\hat x_0$, and let $e = \hat x_0 - x_0$ be its error. It sees $x_t$, so guess and truth give the same $x_t$:
#
# $$a\,\hat x_0 + b\,\hat\varepsilon = x_t = a\,x_0 + b\,\varepsilon\quad\Longrightarrow\quad \hat\varepsilon - \varepsilon = -\frac ab\,e$$
#
# So one error in $x_0$ fixes all others. One line each:
#
# - **$\varepsilon$**: $\ \|\hat\varepsilon-\varepsilon\|^2 = \dfrac{a^2}{b^2}\,\|e\|^2 = \mathrm{SNR}\cdot\|e\|^2$
#
# - **$v$**: $\ \hat v - v = a(\hat\varepsilon-\varepsilon) - b\,e = -\Big(\dfrac{a^2}b + b\Big)e = -\dfrac1b\,e$, and $\dfrac1{b^2} = \dfrac{a^2+b^2}{b^2} = \mathrm{SNR}+1$
#
# - **score**: it is $-\varepsilon/b$, so a further $\dfrac1{b^2}$: $\ \mathrm{SNR}\,(\mathrm{SNR}+1)$
#
# | the loss is the squared error of | $= \|e\|^2$ times |
# |---|---|
# | $x_0$ | $1$ |
# | $\varepsilon$ | $\mathrm{SNR}$ |
# | $v$ | $\mathrm{SNR}+1$ |
# | score | $\mathrm{SNR}\,(\mathrm{SNR}+1)$ |
#
# **Predict.** Which of the four cares most about the last fine grain (small $t$)? Which is the only one that still cares about $x_0$ where $\mathrm{SNR}\to0$, besides $x_0$ itself?

# %%
from helpers.targets import x0_weight

few = torch.tensor([50, 500, 950])
a, b = table.signal[few][:, None], table.noise[few][:, None]
g = torch.Generator().manual_seed(2)
x0, eps, e = torch.randn(3, 3, 1000, generator=g, dtype=torch.float64)
x_t = a * x0 + b * eps
wrong = x0 + e                                           # the guess
wrong_eps = (x_t - a * wrong) / b
snr = (a / b) ** 2
by_hand = {"x0": 1 + 0 * snr, "eps": snr, "v": snr + 1, "score": snr * (snr + 1)}
print(f"{'measured':8s}" + "".join(f"{f't = {t}':>12s}" for t in few.tolist()))
for target in ("x0", "eps", "v", "score"):
    difference = (answer_wanted(wrong, wrong_eps, a, b, target)
                  - answer_wanted(x0, eps, a, b, target))
    weight = difference.square().mean(1) / e.square().mean(1)
    print(f"{target:8s}" + "".join(f"{w:12.4f}" for w in weight))
    assert torch.allclose(weight, by_hand[target][:, 0])
    assert torch.allclose(weight, x0_weight(table.log_snr[few], target))

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# The score: its weight grows like $\mathrm{SNR}^2$. For $\mathrm{SNR}\to0$ only $v$ keeps a weight (1), as $x_0$ does; $\varepsilon$ and the score stop caring.
#
# </details>
#
# **And the schedule?** It is a weight, too. A loss that draws $t$ uniformly spends its time where the table has many steps. Left: the four weights over $\log\mathrm{SNR}$. Right: how many of the 1000 steps each table spends there.

# %%
tables = {"linear": linear(), "cosine": table}
names = {"x0": "$x_0$: 1", "eps": "ε: SNR", "v": "v: SNR + 1",
         "score": "score: SNR (SNR + 1)"}
lines = {"x0": "-", "eps": "--", "v": "-", "score": ":"}
fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 2.9))
axis = torch.linspace(-10, 10, 201)
for target in names:
    left.plot(axis, x0_weight(axis, target), lines[target], lw=2, label=names[target])
left.set(yscale="log", ylim=(1e-4, 1e5), xlabel="log SNR (much noise … little noise)")
left.set_title("weight of the error of $x_0$", fontsize=10)
left.legend(fontsize=8)
for (name, one), hatch in zip(tables.items(), ("", "//")):
    right.hist(one.log_snr[1:], 40, range=(-10, 10), alpha=0.5, label=name, hatch=hatch)
right.set(xlabel="log SNR", title="steps spent there")
right.legend(fontsize=8)
plt.show()
for name, one in tables.items():
    noisy = int((one.log_snr[1:] < math.log(1 / 100)).sum())
    print(f"{name}: {noisy} of 1000 steps have signal² below a hundredth of noise²")

# %% [markdown]
# The linear table spends a third of its steps where nearly nothing is left to see; the cosine table puts them in the middle, where a picture is decided. That is the point of Improved DDPM's cosine schedule (Nichol and Dhariwal 2021), seen as a weight.
#
# **A weight by choice.** If every target is the same error times a weight, we may choose the weight freely and *separately* from the target: divide by the weight that the target brings, multiply by the one that we want. Hang et al. (2023) want
#
# $$w(t) = \min(\mathrm{SNR}_t,\ \gamma),\qquad \gamma = 5$$
#
# for the error of $x_0$: like $\varepsilon$ where there is much noise, but capped, so that the fine grain does not take everything. They call it **Min-SNR-$\gamma$** (and report a training 3.4 times faster than with earlier weights, on ImageNet 256×256). For the other targets divide:
#
# $$x_0:\ \min(\mathrm{SNR},\gamma)\qquad \varepsilon:\ \frac{\min(\mathrm{SNR},\gamma)}{\mathrm{SNR}}\qquad v:\ \frac{\min(\mathrm{SNR},\gamma)}{\mathrm{SNR}+1}\qquad \text{score}:\ \frac{\min(\mathrm{SNR},\gamma)}{\mathrm{SNR}\,(\mathrm{SNR}+1)}$$

# %%
from helpers.targets import min_snr_weight

log_snr = torch.linspace(-8, 8, 161)
snr = log_snr.exp()
capped = snr.clamp(max=5.0)
assert torch.allclose(min_snr_weight("x0")(log_snr), capped)
assert torch.allclose(min_snr_weight("eps")(log_snr), capped / snr)
assert torch.allclose(min_snr_weight("v")(log_snr), capped / (snr + 1))
print("by hand = helpers.diffusion.min_snr_weight")


# %%
def show_min_snr(ax, gamma):
    for target, look in (("x0", "-"), ("eps", "--"), ("v", "-")):
        ax.plot(log_snr, min_snr_weight(target, gamma)(log_snr), look, lw=2,
                label=f"factor for {names[target].split(':')[0]}")
    ax.plot(log_snr, snr.clamp(max=gamma), color="0.5", lw=6, alpha=0.3,
            label="weight of $e^2$")
    ax.set(ylim=(0, 1.15 * max(gamma, 1)), xlabel="log SNR", title=f"γ = {gamma:g}")


def min_snr(gamma):
    ax = plt.subplots(figsize=(4.4, 2.7))[1]
    show_min_snr(ax, gamma)
    ax.legend(fontsize=8)
    plt.show()


slide(min_snr, gamma=(0.5, 20.0, 5.0))

# %%
fig, axes = plt.subplots(1, 3, figsize=(10, 2.6))
for ax, gamma in zip(axes, (1.0, 5.0, 20.0)):
    show_min_snr(ax, gamma)
axes[0].set_ylabel("factor")
axes[1].legend(fontsize=7, loc="center left")
plt.show()

# %% [markdown]
# (Blue lies on the grey band: for $x_0$ the factor *is* the weight.)
#
# The test of tests: one and the same guess, answered in four languages, each with its own factor. All four losses must be the same number.

# %%
from helpers.diffusion import Denoiser, diffusion_loss


def some_guess(x_t, t):
    return (0.8 * x_t).tanh()                            # any guess of x0 will do


def in_target(target):
    """A 'network' that makes this guess, but answers in the target's language."""
    def network(x_t, t):
        x0 = some_guess(x_t, t)
        eps = from_target(table, x0, x_t, t, "x0")[1]
        return to_target(table, x0, eps, t, target)
    return Denoiser(network, table, target)


batch = torch.rand(500, 1, 4, 4, generator=g.manual_seed(2)).double() * 2 - 1
values = []
for target in ("x0", "eps", "v", "score"):
    seeds = [torch.Generator().manual_seed(3) for _ in range(2)]
    plain = diffusion_loss(in_target(target), batch, seeds[0])
    equal = diffusion_loss(in_target(target), batch, seeds[1], min_snr_weight(target))
    values.append(float(equal))
    print(f"{target:6s} plain {plain:12.4f}    with its Min-SNR factor {equal:.4f}")
assert max(values) - min(values) < 1e-3 * values[0]

# %% [markdown]
# Look at the middle column: **one guess, four losses, from 0.3 to more than 13,000.** Nobody may compare them. With its factor each says the same.
#
# > **Easily mistaken.** "Our loss is 0.05 and theirs is 0.3, so ours is better." A loss of $\varepsilon$ and a loss of $v$ have different units, like metres and feet. Even two losses of the same target on two schedules cannot be compared.
#
# (The factor of $v$ is easily mistaken, too: the training scripts of a well-known library first had $\min(\mathrm{SNR},\gamma)/\mathrm{SNR}+1$, then $\min(\mathrm{SNR}+1,\gamma)/(\mathrm{SNR}+1)$, and only then $\min(\mathrm{SNR},\gamma)/(\mathrm{SNR}+1)$: diffusers, pull requests 5238 and 6307. You can now check such a line in your
# head: for $\mathrm{SNR}\to0$, where must it go, and where does each of the three go?)
#
# <details><summary>Answer</summary>
#
# To 0, because the wanted weight $\min(\mathrm{SNR},\gamma)$ goes to 0 and $v$ brings a weight of 1. The first goes to 2, the second to 1; only the third is right.
#
# </details>

# %% [markdown]
# ## 4 · Where each must break  <small>10 min</small>
#
# Back to the plane of section 1. The network sees $x_t$, so $P$ lies somewhere on the line across the first ruler (grey). The answer is the second reading; suppose it is off by up to $\delta = 0.15$, in whatever target. Where may $P$ be then? (In the figures two of the bars are moved a little to the side, so that one sees all three; they belong onto the grey line.)
#
# **Predict.** $\varphi = 10°$ (nearly clean), and $\varphi = 80°$ (nearly noise). Who knows $P$ well, who badly: the guesser of $x_0$, of $\varepsilon$, of $v$?

# %%
def reach(degrees, delta=0.15):
    """How far P may slide on the line, to each side, for an error delta in a target."""
    phi = math.radians(degrees)
    return {"x0": delta / max(math.sin(phi), 1e-9),
            "eps": delta / max(math.cos(phi), 1e-9), "v": delta}


def show_doubt(ax, degrees):
    along, across = rulers(degrees)
    ends = P + torch.tensor([[-3.0], [3.0]]) * across
    ax.plot(*ends.T, color="0.75", lw=1)
    looks = zip(("x0", "eps", "v"), ("$x_0$", "ε", "v"), COLORS, (-0.07, 0.07, 0.0))
    for target, name, color, aside in looks:
        far = reach(degrees)[target]
        part = P + torch.tensor([[-far], [far]]) * across + aside * along
        ax.plot(*part.T, color=color, lw=4, alpha=0.9, label=name)
    ax.plot(*P, "o", color="k", ms=5)
    ax.set(xlim=(-0.2, 2.2), ylim=(-0.3, 2.1), aspect="equal", title=f"φ = {degrees}°",
           xlabel="$x_0$")


# %%
def doubt(degrees):
    ax = plt.subplots(figsize=(3.6, 3.6))[1]
    show_doubt(ax, degrees)
    ax.set_ylabel("ε")
    ax.legend(fontsize=8)
    plt.show()


slide(doubt, degrees=(1, 89, 45))

# %%
fig, axes = plt.subplots(1, 4, figsize=(10, 2.9), sharey=True)
for ax, degrees in zip(axes, (5, 30, 60, 85)):
    show_doubt(ax, degrees)
axes[0].set_ylabel("ε")
axes[3].legend(fontsize=8, title="guessed", title_fontsize=8)
plt.show()

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# Nearly clean: the guesser of $x_0$ knows $P$ badly. Not its $x_0$, that is within $\delta$; but the $\varepsilon$ that follows from it may be off by 0.85. Nearly noise: the guesser of $\varepsilon$ knows $P$ badly, its $x_0$ may be off by as much. The guesser of $v$ is within $\delta$ everywhere: its ruler
# stands across.
#
# </details>
#
# As formulas, from section 3. An error $\delta$ in the answer becomes an error of the **picture** $x_0$, and of the **noise** $\varepsilon$, of
#
# | answer | error of $x_0$ | error of $\varepsilon$ |
# |---|---|---|
# | $x_0$ | $\delta$ | $\delta\cdot a/b$, explodes at small $t$ |
# | $\varepsilon$ | $\delta\cdot b/a$, explodes at large $t$ | $\delta$ |
# | $v$ | $\delta\cdot b$ | $\delta\cdot a$ |
# | score | $\delta\cdot b^2/a$, explodes at large $t$ | $\delta\cdot b$ |

# %%
t = torch.arange(1, 1001)
a, b = table.signal[t], table.noise[t]
to_x0 = {"x0": a / a, "eps": b / a, "v": b, "score": b**2 / a}
fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 2.7), sharey=True)
for target, look in lines.items():
    factor = to_x0[target]
    assert torch.allclose(factor, x0_weight(table.log_snr[t], target) ** -0.5)
    left.plot(t, factor, look, lw=2, label=names[target].split(":")[0])
    right.plot(t, factor * a / b, look, lw=2)
left.set(yscale="log", ylim=(1e-3, 1e3), xlabel="t", ylabel="factor")
left.set_title("error of the answer → error of $x_0$", fontsize=10)
right.set_title("error of the answer → error of ε", fontsize=10)
right.set_xlabel("t")
left.legend(fontsize=8)
plt.show()
print("cosine table: an error of 0.01")
print(f"  in ε at t = 1000 is one of {0.01 * b[-1] / a[-1]:.0f} in x0")
print(f"  in x0 at t = 1 is one of {0.01 * a[0] / b[0]:.2f} in ε")

# %% [markdown]
# Does it hurt in practice? At the very first step of drawing, a network that guesses $\varepsilon$ divides by a signal of nearly 0. This is one reason why samplers **clip** the guess of $x_0$ to $[-1,1]$ (`clip=True` in `sample`): it hides the explosion. At small $t$ the other explosion hurts less: the error of
# $\varepsilon$ is large, but the steps there are short, and the next step multiplies it by a small $b$.
#
# And one thing the formulas cannot tell: whether $\delta$ *is* the same for all targets. A network may find one question easier than another. So measure.

# %% [markdown]
# ## 5 · Live: noise against picture  <small>11 min</small>
#
# Digits again, 8×8, but a simpler network than the U-Net of session {{session:ddpm}}, so that it trains in seconds: the 64 pixels and the clock of $t$ go through three layers of 256. It knows nothing of neighbours. 1,000 digits train it, 797 are kept apart.
#
# The judge is a small classifier of digits, trained for a few seconds on all real digits; its 16 features give the FD (session {{session:ddpm}}, section 6).

# %%
import inspect

from experiments import targets as bench

digits, held_out = bench.digits()                        # (1000, 1, 8, 8), (797, …)
smoke = course.profile() == "smoke"
judge = bench.digit_features(20 if smoke else 1500)
print(inspect.getsource(bench.Network.forward))

# %%
from helpers.features import extract
from helpers.metrics import frechet_distance

real = extract(judge, held_out)


def fd_of(images):
    return frechet_distance(extract(judge, images.clamp(-1, 1)), real)


floor = fd_of(digits)
print(f"FD of {len(digits)} real digits to {len(held_out)} other ones: {floor:.3f}")

# %% [markdown]
# **Predict.** Two networks, equal in everything: size, data, steps, first weights, cosine table. One is asked for the noise $\varepsilon$, one for the picture $x_0$. Which one writes better digits: $\varepsilon$, $x_0$, or no difference?

# %%
import tempfile
from pathlib import Path

from tqdm.auto import tqdm

from helpers.samplers import last, pairs, sample, timesteps
from helpers.train import fit

STEPS = course.pick(smoke=18, cpu=1800, gpu=2000)
folder = tempfile.TemporaryDirectory()                   # gone with the kernel


def train(target, until):
    """Train to this step, from where the checkpoint stands; the averaged network."""
    torch.manual_seed(0)
    network = bench.Network(64)

    def loss(network, batch, generator):
        return diffusion_loss(Denoiser(network, table, target), batch, generator)

    run = fit(network, digits, loss, STEPS, until=until, every=STEPS, **bench.RECIPE,
              checkpoint=Path(folder.name, f"{target}.pt"))
    average = last(tqdm(run, total=STEPS // 2)).ema
    return Denoiser(average.cpu(), table, target)


# %%
def write(predict, n=1000, **options):
    """n digits in 100 of the 1000 steps (η = 1), from the same noise for all."""
    n, count = (50, 4) if smoke else (n, 100)
    return bench.draw(predict, n, digits, count=count, **options)


# %%
half = {target: train(target, STEPS // 2) for target in ("eps", "x0")}
for target, predict in half.items():
    print(f"{target:4s} after {STEPS // 2} steps: FD {fd_of(write(predict)):.2f}")

# %%
live = {target: train(target, STEPS) for target in ("eps", "x0")}
written = {target: write(predict) for target, predict in live.items()}
n = len(written["x0"])
print(f"n = {n}, seed 0, {STEPS} steps, cosine; floor {floor:.2f}")
for target, images in written.items():
    print(f"{target:4s} FD {fd_of(images):.2f}")
if not smoke:
    assert fd_of(written["x0"]) < fd_of(written["eps"])

# %%
columns = list(zip(written["eps"][:16], written["x0"][:16], held_out[:16]))
strip(columns, ("guesses ε", "guesses $x_0$", "real"), [], 0.62)

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# For this network it is $x_0$, and by far. Digits are few among all 8×8 pictures: their pixels hang together, so a picture can be said with few numbers. Noise cannot: 64 independent numbers, each of which must go *through* the network unharmed. A narrow or simple network finds that hard. Li and He (2025)
# make this point for large pictures. A U-Net has skips through which noise passes easily (session {{session:ddpm}}, "fine
# skips cut"), so there it may come out otherwise; we did not measure it. Do not learn from this figure that $x_0$ always wins.
#
# </details>
#
# Where on the way is the difference made? The same held-out digits at sixteen $t$, noised with the same $\varepsilon$ for both networks; each network's guess, brought to $x_0$. Thin dotted line: the guess "always the mean of all digits".

# %%
curves = {target: bench.errors(predict, held_out) for target, predict in live.items()}
blind = float((held_out - digits.mean(0)).square().mean())


def show_errors(ax, curves, times=bench.TIMES):
    hues = dict(x0=0, eps=1, v=2, score=3)               # as in sections 3 and 4
    for (target, values), look in zip(curves.items(), ("--", "-", "-", ":", "-.")):
        hue = COLORS[hues.get(target, 4)]
        ax.plot(times, values, look, lw=2, color=hue, label=target)
    ax.axhline(blind, color="0.5", ls=":", lw=1)
    ax.set(yscale="log", xlabel="t", ylim=(1e-4, 1e3))


fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 2.8))
show_errors(left, curves)
left.set_title("mean squared error of $x_0$", fontsize=10)
left.legend(fontsize=8)
ratio = [e / x for e, x in zip(curves["eps"], curves["x0"])]
right.plot(bench.TIMES, ratio, lw=2)
right.axhline(1, color="0.5", ls=":", lw=1)
right.set(yscale="log", xlabel="t", title="error of ε-network / error of $x_0$-network")
plt.show()

# %% [markdown]
# Look at both ends. At the right end the $\varepsilon$-network's guess of the picture is off by more than any picture is large: it divides by the signal. At the left end it is the better one: it need not repeat the picture, only name a small correction.
#
# But the right end is hidden by the clipping, and at the left end $\varepsilon$ is the better one. So look at the middle, too: from $t=200$ to $800$ its error is 1.3 to 1.6 times as large (right). It looks small, but here the digit is decided, and clipping does not mend it. (Section 6 agrees: $v$ has no bad end, the same middle, and an FD near that of $\varepsilon$.)
#
# So **without** the clipping the $\varepsilon$-network should be unable to draw with this table:

# %%
for target, predict in live.items():
    free = write(predict, clip=False)
    print(f"{target:4s} FD with clipping {fd_of(written[target]):8.2f},"
          f"  without {fd_of(free):8.2f}")
some = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(4))
moments, guesses = (1000, 990, 950, 800, 600, 400, 100), []
for t in moments:
    x_t = add_noise(table, held_out[:1], torch.tensor([t]), some)
    with torch.no_grad():
        both = [predict(x_t, t)[0][0] for predict in live.values()]
    guesses.append([x_t[0], *both, held_out[0]])
strip(guesses, ("seen", "by ε", "by $x_0$", "truth"), [f"t = {t}" for t in moments],
      side=0.9)

# %% [markdown]
# ## 6 · The table: four targets, two schedules  <small>9 min</small>
#
# One seed says little. The same recipe with only 1,000 steps, for all four targets, both tables, three seeds each (so the numbers are a little worse than above): `python -m experiments.targets`. And a third question: does the difference come from the **weight** or from the **question**? So three of the targets were also trained with their Min-SNR factor (cosine table). Then all three have *the same*
# loss of the same error (section 3), and differ only in what the network has to say.
#
# The score needs care. Its plain loss has targets as large as $1/b_1$ (100 for the linear table), squared; "noise²" multiplies the loss by $b_t^2$, as Song and Ermon (2019) do, which makes it the loss of $\varepsilon$.

# %%
import json

stored = json.loads((course.ROOT / "experiments" / "targets.json").read_text())
rows = [(target, "own") for target in ("eps", "x0", "v", "score")]
rows += [("score", "noise²"), *((t, "min-SNR 5") for t in ("eps", "x0", "v"))]


def three(data, key, score):
    """The three seeds' values of a score; none if it was not measured."""
    found = [stored[data].get(f"{key}, seed {seed}") for seed in range(3)]
    return [one[score] for one in found if one]


def shown(values):
    """Mean (lowest … highest) of three seeds."""
    if None in values or not values:
        return "∞" if values else "·"
    numbers = sum(values) / len(values), min(values), max(values)
    return "{} ({} … {})".format(*(f"{v:.2f}" if v < 1000 else f"{v:.0e}"
                                   for v in numbers))


# %%
machine = stored["machine"]
print(f"digits: FD (16 features), n = {stored['n']['digits'][0]}, seeds 0 1 2,",
      f"{machine['steps']} steps of {machine['batch']}, {machine['device']}")
print(f"{'':18s}" + "".join(f"{name:>24s}" for name in ("linear", "cosine")))
for target, weight in rows:
    cells = [shown(three("digits", f"{s}, {target}, {weight}", "fd")) for s in tables]
    print(f"{target:6s}{weight:12s}" + "".join(f"{cell:>24s}" for cell in cells))
print(f"{'real, held out':18s}{stored['floor']['fd']:>24.2f}")

# %% [markdown]
# **What it says.** Upper rows: the order is the same for both tables and for each seed: $x_0$, then $v$, then $\varepsilon$, and last the plain score, which a few huge targets at small $t$ pull to and fro. The gaps are two to nine times as large as what the seeds differ by. The cosine table helps $\varepsilon$ and the weighted score,
# hardly changes $x_0$ and $v$, and harms the plain score.
#
# Lower rows: is it the **weight**? With Min-SNR the three networks have the same loss of the same error, and the order stays; $\varepsilon$ becomes a little worse (2.38 for 1.94), the two others stay as they were. "score, noise²" has the same loss as $\varepsilon$, and is worse: probably because it is harder to answer in numbers of a hundred and more.
#
# So between $x_0$, $v$ and $\varepsilon$ it is **the question that counts here, and hardly the weight.** The plain score shows that a weight *can* spoil everything: 20.6, and 2.6 with "noise²".
#
# What it does *not* say: that $x_0$ is best. It is a small network without a skip from its input to its output, 1,000 steps, 8×8 pixels, and even the best is four to five times above the floor. DDPM, with a U-Net, tried $x_0$ early and found it worse than $\varepsilon$ (Ho et al. 2020, section 3.2).
#
# (All were drawn with clipping, as in session {{session:ddpm}}. On the cosine table it rescues $\varepsilon$ (29 without it), but it is no free gift: $x_0$ has 0.28 and $v$ 1.04 without it, *better* than above. On the linear table even $\varepsilon$ draws better without it (1.52 for 2.26). Look yourself: `three("digits", "cosine, v, own", "fd_unclipped")`.)

# %%
fig, axes = plt.subplots(1, 2, figsize=(10, 2.9), sharey=True)
for ax, name in zip(axes, tables):
    errors = {}
    for target, weight in (("eps", "own"), ("x0", "own"), ("v", "own"),
                           ("score", "own"), ("score", "noise²")):
        runs = three("digits", f"{name}, {target}, {weight}", "x0")
        label = target + (" (noise²)" if weight == "noise²" else "")
        errors[label] = torch.tensor(runs).mean(0).tolist()
    show_errors(ax, errors, stored["times"])
    ax.set_title(name)
axes[0].set_ylabel("squared error of $x_0$")
axes[1].legend(fontsize=8)
plt.show()

# %% [markdown]
# Each breaks where section 4 said. **Near the clean end** (left) the curve of $x_0$ stays at 0.02 to 0.03, while all others fall to nothing: a network that has to repeat 64 pixels makes small mistakes, one that names the noise has them shrunk. **In noise** (right) $\varepsilon$ and the score become
# worse than the blind guess (thin grey dotted line): from $t\approx420$ with the linear table, from $t\approx700$ with the cosine one, but there at the very end by a factor of more than ten million (above the edge of the figure), because it ends with less signal. $v$ follows the better one at both ends. The plain score, busy with the small $t$, is worse than the blind guess already from $t\approx260$ (linear) and 425 (cosine).

# %% [markdown]
# **In the plane**: the Swiss roll, scored by the *energy distance* (0 if two clouds have the same distribution; times 1000), without clipping, since points have no bounds.

# %%
print(f"Swiss roll: 1000 × energy distance, n = {stored['n']['roll'][1]}, seeds 0 1 2")
print(f"{'':18s}" + "".join(f"{name:>28s}" for name in ("linear", "cosine")))
for target, weight in rows:
    if weight != "own":
        continue
    cells = []
    for s in tables:
        values = three("roll", f"{s}, {target}, {weight}", "energy")
        cells.append(shown([None if v is None else 1000 * v for v in values]))
    print(f"{target:6s}{weight:12s}" + "".join(f"{cell:>28s}" for cell in cells))
print(f"{'real against real':18s}{1000 * stored['floor']['energy']:>28.2f}")

# %% [markdown]
# (Below 0 is possible for two samples of one distribution: the estimate has no bias, so it falls to both sides of 0.)
#
# In the plane the order is **another one**: $x_0$, the winner above, is now behind $\varepsilon$ on the linear table, and behind $v$ on the cosine one. A likely reason: here both arguments turn round. Noise is now only two numbers, which a network of 256 can easily pass on; and the roll is thin, so what counts is precision near the clean end, where the
# guesser of $x_0$ makes its small mistakes. With the cosine table $\varepsilon$ divides by nearly 0 again, nothing clips, and its seeds disagree; the plain score breaks outright: in one of its seeds the points run off by about a thousand. So no target wins everywhere. But two of them broke
# nowhere, with clipping or without: $x_0$, and $v$, which is precise near the clean end as well. (One number does not fit: $v$ on the linear table, 18.4. Why, this table cannot say.)
#
# > **Easily mistaken.** "Lower loss means better pictures." Here are all targets of the digit table, ordered by *their own* held-out loss, with the FD beside:

# %%
order = []
for target, weight in rows:
    key = f"cosine, {target}, {weight}"
    loss, fd = (sum(three("digits", key, score)) / 3 for score in ("loss", "fd"))
    order.append((loss, fd, target, weight))
print("cosine, mean of three seeds      own loss        FD")
for loss, fd, target, weight in sorted(order):
    print(f"  {target:6s} {weight:12s} {loss:18.3f} {fd:9.2f}")

# %% [markdown]
# By their own loss $\varepsilon$ is better than $v$; by what they draw $v$ is better. And look at the two scores: the same target, the same loss of 94, and one of them draws eight times worse than the other. The sum is full of the huge errors at small $t$, where nothing can be learned, and hides all the rest.
#
# Even the same target on two tables is no better: $\varepsilon$ has the loss 0.14 on the linear table (`three("digits", "linear, eps, own", "loss")`) and 0.24 on the cosine one, and draws better with the second. **Losses may be compared only where the target, the table, the weight and the data are the same** (as in session {{session:ddpm}}, section 6). And even then the lower one need not draw the better pictures.

# %% [markdown]
# ## 7 · When the last step has no signal  <small>7 min, may be skipped</small>
#
# Session {{session:forward_process}} saw that the table of Stable Diffusion ends with a signal of 0.068, and mended it (zero terminal SNR, Lin et al. 2023). What does that little rest of signal do to the pictures that one *draws*? Here everything can be computed.
#
# Take the **brightness** of a picture of $D$ numbers: their mean. Multiply it by $\sqrt D$, so that the noise in it has variance 1 again. If the brightness varies from picture to picture with a standard deviation of 0.5, the product varies with $\sigma = 0.5\sqrt D$. That is a lot: for $D = 64\cdot64\cdot4$ (the size on which Stable Diffusion works) $\sigma = 64$.
#
# Say it is Gaussian. At step $T$ the true $x_T$ has the variance $a_T^2\sigma^2 + b_T^2$, which is **not** 1. But one starts from $\mathcal N(0,1)$. A perfect deterministic sampler scales a Gaussian; so the spread of the drawn brightness is too small, by the factor
#
# $$\frac1{\sqrt{a_T^2\,\sigma^2 + b_T^2}}$$
#
# **Predict.** $a_T = 0.068$ and $\sigma = 64$. Are the drawn pictures as varied in brightness as the data, half as much, or a fifth?

# %%
from helpers.schedules import scaled_linear, zero_terminal_snr

sigma = 0.5 * 16_384**0.5                                # 64
endings = {"linear": linear(), "scaled linear": scaled_linear(), "cosine": cosine()}
endings["scaled linear, mended"] = zero_terminal_snr(scaled_linear())
walk = pairs(timesteps(1000, 50 if smoke else 1000))
start = torch.randn(4000, 1, generator=torch.Generator().manual_seed(5)).double()
start = start / start.std()                              # of these 4,000, exactly 1
drawn_brightness = {}
for name, one in endings.items():
    perfect = MixtureDenoiser(one, torch.zeros(1, 1).double(), sigma)
    fresh = torch.Generator().manual_seed(6)
    end, random = (last(sample(perfect, one, start, walk, eta, clip=False,
                               generator=fresh)).x for eta in (0.0, 1.0))
    a, b = float(one.signal[-1]), float(one.noise[-1])
    formula, measured = (a**2 * sigma**2 + b**2) ** -0.5, float(end.std()) / sigma
    drawn_brightness[name] = end[:, 0] / 16_384**0.5
    print(f"{name:22s} signal_T {a:.5f}: factor {formula:.2f}, drawn {measured:.2f},",
          f"with η = 1 {float(random.std()) / sigma:.2f}")
    assert smoke or abs(measured - formula) < 0.08

# %%
fig, axes = plt.subplots(1, 3, figsize=(9.5, 2.3), sharex=True, sharey=True)
wanted = 0.5 * torch.randn(4000, generator=torch.Generator().manual_seed(6))
for ax, name in zip(axes, ("scaled linear", "linear", "scaled linear, mended")):
    ax.hist(wanted, 60, range=(-2, 2), color="0.8", label="data")
    ax.hist(drawn_brightness[name], 60, range=(-2, 2), histtype="step", lw=2,
            label="drawn")
    ax.set(title=name, xlabel="brightness", yticks=[])
axes[0].legend(fontsize=8)
plt.show()

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# About a fifth (0.22): nearly everything is of medium brightness, though the denoiser is *perfect*. The mended table gives the full spread back.
#
# </details>
#
# (What was drawn is up to 4 % narrower than the formula says, because 1000 steps are not infinitely many. With fresh noise in every step, $\eta=1$ as in session {{session:ddpm}}, a part of the wrong start is forgotten: 0.31 instead of 0.22. Real pictures are not Gaussian, so do not take these numbers for those of a real model. The direction is right: it is what Lin et
# al. report.)
#
# **The price.** At $a_T = 0$ the seen picture *is* the noise. A network that has to name $\varepsilon$ repeats what it sees; its weight on the error of $x_0$ is $\mathrm{SNR}=0$; and the way back divides by 0. So our `Denoiser` refuses, and says what to do:

# %%
mended = zero_terminal_snr(cosine())
for target in FOUR:
    try:
        Denoiser(bench.Network(64), mended, target)
        print(f"{target:6s} fine")
    except ValueError as error:
        print(f"{target:6s} {error}")

# %% [markdown]
# $v$ has no such trouble: at $a_T=0$ it is $-x_0$, so the first step of drawing answers the only sensible question, "what is the mean of all pictures?". This is why Lin et al. train with $v$.

# %% [markdown]
# ## 8 · The card of our face model; summary, exit  <small>6 min</small>
#
# Now every word on the card of the course's own model can be read.

# %%
from helpers.checkpoints import load_card
from helpers.schedules import make_schedule

card = load_card("ddpm-faces")
print("target  ", card["target"])
print("schedule", card["schedule"])
print("weight  ", "first 5,000 steps: none; last 7,500:", card["more"]["weight"])
faces_table = make_schedule(**card["schedule"])
log_snr = faces_table.log_snr[1:]
extra = 1 + 2 * torch.sigmoid(-log_snr - 3)

fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 2.6))
left.plot(torch.arange(1, 1001), extra, lw=2)
left.set(xlabel="t", ylim=(0, 3.2), title="the factor of the second part")
for label, weight, look in (("v alone", 1 + 0 * extra, "--"), ("with it", extra, "-")):
    right.plot(log_snr, x0_weight(log_snr, "v") * weight, look, lw=2, label=label)
right.set(yscale="log", xlabel="log SNR", xlim=(-10, 6), ylim=(0.5, 1e3))
right.set_title("weight of the error of $x_0$", fontsize=10)
right.legend(fontsize=8)
plt.show()
third = float(extra[667:].mean() / extra[:333].mean())
print(f"the noisiest third counts {third:.1f} times as much as the cleanest")

# %% [markdown]
# - **$v$**, because its ruler stands across at every $t$: no division, and a weight of at least 1 even in pure noise, where the large colours are settled.
# - **Cosine, shifted** by $-2\ln2$: the price of one doubling, from 32×32 to 64×64 pixels (session {{session:forward_process}}, section 4).
# - **The weight** $1+2\,\sigma(-\log\mathrm{SNR}-3)$, where $\sigma$ is the sigmoid: 1 for little noise, 2 at the SNR $e^{-3}\approx 1/20$, nearly 3 far below it. After the first part faces had hair of two colours. We took it that the colour of the hair is decided in the noisiest third of the steps; so in the second part errors there count up to three times as much ($t$ is still drawn uniformly). A
# weight is a wish, and this one was made after *looking*.
#
# It was one training, chosen by eye and FD among few trials: no proof that $v$ is best for faces.
#
# ## What we saw
#
# - $x_t$ is one reading of a point; the target is the second. $x_0$, $\varepsilon$ and $v$ are three rulers for the same point (the score is that of $\varepsilon$ with other marks), and $v$ stands at a right angle to what is seen.
# - **Tweedie:** $\mathbb E[x_0\mid x_t] = (x_t + b^2\,\nabla\log q)/a$; the score is $-\mathbb E[\varepsilon\mid x_t]/b$.
# - Their losses are one error with the weights $1,\ \mathrm{SNR},\ \mathrm{SNR}+1,\ \mathrm{SNR}(\mathrm{SNR}+1)$; the schedule is a weight, too; Min-SNR chooses it freely.
# - $x_0$ breaks near the clean end, $\varepsilon$ and the score in pure noise, where clipping hides it; at zero terminal SNR they are impossible.
# - A loss has the unit of its target. **Compare samples, never losses of different targets.**
#
# **By hand equals helper:** the four conversions (1), score and Tweedie (2), the weights (3), Min-SNR (3).
#
# **At the exit.** A paper says: "we predict $x_0$ and weight the loss with $\mathrm{SNR}$." What is it equal to, and what is it *not* equal to?
# <details><summary>Answer</summary>
#
# It has the same loss, for the same guess, as predicting $\varepsilon$ with weight 1 (DDPM). But the network must *say* something else, so it learns something else: it will be better in pure noise, and have trouble naming the last grain.
#
# </details>
#
# **Try next.** Train $v$ live in section 5 (`train("v", STEPS)`), or $\varepsilon$ with the weight $1/\mathrm{SNR}$, capped at 100 (the fourth argument of `diffusion_loss`, a function of $\log\mathrm{SNR}$): is it now as good as $x_0$? Make the network narrower (`bench.Network(64, width=64)`): who suffers more? Put the mended cosine table under the $x_0$-network.
#
# (After each change run the cell with `def train` again: it takes a new folder. In the old one `train` finds the finished network, and does not train.)
#
# **Next:** session {{session:inpainting}} gives the network a second picture to look at, and paints in what is missing.
#
# **Homework:** [homework/{{notebook}}](homework/{{notebook}}): the conversions, Tweedie for any density, the weights, and a table mended.
#
# **To read.** T. Salimans, J. Ho, *Progressive Distillation for Fast Sampling of Diffusion Models*, 2022 (arXiv 2202.00512), section 4 and appendix D. Y. Song et al., *Score-Based Generative Modeling through Stochastic Differential Equations*, 2021 (2011.13456). Y. Song, S. Ermon, *Generative Modeling by Estimating
# Gradients of the Data Distribution*, 2019 (1907.05600). P. Vincent, *A Connection Between Score Matching and Denoising Autoencoders*, 2011. B. Efron, *Tweedie's Formula and Selection Bias*, 2011. T. Hang et al., *Efficient Diffusion Training via Min-SNR Weighting Strategy*, 2023 (2303.09556). S. Lin et al., *Common
# Diffusion Noise Schedules and Sample Steps are Flawed*, 2023 (2305.08891). T. Li, K. He, *Back to Basics: Let Denoising Generative Models Denoise*, 2025 (2511.13720).
