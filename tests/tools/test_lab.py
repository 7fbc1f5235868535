"""The command that opens JupyterLab: its port, and what of the surroundings does not leak in."""

import os

import pytest

from tools import lab


@pytest.mark.parametrize("port", ["-1", "65536", "99999", "x", "8888.5"])
def test_a_port_that_does_not_exist_is_named(port, capsys):
    with pytest.raises(SystemExit):
        lab.main(["00", f"--port={port}"])
    assert "argument --port: invalid port value" in capsys.readouterr().err


def test_a_backend_of_the_shell_does_not_keep_the_pictures_away(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setattr(lab, "become", lambda command: None)
    monkeypatch.setattr(lab, "free", lambda port: True)
    monkeypatch.setattr(lab.work, "fill", list)
    lab.main(["00"])
    assert "MPLBACKEND" not in os.environ
