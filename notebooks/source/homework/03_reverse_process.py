# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Homework {{number}} · The reverse process
#
# {{badge}}
#
# You write the way back from noise to data, piece by piece: the step if one knows $x_0$, the best guess of $x_0$, the score, and the loop. At the end your own code
# turns noise into eight Gaussians.
#
# **Time:** about 75 minutes. Nothing here needs a graphics card.
#
# **Before:** lecture {{session:reverse_process}}, sections 3 to 5, and of section 8 the score.

# %% tags=["setup"]
from helpers import course
from helpers.checks import reverse_process as check

course.setup()

# %% [markdown]
# In all exercises `alphas_cumprod` is the table of $\bar\alpha$, a tensor $(T+1,)$: `alphas_cumprod[t]` is $\bar\alpha_t$, and `alphas_cumprod[0]` is 1, the clean end.
# Neither $\alpha_t$ nor $\beta_t$ is in the table. You get them from two neighbours: $\bar\alpha_t = \bar\alpha_{t-1}\,\alpha_t$ and $\beta_t = 1-\alpha_t$.
#
# A batch has $B$ rows, and **each row has its own** $t$: `t` is a tensor $(B,)$ of whole numbers in $1\dots T$. To multiply something of shape $(B,)$ with points $(B, D)$ make it a column first: `a[:, None]` has the shape $(B, 1)$.

# %%
import torch

# %% [markdown]
# ## 1 · The step back, if one knows $x_0$
#
# Write mean and variance of $q(x_{t-1}\mid x_t, x_0)$:
#
# $$\tilde\mu_t = \frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1-\bar\alpha_t}\,x_0 + \frac{\sqrt{\alpha_t}\,(1-\bar\alpha_{t-1})}{1-\bar\alpha_t}\,x_t,\qquad
# \tilde\beta_t = \frac{1-\bar\alpha_{t-1}}{1-\bar\alpha_t}\,\beta_t$$
#
# *Lecture: section 3.* Before you write: what must come out at $t = 1$?

# %% tags=["answer:posterior"]
def posterior(x0, x_t, t, alphas_cumprod):
    """x0, x_t (B, D); t (B,); alphas_cumprod (T+1,).

    Returns two tensors: the mean (B, D) and the variance (B, 1).
    """
    # <solution>
    abar_t = alphas_cumprod[t][:, None]
    abar_s = alphas_cumprod[t - 1][:, None]
    alpha = abar_t / abar_s
    beta = 1 - alpha
    from_x0 = abar_s.sqrt() * beta / (1 - abar_t)
    from_xt = alpha.sqrt() * (1 - abar_s) / (1 - abar_t)
    return from_x0 * x0 + from_xt * x_t, (1 - abar_s) / (1 - abar_t) * beta
    # </solution>

# %% tags=["check:posterior"]
check.posterior(posterior)

# %% tags=["second:posterior"]
def posterior(x0, x_t, t, alphas_cumprod):
    # start at the jump to t − 1, correct it by what x_t adds
    a, s = (alphas_cumprod[i].unsqueeze(1) for i in (t, t - 1))
    r = (a / s) ** 0.5
    surprise = x_t - r * s**0.5 * x0
    gain = r * (1 - s) / (1 - a)
    return s**0.5 * x0 + gain * surprise, (1 - s) - gain * r * (1 - s)

# %% tags=["second:posterior"]
def posterior(x0, x_t, t, alphas_cumprod):
    means, variances = [], []
    for i in range(len(t)):
        k = int(t[i])
        a, s = alphas_cumprod[k], alphas_cumprod[k - 1]
        b = 1 - a / s
        m = (s.sqrt() * b * x0[i] + (a / s).sqrt() * (1 - s) * x_t[i]) / (1 - a)
        means.append(m)
        variances.append((1 - s) / (1 - a) * b)
    return torch.stack(means), torch.stack(variances)[:, None]

# %% tags=["wrong:posterior"] expect="changed places"
def posterior(x0, x_t, t, alphas_cumprod):
    a, s = alphas_cumprod[t][:, None], alphas_cumprod[t - 1][:, None]
    alpha, beta = a / s, 1 - a / s
    mean = (s.sqrt() * beta * x_t + alpha.sqrt() * (1 - s) * x0) / (1 - a)
    return mean, (1 - s) / (1 - a) * beta

# %% tags=["wrong:posterior"] expect="that of the forward step"
def posterior(x0, x_t, t, alphas_cumprod):
    a, s = alphas_cumprod[t][:, None], alphas_cumprod[t - 1][:, None]
    alpha, beta = a / s, 1 - a / s
    mean = (s.sqrt() * beta * x0 + alpha.sqrt() * (1 - s) * x_t) / (1 - a)
    return mean, beta

# %% tags=["wrong:posterior"] expect="This is a standard deviation"
def posterior(x0, x_t, t, alphas_cumprod):
    a, s = alphas_cumprod[t][:, None], alphas_cumprod[t - 1][:, None]
    alpha, beta = a / s, 1 - a / s
    mean = (s.sqrt() * beta * x0 + alpha.sqrt() * (1 - s) * x_t) / (1 - a)
    return mean, ((1 - s) / (1 - a) * beta).sqrt()

# %% tags=["wrong:posterior"] expect="an index one too low"
def posterior(x0, x_t, t, alphas_cumprod):
    a, s = alphas_cumprod[t - 1][:, None], alphas_cumprod[t - 2][:, None]
    alpha, beta = a / s, 1 - a / s
    mean = (s.sqrt() * beta * x0 + alpha.sqrt() * (1 - s) * x_t) / (1 - a)
    return mean, (1 - s) / (1 - a) * beta

# %% tags=["wrong:posterior"] expect="Which ᾱ is the one before the step?"
def posterior(x0, x_t, t, alphas_cumprod):
    a, s = alphas_cumprod[t][:, None], alphas_cumprod[t - 1][:, None]
    alpha, beta = a / s, 1 - a / s
    mean = (a.sqrt() * beta * x0 + alpha.sqrt() * (1 - a) * x_t) / (1 - a)
    return mean, (1 - s) / (1 - a) * beta

# %% tags=["wrong:posterior"] expect="ᾱ_{t−1} itself. Is a root missing?"
def posterior(x0, x_t, t, alphas_cumprod):
    a, s = alphas_cumprod[t][:, None], alphas_cumprod[t - 1][:, None]
    alpha, beta = a / s, 1 - a / s
    mean = (s * beta * x0 + alpha.sqrt() * (1 - s) * x_t) / (1 - a)
    return mean, (1 - s) / (1 - a) * beta

# %% tags=["wrong:posterior"] expect="α_t itself. Is a root missing?"
def posterior(x0, x_t, t, alphas_cumprod):
    a, s = alphas_cumprod[t][:, None], alphas_cumprod[t - 1][:, None]
    alpha, beta = a / s, 1 - a / s
    mean = (s.sqrt() * beta * x0 + alpha * (1 - s) * x_t) / (1 - a)
    return mean, (1 - s) / (1 - a) * beta

# %% tags=["wrong:posterior"] expect="is there a bar over this α?"
def posterior(x0, x_t, t, alphas_cumprod):
    a, s = alphas_cumprod[t][:, None], alphas_cumprod[t - 1][:, None]
    beta = 1 - a / s
    mean = (s.sqrt() * beta * x0 + a.sqrt() * (1 - s) * x_t) / (1 - a)
    return mean, (1 - s) / (1 - a) * beta

# %% tags=["wrong:posterior"] expect="as if β_t were 1 − ᾱ_t"
def posterior(x0, x_t, t, alphas_cumprod):
    a, s = alphas_cumprod[t][:, None], alphas_cumprod[t - 1][:, None]
    alpha, beta = a / s, 1 - a
    mean = (s.sqrt() * beta * x0 + alpha.sqrt() * (1 - s) * x_t) / (1 - a)
    return mean, (1 - s) / (1 - a) * beta

# %% tags=["wrong:posterior"] expect="Each row has its own t"
def posterior(x0, x_t, t, alphas_cumprod):
    a, s = alphas_cumprod[t[0]], alphas_cumprod[t[0] - 1]
    alpha, beta = a / s, 1 - a / s
    mean = (s.sqrt() * beta * x0 + alpha.sqrt() * (1 - s) * x_t) / (1 - a)
    return mean, ((1 - s) / (1 - a) * beta).expand(len(t), 1)

# %% tags=["wrong:posterior"] expect="make them a column"
def posterior(x0, x_t, t, alphas_cumprod):
    a, s = alphas_cumprod[t], alphas_cumprod[t - 1]
    alpha, beta = a / s, 1 - a / s
    mean = (s.sqrt() * beta * x0 + alpha.sqrt() * (1 - s) * x_t) / (1 - a)
    return mean, ((1 - s) / (1 - a) * beta)[:, None]

# %% tags=["wrong:posterior"] expect="Is a fraction upside down"
def posterior(x0, x_t, t, alphas_cumprod):
    a, s = alphas_cumprod[t][:, None], alphas_cumprod[t - 1][:, None]
    alpha, beta = a / s, 1 - a / s
    mean = (s.sqrt() * beta * x0 + alpha.sqrt() * (1 - s) * x_t) / (1 - a)
    return mean, (1 - a) / (1 - s) * beta

# %% tags=["wrong:posterior"] expect="larger than β_t"
def posterior(x0, x_t, t, alphas_cumprod):
    a, s = alphas_cumprod[t][:, None], alphas_cumprod[t - 1][:, None]
    alpha, beta = a / s, 1 - a / s
    mean = (s.sqrt() * beta * x0 + alpha.sqrt() * (1 - s) * x_t) / (1 - a)
    return mean, 1 - s

# %% tags=["wrong:posterior"] expect="Look at the brackets"
def posterior(x0, x_t, t, alphas_cumprod):
    abar_t = alphas_cumprod[t][:, None]
    abar_s = alphas_cumprod[t - 1][:, None]
    alpha = abar_t / abar_s
    beta = 1 - alpha
    mean = abar_s.sqrt() * beta * x0 + alpha.sqrt() * (1 - abar_s) * x_t / (1 - abar_t)
    return mean, (1 - abar_s) / (1 - abar_t) * beta

# %% tags=["wrong:posterior"] expect="is your β_1 really"
def posterior(x0, x_t, t, alphas_cumprod):
    abar_t = alphas_cumprod[t][:, None]
    abar_s = alphas_cumprod[t - 1][:, None]
    alpha = abar_t / abar_s
    from_x0 = abar_s.sqrt() * alpha / (1 - abar_t)
    from_xt = alpha.sqrt() * (1 - abar_s) / (1 - abar_t)
    return from_x0 * x0 + from_xt * x_t, (1 - abar_s) / (1 - abar_t) * (1 - alpha)

# %% [markdown]
# ## 2 · The best guess of $x_0$
#
# The data are a mixture of $K$ Gaussians in the plane, but now **all different**: centre $\mu_k$, standard deviation $s_k$, weight $w_k$. Write $\mathbb E[x_0\mid x_t]$.
#
# With $v_k = \bar\alpha_t s_k^2 + 1-\bar\alpha_t$:
#
# $$r_k = \frac{w_k\,\mathcal N(x_t;\sqrt{\bar\alpha_t}\,\mu_k, v_k I)}{\sum_j w_j\,\mathcal N(x_t;\sqrt{\bar\alpha_t}\,\mu_j, v_j I)},\qquad
# \mathbb E[x_0\mid x_t] = \sum_k r_k\Big(\mu_k + \frac{\sqrt{\bar\alpha_t}\,s_k^2}{v_k}(x_t-\sqrt{\bar\alpha_t}\,\mu_k)\Big)$$
#
# In the lecture all weights and all widths were equal, so the weights and the factors before the exponentials cancelled in $r_k$. Here they stay. In the plane the density is
# $\mathcal N(x; m, vI) = \frac{1}{2\pi v}\,e^{-\|x-m\|^2/2v}$. Far away all exponentials become 0 in the computer, so work with logarithms (the one of a product is a sum): `torch.softmax(logs, dim)` makes the exponentials and divides by
# their sum, without ever computing 0/0. (`abar` is a plain number here, so write `abar**0.5`, not `abar.sqrt()`.)
#
# *Lecture: section 5.*

# %% tags=["answer:expected_x0"]
def expected_x0(x_t, abar, means, stds, weights):
    """x_t (B, 2); abar: a number, ᾱ_t; means (K, 2); stds (K,); weights (K,), sum 1.

    Returns E[x_0 given x_t], a tensor (B, 2).
    """
    # <solution>
    v = abar * stds**2 + 1 - abar                            # (K,)
    offset = x_t[:, None] - abar**0.5 * means                # (B, K, 2)
    logs = weights.log() - v.log() - offset.square().sum(-1) / (2 * v)
    share = torch.softmax(logs, dim=1)                       # (B, K)
    guess = means + (abar**0.5 * stds**2 / v)[:, None] * offset
    return (share[:, :, None] * guess).sum(1)
    # </solution>

# %% tags=["check:expected_x0"]
check.expected_x0(expected_x0)

# %% tags=["second:expected_x0"]
def expected_x0(x_t, abar, means, stds, weights):
    # Tweedie: x_0 from the score of log q(x_t), one Gaussian after the other
    with torch.enable_grad():
        x = x_t.clone().requires_grad_(True)
        logs = []
        for m, s, w in zip(means, stds, weights):
            v = abar * s**2 + 1 - abar
            far = ((x - abar**0.5 * m) ** 2).sum(1)
            logs.append(torch.log(w) - torch.log(v) - far / (2 * v))
        (score,) = torch.autograd.grad(torch.logsumexp(torch.stack(logs), 0).sum(), x)
    return (x_t + (1 - abar) * score) / abar**0.5

# %% tags=["wrong:expected_x0"] expect="always its centre"
def expected_x0(x_t, abar, means, stds, weights):
    v = abar * stds**2 + 1 - abar
    offset = x_t[:, None] - abar**0.5 * means
    share = (weights.log() - v.log() - offset.square().sum(-1) / (2 * v)).softmax(1)
    return (share[:, :, None] * means).sum(1)

# %% tags=["wrong:expected_x0"] expect="takes all of x_t for signal"
def expected_x0(x_t, abar, means, stds, weights):
    return x_t / abar**0.5

# %% tags=["wrong:expected_x0"] expect="What does one believe after it?"
def expected_x0(x_t, abar, means, stds, weights):
    v = abar * stds**2 + 1 - abar
    offset = x_t[:, None] - abar**0.5 * means
    guess = means + (abar**0.5 * stds**2 / v)[:, None] * offset
    return (weights[:, None] * guess).sum(1)

# %% tags=["wrong:expected_x0"] expect="Here they do not"
def expected_x0(x_t, abar, means, stds, weights):
    v = abar * stds**2 + 1 - abar
    offset = x_t[:, None] - abar**0.5 * means
    share = (-v.log() - offset.square().sum(-1) / (2 * v)).softmax(1)
    guess = means + (abar**0.5 * stds**2 / v)[:, None] * offset
    return (share[:, :, None] * guess).sum(1)

# %% tags=["wrong:expected_x0"] expect="only the likeliest one"
def expected_x0(x_t, abar, means, stds, weights):
    v = abar * stds**2 + 1 - abar
    offset = x_t[:, None] - abar**0.5 * means
    k = (weights.log() - v.log() - offset.square().sum(-1) / (2 * v)).argmax(1)
    guess = means + (abar**0.5 * stds**2 / v)[:, None] * offset
    return guess[torch.arange(len(x_t)), k]

# %% tags=["wrong:expected_x0"] expect="lack the factor before the exponential"
def expected_x0(x_t, abar, means, stds, weights):
    v = abar * stds**2 + 1 - abar
    offset = x_t[:, None] - abar**0.5 * means
    share = (weights.log() - offset.square().sum(-1) / (2 * v)).softmax(1)
    guess = means + (abar**0.5 * stds**2 / v)[:, None] * offset
    return (share[:, :, None] * guess).sum(1)

# %% tags=["wrong:expected_x0"] expect="the one for a line"
def expected_x0(x_t, abar, means, stds, weights):
    v = abar * stds**2 + 1 - abar
    offset = x_t[:, None] - abar**0.5 * means
    share = (weights.log() - v.log() / 2 - offset.square().sum(-1) / (2 * v)).softmax(1)
    guess = means + (abar**0.5 * stds**2 / v)[:, None] * offset
    return (share[:, :, None] * guess).sum(1)

# %% tags=["wrong:expected_x0"] expect="x_t has been shrunk"
def expected_x0(x_t, abar, means, stds, weights):
    v = abar * stds**2 + 1 - abar
    offset = x_t[:, None] - abar**0.5 * means
    far = (x_t[:, None] - means).square().sum(-1)
    share = (weights.log() - v.log() - far / (2 * v)).softmax(1)
    guess = means + (abar**0.5 * stds**2 / v)[:, None] * offset
    return (share[:, :, None] * guess).sum(1)

# %% tags=["wrong:expected_x0"] expect="Check v"
def expected_x0(x_t, abar, means, stds, weights):
    v = (1 - abar) * torch.ones_like(stds)
    offset = x_t[:, None] - abar**0.5 * means
    share = (weights.log() - v.log() - offset.square().sum(-1) / (2 * v)).softmax(1)
    guess = means + (abar**0.5 * stds**2 / v)[:, None] * offset
    return (share[:, :, None] * guess).sum(1)

# %% tags=["wrong:expected_x0"] expect="that every s is squared"
def expected_x0(x_t, abar, means, stds, weights):
    v = abar * stds + 1 - abar
    offset = x_t[:, None] - abar**0.5 * means
    share = (weights.log() - v.log() - offset.square().sum(-1) / (2 * v)).softmax(1)
    guess = means + (abar**0.5 * stds / v)[:, None] * offset
    return (share[:, :, None] * guess).sum(1)

# %% tags=["wrong:expected_x0"] expect="Along which axis"
def expected_x0(x_t, abar, means, stds, weights):
    v = abar * stds**2 + 1 - abar
    offset = x_t[:, None] - abar**0.5 * means
    share = (weights.log() - v.log() - offset.square().sum(-1) / (2 * v)).softmax(0)
    share = share / share.sum()
    guess = means + (abar**0.5 * stds**2 / v)[:, None] * offset
    return (share[:, :, None] * guess).sum(1) * len(x_t)

# %% tags=["wrong:expected_x0"] expect="0/0 is NaN"
def expected_x0(x_t, abar, means, stds, weights):
    v = abar * stds**2 + 1 - abar
    offset = x_t[:, None] - abar**0.5 * means
    hills = weights / v * torch.exp(-offset.square().sum(-1) / (2 * v))
    share = hills / hills.sum(1, keepdim=True)
    guess = means + (abar**0.5 * stds**2 / v)[:, None] * offset
    return (share[:, :, None] * guess).sum(1)

# %% tags=["wrong:expected_x0"] expect="only hides it"
def expected_x0(x_t, abar, means, stds, weights):
    v = abar * stds**2 + 1 - abar
    offset = x_t[:, None] - abar**0.5 * means
    hills = weights / v * torch.exp(-offset.square().sum(-1) / (2 * v))
    share = hills / (hills.sum(1, keepdim=True) + 1e-12)
    guess = means + (abar**0.5 * stds**2 / v)[:, None] * offset
    return (share[:, :, None] * guess).sum(1)

# %% tags=["wrong:expected_x0"] expect="look at the exponent"
def expected_x0(x_t, abar, means, stds, weights):
    v = abar * stds**2 + 1 - abar
    offset = x_t[:, None] - abar**0.5 * means
    logs = weights.log() - v.log() + offset.square().sum(-1) / (2 * v)
    share = torch.softmax(logs, dim=1)
    guess = means + (abar**0.5 * stds**2 / v)[:, None] * offset
    return (share[:, :, None] * guess).sum(1)

# %% [markdown]
# ## 3 · From $\varepsilon$ to the score, and one step uphill
#
# The score points uphill: to where the density $q(x_t)$ grows. A network says $\varepsilon$. Write the score and the mean of the step back *with the score*:
#
# $$\text{score} = -\frac{\varepsilon}{\sqrt{1-\bar\alpha_t}},\qquad \tilde\mu_t = \frac1{\sqrt{\alpha_t}}\,\big(x_t + \beta_t\cdot\text{score}\big)$$
#
# *Lecture: sections 3, 4 and 8.* Put the first formula into the second: which formula of the lecture is it?

# %% tags=["answer:score_and_mean"]
def score_and_mean(eps, x_t, t, alphas_cumprod):
    """eps, x_t (B, D); t (B,); alphas_cumprod (T+1,).

    Returns two tensors (B, D): the score, and the mean of x_{t-1}.
    """
    # <solution>
    abar = alphas_cumprod[t][:, None]
    alpha = abar / alphas_cumprod[t - 1][:, None]
    score = -eps / (1 - abar).sqrt()
    return score, (x_t + (1 - alpha) * score) / alpha.sqrt()
    # </solution>

# %% tags=["check:score_and_mean"]
check.score_and_mean(score_and_mean)

# %% tags=["second:score_and_mean"]
def score_and_mean(eps, x_t, t, alphas_cumprod):
    # by way of x_0 and the posterior of exercise 1
    a, s = alphas_cumprod[t][:, None], alphas_cumprod[t - 1][:, None]
    x0 = (x_t - (1 - a).sqrt() * eps) / a.sqrt()
    mean = (s.sqrt() * (1 - a / s) * x0 + (a / s).sqrt() * (1 - s) * x_t) / (1 - a)
    return (a.sqrt() * x0 - x_t) / (1 - a), mean

# %% tags=["wrong:score_and_mean"] expect="points along ε"
def score_and_mean(eps, x_t, t, alphas_cumprod):
    abar = alphas_cumprod[t][:, None]
    alpha = abar / alphas_cumprod[t - 1][:, None]
    score = eps / (1 - abar).sqrt()
    return score, (x_t - (1 - alpha) * score) / alpha.sqrt()

# %% tags=["wrong:score_and_mean"] expect="the variance of the noise"
def score_and_mean(eps, x_t, t, alphas_cumprod):
    abar = alphas_cumprod[t][:, None]
    alpha = abar / alphas_cumprod[t - 1][:, None]
    score = -eps / (1 - abar)
    return score, (x_t + (1 - alpha) * score) / alpha.sqrt()

# %% tags=["wrong:score_and_mean"] expect="the factor of the signal"
def score_and_mean(eps, x_t, t, alphas_cumprod):
    abar = alphas_cumprod[t][:, None]
    alpha = abar / alphas_cumprod[t - 1][:, None]
    score = -eps / abar.sqrt()
    return score, (x_t + (1 - alpha) * score) / alpha.sqrt()

# %% tags=["wrong:score_and_mean"] expect="What is it divided by?"
def score_and_mean(eps, x_t, t, alphas_cumprod):
    abar = alphas_cumprod[t][:, None]
    alpha = abar / alphas_cumprod[t - 1][:, None]
    return -eps, (x_t - (1 - alpha) * eps) / alpha.sqrt()

# %% tags=["wrong:score_and_mean"] expect="less noise, steeper hill"
def score_and_mean(eps, x_t, t, alphas_cumprod):
    abar = alphas_cumprod[t][:, None]
    alpha = abar / alphas_cumprod[t - 1][:, None]
    score = -eps * (1 - abar).sqrt()
    return score, (x_t + (1 - alpha) * score) / alpha.sqrt()

# %% tags=["wrong:score_and_mean"] expect="Which entry of alphas_cumprod"
def score_and_mean(eps, x_t, t, alphas_cumprod):
    abar = alphas_cumprod[t - 1][:, None]
    alpha = alphas_cumprod[t][:, None] / abar
    score = -eps / (1 - abar).sqrt()
    return score, (x_t + (1 - alpha) * score) / alpha.sqrt()

# %% tags=["wrong:score_and_mean"] expect="Only one step is to be undone"
def score_and_mean(eps, x_t, t, alphas_cumprod):
    abar = alphas_cumprod[t][:, None]
    alpha = abar / alphas_cumprod[t - 1][:, None]
    score = -eps / (1 - abar).sqrt()
    return score, (x_t + (1 - alpha) * score) / abar.sqrt()

# %% tags=["wrong:score_and_mean"] expect="the forward step made x_{t−1} smaller"
def score_and_mean(eps, x_t, t, alphas_cumprod):
    abar = alphas_cumprod[t][:, None]
    alpha = abar / alphas_cumprod[t - 1][:, None]
    score = -eps / (1 - abar).sqrt()
    return score, x_t + (1 - alpha) * score

# %% tags=["wrong:score_and_mean"] expect="on the way back it is the other way"
def score_and_mean(eps, x_t, t, alphas_cumprod):
    abar = alphas_cumprod[t][:, None]
    alpha = abar / alphas_cumprod[t - 1][:, None]
    score = -eps / (1 - abar).sqrt()
    return score, (x_t + (1 - alpha) * score) * alpha.sqrt()

# %% tags=["wrong:score_and_mean"] expect="against the score"
def score_and_mean(eps, x_t, t, alphas_cumprod):
    abar = alphas_cumprod[t][:, None]
    alpha = abar / alphas_cumprod[t - 1][:, None]
    score = -eps / (1 - abar).sqrt()
    return score, (x_t - (1 - alpha) * score) / alpha.sqrt()

# %% tags=["wrong:score_and_mean"] expect="A small β_t, a small step"
def score_and_mean(eps, x_t, t, alphas_cumprod):
    abar = alphas_cumprod[t][:, None]
    alpha = abar / alphas_cumprod[t - 1][:, None]
    score = -eps / (1 - abar).sqrt()
    return score, (x_t + score) / alpha.sqrt()

# %% tags=["wrong:score_and_mean"] expect="the noise of all steps"
def score_and_mean(eps, x_t, t, alphas_cumprod):
    abar = alphas_cumprod[t][:, None]
    alpha = abar / alphas_cumprod[t - 1][:, None]
    score = -eps / (1 - abar).sqrt()
    return score, (x_t + (1 - abar) * score) / alpha.sqrt()

# %% tags=["wrong:score_and_mean"] expect="Is a pair of brackets missing"
def score_and_mean(eps, x_t, t, alphas_cumprod):
    abar = alphas_cumprod[t][:, None]
    alpha = abar / alphas_cumprod[t - 1][:, None]
    score = -eps / (1 - abar).sqrt()
    return score, x_t / alpha.sqrt() + (1 - alpha) * score

# %% tags=["wrong:score_and_mean"] expect="Each row has its own t"
def score_and_mean(eps, x_t, t, alphas_cumprod):
    abar = alphas_cumprod[t[0]]
    alpha = abar / alphas_cumprod[t[0] - 1]
    score = -eps / (1 - abar).sqrt()
    return score, (x_t + (1 - alpha) * score) / alpha.sqrt()

# %% [markdown]
# ## 4 · The walk back
#
# The loop. Start at `x_T`, and for $t = T, T-1, \dots, 1$:
#
# $$x_{t-1} = \frac1{\sqrt{\alpha_t}}\left(x_t - \frac{\beta_t}{\sqrt{1-\bar\alpha_t}}\,\varepsilon(x_t, t)\right) + \sqrt{\tilde\beta_t}\;z_t,\qquad\text{without the noise at } t = 1$$
#
# So that your walk can be compared with another one, the noise is not drawn by you but handed over: the step from $t$ to $t-1$ uses `z[t]`, and `z[0]`, `z[1]` stay unused. The network wants the points $(B, D)$
# and **one $t$ for each row**: `torch.full((len(x),), t)`.
#
# *Lecture: section 5.*

# %% tags=["answer:walk_back"]
def walk_back(predict_eps, x_T, alphas_cumprod, z):
    """predict_eps(x, t) → ε (B, D) for x (B, D), t (B,); x_T (B, D); z (T+1, B, D).

    Returns x_0, a tensor (B, D).
    """
    # <solution>
    x = x_T
    for t in range(len(alphas_cumprod) - 1, 0, -1):
        abar_t, abar_s = alphas_cumprod[t], alphas_cumprod[t - 1]
        alpha = abar_t / abar_s
        beta = 1 - alpha
        eps = predict_eps(x, torch.full((len(x),), t))
        x = (x - beta / (1 - abar_t).sqrt() * eps) / alpha.sqrt()
        if t > 1:
            x = x + ((1 - abar_s) / (1 - abar_t) * beta).sqrt() * z[t]
    return x
    # </solution>

# %% tags=["check:walk_back"]
check.walk_back(walk_back)

# %% tags=["second:walk_back"]
def walk_back(predict_eps, x_T, alphas_cumprod, z):
    # by way of x_0, with the helpers; at t = 1 the variance is 0
    from helpers import diffusion, schedules

    table = schedules.from_alphas_cumprod(alphas_cumprod[1:])
    believe, x, t = diffusion.Denoiser(predict_eps, table), x_T, table.steps
    while t:
        mean, variance = diffusion.posterior(table, believe(x, t)[0], x, t)
        x, t = mean + variance**0.5 * z[t], t - 1
    return x

# %% tags=["second:walk_back"]
def walk_back(predict_eps, x_T, alphas_cumprod, z):
    before = alphas_cumprod[:-1]
    ratio = alphas_cumprod[1:] / before
    sizes = ((1 - ratio) * (1 - before) / (1 - alphas_cumprod[1:])) ** 0.5
    for t in reversed(range(1, len(alphas_cumprod))):
        eps = predict_eps(x_T, torch.full((len(x_T),), t, dtype=torch.long))
        pull = (1 - ratio[t - 1]) / (1 - alphas_cumprod[t]) ** 0.5
        x_T = (x_T - pull * eps) / ratio[t - 1] ** 0.5 + sizes[t - 1] * z[t]
    return x_T

# %% tags=["wrong:walk_back"] expect="The last step, from x_1 to x_0, adds noise"
def walk_back(predict_eps, x_T, alphas_cumprod, z):
    x = x_T
    for t in range(len(alphas_cumprod) - 1, 0, -1):
        a, alpha = alphas_cumprod[t], alphas_cumprod[t] / alphas_cumprod[t - 1]
        eps = predict_eps(x, torch.full((len(x),), t))
        x = (x - (1 - alpha) / (1 - a).sqrt() * eps) / alpha.sqrt()
        x = x + (1 - alpha).sqrt() * z[t]
    return x

# %% tags=["wrong:walk_back"] expect="That is the large variance"
def walk_back(predict_eps, x_T, alphas_cumprod, z):
    x = x_T
    for t in range(len(alphas_cumprod) - 1, 0, -1):
        a, alpha = alphas_cumprod[t], alphas_cumprod[t] / alphas_cumprod[t - 1]
        eps = predict_eps(x, torch.full((len(x),), t))
        x = (x - (1 - alpha) / (1 - a).sqrt() * eps) / alpha.sqrt()
        if t > 1:
            x = x + (1 - alpha).sqrt() * z[t]
    return x

# %% tags=["wrong:walk_back"] expect="You multiply z by the variance"
def walk_back(predict_eps, x_T, alphas_cumprod, z):
    x = x_T
    for t in range(len(alphas_cumprod) - 1, 0, -1):
        a, s = alphas_cumprod[t], alphas_cumprod[t - 1]
        eps = predict_eps(x, torch.full((len(x),), t))
        x = (x - (1 - a / s) / (1 - a).sqrt() * eps) / (a / s).sqrt()
        x = x + (1 - s) / (1 - a) * (1 - a / s) * z[t]
    return x

# %% tags=["wrong:walk_back"] expect="The noise of one row moves the other rows"
def walk_back(predict_eps, x_T, alphas_cumprod, z):
    x = x_T
    for t in range(len(alphas_cumprod) - 1, 0, -1):
        a, s = alphas_cumprod[t], alphas_cumprod[t - 1]
        eps = predict_eps(x, torch.full((len(x),), t))
        x = (x - (1 - a / s) / (1 - a).sqrt() * eps) / (a / s).sqrt()
        x = x + ((1 - s) / (1 - a) * (1 - a / s)).sqrt() * z[t][0]
    return x

# %% tags=["wrong:walk_back"] expect="Every step but the last has noise of its own"
def walk_back(predict_eps, x_T, alphas_cumprod, z):
    x, T = x_T, len(alphas_cumprod) - 1
    for t in range(T, 0, -1):
        a, s = alphas_cumprod[t], alphas_cumprod[t - 1]
        eps = predict_eps(x, torch.full((len(x),), t))
        x = (x - (1 - a / s) / (1 - a).sqrt() * eps) / (a / s).sqrt()
        x = x + ((1 - s) / (1 - a) * (1 - a / s)).sqrt() * z[T]
    return x

# %% tags=["wrong:walk_back"] expect="so the first one uses z[4]"
def walk_back(predict_eps, x_T, alphas_cumprod, z):
    x = x_T
    for t in range(len(alphas_cumprod) - 1, 0, -1):
        a, s = alphas_cumprod[t], alphas_cumprod[t - 1]
        eps = predict_eps(x, torch.full((len(x),), t))
        x = (x - (1 - a / s) / (1 - a).sqrt() * eps) / (a / s).sqrt()
        x = x + ((1 - s) / (1 - a) * (1 - a / s)).sqrt() * z[t - 1]
    return x

# %% tags=["wrong:walk_back"] expect="It begins in the noise"
def walk_back(predict_eps, x_T, alphas_cumprod, z):
    x = x_T
    for t in range(1, len(alphas_cumprod)):
        a, s = alphas_cumprod[t], alphas_cumprod[t - 1]
        eps = predict_eps(x, torch.full((len(x),), t))
        x = (x - (1 - a / s) / (1 - a).sqrt() * eps) / (a / s).sqrt()
        x = x + ((1 - s) / (1 - a) * (1 - a / s)).sqrt() * z[t]
    return x

# %% tags=["wrong:walk_back"] expect="From x_1 there is one more step"
def walk_back(predict_eps, x_T, alphas_cumprod, z):
    x = x_T
    for t in range(len(alphas_cumprod) - 1, 1, -1):
        a, s = alphas_cumprod[t], alphas_cumprod[t - 1]
        eps = predict_eps(x, torch.full((len(x),), t))
        x = (x - (1 - a / s) / (1 - a).sqrt() * eps) / (a / s).sqrt()
        x = x + ((1 - s) / (1 - a) * (1 - a / s)).sqrt() * z[t]
    return x

# %% tags=["wrong:walk_back"] expect="so T is 4"
def walk_back(predict_eps, x_T, alphas_cumprod, z):
    x = x_T
    for t in range(len(alphas_cumprod) - 2, 0, -1):
        a, s = alphas_cumprod[t], alphas_cumprod[t - 1]
        eps = predict_eps(x, torch.full((len(x),), t))
        x = (x - (1 - a / s) / (1 - a).sqrt() * eps) / (a / s).sqrt()
        x = x + ((1 - s) / (1 - a) * (1 - a / s)).sqrt() * z[t]
    return x

# %% tags=["wrong:walk_back"] expect="the state *before* the step"
def walk_back(predict_eps, x_T, alphas_cumprod, z):
    x = x_T
    for t in range(len(alphas_cumprod) - 1, 0, -1):
        a, s = alphas_cumprod[t], alphas_cumprod[t - 1]
        eps = predict_eps(x, torch.full((len(x),), t - 1))
        x = (x - (1 - a / s) / (1 - a).sqrt() * eps) / (a / s).sqrt()
        x = x + ((1 - s) / (1 - a) * (1 - a / s)).sqrt() * z[t]
    return x

# %% tags=["wrong:walk_back"] expect="one whole t for each row"
def walk_back(predict_eps, x_T, alphas_cumprod, z):
    x = x_T
    for t in range(len(alphas_cumprod) - 1, 0, -1):
        a, s = alphas_cumprod[t], alphas_cumprod[t - 1]
        eps = predict_eps(x, t)
        x = (x - (1 - a / s) / (1 - a).sqrt() * eps) / (a / s).sqrt()
        x = x + ((1 - s) / (1 - a) * (1 - a / s)).sqrt() * z[t]
    return x

# %% tags=["wrong:walk_back"] expect="each step only undoes the shrinking"
def walk_back(predict_eps, x_T, alphas_cumprod, z):
    x = x_T
    for t in range(len(alphas_cumprod) - 1, 0, -1):
        a, s = alphas_cumprod[t], alphas_cumprod[t - 1]
        eps = predict_eps(x, torch.full((len(x),), t))
        x = (x - (1 - a / s) / (1 - a).sqrt() * eps) / a.sqrt()
        x = x + ((1 - s) / (1 - a) * (1 - a / s)).sqrt() * z[t]
    return x

# %% tags=["wrong:walk_back"] expect="the part of the mean with ε"
def walk_back(predict_eps, x_T, alphas_cumprod, z):
    x = x_T
    for t in range(len(alphas_cumprod) - 1, 0, -1):
        a, s = alphas_cumprod[t], alphas_cumprod[t - 1]
        eps = predict_eps(x, torch.full((len(x),), t))
        x = (x - (1 - a / s) / (1 - a) * eps) / (a / s).sqrt()
        x = x + ((1 - s) / (1 - a) * (1 - a / s)).sqrt() * z[t]
    return x

# %% tags=["wrong:walk_back"] expect="noise of your own"
def walk_back(predict_eps, x_T, alphas_cumprod, z):
    x = x_T
    for t in range(len(alphas_cumprod) - 1, 0, -1):
        abar_t, abar_s = alphas_cumprod[t], alphas_cumprod[t - 1]
        alpha = abar_t / abar_s
        beta = 1 - alpha
        eps = predict_eps(x, torch.full((len(x),), t))
        x = (x - beta / (1 - abar_t).sqrt() * eps) / alpha.sqrt()
        if t > 1:
            x = x + ((1 - abar_s) / (1 - abar_t) * beta).sqrt() * torch.randn_like(x)
    return x

# %% [markdown]
# ## Your walk, on eight Gaussians
#
# Now a small experiment with what you wrote: your `expected_x0` is the "network", your `walk_back` walks. The data are the eight Gaussians of the lecture, but **one of them has half of all the
# weight**.
#
# **Predict.** With 1000 steps: will half of the points end there? With 10 steps, what will the clouds look like: too wide, too narrow, or only in the wrong places? The pictures come when exercises 2 and 4
# are ✅.

# %%
from helpers.plots import scatter
from helpers.schedules import linear

angles = torch.arange(8) * torch.pi / 4
means = 1.4 * torch.stack([angles.cos(), angles.sin()], 1)       # (8, 2)
stds = torch.full((8,), 0.1)
weights = torch.tensor([0.5] + [0.5 / 7] * 7)               # half: the one on the right


def walk_with(count, n=2000):
    """Your walk in `count` steps, on a table thinned out from DDPM's 1000 steps."""
    kept = torch.linspace(0, 1000, count + 1).round().long()
    table = linear().alphas_cumprod[kept].float()

    def predict_eps(x, t):
        abar = table[t[0]]
        guess = expected_x0(x, float(abar), means, stds, weights)
        return (x - abar.sqrt() * guess) / (1 - abar).sqrt()

    g = torch.Generator().manual_seed(0)
    z = torch.randn(count + 1, n, 2, generator=g)
    return walk_back(predict_eps, torch.randn(n, 2, generator=g), table, z)


# %%
if check.expected_x0.passed and check.walk_back.passed:
    counts = [3, 10, 50, 1000]
    ends = [walk_with(count) for count in counts]
    scatter(ends, [f"{count} steps" for count in counts], side=2.2)
    for count, end in zip(counts, ends):
        away, k = torch.cdist(end, means).min(1)
        heavy, off = (k == 0).float().mean(), (away > 0.3).float().mean()
        print(f"{count:5d} steps: {heavy:.0%} at the heavy one, {off:.0%} off,",
              f"width {(end - means[k]).std():.3f}")

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# With 1000 steps half of the points end at the heavy one, as they should (49 %), and the width is nearly right (0.095 for 0.1). With 50 steps hardly any point is off (10 of 2000, as with 1000 steps), but the clouds are *too narrow*: $\tilde\beta_t$ is smaller than the true variance of a
# large step. With 10 steps one point in five lies *between* two Gaussians: the true step has two hills there, and a Gaussian step has one. With 3 steps five of six are off.
#
# </details>

# %% [markdown] tags=["solution-only"]
# **For the lecturer.** Exercises 1 and 3 give the same mean: put $x_0 = (x_t-\sqrt{1-\bar\alpha_t}\,\varepsilon)/\sqrt{\bar\alpha_t}$ into exercise 1. In exercise 2 expect $v$ without $s^2$ and $1/\sqrt{v}$ for $1/v$.

# %% [markdown]
# ## Where you stand

# %%
check.summary()
