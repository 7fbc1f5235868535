"""From a source to a notebook: the same bytes each time, with everything stamped."""

import json
import re

import nbformat
import pytest

from tools import build, notebooks


def test_two_builds_are_the_same_bytes(scratch):
    one, two = (nbformat.writes(build.build(scratch)) for _ in range(2))
    assert one == two
    ids = [cell.id for cell in build.build(scratch).cells]
    assert len(set(ids)) == len(ids) == 5
    assert {key for cell in build.build(scratch).cells for key in cell.metadata} == {"tags"}

    text = scratch.read_text()
    scratch.write_text(text.replace("# %%\nprint", "# %%\nx = 1\n\n# %%\nprint", 1))
    more = [cell.id for cell in build.build(scratch).cells]
    assert len(more) == 6 and [i for i in more if i in ids] == ids


def test_stamps(tmp_path, monkeypatch):
    (tmp_path / "ddim.json").write_text(json.dumps({"rows": {"10, 0": {"fd": 6.534, "over": [-0.5, 2]}}}))
    monkeypatch.setattr(build, "TABLES", tmp_path)

    def stamp(text, name="10_ddim.py"):
        return build.stamp(text, name, f"notebooks/{name}")

    assert stamp("# {{number}}: {{notebook}}, after {{session:elbo}}") == "# 10: 10_ddim.ipynb, after 04"
    assert stamp("setup(minutes={{minutes}})") == 'setup(minutes={"cpu": 4, "gpu": 2})'
    assert stamp("FD {{table:ddim:rows/10, 0/fd:.2f}}") == "FD 6.53"
    assert stamp("{{table:ddim:rows/10, 0/over/0:+.1f}} dB") == "−0.5 dB"
    assert stamp("git clone {{address}}") == f"git clone {build.address()['address']}"
    assert stamp('f"{{power:.2f}}"') == 'f"{{power:.2f}}"'  # braces of Python stay
    for text, message in {
        "{{session:none}}": "no session 'none'",
        "{{table:ddim:rows/9/fd:.2f}}": "no 'rows/9/fd': '9' is not there",
        "{{number:2}}": "nothing is known for {{number:2}}",
    }.items():
        with pytest.raises(ValueError, match=message):
            stamp(text)
    with pytest.raises(ValueError, match="nothing is known for {{number}}"):
        stamp("{{number}}", "99_other.py")


def test_the_catalogue_agrees_with_the_files():
    """sessions.toml is the one place: sources, masters and weights are those that it names."""
    sessions = build.catalogue()["session"]
    assert [found["number"] for found in sessions] == [f"{n:02}" for n in range(len(sessions))]
    assert {source.stem for source in build.sources()} <= build.numbered()
    there = {path.parent.name: path for path in build.ROOT.glob("data/checkpoints/*/model.safetensors")}
    named = {name: size for found in sessions for name, size in found.get("checkpoints", {}).items()}
    assert named == {name: path.stat().st_size for name, path in there.items()}
    for source in build.sources():
        assert set(build.session(source.stem[3:])["minutes"]) == {"cpu", "gpu"}


def test_the_limits_hold():
    limits, mb = build.catalogue()["limits"], 2**20
    weights = [sum(found.get("checkpoints", {}).values()) for found in build.catalogue()["session"]]
    slugs = [found["slug"] for found in build.catalogue()["session"]]
    early = slugs[: slugs.index("ddim") + 1]
    first = sum(size for slug, size in zip(early, weights, strict=False) if slug != "guidance")
    assert first <= limits["first_ten"] * mb, f"{first / mb:.1f} MB"
    assert sum(weights) <= limits["checkpoints"] * mb
    for found, size in zip(build.catalogue()["session"], weights, strict=True):
        assert size <= found.get("room", limits["first_ten"]) * mb, found["slug"]
    assert (build.ROOT / "data" / "faces.parquet").stat().st_size <= limits["faces"] * mb


def test_the_checkout_is_small():
    import subprocess

    listed = subprocess.run(["git", "ls-files", "-z"], cwd=build.ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    files = [build.ROOT / name for name in listed.stdout.split("\0") if name]
    size = sum(file.stat().st_size for file in files if file.exists())
    assert size <= build.catalogue()["limits"]["checkout"] * 2**20


def test_the_readme_gets_links_for_the_sessions_that_exist(scratch, monkeypatch):
    rows = [dict(number="01", slug="scratch", promise="what it says")]
    rows += [dict(number="02", slug="later", promise="more")]
    monkeypatch.setattr(build, "catalogue", lambda: {"session": rows})
    build.target(scratch).touch()
    text = "git clone https://example.org/old\n<!-- sessions -->\nold\n<!-- /sessions -->\n| 01 | 3 min |\n"
    new = build.stamp_readme(text)
    where = build.address()
    assert f"git clone {where['address']}\n" in new
    link = "[scratch](notebooks/01_scratch.ipynb)"
    assert f"| 01 | {link} | what it says | [![Open In Colab](" in new
    assert f"/blob/{where['tag']}/notebooks/01_scratch.ipynb) |\n" in new
    assert "| 02 | later | more | |\n" in new and new.endswith("| 01 | 3 min |\n") and "old\n<" not in new
    assert build.stamp_readme(new) == new


def test_the_readme_is_what_the_build_makes_of_it():
    text = notebooks.README.read_text(encoding="utf-8")
    assert build.stamp_readme(text) == text
    table = text.split("<!-- sessions -->")[1].split("<!-- /sessions -->")[0]
    assert re.findall(r"(?m)^\| (\d\d) \|", table) == [f"{n:02}" for n in range(20)]


def test_the_address_stands_in_one_place():
    kinds = ("*.py", "*.toml", "*.yml", "Makefile")
    files = [p for kind in kinds for p in build.ROOT.glob(kind)]
    rooms = ("tools", "helpers", "recipes", "experiments", "benchmarks", "tests")
    files += [p for room in rooms for p in build.ROOT.glob(f"{room}/**/*.py")]
    address = build.address()["address"]
    assert [p.name for p in files if address in p.read_text("utf-8")] == ["pyproject.toml"]
