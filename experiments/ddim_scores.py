"""How the faces of `experiments.ddim` are scored: rows, the floor, and the claims beside longer rows."""

from __future__ import annotations

from pathlib import Path
from statistics import mean, median

import torch
from torch import Tensor

from experiments.common import above
from helpers.files import write_json
from helpers.metrics import Moments, bootstrap, frechet_distance

PART = 100  # faces that are drawn and kept together
WITHIN, REPEATS = 1.1, 100  # "as good" is: at most 10 % more (FD − floor); draws of the bootstrap


def key(steps: int, kind: str) -> str:
    """The name of a row in the file."""
    return f"{steps}, {kind}"


def score(parts: list[dict], reference: Moments) -> dict:
    """What the file tells of a row."""
    features = torch.cat([part["features"] for part in parts])

    def fd(some):
        return frechet_distance(some, reference)

    return dict(
        n=len(features),
        fd=fd(features),
        interval=bootstrap(fd, features, repeats=REPEATS),
        first=fd(parts[0]["features"]),  # of its first hundred faces, which lecture ddim draws again
        seconds=median(p["seconds"] / len(p["features"]) for p in parts),
        processor_seconds=median(p["processor"] / len(p["features"]) for p in parts),
    )


def floor_of(real: Tensor, n: int, reference: Moments) -> float:
    """FD of n real faces: the mean over all the groups of n that `real` has."""
    return mean(frechet_distance(group, reference) for group in groups_of(real, n))


def groups_of(real: Tensor, n: int) -> list[Tensor]:
    """All the groups of n that there are."""
    return [group for group in real.split(n) if len(group) == n]


def compare(some: Tensor, other: Tensor, real: Tensor, reference: Moments) -> dict:
    """(FD − floor) of `some` over that of `other`, features (n, F) that began at the same noise.

    And the difference of the two FDs, which needs no floor: with few faces it says more than the ratio.
    """
    n = min(len(some), len(other), len(real))
    width = some.shape[1]

    def distances(both):
        return [frechet_distance(half, reference) for half in (both[:, :width], both[:, width:])]

    def ratio(both, *groups):
        floor = mean(frechet_distance(group, reference) for group in groups)
        mine, others = (distance - floor for distance in distances(both))
        return mine / others

    # The two are drawn again together, as they began together; the floor is a random number, too. Its
    # groups are drawn again one by one: so all FDs are of n rows with repetitions, which raise an FD.
    both, groups = torch.cat([some[:n], other[:n]], 1), groups_of(real, n)
    low, high = bootstrap(ratio, both, *groups, repeats=REPEATS)
    floor = floor_of(real, n, reference)
    verdict = "as good" if high <= WITHIN else "worse" if low > WITHIN else "open"
    if distances(both)[1] <= floor:  # the longer row does not rise above the floor: no ratio to speak of
        verdict = "open"
    over = above(some[:n], other[:n], reference, repeats=REPEATS)
    return dict(
        n=n,
        floor=floor,
        ratio=ratio(both, *groups),
        interval=(low, high),
        verdict=verdict,
        difference=over["excess"],
        difference_interval=over["excess_interval"],
    )


def write(file: Path, results: dict, rows: dict, changed: set, reference: Moments, real: Tensor) -> None:
    """Scores the rows that have grown, and the claims that they are part of, and replaces the file."""
    table = results.setdefault("rows", {})
    for row in sorted(changed, key=str):
        name = key(*row)
        if table.get(name, {}).get("n", 0) > PART * len(rows[row]):
            continue
        table[name] = dict(steps=row[0], kind=row[1], **score(rows[row], reference))
        zero = (row[0], "0")
        if row != zero and zero in rows:  # both began at the same noise, so more certain than each alone
            n = min(len(rows[row]), len(rows[zero]))
            some, other = (torch.cat([p["features"] for p in rows[r][:n]]) for r in (row, zero))
            table[name]["over_zero"] = dict(n=len(some)) | above(some, other, reference)
    results["claims"] = claims(rows, real, reference, results.get("claims", []))
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, results)


def claims(rows: dict, real: Tensor, reference: Moments, old: list) -> list:
    """DDIM (η = 0) and 2M in few steps beside more: 100 and the longest rows, of η = 0 and of σ̂.

    The rows of 100 have many faces, the longest are what the paper's claim is about.
    """
    longest = {kind: max((s for s, k in rows if k == kind), default=0) for kind in ("0", "σ̂")}
    long = [(s, k) for s, k in rows if k in longest and s >= 100 and s in (100, longest[k])]
    gone = {key(s, k) for s, k in rows if s not in (100, longest.get(k))}  # beside which a longer one stands
    kept = {(c["steps"], c["kind"], c["beside"]): c for c in old if c["beside"] not in gone}
    for most, kind in long:
        for steps, mine in sorted(rows):
            if mine not in ("0", "2M") or steps >= most:
                continue
            some, other = (
                torch.cat([p["features"] for p in rows[row]]) for row in ((steps, mine), (most, kind))
            )
            name = (steps, mine, key(most, kind))
            if kept.get(name, {}).get("n", 0) < min(len(some), len(other), len(real)):
                named = dict(zip(("steps", "kind", "beside"), name, strict=True))
                kept[name] = named | compare(some, other, real, reference)
    return list(kept.values())
