"""Students work on copies: theirs is never overwritten, and an update of the course ends well."""

import json
import subprocess
from types import SimpleNamespace

import pytest

from tools import build, lab, reset, work


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of two lectures, one of them with homework and a solution, and its folder work/."""
    notebooks = tmp_path / "notebooks"
    for folder in ("homework", "solutions", "source"):
        (notebooks / folder).mkdir(parents=True)
    (notebooks / "02_forward.ipynb").write_text('"see [homework](homework/02_forward.ipynb)" 1')
    (notebooks / "10_ddim.ipynb").write_text('"ddim 1"')
    (notebooks / "homework" / "02_forward.ipynb").write_text('"exercise 1"')
    (notebooks / "solutions" / "02_forward.ipynb").write_text('"the answer"')
    monkeypatch.setattr(work, "NOTEBOOKS", notebooks)
    monkeypatch.setattr(work, "WORK", tmp_path / "work")
    return SimpleNamespace(notebooks=notebooks, work=tmp_path / "work")


def names(folder):
    return sorted(path.name for path in folder.rglob("*.ipynb"))


def test_lectures_and_homework_under_names_of_their_own_and_no_solution(course):
    assert work.fill() == []
    assert names(course.work) == ["02_forward.ipynb", "02_forward_homework.ipynb", "10_ddim.ipynb"]
    assert "(02_forward_homework.ipynb)" in (course.work / "02_forward.ipynb").read_text()
    assert not any("answer" in path.read_text() for path in course.work.glob("*.ipynb"))


def test_theirs_is_never_overwritten_and_a_newer_one_is_laid_beside(course):
    work.fill()
    mine = course.work / "02_forward_homework.ipynb"
    mine.write_text('"my answer"')
    assert work.fill() == [] and mine.read_text() == '"my answer"'
    (course.notebooks / "homework" / "02_forward.ipynb").write_text('"exercise 2"')
    (course.notebooks / "10_ddim.ipynb").write_text('"ddim 2"')
    (said,) = work.fill()
    assert "02_forward_homework.ipynb was changed by you;" in said and "02_forward_homework.new.ipynb" in said
    assert mine.read_text() == '"my answer"'
    assert (course.work / "02_forward_homework.new.ipynb").read_text() == '"exercise 2"'
    assert (course.work / "10_ddim.ipynb").read_text() == '"ddim 2"'  # nobody had changed it
    assert work.fill() == []  # said once


@pytest.mark.parametrize("marks", ["", "{", "[]"])
def test_without_its_marks_a_changed_copy_still_stays(course, marks):
    work.fill()
    (course.work / "10_ddim.ipynb").write_text('"mine"')
    (course.work / ".laid.json").write_text(marks)
    assert "10_ddim.ipynb was changed by you" in work.fill()[0]
    assert (course.work / "10_ddim.ipynb").read_text() == '"mine"'


def test_a_reset_puts_theirs_aside(course, capsys):
    work.fill()
    (course.work / "02_forward_homework.ipynb").write_text('"my answer"')
    reset.main(["02"])
    (aside,) = (course.work / "aside").iterdir()
    assert aside.read_text() == '"my answer"' and aside.name.startswith("02_forward_homework-20")
    assert (course.work / "02_forward_homework.ipynb").read_text() == '"exercise 1"'
    said = capsys.readouterr().out
    assert "yours is now" in said and "fresh copies" in said
    with pytest.raises(SystemExit, match="No notebook is called '77'; there are: 02_forward.ipynb"):
        reset.main(["77"])


def test_the_laboratory_opens_the_copy(course, monkeypatch):
    begun = []
    monkeypatch.setattr(lab, "free", lambda port: True)
    monkeypatch.setattr(lab, "become", begun.append)
    monkeypatch.setattr(lab, "find", lambda name: course.notebooks / "10_ddim.ipynb")
    lab.main(["10"])
    assert str(course.work / "10_ddim.ipynb") in begun[0]
    assert f"--ServerApp.root_dir={course.work}" in begun[0]
    assert (course.work / "10_ddim.ipynb").exists()
    monkeypatch.setattr(lab, "find", lambda name: course.notebooks / "homework" / "02_forward.ipynb")
    lab.main(["homework/02"])
    assert str(course.work / "02_forward_homework.ipynb") in begun[1]
    monkeypatch.setattr(lab, "find", lambda name: course.notebooks / "solutions" / "02_forward.ipynb")
    with pytest.raises(SystemExit, match="not laid into work/"):
        lab.main(["solutions/02"])


def test_an_update_after_a_day_of_work_ends_well(tmp_path):
    """Clone, work, a new version upstream, pull: no conflict, nothing lost."""
    git = ["git", "-c", "user.name=Test", "-c", "user.email=test@localhost"]

    def run(*command, cwd):
        subprocess.run([*git, *command], cwd=cwd, check=True, capture_output=True)

    up, mine = tmp_path / "up", tmp_path / "mine"
    (up / "notebooks" / "homework").mkdir(parents=True)
    (up / ".gitignore").write_text((build.ROOT / ".gitignore").read_text())
    (up / "notebooks" / "10_ddim.ipynb").write_text(json.dumps("one"))
    run("init", "-q", cwd=up)
    run("add", ".", cwd=up)
    run("commit", "-qm", "one", cwd=up)
    run("clone", "-q", str(up), str(mine), cwd=tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(work, "NOTEBOOKS", mine / "notebooks")
        work.fill(mine / "work")
        (mine / "work" / "10_ddim.ipynb").write_text('"my day"')
        (up / "notebooks" / "10_ddim.ipynb").write_text(json.dumps("two"))
        run("commit", "-qam", "two", cwd=up)
        run("pull", "-q", cwd=mine)
        assert len(work.fill(mine / "work")) == 1
    assert (mine / "work" / "10_ddim.ipynb").read_text() == '"my day"'
    assert (mine / "work" / "10_ddim.new.ipynb").read_text() == '"two"'
    status = subprocess.run([*git, "status", "--porcelain"], cwd=mine, capture_output=True, text=True)
    assert status.stdout == ""
