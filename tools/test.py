"""python -m tools.test: unit tests, every lecture notebook, and every cell of them run twice."""

import os
import subprocess
import sys
import time

from tools.run import NOTEBOOKS, ROOT

CELL_SECONDS = 180
SMOKE = {
    "COURSE_PROFILE": "smoke",
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": str(min(2, os.cpu_count() or 1)),  # the same numbers on every machine
}


def steps(notebooks):
    """The commands that make up a full test, by what they show."""
    python = [sys.executable, "-m"]
    nbval = ["--nbval-lax", "--nbval-current-env", f"--nbval-cell-timeout={CELL_SECONDS}"]
    yield "unit tests", [*python, "pytest", "tests"]
    if notebooks:
        yield "every notebook, top to bottom", [*python, "pytest", *nbval, *notebooks]
    for path in notebooks:
        yield f"every cell twice: {path}", [*python, "tools.run", path, "--twice", "--out", "build/twice"]


def main():
    """Run all steps, also after one failed; the exit status says whether all passed."""
    notebooks = [str(p.relative_to(ROOT)) for p in sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))]
    results = []
    for name, step in steps(notebooks):
        print(f"\n== {name}", flush=True)
        started = time.monotonic()
        passed = subprocess.call(step, cwd=ROOT, env={**os.environ, **SMOKE}) == 0
        results.append((passed, name, time.monotonic() - started))
    print()
    for passed, name, seconds in results:
        print(f"{'passed' if passed else 'FAILED'}  {seconds:5.0f} s  {name}")
    sys.exit(0 if all(passed for passed, *_ in results) else 1)


if __name__ == "__main__":
    main()
