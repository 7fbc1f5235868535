"""JupyterLab in Chromium: run all, move a slider by keyboard, see the picture change."""

import os
import secrets
import shutil
import socket
import subprocess
import time
import urllib.request

import nbformat
import pytest

from tools import build, lab, run
from tools.page import page as page_of

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]
# What reaches beyond the window and does not stand in a box in which it can be moved.
CUT_OFF = """() => [...document.querySelectorAll("p, pre, table, img, math, li, h1, h2, h3, summary")]
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1)
    .filter(e => { for (let b = e; b; b = b.parentElement)
                     if (["auto", "scroll"].includes(getComputedStyle(b).overflowX)) return false;
                   return true; })
    .map(e => e.tagName + ": " + e.textContent.slice(0, 40))"""
TINY = """\
from ipywidgets import IntSlider, interact
import matplotlib.pyplot as plt
def draw(t):
    plt.figure(figsize=(2, 2))
    plt.plot([0, t])
    plt.show()
interact(draw, t=IntSlider(2, 0, 10, continuous_update=False));"""


def a_notebook(folder):
    """The first lecture with its helpers, or, until there is one, a tiny notebook."""
    (folder / "notebooks").mkdir()
    path = folder / "notebooks" / "00_start_here.ipynb"
    real = run.NOTEBOOKS / path.name
    if real.exists():
        shutil.copy(real, path)
        shutil.copy(run.ROOT / "pyproject.toml", folder)
        for name in ("helpers", "data"):
            (folder / name).symlink_to(run.ROOT / name)
    else:
        cell = nbformat.v4.new_code_cell(TINY)
        nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata=build.METADATA), path)
    return path


@pytest.fixture
def server(tmp_path, monkeypatch):
    """JupyterLab as `make lab` starts it, on a copy, for somebody who never used it before: url and log."""
    notebook = a_notebook(tmp_path)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    env = {**os.environ, "COURSE_PROFILE": "smoke", "HF_HUB_OFFLINE": "1", "JUPYTER_TOKEN": token}
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR"):
        env[name] = str(tmp_path / name.lower())
    env |= {"JUPYTER_RUNTIME_DIR": str(tmp_path / "run"), "IPYTHONDIR": str(tmp_path / "ipython")}
    log = tmp_path / "lab.log"
    with log.open("w") as out:
        command = [*lab.command(notebook, port), "--no-browser"]
        process = subprocess.Popen(command, env=env, stdout=out, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{url}/api/status?token={token}", timeout=2).close()
                break
            except OSError:
                assert process.poll() is None, log.read_text()
                time.sleep(0.5)
        yield f"{url}/lab/tree/{notebook.name}?token={token}&reset", log
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def play():
    """Playwright, where it and a browser are there."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium here: apt-get install chromium")
    with api.sync_playwright() as started:
        yield started


@pytest.mark.parametrize("name", ["07_inpainting", "10_ddim"])
def test_a_page_can_be_read_on_a_telephone_without_a_network(play, tmp_path, name):
    """Nothing is cut off at 390 px, answers are folded, formulas are set and no line asks for a script."""
    notebook = run.NOTEBOOKS / f"{name}.ipynb"
    file = tmp_path / "page.html"
    file.write_text(page_of(nbformat.read(notebook, 4), notebook), "utf-8")
    browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    context = browser.new_context(viewport={"width": 390, "height": 844}, offline=True)
    page, asked = context.new_page(), []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.evaluate(CUT_OFF) == []
    folded = page.evaluate("[...document.querySelectorAll('details')].map(d => [d.open, d.innerText.length])")
    assert folded and not any(opened for opened, _ in folded)
    hidden = page.evaluate("[...document.querySelectorAll('details')].map(d => d.textContent.length)")
    assert min(hidden) > 40  # the answer is inside, not below
    assert page.locator("math").count() > 50 and page.get_by_text("$", exact=True).count() == 0
    assert (
        page.evaluate(
            "Math.min(...[...document.querySelectorAll('math')].filter(m => !m.closest('details'))"
            ".map(m => m.getBoundingClientRect().width))"
        )
        > 1
    )
    badge = "https://colab.research.google.com/assets/"
    assert [u for u in asked if not u.startswith(("file:", "data:", badge))] == []
    browser.close()


def test_run_all_and_move_a_slider(play, server, tmp_path):
    url, log = server
    context = play.chromium.launch_persistent_context(
        str(tmp_path / "chromium"),
        executable_path=CHROMIUM,
        headless=True,
        args=FLAGS,
        viewport={"width": 1200, "height": 900},
    )
    context.set_default_timeout(120_000)
    page = context.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(url)
    page.wait_for_selector(".jp-NotebookPanel .jp-Cell")
    # The status bar; the notebook's own sign says idle before there is a kernel.
    idle = page.get_by_text("Python 3 (ipykernel) | Idle")
    idle.wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()

    # A notebook shows only the cells near the window, so look for the first slider.
    widget = page.locator(".widget-interact").filter(has=page.locator(".noUi-handle")).first
    scroll_to(page, widget)
    widget.locator("img").first.wait_for()
    idle.wait_for()
    before = widget.locator("img").first.get_attribute("src")
    handle = widget.locator(".noUi-handle").first
    handle.focus()
    for _ in range(3):
        handle.press("ArrowRight")
    page.wait_for_function(
        "([node, old]) => { const i = node.querySelector('img'); return i && i.src != old }",
        arg=[widget.element_handle(), before],
    )
    assert widget.locator("img").first.get_attribute("src") != before
    assert page.locator('[data-mime-type="application/vnd.jupyter.stderr"]').count() == 0
    assert page.get_by_text("get notified").count() == 0  # a question over the lower right corner
    assert page.locator(".Toastify__toast").count() == 0
    context.close()
    # the badge under the title is the one picture that comes from elsewhere; without a network it stays away
    allowed = ("data:", "blob:", "https://colab.research.google.com/assets/")
    outside = [u for u in asked if "127.0.0.1" not in u and not u.startswith(allowed)]
    assert outside == []
    assert "Traceback" not in log.read_text()


def scroll_to(page, widget):
    """Scroll down the notebook until the widget is there."""
    for _ in range(240):
        if widget.count():
            widget.scroll_into_view_if_needed()
            return
        page.mouse.move(600, 500)
        page.mouse.wheel(0, 400)
        page.wait_for_timeout(500)
    raise AssertionError("no slider came up")
