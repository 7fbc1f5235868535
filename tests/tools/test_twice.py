"""Every cell two times in a row, every slider moved, and what a run of all tests says of its time."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools import run, test, twice

MOVED = """\
from helpers.widgets import slide

seen = []
slide(lambda t, name: seen.append((t, name)) or 1 / (t - {bad}), t=(1, 100), name=["a", "b"])
"""


def notebook(*code):
    return new_notebook(cells=[new_markdown_cell("# Tiny"), *map(new_code_cell, code)])


def test_a_cell_that_runs_only_once_is_found():
    once = notebook("x = [1]", "y = x.pop()")
    run.execute(once, ".")
    with pytest.raises(run.CellFailed, match="`y = x.pop.*IndexError: pop from empty list"):
        run.execute(twice.doubled(once), ".")


def test_every_slider_is_moved(tmp_path):
    path = tmp_path / "07_tiny.ipynb"
    nbformat.write(notebook(MOVED.format(bad=0), "print(seen[-9:])"), path)
    (target,) = twice.write_doubled([path], tmp_path / "out")
    double = nbformat.read(target, as_version=4)
    assert [c.source for c in double.cells[2:5:2]] == [MOVED.format(bad=0)] * 2
    run.execute(double, ".")
    moved = [(t, "a") for t in (1, 17, 34, 51, 67, 83, 100)] + [(1, "a"), (1, "b")]
    assert double.cells[6].outputs[0].text.splitlines()[0] == str(moved)


def test_a_slider_that_fails_at_one_end_is_named():
    nb = notebook(MOVED.format(bad=100))
    run.execute(nb, ".")  # nobody has moved it
    with pytest.raises(run.CellFailed, match="ZeroDivisionError"):
        run.execute(twice.doubled(nb), ".")


def test_seconds_of_a_report(tmp_path):
    cases = [("build.test.05_ddpm.ipynb", 3), ("build.test.05_ddpm.ipynb", 4.5), ("tests.helpers.test_x", 1)]
    rows = "".join(f'<testcase classname="{name}" name="n" time="{time}"/>' for name, time in cases)
    (tmp_path / "report.xml").write_text(f"<testsuites><testsuite>{rows}</testsuite></testsuites>")
    found = test.seconds_by_file(tmp_path / "report.xml")
    assert found == {"05_ddpm": (7.5, 4.5), "tests.helpers.test_x": (1.0, 1.0)}


def test_a_session_fails_by_its_share_of_the_run_and_not_by_the_clock():
    slow_machine = {str(i): (500.0, 10.0) for i in range(10)}
    assert test.judge(slow_machine) == ([], False)
    words, failed = test.judge(slow_machine | {"5": (3000.0, 25.0)})
    assert failed and "FAILED: 5 takes 3000 s, 4.0 times its equal share." in words
    assert "slow: a cell of 5 takes 25 s; 20 are enough for a test." in words
    assert test.judge(slow_machine | {"5": (1000.0, 25.0)})[1] is False  # a warning only


def test_the_command_runs_all_at_once():
    command = test.command(["build/test/00_a.ipynb"])
    assert command.count("tests") == 1 and "build/test/00_a.ipynb" in command
    assert {"--nbval-lax", "-n2", "--dist=loadfile"} <= set(command)
