"""python -m tools.lab [00]: JupyterLab with a notebook open."""

import argparse
import os
import socket
import sys

from tools import work
from tools.run import ROOT, find
from tools.setup import become

SETTINGS = ROOT / "tools" / "lab_settings"


def port(text):
    """A number of a port, 0 for any, for argparse; ValueError outside 0…65535."""
    number = int(text)
    if not 0 <= number <= 65535:
        raise ValueError(text)
    return number


def free(port):
    """True if a server can listen on this port of this machine."""
    with socket.socket() as probe:
        if os.name == "posix":  # a port that was just left is free, as it is for the server
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def command(notebook, port):
    """The command that starts JupyterLab on loopback, rooted in the folder of the notebook."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    return [
        *(sys.executable, "-m", "jupyterlab", str(notebook)),
        f"--ServerApp.root_dir={notebook.parent}",
        *("--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"),
        # No news, no question about news, no look for updates or extensions: nothing goes out.
        f"--LabApp.app_settings_dir={SETTINGS}",
        "--LabApp.extension_manager=readonly",
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        *(("--allow-root",) if root else ()),
    ]


def main(arguments=None):
    """Start the server and stay until it is stopped."""
    parser = argparse.ArgumentParser(prog="python -m tools.lab", description=__doc__)
    parser.add_argument("notebook", nargs="?", default="00", help="number or name")
    parser.add_argument("--port", type=port, default=8888)
    args = parser.parse_args(arguments)
    if not free(args.port):
        other = args.port + 1
        sys.exit(f"Port {args.port} is taken: `make lab PORT={other}` (or --port {other}).")
    try:
        notebook = work.copy_of(find(args.notebook))
        for sentence in work.fill():
            print(sentence)
    except OSError as error:
        sys.exit(str(error))
    os.environ.pop("MPLBACKEND", None)  # a backend from outside would keep every picture away
    become(command(notebook, args.port))


if __name__ == "__main__":
    main()
