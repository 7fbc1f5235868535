"""Running a notebook without a browser, on tiny notebooks."""

import asyncio
import queue
import re
import time

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools import run

PLOT = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()"
SLIDER = """\
from ipywidgets import IntSlider, interact
interact(lambda t: print("now", t), t=IntSlider(3, 0, 10));"""
BAR = "from tqdm.notebook import tqdm\nlist(tqdm(range(3)));"


@pytest.fixture
def write(tmp_path):
    def write(*code):
        cells = [new_markdown_cell("# Tiny"), *map(new_code_cell, code)]
        path = tmp_path / "07_tiny.ipynb"
        nbformat.write(new_notebook(cells=cells), path)
        return path

    return write


def test_a_page_with_the_picture(write, tmp_path, capsys):
    path = write("x = 1\n", "# draw\n" + PLOT, SLIDER, BAR)
    run.main([str(path), "--out", str(tmp_path / "out")])
    page = (tmp_path / "out" / "07_tiny.html").read_text()
    assert page.count('src="data:image/png;base64,') == 1
    assert "now 3" in page and "(run this cell to get its controls)" in page
    assert not re.findall(r"""(?:src|href)=["']?https?:""", page)  # nothing is asked for
    said = capsys.readouterr().out
    assert "cell 3: import matplotlib.pyplot as plt" in said
    assert "minutes, peak memory 0." in said and "wrote" in said


def test_answers_stay_folded_on_the_page(tmp_path):
    """What stands between <details> and </details> is inside, also with formulas and lists."""
    fold = (
        "<details><summary>Answer</summary>\n\nSo $x$ is **right**:\n\n- one\n- two\n\n</details>\n\nAfter."
    )
    path = tmp_path / "07_tiny.ipynb"
    nbformat.write(new_notebook(cells=[new_markdown_cell(f"# Tiny\n\n{fold}"), new_code_cell("1")]), path)
    run.main([str(path), "--out", str(tmp_path)])
    page = (tmp_path / "07_tiny.html").read_text("utf-8")
    (inside,) = re.findall(r"(?s)<details>(.*?)</details>", page)
    assert "right" in inside and "two" in inside and "After" not in inside
    assert "<mi>x</mi>" in inside and "$" not in inside


def test_what_is_stored_in_place_of_widgets(write):
    nb = nbformat.read(write(SLIDER, BAR), as_version=4)
    run.execute(nb, ".")
    slider, bar = nb.cells[1:]
    kinds = [o.get("text") or o.data["text/plain"] for o in slider.outputs]
    assert kinds == ["(run this cell to get its controls)", "now 3\n"]
    assert bar.outputs == []


@pytest.mark.parametrize(
    "code, said",
    [
        ("y = 2\nx = 1 / 0", "ZeroDivisionError: division by zero"),
        ("y = 2\nimport os\nos._exit(1)", r"the kernel died \(out of memory\?\)"),
    ],
)
def test_a_failing_cell_is_named(write, tmp_path, code, said, capsys):
    path = write("x = 1", "# a comment\n" + code, "print('not reached')")
    with pytest.raises(SystemExit) as stop:
        run.main([str(path), "--out", str(tmp_path / "out")])
    name = nbformat.read(path, as_version=4).cells[2].id
    assert stop.match(rf"^Failed: cell 3 of 4 \(id {name}\), `y = 2`: {said}$")
    assert not (tmp_path / "out").exists()
    assert "Traceback" not in capsys.readouterr().err


def test_a_cell_that_takes_too_long_is_named(write):
    nb = nbformat.read(write("import time", "time.sleep(30)"), as_version=4)
    with pytest.raises(run.CellFailed, match=r"cell 3 .*`time.sleep\(30\)`: not done after 1 s"):
        run.execute(nb, ".", timeout=1)


def test_memory_is_that_of_the_kernel(write):
    nb = nbformat.read(
        write("import time\nx = bytes(10)", "x = b'1' * 300_000_000\ntime.sleep(1)\ndel x\ntime.sleep(1)"), 4
    )
    record = run.execute(nb, ".")
    assert 0.3e9 < record.peak < 1e9
    assert record.seconds[2] > 1 > record.seconds[1]


def test_find(monkeypatch, tmp_path):
    monkeypatch.setattr(run, "NOTEBOOKS", tmp_path)
    with pytest.raises(FileNotFoundError, match="No notebook is called '00'; there are: none yet"):
        run.find("00")
    for name in ("00_start", "05_ddpm"):
        (tmp_path / f"{name}.ipynb").touch()
    assert run.find("05").name == run.find("05_ddpm").name == "05_ddpm.ipynb"
    with pytest.raises(FileNotFoundError, match="called '07'; there are: 00_start, 05_ddpm"):
        run.find("07")


class Deaf:
    """A channel that sees what is there when it is asked, and is not woken by what comes later."""

    def __init__(self):
        self.messages = []

    async def get_msg(self, timeout=None):
        if not self.messages:
            await asyncio.sleep(60 if timeout is None else timeout)
            raise queue.Empty
        return self.messages.pop()


def test_a_message_whose_arrival_was_missed_is_found():
    async def wait(channel, timeout):
        get_msg = run.look_again(channel.get_msg, seconds=0.05)
        asyncio.get_running_loop().call_later(0.02, channel.messages.append, "answer")
        return await asyncio.wait_for(get_msg(timeout=timeout), 5)

    assert asyncio.run(wait(Deaf(), None)) == asyncio.run(wait(Deaf(), 3)) == "answer"


def test_no_message_is_still_no_message():
    started = time.monotonic()
    with pytest.raises(queue.Empty):
        asyncio.run(run.look_again(Deaf().get_msg, seconds=0.05)(timeout=0.2))
    assert 0.2 <= time.monotonic() - started < 2


def test_a_name_means_one_notebook_or_none(monkeypatch, tmp_path):
    """Homework is not answered with the lecture, nor a path that is not there with anything."""
    monkeypatch.setattr(run, "NOTEBOOKS", tmp_path)
    for name in ("02_forward", "homework/02_forward", "solutions/02_forward", "10_ddim"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.ipynb").touch()
    for name, wanted in {
        "02": "02_forward",
        "forward": "02_forward",
        "homework/02": "homework/02_forward",
        "homework/02_forward.ipynb": "homework/02_forward",
        str(tmp_path / "solutions/02_forward.ipynb"): "solutions/02_forward",
    }.items():
        assert run.find(name) == tmp_path / f"{wanted}.ipynb", name
    for name in (
        "notebooks/none.ipynb",
        "homework/02_backward.ipynb",
        "/no/where/02_forward.ipynb",
        "0",
        "02_",
    ):
        with pytest.raises(FileNotFoundError, match="No notebook is called"):
            run.find(name)
    pages = [run.page_of(run.find(name)) for name in ("02", "homework/02", "solutions/02")]
    assert pages == ["02_forward", "homework-02_forward", "solutions-02_forward"]


def test_a_folder_that_cannot_be_written_is_named_before_the_work(write, tmp_path):
    (tmp_path / "file").write_text("no folder")
    begun = tmp_path / "begun"
    path = write(f"open({str(begun)!r}, 'w')")
    with pytest.raises(SystemExit, match="cannot be written .*: choose another place"):
        run.main([str(path), "--out", str(tmp_path / "file" / "out")])
    assert not begun.exists()


def test_an_old_encoding_does_not_cost_the_page(write, tmp_path):
    import os
    import subprocess
    import sys

    path = write("print('ε ✅')", "x = '→'")
    command = [sys.executable, "-m", "tools.run", str(path), "--out", str(tmp_path / "öut")]
    env = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    done = subprocess.run(command, cwd=run.ROOT, env=env, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "ε ✅" in (tmp_path / "öut" / "07_tiny.html").read_text("utf-8")
