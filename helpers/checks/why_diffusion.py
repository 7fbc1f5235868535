"""Checks of homework why_diffusion: the game's losses, its circles, the bound, a coupling layer, a judge.

Above each check stand the mistakes that it was written for; the master tries them all.
"""

import math

import torch

from helpers.checks import close, exercise, expect, finite, same, shape_like, shown, summary_of


# Real and forged exchanged; the forger on the saturating loss, or on the detective's side, or with the real
# ones in its loss; halved; summed; base 2; sigmoid taken twice; log of a sigmoid that is 0, or cut off there;
# the two losses in the other order.
@exercise
def gan_losses(gan_losses):
    def losses(real, fake):
        answer = gan_losses(torch.tensor(real), torch.tensor(fake))
        shape_like(answer, (0.0, 0.0), "Your answer (loss_D, loss_G)")
        return float(answer[0]), float(answer[1])

    extreme = losses([200.0], [200.0])
    finite(extreme, "For log-odds of 200 your answer")
    right_D, right_G = losses([9.0], [-9.0])
    expect(
        not (close(right_D, 9.0, 1e-3) and close(right_G, 0.0, 1e-3)),
        "Your two losses stand the other way round: first the detective's, then the forger's.",
    )
    expect(
        right_D < 5,
        f"The detective is sure and right (9 for real, −9 for forged), yet its loss is {right_D:.4g}. "
        "Which sign belongs to which of the two?",
    )
    fooled_G = losses([0.0], [9.0])[1]
    expect(
        not close(right_G, -9.0, 1e-3),
        "A caught forgery (log-odds −9) has the loss −9 for you, and one that fools the detective about 0. "
        "Who makes this small wants to be caught: look at the sign.",
    )
    expect(
        not (fooled_G < -1 or right_G < 0),
        "Your forger's loss gets negative: that is log(1 − D). It is flat where D is near 0; "
        "the lecture takes another one.",
    )
    expect(
        fooled_G < right_G,
        f"A forger that fools the detective (log-odds 9) has the loss {fooled_G:.4g}, a caught one "
        f"(−9) {right_G:.4g}. Who wants what?",
    )
    expect(
        close(losses([3.0], [1.0])[1], losses([-3.0], [1.0])[1]),
        "Your forger's loss changes with the real points, but it can do nothing about them.",
    )
    D, G = losses([0.0], [0.0])
    expect(
        not close(D, 2.0) and not close(G, 1.0),
        "Where the detective tosses a coin you have powers of 2: your logarithm has base 2.",
    )
    expect(
        not close(D, 0.693147),
        "Where the detective tosses a coin its loss should be log 4: one log 2 for the real points and "
        "one for the forged ones. You have only log 2.",
    )
    expect(
        not close(G, 0.474077, 1e-3),
        "For log-odds 0 the probability is ½, but you use 0.62: is a sigmoid taken twice?",
    )
    same((D, G), (1.386294, 0.693147), "For log-odds 0 the losses are {expected}, yours {got}.")
    D, G = losses([0.0, 0.0, 0.0], [0.0, 0.0])
    expect(
        close((D, G), (1.386294, 0.693147)),
        f"More points, the same opinions: the losses should not change, but yours are {shown((D, G))}.",
    )
    D, G = losses([-200.0], [-200.0])
    finite((D, G), "For log-odds of −200 your answer")
    expect(
        close((D, G), (200.0, 200.0)),
        f"Log-odds of −200 for a real and a forged sample should cost both players 200, not "
        f"{shown((D, G))}. Your logarithm is cut off, and there nobody learns. Which function needs no cut?",
    )
    answer = losses([2.0, -1.0, 0.5], [-2.0, 1.0])
    hint = "Real 2, −1, ½ and forged −2, 1 give you {got}, not {expected}."
    same(answer, (1.3582, 1.2201), hint, tolerance=1e-3)
    return "two losses, two players: nobody minimises their sum, and so it need not fall."


# One player sees where the other has already gone; a sign of θ or of ψ; the penalty with the wrong sign, on
# θ, halved, without η; one step more; every step from the start; return inside the loop.
@exercise
def duel(duel):
    def after(*given):
        answer = duel(*given)
        expect(
            answer is not None or given[-1],
            "For 0 steps your function returns nothing. Does the `return` stand inside the loop?",
        )
        shape_like(answer, (0.0, 0.0), "Your answer (θ, ψ)")
        finite(answer)
        return tuple(map(float, answer))

    still = after(0.3, -0.2, 0.5, 1.0, 0)
    same(still, (0.3, -0.2), "After 0 steps nothing has moved; you have {got}, not {expected}.")
    theta, psi = after(0.0, 1.0, 0.5, 0.0, 1)
    expect(
        theta < -0.25, "The forger makes ψ·θ small: where ψ = 1, θ has to go down. Yours goes up or stays."
    )
    theta, psi = after(1.0, 0.0, 0.5, 0.0, 1)
    expect(psi > -0.25, "The detective makes ψ·θ large: where θ = 1, ψ has to go up. Yours goes down.")
    expect(
        not close((theta, psi), (0.75, 0.5)) and not close((theta, psi), (1.25, 0.5)),
        "In your step θ sees the *new* ψ. Both move at the same time, from where they stood.",
    )
    same((theta, psi), (1.0, 0.5), "One step of ½ from (1, 0) gives you {got}, not {expected}.")
    one = after(1.0, 1.0, 0.5, 0.0, 1)
    expect(
        not close(one, (0.5, 1.25)),
        "In your step ψ sees the *new* θ. Both move at the same time, from where they stood.",
    )
    same(one, (0.5, 1.5), "One step of ½ from (1, 1) gives you {got}, not {expected}.")
    theta, psi = after(0.0, 1.0, 0.5, 1.0, 1)
    expect(close(theta, -0.5), "The penalty belongs to the detective ψ, yet it moves your forger.")
    expect(
        psi < 1,
        f"The penalty pulls a steep detective back: from ψ = 1 it should fall, yours goes to {psi:.4g}.",
    )
    expect(
        not close(psi, 0.0),
        "With γ = 1 and η = ½ your penalty takes all of ψ = 1 away. It is part of the gradient: η counts.",
    )
    expect(
        not close(psi, 0.75),
        "Your penalty is half as strong as it should be: the derivative of ½·γ·ψ² has no ½ any more.",
    )
    same(psi, 0.5, "With γ = 1, η = ½ one step takes ψ = 1 to {expected} (θ = 0), you have {got}.")
    expect(
        close(after(1.0, 0.0, 0.5, 0.0, 2), (0.75, 1.0)),
        "One step is right, two are not: how often does your loop run, and from where?",
    )
    hint = "Ten steps from (1, 0.5), η = 0.1, γ = 0.3: {expected}, you have {got}."
    same(after(1.0, 0.5, 0.1, 0.3, 10), (0.21876, 0.955853), hint, tolerance=2e-3)
    return "without a penalty it never comes home. A game has no slope to roll down."


# No noise, noise of one's own, log s or s² in place of s; fit: no constant, or only one, no log σ, σ for σ²,
# averaged; KL: left out, added, no ½, log s once, averaged over the code, over the batch, p and q exchanged,
# from one draw; summed over the batch; the loss.
@exercise
def bound(bound):
    zeros, ones = torch.zeros(2, 3), torch.ones(2, 3)

    def nats(x=zeros, mean=zeros, log_s=zeros, decoder=lambda z: 0 * z, sigma=1.0, eps=zeros):
        answer = bound(x, mean, log_s, decoder, sigma, eps)
        expect(
            getattr(answer, "shape", None) != (),
            "You give one number for the whole batch; each of the 2 points should get its own.",
        )
        expect(
            getattr(answer, "shape", None) != (2, 3),
            "You give one number for each coordinate. They are independent: their logarithms add.",
        )
        shape_like(answer, torch.zeros(2))
        finite(answer)
        return float(answer[0])

    plain = nats()  # three times log N(0; 0, 1)
    expect(
        not close(plain, 2.756816) or float(nats(x=2 * ones)) > plain,
        "A perfect point of 3 numbers gets +2.76 nats. But the top of a Gaussian with σ = 1 is only 0.4 "
        "high: which sign has its logarithm?",
    )
    expect(
        not close(plain, 2.756816),
        "A perfect point of 3 numbers gets +2.76 nats: you have the loss. Asked for is the bound.",
    )
    expect(
        not (close(plain, -0.918939) and close(nats(x=2 * ones), -6.918939)),
        "The factor 1/√(2πσ²) belongs to the density of *one* number; a point of 3 has three of them.",
    )
    expect(not close(plain, -0.918939), "You average over the 3 numbers of a point. Logarithms add up.")
    expect(
        not close(plain, 0.0) and not close(plain, 3.0, 0.3),
        "A density has a factor 1/√(2πσ²), also where the error is 0. Yours is missing.",
    )
    same(plain, -2.756816, "Everything 0, σ = 1, three numbers: the bound is {expected}, yours {got}.")
    torch.manual_seed(1)
    first = nats(log_s=ones, decoder=lambda z: z, eps=ones)
    torch.manual_seed(2)
    expect(
        close(first, nats(log_s=ones, decoder=lambda z: z, eps=ones)),
        "The same eps twice gives two answers: use the noise that is handed to you, draw none.",
    )
    expect(
        close(nats(mean=torch.tensor([[0.0] * 3, [2.0] * 3])), plain),
        "The code of the second point changes the bound of the first: your KL goes over the whole batch.",
    )
    cost = plain - nats(mean=2 * ones)
    expect(not close(cost, 0.0), "A code far from 0 costs nothing in your bound. Where is the KL?")
    expect(cost > 0, "A code far from 0 makes your bound *larger*. What the code costs has to be taken away.")
    expect(not close(cost, 12.0), "The mean 2 in 3 numbers costs you 12 nats. Is a ½ missing in the KL?")
    expect(not close(cost, 2.0), "The KL of a code is a *sum* over its numbers; yours is their mean.")
    same(cost, 6.0, "Means of 2 in 3 numbers cost {expected} nats, in your bound {got}.")
    cost = plain - nats(log_s=math.log(2) * ones)
    expect(
        not close(cost, 0.954442),
        "Your KL stands the other way round: it is KL(q ‖ p), with the encoder's Gaussian in front.",
    )
    expect(
        not close(cost, -3 * math.log(2)),
        "You take log q − log p at a drawn code: right only on average. "
        "The KL of session start_here needs no draw.",
    )
    same(
        cost,
        2.420558,
        "s = 2 in 3 numbers costs {expected} nats, in your bound {got}. The encoder gives the logarithm "
        "of s: what is s², what is log s²?",
    )
    seen = []
    nats(mean=ones, log_s=math.log(2) * ones, decoder=lambda z: seen.append(z) or 0 * z, eps=3 * ones)
    expect(seen, "Your bound never asks the decoder.")
    z = float(seen[-1][0, 0])
    expect(not close(z, 1.0), "The decoder gets the mean of the code; the code is *drawn* around it.")
    expect(not close(z, 13.0), "The noise is multiplied by s². Which one is the standard deviation?")
    expect(not close(z, 1 + 3 * math.log(2)), "The noise is multiplied by log s, not by s.")
    same(z, 7.0, "m = 1, s = 2, ε = 3 should give the code {expected}, your decoder gets {got}.")
    missed = plain - nats(x=2 * ones)
    expect(not close(missed, 12.0), "An error of 2 costs you twice too much: a ½ is missing in the exponent.")
    same(missed, 6.0, "Errors of 2 in 3 numbers, σ = 1, cost {expected} nats; in your bound {got}.")
    wide = nats(sigma=2.0)
    same(
        wide,
        -4.836257,
        "σ = 2 and no error: {expected}, you have {got}. A wider Gaussian is lower at its top; by how much?",
    )
    missed = wide - nats(x=2 * ones, sigma=2.0)
    same(
        missed,
        1.5,
        "Errors of 2, σ = 2, 3 numbers, cost {expected} nats more than none; in your bound {got}. By what is "
        "the squared error divided?",
    )
    x, eps = torch.tensor([[1.0, -1.0], [0.5, 2.0]]), torch.tensor([[1.0], [-0.5]])
    mean, log_s = torch.tensor([[0.5], [-1.0]]), torch.tensor([[-0.5], [0.2]])
    answer = bound(x, mean, log_s, lambda z: torch.cat([z, -z], 1), 0.5, eps)
    hint = "Two points with codes of one number give you {got}, not {expected}."
    same(answer, torch.tensor([-0.8059, -10.2107]), hint, tolerance=2e-3)
    return "what comes back, minus what the code costs. Session elbo has one such first part, and many KLs."


# (b + t)·e^s; b·s + t; s and t exchanged; the halves exchanged; the net sees b; log-det: e^s, mean, whole
# batch, with t, minus; the inverse: t added, e^s again, e^{-s}·y − t, the net sees the half that has moved.
@exercise
def coupling(coupling, uncouple):
    x = torch.tensor([[1.0, 2.0, 3.0, 4.0], [0.5, -1.0, 2.0, -2.0], [0.0, 0.0, 1.0, 1.0]])

    def net(a):  # s is ½·a, t is a + 1
        expect(
            getattr(a, "shape", None) == (3, 2),
            f"The network should see the first half of each row, (3, 2); it gets {tuple(a.shape)}.",
        )
        return torch.cat([0.5 * a, a + 1], 1)

    def flat(s, t):
        return lambda a: torch.tensor([[s, s, t, t]]).expand(3, 4)

    def layer(net):
        answer = coupling(x, net)
        shape_like(answer, (x, torch.zeros(3)), "Your answer (y, log_det)")
        finite(answer[0])
        return answer

    y, log_det = layer(flat(0.0, 0.0))
    expect(
        not close(y, torch.cat([x[:, 2:], x[:, :2]], 1)),
        "With s = t = 0 the two halves change places. First comes the half that stays as it is.",
    )
    same(y, x, "With s = 0 and t = 0 nothing should move, but (1, 2, 3, 4, …) becomes {got}.")
    expect(
        not close(log_det, [2.0] * 3),
        "Where nothing is stretched the log-determinant is 0; you have 2, the sum of e^s.",
    )
    same(log_det, torch.zeros(3), "Where nothing is stretched the log-determinant is 0, not {got}.")
    y, log_det = layer(flat(0.0, 5.0))
    expect(
        not close(y[:, 2:], math.exp(5) * x[:, 2:], 1e-3),
        "t = 5 multiplies in your layer. The first half of the network's answer is s, the second t.",
    )
    expect(
        close(log_det, [0.0] * 3),
        f"To move is not to stretch: t = 5 should leave the log-determinant at 0, not {shown(log_det[0])}.",
    )
    y, log_det = layer(flat(math.log(2), 0.0))
    expect(
        not close(y[0, 2:], math.log(2) * x[0, 2:]),
        "s = log 2 should double the second half; you multiply by s itself.",
    )
    same(y[0, 2:], 2 * x[0, 2:], "s = log 2 should make (3, 4) into {expected}, you have {got}.")
    expect(
        not close(log_det, [-2 * math.log(2)] * 3),
        "Your log-determinant is negative where the layer stretches: that is the one of the way back.",
    )
    expect(
        not close(log_det, [math.log(2)] * 3),
        "Two numbers are doubled: the volume grows four times, you say twice. A sum or a mean?",
    )
    expect(
        not close(log_det, [6 * math.log(2)] * 3),
        "Your log-determinant adds up the whole batch; each row should have its own.",
    )
    same(log_det, torch.full((3,), 2 * math.log(2)), "Two numbers doubled: log 4, not {got}.")
    y = layer(flat(math.log(2), 5.0))[0]
    expect(
        not close(y[0, 2:], torch.tensor([16.0, 18.0])),
        "s = log 2, t = 5 make 3 into 2·3 + 5 = 11; you have 16. What comes first, stretching or moving?",
    )
    hint = "s = log 2, t = 5 make (3, 4) into {expected}; you have {got}. What does your layer do with t?"
    same(y[0, 2:], torch.tensor([11.0, 13.0]), hint)
    y, log_det = layer(net)
    expect(
        not close(log_det[0], 3.5),
        "Your network looks at the second half. It must look at the half that stays, or nobody can go back.",
    )
    hint = "s = ½·a, t = a + 1: the first row becomes {expected}, you have {got}."
    same(y[0], torch.tensor([1.0, 2.0, 6.946164, 13.873127]), hint)
    same(log_det, torch.tensor([1.5, -0.25, 0.0]), "s = ½·a: log-determinants {expected}, not {got}.")
    moved = uncouple(x, flat(0.0, 5.0))
    shape_like(moved, x, "What `uncouple` returns")
    expect(
        not close(moved[0, 2:], torch.tensor([8.0, 9.0])),
        "On the way back t has to be taken away; you add it once more.",
    )
    back = uncouple(torch.tensor([[1.0, 2.0, 11.0, 13.0]] * 3), flat(math.log(2), 5.0))
    expect(
        not close(back[0, 2], 0.5),
        "11 came from 2·3 + 5. You halve first and take 5 away then: undo the last thing first.",
    )
    expect(
        not close(back[0, 2], 12.0),
        "11 came from 2·3 + 5. You take 5 away and then double again: the stretching has to be undone.",
    )
    same(back[0, 2:], torch.tensor([3.0, 4.0]), "(11, 13) came from {expected}, you go back to {got}.")
    asked = []
    uncouple(y, lambda a: asked.append(a) or net(a))
    expect(
        not asked or not close(asked[-1], y[:, 2:]),
        "On the way back your network looks at the second half, which has moved. The first is what it was.",
    )
    hint = "There and back again should be {expected}, but you arrive at {got}."
    same(uncouple(y, net), x, hint, tolerance=1e-3)
    return "any network in it, and still invertible: s and t themselves are never undone."


# Modes without the reach; one sample enough, or the full share, or more than a quarter; a share of those on
# the data; counted for every centre in reach; squared distance; less than the reach; off: those on the data,
# a count, by the mean centre, beyond the reach of any; the two numbers in the other order.
@exercise
def cover(cover):
    centres = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0], [4.0, 4.0]])

    def of(*places, reach=1.0):
        rows = [torch.tensor([[float(a), float(b)]] * n) for n, a, b in places]
        answer = cover(torch.cat(rows), centres, reach)
        shape_like(answer, (0.0, 0.0), "Your answer (modes, off)")
        finite(answer)
        return int(answer[0]), float(answer[1])

    everywhere = (4, 0, 0), (4, 4, 0), (4, 0, 4), (4, 4, 4)
    modes, off = of(*everywhere)
    expect(
        not (modes == 0 and close(off, 4.0)),
        "Your two numbers stand the other way round: first how many modes, then the share off.",
    )
    expect(
        not close(off, 1.0),
        "All 16 samples sit on centres, and you say that all are off. Off are those *beyond* the reach of "
        "*every* centre.",
    )
    same(off, 0.0, "All 16 samples sit on centres: the share off the data is 0, not {got}.")
    same(modes, 4, "Four samples on each of four centres: all 4 are covered, you say {got}.")
    modes, off = of((8, 0.5, 0), (8, 2, 2))
    expect(not close(off, 8.0), "You count the samples that are off. Asked for is their share, from 0 to 1.")
    expect(
        not close(off, 0.0),
        "Eight of 16 samples stand in the middle, 2.8 from every centre, and you say that none is off.",
    )
    expect(
        not close(off, 1.0),
        "Eight of 16 samples are ½ from the first centre, and you say that all are off. Near *one* of the "
        "centres is enough.",
    )
    same(off, 0.5, "Eight of 16 samples are off the data: a share of {expected}, you have {got}.")
    off = of((8, 0, 1.5), (8, 0, 0), reach=2.0)[1]
    expect(
        close(off, 0.0),
        f"1.5 away is within the reach of 2, but you say {off:.2g} off. Do you compare a square?",
    )
    off = of((8, 0, 1), (8, 0, 0))[1]
    expect(
        close(off, 0.0),
        f"Eight of 16 samples are exactly the reach away, and you say {off:.2g} off: that is still within.",
    )
    modes = of((60, 0, 0), (3, 4, 0), (1, 2, 2))[0]
    expect(
        modes != 2,
        "Three of 64 samples lie on the second centre, and you count it. A quarter of a fair share is 4.",
    )
    same(modes, 1, "60, 3, 0 and 0 of 64 samples on the centres: {expected} is covered, you say {got}.")
    modes = of((57, 0, 0), (4, 4, 0), (3, 2.1, 2.1))[0]
    expect(
        modes != 1,
        "Exactly a quarter of the fair share (4 of 64) is enough, and it is a *quarter* of it that is asked.",
    )
    same(modes, 2, "57, 4 and 3 off: {expected} modes are covered, you say {got}.")
    modes = of((16, 0, 0), (16, 4, 0), (32, 0, 9))[0]
    expect(
        modes != 3,
        "32 samples stand 5 away from the third centre, and you count it: who is off belongs to nobody.",
    )
    same(modes, 2, "Two centres have 16 of 64 samples, 32 are far away: {expected} modes, not {got}.")
    modes = of((16, 0, 0), (3, 4, 0), (45, 9, 9))[0]
    expect(
        modes != 2,
        "Three of 64 samples lie on the second centre, 45 lie nowhere, and you count it. Asked for is a "
        "share of *all* samples, also of those that are off.",
    )
    modes = of((16, 1, 0), reach=3.5)[0]
    expect(
        modes != 2,
        "All 16 samples are nearest to the first centre, but you count the second, too, which is 3 away "
        "(reach 3.5). A sample belongs to only the nearest one.",
    )
    modes = of((29, 0, 0), (1, 4, 0))[0]
    same(
        modes,
        1,
        "One of 30 samples lies on the second centre. A quarter of the fair share of 7.5 is more than one: "
        "{expected} mode, not {got}.",
    )
    modes, off = of((30, 0, 0), (10, 4, 0), (4, 0, 4.5), (20, 9, 9), reach=0.4)
    same((modes, off), (2, 0.375), "64 samples, 24 of them off, give you {got}, not {expected}.")
    return "two numbers, because one is not enough: whoever draws one island well has 0 % off."


summary = summary_of(__name__)
