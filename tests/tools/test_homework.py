"""Every homework: its checks tell right from wrong, its copies are built and run."""

import importlib
import re
import sys

import nbformat
import pytest

from helpers import checks
from helpers.checks import compare
from tools import build, homework, proof
from tools.run import ROOT, execute
from tools.twice import doubled

each = pytest.mark.parametrize("master", homework.masters(), ids=lambda master: master.stem)
SMOKE = {"COURSE_PROFILE": "smoke", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
MASTER = """\
# %% [markdown]
# # Homework
# {{badge}}

# %% tags=["setup"]
from helpers.checks import start_here as check

# %% [markdown]
# Write it.

# %% tags=["answer:one"]
def one(x):
    # <solution>
    secret = x * 3.0 - x * 1.0
    return secret  # a word
    # </solution>

# %% tags=["check:one"]
check.one(one)

# %% tags=["wrong:one"] expect="no"
def one(x):
    return -x

# %% tags=["second:one"]
def one(x):
    return x + x

# %% tags=["answer:two"]
two = 40 + 2 + 1000  # solution

# %% tags=["check:two"]
check.two(two)

# %% [markdown] tags=["solution-only"]
# For those who know.

# %%
check.summary()
"""


@each
def test_right_and_second_answers_pass_and_wrong_ones_are_refused(master):
    made = proof.prove(master)
    print(made)
    assert not made.red, str(made)


@each
def test_a_check_that_takes_anything_is_found(master, monkeypatch):
    """Each exercise in turn has its `expect` taken away: the proof is red for it, and only for it."""
    check = importlib.import_module(f"helpers.checks.{master.stem[3:]}")
    names = list(check.summary().exercises)
    for name in names:
        with monkeypatch.context() as patch:
            weaken(patch, check, name)
            red = proof.prove(master, only=name).red
        accepted = [line for line in red if line.startswith(f"{name}: wrong answer ")]
        assert len(accepted) >= proof.MISTAKES, f"{name} without its check: {red}"
    with monkeypatch.context() as patch:
        weaken(patch, check, names[0])
        assert {line.partition(":")[0] for line in proof.prove(master).red} == {names[0]}


def weaken(patch, check, name):
    """Make every expectation of one exercise hold."""
    strict = getattr(check, name)

    def weak(*answers, **named):
        with pytest.MonkeyPatch.context() as inside:
            for module in (check, compare):
                inside.setattr(module, "expect", lambda condition, hint: None, raising=False)
            return strict.fn(*answers, **named)

    weak.__name__, weak.__signature__ = name, checks.inspect.signature(strict.fn)
    patch.setattr(strict, "fn", weak)


@each
def test_run_all_on_the_blank_copy_ends_and_says_not_started(master):
    nb = nbformat.read(homework.target(master, "student"), as_version=4)
    execute(nb, homework.target(master, "student").parent, "blank", **SMOKE)
    assert {result["status"] for result in results(nb).values()} == {"todo"}
    assert set(summary(nb).values()) == {"todo"}


@each
def test_the_solutions_pass_also_with_every_cell_run_twice(master):
    nb = doubled(nbformat.read(homework.target(master, "solution"), as_version=4))
    execute(nb, homework.target(master, "solution").parent, "solution", **SMOKE)
    found = results(nb)
    assert {result["status"] for result in found.values()} == {"passed"}, found
    assert summary(nb) == dict.fromkeys(found, "passed")


def results(nb):
    """What each check cell of an executed notebook said."""
    return {name: said(cell) for cell in nb.cells if (name := homework.tag(cell, "check"))}


def summary(nb):
    told = [cell for cell in nb.cells if cell.cell_type == "code" and "check.summary()" in cell.source]
    return said(told[-1])["exercises"]


def said(cell):
    return next(o.data[checks.MIME] for o in cell.outputs if checks.MIME in o.get("data", {}))


@each
@pytest.mark.parametrize("copy", homework.FOLDERS)
def test_the_copies_are_what_the_build_makes(master, copy):
    path = homework.target(master, copy)
    nb = homework.build(master, copy)
    assert path.read_text(encoding="utf-8") == nbformat.writes(nb) + "\n", "run `make notebooks`"
    assert build.badge(path.relative_to(build.ROOT).as_posix()) in nb.cells[0].source
    for number, cell in enumerate(nb.cells, 1):
        assert "<solution>" not in cell.source and "# solution" not in cell.source
        if cell.cell_type == "code":
            lines = cell.source.splitlines()
            assert not cell.outputs and cell.execution_count is None
            assert len(lines) <= 25, f"cell {number} has {len(lines)} lines"
            assert not [line for line in lines if len(line) > 88], f"cell {number} is too wide"


def test_nothing_was_built_without_a_master():
    for copy, folder in homework.FOLDERS.items():
        there = set((build.NOTEBOOKS / folder).glob("*"))
        there = {path for path in there if path.name != ".ipynb_checkpoints"}
        assert there == {homework.target(master, copy) for master in homework.masters()}


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """A master of our own in a folder that looks like the checkout."""
    (tmp_path / "notebooks/source/homework").mkdir(parents=True)
    (tmp_path / "notebooks/sessions.toml").symlink_to(build.ROOT / "notebooks/sessions.toml")
    (tmp_path / "pyproject.toml").symlink_to(build.ROOT / "pyproject.toml")
    for name, path in {"ROOT": "", "NOTEBOOKS": "notebooks", "SOURCE": "notebooks/source"}.items():
        monkeypatch.setattr(build, name, tmp_path / path)
    master = tmp_path / "notebooks/source/homework/00_scratch.py"
    master.write_text(MASTER, encoding="utf-8")
    return master


def test_a_build(scratch, capsys):
    homework.main([])
    student, solution = (nbformat.read(homework.target(scratch, copy), 4) for copy in homework.FOLDERS)
    first = [homework.target(scratch, copy).read_bytes() for copy in homework.FOLDERS]
    assert capsys.readouterr().out.count("written") == 2
    homework.main(["00"])
    assert capsys.readouterr().out == ""
    assert [homework.target(scratch, copy).read_bytes() for copy in homework.FOLDERS] == first

    assert "/notebooks/homework/00_scratch.ipynb)" in student.cells[0].source
    assert "/notebooks/solutions/00_scratch.ipynb)" in solution.cells[0].source
    assert student.cells[1].source.startswith("# @title Set-up")
    blank, right = student.cells[3].source, solution.cells[3].source
    assert blank == "def one(x):\n    # YOUR CODE HERE\n    raise NotImplementedError"
    assert right == "def one(x):\n    secret = x * 3.0 - x * 1.0\n    return secret  # a word"
    assert student.cells[5].source == "two = ...  # YOUR ANSWER"
    assert solution.cells[5].source == "two = 40 + 2 + 1000"
    assert len(solution.cells) == len(student.cells) + 1 == 9
    assert "For those who know." in solution.cells[7].source
    assert all("expect" not in cell.metadata for cell in student.cells + solution.cells)


@pytest.fixture
def prove_example(scratch, monkeypatch, tmp_path):
    """The proof of the example in the page for lecturers, with a change."""
    page = (ROOT / "notebooks/source/homework/README.md").read_text(encoding="utf-8")

    def prove(old="", new=""):
        assert old in page
        check, master = re.findall(r"(?s)```python\n(.*?)```", page.replace(old, new) if old else page)
        (tmp_path / "example.py").write_text(check, encoding="utf-8")
        monkeypatch.setattr(checks, "__path__", [*checks.__path__, str(tmp_path)])
        monkeypatch.setattr(checks, "_sessions", {})
        monkeypatch.delitem(sys.modules, "helpers.checks.example", raising=False)
        monkeypatch.delattr(checks, "example", raising=False)
        example = scratch.with_name("99_example.py")
        example.write_text(master, encoding="utf-8")
        return proof.prove(example)

    return prove


def test_the_example_in_the_page_for_lecturers(prove_example):
    made = prove_example()
    assert not made.red, str(made)
    assert len(made.refused["ratio"]) == 6 and made.accepted == {"ratio": 1}
    assert "ratio: 6 mistakes refused, 1 second answers accepted" in str(made)


@pytest.mark.parametrize(
    "old, new, said",
    [
        (
            "    return signal**2 / noise**2\n    # </sol",
            "    return signal / noise\n    # </sol",
            "solution gets 🔶",
        ),
        ('tags=["second:ratio"]', "", "no second answer"),
        ("return torch.exp(2 * (", "return torch.exp(3 * (", "second right answer gets 🔶"),
        (
            "return torch.exp(2 * (signal.log() - noise.log()))",
            "return 1 / 0 / 0",
            "second right answer gets ⚠️",
        ),
        ('expect="Which one is on top?"', 'expect="Upside down"', "wrong answer 3 ('Upside down') gets 🔶"),
        (' expect="Which one is on top?"', "", "wrong answer 3 does not say which hint"),
        ("return noise**2 / signal**2", "return signal * signal / noise**2", "gets ✅"),
        ("return noise**2 / signal**2", "return noize", "gets ⚠️"),
        ("return signal**2 - noise**2", "return 10 * torch.log10(signal**2 / noise**2)", "two wrong answers"),
        ("A ratio of *powers* is wanted: 3 times the signal is more.", "No.", "wrong answer 1"),
        ('    return "the ratio', '    answer = "the ratio', "the check returns no sentence"),
        (
            "\nsummary = ",
            "\n@exercise\ndef more(more):\n    pass\n\n\nsummary = ",
            "checks are ['more', 'ratio']",
        ),
        ("    shape_like(snr, signal)", "    same(snr, signal**2 / noise**2, 'no')", "a line of a solution"),
        ('"""signal, noise: tensors (T,). Returns', 'return 1\n    """Returns', "the blank copy gets 🔶"),
        ("check.summary()\n", "", "the last code cell is not"),
    ],
)
def test_the_proof_can_fail(prove_example, old, new, said):
    red = prove_example(old, new).red
    assert any(said in line for line in red), red


def test_the_proof_wants_five_mistakes_and_four_hints(prove_example, monkeypatch):
    monkeypatch.setattr(proof, "MISTAKES", 7)
    monkeypatch.setattr(proof, "DIFFERENT", 6)
    assert prove_example().red == [
        "ratio: 6 mistakes are refused with their hint, 7 are needed",
        "ratio: only 5 different hints",
    ]


@pytest.mark.parametrize(
    "old, new, said",
    [
        ("    # </solution>\n", "", "`# <solution>` without its end"),
        ('tags=["check:two"]', "", "two needs one answer cell and one check cell"),
        ("  # solution", "", "answer:two marks nothing as its solution"),
        ('"wrong:one"', '"wrong:won"', "wrong:won belongs to no exercise"),
        ("two = 40 + 2 + 1000  # solution", "# <solution>\ntwo = 2\n# </solution>", "outside a function"),
        ("# Write it.", "# Write `secret = x * 3.0 - x * 1.0`.", r"gives away \['x\*3.0-x\*1.0'\]"),
        ('tags=["setup"]', "", "needs exactly one cell tagged `setup`"),
    ],
)
def test_a_faulty_master_is_refused(scratch, old, new, said):
    assert old in MASTER
    scratch.write_text(MASTER.replace(old, new), encoding="utf-8")
    with pytest.raises(SystemExit, match=said):
        homework.main([])
    assert not homework.target(scratch, "student").exists()
