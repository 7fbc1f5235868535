# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # {{number}} · Guidance: how to make a model listen
#
# {{badge}}
#
# You tell the face model "red hair, sunglasses", and some of its faces have neither. Today's question is: **how do we make it listen more, and what do we pay for it?**
#
# The answer is one line of algebra, which every text-to-image model runs in every step. You will derive it, move its one number with a slider, and see where it breaks.
#
# At the end you will have made this picture: three noises and one wish, with the number going from 0 (deaf) to 12 (shouted at).
#
# **Time:** 90 minutes; the cells run for about four minutes on two CPU cores.
#
# **Before:** sessions {{session:reverse_process}} (the score), {{session:ddpm}} (the face model, FD) and {{session:parameterisations}} (noise, picture and score are one answer).
#
# | section | minutes | may be skipped |
# |---|---|---|
# | recall | 4 | |
# | 1 · a wish is a gradient | 14 | |
# | 2 · ask a classifier | 19 | |
# | 3 · ask the model itself | 19 | |
# | 4 · what guidance is not | 10 | |
# | 5 · too much of it | 14 | |
# | 6 · two wishes, a refusal, a hole | 7 | yes |
# | 7 · summary, exit | 3 | |

# %% tags=["setup"]
from helpers import course

course.setup(minutes={{minutes}})

# %% [markdown]
# ## Recall  <small>4 min</small>
#
# Answer aloud, then open.
#
# **1** (session {{session:restoration}}). A model is shown a damaged picture beside $x_t$. What changed in its training loss?
# <details><summary>Answer</summary>
#
# Nothing but the input: the network sees one thing more. The target is the same.
#
# </details>
#
# **2** (session {{session:parameterisations}}). The network says $\varepsilon$. What is the score?
# <details><summary>Answer</summary>
#
# $\nabla_{x_t}\log q(x_t) = -\varepsilon/b_t$, with $b_t=\sqrt{1-\bar\alpha_t}$: the noise points away from where data are.
#
# </details>
#
# **3** (session {{session:ddpm}}). The face model is told 23 attributes, and any may be left open. How was it taught what "open" means?
# <details><summary>Answer</summary>
#
# In training, attributes were replaced by $-1$ at random. One network so learned the faces with a wish and the faces without.
#
# </details>
#
# As before $a_t=\sqrt{\bar\alpha_t}$ is the signal and $b_t=\sqrt{1-\bar\alpha_t}$ the noise: $x_t = a_t x_0 + b_t\varepsilon$. A wish is called $y$.

# %% [markdown]
# ## 1 · A wish is a gradient  <small>14 min</small>
#
# First a world that we know exactly: points in the plane, half of them *cats* (above), half *dogs* (below). We have a model of all animals, and we want cats.

# %%
import json

import matplotlib.pyplot as plt
import torch

from helpers.exact import MixtureDenoiser
from helpers.plots import COLORS, show_images
from helpers.schedules import cosine
from helpers.widgets import slide

toy = cosine()                                               # T = 1000
cats = torch.tensor([[-1.2, 0.9], [0.0, 0.5], [1.2, 0.9]])
dogs = cats * torch.tensor([1.0, -1.0])
p_cat = MixtureDenoiser(toy, cats, 0.45)                     # q(x_t | cat), exactly
p_any = MixtureDenoiser(toy, torch.cat([cats, dogs]), 0.45)  # q(x_t), exactly


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def log_cat(x, t):
    """log p(cat | x_t): Bayes, half of the animals are cats."""
    return p_cat.log_density(x, t) + torch.tensor(0.5).log() - p_any.log_density(x, t)


# %% [markdown]
# **Predict.** At $t=900$ nearly everything is noise. How large is the chance that a point is a cat, high up in the picture? And at $t=100$?

# %%
line = torch.linspace(-3, 3, 13)
places = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1).view(-1, 2)


def show_wish(t):
    times = torch.full((len(places),), t)
    log = log_cat(places, times)
    gradient = p_cat.score(places, times) - p_any.score(places, times)
    fig, axes = plt.subplots(1, 3, figsize=(8.4, 2.6))
    axes[0].contourf(line, line, log.exp().view(13, 13), levels=20, cmap="cividis")
    axes[0].set_title(f"p(cat | $x_t$), t = {t}: {log.exp().max():.2f} at most")
    for ax, arrows, name in (
        (axes[1], p_any.score(places, times), "score of all animals"),
        (axes[2], gradient, "gradient of log p(cat | $x_t$)"),
    ):
        ax.quiver(*places.T, *arrows.T, color=COLORS[0], scale=30, width=0.004)
        ax.scatter(*cats.T, color=COLORS[3], label="cats")
        ax.set_title(name)
    plt.show()


slide(show_wish, t=(10, 990, 500))

# %% tags=["live"]
for t in (900, 100):
    show_wish(t)

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# At $t=900$ it is only a little above one half wherever you look: the point tells nothing. At $t=100$ it is 1 above and 0 below.
#
# </details>
#
# The arrows on the right lead to where cats are. **Add them to those in the middle.** This is not a trick, it is Bayes' rule. Take logarithms of
#
# $$q(x_t\mid y) = \frac{q(x_t)\;p(y\mid x_t)}{p(y)}$$
#
# and the gradient with respect to $x_t$. The denominator has no $x_t$ in it, so it is gone:
#
# $$\underbrace{\nabla\log q(x_t\mid y)}_{\text{what we want}} = \underbrace{\nabla\log q(x_t)}_{\text{a model without wishes}} + \underbrace{\nabla\log p(y\mid x_t)}_{\text{a classifier}}$$
#
# Right for each $t$, if the classifier judges the **noisy** $x_t$. In our world we can check it: the gradient of the classifier by automatic differentiation, the two scores by their formula.

# %%
x, t = 2 * torch.randn(500, 2, generator=seeded(0)), torch.randint(1, 1001, (500,))
x.requires_grad_(True)
(gradient,) = torch.autograd.grad(log_cat(x, t).sum(), x)
wanted = p_cat.score(x.detach(), t)
assert torch.allclose(p_any.score(x.detach(), t) + gradient, wanted, atol=1e-3)
print("score of all + gradient of the classifier = score of the cats, at 500 points")

# %% [markdown]
# With $\text{score} = -\varepsilon/b_t$ the same in $\varepsilon$, and with a number $s$ that says how loud the wish is:
#
# $$\hat\varepsilon = \varepsilon(x_t) - s\;b_t\,\nabla\log p(y\mid x_t)\tag{classifier guidance}$$
#
# $s=0$ is deaf, $s=1$ is Bayes. (Larger $s$: sections 3 to 5.)
#
# > **To follow a wish, add the gradient of a classifier's log-probability to the score.** Bayes' rule says so, for every $t$ and for $s=1$.

# %% [markdown]
# ## 2 · Ask a classifier  <small>19 min</small>
#
# Now faces. We need a network that looks at a *noisy* face and its $t$, and tells the attributes: the downward half of a U-Net, with one linear layer an attribute at the end. Its training is plain classification, on noisy pictures.
#
# **Predict.** There are six background colours (chance: 17 %) and three kinds of glasses (33 %). At $t=500$ a person hardly sees a face. What does the network still see?

# %%
from helpers.checkpoints import load_card, load_denoiser, load_model
from helpers.data import load_faces
from helpers.diffusion import add_noise

device, smoke = course.device(), course.profile() == "smoke"
predict = load_denoiser("ddpm-faces", device)
table, classifier = predict.schedule, load_model("noisy-classifier", device)
faces = load_faces("embedded", "valid")
few = faces.take(torch.arange(100 if smoke else 500))
noise = torch.randn(few.images.shape, generator=seeded(1))

# %% tags=["live"]
steps, found = [1, 200, 400, 600, 800], {"background_color": [], "glasses": []}
with torch.no_grad():
    for t in steps:
        noisy = add_noise(table, few.images, torch.tensor(t), noise).to(device)
        answers = classifier(noisy, torch.full((len(noisy),), t, device=device))
        for name, hits in found.items():
            guess = answers[faces.position(name)].argmax(1).cpu()
            hits.append(float((guess == few.column(name)).float().mean()))
for name, hits in found.items():
    plt.plot(steps, hits, "o-", label=name)
plt.gcf().set_size_inches(5, 2.4)
plt.gca().set(xlabel="t", ylabel="right", ylim=(0, 1.03))
plt.legend()
plt.show()
show_images([add_noise(table, few.images[3], torch.tensor(t), noise[3]) for t in steps],
            [f"t = {t}" for t in steps])
card = load_card("noisy-classifier")["balanced_accuracy"]["by_step"]
print("all 23, balanced, 1,000 faces:",
      ", ".join(f"t = {t} {card[t]:.2f}" for t in ("1", "400", "600", "800")))

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# Nearly everything: large areas of one colour outlast the noise longest, small things are lost first. Near $t=1000$ the answers are guesses.
#
# </details>
#
# **Guidance in six lines.** The gradient is taken with respect to the *picture*; no weight changes.

# %%
def with_classifier(x_t, t, name, value, s):
    """(x0, ε), nothing asked of the model, pushed towards a value of an attribute."""
    x = x_t.detach().requires_grad_(True)
    with torch.enable_grad():
        logits = classifier(x, t)[faces.position(name)]
        log_p = logits.log_softmax(1)[:, value]
        (gradient,) = torch.autograd.grad(log_p.sum(), x)
    a, b = (part.to(x_t) for part in table.at(t, like=x_t))  # (B, 1, 1, 1)
    x0, eps = predict(x_t, t)
    return x0 + s * b**2 / a * gradient, eps - s * b * gradient


# %% [markdown]
# (The picture $\hat x_0 = (x_t - b_t\hat\varepsilon)/a_t$ moves with the noise: $-s\,b_t\nabla$ there is $+s\,b_t^2/a_t\nabla$ here.) The helper `classifier_guide` is the same for any number of attributes: it takes a row with one number each, $-1$ for "anything will do".

# %%
from helpers.classifier import log_prob
from helpers.guidance import classifier_guide


def wish(n=1, **values):
    """Rows (n, 23) that ask for these values and leave the rest open."""
    return faces.ask(n, **values).to(device)


x = torch.randn(3, 3, 64, 64, generator=seeded(2)).to(device)
t = torch.tensor([300, 600, 900], device=device)
with torch.no_grad():
    mine = with_classifier(x, t, "glasses", 2, 3.0)
    guided = classifier_guide(predict, table, log_prob(classifier), 3.0)
    theirs = guided(x, t, attributes=wish(3, glasses="sunglasses"))
assert all(torch.allclose(m, h, rtol=1e-3, atol=1e-3) for m, h in zip(mine, theirs))
print("by hand = helpers.guidance.classifier_guide")

# %%
from helpers.samplers import draw

n, count = (4, 4) if smoke else (5, 16)
sunny = wish(n, glasses="sunglasses", hair_color="red")
rows = []
for s in (0.0, 1.0, 5.0):
    guided = classifier_guide(predict, table, log_prob(classifier), s)
    rows.append(draw(guided, table, n, count, seed=3, device=device, attributes=sunny))
show_images(torch.cat(rows), columns=n, side=0.9,
            title="sunglasses and red hair: s = 0, 1, 5, row by row");

# %% [markdown]
# `draw` walks down 16 of the 1,000 steps without fresh noise, so one noise gives one face, and the rows can be compared face by face. (Why that is allowed is session {{session:ddim}}.)
#
# ### A new wish
#
# Somebody wants *dark pictures*. No attribute says that, so: a new label, and a new classifier. We train a small one for half a minute. And a second one beside it, the same but for one thing: it only ever sees **clean** faces, as the classifiers do that one can download.
#
# **Predict.** One in four faces of the data is "dark". With $s=5$: how many with the first classifier? With the second?

# %%
from helpers.classifier import NoisyClassifier
from helpers.samplers import last
from helpers.train import fit

train = load_faces("embedded", "train")
limit = float(train.take(torch.arange(2000)).images.mean((1, 2, 3)).quantile(0.25))


def is_dark(images):
    return (images.mean((1, 2, 3)) < limit).long()


# %%
def train_dark(noisy, steps=10 if smoke else 200):
    torch.manual_seed(0)
    network = NoisyClassifier((2,), widths=(16, 32, 48)).to(device)

    def loss(network, batch, generator):
        x0 = batch["image"]
        t = torch.randint(1, 1001, (len(x0),), generator=generator, device=x0.device)
        t = t if noisy else torch.ones_like(t)               # t = 1: as good as clean
        eps = torch.randn(x0.shape, generator=generator, device=x0.device)
        (logits,) = network(add_noise(table, x0, t, eps), t)
        return torch.nn.functional.cross_entropy(logits, is_dark(x0))

    now = last(fit(network, train, loss, steps, batch=32, warmup=20, ema=0.98))
    print(f"{'noisy' if noisy else 'clean'} faces: loss {now.loss:.3f}")
    return now.ema


# %% tags=["live"]
judges = {"noisy": train_dark(True), "clean": train_dark(False)}

# %% tags=["live"]
n, rows = 4 if smoke else 16, {}
yes = torch.ones(n, 1, dtype=torch.long)
for name, network in judges.items():
    for s in (0.0, 5.0):
        guided = classifier_guide(predict, table, log_prob(network), s)
        rows[f"{name}, s = {s:g}"] = draw(guided, table, n, 16, 4, device,
                                          attributes=yes)
dark = {key: float(is_dark(images).float().mean()) for key, images in rows.items()}
print(f"dark, of {n}:", ",  ".join(f"{key} {share:.0%}" for key, share in dark.items()))
show_images(torch.cat([rows[key][:5] for key in ("noisy, s = 0", *list(rows)[1::2])]),
            title="no guidance; classifier of noisy faces; of clean faces",
            columns=min(n, 5), side=0.9);

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# The first makes nearly all of them dark. The second, which is the *better* classifier of clean faces (its loss is far lower), makes none darker. It has never seen a noisy picture: in the early steps, where the large areas are decided, its gradient means nothing. It changes colours here and there, and not the wish.
#
# </details>
#
# So this is the price. The good side: the face model was not touched, and any question will do for which one has labels. The bad side: **every new wish needs a new network, trained on noise**, and its gradient in each step.
#
# > **Classifier guidance steers a finished model with a second network, which must have learned to see through noise.** A new wish is a new training.

# %% [markdown]
# ## 3 · Ask the model itself  <small>19 min</small>
#
# A model that was told attributes in training already knows $q(x_t\mid y)$. And with its attributes left open it knows $q(x_t)$. Read Bayes' rule the other way round:
#
# $$\nabla\log p(y\mid x_t) = \nabla\log q(x_t\mid y) - \nabla\log q(x_t)$$
#
# **There is a classifier inside the model**, and its gradient is a difference of two answers. Put it into the formula of section 1. With $\varepsilon_y$ for the answer with the wish, $\varepsilon_\varnothing$ for the one without, and $-\varepsilon/b_t$ for a score:
#
# $$\hat\varepsilon = \varepsilon_\varnothing - s\,b_t\Big(-\frac{\varepsilon_y}{b_t}+\frac{\varepsilon_\varnothing}{b_t}\Big)$$
#
# The $b_t$ cancel, and what is left has no classifier, no gradient and no new network:
#
# $$\boxed{\;\hat\varepsilon = \varepsilon_\varnothing + s\,(\varepsilon_y-\varepsilon_\varnothing)\;}\tag{classifier-free guidance}$$
#
# $s=0$ is the model without a wish, $s=1$ the model with it. Beyond 1 one goes on along the same line. (Ho and Salimans write $w=s-1$: their $w=0$ is our $s=1$.) $x_0$ follows the same formula, because it is linear in $\varepsilon$.
#
# **Predict.** Is $s=1$ worth anything? It costs two calls a step.

# %%
def classifier_free(x_t, t, wanted, s):
    """(x0, ε), all channels: ask twice, and go on along the line of the two."""
    x0_y, eps_y = predict(x_t, t, attributes=wanted)
    x0_n, eps_n = predict(x_t, t, attributes=torch.full_like(wanted, -1))
    return x0_n + s * (x0_y - x0_n), eps_n + s * (eps_y - eps_n)


from helpers.guidance import guide

x = torch.randn(3, 3, 64, 64, generator=seeded(2)).to(device)
t = torch.tensor([300, 600, 900], device=device)
wanted = wish(3, glasses="sunglasses", hair_color="red")
with torch.no_grad():
    mine = classifier_free(x, t, wanted, 3.0)
    theirs = guide(predict, 3.0, attributes=-1)(x, t, attributes=wanted)
assert all(torch.allclose(m, h, atol=1e-3) for m, h in zip(mine, theirs))
print("by hand = helpers.guidance.guide")

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# No: at $s=1$ the second answer cancels. Ask once, with the wish, and save half.
#
# </details>
#
# Move the number. The faces are drawn beforehand (16 steps, the same four noises everywhere); with `fresh=True` your machine draws them now.

# %%
from PIL import Image
from torchvision.transforms.functional import pil_to_tensor

WISHES = {
    "sunglasses, red hair": dict(glasses="sunglasses", hair_color="red"),
    "a turban, a smile": dict(hat="turban", mouth="smile"),
    "blue hair, a beard": dict(hair_color="blue", facial_hair="beard"),
    "bald, sad, a hoodie": dict(hair_style="bald", mouth="sad", clothing="hoodie"),
}
SCALES = [0.0, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0]
sheet = pil_to_tensor(Image.open(course.ROOT / "experiments" / "guidance.webp"))
grid = sheet.view(3, 4, 8, 64, 4, 64).permute(1, 2, 4, 0, 3, 5) / 127.5 - 1

# %%
def asked(words, s, fresh=False):
    """Four faces for a wish, from the sheet or drawn now."""
    if not fresh:
        return grid[list(WISHES).index(words), SCALES.index(s)]
    return draw(guide(predict, s, attributes=-1), table, 4, 16, 0, device,
                attributes=wish(4, **WISHES[words]))


def show_asked(words, s):
    show_images(asked(words, s), title=f"{words}: s = {s:g}", side=1.4)


slide(show_asked, words=list(WISHES), s=SCALES)

# %% tags=["live"]
strip = [asked("sunglasses, red hair", s)[face] for face in (0, 1, 2) for s in SCALES]
show_images(strip, [f"s = {s:g}" for s in SCALES] * 3, columns=8, side=0.9)
again = asked("sunglasses, red hair", 3.0, fresh=True)
off = float((again - asked("sunglasses, red hair", 3.0)).square().mean().sqrt())
print(f"drawn again at s = 3: {off:.3f} away from the sheet (root mean square)")

# %% [markdown]
# Look along the rows. The wish comes true at about 2. Then what was *not* asked for goes, too: everybody gets red beards, skin turns pale, backgrounds go bright, and the four become one.
#
# ### How it is taught
#
# A model needs both answers. One trains **one** network and replaces the wish by "open" now and then (one time in ten is usual): that is all. And it can be taught afterwards. `plain-faces` is a small model that was never told anything. We give it an embedding of attributes whose weights are all 0, so it answers exactly as before, and go on training with the usual loss.

# %%
from helpers.diffusion import Denoiser, diffusion_loss
from helpers.guidance import drop_attributes
from helpers.unet import UNet

plain = load_model("plain-faces", device)
tuned = UNet(**plain.config | dict(attributes=train.cardinalities)).to(device)
tuned.load_state_dict(tuned.state_dict() | plain.state_dict())
torch.nn.init.zeros_(tuned.attributes.table.weight)
with torch.no_grad():
    assert torch.allclose(tuned(x, t, attributes=wanted), plain(x, t), atol=1e-4)


def loss(network, batch, generator):
    attributes = drop_attributes(batch["attributes"], 0.1, generator)
    return diffusion_loss(Denoiser(network, table, "v"), batch["image"], generator,
                          attributes=attributes)


# %% tags=["live"]
for now in fit(tuned, train, loss, 2 if smoke else 80, batch=32, warmup=20, ema=0.95):
    if now.step % 20 == 0:
        print(f"step {now.step}: loss {now.loss:.3f}")
models = {
    "before": Denoiser(plain, table, "v"),
    "after 80 steps": Denoiser(now.ema, table, "v"),
    "after 2,000": load_denoiser("tuned-faces", device),
}

# %% tags=["live"]
n = 4
blue, rows = wish(n, hair_color="blue"), []
for name, model in models.items():
    told = model if name == "before" else guide(model, 3.0, attributes=-1)
    given = {} if name == "before" else dict(attributes=blue)
    rows.append(draw(told, table, n, 16, 5, device, **given))
show_images(torch.cat(rows), columns=n, side=0.9,
            title="blue hair, s = 3: " + ", ".join(models));

# %% [markdown]
# Eighty steps are too few to see much; the loss has hardly moved. In the stored run (`python -m tools.checkpoints tuned-faces`, 2,000 steps) the small model has learned to listen: all hair is blue. Nobody trained a classifier.
#
# > **Classifier-free guidance asks one network twice, with and without the wish, and goes on along the difference.** It needs a model that knows both, which costs one line in training.

# %% [markdown]
# ## 4 · What guidance is not  <small>10 min</small>
#
# One often reads: "guidance with $s$ draws from $q(x_0)\,p(y\mid x_0)^s$", which is $\propto q(x_0\mid y)^s\,q(x_0)^{1-s}$: the wish, sharpened. Here we can look, since in the plane everything is known. We draw guided points with the **exact** scores, so no network is to blame, and beside them points from that density, from a fine grid.
#
# **Predict.** $s=4$, cats above and dogs below. Are the two clouds the same?

# %%
from helpers.samplers import pairs, sample, timesteps

fine = torch.linspace(-4, 4, 400)
plane = torch.stack(torch.meshgrid(fine, fine, indexing="xy"), -1).view(-1, 2)
clean = torch.zeros(len(plane), dtype=torch.long)


def sharpened(s, n=1500):
    """Points from q(x_0 | cat)^s q(x_0)^(1 − s), by the grid."""
    cat, animal = (p.log_density(plane, clean) for p in (p_cat, p_any))
    log = s * cat + (1 - s) * animal
    chosen = torch.multinomial(log.softmax(0), n, replacement=True, generator=seeded(1))
    return plane[chosen]


def guided_points(s, n=1500, steps=100):
    x = torch.randn(n, 2, generator=seeded(0))

    def exact(x_t, t):
        (x0, eps), (x0_n, eps_n) = p_cat(x_t, t), p_any(x_t, t)
        return x0_n + s * (x0 - x0_n), eps_n + s * (eps - eps_n)

    return last(sample(exact, toy, x, pairs(timesteps(1000, steps)), clip=False)).x


# %%
def show_clouds(s):
    fig, axes = plt.subplots(1, 2, figsize=(6, 2.5), sharey=True)
    density = p_any.log_density(plane, clean).exp().view(400, 400)
    for ax, (name, cloud) in zip(axes, {
        "the sharpened density": sharpened(s), "guided": guided_points(s)
    }.items()):
        ax.contour(fine, fine, density, levels=5, colors="0.75")
        ax.scatter(*cloud.T, s=2, alpha=0.4, color=COLORS[0])
        ax.set(title=f"{name}, s = {s:g}", xlim=(-3, 3), ylim=(-2.5, 3.5))
    plt.show()


slide(show_clouds, s=[0.0, 1.0, 2.0, 4.0, 8.0])

# %% tags=["live"]
for s in (1.0, 4.0):
    show_clouds(s)
height = {}
for s in (1.0, 4.0):
    clouds = sharpened(s), guided_points(s)
    sharp, led = (cloud[:, 1].mean().item() for cloud in clouds)
    height[s] = led - sharp
    print(f"s = {s:g}: mean height {sharp:.2f} (density), {led:.2f} (guided)")
assert abs(height[1.0]) < 0.05 and height[4.0] > 0.3

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# For $s=1$ yes. For $s=4$ no: the guided points are pushed far above the cats, to where hardly any animal is.
#
# </details>
#
# **Why?** At each $t$ we walk along $s\nabla\log q(x_t\mid y)+(1-s)\nabla\log q(x_t)$. That is the score of $q(x_t\mid y)^s\,q(x_t)^{1-s}$: first made noisy, then sharpened. To draw from the sharpened density one would need the score of: first sharpened, then made noisy. A power and a blur do not change places. In the noisy steps the first one is pushed too far from the dogs, and later there is no way back.
#
# > **Easily mistaken.** "More guidance is better", or "it is only a sharper distribution". With $s>1$ there is no density from which one draws; guidance is a push that works in practice, and it leaves the data behind.
#
# > **For $s=1$ guidance is Bayes' rule; for $s>1$ it is an overshoot, even with exact scores.**

# %% [markdown]
# ## 5 · Too much of it  <small>14 min</small>
#
# So how much? {{table:guidance:rows/none/n:d}} wishes were taken from faces never seen: hair colour, glasses, mouth, beard; the rest open. For each, one face was drawn, from the same noise for each setting, with {{table:guidance:machine/calls:d}} calls of a network: 16 steps where each has two calls. Another network judges, one that guides nothing. FD, precision (does each face look like a real one?) and recall (is each real face among them?) are those of session {{session:ddpm}}.
#
# **Predict.** Which of the four gets better with $s$, which worse, and which first better and then worse?

# %%
stored = json.loads((course.ROOT / "experiments" / "guidance.json").read_text())
rows, floor = stored["rows"], stored["floor"]
free = {1.0: rows["none, 16 steps"]}
free |= {r["scale"]: r for key, r in rows.items() if "free" in key}
led = {r["scale"]: r for key, r in rows.items() if key.startswith("classifier, ")}
fig, axes = plt.subplots(1, 4, figsize=(10, 2.4))
for ax, (key, name) in zip(axes, {
    "all_right": "all four right", "fd": "FD",
    "precision": "precision", "recall": "recall"
}.items()):
    for told, words in ((free, "classifier-free"), (led, "classifier")):
        ax.plot(told.keys(), [r[key] for r in told.values()], "o-", label=words)
    ax.plot(1, rows["none"][key], "k*", label="s = 1, all 32 calls")
    if key in floor:
        ax.axhline(floor[key], color="0.6", ls="--", label="real faces")
    ax.set(title=name, xlabel="s")
axes[1].legend(fontsize=7)
plt.show()

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# The wish is followed better and better, and the faces look at least as real. Recall falls: they become alike. And FD, which counts both, rises from the beginning.
#
# </details>
#
# **Where is the sweet spot?** With as many steps, $s=2$ costs hardly any FD ({{table:guidance:rows/none, 16 steps/fd:.2f}} → {{table:guidance:rows/classifier-free, 2/fd:.2f}}), and all four wishes come true in {{table:guidance:rows/classifier-free, 2/all_right:.0%}} of the faces instead of {{table:guidance:rows/none, 16 steps/all_right:.0%}}. At $s=8$ it is {{table:guidance:rows/classifier-free, 8/all_right:.0%}}, and FD has tripled. So: about 2.
#
# But in the papers FID first *falls* with $s$, and here it does not. Is our model too good, so that nothing is left to mend? A claim needs its counter-case: guide a *worse* model, the small `tuned-faces`.

# %% tags=["live"]
small = {r["scale"]: r for key, r in rows.items() if key.startswith("small")}
fig, axes = plt.subplots(1, 2, figsize=(7, 2.4))
for ax, (key, name) in zip(axes, {"fd": "FD", "all_right": "all four right"}.items()):
    for told, words in ((free, "ddpm-faces"), (small, "tuned-faces, small")):
        kept = {s: r[key] for s, r in told.items() if s <= 3}
        ax.plot(kept.keys(), kept.values(), "o-", label=words)
    ax.set(title=name, xlabel="s")
axes[0].legend(fontsize=8)
plt.show()
for s, r in small.items():
    print(f"small, s = {s:g}: FD {r['fd']:.2f}, all four right {r['all_right']:.0%}")

# %% [markdown]
# The worse model's FD rises just as well: **our explanation was wrong**, or not enough. Look at precision instead. It is that of real faces already at $s=1$ ({{table:guidance:rows/none, 16 steps/precision:.2f}}; the small model: {{table:guidance:rows/small model, none/precision:.2f}}). Guidance buys precision for recall, and as this judge sees it there is none to buy. On ImageNet ADM begins at 0.69 (session {{session:why_diffusion}}) and has much to gain.
#
# What goes wrong at large $s$ has been given names, and mended in several ways. Each is a line or two:
#
# | | what it does | paper |
# |---|---|---|
# | rescaled | the guided $x_0$ gets back the spread (standard deviation) of the one with the wish, by 70 % | Lin et al. 2023 |
# | projected | the part of the difference *along* $x_0$, which only adds contrast, is left out (APG) | Sadat et al. 2024 |
# | interval | guides in the middle of the walk only, here {{table:guidance:interval/0:d}} ≤ t ≤ {{table:guidance:interval/1:d}} | Kynkäänniemi et al. 2024 |
# | autoguidance | $\varepsilon_\varnothing$ is replaced by a **worse model with the same wish** (`tuned-faces`: smaller, trained for less) | Karras et al. 2024 |
#
# The last one asks for something new: not "more of the wish" but "less of the mistakes" that the worse model makes more of.

# %% tags=["live"]
print("                      right  all 4    FD   prec.  recall  contrast")
f = floor
print(f"{'real, never seen':35s}{f['fd']:5.2f}   {f['precision']:.2f}"
      f"    {f['recall']:.2f}    {f['contrast']:.3f}")
for key, r in rows.items():
    print(f"{key:20s}  {r['right']:4.0%}   {r['all_right']:4.0%}  {r['fd']:5.2f}   "
          f"{r['precision']:.2f}    {r['recall']:.2f}    {r['contrast']:.3f}")
print(f"n = {rows['none']['n']}, seed 0, {stored['machine']['calls']} calls,",
      stored["machine"]["device"])

# %% [markdown]
# Row by row. **Rescaling** and **projection** change nothing for the better here: they were made against burnt colours, and in flat drawings, clipped to $[-1,1]$, contrast hardly grows (last column); what fades is the variety. **The interval** does most: as obedient as plain $s=1.5$, and FD is that of no guidance at all; where it does not guide, it also saves a call. **Autoguidance** is the only row in which obedience grows and recall does not fall. **The classifier** follows worse and costs more variety: at $s=1$ it should be as good as Bayes, and a small network's gradient is not. (At this $n$ differences of FD below one are mostly noise; the differences face by face, with their intervals, are in the stored table.)
#
# Two of the four by hand, equal to the helpers. $x_0$ is what is changed, so $\varepsilon$ is derived again, as after clipping.

# %%
from helpers.guidance import project, rescale


def mended(x_t, t, wanted, s, how):
    with torch.no_grad():
        good = predict(x_t, t, attributes=wanted)[0]
        bad = predict(x_t, t, attributes=torch.full_like(wanted, -1))[0]
    if how == "rescaled":
        x0 = bad + s * (good - bad)
        spread = [v.flatten(1).std(1).view(-1, 1, 1, 1) for v in (good, x0)]
        return x0 * (0.7 * spread[0] / spread[1] + 0.3)
    change = good - bad
    share = (change * good).sum((1, 2, 3)) / (good**2).sum((1, 2, 3))
    return good + (s - 1) * (change - share.view(-1, 1, 1, 1) * good)


for how, combine in {"rescaled": rescale(table), "projected": project(table)}.items():
    with torch.no_grad():
        helper = guide(predict, 5.0, combine=combine, attributes=-1)
        theirs = helper(x, t, attributes=wanted)[0]
    assert torch.allclose(mended(x, t, wanted, 5.0, how), theirs, atol=1e-3)
print("by hand = rescale, project")

# %%
worse, n = models["after 2,000"], 3
ways = {
    "s = 1": predict,
    "plain, 8": guide(predict, 8.0, attributes=-1),
    "rescaled, 8": guide(predict, 8.0, combine=rescale(table), attributes=-1),
    "projected, 8": guide(predict, 8.0, combine=project(table), attributes=-1),
    "interval, 8": guide(predict, 8.0, interval=(200, 700), attributes=-1),
    "autog., 1.5": guide(predict, 1.5, worse=worse),
}
sunny = wish(n, glasses="sunglasses", hair_color="red")
drawn = [draw(way, table, n, 16, 6, device, attributes=sunny) for way in ways.values()]
faces_in_rows = [images[i] for i in range(n) for images in drawn]
show_images(faces_in_rows, list(ways) * n, columns=len(ways), side=1.1);

# %% [markdown]
# > **Guidance trades variety for obedience, and FD has its best point at a small scale.** What mends large scales limits the push: its length, its direction, or its time.

# %% [markdown]
# ## 6 · Two wishes, a refusal, a hole  <small>7 min, may be skipped</small>
#
# The formula is a sum of differences, so more can be added. **Two wishes with a number each**: $\varepsilon_\varnothing + s_1(\varepsilon_{y_1}-\varepsilon_\varnothing)+s_2(\varepsilon_{y_2}-\varepsilon_\varnothing)$. **A refusal** (the *negative prompt*): put what you do *not* want where "open" stood, and go away from it: $\varepsilon_{\text{no}} + s(\varepsilon_y-\varepsilon_{\text{no}})$. In the helper the null is an argument, so that is no new code.
#
# **Predict.** "Sunglasses, but not red hair": what is in the two calls?

# %% tags=["live"]
n = 4 if smoke else 5
glasses, red = wish(n, glasses="sunglasses"), wish(n, hair_color="red")


def two(x_t, t):
    """Sunglasses with 3, red hair with 1.5: (x0, ε)."""
    nothing = predict(x_t, t)
    first, second = (predict(x_t, t, attributes=y) for y in (glasses, red))
    return tuple(o + 3.0 * (g - o) + 1.5 * (r - o)
                 for o, g, r in zip(nothing, first, second))


not_red = guide(predict, 2.0, attributes=red[:1])            # what is refused
images = [draw(way, table, n, 16, 7, device, **given) for way, given in (
    (two, {}), (not_red, dict(attributes=glasses)))]
show_images(torch.cat(images), columns=n, side=0.9,
            title="sunglasses and red hair; sunglasses, not red");

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# In one sunglasses, hair open; in the other red hair, glasses open. The difference leads to sunglasses and away from red hair.
#
# </details>
#
# **And a hole** (sessions {{session:inpainting}}, {{session:restoration}}). The Palette model sees a face with a hole and knows no attributes. A classifier can be put on top of it, since to guide is only to change `predict`: then `restore` puts the known pixels back.

# %%
from helpers.tasks import damage, make_holes, restore

n = 3 if smoke else 4
some = faces.take(torch.where(faces.column("glasses") == 0)[0][:n]).images
hole = make_holes("centre", n, 64, seeded(8))
y, hole = damage("inpaint", some, seeded(9), hole)
palette = load_denoiser("palette-faces", device)
rows = [y]
for s in (0.0, 5.0):
    asks = classifier_guide(palette, table, log_prob(classifier), s)
    fill = restore(asks, table, y.to(device), hole.to(device))
    rows.append(draw(fill, table, n, 16, 1, device, batch=n,
                     attributes=wish(n, glasses="round")))
show_images(torch.cat(rows), columns=n, side=0.9,
            title="the hole; filled; filled with round glasses, s = 5");

# %% [markdown]
# > **Whatever is called as `predict(x_t, t)` can be guided, and guidance can be put on it in layers.** A refusal is a wish that stands in the other place.

# %% [markdown]
# ## 7 · Summary and exit  <small>3 min</small>
#
# - Bayes' rule: the score with a wish is the score without it plus the gradient of a classifier, which has to judge noisy pictures.
#
# - Classifier guidance needs such a classifier for each wish. Classifier-free guidance finds it inside a model that was trained with and without the wish.
#
# - $\hat\varepsilon=\varepsilon_\varnothing+s(\varepsilon_y-\varepsilon_\varnothing)$: $s=0$ deaf, $s=1$ Bayes, $s>1$ an overshoot which is no distribution's score.
#
# - More $s$: more obedience, less variety, stronger colours. Rescaling, projection, an interval or a worse model in place of the null limit the damage.
#
# **At the exit.** A friend writes $\hat\varepsilon=(1+w)\,\varepsilon_y - w\,\varepsilon_\varnothing$ and uses $w=2$. Which $s$ is that?
# <details><summary>Answer</summary>
#
# $s = 1+w = 3$: $\varepsilon_\varnothing+3(\varepsilon_y-\varepsilon_\varnothing)=3\varepsilon_y-2\varepsilon_\varnothing$.
#
# </details>
#
# **Try next.** In section 3, `s` below 0: what does a face look like that does the opposite of a wish? In section 5, guide the early steps only, `interval=(700, 1000)`, then the late ones only.
#
# **Homework:** [homework](homework/{{notebook}}).
#
# **Next session:** {{session:ddim}}: why 16 steps of 1,000 are enough.
#
# **To read.**
#
# - Dhariwal and Nichol 2021, *Diffusion Models Beat GANs on Image Synthesis*, section 4 and algorithm 2.
#
# - Ho and Salimans 2022, *Classifier-Free Diffusion Guidance*.
#
# - Lin et al. 2023 (2305.08891), section 3.4; Sadat et al. 2024 (2410.02416); Kynkäänniemi et al. 2024 (2404.07724); Karras et al. 2024 (2406.02070).
