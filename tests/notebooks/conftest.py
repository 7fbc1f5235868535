"""The rules for lectures: one function a rule, which yields what breaks it, with cell and line from 1."""

import ast
import re
from functools import partial
from itertools import pairwise, zip_longest

from tests.notebooks.lecture import FOLD, alone, anchors, blank, callers, counts, is_appendix, leaks, plain
from tools import build

MINUTES, LIVE, HEIGHT, WIDTH = range(88, 93), range(5, 16), 25, 88  # the last two: a cell on a projector
TABLE = "| section | minutes | may be skipped |"
ROW = re.compile(r"^\| *((?:[^|\\]|\\.)+?) *\| *(\d+) *\| *([^|]*?) *\| *$", re.M)
VERBATIM = re.compile(r"```.*?```|`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]+\$", re.S)
LINK = re.compile(r"(?:\]\(|href=\"|src=\"|(?=http://))([^)\s\"]+)")
PREDICT, MISTAKEN = re.compile(r"\*\*Predict[.,:]"), "> **Easily mistaken.**"
MOST = {"words": 4000, "cells": 45, "lines": 500}  # in ninety minutes
HEAD = {
    "title `# NN · …`": r"\A# \d\d · \S",
    "Colab badge": r"^\[!\[Open In Colab\]\(",
    "paragraph of promise below the badge": r"^\[!\[Open.*\n\n(?!\*\*(Time|Before)|\|)\S",
    "line **Time:** with minutes": r"^\*\*Time:\*\*.*\b\d+ minutes",
    "minutes on the CPU in the line **Time:**": r"^\*\*Time:\*\*.*\bminutes?\b[^.]*\bCPU",
    "line **Before:**": r"^\*\*Before:\*\* \S",
}
END = {
    "summary in bullets": r"^- ",
    "question **At the exit.** with a folded answer": r"^\*\*At the exit\.\*\*(?s:.*?\?.*?)<details",
    "line **Try next.**": r"^\*\*Try next\.\*\*",
    "link to the homework": r"\]\(homework/\w+\.ipynb\)",
    "line **Next session:**": r"^\*\*Next( session:\*\*|:\*\* session)",
    "reading list **To read.**": r"^\*\*To read\.\*\*",
}


def lacking(at, text, wanted):
    """A finding for each pattern that a text does not hold."""
    return (f"{at}: no {what}" for what, pattern in wanted.items() if not re.search(pattern, text, re.M))


def head(lecture):
    """Title, badge, promise, minutes and what must be known stand in the first cell."""
    return lacking("cell 1", lecture.cells[0].source, HEAD)


def timetable(lecture):
    """The table of sections adds up to 90 minutes and says what the headings say."""
    rows = ROW.findall(lecture.cells[0].source)
    if TABLE not in lecture.cells[0].source:
        yield f"cell 1: no table {TABLE}"
        return
    if (total := sum(int(minutes) for _, minutes, _ in rows)) not in MINUTES:
        yield f"cell 1: the sections take {total} minutes together, not 90"
    for row, section in zip_longest(rows, lecture.taught):
        name, minutes, may = row or ("nothing", 0, "")
        if not section or plain(name) != plain(section.name):
            where = f"{section.at}: {section.name!r}" if section else "cell 1: nothing"
            yield f"{where} is the heading where the table has {name!r}"
            return
        if int(minutes) != section.minutes:
            yield f"{section.at}: {section.minutes or 'no'} minutes in the heading, {minutes} in the table"
        said = "yes" if section.skipped else "; ".join(part.name for part in section.parts if part.skipped)
        if plain(may) != plain(said):
            yield f"{section.at}: may be skipped: {said!r} by the headings, {may!r} by the table"


def setup(lecture):
    """The first code cell is the set-up cell."""
    if "setup" not in lecture.code[0].tags:
        yield f"{lecture.code[0].at()}: the first code cell is not the set-up cell"


def recall(lecture):
    """Three questions about earlier sessions, each with a folded answer (00 has none before it)."""
    if lecture.cells[0].source.startswith("# 00"):
        return
    section = next((section for section in lecture.sections if section.name == "Recall"), None)
    if not section:
        yield "cell 1: no section `## Recall` follows"
        return
    questions = re.split(r"(?m)^\*\*(?=\d)", section.text)[1:]
    if len(questions) != 3:
        yield f"{section.at}: {len(questions)} questions, not 3"
    for number, question in enumerate(questions, 1):
        if "<details" not in question:
            yield f"{section.at}: question {number} has no folded answer"


def predict(lecture):
    """There is a line **Predict.**, and after each, in its section, a folded answer."""
    if not any(PREDICT.search(cell.source) for cell in lecture.prose):
        yield "no line **Predict.**"
    for section in lecture.sections:
        marks = []
        for cell in section.cells:
            found = re.finditer(PREDICT.pattern + "|<details", "" if cell.code else cell.source)
            marks += [(match[0] == "<details", cell.at(match.start())) for match in found]
        for (fold, at), (answer, _) in pairwise([*marks, (False, "")]):
            if not fold and not answer:
                yield f"{at}: no folded answer to **Predict.**"


def mistaken(lecture):
    """There is a box with a misconception."""
    if not any(f"\n{MISTAKEN}" in f"\n{cell.source}" for cell in lecture.prose):
        yield f"no box {MISTAKEN}"


def ending(lecture):
    """The last section has summary, exit question, what to try, homework, next session and reading."""
    if not lecture.taught:
        yield "no section `##`"
        return
    last = lecture.taught[-1]
    if not re.search(r"summary.*exit", plain(last.name)):
        yield f"{last.at}: the last section is not called `Summary, exit`"
    yield from lacking(last.at, last.text, END)


def outline(lecture):
    """One #, then ## numbered without a gap (after Recall, before Appendix), each at the top of a cell."""
    if [section.level for section in lecture.headings].count(1) != 1:
        yield "there is not exactly one heading `#`"
    for above, below in pairwise(lecture.headings):
        if below.level > above.level + 1:
            yield f"{below.at}: from {'#' * above.level} to {'#' * below.level}"
    for section in lecture.headings:
        if not section.begins_cell and (section.level == 2 or section.skipped):
            yield f"{section.at}: {section.name!r} does not begin a cell"
    number, first, last = 1, *(lecture.sections[i] if lecture.sections else None for i in (0, -1))
    for section in lecture.sections:
        if section.name.startswith(f"{number} · "):
            number += 1
        elif not (section is first and section.name == "Recall" or section is last and is_appendix(section)):
            yield f"{section.at}: {section.name!r} should be `{number} · …`"


def pictures(lecture):
    """Every picture says in words what it shows."""
    for cell in lecture.prose:
        for match in re.finditer(r"!\[\s*\]\(|<img(?![^>]*\balt=\"[^\"]+)", blank(VERBATIM, cell.source)):
            yield f"{cell.at(match.start())}: a picture without alt text"


def links(lecture):
    """A link leads to a file of the repository, to an anchor that is there, or to https."""
    here = anchors("\n".join(cell.source for cell in lecture.prose))
    for cell in lecture.prose:
        for match in LINK.finditer(blank(VERBATIM, cell.source)):
            at, (path, _, anchor) = cell.at(match.start()), match[1].partition("#")
            file = build.NOTEBOOKS / path
            if re.match(r"\w+:", path):
                if not path.startswith("https://"):
                    yield f"{at}: {match[1]} is not https"
            elif not file.exists():
                yield f"{at}: {match[1]} leads nowhere"
            elif anchor and anchor not in (anchors(file.read_text("utf-8"), file.suffix) if path else here):
                yield f"{at}: there is no anchor {match[1]}"


def sliders(lecture):
    """GitHub shows no sliders: a still figure follows, in the same or one of the next three cells of code."""
    moving, still = (
        callers(ast.parse((build.ROOT / "helpers" / name).read_text("utf-8")).body, known)
        for name, known in [("widgets.py", {"interact", "interactive"}), ("plots.py", {"show"})]
    )
    return (f"{at}: no still figure follows the slider" for at in alone(lecture, moving, still))


def projector(lecture):
    """Cells of code have at most 25 lines and 88 columns."""
    for cell in lecture.code:
        lines = cell.source.splitlines()
        if len(lines) > HEIGHT:
            yield f"{cell.at()}: {len(lines)} lines"
        for number, line in enumerate(lines, 1):
            if len(line) > WIDTH:
                yield f"cell {cell.number}, line {number}: {len(line)} columns"


def printed(lecture):
    """What a cell prints has at most 88 columns."""
    for cell in lecture.code:
        for output in cell.outputs:
            data = output.get("data", {})
            text = output.get("text", "") if output.get("name") == "stdout" else ""
            if set(data) == {"text/plain"}:
                text = data["text/plain"]
            for line in text.splitlines():
                if len(line) > WIDTH:
                    yield f"cell {cell.number} prints {len(line)} columns: {line[:40]}…"


def length(lecture, what):
    """Ninety minutes hold so many words, cells and lines, outside folds and before an appendix."""
    if (count := counts(lecture)[what]) > MOST[what]:
        yield f"{count} {what}, more than {MOST[what]}"


def skipping(lecture):
    """No cell needs a name that only a section which may be skipped binds."""
    for cell, names in leaks(lecture).items():
        yield f"{cell.at()}: {', '.join(names)} may have been skipped"


def takeaways(lecture):
    """Each section but recall and summary ends with one or two sentences in a frame, > **…**."""
    for section in lecture.taught[:-1]:
        if section.name == "Recall":
            continue
        last = section.cells[-1]
        block = re.split(r"\n\s*\n", blank(FOLD, last.source).strip())[-1]
        said = blank(VERBATIM, re.sub(r"(?m)^> ?|\*\*", "", block))
        sentences = len(re.findall(r"[.!?](?=\W*(?:\s|$))", said))
        if last.code or not block.startswith("> **") or block.startswith(MISTAKEN):
            yield f"{section.at}: the section does not end with a takeaway > **…**"
        elif sentences not in (1, 2):
            yield f"{section.at}: the takeaway has {sentences} sentences, not one or two"


def boxed(lecture):
    r"""The formula of the lecture stands in a box, \boxed, outside folds and appendix."""
    if not any("\\boxed" in blank(FOLD, c.source) for c in lecture.prose if c.number < lecture.appendix):
        yield "no formula in a \\boxed outside folds"


def live(lecture):
    """Five to fifteen cells are tagged `live`: those that a lecturer runs."""
    if (count := sum("live" in cell.tags for cell in lecture.code)) not in LIVE:
        yield f"{count} cells are tagged live, not {LIVE[0]} to {LIVE[-1]}"


def folds(lecture):
    """A fold is closed in its cell, has a <summary>, and blank lines around what it holds and after it."""
    for cell in lecture.prose:
        text = blank(VERBATIM, cell.source)
        if len(re.findall(r"<details\b", text)) != text.count("</details>"):
            yield f"{cell.at()}: a fold is not closed in its cell"
        for match in FOLD.finditer(text):
            at, after = cell.at(match.start()), text[match.end() :]
            if not re.match(r"<details[^>]*>\s*<summary>.+?</summary>", match[0]):
                yield f"{at}: a fold without <summary>"
            elif not re.search(r"(?s)</summary>\n\n.*\n\n</details>$", match[0]):
                yield f"{at}: no blank line after <summary> or before </details>"
            elif not re.match(r"\s*$|\n\n", after):
                yield f"{at}: no blank line after </details>"


RULES = {
    rule.__name__: rule
    for rule in (head, timetable, setup, recall, predict, mistaken, ending, outline, pictures, links, sliders)
    + (projector, printed, skipping, takeaways, boxed, live, folds)
} | {what: partial(length, what=what) for what in MOST}
