# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Homework {{number}} · DDPM
#
# {{badge}}
#
# You write four pieces of the machine: the look-up by attention, the walk through a U-Net, the loss, and a score. At the end your own score judges four "models" of handwritten digits, and you
# say which of them cheats.
#
# **Time:** about 75 minutes. Nothing here needs a graphics card.
#
# **Before:** lecture {{session:ddpm}}, sections 1, 2, 3 and 6.

# %% tags=["setup"]
from helpers import course
from helpers.checks import ddpm as check

course.setup()

# %%
import torch

# %% [markdown]
# ## 1 · Attention
#
# Each query reads all values; how much of each, the keys decide:
#
# $$\text{Attention}(Q,K,V) = \text{softmax}\!\left(\frac{QK^\top}{\sqrt d}\right)V$$
#
# The rows of $Q$ are the queries, those of $K$ the keys, those of $V$ the values. $d$ is the length of one key. The weights of *one query* add up to 1.
#
# *Lecture: section 1.* Useful: `A @ B` multiplies matrices, `A.T` is $A^\top$, `A.softmax(dim=…)`. Write it yourself, without `scaled_dot_product_attention`.

# %% tags=["answer:attention"]
def attention(q, k, v):
    """q (N, d), k (M, d), v (M, c). Returns the answers, a tensor (N, c)."""
    # <solution>
    weights = (q @ k.T / k.shape[1] ** 0.5).softmax(dim=1)   # (N, M)
    return weights @ v
    # </solution>

# %% tags=["check:attention"]
check.attention(attention)

# %% tags=["second:attention"]
def attention(q, k, v):
    rows = []
    for one in q:                                            # a query after the other
        scores = (k * one).sum(1) / len(one) ** 0.5
        fit = torch.exp(scores - scores.max())
        rows.append((fit[:, None] * v).sum(0) / fit.sum())
    return torch.stack(rows)

# %% tags=["second:attention"]
def attention(q, k, v):
    return torch.nn.functional.scaled_dot_product_attention(q[None], k[None], v[None])[0]

# %% tags=["wrong:attention"] expect="what are they divided by?"
def attention(q, k, v):
    return (q @ k.T).softmax(1) @ v

# %% tags=["wrong:attention"] expect="You divide by d."
def attention(q, k, v):
    return (q @ k.T / q.shape[1]).softmax(1) @ v

# %% tags=["wrong:attention"] expect="You multiply by √d"
def attention(q, k, v):
    return (q @ k.T * q.shape[1] ** 0.5).softmax(1) @ v

# %% tags=["wrong:attention"] expect="the root of the number of keys"
def attention(q, k, v):
    return (q @ k.T / len(k) ** 0.5).softmax(1) @ v

# %% tags=["wrong:attention"] expect="Along which axis"
def attention(q, k, v):
    return (q @ k.T / q.shape[1] ** 0.5).softmax(0) @ v

# %% tags=["wrong:attention"] expect="Soft, not hard"
def attention(q, k, v):
    return v[(q @ k.T).argmax(1)]

# %% tags=["wrong:attention"] expect="Do you divide by the sum of the scores"
def attention(q, k, v):
    scores = q @ k.T / q.shape[1] ** 0.5
    return scores / scores.sum(1, keepdim=True) @ v

# %% tags=["wrong:attention"] expect="Scores are not yet weights"
def attention(q, k, v):
    return q @ k.T / q.shape[1] ** 0.5 @ v

# %% tags=["wrong:attention"] expect="should be a torch tensor of shape (1, 1)"
def attention(q, k, v):
    return (q @ k.T / q.shape[1] ** 0.5).softmax(1) @ k

# %% tags=["wrong:attention"] expect="Do the keys have a part"
def attention(q, k, v):
    return (q @ q.T / q.shape[1] ** 0.5).sum(1, keepdim=True).expand(-1, len(k)).softmax(1) @ v

# %% tags=["wrong:attention"] expect="add up to less than 1"
def attention(q, k, v):
    return (q @ k.T).softmax(dim=1) / k.shape[1] ** 0.5 @ v

# %% [markdown]
# ## 2 · The walk through a U-Net
#
# Here a U-Net is given as ready functions, and you write the walk. `x` comes from the first convolution.
#
# - On the way down, call the functions of `down` one after the other. Lay on the stack what came from the first convolution, *and* what each of them made.
# - Then `middle`.
# - On the way up, `up` is a list of pairs `(takes_skip, stage)`. If `takes_skip` is True, the stage reads its own picture *and* the top of the stack, put beside each other along the channels, its own first. If it is False (the one that doubles the side), it reads
#   only its own.
#
# Return what the last one made. *Lecture: section 2, `walk_through`.* Useful: `list.append`, `list.pop`, `torch.cat`.

# %% tags=["answer:u_net"]
def u_net(x, down, middle, up):
    """x (B, C, H, W); down: functions; middle: a function;

    up: pairs (takes_skip, function). Returns a picture (B, C, H, W).
    """
    # <solution>
    stack = [x]
    for stage in down:
        x = stage(x)
        stack.append(x)
    x = middle(x)
    for takes_skip, stage in up:
        if takes_skip:
            x = torch.cat([x, stack.pop()], dim=1)
        x = stage(x)
    return x
    # </solution>

# %% tags=["check:u_net"]
check.u_net(u_net)

# %% tags=["second:u_net"]
def u_net(x, down, middle, up):
    def go(x, stages):                                       # all that was made, in order
        return [x] + (go(stages[0](x), stages[1:]) if stages else [])

    laid = go(x, list(down))
    x, top = middle(laid[-1]), len(laid)
    for takes_skip, stage in up:
        top -= takes_skip
        x = stage(torch.cat((x, laid[top]), 1) if takes_skip else x)
    return x

# %% tags=["wrong:u_net"] expect="what was laid down *first*"
def u_net(x, down, middle, up):
    queue = [x]
    for stage in down:
        queue.append(x := stage(x))
    x = middle(x)
    for takes_skip, stage in up:
        x = stage(torch.cat([x, queue.pop(0)], 1) if takes_skip else x)
    return x

# %% tags=["wrong:u_net"] expect="Take it *off* the stack"
def u_net(x, down, middle, up):
    skips = [x]
    for stage in down:
        skips.append(x := stage(x))
    x = middle(x)
    for takes_skip, stage in up:
        x = stage(torch.cat([x, skips[-1]], 1) if takes_skip else x)
    return x

# %% tags=["wrong:u_net"] expect="Lay down what it made"
def u_net(x, down, middle, up):
    skips = [x]
    for stage in down:
        skips.append(x)
        x = stage(x)
    x = middle(x)
    for takes_skip, stage in up:
        x = stage(torch.cat([x, skips.pop()], 1) if takes_skip else x)
    return x

# %% tags=["wrong:u_net"] expect="Did you add them?"
def u_net(x, down, middle, up):
    skips = [x]
    for stage in down:
        skips.append(x := stage(x))
    x = middle(x)
    for takes_skip, stage in up:
        x = stage(x + skips.pop() if takes_skip else x)
    return x

# %% tags=["wrong:u_net"] expect="along the *channels*"
def u_net(x, down, middle, up):
    skips = [x]
    for stage in down:
        skips.append(x := stage(x))
    x = middle(x)
    for takes_skip, stage in up:
        x = stage(torch.cat([x, skips.pop()]) if takes_skip else x)
    return x

# %% tags=["wrong:u_net"] expect="own first"
def u_net(x, down, middle, up):
    skips = [x]
    for stage in down:
        skips.append(x := stage(x))
    x = middle(x)
    for takes_skip, stage in up:
        x = stage(torch.cat([skips.pop(), x], 1) if takes_skip else x)
    return x

# %% tags=["wrong:u_net"] expect="Ask the flag"
def u_net(x, down, middle, up):
    skips = [x]
    for stage in down:
        skips.append(x := stage(x))
    x = middle(x)
    for _, stage in up:
        x = stage(torch.cat([x, skips.pop()], 1))
    return x

# %% tags=["wrong:u_net"] expect="Where is the middle?"
def u_net(x, down, middle, up):
    skips = [x]
    for stage in down:
        skips.append(x := stage(x))
    for takes_skip, stage in up:
        x = stage(torch.cat([x, skips.pop()], 1) if takes_skip else x)
    return x

# %% tags=["wrong:u_net"] expect="pop from empty list" expect-status="error"
def u_net(x, down, middle, up):
    skips = []
    for stage in down:
        skips.append(x := stage(x))
    x = middle(x)
    for takes_skip, stage in up:
        x = stage(torch.cat([x, skips.pop()], 1) if takes_skip else x)
    return x

# %% tags=["wrong:u_net"] expect="what the middle made"
def u_net(x, down, middle, up):
    stack = [x]
    for stage in [*down, middle]:
        x = stage(x)
        stack.append(x)
    for takes_skip, stage in up:
        if takes_skip:
            x = torch.cat([x, stack.pop()], dim=1)
        x = stage(x)
    return x

# %% [markdown]
# ## 3 · Algorithm 1
#
# Write one step of the training: draw a step $t\in\{1,\dots,T\}$ **for each picture** and noise $\varepsilon\sim\mathcal N(0,I)$, make $x_t$, let the network guess, and return the mean squared error of the guess, over all pictures and pixels:
#
# $$\text{mean of}\ \Big(\varepsilon - \varepsilon_\theta\big(\sqrt{\bar\alpha_t}\,x_0+\sqrt{1-\bar\alpha_t}\,\varepsilon,\ t\big)\Big)^2$$
#
# `alphas_cumprod` is the table of $\bar\alpha$, with $T+1$ entries: `alphas_cumprod[t]` is $\bar\alpha_t$, and `alphas_cumprod[0]` is 1, the clean end. Pictures are $(B, C, H, W)$: `.view(-1, 1, 1, 1)` gives a tensor of $B$ numbers the right shape to multiply them.
#
# *Lecture: section 3.* Useful: `torch.randint(low, high, (n,))` draws from low to high − 1.

# %% tags=["answer:training_loss"]
def training_loss(network, x0, alphas_cumprod):
    """network(x_t, t) → ε; x0 (B, C, H, W); alphas_cumprod (T+1,).

    Returns the loss, a tensor with one number.
    """
    # <solution>
    t = torch.randint(1, len(alphas_cumprod), (len(x0),))
    eps = torch.randn_like(x0)
    abar = alphas_cumprod[t].view(-1, 1, 1, 1)
    guess = network(abar.sqrt() * x0 + (1 - abar).sqrt() * eps, t)
    return (eps - guess).square().mean()
    # </solution>

# %% tags=["check:training_loss"]
check.training_loss(training_loss)

# %% tags=["second:training_loss"]
def training_loss(network, x0, alphas_cumprod):
    # the helper, with a schedule made from the table
    from helpers.diffusion import Denoiser, diffusion_loss
    from helpers.schedules import from_alphas_cumprod

    table = from_alphas_cumprod(alphas_cumprod[1:])
    return diffusion_loss(Denoiser(network, table, "eps"), x0)

# %% tags=["second:training_loss"]
def training_loss(network, x0, alphas_cumprod):
    T = len(alphas_cumprod) - 1
    t = 1 + (torch.rand(len(x0)) * T).long()
    noise = torch.empty(x0.shape).normal_()
    level = torch.stack([alphas_cumprod[i] for i in t])[:, None, None, None]
    return torch.nn.functional.mse_loss(
        network(x0 * level**0.5 + noise * (1 - level) ** 0.5, t), noise)

# %% tags=["wrong:training_loss"] expect="Some t are 0"
def training_loss(network, x0, alphas_cumprod):
    t = torch.randint(0, len(alphas_cumprod), (len(x0),))
    eps = torch.randn_like(x0)
    a = alphas_cumprod[t].view(-1, 1, 1, 1)
    return (eps - network(a.sqrt() * x0 + (1 - a).sqrt() * eps, t)).square().mean()

# %% tags=["wrong:training_loss"] expect="The upper end of randint"
def training_loss(network, x0, alphas_cumprod):
    t = torch.randint(1, len(alphas_cumprod) - 1, (len(x0),))
    eps = torch.randn_like(x0)
    a = alphas_cumprod[t].view(-1, 1, 1, 1)
    return (eps - network(a.sqrt() * x0 + (1 - a).sqrt() * eps, t)).square().mean()

# %% tags=["wrong:training_loss"] expect="Draw one for each"
def training_loss(network, x0, alphas_cumprod):
    t = torch.randint(1, len(alphas_cumprod), (1,)).expand(len(x0))
    eps = torch.randn_like(x0)
    a = alphas_cumprod[t].view(-1, 1, 1, 1)
    return (eps - network(a.sqrt() * x0 + (1 - a).sqrt() * eps, t)).square().mean()

# %% tags=["wrong:training_loss"] expect="by ᾱ_t itself"
def training_loss(network, x0, alphas_cumprod):
    t = torch.randint(1, len(alphas_cumprod), (len(x0),))
    eps = torch.randn_like(x0)
    a = alphas_cumprod[t].view(-1, 1, 1, 1)
    return (eps - network(a * x0 + (1 - a) * eps, t)).square().mean()

# %% tags=["wrong:training_loss"] expect="by 1 − ᾱ_t itself"
def training_loss(network, x0, alphas_cumprod):
    t = torch.randint(1, len(alphas_cumprod), (len(x0),))
    eps = torch.randn_like(x0)
    a = alphas_cumprod[t].view(-1, 1, 1, 1)
    return (eps - network(a.sqrt() * x0 + (1 - a) * eps, t)).square().mean()

# %% tags=["wrong:training_loss"] expect="changed places"
def training_loss(network, x0, alphas_cumprod):
    t = torch.randint(1, len(alphas_cumprod), (len(x0),))
    eps = torch.randn_like(x0)
    a = alphas_cumprod[t].view(-1, 1, 1, 1)
    return (eps - network((1 - a).sqrt() * x0 + a.sqrt() * eps, t)).square().mean()

# %% tags=["wrong:training_loss"] expect="which is ᾱ_2"
def training_loss(network, x0, alphas_cumprod):
    t = torch.randint(1, len(alphas_cumprod), (len(x0),))
    eps = torch.randn_like(x0)
    a = alphas_cumprod[t - 1].view(-1, 1, 1, 1)
    return (eps - network(a.sqrt() * x0 + (1 - a).sqrt() * eps, t)).square().mean()

# %% tags=["wrong:training_loss"] expect="Your noise is not Gaussian"
def training_loss(network, x0, alphas_cumprod):
    t = torch.randint(1, len(alphas_cumprod), (len(x0),))
    eps = torch.rand_like(x0)
    a = alphas_cumprod[t].view(-1, 1, 1, 1)
    return (eps - network(a.sqrt() * x0 + (1 - a).sqrt() * eps, t)).square().mean()

# %% tags=["wrong:training_loss"] expect="Do you draw the noise twice?"
def training_loss(network, x0, alphas_cumprod):
    t = torch.randint(1, len(alphas_cumprod), (len(x0),))
    a = alphas_cumprod[t].view(-1, 1, 1, 1)
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * torch.randn_like(x0)
    return (torch.randn_like(x0) - network(x_t, t)).square().mean()

# %% tags=["wrong:training_loss"] expect="shown the clean pictures"
def training_loss(network, x0, alphas_cumprod):
    t = torch.randint(1, len(alphas_cumprod), (len(x0),))
    eps = torch.randn_like(x0)
    return (eps - network(x0, t)).square().mean()

# %% tags=["wrong:training_loss"] expect="you compare with x_0"
def training_loss(network, x0, alphas_cumprod):
    t = torch.randint(1, len(alphas_cumprod), (len(x0),))
    eps = torch.randn_like(x0)
    a = alphas_cumprod[t].view(-1, 1, 1, 1)
    return (x0 - network(a.sqrt() * x0 + (1 - a).sqrt() * eps, t)).square().mean()

# %% tags=["wrong:training_loss"] expect="a sum. Take the mean."
def training_loss(network, x0, alphas_cumprod):
    t = torch.randint(1, len(alphas_cumprod), (len(x0),))
    eps = torch.randn_like(x0)
    a = alphas_cumprod[t].view(-1, 1, 1, 1)
    return (eps - network(a.sqrt() * x0 + (1 - a).sqrt() * eps, t)).square().sum()

# %% tags=["wrong:training_loss"] expect="the mean *absolute* error"
def training_loss(network, x0, alphas_cumprod):
    t = torch.randint(1, len(alphas_cumprod), (len(x0),))
    eps = torch.randn_like(x0)
    a = alphas_cumprod[t].view(-1, 1, 1, 1)
    return (eps - network(a.sqrt() * x0 + (1 - a).sqrt() * eps, t)).abs().mean()

# %% tags=["wrong:training_loss"] expect="the root of the mean square"
def training_loss(network, x0, alphas_cumprod):
    t = torch.randint(1, len(alphas_cumprod), (len(x0),))
    eps = torch.randn_like(x0)
    a = alphas_cumprod[t].view(-1, 1, 1, 1)
    return (eps - network(a.sqrt() * x0 + (1 - a).sqrt() * eps, t)).square().mean().sqrt()

# %% tags=["wrong:training_loss"] expect="no gradient can flow"
def training_loss(network, x0, alphas_cumprod):
    t = torch.randint(1, len(alphas_cumprod), (len(x0),))
    eps = torch.randn_like(x0)
    a = alphas_cumprod[t].view(-1, 1, 1, 1)
    return (eps - network(a.sqrt() * x0 + (1 - a).sqrt() * eps, t)).square().mean().item()

# %% tags=["wrong:training_loss"] expect="one whole t for each picture"
def training_loss(network, x0, alphas_cumprod):
    t = torch.randint(1, len(alphas_cumprod), (len(x0),))
    eps = torch.randn_like(x0)
    a = alphas_cumprod[t].view(-1, 1, 1, 1)
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    return (eps - network(x_t, t / len(alphas_cumprod))).square().mean()

# %% tags=["wrong:training_loss"] expect="each pixel has its own"
def training_loss(network, x0, alphas_cumprod):
    t = torch.randint(1, len(alphas_cumprod), (len(x0),))
    eps = torch.randn(len(x0), 1, 1, 1)
    abar = alphas_cumprod[t].view(-1, 1, 1, 1)
    guess = network(abar.sqrt() * x0 + (1 - abar).sqrt() * eps, t)
    return (eps - guess).square().mean()

# %% tags=["wrong:training_loss"] expect="equally frequent"
def training_loss(network, x0, alphas_cumprod):
    T = len(alphas_cumprod) - 1
    t = (torch.rand(len(x0)) * (T - 1) + 1).round().long()
    eps = torch.randn_like(x0)
    abar = alphas_cumprod[t].view(-1, 1, 1, 1)
    guess = network(abar.sqrt() * x0 + (1 - abar).sqrt() * eps, t)
    return (eps - guess).square().mean()

# %% tags=["wrong:training_loss"] expect="the noise is missing"
def training_loss(network, x0, alphas_cumprod):
    t = torch.randint(1, len(alphas_cumprod), (len(x0),))
    eps = torch.randn_like(x0)
    guess = network(alphas_cumprod[t].sqrt().view(-1, 1, 1, 1) * x0, t)
    return (eps - guess).square().mean()

# %% [markdown]
# ## 4 · Precision and recall
#
# Around each point of a set draw a ball that just reaches its $k$-th nearest neighbour **in its own set** (the point itself does not count).
#
# - **Precision**: the share of the *samples* (`fake`) that lie in at least one ball of a *real* point.
# - **Recall**: the share of the *real* points that lie in at least one ball of a *sample*.
#
# *Lecture: section 6, `covered`.* Useful: `torch.cdist(a, b)` gives all distances (N, M); `d.sort(dim=1).values` sorts each row; `(d <= r).any(dim=1)`.

# %% tags=["answer:precision_recall"]
def precision_recall(real, fake, k):
    """real (N, F), fake (M, F): features. Returns two numbers: precision, recall."""
    # <solution>
    def share_inside(points, centres):
        radius = torch.cdist(centres, centres).sort(dim=1).values[:, k]
        inside = torch.cdist(points, centres) <= radius      # (points, centres)
        return inside.any(dim=1).float().mean().item()

    return share_inside(fake, real), share_inside(real, fake)
    # </solution>

# %% tags=["check:precision_recall"]
check.precision_recall(precision_recall)

# %% tags=["second:precision_recall"]
def precision_recall(real, fake, k):
    def reach(points):
        return [sorted(float((p - o).norm()) for o in points)[k] for p in points]

    def hits(points, centres, radii):
        pairs = list(zip(centres, radii))
        return sum(any(float((p - c).norm()) <= r for c, r in pairs) for p in points)

    return (hits(fake, real, reach(real)) / len(fake),
            hits(real, fake, reach(fake)) / len(real))

# %% tags=["second:precision_recall"]
def precision_recall(real, fake, k):
    from helpers import metrics

    return metrics.precision_recall(real, fake, k)

# %% tags=["wrong:precision_recall"] expect="changed places"
def precision_recall(real, fake, k):
    def share(points, by):
        r = torch.cdist(by, by).sort(1).values[:, k]
        return (torch.cdist(points, by) <= r).any(1).float().mean().item()

    return share(real, fake), share(fake, real)

# %% tags=["wrong:precision_recall"] expect="every point finds itself first"
def precision_recall(real, fake, k):
    def share(points, by):
        r = torch.cdist(by, by).sort(1).values[:, k - 1]
        return (torch.cdist(points, by) <= r).any(1).float().mean().item()

    return share(fake, real), share(real, fake)

# %% tags=["wrong:precision_recall"] expect="One is enough"
def precision_recall(real, fake, k):
    def share(points, by):
        r = torch.cdist(by, by).sort(1).values[:, k]
        return (torch.cdist(points, by) <= r).all(1).float().mean().item()

    return share(fake, real), share(real, fake)

# %% tags=["wrong:precision_recall"] expect="around the points you ask about"
def precision_recall(real, fake, k):
    def share(points, by):
        r = torch.cdist(points, points).sort(1).values[:, k]
        return (torch.cdist(points, by) <= r[:, None]).any(1).float().mean().item()

    return share(fake, real), share(real, fake)

# %% tags=["wrong:precision_recall"] expect="the ball of the nearest point"
def precision_recall(real, fake, k):
    def share(points, by):
        r = torch.cdist(by, by).sort(1).values[:, k]
        d, i = torch.cdist(points, by).min(1)
        return (d <= r[i]).float().mean().item()

    return share(fake, real), share(real, fake)

# %% tags=["wrong:precision_recall"] expect="to be of one size"
def precision_recall(real, fake, k):
    def share(points, by):
        r = torch.cdist(by, by).sort(1).values[:, k].max()
        return (torch.cdist(points, by) <= r).any(1).float().mean().item()

    return share(fake, real), share(real, fake)

# %% tags=["wrong:precision_recall"] expect="Is k used?"
def precision_recall(real, fake, k):
    def share(points, by):
        r = torch.cdist(by, by).sort(1).values[:, 1]
        return (torch.cdist(points, by) <= r).any(1).float().mean().item()

    return share(fake, real), share(real, fake)

# %% tags=["wrong:precision_recall"] expect="The distance is the root"
def precision_recall(real, fake, k):
    def share(points, by):
        r = torch.cdist(by, by, p=1).sort(1).values[:, k]
        return (torch.cdist(points, by, p=1) <= r).any(1).float().mean().item()

    return share(fake, real), share(real, fake)

# %% tags=["wrong:precision_recall"] expect="divided by the size of the other set"
def precision_recall(real, fake, k):
    def hits(points, by):
        r = torch.cdist(by, by).sort(1).values[:, k]
        return (torch.cdist(points, by) <= r).any(1).float().sum().item()

    return hits(fake, real) / len(real), hits(real, fake) / len(fake)

# %% tags=["wrong:precision_recall"] expect="shares, between 0 and 1"
def precision_recall(real, fake, k):
    def balls(points, by):
        r = torch.cdist(by, by).sort(1).values[:, k]
        return (torch.cdist(points, by) <= r).float().sum(1).mean().item()

    return balls(fake, real) + 1, balls(real, fake)

# %% [markdown]
# ## Who cheats?
#
# Four "models" of handwritten digits hand in 300 pictures each. We judge them with *your* function, on the 64 pixels as features, against 300 real digits.
#
# - A: other real digits;
# - B: other real digits, but only 0 to 4;
# - C: real digits with noise on every pixel;
# - D: half of the pictures are real, half are only noise.
#
# **Predict.** For B, C and D: which of the two numbers falls, compared with A? Does one of them *rise*? The table comes when exercise 4 is ✅.

# %%
from helpers.data import load_digits

digits, labels = load_digits(8)                              # (1797, 1, 8, 8)
digits = digits.flatten(1)                                   # (1797, 64)
g = torch.Generator().manual_seed(0)
judged_by, others, names = digits[:300], digits[300:], labels[300:]
low = others[names < 5]
noise = torch.randn(300, 64, generator=g)
models = {"A other digits": others[:300], "B only 0 to 4": low[:300],
          "C noisy": others[:300] + 0.4 * noise,
          "D half noise": torch.cat([others[:150], noise[:150]])}

# %%
if check.precision_recall.passed:
    print("n = 300 each, k = 3, seed 0")
    for name, samples in models.items():
        p, r = precision_recall(judged_by, samples, 3)
        print(f"{name:16s} precision {p:.2f}   recall {r:.2f}")

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# A is the floor, 0.68 and 0.68: with 300 points in 64 dimensions a third of the real digits lie in no ball of other real digits.
#
# B keeps its precision (0.66) and loses half of its recall (0.37): what it draws is right, but digits are missing.
#
# C has hardly any precision (0.01), and a recall of **1.00**. This is a fraud: noisy pictures are far from each other, so their balls are huge, and huge balls reach everything. D does the same with half of its pictures: precision 0.38, recall 0.84, more than A.
#
# So one never reads recall alone: junk raises it. Read both, with the floor beside.
#
# </details>

# %% [markdown] tags=["solution-only"]
# **For the lecturer.** Mistakes to expect: in exercise 2 the first picture is not on the stack (`pop from empty list`), in exercise 3 one $t$ for the whole batch, in exercise 4 the point itself counted.

# %% [markdown]
# ## Where you stand

# %%
check.summary()
