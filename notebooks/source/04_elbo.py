# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # {{number}} · The bound behind the loss
#
# {{badge}}
#
# In session {{session:reverse_process}} a network learned the spiral with the loss $\|\varepsilon_\theta - \varepsilon\|^2$. Why just this loss? Today we derive it from one wish: **real data should be likely
# under the model**. On the way every line is checked by numbers, first on a picture of one pixel, where nothing is hidden, and at the end on faces.
#
# At the end you will have made a picture that tells how many *bits* each step of a diffusion model costs, and which of them buy the large shapes and which the last grain.
#
# **Time:** 90 minutes; the cells themselves run for about 3 minutes on two CPU cores.
#
# **Before:** session {{session:reverse_process}} (the joint in three ways; the posterior $\tilde\mu_t,\tilde\beta_t$), and from session {{session:start_here}} Jensen (section 9) and KL (10).
#
# | section | minutes | may be skipped |
# |---|---|---|
# | recall | 3 | |
# | 1 · which model is better? | 8 | |
# | 2 · the bound, by Jensen | 11 | |
# | 3 · the bound again: what is missing | 12 | the VAE, if known |
# | 4 · three kinds of terms | 11 | |
# | 5 · from Gaussians to $\|\varepsilon-\varepsilon_\theta\|^2$ | 13 | |
# | 6 · how much does the bound lose? | 9 | yes |
# | 7 · bits per dimension: digits | 10 | |
# | 8 · faces, beside the paper | 6 | |
# | 9 · why $L_\text{simple}$ weights otherwise; summary, exit | 7 | |

# %% tags=["setup"]
from helpers import course

course.setup(minutes={{minutes}})

# %% [markdown]
# ## Recall  <small>3 min</small>
#
# Answer aloud, then open.
#
# **1** (session {{session:reverse_process}}). Which of the two can be computed for pictures, $q(x_{t-1}\mid x_t)$ or $q(x_{t-1}\mid x_t,x_0)$? Why?
# <details><summary>Answer</summary>
#
# The second. It is a product of two known Gaussians. The first needs an integral over all the pictures of the world.
#
# </details>
#
# **2** (session {{session:reverse_process}}). What are $\tilde\beta_1$ and the mean of the last step, from $x_1$ to $x_0$?
# <details><summary>Answer</summary>
#
# $\tilde\beta_1 = 0$, and the mean is $x_0$ itself: who knows $x_0$ has nothing left to guess.
#
# </details>
#
# **3** (session {{session:start_here}}). Which is larger, $\log\mathbb E[X]$ or $\mathbb E[\log X]$? And what sign has KL?
# <details><summary>Answer</summary>
#
# $\log\mathbb E[X]\ge\mathbb E[\log X]$ (Jensen). $\mathrm{KL}\ge 0$, and it is 0 only if the two distributions are equal.
#
# </details>

# %% [markdown]
# ## 1 · Which model is better?  <small>8 min</small>
#
# A model $p_\theta$ ($\theta$: all that can be learned) gives each possible picture $x_0$ a probability. The data come from $q$. A good model finds the data **likely**. The mean
# *surprise* of the model by the data is called the **cross-entropy**:
#
# $$L_\text{CE} = \mathbb E_{x_0\sim q}\big[-\log p_\theta(x_0)\big]$$
#
# Small is good. *Maximum likelihood* means: choose $\theta$ so that $L_\text{CE}$ is as small as possible. With the natural logarithm the unit is the *nat*, with $\log_2$ the
# *bit* (1 nat = 1.44 bits). The bits have a plain meaning: they are the length of the file, if a good program packs the data with the help of $p_\theta$.
#
# **Predict.** Our picture is again one pixel: black 70 %, grey 10 %, white 20 %. Model A says just that. Model B says "98 %, 1 %, 1 %": it bets on what is most frequent. Model C
# knows nothing and says "a third each". Order the three by $L_\text{CE}$.

# %%
import math

import torch

q0 = torch.tensor([0.7, 0.1, 0.2]).double()     # q(x_0): black, grey, white


def cross_entropy(p):
    """Mean surprise −log p(x_0) of the model p, in nats, over the data q0."""
    return -(q0 * p.log()).sum()


models = {"A": [0.7, 0.1, 0.2], "B": [0.98, 0.01, 0.01], "C": [1 / 3, 1 / 3, 1 / 3]}
for name, p in models.items():
    nats = cross_entropy(torch.tensor(p).double())
    print(f"{name}: {nats:.3f} nats = {nats / math.log(2):.3f} bits for each pixel")

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# A, then C, and B is last: being *sure and wrong* costs more than knowing nothing.
#
# </details>
#
# Can any model beat A? Add and subtract $\log q$:
#
# $$L_\text{CE} = \underbrace{\mathbb E_q[-\log q(x_0)]}_{H(q),\ \text{the entropy}} + \underbrace{\mathbb E_q\Big[\log\frac{q(x_0)}{p_\theta(x_0)}\Big]}_{\mathrm{KL}(q\,\|\,p_\theta)\;\ge\;0}
# \;\ge\; H(q)$$
#
# No. The entropy $H(q)$ is the floor, and what lies above it is the fault of the model. Also look at what we need to *measure* $L_\text{CE}$: only samples of the data, and $p_\theta$. Nobody has
# to know $q$.

# %%
entropy = cross_entropy(q0)                     # the model that is the truth
for p in models.values():
    p = torch.tensor(p).double()
    kl = (q0 * (q0 / p).log()).sum()
    assert torch.allclose(cross_entropy(p), entropy + kl)

g = torch.Generator().manual_seed(0)
pixels = torch.multinomial(q0, 100_000, replacement=True, generator=g)
measured = -q0.log()[pixels].mean()             # samples, and the model p = q0
print(f"H(q) = {entropy:.4f} nats, measured on 100,000 pixels: {measured:.4f}")
assert abs(measured - entropy) < 0.01

# %%
import matplotlib.pyplot as plt

from helpers.plots import style
from helpers.widgets import slide

style()


def bet(black):
    """A model with this share of black; the rest is shared as in the data, 1 : 2."""
    return torch.tensor([black, (1 - black) / 3, 2 * (1 - black) / 3]).double()


def show_bet(ax, black):
    shares = torch.linspace(0.05, 0.99, 100)
    ax.plot(shares, [cross_entropy(bet(float(b))) for b in shares], lw=2)
    ax.axhline(entropy, color="0.5", ls="--")
    here = cross_entropy(bet(black))
    ax.plot([black, black], [entropy, here], color="C3", lw=3)
    ax.plot(black, here, "o", color="C3")
    ax.set_title(f"black {black:.2f}: KL {here - entropy:.2f}", fontsize=10)
    ax.set(ylim=(0.6, 2.4), xlabel="share of black in the model")


# %%
def one_bet(black):
    ax = plt.subplots(figsize=(4.4, 2.6))[1]
    show_bet(ax, black)
    ax.set_ylabel("$L_{CE}$ in nats")
    plt.show()


slide(one_bet, black=(0.05, 0.99, 0.3))

# %%
fig, axes = plt.subplots(1, 4, figsize=(10, 2.4), sharey=True)
for ax, black in zip(axes, (0.2, 0.5, 0.7, 0.95)):
    show_bet(ax, black)
axes[0].set_ylabel("$L_{CE}$ in nats")
plt.show()

# %% [markdown]
# (Blue: the cross-entropy of every bet. Dashed: the floor $H(q)$. Red: the part that is the model's fault, its KL.)

# %% [markdown]
# ## 2 · The bound, by Jensen  <small>11 min</small>
#
# A diffusion model makes $x_0$ by a walk: it draws $x_T$ from pure noise $p(x_T)$, then steps back with $p_\theta(x_{t-1}\mid x_t)$. So it gives each **path** a probability, and a picture
# has the sum of all the paths that end in it:
#
# $$p_\theta(x_{0:T}) = p(x_T)\prod_{t=1}^T p_\theta(x_{t-1}\mid x_t),\qquad p_\theta(x_0) = \int p_\theta(x_{0:T})\,dx_{1:T}$$
#
# For the pixel, with $T=3$ steps, there are 27 paths for each $x_0$: we can add them up. For a picture nobody can.
#
# Here is our model: a walk with the *true* tables $q(x_{t-1}\mid x_t)$ of session {{session:reverse_process}}, but we spoil them by mixing in a share of "a third each". And it starts from "a third each", though the true $q(x_3)$
# is still a little darker.

# %%
step = torch.full((3, 3), 0.1).double().fill_diagonal_(0.8)   # q(x_t | x_{t-1})
now, back = q0, []
for _ in range(3):                              # session {{session:reverse_process}}: Bayes, step by step
    both = now[:, None] * step
    now = both.sum(0)
    back.append((both / now).T)                 # back[t-1][x_t, x_{t-1}]


def tables_of(spoiled):
    """The model's tables p(x_{t-1} | x_t), t = 1, 2, 3, with a row for each x_t."""
    return [(1 - spoiled) * table + spoiled / 3 for table in back]


def model(spoiled):
    """p(x_{0:3}): a number for each of the 81 paths, [x_0, x_1, x_2, x_3]."""
    p1, p2, p3 = tables_of(spoiled)
    start = torch.full((3,), 1 / 3).double()
    return torch.einsum("d,dc,cb,ba->abcd", start, p3, p2, p1)


p = model(0.3)
p_x0 = p.sum((1, 2, 3))                         # add up all paths that end in x_0
print("p(x_0):", p_x0.numpy().round(3), "  data:", q0.numpy().round(3))

# %% [markdown]
# **The trick** has two steps. *First*, multiply and divide by the probability of the forward walk, $q(x_{1:T}\mid x_0)$. The sum becomes an average over forward walks, and forward walks we can draw:
#
# $$p_\theta(x_0) = \int q(x_{1:T}\mid x_0)\,\frac{p_\theta(x_{0:T})}{q(x_{1:T}\mid x_0)}\,dx_{1:T}
# = \mathbb E_{q(x_{1:T}\mid x_0)}\left[\frac{p_\theta(x_{0:T})}{q(x_{1:T}\mid x_0)}\right]$$

# %%
walks = torch.einsum("ab,bc,cd->abcd", step, step, step)      # q(x_{1:3} | x_0)
ratio = p / walks
assert torch.allclose((walks * ratio).sum((1, 2, 3)), p_x0)   # nothing has changed

# %% [markdown]
# *Second*, take the logarithm and let Jensen move it inside:
#
# $$\log p_\theta(x_0) = \log\mathbb E_q\Big[\frac{p_\theta(x_{0:T})}{q(x_{1:T}\mid x_0)}\Big]\;\ge\;
# \boxed{\;\mathbb E_{q(x_{1:T}\mid x_0)}\Big[\log\frac{p_\theta(x_{0:T})}{q(x_{1:T}\mid x_0)}\Big] = \text{ELBO}(x_0)\;}$$
#
# It is called the *evidence lower bound*: "evidence" is an old name of $p_\theta(x_0)$. Why is this better? The logarithm of a product is a *sum*, one term for each step, and an average of a sum can be
# measured with one random walk at a time. The average over the data with a minus sign is the loss, $L_\text{VLB} = \mathbb E_q[-\text{ELBO}(x_0)]$ (*variational lower bound*: the name belongs to the ELBO; with the minus sign it is an upper bound of $L_\text{CE}$).

# %%
elbo = (walks * ratio.log()).sum((1, 2, 3))
for k, name in enumerate(("black", "grey", "white")):
    print(f"{name:6s} log p(x_0) {p_x0[k].log():.3f}   ELBO {elbo[k]:.3f}")

L_CE, L_VLB = -(q0 * p_x0.log()).sum(), -(q0 * elbo).sum()
print(f"H(q) {entropy:.3f}  ≤  L_CE {L_CE:.3f}  ≤  L_VLB {L_VLB:.3f}")
assert entropy <= L_CE <= L_VLB and (elbo <= p_x0.log()).all()

# %% [markdown]
# **Predict.** How large the gap is depends on how much the ratio *varies* from walk to walk (session {{session:start_here}}, section 9). Will the gap be 0 for the best model, `spoiled = 0`?
#
# Each dot is one of the 27 walks from a black pixel: to the right, where the model gives the walk more probability than the forward process does; the higher, the more often it is walked. Move the spoiling.

# %%
def show_ratio(ax, spoiled):
    p = model(spoiled)
    logs, often = (p / walks)[0].log().flatten(), walks[0].flatten()
    ax.scatter(logs, often, s=14, color="C0")
    ax.axvline((often * logs).sum(), color="C1", label="ELBO")
    ax.axvline((often * logs.exp()).sum().log(), color="C2", ls="--", label="log p")
    gap = p[0].sum().log() - (often * logs).sum()
    ax.set(xlabel="log ratio", yscale="log", xlim=(-5, 3.5))
    ax.set_title(f"spoiled {spoiled:.2f}: gap {gap:.2f}", fontsize=10)


def ratios(spoiled):
    ax = plt.subplots(figsize=(4.6, 2.6))[1]
    show_ratio(ax, spoiled)
    ax.set_ylabel("how often walked")
    ax.legend(fontsize=8)
    plt.show()


slide(ratios, spoiled=(0.0, 1.0, 0.3))

# %%
fig, axes = plt.subplots(1, 4, figsize=(10, 2.4), sharey=True)
for ax, spoiled in zip(axes, (0.0, 0.1, 0.4, 0.9)):
    show_ratio(ax, spoiled)
axes[0].set_ylabel("how often walked")
axes[0].legend(fontsize=8, loc="lower left")
plt.show()

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# Not quite: 0.04 nats are left. The tables are the true ones, but the walk starts from "a third each" instead of the true $q(x_3)$. If the model knew *both* exactly, all dots would stand on one line.
#
# </details>

# %% [markdown]
# ## 3 · The bound again: what is missing  <small>12 min</small>
#
# Jensen says that something is lost, but not *what*. A second derivation does. Split the model's path the other way, first $x_0$, then the rest: $p_\theta(x_{0:T}) = p_\theta(x_0)\,p_\theta(x_{1:T}\mid x_0)$. Put it into the ELBO:
#
# $$\text{ELBO}(x_0) = \mathbb E_q\left[\log\frac{p_\theta(x_0)\;p_\theta(x_{1:T}\mid x_0)}{q(x_{1:T}\mid x_0)}\right]$$
#
# $\log p_\theta(x_0)$ does not depend on the walk, so it comes out of the average. What is left is a KL with a minus sign:
#
# $$\boxed{\;\text{ELBO}(x_0) = \log p_\theta(x_0) - \mathrm{KL}\big(q(x_{1:T}\mid x_0)\,\big\|\,p_\theta(x_{1:T}\mid x_0)\big)\;}$$
#
# No inequality: an *equation*. The ELBO lies below $\log p_\theta(x_0)$ by exactly this: **how much the forward walks from $x_0$ differ from the walks on which the model would have come to
# $x_0$.**

# %%
after = p / p_x0[:, None, None, None]           # p(x_{1:3} | x_0)
missing = (walks * (walks / after).log()).sum((1, 2, 3))
assert torch.allclose(elbo, p_x0.log() - missing)
print("log p − ELBO =", (p_x0.log() - elbo).numpy().round(4))
print("KL           =", missing.numpy().round(4))

# %% [markdown]
# Average over the data, and the three numbers stand in line:
#
# $$H(q)\;\le\;L_\text{CE} = \mathbb E_q[-\log p_\theta(x_0)]\;\le\;L_\text{VLB}$$
#
# The first step is the model's fault, the second one is what the bound does not see. Move the spoiling and watch both.

# %%
def show_line(ax, spoiled):
    shares = torch.linspace(0, 1, 41)
    paths = [model(float(s)) for s in shares]
    ends = [-(q0 * p.sum((1, 2, 3)).log()).sum() for p in paths]
    elbos = [(walks * (p / walks).log()).sum((1, 2, 3)) for p in paths]
    bounds = [-(q0 * elbo).sum() for elbo in elbos]
    ax.plot(shares, bounds, color="C1", label="$L_{VLB}$")
    ax.plot(shares, ends, "--", color="C2", label="$L_{CE}$")
    ax.axhline(entropy, color="0.5", ls=":", label="$H(q)$")
    ax.axvline(spoiled, color="0.8", zorder=0)
    k = int(round(spoiled * 40))
    ax.set_title(f"above the floor: {ends[k] - entropy:.3f}\n"
                 f"lost by the bound: {bounds[k] - ends[k]:.3f}", fontsize=10)
    ax.set(xlabel="share of spoiling", ylim=(0.7, 2.6))


def in_line(spoiled):
    ax = plt.subplots(figsize=(4.6, 2.9))[1]
    show_line(ax, spoiled)
    ax.legend(fontsize=8)
    plt.show()


slide(in_line, spoiled=(0.0, 1.0, 0.3))

# %%
fig, axes = plt.subplots(1, 3, figsize=(10, 2.8), sharey=True)
for ax, spoiled in zip(axes, (0.0, 0.3, 1.0)):
    show_line(ax, spoiled)
axes[0].set_ylabel("nats")
axes[0].legend(fontsize=8, loc="upper left")
plt.show()

# %% [markdown]
# > **Easily mistaken.** "The ELBO is a lower bound on the log-likelihood of the *data*." It bounds the log-likelihood that **this model** gives the data. So a model with a large $L_\text{VLB}$ may be good (loose bound) or bad: from the bound alone
# > one cannot tell. But a *small* $L_\text{VLB}$ is a guarantee: $L_\text{CE}$ is no larger.
#
# **The VAE is the case $T = 1$.** One hidden $z = x_1$. Let $p(z) = \mathcal N(0, 1)$, and let the *decoder* say $p(x\mid z) = \mathcal N(z, b^2)$ with $b = 0.5$. The *encoder* $q(z\mid x) = \mathcal N(m, s^2)$ is now
# not fixed: it is learned, too. Write the ELBO as
#
# $$\text{ELBO}(x) = \underbrace{\mathbb E_{q(z\mid x)}\big[\log p(x\mid z)\big]}_{\text{rebuild } x \text{ from } z} - \underbrace{\mathrm{KL}\big(q(z\mid x)\,\|\,p(z)\big)}_{\text{stay near the noise}}$$
#
# Both are known: $\mathbb E[(x-z)^2] = (x-m)^2 + s^2$ for the first, the box of session {{session:start_here}} for the second.

# %%
from torch.distributions import Normal

b_vae = 0.5                                            # the width of the decoder


def log_normal(x, mean, variance):
    return -((x - mean) ** 2) / (2 * variance) - 0.5 * math.log(2 * math.pi * variance)


def vae_elbo(x, m, s):
    """E[log p(x|z)] − KL(q(z|x) ‖ p(z)) for q(z|x) = N(m, s²), in nats."""
    rebuild = log_normal(x, m, b_vae**2) - s**2 / (2 * b_vae**2)
    stay = (m**2 + s**2 - 1) / 2 - math.log(s)
    return rebuild - stay


x_vae, m, s = 1.2, 0.7, 0.6
torch.manual_seed(0)
z = Normal(m, s).sample((200_000,))
inside = Normal(z, b_vae).log_prob(torch.tensor(x_vae)) + Normal(0.0, 1.0).log_prob(z)
drawn = (inside - Normal(m, s).log_prob(z)).mean()     # E[log p(x, z)/q(z|x)]
print(f"ELBO: formula {vae_elbo(x_vae, m, s):.4f}, drawn {drawn:.4f}")
assert abs(vae_elbo(x_vae, m, s) - drawn) < 0.02

# %% [markdown]
# Here $p(x) = \mathcal N(0, 1 + b^2)$ is known (variances add), so we can see the gap. **Predict.** At which $m$ and $s$ is the gap 0? (Session {{session:start_here}}, section 7: two pieces of evidence about $z$.)

# %%
true_s = (1 / (1 + 1 / b_vae**2)) ** 0.5               # precisions add: 1 and 1/b²
true_m = true_s**2 * x_vae / b_vae**2
log_px = log_normal(x_vae, 0, 1 + b_vae**2)
assert abs(vae_elbo(x_vae, true_m, true_s) - log_px) < 1e-9         # no gap left


def show_vae(ax, m, s):
    z = torch.linspace(-2, 3, 200)
    truth, guess = Normal(true_m, true_s), Normal(m, s)
    ax.fill_between(z, truth.log_prob(z).exp(), alpha=0.4, label="$p(z|x)$")
    ax.plot(z, guess.log_prob(z).exp(), color="C1", lw=2, label="$q(z|x)$")
    gap = log_px - vae_elbo(x_vae, m, s)
    ax.set(xlabel="z", yticks=[], ylim=(0, 1.4))
    ax.set_title(f"m = {m:.2f}, s = {s:.2f}: gap {gap:.2f}", fontsize=10)


def encoder(m, s):
    ax = plt.subplots(figsize=(4.6, 2.5))[1]
    show_vae(ax, m, s)
    ax.legend(fontsize=8)
    plt.show()


slide(encoder, m=(-0.5, 2.0, 0.0), s=(0.2, 1.5, 1.0))

# %%
fig, axes = plt.subplots(1, 4, figsize=(10, 2.3), sharey=True)
for ax, (mean, std) in zip(axes, ((0, 1), (0.7, 0.6), (true_m, 0.9), (true_m, true_s))):
    show_vae(ax, mean, std)
axes[0].legend(fontsize=8)
plt.show()

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# At the model's own answer to "which $z$ led to this $x$?": precision $1 + 1/b^2 = 5$, so $s = 0.45$, and $m = 0.8\cdot x = 0.96$.
#
# </details>
#
# | | VAE | diffusion model |
# |---|---|---|
# | hidden | one $z$, usually smaller than $x$ | $x_1,\dots,x_T$, all as large as $x_0$ |
# | way to the hidden, $q$ | a network, learned | noise, **nothing to learn** |
# | way back, $p_\theta$ | one large step | many small steps, one network for all |
# | small gap, if | the encoder is good | the network is good **and** the steps are small (sections 3, 6) |

# %% [markdown]
# ## 4 · Three kinds of terms  <small>11 min</small>
#
# Now we turn the ELBO into something that can be computed step by step.
#
# **One.** Write both walks as products, one factor a step:
#
# $$L_\text{VLB} = \mathbb E_q\Big[-\log p(x_T) - \sum_{t=1}^T\log\frac{p_\theta(x_{t-1}\mid x_t)}{q(x_t\mid x_{t-1})}\Big]$$
#
# Each term compares a step *back* (above) with a step *forward* (below): two densities of different variables. That is no KL, and nothing small.
#
# **Two.** Use the third way of session {{session:reverse_process}}: turn the forward walk around *with $x_0$ in hand*, $q(x_{1:T}\mid x_0) = q(x_T\mid x_0)\prod_{t\ge2}q(x_{t-1}\mid x_t,x_0)$:
#
# $$L_\text{VLB} = \mathbb E_q\Big[\log\frac{q(x_T\mid x_0)}{p(x_T)} + \sum_{t=2}^T\log\frac{q(x_{t-1}\mid x_t,x_0)}{p_\theta(x_{t-1}\mid x_t)} - \log p_\theta(x_0\mid x_1)\Big]$$
#
# Now each fraction compares two densities of the **same** variable. (For $t=1$ there is no fraction: $x_0$ is known.)
#
# **Three.** The mean of such a logarithm, over $x_{t-1}$ first, is a KL:
#
# $$\boxed{\;L_\text{VLB} = \mathbb E_q\Big[\underbrace{\mathrm{KL}\big(q(x_T\mid x_0)\,\|\,p(x_T)\big)}_{L_T}
# + \sum_{t=2}^T\underbrace{\mathrm{KL}\big(q(x_{t-1}\mid x_t,x_0)\,\|\,p_\theta(x_{t-1}\mid x_t)\big)}_{L_{t-1}}
# \underbrace{-\log p_\theta(x_0\mid x_1)}_{L_0}\Big]\;}\tag{DDPM, eq. 5}$$
#
# - $L_T$: how much is left of the picture when the walk ends. Nothing to learn (session {{session:forward_process}} made it small).
# - $L_{t-1}$: how well the model steps back, against the best step of somebody who knows $x_0$.
# - $L_0$: how well it says the last thing, the picture itself.

# %%
far = [torch.eye(3).double()]                   # far[t][x_0, x_t] = q(x_t | x_0)
for _ in range(3):
    far.append(far[-1] @ step)


def known(t):
    """q(x_{t-1} | x_t, x_0) as a table [x_0, x_t, x_{t-1}] (session {{session:reverse_process}}, section 1)."""
    both = far[t - 1][:, :, None] * step
    return (both / both.sum(1, keepdim=True)).transpose(1, 2)


def pieces(spoiled):
    """L_T for each x_0; L_2, L_1 for each (x_0, x_t); L_0 for each (x_0, x_1)."""
    tables = tables_of(spoiled)
    prior = (far[3] * (far[3] * 3).log()).sum(1)
    kls = [(known(t) * (known(t) / tables[t - 1]).log()).sum(2) for t in (3, 2)]
    return prior, kls[0], kls[1], -tables[0].T.log()


def terms(spoiled):
    prior, *rest = pieces(spoiled)              # averaged over x_0 and x_t
    ways = [(q0[:, None] * far[t] * part).sum() for t, part in zip((3, 2, 1), rest)]
    return torch.stack([(q0 * prior).sum(), *ways])


# %%
parts = terms(0.3)
for name, part in zip(("L_T", "L_2", "L_1", "L_0"), parts):
    print(f"{name} {part:.4f} nats")
print(f"sum {parts.sum():.4f} = L_VLB of section 2, {L_VLB:.4f}")
assert torch.allclose(parts.sum(), L_VLB)
for spoiled in (0.0, 0.7):
    ways = q0[:, None, None, None] * walks
    assert torch.allclose(terms(spoiled).sum(),
                          -(ways * (model(spoiled) / walks).log()).sum())

# %% [markdown]
# **Predict.** Forms *one* and *three* have the same mean. Suppose we draw **one** random walk and compute the bound from it. Which form spreads less around the mean?

# %%
joint = q0[:, None, None, None] * walks
g = torch.Generator().manual_seed(1)
drawn = torch.multinomial(joint.flatten(), 20_000, replacement=True, generator=g)
x0, x1, x2, x3 = torch.unravel_index(drawn, joint.shape)

one = -(p / walks).log().flatten()[drawn]       # form one: the walk itself
prior, k3, k2, last_bit = pieces(0.3)
three = prior[x0] + k3[x0, x3] + k2[x0, x2] + last_bit[x0, x1]
for name, values in (("one", one), ("three", three)):
    print(f"form {name:5s} mean {values.mean():.3f}   spread {values.std():.3f}")
assert abs(one.mean() - three.mean()) < 0.02 and three.std() < one.std()

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# Form three: the average over $x_{t-1}$ is done by a formula and not by luck. A loss that spreads less is learned faster, and this is one of the two reasons for the long derivation.
# (The other one: KLs of Gaussians can be written down, next section.)
#
# </details>

# %%
def show_terms(ax, spoiled):
    parts = terms(spoiled)
    names = ["$L_3 = L_T$", "$L_2$", "$L_1$", "$L_0$"]
    ax.bar(names, parts, color=["C5", "C0", "C0", "C1"])
    ax.set(ylim=(0, 1.2), ylabel="nats")
    ax.set_title(f"spoiled {spoiled:.2f}: sum {parts.sum():.2f}", fontsize=10)


def four_terms(spoiled):
    show_terms(plt.subplots(figsize=(4, 2.6))[1], spoiled)
    plt.show()


slide(four_terms, spoiled=(0.0, 1.0, 0.3))

# %%
fig, axes = plt.subplots(1, 4, figsize=(10, 2.3), sharey=True)
for ax, spoiled in zip(axes, (0.0, 0.1, 0.4, 0.9)):
    show_terms(ax, spoiled)
    ax.set_ylabel("nats" if spoiled == 0 else "")
plt.show()

# %% [markdown]
# Even for the best model (left) $L_2$ and $L_1$ are not 0: the term compares with somebody who *knows* $x_0$, and the model does not. $L_T$ (light blue) does not change: nothing in it is learned.

# %% [markdown]
# ## 5 · From Gaussians to $\|\varepsilon-\varepsilon_\theta\|^2$  <small>13 min</small>
#
# Back to real numbers. Here all steps are Gaussians: $q(x_{t-1}\mid x_t,x_0) = \mathcal N(\tilde\mu_t,\tilde\beta_t I)$ is known from session {{session:reverse_process}}, and for the model we *choose* a Gaussian with a mean from the network and a
# fixed variance,
#
# $$p_\theta(x_{t-1}\mid x_t) = \mathcal N\big(\mu_\theta(x_t, t),\ \sigma_t^2 I\big),\qquad \sigma_t^2 = \beta_t\ \text{("large") or}\ \tilde\beta_t\ \text{("small")}$$
#
# (Small steps allow it: session {{session:reverse_process}}, section 4.) The KL of two Gaussians in $D$ dimensions is the box of session {{session:start_here}}, added up over the $D$ coordinates:
#
# $$\mathrm{KL}\big(\mathcal N(\mu_1,v_1 I)\,\|\,\mathcal N(\mu_2,v_2 I)\big) = \frac{\|\mu_1-\mu_2\|^2}{2v_2} + \frac D2\Big(\frac{v_1}{v_2}-1-\log\frac{v_1}{v_2}\Big)$$

# %%
from torch.distributions import Independent, kl_divergence

from helpers.likelihood import gaussian_kl


def kl_by_hand(mean1, v1, mean2, v2):
    """KL of two Gaussians with means (D,) and one variance each, in nats."""
    r, D = v1 / v2, len(mean1)
    return (mean1 - mean2).square().sum() / (2 * v2) + D / 2 * (r - 1 - math.log(r))


def gaussian(mean, v):
    return Independent(Normal(mean, torch.full_like(mean, v**0.5)), 1)


g = torch.Generator().manual_seed(2)
mean1, mean2 = torch.randn(2, 5, generator=g).double()
one, two = gaussian(mean1, 0.3), gaussian(mean2, 0.5)
torch.manual_seed(0)
draws = one.sample((200_000,))
drawn = (one.log_prob(draws) - two.log_prob(draws)).mean()
library, by_hand = kl_divergence(one, two), kl_by_hand(mean1, 0.3, mean2, 0.5)
print(f"formula {by_hand:.4f}, library {library:.4f}, drawn {drawn:.3f}")
assert abs(by_hand - library) < 1e-9 and abs(drawn - library) < 0.05
assert abs(gaussian_kl(mean1, 0.3, mean2, 0.5).sum() - by_hand) < 1e-9   # equals helper

# %% [markdown]
# The second part has no network in it: call it a constant $C_t$ (it is 0 for the small variance). What is left is **the distance of two means**:
#
# $$L_{t-1} = \frac{1}{2\sigma_t^2}\,\|\tilde\mu_t - \mu_\theta\|^2 + C_t\tag{DDPM, eq. 8}$$
#
# Session {{session:reverse_process}} wrote the mean with the noise: $\tilde\mu_t = \frac{1}{\sqrt{\alpha_t}}\big(x_t-\frac{\beta_t}{\sqrt{1-\bar\alpha_t}}\varepsilon\big)$. The network sees $x_t$, so it has to guess only $\varepsilon$. Let it use the same formula with its guess
# $\varepsilon_\theta$. In the difference $x_t$ cancels:
#
# $$\tilde\mu_t-\mu_\theta = \frac{\beta_t}{\sqrt{\alpha_t}\sqrt{1-\bar\alpha_t}}\,(\varepsilon_\theta-\varepsilon)$$
#
# Square it and put it in:
#
# $$\boxed{\;L_{t-1} - C_t = \underbrace{\frac{\beta_t^2}{2\sigma_t^2\,\alpha_t\,(1-\bar\alpha_t)}}_{w_t}\;\|\varepsilon-\varepsilon_\theta(x_t,t)\|^2\;}\tag{DDPM, eq. 12}$$
#
# Check it against the two Gaussians themselves, with a wrong $\varepsilon_\theta$ drawn at random:

# %%
from helpers.diffusion import add_noise, posterior
from helpers.schedules import cosine, linear


def weight(schedule, sigma2, t):
    """w_t, with a bar over α or without as in the box; t (B,), sigma2 (B,)."""
    beta, abar = schedule.betas[t], schedule.alphas_cumprod[t]
    return beta**2 / (2 * sigma2 * (1 - beta) * (1 - abar))


schedule = linear()                                        # DDPM's table, T = 1000
g = torch.Generator().manual_seed(3)
x0, eps, guess = torch.randn(3, 64, 5, generator=g).double()
t = torch.randint(2, 1001, (64,), generator=g)
x_t = add_noise(schedule, x0, t, eps)
mean, variance = posterior(schedule, x0, x_t, t)           # (64, 5), (64, 1)
b, a = schedule.betas[t][:, None], schedule.alphas_cumprod[t][:, None]
mean_model = (x_t - b / (1 - a).sqrt() * guess) / (1 - b).sqrt()

kl = gaussian_kl(mean, variance, mean_model, variance).sum(1)      # σ² = β̃
short = weight(schedule, variance[:, 0], t) * (eps - guess).square().sum(1)
assert torch.allclose(kl, short)
print("64 random steps: the KL is the weighted error of the noise")

# %% [markdown]
# And with the large variance, against the helper `step_term`, which later sessions use. It takes any denoiser `predict(x_t, t) -> (x0, eps)`:

# %%
from helpers.likelihood import decoder_variance, step_term


def wrong_denoiser(x_t, t):
    signal, noise = schedule.at(t, like=x_t)
    return (x_t - noise * guess) / signal, guess


for size in ("small", "large"):
    sigma2 = decoder_variance(schedule, t, size)              # β̃_t or β_t
    r = variance[:, 0] / sigma2
    constant = 5 / 2 * (r - 1 - r.log())                   # C_t, no network in it
    by_hand = weight(schedule, sigma2, t) * (eps - guess).square().sum(1) + constant
    helper, _ = step_term(wrong_denoiser, schedule, x0, t, eps, bins=None,
                          variance=size, clip=False)
    assert torch.allclose(by_hand, helper)
print("by hand = helpers.likelihood.step_term")

# %% [markdown]
# **Predict.** The network makes the same mistake in $\varepsilon$, say 0.3, at $t = 2$ and at $t = 500$. Where does the bound punish it more?
#
# Grey: the step of somebody who knows $x_0$. Red: the model's step with the mistake. The axis is in units of the width of the step.

# %%
def show_mistake(ax, t, mistake=0.3):
    t = torch.tensor([t])
    sigma = float(decoder_variance(schedule, t, "small")) ** 0.5
    beta, abar = float(schedule.betas[t]), float(schedule.alphas_cumprod[t])
    away = beta / ((1 - beta) * (1 - abar)) ** 0.5 * mistake / sigma
    x = torch.linspace(-4, 4, 200)
    ax.fill_between(x, Normal(0.0, 1.0).log_prob(x).exp(), color="0.8")
    ax.plot(x, Normal(away, 1.0).log_prob(x).exp(), color="C3", lw=2)
    ax.set(yticks=[], xlabel="in units of $\\sigma_t$")
    ax.set_title(f"t = {int(t)}: KL {away**2 / 2:.5f}", fontsize=10)


def mistake_at(t, mistake):
    show_mistake(plt.subplots(figsize=(4, 2.3))[1], t, mistake)
    plt.show()


slide(mistake_at, t=(2, 1000, 2), mistake=(0.0, 2.0, 1.0))

# %%
fig, axes = plt.subplots(1, 4, figsize=(10, 2.2), sharey=True)
for ax, step_number in zip(axes, (2, 10, 100, 500)):
    show_mistake(ax, step_number, 1.0)
plt.show()

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# At $t = 2$: there one step undoes a large part of all the noise there is, so the guess counts fully. At $t=500$ one step undoes a hundredth of it. For the strip the mistake is 1.0, so that one can see it at all.
#
# </details>
#
# **The simple loss.** DDPM drops the weight $w_t$ and the constant, and trains all steps alike, with a random $t$ for each picture:
#
# $$\boxed{\;L_\text{simple} = \mathbb E_{t,x_0,\varepsilon}\,\big\|\varepsilon - \varepsilon_\theta(\sqrt{\bar\alpha_t}\,x_0+\sqrt{1-\bar\alpha_t}\,\varepsilon,\ t)\big\|^2\;}\tag{DDPM, eq. 14}$$
#
# This is `diffusion_loss` of session {{session:reverse_process}} (which divides by $D$, so that its value does not grow with the picture). *Why* one may drop the weight is section 9.

# %% [markdown]
# ## 6 · How much does the bound lose?  <small>9 min, may be skipped</small>
#
# We need data for which everything is known: two values, $-1$ and $+1$, each with a little width (0.1), as in session {{session:reverse_process}}. The best denoiser is known, `MixtureDenoiser`. Suppose a network were perfect and
# found it. Is the bound then tight?
#
# There is a short way to say what is lost. $L_\text{VLB}-H(q)$ is the mean of $\log\frac{q(x_{0:T})}{p_\theta(x_{0:T})}$. Use the *second* way of session {{session:reverse_process}}, backward without $x_0$, for $q$:
#
# $$L_\text{VLB} - H(q) = \mathrm{KL}\big(q(x_T)\,\|\,p(x_T)\big) + \sum_{t=1}^T\mathbb E_{q(x_t)}\,\mathrm{KL}\big(q(x_{t-1}\mid x_t)\,\|\,p_\theta(x_{t-1}\mid x_t)\big)$$
#
# So, apart from the start, all that is lost is the difference between the true step back and the model's Gaussian. A perfect denoiser gives this Gaussian the right *mean*. Two things remain: its *width* is fixed (here the large variance, $\sigma_t^2=\beta_t$), and its *shape* is one hill, where the true step may have two (session {{session:reverse_process}}).
#
# On a line we can compute it all on a grid, and push the model's own
# density back through all steps as well, to have the exact $L_\text{CE}$.

# %%
from helpers.exact import MixtureDenoiser

line = torch.linspace(-5, 5, 801).double()
dx = float(line[1] - line[0])


def on_line(mean, variance):
    """The densities N(mean, variance) on the line: a row for each mean (N, 1)."""
    area = (2 * math.pi * variance) ** 0.5
    return torch.exp(-((line - mean) ** 2) / (2 * variance)) / area


def two_values(schedule):
    means = torch.tensor([[-1.0], [1.0]]).double()
    return MixtureDenoiser(schedule, means, torch.tensor(0.1).double())


def kl_of(p, q):
    """Σ p log(p/q) dx along the last axis; 0 where p is 0."""
    p, q = p.clamp(min=1e-300), q.clamp(min=1e-300)
    return (p * (p / q).log()).sum(-1) * dx


# %%
def walk_on_line(T):
    """The model's density of x_0, and what is lost in the start and in each step."""
    schedule = cosine(T)
    exact = two_values(schedule)
    at = [exact.log_density(line[:, None], t).exp() for t in range(T + 1)]    # q(x_t)
    p = on_line(torch.zeros(1, 1).double(), 1.0)[0]        # p(x_T)
    lost = [float(kl_of(at[T], p))]
    for t in range(T, 0, -1):
        places = line[:, None]
        mean = posterior(schedule, exact(places, t)[0], places, t)[0]         # (N, 1)
        beta = float(schedule.betas[t])
        back = on_line(mean, beta)                         # p(x_{t-1} | x_t)
        forward = on_line((1 - beta) ** 0.5 * places, beta).T        # q(x_t | x_{t-1})
        true = forward * at[t - 1] / at[t].clamp(min=1e-300)[:, None]
        lost.append(float((at[t] * kl_of(true, back)).sum() * dx))
        p = p @ back * dx
    return p, lost


lengths = [2, 4, 8, 16, 32] + [64] * (course.profile() != "smoke")
walked = {T: walk_on_line(T) for T in lengths}

# %%
from helpers.likelihood import bound, strata

truth = two_values(cosine(2)).log_density(line[:, None], 0).exp()   # q(x_0)
H = float(-(truth * truth.clamp(min=1e-300).log()).sum() * dx)
drawn = two_values(linear()).sample(20_000, torch.Generator().manual_seed(0))
print(f"H(q) = {H:.4f} nats    exact on a grid;  drawn: n = 20,000, seeds 0, 1")
print(f"{'T':>4}{'L_CE':>9}{'L_VLB':>9}{'drawn':>9}{'±':>7}")
rows = {}
for T, (p, lost) in walked.items():
    L_CE = float(-(truth * p.clamp(min=1e-300).log()).sum() * dx)
    L_VLB = H + sum(lost)
    all_steps = strata(T, T - 1)
    sampled = bound(two_values(cosine(T)), cosine(T), drawn, all_steps,
                    torch.Generator().manual_seed(1), bins=None, clip=False,
                    variance="large").total
    se = sampled.std() / len(drawn) ** 0.5
    print(f"{T:4d}{L_CE:9.4f}{L_VLB:9.4f}{sampled.mean():9.4f}{se:7.4f}")
    assert H - 1e-3 <= L_CE <= L_VLB and abs(sampled.mean() - L_VLB) < 5 * se
    rows[T] = (L_CE, L_VLB)

# %%
def show_walked(ax, T):
    p, lost = walked[T]
    ax.fill_between(line, truth, color="0.85", label="data $q(x_0)$")
    ax.plot(line, p, color="C3", lw=1.5, label="model $p_\\theta(x_0)$")
    ax.set(xlim=(-2, 2), yticks=[], ylim=(0, 2.6))
    ax.set_title(f"T = {T}: {sum(lost):.2f} above H(q)", fontsize=10)


def steps_on_line(T):
    ax = plt.subplots(figsize=(4.4, 2.5))[1]
    show_walked(ax, T)
    ax.legend(fontsize=8)
    plt.show()


slide(steps_on_line, T=lengths)

# %%
fig, axes = plt.subplots(1, 4, figsize=(10, 2.4))
for ax, T in zip(axes, lengths[:4:2] + lengths[-1:]):
    show_walked(ax, T)
axes[0].legend(fontsize=7, loc="upper center")
ends, bounds = zip(*rows.values())
axes[3].plot(lengths, bounds, "o-", color="C1", label="$L_{VLB}$")
axes[3].plot(lengths, ends, "s--", color="C2", label="$L_{CE}$")
axes[3].axhline(H, color="0.5", ls=":", label="$H(q)$")
axes[3].set(xscale="log", xlabel="number of steps T")
axes[3].set_xticks(lengths, lengths)
axes[3].minorticks_off()
axes[3].set_title("nats", fontsize=10)
axes[3].legend(fontsize=8)
plt.show()

# %% [markdown]
# $L_\text{CE}$ and $L_\text{VLB}$ both go down towards the floor as the steps become smaller, though the denoiser was perfect from the start: **what lies above the floor here is the fault of the steps, not of the network.**
#
# From $T=8$ on each doubling leaves a little more than half of it. The wrong shape alone would go away faster (session {{session:reverse_process}}), so most of it is the fixed width.
#
# (The gap between the two curves first *grows*: with two steps the model itself is bad, and the bound says so almost exactly.)
#
# Now DDPM's own table, $T=1000$, and the eight Gaussians of session {{session:reverse_process}} in the plane. Each term is measured on points of the data:

# %%
angles = torch.arange(8).double() * math.pi / 4
centres = 1.4 * torch.stack([angles.cos(), angles.sin()], 1)
eight = MixtureDenoiser(schedule, centres, torch.tensor(0.1).double())
n = course.pick(smoke=500, cpu=2000, gpu=8000)
points = eight.sample(n, torch.Generator().manual_seed(0))
surprise = -eight.log_density(points, 0)                   # exact: −log q(x_0)

each = {}
print(f"exact −log q(x_0): {surprise.mean():.3f} nats a point; n = {n}, seeds 0, 1")
for size in ("large", "small"):
    each[size] = bound(eight, schedule, points, strata(1000, 999),
                       torch.Generator().manual_seed(1),
                       bins=None, clip=False, variance=size)
    B = each[size]
    lost = B.total - surprise
    print(f"{size:6s} L_T {B.prior.mean():.4f}  ΣL {B.steps.sum(1).mean():.3f}  "
          f"L_0 {B.first.mean():.3f}  sum {B.total.mean():.3f}  "
          f"above {lost.mean():.3f} ± {lost.std() / n**0.5:.3f}")

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 2.7))
ts = torch.arange(2, 1001)
for size, style_ in (("large", "-"), ("small", "--")):
    left.plot(ts, each[size].steps.mean(0), style_, lw=1, label=f"{size} variance")
    sums = each[size].steps.mean(0).flip(0).cumsum(0).flip(0) + each[size].prior.mean()
    right.plot(ts, sums, style_, lw=1.5)
left.set(xscale="log", yscale="log", xlabel="t", ylabel="nats")
left.set_title("the term $L_{t-1}$ of each step", fontsize=10)
left.legend(fontsize=8)
right.set(xscale="log", xlabel="t")
right.set_title("all terms from T down to t", fontsize=10)
plt.show()

# %% [markdown]
# Read the right picture from right to left, as the walk goes: first nothing is decided; between $t = 400$ and $100$ the point chooses one of the eight Gaussians ($\log 8 = 2.1$ nats); below, its place inside the
# Gaussian is settled, finer and finer. ($L_0$ is *negative* here: $x_0$ is a real number, $p_\theta(x_0\mid x_1)$ a density, and densities can be above 1. With real pictures that will change.)
#
# With the large variance the bound is nearly tight: at $T=1000$ it lies above the exact value by less than we can measure with these points. With the small variance it loses about 1 nat, nearly all of it at $t\le10$, where the two curves part, and a little in $L_0$, which the picture does not show. ($\tilde\beta_1=0$ would make $L_0$ infinite, so $\tilde\beta_2$ stands in its place, as in DDPM's code.) The
# true step back is *wider* than $\tilde\beta_t$, because $x_0$ is not known, and to believe too narrowly is punished harder (session {{session:start_here}}). For *pictures* made by walking the difference is small; for the bound it is not.

# %% [markdown]
# ## 7 · Bits per dimension: digits  <small>10 min</small>
#
# Pixels of a file are whole numbers: 256 levels, or 17 for scikit-learn's digits. What we want is the probability of a *level*, not a density. DDPM gives each level $v$ the mass that the last Gaussian has
# in the **bin** around it, halfway to its neighbours; the first and the last bin reach to infinity:
#
# $$p_\theta(x_0 = v\mid x_1) = \int_{v-h}^{v+h}\mathcal N(x;\ \mu_\theta(x_1,1),\ \sigma_1^2)\,dx,\qquad h = \frac{1}{\text{levels}-1}\tag{DDPM, eq. 13}$$
#
# (In $[-1,1]$ neighbours are $2h$ apart.) Given $x_1$ the pixels are taken as independent, as in every step (its variance is $\sigma_t^2I$). They hang together because each mean $\mu_\theta(x_t,t)$ sees the whole of $x_t$.

# %%
from helpers.likelihood import decoder_log_likelihood

levels = torch.linspace(-1, 1, 17).double()


def bin_mass(v, mean, std, bins=17):
    """How much of N(mean, std²) lies in the bin around the level v."""
    h, cdf = 1 / (bins - 1), Normal(mean, std).cdf         # cdf: the area to the left
    high = torch.where(v == 1, 1.0, cdf(v + h))
    low = torch.where(v == -1, 0.0, cdf(v - h))
    return high - low


for mean, std in ((0.3, 0.2), (0.99, 0.05), (-1.4, 0.3)):
    mass = bin_mass(levels, mean, std)
    helper = decoder_log_likelihood(levels, torch.tensor(mean), torch.tensor(std), 17)
    assert abs(mass.sum() - 1) < 1e-6 and torch.allclose(mass, helper.exp(), atol=1e-6)
print("17 bins, together 1; by hand = helpers.likelihood")

# %%
def show_bins(ax, mean, std):
    x = torch.linspace(-1.5, 1.5, 300)
    ax.bar(levels, bin_mass(levels, mean, std), width=0.11, color="C5")
    ax.plot(x, Normal(mean, std).log_prob(x).exp() / 8, color="C3", lw=1)
    best = -bin_mass(levels, mean, std).max().log2()
    ax.set(ylim=(0, 1), xlabel="level")
    ax.set_title(f"{mean:.2f} ± {std:.2f}: at least {best:.2f} bits", fontsize=10)


def bins_at(mean, std):
    show_bins(plt.subplots(figsize=(4.6, 2.4))[1], mean, std)
    plt.show()


slide(bins_at, mean=(-1.2, 1.2, 0.3), std=(0.02, 0.6, 0.1))

# %%
fig, axes = plt.subplots(1, 4, figsize=(10, 2.2), sharey=True)
for ax, (mean, std) in zip(axes, ((0.3, 0.3), (0.3, 0.1), (0.25, 0.02), (1.1, 0.2))):
    show_bins(ax, mean, std)
plt.show()

# %% [markdown]
# (Bars: the mass of each bin. Line: the density times the width of a bin, 0.125. Title: the bits that the likeliest level costs; every other level costs more.)
#
# A picture with $D$ numbers has $L_\text{VLB}$ nats, which is $L_\text{VLB}/(D\ln 2)$ **bits per dimension**: so many bits for each number (a colour pixel has three), if one packed the picture with this model. To know what is much and what is little,
# we need rulers. Three simple models of the digits, measured on pictures that they have not seen:

# %%
from helpers.data import load_digits

digits, _ = load_digits(8)                                 # (1797, 1, 8, 8), unresized
order = torch.randperm(1797, generator=torch.Generator().manual_seed(0))
train, held_out = digits[order[:1500]], digits[order[1500:]]


def as_levels(x):
    return ((x.flatten(1) + 1) * 8).round().long()         # (N, 64) in 0 … 16


seen = torch.nn.functional.one_hot(as_levels(train), 17).double()      # (N, 64, 17)
rulers = {
    "all levels alike": torch.full((64, 17), 1 / 17).double(),
    "one table of levels": (seen.mean((0, 1)) + 1e-9).expand(64, 17),
    "a table for each pixel": (seen.sum(0) + 0.1) / (len(train) + 1.7),
}
ruler_bits = {}
for name, table in rulers.items():
    log_p = table.log2()[torch.arange(64), as_levels(held_out)]        # (297, 64)
    ruler_bits[name] = float(-log_p.mean())
    print(f"{name:24s}{ruler_bits[name]:.3f} bits/dim")
assert abs(ruler_bits["all levels alike"] - math.log2(17)) < 1e-6

# %% [markdown]
# Now a diffusion model: the network of session {{session:reverse_process}}, with 64 pixels in place of two coordinates and 512 units in place of 128, trained live. We take the cosine table with $T=100$: its first step adds noise of 0.025, less than half the width of half a bin (0.0625).
#
# **Predict.** Where will the network land, between 4.1 and the best ruler, or below it?

# %%
import tempfile
import time
from pathlib import Path

from torch import nn
from tqdm.auto import tqdm

from helpers.diffusion import Denoiser, diffusion_loss
from helpers.train import fit

# %%
class Network(nn.Module):
    """Guesses the noise of 8×8 pictures; the clock is that of session {{session:reverse_process}}."""

    def __init__(self, width=512, hands=32):
        super().__init__()
        speed = torch.exp(-math.log(10_000) * torch.arange(hands) / hands)
        self.register_buffer("speed", speed)
        sizes, layers = [64 + 2 * hands, width, width, width], []
        for a, b in zip(sizes, sizes[1:]):
            layers += [nn.Linear(a, b), nn.SiLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(width, 64))

    def forward(self, x, t):
        angle = t[:, None] * self.speed
        clock = torch.cat([angle.sin(), angle.cos()], 1)              # (B, 64)
        return self.layers(torch.cat([x.flatten(1), clock], 1)).view(x.shape)


# %%
short = cosine(100)
STEPS = course.pick(smoke=18, cpu=1800, gpu=1800)
folder = tempfile.TemporaryDirectory()                     # gone with the kernel
losses, seconds = {}, {}


def loss(network, batch, generator):
    return diffusion_loss(Denoiser(network, short), batch, generator)


def learn(until):
    """Train to step `until` from where the checkpoint stands; the averaged network."""
    torch.manual_seed(0)
    run = fit(Network(), train, loss, STEPS, batch=128, lr=1e-3, every=STEPS,
              until=until, checkpoint=Path(folder.name, "digits.pt"))
    begin = time.perf_counter()
    for now in tqdm(run, total=max(0, until - len(losses))):
        losses.setdefault(now.step, now.loss)
    seconds.setdefault(until, time.perf_counter() - begin)
    return Denoiser(now.ema.cpu(), short)


# %%
stages = {STEPS // 3: learn(STEPS // 3)}
print(f"{len(losses)} steps, loss {sum(list(losses.values())[-100:]) / 100:.3f}")

# %%
stages[2 * STEPS // 3] = learn(2 * STEPS // 3)
print(f"{len(losses)} steps, loss {sum(list(losses.values())[-100:]) / 100:.3f}")

# %%
stages[STEPS] = predict = learn(STEPS)
print(f"{len(losses)} steps in {sum(seconds.values()):.0f} s,",
      f"loss {sum(list(losses.values())[-100:]) / 100:.3f}")

# %% [markdown]
# Measure all 100 terms, on the digits it was trained on and on the held-out ones:

# %%
from helpers.likelihood import bits_per_dim


def digit_terms(predict, x, seed=1):
    """All terms for each picture, in bits per dimension."""
    g = torch.Generator().manual_seed(seed)
    B = bound(predict, short, x, strata(100, 99), g, bins=17, variance="large")
    return B._replace(**{k: bits_per_dim(getattr(B, k), 64) for k in B._fields[:3]})


found = {"held-out": digit_terms(predict, held_out),
         "training": digit_terms(predict, train[:297])}
early = digit_terms(stages[STEPS // 3], held_out)
print(f"{'bits/dim':14s}{'L_T':>9}{'ΣL':>8}{'L_0':>8}{'sum':>8}{'±':>7}")
for name, B in (*found.items(), ("early, h.-out", early)):
    total, middle = B.total, B.steps.sum(1)
    print(f"{name:14s}{B.prior.mean():9.5f}{middle.mean():8.3f}{B.first.mean():8.3f}"
          f"{total.mean():8.3f}{total.std() / len(total) ** 0.5:7.3f}")
print("n = 297 each, seeds: split 0, training 0, terms 1;",
      f"trained {sum(seconds.values()):.0f} s on {course.device().type}")

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# Below 4.1, but **above** both other rulers (2.98 and 2.44)! Yet the network is no fool: further down you will see its guesses. Where do the bits go?
#
# </details>
#
# Held-out and training digits cost nearly the same, so it has hardly learned them by heart. Look where the bits are spent:


# %%
B = found["held-out"]
spent = torch.cat([B.steps.mean(0), B.prior.mean()[None]]).flip(0).cumsum(0).flip(0)
error = B.rmse.square().mean(0).sqrt()                     # (100,) at t = 1 … 100
fig, axes = plt.subplots(1, 3, figsize=(10, 2.6))
axes[0].plot(torch.arange(2, 101), B.steps.mean(0))
axes[0].plot(1, B.first.mean(), "o", color="C1", label="$L_0$")
axes[0].set_title("bits/dim of each step", fontsize=10)
axes[0].legend(fontsize=8)
axes[1].plot(torch.arange(1, 101), spent)
axes[1].set_title("bits/dim spent until $x_t$ is known", fontsize=10)
axes[2].plot(spent, error)
axes[2].set_xlabel("bits/dim spent")
axes[2].set_title("error of the guessed $x_0$", fontsize=10)
for ax in axes[:2]:
    ax.set_xlabel("t")
plt.show()

# %% [markdown]
# Most bits go into the smallest $t$. Two levels are 0.125 apart. A noise of 0.025 does not hide the level, so the last steps settle only *decimals*, which the 17 levels do not have. The network does not know this (it would have to learn to
# round), and pays.
#
# So let us **stop earlier**: walk back only to $x_k$, and let the last Gaussian, now with the width $\sigma = \sqrt{1-\bar\alpha_k}$, jump from $x_k$ to the levels. No new training: it is the same network with a table that begins at $\bar\alpha_k$.
#
# **Predict.** Is there a best $k$? What gets worse if one stops *too* early?

# %%
def last_jump(k):
    """Bits/dim of the levels, if the walk stops at x_k, on the held-out digits."""
    eps = torch.randn(held_out.shape, generator=torch.Generator().manual_seed(k))
    x_k = add_noise(short, held_out, torch.full((len(held_out),), k), eps)
    with torch.no_grad():
        guess = predict(x_k, k)[0].clamp(-1, 1)
    logs = decoder_log_likelihood(held_out, guess, short.noise[k], 17)
    return float(bits_per_dim(-logs.flatten(1).sum(1), 64).mean())


ks = list(range(1, 41))
jumps = torch.tensor([last_jump(k) for k in ks])
totals = spent[:40] + jumps
best_k = ks[int(totals.argmin())]
best_bits = float(totals.min())
assert abs(jumps[0] - B.first.mean()) < 0.02               # k = 1 is the L_0 from above
print(f"k = 1: {totals[0]:.3f} bits/dim;  best k = {best_k}: {best_bits:.3f},",
      f"noise {short.noise[best_k]:.3f};  best ruler {min(ruler_bits.values()):.3f}")

# %%
def show_stop(ax, k):
    ax.plot(ks, totals, color="C0", lw=2, label="sum")
    ax.plot(ks, spent[:40], "--", color="C2", label="steps down to $x_k$")
    ax.plot(ks, jumps, ":", color="C1", lw=2, label="last jump")
    ax.axhline(min(ruler_bits.values()), color="0.6", lw=1, label="best ruler")
    ax.plot(k, totals[k - 1], "o", color="C3")
    ax.set(xlabel="k, where the walk stops", ylim=(0, 4))
    ax.set_title(f"k = {k}: {totals[k - 1]:.2f} bits/dim", fontsize=10)


def stop_at(k):
    ax = plt.subplots(figsize=(4.8, 2.8))[1]
    show_stop(ax, k)
    ax.legend(fontsize=7, ncols=2)
    plt.show()


slide(stop_at, k=(1, 40, 1))

# %%
fig, axes = plt.subplots(1, 3, figsize=(10, 2.6), sharey=True)
for ax, k in zip(axes, (1, best_k, 40)):
    show_stop(ax, k)
axes[0].set_ylabel("bits/dim")
axes[2].legend(fontsize=7, ncols=2)
plt.show()

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# Yes, but the valley is wide: from about $k = 10$ on the sum hardly changes. What one no longer pays in the steps, one pays in the last jump, which takes the pixels as independent and its width as fixed. The lowest place is $k = 18$.
#
# </details>
#
# Stopping earlier saves more than half a bit per dimension. Still, even at its best this small network, after 1800 steps of training, needs **more** bits than the table for each pixel (2.54 against 2.44).
#
# The table can say "this corner is always black" with certainty, and a Gaussian of this fixed width, with its mean between $-1$ and $1$, cannot (it costs 0.77 bits at best). But nobody could draw a digit from that table: bits and looks are two things (section 9).
#
# (The $k$ was chosen on the same held-out digits that it is measured on. With one number chosen from 40 this flatters little, but it does flatter.)

# %% [markdown]
# Back to the three pictures: the right one shows what each bit buys. What is bought with the first half of a bit per dimension, and what with the last? Send a digit over a slow line, step by step from $t = T$ on. The receiver shows at each moment the best guess so far.
# Upper row: what has arrived, $x_t$. Lower row: the guess. Move the slider from left to right.

# %%
from helpers.plots import filmstrip
from helpers.widgets import flip_through

moments = [100, 80, 60, 50, 40, 30, 20, 10, 1]
some = held_out[:6]
eps = torch.randn(some.shape, generator=torch.Generator().manual_seed(5))
frames, titles = [], []
for t in moments:
    x_t = add_noise(short, some, torch.full((6,), t), eps)
    with torch.no_grad():
        guess = predict(x_t, t)[0].clamp(-1, 1)
    frames.append(torch.cat([x_t, guess]))
    titles.append(f"t = {t}: {float(spent[t - 1]):.2f} bits/dim")
flip_through(frames, titles, columns=6, side=0.8)

# %%
chosen = [f[[0, 6, 1, 7]] for f in frames]
rows = [f[k] for k in range(4) for f in chosen]
names = [f"t = {t}" for t in moments]
names += [f"{spent[t - 1]:.2f} bits/dim" for t in moments]
filmstrip(rows, names + [""] * (2 * len(moments)), rows=4, side=1.05);

# %% [markdown]
# (At $t=100$ the guess is wild: hardly any signal is left, and a network that guesses $\varepsilon$ must divide by it. Session {{session:parameterisations}} returns to this.)

# %% [markdown]
# ## 8 · Faces, beside the paper  <small>6 min</small>
#
# The same measurement for the face model of session {{session:start_here}}, on held-out drawn faces: $64\cdot64\cdot3 = 12288$ numbers of 256 levels. Taking all 1000 steps for 100 faces is too long for a lecture, so `experiments/likelihood.py` has
# done it beforehand, with one random $t$ in each of 40 pieces of $2\dots1000$ (a piece's term is its width times what was drawn: right on average).
#
# DDPM splits the sum as one does for a lossy file: **rate** $= L_1+\dots+L_T$, the bits of all steps down to $x_1$; **distortion** $= L_0$, the bits that correct the last guess. It gives the error of this
# last guess as well, as a root mean square on the scale 0 … 255.
#
# **Predict.** PNG packs these drawn faces, with their flat colours, without loss. Does the model need fewer bits than PNG?

# %%
import json

stored = json.loads((course.ROOT / "experiments" / "likelihood.json").read_text())
rate, last_bits, total = (stored[k] for k in ("rate", "first", "total"))
print(f"{'bits/dim':28s}{'rate':>9}{'distortion':>12}{'sum':>9}{'last error':>12}")
for name, k in (("drawn faces, ours", "value"), ("  ± standard error", "se")):
    last = f"{stored['rmse'][0]:.2f}" if k == "value" else ""
    print(f"{name:28s}{rate[k]:9.3f}{last_bits[k]:12.3f}{total[k]:9.3f}{last:>12}")
print(f"{'CIFAR-10 (DDPM, 4.3)':28s}{1.78:9.2f}{1.97:12.2f}{3.75:9.2f}{0.95:12.2f}")
print("\nthe same faces: 8 bits raw,",
      f"PNG {stored['png']:.2f}, WebP without loss {stored['webp']:.2f}")
print(f"L_T {stored['prior']['value']:.6f};  n = {stored['n']} held-out faces, seed",
      f"{stored['seed']}, {stored['seconds']} s on {stored['device']}")

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# No, by far: PNG and WebP pack these drawings three to five times tighter. They can say "this whole area has *exactly* this colour", and a Gaussian cannot.
#
# </details>
#
# Why is $L_0$ so large, though the last guess is nearly right? Because the width $\sigma_1$ of the last Gaussian is *fixed* by the table. Even a **perfect** guess spreads its mass over several levels:

# %%
from helpers.checkpoints import load_denoiser

device = course.device()
face_model = load_denoiser("ddpm-faces", device)
middle_grey = torch.tensor([127 / 127.5 - 1]).double()     # a level, guessed perfectly
for name, table in (("our faces", face_model.schedule), ("DDPM", linear())):
    sigma = float(table.betas[1]) ** 0.5
    log_p = decoder_log_likelihood(middle_grey, middle_grey, sigma).item()
    print(f"{name:10s} σ_1 = {sigma * 127.5:.2f} of 255:",
          f"a perfect guess costs {-log_p / math.log(2):.2f} bits")

# %% [markdown]
# So most of $L_0$, ours and DDPM's, is the price of the table and not of the network. (A table with less noise in its first step, or a learned variance as in Improved DDPM, moves these bits: they are then paid in the steps, if the network can.) The cosine table of
# our faces is shifted towards more noise (session {{session:forward_process}}), so its first step is noisier than DDPM's.

# %%
import numpy as np

edges = stored["edges"]
width = [b - a for a, b in zip(edges, edges[1:])]
middle = [(a + 1 + b) / 2 for a, b in zip(edges, edges[1:])]
each_step = torch.tensor(stored["each"])
tail = each_step.flip(0).cumsum(0).flip(0)              # all pieces above an edge
at_edges = torch.cat([tail, torch.zeros(1)]) + stored["prior"]["value"]
middle = [1.0, *middle]
later = np.interp(middle, edges, at_edges)              # straight inside a piece
fig, axes = plt.subplots(1, 3, figsize=(10, 2.6))
axes[0].plot(middle[1:], each_step / torch.tensor(width))
axes[0].set(xscale="log", yscale="log", xlabel="t")
axes[0].set_title("bits/dim of each step", fontsize=10)
axes[1].plot(edges, at_edges)
axes[1].set(xscale="log", xlabel="t")
axes[1].set_title("bits/dim spent until $x_t$ is known", fontsize=10)
axes[2].plot(later, stored["rmse"])
axes[2].set(xlabel="bits/dim spent", yscale="log")
axes[2].set_yticks([1, 2, 5, 10, 20, 40], [1, 2, 5, 10, 20, 40])
axes[2].minorticks_off()
axes[2].set_title("error of the guess, of 255", fontsize=10)
plt.show()

# %% [markdown]
# A live corner, to see that the stored figures are no fairy tale: a few faces, twelve pieces.

# %%
from helpers.data import load_faces

count = course.pick(smoke=2, cpu=4, gpu=16)
few = load_faces("embedded", "test", limit=count).images.to(device)
live = bound(face_model, face_model.schedule, few, strata(1000, 12),
             torch.Generator(device).manual_seed(1), variance="large")
bits = bits_per_dim(live.total, few[0].numel())
mean, se = bits.mean(), bits.std() / len(few) ** 0.5
last_error = 127.5 * live.rmse[:, 0].square().mean().sqrt()
print(f"{len(few)} faces: {mean:.2f} ± {se:.2f} bits/dim, stored {total['value']:.2f};",
      f"last error {last_error:.2f} of 255")
if course.profile() != "smoke":
    assert abs(mean - total["value"]) < 6 * se

# %%
moments = [1000, 800, 600, 400, 250, 120, 40, 1]
face = few[:1].expand(len(moments), -1, -1, -1)
t = torch.tensor(moments).to(device)
eps = torch.randn(few[:1].shape, generator=torch.Generator().manual_seed(6)).to(device)
x_t = add_noise(face_model.schedule, face, t, eps.expand_as(face))
with torch.no_grad():
    guess = face_model(x_t, t)[0].clamp(-1, 1)
paid = np.interp(moments, edges, at_edges)
titles = [f"t = {m}" for m in moments] + [f"{p:.3f} bits/dim" for p in paid]
filmstrip([*x_t, *guess], titles, rows=2, side=1.25);

# %% [markdown]
# **Nearly all the bits are spent where the eye sees no change any more.** What makes a face a face costs a few thousandths of a bit for each number, some 50 bits for the whole picture (at $t=400$); the rest, more than 40,000 bits, pays for the last grain. This is the key to the next section.

# %% [markdown]
# ## 9 · Why $L_\text{simple}$ weights otherwise  <small>7 min</small>
#
# The bound weights the squared error of step $t$ with $w_t$, $L_\text{simple}$ with 1. Here is $w_t$ for the large variance, $w_t = \beta_t/(2\alpha_t(1-\bar\alpha_t))$. (Each curve is divided by its mean, so that only the shape counts.)

# %%
tables = {"linear, T = 1000": linear(), "cosine, T = 1000": cosine(1000)}
fig, ax = plt.subplots(figsize=(5.4, 2.8))
for (name, table), style_ in zip(tables.items(), ("-", "--")):
    ts = torch.arange(1, 951)                              # the end: see below
    w = weight(table, decoder_variance(table, ts, "large"), ts)
    beta, abar = table.betas[ts], table.alphas_cumprod[ts]
    by_hand = beta / (2 * (1 - beta) * (1 - abar))
    assert torch.allclose(w, by_hand)
    ax.plot(ts, w / w.mean(), style_, lw=2, label=name)
ax.axhline(1, color="C3", lw=1, label="$L_{simple}$")
ax.set(xscale="log", yscale="log", xlabel="t", ylabel="weight (mean 1)")
ax.legend(fontsize=8)
plt.show()
two = torch.tensor([1, 500])
w = weight(linear(), decoder_variance(linear(), two, "large"), two)
print(f"linear table: w_1 / w_500 = {w[0] / w[1]:.0f}")

# %% [markdown]
# (The last 50 steps are left out. There $\beta_t$ of the cosine table comes near 1, and $w_t$ shoots up; in the bound itself the guess of $x_0$ is clipped to $[-1,1]$, which keeps these terms small.)
#
# Now with the errors that our digit network really makes: what share of the loss comes from which $t$? The slider goes from $L_\text{simple}$ (weight $w_t^0 = 1$) to the bound ($w_t^1$). (At $t=1$ the bar counts the squared error, as if $x_0$ were a real number. With bins this term is $L_0$, which is much smaller: section 7.)

# %%
g = torch.Generator().manual_seed(7)
squared = []                                  # mean (ε − ε_θ)², t = 1 … 95
for t in range(1, 96):
    eps = torch.randn(held_out.shape, generator=g)
    x_t = add_noise(short, held_out, torch.full((len(held_out),), t), eps)
    with torch.no_grad():
        squared.append((eps - predict(x_t, t)[1]).square().mean())
squared = torch.tensor(squared).double()
ts = torch.arange(1, 96)
w_short = weight(short, decoder_variance(short, ts, "large"), ts)

# %%
def show_share(ax, power):
    loss_at = w_short**power * squared
    share = loss_at / loss_at.sum()
    ax.bar(ts, 100 * share, width=1)
    ax.set(xlabel="t", ylim=(0, 25))
    early = f"t ≤ 10 has {share[:10].sum():.0%}"
    ax.set_title(f"$w_t^{{{power:.2f}}}$: {early}", fontsize=10)


def share_of_loss(power):
    ax = plt.subplots(figsize=(4.6, 2.4))[1]
    show_share(ax, power)
    ax.set_ylabel("% of the loss")
    plt.show()


slide(share_of_loss, power=(0.0, 1.0, 0.0))

# %%
fig, axes = plt.subplots(1, 3, figsize=(10, 2.4), sharey=True)
for ax, power in zip(axes, (0.0, 0.5, 1.0)):
    show_share(ax, power)
axes[0].set_ylabel("% of the loss")
plt.show()

# %% [markdown]
# The bound spends its attention where its bits are: at the small $t$, on grain that nobody sees. $L_\text{simple}$ turns it to the larger $t$, where the picture is decided. DDPM measured what it is worth, on CIFAR-10: Fréchet distance (FID, smaller is
# better, session {{session:ddpm}}) **3.17** with $L_\text{simple}$ against **13.51** with the true bound and fixed variance (DDPM, section 4). So one trains by $L_\text{simple}$ for pictures. Whoever wants few *bits* weights as the bound does (Improved DDPM reports 2.94 bits/dim), or mixes both.
#
# > **Easily mistaken.** "Lower loss, better pictures." Which loss? Bits count every pixel of grain; the eye counts faces. One may fall while the other gets worse.

# %% [markdown]
# ## What we saw
#
# - Maximum likelihood means a small cross-entropy, $H(q)\le L_\text{CE}\le L_\text{VLB}$. For pictures only the last is measured here.
# - The bound, twice: Jensen says *that* something is lost, the second way says *what*: $\mathrm{KL}(q(x_{1:T}\mid x_0)\,\|\,p_\theta(x_{1:T}\mid x_0))$. The VAE is $T=1$ with a learned $q$.
# - With the posterior of session {{session:reverse_process}} the bound becomes $L_T + \sum L_{t-1} + L_0$: KLs of Gaussians, and so $w_t\|\varepsilon-\varepsilon_\theta\|^2$.
# - With a perfect denoiser $L_\text{VLB}$ still lies above $H(q)$, and the less, the smaller the steps.
# - Bits per dimension need bins: $L_0$ is a mass, not a density. Most bits pay for grain; $L_\text{simple}$ looks elsewhere.
#
# **By hand equals helper:** KL of Gaussians (section 5), the term of a step (5), the bins (7), the large variance (9). **Measured here:**

# %%
def row(name, value, beside):
    print(f"{name:44s}{value:>16}   {beside}")


total = found["held-out"].total
row("eight Gaussians, T = 1000, bound above exact",
    f"{(each['large'].total - surprise).mean():.3f} nats",
    f"± {(each['large'].total - surprise).std() / n**0.5:.3f}, n = {n}")
row("digits, held-out, n = 297", f"{total.mean():.3f} bits/dim",
    f"best ruler {min(ruler_bits.values()):.3f}")
row(f"  the same, stopped at k = {best_k}", f"{best_bits:.3f} bits/dim",
    "chosen on the same digits")
row("digits, training set, n = 297", f"{found['training'].total.mean():.3f} bits/dim",
    "near: hardly learned by heart")
row(f"faces, held-out, n = {stored['n']}", f"{stored['total']['value']:.3f} bits/dim",
    f"PNG {stored['png']:.2f}; CIFAR-10 in DDPM 3.75")

# %% [markdown]
# (CIFAR-10 are photographs of 32×32, ours drawings of 64×64: the two numbers stand side by side to show the *sizes*, not a contest. A real-against-real floor, as for Fréchet distances, does not exist for bits: the floor is the entropy of the data, and
# nobody knows it.)
#
# **At the exit.** A model has $L_T = 0$ and every $L_{t-1} = 0$ for $t\ge2$. Is it a good model?
# <details><summary>Answer</summary>
#
# There is no such model, unless the data are a single picture or the first step already destroys everything. $L_{t-1} = 0$ says that the model, without $x_0$, steps like somebody who knows $x_0$. That is possible only if $x_t$ and $x_{t-1}$ tell nothing about which picture it is. The terms measure information about $x_0$ that has to be *sent*; good
# models have small terms, not zero ones.
#
# </details>
#
# **Try next.** Train the digits with $T = 30$ or $300$. Put $w_t$ into the loss (`weight=` of `diffusion_loss` takes a function of log SNR) and look at bits *and* pictures. Measure the digits with `variance="small"`. Give the pixel a fourth level.
#
# **Next:** session {{session:ddpm}} puts $L_\text{simple}$ to work: the U-Net block by block, training, sampling, faces, and how pictures are scored.
#
# **Homework:** [homework/{{notebook}}](homework/{{notebook}}): KL, the VAE's bound, a step's term, the bins, and a fair estimate of the sum, written by you.
#
# **To read.** J. Ho, A. Jain, P. Abbeel, *Denoising Diffusion Probabilistic Models*, 2020 (arXiv 2006.11239), sections 2, 3.2 to 3.4, 4.3, appendix A. J. Sohl-Dickstein et al., *Deep Unsupervised Learning using Nonequilibrium Thermodynamics*, 2015
# (1503.03585), section 2.4. D. Kingma, M. Welling, *Auto-Encoding Variational Bayes*, 2013 (1312.6114), section 2. A. Nichol, P. Dhariwal, *Improved Denoising Diffusion Probabilistic Models*, 2021 (2102.09672), section 3. D. Kingma et al., *Variational Diffusion
# Models*, 2021 (2107.00630). C. Luo, *Understanding Diffusion Models: A Unified Perspective*, 2022 (2208.11970).
