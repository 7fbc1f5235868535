"""The build, and every built notebook against its source and the rules for notebooks."""

import json
import re

import nbformat
import pytest

from tools import notebooks

SOURCE = """\
# %% [markdown]
# # A title
# {{badge}}

# %% tags=["setup"]
from helpers import course

course.setup(minutes={"cpu": 3, "gpu": 1})

# %%
import matplotlib.pyplot as plt
import torch

print(torch.randn(2), course.ROOT / "data")
plt.plot(torch.randn(5))
plt.show()

# %%
print("the same")


# %%
print("the same")
"""
built = pytest.mark.parametrize("source", notebooks.sources(), ids=lambda source: source.stem)
PICTURES = ("image/png", "image/jpeg", "image/svg+xml")


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """A source of our own in a folder that looks like the checkout."""
    (tmp_path / "notebooks" / "source").mkdir(parents=True)
    (tmp_path / "helpers").symlink_to(notebooks.ROOT / "helpers")
    (tmp_path / "pyproject.toml").symlink_to(notebooks.ROOT / "pyproject.toml")
    for name, path in {"ROOT": "", "NOTEBOOKS": "notebooks", "SOURCE": "notebooks/source"}.items():
        monkeypatch.setattr(notebooks, name, tmp_path / path)
    monkeypatch.setattr(notebooks, "README", tmp_path / "README.md")
    monkeypatch.setattr(notebooks, "MACHINE", re.compile("/never"))  # helpers are a link here
    source = tmp_path / "notebooks" / "source" / "01_scratch.py"
    source.write_text(SOURCE)
    return source


def test_two_builds_are_the_same_bytes(scratch):
    one, two = (nbformat.writes(notebooks.build(scratch)) for _ in range(2))
    assert one == two
    ids = [cell.id for cell in notebooks.build(scratch).cells]
    assert len(set(ids)) == len(ids) == 5
    assert {key for cell in notebooks.build(scratch).cells for key in cell.metadata} == {"tags"}

    scratch.write_text(SOURCE.replace("# %%\nprint", "# %%\nx = 1\n\n# %%\nprint", 1))
    more = [cell.id for cell in notebooks.build(scratch).cells]
    assert len(more) == 6 and [i for i in more if i in ids] == ids


def test_only_what_changed_is_executed_again(scratch, capsys):
    path = notebooks.target(scratch)
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
    assert nb["metadata"] == notebooks.METADATA
    assert "execution" not in nb["cells"][2]["metadata"]
    data = nb["cells"][2]["outputs"][-1]["data"]
    assert data["image/png"].startswith("iVBOR")

    notebooks.write(notebooks.build(scratch), path)
    assert not notebooks.up_to_date(scratch)  # it was not executed
    path.write_bytes(first)
    assert notebooks.up_to_date(scratch)
    scratch.write_text(SOURCE + "# and more\n")
    assert not notebooks.up_to_date(scratch)
    assert notebooks.carried(scratch) is None  # the last cell is code: it has to run again
    scratch.write_text(SOURCE.replace("# %% [markdown]\n", "# %% [markdown]\n# New prose.\n", 1))
    with pytest.raises(SystemExit, match="0"):
        notebooks.main([])
    assert "not executed again" in capsys.readouterr().out
    prose = json.loads(path.read_bytes())
    assert any("New prose." in "".join(c["source"]) for c in prose["cells"])
    assert [c.get("outputs") for c in prose["cells"]] == [c.get("outputs") for c in nb["cells"]]
    path.write_bytes(first)
    scratch.write_text(SOURCE + "\n# %%\n1 / 0\n")
    with pytest.raises(SystemExit, match="1"):
        notebooks.main([])
    assert "01_scratch.py: Failed: cell 6 of 6" in capsys.readouterr().err
    assert path.read_bytes() == first  # the good one is kept


def test_a_path_of_this_machine_is_not_stored(scratch, monkeypatch):
    output = nbformat.v4.new_output("stream", text=f"in {notebooks.ROOT}/data\n")
    notebooks._hide_machine(output, "here")
    assert output.text == "in data\n"
    monkeypatch.undo()
    for text in ("see /home/me/x.png", r"C:\Users\me", "'/tmp/ipykernel_1/2.py:3: Warning'"):
        output = nbformat.v4.new_output("display_data", {"text/plain": text})
        with pytest.raises(ValueError, match="cell 3 stores a path of this machine: "):
            notebooks._hide_machine(output, "cell 3")
    fine = nbformat.v4.new_output("stream", text="https://host/home/x and a/tmp/b, 1/opt")
    notebooks._hide_machine(fine, "here")


def test_the_readme_gets_links_for_the_sessions_that_exist(scratch):
    notebooks.target(scratch).touch()
    table = "| 01 | scratch | what it says | |\n| 02 | [later](old) | more | old |\n"
    figures = "| 01 | 3 min | 1 min | 2 GB |\n"
    text = "git clone https://example.org/old\n<!-- sessions -->\n{}<!-- /sessions -->\n{}"
    new = notebooks.stamp_readme(text.format(table, figures))
    where = notebooks.address()
    assert f"git clone {where['address']}\n" in new
    link = "[scratch](notebooks/01_scratch.ipynb)"
    assert f"| 01 | {link} | what it says | [![Open In Colab](" in new
    assert f"/blob/{where['tag']}/notebooks/01_scratch.ipynb) |\n" in new
    assert "| 02 | later | more | |\n" in new and new.endswith(figures)
    assert notebooks.stamp_readme(new) == new


def test_the_readme_is_what_the_build_makes_of_it():
    text = notebooks.README.read_text(encoding="utf-8")
    assert notebooks.stamp_readme(text) == text
    table = text.split("<!-- sessions -->")[1].split("<!-- /sessions -->")[0]
    assert re.findall(r"(?m)^\| (\d\d) \|", table) == [f"{n:02}" for n in range(20)]


def test_the_address_stands_in_one_place():
    kinds = ("*.py", "*.toml", "*.yml", "Makefile")
    files = [p for kind in kinds for p in notebooks.ROOT.glob(kind)]
    files += [p for d in ("tools", "helpers", "tests") for p in notebooks.ROOT.glob(f"{d}/*.py")]
    address = notebooks.address()["address"]
    assert [p.name for p in files if address in p.read_text("utf-8")] == ["pyproject.toml"]


@built
def test_built_is_what_the_source_says(source):
    nb = nbformat.read(notebooks.target(source), as_version=4)
    assert notebooks.same(nb, notebooks.build(source)), "run `make notebooks`"
    assert nb.metadata == notebooks.METADATA
    assert notebooks.badge(f"notebooks/{source.stem}.ipynb") in nb.cells[0].source


@built
def test_stored_outputs(source):
    path = notebooks.target(source)
    assert path.stat().st_size <= 0.65e6
    nb = nbformat.read(path, as_version=4)
    for number, cell in enumerate(nb.cells, 1):
        if cell.cell_type != "code":
            continue
        where = f"cell {number}: {cell.source[:60]!r}"
        kinds = [kind for o in cell.outputs for kind in o.get("data", {})]
        assert cell.execution_count, where
        assert not any("widget" in kind for kind in kinds), where
        assert not any(o.output_type == "error" for o in cell.outputs), where
        if re.search(r"(?m)^(plt\.show|show_images|filmstrip)\(", cell.source):
            assert any(kind in PICTURES for kind in kinds), where
        for output in cell.outputs:
            text = json.dumps({k: v for k, v in output.get("data", {}).items() if "image" not in k})
            assert not notebooks.MACHINE.search(output.get("text", "") + text), where


@built
def test_cells_fit_a_projector(source):
    for number, cell in enumerate(notebooks.build(source).cells, 1):
        if cell.cell_type == "code":
            lines = cell.source.splitlines()
            assert len(lines) <= 25, f"cell {number} has {len(lines)} lines"
            wide = [line for line in lines if len(line) > 88]
            assert not wide, f"cell {number}: {wide}"


def test_nothing_was_built_without_a_source():
    there = {path.stem for path in notebooks.NOTEBOOKS.glob("*.ipynb")}
    assert there == {source.stem for source in notebooks.sources()}
