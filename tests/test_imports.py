"""What importing the helpers loads, and in which order they may import each other."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

HELPERS = Path(__file__).parents[1] / "helpers"
MODULES = sorted(path.stem for path in HELPERS.glob("*.py") if path.stem != "__init__")
HEAVY = (
    "diffusers",
    "transformers",
    "datasets",
    "fastapi",
    "starlette",
    "matplotlib",
    "torchmetrics",
    "sklearn",
    "skimage",
    "accelerate",
    "peft",
    "ipywidgets",
    "IPython",
    "torchvision",
    "pandas",
    "pyarrow",
    "scipy",
    "safetensors",
)
# Reading order: what a module may import, among the helpers.
ALLOWED = {
    "schedules": set(),
    "diffusion": {"schedules"},
    "samplers": {"schedules", "diffusion"},
    "guidance": {"schedules", "diffusion", "samplers"},
    "solvers": {"schedules", "diffusion", "samplers"},
    "tasks": {"schedules", "diffusion", "pictures"},
    "repaint": {"schedules", "diffusion", "samplers"},
    "exact": {"schedules"},
    "likelihood": {"schedules", "diffusion"},
    "layers": set(),
    "unet": {"layers", "schedules"},
    "train": {"course"},
    "pictures": set(),
    "course": {"plots"},
    "plots": set(),
    "widgets": {"plots"},
}


def imports(module):
    """The helpers that a module imports anywhere, in functions too."""
    found = set()
    for node in ast.walk(ast.parse((HELPERS / f"{module}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            if node.level:
                names = [node.module] if node.module else [a.name for a in node.names]
            elif (node.module or "").split(".")[0] == "helpers":
                names = node.module.split(".")[1:] or [a.name for a in node.names]
            else:
                continue
            found.update(name.split(".")[0] for name in names)
        elif isinstance(node, ast.Import):
            found.update(a.name.split(".")[1] for a in node.names if a.name.startswith("helpers."))
    return found & set(MODULES)


def test_importing_everything_is_light():
    """All modules in one fresh process: if together they load nothing heavy, none of them does."""
    code = "import sys, torch\n"  # what torch itself loads is not counted
    code += "before = set(sys.modules)\n"
    code += "".join(f"import helpers.{name}\n" for name in MODULES)
    code += "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=HELPERS.parent, capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr
    loaded = set(run.stdout.split())
    assert "helpers" in loaded
    assert not loaded & set(HEAVY), loaded & set(HEAVY)


def test_no_circles():
    graph = {name: imports(name) for name in MODULES}
    assert "diffusion" in graph["samplers"]  # the search finds what is there
    while graph:
        free = {name for name, needs in graph.items() if not needs & set(graph)}
        assert free, f"these import each other in a circle: {sorted(graph)}"
        graph = {name: needs for name, needs in graph.items() if name not in free}


@pytest.mark.parametrize("name", [name for name in MODULES if name in ALLOWED])
def test_reading_order(name):
    assert imports(name) <= ALLOWED[name], imports(name) - ALLOWED[name]
