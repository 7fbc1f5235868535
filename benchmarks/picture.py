"""bench.png, drawn from the measurements alone."""

import itertools
from pathlib import Path

from benchmarks.common import BATCH, USER
from benchmarks.figures import fastest, value


def picture(found: dict, file: Path) -> None:
    """Two panels: distance against minutes of training, and images a second in training."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    markers = itertools.cycle("os^Dv")  # open and different: some points coincide
    for name, runs in found["quality"].items():
        minutes = sorted(map(float, runs))
        distances = [value(runs[f"{x:g}"]) for x in minutes]
        left.plot(minutes, distances, marker=next(markers), markerfacecolor="none", label=name)
    left.axhline(found["floor"]["fd"], color="0.5", ls=":", label="real against real")
    left.set(xlabel="minutes of training", ylabel="FD: lower is better", xscale="log", yscale="log")
    left.set_xticks([float(x) for x in next(iter(found["quality"].values()))])
    left.set_yticks([0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200])
    low, high = left.dataLim.intervaly
    left.set_ylim(low / 1.2, high * 1.2)
    for axis in (left.get_xaxis(), left.get_yaxis()):
        axis.set_major_formatter("{x:g}")
    left.minorticks_off()
    left.legend(fontsize=7, loc="upper left", bbox_to_anchor=(-0.1, -0.2), ncols=2)
    names = list(found["training"])
    for i, (setting, grey) in enumerate(((USER, "0.75"), ("fastest setting", "0.35"))):
        rows = [found["training"][n] for n in names]
        steps = [r[USER if i == 0 else fastest(r)]["median"] for r in rows]
        places = [k + 0.38 * (i - 0.5) for k in range(len(names))]
        right.barh(places, [BATCH / s for s in steps], 0.36, color=grey, label=setting)
    right.set_yticks(range(len(names)), names)
    right.invert_yaxis()
    right.set(xlabel="images a second in training: more is better")
    right.legend(fontsize=7)
    fig.savefig(file, dpi=120)
    plt.close(fig)
