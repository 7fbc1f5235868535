# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # {{number}} · DDIM: fewer steps, the same network
#
# {{badge}}
#
# Our face model was trained with $T=1000$ steps. With Algorithm 2 of session {{session:ddpm}} it needs a thousand calls of the network for one face. Today **the same weights**, not trained by one step more, draw a face in ten to fifty calls.
#
# It is done with half a page of algebra, and it gives more than speed: one noise becomes one face, faces can be mixed, and a face can be turned back into its noise.
#
# At the end you will have made this picture: three noises, each drawn in 5, 10, 20, 50, 100 and 1000 steps. From twenty on they are the same three people.
#
# **Time:** 90 minutes; the cells run for about four minutes on two CPU cores.
#
# **Before:** sessions {{session:forward_process}} to {{session:parameterisations}}, most of all {{session:reverse_process}} (the step back), {{session:ddpm}} (Algorithms 1 and 2, FD) and {{session:parameterisations}} (the noise and the picture are one answer).
#
# | section | minutes | may be skipped |
# |---|---|---|
# | recall | 4 | |
# | 1 · why so many steps? | 10 | |
# | 2 · a family with the same marginals | 17 | |
# | 3 · a list of steps | 11 | |
# | 4 · one noise, one face | 9 | |
# | 5 · between two faces | 7 | |
# | 6 · backwards: from a face to its noise | 10 | |
# | 7 · the table | 10 | |
# | 8 · where the field went: an ODE | 9 | yes |
# | 9 · summary, exit | 3 | |

# %% tags=["setup"]
from helpers import course

course.setup(minutes={{minutes}})

# %% [markdown]
# ## Recall  <small>4 min</small>
#
# Answer aloud, then open.
#
# **1** (session {{session:restoration}}). A conditional model sees $x_T$, which is only noise. What is its first guess of $x_0$?
# <details><summary>Answer</summary>
#
# The mean of all pictures that fit to what is known. Without a condition: the mean of all faces.
#
# </details>
#
# **2** (session {{session:parameterisations}}). The network answers with $v$. Why may we speak of "its $\varepsilon$" and "its $x_0$" all the same?
# <details><summary>Answer</summary>
#
# $x_t$ and any one of $x_0$, $\varepsilon$, $v$ determine the others. They are rulers for the same point.
#
# </details>
#
# **3** (session {{session:ddpm}}). In Algorithm 2, what is drawn at random?
# <details><summary>Answer</summary>
#
# The start $x_T$, and fresh noise $z$ in every step but the last.
#
# </details>
#
# As in session {{session:parameterisations}} we write $a_t=\sqrt{\bar\alpha_t}$ for the **signal** and $b_t=\sqrt{1-\bar\alpha_t}$ for the **noise**, so $x_t = a_t\,x_0 + b_t\,\varepsilon$. (The DDIM paper writes $\alpha_t$ for what everybody else calls $\bar\alpha_t$. Mind it when you read.) A step goes from $t$ to an earlier $s<t$, which need not be $t-1$.

# %% [markdown]
# ## 1 · Why so many steps?  <small>10 min</small>
#
# A thousand calls would be no trouble if they could be made at the same time. They cannot: the call at $t$ needs $x_t$, which is made by the call before it. More processors draw *more* faces, but no face *sooner*.

# %%
import math
import time

import matplotlib.pyplot as plt
import torch

from helpers.checkpoints import load_denoiser
from helpers.plots import COLORS, show_images
from helpers.widgets import flip_through, slide

device, smoke = course.device(), course.profile() == "smoke"
predict = load_denoiser("ddpm-faces", device)
table = predict.schedule


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def noises(n, seed=0):
    """n pieces of noise, each a start x_T."""
    return torch.randn(n, 3, 64, 64, generator=seeded(seed)).to(device)


# %%
with torch.no_grad():
    for n in (1, 8):
        predict(noises(n), torch.full((n,), 1000, device=device))         # warm up
        begin = time.perf_counter()
        predict(noises(n), torch.full((n,), 1000, device=device))[0].cpu()
        call = time.perf_counter() - begin
        print(f"{n} faces: {1000 * call:.0f} ms a call, so {1000 * call:.0f} s",
              "for 1000 calls")

# %% [markdown]
# So why not jump? From $t$ straight to $s = t - 500$, say. Look at the true step back, on data that we know: numbers around $-1$ (40 %) and $+1$ (60 %). We draw $x_0$, make $x_s$ from it and $x_t$ from $x_s$, and keep the pairs in which $x_t$ fell next to 0.1. Their $x_s$ are draws from $q(x_s\mid x_t = 0.1)$.
#
# **Predict.** DDPM draws $x_s$ from a *Gaussian*. For $t=600$: is the true distribution a Gaussian for $s = 590$? For $s = 100$?

# %%
from helpers.exact import MixtureDenoiser
from helpers.schedules import cosine

toy = cosine()                                               # T = 1000
points = torch.tensor([[-1.0], [1.0]])
exact = MixtureDenoiser(toy, points, [0.1, 0.1], torch.tensor([0.4, 0.6]))


def true_steps(t, s, x_t=0.1, n=400_000):
    """Draws from q(x_s | x_t), by counting."""
    g = seeded(0)
    a, b = toy.signal.tolist(), toy.noise.tolist()
    x0 = exact.sample(n, g)[:, 0]
    x_s = a[s] * x0 + b[s] * torch.randn(n, generator=g)
    left = b[t] ** 2 - (a[t] / a[s] * b[s]) ** 2             # variance that is added
    later = a[t] / a[s] * x_s + left**0.5 * torch.randn(n, generator=g)
    return x_s[(later - x_t).abs() < 0.03]


# %%
def show_step(ax, s):
    there = true_steps(600, s)
    ax.hist(there, 60, range=(-2, 2), density=True, color="0.75", label="true")
    x = torch.linspace(-2, 2, 300)
    bell = torch.distributions.Normal(there.mean(), there.std()).log_prob(x).exp()
    ax.plot(x, bell, color=COLORS[3], lw=2, label="Gaussian")
    ax.set(title=f"from t = 600 to s = {s}", yticks=[], xlabel="$x_s$")


def one_step(s):
    ax = plt.subplots(figsize=(4.5, 2.2))[1]
    show_step(ax, s)
    ax.legend(fontsize=8)
    plt.show()


slide(one_step, s=(20, 590, 300))

# %%
fig, axes = plt.subplots(1, 4, figsize=(10, 2.2))
for ax, s in zip(axes, (590, 500, 300, 100)):
    show_step(ax, s)
    ax.set_title(f"t = 600 to s = {s}", fontsize=10)
axes[0].legend(fontsize=8)
plt.show()

# %%
middle = []
for s in (590, 100):
    x = true_steps(600, s)
    middle.append(float(((x - x.mean()).abs() < x.std() / 2).float().mean()))
print(f"within half a standard deviation of the mean: {middle[0]:.0%} (s = 590),",
      f"{middle[1]:.0%} (s = 100); of a Gaussian: 38 %")
assert abs(middle[0] - 0.38) < 0.03 and middle[1] < 0.1

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# For the small step yes, for the large one not at all: there are two hills, and the Gaussian puts about half of its draws into the valley between them, where hardly any data are.
#
# </details>
#
# This is the reason for $T=1000$ in DDPM: only small steps back are Gaussian (session {{session:reverse_process}}). To make the steps larger one would have to draw from something else than a Gaussian.
#
# **DDIM's way out.** Do not ask "how do I *undo* the forward process?". Ask: **what has the network been trained on?** Look at the loss once more:
#
# $$L_\text{simple} = \mathbb E_{t,\,x_0,\,\varepsilon}\ \big\|\varepsilon-\varepsilon_\theta(a_t x_0 + b_t\varepsilon,\ t)\big\|^2$$
#
# There is no $x_{t-1}$ in it. No chain, no neighbours. The network has only ever seen $x_t$ made from $x_0$ in *one jump*: the **marginals** $q(x_t\mid x_0)$. So it fits to *every* process that has these marginals, and perhaps some of them can be walked in fewer steps. (Ours was trained on $v$, which is the same error with another weight: session {{session:parameterisations}}.)

# %% [markdown]
# ## 2 · A family with the same marginals  <small>17 min</small>
#
# We look for a step from $t$ to $s$. What we have is $x_t$, the noise $\varepsilon$ in it, and fresh noise $z$. Mix them, with three numbers that we do not know yet (the method of *undetermined coefficients*):
#
# $$x_s = A\,x_t + B\,\varepsilon + m\,z$$
#
# **What must hold.** $x_s$ must look like what the network was trained on: $a_s\,x_0$ plus noise of variance $b_s^2$. Put $x_t = a_t x_0 + b_t\varepsilon$ in:
#
# $$x_s = \underbrace{A\,a_t}_{=\,a_s}\,x_0\ +\ \underbrace{(A\,b_t + B)\,\varepsilon + m\,z}_{\text{variance } (A b_t + B)^2 + m^2\ =\ b_s^2}$$
#
# Two equations, three unknowns: **one number stays free.** We keep $m$ and solve for the others:
#
# $$A = \frac{a_s}{a_t},\qquad B = \sqrt{b_s^2-m^2} - \frac{a_s}{a_t}\,b_t$$
#
# Put them back and sort. With $x_0 = (x_t - b_t\,\varepsilon)/a_t$ it reads
#
# $$\boxed{\;x_s = a_s\,\underbrace{\frac{x_t - b_t\,\varepsilon}{a_t}}_{x_0} + \sqrt{b_s^2-m^2}\;\varepsilon + m\,z\;}\tag{DDIM, eq. 7}$$
#
# In words: **take the clean picture, and put the noise of step $s$ on it. A part of it is the old noise $\varepsilon$, the rest is fresh.** How large a part, is our choice.
#
# (The root could have a minus. That has the right marginals, too, but turns the noise over in each step. And $m\le b_s$, or there is no root.)
#
# **Predict.** $m = 0$: what is random in the step then? And $m = b_s$?

# %%
def ddim_step(x_t, eps, t, s, m, z, table):
    """x_s, from x_t (B, …), the noise in it and fresh noise z."""
    a, b = table.signal.tolist(), table.noise.tolist()
    x0 = (x_t - b[t] * eps) / a[t]
    return a[s] * x0 + (b[s] ** 2 - m**2) ** 0.5 * eps + m * z


g, (t, s) = seeded(1), (600, 300)
a, b = toy.signal.tolist(), toy.noise.tolist()
eps, z = torch.randn(2, 1_000_000, generator=g)
x_t = a[t] * 0.8 + b[t] * eps                                # of one picture, x_0 = 0.8
print(f"wanted:   mean {a[s] * 0.8:.4f}, standard deviation {b[s]:.4f}")
for part in (0.0, 0.5, 1.0):
    x_s = ddim_step(x_t, eps, t, s, part * b[s], z, toy)
    print(f"m = {part} b_s: mean {x_s.mean():.4f}, standard deviation {x_s.std():.4f}")
    assert abs(x_s.mean() - a[s] * 0.8) < 2e-3 and abs(x_s.std() - b[s]) < 2e-3

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# $m=0$: nothing. $x_s$ is a function of $x_t$, and so the face a function of $x_T$. $m=b_s$: all noise is thrown away and drawn anew in every step; only the belief about $x_0$ is kept.
#
# </details>
#
# **One picture, many paths.** Below is one pixel, $x_0=0.8$, at all $t$ from 0 to 1000 (drawn from above, with the step; six paths of 2,000).
#
# Call $\eta$ ("eta") the part of the chain's fresh noise that we use: $\eta=1$ is the chain of session {{session:forward_process}}, which adds fresh noise in each step (but keeps some of the old: this $m$ is smaller than $b_s$); $\eta=0$ has $m=0$, so one and the same $\varepsilon$ is used at every $t$, and $x_t = a_t x_0 + b_t\varepsilon$. (The formula for $m$ in the code is derived below; believe it for now.)

# %%
def paths(eta, n=2000, every=10):
    """x_t of one pixel at t = 0, 10, …, 1000."""
    g, x0, ts = seeded(2), 0.8, list(range(0, 1001, every))
    eps = torch.randn(n, generator=g)
    rows = [a[ts[-1]] * x0 + b[ts[-1]] * eps]
    for t, s in zip(ts[:0:-1], ts[-2::-1]):                  # downwards, from T
        r = a[t] * b[s] / (a[s] * b[t])
        m = eta * b[s] * (1 - r**2) ** 0.5
        eps = (rows[-1] - a[t] * x0) / b[t]                  # the noise in x_t
        rows.append(ddim_step(rows[-1], eps, t, s, m, torch.randn(n, generator=g), toy))
    return ts, torch.stack(rows[::-1])                       # (101, n)


def show_paths(ax, eta):
    ts, x = paths(eta)
    ax.plot(ts, x[:, :6], lw=1.2)
    for side in (-1, 1):
        ax.plot(ts, x.mean(1) + side * x.std(1), "k--", lw=1)
    ax.set(xlabel="t", ylim=(-2.7, 2.7), title=f"η = {eta:.2g}")


# %%
def walk_up(eta):
    ax = plt.subplots(figsize=(5, 2.5))[1]
    show_paths(ax, eta)
    plt.show()


slide(walk_up, eta=(0.0, 1.0, 1.0))

# %%
fig, axes = plt.subplots(1, 3, figsize=(10, 2.5), sharey=True)
for ax, eta in zip(axes, (1.0, 0.5, 0.0)):
    show_paths(ax, eta)
    x = paths(eta)[1]
    assert (x.mean(1) - toy.signal[::10] * 0.8).abs().max() < 0.1
    assert (x.std(1) - toy.noise[::10]).abs().max() < 0.06
axes[0].set_ylabel("$x_t$")
plt.show()

# %% [markdown]
# (Dashed: mean ± standard deviation of 2,000 paths.) Six paths of each kind. **At every single $t$ all three have the same distribution (look at the dashed lines), and a network that looks at one $t$ at a time cannot tell them apart.** Only along the way are they different: rough, smoother, smooth.
#
# The middle and the right one are **not Markov**: $x_t$ depends on $x_s$ *and* on $x_0$ (on the right even completely). This is all that the title word "non-Markovian" of the paper means.
#
# **How much noise is DDPM's?** In the chain, $x_t$ comes from $x_s = a_s x_0 + b_s\,\varepsilon_s$ by shrinking and adding fresh noise:
#
# $$x_t = \frac{a_t}{a_s}\,x_s + c\,z = a_t\,x_0 + \underbrace{\frac{a_t\,b_s}{a_s}\,\varepsilon_s + c\,z}_{=\,b_t\,\varepsilon}$$
#
# So in the noise $\varepsilon$ at $t$ the noise $\varepsilon_s$ has the coefficient $r = \dfrac{a_t\,b_s}{a_s\,b_t}$. In eq. 7 it is the other way round: the noise at $s$ is $\sqrt{b_s^2-m^2}\;\varepsilon+m\,z$, of standard deviation $b_s$; divided by that, $\varepsilon$ has the coefficient $\sqrt{b_s^2-m^2}/b_s$ in it. Both are the *correlation* of the two noises. Set them equal:
#
# $$r = \sqrt{1-m^2/b_s^2}\quad\Rightarrow\quad m_\text{DDPM} = b_s\sqrt{1-r^2}$$
#
# The paper takes a part $\eta$ of this $m$, calls it $\sigma$ and writes it with $\bar\alpha$:
#
# $$\boxed{\;\sigma(\eta) = \eta\,b_s\sqrt{1-r^2} = \eta\,\sqrt{\frac{1-\bar\alpha_s}{1-\bar\alpha_t}}\,\sqrt{1-\frac{\bar\alpha_t}{\bar\alpha_s}}\;}\tag{DDIM, eq. 16}$$
#
# $\eta=1$ is DDPM, with $\tilde\beta$ for neighbouring steps. $\eta=0$ is called **DDIM**: *implicit*, because the face is a function of $x_T$, as in a GAN. Checked, against the posterior of session {{session:reverse_process}} and the helper:

# %%
from helpers.diffusion import posterior
from helpers.samplers import step


def sigma(eta, t, s, table):
    """DDIM, eq. 16."""
    abar = table.alphas_cumprod.tolist()
    first = (1 - abar[s]) / (1 - abar[t])
    return eta * first**0.5 * (1 - abar[t] / abar[s]) ** 0.5


g = seeded(3)
x0, eps, z = torch.randn(3, 5, 3, generator=g, dtype=torch.float64)
for t, s in ((600, 599), (2, 1), (1000, 999)):
    steps = torch.full((5,), t), torch.full((5,), s)
    x_t = a[t] * x0 + b[t] * eps
    mean, variance = posterior(toy, x0, x_t, steps[0])
    mine = ddim_step(x_t, eps, t, s, sigma(1.0, t, s, toy), z, toy)
    assert torch.allclose(mine, mean + variance.sqrt() * z)  # η = 1 is DDPM
    for eta in (0.0, 0.3, 1.0):
        mine = ddim_step(x_t, eps, t, s, sigma(eta, t, s, toy), z, toy)
        assert torch.allclose(mine, step(toy, x0, eps, *steps, eta, z))
print("eq. 7 with η = 1 = the posterior of session {{session:reverse_process}}; any η = samplers.step")

# %% [markdown]
# **Is the loss really the same?** The bound of session {{session:elbo}} has one term for each step: the KL divergence of two Gaussians, the true step (with the true $x_0$) and ours (with the guessed $\hat x_0$ and its $\hat\varepsilon$). Their variance is the same $m^2$, so it is the squared difference of the means over $2m^2$. Both means are linear in $\varepsilon$, so with some factor $w_t$, which depends on $m$,
#
# $$\frac{\|\mu-\hat\mu\|^2}{2m^2} = w_t\;\|\varepsilon-\varepsilon_\theta(x_t,t)\|^2$$
#
# Another $m$ gives another *weight* to each $t$, and nothing else. $L_\text{simple}$ sets all the weights to 1 anyhow. If the network is good enough to be the best at each $t$ by itself, the weights do not matter. (Theorem 1 of the paper, for $m>0$. As $m\to0$ the weights grow without bound, but the best answer at each $t$ stays the same. So the network serves $m=0$, too.)
#
# > **Easily mistaken.** "DDIM is another model, it needs retraining." There is nothing to retrain. It is another way to *walk*, with the network that you have.

# %% [markdown]
# **What is not exact.** So far $\varepsilon$ was the *true* noise, and then a step of any size is right. A sampler has only the network's guess $\varepsilon_\theta(x_t,t)$: the *mean* of all noises that fit to $x_t$. With it, and in $\bar\alpha$, the step reads
#
# $$x_s = \sqrt{\bar\alpha_s}\;\hat x_0+\sqrt{1-\bar\alpha_s-\sigma^2}\;\varepsilon_\theta+\sigma z,\qquad \hat x_0 = \frac{x_t-\sqrt{1-\bar\alpha_t}\;\varepsilon_\theta}{\sqrt{\bar\alpha_t}}\tag{DDIM, eq. 12}$$
#
# **Predict.** The numbers of section 1 again, with the exact mean in place of a network, and $\eta=0$: from $t=600$ to $s=100$ in one step, in two, in ten. How many arrive in the valley, $|x_s|<0.6$?

# %%
g, n = seeded(4), 20_000
x_600 = a[600] * exact.sample(n, g) + b[600] * torch.randn(n, 1, generator=g)
x_100 = a[100] * exact.sample(n, g) + b[100] * torch.randn(n, 1, generator=g)
valley = {}
for count in (1, 2, 5, 10, 50, 500):
    x, way = x_600, [600 - 500 * i // count for i in range(count + 1)]
    for t, s in zip(way[:-1], way[1:]):
        eps = exact(x, torch.full((n,), t))[1]
        x = ddim_step(x, eps, t, s, 0.0, 0.0, toy)
    valley[count] = float((x.abs() < 0.6).float().mean())
print("in the valley: ", ",  ".join(f"{c} steps {v:.1%}" for c, v in valley.items()))
print(f"truth: {(x_100.abs() < 0.6).float().mean():.1%}")
assert valley[1] > 0.3 and valley[500] < 0.05

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# In one step nearly half, as with the Gaussian: **DDIM does not make one jump right.** But with five or ten steps most have found a hill, and the rest is a matter of small errors. No Gaussian has to be drawn, only a guess to be corrected on the way (section 8 says how fast the error falls). How many steps are enough must be measured: section 7.
#
# </details>

# %% [markdown]
# ## 3 · A list of steps  <small>11 min</small>
#
# Nothing in eq. 12 asks that $s$ be $t-1$. So choose a falling **list** $T=\tau_S>\dots>\tau_1>\tau_0=0$ and walk along it: $S$ calls. The paper has two kinds; with $u=i/S$ they are
#
# $$\text{uniform: } \tau_i = T\,u\qquad\qquad \text{quadratic: } \tau_i = T\,u^2$$
#
# With many quadratic steps rounding gives a number twice (0 and 0 for $S=50$), and a step from 0 to 0 divides by $b_0=0$. Then, going up from 0, a number that is not larger than the one before it becomes one more than that one. (The helper does it; our two lines below do not.)
#
# Here is the whole sampler. `t` and `s` are whole numbers from the list, and $a_t=\sqrt{\bar\alpha_t}$ is `table.signal[t]`. The network wants a *tensor* with one `t` for each picture: `torch.full`. The network's guess of $x_0$ is **clipped** to $[-1,1]$, since pictures have no other values (session {{session:ddpm}}).
#
# **Predict.** After the clipping there is one more line. Why is it there?

# %%
def step_list(T, S, kind="uniform"):
    """S + 1 steps, falling from T to 0."""
    power = {"uniform": 1, "quadratic": 2}[kind]
    return [round(T * (i / S) ** power) for i in range(S, -1, -1)]


@torch.no_grad()
def ddim(predict, table, x, steps, eta=0.0, generator=None):
    """x_T (B, …) → x_0 along the list; eq. 12 and 16."""
    a, b = table.signal.tolist(), table.noise.tolist()
    for t, s in zip(steps[:-1], steps[1:]):          # the next step is the next entry
        x0, eps = predict(x, torch.full((len(x),), t, device=x.device))
        x0 = x0.clamp(-1, 1)
        eps = (x - a[t] * x0) / b[t]                 # this line
        r = a[t] * b[s] / (a[s] * b[t])
        m = eta * b[s] * max(1 - r**2, 0) ** 0.5
        x = a[s] * x0 + (b[s] ** 2 - m**2) ** 0.5 * eps
        if m > 0:                                    # not where s = 0: there b_s = 0
            x = x + m * torch.randn(x.shape, generator=generator).to(x)
    return x


# %%
from helpers.samplers import last, pairs, sample, timesteps

start = noises(4, seed=4)
for kind in ("uniform", "quadratic"):
    assert step_list(1000, 10, kind) == timesteps(1000, 10, kind)
    print(f"{kind:10s}", step_list(1000, 10, kind))
for eta in (0.0, 0.5, 1.0):
    mine = ddim(predict, table, start, step_list(1000, 8), eta, seeded(5))
    walk = pairs(timesteps(1000, 8))
    if eta == 0 or device.type == "cpu":             # else z is drawn on the device
        helper = last(sample(predict, table, start, walk, eta, generator=seeded(5))).x
        assert torch.allclose(mine, helper, atol=1e-3)
print("by hand = helpers.samplers.sample")

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# $x_0$, $\varepsilon$ and $x_t$ belong together: $x_t = a_t x_0+b_t\varepsilon$. Who changes $x_0$ must derive $\varepsilon$ again, or the next $x_s$ is made of a picture and a noise that do not add up to $x_t$.
#
# </details>
#
# What does it matter? Below, ten steps with the line and without it, from the same noises. (`diffusers` has it as an option, `use_clipped_model_output`, which is *off* unless asked for.)

# %%
@torch.no_grad()
def without_the_line(predict, table, x, steps):
    a, b = table.signal.tolist(), table.noise.tolist()
    for t, s in zip(steps[:-1], steps[1:]):
        x0, eps = predict(x, torch.full((len(x),), t, device=x.device))
        x = a[s] * x0.clamp(-1, 1) + b[s] * eps
    return x


# %%
ten = step_list(1000, 10)
with_it, without = (f(predict, table, start, ten) for f in (ddim, without_the_line))


print(f"mean difference {(with_it - without).abs().mean():.5f} (of a range of 2)")

# %% [markdown]
# Nothing, here: our network hardly ever guesses beyond $\pm1$, so there is next to nothing to clip. It becomes visible where much is clipped, as with guidance. But an error that is small today is still an error; and the two are not the same sampler when you compare.
#
# **Three slips from real code,** which no error message reports:
#
# - **A stride in place of the list.** "$s = t - \lfloor T/S\rfloor$": for $T=1000$ and $S=7$ that goes 1000, 858, …, 148, 6 and never comes to 0. (`diffusers` computes $s$ like this. Where its list of $t$ has uneven gaps, $s$ is not the next entry.)
# - **$\bar\alpha$ off by one.** Our tables have the clean picture at index 0. Others begin with the first noisy step; then "the last step" is at index $-1$, and in Python this is the *noisiest* entry.
# - **A negative variance, hidden.** Put a noise $m>b_s$ into $\sqrt{b_s^2-m^2}$, and someone will write `clamp(min=0)` to make the error go away.
#
# For the third there is a real case. DDPM's other variance, for a step from $t$ to $s$, is $\hat\sigma^2 = 1-\bar\alpha_t/\bar\alpha_s$ (for neighbours: $\beta_t$). The table in section 7 has a row for it. It is **not** a member of the family: it takes the mean of $\eta=1$ and adds more noise than the marginals allow. How much more?

# %%
def too_much(t, s, table):
    """Variance of the noise in x_s with σ̂, and what it should be, b_s²."""
    abar = table.alphas_cumprod.tolist()
    old = (1 - abar[s]) - sigma(1.0, t, s, table) ** 2       # its root stands at ε
    return old + 1 - abar[t] / abar[s], 1 - abar[s]


for S in (1000, 100, 10, 5):
    t, s = pairs(timesteps(1000, S))[-2]                     # the last step but one
    has, should = too_much(t, s, table)
    print(f"S = {S:4d}, from {t:3d} to {s:3d}: noise {should**0.5:.3f} wanted,",
          f"{has**0.5:.3f} there")

# %% [markdown]
# With 1000 steps the surplus is invisible (it is large only where all noise is tiny); with 5 or 10 it is not small any more. (Section 7 measures what it does to the faces.) The network is told "step $s$" and shown more noise than it has ever seen there. What it takes for a part of the picture stays in the face.
#
# **Are we right?** The repository's test (`tests/test_oracle.py`) walks whole trajectories with this course's samplers and with `diffusers`, over the steps that `diffusers` takes: four noise tables, all of its spacings, $\varepsilon$, $x_0$ and $v$, a dummy and a real network. The largest relative difference is $4\cdot10^{-13}$ for DDIM (352 trajectories) and $2\cdot10^{-10}$ for DDPM (269). The solvers of section 8 have 123 more.

# %% [markdown]
# ## 4 · One noise, one face  <small>9 min</small>
#
# With $\eta=0$ nothing is random after $x_T$. Then $x_T$ alone should decide who appears, and the number of steps only how well, roughly.
#
# **Predict.** The same noise in 5, 10, 20, 50, 100 and 1000 steps. The same face? From how many steps on would you not see a difference?

# %%
COUNTS = (5, 10, 20, 50, 100, 1000) if not smoke else (2, 4, 8)
three = start[:3]
same = {S: ddim(predict, table, three, step_list(1000, S)) for S in COUNTS[:-1]}

# %% [markdown]
# The thousand steps take the longest, so they are cut into two cells. (A list may be cut anywhere: the second part begins where the first one ended.)

# %%
begin, all_steps = time.perf_counter(), step_list(1000, COUNTS[-1])
middle = len(all_steps) // 2
halfway = ddim(predict, table, three, all_steps[:middle + 1])
print(f"{middle} calls for {len(three)} faces at once:",
      f"{time.perf_counter() - begin:.0f} s")

# %%
longest = ddim(predict, table, halfway, all_steps[middle:])
same[COUNTS[-1]] = longest


def strip(columns, names, left):
    """Columns of pictures, a name above each and left of each row."""
    images = torch.stack([column.float().cpu() for column in columns], 1)
    fig = show_images(images.flatten(0, 1), columns=len(columns), side=0.8, show=False)
    for ax, name in zip(fig.axes[::len(columns)], left):
        ax.text(-0.06, 0.5, name, transform=ax.transAxes, ha="right", va="center",
                fontsize=9)
    for ax, name in zip(fig.axes, names):
        ax.set_title(name, fontsize=8, pad=2)
    plt.show()


names, who = [f"S = {S}" for S in COUNTS], [f"noise {i}" for i in (1, 2, 3)]
strip(same.values(), names, who)

# %%
flip_through([same[S].cpu() for S in COUNTS], names, side=1.5)

# %%
def apart(x, y):
    """Root of the mean squared difference, picture by picture."""
    return (x - y).square().mean((1, 2, 3)).sqrt().cpu()


others = torch.stack([apart(longest, longest.roll(k, 0)) for k in (1, 2)])
print(f"two different people: {others.mean():.3f} apart")
distance = {S: apart(same[S], longest) for S in COUNTS[:-1]}
for S, d in distance.items():
    print(f"S = {S:4d}: {d.mean():.3f} from S = {COUNTS[-1]}",
          f"({d.min():.3f} … {d.max():.3f}; n = {len(d)}, seed 4)")
assert smoke or distance[100].mean() < distance[10].mean() < others.mean()

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# From 20 steps on the same three people. With 5 and 10 steps the background, the pose and the glasses are there already, but the first has no beard yet, and the third has grey hair that will turn black. With 5 there is a grain over everything, and the second has hair.
#
# </details>
#
# (More steps are not always better: at 1000 half of the first one's hair has turned black. No number of steps mends what the network has not learned: session {{session:ddpm}}.)
#
# And with $\eta>0$? Below, one noise $x_T$ and four different series of fresh noise, in 20 steps. Move $\eta$: how much of the person is left in $x_T$?

# %%
ETAS = (0.0, 0.2, 0.5, 1.0)
one = start[:1].expand(4, -1, -1, -1)
S = 20 if not smoke else 2
tries = {eta: ddim(predict, table, one, step_list(1000, S), eta, seeded(6))
         for eta in ETAS}

# %%
flip_through([tries[eta].cpu() for eta in ETAS], [f"η = {eta}" for eta in ETAS],
             side=1.5)

# %%
strip(tries.values(), [f"η = {eta}" for eta in ETAS],
      [f"series {i}" for i in (1, 2, 3, 4)])
spread = {eta: float(apart(x, x.roll(1, 0)).mean()) for eta, x in tries.items()}
print("mean distance of two series: ",
      ",  ".join(f"η = {eta}: {d:.3f}" for eta, d in spread.items()))
assert spread[0.0] < 1e-3

# %% [markdown]
# A little is enough: with $\eta=0.2$ the background stays, and three of the four are somebody else. With $\eta = 1$ hardly anything is left of $x_T$. (The distances are of four series only. Trust the pictures more.)
#
# So $x_T$ is a **code** for the face, if $\eta=0$: 12,288 numbers in, one face out. A code can be mixed, and one may ask for the code of a given face. These are the next two sections.

# %% [markdown]
# ## 5 · Between two faces  <small>7 min</small>
#
# Two noises $x$ and $y$ give two faces. What lies between? The obvious mixture is linear (**lerp**): $(1-u)\,x+u\,y$.
#
# **Predict.** $x$ and $y$ are independent, each with variance 1. What is the variance of their mean, at $u=\tfrac12$? What will the network think of it at $t=T$?
#
# The network has only seen noise of length $\sqrt D$ ($D$ numbers of variance 1). So go from $x$ to $y$ along the *sphere*, on which the noises lie (Shoemake 1985; **slerp**, spherical linear interpolation). With the angle $\theta$ between $x$ and $y$:
#
# $$\cos\theta = \frac{x\cdot y}{\|x\|\,\|y\|},\qquad \text{slerp}(x,y,u) = \frac{\sin\big((1-u)\,\theta\big)}{\sin\theta}\,x+\frac{\sin(u\,\theta)}{\sin\theta}\,y$$
#
# At $u=0$ the weights are 1 and 0, at $u=1$ they are 0 and 1. If $x$ and $y$ stand at a right angle, they are $\cos\frac{\pi u}2$ and $\sin\frac{\pi u}2$, with squares that add up to 1. (If $\theta=0$ there is $0/0$: then $x$ and $y$ point the same way, and lerp is right. And rounding can make the cosine of two equal noises a little larger than 1, where there is no angle: hence the `clamp` below. In a batch every pair has an angle of its own.)

# %%
def lerp(x, y, u):
    return (1 - u) * x + u * y


def slerp(x, y, u):
    """One pair of noises, (1, C, H, W) each."""
    cosine = (x * y).sum() / (x.norm() * y.norm())
    theta = cosine.clamp(-1, 1).arccos()
    if theta < 1e-3:
        return lerp(x, y, u)
    return (((1 - u) * theta).sin() * x + (u * theta).sin() * y) / theta.sin()


here, there = start[1:2], start[3:4]
theta = ((here * there).sum() / (here.norm() * there.norm())).arccos()
print(f"the angle of two noises of {here.numel():,} numbers: {theta.rad2deg():.1f}°")
for name, mix in (("lerp", lerp), ("slerp", slerp)):
    lengths = [f"{mix(here, there, u).std():.2f}" for u in (0, 0.25, 0.5, 0.75, 1)]
    print(f"{name:5s} standard deviation at u = 0, ¼, ½, ¾, 1:", ", ".join(lengths))
assert abs(slerp(here, there, 0.5).std() - 1) < 0.02
assert abs(lerp(here, there, 0.5).std() - 0.707) < 0.02

# %%
US = [i / 6 for i in range(7)] if not smoke else [0, 0.5, 1]
S = 20 if not smoke else 2
between = {}
for name, mix in (("lerp", lerp), ("slerp", slerp)):
    mixed = torch.cat([mix(here, there, u) for u in US])
    between[name] = ddim(predict, table, mixed, step_list(1000, S))

# %%
both = [torch.stack(pair).cpu() for pair in zip(*between.values())]
strip(both, [f"u = {u:.2g}" for u in US], list(between))

# %%
flip_through(both, [f"u = {u:.2g}: lerp, slerp" for u in US], side=1.6)

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# $\tfrac14+\tfrac14=\tfrac12$, so the standard deviation is 0.71. The network is told "step $T$, noise of size 1" and finds too little of it.
#
# </details>
#
# The faces between are *faces*, not two photographs laid over each other: that is the difference to mixing pixels. But where is the harm of lerp? One often reads that its faces are washed out in the middle. Look at six more pairs, half-way:

# %%
left, right = noises(6, seed=9), noises(6, seed=10)
arcs = [slerp(left[i:i + 1], right[i:i + 1], 0.5) for i in range(6)]
halves = [ddim(predict, table, x, step_list(1000, S))
          for x in ((left + right) / 2, torch.cat(arcs))]
show_images(torch.cat(halves), columns=6, side=0.8, show=False,
            title="half-way between six pairs: lerp above, slerp below")
plt.show()

# %% [markdown]
# Nobody is washed out. So what does the length of a noise do to our model? One noise, made shorter or longer by a factor. **Predict:** which is worse, too short or too long?

# %%
FACTORS, S = (0.25, 0.5, 0.71, 1.0, 1.15), 20 if not smoke else 2
scaled = [ddim(predict, table, c * three, step_list(1000, S)) for c in FACTORS]

# %%
strip(scaled, [f"× {factor}" for factor in FACTORS], who)

# %%
flip_through([x.cpu() for x in scaled], [f"noise × {f}" for f in FACTORS], side=1.6)

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# Too long is worse, by far: fifteen per cent too much stay in the face as grain, and the first loses his beard. With 0.71 of the length nothing bad happens; at 0.5 the first and the third are other people, at 0.25 all are; but each of them is a clean drawing. (Our guess why: to the network a short noise looks like a picture with flat areas, and our drawings *have* flat areas. Photographs may be less forgiving.)
#
# </details>
#
# So the rule is: keep to the noise that the model was trained on. Slerp does; lerp errs to the side that our model forgives; and $\hat\sigma$ of section 3 errs to the other side. (The homework writes slerp for a whole batch, each pair with its own angle: `.flatten(1)`, `.sum(1)`, `torch.where`.)

# %% [markdown]
# ## 6 · Backwards: from a face to its noise  <small>10 min</small>
#
# For $\eta=0$ eq. 12 is $x_s = a_s\,x_0+b_s\,\varepsilon$ with the guesses $x_0$ and $\varepsilon$ at $x_t$. Nothing in it says that $s$ is *smaller* than $t$. Walk **up** the list, from a real face to $x_T$: this is **inversion**. Then walk down again.
#
# One thing is not exact. Upwards, the step from $t$ to $s$ uses the $\varepsilon$ guessed at $t$. Downwards, the step from $s$ to $t$ uses the one guessed at $s$. They are nearly the same if the steps are small. And we do not clip on the way up, since what is cut off cannot be found again; so we write `invert` instead of calling `ddim`.
#
# (The walk begins at $t=1$, not 0: at 0 there is no noise to guess, and the network was never trained there. The clean face stands in for $x_1$, whose noise is 0.013.)
#
# **Predict.** 8 bits for a colour are a PSNR of about 59 dB, a good JPEG file has 35 to 40. After how many steps up and as many down does a face come back with 30 dB?

# %%
from helpers.data import load_faces
from helpers.metrics import psnr

test = load_faces("embedded", "test", limit=40)              # new to the model
faces = test.images[:4].to(device)


@torch.no_grad()
def invert(predict, table, x, steps, **condition):
    """The noise of faces (B, …): upwards along a rising list that begins at 1."""
    a, b = table.signal.tolist(), table.noise.tolist()
    for t, s in zip(steps[:-1], steps[1:]):
        now = torch.full((len(x),), t, device=x.device)
        x0, eps = predict(x, now, **condition)
        x = a[s] * x0 + b[s] * eps
    return x


def upwards(S, top=1000):
    """The steps of `step_list` up to `top`, rising, with 1 in place of 0."""
    return [1] + [t for t in step_list(1000, S)[::-1] if 0 < t <= top]


# %%
rising = upwards(20)
mine = invert(predict, table, faces, rising)
helper = last(sample(predict, table, faces, pairs(rising), clip=False)).x
assert torch.allclose(mine, helper, atol=1e-3)

# %%
codes, back = {}, {}
for S in ((10, 20, 50, 100) if not smoke else (2, 4)):
    codes[S] = invert(predict, table, faces, upwards(S))
    back[S] = ddim(predict, table, codes[S], step_list(1000, S))
    db = psnr(back[S].cpu(), faces.cpu())
    print(f"{S:3d} steps up, {S:3d} down: PSNR {db.mean():.1f} dB",
          f"({db.min():.1f} … {db.max():.1f}; n = {len(faces)}), standard deviation",
          f"of the code {codes[S].std():.2f}")
returned = [float(psnr(x.cpu(), faces.cpu()).mean()) for x in back.values()]
assert smoke or returned == sorted(returned)

# %%
shown = list(back)[::2]                                      # 10 and 50
strip([faces] + [back[S] for S in shown] + [codes[shown[-1]] / 3],
      ["face"] + [f"{S} steps" for S in shown] + ["code / 3"],
      [f"face {i}" for i in (1, 2, 3, 4)])

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# On average with about 50 (33 dB), though the second has lost a red moustache even then. In ten steps he comes back as *somebody else*, with hair, glasses and another background; the third has cut her hair, and the fourth lost his glasses.
#
# The number of steps is not all. Most is lost on the last stretch up to $T$, where the noise beside the picture, $b/a$, grows from 13 (at 900) to 40,000. The next experiment shows it, and the homework has a face that needs 200 steps.
#
# </details>
#
# Now look at the last column, and at the standard deviation: **this is not the noise that we began with.** It should be 1. In the flat parts of our drawings the network sees no noise on the way up, answers $\varepsilon\approx0$, and so none is put in. One sees the outline of the face in its code. It still comes back, because the way down repeats the way up. But it is a code unlike those that the model draws from. (The smaller the steps, the nearer to 1: 0.47, 0.54, 0.64 for 10, 20, 50.)
#
# **What is it good for? Editing.** Go up with the face's own attributes, change one, and come down. And one need not go up all the way. Our model takes attributes (session {{session:start_here}}); the faces know theirs.
#
# **Predict.** We ask for glasses, and in another row for a yellow background. We turn round at $t=400$, 600, 800 or 1000. From which height on does each wish come true?

# %%
people = [0, 1, 4]
own = test.attributes[people].long().to(device)


def wish(**values):
    """The attributes of the three people, some of them changed."""
    wanted = own.clone()
    for name, value in values.items():
        wanted[:, test.names.index(name)] = value
    return wanted


yellow = test.values["background_color"].index("yellow")
round_ones = test.values["glasses"].index("round")
WISHES = {"own": own, "glasses": wish(Eyeglasses=1, glasses=round_ones),
          "yellow": wish(background_color=yellow)}
HEIGHTS, S = ((400, 600, 800, 1000), 25) if not smoke else ((500, 1000), 2)


# %%
edited, originals = {}, test.images[people].to(device)
for height in HEIGHTS:
    rising = upwards(S, height)
    falling = [t for t in step_list(1000, S) if t <= height]
    code = invert(predict, table, originals, rising, attributes=own)
    for name, attributes in WISHES.items():
        edited[name, height] = last(sample(predict, table, code, pairs(falling),
                                           attributes=attributes)).x
    untold = invert(predict, table, originals, rising)       # no attributes at all
    edited["untold", height] = ddim(predict, table, untold, falling)

# %%
for name in ("own", "untold"):
    for height in HEIGHTS:
        db = psnr(edited[name, height].cpu(), originals.cpu()).mean()
        print(f"{name:7s} up to {height} and back: {db:.1f} dB")
for name in list(WISHES)[1:]:
    strip([originals] + [edited[name, height] for height in HEIGHTS],
          ["face"] + [f"up to {height}" for height in HEIGHTS], ["", name, ""])

# %%
def turn(ask, up_to):
    show_images(torch.cat([test.images[people], edited[ask, up_to].cpu()]), columns=3,
                side=1.4, title=f"above: faces; below: {ask}, up to {up_to}")


slide(turn, ask=list(WISHES)[1:], up_to=list(HEIGHTS))

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# The first gets his glasses at 400, the second at 600 (the third has some already), and hair, clothes and expression stay. The background hardly changes up to 600, half way at 800, and is yellow only at 1000: **large areas of colour are decided first, details later.** A wish can only change what has not yet been decided.
#
# </details>
#
# (The printed lines are the control, without a wish. Told their own attributes, the three come back from every height. Not told ("untold"), they come back from 800 just as well, but not from 1000: **on the last stretch it is lost what the face has, unless the attributes say so.**) This recipe (up with the old description, down with the new one) is what stands behind many of the later tools that edit photographs with text.

# %% [markdown]
# ## 7 · The table  <small>10 min</small>
#
# Now in numbers: the counterpart of the paper's table 1, on our faces. For every number of steps $S$ and every $\eta$, many faces from the *same* noises, and their distance FD (session {{session:ddpm}}) to the training faces. "2M" is a solver of section 8. One command makes it, `python -m experiments.ddim`. The whole, with up to 2,000 faces a cell, takes fifteen hours on two cores, so it goes on whenever it is started again; what stands here is how far it has come: 500 faces, and fewer where they are dear.

# %%
import json

stored = json.loads((course.ROOT / "experiments" / "ddim.json").read_text())
KINDS = ("0", "0.2", "0.5", "1", "σ̂", "2M")
NAMES = {"σ̂": r"$\hat\sigma$", "2M": "2M"}                   # in the figure
cells = {(row["steps"], row["kind"]): row for row in stored["rows"].values()}
counts = sorted({steps for steps, _ in cells})
floor = {int(n): fd for n, fd in stored["floor"].items()}


def right(kind, width):          # the hat of σ̂ counts as a letter, but takes no column
    return " " * (width - len(kind.replace("\u0302", ""))) + kind


def show_table(value, width=9):
    print(f"{'η':>5s}" + "".join(f"{f'S = {S}':>{width}s}" for S in counts))
    for kind in KINDS:
        found = [cells.get((S, kind)) for S in counts]
        words = [value(cell) if cell else "" for cell in found]
        print(right(kind, 5) + "".join(f"{word:>{width}s}" for word in words))


# %%
print("FD, the smaller the better")
show_table(lambda cell: f"{cell['fd']:.2f}")
print("\nfaces in each cell (seed 0)")
show_table(lambda cell: str(cell["n"]))
print("\nreal against real:",
      ",  ".join(f"{fd:.2f} (n = {n})" for n, fd in sorted(floor.items())))
print("\nFD of the first hundred faces of each cell")
show_table(lambda cell: f"{cell['first']:.2f}")
print("\nseconds of one processor core a face")
show_table(lambda cell: f"{cell['processor_seconds']:.2f}")

# %% [markdown]
# And the paper's own (Song et al. 2020, table 1; FID with Inception, 50,000 pictures, so the *numbers* cannot be compared with ours, only their order; the quadratic list for CIFAR-10, the uniform one for CelebA):

# %%
PAPER_STEPS = (10, 20, 50, 100, 1000)
PAPER = {
    "CIFAR-10": {"0": (13.36, 6.84, 4.67, 4.16, 4.04),
                 "0.2": (14.04, 7.11, 4.77, 4.25, 4.09),
                 "0.5": (16.66, 8.35, 5.25, 4.46, 4.29),
                 "1": (41.07, 18.36, 8.01, 5.78, 4.73),
                 "σ̂": (367.43, 133.37, 32.72, 9.99, 3.17)},
    "CelebA": {"0": (17.33, 13.73, 9.17, 6.53, 3.51),
               "0.2": (17.66, 14.11, 9.51, 6.79, 3.64),
               "0.5": (19.86, 16.06, 11.01, 8.09, 4.28),
               "1": (33.12, 26.03, 18.48, 13.93, 5.98),
               "σ̂": (299.71, 183.83, 71.71, 45.20, 3.26)},
}
for data, rows in PAPER.items():
    print(f"{data:>9s}" + "".join(f"{f'S = {S}':>10s}" for S in PAPER_STEPS))
    for kind, values in rows.items():
        print(right(kind, 9) + "".join(f"{value:10.2f}" for value in values))

# %%
fig, axes = plt.subplots(1, 3, figsize=(10, 2.9))
most = max(cell["n"] for cell in cells.values())
ours = {kind: {S: cells[S, kind]["fd"] for S in counts
               if (S, kind) in cells and cells[S, kind]["n"] == most} for kind in KINDS}
panels = {f"our faces (FD, n = {most})": ours}
for data, rows in PAPER.items():
    panels[f"{data} (paper, FID)"] = {
        kind: dict(zip(PAPER_STEPS, values)) for kind, values in rows.items()}
for ax, (name, lines) in zip(axes, panels.items()):
    for kind, color in zip(KINDS, COLORS):
        if kind in lines:
            ax.plot(*zip(*lines[kind].items()), "o-", ms=3, color=color,
                    label=NAMES.get(kind, f"η = {kind}"))
    ax.set(xscale="log", yscale="log", xlabel="S", title=name)
    marks = list(ours["0"]) if ax is axes[0] else PAPER_STEPS
    ax.set_xticks(marks, map(str, marks), fontsize=8)
    ax.minorticks_off()
axes[0].axhline(floor[min(most, max(floor))], color="0.6", ls=":", label="real")
axes[0].legend(fontsize=7, loc="upper right")
plt.show()

# %% [markdown]
# **Down the columns: $\eta$.** Here is by how much each row lies above $\eta=0$. Both began at the same noises, and the interval (95 %) comes from drawing the faces again in pairs. For $\eta=0.2$ that makes it smaller than those of the two FDs; for $\eta=1$ it does not, since hardly anything of $x_T$ is left (section 4):

# %%
for (S, kind), cell in sorted(cells.items()):
    if kind in ("0.2", "0.5", "1", "σ̂") and (over := cell.get("over_zero")):
        low, high = over["excess_interval"]
        verdict = "surely worse" if low > 0 else "surely better" if high < 0 else ""
        print(f"S = {S:4d}, {right(kind, 3)}: {over['excess']:+6.2f}",
              f"({low:+.2f} … {high:+.2f}), n = {over['n']}  {verdict}")

# %% [markdown]
# - **The number of steps counts most.** From $S=5$ to $S=20$ the FD falls from 16 … 19 to about 3, in all rows but 2M's; to $S=100$ it falls to 1.8 or 1.9. The floor of 500 faces is {{table:ddim:floor/500:.2f}}.
#
# - **The last two columns** have only 200 and 100 faces, and the FD of few faces is larger (session {{session:ddpm}}). The third table is fair: a hundred faces everywhere. There $\eta=0$ goes {{table:ddim:rows/5, 0/first:.1f}}, {{table:ddim:rows/10, 0/first:.1f}}, {{table:ddim:rows/20, 0/first:.1f}}, and from $S=50$ on it stays at 4.1 to 4.0. (A hundred *real* faces have {{table:ddim:floor/100:.1f}}. That $\eta=1$ and $\hat\sigma$ look so much worse in it is the luck of this hundred: with 500 faces the rows are next to each other.)
#
# - **$\eta$ counts little.** Only $\hat\sigma$ with 5 and 10 steps is clearly worse than $\eta=0$. (A "surely" whose interval only just clears 0 is not much: of twenty such intervals one is wrong by chance.)
#
# - **2M** has after 10 calls ({{table:ddim:rows/10, 2M/fd:.2f}}) what DDIM does not have after 50 ({{table:ddim:rows/50, 0/fd:.2f}}). It also walks another list, EDM's; section 8 takes the two apart.
#
# **Beside the paper.** At $S=10$ our $\eta=0$, $\eta=1$ and $\hat\sigma$ stand in the paper's order, but only $\hat\sigma$ is beyond chance. The size is another: on CIFAR-10 $\hat\sigma$ has 27 times the FID of $\eta=0$ there, here 1.3 times the FD. Keep this small size in mind for the next two cells. And at $S=1000$ the paper's $\hat\sigma$, DDPM's own choice, jumps from the last place to the first (3.17, 3.26). Of that our hundred faces cannot tell: they have $\hat\sigma$ above $\eta=0$, with an interval that holds 0.

# %% [markdown]
# **Re-measure a corner yourself.** The first hundred faces of three cells, from the same noises as in the table; their FD stands in the file. (An FD of 100 faces is larger than one of 500: session {{session:ddpm}}.) Beside it the *grain*: the standard deviation within the upper left 8×8 pixels, where our drawings have one flat colour.

# %%
from helpers.checkpoints import load_model
from helpers.features import extract
from helpers.metrics import frechet_distance, moments

judge = load_model("face-features")
reference = moments(extract(judge, load_faces("embedded", "train").images))
by_cpu = load_denoiser("ddpm-faces")                         # as the table was drawn
hundred = torch.randn(100, 3, 64, 64, generator=seeded(0))   # and from the same noise
CORNER = ((5, "0"), (5, "σ̂"), (10, "0")) if not smoke else ((5, "0"),)
for S, kind in CORNER:
    begin, g, walk = time.perf_counter(), seeded(1), pairs(timesteps(1000, S))
    how = dict(eta=1.0, variance="large") if kind == "σ̂" else dict(eta=float(kind))
    drawn = torch.cat([last(sample(by_cpu, table, some, walk, generator=g, **how)).x
                       for some in hundred.split(50)]).clamp(-1, 1)
    fd = frechet_distance(extract(judge, drawn), reference)
    kept, grain = cells[S, kind]["first"], drawn[:, :, :8, :8].std((2, 3)).mean()
    print(f"S = {S:2d}, {kind:>2s}: FD {fd:.2f}, stored {kept:.2f}; grain {grain:.3f} ",
          f"({time.perf_counter() - begin:.0f} s)")
    assert abs(fd / kept - 1) < 0.05

# %%
real = load_faces("embedded", "valid").images[:300]
rough = torch.randn(real.shape, generator=seeded(2))
for size in (0.0, 0.04, 0.1):
    grainy = (real + size * rough).clamp(-1, 1)
    fd = frechet_distance(extract(judge, grainy), reference)
    print(f"real faces (n = {len(real)}) with noise of {size:.2f}: FD {fd:.2f}")

# %% [markdown]
# **One reason.** At $S=5$ $\hat\sigma$ leaves 2.6 times the grain of $\eta=0$: the noise that section 3 warned of. The last lines put such grain on *real* faces, and the FD hardly moves: our judge, a classifier of hair and glasses, looks *past* grain. What $\hat\sigma$ loses in our table it loses by other faults. Inception does see it: FID rises with noise in the pictures (Heusel et al. 2017, figure 3).
#
# The data, the noise table (linear there, cosine here) and the training are different as well; what each of them does, we did not measure. So do not take "$\eta$ counts little" for a law: it holds for these faces, this network and this judge.
#
# **"10 to 50 times faster"** is what the paper's abstract says. With our table it can be tested. We divide (FD − floor) of few steps by that of many. *As good* means: the whole 95 % interval of this ratio is below 1.1, the grey band; *worse*: all of it is above; else it is *open*. The interval comes from drawing the faces again, both rows together, since they began at the same noises (*bootstrap*):

# %%
def beside(steps, kind, of="0 2M"):
    """The claims beside one long row, in order."""
    some = [c for c in stored["claims"] if c["beside"] == f"{steps}, {kind}"]
    chosen = [c for c in some if c["kind"] in of]
    return sorted(chosen, key=lambda c: (c["kind"], c["steps"]))


hundred_calls, thousand_calls = beside(100, "0"), beside(1000, "0")
print(f"(FD − floor) over that of S = 100, η = 0; n = {hundred_calls[0]['n']}")
for c in hundred_calls:
    low, high = c["interval"]
    print(f"  S = {c['steps']:3d}, {c['kind']:2s} {c['ratio']:6.2f}",
          f"({low:5.2f} … {high:5.2f})  {c['verdict']}")
for kind in ("0", "σ̂"):
    some = beside(1000, kind)
    print(f"FD less that of S = 1000, {kind}; n = {some[0]['n']}")
    for c in some:
        low, high = c["difference_interval"]
        print(f"  S = {c['steps']:3d}, {c['kind']:2s} {c['difference']:+6.2f}",
              f"({low:+6.2f} … {high:+6.2f})")

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 2.9))
panels = (left, hundred_calls, "ratio"), (right, thousand_calls, "difference")
for ax, claims, what in panels:
    for kind, color, aside in (("0", COLORS[0], 0.95), ("2M", COLORS[5], 1.05)):
        mine = [c for c in claims if c["kind"] == kind]
        ends = "interval" if what == "ratio" else "difference_interval"
        for c in mine:
            ax.plot([c["steps"] * aside] * 2, c[ends], color=color)
        ax.plot([c["steps"] * aside for c in mine], [c[what] for c in mine], "o", ms=4,
                color=color, label=NAMES.get(kind, f"η = {kind}"))
    marks = [c["steps"] for c in claims if c["kind"] == "0"]
    ax.set(xscale="log", xlabel="calls", xticks=marks, xticklabels=marks)
    ax.minorticks_off()
left.axhspan(0.2, 1.1, color="0.92")
left.set(yscale="log", ylim=(0.2, 40), title="ratio of (FD − floor) to S = 100")
left.set_yticks([0.2, 0.5, 1, 2, 5, 10, 20], [0.2, 0.5, 1, 2, 5, 10, 20], fontsize=8)
right.axhline(0, color="0.6", ls=":")
right.set_title("FD less that of S = 1000")
right.legend(fontsize=8)
plt.show()

# %% [markdown]
# - **2M in ten calls is as good as DDIM in a hundred**, with confidence: a tenth of the calls, and of the seconds.
#
# - **DDIM on uniform steps is not:** with 5, 10 and 20 calls it is surely worse than with 100. With 50 it is open, but 27 % is the most that may be missing.
#
# - **Beside a thousand calls** a ratio says nothing: a hundred faces of $\eta=0$ do not even rise above the floor. But two FDs can be *subtracted*. From the same noises nearly the same faces come (section 4), and what is odd in a hundred noises is in both. So the intervals are short: 2M lies in ten calls 0.03 above DDIM's thousand (−0.41 … 0.48), in twenty 0.04 below (−0.23 … 0.15). DDIM itself has done most of it in 50 or 100.
#
# - So **"10 to 50 times faster" than its own 1000 steps: yes.** With 50 to 100 calls on DDIM's uniform steps, with 10 to 20 on the better list and with the better solver. Beside $\hat\sigma$ in 1000 (the last lines), which adds other noise on the way, the intervals are long. From 20 calls on nothing is surely worse. In the paper 100 calls of $\eta=0$ on CIFAR-10 (4.16) come near its 1000 of $\hat\sigma$ (3.17), and do not reach them.

# %% [markdown]
# ## 8 · Where the field went: an ODE  <small>9 min, may be skipped</small>
#
# Divide the step with $m=0$ by $a_s$, and call $y = x/a$ and $\sigma = b/a$ (the noise beside a picture that is not shrunk). Almost everything goes away:
#
# $$x_s = a_s x_0 + b_s\varepsilon,\quad y_t = x_0+\sigma_t\,\varepsilon\qquad\Rightarrow\qquad \boxed{\;y_s = y_t + (\sigma_s-\sigma_t)\,\varepsilon\;}$$
#
# "New place = old place + step × slope": this is **Euler's method**, the oldest way to solve an ordinary differential equation (ODE). The equation is
#
# $$\frac{dy}{d\sigma} = \varepsilon_\theta(a\,y,\ t)\tag{DDIM, eq. 14}$$
#
# (This $\sigma$ is not the $\sigma(\eta)$ of section 2; DDIM and EDM use the letter for both. And the network is still asked about $x = a\,y$.)
#
# It is the *probability-flow ODE* (Song et al. 2021): let all points flow with it, and if the network were exact, their cloud would be that of the noisy data at each $\sigma$. So *fewer steps* is now an old question, with two hundred and fifty years of answers.

# %%
g = seeded(7)
t, s = torch.full((5,), 700), torch.full((5,), 400)
x0, eps = torch.randn(2, 5, 3, generator=g, dtype=torch.float64)
sig = (toy.noise / toy.signal).tolist()
y_t = x0 + sig[700] * eps
y_s = y_t + (sig[400] - sig[700]) * eps
assert torch.allclose(a[400] * y_s, step(toy, x0, eps, t, s))
print("Euler's step in y = the step of DDIM with η = 0")

# %% [markdown]
# **Heun** (1900; used by EDM, Karras et al. 2022): look at the slope at *both* ends of the step, and take the mean. Two calls for one step, but the error falls with the *square* of the step.
#
# **DPM-Solver++(2M)** (Lu et al. 2022) needs one call. It writes the way with $\lambda=\log(a/b)$, half of the log SNR. If the guess $x_0$ were constant along a step of length $h$, DDIM's step would be exact. It is not; so it is *drawn out* from the last two guesses, like the road ahead from the two last posts:
#
# $$\tilde x_0 = x_0 + \frac{h}{2\,h_\text{before}}\,\big(x_0 - x_0^\text{before}\big),\qquad\text{then DDIM's step with } \tilde x_0$$
#
# (½, because it should stand for the middle of the step.) Both in a few lines, beside the helpers:

# %%
from helpers.solvers import dpm_solver, heun, karras


@torch.no_grad()
def heun_by_hand(predict, table, x, steps):
    a, sig = table.signal.tolist(), (table.noise / table.signal).tolist()
    for t, s in zip(steps[:-1], steps[1:]):
        slope = predict(x, torch.full((len(x),), t))[1]
        there = a[s] * (x / a[t] + (sig[s] - sig[t]) * slope)          # Euler
        if s > 0:
            slope = (slope + predict(there, torch.full((len(x),), s))[1]) / 2
            there = a[s] * (x / a[t] + (sig[s] - sig[t]) * slope)
        x = there
    return x


# %%
@torch.no_grad()
def two_m(predict, table, x, steps):
    a, b = table.signal.tolist(), table.noise.tolist()
    lam = (table.log_snr / 2).tolist()
    before = None
    for i, (t, s) in enumerate(zip(steps[:-1], steps[1:])):
        x0 = ahead = predict(x, torch.full((len(x),), t))[0]
        if before is not None and s > 0:
            h, h_before = lam[s] - lam[t], lam[t] - lam[steps[i - 1]]
            ahead = x0 + h / (2 * h_before) * (x0 - before)
        eps = (x - a[t] * ahead) / b[t]
        x, before = a[s] * ahead + b[s] * eps, x0
    return x


# %%
fine = cosine(20_000)                                        # for small steps
ring = torch.arange(8) * torch.pi / 4
eight = torch.stack([ring.cos(), ring.sin()], 1).double() * 1.5
known = MixtureDenoiser(fine, eight, [0.3] * 8)
top = karras(fine, 1)[0]                                     # where σ = 80
x_T = fine.noise[top] * torch.randn(500, 2, generator=seeded(8)).double()
WAYS = {"DDIM": (sample, 1), "Heun": (heun, 2), "2M": (dpm_solver, 1)}    # calls a step


def solved(name, steps):
    walk = pairs(karras(fine, steps))
    return last(WAYS[name][0](known, fine, x_T, walk, clip=False)).x


twenty = karras(fine, 20)
assert torch.allclose(heun_by_hand(known, fine, x_T, twenty), solved("Heun", 20))
assert torch.allclose(two_m(known, fine, x_T, twenty), solved("2M", 20))

# %%
exact_end = solved("Heun", 1000)
errors = {name: {} for name in WAYS}
for name, (_, price) in WAYS.items():
    for calls in (8, 16, 32, 64, 128):
        end = solved(name, calls // price)
        errors[name][calls] = float((end - exact_end).norm(dim=1).mean())

# %%
ax = plt.subplots(figsize=(5, 2.8))[1]
for name, line in errors.items():
    ax.loglog(*zip(*line.items()), "o-", label=name)
    steepness = math.log2(line[32] / line[128]) / 2
    print(f"{name:5s} mean distance from the exact end",
          ", ".join(f"{e:.4f}" for e in line.values()), f"  order {steepness:.1f}")
ax.set(xlabel="calls", title="eight Gaussians, exact network")
ax.set_ylabel("mean error")
ax.set_xticks([8, 16, 32, 64, 128], ["8", "16", "32", "64", "128"])
ax.minorticks_off()
ax.legend(fontsize=8)
plt.show()

# %% [markdown]
# *Order* $p$ means: half the step, $2^p$ times less error. And on faces, with ten calls each, from the noises of section 4? (The steps are those of EDM: evenly spread in $\sigma^{1/7}$, after one step of DDIM from $T$ to $\sigma=80$.)

# %%
N = 10 if not smoke else 4
first = (1000, karras(table, N - 1)[0])
at_80 = last(sample(predict, table, three, [first])).x
tens = {
    "uniform": same[N],
    "EDM's steps": last(sample(predict, table, at_80,
                                     pairs(karras(table, N - 1)))).x,
    "Heun": last(heun(predict, table, at_80, pairs(karras(table, N // 2)))).x,
    "2M": last(dpm_solver(predict, table, three,
                          pairs([1000, *karras(table, N - 1)]))).x,
}
strip([*tens.values(), longest], [*tens, f"S = {COUNTS[-1]}"], who)
for name, end in tens.items():
    print(f"{name:18s} {apart(end, longest).mean():.3f} from S = {COUNTS[-1]}")

# %% [markdown]
# **The list counts most.** The same DDIM with EDM's steps comes down from 0.26 to 0.09: the beard and the black hair are there. **Then the order:** 2M brings it to 0.07. Heun, with only five steps for its ten calls, stays behind, and grainy: in the curve, too, it passes DDIM only at some 30 calls. (n = 3 faces show it; 2M's row in the table says it with 500.)
#
# These solvers are what runs today when you ask a library for a picture "in 20 steps". To come down to four steps, or one, the *network* must change (sessions {{session:distillation}} and {{session:consistency}}).

# %% [markdown]
# ## 9 · Summary and exit  <small>3 min</small>
#
# - The loss knows only the **marginals** $q(x_t\mid x_0)$. Every process with these marginals can use the same network.
# - $x_s = a_s x_0+\sqrt{b_s^2-m^2}\,\varepsilon+m z$, from two equations for three unknowns; $m=\sigma(\eta)$; $\eta=1$ is DDPM, $\eta=0$ DDIM.
# - Walk along a **list**; the next step is the next entry; after clipping derive $\varepsilon$ again; $\hat\sigma$ is not of the family.
# - $\eta=0$: one noise, one face. Mix noises along the sphere; upwards one finds the noise of a face, and can edit.
# - DDIM is **Euler's method** for an ODE. Heun and 2M are of second order.
#
# **By hand equals helper:** the step and $\sigma(\eta)$ (2), the list and the sampler (3), inversion (6), Heun and 2M (8).
#
# **At the exit.** Someone samples with $\eta=1$ in ten steps, is not content, and trains the network for another week. What would you try first, and why may it help?
# <details><summary>Answer</summary>
#
# $\eta=0$, another list, or 2M: the network is the same, only the walk changes, and it takes a minute. With $\eta=1$ each large step is a Gaussian draw around a guess, where the truth may have two hills. With $\eta=0$ only the error of the large steps is left, and a better list or 2M makes it smaller. On our faces the number and the place of the steps count for more than $\eta$: measure it on yours.
#
# </details>
#
# **Try next.** Give `ddim` a list of your own with ten steps, for example more of them near $t=1000$: which part of the way needs them? Mix three noises. Invert a face, and mix its code with a noise: why does it not work as well as with two noises? Invert with `heun`, which goes upwards, too.
#
# **Next:** session {{session:latent_diffusion}} makes each *call* cheaper: diffusion in a latent space.
#
# **Homework:** [homework/{{notebook}}](homework/{{notebook}}): the step, the list, the whole sampler, slerp, and inversion.
#
# **To read.** J. Song, C. Meng, S. Ermon, *Denoising Diffusion Implicit Models*, 2020 (arXiv 2010.02502), sections 3 to 5, appendix D. Y. Song et al., *Score-Based Generative Modeling through Stochastic Differential Equations*, 2021 (2011.13456), section 4.3. T. Karras et al., *Elucidating the Design Space of Diffusion-Based Generative Models*, 2022 (2206.00364). C. Lu et al., *DPM-Solver++*, 2022 (2211.01095). K. Shoemake, *Animating Rotation with Quaternion Curves*, 1985.
