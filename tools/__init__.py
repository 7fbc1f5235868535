"""The course's commands: `python -m tools.NAME` runs in an environment that has what it needs.

The first call on a fresh machine makes that environment, with nothing but the standard library.
"""

import sys

if sys.argv[0] == "-m":  # Python is just about to run tools.NAME
    from tools import setup

    setup.ensure()
