"""python -m tools.homework [02 …]: masters → student copies and solutions, without outputs.

A master, notebooks/source/homework/NN_name.py, becomes notebooks/homework/NN_name.ipynb and
notebooks/solutions/NN_name.ipynb. `python -m tools.proof` tries the checks on all the answers it holds.
"""

import argparse
import re
import sys
import textwrap

import jupytext
import nbformat

from tools import build as building

FOLDERS = {"student": "homework", "solution": "solutions"}
BLOCK = re.compile(r"^([ \t]*)# <solution>\n(.*?)^[ \t]*# </solution>[ \t]*$", re.S | re.M)
LINE = re.compile(r"^([ \t]*\w+ *=(?!=) *)(\S.*?) *# solution[ \t]*$", re.M)
BLANK = r"\1# YOUR CODE HERE\n\1raise NotImplementedError"
TELLING = 10  # a line of a solution with fewer characters, such as `return x`, tells nothing


def masters(numbers=()):
    """The homework masters, in order; all of them, or those with these numbers."""
    found = sorted((building.SOURCE / "homework").glob("[0-9][0-9]_*.py"))
    return [path for path in found if not numbers or path.stem[:2] in numbers]


def target(master, copy):
    """Where a copy stands; copy is "student" or "solution"."""
    return building.NOTEBOOKS / FOLDERS[copy] / f"{master.stem}.ipynb"


def read(master):
    """The cells of a master, with all its right and wrong answers.

    Raises ValueError where answers, checks and solution marks do not go together.
    """
    nb = jupytext.reads(master.read_text(encoding="utf-8"), fmt="py:percent")
    names = {kind: [n for c in nb.cells if (n := tag(c, kind))] for kind in ("answer", "check")}
    for name in dict.fromkeys(names["answer"] + names["check"]):
        if names["answer"].count(name) != 1 or names["check"].count(name) != 1:
            raise ValueError(f"{master.name}: {name} needs one answer cell and one check cell.")
    for cell in nb.cells:
        marks = re.findall(r"# </?solution>", cell.source)
        if marks != ["# <solution>", "# </solution>"] * (len(marks) // 2):
            raise ValueError(f"{master.name}: `# <solution>` without its end:\n{cell.source}")
        if any(not indent for indent, _ in BLOCK.findall(cell.source)):  # would stop "Run all"
            raise ValueError(f"{master.name}: outside a function write `name = value  # solution`.")
        if (name := tag(cell, "answer")) and not _solutions(cell.source):
            raise ValueError(f"{master.name}: answer:{name} marks nothing as its solution.")
        for kind in ("wrong", "second"):
            if (name := tag(cell, kind)) and name not in names["answer"]:
                raise ValueError(f"{master.name}: {kind}:{name} belongs to no exercise.")
    return nb


def tag(cell, kind):
    """The NAME of a cell's tag `kind:NAME`, or None."""
    tags = cell.metadata.get("tags", [])
    return next((t.partition(":")[2] for t in tags if t.startswith(f"{kind}:")), None)


def telling_lines(nb):
    """What would give the solutions of a master away: what they return or assign, line by line."""
    texts = [text for cell in nb.cells if cell.cell_type == "code" for text in _solutions(cell.source)]
    lines = {bare(line) for text in texts for line in text.splitlines()}
    lines = {re.sub(r"^(return|[\w,]+=(?!=))", "", line) for line in lines}
    return sorted(line for line in lines if len(line) >= TELLING)


def bare(text):
    """Code without spaces and comments, to be compared."""
    return re.sub(r"\s|#.*", "", text)


def build(master, copy):
    """The notebook of a copy, "student" or "solution": the same bytes each time.

    Raises ValueError if the master is faulty, or if a line of a solution is also in the given code.
    """
    nb = read(master)
    lines = telling_lines(nb)
    hidden = {"solution-only"} if copy == "student" else set()
    nb.cells = [
        cell
        for cell in nb.cells
        if not tag(cell, "wrong") and not tag(cell, "second")
        if not hidden.intersection(cell.metadata.get("tags", []))
    ]
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.source = (_blank if copy == "student" else _reveal)(cell.source)
    if copy == "student":
        given = bare("\n".join(cell.source for cell in nb.cells))
        if shown := [line for line in lines if line in given]:
            raise ValueError(f"{master.name}: the student copy gives away {shown}.")
    path = target(master, copy).relative_to(building.ROOT).as_posix()
    return building.finish(nb, master.name, path)


def build_all(numbers=()):
    """Write both copies of every master, or of those with these numbers; raises ValueError."""
    for master in masters(numbers):
        for copy in FOLDERS:
            nb, path = build(master, copy), target(master, copy)
            new = nbformat.writes(nb) + "\n"
            if path.exists() and path.read_text(encoding="utf-8") == new:
                continue
            path.parent.mkdir(exist_ok=True)
            building.write(nb, path)
            print(f"{path.relative_to(building.ROOT)}: written")


def main(arguments=None):
    """Build, and prove if args; the exit status is 1 if a master is faulty or a proof is red."""
    parser = argparse.ArgumentParser(prog="python -m tools.homework", description=__doc__)
    parser.add_argument("numbers", nargs="*", help="00 01 …; none means all")
    args = parser.parse_args(arguments)
    try:
        build_all(args.numbers)
    except ValueError as error:
        sys.exit(str(error))


def _solutions(source):
    """The texts in a cell that are marked as solutions."""
    return [textwrap.dedent(m[1]) for m in BLOCK.findall(source)] + [
        f"{name}{value}" for name, value in LINE.findall(source)
    ]


def _blank(source):
    return LINE.sub(r"\1...  # YOUR ANSWER", BLOCK.sub(BLANK, source))


def _reveal(source):
    source = re.sub(r"^[ \t]*# </?solution>[ \t]*(\n|\Z)", "", source, flags=re.M)
    return LINE.sub(r"\1\2", source).rstrip()


if __name__ == "__main__":
    main()
