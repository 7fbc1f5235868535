# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # {{number}} · DDPM: the whole machine
#
# {{badge}}
#
# Until now a network was three layers for points in the plane. Today we build the network that makes pictures, train it live until
# it writes digits, look at faces, and learn to say *how good* they are with numbers instead of feelings.
#
# At the end you will have made this picture: a row of handwritten digits that grow out of noise while you watch, drawn by a network
# that you have built block by block.
#
# **Time:** 90 minutes; the cells run for about four minutes on two CPU cores, half of it is the live training.
#
# **Before:** sessions {{session:forward_process}} (the jump to $x_t$), {{session:reverse_process}} (the step back) and {{session:elbo}} (where the loss comes from).
#
# | section | minutes | may be skipped |
# |---|---|---|
# | recall | 4 | |
# | 1 · attention: who looks at whom? | 14 | the last two cells |
# | 2 · the U-Net, block by block | 17 | |
# | 3 · two algorithms | 12 | learned variance |
# | 4 · digits, live | 14 | |
# | 5 · faces | 8 | |
# | 6 · how pictures are scored | 15 | |
# | 7 · photographs and many GPUs | 3 | yes |
# | 8 · summary, exit | 3 | |

# %% tags=["setup"]
from helpers import course

course.setup(minutes={{minutes}})

# %% [markdown]
# ## Recall  <small>4 min</small>
#
# Answer aloud, then open.
#
# **1** (session {{session:elbo}}). Which loss is left of the long bound, after all factors have been dropped?
# <details><summary>Answer</summary>
#
# $L_\text{simple} = \mathbb E_{t,x_0,\varepsilon}\,\|\varepsilon - \varepsilon_\theta(x_t, t)\|^2$: draw a step $t$, a picture $x_0$ and noise $\varepsilon$, and let the network guess the noise.
#
# </details>
#
# **2** (session {{session:reverse_process}}). The mean of the step back is a mixture of two things. Of which?
# <details><summary>Answer</summary>
#
# Of where the path began, $x_0$, and of where it is now, $x_t$. We do not know $x_0$, so a network guesses it.
#
# </details>
#
# **3** (session {{session:forward_process}}). $\bar\alpha_t = 0.36$. With which factors are picture and noise mixed in $x_t$?
# <details><summary>Answer</summary>
#
# $\sqrt{0.36} = 0.6$ for the picture, $\sqrt{1-0.36} = 0.8$ for the noise.
#
# </details>

# %% [markdown]
# ## 1 · Attention: who looks at whom?  <small>14 min</small>
#
# Sunglasses have two lenses, and both must have the same shade. But a convolution looks at 3×3 neighbours. How can a place of the picture
# ask a place far away?
#
# Think of a library. You come with a **query** ("a book about lenses, please"). Each book has a **key** on its back ("lens", "hat") and a
# **value** inside, its content. You compare your query with all keys, and read the books that fit.
#
# Here is a picture of five places. Each has a key of two numbers, (how much a lens, how much a hat), and a value: its colour. The left lens is
# still grey noise. It asks for lenses.

# %%
import matplotlib.pyplot as plt
import torch

names = ["left lens", "nose", "right lens", "mouth", "hat"]
keys = torch.tensor([[2.0, 0], [0, 0], [3, 0], [0, 0], [0, 3]])      # (5, 2)
values = torch.tensor([[0.5, 0.5, 0.5], [0.9, 0.7, 0.6], [0.1, 0.3, 0.8],
                       [0.8, 0.4, 0.4], [0.9, 0.8, 0.2]])      # (5, 3) red, green, blue
query = torch.tensor([[3.0, 0]])                             # "I look for a lens"

# %% [markdown]
# *How well does the query fit?* Multiply it with each key and add up: $q\cdot k_j$ is large where both are large in the same place. *How much of each
# book do we read?* The weights must be positive and add up to 1; that is what `softmax` does. *The answer* is the weighted mean of the values:
#
# $$a_{j} = \frac{e^{\,q\cdot k_j/\sqrt d}}{\sum_l e^{\,q\cdot k_l/\sqrt d}},\qquad y = \sum_j a_j\,v_j$$
#
# $d$ is the length of a key, here 2 (why $\sqrt d$ comes in a minute). With all queries as the rows of a matrix $Q$, all keys as rows of $K$, all values as
# rows of $V$ it is one line:
#
# $$\boxed{\;\text{Attention}(Q,K,V) = \text{softmax}\!\left(\frac{QK^\top}{\sqrt d}\right)V\;}\tag{Transformer, eq. 1}$$
#
# **Predict.** The left lens asks for lenses. Two places are lenses, and the right one has the larger key. Which colour comes back?

# %%
def attention(q, k, v):
    """q (N, d), k (M, d), v (M, c): the answers (N, c) and the weights (N, M)."""
    scores = q @ k.T / q.shape[1] ** 0.5                     # (N, M) who fits whom?
    weights = scores.softmax(dim=1)                          # each row adds up to 1
    return weights @ v, weights


answer, weights = attention(query, keys, values)
for name, weight in zip(names, weights[0]):
    print(f"{name:11s} weight {weight:.3f}")
print("answer: red {:.2f}, green {:.2f}, blue {:.2f}".format(*answer[0]))

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# Nearly the blue of the right lens, with a little of the grey. The lens reads mostly the other lens. Nothing here depends on how far apart the two are.
#
# </details>
#
# Checked in three ways: one score in the head ($3\cdot3/\sqrt2 = 6.36$ for the right lens, $4.24$ for the left), the weights, and PyTorch's own function.

# %%
from torch.nn import functional as F

scores = torch.tensor([6.364, 0, 4.243, 0, 0])[[2, 1, 0, 3, 4]]      # by hand
assert torch.allclose(weights[0], scores.exp() / scores.exp().sum(), atol=1e-4)
assert torch.allclose(weights.sum(1), torch.ones(1))
library = F.scaled_dot_product_attention(query[None], keys[None], values[None])[0]
assert torch.allclose(answer, library)
print("by hand = torch.nn.functional.scaled_dot_product_attention")

# %% [markdown]
# How *sharp* is the look? Multiply the query by a number $s$. With $s = 0$ all places weigh the same: a blind mean of all. With a large $s$ only the best key counts:
# a hard look-up.

# %%
from helpers.plots import style
from helpers.widgets import slide

style()


def show_look(axes, s):
    answer, weights = attention(s * query, keys, values)
    axes[0].bar(range(5), weights[0], color=values.tolist(), edgecolor="0.3")
    axes[0].set(ylim=(0, 1), title=f"s = {s:.1f}")
    axes[0].set_xticks(range(5), ["left\nlens", "nose", "right\nlens", "mouth", "hat"],
                       fontsize=8)
    axes[1].imshow(answer[None])
    axes[1].set(xticks=[], yticks=[])


def look(s):
    show_look(plt.subplots(1, 2, figsize=(5, 2), width_ratios=[4, 1])[1], s)
    plt.show()


slide(look, s=(0.0, 4.0, 1.0))

# %%
fig, axes = plt.subplots(2, 4, figsize=(10, 2.8), height_ratios=[3, 1])
for pair, s in zip(axes.T, (0.0, 0.3, 1.0, 4.0)):
    show_look(pair, s)
axes[0, 0].set_ylabel("weight")
axes[1, 0].set_ylabel("answer", rotation=0, ha="right", va="center")
plt.show()
assert torch.allclose(attention(0 * query, keys, values)[0][0], values.mean(0))
assert torch.allclose(attention(50 * query, keys, values)[0][0], values[2])

# %% [markdown]
# **Why divide by $\sqrt d$?**
#
# **Predict.** $q$ and $k$ have $d = 64$ independent numbers, each with mean 0 and variance 1. How large is the variance of $q\cdot k$: 1, 8 or 64?

# %%
g = torch.Generator().manual_seed(0)
q, k = torch.randn(2, 1000, 64, generator=g)
dots = q @ k.T
print(f"variance of q·k: {dots.var():.1f}, divided by √d: {(dots / 8).var():.2f}")
with_root = (dots / 8).softmax(1).max(1).values.mean()
without = dots.softmax(1).max(1).values.mean()
print(f"largest of 1000 weights, on average: {with_root:.3f} with √d,",
      f"{without:.3f} without")
assert abs(dots.var() - 64) < 2 and without > 10 * with_root

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# 64. Each product $q_ik_i$ has variance $1\cdot1 = 1$, and variances add. So the spread of the scores grows with $\sqrt d$, and with it the sharpness $s$ from above:
# a network with long keys would look mostly at one place from its first day on. The division brings the spread back to 1.
#
# Without the root the largest of a thousand weights takes most of everything, before anything has been learned.
#
# </details>
#
# **Attention in a picture.** Where do queries, keys and values come from? Every place of the picture has a vector $x$ of $C$ numbers, its *channels*. Three learned matrices make
# of it what it asks, what it offers, and what it says:
#
# $$q = W_q\,x,\qquad k = W_k\,x,\qquad v = W_v\,x$$
#
# Every place asks every place: this is **self-attention**. Three details of the layer in our network: the channels are cut into several **heads**, so that a place can ask several
# questions at once; a last matrix mixes the heads; and the answer is *added* to $x$. That last matrix begins at zero, so a new layer changes nothing and learns what to add.

# %%
from helpers.layers import SelfAttention


def self_attention(layer, x):
    """The layer by hand, head after head; x (C, H, W)."""
    C, H, W = x.shape
    places = layer.norm(x[None])[0].reshape(C, H * W).T      # (HW, C)
    Wq, Wk, Wv = layer.qkv.weight[:, :, 0, 0].chunk(3)       # (C, C) each
    bq, bk, bv = layer.qkv.bias.chunk(3)
    q, k, v = places @ Wq.T + bq, places @ Wk.T + bk, places @ Wv.T + bv
    heads = [part.chunk(layer.heads, dim=1) for part in (q, k, v)]
    read = [attention(*head)[0] for head in zip(*heads)]     # heads × (HW, C/heads)
    mixed = torch.cat(read, 1) @ layer.out.weight[:, :, 0, 0].T + layer.out.bias
    return x + mixed.T.reshape(C, H, W)


torch.manual_seed(0)
layer, x = SelfAttention(32, heads=4), torch.randn(1, 32, 8, 8)
with torch.no_grad():
    assert torch.equal(layer(x), x)                          # new: changes nothing
    layer.out.weight.normal_(std=0.1)
    assert torch.allclose(self_attention(layer, x[0]), layer(x)[0], atol=1e-5)
print("by hand = helpers.layers.SelfAttention")

# %% [markdown]
# (In our layer all places are first brought to a common scale by `norm`; section 2 explains it.)
#
# Two facts. **Attention knows no places:** shuffle the pixels, and the answers are shuffled in the same way. Where something is, it knows only from what convolutions have written into
# the channels. **It is expensive:** $N$ places need $N^2$ weights.

# %%
order = torch.randperm(64, generator=g)
with torch.no_grad():
    mixed_up = x.flatten(2)[:, :, order].reshape(x.shape)    # the same pixels elsewhere
    same = layer(x).flatten(2)[:, :, order].reshape(x.shape)
    assert torch.allclose(layer(mixed_up), same, atol=1e-5)
for side in (8, 16, 32, 64, 256):
    megabytes = (side**2) ** 2 * 4 / 1e6
    print(f"{side:3d}×{side:<3d}  {side**4:13,d} weights  {megabytes:10.2f} MB a head")

# %% [markdown]
# So a U-Net attends only where the picture has become small: 16×16 in the paper, 8×8 in our face model. It attends four times. What does it look at? We noise a
# face up to $t = 500$, let the model clean it, and read the weights. The star asks; bright places are read. (The mean of four heads. Each map has its own colour scale.)

# %%
from helpers.checkpoints import load_card, load_denoiser
from helpers.data import load_faces
from helpers.diffusion import add_noise
from helpers.plots import to_pixels

device = course.device()
predict = load_denoiser("ddpm-faces", device)
face_net, face_schedule = predict.network, predict.schedule
glasses = load_faces("embedded", "test", limit=200)
glasses = glasses.take(torch.where(glasses.column("Eyeglasses") == 1)[0][:3])


def attention_of(layer, face, t=500):
    """The weights (64, 64) of an attention layer, the mean of its heads."""
    caught, t = [], torch.tensor([t])
    hook = layer.register_forward_pre_hook(lambda _, given: caught.append(given[0]))
    eps = torch.randn(face.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        predict(add_noise(face_schedule, face, t, eps).to(device), t)
        hook.remove()
        qkv = layer.qkv(layer.norm(caught[0]))[0].flatten(1).T       # (64, 3C)
        q, k, _ = qkv.chunk(3, dim=1)
        both = zip(q.chunk(layer.heads, 1), k.chunk(layer.heads, 1))
        return sum(attention(a, b, b)[1] for a, b in both).cpu() / layer.heads


# %%
layers = {"way down": face_net.down[-1][1], "middle": face_net.middle[1],
          "way up": face_net.up[0][1], "way up, last": face_net.up[1][1]}
maps = {name: attention_of(part, glasses.images[:1]) for name, part in layers.items()}


def show_map(ax, row, column, layer):
    ax.imshow(to_pixels(glasses.images[0]), extent=(0, 8, 8, 0))
    read = maps[layer][8 * row + column].reshape(8, 8)
    ax.imshow(read, extent=(0, 8, 8, 0), cmap="magma", alpha=0.65, vmin=0)
    ax.plot(column + 0.5, row + 0.5, "*", color="w", ms=13, mec="k")
    ax.set(xticks=[], yticks=[])
    ax.set_title(f"{layer}: ({row}, {column}) asks", fontsize=9)


def one_map(row, column, layer):
    show_map(plt.subplots(figsize=(3, 3.2))[1], row, column, layer)
    plt.show()


slide(one_map, row=(0, 7, 3), column=(0, 7, 2), layer=list(layers))

# %%
fig, axes = plt.subplots(2, 4, figsize=(9, 5))
for line, layer in zip(axes, ("middle", "way up, last")):
    for ax, (row, column) in zip(line, ((0, 0), (3, 2), (4, 4), (7, 1))):
        show_map(ax, row, column, layer)
plt.show()
assert all(torch.allclose(m.sum(1), torch.ones(64), atol=1e-4) for m in maps.values())

# %% [markdown]
# In the *middle* (upper row) nearly everyone reads the same two places, whoever asks: the network uses them as a notice board for what concerns the whole picture. On the *way up* (lower row) it depends on who asks: the corner looks nearly everywhere, a little more along the border,
# the left shoulder reads itself, the **right shoulder**, five places away, and a place at the side of the face, (4, 6), each with about a quarter of its weight. No 3×3 convolution can do that in one step. (A map of weights is a hint, not a proof of what the network "thinks".)

# %% [markdown]
# ## 2 · The U-Net, block by block  <small>17 min</small>
#
# The network of a diffusion model gets a noisy picture and the step $t$, and answers with a picture of the same size: its guess of the noise. It must see the *large* (is
# this a face?) and keep the *fine* (where exactly is this edge?). A **U-Net** goes down to small pictures with many channels, and up again; on the way up each level also gets what was
# seen there on the way down. We build it from four kinds of blocks and the attention of section 1.
#
# **Block 1: which step is it?** One number $t$ is poor food for a network, as we saw in session {{session:reverse_process}}. Give it a clock with many hands, that is sines and cosines from quick to slow:
#
# $$\text{clock}(t) = \big(\cos\omega_0t,\ \dots,\cos\omega_{m-1}t,\ \ \sin\omega_0t,\dots,\sin\omega_{m-1}t\big),\qquad \omega_i = 10000^{-i/m}$$

# %%
from torch import nn

from helpers.layers import sinusoidal_embedding


def clock(t, dim):
    """t (B,) → (B, dim); dim/2 hands, each with a cosine and a sine."""
    m = dim // 2
    omega = torch.tensor([10_000 ** (-i / m) for i in range(m)]).to(t.device)
    angle = t[:, None] * omega                               # (B, m)
    return torch.cat([angle.cos(), angle.sin()], dim=1)


t = torch.arange(0, 1001)
assert torch.allclose(clock(t, 64), sinusoidal_embedding(t, 64), atol=1e-3)

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 2.6), width_ratios=[2, 1])
left.imshow(clock(t, 64).T, aspect="auto", cmap="RdBu", vmin=-1, vmax=1)
left.set(xlabel="step t", ylabel="entry", title="cosines above, sines below")
for at in (100, 500):
    alike = clock(t, 64) @ clock(torch.tensor([at]), 64).T / 32
    right.plot(t, alike, label=f"with t = {at}")
right.set(xlabel="step t", title="how alike are two clocks?")
right.legend(fontsize=8)
plt.show()

# %% [markdown]
# Near steps have similar clocks, far steps do not: the network can do nearly the same at $t = 500$ and $501$. (Right: the product of two clocks, divided by the number of hands; it is 1 for the same
# step.) Two layers then turn the clock into the *embedding* $e$, a vector that all residual blocks get to read.
#
# **Block 2: the residual block.** It does the work. In words: bring to a common scale, bend, convolve; tell it the step; once more; and *add* the result to what came in.
#
# The **common scale** is *group norm*: the channels of a picture are put into groups, and in each group mean and standard deviation, over its channels and all places together, become 0 and 1 (a learned factor and shift for each channel follow). Check it by hand:

# %%
norm = nn.GroupNorm(num_groups=8, num_channels=32)
groups = x.reshape(1, 8, 4 * 8 * 8)                       # 4 channels of 8×8 in a group
centred = groups - groups.mean(2, keepdim=True)
by_hand = centred / (groups.var(2, keepdim=True, correction=0) + 1e-5).sqrt()
assert torch.allclose(norm(x), by_hand.reshape(x.shape), atol=1e-5)
print("group norm by hand = torch.nn.GroupNorm")

# %% [markdown]
# **Telling the step.** From the embedding a matrix makes two numbers for each channel, a *scale* and a *shift*: $h \leftarrow \text{norm}(h)\,(1 + \text{scale}) + \text{shift}$. (The paper of 2020 only adds a shift; scale and
# shift came a year later, in *Improved DDPM*; *Diffusion Models Beat GANs* calls it adaptive group norm.) The bend is **SiLU**, $u/(1+e^{-u})$, a smooth ReLU.

# %%
from helpers.layers import ResidualBlock, group_norm, zero_module


class MyBlock(nn.Module):
    """x (B, C_in, H, W), embedding (B, E) → (B, C_out, H, W)."""

    def __init__(self, c_in, c_out, E):
        super().__init__()
        self.norm1, self.norm2 = group_norm(c_in), group_norm(c_out)
        self.conv1 = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.condition = nn.Linear(E, 2 * c_out)
        self.conv2 = zero_module(nn.Conv2d(c_out, c_out, 3, padding=1))  # begins at 0
        same = c_in == c_out
        self.shortcut = nn.Identity() if same else nn.Conv2d(c_in, c_out, 1)

    def forward(self, x, e):
        h = self.conv1(F.silu(self.norm1(x)))                # (B, C_out, H, W)
        told = self.condition(F.silu(e))[:, :, None, None]   # (B, 2·C_out, 1, 1)
        scale, shift = told.chunk(2, dim=1)
        h = self.norm2(h) * (1 + scale) + shift
        return self.shortcut(x) + self.conv2(F.silu(h))


# %% [markdown]
# **Predict.** `conv2` begins with all its weights at 0. What does a new block with `c_in` = `c_out` do to a picture?

# %%
torch.manual_seed(0)
new, e = MyBlock(32, 32, 128), torch.randn(1, 128)
with torch.no_grad():
    assert torch.equal(new(x, e), x)                         # nothing at all

    helper = ResidualBlock(32, 48, 128)
    for weights in helper.parameters():
        weights.normal_(std=0.1)                             # as if trained
    mine = MyBlock(32, 48, 128)
    mine.load_state_dict(helper.state_dict())         # the same names, the same weights
    assert torch.allclose(mine(x, e), helper(x, e), atol=1e-4)
    assert not torch.allclose(mine(x, e), mine(x, -e), atol=0.1)     # it hears the step
print("MyBlock = helpers.layers.ResidualBlock")

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# Nothing: shortcut plus zero. A deep network of such blocks begins as a simple one, and through the shortcuts the gradient reaches every block.
#
# </details>
#
# **Blocks 3 and 4: down and up.** Down: a convolution that visits every second pixel (*stride* 2). Up: every pixel becomes 2×2 equal ones, and a convolution smooths the edges.

# %%
from helpers.layers import Downsample, Upsample

with torch.no_grad():
    print("down", tuple(x.shape), "→", tuple(Downsample(32)(x).shape))
    print("up  ", tuple(x.shape), "→", tuple(Upsample(32)(x).shape))
tiny = torch.tensor([[1.0, 2], [3, 4]])[None, None]
print(F.interpolate(tiny, scale_factor=2, mode="nearest")[0, 0])

# %% [markdown]
# **All together.** Two levels: `a` channels at full size, `b` channels at half. What each stage gave on the way down is laid on a **stack**, `skips`. On the way up, each block takes the *top* of the
# stack and puts it beside its own picture, so it has more channels to read: what was laid down last is taken first, and so the sizes fit.

# %%
class MyUNet(nn.Module):
    """x (B, channels, H, W), t (B,) → (B, channels, H, W)."""

    def __init__(self, channels=1, a=32, b=64):
        super().__init__()
        E = 4 * a
        self.a = a
        self.time = nn.Sequential(nn.Linear(a, E), nn.SiLU(), nn.Linear(E, E))
        self.first = nn.Conv2d(channels, a, 3, padding=1)

        def part(c_in, c_out, attend):
            look = SelfAttention(c_out) if attend else nn.Identity()
            return nn.ModuleList([MyBlock(c_in, c_out, E), look])

        self.down = nn.ModuleList([part(a, a, False), Downsample(a), part(a, b, True)])
        self.middle = nn.ModuleList(
            [MyBlock(b, b, E), SelfAttention(b), MyBlock(b, b, E)])
        self.up = nn.ModuleList(
            [part(b + b, b, True), part(b + a, b, True), Upsample(b),
             part(b + a, a, False), part(a + a, a, False)])
        last = zero_module(nn.Conv2d(a, channels, 3, padding=1))
        self.last = nn.Sequential(group_norm(a), nn.SiLU(), last)

    def forward(self, x, t):
        return walk_through(self, x, t)


# %%
def walk_through(net, x, t):
    e = net.time(clock(t, net.a))                            # (B, E)
    x = net.first(x)                                         # (B, a, H, W)
    skips = [x]
    for stage in net.down:
        if isinstance(stage, Downsample):
            x = stage(x)
        else:
            block, look = stage
            x = look(block(x, e))
        skips.append(x)                                      # lay it on the stack
    block, look, again = net.middle
    x = again(look(block(x, e)), e)                          # (B, b, H/2, W/2)
    for stage in net.up:
        if isinstance(stage, Upsample):
            x = stage(x)
        else:
            block, look = stage
            x = torch.cat([x, skips.pop()], dim=1)         # take the top, put it beside
            x = look(block(x, e))
    assert not skips                                         # each was used once
    return net.last(x)                                       # (B, channels, H, W)


# %% [markdown]
# Does it equal the U-Net that the next sessions use? We give both the same random weights.

# %%
from helpers.unet import UNet, count_parameters

torch.manual_seed(0)
helper = UNet(channels=1, widths=(32, 64), attention=(1,))
for weights in helper.parameters():
    nn.init.normal_(weights, std=0.05)
mine = MyUNet()
mine.load_state_dict(helper.state_dict())
pictures, t = torch.randn(3, 1, 8, 8), torch.tensor([1, 500, 1000])
with torch.no_grad():
    assert torch.allclose(mine(pictures, t), helper(pictures, t), atol=1e-3)
print(f"MyUNet = helpers.unet.UNet, {count_parameters(mine):,} weights")

# %% [markdown]
# Now the face model, the same with three levels. Two things are new. It first folds each 2×2 pixels into channels (64×64×3 → 32×32×12), which loses nothing and makes the convolutions after it about four times cheaper. And it has a table for *wishes* such as "with glasses" (session {{session:start_here}}), which we leave open here.
#
# We let a picture pass and write down what comes out of every block:

# %%
def trace(network, x, t):
    """Name, kind, output shape (C, H, W) and weights of each block, in order."""
    rows, hooks = [], []
    kinds = (ResidualBlock, SelfAttention, Downsample, Upsample)
    for name, part in network.named_modules():
        if isinstance(part, kinds) or name in ("first", "last"):
            def note(part, given, out, name=name):
                rows.append((name, type(part).__name__, tuple(out.shape[1:]),
                             count_parameters(part)))
            hooks.append(part.register_forward_hook(note))
    with torch.no_grad():
        network(x, t)
    for hook in hooks:
        hook.remove()
    return rows


fresh = UNet(**face_net.config)                              # untrained: same shapes
rows = trace(fresh, torch.zeros(1, 3, 64, 64), torch.tensor([500]))
for name, kind, shape, weights in rows:
    print(f"{name:9s} {kind:14s} {str(shape):15s} {weights:9,d}")
inside = sum(row[3] for row in rows)
rest = count_parameters(fresh) - inside
print(f"{'':24s} clock and wishes {rest:9,d}   together {inside + rest:,d}")

# %%
fig, ax = plt.subplots(figsize=(10, 3.4))
colors = {"ResidualBlock": "C0", "SelfAttention": "C3", "Downsample": "C2",
          "Upsample": "C1"}
place = 0
for _, kind, (C, H, _), _ in rows:
    wide = C / 60
    color = colors.get(kind, "0.6")
    ax.add_patch(plt.Rectangle((place, -H / 2), wide, H, color=color, lw=0))
    ax.text(place + wide / 2, H / 2 + 1, C, ha="center", fontsize=8)
    place += wide + 0.35
for kind, color in colors.items():
    ax.plot([], [], "s", color=color, label=kind)
ax.plot([], [], "s", color="0.6", label="first, last")
ax.set(xlim=(-0.3, place), ylim=(-18, 24), xticks=[])
ax.set_yticks([4, 8, 16], ["8×8", "16×16", "32×32"], fontsize=8)
ax.spines[:].set_visible(False)
ax.legend(fontsize=8, ncols=5, loc="upper center", frameon=False)
ax.set_title("the face model: the height is the side, the number the channels",
             fontsize=10)
plt.show()

# %% [markdown]
# You see where the name comes from (follow the upper edge), and where the weights are: most of them in the small, wide blocks in the middle and on the way up.
#
# **What are the skips for?** We cut them in the trained model: the part that a block gets from the stack is set to zero. (It was not trained for that, so the test is rough: it shows
# *what travels there*, not how good a network without skips could be.)

# %%
blocks = [i for i, s in enumerate(face_net.up) if not isinstance(s, Upsample)]


def belief(face, t, cut=()):
    """The model's guess of x_0, with the skips into these blocks of `up` set to 0."""
    hooks, own = [], face_net.middle[2].conv2.out_channels
    for i in blocks:
        block = face_net.up[i][0]
        if i in cut:
            def silence(block, given, own=own):            # own channels, then the skip
                x, *rest = given
                return torch.cat([x[:, :own], 0 * x[:, own:]], 1), *rest
            hooks.append(block.register_forward_pre_hook(silence))
        own = block.conv2.out_channels
    eps = torch.randn(face.shape, generator=torch.Generator().manual_seed(0))
    x_t = add_noise(face_schedule, face, torch.tensor([t]), eps).to(device)
    with torch.no_grad():
        x0 = predict(x_t, t)[0].clamp(-1, 1).cpu()
    for hook in hooks:
        hook.remove()
    return x_t.cpu(), x0


# %%
from helpers.plots import filmstrip, show_images

face = glasses.images[1:2]
x_t, whole = belief(face, 300)
fine, coarse = belief(face, 300, blocks[-2:])[1], belief(face, 300, blocks[:-2])[1]
filmstrip([face, x_t, whole, fine, coarse],
          ["clean", "noisy, t = 300", "all skips", "fine ones cut", "coarse ones cut"],
          side=1.7)
for name, guess in (("all", whole), ("fine cut", fine), ("coarse cut", coarse)):
    print(f"{name:11s} squared error of the guess {(guess - face).square().mean():.4f}")

# %% [markdown]
# Fine skips cut (those at 32×32): the shapes are right, but the **noise stays in the picture**. To take noise away from a pixel one must know the pixel, and that knowledge travels mainly along the fine skips. Coarse skips cut: the noise goes, but the face becomes pale and loses its glasses and other
# parts: what the picture *shows* travels there. What is cut there reaches the end only in part.

# %% [markdown]
# ## 3 · Two algorithms  <small>12 min</small>
#
# The whole of DDPM stands in two boxes of the paper (Ho et al. 2020). From session {{session:elbo}} we know, in three lines, why: the bound on the likelihood falls into one term for each step; each term compares two Gaussians of the
# same variance, so it is a squared difference of their means; and with the mean written in $\varepsilon$ this is $\|\varepsilon-\varepsilon_\theta\|^2$ times a factor, which DDPM drops.
#
# > **Algorithm 1, training.** Repeat: $\ x_0\sim$ data; $\ t\sim\text{Uniform}\{1,\dots,T\}$; $\ \varepsilon\sim\mathcal N(0,I)$; take a gradient step on
# >
# > $$\big\|\varepsilon - \varepsilon_\theta\big(\sqrt{\bar\alpha_t}\,x_0+\sqrt{1-\bar\alpha_t}\,\varepsilon,\ t\big)\big\|^2$$
#
# **Predict.** A network that always answers 0: how large is its loss, per pixel?

# %%
from helpers.diffusion import Denoiser, diffusion_loss
from helpers.schedules import linear

schedule = linear()                                    # β from 0.0001 to 0.02, T = 1000


def algorithm_1(network, x0, generator):
    """The loss of one training step; x0 (B, C, H, W)."""
    t = torch.randint(1, 1001, (len(x0),), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    abar = schedule.alphas_cumprod.float()[t].view(-1, 1, 1, 1)   # one for each picture
    x_t = abar.sqrt() * x0 + (1 - abar).sqrt() * eps
    return (eps - network(x_t, t)).square().mean()


with torch.no_grad():
    x0 = torch.rand(64, 1, 8, 8, generator=g) * 2 - 1
    mine_says = algorithm_1(mine, x0, torch.Generator().manual_seed(1))
    helper_says = diffusion_loss(Denoiser(helper, schedule, "eps"), x0,
                                 torch.Generator().manual_seed(1))
    assert torch.allclose(mine_says, helper_says, rtol=1e-5)
    zero_says = algorithm_1(lambda x, t: 0 * x, x0, g)
print("Algorithm 1 = helpers.diffusion.diffusion_loss;",
      f"answering 0 costs {zero_says:.2f}")

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# 1, the variance of $\varepsilon$ (measured above on 4,096 drawn numbers). So a loss of 0.05 says: the network knows 95 % of the noise's variance.
#
# </details>
#
# Now back. The mean of the step needs $x_0$; a network that knows $\varepsilon$ knows $x_0 = (x_t-\sqrt{1-\bar\alpha_t}\,\varepsilon)/\sqrt{\bar\alpha_t}$. Put into the $\tilde\mu_t$ of session {{session:reverse_process}} (it was done there line by line), the result is
#
# $$\mu_\theta(x_t,t) = \frac1{\sqrt{\alpha_t}}\left(x_t - \frac{\beta_t}{\sqrt{1-\bar\alpha_t}}\;\varepsilon_\theta(x_t,t)\right)\tag{DDPM, eq. 11}$$
#
# > **Algorithm 2, sampling.** $x_T\sim\mathcal N(0,I)$. For $t = T,\dots,1$: $\ z\sim\mathcal N(0,I)$ if $t>1$, else $z = 0$;
# >
# > $$x_{t-1} = \frac1{\sqrt{\alpha_t}}\left(x_t - \frac{1-\alpha_t}{\sqrt{1-\bar\alpha_t}}\;\varepsilon_\theta(x_t,t)\right) + \sigma_t\,z$$
#
# One thing is left open: $\sigma_t$. The paper tries $\sigma_t^2 = \beta_t$ and $\sigma_t^2 = \tilde\beta_t$. Here is the box in code, with both; and the check that it equals the sampler of the helpers.

# %%
from helpers.diffusion import posterior
from helpers.samplers import last, pairs, sample, timesteps

def algorithm_2(network, schedule, x, generator, variance):
    """x_T (B, …) → x_0; variance "large" is β, "small" is β̃."""
    abar, betas = schedule.alphas_cumprod.tolist(), schedule.betas.tolist()
    for t in range(schedule.steps, 0, -1):
        eps = network(x, torch.full((len(x),), t))
        pull = betas[t] / (1 - abar[t]) ** 0.5
        x = (x - pull * eps) / (1 - betas[t]) ** 0.5
        tilde = (1 - abar[t - 1]) / (1 - abar[t]) * betas[t]
        sigma = (betas[t] if variance == "large" else tilde) ** 0.5
        if t > 1:
            x = x + sigma * torch.randn(x.shape, generator=generator)
    return x


# %%
short, start = linear(50), torch.randn(4, 1, 8, 8, generator=g)
walk = pairs(timesteps(50, 50))                              # (50, 49), …, (1, 0)
for variance in ("large", "small"):
    with torch.no_grad():
        by_hand = algorithm_2(mine, short, start, torch.Generator().manual_seed(2),
                              variance)
    helper_end = last(sample(Denoiser(helper, short), short, start, walk, eta=1,
                             variance=variance, clip=False,
                             generator=torch.Generator().manual_seed(2)))
    assert torch.allclose(by_hand, helper_end.x, atol=1e-2, rtol=1e-2)

t, eps = torch.randint(1, 1001, (64,), generator=g), torch.randn(x0.shape, generator=g)
x_t = add_noise(schedule, x0.double(), t, eps.double())
beta = schedule.betas[t].view(-1, 1, 1, 1)
abar = schedule.alphas_cumprod[t].view(-1, 1, 1, 1)
with_eps = (x_t - beta / (1 - abar).sqrt() * eps) / (1 - beta).sqrt()
assert torch.allclose(with_eps, posterior(schedule, x0.double(), x_t, t)[0])
print("Algorithm 2 = helpers.samplers.sample; eq. 11 = the mean with x_0")

# %% [markdown]
# > **Easily mistaken.** "The network predicts $x_{t-1}$." It predicts the *noise* in $x_t$, and so the end of the journey, $x_0$. The step to $x_{t-1}$ is our arithmetic, and it adds fresh noise.
#
# **Which $\sigma$ is right?** Both, for two extreme kinds of data. Take data on a line, $x_0\sim\mathcal N(0, s^2)$. Then everything is Gaussian and the variance of the true step back, $q(x_{t-1}\mid x_t)$, can be computed as in session {{session:reverse_process}}: precisions add,
#
# $$\frac1{\sigma_t^2} = \frac1{\bar\alpha_{t-1}s^2 + 1-\bar\alpha_{t-1}} + \frac{\alpha_t}{\beta_t}$$
#
# **Predict.** $s = 0$: all data are the same number. $s = 1$: the data look like noise. Which of the two needs the small variance?

# %%
ts = torch.arange(1, 1001)
abar_t, abar_s = schedule.alphas_cumprod[ts], schedule.alphas_cumprod[ts - 1]
beta = schedule.betas[ts]
tilde = (1 - abar_s) / (1 - abar_t) * beta


def true_variance(s):
    """Variance of q(x_{t-1} | x_t) for data N(0, s²), at every t (1000,)."""
    precision = 1 / (abar_s * s**2 + 1 - abar_s) + (1 - beta) / beta
    return 1 / precision


assert torch.allclose(true_variance(1.0), beta)
assert torch.allclose(true_variance(0.0)[1:], tilde[1:])
fake = torch.randn(3, 2_000_000, generator=g)            # and by counting, t = 5, s = ½
x_s = abar_s[4].sqrt() * 0.5 * fake[0] + (1 - abar_s[4]).sqrt() * fake[1]
x_t = (1 - beta[4]).sqrt() * x_s + beta[4].sqrt() * fake[2]
left_over = x_s - (x_s * x_t).mean() / x_t.square().mean() * x_t
print(f"counted {left_over.var():.3e}, formula {true_variance(0.5)[4]:.3e}")
assert abs(left_over.var() / true_variance(0.5)[4] - 1) < 0.01

# %%
def show_variance(ax, s):
    ax.plot(ts, beta / beta, label="β")
    ax.plot(ts, tilde / beta, "--", label="β̃")
    ax.plot(ts, true_variance(s) / beta, color="C3", lw=3, alpha=0.6, label="true")
    ax.set(xscale="log", xlabel="t", ylim=(0, 1.1), title=f"data N(0, s²), s = {s:.2f}")


def variance_of(s):
    ax = plt.subplots(figsize=(4.5, 2.4))[1]
    show_variance(ax, s)
    ax.legend(fontsize=8)
    plt.show()


slide(variance_of, s=(0.0, 0.2, 0.01))

# %%
fig, axes = plt.subplots(1, 4, figsize=(10, 2.3), sharey=True)
for ax, s in zip(axes, (0.0, 0.01, 0.05, 1.0)):
    show_variance(ax, s)
axes[0].set_ylabel("variance / β")
axes[3].legend(fontsize=8, loc="lower right")
plt.show()

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# $s = 0$: if there is only one picture, we know $x_0$, and $\tilde\beta_t$ is exact. $s = 1$: $\beta_t$ is exact. All data in between lie between.
#
# </details>
#
# And all three curves meet for large $t$: with 1000 steps the choice matters only in the last few dozen. That is why DDPM could fix $\sigma_t$ and had similar results with both.
#
# With *few* steps it matters much. DDIM's table 1 gives the FID (section 6) of the same CIFAR-10 network: in 1000 steps 3.17 with the large and 4.73 with the small variance, in 10 steps 367.43 and 41.07. You will see this in section 5.
#
# **Outlook: a learned variance.** *Improved DDPM* (Nichol and Dhariwal 2021, eq. 15) lets the network answer a second number $v$ for each pixel and sets
#
# $$\sigma_t^2 = \exp\big(v\,\log\beta_t + (1-v)\,\log\tilde\beta_t\big)$$
#
# so it can go from one curve to the other. Which $v$ would be right for our Gaussian data? Solve for it:

# %%
v = (true_variance(0.01)[1:] / tilde[1:]).log() / (beta[1:] / tilde[1:]).log()
again = torch.exp(v * beta[1:].log() + (1 - v) * tilde[1:].log())
assert torch.allclose(again, true_variance(0.01)[1:])
assert (v >= 0).all() and (v <= 1).all()
right_v = [f"t = {t}: {v[t - 2]:.2f}" for t in (2, 5, 20, 100)]
print("right v for s = 0.01:  ", ",  ".join(right_v))

# %% [markdown]
# ## 4 · Digits, live  <small>14 min</small>
#
# Now we train, from nothing. The data are the 1,797 handwritten digits of scikit-learn: real, 8×8 pixels, 17 grey levels. The network is the one of section 2, the loss is Algorithm 1.
#
# **Predict.** 750,000 weights, 1,500 digits, two CPU cores. How long until you can read what it writes: 10 seconds, one minute, one hour?

# %%
import tempfile
import time
from pathlib import Path

from IPython.display import display
from tqdm.auto import tqdm

from helpers.data import load_digits
from helpers.train import fit

digits, labels = load_digits(8)                             # (1797, 1, 8, 8) in [−1, 1]
train_digits, held_out = digits[:1500], digits[1500:]
STEPS = course.pick(smoke=12, cpu=1200, gpu=6000)          # in three parts
PART, RECIPE = STEPS // 3, dict(batch=64, lr=2e-3, ema=0.995, seed=0)
folder = tempfile.TemporaryDirectory()                       # gone with the kernel
losses, weight, drawn, seconds = {}, {}, {}, {}


def loss(network, batch, generator):
    return diffusion_loss(Denoiser(network, schedule, "eps"), batch, generator)


def new_network():
    torch.manual_seed(0)
    return UNet(channels=1, widths=(32, 64), attention=(1,))


# %%
@torch.no_grad()
def write(network, n=16, count=40, seed=0):
    """n digits by Algorithm 2, in `count` of the 1000 steps (η = 1)."""
    where = next(network.parameters()).device
    g = torch.Generator(where).manual_seed(seed)
    x = torch.randn(n, 1, 8, 8, generator=g, device=where)
    walk = pairs(timesteps(1000, count))
    model = Denoiser(network, schedule)
    end = last(sample(model, schedule, x, walk, eta=1, generator=g))
    return end.x.clamp(-1, 1).cpu()


# %% [markdown]
# We draw in 40 of the 1000 steps: for a jump from $t$ to $s$ the box holds with $\alpha=\bar\alpha_t/\bar\alpha_s$ and $\beta = 1-\alpha$.
#
# `eta=1` ($\eta = 1$, "eta") means: all the fresh noise of Algorithm 2, with $\tilde\beta$; session {{session:ddim}} turns it down to 0. And `sample` keeps each guess of $x_0$ inside $[-1,1]$ (*clipping*), which the box does not write.
#
# Four helpers for the report of the training: the picture, the loss, the time, and one of the 755,000 weights, to be followed.

# %%
def picture(step):
    return show_images(drawn[step], columns=16, side=0.6, show=False,
                       title=f"step {step} of {STEPS}, loss {recent(step):.3f}")


def so_far(step):
    took = sum(took for until, took in seconds.items() if until <= step)
    return f"{step} steps in {took:.0f} s, loss {recent(step):.3f}"


def centre(network):
    """One of the 755,000 weights, to be followed."""
    return network.first.weight[0, 0, 1, 1].item()


def recent(step):
    """The mean loss of the last hundred steps up to this one."""
    last_ones = [losses[i] for i in range(max(1, step - 99), step + 1)]
    return sum(last_ones) / len(last_ones)


# %% [markdown]
# The training loop is a `for` over the helper `fit`, which does the gradient steps. Every fifth of a part we draw sixteen digits from the same noise, and the picture is **updated in its place**.

# %%
def train(until):
    """Train to this step, from where the checkpoint stands; (network, its average)."""
    network, begin = new_network(), time.perf_counter()
    run = fit(network, train_digits, loss, STEPS, until=until, every=PART, **RECIPE,
              checkpoint=Path(folder.name, "digits.pt"))
    screen = display(display_id=True)
    for now in tqdm(run, total=max(0, until - len(losses))):
        losses.setdefault(now.step, now.loss)
        weight.setdefault(now.step, (centre(network), centre(now.ema)))
        if now.step % max(1, PART // 5) == 0 or now.step == until:
            drawn.setdefault(now.step, write(now.ema))
            screen.update(figure := picture(now.step))
            plt.close(figure)
    seconds.setdefault(until, time.perf_counter() - begin)
    return network.cpu(), now.ema.cpu()


raw, averaged = {}, {}
raw[PART], averaged[PART] = train(PART)
print(so_far(PART))

# %% [markdown]
# The training goes on in the next cells; each begins where the last one stopped. (Run one of them twice: it finds its checkpoint, there is nothing left to do, and the result is the same.)

# %%
raw[2 * PART], averaged[2 * PART] = train(2 * PART)
print(so_far(2 * PART))

# %%
raw[3 * PART], averaged[3 * PART] = train(3 * PART)
print(so_far(3 * PART))

# %% [markdown]
# The whole story in one picture, always from the same sixteen pieces of noise:

# %%
shown = [s for s in sorted(drawn) if s in (PART // 5, 3 * PART // 5) or s % PART == 0]
rows = [drawn[s][:12] for s in shown] + [held_out[:12]]
fig = show_images(torch.cat(rows), columns=12, side=0.62, show=False)
for ax, name in zip(fig.axes[::12], [f"step {s}" for s in shown] + ["real"]):
    ax.text(-1, 3.5, name, ha="right", va="center", fontsize=9)
plt.show()

# %%
from helpers.widgets import flip_through

frames = sorted(drawn)
flip_through([drawn[s] for s in frames], [f"step {s}" for s in frames], side=0.7)

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 2.4))
steps = sorted(losses)
left.plot(steps, [losses[s] for s in steps], lw=0.4, alpha=0.5)
left.plot(steps, [recent(s) for s in steps], color="C3", label="mean of the last 100")
left.set(ylim=(0, 0.5), xlabel="step", ylabel="loss")
left.legend(fontsize=8)
tail = steps[-300:]
right.plot(tail, [weight[s][0] for s in tail], lw=1, label="weight")
right.plot(tail, [weight[s][1] for s in tail], lw=2, color="C3", label="its average")
right.set(xlabel="step", title="one weight, last 300 steps")
right.legend(fontsize=8)
plt.show()

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# After the first few seconds there are blots, after about half a minute the first digits that one can read; then strokes become cleaner. 8×8 pixels are few, so it goes quickly.
#
# </details>
#
# Left: the loss falls quickly, and then hardly at all. Right: the weight itself wavers (every batch pulls another way); its average glides, and follows late. More about it in a moment.
#
# **Is it readable?** The eye is kind; count. For each drawn digit look up its five nearest real digits: do all five carry the same label? A scribble lies between the classes, and its neighbours disagree.

# %%
def readable(images):
    """The share of images whose five nearest training digits have one label."""
    far = torch.cdist(images.flatten(1), train_digits.flatten(1))
    five = labels[:1500][far.topk(5, largest=False).indices] # (N, 5)
    return float((five == five[:, :1]).all(1).float().mean())


n = course.pick(smoke=80, cpu=200, gpu=200)
many = {s: write(averaged[s], n, seed=1) for s in averaged}
pure = torch.randn(n, 1, 8, 8, generator=g).clamp(-1, 1)
print(f"n = {n}, 40 steps, seed 1, {course.device().type}")
print(f"noise            {readable(pure):.0%}")
for s, images in many.items():
    print(f"step {s:5d}       {readable(images):.0%}    loss {recent(s):.3f}")
print(f"real, held out   {readable(held_out):.0%}    (n = {len(held_out)})")

# %% [markdown]
# > **Easily mistaken.** "A lower loss means better pictures." The size of the fall does not tell what it is worth: from 0.093 to 0.085 the
# > readable digits rise from 64 to 80 %, and an equal fall to 0.079 brings one point more. And the loss is a mean over all $t$:
# > it does not say how much of it is noise that nobody could know. Look at samples, and count.
#
# **EMA: the average network.** You saw the weight waver: every batch pulls another way. So we keep a second network, which never trains, but follows slowly (an *exponential moving average*):
#
# $$\bar\theta \leftarrow d\,\bar\theta + (1-d)\,\theta,\qquad d = 0.995$$
#
# Samples are drawn with $\bar\theta$. In the helper $d = \min\big(0.995, \frac{1+s}{10+s}\big)$ at training step $s$: it begins small, so that the average soon forgets the random start (after 1,200 steps it stands at 0.993).

# %%
from helpers.train import update_ema

one, mean = nn.Linear(1, 1), nn.Linear(1, 1)
nn.init.constant_(mean.weight, 1.0)
nn.init.constant_(one.weight, 0.0)
update_ema(mean, one, step=10_000, decay=0.995)              # 0.995 · 1 + 0.005 · 0
assert abs(mean.weight.item() - 0.995) < 1e-6

follow = [weight[1][0]]
for s in range(1, STEPS + 1):
    d = min(0.995, (1 + s) / (10 + s))
    follow.append(d * follow[-1] + (1 - d) * weight[s][0])   # by hand
assert abs(follow[-1] - weight[STEPS][1]) < 1e-4
print(f"by hand {follow[-1]:.5f}, helper {weight[STEPS][1]:.5f}")

# %% [markdown]
# **Predict.** After the first third the learning rate is still high, about three quarters of its peak. Who draws better, the network or its average? And at the end, where the rate has fallen to 0?

# %%
@torch.no_grad()
def held_out_loss(network):
    """The loss on the held-out digits: the same t and ε for everyone."""
    g, ten = torch.Generator().manual_seed(3), held_out.repeat(10, 1, 1, 1)
    return float(loss(network.cpu(), ten, g))


for s in (PART, 3 * PART):
    for name, which in (("network", raw[s]), ("average", averaged[s])):
        images = write(which, n, seed=1)
        print(f"step {s:5d}  {name}  held-out loss {held_out_loss(which):.4f}",
              f"  readable {readable(images):.0%}")
rows = torch.cat([write(raw[PART])[:12], write(averaged[PART])[:12]])
show_images(rows, columns=12, side=0.62,
            title=f"step {PART}: the network (above) and its average, same noise");

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# While the learning rate is high the average is the better network: see the loss (the shares of readable digits differ by 2 and 3 points, no more than chance: with 200 digits the standard error of one share is 3 points). The average smooths the wavering of the single one. At the end the rate has fallen to 0, the wavering stops, and the two are nearly the same. In the long trainings of the papers, with a constant rate, one usually draws with EMA.
#
# </details>
#
# **Interrupt and resume.** A long training is interrupted sooner or later: the laptop sleeps, Colab hangs up. `fit` writes everything into its checkpoint: weights, average, the state of the optimizer, of the random numbers, and which
# pictures come next. We "kill" a run of 30 steps at step 17 and start it again. Its last checkpoint was written at step 10.

# %%
def short_run(name, kill_at=None):
    network = new_network()
    run = fit(network, train_digits, loss, 30, batch=16, every=10,
              checkpoint=Path(folder.name, name))
    begun = None
    for now in run:
        begun = begun or now.step
        if now.step == kill_at:
            print(f"killed at step {now.step}")
            return None
    print(f"this run went from step {begun} to {now.step}")
    return now.ema.cpu()


for old in Path(folder.name).glob("short*"):              # so that this cell runs twice
    old.unlink()
straight = short_run("short-a.pt")
short_run("short-b.pt", kill_at=17)
resumed = short_run("short-b.pt")
pairs_of = zip(straight.parameters(), resumed.parameters())
apart = max(float((a - b).detach().abs().max()) for a, b in pairs_of)
print(f"largest difference between the two networks: {apart}")
assert apart < (1e-4 if torch.cuda.is_available() else 1e-12)

# %% [markdown]
# Steps 11 to 17 were lost and done again, with the same pictures and the same noise: the end is the same to the last digit. (On a GPU to within rounding.)

# %% [markdown]
# ## 5 · Faces  <small>8 min</small>
#
# The same with more of everything (colour, 64×64, a network five times as large, two hours), a cosine table shifted by $-2\ln2$ in log SNR, another answer ($v$), and a weighted loss in the second part. That does not fit into a lecture, so the face model comes with the course, and its card says how it was made.

# %%
card = load_card("ddpm-faces")
print(f"{card['parameters'] / 1e6:.1f} million weights, {card['data']},",
      f"{card['steps']:,} steps, {card['seconds'] / 60:.0f} minutes,", card["device"])
moved = card["schedule"]["log_snr_shift"]
print(f"schedule {card['schedule']['name']}, log SNR shifted by {moved:.3f};",
      f"the network answers '{card['target']}'")

# %% [markdown]
# It answers with $v$ and not with $\varepsilon$. We need not know what this $v$ is (neither the value of section 1 nor the $v$ of the learned variance) before session {{session:parameterisations}}: behind `predict(x_t, t)` every model says both, $x_0$ and $\varepsilon$. That is the **one seam** of this course: samplers, guidance and inpainting see nothing
# else.
#
# **Predict.** Algorithm 2 in 60 of the 1000 steps. In which third of the way does the *picture* become a face, and when does the *belief*?

# %%
count, n_faces = (60, 16) if course.profile() != "smoke" else (6, 4)
g = torch.Generator(device).manual_seed(0)
noise = torch.randn(n_faces, 3, 64, 64, generator=g, device=device)
walk = pairs(timesteps(1000, count))
run = sample(predict, face_schedule, noise, walk, eta=1, generator=g)
states = list(tqdm(run, total=count))
show_images(states[-1].x, title=f"{n_faces} faces, η = 1, {count} steps, seed 0");

# %%
path = [round(i * (count - 1) / 7) for i in range(8)]
above, below = [states[i].x[0] for i in path], [states[i].x0[0] for i in path]
filmstrip(above + below, [f"t = {states[i].s}" for i in path] + ["belief"] * 8, rows=2);

# %%
frames = [torch.cat([state.x[:4], state.x0[:4]]) for state in states]
titles = [f"t = {state.s}: pictures and beliefs" for state in states]
flip_through(frames, titles, 1.2, columns=4)

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# The picture only in the last third. The belief is a blurred face from the first steps on, and becomes sharper and sharper. The large things are settled first (background, skin), the small ones last (the colour of hair and clothes, the wink).
#
# </details>
#
# **The two variances, with few steps.** The same noise, Algorithm 2 in 10, 40 and 100 steps, once with the small variance, once with the large:

# %%
rows, names = [], []
for variance in ("small", "large"):
    for few in (10, 40, 100) if course.profile() != "smoke" else (2, 3, 4):
        g = torch.Generator(device).manual_seed(1)
        walk = pairs(timesteps(1000, few))
        end = last(sample(predict, face_schedule, noise[:3], walk, eta=1,
                          variance=variance, generator=g))
        rows.append(end.x)
        names += [f"{variance}, {few}" if i == 1 else "" for i in range(3)]
show_images(torch.cat(rows), names, columns=9);

# %% [markdown]
# With 100 steps both are faces. With 10 steps the large variance leaves noise in the picture: it adds as much noise as a *forward* step of that size, more than the table allows at step $s$ (after the jump from 200 to 100 the noise has variance 0.26 instead of 0.10). The network takes away only the noise that it expects, and the rest stays. That is the 367 in the table of DDIM. (Session {{session:ddim}} sets $\eta = 0$ and needs no noise at all.)
#
# **New, or copied?** A model could simply repeat its training pictures. For each of eight samples we look for the nearest of the training faces:

# %%
from helpers.metrics import nearest

few = 300 if course.profile() == "smoke" else None
train_faces = load_faces("embedded", "train", limit=few)
test_faces = load_faces("embedded", "test", limit=64)
small = F.avg_pool2d(train_faces.images, 2)                  # 32×32 will do


def to_training(images):
    return nearest(F.avg_pool2d(images.cpu(), 2), small)


far, which = to_training(states[-1].x[:8].clamp(-1, 1))
shown = torch.cat([states[-1].x[:8].cpu(), train_faces[which]["image"]])
show_images(shown, ["sample"] * len(far) + [f"{d:.2f} away" for d in far],
            columns=len(far))
real_far = to_training(test_faces.images)[0]
print(f"samples → training: median {to_training(states[-1].x)[0].median():.3f}",
      f"(n = {n_faces});  test faces → training: {real_far.median():.3f}",
      f"(n = {len(real_far)})")
copy = card["copying"]
print(f"the card, n = {copy['n']}, at 64×64: {copy['samples']['0.5']:.3f}",
      f"and {copy['test_faces']['0.5']:.3f}; the nearest hundredth:",
      f"{copy['samples']['0.01']:.3f} and {copy['test_faces']['0.01']:.3f}")

# %% [markdown]
# (Distance: the root of the mean squared difference of pixels, which run from −1 to 1; here after halving the side.) A copy would be at 0. The samples are about as far from the training faces as *unseen real faces* are (sixteen are few; look at the thousand of the card): so as a whole they are no copies. A median could hide a few; the card also has the nearest hundredth, and there the samples are not nearer either.

# %% [markdown]
# ## 6 · How pictures are scored  <small>15 min</small>
#
# "Looks good" is no number, and squared error does not help: there is no right answer to compare a new face with. We can only compare two **sets**: many samples and many real pictures. And not pixel by pixel: move a
# face by one pixel, and all pixels change. So a classifier first turns each picture into a short list of *features*. In the literature it is Inception with 2048 features, trained on photographs; here a network with 64, trained to name the attributes
# of our faces, and frozen before the first face model was trained.

# %%
from helpers.checkpoints import load_model
from helpers.features import extract

judge = load_model("face-features")
N = 192 if course.profile() != "smoke" else 72               # pictures in every set
real = train_faces.take(range(min(len(train_faces), 2000)))
others = load_faces("embedded", "valid")                     # real, never trained on
R, T = extract(judge, real.images), extract(judge, others.images)
print(f"{len(R)} training faces, {len(T)} held-out faces,",
      f"{R.shape[1]} features each")

# %% [markdown]
# And $N$ faces of the model. To be quick we draw them with DDIM in 20 steps (η = 0, session {{session:ddim}}) and, where the machine has bf16, in half precision.

# %%
walk20 = pairs(timesteps(1000, 20 if course.profile() != "smoke" else 2))
g, parts = torch.Generator().manual_seed(5), []
for first in tqdm(range(0, N, 32)):
    x = torch.randn(min(32, N - first), 3, 64, 64, generator=g).to(device)
    with course.autocast(device):
        parts.append(last(sample(predict, face_schedule, x, walk20)).x.float().cpu())
made = torch.cat(parts).clamp(-1, 1)
M = extract(judge, made)

# %% [markdown]
# **The Fréchet distance (FD; FID with Inception).** Describe each cloud of features by a Gaussian, and ask: how far must the points of one be moved, on average, to become the other? On a line the best plan pairs the points in order of size. For two Gaussians it sends
# $\mu_1+\sigma_1z$ to $\mu_2+\sigma_2z$, and the mean squared way is
#
# $$\mathbb E\big(\mu_1+\sigma_1z-\mu_2-\sigma_2z\big)^2 = (\mu_1-\mu_2)^2+(\sigma_1-\sigma_2)^2$$
#
# because $\mathbb E z = 0$ and $\mathbb E z^2 = 1$. In many dimensions the second part becomes a trace of covariance matrices $\Sigma$:
#
# $$\boxed{\;\text{FD} = \|\mu_1-\mu_2\|^2 + \text{tr}\Big(\Sigma_1+\Sigma_2-2\big(\Sigma_1^{1/2}\,\Sigma_2\,\Sigma_1^{1/2}\big)^{1/2}\Big)\;}\tag{Heusel et al. 2017, eq. 6}$$
#
# $\Sigma^{1/2}$ is the matrix whose square is $\Sigma$: keep the eigenvectors, take the roots of the eigenvalues.

# %%
from helpers.metrics import frechet_distance


def root(S):
    """The matrix whose square is S, for a symmetric S without negative eigenvalues."""
    values, vectors = torch.linalg.eigh(S)
    return vectors @ values.clamp(min=0).sqrt().diag() @ vectors.T


def fd_by_hand(a, b):
    a, b = a.double(), b.double()
    S1, S2 = torch.cov(a.T), torch.cov(b.T)
    middle = root(root(S1) @ S2 @ root(S1))
    return float((a.mean(0) - b.mean(0)).square().sum()
                 + (S1 + S2 - 2 * middle).trace())


z = torch.randn(2, 200_000, generator=torch.Generator().manual_seed(0))
u, w = 1 + 0.5 * z[0], 3 + 2 * z[1]                          # two Gaussians on a line
paired = (u.sort().values - w.sort().values).square().mean()
print(f"paired in order {paired:.3f}, formula {(1 - 3) ** 2 + (0.5 - 2) ** 2}")
assert abs(paired - 6.25) < 0.1

# %% [markdown]
# Three judges for the matrix formula: our hand, the helper, and the library `torchmetrics` (which accepts ready-made features, if the "network" does nothing).

# %%
from torchmetrics.image.fid import FrechetInceptionDistance

nothing = nn.Identity()
nothing.num_features = 64
library = FrechetInceptionDistance(feature=nothing, normalize=True)
library.update(R, real=True)
library.update(M, real=False)
print(f"by hand {fd_by_hand(R, M):.4f}, helper {frechet_distance(R, M):.4f},",
      f"torchmetrics {library.compute():.4f}")
assert abs(fd_by_hand(R, M) - frechet_distance(R, M)) < 1e-3
assert abs(float(library.compute()) - frechet_distance(R, M)) < 0.02

# %% [markdown]
# **What is a small FD?** Compare real faces with other real faces: that is the **floor**. It is not 0, and it depends on $n$, the number of pictures.
#
# **Predict.** We compare $n$ real held-out faces with the training faces, for $n = 100$ and $n = 800$. Which FD is larger, and about how many times?

# %%
import numpy


def floor(n, draws=5):
    """FD of n held-out faces against the training faces: mean of several draws."""
    g = torch.Generator().manual_seed(n)
    found = [frechet_distance(T[torch.randperm(len(T), generator=g)[:n]], R)
             for _ in range(draws)]
    return sum(found) / draws


counts = [k for k in (80, 100, 150, 200, 300, 500, 800) if k <= len(T)]
floors = [floor(k) for k in counts]
slope, at_infinity = numpy.polyfit([1 / k for k in counts], floors, 1)
print("   ".join(f"n = {k}: {f:.2f}" for k, f in zip(counts, floors)))

# %%
fig, ax = plt.subplots(figsize=(5.5, 2.6))
ax.plot([1 / k for k in counts], floors, "o", label="real against real")
ax.plot([0, 1 / counts[0]], [at_infinity, at_infinity + slope / counts[0]], "--",
        label=f"line; at 1/n = 0: {at_infinity:.2f}")
names = ["n = ∞"] + [str(k) for k in counts]
ax.set_xticks([0] + [1 / k for k in counts], names, fontsize=8, rotation=60)
ax.set(xlabel="n (spaced by 1/n)", ylabel="FD", ylim=(0, None))
ax.legend(fontsize=8)
plt.show()
assert floors == sorted(floors, reverse=True)                # fewer pictures, larger FD

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# With 100 pictures it is about five times as large, though nothing is worse. A covariance from few points is uncertain, and FD counts every error as distance; the excess falls about like $1/n$ (Chong and Forsyth 2020 extrapolate this line
# to $n = \infty$). **Compare FDs only at the same $n$, and always print the floor beside.**
#
# </details>
#
# **The Inception score (IS)** asks a classifier. Good samples should be *clear*: $p(y\mid x)$, the classes of one picture, is sharp. And *varied*: $p(y)$, the classes of all pictures together, is broad. So the two should be far apart:
#
# $$\text{IS} = \exp\Big(\mathbb E_x\,\mathrm{KL}\big(p(y\mid x)\,\|\,p(y)\big)\Big)\tag{Salimans et al. 2016}$$
#
# It lies between 1 and the number of classes. Our classes: the ten hair styles.

# %%
from helpers.metrics import inception_score



def is_by_hand(logits):
    p = logits.double().softmax(1)                           # p(y|x), (N, 10)
    together = p.mean(0)                                     # p(y), (10,)
    kl = (p * (p / together).log()).nan_to_num().sum(1)      # 0·log 0 = 0
    return float(kl.mean().exp())


@torch.no_grad()
def styles(images):
    """What the judge says of the hair: logits (N, 10)."""
    place = others.position("hair_style")
    parts = [judge(part, classify=True)[place] for part in images.split(256)]
    return torch.cat(parts)


logits = styles(made)
real_score = inception_score(styles(others.images))
print(f"our model: by hand {is_by_hand(logits):.4f},",
      f"helper {inception_score(logits):.4f}; real faces {real_score:.4f}")
assert abs(is_by_hand(logits) - inception_score(logits)) < 1e-6

# %% [markdown]
# **Precision and recall** split the question in two (Kynkäänniemi et al. 2019). *Precision*: how many samples look real? *Recall*: how much of the real world is reached by samples? Around every real picture draw a ball that just reaches its
# $k$-th nearest real neighbour. All balls together are "the real region". Precision is the share of samples inside; recall is the same with the roles exchanged.

# %%
from helpers.metrics import precision_recall


def covered(points, by, k=3):
    """The share of points that lie in a ball of `by`."""
    inside = torch.zeros(len(points), dtype=torch.bool)
    for centre in by:
        others_far = (by - centre).norm(dim=1).sort().values
        radius = others_far[k]                               # number 0 is itself
        inside |= (points - centre).norm(dim=1) <= radius
    return float(inside.float().mean())


some = R[:N]
by_hand = covered(M, some), covered(some, M)
assert max(abs(a - b) for a, b in zip(by_hand, precision_recall(some, M))) < 0.02
print("precision {:.2f}, recall {:.2f}; by hand = helper".format(*by_hand))

# %% [markdown]
# In the plane one can see it. Real: eight Gaussians (grey, with their balls). The "model" (red) is another draw from the same eight, pulled towards its centre by a factor $c$ or pushed out.
#
# **Predict.** What happens to the two numbers for $c < 1$ and for $c > 1$?

# %%
from helpers.data import load_points

cloud, second = (load_points("eight_gaussians", 200, seed) for seed in (0, 1))


def show_balls(ax, model, name, k=3):
    reach = torch.cdist(cloud, cloud).sort(1).values[:, k]
    for centre, r in zip(cloud, reach):
        ax.add_patch(plt.Circle(centre.tolist(), float(r), color="0.85", lw=0))
    ax.scatter(*cloud.T, s=4, color="0.5")
    ax.scatter(*model.T, s=4, color="C3")
    p, r = precision_recall(cloud, model, k)
    ax.set(xlim=(-2.6, 2.6), ylim=(-2.6, 2.6), xticks=[], yticks=[], aspect="equal")
    ax.set_title(f"{name}: P {p:.2f}, R {r:.2f}", fontsize=9)


def balls(c, k):
    ax = plt.subplots(figsize=(3.4, 3.6))[1]
    show_balls(ax, c * second, f"c = {c:.1f}", k)
    plt.show()


slide(balls, c=(0.0, 1.5, 1.0), k=(1, 10, 3))

# %%
normal = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
normal = (normal - normal.mean(0)) @ torch.linalg.inv(root(torch.cov(normal.T)))
twin = normal @ root(torch.cov(cloud.T)) + cloud.mean(0)  # the same mean and covariance
fig, axes = plt.subplots(1, 4, figsize=(10, 2.8))
for ax, c in zip(axes, (0.7, 1.0, 1.3)):
    show_balls(ax, c * second, f"c = {c}")
fd = frechet_distance(cloud, twin)
show_balls(axes[3], twin, f"FD {abs(fd):.2f}")
plt.show()
assert abs(fd) < 1e-3 and precision_recall(cloud, twin)[0] < 0.6

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# Pulled inwards or pushed out by a third, the cloud leaves the real region, and both fall. (In a picture model a *small* pull towards the mean usually raises precision and lowers recall; here the middle of the circle is empty.)
#
# </details>
#
# On the right a trap: one broad Gaussian with *exactly* the mean and the covariance of the eight. **FD sees only these two, so it says 0**; precision sees that most points lie where no data are.
#
# **What each score misses.** Now with faces. Six "models", all with the same $n$, some of them frauds:
#
# - *held-out faces*: real, the floor;
# - *our model*;
# - *blurred*: held-out faces, halved in size and enlarged again;
# - *no glasses*: only held-out faces without eyeglasses, a mode is lost;
# - *ten faces*: one held-out face for each hair style, again and again;
# - *copies*: training faces, stolen from the set with which we compare.
#
# **Predict.** Which fraud gets the best FD, which the best IS, which precision 1?

# %%
half = F.avg_pool2d(others.images[:N], 2)

plain = others.take(torch.where(others.column("Eyeglasses") == 0)[0]).images
ten = [int(torch.where(others.column("hair_style") == s)[0][0])
       for s in others.column("hair_style").unique()]
ten = others.images[ten].repeat(N // len(ten) + 1, 1, 1, 1)
sets = {"held-out (floor)": others.images[:N], "our model": made,
        "blurred": F.interpolate(half, scale_factor=2, mode="bilinear"),
        "no glasses": plain[:N],
        "ten faces": ten[:N] + 1e-3 * torch.randn(N, 3, 64, 64, generator=g),
        "copies": real.images[:N]}

# %%
table = {}
print(f"n = {N} each, against {len(R)} training faces; model: 20 steps, seed 5")
print(f"{'':20s}{'FD':>7}{'IS':>7}{'precision':>11}{'recall':>8}{'to training':>13}")
for name, images in sets.items():
    f = extract(judge, images.clamp(-1, 1))
    p, r = precision_recall(some, f)
    row = (frechet_distance(f, R), inception_score(styles(images.clamp(-1, 1))), p, r,
           float(to_training(images[:32])[0].median()))
    table[name] = row
    print("{:20s}{:7.2f}{:7.2f}{:11.2f}{:8.2f}{:13.3f}".format(name, *row))

# %%
if course.profile() != "smoke":
    ranked = sorted(table, key=lambda name: table[name][0])
    assert ranked[0] == "copies"                             # FD loves copies
    assert max(table, key=lambda name: table[name][1]) == "ten faces"
    assert table["ten faces"][3] < 0.2 and table["ten faces"][2] > 0.6
    assert table["copies"][2] == table["copies"][3] == 1 and table["copies"][4] < 0.01

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# Best FD: the copies (1.91, the floor is 2.66). Best IS: the ten faces (9.97 of 10). Precision 1: the copies, and recall 1, too.
#
# </details>
#
# - **FD** finds the blur (a little above the floor) and the missing glasses (clearly), but its best mark, better than the floor, goes to the **copies**: it cannot see theft.
# - **IS** prefers the **ten faces** to reality itself. It never looks at a real picture, and of variety it sees only the classes.
# - **Precision** is content with the lost glasses, and mostly with the ten faces: what is there looks real. It does not see what is *missing*; and with these features a light blur escapes it, too.
# - **Recall** finds the ten faces at once. But it does not see what is *wrong*: the broad Gaussian above has a high recall, because junk lies far apart, and far apart means large balls.
# - Only the **distance to the training faces** names the thief: 0. (Precision and recall of exactly 1, above the floor, are a hint, too. This column is the median of the first 32 pictures of each row.)
#
# No single number is safe. A paper that shows one should say what the others say.

# %% [markdown]
# ### What does attention add?  <small>measured, not live</small>
#
# Section 1 promised that a place can ask far away. Does it pay? One small U-Net (faces of 32×32, folded to 8×8; levels of 8×8 and 4×4), with attention at both levels and without any; the same steps, the same data, three seeds each. The command is
# `python -m experiments.attention`. We measure the loss on held-out faces (the same $t$ and $\varepsilon$ for all), the FD, and one long-range question: **do the upper two corners of a picture, 30 pixels apart, have the same background colour?** (*Corners*: the mean difference of their colours;
# in real faces it is 0.)

# %%
import json

ablation = json.loads((course.ROOT / "experiments" / "attention.json").read_text())
machine, ground = ablation["machine"], ablation["floor"]
print(f"{machine['steps']} steps of {machine['batch']}, n = {machine['n']},",
      f"seeds 0 1 2, {machine['device']}")
print(f"{'':22s}{'weights':>9}{'loss':>9}{'FD':>8}{'corners':>9}")
for key, run in ablation["runs"].items():
    print(f"{key:22s}{run['parameters']:9,d}{run['loss']:9.4f}"
          f"{run['fd']:8.2f}{run['corners']:9.3f}")
print(f"{'real against real':22s}{'':18s}{ground['fd']:8.2f}{ground['corners']:9.3f}")
for score in ("loss", "fd", "corners"):
    gains = [ablation["runs"][f"without, seed {s}"][score]
             - ablation["runs"][f"with, seed {s}"][score] for s in range(3)]
    print(f"without − with, {score:8s}", "  ".join(f"{gain:+.4f}" for gain in gains))

# %% [markdown]
# **What it says.** With attention the held-out loss is lower in all three seeds, by 0.6 to 2.1 per cent. FD and corners do *not* decide: their differences change sign from seed to seed. All six networks are young: their FD is 17 where the floor is 1.3, and the corners disagree in all of them.
# And there are other ways to tell a far place something: at 4×4 a few convolutions reach over the whole picture, and group norm mixes all places. (The network with attention also has 11 % more weights.)
#
# So at this small size we have seen a gain in the loss and none in the pictures. Larger pictures are another matter: for filling holes in photographs (inpainting), Palette (Saharia et al. 2021, table 5) reports FID 7.4 with global attention, 8.0 to 8.1 without any, and 9.4 with attention only inside blocks of the picture.

# %% [markdown]
# ## 7 · Photographs and many GPUs  <small>3 min, may be skipped</small>
#
# Nothing in the network, the training or the sampling knows that the faces are drawn (only the judge of section 6 does). On a graphics card the next cell takes the photographs of CelebA instead, and thousands of steps instead of a few; the code is the same. If CelebA cannot be had, the cell says what it tried, and what it uses instead.

# %%
name = "celeba" if course.profile() == "gpu" else "embedded"
limit = course.pick(smoke=64, cpu=2000, gpu=12_000) if name == "celeba" else 64
try:
    pictures = load_faces(name, "train", size=64, limit=limit)
except FileNotFoundError as error:
    print(error, "\nSo this cell goes on with the drawn faces.")
    pictures = load_faces("embedded", "train", limit=limit)


def picture_loss(network, batch, generator):
    denoiser = Denoiser(network, face_schedule, "v")
    return diffusion_loss(denoiser, batch["image"], generator)


torch.manual_seed(0)
network, some_losses = UNet(widths=(48, 96, 128), patch=2), []
few = course.pick(smoke=3, cpu=3, gpu=5000)
run = fit(network, pictures, picture_loss, few, batch=8, warmup=1)
for now in tqdm(run, total=few):
    some_losses.append(now.loss)
print(f"{few} steps on {pictures.source} faces:",
      f"loss {some_losses[0]:.3f} → {now.loss:.3f}")

# %% [markdown]
# For a real training use the command, which resumes after a kill. On one GPU, on all GPUs of a machine, and on a machine without any:
#
#     python -m tools.checkpoints ddpm-celeba
#     accelerate launch -m tools.checkpoints ddpm-celeba
#     ACCELERATE_USE_CPU=true torchrun --nproc_per_node 2 -m tools.checkpoints ddpm-celeba --steps 3
#
# `fit` hides the rest: every process takes its share of each batch, the gradients are averaged, one process writes the checkpoint. (`accelerate launch --cpu --num_processes 2` starts only *one* process with accelerate 1.15; `torchrun`, as above, does start two.)
#
# What was tried: the last line with `--steps 3`, two processes on two CPU cores without a GPU, on 4,560 genuine CelebA photographs of the train partition at 64×64. Three steps of 64 pictures took 56 s; both processes report the same loss, 0.56. The full training of 100,000 steps needs a GPU and was not run here: so no weights are
# shipped, and no quality is claimed.

# %% [markdown]
# ## 8 · Summary and exit  <small>3 min</small>
#
# - **Attention**: compare a query with all keys, soften with softmax, read the weighted mean of the values. It reaches over any distance, knows no places, and costs $N^2$.
# - **The U-Net**: clock, residual blocks, down and up, and a stack of skips: the last laid down is the first taken.
# - **Algorithm 1** guesses the noise; **Algorithm 2** walks back with that guess. $\sigma^2=\tilde\beta$ is right if all data are one point, $\sigma^2=\beta$ if they are noise.
# - **EMA** averages the weights over time; training resumes to the same numbers.
# - **Scores** compare sets. FD sees mean and covariance of features only, loves copies, and depends on $n$; IS never looks at real data; precision does not see what is missing, recall does not see what is wrong. Print $n$, seed and floor beside each.
#
# **Published, to set beside.** DDPM on CIFAR-10: FID 3.17 with $L_\text{simple}$, and 13.51 with the true bound and fixed variance (Ho et al. 2020). These are Inception features, photographs, and another $n$: not comparable with our FD, whose own yardstick is its floor. The full measurement of our model, against all 10,000 training faces (section 6 took 2,000, so its floors are higher):

# %%
fd = card["fd"]
low, high = fd["interval"]
print(f"ddpm-faces: FD {fd['value']:.2f} (95 %: {low:.2f} to {high:.2f}),",
      f"n = {fd['n']}, {fd['steps']} steps, seed {fd['seed']}; floor {fd['floor']:.2f}")
sheet = card.get("sheet")
if sheet:
    print(f"an unselected sheet of {sheet['n']}, seed {sheet['seed']}: "
          f"{sheet['broken']} broken, counted by eye")

# %% [markdown]
# **At the exit.** A model draws one perfect face, always the same. What do FD, IS, precision and recall say?
# <details><summary>Answer</summary>
#
# FD is large (no spread: the covariance is 0). IS is 1 (always the same class: $p(y\mid x) = p(y)$). Precision is 1 if that face lies in the real region, else 0: all samples share its fate. Recall is 0: the balls around the samples have radius 0. One score alone can always be fooled.
#
# </details>
#
# **Try next.** Train the digits without attention, or with `adaptive=False`. Draw them with the large variance. Write a model that cheats precision *and* recall. Put `ema=0.9` (run again from the cell with `RECIPE`), and compare the average after the first part. Why would `ema=0.9999` give exactly the same average as 0.995? (Look at `d` in the cell that follows it by hand.)
#
# **Next session:** {{session:parameterisations}}, parameterisations: why the face model answers with $v$, and which loss weights hide in which answer.
#
# **Homework:** [homework/{{notebook}}](homework/{{notebook}}): attention, the stack of skips, Algorithm 1, precision and recall, written by you.
#
# **To read.** J. Ho, A. Jain, P. Abbeel, *Denoising Diffusion Probabilistic Models*, 2020 (arXiv 2006.11239), sections 3, 4 and appendix B. A. Vaswani et al., *Attention Is All You Need*, 2017 (1706.03762), section 3.2. O. Ronneberger, P. Fischer, T. Brox, *U-Net*,
# 2015 (1505.04597). A. Nichol, P. Dhariwal, *Improved Denoising Diffusion Probabilistic Models*, 2021 (2102.09672), section 3.1. M. Heusel et al., *GANs Trained by a Two Time-Scale Update Rule*, 2017 (1706.08500): FID. T. Salimans et al., *Improved Techniques for Training
# GANs*, 2016 (1606.03498): the Inception score. T. Kynkäänniemi et al., *Improved Precision and Recall Metric for Assessing Generative Models*, 2019 (1904.06991). M. Chong, D. Forsyth, *Effectively Unbiased FID and Inception Score and where to find them*, 2020 (1911.07023).
