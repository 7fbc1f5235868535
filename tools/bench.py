"""python -m tools.bench: this project beside its peers; installs the peers first, once."""

import importlib.util
import subprocess
import sys

from tools.setup import ROOT

PEERS = ("denoising_diffusion_pytorch", "smalldiffusion")


def install():
    """Install the extra `bench` into the Python that runs, or end with one sentence."""
    if all(importlib.util.find_spec(name) for name in PEERS):
        return
    print("Installing the peers to compare with …", flush=True)
    what = ["-e", ".[bench]", "-c", "constraints.txt", "--no-input", "--disable-pip-version-check"]
    if subprocess.call([sys.executable, "-m", "pip", "install", "--quiet", *what], cwd=ROOT):
        sys.exit("pip could not install the peers (no network?); the same command tries again.")


def main():
    """Go on as the benchmark with the same arguments."""
    install()
    sys.exit(subprocess.call([sys.executable, "-m", "benchmarks.bench", *sys.argv[1:]], cwd=ROOT))


if __name__ == "__main__":
    main()
