"""What is read out of the measurements: ratios, texts of figures, and whether each goal is met."""

import itertools
import math
import statistics

from benchmarks.common import OWN, SETTINGS, USER


def value(run: dict) -> float:
    """The distance of a run; infinite where the training diverged."""
    return math.inf if run["fd"] is None else run["fd"]


def exponent(seconds: dict) -> float:
    """The slope of log seconds over log pixels, by least squares; {side: seconds}."""
    x = [math.log(side**2) for side in seconds]
    y = [math.log(s) for s in seconds.values()]
    middle = statistics.mean(x)
    return sum((a - middle) * b for a, b in zip(x, y, strict=True)) / sum((a - middle) ** 2 for a in x)


def sides(names) -> tuple[list[str], list[str]]:
    """The project's own networks, and its peers."""
    own = [name for name in names if name.startswith(OWN)]
    return own, [name for name in names if name not in own]


def fastest(measured: dict) -> str:
    """The setting with the smallest median, besides the way of its users."""
    return min((s for s in SETTINGS if s in measured), key=lambda setting: measured[setting]["median"])


def ms(measured: dict) -> str:
    """Milliseconds with their quartiles."""
    return quartiles(measured, "{:.0f}", 1000)


def quartiles(measured: dict, form: str, scale: float = 1) -> str:
    """A median with its quartiles in brackets."""
    middle, low, high = (form.format(scale * measured[k]) for k in ("median", "low", "high"))
    return f"{middle} ({low}…{high})"


def with_interval(run: dict) -> str:
    """The distance of a run with its interval."""
    if run["fd"] is None:
        return "diverged"
    low, high = run["interval"]
    return f"{run['fd']:.2f} ({low:.2f} … {high:.2f})"


def goals(found: dict) -> list[str]:
    """One line for each goal: what was asked, what was measured, whether it is met."""
    names = list(found["training"])
    ours, others = sides(names)
    if not others:
        return ["No peer was installed, so there is nothing to compare with."]
    lines = []

    def line(what, ratio, wanted, above=True):
        met = ratio >= wanted if above else ratio <= wanted
        lines.append(f"{what}: {ratio:.2f} (asked: {wanted:g}): {'met' if met else 'not met'}")

    training, drawing = (
        {n: {s: r["median"] for s, r in found[what][n].items()} for n in names}
        for what in ("training", "sampling")
    )
    scores = found["quality"]
    peer = max(others, key=lambda name: len(scores.get(name, {})))
    minutes = sorted(scores[peer], key=float)
    for own in ours:
        for what, seconds in (("Training", training), ("Sampling", drawing)):
            ahead = f"{what}, images/s, {own} in its best setting over best peer's"
            quick = min(seconds[own].values())
            line(f"{ahead} default", min(seconds[o][USER] for o in others) / quick, 2)
            line(f"{ahead} best", min(min(seconds[o].values()) for o in others) / quick, 1.2)
        inside, alone = (found["overhead"][own][k] for k in ("inside", "alone"))
        rest = f"against forwards alone, with its noise: {quartiles(alone, '{:.2f}', 100)}"
        line(f"Sampling overhead, {own}, percent of a run ({rest})", 100 * inside["median"], 2, above=False)
        for half, whole in itertools.pairwise(minutes):
            ours_then, theirs = scores[own][half], scores[peer][whole]
            met = "met" if value(ours_then) <= value(theirs) else "not met"
            if None not in (ours_then["fd"], theirs["fd"]):
                (a, b), (c, d) = ours_then["interval"], theirs["interval"]
                met += ", intervals overlap" if a <= d and c <= b else ""
            lines.append(
                f"Half the time to equal FD, {own} after {half} min {with_interval(ours_then)} "
                f"against {peer} after {whole} min {with_interval(theirs)}: {met}"
            )
    return lines
