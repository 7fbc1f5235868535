"""The set-up cell, alone in an empty folder, as Colab and a laptop would meet it."""

import shutil
import subprocess
from types import SimpleNamespace

import jupytext
import pytest

from tools import build, run

ROOT = build.ROOT
SOURCE = """\
# %% [markdown]
# # A notebook on its own

# %% tags=["setup"]
from helpers import course

course.setup(minutes={"cpu": 3, "gpu": 1})

# %%
print("root", course.ROOT)
"""


@pytest.fixture(scope="module")
def nb(tmp_path_factory):
    source = tmp_path_factory.mktemp("source") / "01_alone.py"
    source.write_text(SOURCE)
    return build.build(source)


@pytest.fixture
def place(tmp_path):
    """An empty folder, an address to clone from, and a stand-in for Colab."""
    work, bare = tmp_path / "work", tmp_path / "course.git"
    shutil.copytree(ROOT / "helpers", work / "helpers")
    shutil.copy(ROOT / "pyproject.toml", work)
    name = ["-c", "user.name=Test", "-c", "user.email=test@localhost"]
    for step in (
        ["init", "-q"],
        ["add", "."],
        [*name, "commit", "-q", "-m", "The course"],
        ["clone", "-q", "--bare", work, bare],
    ):
        subprocess.run(["git", *step], cwd=work, check=True)
    # Python imports sitecustomize before anything else, and Colab has google.colab loaded.
    colab = tmp_path / "colab"
    colab.mkdir()
    (colab / "sitecustomize.py").write_text(
        "import importlib.machinery, sys, types\n"
        "colab = sys.modules['google.colab'] = types.ModuleType('google.colab')\n"
        "colab.__spec__ = importlib.machinery.ModuleSpec('google.colab', None)  # some packages ask for it\n"
    )
    empty = tmp_path / "empty"
    empty.mkdir()
    return SimpleNamespace(empty=empty, bare=bare, colab={"PYTHONPATH": str(colab)})


def outputs(nb, folder, **environment):
    """All that the notebook prints when it is executed in this folder."""
    nb = nb.copy()
    run.execute(nb, folder, COURSE_PROFILE="smoke", **environment)
    texts = [o.get("text", "") for c in nb.cells for o in c.get("outputs", [])]
    return "".join(texts)


def test_colab_clones_once(nb, place):
    env = {"COURSE_REPO": place.bare.as_uri(), **place.colab}
    said = outputs(nb, place.empty, **env)
    clone = place.empty / "diffusion-course"
    assert f"root {clone}\n" in said
    assert "profile    smoke" in said and "about 3 min" in said
    assert (clone / "helpers/course.py").exists()

    place.bare.rename(place.bare.with_suffix(".gone"))  # a second clone would fail
    assert f"root {clone}\n" in outputs(nb, place.empty, **env)


def test_an_interrupted_clone_is_fetched_anew(nb, place):
    """An empty folder of the course's name, or half of it: put aside, and what is in it is kept."""
    env = {"COURSE_REPO": place.bare.as_uri(), **place.colab}
    clone = place.empty / "diffusion-course"
    (clone / "helpers").mkdir(parents=True)
    (clone / "mine.txt").write_text("a student's note")
    (place.empty / "diffusion-course.half").mkdir()
    assert f"root {clone}\n" in outputs(nb, place.empty, **env)
    (aside,) = place.empty.glob("diffusion-course.old-*")
    assert (aside / "mine.txt").read_text() == "a student's note"
    assert not (place.empty / "diffusion-course.half").exists()


def test_colab_without_the_address_says_so(nb, place):
    env = {"COURSE_REPO": "file:///there/is/nothing/here.git", **place.colab}
    with pytest.raises(run.CellFailed, match="RuntimeError: The course could not be fetched: .*"):
        outputs(nb, place.empty, **env)
    assert not (place.empty / "diffusion-course").exists()


def test_local_finds_the_checkout_above(nb, place):
    checkout = place.empty / "checkout"
    deep = checkout / "notebooks" / "homework"
    deep.mkdir(parents=True)
    shutil.copytree(ROOT / "helpers", checkout / "helpers")
    shutil.copy(ROOT / "pyproject.toml", checkout)
    assert f"root {checkout}\n" in outputs(nb, deep)


def test_local_alone_says_what_to_clone(nb, place):
    address = build.address()["address"]
    with pytest.raises(run.CellFailed, match=f"The course is not here: git clone {address}"):
        outputs(nb, place.empty)
    assert not any(place.empty.iterdir())


def test_the_cell_stays_short_and_alike(nb, tmp_path):
    cell = nb.cells[1].source
    assert len(cell.splitlines()) <= 25
    assert max(map(len, cell.splitlines())) <= 88
    assert "{{" not in cell

    without = tmp_path / "02_without.py"
    without.write_text("# %%\nprint(1)\n")
    with pytest.raises(ValueError, match="02_without.py needs exactly one cell tagged `setup`"):
        build.build(without)


def test_every_source_adds_only_its_minutes():
    lines = "from helpers import course\n\ncourse.setup(minutes={{minutes}})"
    for source in build.sources():
        cells = jupytext.read(source, fmt="py:percent").cells
        (cell,) = [c for c in cells if "setup" in c.metadata.get("tags", [])]
        assert cell.source == lines, source.name
