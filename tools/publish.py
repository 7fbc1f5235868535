"""python -m tools.publish: stamps the address of your copy of the course into badges, links and set-up cells.

It is taken from the git remote `origin`, and the branch from what is checked out, unless they are given.
"""

import argparse
import re
import subprocess
import sys

from helpers.files import write_text
from tools import notebooks
from tools.run import ROOT

PLACE = ROOT / "pyproject.toml"


def remote():
    """The web address of the remote `origin`; ends the program with one sentence where there is none."""
    address = said("remote", "get-url", "origin")
    if not address:
        sys.exit("This checkout has no remote 'origin': say `python -m tools.publish --address https://…`.")
    return web(address)


def web(address):
    """How a browser reaches a repository: git@host:me/it.git and its kin become https://host/me/it."""
    address = re.sub(
        r"^(?:ssh://)?(?:[\w.-]+@)?([\w.-]+\.\w+):(?:\d+/)?(?!//)", r"https://\1/", address.strip()
    )
    address = re.sub(r"^(?:ssh|git|http)://(?:[\w.-]+@)?", "https://", address)
    return re.sub(r"(\.git)?/*$", "", address)


def said(*command):
    """What git says, "" where it says nothing or is not there."""
    try:
        return subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""


def stamp(text, address, branch):
    """The text of pyproject.toml with another address and branch; ValueError where it has no place."""
    for key, value in (("address", address), ("tag", branch)):
        text, found = re.subn(rf'(?m)^{key} = "[^"\n]*"$', lambda m, k=key, v=value: f'{k} = "{v}"', text)
        if found != 1:
            raise ValueError(
                f"pyproject.toml should have one line `{key} = …` in [tool.course], not {found}."
            )
    return text


def main(arguments=None):
    """Write the one place, and build everything that shows it."""
    parser = argparse.ArgumentParser(prog="python -m tools.publish", description=__doc__)
    parser.add_argument("--address", help="such as https://github.com/me/course")
    parser.add_argument("--branch", help="such as main")
    args = parser.parse_args(arguments)
    address = web(args.address) if args.address else remote()
    branch = args.branch or said("branch", "--show-current") or "main"
    write_text(PLACE, stamp(PLACE.read_text(encoding="utf-8"), address, branch))
    print(f"badges and set-up cells point to {address}, branch {branch}")
    notebooks.main([])


if __name__ == "__main__":
    main()
