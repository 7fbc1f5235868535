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
    assert re.findall(r"<script[^>]* src=", page) == ['<script async="" src=']  # the page does not wait
    assert page.count('<p hidden="" id="formulas">') == 1
    said = capsys.readouterr().out
    assert "cell 3: import matplotlib.pyplot as plt" in said
    assert "minutes, peak memory 0." in said and "wrote" in said


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
