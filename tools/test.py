"""python -m tools.test: everything that CI runs, two processes side by side.

Unit tests and every lecture notebook, executed once by nbval with each cell two times in a row and every
slider moved. At the end the seconds of each session: slow ones are named; one that takes more than three
times its equal share of this very run fails.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from collections import defaultdict
from xml.etree import ElementTree

from tools.run import NOTEBOOKS, ROOT
from tools.twice import write_doubled

BUILD = ROOT / "build" / "test"
CELL_SECONDS, SLOW_CELL = 180, 20  # the limit, on any machine; what is worth a word
PROCESSES = 2
SHARE = 3  # times the equal share of a run that one session may take
SMOKE = {"COURSE_PROFILE": "smoke", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}


def command(notebooks, rest=()):
    """The one call of pytest: notebooks and unit tests, each file by one of the processes."""
    python = [sys.executable, "-m", "pytest", f"--junitxml={BUILD / 'report.xml'}"]
    nbval = ["--nbval-lax", "--nbval-current-env", f"--nbval-cell-timeout={CELL_SECONDS}"]
    return [*python, *nbval, f"-n{PROCESSES}", "--dist=loadfile", *map(str, notebooks), "tests", *rest]


def seconds_by_file(report):
    """The seconds of every file in a report of pytest, and the slowest case of each: {file: (sum, worst)}."""
    found = defaultdict(lambda: [0.0, 0.0])
    for case in ElementTree.parse(report).iter("testcase"):
        seconds = float(case.get("time", 0))
        name = re.sub(r"^build\.test\.(.*)\.ipynb$", r"\1", case.get("classname", ""))
        found[name][0] += seconds
        found[name][1] = max(found[name][1], seconds)
    return {name: tuple(both) for name, both in found.items()}


def judge(times):
    """Sentences on sessions that are slow, and whether one takes more than SHARE times its equal share."""
    share = sum(total for total, _ in times.values()) / max(len(times), 1)
    words, failed = [], False
    for name, (total, worst) in times.items():
        if len(times) > SHARE and total > SHARE * share:
            words.append(f"FAILED: {name} takes {total:.0f} s, {total / share:.1f} times its equal share.")
            failed = True
        if worst > SLOW_CELL:
            words.append(f"slow: a cell of {name} takes {worst:.0f} s; {SLOW_CELL} are enough for a test.")
    return words, failed


def main(arguments=None):
    """Run it all; the exit status says whether everything passed."""
    parser = argparse.ArgumentParser(prog="python -m tools.test", description=__doc__)
    args, rest = parser.parse_known_args(arguments)
    began = time.monotonic()
    notebooks = write_doubled(sorted(NOTEBOOKS.glob("[0-9]*.ipynb")), BUILD)
    status = subprocess.call(command(notebooks, rest), cwd=ROOT, env={**os.environ, **SMOKE})
    times = seconds_by_file(BUILD / "report.xml") if (BUILD / "report.xml").exists() else {}
    sessions = {p.stem: times[p.stem] for p in notebooks if p.stem in times}
    words, failed = judge(sessions)
    print("\nseconds by session, each cell twice and every slider moved (slowest cell)")
    for name, (total, worst) in sessions.items():
        print(f"{total:7.0f}  ({worst:.0f})  {name}")
    others = sorted(((t, n) for n, (t, _) in times.items() if n not in sessions), reverse=True)
    print("the slowest test files: " + ", ".join(f"{n} {t:.0f} s" for t, n in others[:8]))
    print(*words, f"{(time.monotonic() - began) / 60:.1f} minutes in all", sep="\n")
    sys.exit(status or int(failed))


if __name__ == "__main__":
    main()
