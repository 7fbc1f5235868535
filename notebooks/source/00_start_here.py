# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # {{number}} · Start here
#
# {{badge}}
#
# In one minute from now, faces that nobody ever drew will appear on your screen, out of pure noise. At the end of this
# course you will have written every line that makes them.
#
# Today you only need to *run* the cells: click the first one, then press **Shift + Enter** again and again. You will see what
# a diffusion model does, how a session of this course works, and you will warm up the five pieces of mathematics that
# everything rests on.
#
# **Time:** about 80 minutes with the mathematics, 30 without; the cells themselves run for about a minute on two CPU cores.
#
# **Before:** some Python, what a mean and a variance are. No graphics card, no account, no download of a data set.

# %% tags=["setup"]
from helpers import course

course.setup(minutes={{minutes}})

# %% [markdown]
# The lines above say where you are. *Device* is what computes. *Profile* sets how much each session asks of it: the same cells
# draw more pictures and train longer on a graphics card. *Data* is what you learn from: 12,000 drawn faces that come with
# the course, so that everything also works without a network.

# %% [markdown]
# ## 1 · Faces from noise  <small>5 min</small>
#
# We load a small model that was trained on the drawn faces. Its **card** says what it is, because a model without a
# card is only a rumour.

# %%
from helpers.checkpoints import load_card, load_denoiser

device = course.device()
predict = load_denoiser("ddpm-faces", device)
card = load_card("ddpm-faces")
print(f"{card['parameters'] / 1e6:.1f} million parameters, trained on {card['data']}")
minutes = card["seconds"] / 60
print(f"for {card['steps']:,} steps, {minutes:.0f} minutes on {card['device']}")

# %% [markdown]
# **Predict.** The model starts from random numbers and improves the picture in 40 steps (in 100 on a graphics card, and then 64 faces instead of 16). After how many steps do you expect to
# *recognise* a face: 5, 20 or 39? Decide before you run the next two cells.

# %%
import torch
from tqdm.auto import tqdm

from helpers.plots import filmstrip, show_images
from helpers.samplers import pairs, sample, timesteps

schedule = predict.schedule
walk = pairs(timesteps(schedule.steps, course.pick(smoke=4, cpu=40, gpu=100)))
n = course.pick(smoke=4, cpu=16, gpu=64)

torch.manual_seed(0)
noise = torch.randn(n, 3, 64, 64).to(device)             # where it all begins
steps = sample(predict, schedule, noise, walk, eta=1.0)  # eta: session {{session:ddpm}}
states = list(tqdm(steps, total=len(walk)))
show_images(states[-1].x, title=f"{n} faces that nobody drew");

# %% [markdown]
# Look closely, as you would with a student's work. Which faces are right, which have a flaw? A small model makes small
# mistakes: a hat of two colours, a beard that does not match the hair, a faint grid in a flat colour. We will learn to
# *count* such things instead of only liking the best picture.

# %% [markdown]
# ## 2 · What happened on the way  <small>8 min</small>
#
# The upper row shows the picture $x_t$ as it stands at step $t$. Step 1000 is pure noise, step 0 is the result.
#
# The lower row shows what the model **believed** the clean picture to be when it made the step to this $t$. It was looking at the picture one step earlier: the first belief was made from pure noise.

# %%
path = [i for i in range(len(states)) if i % max(1, len(states) // 7) == 0][:7]
path.append(len(states) - 1)
top = [states[i].x[0] for i in path]
below = [states[i].x0[0] for i in path]
titles = [f"t = {states[i].s}" for i in path] + ["belief"] * len(path)
filmstrip(top + below, titles, rows=2);

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# In $x_t$ the dark shape of a head can be made out at about $t = 475$, that is after 21 of the 40 steps; at $t = 225$, after 31, glasses and mouth are still hidden.
#
# In the *belief* a face is there from the first step: a blurred average of many faces. Then background and skin get their colours, then glasses and clothing. In this picture hair and moustache are settled late: red hair is still believed at $t = 475$, and none at $t = 350$.
#
# </details>
#
# Move the slider to walk through all the steps. (On GitHub and on paper sliders are asleep: the strip above shows eight of them.)

# %%
from helpers.widgets import flip_through

frames = [torch.stack([state.x[0], state.x0[0]]) for state in states]
flip_through(frames, [f"t = {state.s}: picture and belief" for state in states])

# %% [markdown]
# > **Easily mistaken.** The model does not predict "the picture one step cleaner". At every step it guesses the *end* of the journey, walks a
# > little towards it, adds a little fresh noise, and guesses again. Sessions {{session:reverse_process}} and {{session:ddpm}} show why it must be so.

# %% [markdown]
# ## 3 · Ask for a face  <small>6 min</small>
#
# The same model can be told what you want. You ask for some attributes and leave the others open. How the wish enters the network
# is the subject of session {{session:guidance}}; today just wish.

# %%
from helpers.data import load_faces
from helpers.guidance import guide
from helpers.samplers import last

faces = load_faces("embedded", "test", limit=256)
wish = faces.ask(4, Eyeglasses=True, background_color="blue").to(device)


def draw_wish(wish):
    """Four faces (4, 3, 64, 64) that fit the wish, always from the same noise."""
    torch.manual_seed(0)
    steered = guide(predict, 2.0, attributes=-1)
    return last(sample(steered, schedule, noise[:4], walk, eta=1.0, attributes=wish)).x


show_images(draw_wish(wish), title="asked: eyeglasses, blue background; rest open");

# %% [markdown]
# Here are some of the words the model understands (`faces.values` has all of them). Choose your own: each change draws four new faces from the **same** noise, in a few seconds
# on a CPU.

# %%
from helpers.widgets import slide

for name in ("hair_color", "facial_hair", "glasses", "hat", "mouth"):
    print(f"{name:12s}", ", ".join(faces.values[name]))


def draw(hair, beard, glasses, hat, mouth):
    said = dict(hair_color=hair, facial_hair=beard, glasses=glasses,
                hat=hat, mouth=mouth)
    said = {name: value for name, value in said.items() if value != "any"}
    wish = faces.ask(4, **said).to(device)
    title = ", ".join(f"{k}: {v}" for k, v in said.items())
    show_images(draw_wish(wish), title=title or "any face")


def menu(name):
    return ["any", *faces.values[name]]


slide(draw, hair=menu("hair_color"), beard=menu("facial_hair"), glasses=menu("glasses"),
      hat=menu("hat"), mouth=menu("mouth"))

# %%
rows = [dict(hat="turban"), dict(hair_color="red", mouth="smile"),
        dict(glasses="sunglasses")]
drawn = torch.cat([draw_wish(faces.ask(4, **row).to(device)) for row in rows])
names = ["a turban", "red hair and a smile", "sunglasses"]
show_images(drawn, [n if i == 0 else "" for n in names for i in range(4)], columns=4);

# %% [markdown]
# **Predict.** Ask for a *bald* person with *red hair*. No face of the data is both. What will the model do: refuse, choose one of the two, or
# mix them?

# %%
wish = faces.ask(4, Bald=True, hair_color="red").to(device)
show_images(draw_wish(wish), title="asked: bald, red hair");

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# It cannot refuse: a diffusion model always draws something. When we looked, *bald* won in all four faces. Red is seen in two of them, in a moustache and in a beard; the other two have no hair at all.
#
# In the data a bald head may have a beard of any colour, red too, and where there is hair the beard has its colour. So the model chose something that it knows: of the two wishes it kept the one, and the other only where it fits.
#
# </details>

# %% [markdown]
# ## 4 · The way there: noise on a photograph  <small>5 min</small>
#
# How does one *train* such a model? By taking real pictures apart. We add more and more noise to a picture, until nearly nothing of it is left, and at every stage the network
# learns to say what was there. Taking apart is easy; it is one line:
#
# $$x_t = \text{signal}_t\cdot x_0 + \text{noise}_t\cdot\varepsilon,\qquad \varepsilon\sim\mathcal N(0, I)$$
#
# - $x_0$ is the clean picture, and $x_t$ the picture at step $t$.
# - $\varepsilon$ ("epsilon") is noise: one random number for each pixel and colour. $\sim\mathcal N(0, I)$ reads "drawn from the normal distribution
#   with mean 0 and variance 1, each number by itself".
# - $\text{signal}_t$ and $\text{noise}_t$ are two plain numbers, from a table: how much of each goes into the mixture. Here we take the table of the first paper, called
#   *linear*. The model of section 1 was trained with another one, so the same $t$ means another amount of noise there (sessions {{session:forward_process}} and {{session:parameterisations}}).
#
# Here it is on a real face, the astronaut Eileen Collins (photograph: NASA, public domain).

# %%
from helpers.data import photograph
from helpers.diffusion import add_noise
from helpers.schedules import linear

photo, table = photograph(64), linear()
eps = torch.randn(photo.shape, generator=torch.Generator().manual_seed(0))


def at(t):
    return add_noise(table, photo, torch.tensor([t]), eps)


ts = [0, 50, 150, 250, 350, 500, 700, 1000]
filmstrip([at(t) for t in ts], [f"t = {t}" for t in ts]);

# %%
def noised(t):
    show_images(at(t), [f"t = {t}, signal {table.signal[t]:.2f}"], side=2.6)


slide(noised, t=(0, 1000, 250))

# %% [markdown]
# Where does your eye lose the face? Remember the number: in session {{session:forward_process}} you will find out, for the drawn faces, up to which step the best possible observer can still tell them apart.
#
# A check: the squares of signal and noise add up to 1 at every $t$, and at $t = 1000$ nearly nothing of the
# photograph is left.

# %%
total = table.signal**2 + table.noise**2
assert torch.allclose(total, torch.ones_like(total))
assert table.signal[1000] < 0.01
print(f"signal at t = 1000: {table.signal[1000]:.4f}")

# %% [markdown]
# ## 5 · How this course works  <small>6 min</small>
#
# **A lecture** goes section by section: a question, a formula, a few lines of code, a picture, a slider, a number that checks the
# formula. What a cell can check, a cell checks; what was measured elsewhere is read from a card.
#
# **Predict** lines are for you. Say your guess aloud or write it down *before* you open the answer. A wrong guess that you
# made teaches more than a right answer that you read.
#
# **Homework** is a notebook of its own, three to six exercises for each session. You write a few lines and call a check. One line comes
# back:
#
# | mark | it says |
# |---|---|
# | ✅ | right, and what your result means |
# | ✏️ | not started yet |
# | 🔶 | it runs but something is wrong: a hint, not the answer |
# | ⚠️ | your code stopped here |
#
# A check never breaks your notebook, and you may call it as often as you like.
#
# **Three scales.** The same code is meant for the drawn faces (CPU, offline), for the photographs of CelebA (a graphics card; sessions {{session:ddpm}} and {{session:inpainting}} have a cell for them),
# and for large pretrained models (from session {{session:text_to_image}} on). What changes is a name and a budget. If something cannot be had, the cell says so and names what it uses instead; nothing
# is ever swapped silently.
#
# **If something fails,** read the last line of the message: it says what to do. Then restart and run everything: *Kernel → Restart Kernel and Run All Cells* in JupyterLab,
# *Runtime → Restart session and run all* in Colab. Every notebook runs from top to bottom, and every cell may be run twice.

# %% [markdown]
# ### The map
#
# | | sessions | the question |
# |---|---|---|
# | **why** | {{session:why_diffusion}} why diffusion | what GANs, VAEs and flows cannot do |
# | **how it works** | {{session:forward_process}} forward process, {{session:reverse_process}} reverse process, {{session:elbo}} ELBO, {{session:ddpm}} DDPM, {{session:parameterisations}} parameterisations | how noise becomes a face, with proof |
# | **useful** | {{session:inpainting}} inpainting, {{session:restoration}} restoration, {{session:guidance}} guidance | how to tell the model what you want |
# | **fast** | {{session:ddim}} DDIM, {{session:distillation}} distillation, {{session:consistency}} consistency | from 1000 steps to one |
# | **large** | {{session:latent_diffusion}} latent diffusion, {{session:text_to_image}} text to image, {{session:lora}} LoRA, {{session:transformers}} transformers, {{session:video}} video | what today's big models are made of |
# | **beyond** | {{session:instruction_tuning}} instruction tuning, {{session:serving}} serving | a language model of your own, and a web page for your model |
#
# Sessions that have no link in the README yet are still being written.
#
# Now the warm-up. If the mathematics is fresh in your mind, read the five boxed formulas and go on to the exit question.

# %% [markdown]
# ## 6 · Sums of Gaussians: variances add  <small>10 min</small>
#
# The forward process adds noise to noise to noise. What is the sum?
#
# **Predict.** $X$ and $Y$ are independent, each with standard deviation 1. Is the standard deviation of $0.6\,X + 0.8\,Y$ equal to 1.4, to 1, or to
# 0.7?
#
# $\mathcal N(\mu,\sigma^2)$ is the *Gaussian* or *normal* distribution with mean $\mu$, standard deviation $\sigma$ and variance $\sigma^2$; "$\sim$" reads
# "is drawn from". For independent Gaussians $X\sim\mathcal N(\mu_1,\sigma_1^2)$ and $Y\sim\mathcal N(\mu_2,\sigma_2^2)$:
#
# $$\boxed{\,aX + bY \sim \mathcal N\!\left(a\mu_1 + b\mu_2,\; a^2\sigma_1^2 + b^2\sigma_2^2\right)\,}$$
#
# Means add, **variances** add, standard deviations do not.
#
# *Why?* The variance is the mean of the squared distance from the mean. Here this distance is $a(X-\mu_1) + b(Y-\mu_2)$, and its square has three parts:
#
# $$a^2(X-\mu_1)^2 + b^2(Y-\mu_2)^2 + 2ab\,(X-\mu_1)(Y-\mu_2)$$
#
# The first has the mean $a^2\sigma_1^2$, the second $b^2\sigma_2^2$. The third has the mean 0: $X$ and $Y$ know nothing of each other, so its plus and its
# minus balance. (That the sum has again the *shape* of a Gaussian is a gift that few other distributions have: the pictures below show it.)

# %%
import matplotlib.pyplot as plt

generator = torch.Generator().manual_seed(1)
X, Y = torch.randn(2, 200_000, generator=generator)      # two clouds of numbers
Z = 0.6 * X + 0.8 * Y
print(f"standard deviation {Z.std():.3f}")
assert abs(Z.std() - 1) < 0.01                           # √(0.36 + 0.64) = 1


def normal(x, mean=0.0, std=1.0):
    """The density of N(mean, std²) at x."""
    return torch.exp(-0.5 * ((x - mean) / std) ** 2) / (std * (2 * torch.pi) ** 0.5)


# %%
def show_sum(ax, b, a=0.6):
    std = (a**2 + b**2) ** 0.5
    x = torch.linspace(-6, 6, 200)
    ax.hist((a * X + b * Y)[:20_000], 60, range=(-6, 6), density=True, alpha=0.4)
    ax.plot(x, normal(x, 0, std), lw=2)
    ax.set(title=f"{a} X + {b:.1f} Y: std {std:.2f}", yticks=[], ylim=(0, 0.7))


fig, axes = plt.subplots(1, 4, figsize=(9.5, 2))
for ax, b in zip(axes, (0.1, 0.8, 1.2, 2.0)):
    show_sum(ax, b)
plt.show()

# %%
def sum_of_two(b):
    show_sum(plt.subplots(figsize=(4, 2.2))[1], b)
    plt.show()


slide(sum_of_two, b=(0.0, 2.0, 0.8))

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# It is 1: the variances $0.36$ and $0.64$ add up to 1. (The 1.4 would come from adding standard deviations, $0.6 + 0.8$.)
#
# </details>
#
# The choice $a^2 + b^2 = 1$ keeps the variance at 1, whatever $a$ is, if both parts have the variance 1. That is why the models of this course take
# $\text{signal}_t=\sqrt{\bar\alpha_t}$ and $\text{noise}_t=\sqrt{1-\bar\alpha_t}$, and not $\bar\alpha_t$ and $1-\bar\alpha_t$.
#
# ($\bar\alpha_t$, "alpha bar", is a number between 0 and 1: the picture's share of the variance. Session {{session:forward_process}} says where it comes from.)

# %% [markdown]
# ## 7 · Products of Gaussians: precisions add  <small>10 min</small>
#
# Two people measure the same length, independently of each other. One says "2, give or take 1", the other "4, give or take 0.5". What should you believe?
#
# The density of a Gaussian is $\frac{1}{\sigma\sqrt{2\pi}}\,e^{-(x-\mu)^2/2\sigma^2}$: all of $x$ is in the exponent. Multiply two densities, and the exponents add. There stand two squares in
# $x$; collect the terms with $x^2$ and $x$:
#
# $$-\frac{(x-\mu_1)^2}{2\sigma_1^2} - \frac{(x-\mu_2)^2}{2\sigma_2^2}
# = -\frac12\Big(\underbrace{\tfrac1{\sigma_1^2}+\tfrac1{\sigma_2^2}}_{1/\sigma^2}\Big)x^2
# + \Big(\underbrace{\tfrac{\mu_1}{\sigma_1^2}+\tfrac{\mu_2}{\sigma_2^2}}_{\mu/\sigma^2}\Big)x + \text{const}$$
#
# This is again one square: $-(x-\mu)^2/2\sigma^2$, multiplied out, is $-\frac{1}{2\sigma^2}x^2 + \frac{\mu}{\sigma^2}x$ plus a constant. Compare the two brackets. We have *completed the square*:
#
# $$\boxed{\;\frac1{\sigma^2} = \frac1{\sigma_1^2} + \frac1{\sigma_2^2},\qquad
# \mu = \sigma^2\Big(\frac{\mu_1}{\sigma_1^2} + \frac{\mu_2}{\sigma_2^2}\Big)\;}$$
#
# $1/\sigma^2$ is called the *precision*. The product itself does not have the area 1; rescaled, it is the Gaussian with this $\mu$ and $\sigma$. It is **narrower** than both, and its mean lies nearer to the surer one.

# %%
def product(m1, s1, m2, s2):
    """Mean and standard deviation of N(m1, s1²) · N(m2, s2²), rescaled to area 1."""
    variance = 1 / (1 / s1**2 + 1 / s2**2)
    return variance * (m1 / s1**2 + m2 / s2**2), variance**0.5


x = torch.linspace(-10, 14, 4801)
raw = normal(x, 2, 1) * normal(x, 4, 0.5)                # multiplied point by point
raw = raw / torch.trapezoid(raw, x)                      # area 1 again
mean, std = product(2, 1, 4, 0.5)
assert torch.allclose(raw, normal(x, mean, std), atol=1e-5)
print(f"believe {mean:.2f}, give or take {std:.2f}")

# %%
def show_product(ax, s2):
    mean, std = product(2, 1, 4, s2)
    for m, s, name in ((2, 1, "first"), (4, s2, "second"), (mean, std, "product")):
        ax.plot(x, normal(x, m, s), label=name, lw=2 + (name == "product"))
    ax.set(title=f"second ± {s2:.1f}: mean {mean:.2f}", xlim=(-2, 8), yticks=[])


fig, axes = plt.subplots(1, 4, figsize=(9.5, 2))
for ax, s2 in zip(axes, (3.0, 1.0, 0.6, 0.3)):
    show_product(ax, s2)
axes[0].legend(fontsize=8)
plt.show()

# %%
def product_of_two(s2):
    ax = plt.subplots(figsize=(4.4, 2.4))[1]
    show_product(ax, s2)
    ax.legend()
    plt.show()


slide(product_of_two, s2=(0.2, 3.0, 1.0))

# %% [markdown]
# In session {{session:reverse_process}} the first "measurement" is the noisy picture, the second is the clean one, and the product says where the picture one step
# earlier must have been. The model has to learn this without seeing the clean one.

# %% [markdown]
# ## 8 · Bayes: the best guess about the past  <small>10 min</small>
#
# You see a noisy value $x_t$ and want to know the clean $x_0$. Bayes' rule turns "how noise arises" into "where it came from":
#
# $$\boxed{\;p(x_0\mid x_t) = \frac{q(x_t\mid x_0)\,p(x_0)}{q(x_t)}\;}$$
#
# $p$ and $q$ are densities, and the bar reads "if one knows". $p(x_0)$ is called the *prior*: what one believes before one looks. (From session {{session:forward_process}} on all densities that come from the data and the noise are called $q$, and $p$ is kept for the model.) $q(x_t)$ does not contain $x_0$: it only sets
# the area to 1.
#
# Take clean values $x_0\sim\mathcal N(0, 1)$ and $x_t = a\,x_0 + b\,\varepsilon$ with $a^2+b^2=1$.
#
# **Predict.** With $a = 0.6$ you observe $x_t = 2$. The line $x_0 = x_t / a$ undoes the mixing and gives 3.3. Is the best guess larger,
# equal or smaller?
#
# Now with Bayes' rule. As functions of $x_0$ both factors are Gaussian.
#
# *The first factor.* If one knows $x_0$, then $x_t\sim\mathcal N(a\,x_0, b^2)$. Take $a^2$ out of the square, to see what this says about $x_0$:
#
# $$-\frac{(x_t - a\,x_0)^2}{2b^2} = -\frac{(x_0 - x_t/a)^2}{2\,b^2/a^2}$$
#
# The top is at $x_0 = x_t/a$, the variance is $b^2/a^2$, the precision $a^2/b^2$.
#
# *The second factor*, the prior, has mean 0 and precision 1.
#
# *The product* (section 7). The precisions add: $1 + a^2/b^2 = (b^2+a^2)/b^2 = 1/b^2$, so the variance is $b^2$. The mean is $b^2\big(0\cdot 1 + \frac{x_t}{a}\cdot\frac{a^2}{b^2}\big) = a\,x_t$. Together:
#
# $$p(x_0\mid x_t) = \mathcal N(a\,x_t,\; b^2)$$
#
# Its mean $a\,x_t$ is the *best guess*: no other guess has a smaller mean squared error.

# %%
a, b = 0.6, 0.8
x0, e = torch.randn(2, 400_000, generator=generator)
xt = a * x0 + b * e
near = (xt - 2).abs() < 0.05                             # all who ended near 2
print(f"{near.sum()} of them; mean of their x0 {x0[near].mean():.2f}, "
      f"std {x0[near].std():.2f}; Bayes says {a * 2:.2f} and {b:.2f}")
assert abs(x0[near].mean() - a * 2) < 0.05 and abs(x0[near].std() - b) < 0.03

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 2.8))
left.scatter(xt[:3000], x0[:3000], s=2, alpha=0.4, color="0.6")
line = torch.tensor([-3.0, 3.0])
left.plot(line, line / a, "--", color="C3", label="undo the mixing: x_t / a")
left.plot(line, a * line, color="C0", lw=2, label="best guess: a · x_t")
left.axvline(2, color="C1", lw=1)
left.set(xlabel="x_t", ylabel="x_0", ylim=(-4, 4))
left.legend(fontsize=8, loc="upper left")
grid = torch.linspace(-3, 5, 200)
right.hist(x0[near], 40, density=True, alpha=0.4, color="C1",
           label="x_0 of those with x_t ≈ 2")
right.plot(grid, normal(grid, a * 2, b), lw=2, label="Bayes")
right.set(xlabel="x_0", yticks=[])
right.legend(fontsize=8)
plt.show()

# %%
def slice_at(seen):
    chosen = x0[(xt - seen).abs() < 0.05]
    ax = plt.subplots(figsize=(4.4, 2.4))[1]
    ax.hist(chosen, 40, range=(-4, 4), density=True, alpha=0.4, color="C1")
    g = torch.linspace(-4, 4, 200)
    ax.plot(g, normal(g, a * seen, b), lw=2)
    ax.set(title=f"x_t = {seen:.1f}: x_0 = {a * seen:.2f} ± {b}", yticks=[])
    plt.show()


slide(slice_at, seen=(-2.0, 2.0, 1.0))

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# *Smaller*: 1.2 and not 3.3. Extreme values are rare, so part of the 2 was probably noise.
#
# </details>
#
# A denoiser that is trained for the smallest squared error pulls towards what is
# usual. That is why its first "belief" in section 2 was an average face.

# %% [markdown]
# ## 9 · Jensen: the logarithm of a mean  <small>7 min</small>
#
# In session {{session:elbo}} we want the logarithm of an average and can only compute the average of logarithms. Which is larger?
#
# $\mathbb E[X]$ is the mean of $X$ (the *expected value*). The logarithm bends downwards, so a chord lies below the curve:
#
# $$\boxed{\;\log \mathbb E[X] \;\ge\; \mathbb E[\log X]\;}$$
#
# For a positive $X$ the logarithm of the mean is at least as large, and equal only if $X$ does not vary. The difference is the *gap*; the art of session {{session:elbo}} is to make it small.
#
# In the pictures $X$ is one of two numbers, each with probability ½ (the dots). In the middle the chord has the height $\mathbb E[\log X]$ and the curve $\log\mathbb E[X]$; the thick line between them is the gap.

# %%
def show_jensen(ax, low, high):
    x = torch.linspace(0.05, 6, 200)
    pair = torch.tensor([low, high])
    ax.plot(x, x.log(), lw=2)
    ax.plot(pair, pair.log(), "o-", color="C1")
    m = pair.mean()
    ax.plot([m, m], [pair.log().mean(), m.log()], color="C3", lw=3)
    ax.set(title=f"gap {m.log() - pair.log().mean():.2f}", ylim=(-3, 2), xlim=(0, 6))


fig, axes = plt.subplots(1, 4, figsize=(9.5, 2), sharey=True)
for ax, spread in zip(axes, (0.5, 1.5, 2.2, 2.8)):
    show_jensen(ax, 3 - spread, 3 + spread)
plt.show()

# %%
def jensen(spread):
    show_jensen(plt.subplots(figsize=(4, 2.4))[1], 3 - spread, 3 + spread)
    plt.show()


slide(jensen, spread=(0.1, 2.9, 1.5))

# %% [markdown]
# A number where the gap is known: for $X = e^{sZ}$ with $Z\sim\mathcal N(0,1)$ we have $\log\mathbb E[X] = s^2/2$ and $\mathbb E[\log X] = 0$.
#
# (The second, because $\log X = sZ$ has the mean 0. The first by completing the square as in section 7: $sz - \frac12z^2 = -\frac12(z-s)^2 + \frac12s^2$. What is left beside $s^2/2$ is
# a Gaussian moved to $s$, and its area is 1.)

# %%
s = 0.8
draws = torch.exp(s * X)                                 # X from section 6
gap = draws.mean().log() - draws.log().mean()
print(f"measured gap {gap:.3f}, s²/2 = {s**2 / 2:.3f}")
assert gap > 0 and abs(gap - s**2 / 2) < 0.01

# %% [markdown]
# ## 10 · KL: how wrong is it to believe q?  <small>10 min</small>
#
# The world is $p$, you believe $q$. The Kullback–Leibler divergence counts by how much, on average, the truth surprises you more than
# needed:
#
# $$\mathrm{KL}(p\,\|\,q) = \mathbb E_{x\sim p}\Big[\log\frac{p(x)}{q(x)}\Big] \ge 0$$
#
# (Which letter is which changes from text to text: from session {{session:elbo}} on $q$ is the world and $p$ the model. What counts is the place: first the world, then the belief.)
#
# ($\mathbb E_{x\sim p}$: the mean over $x$ drawn from $p$. With the natural logarithm the unit is called *nat*.) It is never negative: that is Jensen with $X = q/p$, whose mean is 1.
#
# For two Gaussians the mean can be computed. The logarithm of the quotient is
#
# $$\log\frac{p(x)}{q(x)} = \log\frac{\sigma_2}{\sigma_1} - \frac{(x-\mu_1)^2}{2\sigma_1^2} + \frac{(x-\mu_2)^2}{2\sigma_2^2}$$
#
# Now take the mean over $x\sim p$. $(x-\mu_1)^2$ has the mean $\sigma_1^2$, so the second part gives $-\frac12$. $(x-\mu_2)^2$ has the mean $\sigma_1^2 + (\mu_1-\mu_2)^2$: spread and shift. Together:
#
# $$\boxed{\;\mathrm{KL}\big(\mathcal N(\mu_1,\sigma_1^2)\,\|\,\mathcal N(\mu_2,\sigma_2^2)\big)
# = \log\frac{\sigma_2}{\sigma_1} + \frac{\sigma_1^2 + (\mu_1-\mu_2)^2}{2\sigma_2^2} - \frac12\;}$$
#
# **Predict.** Is it worse to believe in a *wide* Gaussian when the world is narrow, or in a *narrow* one when the world is wide?

# %%
import math


def kl(m1, s1, m2, s2):
    """KL(N(m1, s1²) ‖ N(m2, s2²)) in nats."""
    return math.log(s2 / s1) + (s1**2 + (m1 - m2) ** 2) / (2 * s2**2) - 0.5


from torch.distributions import Normal, kl_divergence

p, q = Normal(0.0, 1.0), Normal(1.0, 2.0)
library = kl_divergence(p, q).item()
draws = p.sample((200_000,))
monte_carlo = (p.log_prob(draws) - q.log_prob(draws)).mean().item()
print(f"formula {kl(0, 1, 1, 2):.4f}, library {library:.4f}, sampled {monte_carlo:.3f}")
assert abs(kl(0, 1, 1, 2) - library) < 1e-6 and abs(monte_carlo - library) < 0.01
print(f"world narrow, belief wide {kl(0, 1, 0, 3):.2f}; "
      f"world wide, belief narrow {kl(0, 3, 0, 1):.2f}")

# %%
def show_kl(ax, m, s):
    x = torch.linspace(-6, 6, 300)
    ax.fill_between(x, normal(x), alpha=0.3, label="world p")
    ax.plot(x, normal(x, m, s), color="C1", lw=2, label="belief q")
    title = f"KL(p‖q) {kl(0, 1, m, s):.2f}, KL(q‖p) {kl(m, s, 0, 1):.2f}"
    ax.set_title(title, fontsize=9)
    ax.set(yticks=[])


fig, axes = plt.subplots(1, 4, figsize=(9.5, 2))
for ax, (m, s) in zip(axes, ((0, 1), (1.5, 1), (0, 2.5), (0, 0.4))):
    show_kl(ax, m, s)
axes[0].legend(fontsize=8)
plt.show()

# %%
def divergence(mean, std):
    show_kl(plt.subplots(figsize=(4.4, 2.4))[1], mean, std)
    plt.show()


slide(divergence, mean=(-3.0, 3.0, 1.0), std=(0.3, 3.0, 1.0))

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# A *narrow* belief in a wide world is worse: 2.90 nats against 0.65.
#
# </details>
#
# Believing too narrowly is punished harder: what you held to be impossible happens all the time. And KL is not a distance: as soon as
# the widths differ, the two directions differ.

# %% [markdown]
# ## What we saw
#
# - A diffusion model turns noise into a picture in small steps; at each step it guesses the clean picture.
# - It can be asked for attributes, and what is not asked stays open.
# - Training data are made by adding noise, which is one line of code.
# - Five tools: variances add, precisions add, Bayes, Jensen, KL. Each was checked by a number in this notebook.
#
# **Measured before, and read from the card:** what the model of this notebook can and cannot do.

# %%
fd = card["fd"]
print(f"Fréchet distance, n = {fd['n']:,}, {fd['steps']} steps without fresh noise,",
      f"seed {fd['seed']}: {fd['value']:.2f}")
print(f"real faces against real faces, same n: {fd['floor']:.2f}")
with_noise, without = card["sheet"], card["sheet"]["deterministic"]
for name, sheet in (("with", with_noise), ("without", without)):
    print(f"{sheet['steps']} steps {name} fresh noise:",
          f"{sheet['broken']} broken faces in {sheet['n']}")

# %% [markdown]
# The *Fréchet distance* compares two sets of pictures; smaller is better, and even two sets of real faces do not reach 0. Session {{session:ddpm}} explains it and
# what it misses. It is measured in the features of this course's own small network, so do not compare the number with those in
# papers. Broken faces (a hat, a turban or hair of two colours) were counted by eye, once, in sheets of 100 that nobody selected. In nine more of the first
# sheet the beard has another colour than the hair, which the data never show: what must agree over a distance is hard for a small model.
#
# **At the exit.** You see $x_t = 1$, and you know $x_t = 0.8\,x_0 + 0.6\,\varepsilon$ with $x_0\sim\mathcal N(0,1)$. What is the best guess for $x_0$, and how sure
# can you be? <details><summary>Answer</summary>Mean $0.8$, standard deviation $0.6$ (section 8).</details>
#
# **Try next.** Draw faces with 5 steps and with 200. Ask for something that is not in the data. Put your own photograph
# in: `from helpers.data import load_picture`, then `photo = load_picture("me.jpg")` in section 4.
#
# **Homework:** [homework/{{notebook}}](homework/{{notebook}}): the five formulas, written by you. **Next session:** {{session:why_diffusion}}, why diffusion, and what the other ways to
# make pictures cannot do.
#
# **To read.** J. Ho, A. Jain, P. Abbeel, *Denoising Diffusion Probabilistic Models*, 2020 (arXiv 2006.11239), section 1 and figure 6. C. Bishop, *Pattern Recognition and
# Machine Learning*, 2006, sections 1.2, 1.6 and 2.3.
