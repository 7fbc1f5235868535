"""Profiles, budgets, and what installing does and refuses, with real pip on made-up packages."""

import json
import os
import random
import subprocess
import sys
import time
import zipfile

import pytest
import torch

from helpers import course, profile


@pytest.fixture(autouse=True)
def no_profile(monkeypatch):
    monkeypatch.delenv("COURSE_PROFILE", raising=False)


def test_bf16_is_used_where_the_processor_has_instructions_for_it(monkeypatch):
    for has, expected in (({"avx2": True}, False), ({"avx512_bf16": True}, True), ({"bf16": True}, True)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda has=has: has, raising=False)
        profile.fast_bf16.cache_clear()
        for wanted in (True, False):
            with profile.autocast("cpu", wanted):
                answer = torch.nn.functional.linear(torch.ones(1, 2), torch.ones(1, 2))
            assert answer.dtype == (torch.bfloat16 if expected and wanted else torch.float32)
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    profile.fast_bf16.cache_clear()
    assert not profile.fast_bf16("cpu") and not profile.fast_bf16("mps")
    profile.fast_bf16.cache_clear()


def test_profile_follows_the_device_unless_the_environment_says_otherwise(monkeypatch):
    monkeypatch.setattr(profile, "_cuda", lambda: False)
    assert profile.profile() == "cpu"
    monkeypatch.setattr(profile, "_cuda", lambda: True)
    assert profile.profile() == "gpu"
    assert profile.device().type == "cuda"
    monkeypatch.setenv("COURSE_PROFILE", "cpu")
    assert profile.profile() == "cpu"
    assert profile.device().type == "cpu"
    monkeypatch.setenv("COURSE_PROFILE", "tpu")
    with pytest.raises(ValueError, match="'tpu'.*smoke.*cpu.*gpu"):
        profile.profile()


def test_pick_goes_by_the_profile(monkeypatch):
    for name, expected in (("smoke", 1), ("cpu", 20), ("gpu", 300)):
        monkeypatch.setenv("COURSE_PROFILE", name)
        assert profile.pick(smoke=1, cpu=20, gpu=300) == course.pick(smoke=1, cpu=20, gpu=300) == expected
    with pytest.raises(TypeError, match="gpu"):
        course.pick(smoke=1, cpu=2)  # a budget is stated for all three


def test_the_import_is_light():
    code = "import helpers.course, sys; print([m for m in ('torch', 'numpy') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], cwd=course.ROOT, capture_output=True)
    assert out.stdout.strip() == b"[]"


def test_setup_says_where_one_is_and_seeds(monkeypatch, capsys):
    import torch

    monkeypatch.setenv("COURSE_PROFILE", "smoke")
    course.setup(minutes={"cpu": 3, "gpu": 1})
    first, number = torch.randn(3), random.random()
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in said] == ["device", "profile", "data", "time"]
    assert said[1].split() == ["profile", "smoke"] and said[3].endswith("about 3 min")
    started = time.monotonic()
    course.setup()
    assert time.monotonic() - started < 0.2
    assert torch.equal(first, torch.randn(3)) and random.random() == number


def wheel(folder, name, version, *requires):
    """A package with nothing in it, as pip wants it."""
    stem = f"{name}-{version}"
    info = f"{stem}.dist-info"
    needs = "".join(f"Requires-Dist: {r}\n" for r in requires)
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as file:
        file.writestr(f"{name}.py", "")
        head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        file.writestr(f"{info}/METADATA", head + needs)
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """A machine that has `frozen` 1.0 and not `small` or `greedy`, which wants another `frozen`."""
    folder = tmp_path_factory.mktemp("host")
    wheels = folder / "wheels"
    wheels.mkdir()
    wheel(wheels, "frozen", "1.0")
    wheel(wheels, "frozen", "2.0")
    wheel(wheels, "small", "1.0", "frozen")
    wheel(wheels, "greedy", "1.0", "frozen>=2")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    python = folder / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    env = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    env["PYTHONPATH"] = str(course.ROOT)
    subprocess.run([python, "-m", "pip", "install", "-q", "frozen==1.0"], check=True, env=env)

    def ask(*needs):
        """What install_missing answers there for a project with these needs, and what is there."""
        (folder / "pyproject.toml").write_text(f"[project]\ndependencies = {json.dumps(needs)}\n")
        code = f"""
import importlib.metadata as m, pathlib, time
from helpers import install, profile
profile.ROOT = pathlib.Path({str(folder)!r})
started = time.monotonic()
try: answer = install.install_missing()
except RuntimeError as error: answer = str(error)
seconds = time.monotonic() - started
here = {{d.name: d.version for d in m.distributions() if d.name in ("frozen", "small", "greedy")}}
import json; print(json.dumps([answer, here, seconds]))"""
        done = subprocess.run([python, "-c", code], env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return ask


def test_install_missing(host):
    # Another front end may run the cell, so JupyterLab is never asked for.
    assert host("frozen>=1", "jupyterlab>=4", "ipykernel>=6")[:2] == [[], {"frozen": "1.0"}]

    # frozen 2.0 is to be had, and must not come along.
    answer, here, _ = host("frozen>=1", "small>=1.0")
    assert answer == ["small>=1.0"] and here == {"frozen": "1.0", "small": "1.0"}

    answer, _, seconds = host("frozen>=1", "small>=1.0")
    assert answer == [] and seconds < 0.2

    answer, here, _ = host("greedy", "small")
    assert "would change frozen==1.0" in answer and "nothing was changed" in answer
    assert here == {"frozen": "1.0", "small": "1.0"}

    answer, here, _ = host("absent")
    assert "absent could not be installed" in answer and "Is there a network?" in answer
    assert here == {"frozen": "1.0", "small": "1.0"}

    answer, *_ = host("torch>=2", "absent")
    assert "PyTorch is not installed here" in answer


def test_the_one_list_is_satisfied_by_what_colab_had():
    """Colab's versions of August 2026, where the course's list names the package."""
    from packaging.requirements import Requirement

    colab = {
        "torch": "2.11.0+cu128",
        "torchvision": "0.26.0",
        "numpy": "2.1.3",
        "matplotlib": "3.10.0",
        "pillow": "11.3.0",
        "tqdm": "4.67.3",
        "ipywidgets": "7.7.1",
        "ipykernel": "6.17.1",
    }
    import tomllib

    project = tomllib.loads((course.ROOT / "pyproject.toml").read_text())["project"]
    needs = {r.name: r.specifier for r in map(Requirement, project["dependencies"])}
    assert {n: v for n, v in colab.items() if not needs[n].contains(v)} == {}


@pytest.mark.parametrize(
    "capability, built, usable",
    [
        ((9, 0), ["sm_80", "sm_90"], True),
        ((8, 6), ["sm_80", "sm_90"], True),  # a binary of 8.0 runs on 8.6
        ((6, 1), ["sm_75", "sm_80", "compute_90"], False),  # an old Pascal card
        ((12, 0), ["sm_90", "compute_90"], True),  # compiled for it when first used
        ((12, 0), ["sm_90"], False),
        ((9, 0), ["sm_90a", "sm_120"], True),
    ],
)
def test_a_gpu_without_code_is_none(capability, built, usable):
    from types import SimpleNamespace

    cuda = SimpleNamespace(
        get_device_capability=lambda: capability,
        get_arch_list=lambda: built,
        get_device_name=lambda: "GeForce",
    )
    if usable:
        assert profile._has_kernels(cuda)
    else:
        with pytest.warns(UserWarning, match=r"GeForce, capability \d+\.\d.*processor"):
            assert not profile._has_kernels(cuda)
