"""python -m tools.run [00]: execute a notebook without a browser, into build/NAME.html."""

import argparse
import os
import queue
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import psutil
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from tqdm import tqdm

from helpers.files import check_writable, write_text
from tools.page import page

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
WIDGET = "application/vnd.jupyter.widget-view+json"


class CellFailed(Exception):
    """A cell raised, ran out of time or took the kernel with it; the message names the cell."""


@dataclass
class Record:
    """What a run took: seconds by cell index, and the kernel's peak memory in bytes."""

    seconds: dict[int, float] = field(default_factory=dict)
    peak: int = 0


def find(name):
    """The notebook that a number, a name or a path means; raises FileNotFoundError, and never guesses.

    "05", "ddpm" and "05_ddpm" are the lecture, "homework/05" is its homework; a path, also from the notebooks
    folder, is that file.
    """
    for path in (Path(name), NOTEBOOKS / name):
        if path.suffix == ".ipynb" and path.is_file():
            return path
    folder, _, last = str(name).replace("\\", "/").rpartition("/")
    there = {path.stem: path for path in sorted((NOTEBOOKS / folder).glob("[0-9]*.ipynb"))}
    found = [path for stem, path in there.items() if last in (stem, stem[:2], stem[3:])]
    if not found:
        names = ", ".join(there) or "none yet"
        raise FileNotFoundError(f"No notebook is called {str(name)!r}; there are: {names}.")
    return found[0]


def page_of(path):
    """The name of a notebook's page: homework and solutions have pages of their own."""
    folder, home = path.resolve().parent, NOTEBOOKS.resolve()
    return f"{folder.name}-{path.stem}" if home in folder.parents else path.stem


def execute(nb, folder, title="", timeout=600, **environment):
    """Run every cell of nb in a fresh kernel, outputs into nb, with a progress bar.

    The kernel works in `folder`; environment is added to its own. Returns a Record. Raises CellFailed.
    """
    env = {**os.environ, "TQDM_DISABLE": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1", **environment}
    env.pop("MPLBACKEND", None)  # a backend from outside would keep the pictures away
    client = NotebookClient(
        nb,
        timeout=timeout,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        extra_arguments=["--IPKernelApp.log_level=40"],  # no warning about loopback TCP
        record_timing=False,
        coalesce_streams=True,
    )
    cells = [i for i, cell in enumerate(nb.cells) if cell.cell_type == "code"]
    record = Record()
    with client.setup_kernel(env=env):
        _watch_memory(client.km.provisioner.pid, record)
        for channel in (client.kc.shell_channel, client.kc.iopub_channel):
            channel.get_msg = look_again(channel.get_msg)
        for i in tqdm(cells, title, unit="cell", dynamic_ncols=True):
            started = time.perf_counter()
            try:
                client.execute_cell(nb.cells[i], i)
            except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
                raise CellFailed(_sentence(nb, i, error, timeout)) from None
            record.seconds[i] = time.perf_counter() - started
            _freeze_widgets(nb.cells[i], client)
    return record


def look_again(get_msg, seconds=1.0):
    """get_msg of a channel that looks anew each second, and does not only wait to be woken.

    On a busy machine an asyncio socket may miss that a message came, and its cell would stand still for
    good though kernel and answer are there.
    """

    async def patient(timeout=None):
        end = float("inf") if timeout is None else time.monotonic() + timeout
        while True:
            try:
                return await get_msg(timeout=max(min(seconds, end - time.monotonic()), 0))
            except queue.Empty:
                if time.monotonic() >= end:
                    raise

    return patient


def first_line(cell):
    """A cell's first line that is not a comment, to name it by."""
    lines = [line for line in cell.source.splitlines() if line.strip()]
    return next((line for line in lines if not line.startswith("#")), (lines or [""])[0])


def run(path, out=ROOT / "build"):
    """Execute one notebook file and write its page into `out`; returns page and Record."""
    check_writable(out)  # before the work, not after it
    nb = nbformat.read(path, as_version=4)
    record = execute(nb, path.parent, path.stem)
    html = out / f"{page_of(path)}.html"
    write_text(html, page(nb, path))
    for i in sorted(record.seconds, key=record.seconds.get, reverse=True)[:5]:
        print(f"{record.seconds[i]:7.1f} s  cell {i + 1}: {first_line(nb.cells[i])}")
    minutes = sum(record.seconds.values()) / 60
    print(f"{minutes:.1f} minutes, peak memory {record.peak / 2**30:.1f} GB")
    return html, record


def main(arguments=None):
    """Run the notebook asked for; the exit status is 1 if a cell failed."""
    parser = argparse.ArgumentParser(prog="python -m tools.run", description=__doc__)
    parser.add_argument("notebook", nargs="?", default="00", help="number, name or path")
    parser.add_argument("--out", type=Path, default=ROOT / "build", help="folder for the page")
    args = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):  # a log in an old encoding must not cost the page
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        html, _ = run(find(args.notebook), args.out)
    except (CellFailed, OSError) as error:
        sys.exit(str(error))
    print("wrote", os.path.relpath(html))


def _sentence(nb, index, error, timeout):
    cell = nb.cells[index]
    if isinstance(error, CellExecutionError):
        what = f"{error.ename}: {error.evalue}".removesuffix(": ")
    elif isinstance(error, CellTimeoutError):
        what = f"not done after {timeout} s"
    else:
        what = "the kernel died (out of memory?)"
    where = f"cell {index + 1} of {len(nb.cells)} (id {cell.get('id', '?')})"
    return f"Failed: {where}, `{first_line(cell)}`: {what}"


def _watch_memory(pid, record):
    """Keep record.peak at the largest memory that the kernel and its children have had."""

    def watch():
        kernel = psutil.Process(pid)
        while kernel.is_running():
            with suppress(psutil.NoSuchProcess):  # a child that has just ended
                family = [kernel, *kernel.children(recursive=True)]
                record.peak = max(record.peak, sum(p.memory_info().rss for p in family))
            time.sleep(0.2)

    threading.Thread(target=watch, daemon=True).start()


def _freeze_widgets(cell, client):
    """Where a slider would be stored, store what it shows; drop progress bars: both are dead."""
    still = []
    for output in cell.get("outputs", []):
        if WIDGET not in output.get("data", {}):
            still.append(output)
            continue
        family = list(_family(output.data[WIDGET]["model_id"], client.widget_state))
        kinds = [client.widget_state.get(model, {}).get("_model_name", "") for model in family]
        if any(kind.endswith("ProgressModel") for kind in kinds):
            continue
        text = {"text/plain": "(run this cell to get its controls)"}
        still.append(nbformat.v4.new_output("display_data", text))
        for model in family:
            still.extend(getattr(client.comm_objects.get(model), "outputs", []))
    if "outputs" in cell:
        cell.outputs = still


def _family(model, state):
    """The id of a widget and of all widgets within it."""
    yield model
    for child in state.get(model, {}).get("children", []):
        yield from _family(child.removeprefix("IPY_MODEL_"), state)


if __name__ == "__main__":
    main()
