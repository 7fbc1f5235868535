"""A notebook with every code cell two times in a row and every slider moved: what one execution can tell."""

import copy
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell

# A GPU is pretended: where a lecture mixes devices, its cell fails here and not before a class.
STANDIN = "from tools import standin\n\nstandin.install();"
# Runs in the kernel. `interactive` itself would show an exception and go on, so its function is called.
BEGIN = """\
def _boxes():
    import sys

    widgets = sys.modules.get("ipywidgets.widgets.widget")
    return dict(widgets._instances) if widgets else {}


def _move(known, most=7):
    from matplotlib import pyplot

    for model, box in _boxes().items():
        controls = [] if model in known else getattr(box, "kwargs_widgets", [])
        for control in controls:
            if hasattr(control, "options"):
                values = list(control.options)
            else:
                count = round((control.max - control.min) / control.step)
                values = [control.min + i * control.step for i in range(count + 1)]
            gaps = min(most, len(values)) - 1
            for value in {values[round(k * (len(values) - 1) / max(gaps, 1))]: 0 for k in range(gaps + 1)}:
                box.f(**{c._kwarg: value if c is control else c.value for c in controls})
                pyplot.close("all")"""
BEFORE = "_known = set(_boxes())"
MOVE = "_move(_known)  # each slider and menu of the cell above, up to 7 values of each, ends included"


def doubled(nb):
    """A copy of nb, without outputs, that runs each code cell twice in a row and then moves its controls."""
    double = copy.deepcopy(nb)
    double.cells = [new_code_cell(STANDIN), new_code_cell(BEGIN)]
    for cell in nb.cells:
        if cell.cell_type != "code":
            continue
        pair = [new_code_cell(cell.source, metadata=cell.metadata) for _ in range(2)]
        double.cells += [pair[0], new_code_cell(BEFORE), pair[1], new_code_cell(MOVE)]
    return double


def write_doubled(paths, folder: Path):
    """The doubled notebooks of these files in `folder`, under the same names; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    made = [folder / path.name for path in paths]
    for path, target in zip(paths, made, strict=True):
        nbformat.write(doubled(nbformat.read(path, as_version=4)), target)
    return made
