# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # {{number}} · Restoring pictures
#
# {{badge}}
#
# A grey photograph gets its colours back, a thumbnail becomes large, a picture is continued beyond its edge, and the squares of a bad JPEG go away. All four are one question: *what could the picture have been, given what I see?* One model answers all four.
#
# At the end you will have restored a picture of your own. You will know why a network that answers at once paints fog and grey, and you can say it with numbers. And you will have drawn faces in two stages, small first, and seen why people were not content with that.
#
# **Time:** 90 minutes; the cells run for about four minutes on two CPU cores.
#
# **Before:** sessions {{session:ddpm}} (the U-Net, FD), {{session:parameterisations}} (what $v$ is) and {{session:inpainting}} (hole, condition picture $y$, posterior mean).
#
# | section | minutes | may be skipped |
# |---|---|---|
# | recall | 4 | |
# | 1 · one idea: $q(x\mid y)$ | 14 | |
# | 2 · what $y$ can be | 8 | |
# | 3 · four kinds of damage, one model | 12 | |
# | 4 · why regression blurs | 16 | |
# | 5 · measured | 7 | |
# | 6 · how varied are the colours? | 6 | |
# | 7 · by hand | 6 | bad input |
# | 8 · cascades | 15 | the derivation |
# | 9 · summary, exit | 2 | |

# %% tags=["setup"]
from helpers import course

course.setup(minutes={{minutes}})

# %% [markdown]
# ## Recall  <small>4 min</small>
#
# Answer aloud, then open.
#
# **1** (session {{session:inpainting}}). The mean of all possible answers has the squared error $V$. What does one honest draw cost? And the mean of eight draws?
# <details><summary>Answer</summary>
#
# $2V$, and $(1+\frac18)V$: 0.56 of what one draw costs.
#
# </details>
#
# **2** (session {{session:parameterisations}}). At the last step $T$ nearly no signal is left: $\sqrt{\bar\alpha_T}\approx 0$. What does $v = \sqrt{\bar\alpha_T}\,\varepsilon-\sqrt{1-\bar\alpha_T}\,x_0$ become there?
# <details><summary>Answer</summary>
#
# $v\approx -x_0$. To guess $v$ at step $T$ is to guess the picture itself. We need this in section 4.
#
# </details>
#
# **3** (session {{session:ddpm}}). 200 real faces, compared with other real faces, have an FD that is not 0. Why, and what do we call it?
# <details><summary>Answer</summary>
#
# Means and covariances of 200 pictures are only estimates. It is the *floor*: no method can be expected below it.
#
# </details>

# %% [markdown]
# ## 1 · One idea: $q(x\mid y)$  <small>14 min</small>
#
# Let $y$ be *anything that is known*: a grey picture, a small one, a class, a sentence. We want to draw $x$ from $q(x\mid y)$, the distribution of the pictures that fit to $y$. What must change in our diffusion model? Go through it, line by line.
#
# **The way up.** Noise is added to $x_0$, whatever is known of it. Nothing changes:
#
# $$q(x_t\mid x_0, y) = q(x_t\mid x_0)$$
#
# **The way down.** If we knew $x_0$, the step from $t$ to $s$ would be that of session {{session:reverse_process}}, and $y$ would add nothing. We do not know $x_0$, so we take the mean over all $x_0$ that are possible:
#
# $$q(x_s\mid x_t, y) = \int q(x_s\mid x_t, x_0)\;q(x_0\mid x_t, y)\;dx_0$$
#
# So $y$ has **one** place: what we believe of $x_0$. (The network gives only the mean of that belief; for small steps it is enough, session {{session:reverse_process}}.)
#
# **The training.** Which function $f$ of $x_t$, $t$ and $y$ has the smallest squared error? It is the posterior mean, written $f^*$ (session {{session:inpainting}}, for each $x_t$ and $y$ by itself):
#
# $$f^*(x_t, t, y) = \mathbb E[x_0\mid x_t, y]$$
#
# So we show the network pairs $(x, y)$, give it $y$ as one more argument, and change nothing else. Same loss, same samplers. This is all of *conditional generation*.
#
# Let us see it work in a very small world. A picture has one pixel: the background of one of our faces. There are six background colours.

# %%
import matplotlib.pyplot as plt
import torch

from helpers.data import load_faces
from helpers.plots import show_images
from helpers.tasks import grey

limit = course.pick(smoke=64, cpu=2000, gpu=12_000)
train = load_faces("embedded", "train", limit=limit)
BACKGROUNDS = train.values["background_color"]
corner = train.images[:, :, 3, 3]                            # a pixel of the background
column = train.column("background_color")
colours = torch.stack([corner[column == i].median(0).values for i in range(6)])
brightness = colours @ torch.tensor([0.299, 0.587, 0.114])   # (6,)
by_helper = grey(colours.view(6, 3, 1, 1))[:, 0, 0, 0]
assert torch.allclose(brightness, by_helper, atol=1e-5)


def seeded(seed, device="cpu"):
    return torch.Generator(device).manual_seed(seed)


def patch(colour):
    """Colours (N, 3) as pictures of one colour."""
    return colour.view(-1, 3, 1, 1).expand(-1, 3, 8, 8)


# %%
def grid(images, columns, side=1.0, above=(), left=()):
    """Pictures in rows, names above the columns and left of the rows."""
    fig = show_images(images, columns=columns, side=side, show=False)
    for ax, name in zip(fig.axes, above):
        ax.set_title(name, fontsize=9, pad=2)
    for ax, name in zip(fig.axes[::columns], left):
        ax.text(-0.05, 0.5, name, transform=ax.transAxes, ha="right", va="center",
                fontsize=9)
    plt.show()


names = [f"{name} {b:.3f}" for name, b in zip(BACKGROUNDS, brightness.tolist())]
greys = brightness[:, None].expand(6, 3)
grid(torch.cat([patch(colours), patch(greys)]), 6, 1.1, names, ["colour", "grey"])

# %% [markdown]
# Above each: its brightness, 0.299 red + 0.587 green + 0.114 blue (our eye sees green as the brightest of the three), on our scale from $-1$ to $1$. This is what a grey picture keeps. Look at pink, green, blue and gray: in a grey picture they are nearly *the same*. (A file with 256 levels has steps of 0.008.)
#
# Somebody shows us the brightness $y = 0.69$, known to about one such step, $\sigma = 0.01$. By Bayes, with six colours that are equally likely before, colour $i$ has the probability
#
# $$q(\text{colour } i\mid y)\ \propto\ \exp\Big(-\frac{(y-\text{brightness}_i)^2}{2\sigma^2}\Big)$$
#
# **Predict.** You must give one colour, any red, green and blue, and pay the squared error. Which do you give at $y = 0.69$? Is it one of the six?

# %%
def log_chances(y, sigma=0.01):
    """log q(colour | y) for the six colours."""
    return (-(y - brightness) ** 2 / (2 * sigma**2)).log_softmax(0)


def best_answer(y):
    """The posterior mean: the colour with the smallest expected error."""
    return log_chances(y).exp() @ colours


seen = 0.69
answer = best_answer(seen)
chances = log_chances(seen).exp()                            # (6,), they add up to 1
print("  ".join(f"{n} {p:.2f}" for n, p in zip(BACKGROUNDS, chances)))
print("best answer:", [round(v, 2) for v in answer.tolist()])
assert answer.max() - answer.min() < 0.15                    # red ≈ green ≈ blue
mean_price = (chances * (colours - answer).square().mean(1)).sum()
print(f"its squared error: {mean_price:.3f}")

# %%
from helpers.widgets import slide


def show_chances(y):
    fig, (left, right) = plt.subplots(1, 2, figsize=(6, 1.8), width_ratios=(4, 1))
    shades = (colours / 2 + 0.5).clamp(0, 1)
    left.bar(BACKGROUNDS, log_chances(y).exp(), color=shades.numpy(), edgecolor="0.4")
    left.set(ylim=(0, 1), title=f"known: brightness {y:.2f}")
    right.imshow((best_answer(y) / 2 + 0.5).clamp(0, 1).view(1, 1, 3))
    right.set_title("best answer")
    right.axis("off")
    plt.show()


slide(show_chances, y=(0.55, 0.90, 0.69))

# %%
steps = (0.59, 0.64, 0.685, 0.69, 0.70, 0.86)
best = torch.stack([best_answer(y) for y in steps])
known = torch.tensor(steps)[:, None].expand(-1, 3)
grid(torch.cat([patch(known), patch(best)]), 6, 1.0, [f"y = {y}" for y in steps],
     ["known", "best answer"])

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# A grey, a little blue: the mean of pink, green, blue and gray. It is none of the six, so it is never right; and of all answers it is the cheapest. A network that is trained to name *one* colour, with the squared error, will learn to name this one. (Where the brightness decides, at 0.59 and 0.86, the best answer is the colour itself.)
#
# </details>
#
# Now the diffusion model of this world. The posterior mean given $x_t$ *and* $y$ is again Bayes. Write $c_i$ for colour $i$. It has its chance from $y$, and another from how near $x_t$ is to it; the two are multiplied, and $w_i$ is the result:
#
# $$w_i\ \propto\ q(\text{colour } i\mid y)\;\exp\Big(-\frac{\|x_t-\sqrt{\bar\alpha_t}\,c_i\|^2}{2(1-\bar\alpha_t)}\Big),\qquad \mathbb E[x_0\mid x_t, y] = \sum_i w_i\,c_i$$

# %%
from helpers.samplers import last, pairs, sample, timesteps
from helpers.schedules import make_schedule

schedule = make_schedule("cosine")                           # T = 1000


def exact(y):
    """The best denoiser of the world of one pixel, when y is known."""
    def predict(x_t, t):
        a, b = (float(v[0]) for v in schedule.at(t, like=x_t))
        far = (x_t[:, None] - a * colours).square().sum(2)   # (B, 6)
        weights = (log_chances(y) - far / (2 * b**2)).softmax(1)
        x0 = weights @ colours                               # (B, 3)
        return x0, (x_t - a * x0) / b
    return predict


# %%
x_T = torch.randn(2000, 3, generator=seeded(0))
end = last(sample(exact(seen), schedule, x_T, pairs(timesteps(1000, 200)), eta=1,
                  generator=seeded(1)))
drawn = torch.cdist(end.x, colours).argmin(1)
counts = drawn.bincount(minlength=6) / 2000
print("drawn:", "  ".join(f"{n} {c:.2f}" for n, c in zip(BACKGROUNDS, counts)))
assert (counts - chances).abs().max() < 0.05                 # the sampler is right
errors = torch.stack([(end.x - c).square().mean() for c in colours])     # (6,)
draw_price = (chances * errors).sum()
print(f"a draw costs {draw_price:.3f}: {draw_price / mean_price:.2f} times as much")
assert abs(draw_price / mean_price - 2) < 0.05

# %%
show = torch.stack([best_answer(seen), torch.full((3,), seen)])
grid(torch.cat([patch(show[1:]), patch(show[:1]), patch(end.x[:8])]), 10, 0.85,
     ["known", "best answer"] + [f"draw {i}" for i in range(1, 9)])

# %% [markdown]
# The same sampler as ever; only `predict` knows $y$. It draws each colour as often as it should, never the grey mean, and pays twice (recall question 1).
#
# One more look, at the very first step. $x_T$ is noise and tells nothing of $x_0$. What is the model's first guess?

# %%
guess = exact(seen)(x_T, torch.tensor(1000))[0]
print("first guess, mean and spread:", [round(v, 3) for v in guess.mean(0).tolist()],
      f"± {guess.std(0).max():.4f}")
assert torch.allclose(guess, best_answer(seen).expand_as(guess), atol=1e-2)

# %% [markdown]
# $$\mathbb E[x_0\mid x_T, y] = \mathbb E[x_0\mid y]$$
#
# > **At $t = T$, where no signal is left, every conditional diffusion model is a regression.** It begins with the best answer that one can give at once. The other steps make a decision out of it.

# %% [markdown]
# ## 2 · What $y$ can be  <small>8 min</small>
#
# Anything, if it can be turned into numbers. The part that does it is called the encoder, $\tau$ (tau), and its result $\tau(y)$. Then it needs a door into the network. Today there are four doors, numbered as in the cell below; the last two rows are for networks of later sessions:
#
# | $y$ | encoder $\tau(y)$ | shape of $\tau(y)$ | door | session |
# |---|---|---|---|---|
# | the step $t$ | sines and cosines, two layers | (B, E) | 2 · scale and shift after the norm (AdaGN) | {{session:ddpm}}, {{session:inpainting}} |
# | a class, attributes | a table with a vector for each value | (B, E) | 1 · added to the embedding of $t$ | {{session:ddpm}}, {{session:guidance}} |
# | a picture: hole, grey, small, JPEG | none, or enlarging | (B, C, H, W) | 3 · more input channels | {{session:inpainting}}, **{{session:restoration}}** |
# | a pose | the body's points, drawn as a picture | (B, C, H, W) | 3 · more input channels | |
# | a text | a language model, a vector for each word | (B, L, E) | 4 · cross-attention | {{session:latent_diffusion}}, {{session:text_to_image}} |
# | a sound | its spectrogram, cut into pieces, a vector for each | (B, L, E) | 4 · cross-attention | |
# | the frames before | none | (B, F, C, H, W) | more frames, kept clean | {{session:video}} |
# | a picture in a transformer | cut into patches, a vector for each | (B, L, E) | more places to attend to | {{session:transformers}} |
#
# (B pictures in a batch, C channels, H and W the sides; E numbers in a vector; L vectors, one for each word, piece or patch; F frames. A *spectrogram* is a picture of a sound: time to the right, pitch upwards.)
#
# A rule of thumb: what belongs to *the whole* picture (a class) goes in as a vector. What belongs to *a place* (a picture of the same size) goes in as channels. What is *a list* with no place of its own (words) is attended to.
#
# The four doors in one cell, a few lines each:

# %%
B, E, C, H = 2, 8, 4, 6
h = torch.randn(B, C, H, H, generator=seeded(0))             # inside the network
e = torch.randn(B, E, generator=seeded(1))                   # the embedding of t

# 1  a vector is added to the embedding of t
table = torch.nn.Embedding(3, E)                             # three classes
e = e + table(torch.tensor([0, 2]))                          # (B, E)
# 2  scale and shift
scale, shift = torch.nn.Linear(E, 2 * C)(e).view(B, 2 * C, 1, 1).chunk(2, 1)
scaled = torch.nn.functional.group_norm(h, 2) * (1 + scale) + shift
# 3  more channels
picture = torch.randn(B, 3, H, H)
joined = torch.nn.Conv2d(C + 3, C, 3, padding=1)(torch.cat([h, picture], 1))
# 4  cross-attention: each place asks (Q), each word answers (K, V)
words = torch.randn(B, 5, E)
Q = torch.nn.Linear(C, C)(h.flatten(2).transpose(1, 2))      # (B, 36, C)
K, V = torch.nn.Linear(E, 2 * C)(words).chunk(2, 2)          # (B, 5, C) each
told = ((Q @ K.transpose(1, 2)) / C**0.5).softmax(2) @ V     # (B, 36, C)
attended = h + told.transpose(1, 2).view(B, C, H, H)
assert scaled.shape == joined.shape == attended.shape == h.shape

# %% [markdown]
# **Predict.** Our face model has about 3.7 million weights. How many does the door for a picture cost? (Its first convolution has 48 filters of 3×3, and 2×2 pixels are folded into channels: session {{session:ddpm}}.)

# %%
from helpers.unet import UNet, count_parameters

FACE = dict(widths=(48, 96, 128), patch=2)
closed = count_parameters(UNet(**FACE))
picture_door = count_parameters(UNet(**FACE, image_channels=3)) - closed
class_door = count_parameters(UNet(**FACE, attributes=train.cardinalities)) - closed
print(f"network {closed:,}; door for a picture {picture_door:,},",
      f"for {len(train.names)} attributes {class_door:,}")
assert picture_door == 3 * 2**2 * 9 * 48          # 12 channels, 3×3, 48 filters

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# 5,184: one more piece of the first convolution, 0.14 % of the network. The rest of the network must only learn to *use* what comes in. This is why Palette could begin with the weights of the face model.
#
# </details>

# %% [markdown]
# ## 3 · Four kinds of damage, one model  <small>12 min</small>
#
# `palette-faces` of session {{session:inpainting}} was trained for all of them at once. It is not told which task it has: it sees it in $y$.
#
# | task | $y$ | unknown |
# |---|---|---|
# | colourise | the brightness | every pixel |
# | super-resolve ×4 | 16×16, enlarged smoothly (bicubic) | every pixel |
# | JPEG | saved with quality 5 to 30 | every pixel |
# | uncrop | a part; the rest is noise | the rest |
#
# (JPEG cuts a picture into squares of 8×8 and rounds off in each what the eye hardly sees. At a low quality it rounds off so much that one sees the squares.)

# %%
from helpers.tasks import damage

TASKS = ("colourise", "super_resolve", "uncrop", "jpeg")
test = load_faces("embedded", "test")                        # no model has seen them
test = test.take(torch.randperm(len(test), generator=seeded(8))[:200])   # shuffled
faces = test.images[[5, 1, 2, 0]]
known, holes = {}, {}
for task in TASKS:
    known[task], holes[task] = damage(task, faces, seeded(4))


def visible(y, hole):
    """What is known, for the eye: the noise of unknown parts is shown in grey."""
    return y if bool(hole.all()) else torch.where(hole, torch.tensor(0.3), y)


def show_damage(task, face):
    pair = torch.stack([faces[face], visible(known[task], holes[task])[face]])
    grid(pair, 2, 1.8, ["$x$", "what is known"])


slide(show_damage, task=list(TASKS), face=(0, 3))

# %%
rows = [visible(known[task], holes[task]) for task in TASKS]
grid(torch.cat([faces, *rows]), 4, 0.9, left=["face", *TASKS])

# %% [markdown]
# Before a network: what would you do with the small picture? Enlarging it smoothly is all one can do without knowing what a face is. *Bicubic* lays a curved surface through the 16×16 points. It is what stands in $y$.
#
# Now the model. `restore` is that of session {{session:inpainting}}: it shows $y$ to the network, and puts known pixels back.
#
# **Predict.** In which of the four tasks will the model's answers be farthest from the truth: grey, small, cut off, or JPEG?

# %%
import time

from helpers.checkpoints import load_card, load_denoiser
from helpers.metrics import psnr
from helpers.tasks import restore

device = course.device()
smoke = course.profile() == "smoke"
CALLS = 4 if smoke else 25                                   # for each answer
palette = load_denoiser("palette-faces", device)


@torch.no_grad()
def restored(y, hole, seed=0, model=palette):
    """An answer for each y (B, 3, 64, 64), on the CPU again."""
    g, y, hole = seeded(seed, device), y.to(device), hole.to(device)
    x = torch.randn(y.shape, generator=g, device=device)
    walk = pairs(timesteps(1000, CALLS))
    mender = restore(model, model.schedule, y, hole)
    end = last(sample(mender, model.schedule, x, walk, eta=1, generator=g))
    return end.x.clamp(-1, 1).cpu()


# %%
answers, clock = {}, time.perf_counter()
for task in TASKS:
    answers[task] = restored(known[task], holes[task])
    near = psnr(answers[task], faces, holes[task]).mean()
    print(f"{task:14s} PSNR {near:5.1f} dB, n = 4, seed 0, {CALLS} calls")
print(f"{4 * 4} answers in {time.perf_counter() - clock:.0f} s on {device.type}")

# %% [markdown]
# The rows stand as in the sheet above, where you see what the model knew:

# %%
grid(torch.cat([faces, *answers.values()]), 4, 0.9, left=["truth", *answers])

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# Where most is open: in what was cut off, and in the colours. The colours look plausible, and many are not those of the original. Section 1 says why: four backgrounds have nearly one brightness. (How near it is with shirts and hair: section 6.) An answer far from the truth need not be a bad one. The small and the JPEG picture leave little open.
#
# </details>
#
# > **Easily mistaken.** "The model finds out what was there." It does not: what is not in $y$ is *invented*, in the manner of the training data. A small picture of a suspect must not be enlarged with this.
#
# How does a decision come about? The guess of $x_0$ at seven of the steps:

# %%
def show_growth(task, face):
    """The guess of x_0 on the way."""
    g = seeded(1, device)
    y, hole = (part[task][face:face + 1].to(device) for part in (known, holes))
    x = torch.randn(y.shape, generator=g, device=device)
    walk = pairs(timesteps(1000, CALLS))
    mender = restore(palette, palette.schedule, y, hole)
    states = list(sample(mender, palette.schedule, x, walk, eta=1, generator=g))
    at = torch.linspace(0, len(states) - 1, 7).long().tolist()
    grid(torch.cat([states[i].x0 for i in at]).cpu(), 7, 0.9,
         above=[f"t = {walk[i][0]}" for i in at])


slide(show_growth, task=list(TASKS), face=(0, 3))

# %% [markdown]
# The first guess, on the left, mixes what is possible; then one colour wins. (The slider runs the model: it takes a few seconds.)
#
# Does an answer agree with what is known? Damage it again, and compare with $y$:

# %%
from helpers.tasks import enlarge, shrink

again = {"colourise": grey(answers["colourise"]),
         "super_resolve": enlarge(shrink(answers["super_resolve"]))}
for task, picture in again.items():
    off = (picture - known[task]).square().mean().sqrt()
    far = (known[task].roll(1, 0) - known[task]).square().mean().sqrt()
    print(f"{task:14s} off by {off:.3f} (another face's y: {far:.3f})")

# %% [markdown]
# Nearly, not exactly: nothing in the loss *demands* it. In the homework you write two lines that put it right.

# %% [markdown]
# ## 4 · Why regression blurs  <small>16 min</small>
#
# Why not train a network that answers at once, $x = f(y)$, with the squared error? It would be 25 times faster. Section 1 has told us what comes out:
#
# $$f^*(y) = \mathbb E[x_0\mid y]$$
#
# the mean of all pictures that fit. If two fit, an eye open and an eye closed, it is both eyes, faintly, one over the other. **Regression does not blur because its network is small or badly trained. It blurs because the mean is the right answer to the question that it was asked.**
#
# Live, with digits. 8×8 becomes 2×2, four numbers, and is to be enlarged again. Two equal networks, equal steps: one learns to answer at once, one learns diffusion.

# %%
import tempfile
from pathlib import Path

from tqdm.auto import tqdm

from helpers.data import load_digits
from helpers.diffusion import Denoiser, diffusion_loss
from helpers.train import fit

digits = load_digits(8)[0]                                   # (1797, 1, 8, 8)
STEPS = course.pick(smoke=6, cpu=600, gpu=600)
folder = tempfile.TemporaryDirectory()


def regression_loss(network, x0, g):
    y = enlarge(shrink(x0))                                  # 8×8 → 2×2 → 8×8, smooth
    T = torch.full((len(x0),), 1000, device=x0.device)
    return (network(torch.zeros_like(x0), T, image=y) - x0).square().mean()


def conditional_loss(network, x0, g):
    y = enlarge(shrink(x0))
    return diffusion_loss(Denoiser(network, schedule, "v"), x0, g, image=y)


# %%
def train_digits(name, loss):
    """Trains a small U-Net that sees y, and returns its average."""
    torch.manual_seed(0)
    network = UNet(channels=1, widths=(24, 48), attention=(1,), image_channels=1)
    run = fit(network, digits[:1500], loss, STEPS, batch=48, ema=0.99, seed=0,
              checkpoint=Path(folder.name, f"{name}.pt"))
    return last(tqdm(run, total=STEPS)).ema.cpu()


clock = time.perf_counter()
at_once = train_digits("at-once", regression_loss)
print(f"regression: {STEPS} steps in {time.perf_counter() - clock:.0f} s")

# %%
clock = time.perf_counter()
by_steps = train_digits("by-steps", conditional_loss)
print(f"diffusion: {STEPS} steps in {time.perf_counter() - clock:.0f} s")

# %%
small = enlarge(shrink(digits[1500:]))                       # 297 held-out digits
truth = digits[1500:]
if smoke:
    small, truth = small[:12], truth[:12]
diffusion = Denoiser(by_steps, schedule, "v")
with torch.no_grad():
    T = torch.full((len(truth),), 1000)
    regressed = at_once(torch.zeros_like(truth), T, image=small)
    x_T = torch.randn(truth.shape, generator=seeded(0))
    first = diffusion(x_T, T, image=small)[0]                # of x_0, at step T


def enlarged(seed):
    g = seeded(seed)
    x = torch.randn(truth.shape, generator=g)
    walk = pairs(timesteps(1000, 20))
    end = last(sample(diffusion, schedule, x, walk, eta=1, generator=g, image=small))
    return end.x.clamp(-1, 1)


draws = torch.stack([enlarged(seed) for seed in range(8)])   # (8, N, 1, 8, 8)

# %% [markdown]
# **Predict.** Sort by squared error: the regression; one draw of the diffusion model; the mean of eight draws; the diffusion model's first guess at step $T$. Which has the smallest?

# %%
rows = {"known": small, "regression": regressed, "first guess": first,
        "mean of 8": draws.mean(0), "draw 1": draws[0], "draw 2": draws[1],
        "truth": truth}
grid(torch.cat([part[:12] for part in rows.values()]), 12, 0.7, left=list(rows))
print(f"n = {len(truth)} held-out digits")
errors = {name: float((part - truth).square().mean()) for name, part in rows.items()}
for name, error in errors.items():
    if name not in ("truth", "draw 2"):
        print(f"{name:12s} squared error {error:.3f}")
print(f"draw / mean of 8: {errors['draw 1'] / errors['mean of 8']:.2f}",
      "(perfect sampler: 2 / 1.125 = 1.78)")
if not smoke:
    assert errors["regression"] < 0.75 * errors["draw 1"]
    assert errors["mean of 8"] < 0.75 * errors["draw 1"]

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# The regression, by a hair. It, the first guess and the mean of eight draws cost nearly the same, and a draw costs about one and a half times as much. (Twice, if it were perfect: the draws of this small model vary less than the truth.) Rows two, three and four are the same fog: three ways to one posterior mean. Where four numbers leave much open (the seventh column), only the draws look like digits.
#
# </details>
#
# Now faces. `regress-faces` has had the same U-Net as `palette-faces`, the same start, the same tasks, batches and number of steps. (The minutes below differ for another reason: the machine did other things as well.) It was trained at $t = T$ only, with 0 where Palette has noise; there $v\approx -x_0$ (recall question 2), so its loss is the squared error of the picture.

# %%
regress = load_denoiser("regress-faces", device)
for name in ("palette-faces", "regress-faces"):
    about = load_card(name)
    print(f"{name}: {about['parameters']:,} weights,",
          f"{about['recipe']['steps']:,} steps of {about['recipe']['batch']},",
          f"{about['seconds'] / 60:.0f} min on {about['device']}")


@torch.no_grad()
def at_first(model, y, hole, noise):
    """The guess of x_0 at step T: one call."""
    y, hole = y.to(device), hole.to(device)
    mender = restore(model, model.schedule, y, hole)
    return mender(noise.to(device), 1000)[0].clamp(-1, 1).cpu()


# %%
def four_answers(task, seed=0):
    """Regression; Palette's first guess; the mean of eight answers; one answer."""
    y, hole = known[task], holes[task]
    noise = torch.randn(y.shape, generator=seeded(seed))
    eight = torch.stack([restored(y, hole, seed) for seed in range(8)])
    return {"regression": at_first(regress, y, hole, torch.zeros_like(y)),
            "first guess": at_first(palette, y, hole, noise),
            "mean of 8": eight.mean(0), "one answer": eight[0], "truth": faces}


compared = {task: four_answers(task) for task in ("uncrop", "colourise")}

# %%
for task, rows in compared.items():
    grid(visible(known[task], holes[task]), 4, 0.9, left=[task.rjust(11)])
    grid(torch.cat(list(rows.values())), 4, 0.9, left=list(rows))
    near = {name: psnr(part, faces, holes[task]).mean()
            for name, part in rows.items() if name != "truth"}
    print("   ".join(f"{name} {decibel:.1f} dB" for name, decibel in near.items()),
          "  n = 4")

# %% [markdown]
# Read the rows from above, and look at what $y$ leaves open: shirt, background, hair, mouth. There the regression has fog, and grey or mixed colours (hair that could be red or blue becomes a dull red); where $y$ decides, it is as sharp as the truth. Palette's first guess at $T$ and the mean of its eight answers should be the same fog. They are fog, but not quite the same: a few dB worse, and here and there already decided. (In theory both come as near as the regression, or nearly; this is a small network that has many other things to do.) And one answer is a face.
#
# PSNR likes the regression best; you know from session {{session:inpainting}} why. (With four faces a lucky answer can beat the mean of eight. Section 5 has 200.)
#
# **Exactly?** For the backgrounds we computed the posterior mean by hand in section 1. What does the regression paint when the truth is pink, green, blue or gray? If it has found the posterior mean, it paints them nearly alike (spread near 0), in the colour of section 1. (Not quite alike: the four greys differ by up to 0.013, and a sharp eye can use that.) Palette should paint them as different as they are. (Section 6 counts which colours it takes; a good spread alone could also come from wrong ones.)

# %%
alike = [i for i in range(6) if abs(float(brightness[i]) - 0.69) < 0.02]
which = torch.isin(test.column("background_color"), torch.tensor(alike))
some = test.take(torch.where(which)[0][:24 if not smoke else 4])
y = grey(some.images)
all_open = torch.ones_like(y[:, :1], dtype=torch.bool)
by_regression = at_first(regress, y, all_open, torch.zeros_like(y))
by_palette = restored(y, all_open)


def corners(pictures):
    return pictures[:, :, 2:6, 2:6].mean((2, 3))             # (N, 3)


for name, c in (("truth", corners(some.images)), ("regression", corners(by_regression)),
                ("Palette", corners(by_palette))):
    middle = [round(v, 2) for v in c.mean(0).tolist()]
    spread = c.var(0).mean().sqrt()                          # from face to face
    print(f"{name:11s} mean colour {middle}, spread {spread:.2f}")
exact_mean = [round(v, 2) for v in best_answer(0.69).tolist()]
print(f"posterior mean by hand {exact_mean}, the same for all; n = {len(some)} faces")

# %%
grid(torch.cat([some.images[:4], by_regression[:4], by_palette[:4]]), 4, 0.9,
     left=["truth", "regression", "Palette"])

# %% [markdown]
# The network was never told of section 1. It has found the posterior mean from examples, because it was paid for it.

# %% [markdown]
# ## 5 · Measured  <small>7 min</small>
#
# Held-out faces, chosen evenly from the 1,000 (three in ten have combinations of parts that no training face has), the same damage for all methods. PSNR and SSIM where pixels are unknown; FD on whole pictures, against the other held-out faces; *no network* is $y$ itself (for uncrop: the mean colour of what is known). `python -m experiments.restoration` makes the table.
#
# **Predict, before you run the cell.** Which row wins PSNR in each task? Which FD? Is there a task in which the regression is good enough?

# %%
import json


def stored(name):
    return json.loads((course.ROOT / "experiments" / f"{name}.json").read_text())


measured = stored("restoration")
m, floor = measured["machine"], measured["floor"]
print(f"n = {m['n']} for each task, against {m['reference']}; {m['device']}")
print(f"{'':30s}{'PSNR':>6}{'SSIM':>6}{'FD':>8}{'  95 % interval':>17}",
      f"{'calls':>6}{'seconds':>9}")
for task, methods in measured["tasks"].items():
    for name, row in methods.items():
        low, high = row["fd_interval"]
        print(f"{task:14s}{name:16s}{row['psnr']:6.1f}{row['ssim']:6.2f}",
              f"{row['fd']:7.2f}{low:9.2f} …{high:6.2f}",
              f"{row['calls']:6d}{row['processor_seconds']:9.3f}")
low, high = floor["fd_interval"]
print(f"{'untouched faces: the floor':42s} {floor['fd']:7.2f}{low:9.2f} …{high:6.2f}")

# %%
fig, axes = plt.subplots(1, 4, figsize=(11, 2.6))
for ax, (task, methods) in zip(axes, measured["tasks"].items()):
    for name in ("regression", "Palette", "mean of 8 fills"):
        row = methods[name]
        low, high = row["fd_interval"]
        ax.errorbar(row["psnr"], row["fd"], marker="o", label=name,
                    yerr=[[row["fd"] - low], [high - row["fd"]]])
    ax.axhline(floor["fd"], color="0.5", ls=":", label="floor")
    ax.set(title=task, xlabel="PSNR, dB", ylim=(0, None))
axes[0].set_ylabel("FD: lower is better")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5,
           fontsize=8)
plt.show()

# %%
for task, methods in measured["tasks"].items():
    best = max(methods, key=lambda name: methods[name]["psnr"])
    likest = min(methods, key=lambda name: methods[name]["fd"])
    one = methods["Palette"]
    price = one["mse"] / methods["regression"]["mse"]
    several = methods[f"mean of {m['fills']} fills"]["mse"] / one["mse"]
    print(f"{task:14s} best PSNR: {best}; best FD: {likest}")
    print(f"{'':14s} squared error: one / regression {price:.2f},",
          f"mean of {m['fills']} / one {several:.2f}; spread {one['diversity']:.2f}")
    more = methods["regression"]["over_palette"]
    low, high = more["excess_interval"]
    print(f"{'':14s} FD of the regression above that of Palette, same faces:",
          f"{more['excess']:+.2f} ({low:+.2f} … {high:+.2f})")

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# PSNR goes to the regression in all four tasks, and the second place to the other blur, the mean of the fills.
#
# FD: in three tasks the lowest is that of single answers of Palette, in JPEG that of the regression. But the intervals of the table overlap, so one must look at the pairs (same faces, last lines above). For the colours the difference is large and its interval leaves out 0, for super-resolution it is small and does so too. For uncrop and JPEG nothing is certain.
#
# So FD sees the gain of a draw most where colours are open. In uncrop even more is open, but our FD hardly notices the grey shirts and backgrounds of section 4, which the eye sees at once. After JPEG most of a drawn face is still there, and the regression, 25 times faster, is all that one needs.
#
# </details>
#
# (A *fill* is one answer. *Spread*: the standard deviation of a value among the fills of one picture, root mean square over the unknown pixels, mean over the pictures. *Squared error*: a perfect sampler has one / regression = 2 and mean of 8 / one = 0.56 (recall question 1). More than 2 is the sampler's own error: a small network, 25 calls. Below 0.56: these errors differ from fill to fill and average out. Above 0.56: the fills of a picture are wrong *together*. In uncrop the 1.93 only looks perfect: the fills vary too little, and are wrong together. Seconds are of one processor core, for one picture.)
#
# **Published, to set beside.** Palette, colouring ImageNet pictures (Saharia et al. 2021): FID-5K 15.78, where a regression of the same network has 17.89; and people took the coloured pictures for real ones in 47.8 % of the cases, 50 % being perfect. Other data, other features, another $n$; the pattern is what can be compared.

# %% [markdown]
# ## 6 · How varied are the colours?  <small>6 min</small>
#
# A model that draws honestly should not only draw *a* fitting colour. It should draw each as often as it occurs. Of the four backgrounds of equal brightness each should come in a quarter of the answers.
#
# **Predict.** Would a model that always chooses blue get a bad FD? A bad PSNR?

# %%
FILLS = 6
two = test.images[[5, 2]]
y = grey(two)
open_ = torch.ones(2 * FILLS, 1, 64, 64, dtype=torch.bool)
coloured = restored(y.repeat_interleave(FILLS, 0), open_, seed=1)
for i in range(2):
    grid(torch.cat([y[i:i + 1], coloured[FILLS * i:FILLS * (i + 1)], two[i:i + 1]]),
         FILLS + 2, 0.9,
         above=["known", *(f"answer {i}" for i in range(1, FILLS + 1)), "truth"])

# %%
again = torch.cat([by_palette, restored(grey(some.images), all_open, seed=1)])
nearest = torch.cdist(corners(again), colours).argmin(1)     # which background?
counts = nearest.bincount(minlength=6) / len(nearest)
for i, name in enumerate(BACKGROUNDS):
    mark = "  ← a quarter would be right" if i in alike else ""
    print(f"{name:8s}{counts[i]:6.2f}{mark}")
print(f"n = {len(nearest)} answers for {len(some)} faces, seeds 0 and 1")
print(f"chance alone moves a quarter by ± {(0.25 * 0.75 / len(nearest)) ** 0.5:.2f}")
four = colours[alike]                                        # (4, 3)
apart = (four[:, None] - four).square().mean(2)              # (4, 4)
blue = alike.index(BACKGROUNDS.index("blue"))
print(f"squared error: always blue {apart[blue].mean():.3f}, draws {apart.mean():.3f}")

# %%
row = measured["tasks"]["colourise"]["Palette"]["colours"]
shirt = measured["tasks"]["colourise"]["regression"]["colours"]
real = measured["floor"]["colours"]
print(f"shirts, seen by a classifier, n = {m['n']}: {row['different']:.1f} different",
      f"colours among {row['fills']} answers for one face;",
      f"the colour of the truth in {100 * row['right']:.0f} %")
print(f"(regression: {100 * shirt['right']:.0f} %;",
      f"the classifier on real faces: {100 * real['right']:.0f} %)")

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# PSNR hardly: one fixed colour of four is, on average, as wrong as a draw (the last line of the count of backgrounds compares always-blue with draws). FD yes, if there are enough pictures: a set in which no background is pink has another mean and another covariance than real faces. And a reader of a single picture sees nothing at all. So diversity must be counted by itself, as here.
#
# </details>
#
# Look at the counts again. Yellow and purple have another brightness: what is counted there the model got wrong. And look at the sheet: some backgrounds lie *between* the six colours, as no face of the data does. The exact model of section 1 draws each colour as often as it should; this small network does so only roughly.
#
# **What is good** in the sheet: colours are drawn anew in each answer, but not pixel by pixel. Hair is red or blue, never half; turban and shirt have one colour, as in all our faces. That is the difference between drawing from $q(x\mid y)$ and drawing each pixel from its own distribution.
#
# **What is not:** the first face gets a beard or a moustache in three answers, though the grey picture shows none. And the green of the turban never comes. Green ($-0.065$) and purple ($-0.097$) are four steps of 0.008 apart: the grey picture could tell them. The regression, which must look closely to be paid well, finds the shirt's colour in 85 % of the faces. So not all of Palette's variety is honest: it is good only where the truth is open.

# %% [markdown]
# ## 7 · By hand  <small>6 min</small>
#
# Choose a picture and a damage, then press **restore**. For a picture of your own put its path into `my_picture`. The astronaut is a photograph (Eileen Collins, NASA, public domain).
#
# **Predict.** What does a model that knows only drawings make of a grey *photograph*?

# %%
from helpers.data import load_picture, photograph

my_picture = None                                            # or a path: "me.jpg"
album = {f"face {i}": test.images[i:i + 1] for i in (0, 3, 5, 16)}
album["astronaut"] = photograph(64)
if my_picture:
    album["my picture"] = load_picture(my_picture, 64)


def preview(picture, task, seed):
    y = damage(task, album[picture], seeded(seed))[0]
    show_images(torch.cat([album[picture], y]), ["original", "$y$"], side=1.8)


def show_restored(picture, task, seed=0):
    x = album[picture]
    y, hole = damage(task, x, seeded(seed))
    wide = [part.expand(3, -1, -1, -1) for part in (y, hole)]
    fog = at_first(regress, y, hole, torch.zeros_like(y))
    grid(torch.cat([visible(y, hole), fog, restored(*wide, seed), x]), 6, 1.15,
         ["known", "regression", "answer 1", "answer 2", "answer 3", "original"])


# %%
import ipywidgets
from IPython.display import display

panel = slide(preview, picture=list(album), task=list(TASKS), seed=(0, 9))
button, output = ipywidgets.Button(description="restore"), ipywidgets.Output()


def press(_=None):
    output.clear_output(wait=True)
    with output:
        show_restored(**panel.kwargs)


button.on_click(press)
display(panel, button, output)
press()                                                      # once, to begin with

# %%
show_restored("face 16", "uncrop", seed=3)
show_restored("astronaut", "colourise")

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# (Above, face 16: one half of a face says nearly everything about the other half, so the three answers are nearly one.)
#
# Of the photograph it makes a drawing. It looks for the nearest thing that it knows: flat areas, the few colours of the drawn faces, and for the astronaut's curls one of its turbans. It does not even keep what is known (the brightness), because nothing in the loss demands it. A model knows its training data, and nothing else.
#
# </details>
#
# **Bad input.** A see-through picture, a grey one, a single pixel, a photograph of 48 million pixels, half a file; then a hole, a condition or numbers that do not fit; and at last no hole and all hole:

# %%
from helpers.pictures import odd_files

for name, file in odd_files().items():
    try:
        x = load_picture(file)
        y, hole = damage("super_resolve", x)
        middle = [round(v, 2) for v in y[0, :, 32, 32].tolist()]
        print(f"{name:12s} y {tuple(y.shape)}, middle {middle}")
    except ValueError as error:
        print(f"{name:12s} refused: {str(error).split('(')[0]}")

# %%
from helpers.tasks import make_holes

x = faces[:1]
attempts = {
    "a hole of another size":
        lambda: damage("uncrop", x, hole=make_holes("half", 1, 32)),
    "a condition of another size":
        lambda: palette(x.to(device), torch.tensor([1000]),
                        image=x[:, :, :32, :32].to(device)),
    "numbers from 0 to 255": lambda: damage("colourise", (x + 1) * 127.5),
    "whole numbers": lambda: damage("jpeg", ((x + 1) * 127.5).byte()),
    "an unknown task": lambda: damage("sharpen", x),
    "a picture, not a batch": lambda: damage("jpeg", x[0]),
    "a side of 62": lambda: damage("super_resolve", x[:, :, :62]),
}
for name, attempt in attempts.items():
    try:
        attempt()
        print(f"{name}: taken!")
    except (TypeError, ValueError) as error:
        print(f"{name}: {error}")

# %%
everything = torch.ones(1, 1, 64, 64, dtype=torch.bool)      # nothing is known
y, hole = damage("uncrop", x, seeded(0), hole=~everything)   # nothing is missing
assert torch.allclose(restored(y, hole), x, atol=1e-5)
y, hole = damage("uncrop", x, seeded(0), hole=everything)
print("no hole: the face comes back; all hole: some face is drawn, not a clean one")
grid(torch.cat([x, restored(y, hole)]), 2, 1.0, ["original", "all hole"])

# %% [markdown]
# ## 8 · Cascades  <small>15 min</small>
#
# Super-resolution can also be a *part of drawing*. To draw a large face, draw a small one, then enlarge it. Both halves are diffusion models:
#
# $$p(x_{64}) = \int p(x_{64}\mid x_{16})\;p(x_{16})\;dx_{16}$$
#
# ($x_{16}$ is the face at 16×16, $x_{64}$ at 64×64; here the small numbers are sides, not steps.) This is a **cascade** (Ho et al. 2022). It was how the first large pictures were made, in the paper 32 → 64 → 256: a first network decides *what* is in the picture, cheaply, and the next ones care for detail.
#
# Ours has two stages, 16 → 64. The second sees the small face as channels: section 2, door 3. The first has a noise table of its own, because a small picture drowns in less noise (session {{session:forward_process}}: two doublings of the side are a shift of $4\ln 2$).

# %%
first_stage = load_denoiser("cascade-16", device)
second = load_denoiser("cascade-64", device)
plain = load_denoiser("cascade-64-plain", device)            # explained below
small_table = first_stage.schedule                           # noise table of 16×16
for name in ("cascade-16", "cascade-64", "cascade-64-plain", "ddpm-faces"):
    about = load_card(name)
    print(f"{name:17s}{about['parameters']:10,d} weights,",
          f"{about['recipe']['steps']:,} steps, {about['seconds'] / 60:4.0f} min",
          f"on {about['device']}")


# %%
@torch.no_grad()
def drawn(model, side, n, calls, seed, **condition):
    """n pictures (n, 3, side, side); η = 0: no new noise on the way."""
    x = torch.randn(n, 3, side, side, generator=seeded(seed)).to(device)
    walk = pairs(timesteps(1000, calls if not smoke else 4))
    condition = {k: v.to(device) for k, v in condition.items()}
    end = last(sample(model, model.schedule, x, walk, **condition))
    return end.x.clamp(-1, 1).cpu()


clock = time.perf_counter()
small_faces = drawn(first_stage, 16, 4, 50, seed=0)
print(f"4 small faces in {time.perf_counter() - clock:.1f} s, 50 calls")
grid(small_faces, 4, 0.95)

# %% [markdown]
# **The catch.** The second stage is trained with *real* small faces. When we draw, it gets those of the first stage, and they are not quite real: a smear here, a wrong pixel there. Such pictures it has never seen, and it takes every smear for a detail. Errors add up from stage to stage.
#
# **The cure** of the paper is simple (*conditioning augmentation*, section 3 there): add noise to the small face, in training and in drawing. Noise hides small smears. The network is told how much, and learns how far it may trust what it sees.
#
# Why does it help? Suppose the first stage's face is off by $\delta$ (delta), a picture of errors. With noise of step $s$ on both, the real face gives $\mathcal N(\sqrt{\bar\alpha_s}\,x,\ (1-\bar\alpha_s)I)$, ours $\mathcal N(\sqrt{\bar\alpha_s}\,(x+\delta),\ (1-\bar\alpha_s)I)$. Two Gaussians of one width; their KL divergence (session {{session:start_here}}) is
#
# $$\mathrm{KL} = \frac{\bar\alpha_s\,\|\delta\|^2}{2\,(1-\bar\alpha_s)} = \tfrac12\,\mathrm{SNR}_s\,\|\delta\|^2,\qquad \mathrm{SNR}_s = \frac{\bar\alpha_s}{1-\bar\alpha_s}$$
#
# Without noise it is infinite: the network can tell the two apart for sure. With noise it falls with the signal-to-noise ratio. But what the noise hides of $\delta$, it hides of $x$ as well.

# %%
def show_level(s):
    steps = torch.arange(20, 501)
    snr = (small_table.log_snr[steps]).exp()
    fig, ax = plt.subplots(figsize=(5, 2.4))
    for error in (0.02, 0.05, 0.1):
        ax.semilogy(steps, 0.5 * snr * 3 * 16 * 16 * error**2, label=f"{error}")
    ax.axvline(s, color="0.5", ls=":")
    ax.set(xlabel="step s of the noise on the small face", ylabel="KL",
           title=f"s = {s}: noise {small_table.noise[s]:.2f}")
    ax.legend(title="error δ of each value", fontsize=8)
    plt.show()


slide(show_level, s=(0, 500, 200))

# %%
delta, s = torch.full((3, 16, 16), 0.05), 200                # the formula, by counting
a, b = float(small_table.signal[s]), float(small_table.noise[s])
z = torch.randn(4000, 3, 16, 16, generator=seeded(0))
log_ratio = ((z + a * delta / b).square() - z.square()).sum((1, 2, 3)) / 2
formula = 0.5 * (a / b) ** 2 * float(delta.square().sum())
print(f"KL by formula {formula:.1f}, by 4,000 draws {log_ratio.mean():.1f}")
assert abs(log_ratio.mean() / formula - 1) < 0.05

# %% [markdown]
# An error of 0.05 in *every* value is still told apart at $s = 200$ (KL 34); one of 0.02 hardly. So noise hides small errors only, and whether that is enough must be measured.
#
# How does one tell the network the noise? Door 3 once more: one more channel, filled with $\sqrt{1-\bar\alpha_s}$. So the second stage sees four more channels: the noisy small face with each pixel repeated 4×4, and the level.

# %%
from helpers.tasks import noisy_large


def noisy_by_hand(small, s, g):
    """small (B, 3, 16, 16), one step s → what stage two sees, (B, 4, 64, 64)."""
    a, b = small_table.signal[s].float(), small_table.noise[s].float()
    noisy = a * small + b * torch.randn(small.shape, generator=g)
    level = torch.ones_like(small[:, :1]) * b                # (B, 1, 16, 16)
    both = torch.cat([noisy, level], 1)
    return both.repeat_interleave(4, 2).repeat_interleave(4, 3)


def condition(small, s, seed=1):
    return noisy_large(small, small_table, torch.full((len(small),), s), seeded(seed))


assert torch.allclose(noisy_by_hand(small_faces, 200, seeded(1)),
                      condition(small_faces, 200), atol=1e-6)
print("by hand = helpers.tasks.noisy_large")
levels = (0, 100, 200, 300, 500)
grid(torch.cat([condition(small_faces[:1], s)[:, :3] for s in levels]), 5, 1.2,
     [f"s = {s}\nnoise {small_table.noise[s]:.2f}" for s in levels])

# %% [markdown]
# For an honest comparison there are **two** second stages, with the same network, start and steps: `cascade-64` saw small faces with noise of a random step up to 500; `cascade-64-plain` saw clean ones only.
#
# **Predict.** Both get *real* small faces, then those of the first stage. Which of the two draws better, in each case?

# %%
LARGE = 25                                                   # calls of stage two
real_small = shrink(faces)
rows = {}
for source, small in (("real", real_small), ("own", small_faces)):
    rows[f"{source} 16×16"] = enlarge(small)
    rows["plain"] = drawn(plain, 64, 4, LARGE, 2, image=condition(small, 0))
    for s in (0, 200):
        rows[f"s = {s}"] = drawn(second, 64, 4, LARGE, 2, image=condition(small, s))
    grid(torch.cat(list(rows.values())), 4, 0.9, left=list(rows))
    rows = {}

# %% [markdown]
# First sheet: from real small faces (`plain` is the second stage without augmentation; the rows below it are the one with augmentation, at $s = 0$ and $s = 200$). Second sheet: from the first stage's own. Look for smears that were made large, and for details that have nothing to do with the small face.

# %%
def from_small(s, source):
    small = real_small if source == "real" else small_faces
    large = drawn(second, 64, 4, LARGE, 2, image=condition(small, s))
    grid(torch.cat([enlarge(small), condition(small, s)[:, :3], large]), 4, 1.1,
         left=["16×16", f"s = {s}", "64×64"])


slide(from_small, s=(0, 500, 200), source=["real", "own"])

# %% [markdown]
# With much noise the second stage listens less, and draws more on its own. (*Off*, in the table: shrink the large face again; how far is it from the small one, root mean square.) Measured:

# %%
table = measured["cascade"]
one, small_row = table["one"], table["small"]
print(f"n = {table['n']}, seed {table['seed']}, against {table['reference']};",
      f"{table['steps']['small']} + {table['steps']['large']} calls")
for name, side in (("large", "64×64"), ("small", "16×16")):
    print(f"floor at {side}: {table['floor'][name]['fd']:.2f}")
print(f"stage one alone, at 16×16: FD {small_row['fd']:.2f}\n")
print(f"{'':18s}{'s':>4}{'small face':>12}{'FD':>8}{'  95 % interval':>17}",
      f"{'off':>8}")
for row in table["large"]:
    low, high = row["fd_interval"]
    print(f"{row['model']:18s}{row['level']:4d}{row['source']:>12}{row['fd']:8.2f}",
          f"{low:9.2f} …{high:6.2f}{row['follows']:8.3f}")
low, high = one["fd_interval"]
print(f"{'one model, 64×64':34s}{one['fd']:8.2f} {low:9.2f} …{high:6.2f}")

# %%
fig, ax = plt.subplots(figsize=(6, 2.8))
for source, colour in (("own", "C0"), ("real", "C1")):
    for name, mark, word in (("cascade-64", "o-", "augmented"),
                             ("cascade-64-plain", "x", "plain")):
        found = [r for r in table["large"]
                 if (r["model"], r["source"]) == (name, source)]
        ax.plot([r["level"] for r in found], [r["fd"] for r in found], mark, ms=8,
                color=colour, label=f"{source} small faces, {word}")
        for r in found:
            ax.vlines(r["level"], *r["fd_interval"], color=colour, alpha=0.5)
ax.axhline(one["fd"], color="C2", ls="--", label="one model")
ax.axhline(table["floor"]["large"]["fd"], color="0.5", ls=":", label="floor")
ax.set(xlabel="step s of the noise on the small face", ylabel="FD", ylim=(0, None))
fig.legend(loc="outside right center", fontsize=8)
plt.show()

# %% [markdown]
# (The FD of stage one is measured at 16×16, so it cannot be compared with the others.)
#
# The intervals overlap, but both second stages had the same small faces and the same start noise. So we may look at differences, as in section 5:

# %%
for row in table["large"]:
    if more := row.get("over_plain"):
        low, high = more["excess_interval"]
        print(f"{row['source']:5s} small faces, s = {row['level']:3d}: FD above plain",
              f"{more['excess']:+.2f} ({low:+.2f} … {high:+.2f})")

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# With the first stage's faces the augmented one is better, with real ones the plain one. (The interval leaves out 0 at four of five levels, and at all five. It speaks of these two networks; another training could differ.) That is the bargain of augmentation: trust less, lose detail where the small face is right, gain where it is wrong.
#
# </details>
#
# **What the levels say.** With the first stage's faces the FD falls slowly, from 1.43 at $s = 0$ to 1.32 at $s = 300$, and is higher again at 500. Two thirds of the gain are there at $s = 0$ already: a network *trained* with noise has learned not to believe every pixel.
#
# In the paper, on ImageNet, the quality of a cascade "relies crucially" on augmentation (so its abstract says). Ours gains at most 0.3 of FD. We have one training of each, of small networks on simple drawings, so we cannot say why it matters less here.
#
# **Where does the error come from?** Real small faces, enlarged by the plain stage, have an FD at the floor: 0.45. With the first stage's faces it is 1.62. So nearly all of this error came in with the small faces. The augmented stage takes back about a quarter of it, and adds a little of its own (0.62 with real faces).
#
# **What does it cost?** Put the whole cascade beside the one model:

# %%
stage_two = [r for r in table["large"] if r["source"] == "own"]
chosen = min(stage_two, key=lambda row: row["fd"])
rows = {"cascade, both stages": [small_row, chosen], "one model": [one]}
print(f"{'':22s}{'weights':>11}{'trained, min':>14}{'s a face':>10}{'FD':>7}")
for name, parts in rows.items():
    weights, minutes, seconds = (sum(p[k] for p in parts) for k in (
        "parameters", "training_seconds", "processor_seconds"))
    print(f"{name:22s}{weights:11,d}{minutes / 60:14.0f}{seconds:10.2f}",
          f"{parts[-1]['fd']:6.2f}")
price = (chosen["processor_seconds"] / table["steps"]["large"]
         / (small_row["processor_seconds"] / table["steps"]["small"]))
print(f"(best level on these faces: {chosen['model']}, s = {chosen['level']};",
      f"one call of stage two costs {price:.1f} times one of stage one)")

# %% [markdown]
# Be fair when you read it. The cascade is smaller, 2.3 million weights against 3.7, and takes half the time for a face, with 50 + 25 calls against 50. (With 25 calls the one model would take as little; its FD there is not in this table.) The cascade's FD is a little higher, but the intervals overlap: these 1,000 faces do not tell the two apart. The minutes of training say little: the machine did other things as well, and each stage had one processor core, the one model two. And 64×64 is a size that one model can still draw. In the paper, on ImageNet, cascades reached FID 1.48 at 64×64 and 4.88 at 256×256 (Ho et al. 2022). In the same months one large network at 256×256, steered by a classifier (session {{session:guidance}}), had 4.59 (Dhariwal and Nichol 2021). So a cascade was a good way, not the only one.
#
# **What is clumsy** is something else:
#
# - two or three networks, each with its own training, noise table and number of steps;
# - a level $s$ to choose, by trying it out (here it hardly matters);
# - what the first stage got wrong, the second mends only in part;
# - the last stage still works on *all* the pixels, in every call. Ours is cheap because it is small and gets half the calls; at 256×256 it would be most of the bill.
#
# The next idea keeps what is good: **draw something small**. But let it be a small picture that was *made to be enlarged well*, by a network that needs one call. That is a latent space, and it waits in session {{session:latent_diffusion}}.

# %% [markdown]
# ## 9 · Summary and exit  <small>2 min</small>
#
# - **Conditional generation is one idea**: give $y$ to the guess of $x_0$. Noise, loss and samplers stay as they are.
# - $y$ comes through one of **four doors**: added to the embedding, scale and shift, channels, cross-attention. A door for a picture or a class is cheap.
# - One network, trained on several kinds of damage, restores them all; it sees in $y$ what to do.
# - **Regression blurs because the posterior mean is what it is paid for.** It is also what a diffusion model guesses at step $T$, and the mean of its answers.
# - PSNR prefers the blur; where much is open, the eye prefers the draw, and for colours and small pictures FD too. Diversity must be counted by itself.
# - A **cascade** draws small, then enlarges. Noise on the small picture, told to the network, makes it trust errors less; it pays with detail.
#
# **At the exit.** A telephone's camera enlarges the moon by a neural network, and every crater is sharp. Which two questions do you ask?
# <details><summary>Answer</summary>
#
# Is the sharp picture one draw of many, and how different are the others? And: does it agree with what the lens saw, when it is made small again? (What is not in $y$ comes from the training data.)
#
# </details>
#
# **Try next.** Restore a face twice: colourise what was super-resolved. Give Palette a grey *and* small face, a task that it never saw. Make a third stage out of the second: cut a 64×64 face into sixteen pieces of 16×16, and enlarge each. What does the model see in a piece of cheek?
#
# **Next session:** {{session:guidance}}, guidance: how to ask for something more loudly.
#
# **Homework:** [homework/{{notebook}}](homework/{{notebook}}): the conditional loss, the first guess, answers that agree with $y$, the condition of a cascade, and counting diversity.
#
# **To read.** C. Saharia et al., *Palette: Image-to-Image Diffusion Models*, 2021 (arXiv 2111.05826), sections 3 and 5. C. Saharia et al., *Image Super-Resolution via Iterative Refinement*, 2021 (2104.07636). J. Ho et al., *Cascaded Diffusion Models for High Fidelity Image Generation*, 2022 (2106.15282), section 3. Y. Blau, T. Michaeli, *The Perception-Distortion Tradeoff*, 2018 (1711.06077).
