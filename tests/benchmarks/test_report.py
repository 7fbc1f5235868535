"""RESULTS.md, the README's table and the picture hold the figures, those committed too."""

import json

import pytest

from benchmarks.bench import HERE, README
from benchmarks.figures import goals
from benchmarks.picture import picture
from benchmarks.report import in_readme, report, summary

REPORT = HERE / "RESULTS.md"


def test_the_report_and_the_picture_hold_the_figures(measured, tmp_path):
    text = report(measured)
    assert "Chip (AVX2), CPU, Python 3, torch 2" in text
    assert "no instructions for bf16" not in text
    assert "no instructions for bf16" in report(
        measured | dict(machine=measured["machine"] | dict(bf16=False))
    )
    assert "| this project | 3.70 M | 400 (400…400) | 600 (600…600) |" in text
    memory = "| 100 | 90 | 50 | 40 | 30 "
    assert (
        memory + "| 100 | 50% | 1.00 (1.00…1.00) | 1.20 (-1.00…1.20) |" in text
    )  # 10^11 operations in 0.2 s of 10^12 a second
    assert "| 1.00 |" in text  # four times the pixels, four times the time
    assert "| other | bf16 | 0.002 | 10 | 9 | 200 | 5.00 (4.60 … 5.40) |" in text
    assert "| slow | bf16 | 0.002 | 10 | 9 |  | diverged |" in text
    assert "| slow | 7.00 (6.60 … 7.40) | diverged |" in text
    for line in text.splitlines():
        if line.startswith("|"):
            assert line.endswith("|")
    readme = in_readme("before <!-- bench -->\nformer\n<!-- /bench --> after", measured)
    assert readme.startswith("before <!-- bench -->\n\nChip (AVX2)") and "former" not in readme
    assert "| this project | 80.0 | 160.0 | 8.00 | 16.00 | 3.00 (2.60 … 3.40) |" in readme
    assert readme.endswith("| diverged |\n\n<!-- /bench --> after")
    picture(measured, tmp_path / "bench.png")
    assert (tmp_path / "bench.png").stat().st_size > 5000


@pytest.mark.skipif(not REPORT.exists(), reason="make bench comes first")
def test_the_committed_report_is_that_of_the_committed_measurements():
    found = json.loads((HERE / "bench.json").read_text(encoding="utf-8"))
    assert REPORT.read_text(encoding="utf-8") == report(found)
    readme = README.read_text(encoding="utf-8")
    assert summary(found) in readme and in_readme(readme, found) == readme
    for line in goals(found):
        assert line.endswith(("met", "not met", "intervals overlap"))
    assert found["floor"]["n"] >= 1000
    for runs in found["quality"].values():
        for run in runs.values():
            assert run["n"] >= 1000 and run["interval"][0] <= run["fd"] <= run["interval"][1]
            assert run["fd"] > found["floor"]["fd"]  # better than real faces would be a mistake
