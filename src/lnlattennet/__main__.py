"""`python -m lnlattennet`: the command `lnlattennet`."""

import sys

if not sys.flags.safe_path:
    # The current folder, which `python -m` puts first: a numpy.py in it is data, not code.
    del sys.path[0]

from lnlattennet._programs import lnlattennet

lnlattennet()
