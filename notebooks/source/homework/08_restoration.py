# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Homework {{number}} · Restoring pictures
#
# {{badge}}
#
# You write the loss of a conditional model, its first guess, a correction that makes answers agree with what is known, what the second stage of a cascade sees, and a number for diversity. At the end you try two of them on faces.
#
# **Time:** about 70 minutes. Nothing here needs a graphics card.
#
# **Before:** lecture {{session:restoration}}, sections 1, 3, 4, 5, 6 and 8.

# %% tags=["setup"]
from helpers import course
from helpers.checks import restoration as check

course.setup()

# %%
import torch

# %% [markdown]
# ## 1 · The conditional loss
#
# Every pixel is unknown: think of a grey picture $y$ that shall get its colours. One step of the training:
#
# 1. make $x_t = \sqrt{\bar\alpha_t}\,x_0+\sqrt{1-\bar\alpha_t}\,\varepsilon$;
# 2. ask the network: `network(x_t, t, y)` returns its guess of $v$, with the shape of $x_t$;
# 3. it should have said $v = \sqrt{\bar\alpha_t}\,\varepsilon-\sqrt{1-\bar\alpha_t}\,x_0$. Return the mean squared error over everything.
#
# `abar` holds one $\bar\alpha_t$ for each picture: `.view(-1, 1, 1, 1)` gives it the right shape to multiply.
#
# *Lecture: section 1 (what changes, and what does not) and `conditional_loss` in section 4.*

# %% tags=["answer:conditional_loss"]
def conditional_loss(network, x0, y, t, eps, abar):
    """x0, y, eps (B, 3, H, W), t and abar (B,). Returns one number (a tensor)."""
    # <solution>
    a, b = abar.view(-1, 1, 1, 1).sqrt(), (1 - abar).view(-1, 1, 1, 1).sqrt()
    v = a * eps - b * x0
    return (network(a * x0 + b * eps, t, y) - v).square().mean()
    # </solution>

# %% tags=["check:conditional_loss"]
check.conditional_loss(conditional_loss)

# %% tags=["second:conditional_loss"]
def conditional_loss(network, x0, y, t, eps, abar):
    noisy, wanted = [], []
    for picture, noise, a in zip(x0, eps, abar.tolist()):
        noisy.append(a**0.5 * picture + (1 - a) ** 0.5 * noise)
        wanted.append(a**0.5 * noise - (1 - a) ** 0.5 * picture)
    answer = network(torch.stack(noisy), t, y)
    return torch.nn.functional.mse_loss(answer, torch.stack(wanted))

# %% tags=["second:conditional_loss"]
def conditional_loss(network, x0, y, t, eps, abar):
    total = 0
    for i in range(len(x0)):
        one, a, b = slice(i, i + 1), abar[i].sqrt(), (1 - abar[i]).sqrt()
        v = a * eps[one] - b * x0[one]
        guess = network(a * x0[one] + b * eps[one], t[one], y=y[one])
        total = total + (guess - v).square().mean()
    return total / len(x0)

# %% tags=["wrong:conditional_loss"] expect="It will copy it"
def conditional_loss(network, x0, y, t, eps, abar):
    a = abar.view(-1, 1, 1, 1)
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    v = a.sqrt() * eps - (1 - a).sqrt() * x0
    return (network(x_t, t, x0) - v).square().mean()

# %% tags=["wrong:conditional_loss"] expect="The order is network(x_t, t, y)"
def conditional_loss(network, x0, y, t, eps, abar):
    a = abar.view(-1, 1, 1, 1)
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    v = a.sqrt() * eps - (1 - a).sqrt() * x0
    return (network(y, t, x_t) - v).square().mean()

# %% tags=["wrong:conditional_loss"] expect="Only x_0 is made noisy"
def conditional_loss(network, x0, y, t, eps, abar):
    a = abar.view(-1, 1, 1, 1)
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    y_t = a.sqrt() * y + (1 - a).sqrt() * eps
    v = a.sqrt() * eps - (1 - a).sqrt() * x0
    return (network(x_t, t, y_t) - v).square().mean()

# %% tags=["wrong:conditional_loss"] expect="It should guess v."
def conditional_loss(network, x0, y, t, eps, abar):
    a = abar.view(-1, 1, 1, 1)
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    return (network(x_t, t, y) - eps).square().mean()

# %% tags=["wrong:conditional_loss"] expect="is to guess x_0"
def conditional_loss(network, x0, y, t, eps, abar):
    a = abar.view(-1, 1, 1, 1)
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    return (network(x_t, t, y) - x0).square().mean()

# %% tags=["wrong:conditional_loss"] expect="You compare the answer with y"
def conditional_loss(network, x0, y, t, eps, abar):
    a = abar.view(-1, 1, 1, 1)
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    return (network(x_t, t, y) - y).square().mean()

# %% tags=["wrong:conditional_loss"] expect="the wrong sign"
def conditional_loss(network, x0, y, t, eps, abar):
    a = abar.view(-1, 1, 1, 1)
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    v = (1 - a).sqrt() * x0 - a.sqrt() * eps
    return (network(x_t, t, y) - v).square().mean()

# %% tags=["wrong:conditional_loss"] expect="have changed places"
def conditional_loss(network, x0, y, t, eps, abar):
    a = abar.view(-1, 1, 1, 1)
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    v = (1 - a).sqrt() * eps - a.sqrt() * x0
    return (network(x_t, t, y) - v).square().mean()

# %% tags=["wrong:conditional_loss"] expect="the picture is added"
def conditional_loss(network, x0, y, t, eps, abar):
    a = abar.view(-1, 1, 1, 1)
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    v = a.sqrt() * eps + (1 - a).sqrt() * x0
    return (network(x_t, t, y) - v).square().mean()

# %% tags=["wrong:conditional_loss"] expect="The roots?"
def conditional_loss(network, x0, y, t, eps, abar):
    a = abar.view(-1, 1, 1, 1)
    v = a * eps - (1 - a) * x0
    return (network(a * x0 + (1 - a) * eps, t, y) - v).square().mean()

# %% tags=["wrong:conditional_loss"] expect="There is one for each picture"
def conditional_loss(network, x0, y, t, eps, abar):
    a = abar[0]
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    v = a.sqrt() * eps - (1 - a).sqrt() * x0
    return (network(x_t, t, y) - v).square().mean()

# %% tags=["wrong:conditional_loss"] expect="is a sum: over pixels"
def conditional_loss(network, x0, y, t, eps, abar):
    a = abar.view(-1, 1, 1, 1)
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    v = a.sqrt() * eps - (1 - a).sqrt() * x0
    return (network(x_t, t, y) - v).square().sum()

# %% tags=["wrong:conditional_loss"] expect="cancel in your mean"
def conditional_loss(network, x0, y, t, eps, abar):
    a = abar.view(-1, 1, 1, 1)
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    v = a.sqrt() * eps - (1 - a).sqrt() * x0
    return (network(x_t, t, y) - v).mean((1, 2, 3)).square().mean()

# %% tags=["wrong:conditional_loss"] expect="It is x_0 itself that becomes noisy"
def conditional_loss(network, x0, y, t, eps, abar):
    a = abar.view(-1, 1, 1, 1)
    x_t = a.sqrt() * y + (1 - a).sqrt() * eps
    v = a.sqrt() * eps - (1 - a).sqrt() * x0
    return (network(x_t, t, y) - v).square().mean()

# %% tags=["wrong:conditional_loss"] expect="must also see y"
def conditional_loss(network, x0, y, t, eps, abar):
    a = abar.view(-1, 1, 1, 1)
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    v = a.sqrt() * eps - (1 - a).sqrt() * x0
    return (network(x_t, t) - v).square().mean()

# %% tags=["wrong:conditional_loss"] expect="no gradient can flow back"
def conditional_loss(network, x0, y, t, eps, abar):
    a = abar.view(-1, 1, 1, 1)
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    v = a.sqrt() * eps - (1 - a).sqrt() * x0
    return (network(x_t, t, y) - v).square().mean().item()

# %% [markdown]
# ## 2 · The first guess
#
# A conditional model begins with pure noise $x_T$. What does it believe of $x_0$ there? One call of the network at step $T = 1000$ gives $v$, and (session {{session:parameterisations}})
#
# $$x_0 = \sqrt{\bar\alpha_T}\,x_T-\sqrt{1-\bar\alpha_T}\,v$$
#
# Again `network(x_t, t, y)`; `t` must be a tensor of whole numbers with one entry for each picture: `torch.full((B,), 1000)`, where `B` is `len(y)`. `abar_T` is a plain number; its root is `abar_T**0.5`.
#
# *Lecture: the end of section 1, and section 4.*

# %% tags=["answer:first_guess"]
def first_guess(network, y, noise, abar_T):
    """y, noise (B, 3, H, W), abar_T a number. Returns the guess of x_0."""
    # <solution>
    t = torch.full((len(y),), 1000)
    return abar_T**0.5 * noise - (1 - abar_T) ** 0.5 * network(noise, t, y)
    # </solution>

# %% tags=["check:first_guess"]
check.first_guess(first_guess)

# %% tags=["second:first_guess"]
def first_guess(network, y, noise, abar_T):
    import math

    angle = math.acos(math.sqrt(abar_T))           # signal and noise on a circle
    v = network(noise, torch.tensor([1000] * y.shape[0]), y)
    return math.cos(angle) * noise - math.sin(angle) * v

# %% tags=["wrong:first_guess"] expect="but that is v"
def first_guess(network, y, noise, abar_T):
    return network(noise, torch.full((len(y),), 1000), y)

# %% tags=["wrong:first_guess"] expect="write the whole formula"
def first_guess(network, y, noise, abar_T):
    return -network(noise, torch.full((len(y),), 1000), y)

# %% tags=["wrong:first_guess"] expect="You add the two parts"
def first_guess(network, y, noise, abar_T):
    v = network(noise, torch.full((len(y),), 1000), y)
    return abar_T**0.5 * noise + (1 - abar_T) ** 0.5 * v

# %% tags=["wrong:first_guess"] expect="a network that guesses ε"
def first_guess(network, y, noise, abar_T):
    v = network(noise, torch.full((len(y),), 1000), y)
    return (noise - (1 - abar_T) ** 0.5 * v) / abar_T**0.5

# %% tags=["wrong:first_guess"] expect="Are the roots there?"
def first_guess(network, y, noise, abar_T):
    v = network(noise, torch.full((len(y),), 1000), y)
    return abar_T * noise - (1 - abar_T) * v

# %% tags=["wrong:first_guess"] expect="have changed places: √ᾱ"
def first_guess(network, y, noise, abar_T):
    v = network(noise, torch.full((len(y),), 1000), y)
    return (1 - abar_T) ** 0.5 * noise - abar_T**0.5 * v

# %% tags=["wrong:first_guess"] expect="At step T stands pure noise"
def first_guess(network, y, noise, abar_T):
    v = network(y, torch.full((len(y),), 1000), y)
    return abar_T**0.5 * noise - (1 - abar_T) ** 0.5 * v

# %% tags=["wrong:first_guess"] expect="the order is network(x_t, t, y)"
def first_guess(network, y, noise, abar_T):
    v = network(y, torch.full((len(y),), 1000), noise)
    return abar_T**0.5 * noise - (1 - abar_T) ** 0.5 * v

# %% tags=["wrong:first_guess"] expect="made at step T = 1000"
def first_guess(network, y, noise, abar_T):
    v = network(noise, torch.full((len(y),), 0), y)
    return abar_T**0.5 * noise - (1 - abar_T) ** 0.5 * v

# %% tags=["wrong:first_guess"] expect="You cut the guess"
def first_guess(network, y, noise, abar_T):
    v = network(noise, torch.full((len(y),), 1000), y)
    return (abar_T**0.5 * noise - (1 - abar_T) ** 0.5 * v).clamp(-1, 1)

# %% tags=["wrong:first_guess"] expect="For two pictures, the t"
def first_guess(network, y, noise, abar_T):
    v = network(noise, torch.full((1,), 1000), y)
    return abar_T**0.5 * noise - (1 - abar_T) ** 0.5 * v

# %% [markdown]
# ## 3 · Agree with what is known
#
# A model enlarges 16×16 to 64×64. Shrink its answer again, each pixel the mean of 4×4, and it is *nearly* the small picture that it was given, but not exactly. Put it right, and change as little as possible: to all 16 pixels of a square add one number, the one that is missing in its mean.
#
# $$\text{corrected} = \text{answer} + \text{repeat}\big(\text{small}-\text{shrink}(\text{answer})\big)$$
#
# Do not cut the result to $[-1, 1]$.
#
# *Lecture: the end of section 3; repeating pixels: section 8.* Useful: `helpers.tasks.shrink`, and `.repeat_interleave(4, 2)`, which repeats each row four times (3 in place of 2: each column).

# %% tags=["answer:agree"]
from helpers.tasks import shrink


def agree(answer, small):
    """answer (B, 3, 4h, 4w), small (B, 3, h, w). Returns (B, 3, 4h, 4w)."""
    # <solution>
    missing = small - shrink(answer)
    return answer + missing.repeat_interleave(4, 2).repeat_interleave(4, 3)
    # </solution>

# %% tags=["check:agree"]
check.agree(agree)

# %% tags=["second:agree"]
def agree(answer, small):
    b, c, h, w = small.shape
    squares = answer.reshape(b, c, h, 4, w, 4)
    means = squares.mean((3, 5), keepdim=True)
    return (squares - means + small.view(b, c, h, 1, w, 1)).reshape(answer.shape)

# %% tags=["wrong:agree"] expect="Look at the sign"
def agree(answer, small):
    off = shrink(answer) - small
    return answer + off.repeat_interleave(4, 2).repeat_interleave(4, 3)

# %% tags=["wrong:agree"] expect="do not enlarge it smoothly"
def agree(answer, small):
    off = small - shrink(answer)
    wide = torch.nn.functional.interpolate(off, scale_factor=4, mode="bilinear")
    return answer + wide

# %% tags=["wrong:agree"] expect="all that the answer had drawn"
def agree(answer, small):
    return small.repeat_interleave(4, 2).repeat_interleave(4, 3)

# %% tags=["wrong:agree"] expect="by one number"
def agree(answer, small):
    return answer + (small - shrink(answer)).mean((2, 3), keepdim=True)

# %% tags=["wrong:agree"] expect="only if *each* pixel does"
def agree(answer, small):
    off = (small - shrink(answer)) / 16
    return answer + off.repeat_interleave(4, 2).repeat_interleave(4, 3)

# %% tags=["wrong:agree"] expect="Add what is *missing*"
def agree(answer, small):
    return answer + small.repeat_interleave(4, 2).repeat_interleave(4, 3)

# %% tags=["wrong:agree"] expect="with one pixel of each square"
def agree(answer, small):
    off = small - answer[:, :, ::4, ::4]
    return answer + off.repeat_interleave(4, 2).repeat_interleave(4, 3)

# %% tags=["wrong:agree"] expect="Do you cut to [−1, 1]"
def agree(answer, small):
    off = small - shrink(answer)
    return (answer + off.repeat_interleave(4, 2).repeat_interleave(4, 3)).clamp(-1, 1)

# %% tags=["wrong:agree"] expect="Each has errors of its own"
def agree(answer, small):
    off = (small - shrink(answer)).mean(0, keepdim=True)
    return answer + off.repeat_interleave(4, 2).repeat_interleave(4, 3)

# %% tags=["wrong:agree"] expect="You laid the small error"
def agree(answer, small):
    return answer + (small - shrink(answer)).repeat(1, 1, 4, 4)

# %% [markdown]
# ## 4 · What the second stage sees
#
# The second stage of a cascade gets the small face with noise, so that it does not trust every pixel. Make
#
# - the noisy small face $\sqrt{\bar\alpha_s}\,x+\sqrt{1-\bar\alpha_s}\,z$, where $x$ is `small`;
# - one more channel, filled with the level $\sqrt{1-\bar\alpha_s}$;
# - and repeat every pixel 4×4, so that the result is four times as wide and high.
#
# `abar` holds one $\bar\alpha_s$ for each face. The picture's three channels come first, the level last.
#
# *Lecture: section 8.* Useful: `torch.cat([...], 1)` puts channels together.

# %% tags=["answer:stage_two_sees"]
def stage_two_sees(small, z, abar):
    """small, z (B, 3, h, w), abar (B,). Returns (B, 4, 4h, 4w)."""
    # <solution>
    a, b = abar.view(-1, 1, 1, 1).sqrt(), (1 - abar).view(-1, 1, 1, 1).sqrt()
    level = b.expand_as(small[:, :1])
    both = torch.cat([a * small + b * z, level], 1)
    return both.repeat_interleave(4, 2).repeat_interleave(4, 3)
    # </solution>

# %% tags=["check:stage_two_sees"]
check.stage_two_sees(stage_two_sees)

# %% tags=["second:stage_two_sees"]
def stage_two_sees(small, z, abar):
    n, _, h, w = small.shape
    seen = torch.empty(n, 4, 4 * h, 4 * w)
    for i, alpha in enumerate(abar.tolist()):
        noisy = alpha**0.5 * small[i] + (1 - alpha) ** 0.5 * z[i]
        seen[i, :3] = torch.nn.functional.interpolate(noisy[None], scale_factor=4)[0]
        seen[i, 3] = (1 - alpha) ** 0.5
    return seen

# %% tags=["wrong:stage_two_sees"] expect="is the *variance*"
def stage_two_sees(small, z, abar):
    a = abar.view(-1, 1, 1, 1)
    noisy = a.sqrt() * small + (1 - a).sqrt() * z
    both = torch.cat([noisy, (1 - a).expand_as(small[:, :1])], 1)
    return both.repeat_interleave(4, 2).repeat_interleave(4, 3)

# %% tags=["wrong:stage_two_sees"] expect="how much signal is left"
def stage_two_sees(small, z, abar):
    a = abar.view(-1, 1, 1, 1)
    noisy = a.sqrt() * small + (1 - a).sqrt() * z
    both = torch.cat([noisy, a.sqrt().expand_as(small[:, :1])], 1)
    return both.repeat_interleave(4, 2).repeat_interleave(4, 3)

# %% tags=["wrong:stage_two_sees"] expect="4×4 times side by side"
def stage_two_sees(small, z, abar):
    a = abar.view(-1, 1, 1, 1)
    noisy = a.sqrt() * small + (1 - a).sqrt() * z
    both = torch.cat([noisy, (1 - a).sqrt().expand_as(small[:, :1])], 1)
    return both.repeat(1, 1, 4, 4)

# %% tags=["wrong:stage_two_sees"] expect="and sharp borders"
def stage_two_sees(small, z, abar):
    a = abar.view(-1, 1, 1, 1)
    noisy = a.sqrt() * small + (1 - a).sqrt() * z
    both = torch.cat([noisy, (1 - a).sqrt().expand_as(small[:, :1])], 1)
    return torch.nn.functional.interpolate(both, scale_factor=4, mode="bilinear")

# %% tags=["wrong:stage_two_sees"] expect="The roots?"
def stage_two_sees(small, z, abar):
    a = abar.view(-1, 1, 1, 1)
    both = torch.cat([a * small + (1 - a) * z, (1 - a).expand_as(small[:, :1])], 1)
    return both.repeat_interleave(4, 2).repeat_interleave(4, 3)

# %% tags=["wrong:stage_two_sees"] expect="came through without noise"
def stage_two_sees(small, z, abar):
    a = abar.view(-1, 1, 1, 1)
    both = torch.cat([small, (1 - a).sqrt().expand_as(small[:, :1])], 1)
    return both.repeat_interleave(4, 2).repeat_interleave(4, 3)

# %% tags=["wrong:stage_two_sees"] expect="the level stands in front"
def stage_two_sees(small, z, abar):
    a = abar.view(-1, 1, 1, 1)
    noisy = a.sqrt() * small + (1 - a).sqrt() * z
    both = torch.cat([(1 - a).sqrt().expand_as(small[:, :1]), noisy], 1)
    return both.repeat_interleave(4, 2).repeat_interleave(4, 3)

# %% tags=["wrong:stage_two_sees"] expect="is told the level of the first"
def stage_two_sees(small, z, abar):
    a = abar[0]
    level = torch.ones_like(small[:, :1]) * (1 - a).sqrt()
    both = torch.cat([a.sqrt() * small + (1 - a).sqrt() * z, level], 1)
    return both.repeat_interleave(4, 2).repeat_interleave(4, 3)

# %% tags=["wrong:stage_two_sees"] expect="should be a torch tensor of shape (2, 4, 8, 12)"
def stage_two_sees(small, z, abar):
    a = abar.view(-1, 1, 1, 1)
    noisy = a.sqrt() * small + (1 - a).sqrt() * z
    return noisy.repeat_interleave(4, 2).repeat_interleave(4, 3)

# %% tags=["wrong:stage_two_sees"] expect="has no z in it"
def stage_two_sees(small, z, abar):
    a = abar.view(-1, 1, 1, 1)
    noisy = a.sqrt() * small + (1 - a).sqrt() * z
    both = torch.cat([noisy, (1 - a).sqrt() * z[:, :1]], 1)
    return both.repeat_interleave(4, 2).repeat_interleave(4, 3)

# %% tags=["wrong:stage_two_sees"] expect="z has three channels"
def stage_two_sees(small, z, abar):
    a = abar.view(-1, 1, 1, 1)
    noisy = a.sqrt() * small + (1 - a).sqrt() * z[:, :1]
    both = torch.cat([noisy, (1 - a).sqrt().expand_as(small[:, :1])], 1)
    return both.repeat_interleave(4, 2).repeat_interleave(4, 3)

# %% [markdown]
# ## 5 · Counting diversity
#
# `fills` holds $K$ answers for each of $B$ pictures. How far do the answers for *one* picture scatter around their mean?
#
# 1. for each value (a pixel's colour) the variance among the $K$ answers, with $K-1$ below, because the mean is taken from the same $K$;
# 2. the mean of these variances over a picture, and its root: one number for a picture;
# 3. the mean over the $B$ pictures.
#
# *Lecture: section 5 ("spread") and section 6.* Useful: `fills.var(0)` divides by $K-1$.

# %% tags=["answer:diversity"]
def diversity(fills):
    """fills (K, B, C, H, W). Returns one number."""
    # <solution>
    each = fills.var(0).mean((1, 2, 3))                      # (B,)
    return each.sqrt().mean()
    # </solution>

# %% tags=["check:diversity"]
check.diversity(diversity)

# %% tags=["second:diversity"]
def diversity(fills):
    off = fills - fills.mean(0, keepdim=True)
    total = 0.0
    for b in range(fills.shape[1]):
        squares = (off[:, b] ** 2).sum(0) / (len(fills) - 1)
        total = total + float(squares.mean()) ** 0.5
    return total / fills.shape[1]

# %% tags=["wrong:diversity"] expect="is a variance"
def diversity(fills):
    return fills.var(0).mean((1, 2, 3)).mean()

# %% tags=["wrong:diversity"] expect="divide by K − 1"
def diversity(fills):
    return fills.var(0, unbiased=False).mean((1, 2, 3)).sqrt().mean()

# %% tags=["wrong:diversity"] expect="the mean of the roots"
def diversity(fills):
    return fills.std(0).mean()

# %% tags=["wrong:diversity"] expect="how much the *pictures* differ"
def diversity(fills):
    return fills.var(1).mean((1, 2, 3)).sqrt().mean()

# %% tags=["wrong:diversity"] expect="Take the root for each picture"
def diversity(fills):
    return fills.var(0).mean().sqrt()

# %% tags=["wrong:diversity"] expect="highest minus lowest"
def diversity(fills):
    return (fills.amax(0) - fills.amin(0)).mean()

# %% tags=["wrong:diversity"] expect="Measure from their mean"
def diversity(fills):
    return (fills[1:] - fills[0]).square().mean(0).mean((1, 2, 3)).sqrt().mean()

# %% tags=["wrong:diversity"] expect="You take roots too early"
def diversity(fills):
    return fills.var(0).mean((2, 3)).sqrt().mean()

# %% tags=["wrong:diversity"] expect="You mix the colours"
def diversity(fills):
    return fills.mean(2).var(0).mean((1, 2)).sqrt().mean()

# %% tags=["wrong:diversity"] expect="different *pictures* together"
def diversity(fills):
    return fills.std()

# %% [markdown]
# ## On faces
#
# Now with `palette-faces`, the model of the lecture. Eight held-out faces, grey and small, four answers for each. It takes less than half a minute on two CPU cores.
#
# **Predict.** Which of the two tasks has the larger diversity? Will `agree` make the PSNR better or worse? By much?

# %%
from helpers.checkpoints import load_denoiser
from helpers.data import load_faces
from helpers.metrics import psnr
from helpers.samplers import last, pairs, sample, timesteps
from helpers.tasks import damage, restore

faces = load_faces("embedded", "test", limit=8).images
CALLS = 2 if course.profile() == "smoke" else 15


def four_answers(task):
    """Four answers for each of the eight faces, (4, 8, 3, 64, 64)."""
    palette = load_denoiser("palette-faces")
    y, hole = (part.repeat(4, 1, 1, 1) for part in damage(task, faces))
    x = torch.randn(y.shape, generator=torch.Generator().manual_seed(0))
    walk = pairs(timesteps(1000, CALLS))
    table = palette.schedule
    mender = restore(palette, table, y, hole)
    g = torch.Generator().manual_seed(1)
    end = last(sample(mender, table, x, walk, eta=1, generator=g))
    return end.x.clamp(-1, 1).unflatten(0, (4, 8))

# %%
if check.diversity.passed and check.agree.passed:
    fills = {task: four_answers(task) for task in ("colourise", "super_resolve")}
    for task, some in fills.items():
        print(f"{task:14s} diversity {float(diversity(some)):.3f}, n = 8, 4 answers")
    one = fills["super_resolve"][0]
    better = agree(one, shrink(faces))
    off = (shrink(one) - shrink(faces)).square().mean().sqrt()
    print(f"small again: off by {off:.3f} before,",
          f"{(shrink(better) - shrink(faces)).square().mean().sqrt():.6f} after")
    print(f"PSNR {psnr(one, faces).mean():.2f} dB before,",
          f"{psnr(better, faces).mean():.2f} dB after")

# %% [markdown]
# <details><summary>Answer to the prediction</summary>
#
# Colours are more open than details: the diversity of the coloured pictures is clearly larger. And `agree` must make the squared error smaller: the answer's error is a part that changes the squares' means and a part inside the squares, the two are at right angles, and the first becomes 0. How much it helps depends on how far off the model was: here about 3 dB, which is half of the squared error (n = 8 faces, 15 calls).
#
# </details>

# %%
check.summary()
