"""python -m tools.notebooks [00 …]: notebooks/source/NN_name.py → executed notebooks/NN_name.ipynb.

Only what changed is built again, and executed if its code changed; --force executes all. Also brings
the README's table up to date.
"""

import argparse
import base64
import hashlib
import io
import os
import re
import sys
import tempfile
import tomllib

import jupytext
import nbformat
from PIL import Image

from tools import setup_cell
from tools.run import NOTEBOOKS, ROOT, CellFailed, execute

SOURCE = NOTEBOOKS / "source"
README = ROOT / "README.md"
METADATA = {
    "accelerator": "GPU",  # Colab preselects one
    "colab": {"gpuType": "T4", "provenance": []},
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
# What an output would say about the machine that built it.
FOLDERS = "home|root|tmp|Users|usr|opt|content|work"
MACHINE = re.compile(rf"(?<![\w/.])(/(?:{FOLDERS})/|[A-Z]:\\)[^\s'\"<]*")


def address():
    """The repository's public address and tag, from the one place: pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["course"]


def badge(path):
    """The Colab badge, in markdown, of a file of the repository."""
    where = address()
    repository = where["address"].removeprefix("https://github.com/")
    colab = "https://colab.research.google.com"
    picture = f"[![Open In Colab]({colab}/assets/colab-badge.svg)]"
    return f"{picture}({colab}/github/{repository}/blob/{where['tag']}/{path})"


def sources():
    """The lecture sources, in order."""
    return sorted(SOURCE.glob("[0-9][0-9]_*.py"))


def target(source):
    """Where the notebook built from a source stands."""
    return NOTEBOOKS / f"{source.stem}.ipynb"


def build(source):
    """The notebook of a py:percent file, not executed: the same bytes each time.

    Raises ValueError as finish() does.
    """
    nb = jupytext.reads(source.read_text(encoding="utf-8"), fmt="py:percent")
    return finish(nb, source.name, f"notebooks/{source.stem}.ipynb")


def finish(nb, name, path):
    """Make what jupytext read from the source `name` the notebook that will stand at `path`.

    A cell tagged `setup` gets the lines that find the course put before its own; {{badge}},
    {{address}} and {{tag}} are filled in. Raises ValueError if there is no such cell.
    """
    words = {"badge": badge(path), **address()}
    seen = {}
    for cell in nb.cells:
        cell.metadata.pop("lines_to_next_cell", None)
        if "setup" in cell.metadata.get("tags", []):
            cell.source = setup_cell.TEMPLATE + cell.source
        for word, value in words.items():
            cell.source = cell.source.replace("{{" + word + "}}", value)
        # From the text alone, so that a cell keeps its id when others come and go.
        text = f"{cell.cell_type}:{cell.source}"
        seen[text] = seen.get(text, 0) + 1
        cell.id = hashlib.sha1(f"{seen[text]}:{text}".encode()).hexdigest()[:8]
    if sum("setup" in cell.metadata.get("tags", []) for cell in nb.cells) != 1:
        raise ValueError(f"{name} needs exactly one cell tagged `setup`.")
    nb.metadata = nbformat.from_dict(METADATA)
    nb.nbformat, nb.nbformat_minor = 4, 5
    return nb


def same(one, other):
    """True if two notebooks have the same cells, outputs aside."""
    keys = ("id", "cell_type", "source", "metadata")
    return [[c[k] for k in keys] for c in one.cells] == [[c[k] for k in keys] for c in other.cells]


def up_to_date(source):
    """True if the built notebook is what its source says, and was executed."""
    if not target(source).exists():
        return False
    built = nbformat.read(target(source), as_version=4)
    return ran(built) and same(built, build(source))


def ran(nb):
    """True if every cell with code was executed."""
    return all(c.execution_count for c in nb.cells if c.cell_type == "code" and c.source)


def carried(source):
    """The built notebook with the prose of today's source, None if a line of code changed since it ran."""
    if not target(source).exists():
        return None
    old, new = nbformat.read(target(source), as_version=4), build(source)
    was, now = ([c for c in nb.cells if c.cell_type == "code"] for nb in (old, new))
    if not ran(old) or [c.source for c in was] != [c.source for c in now]:
        return None
    for before, cell in zip(was, now, strict=True):
        cell.outputs, cell.execution_count = before.outputs, before.execution_count
    return new


def make(source):
    """Build, execute and store one notebook; raises CellFailed, ValueError for a machine's path."""
    nb = build(source)
    profile = {"COURSE_PROFILE": os.environ.get("COURSE_PROFILE", "cpu"), "PYTHONHASHSEED": "0"}
    record = execute(nb, NOTEBOOKS, source.stem, **profile)
    for number, cell in enumerate(nb.cells, 1):
        for output in cell.get("outputs", []):
            _hide_machine(output, f"{source.name}, cell {number}")
            _shrink_picture(output)
    write(nb, target(source))
    size = target(source).stat().st_size / 1e6
    print(f"{target(source).name}: {sum(record.seconds.values()):.0f} s, {size:.2f} MB")


def write(nb, path):
    """Write a notebook so that an interruption leaves the old file whole."""
    nbformat.validate(nb)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        nbformat.write(nb, file)
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)


def stamp_readme(text):
    """README text with links and badges for the sessions that exist, and the address to clone."""

    def row(match):
        number, name, about = match.groups()
        path = f"notebooks/{number}_{name}.ipynb"
        if not (ROOT / path).exists():
            return f"| {number} | {name} | {about} | |"
        return f"| {number} | [{name}]({path}) | {about} | {badge(path)} |"

    def table(match):
        return re.sub(r"(?m)^\| (\d\d) \| \[?(\w+).*? \| (.*?) \|.*\|$", row, match[0])

    text = re.sub(r"(?s)<!-- sessions -->.*<!-- /sessions -->", table, text)
    return re.sub(r"git clone https\S+", f"git clone {address()['address']}", text)


def main(arguments=None):
    """Build what is asked for, or what changed; the exit status is 1 if one failed."""
    parser = argparse.ArgumentParser(prog="python -m tools.notebooks", description=__doc__)
    parser.add_argument("numbers", nargs="*", help="00 01 …; none means all")
    parser.add_argument("--force", action="store_true", help="also what has not changed")
    asked = parser.parse_args(arguments)
    failed = False
    for source in sources():
        if asked.numbers and source.stem[:2] not in asked.numbers:
            continue
        try:
            if not asked.force and up_to_date(source):
                print(f"{target(source).name}: up to date")
            elif not asked.force and (nb := carried(source)):
                write(nb, target(source))
                print(f"{target(source).name}: new prose, the same code: not executed again")
            else:
                make(source)
        except (CellFailed, ValueError) as error:
            print(f"{source.name}: {error}", file=sys.stderr)
            failed = True
    from tools import homework  # here, because it uses this module

    try:
        homework.build_all(asked.numbers)
    except ValueError as error:
        print(error, file=sys.stderr)
        failed = True
    if README.exists():
        old = README.read_text(encoding="utf-8")
        if (new := stamp_readme(old)) != old:
            README.write_text(new, encoding="utf-8")
    sys.exit(1 if failed else 0)


def _shrink_picture(output, colors=144):
    """Store a picture with a palette: noise hardly compresses in full colour."""
    if code := output.get("data", {}).get("image/png"):
        picture = Image.open(io.BytesIO(base64.b64decode(code))).convert("RGB")
        small = io.BytesIO()
        picture.quantize(colors, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
        output.data["image/png"] = base64.b64encode(small.getvalue()).decode() + "\n"


def _hide_machine(output, where):
    """Take the checkout's path out of an output's text; raise ValueError if another one is left."""
    if output.get("name") == "stderr":
        print(f"note: {where} stores a warning: {output.text.strip()[:100]}", file=sys.stderr)
    texts = [(output, "text")] if "text" in output else []
    texts += [(output.data, kind) for kind in output.get("data", {}) if kind.startswith("text/")]
    for holder, key in texts:
        holder[key] = holder[key].replace(f"{ROOT}{os.sep}", "").replace(str(ROOT), ".")
        if path := MACHINE.search(holder[key]):
            raise ValueError(f"{where} stores a path of this machine: {path.group()}")


if __name__ == "__main__":
    main()
