"""From a source to a notebook: what is stamped, what a built one looks like; the sessions' numbers."""

import hashlib
import json
import re
import tomllib
from functools import cache

import jupytext
import nbformat

from helpers.files import write_text
from tools import setup_cell
from tools.run import NOTEBOOKS, ROOT

SOURCE = NOTEBOOKS / "source"
TABLES = ROOT / "experiments"
METADATA = {
    "accelerator": "GPU",  # Colab preselects one
    "colab": {"gpuType": "T4", "provenance": []},
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
TABLE = re.compile(r"\{\{table:([\w.-]+):([^{}]+):([^{}:]*)\}\}")


@cache
def catalogue():
    """What notebooks/sessions.toml says: the list `session` and the table `limits`."""
    return tomllib.loads((ROOT / "notebooks" / "sessions.toml").read_text(encoding="utf-8"))


def session(slug):
    """What is known of a session: number, slug, promise, minutes, …; ValueError if it is unknown."""
    for found in catalogue()["session"]:
        if found["slug"] == slug:
            return found
    raise ValueError(f"sessions.toml has no session {slug!r}.")


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

    A cell tagged `setup` gets the lines that find the course put before its own; what stands in double
    braces is stamped (`stamp`). Raises ValueError if there is no such cell, or where a stamp is unknown.
    """
    seen = {}
    for cell in nb.cells:
        cell.metadata.pop("lines_to_next_cell", None)
        if "setup" in cell.metadata.get("tags", []):
            cell.source = setup_cell.TEMPLATE + cell.source
        cell.source = stamp(cell.source, name, path)
        # From the text alone, so that a cell keeps its id when others come and go.
        text = f"{cell.cell_type}:{cell.source}"
        seen[text] = seen.get(text, 0) + 1
        cell.id = hashlib.sha1(f"{seen[text]}:{text}".encode()).hexdigest()[:8]
    if sum("setup" in cell.metadata.get("tags", []) for cell in nb.cells) != 1:
        raise ValueError(f"{name} needs exactly one cell tagged `setup`.")
    nb.metadata = nbformat.from_dict(METADATA)
    nb.nbformat, nb.nbformat_minor = 4, 5
    return nb


def stamp(text, name, path):
    """The text of a cell with its stamps filled in.

    {{number}}, {{notebook}}, {{minutes}}: of this session; {{session:slug}}: another one's number; {{badge}},
    {{address}}, {{tag}}: where it is published; {{table:ddim:rows/10, 0/fd:.2f}}: a number of a stored table
    of experiments/, so that prose and table cannot differ. Raises ValueError where it cannot be filled in.
    """
    slug = name.removesuffix(".py")[3:]
    words = {"badge": badge(path), "notebook": f"{name.removesuffix('.py')}.ipynb", **address()}
    if f"{name[:2]}_{slug}" in numbered():
        here = session(slug)
        words |= {"number": here["number"], "minutes": json.dumps(here.get("minutes"))}
    for word, value in words.items():
        text = text.replace("{{" + word + "}}", value)
    text = re.sub(r"\{\{session:(\w+)\}\}", lambda m: session(m[1])["number"], text)
    text = TABLE.sub(lambda m: stored(*m.groups()), text)
    if left := re.search(r"\{\{(number|minutes|session|table)\b[^{}]*\}\}", text):
        raise ValueError(f"{name}: nothing is known for {left[0]}.")
    return text


def numbered():
    """The stems of all notebooks by the catalogue: number_slug."""
    return {f"{found['number']}_{found['slug']}" for found in catalogue()["session"]}


def stored(table, path, form):
    """A number of experiments/TABLE.json, formatted; path is keys joined by /, a number for a list.

    Raises ValueError where it is not there.
    """
    value = json.loads((TABLES / f"{table}.json").read_text(encoding="utf-8"))
    for key in path.split("/"):
        try:
            value = value[int(key)] if isinstance(value, list) else value[key]
        except (KeyError, IndexError, ValueError, TypeError):
            raise ValueError(f"experiments/{table}.json has no {path!r}: {key!r} is not there.") from None
    return format(value, form).replace("-", "−")


def same(one, other):
    """True if two notebooks have the same cells, outputs aside."""
    keys = ("id", "cell_type", "source", "metadata")
    return [[c[k] for k in keys] for c in one.cells] == [[c[k] for k in keys] for c in other.cells]


def write(nb, path):
    """Write a notebook so that an interruption leaves the old file whole."""
    nbformat.validate(nb)
    write_text(path, nbformat.writes(nb) + "\n")


def stamp_readme(text):
    """README text with the sessions of the catalogue, links and badges for those that exist, the address."""
    rows = ["| no. | session | what it makes clear | Colab |", "|---|---|---|---|"]
    for found in catalogue()["session"]:
        path = f"notebooks/{found['number']}_{found['slug']}.ipynb"
        there = (ROOT / path).exists()
        link = f"[{found['slug']}]({path})" if there else found["slug"]
        rows.append(f"| {found['number']} | {link} | {found['promise']} | {badge(path) if there else ''} |")
    table = "\n".join(row.replace("|  |", "| |") for row in rows)
    text = re.sub(
        r"(?s)<!-- sessions -->.*<!-- /sessions -->",
        lambda m: f"<!-- sessions -->\n{table}\n<!-- /sessions -->",
        text,
    )
    return re.sub(r"git clone https\S+", f"git clone {address()['address']}", text)
