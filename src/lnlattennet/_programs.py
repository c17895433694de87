"""Entry points of the console scripts: light, so that Ctrl-C while a program is imported is no traceback."""

from __future__ import annotations

from lnlattennet._interrupt import interrupt_ends_program


def lnlattennet() -> None:
    """Run `lnlattennet`; ends the process."""
    with interrupt_ends_program():
        from lnlattennet._cli import main
    main()


def export_engine() -> None:
    """Run `export-engine`; ends the process."""
    with interrupt_ends_program():
        from lnlattennet.export._cli import main
    main()
