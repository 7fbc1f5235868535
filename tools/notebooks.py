"""python -m tools.notebooks [00 …]: notebooks/source/NN_name.py → executed notebooks/NN_name.ipynb.

Only what changed is built again, and executed if its code changed; --force executes all. Also brings
the README's table up to date.
"""

import argparse
import base64
import io
import os
import re
import sys

import nbformat
from PIL import Image

from helpers.files import write_text
from tools import homework
from tools.build import build, same, sources, stamp_readme, target, write
from tools.run import NOTEBOOKS, ROOT, CellFailed, execute

README = ROOT / "README.md"
# What an output would say about the machine that built it.
FOLDERS = "home|root|tmp|Users|usr|opt|content|work"
MACHINE = re.compile(rf"(?<![\w/.])(/(?:{FOLDERS})/|[A-Z]:\\)[^\s'\"<]*")


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
    if not ran(old) or list(map(own, was)) != list(map(own, now)):
        return None
    for before, cell in zip(was, now, strict=True):
        cell.outputs, cell.execution_count = before.outputs, before.execution_count
    return new


def own(cell):
    """A cell's code, of a set-up cell without the lines that find the course: where it is they do nothing."""
    return cell.source.splitlines()[-3:] if "setup" in cell.metadata.get("tags", []) else cell.source


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


def main(arguments=None):
    """Build what is asked for, or what changed; the exit status is 1 if one failed."""
    parser = argparse.ArgumentParser(prog="python -m tools.notebooks", description=__doc__)
    parser.add_argument("numbers", nargs="*", help="00 01 …; none means all")
    parser.add_argument("--force", action="store_true", help="also what has not changed")
    args = parser.parse_args(arguments)
    failed = False
    for source in sources():
        if args.numbers and source.stem[:2] not in args.numbers:
            continue
        try:
            if not args.force and up_to_date(source):
                print(f"{target(source).name}: up to date")
            elif not args.force and (nb := carried(source)):
                write(nb, target(source))
                print(f"{target(source).name}: new prose, the same code: not executed again")
            else:
                make(source)
        except (CellFailed, ValueError) as error:
            print(f"{source.name}: {error}", file=sys.stderr)
            failed = True
    try:
        homework.build_all(args.numbers)
    except ValueError as error:
        print(error, file=sys.stderr)
        failed = True
    if README.exists():
        old = README.read_text(encoding="utf-8")
        if (new := stamp_readme(old)) != old:
            write_text(README, new)
    sys.exit(1 if failed else 0)


def _shrink_picture(output, colors=128):
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
