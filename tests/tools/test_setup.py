"""Making and repairing .venv, without installing anything, and the commands' plain refusals."""

import re
import socket
import sys
from contextlib import suppress
from types import SimpleNamespace

import pytest

from tools import lab, run, setup


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """An empty checkout, with what would have been called in it."""
    (tmp_path / "pyproject.toml").write_text(
        '[project]\ndependencies = ["torch"]\noptional-dependencies = {test = [], build = []}\n'
    )
    (tmp_path / "constraints.txt").write_text("torch==1\n")
    calls = []
    status = {"pip": 0, "venv": 0}
    said = {"venv": ""}

    def call(command, **_):
        calls.append(command)
        if "venv" in command:
            setup.python().parent.mkdir(parents=True, exist_ok=True)
            setup.python().touch()
            return status["venv"]
        return status["pip"]

    monkeypatch.setattr(setup, "ROOT", tmp_path)
    monkeypatch.setattr(setup, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(setup, "STAMP", tmp_path / ".venv" / "course.stamp")
    monkeypatch.setattr(setup.subprocess, "call", call)
    monkeypatch.setattr(
        setup.subprocess,
        "run",
        lambda command, **_: SimpleNamespace(returncode=call(command), stdout="", stderr=said["venv"]),
    )
    monkeypatch.setattr(setup, "works", lambda code: setup.python().exists())
    monkeypatch.setattr(setup, "complete", lambda: False)
    return SimpleNamespace(root=tmp_path, calls=calls, status=status, said=said)


def went_on(monkeypatch):
    """Call ensure from another Python; returns the command that it goes on with."""
    gone = []

    def execv(_, command):
        gone.append(command)
        raise SystemExit  # this Python would be no more

    monkeypatch.setattr(setup.os, "execv", execv)
    monkeypatch.setattr(sys, "orig_argv", ["python3", "-m", "tools.lab", "05"])
    with suppress(SystemExit):
        setup.ensure()
    return gone


def test_versions_of_python():
    for good in ((3, 11), (3, 12), (3, 13)):
        setup.check_python(good)
    for bad in ((2, 7), (3, 10), (3, 14)):
        with pytest.raises(SystemExit) as stop:
            setup.check_python(bad)
        this = ".".join(map(str, bad))
        said = rf"^The course needs Python 3.11 to 3.13, this is {this}: .*`make lab PYTHON="
        assert stop.match(said)
        assert "\n" not in str(stop.value)


def test_disk():
    setup.check_disk(9e9)
    with pytest.raises(SystemExit, match=r"^Installing needs 8 GB of disk, 2.5 GB are free in \S+$"):
        setup.check_disk(2.5e9)


def test_first_second_and_changed(checkout, monkeypatch):
    gone = went_on(monkeypatch)
    assert gone == [[str(setup.python()), "-m", "tools.lab", "05"]]
    made, pip = checkout.calls
    assert made[1:4] == ["-m", "venv", "--clear"]
    assert pip[:4] == [str(setup.python()), "-m", "pip", "install"]
    assert pip[5:9] == ["-e", ".[test,build]", "-c", "constraints.txt"]

    went_on(monkeypatch)  # nothing is done again
    assert len(checkout.calls) == 2

    (checkout.root / "constraints.txt").write_text("torch==2\n")
    went_on(monkeypatch)  # pip again, in the same environment
    assert len(checkout.calls) == 3 and "pip" in checkout.calls[2]


def test_an_interrupted_installation_is_resumed(checkout, monkeypatch):
    checkout.status["pip"] = 1
    with pytest.raises(SystemExit, match=r"^pip could not install the course, for the reason above"):
        setup.install()
    assert not setup.ready()

    packages = setup.VENV / "lib" / "python3.12" / "site-packages"
    for name, files in {"whole": ["INSTALLER", "RECORD"], "cut": ["METADATA", "RECORD"]}.items():
        (packages / f"{name}-1.dist-info").mkdir(parents=True)
        for file in files:
            (packages / f"{name}-1.dist-info" / file).touch()
    checkout.status["pip"] = 0
    went_on(monkeypatch)
    assert [p.name for p in packages.iterdir()] == ["whole-1.dist-info"]
    assert setup.ready() and sum("venv" in call for call in checkout.calls) == 1

    setup.python().unlink()  # the Python that made it was removed
    went_on(monkeypatch)
    assert sum("venv" in call for call in checkout.calls) == 2


def test_an_environment_that_has_everything_is_used(checkout, monkeypatch):
    monkeypatch.setattr(setup, "complete", lambda: True)
    assert went_on(monkeypatch) == [] and checkout.calls == []


def test_complete_reads_the_lists(checkout, monkeypatch):
    monkeypatch.undo()
    assert setup.complete()
    monkeypatch.setattr(setup, "ROOT", checkout.root)
    (checkout.root / "pyproject.toml").write_text(
        '[project]\ndependencies = ["numpy>=2"]\n'
        'optional-dependencies = {test = ["there-is-no-such-package"], build = []}\n'
    )
    assert not setup.complete()


@pytest.mark.parametrize(
    "said, reason",
    [
        (
            "The virtual environment was not created because ensurepip is not available.",
            "install python3-venv",
        ),
        ("Error: [Errno 13] Permission denied: '/x/.venv'", r"\[Errno 13\] Permission denied"),
        ("Error: [Errno 28] No space left on device\n", r"\[Errno 28\] No space left on device$"),
        ("", "it gave no reason"),
    ],
)
def test_the_reason_given_is_the_reason_there_was(checkout, said, reason):
    checkout.status["venv"], checkout.said["venv"] = 1, said
    with pytest.raises(SystemExit, match=f"could not be made: .*{reason}"):
        setup.install()


def test_an_environment_that_no_longer_works_is_repaired(checkout, monkeypatch):
    """A package removed by hand, or another Python below: the stamp alone is not believed."""
    went_on(monkeypatch)
    assert setup.ready() and len(checkout.calls) == 2
    monkeypatch.setattr(setup, "works", lambda code: "import pip" in code)
    assert not setup.ready()
    went_on(monkeypatch)
    assert len(checkout.calls) == 3 and "pip" in checkout.calls[2]  # in the same environment
    monkeypatch.setattr(setup, "works", lambda code: setup.python().exists())
    assert setup.ready()
    other = 12 if sys.version_info[1] == 13 else 13
    monkeypatch.setattr(sys, "version_info", (3, other, 1))
    assert not setup.ready()


def test_what_is_asked_of_an_environment_is_what_the_lists_say(monkeypatch):
    asked = []
    monkeypatch.setattr(setup, "works", lambda code: asked.append(code) or True)
    monkeypatch.setattr(setup, "STAMP", SimpleNamespace(exists=lambda: True, read_text=setup.wanted))
    monkeypatch.setattr(setup, "python", lambda: setup.ROOT)
    assert setup.ready()
    exec(asked[0], {})  # this Python has them all
    with pytest.raises(Exception, match="there-is-no-such"):
        exec(asked[0].replace("'torch'", "'there-is-no-such'"), {})


def test_a_taken_port_is_said():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(SystemExit, match=f"^Port {port} is taken: `make lab PORT={port + 1}`"):
            lab.main(["--port", str(port)])
    assert lab.free(port)


def test_lab_without_the_notebook_says_what_there_is():
    with pytest.raises(SystemExit, match="No notebook is called '77_x'; there are: "):
        lab.main(["77_x", "--port", "0"])


def test_each_target_is_one_line_that_works_without_make():
    text = (run.ROOT / "Makefile").read_text()
    targets = re.findall(r"(?m)^(\w+):.*\n((?:\t.*\n?)*)", text)
    assert [name for name, _ in targets] == re.findall(r"(?m)^\.PHONY: (.*)$", text)[0].split()
    for name, recipe in targets:
        (line,) = recipe.splitlines()
        assert f"{line} ".startswith(f"\t@$(PYTHON) -m tools.{name} ")
        assert (run.ROOT / "tools" / f"{name}.py").exists()
