"""This project's U-Net, training step and sampling beside its peers: make bench

    python -m benchmarks.bench              five to nine hours on two quiet cores; resumes after a kill
    python -m benchmarks.bench --quick      the same in less than an hour, into build/, to see that it runs

What is compared is measured in turns within one run, on the same drawn faces, batch and threads. Writes
benchmarks/bench.json after each part; RESULTS.md, bench.png and the README's table at the end. Begins anew
where bench.json is deleted.
"""

import argparse
import itertools
from pathlib import Path

from benchmarks.common import SIDE, SIZES, USER, Images
from benchmarks.figures import fastest, goals
from benchmarks.memory import alone
from benchmarks.peers import peers
from benchmarks.picture import picture
from benchmarks.quality import quality
from benchmarks.report import in_readme, report
from benchmarks.results import Results, machine, same_machine
from benchmarks.speed import (
    convolution_peak,
    operations,
    overhead,
    sampling_speeds,
    size_speeds,
    training_speeds,
)
from helpers.data import load_faces
from helpers.files import write_text
from helpers.profile import BUILD
from helpers.unet import count_parameters

HERE = Path(__file__).parent
README = HERE.parent / "README.md"
# The learning rates are tried first; then twice or half of the best as long as it is at an edge, until
# `beyond` times the outermost.
FULL = dict(rounds=11, draws=5, search=3.0, minutes=(5.0, 10.0, 20.0), n=1000, n_search=250)
FULL |= dict(rates=(5e-4, 1e-3, 2e-3), beyond=4)
QUICK = dict(rounds=2, draws=1, search=0.05, minutes=(0.05, 0.1, 0.2), n=80, n_search=70)
QUICK |= dict(rates=(2e-3,), beyond=1)


def measure(results: Results, plan: dict) -> dict:
    """All parts, each once; what `Results` has already is not measured again."""
    part, rivals = results.part, peers()
    rounds, draws = plan["rounds"], plan["draws"]
    same_machine(part("machine", make=machine), machine(), results.file)
    faces = {side: Images(load_faces("embedded", "train", side).images) for side in SIZES}
    part("parameters", make=lambda: {n: count_parameters(p.network(SIDE)) for n, p in rivals.items()})
    training = part("training", make=lambda: training_speeds(rivals, faces[SIDE], rounds))
    part("sampling", make=lambda: sampling_speeds(rivals, draws))
    for what, name in itertools.product(("training", "sampling"), rivals):
        for setting in (USER, fastest(training[name])):
            part("memory", what, name, setting, make=lambda n=name, s=setting, w=what: alone(n, s, w))
    part("peak", make=lambda: convolution_peak(rounds))
    part("operations", make=lambda: {name: operations(peer) for name, peer in rivals.items()})
    part("sizes", make=lambda: size_speeds(rivals, faces, draws))
    for name, peer in rivals.items():
        part("overhead", name, make=lambda peer=peer: overhead(peer, draws))
    quality(results, plan, rivals, faces[SIDE])
    return results.found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few steps of everything, into build/")
    args = parser.parse_args()
    folder = BUILD.parent / "bench-quick" if args.quick else HERE
    scratch = BUILD / ("bench-quick" if args.quick else "bench")
    found = measure(Results(folder / "bench.json", scratch), QUICK if args.quick else FULL)
    write_text(folder / "RESULTS.md", report(found))
    picture(found, folder / "bench.png")
    if not args.quick:
        write_text(README, in_readme(README.read_text(encoding="utf-8"), found))
    print("\n".join(goals(found)))


if __name__ == "__main__":
    main()
