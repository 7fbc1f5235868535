"""python -m tools.reset 07: a session's notebooks in work/ anew; yours are put aside, in work/aside."""

import argparse
import os
import sys

from tools.work import reset


def main(arguments=None):
    """Put aside and lay fresh ones, and say what went where."""
    parser = argparse.ArgumentParser(prog="python -m tools.reset", description=__doc__)
    parser.add_argument("notebook", help="number or name of the session")
    args = parser.parse_args(arguments)
    try:
        aside = reset(args.notebook)
    except FileNotFoundError as error:
        sys.exit(str(error))
    for path in aside:
        print("yours is now", os.path.relpath(path))
    print("fresh copies lie in work/")


if __name__ == "__main__":
    main()
