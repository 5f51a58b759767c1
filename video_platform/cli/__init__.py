"""The command line `vp`. Modules here import what they need inside their commands: `vp --help` answers at once."""

import sys


def main(arguments: list[str] | None = None) -> int:
    """Run `vp` with `arguments` (those of the process by default) and return its exit status: 0 only when all that was asked for was done."""
    from video_platform.cli.app import run

    return run(sys.argv[1:] if arguments is None else arguments)
