"""RePaint: an unconditional model fills holes, going back up now and then to bring both parts together."""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from .diffusion import add_noise, noise_like, transition
from .samplers import State, last, pairs, sample
from .schedules import Schedule


def jumps(sequence: list[int], length: int = 10, repeats: int = 10) -> list[tuple[int, int]]:
    """(t, s) pairs down a falling list of steps, with jumps up (RePaint, section 4.2).

    At every `length`-th entry from the clean end the walk jumps up by `length` entries and comes down again,
    until it has been there `repeats` times. Raises ValueError unless both are at least 1.
    """
    if min(length, repeats) < 1:
        raise ValueError(f"A jump needs length ≥ 1 and repeats ≥ 1, not {length} and {repeats}.")
    walk, place = sequence[:1], len(sequence) - 1
    left = dict.fromkeys(range(0, place - length, length), repeats - 1)
    while place > 0:
        place -= 1
        walk.append(sequence[-1 - place])
        if left.get(place, 0):
            left[place] -= 1
            place += length
            walk.append(sequence[-1 - place])
    return pairs(walk)


def repaint(
    predict: Callable,
    schedule: Schedule,
    x: Tensor,
    walk: Iterable[tuple[int, int]],
    known: Tensor,
    hole: Tensor,
    generator: torch.Generator | None = None,
    **options,
) -> Iterator[State]:
    """Fills `hole`, bool (B, 1, H, W), of `known` (B, C, H, W) along the pairs (RePaint, algorithm 1).

    A pair down is a step of the model (DDPM; options go to `sample`), then the known pixels get the noise of
    step s; a pair up adds noise. Yields a State after each; ValueError where hole and picture do not fit.
    """
    if hole.shape[2:] != known.shape[2:]:
        raise ValueError(f"The hole {tuple(hole.shape)} does not fit the picture {tuple(known.shape)}.")
    x0, options = known, {"eta": 1.0, **options}
    for t, s in walk:
        z = noise_like(x, generator)
        to, at = (torch.full((len(x),), step) for step in (s, t))
        if s > t:  # q(x_s given x_t)
            factor, variance = transition(schedule, to, at, x)
            x = factor.to(x) * x + variance.sqrt().to(x) * z
        else:
            _, x, x0 = last(sample(predict, schedule, x, [(t, s)], generator=generator, **options))
            x = torch.where(hole, x, add_noise(schedule, known, to, z))
        yield State(s, x, x0)
