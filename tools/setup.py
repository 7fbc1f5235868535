"""Makes .venv on first use and keeps it in step with pyproject.toml. Standard library only."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
STAMP = VENV / "course.stamp"
EXTRAS = ("test", "build")
PYTHONS = (3, 11), (3, 13)
FREE_GB = 8


def ensure():
    """Go on in a Python that has the course's dependencies, making .venv first if need be.

    Where the running Python has them all (conda, a container) it is used as it is. Ends the
    program with one sentence if that cannot be done.
    """
    check_python(sys.version_info[:2])
    inside = Path(sys.prefix).resolve() == VENV.resolve()
    if not inside and complete():
        return
    if not ready():
        install()
    if not inside:
        become([str(python()), *sys.orig_argv[1:]])


def become(command):
    """Go on as this command, the first word being a path: Ctrl-C then reaches it alone."""
    if os.name == "posix":
        os.execv(command[0], command)
    sys.exit(subprocess.call(command))  # Windows has no exec that a shell waits for


def check_python(version):
    """End with one sentence if the course does not run on this version of Python."""
    if not PYTHONS[0] <= version <= PYTHONS[1]:
        low, high, this = (".".join(map(str, v)) for v in (*PYTHONS, version))
        sys.exit(
            f"The course needs Python {low} to {high}, this is {this}: "
            f"install one, then say for example `make lab PYTHON=python{high}`."
        )


def check_disk(free):
    """End with one sentence if there is too little room (free, in bytes) to install."""
    if free < FREE_GB * 1e9:
        sys.exit(f"Installing needs {FREE_GB} GB of disk, {free / 1e9:.1f} GB are free in {ROOT}.")


def complete():
    """True if the running Python has every package of the project's lists."""
    from importlib import metadata  # not in the Pythons that are too old

    try:
        for need in needs():
            metadata.version(re.match(r"[\w.-]+", need).group())
    except metadata.PackageNotFoundError:
        return False
    return True


def needs():
    """The project's dependencies, those of its extras included."""
    import tomllib  # not in the Pythons that are too old

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    return project["dependencies"] + [need for extra in EXTRAS for need in extras[extra]]


def ready():
    """True if .venv was completely installed from today's lists, and still works."""
    if not (python().exists() and STAMP.exists() and STAMP.read_text() == wanted()):
        return False
    names = [re.match(r"[\w.-]+", need).group() for need in needs()]
    # A package may have been removed by hand, and the Python below may have been replaced by another.
    return works(f"import numpy, importlib.metadata as m; [m.version(name) for name in {names}]")


def wanted():
    """What the stamp of an up-to-date .venv says: a hash of the lists, where it stands, its Python."""
    python_below = f"{sys.version_info[:2]} {sys.base_prefix}"
    lists = [*needs(), (ROOT / "constraints.txt").read_text(encoding="utf-8"), str(VENV), python_below]
    return hashlib.sha256("\n".join(lists).encode()).hexdigest()


def install():
    """Make or repair .venv and install the course into it; the stamp is written last."""
    check_disk(shutil.disk_usage(ROOT).free)
    STAMP.unlink(missing_ok=True)
    if not works("import pip"):
        print(f"Making {VENV.name} …", flush=True)
        # Not the venv module of this process: within a .venv it would copy from itself.
        made = [sys.executable, "-m", "venv", "--clear", str(VENV)]
        done = subprocess.run(made, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{VENV} could not be made: {why(done.stdout + done.stderr)}")
    drop_half_installed()
    print("Installing the course: some minutes, once …", flush=True)
    what = [f".[{','.join(EXTRAS)}]", "-c", "constraints.txt", "--no-input"]
    pip = [str(python()), "-m", "pip", "install", "--disable-pip-version-check"]
    # Colab and conda never see constraints.txt; here it gives the versions tried together.
    # PIP_USER=1 in the shell would put everything elsewhere, which no .venv allows
    if subprocess.call([*pip, "-e", *what], cwd=ROOT, env={**os.environ, "PIP_USER": "0"}):
        sys.exit("pip could not install the course, for the reason above; the same command resumes it.")
    STAMP.write_text(wanted())


def why(said):
    """One sentence out of what `python -m venv` said."""
    if "ensurepip" in said or "No module named venv" in said:
        return "on Debian and Ubuntu, install python3-venv."
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1] if lines else "it gave no reason."


def drop_half_installed():
    """Forget packages whose installation was cut short, which pip would take for installed."""
    # pip writes INSTALLER and RECORD after all of a package's files.
    for info in VENV.glob("[Ll]ib*/**/site-packages/*.dist-info"):
        if not ((info / "INSTALLER").exists() and (info / "RECORD").exists()):
            shutil.rmtree(info)


def works(code):
    """True if .venv's Python is there and runs the code."""
    if not python().exists():
        return False
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.call([str(python()), "-c", code], **quiet) == 0


def python():
    """The path of .venv's Python."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
