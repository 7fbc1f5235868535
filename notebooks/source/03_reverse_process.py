# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # {{number}} · The reverse process
#
# {{badge}}
#
# Adding noise is easy: session {{session:forward_process}} did it in one line. Today we walk the other way, from noise back to data. We find out which
# part of the way back can be *computed*, which part must be *learned*, and why small steps make the learning easy.
#
# At the end you will have made the picture with which diffusion models began: three rows, in which a spiral of points dissolves
# into noise, a small network rolls it up again, and arrows show where the network pushes each point.
#
# **Time:** 90 minutes; the cells themselves run for up to two minutes on two CPU cores, and no shorter on a graphics card: the network is tiny.
#
# **Before:** session {{session:forward_process}} (the jump from $x_0$ to $x_t$), and from session {{session:start_here}} products of Gaussians (section 7), Bayes (8) and KL (10).
#
# | section | minutes | may be skipped |
# |---|---|---|
# | recall | 4 | |
# | 1 · the joint, written three ways | 13 | |
# | 2 · what we know and what we do not | 9 | |
# | 3 · completing the square | 15 | |
# | 4 · when is the step back Gaussian? | 11 | the two code cells that measure the KL |
# | 5 · the exact way back of a mixture | 14 | |
# | 6 · a network learns the spiral | 13 | |
# | 7 · learned against exact | 7 | yes |
# | 8 · checks, summary, exit | 4 | |

# %% tags=["setup"]
from helpers import course

course.setup(minutes={{minutes}})

# %% [markdown]
# ## Recall  <small>4 min</small>
#
# Answer aloud, then open.
#
# **1** (session {{session:forward_process}}). What is $x_t$ in one jump from $x_0$, and what is $\bar\alpha_t$?
# <details><summary>Answer</summary>
#
# $x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\varepsilon$ with $\varepsilon\sim\mathcal N(0, I)$. Step $t$ keeps the share
# $\alpha_t = 1-\beta_t$ of the variance, and $\bar\alpha_t = \alpha_1\alpha_2\cdots\alpha_t$ is the share that is left after all $t$ steps.
#
# </details>
#
# **2** (session {{session:forward_process}}). $\bar\alpha_{t-1} = 0.5$ and $\beta_t = 0.2$. How large is $\bar\alpha_t$?
# <details><summary>Answer</summary>
#
# $\bar\alpha_t = \bar\alpha_{t-1}(1-\beta_t) = 0.5\cdot 0.8 = 0.4$.
#
# </details>
#
# **3** (session {{session:start_here}}). Two measurements of one thing: $2$ with variance $1$, and $4$ with variance $0.25$. What do you believe?
# <details><summary>Answer</summary>
#
# Precisions add: $1 + 4 = 5$, so the variance is $0.2$. The mean is $(1\cdot 2 + 4\cdot 4)/5 = 3.6$, nearer to the surer one.
#
# </details>

# %% [markdown]
# ## 1 · The joint, written three ways  <small>13 min</small>
#
# A *path* is a whole walk $x_0, x_1, \dots, x_T$ from clean to noisy. The **joint** $q(x_{0:T})$ says how likely each path is. There is only
# one joint, but we can write it down in three ways. The whole theory of this course is in the difference between them.
#
# To see all numbers at once, take the smallest picture of all: **one pixel with three levels**, black, grey and white. In the data it is
# mostly black. A forward step keeps the level with probability 0.8 and otherwise jumps to one of the other two. There are $T = 3$ steps.
#
# **First way: forward.** Start in the data and step towards the noise. Each step looks only at the one before it (this is what
# *Markov* means):
#
# $$q(x_{0:T}) = q(x_0)\,\prod_{t=1}^{T} q(x_t\mid x_{t-1})\tag{1}$$

# %%
import torch

p0 = torch.tensor([0.7, 0.1, 0.2]).double()     # q(x_0): black, grey, white
stay = 0.8
step = torch.full((3, 3), (1 - stay) / 2).double()
step.fill_diagonal_(stay)                       # step[i, j] = q(x_t = j | x_{t-1} = i)

# einsum multiplies entries whose letters agree: a = x_0, b = x_1, c = x_2, d = x_3.
# One number for each of the 3·3·3·3 = 81 paths:
joint = torch.einsum("a,ab,bc,cd->abcd", p0, step, step, step)
print(f"black, black, grey, grey: {joint[0, 0, 1, 1]:.4f} = 0.7 · 0.8 · 0.1 · 0.8")
print(f"all 81 paths together:    {joint.sum():.4f}")

# %% [markdown]
# **Predict.** All three forward steps use the *same* table. Walk the same paths backwards: is the table from $x_3$ to $x_2$ the same as the one from
# $x_1$ to $x_0$?
#
# **Second way: backward.** Start at the noisy end. Bayes' rule turns each step around:
#
# $$q(x_{0:T}) = q(x_T)\,\prod_{t=1}^{T} q(x_{t-1}\mid x_t),\qquad
# q(x_{t-1}\mid x_t) = \frac{q(x_t\mid x_{t-1})\;q(x_{t-1})}{q(x_t)}\tag{2}$$
#
# Put the right formula into the left product: all $q(x_t)$ cancel except $q(x_0)$, and (1) is left. So the reversed walk is Markov, too: to know where
# the path came from, $x_t$ is enough; $x_{t+1}, x_{t+2}, \dots$ tell nothing more.

# %%
def backward(p0):
    """Tables q(x_{t-1} | x_t) for t = 1, 2, 3, with a row for each x_t; and q(x_3)."""
    now, tables = p0, []
    for _ in range(3):
        both = now[:, None] * step              # q(x_{t-1}, x_t)
        now = both.sum(0)                       # q(x_t)
        tables.append((both / now).T)           # Bayes
    return tables, now


back, end = backward(p0)
second = torch.einsum("d,dc,cb,ba->abcd", end, back[2], back[1], back[0])
assert torch.allclose(second, joint)            # 81 numbers, all the same

all_after = joint / joint.sum(0)                # q(x_0 | x_1, x_2, x_3)
assert torch.allclose(all_after, back[0].T[:, :, None, None].expand(3, 3, 3, 3))
print("(2) = (1), and x_2, x_3 tell nothing more about x_0 once x_1 is known")

# %%
import matplotlib.pyplot as plt


def show_table(ax, table, title):
    ax.imshow(table, cmap="Blues", vmin=0, vmax=1)
    for i in range(3):
        for j in range(3):
            color = "white" if table[i, j] > 0.65 else "black"
            ax.text(j, i, f"{table[i, j]:.2f}", ha="center", va="center", color=color)
    names = ["black", "grey", "white"]
    ax.set_xticks(range(3), names, fontsize=8)
    ax.set_yticks(range(3), names, fontsize=8, rotation=90, va="center")
    ax.set_title(title, fontsize=10)


fig, axes = plt.subplots(1, 4, figsize=(9, 2.4))
show_table(axes[0], step, "forward $q(x_t \\mid x_{t-1})$")
for ax, t in zip(axes[1:], (1, 2, 3)):
    show_table(ax, back[t - 1], f"backward $q(x_{t - 1} \\mid x_{t})$")
axes[0].set(ylabel="from $x_{t-1}$", xlabel="to $x_t$")
axes[1].set(ylabel="from $x_t$", xlabel="to $x_{t-1}$")
plt.show()

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# No. The forward table is the same at every step and knows nothing of the data. The backward tables differ from step to step. Near the data (the first backward table) they pull strongly to black, because the data are mostly black: a pixel that is grey at $t = 1$ was black before with probability 0.41, though a forward step turns black into grey with probability 0.10 only.
#
# </details>
#
# **Third way: backward, but with $x_0$ in hand.** Suppose somebody tells us where the path began. By Bayes again, with $x_0$ behind every bar,
#
# $$q(x_t\mid x_{t-1}) = q(x_t\mid x_{t-1}, x_0) = \frac{q(x_{t-1}\mid x_t, x_0)\;q(x_t\mid x_0)}{q(x_{t-1}\mid x_0)}$$
#
# (the first "=" is Markov again). Multiply from $t=2$ to $T$, and by $q(x_1\mid x_0)$. The fractions $q(x_t\mid x_0)/q(x_{t-1}\mid x_0)$ cancel in a row, as in
# $\frac{b}{a}\cdot\frac{c}{b}\cdot\frac{d}{c} = \frac{d}{a}$, and we get
#
# $$q(x_{1:T}\mid x_0) = q(x_T\mid x_0)\,\prod_{t=2}^{T} q(x_{t-1}\mid x_t, x_0)\tag{3}$$
#
# Times $q(x_0)$, this is the joint again.

# %%
far = [torch.eye(3).double()]                   # far[t][i, j] = q(x_t = j | x_0 = i)
for _ in range(3):
    far.append(far[-1] @ step)


def known(t):
    """q(x_{t-1} | x_t, x_0) as a table [x_0, x_t, x_{t-1}]."""
    both = far[t - 1][:, :, None] * step        # q(x_{t-1}, x_t | x_0)
    return (both / both.sum(1, keepdim=True)).transpose(1, 2)


third = torch.einsum("a,ad,adc,acb->abcd", p0, far[3], known(3), known(2))
assert torch.allclose(third, joint)
print("q(x_0) · (3) = (1): the same 81 numbers once more")

# %% [markdown]
# Look at what goes into `known`: `far` and `step`, and **no** `p0`. The data are not in it. Move the slider to change the data, from "never
# white" to "always white", and watch which of the two tables cares (a row for each $x_2$, a column for each $x_1$).

# %%
from helpers.widgets import slide


def data_with(white):
    """Data with this share of white; the rest is mostly black."""
    return torch.tensor([0.9 * (1 - white), 0.1 * (1 - white), white]).double()


def two_tables(white):
    fig, axes = plt.subplots(1, 2, figsize=(5, 2.6))
    show_table(axes[0], backward(data_with(white))[0][1], "$q(x_1 \\mid x_2)$")
    show_table(axes[1], known(2)[2], "$q(x_1 \\mid x_2, x_0 = $ white$)$")
    fig.suptitle(f"data: {white:.0%} white", fontsize=10)
    plt.show()


slide(two_tables, white=(0.0, 1.0, 0.2))

# %%
fig, axes = plt.subplots(1, 4, figsize=(9, 2.3))
for ax, white in zip(axes, (0.0, 0.5, 0.95)):
    show_table(ax, backward(data_with(white))[0][1], f"$q(x_1|x_2)$, {white:.0%} white")
show_table(axes[3], known(2)[2], "$x_0 = $ white: always")
plt.show()

# %% [markdown]
# Why three ways? **(1)** is how we *make* training data. **(2)** is the walk that we *want* to take, from noise to data. **(3)** is the way back
# that we can *compute*. In session {{session:elbo}} the training loss will come out of comparing (2) with (3).

# %% [markdown]
# ## 2 · What we know and what we do not  <small>9 min</small>
#
# Real pixels have many levels, so from here on $x$ is a real number and a step adds Gaussian noise:
# $q(x_t\mid x_{t-1}) = \mathcal N(x_t;\ \sqrt{1-\beta_t}\,x_{t-1},\ \beta_t)$. (The letter before the semicolon is the variable, then mean and
# **variance**.) Bayes' rule stays as it was:
#
# $$q(x_{t-1}\mid x_t) = \frac{\overbrace{q(x_t\mid x_{t-1})}^{\text{known: one forward step}}\;
# \overbrace{q(x_{t-1})}^{\text{?}}}{\underbrace{q(x_t)}_{\text{?}}},
# \qquad q(x_{t-1}) = \int \underbrace{q(x_{t-1}\mid x_0)}_{\text{known}}\;\underbrace{q(x_0)}_{\text{all data of the world}}\,dx_0$$
#
# The integral runs over **every** clean picture that there could be. With one pixel we can do it. With $64\cdot64\cdot3$ numbers of 256 levels there are
# $256^{12288}\approx 10^{29592}$ pictures, and nobody knows how likely each of them is.
#
# **Predict.** Three data sets, one forward process. We see the same noisy value $x_t = 0.4$ in all three. Where was it one step before: at the
# same place in all three? And if somebody adds "by the way, $x_0$ was 1"?

# %%
def normal(x, mean, variance):
    """The density of N(mean, variance) at x; careful: here it is the variance."""
    area = (2 * torch.pi * variance) ** 0.5
    return torch.exp(-((x - mean) ** 2) / (2 * variance)) / area


datasets = {                                    # means, standard deviations, weights
    "two values": ([-1.0, 1.0], [0.1, 0.1], [0.5, 0.5]),
    "mostly −1": ([-1.0, 1.0], [0.1, 0.1], [0.9, 0.1]),
    "broad": ([0.0], [1.0], [1.0]),
}
abar_s, beta = 0.8, 0.3                         # ᾱ_{t-1}, and β_t of one large step


def paths(data, n=1_000_000):
    """n paths (x_0, x_{t-1}, x_t) of this data set."""
    g = torch.Generator().manual_seed(0)
    means, stds, weights = map(torch.tensor, datasets[data])
    k = torch.multinomial(weights, n, replacement=True, generator=g)
    z = torch.randn(3, n, generator=g)
    x0 = means[k] + stds[k] * z[0]
    xs = abar_s**0.5 * x0 + (1 - abar_s) ** 0.5 * z[1]
    return x0, xs, (1 - beta) ** 0.5 * xs + beta**0.5 * z[2]


# %% [markdown]
# First we only *count*: of a million paths, take those that end near $x_t = 0.4$, and look where they stood at $t-1$. Then, of these, take those that
# began near $x_0 = 1$.

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 2.4), sharey=True)
found = {}
for name, line in zip(datasets, ("-", "--", ":")):
    x0, xs, xt = paths(name)
    near = (xt - 0.4).abs() < 0.05
    both = near & ((x0 - 1).abs() < 0.05)
    found[name] = xs[both]
    outline = dict(bins=30, range=(-2, 2.5), density=True, histtype="step", ls=line)
    left.hist(xs[near], **outline, label=name)
    right.hist(xs[both], **outline, label=f"{both.sum()} paths")
left.set(xlabel="$x_{t-1}$", yticks=[])
left.set_title("$x_0$ unknown: the data decide", fontsize=10)
right.set_xlabel("$x_{t-1}$")
right.set_title("$x_0 = 1$ known: all the same", fontsize=10)
left.legend(fontsize=8)
right.legend(fontsize=8)
plt.show()

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# Without $x_0$ the three answers differ: the same $x_t$, the same noise, another past. With $x_0$ they agree, up to the roughness of counting. The factor
# that we could not compute has gone:
#
# $$q(x_{t-1}\mid x_t, x_0)\;\propto\; q(x_t\mid x_{t-1})\cdot q(x_{t-1}\mid x_0)$$
#
# ($\propto$: equal up to a factor without $x_{t-1}$, which only sets the area to 1.) One forward step and one jump. Both are Gaussians that we know, for every $t\ge2$. (At $t=1$, $x_{t-1}$ is $x_0$ itself; the formulas of section 3 agree with that.)
#
# </details>
#
# Now the same by Bayes on a grid of points instead of counting: multiply, then divide by the area.

# %%
grid = torch.linspace(-6, 6, 2401).double()


def density(x, data, abar):
    """The density at the points x after noise up to ᾱ = abar: a mean over the data."""
    a = abar**0.5
    parts = zip(*datasets[data])                # variances add: ᾱ s² + 1 − ᾱ
    return sum(w * normal(x, a * m, abar * s**2 + 1 - abar) for m, s, w in parts)


def on_grid(prior, x_t, beta=beta):
    """prior(x_{t-1}) · q(x_t | x_{t-1}) on the grid, with area 1."""
    raw = prior * normal(x_t, (1 - beta) ** 0.5 * grid, beta)
    return raw / torch.trapezoid(raw, grid)


def mean_of(p):
    return torch.trapezoid(p * grid, grid)


exact = mean_of(on_grid(normal(grid, abar_s**0.5 * 1.0, 1 - abar_s), 0.4))
for name, chosen in found.items():
    print(f"{name:11s} counted {chosen.mean():.3f}   Bayes on the grid {exact:.3f}")
    assert abs(chosen.mean() - exact) < 0.05

# %%
def show_past(ax, x_t):
    for name, line in zip(datasets, ("-", "--", ":")):
        unknown = on_grid(density(grid, name, abar_s), x_t)
        ax.plot(grid, unknown, ls=line, lw=2, label=name)
    with_x0 = on_grid(normal(grid, abar_s**0.5, 1 - abar_s), x_t)
    ax.fill_between(grid, with_x0, color="0.85", label="$x_0 = 1$ known")
    ax.axvline(x_t, color="0.5", lw=1)
    ax.set(xlim=(-2.5, 2.5), ylim=(0, 1.1), yticks=[])
    ax.set_title(f"$x_t$ = {x_t:.1f}", fontsize=10)


def past(x_t):
    ax = plt.subplots(figsize=(5, 2.5))[1]
    show_past(ax, x_t)
    ax.legend(fontsize=8)
    plt.show()


slide(past, x_t=(-2.0, 2.0, 0.4))

# %%
fig, axes = plt.subplots(1, 4, figsize=(10, 2.2), sharey=True)
for ax, x_t in zip(axes, (-1.0, 0.0, 0.5, 1.5)):
    show_past(ax, x_t)
axes[3].legend(fontsize=8, loc="upper left", handlelength=1.5)
plt.show()

# %% [markdown]
# The coloured curves are what we want and (for pictures) cannot have. The grey one we can have, but it needs $x_0$, which nobody has when making a
# *new* picture. Here is the plan of DDPM, and of most of what follows: **guess $x_0$, then take the grey step.** The guess will be learned.

# %% [markdown]
# ## 3 · Completing the square  <small>15 min</small>
#
# **Predict.** About $x_{t-1}$ we have two pieces of evidence. The clean value says: "about $\sqrt{0.8}\cdot 1 = 0.89$, variance $0.2$". The noisy value $x_t = -0.5$ says: "about
# $-0.5/\sqrt{0.7} = -0.60$, variance $0.3/0.7 = 0.43$". Where is the truth, and is it *wider* or *narrower* than both?
#
# It is the product of session {{session:start_here}}, section 7, with letters instead of numbers. Write both Gaussians into one exponent. All terms without $x_{t-1}$ go
# into the constants $C$, $C'$: they only set the area to 1.
#
# $$\log q(x_{t-1}\mid x_t, x_0) = -\frac12\left[\frac{(x_t-\sqrt{\alpha_t}\,x_{t-1})^2}{\beta_t} + \frac{(x_{t-1}-\sqrt{\bar\alpha_{t-1}}\,x_0)^2}{1-\bar\alpha_{t-1}}\right] + C$$
#
# *Open the brackets* and collect $x_{t-1}^2$ and $x_{t-1}$:
#
# $$= -\frac12\left[\Big(\underbrace{\frac{\alpha_t}{\beta_t}+\frac1{1-\bar\alpha_{t-1}}}_{A}\Big)\,x_{t-1}^2
# - 2\,\Big(\underbrace{\frac{\sqrt{\alpha_t}\,x_t}{\beta_t}+\frac{\sqrt{\bar\alpha_{t-1}}\,x_0}{1-\bar\alpha_{t-1}}}_{B}\Big)\,x_{t-1}\right] + C'$$
#
# *Compare* with a Gaussian of mean $\tilde\mu$ and variance $\tilde\beta$, whose exponent is
# $-\frac12\big[\frac1{\tilde\beta}x_{t-1}^2 - 2\frac{\tilde\mu}{\tilde\beta}x_{t-1}\big]$ + constant. So $\tilde\beta = 1/A$ and $\tilde\mu = B/A$.
#
# *The variance.* One common denominator, then $\alpha_t\bar\alpha_{t-1} = \bar\alpha_t$ and $\beta_t = 1-\alpha_t$:
#
# $$A = \frac{\alpha_t(1-\bar\alpha_{t-1})+\beta_t}{\beta_t(1-\bar\alpha_{t-1})} = \frac{\alpha_t-\bar\alpha_t+1-\alpha_t}{\beta_t(1-\bar\alpha_{t-1})}
# = \frac{1-\bar\alpha_t}{\beta_t(1-\bar\alpha_{t-1})}$$
#
# *The mean* is $B/A$: multiply $B$ by $\tilde\beta$. The result, in two lines:
#
# $$\boxed{\;\tilde\beta_t = \frac{1-\bar\alpha_{t-1}}{1-\bar\alpha_t}\,\beta_t,\qquad
# \tilde\mu_t(x_t,x_0) = \frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1-\bar\alpha_t}\,x_0 + \frac{\sqrt{\alpha_t}\,(1-\bar\alpha_{t-1})}{1-\bar\alpha_t}\,x_t\;}\tag{DDPM, eq. 6, 7}$$
#
# Say it in words: *the mean of the step back is a weighted sum of where the path began and where it is now.* In code, term by term:

# %%
from helpers.schedules import from_alphas_cumprod, linear


def posterior_by_hand(schedule, x0, x_t, t):
    """Mean (B, D), variance (B, 1) of q(x_{t-1} | x_t, x_0); x0, x_t (B, D), t (B,)."""
    abar_t = schedule.alphas_cumprod[t][:, None]             # (B, 1) ᾱ_t
    abar_s = schedule.alphas_cumprod[t - 1][:, None]         # (B, 1) ᾱ_{t-1}
    alpha = abar_t / abar_s                                  # α_t
    beta = 1 - alpha
    variance = (1 - abar_s) / (1 - abar_t) * beta            # β̃_t
    from_x0 = abar_s.sqrt() * beta / (1 - abar_t)
    from_xt = alpha.sqrt() * (1 - abar_s) / (1 - abar_t)
    return from_x0 * x0 + from_xt * x_t, variance


two_steps = from_alphas_cumprod(torch.tensor([0.8, 0.8 * 0.7]))   # ᾱ_1 = 0.8, β_2 = 0.3
one = torch.ones(1, 1).double()
mean, variance = posterior_by_hand(two_steps, one, -0.5 * one, torch.tensor([2]))
print(f"mean {mean.item():.4f}   variance {variance.item():.4f}")

# %% [markdown]
# Is it right? Three judges: Bayes on the grid (which knows nothing of our algebra), the product rule of session {{session:start_here}}, and the helper that all
# later sessions use, on random inputs with a different $t$ in each row.

# %%
from helpers.diffusion import posterior

bayes = on_grid(normal(grid, abar_s**0.5, 1 - abar_s), -0.5)
assert torch.allclose(bayes, normal(grid, mean[0], variance[0]), atol=1e-6)

precision = 1 / 0.2 + 0.7 / 0.3                             # session {{session:start_here}}: precisions add
assert abs(variance.item() - 1 / precision) < 1e-6
by_rule = (0.8**0.5 / 0.2 - 0.5 * 0.7**0.5 / 0.3) / precision
assert abs(mean.item() - by_rule) < 1e-6

schedule = linear()                                         # DDPM's table, T = 1000
g = torch.Generator().manual_seed(0)
x0, x_t = torch.randn(2, 512, 3, generator=g).double()
t = torch.randint(1, 1001, (512,), generator=g)
for by_hand, helper in zip(posterior_by_hand(schedule, x0, x_t, t),
                           posterior(schedule, x0, x_t, t)):
    assert torch.allclose(by_hand, helper)
print("grid, product rule and helper agree")

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# Mean $0.42$, between the two and nearer to the surer one. Variance $0.14$: **narrower** than both, because two pieces of evidence are
# better than one.
#
# </details>
#
# Blue: what the clean value says. Orange: what the noisy value says. Green: their product. The black dots are Bayes on the grid. What happens to
# the green curve when the step is tiny? When it is huge?

# %%
def show_product(ax, x_t, beta, abar=abar_s):
    table = from_alphas_cumprod(torch.tensor([abar, abar * (1 - beta)]))
    mean, var = posterior_by_hand(table, one, x_t * one, torch.tensor([2]))
    alpha = 1 - beta
    ax.plot(grid, normal(grid, abar**0.5, 1 - abar), label="$x_0$ says")
    ax.plot(grid, normal(grid, x_t / alpha**0.5, beta / alpha), label="$x_t$ says")
    ax.plot(grid, normal(grid, mean[0], var[0]), lw=3, label="product")
    bayes = on_grid(normal(grid, abar**0.5, 1 - abar), x_t, beta)
    ax.plot(grid[::40], bayes[::40], "k.", ms=4, label="grid")
    ax.set(xlim=(-2.5, 2.5), ylim=(0, 2), yticks=[])
    width = var.item() ** 0.5
    ax.set_title(f"β = {beta:.2f}: {mean.item():.2f} ± {width:.2f}", fontsize=10)


def product(x_t, beta):
    ax = plt.subplots(figsize=(5, 2.5))[1]
    show_product(ax, x_t, beta)
    ax.legend(fontsize=8)
    plt.show()


slide(product, x_t=(-1.5, 1.5, -0.5), beta=(0.05, 0.95, 0.3))

# %%
fig, axes = plt.subplots(1, 4, figsize=(10, 2.2), sharey=True)
for ax, b in zip(axes, (0.05, 0.3, 0.6, 0.95)):
    show_product(ax, -0.5, b)
axes[3].legend(fontsize=8)
plt.show()

# %% [markdown]
# A tiny step: $x_t$ is nearly $x_{t-1}$, so it decides. A huge step: $x_t$ says almost nothing, so $x_0$ decides.
#
# **Two facts for later.** Look at all 1000 steps of DDPM's table:

# %%
ts = torch.arange(1, 1001)
abar, betas = schedule.alphas_cumprod, schedule.betas
tilde = (1 - abar[ts - 1]) / (1 - abar[ts]) * betas[ts]
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 2.6))
left.plot(ts, betas[ts], lw=3, alpha=0.5, label="$\\beta_t$ (forward)")
left.plot(ts, tilde, "--", label="$\\tilde\\beta_t$ (back, knowing $x_0$)")
left.set(xscale="log", yscale="log", xlabel="t")
left.set_title("variance of one step", fontsize=10)
weight = abar[ts - 1].sqrt() * betas[ts] / (1 - abar[ts])
right.plot(ts, weight, label="weight of $x_0$")
weight = (1 - betas[ts]).sqrt() * (1 - abar[ts - 1]) / (1 - abar[ts])
right.plot(ts, weight, "--", label="weight of $x_t$")
right.set(xscale="log", xlabel="t")
right.set_title("the two weights in the mean", fontsize=10)
left.legend(fontsize=9, loc="upper left")
right.legend(fontsize=9)
plt.show()
assert tilde[0] == 0 and (tilde <= betas[ts]).all()          # never more than forward

# %% [markdown]
# - For most $t$ the two variances are nearly equal: $x_0$ is so far away that it hardly helps. Near $t = 1$ they part, and $\tilde\beta_1 = 0$ exactly.
# - At $t = 1$ the weight of $x_0$ is 1 and the weight of $x_1$ is 0. **The last step goes to $x_0$ itself and adds no noise.**
#
# **The same mean, written with $\varepsilon$.** Networks often predict the noise. Put $x_0 = (x_t - \sqrt{1-\bar\alpha_t}\,\varepsilon)/\sqrt{\bar\alpha_t}$ into $\tilde\mu_t$. The two parts with
# $x_t$ add up to
#
# $$\frac{\beta_t}{\sqrt{\alpha_t}\,(1-\bar\alpha_t)} + \frac{\sqrt{\alpha_t}\,(1-\bar\alpha_{t-1})}{1-\bar\alpha_t}
# = \frac{\beta_t+\alpha_t-\bar\alpha_t}{\sqrt{\alpha_t}\,(1-\bar\alpha_t)} = \frac1{\sqrt{\alpha_t}}$$
#
# (in the first part $\sqrt{\bar\alpha_{t-1}/\bar\alpha_t} = 1/\sqrt{\alpha_t}$ was used, at the end $\beta_t+\alpha_t = 1$). With the part of $\varepsilon$:
#
# $$\tilde\mu_t = \frac1{\sqrt{\alpha_t}}\left(x_t - \frac{\beta_t}{\sqrt{1-\bar\alpha_t}}\,\varepsilon\right)\tag{DDPM, eq. 10, 11}$$

# %%
from helpers.diffusion import add_noise

eps = torch.randn(512, 3, generator=torch.Generator().manual_seed(1)).double()
x_t = add_noise(schedule, x0, t, eps)
b, a = schedule.betas[t][:, None], schedule.alphas_cumprod[t][:, None]
with_eps = (x_t - b / (1 - a).sqrt() * eps) / (1 - b).sqrt()
assert torch.allclose(with_eps, posterior(schedule, x0, x_t, t)[0])
print("the mean with ε is the mean with x_0")

# %% [markdown]
# ## 4 · When is the step back Gaussian?  <small>11 min</small>
#
# Knowing $x_0$, the step back is a Gaussian, always. But when we make a new picture, we do not know $x_0$. Is $q(x_{t-1}\mid x_t)$, *without* $x_0$, a
# Gaussian as well? If it is, a mean and a variance say everything (and for small steps the variance will be known in advance: about $\beta_t$).
#
# **Predict.** The data are two values, $-1$ and $+1$. We stand at $x_t = 0$, exactly between. Sketch $q(x_{t-1}\mid x_t = 0)$ for a tiny step, and for a huge one.

# %%
def best_gaussian(p):
    """Mean and variance of p on the grid: no Gaussian has a smaller KL(p ‖ ·)."""
    mean = mean_of(p)
    return mean, torch.trapezoid(p * (grid - mean) ** 2, grid)


def kl(p, q):
    """KL(p ‖ q) in nats, for two densities on the grid."""
    p, q = p.clamp(min=1e-300), q.clamp(min=1e-300)
    return torch.trapezoid(p * (p / q).log(), grid).clamp(min=0)


def show_step_back(ax, beta, x_t=0.0, data="two values", abar=0.9):
    truth = on_grid(density(grid, data, abar), x_t, beta)
    belief = normal(grid, *best_gaussian(truth))
    ax.fill_between(grid, truth, color="C5", alpha=0.6, label="true $q(x_{t-1}|x_t)$")
    ax.plot(grid, belief, color="C3", lw=2, label="best Gaussian")
    ax.set(xlim=(-2, 2), yticks=[])
    ax.set_title(f"β = {beta:.3f}: KL {kl(truth, belief):.4f}", fontsize=10)


# %%
fig, axes = plt.subplots(1, 4, figsize=(10, 2.4))
for ax, b in zip(axes, (0.005, 0.02, 0.1, 0.8)):
    show_step_back(ax, b)
fig.legend(*axes[0].get_legend_handles_labels(), fontsize=9, ncols=2,
           loc="outside lower center")
plt.show()

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# Tiny step: one narrow hill around 0, practically a Gaussian. Huge step: two hills, near $-1$ and $+1$, and a valley where we stand. The best Gaussian has its top in the valley: 42 % of its mass lies where the truth (below half its height) has only 12 %.
#
# </details>
#
# Move the step size and the place:

# %%
def step_back(beta, x_t):
    ax = plt.subplots(figsize=(5, 2.5))[1]
    show_step_back(ax, beta, x_t)
    ax.legend(fontsize=8)
    plt.show()


slide(step_back, beta=(0.005, 0.955, 0.1), x_t=(-1.5, 1.5, 0.0))

# %% [markdown]
# **Why small steps help.** Take the logarithm of Bayes' rule:
#
# $$\log q(x_{t-1}\mid x_t) = \underbrace{-\frac{(x_t-\sqrt{\alpha_t}\,x_{t-1})^2}{2\beta_t}}_{\text{a parabola, narrow if }\beta_t\text{ is small}}
# + \underbrace{\log q(x_{t-1})}_{\text{some smooth curve}} + C$$
#
# Only places within a few $\sqrt{\beta_t}$ of $x_t$ count. On such a short piece every smooth curve is nearly a straight line. A parabola plus a straight line is again a
# parabola, only shifted. And a Gaussian is exactly a density whose logarithm is a parabola. The shift is given by the slope of the line,
# $\nabla_x\log q(x)$, which is called the **score**:
#
# ($\mathbb E[x_{t-1}\mid x_t]$: the mean of $x_{t-1}$ over all paths that come through this $x_t$.)
#
# $$\mathbb E[x_{t-1}\mid x_t]\;\approx\;\frac{1}{\sqrt{\alpha_t}}\big(x_t + \beta_t\,\nabla\log q(x_t)\big)$$
#
# <details><summary>Where does this formula come from?</summary>
#
# Let the line be $g\cdot x_{t-1}$ + constant, with the slope $g$. Complete the square once more: $-\frac{\alpha_t}{2\beta_t}x_{t-1}^2 + \big(\frac{\sqrt{\alpha_t}\,x_t}{\beta_t}+g\big)x_{t-1}$ belongs to a Gaussian of
# variance $\beta_t/\alpha_t$ and mean $\frac{x_t}{\sqrt{\alpha_t}} + \frac{\beta_t}{\alpha_t}\,g$. For a small step $\alpha_t$ is nearly 1, and the slope at $t-1$ is nearly the one at $t$.
#
# </details>
#
# So one vector per point, the score, is all that a small step needs. (A cell of section 5 will show that "≈" is even "=".)
#
# (A fourth data set joins: the eight Gaussians on a circle of section 5, seen from the side, so that some fall on one another.)
#
# How quickly does the error go away? We average the KL over all $x_t$, each as often as it occurs.

# %%
datasets["eight, from the side"] = ([-1.4, -0.99, 0.0, 0.99, 1.4], [0.1] * 5,
                                    [1 / 8, 1 / 4, 1 / 4, 1 / 4, 1 / 8])


def mean_kl(data, beta, abar=0.9, points=161):
    """KL(true step back ‖ best Gaussian), averaged over x_t."""
    places = torch.linspace(-3.5, 3.5, points).double()
    weights = density(places, data, abar * (1 - beta))       # q(x_t)
    prior = density(grid, data, abar)
    total = 0
    for x_t, w in zip(places, weights):
        truth = on_grid(prior, x_t, beta)
        total += w * kl(truth, normal(grid, *best_gaussian(truth)))
    return float(total / weights.sum())


steps = [0.8, 0.4, 0.2, 0.1, 0.05, 0.025, 0.0125]
curves = {name: [mean_kl(name, b) for b in steps] for name in datasets}
print(f"{'β':21s}", "".join(f"{b:9.4g}" for b in steps))
for name, values in curves.items():
    print(f"{name:21s}", "".join(f"{v:9.1e}" for v in values))

# %%
fig, ax = plt.subplots(figsize=(5.4, 2.9))
for (name, values), line in zip(curves.items(), ("-", "--", ":", "-.")):
    if name != "broad":                         # that is 0 up to rounding: see below
        ax.plot(steps, values, line, lw=2, label=name)
small = curves["two values"]
guide = [small[5] * (b / steps[5]) ** 3 for b in steps[3:]]
ax.plot(steps[3:], guide, color="0.6", label="slope $\\beta^3$")
ax.set(xscale="log", yscale="log", xlabel="$\\beta$ of one step", ylabel="KL in nats")
ax.set_xticks(steps, steps, fontsize=8)
ax.minorticks_off()
ax.legend(fontsize=8)
plt.show()
assert all(v < 1e-6 for v in curves["broad"])
assert small[6] < small[5] / 5

# %% [markdown]
# On the right (large steps) the KL falls slowly; on the left it falls faster and faster, towards the grey line: at our smallest steps **half the step leaves about a sixth of the error**, and the grey line, the limit, an eighth. A walk with half the step has twice as many steps, so over the whole walk the error becomes about three times smaller, in the limit four.
#
# "Broad" is not in the picture, because its KL is 0 at every $\beta$: for *one* Gaussian, Bayes multiplies two Gaussians, and the product is one.
#
# > **Easily mistaken.** "$q(x_{t-1}\mid x_t)$ is Gaussian." With $x_0$ behind the bar: always. Without: only for Gaussian data, or, nearly, for small steps. This is the reason why
# > DDPM takes 1000 small steps, and why taking only 4 (session {{session:distillation}}) needs another idea.

# %% [markdown]
# ## 5 · The exact way back of a mixture  <small>14 min</small>
#
# For one kind of data we can do everything exactly, in the plane and not only on a line: a **mixture of Gaussians**. We take eight of them on a circle.
# Each has the centre $\mu_k$, the standard deviation $s = 0.1$ and the weight $w_k = 1/8$.
#
# What is the best guess of $x_0$, if we see $x_t$? Two questions in one:
#
# **Who made it?** If Gaussian $k$ made $x_0$, then $x_t$ comes from $\mathcal N(\sqrt{\bar\alpha_t}\,\mu_k,\ v\,I)$ with $v = \bar\alpha_t s^2 + 1-\bar\alpha_t$ (variances add; $I$ says: both coordinates alike, each by itself). Bayes gives the
# *responsibilities* $r_k$, which add up to 1:
#
# $$r_k(x_t) = \frac{w_k\,\mathcal N(x_t;\sqrt{\bar\alpha_t}\,\mu_k, v I)}{\sum_j w_j\,\mathcal N(x_t;\sqrt{\bar\alpha_t}\,\mu_j, v I)}$$
#
# **And if it was $k$?** Then it is the single Gaussian of session {{session:start_here}}, section 8, only with another centre and width. The prior $\mathcal N(\mu_k, s^2)$ has the precision $1/s^2$; the
# noisy value says $x_t/\sqrt{\bar\alpha_t}$ with the precision $\bar\alpha_t/(1-\bar\alpha_t)$. Together that is $\frac1{s^2}+\frac{\bar\alpha_t}{1-\bar\alpha_t} = \frac{v}{s^2(1-\bar\alpha_t)}$. So the
# share of the noisy value in the mean is $\frac{\bar\alpha_t}{1-\bar\alpha_t}\cdot\frac{s^2(1-\bar\alpha_t)}{v} = \bar\alpha_t s^2/v$. In words: start at the centre and go this part of the way towards what we see,
#
# $$\mathbb E[x_0\mid x_t, k] = \mu_k + \frac{\sqrt{\bar\alpha_t}\,s^2}{v}\,\big(x_t-\sqrt{\bar\alpha_t}\,\mu_k\big),
# \qquad \boxed{\;\mathbb E[x_0\mid x_t] = \sum_k r_k(x_t)\;\mathbb E[x_0\mid x_t, k]\;}$$

# %%
angles = torch.arange(8).double() * torch.pi / 4
centres = 1.4 * torch.stack([angles.cos(), angles.sin()], 1)       # (8, 2)
s = 0.1


def expected_x0(x_t, t):
    """E[x_0 | x_t] for the eight Gaussians; x_t (B, 2), t one number."""
    abar = schedule.alphas_cumprod[t]
    v = abar * s**2 + 1 - abar
    offset = x_t[:, None] - abar.sqrt() * centres                  # (B, 8, 2)
    share = (-offset.square().sum(-1) / (2 * v)).softmax(1)        # (B, 8) who?
    guess = centres + abar.sqrt() * s**2 / v * offset              # (B, 8, 2) if k
    return (share[:, :, None] * guess).sum(1)                      # (B, 2)


from helpers.exact import MixtureDenoiser

mixture = MixtureDenoiser(schedule, centres, torch.tensor(s))
x = torch.randn(256, 2, generator=torch.Generator().manual_seed(0)).double()
for t in (1, 50, 300, 700, 1000):
    assert torch.allclose(expected_x0(x, t), mixture(x, t)[0])
print("by hand = helpers.exact.MixtureDenoiser")

# %% [markdown]
# (`softmax` makes the exponentials and divides by their sum. The weights and the factors before the exponentials are the same for all eight, so they cancel.)
#
# **Predict.** You stand in the middle of the circle, at $x_t = (0, 0)$. What is the best guess of $x_0$? Is it a good point of the data?
#
# Each arrow begins at a place $x_t$ and ends at the best guess $\mathbb E[x_0\mid x_t]$. Move $t$.

# %%
side = torch.linspace(-2.2, 2.2, 9).double()
places = torch.cartesian_prod(side, side)                          # (81, 2)


def show_guess(ax, t):
    way = expected_x0(places, t) - places
    ax.quiver(*places.T, *way.T, angles="xy", scale_units="xy", scale=1, width=0.004,
              color="0.5")
    ax.scatter(*(places + way).T, s=9, color="C3", zorder=3)
    ax.scatter(*centres.T, s=60, facecolors="none", edgecolors="C0", linewidths=1.5)
    ax.set(xlim=(-2.4, 2.4), ylim=(-2.4, 2.4), xticks=[], yticks=[], aspect="equal")
    ax.set_title(f"t = {t}, $\\bar\\alpha_t$ = {abar[t]:.2f}", fontsize=9)


def guess_at(t):
    show_guess(plt.subplots(figsize=(3.6, 3.8))[1], t)
    plt.show()


slide(guess_at, t=(1, 1000, 250))

# %%
fig, axes = plt.subplots(1, 5, figsize=(11, 2.5))
for ax, t in zip(axes, (1000, 500, 300, 150, 20)):
    show_guess(ax, t)
plt.show()

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# The guess is the middle itself, the average of all eight centres, and **no data are there**. The best guess is an average of possibilities, not one of them. That is why we do not
# jump to the guess. We take a small step towards it, add a little noise, and guess again. (In a picture such an average looks *blurred*.)
#
# </details>
#
# Now the step back. We do not know $x_0$, but $\tilde\mu_t$ is *linear* in $x_0$. The average of a linear function is the function of the average, so the mean of the true step is
# **exactly**
#
# $$\mathbb E[x_{t-1}\mid x_t] = \tilde\mu_t\big(x_t,\ \mathbb E[x_0\mid x_t]\big)$$
#
# Its variance is larger than $\tilde\beta_t$, because $x_0$ is uncertain. Check both on the line, where we have the grid, for one large step:

# %%
means, stds, weights = datasets["two values"]
line = MixtureDenoiser(two_steps, torch.tensor(means)[:, None].double(),
                       torch.tensor(stds).double(), torch.tensor(weights).double())
truth = on_grid(density(grid, "two values", abar_s), 0.4)          # β = 0.3, x_t = 0.4
x_t = torch.tensor([[0.4]]).double()
mean, small_variance = posterior(two_steps, line(x_t, 2)[0], x_t, 2)
grid_mean, grid_variance = best_gaussian(truth)
by_score = (x_t + beta * line.score(x_t, 2)) / (1 - beta) ** 0.5   # section 4
assert abs(mean.item() - grid_mean) < 1e-4 and abs(by_score.item() - grid_mean) < 1e-4
print(f"mean: from E[x_0|x_t] {mean.item():.4f}, from the grid {grid_mean:.4f}")
small = small_variance.item()
print(f"variance: β̃ {small:.3f}, true {grid_variance:.3f}, β {beta:.3f}")

# %% [markdown]
# Everything is ready for the walk. Start at $x_T\sim\mathcal N(0, I)$ and repeat, for $t = T, T-1, \dots, 1$:
#
# $$x_{t-1} = \tilde\mu_t\big(x_t,\mathbb E[x_0\mid x_t]\big) + \sqrt{\tilde\beta_t}\;z,\qquad z\sim\mathcal N(0, I),\quad\text{but } z = 0 \text{ at } t = 1$$
#
# This is called *ancestral sampling*: each state is drawn given its "parent". The helper `sample` does the same (with `eta=1`), and can also take fewer, larger steps.

# %%
from helpers.samplers import last, pairs, sample, timesteps


def walk_back(x, generator):
    """From x_T to x_0 in 1000 steps, with the exact E[x_0 | x_t]."""
    for t in range(1000, 0, -1):
        mean, variance = posterior(schedule, expected_x0(x, t), x, t)
        if t > 1:
            mean = mean + variance.sqrt() * torch.randn(x.shape, generator=generator)
        x = mean
    return x


def options(seed=1):
    return dict(eta=1, clip=False, generator=torch.Generator().manual_seed(seed))


start = torch.randn(16, 2, generator=torch.Generator().manual_seed(0))
by_hand = walk_back(start.double(), torch.Generator().manual_seed(1))
exact32 = MixtureDenoiser(schedule, centres.float(), torch.tensor(s))
walk = pairs(timesteps(1000, 1000))                  # (1000, 999), (999, 998), … (1, 0)
helper = last(sample(exact32, schedule, start, walk, **options())).x
assert torch.allclose(by_hand.float(), helper, atol=1e-2)
print("1000 steps by hand = 1000 steps of helpers.samplers.sample")

# %% [markdown]
# Now 2000 points walk back in 1000, 50 and 10 steps. How shall we judge the result? The eye is kind, so we take three numbers:
#
# - **off the data**: the share of points that lie more than $3s$ from every centre. Even real data have about 1 %.
# - **width**: the standard deviation around the nearest centre. Real: $s = 0.1$.
# - **energy distance** between two clouds $X$, $Y$ of points: $2\,\mathbb E|X-Y| - \mathbb E|X-X'| - \mathbb E|Y-Y'|$, where $X'$ is another point of the first cloud. It is 0 only if both
#   clouds come from the same distribution. With 2000 points even two real clouds do not give exactly 0: that is the **floor**. It is itself a random number and changes from draw to draw, several times larger or smaller; so a value below it does not mean "better than real", only "this number sees no difference".

# %%
n = course.pick(smoke=500, cpu=2000, gpu=2000)
real = exact32.sample(n, torch.Generator().manual_seed(10))
again = exact32.sample(n, torch.Generator().manual_seed(11))


def energy(a, b):
    """The energy distance of two clouds (N, 2) and (M, 2)."""
    inside = torch.cdist(a, a).mean() + torch.cdist(b, b).mean()
    return float(2 * torch.cdist(a, b).mean() - inside)


def report(name, x):
    away, k = torch.cdist(x, exact32.means).min(1)
    off, width = (away > 3 * s).float().mean(), (x - exact32.means[k]).std()
    print(f"{name:28s}{off:9.1%}{width:9.3f}{energy(x, real):10.4f}")
    return float(off)


start = torch.randn(n, 2, generator=torch.Generator().manual_seed(0))
walks = {}
for count in (1000, 50, 10):
    walk = pairs(timesteps(1000, count))
    walks[count] = list(sample(exact32, schedule, start, walk, **options()))

# %%
late = walks[10][-2]                                    # before the last of ten steps
sigma = float(1 - schedule.alphas_cumprod[late.s]) ** 0.5     # .s: its step
z = torch.randn(n, 2, generator=torch.Generator().manual_seed(2))
noisy_end = walks[10][-1].x + sigma * z                 # wrong on purpose: see below

print(f"{'':28s}{'off':>9}{'width':>9}{'energy':>10}   n = {n}, seeds 0, 1, 2, 10, 11")
report("real against real (floor)", again)
off = {count: report(f"{count} steps", states[-1].x) for count, states in walks.items()}
wrong = report("10 steps, noise at the end", noisy_end)
if course.profile() != "smoke":
    assert off[1000] < 0.03 and wrong > 0.3

# %%
few, chosen = 1000, (1000, 500, 300, 100, 0)


def clouds_in_a_row(clouds, names, side=1.8, color="C0"):
    """Small pictures of clouds of points (N, 2), the first few points of each."""
    fig, axes = plt.subplots(1, len(clouds), squeeze=False,
                             figsize=(side * len(clouds), side + 0.25))
    for ax, cloud, name in zip(axes[0], clouds, names):
        ax.scatter(*cloud[:few].T, s=3, color=color, linewidths=0)
        ax.set(xlim=(-2.5, 2.5), ylim=(-2.5, 2.5), xticks=[], yticks=[], aspect="equal")
        ax.set_title(name, fontsize=9)
    return axes[0]


for count, states in walks.items():
    at = {1000: start} | {state.s: state.x for state in states}
    names = [f"t = {s}" for s in chosen]
    axes = clouds_in_a_row([at[s] for s in chosen], names)
    axes[0].set_ylabel(f"{count} steps")
    plt.show()

# %%
def walking(step):
    state = walks[50][step - 1] if step else None
    cloud, now = (state.x, state.s) if step else (start, 1000)
    clouds_in_a_row([cloud], [f"step {step} of 50: t = {now}"], side=3)
    plt.show()


slide(walking, step=(0, 50, 47))

# %% [markdown]
# - With **1000** and with **50** steps the points land on the data, as often as real points do.
# - With 50 steps the clouds are too *narrow* (0.08 instead of 0.1). The true step has a larger variance than $\tilde\beta_t$, as we just saw, and for large steps this begins to show.
# - With **10** steps many points lie *between* two neighbours. Look at the last step, from $t = 100$ to $0$: there it is often not yet decided which Gaussian made the point, so $\mathbb E[x_0\mid x_t]$ is an average of two.
#   The true step has two hills there (section 4), and a Gaussian step lands in the valley.
#
# > **Easily mistaken.** "The last step adds noise, like all others." It must not: $\tilde\beta_1 = 0$. The last row of the table shows a walk of 10 steps whose last step, from $t = 100$ to $0$, adds noise with the forward variance $1-\bar\alpha_{100} = 0.32^2$: many more points are off. (In 1000 steps it would be only $\sqrt{\beta_1} = 0.01$, too little to see on points.)
#
# **Does the walk back undo the walk there?** Take points of which we know the Gaussian they belong to. Add noise up to step $t$, then walk back from there. How many come home to
# *their own* Gaussian? By pure chance it would be 1 in 8.

# %%
def home(t, count=50):
    """The share that ends at its own Gaussian, after noise up to t and back."""
    g = torch.Generator().manual_seed(3)
    noise = torch.randn(n, 2, generator=g)
    x_t = add_noise(schedule, real, t, noise)
    walk = pairs([round(t * (count - i) / count) for i in range(count + 1)])
    x = last(sample(exact32, schedule, x_t, walk, **options())).x
    began, ended = (torch.cdist(c, exact32.means).argmin(1) for c in (real, x))
    return float((began == ended).float().mean())


shares = {t: home(t) for t in (50, 100, 200, 300, 500, 1000)}
print("   ".join(f"t = {t}: {share:.0%}" for t, share in shares.items()))
if course.profile() != "smoke":
    assert shares[50] > 0.95 and shares[1000] < 0.2

# %% [markdown]
# > **Easily mistaken.** "The reverse process inverts the forward one." No: a single point does not find its way home. What comes back is the **distribution**. From
# > $t = 1000$ you get *a* point of the data, not *your* point. (This is how new pictures can appear at all.)

# %% [markdown]
# ## 6 · A network learns the spiral  <small>13 min</small>
#
# For pictures nobody can write down $\mathbb E[x_0\mid x_t]$. But it can be *learned from examples*, because of one fact of statistics: **the function with the smallest mean
# squared error is the conditional mean.** (Guess $c$ for a random $Y$: the mean of $(c-Y)^2$ is the variance of $Y$ plus $(c-\mathbb E[Y])^2$, smallest at $c = \mathbb E[Y]$.) If we show a network pairs $(x_t, \varepsilon)$ and punish $\|\varepsilon_\theta(x_t,t)-\varepsilon\|^2$, then the best that it can do is
#
# $$\varepsilon_\theta(x_t,t) = \mathbb E[\varepsilon\mid x_t] = \frac{x_t-\sqrt{\bar\alpha_t}\;\mathbb E[x_0\mid x_t]}{\sqrt{1-\bar\alpha_t}}$$
#
# So a network that guesses the noise knows $\mathbb E[x_0\mid x_t]$, too, and that was all we needed. ($\theta$ are the weights of the network. Why just this loss, without any factors, is session {{session:elbo}}.)
#
# The data: a spiral, called *Swiss roll*, as in the first figure of Sohl-Dickstein et al. (2015), the paper with which diffusion models began.
#
# The network: three hidden layers of 128, with SiLU, a smooth kind of ReLU, between them. It must know the step $t$. One number between 1 and 1000 is poor food for a network, so we
# give it a *clock with many hands*: sines and cosines of $t$, from quick to slow.

# %%
import math

from torch import nn

# %%
class Network(nn.Module):
    """Guesses the noise: points (B, 2) and steps (B,) in, ε (B, 2) out."""

    def __init__(self, width=128, hands=32):
        super().__init__()
        speed = torch.exp(-math.log(10_000) * torch.arange(hands) / hands)
        self.register_buffer("speed", speed)                 # from 1 to about 1/7500
        self.layers = nn.Sequential(
            nn.Linear(2 + 2 * hands, width), nn.SiLU(),
            nn.Linear(width, width), nn.SiLU(),
            nn.Linear(width, width), nn.SiLU(),
            nn.Linear(width, 2),
        )

    def forward(self, x, t):
        angle = t[:, None] * self.speed                      # (B, 32)
        clock = torch.cat([angle.sin(), angle.cos()], 1)     # (B, 64)
        return self.layers(torch.cat([4 * x, clock], 1))     # (B, 2)


print(f"{sum(p.numel() for p in Network().parameters()):,} weights")

# %% [markdown]
# Two details. `clock`: neighbouring hands turn at different speeds, so every $t$ has its own pattern, and near $t$ have similar ones. `4 * x`: the roll is only 0.04 thick, and a smooth network finds it hard to be that
# fine; so we show it the roll four times larger. (*Try next*, at the end, asks you to take this factor out and count.)
#
# Training, one step: draw points $x_0$, draw a step $t$ and noise $\varepsilon$ for each, make $x_t$, and let the network guess $\varepsilon$. The helper `diffusion_loss` is just this.
# First we check that claim by hand.

# %%
from helpers.data import load_points
from helpers.diffusion import Denoiser, diffusion_loss

roll = load_points("swiss_roll", 20_000)                     # (20000, 2)

torch.manual_seed(0)
network = Network()
g = torch.Generator().manual_seed(0)
t = torch.randint(1, 1001, (512,), generator=g)              # a step for each point
eps = torch.randn(512, 2, generator=g)                       # and its noise
x_t = add_noise(schedule, roll[:512], t, eps)
by_hand = (network(x_t, t) - eps).square().mean()

helper = diffusion_loss(Denoiser(network, schedule), roll[:512],
                        torch.Generator().manual_seed(0))
assert torch.allclose(by_hand, helper)
print(f"loss before training {helper:.3f}")

# %% [markdown]
# **Predict.** Before training, the network answers about 0, and the loss is about 1, the variance of $\varepsilon$. Will it fall to 0?

# %%
import tempfile
import time
from pathlib import Path

from tqdm.auto import tqdm

from helpers.train import fit

STEPS = course.pick(smoke=120, cpu=10_000, gpu=10_000)
folder = tempfile.TemporaryDirectory()                       # gone with the kernel
losses, seconds = {}, {}


# %%
def loss(network, batch, generator):
    return diffusion_loss(Denoiser(network, schedule), batch, generator)


def train(until):
    """Train to step `until` from where the checkpoint stands; the averaged network."""
    torch.manual_seed(0)
    run = fit(Network(), roll, loss, STEPS, batch=512, every=STEPS, until=until,
              checkpoint=Path(folder.name, "roll.pt"))
    begin = time.perf_counter()
    for now in tqdm(run, total=max(0, until - len(losses))):
        losses.setdefault(now.step, now.loss)
    seconds.setdefault(until, time.perf_counter() - begin)
    return now.ema.cpu()


def mean_loss(until, count):
    """The mean of the last `count` losses before this step."""
    some = [v for k, v in losses.items() if until - count < k <= until]
    return sum(some) / len(some)


parts = {}


# %% [markdown]
# The training is cut into three cells. Each goes on where the last one stopped. (What is trained is kept in `parts` and not trained again; to begin anew, run on from the cell with `folder`.)
#
# `now.ema` is a second network whose weights are a running average of the trained ones. It answers more steadily, and it is the one we sample from (session {{session:ddpm}} explains it).

# %%
if STEPS // 10 not in parts:
    parts[STEPS // 10] = Denoiser(train(STEPS // 10), schedule)
print(f"{STEPS // 10} steps, loss {mean_loss(STEPS // 10, 100):.3f}")

# %%
if STEPS // 2 not in parts:
    parts[STEPS // 2] = Denoiser(train(STEPS // 2), schedule)
print(f"{STEPS // 2} steps, loss {mean_loss(STEPS // 2, 500):.3f}")

# %%
if STEPS not in parts:
    parts[STEPS] = Denoiser(train(STEPS), schedule)
predict = parts[STEPS]
print(f"{STEPS} steps, {sum(seconds.values()):.0f} s, loss {mean_loss(STEPS, 500):.3f}")

# %%
def moving_average(values, width):
    sums = torch.cumsum(torch.tensor([0.0, *values]), 0)
    return (sums[width:] - sums[:-width]) / width


def from_noise(predict, count=100, n=n, seed=1):
    x = torch.randn(n, 2, generator=torch.Generator().manual_seed(0))
    walk = pairs(timesteps(1000, count))
    return list(sample(predict, schedule, x, walk, **options(seed)))


clouds = {k: from_noise(p)[-1].x for k, p in parts.items()}
names = [*(f"{k} training steps" for k in clouds), "real"]
clouds_in_a_row([*clouds.values(), roll], names, side=2.4)
plt.show()

# %%
fig, ax = plt.subplots(figsize=(6, 2.3))
smooth = moving_average(list(losses.values()), max(1, STEPS // 60))
ax.plot(torch.linspace(0, STEPS, len(smooth)), smooth)
ax.set(xlabel="training step", ylabel="loss (smoothed)", ylim=(0, 0.5))
plt.show()

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# No. It stays near 0.23: from $x_t$ alone nobody can know $\varepsilon$ exactly. Section 7 computes how low it could possibly fall.
#
# </details>
#
# Compare the two pictures (all three networks walked back in 100 steps). From step 1000 to the end the loss falls only a little, from 0.26 to 0.23, but the samples turn from a cloud into a spiral. **A loss that hardly moves may still be learning**; look at samples, and count.
#
# **The picture of 2015.** Upper row: the forward process dissolves the roll. Middle row: the learned process, in all 1000 steps, starting on the right, in noise. The colour says
# how far from the centre of the roll a point begins (upper row) or ends (middle row). Lower row: the *drift*, which is the direction in which the network pushes a point
# at this $t$, before noise is added: $\tilde\mu_t - x_t$ (only the direction is drawn; the real arrows of one step are very short).

# %%
columns = [0, 100, 250, 500, 1000]
states = from_noise(predict, 1000, n=few)
at = {1000: torch.randn(few, 2, generator=torch.Generator().manual_seed(0))}
at |= {state.s: state.x for state in states}
eps = torch.randn(few, 2, generator=torch.Generator().manual_seed(4))
ways = [{t: add_noise(schedule, roll[:few], t, eps) for t in columns}, at]

side = torch.linspace(-2.2, 2.2, 12)
places = torch.cartesian_prod(side, side)                    # (144, 2)


@torch.no_grad()
def drift(predict, x, t):
    """Where the mean of step t moves the points x, as arrows (B, 2)."""
    t = max(t, 1)                                            # there is no step at t = 0
    return posterior(schedule, predict(x, t)[0], x, t)[0] - x


# %%
def show_drift(ax, t):
    arrows = drift(predict, places, t)
    arrows = arrows / arrows.norm(dim=1, keepdim=True)       # all of one length
    ax.quiver(*places.T, *arrows.T, angles="xy", scale=14, width=0.007, pivot="mid",
              color="0.3")


fig, axes = plt.subplots(3, 5, figsize=(10, 6.2), sharex=True, sharey=True)
for row, (way, name) in enumerate(zip(ways, ("forward", "learned, backward"))):
    color = way[0].norm(dim=1)                               # distance from the centre
    for ax, t in zip(axes[row], columns):
        ax.scatter(*way[t].T, s=3, c=color, cmap="cividis", linewidths=0)
    axes[row, 0].set_ylabel(name)
for ax, t in zip(axes[2], columns):
    show_drift(ax, t)
for ax, t in zip(axes[0], columns):
    ax.set(xlim=(-2.6, 2.6), ylim=(-2.6, 2.6), xticks=[], yticks=[], aspect="equal")
    ax.set_title({500: "t = T/2", 1000: "t = T"}.get(t, f"t = {t}"), fontsize=9)
axes[2, 0].set_ylabel("drift")
plt.show()

# %% [markdown]
# How to read it:
#
# - **Right:** at $t = T$ all is noise. All arrows point to the middle: the network knows only where the data lie on average.
# - **Left:** the smaller $t$, the more the arrows follow the roll. At $t = 0$ (computed at $t = 1$, the last step) most of them point to the nearest arm.
# - **The colours** of the two upper rows agree as *clouds* at every $t$, though no point of the middle row is a point of the upper row. This is what it means to reverse the process.
#
# The paper of 2015 shows three of these columns, $t = 0$, $T/2$ and $T$. Move the slider to see all 1000 steps:

# %%
def rolling(step):
    cloud, t = (states[step - 1].x, states[step - 1].s) if step else (at[1000], 1000)
    ax = clouds_in_a_row([cloud], [f"t = {t}"], side=3.4)[0]
    show_drift(ax, t)
    plt.show()


slide(rolling, step=(0, 1000, 950))

# %% [markdown]
# ## 7 · Learned against exact  <small>7 min, may be skipped</small>
#
# How good is the network? Not "does it look good", but: how far is it from the best possible answer? For the roll we know the best answer. The points lie on a curve, with a
# little Gaussian noise around it, so the roll is a mixture of Gaussians as well: one very small weight at every place of the curve. We take 400 places; they are so close
# together that the sum is smooth.

# %%
angle = 1.5 * math.pi * (1 + 2 * (torch.arange(400) + 0.5) / 400)
curve = torch.stack([angle * angle.cos(), angle * angle.sin()], 1) / 7      # (400, 2)
thick = 0.3 / 7                                              # the width around it
best = MixtureDenoiser(schedule, curve, torch.tensor(thick))

fresh = load_points("swiss_roll", n, seed=5)                 # not used in training
steps = [1, 2, 5, 10, 20, 50, 100, 200, 400, 700, 1000]
errors, floors = [], []
g = torch.Generator().manual_seed(6)
for t in steps:
    eps = torch.randn(n, 2, generator=g)
    x_t = add_noise(schedule, fresh, t, eps)
    with torch.no_grad():
        learned, perfect = predict(x_t, t)[1], best(x_t, t)[1]
    errors.append(float((learned - perfect).square().mean()))
    floors.append(float((eps - perfect).square().mean()))

# %% [markdown]
# The **floor** is the loss of the best possible answer. It is not 0: from $x_t$ alone nobody can know $\varepsilon$ exactly. The **error** is how far the network is from that best
# answer. Their sum is the training loss at this $t$ (the best answer is the conditional mean, and around a mean squares add like that).

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 2.8))
left.plot(steps, floors, "s--", label="floor: best possible loss")
left.plot(steps, errors, "o-", color="C3", label="error of the network")
left.set(xscale="log", yscale="log", xlabel="t", ylim=(1e-6, 3))
left.set_title("guessing $\\varepsilon$", fontsize=10)
left.legend(fontsize=8)
noise = schedule.noise[steps]
right.plot(steps, torch.tensor(errors) / noise**2, "o-", color="C3")
right.set(xscale="log", yscale="log", xlabel="t")
right.set_title("the same error, in the score", fontsize=10)
plt.show()

# %%
for t, e, f in zip(steps, errors, floors):
    if t in (1, 10, 50, 200, 1000):
        print(f"t = {t:4d}   floor {f:.5f}   error {e:.5f}")
with torch.no_grad():                                        # and over all t
    g = torch.Generator().manual_seed(7)
    many = load_points("swiss_roll", 6 * n, seed=6)
    t = torch.randint(1, 1001, (len(many),), generator=g)
    eps = torch.randn(many.shape, generator=g)
    x_t = add_noise(schedule, many, t, eps)
    floor = (eps - best(x_t, t)[1]).square().mean()
    error = (predict(x_t, t)[1] - best(x_t, t)[1]).square().mean()
print(f"all t      floor {floor:.4f}   error {error:.4f}")

# %% [markdown]
# - For $\varepsilon$ (left) the error is far below the floor almost everywhere: of the training loss of 0.23 nearly all is floor, and less than 0.001 is the network's fault. The one exception is $t = T$, where $x_t$ *is* nearly $\varepsilon$ and
#   the best answer is almost perfect.
# - For the score (right) the same error is divided by $1-\bar\alpha_t$, and near $t = 0$ that is a division by 0.0001. **Near the data the score is hard**: it changes within the thickness of the roll. So a network is not asked for the score but for $\varepsilon$.
#
# And *where* is it wrong? The colour shows the error at each place, the white line surrounds 95 % of the points $x_t$.

# %%
side = torch.linspace(-3, 3, 100)
square = torch.cartesian_prod(side, side)                    # (10000, 2)

# %%
def show_error(ax, t):
    """The map of |learned − exact ε| at step t, with the places where points are."""
    with torch.no_grad():
        wrong = (predict(square, t)[1] - best(square, t)[1]).norm(dim=1)
    q = best.log_density(square, t).exp()
    order = q.sort(descending=True).values
    mass = order.cumsum(0) / order.sum()
    level = float(order[(mass < 0.95).sum()])
    image = ax.contourf(side, side, wrong.view(100, 100).T, torch.linspace(0, 2, 9),
                        cmap="magma", extend="max")
    ax.contour(side, side, q.view(100, 100).T, [level], colors="white", linewidths=0.8)
    ax.set_title(f"t = {t}", fontsize=9)
    ax.set(xticks=[], yticks=[], aspect="equal")
    return image


fig, axes = plt.subplots(1, 4, figsize=(10, 2.5))
for ax, t in zip(axes, (20, 50, 150, 400)):
    image = show_error(ax, t)
fig.colorbar(image, ax=axes, label="error")
plt.show()

# %%
def error_at(t):
    fig, ax = plt.subplots(figsize=(4, 3.2))
    fig.colorbar(show_error(ax, t), label="error")
    plt.show()


slide(error_at, t=(1, 1000, 50))

# %% [markdown]
# The network is good (dark) where points are, and bad (light) where none are: **far outside, and between the arms** when $t$ is small. Why? The loss is paid only at places where $x_t$ can be. Nobody ever asked the network about the others,
# and its answers there are guesses.
#
# At $t = 400$ the noise has filled the gaps and all of the square is known. That is one more reason to begin in noise: large $t$ is learned everywhere, and it leads the points, step by step, into the part of the plane that the network knows
# at smaller $t$. Without this guidance? Let a walk *begin* at $t = 20$, at random places:

# %%
x = torch.randn(n, 2, generator=torch.Generator().manual_seed(0))
for name, which in (("network", predict), ("exact", best)):
    end = last(sample(which, schedule, x, pairs(range(20, -1, -1)), **options())).x
    off = (torch.cdist(end, curve).min(1).values > 3 * thick).float().mean()
    print(f"{name:8s} from t = 20 at random places: {off:.0%} off the roll")

# %% [markdown]
# Begun at $t = 1000$, nearly all points found the roll; begun here, almost half of the network's points miss it. Even the exact denoiser loses more than a quarter: at $t = 20$ it must take a point far outside for a very rare member
# of the roll, and takes it only about three quarters of the way to the curve (the share $\sqrt{\bar\alpha_t}\,s^2/v$ of section 5 is about ¼ here). If the way was long, the rest is still more than three standard deviations. What is left is the network's guessing.

# %% [markdown]
# ## 8 · Checks and measurements  <small>4 min</small>
#
# **By hand equals helper**, once more in one place: the posterior (section 3), $\mathbb E[x_0\mid x_t]$ of a mixture and the walk of 1000 steps (5), the loss (6). One is missing: the score.
# By hand it is the slope of $\log q(x_t)$, and a computer can take slopes:

# %%
x = torch.randn(64, 2, generator=torch.Generator().manual_seed(7)).double()
for t in (20, 200, 800):
    x.requires_grad_(True)
    (slope,) = torch.autograd.grad(mixture.log_density(x, t).sum(), x)
    with torch.no_grad():
        a = schedule.alphas_cumprod[t]
        from_eps = -mixture(x, t)[1] / (1 - a).sqrt()        # −ε/√(1−ᾱ_t)
        from_guess = (a.sqrt() * expected_x0(x, t) - x) / (1 - a)
    assert torch.allclose(slope, mixture.score(x.detach(), t))
    assert torch.allclose(slope, from_eps) and torch.allclose(slope, from_guess)
print("score = −ε/√(1−ᾱ) = (√ᾱ E[x_0|x_t] − x_t)/(1−ᾱ)")

# %% [markdown]
# So $\mathbb E[x_0\mid x_t]$, $\mathbb E[\varepsilon\mid x_t]$ and the score are one thing in three dresses: know one, and you know all. (Solved for $\mathbb E[x_0\mid x_t]$ this is *Tweedie's formula*.)
#
# **Measured here**, on the roll. *Off* is the share of points farther than three standard deviations from the curve, *width* the root mean square distance from it.

# %%
def judge(name, cloud, took=""):
    away = torch.cdist(cloud, curve).min(1).values
    off, width = (away > 3 * thick).float().mean(), away.square().mean().sqrt()
    print(f"{name:30s}{off:8.1%}{width:8.3f}{energy(cloud, roll[:n]):10.4f}   {took}")
    return float(off)


def took(until):
    return f"{sum(v for k, v in seconds.items() if k <= until):.0f} s"


print(f"{n} points, 100 steps back, trained on {course.device().type};",
      "seeds: walk 0, 1, training 0, fresh points 5")
print(f"{'':30s}{'off':>8}{'width':>8}{'energy':>10}   training")
floor = judge("real against real (floor)", fresh)
judge("exact denoiser", from_noise(best)[-1].x, "none")
offs = [judge(f"{k} training steps", c, took(k)) for k, c in clouds.items()]
if course.profile() != "smoke":
    assert offs[0] > 0.3 and offs[-1] < 0.1

# %% [markdown]
# All the networks were asked by the same walk, so the difference between them is training, and the difference between the exact denoiser and the floor is the walk: 100 large steps with the small variance $\tilde\beta_t$ give a roll that is about a third too narrow, as in section 5, so none of the 2000 points is off. The energies, except that of 1000 training steps, are no larger than the floor: they do not tell these clouds apart. The paper of 2015 measures its roll by a
# bound on the likelihood, which is the subject of session {{session:elbo}}; so here the floor and the exact denoiser are the only yardsticks.
#
# ## What we saw
#
# - One joint, three ways: forward (making training data), backward (what we want), backward with $x_0$ in hand (what we can compute).
# - $q(x_{t-1}\mid x_t)$ needs an integral over all data; $q(x_{t-1}\mid x_t,x_0)$ is the product of two Gaussians.
# - Completing the square gives its mean $\tilde\mu_t$, a weighted sum of $x_0$ and $x_t$, and its variance $\tilde\beta_t\le\beta_t$, with $\tilde\beta_1=0$.
# - Without $x_0$ the step back is Gaussian only for Gaussian data, or nearly, for small $\beta_t$.
# - The mean of the true step is $\tilde\mu_t$ at $\mathbb E[x_0\mid x_t]$. The function with the smallest squared error *is* the conditional mean $\mathbb E[x_0\mid x_t]$ (or $\mathbb E[\varepsilon\mid x_t]$), so a network can learn it from examples.
# - It learns well where points are, and badly where none are.
#
# > **Three mistakes of today.** The reverse process does *not* invert the forward one (section 5): it brings back the distribution, not the point. $q(x_{t-1}\mid x_t)$ is *not* always
# > Gaussian (section 4). The last step does *not* add noise (sections 3 and 5).
#
# **At the exit.** The data are *one* Gaussian, $x_0\sim\mathcal N(0,1)$, and a single step has $\beta = 0.9$. Is $q(x_{t-1}\mid x_t)$ a Gaussian? With which mean and variance?
# <details><summary>Answer</summary>
#
# Yes, for every $\beta$: the product of two Gaussians. $q(x_{t-1}) = \mathcal N(0,1)$ has precision 1; $q(x_t\mid x_{t-1})$, as a function of $x_{t-1}$, has precision $\alpha_t/\beta_t$. Together
# $1/\beta_t$: variance $\beta_t = 0.9$, mean $\sqrt{\alpha_t}\,x_t = \sqrt{0.1}\,x_t$. ("broad" in section 4 had a KL of 0 for this reason.)
#
# </details>
#
# **Try next.** Put `"moons"` or `"pinwheel"` in place of the roll. Take the factor 4 out of the network. Train with 500 points instead of 20,000 and look where the samples land. Walk back with the network in 20 steps. Make the eight Gaussians of
# section 5 unequal: one of them with weight ½.
#
# **Homework:** [homework/{{notebook}}](homework/{{notebook}}): the posterior, the best guess, the score, and the walk, written by you.
#
# **To read.** J. Sohl-Dickstein, E. Weiss, N. Maheswaranathan, S. Ganguli, *Deep Unsupervised Learning using Nonequilibrium Thermodynamics*, 2015 (arXiv 1503.03585), section 2 and figure 1.
# J. Ho, A. Jain, P. Abbeel, *Denoising Diffusion Probabilistic Models*, 2020 (2006.11239), sections 2 and 3. B. Anderson, *Reverse-time diffusion equation models*, Stochastic Processes and their
# Applications 12, 1982: the same in continuous time. Y. Song et al., *Score-Based Generative Modeling through Stochastic Differential Equations*, 2021 (2011.13456), section 3. C. Luo, *Understanding Diffusion Models:
# A Unified Perspective*, 2022 (2208.11970), the pages on variational diffusion models.
