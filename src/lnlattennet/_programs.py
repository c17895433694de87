"""Entry points of the console scripts: light, so that Ctrl-C while a program is imported is no traceback."""

from __future__ import annotations

from typing import NoReturn

from lnlattennet._interrupt import interrupt_ends_program


def lnlattennet() -> NoReturn:
    """Run `lnlattennet`."""
    with interrupt_ends_program():
        from lnlattennet._cli import main
    main()


def export_engine() -> NoReturn:
    """Run `export-engine`."""
    with interrupt_ends_program():
        from lnlattennet.export._cli import main
    main()
