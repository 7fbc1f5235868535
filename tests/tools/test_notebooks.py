"""Only what changed is executed again; no path of a machine is stored."""

import json
import re

import nbformat
import pytest

from tools import build, notebooks


def test_only_what_changed_is_executed_again(scratch, capsys):
    path, text = build.target(scratch), scratch.read_text()
    with pytest.raises(SystemExit, match="0"):
        notebooks.main([])
    assert re.search(r"01_scratch.ipynb: \d+ s, 0.0\d MB", capsys.readouterr().out)
    first = path.read_bytes()
    with pytest.raises(SystemExit, match="0"):
        notebooks.main([])
    assert "up to date" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="0"):
        notebooks.main(["--force", "01"])
    assert "up to date" not in capsys.readouterr().out
    assert path.read_bytes() == first  # seeded: the pictures too

    nb = json.loads(first)
    assert nb["metadata"] == build.METADATA
    assert "execution" not in nb["cells"][2]["metadata"]
    data = nb["cells"][2]["outputs"][-1]["data"]
    assert data["image/png"].startswith("iVBOR")

    build.write(build.build(scratch), path)
    assert not notebooks.up_to_date(scratch)  # it was not executed
    path.write_bytes(first)
    assert notebooks.up_to_date(scratch)
    scratch.write_text(text + "# and more\n")
    assert not notebooks.up_to_date(scratch)
    assert notebooks.carried(scratch) is None  # the last cell is code: it has to run again
    scratch.write_text(text.replace("# %% [markdown]\n", "# %% [markdown]\n# New prose.\n", 1))
    with pytest.raises(SystemExit, match="0"):
        notebooks.main([])
    assert "not executed again" in capsys.readouterr().out
    prose = json.loads(path.read_bytes())
    assert any("New prose." in "".join(c["source"]) for c in prose["cells"])
    assert [c.get("outputs") for c in prose["cells"]] == [c.get("outputs") for c in nb["cells"]]
    path.write_bytes(first)
    scratch.write_text(text + "\n# %%\n1 / 0\n")
    with pytest.raises(SystemExit, match="1"):
        notebooks.main([])
    assert "01_scratch.py: Failed: cell 6 of 6" in capsys.readouterr().err
    assert path.read_bytes() == first  # the good one is kept


def test_a_path_of_this_machine_is_not_stored(scratch, monkeypatch):
    output = nbformat.v4.new_output("stream", text=f"in {build.ROOT}/data\n")
    notebooks._hide_machine(output, "here")
    assert output.text == "in data\n"
    monkeypatch.undo()
    for text in ("see /home/me/x.png", r"C:\Users\me", "'/tmp/ipykernel_1/2.py:3: Warning'"):
        output = nbformat.v4.new_output("display_data", {"text/plain": text})
        with pytest.raises(ValueError, match="cell 3 stores a path of this machine: "):
            notebooks._hide_machine(output, "cell 3")
    fine = nbformat.v4.new_output("stream", text="https://host/home/x and a/tmp/b, 1/opt")
    notebooks._hide_machine(fine, "here")
