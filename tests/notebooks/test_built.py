"""Every built notebook against its source and the rules for notebooks."""

import json
import re

import nbformat
import pytest

from tools import build, notebooks

built = pytest.mark.parametrize("source", build.sources(), ids=lambda source: source.stem)
PICTURES = ("image/png", "image/jpeg", "image/svg+xml")


@built
def test_built_is_what_the_source_says(source):
    nb = nbformat.read(build.target(source), as_version=4)
    assert build.same(nb, build.build(source)), "run `make notebooks`"
    assert nb.metadata == build.METADATA
    assert build.badge(f"notebooks/{source.stem}.ipynb") in nb.cells[0].source


@built
def test_stored_outputs(source):
    path = build.target(source)
    limit = build.catalogue()["limits"]["notebook"] * 2**20
    assert path.stat().st_size <= limit, f"{path.stat().st_size / 2**20:.2f} MB"
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


def test_nothing_was_built_without_a_source():
    there = {path.stem for path in build.NOTEBOOKS.glob("*.ipynb")}
    assert there == {source.stem for source in build.sources()}
