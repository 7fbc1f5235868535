"""python -m tools.proof [02 …]: shows that the checks of a homework tell right answers from wrong ones.

Solutions, blanks, second and wrong answers are tried without a kernel; a test demands it.
"""

import argparse
import ast
import contextlib
import importlib
import io
import linecache
import os
import re
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from helpers.checks import Result
from tools import homework
from tools.run import NOTEBOOKS

MISTAKES = 5  # plausible ones that every exercise must refuse with a hint of its own
DIFFERENT = 4  # hints among them at least, numbers aside: one hint for all helps nobody


@dataclass
class Proof:
    """What was tried with one master; `red` lists what is not as it should be."""

    name: str
    refused: dict[str, list[str]] = field(default_factory=dict)  # exercise → hints that came
    accepted: dict[str, int] = field(default_factory=dict)  # exercise → second answers that passed
    red: list[str] = field(default_factory=list)

    def __str__(self):
        rows = [
            f"  {name}: {len(hints)} mistakes refused, {self.accepted[name]} second answers accepted"
            for name, hints in self.refused.items()
        ]
        return "\n".join([self.name, *rows, *(f"  RED {line}" for line in self.red)])

    def demand(self, holds, otherwise):
        """Note in red what does not hold."""
        if not holds:
            self.red.append(otherwise)


def prove(master, only=None):
    """Try solution, blank, second and wrong answers of a master, and return the Proof.

    With `only`, second and wrong answers of that exercise and nothing else.
    """
    proof = Proof(master.stem)
    with _like_a_notebook():
        _try_answers(master, proof, only)
        if only:
            return proof
        _try_blank(master, proof)
    check = importlib.import_module(f"helpers.checks.{master.stem[3:]}")
    there, tried = set(check.summary().exercises), set(proof.refused)
    proof.demand(there and there == tried, f"checks are {sorted(there)}, exercises {sorted(tried)}")
    text = homework.bare(Path(check.__file__).read_text(encoding="utf-8"))
    for line in homework.telling_lines(homework.read(master)):
        proof.demand(line not in text, f"the checks contain a line of a solution: {line}")
    return proof


def run_cell(source, namespace, name):
    """Execute a cell as a notebook does and return the value of its last line, or None."""
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)  # for tracebacks
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, name, "exec"), namespace)
    return eval(compile(ast.Expression(last.value), name, "eval"), namespace) if last else None


def _try_answers(master, proof, only):
    cells = homework.read(master).cells
    solution = homework.build(master, "solution").cells
    answers = {name: cell.source for cell in solution if (name := homework.tag(cell, "answer"))}
    namespace, last = {"__name__": "__main__"}, None
    for number, cell in enumerate(solution, 1):
        if cell.cell_type != "code":
            continue
        name = homework.tag(cell, "check")
        before = dict(namespace)
        last = run_cell(cell.source, namespace, f"<{master.stem}, cell {number}>")
        if not name or (only and name != only):
            continue
        proof.demand(last.status == "passed", f"{name}: the solution gets {last}")
        proof.demand(last.message != "right.", f"{name}: the check returns no sentence for ✅")
        others = {
            kind: [other for other in cells if homework.tag(other, kind) == name]
            for kind in ("wrong", "second")
        }
        _try_second(proof, name, others["second"], answers[name], cell.source, before)
        _try_wrong(proof, name, others["wrong"], answers[name], cell.source, before)
        if only:
            return
    proof.demand(hasattr(last, "exercises"), "the last code cell is not `check.summary()`")


def _try_second(proof, name, cells, answer, check, namespace):
    results = [_try(cell, check, namespace, f"<second {name}>") for cell in cells]
    proof.accepted[name] = sum(result.status == "passed" for result in results)
    for result in results:
        proof.demand(result.status == "passed", f"{name}: a second right answer gets {result}")
    different = {homework.bare(cell.source) for cell in cells} - {homework.bare(answer)}
    proof.demand(cells and len(different) == len(cells), f"{name}: no second answer, or twice one")


def _try_wrong(proof, name, cells, answer, check, namespace):
    hints = proof.refused[name] = []
    for number, cell in enumerate(cells, 1):
        result = _try(cell, check, namespace, f"<wrong {name}>")
        part = cell.metadata.get("expect", "")
        proof.demand(part, f"{name}: wrong answer {number} does not say which hint to expect")
        wanted = cell.metadata.get("expect-status", "failed")
        refused = result.status == wanted and part in result.message
        proof.demand(refused, f"{name}: wrong answer {number} ({part!r}) gets {result}")
        if refused and wanted == "failed":
            hints.append(result.message)
    many = f"{name}: {len(hints)} mistakes are refused with their hint, {MISTAKES} are needed"
    proof.demand(len(hints) >= MISTAKES, many)
    different = len({re.sub(r"[-−]?[\d.]+", "", hint) for hint in hints})
    proof.demand(different >= DIFFERENT, f"{name}: only {different} different hints")
    sources = {homework.bare(cell.source) for cell in cells} - {homework.bare(answer)}
    proof.demand(len(sources) == len(cells), f"{name}: two wrong answers are the same")


def _try(cell, check, namespace, name):
    """What the check says of another answer; the namespace stays as it is."""
    namespace = dict(namespace)
    try:
        run_cell(cell.source, namespace, name)
    except Exception as error:
        return Result(name, "error", f"does not even run: {error!r}")
    return run_cell(check, namespace, f"{name[:-1]}, check>")


def _try_blank(master, proof):
    namespace = {"__name__": "__main__"}
    for number, cell in enumerate(homework.build(master, "student").cells, 1):
        if cell.cell_type == "code":
            last = run_cell(cell.source, namespace, f"<{master.stem}, blank, cell {number}>")
            if name := homework.tag(cell, "check"):
                proof.demand(last.status == "todo", f"{name}: the blank copy gets {last}")


@contextlib.contextmanager
def _like_a_notebook():
    """In the notebooks' folder, at the smallest scale, no windows, nothing printed."""
    environment = {"COURSE_PROFILE": "smoke", "HF_HUB_OFFLINE": "1", "MPLBACKEND": "Agg"}
    with (
        mock.patch.dict(os.environ, environment),
        contextlib.chdir(NOTEBOOKS),
        contextlib.redirect_stdout(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", ".*non-interactive.*")  # plt.show() without a screen
        yield
        import matplotlib.pyplot

        matplotlib.pyplot.close("all")


def main(arguments=None):
    """Build and prove; the exit status is 1 if a master is faulty or a proof is red."""
    parser = argparse.ArgumentParser(prog="python -m tools.proof", description=__doc__)
    parser.add_argument("numbers", nargs="*", help="00 01 …; none means all")
    args = parser.parse_args(arguments)
    try:
        homework.build_all(args.numbers)
    except ValueError as error:
        sys.exit(str(error))
    proofs = [prove(master) for master in homework.masters(args.numbers)]
    print("\n\n".join(map(str, proofs)))
    sys.exit(1 if any(proof.red for proof in proofs) else 0)


if __name__ == "__main__":
    main()
