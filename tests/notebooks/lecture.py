"""A lecture notebook read as cells and sections, and what its code needs and draws; nothing is run."""

import ast
import copy
import re
import symtable
from dataclasses import dataclass, field

FENCE, FOLD = re.compile(r"```.*?```", re.S), re.compile(r"<details\b.*?</details>", re.S)
HEADING = re.compile(r"^(#{1,6}) +(.*?) *(?:<small>(.*?)</small>)? *$", re.M)


@dataclass(eq=False)
class Cell:
    """A cell by its number, from 1, in the built notebook, and whether it may be skipped."""

    number: int
    code: bool
    source: str
    tags: list
    outputs: list
    skipped: bool = False

    def at(self, index=0):
        """The place of a character: `cell 3, line 4`."""
        return f"cell {self.number}, line {self.source.count(chr(10), 0, index) + 1}"


@dataclass(eq=False)
class Section:
    """A heading; one of level 2 or 3 has the cells down to the next of its level or above."""

    level: int
    name: str
    minutes: int
    skipped: bool
    at: str
    begins_cell: bool
    cells: list = field(default_factory=list)
    parts: list = field(default_factory=list)

    @property
    def text(self):
        """The prose of its cells, folds and all."""
        return "\n\n".join(cell.source for cell in self.cells if not cell.code)


class Lecture:
    """A built notebook: all cells, of prose and of code, all headings, the sections of level 2.

    `taught` are the sections without an appendix, which begins in the cell of the number `appendix`.
    """

    def __init__(self, nb):
        self.cells, self.headings, self.sections = [], [], []
        inside = []  # the section and, in it, the part that one is in
        for number, raw in enumerate(nb.cells, 1):
            tags, outputs = raw.metadata.get("tags", []), raw.get("outputs", [])
            cell = Cell(number, raw.cell_type == "code", raw.source, tags, outputs)
            self.cells.append(cell)
            states = [inside]
            for section in headings(cell):
                self.headings.append(section)
                if section.level in (2, 3):
                    inside = [*(above for above in inside if above.level < section.level), section]
                if section.level == 2:
                    self.sections.append(section)
                elif section.level == 3 and len(inside) == 2:
                    inside[0].parts.append(section)
                states = [inside] if section.begins_cell else [*states, inside]
            cell.skipped = any(section.skipped for section in states[0])
            for section in dict.fromkeys(sum(states, [])):
                section.cells.append(cell)
        self.prose = [cell for cell in self.cells if not cell.code]
        self.code = [cell for cell in self.cells if cell.code]
        self.taught = [section for section in self.sections if not is_appendix(section)]
        first = (section.cells[0].number for section in self.sections if is_appendix(section))
        self.appendix = next(first, len(self.cells) + 1)


def headings(cell):
    """The headings of a cell of prose, `<small>9 min, may be skipped</small>` understood."""
    if not cell.code:
        for match in HEADING.finditer(blank(FOLD, blank(FENCE, cell.source))):
            note, start = match[3] or "", match.start()
            minutes = int((re.match(r"(\d+) min", note) or "00")[1])
            skipped = "may be skipped" in note
            yield Section(len(match[1]), match[2], minutes, skipped, cell.at(start), start == 0)


def is_appendix(section):
    """True for a section that is no part of the ninety minutes."""
    return section.name.startswith("Appendix")


def blank(pattern, text):
    """A text with spaces for what matches, so that places stay."""
    return pattern.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)


def plain(name):
    """A heading as it is compared: `Summary and exit` is `summary, exit`."""
    return name.casefold().replace(" and ", ", ")


def counts(lecture):
    """Words, cells of code and their lines, outside folds and before an appendix."""
    code = [cell for cell in lecture.code if cell.number < lecture.appendix]
    prose = (FOLD.sub(" ", cell.source) for cell in lecture.prose if cell.number < lecture.appendix)
    lines = sum(len(cell.source.splitlines()) for cell in code)
    return {"words": sum(len(text.split()) for text in prose), "cells": len(code), "lines": lines}


def anchors(text, kind=""):
    """What `#name` can lead to: `<a id="name">`, and in a page (.md) headings as GitHub names them."""
    titles = re.findall(r"(?m)^#+ +(.+)$", text.lower()) if kind == ".md" else []
    slugs = (re.sub(r"[^\w -]", "", title).replace(" ", "-") for title in titles)
    return {*re.findall(r'\bid=\\?"([^"\\]+)', text), *slugs}


def without_skipped(nb):
    """A copy of a notebook without the sections, and parts of sections, that may be skipped."""
    kept = copy.deepcopy(nb)
    kept.cells = [raw for raw, cell in zip(kept.cells, Lecture(nb).cells, strict=True) if not cell.skipped]
    return kept


def parsed(cell):
    """The statements of a code cell, without lines and cells that only IPython understands."""
    return ast.parse(re.sub(r"(?m)\A%%(?s:.*)|^[%!].*$", "", cell.source)).body


def names(statement):
    """What a statement binds at the top level, what it reads at once, and what its functions read later."""
    table = symtable.symtable(ast.unparse(statement), "", "exec")
    binds, reads, later, inner = set(), set(), set(), list(table.get_children())
    for symbol in table.get_symbols():
        if symbol.is_assigned() or symbol.is_imported():
            binds.add(symbol.get_name())
        if symbol.is_referenced():
            reads.add(symbol.get_name())
    for scope in inner:  # grows while it is walked
        inner += scope.get_children()
        for symbol in scope.get_symbols():
            if symbol.is_global() and symbol.is_referenced():
                later.add(symbol.get_name())
            if symbol.is_declared_global() and symbol.is_assigned():
                binds.add(symbol.get_name())  # `global x`, or := in a comprehension
    binds |= walrus(statement)  # symtable of Python 3.13 does not say it of a comprehension
    if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
        reads.add(statement.target.id)
    return binds, reads, later


def walrus(node):
    """The names that := binds in a statement, but not within functions of its own."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
        return set()
    own = {node.target.id} if isinstance(node, ast.NamedExpr) else set()
    return own.union(*map(walrus, ast.iter_child_nodes(node)))


def leaks(lecture):
    """By cell: the names that it reads and that only an earlier cell which may be skipped binds."""
    kept, lost, found = set(), set(), {}
    for cell in lecture.code:
        statements = [(statement, *names(statement)) for statement in parsed(cell)]
        if cell.skipped:
            lost = lost.union(*(binds for _, binds, _, _ in statements))
            continue
        needed = set()
        for statement, binds, reads, _ in statements:
            # x = f(x) reads x before it binds it; a loop or a `with` binds first.
            first = () if isinstance(statement, ast.Assign | ast.AugAssign | ast.AnnAssign) else binds
            needed |= reads - kept - set(first)
            kept |= binds
        needed |= set().union(*(later for *_, later in statements)) - kept
        if needed & lost:
            found[cell] = sorted(needed & lost)
    return found


def calls(tree):
    """The names of the functions and methods called anywhere in a tree."""
    found = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return {f.id if isinstance(f, ast.Name) else getattr(f, "attr", "") for f in found}


def callers(statements, known):
    """`known` and, of the functions defined here, those that call one of them."""
    for statement in statements:
        if isinstance(statement, ast.FunctionDef) and calls(statement) & known:
            known = known | {statement.name}
    return known


def alone(lecture, moving, still, reach=3):
    """The places of sliders after which neither their cell nor one of the next `reach` draws a still figure.

    moving and still are names of functions that make sliders and figures; what the lecture defines with
    them counts, too.
    """
    waiting = []  # (place, number of its code cell)
    for number, cell in enumerate(lecture.code):
        statements = parsed(cell)
        moving, still = callers(statements, moving), callers(statements, still)
        for statement in statements:
            if isinstance(statement, ast.FunctionDef | ast.ClassDef):
                continue
            made = calls(statement)
            if made & still:
                waiting = [(at, since) for at, since in waiting if number - since > reach]
            if made & moving:
                waiting.append((f"cell {cell.number}, line {statement.lineno}", number))
    return [at for at, _ in waiting]
