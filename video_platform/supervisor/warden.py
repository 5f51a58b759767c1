"""A small process that outlives a killed supervisor just long enough to end what it left.

It holds one end of a pipe whose other end only the supervisor has. End of file means that the supervisor is gone, in whatever way: then everything with its
mark is killed. After an orderly stop there is nothing left to kill.
"""

import os
import signal
import subprocess
import sys

from video_platform.supervisor.processes import MARK, sweep


def start(mark: str) -> tuple[subprocess.Popen[bytes], int]:
    """Start a warden for `mark`; returns it and the descriptor that keeps it waiting. Close that, then wait for the process."""
    read_end, write_end = os.pipe()
    os.set_inheritable(write_end, False)
    environment = {name: value for name, value in os.environ.items() if name != MARK}
    try:
        warden = subprocess.Popen(
            [sys.executable, "-m", "video_platform.supervisor.warden", mark],
            stdin=read_end,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
    finally:
        os.close(read_end)
    return warden, write_end


def main() -> None:
    """Wait for the end of the pipe on standard input, then end what carries the mark given as the argument."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.read(sys.stdin.fileno(), 1):
        pass
    sweep(sys.argv[1])


if __name__ == "__main__":
    main()
