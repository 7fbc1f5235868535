"""The house: what importing loads, which files may import which, how long they are."""

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


def test_files_import_downwards_only():
    """The contracts of layers in pyproject.toml; no circle, in tools neither."""
    lint = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    run = subprocess.run(lint, cwd=HELPERS.parent, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "3 kept, 0 broken" in run.stdout


ROOMS = ("helpers", "recipes", "experiments", "benchmarks", "tools")
LENGTH = range(250 + 1)


def test_a_file_has_one_job_of_at_most_250_lines():
    """The checks of a session are tables and may be longer; they are listed by the engine they use."""
    long = {
        str(path.relative_to(HELPERS.parent)): n
        for room in ROOMS
        for path in (HELPERS.parent / room).rglob("*.py")
        if path.parent.name != "checks" and (n := len(path.read_text("utf-8").splitlines())) not in LENGTH
    }
    assert not long, long


def test_the_core_is_short():
    """schedules to train: about 800 lines of code without docstrings, guards, comments and blank lines."""
    core = ("schedules", "targets", "diffusion", "samplers", "solvers", "guidance", "layers", "unet", "train")
    total = sum(lines_of_code(HELPERS / f"{name}.py") for name in core)
    assert total <= 820, total


def lines_of_code(path):
    """Lines that are not blank, comments, docstrings or guards: `if …: raise …`."""
    tree = ast.parse(path.read_text("utf-8"))
    inside = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node):
            inside.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
        if isinstance(node, ast.If) and isinstance(node.body[0], ast.Raise) and not node.orelse:
            inside.update(range(node.lineno, node.end_lineno + 1))
    lines = path.read_text("utf-8").splitlines()
    return sum(
        bool(line.strip()) and not line.strip().startswith("#") and number not in inside
        for number, line in enumerate(lines, 1)
    )


def test_the_linter_is_content():
    ruff = Path(sys.executable).with_name("ruff")
    if not ruff.exists():
        pytest.skip("ruff is not installed")
    for command in (["check"], ["format", "--check"]):
        run = subprocess.run(
            [str(ruff), *command, "-q", "."], cwd=HELPERS.parent, capture_output=True, text=True
        )
        assert run.returncode == 0, run.stdout[-2000:]
