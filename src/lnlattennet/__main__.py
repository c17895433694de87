"""`python -m lnlattennet`: the command `lnlattennet`."""

from lnlattennet._cli import main

main()
