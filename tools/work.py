"""The folder work/, in which students work: copies of the built notebooks, never overwritten."""

import hashlib
import json
import time

from helpers.files import write_json, write_text
from tools.run import NOTEBOOKS, ROOT

WORK = ROOT / "work"  # ignored by git, so that an update never meets a changed notebook


def copies():
    """What belongs into work/: {name: text}, lectures and homework side by side, without any solution."""
    found = {}
    for lecture in sorted(NOTEBOOKS.glob("[0-9]*.ipynb")):
        text = lecture.read_text(encoding="utf-8")
        # two tabs of one name cannot be told apart
        found[lecture.name] = text.replace(f"(homework/{lecture.name})", f"({lecture.stem}_homework.ipynb)")
        homework = NOTEBOOKS / "homework" / lecture.name
        if homework.exists():
            found[f"{lecture.stem}_homework.ipynb"] = homework.read_text(encoding="utf-8")
    return found


def copy_of(notebook):
    """Where the copy of a built notebook lies in work/; FileNotFoundError for one that is not laid there."""
    kinds = {NOTEBOOKS: f"{notebook.stem}.ipynb", NOTEBOOKS / "homework": f"{notebook.stem}_homework.ipynb"}
    if notebook.parent not in kinds:
        raise FileNotFoundError(f"{notebook} is not laid into work/: open it by itself, with JupyterLab.")
    return WORK / kinds[notebook.parent]


def fill(folder=None):
    """Lay what is missing or newer into work/; sentences about what was laid beside a student's own.

    A copy that nobody changed is replaced by a newer one; beside one that was changed the newer one is laid
    as NAME.new.ipynb.
    """
    folder = folder or WORK
    laid, words = known(folder), []
    for name, text in copies().items():
        mine, mark = folder / name, digest(text)
        there = mine.exists()
        if there and laid.get(name) == mark:
            continue
        if there and digest(mine.read_text(encoding="utf-8")) not in (laid.get(name), mark):
            beside = mine.with_suffix(".new.ipynb")
            write_text(beside, text)
            words.append(f"{name} was changed by you; the newer one lies beside it, as {beside.name}.")
        else:
            write_text(mine, text)
        laid[name] = mark
    write_json(folder / ".laid.json", laid)
    return words


def reset(name, folder=None):
    """Put a student's copies of a session aside, dated, and lay fresh ones; the paths put aside.

    Raises FileNotFoundError where no session is called so.
    """
    folder = folder or WORK
    names = [n for n in copies() if name in (n[:2], n[3:-6], n[:-6], n)]
    if not names:
        raise FileNotFoundError(f"No notebook is called {name!r}; there are: {', '.join(copies())}.")
    aside, laid = [], known(folder)
    for n in names:
        mine = folder / n
        if mine.exists() and digest(mine.read_text(encoding="utf-8")) != laid.get(n):
            target = folder / "aside" / f"{mine.stem}-{time.strftime('%Y%m%d-%H%M%S')}.ipynb"
            target.parent.mkdir(exist_ok=True)
            mine.rename(target)
            aside.append(target)
        else:
            mine.unlink(missing_ok=True)
        mine.with_suffix(".new.ipynb").unlink(missing_ok=True)
        laid.pop(n, None)
    write_json(folder / ".laid.json", laid)
    fill(folder)
    return aside


def known(folder):
    """The marks of what was laid into the folder, {name: digest}; empty where that is not known."""
    try:
        found = json.loads((folder / ".laid.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def digest(text):
    """A short name of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
