"""The run host: one small process that has everything imported, and forks one child per run. A run then starts in a fraction of a second instead of seconds.

Rules of forking, checked on start: one thread, and nothing of ours open (no database, no log, no store), so that no child inherits a lock that is held or a
connection that somebody else uses. When a file of the package changes, the host replaces itself by a fresh one before it serves the next run; a request
that is waiting is handed over. Runs are sessions of their own: they outlive the host, the daemon and the code server.

    python -m video_platform.pipeline.run_host          prints "ready" when it serves
"""

import contextlib
import gc
import importlib
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NoReturn

from video_platform import logs
from video_platform.settings import load

log = logging.getLogger(__name__)

SOCKET = "run-host.sock"
"""In the instance's folder; only its owner may connect."""

PRELOAD = (
    "video_platform.definitions",
    "video_platform.platform",
    "dagster._core.storage.sqlite_storage",
    "dagster._core.storage.event_log",
    "dagster._core.storage.runs",
    "dagster._core.storage.schedules",
    "dagster._core.run_coordinator",
    "dagster._core.execution.plan.execute_plan",
    "dagster._grpc.impl",
    "video_platform.pipeline.run_logs",
    "video_platform.pipeline.launcher",
    "alembic.command",
)
"""What every run imports. Nothing that starts threads, and no torch: a fork after it may hang."""

PROCESS = "vp/process"
"""Tag of a run, set by its process before it does anything: boot id, process number, start ticks; together they name one process for ever."""

BACKLOG = 64
MAX_REQUEST_BYTES = 4096
REQUEST_S = 5.0
"""A launcher that connects and says nothing is let go after this: requests are served one at a time."""

PACKAGES = ("video_platform", "sensors")


def started_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None when it is gone or a zombie. Tells it from a later process with its number."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def boot_id() -> str:
    """Which start of the machine this is: process numbers mean nothing across two."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]


def live_process(tags: Mapping[str, str]) -> int | None:
    """The process number of the run with these tags while it is that very process and alive."""
    boot, pid, started = (tags.get(PROCESS) or "::").split(":")
    if boot != boot_id() or not pid.isdigit() or not started.isdigit():
        return None
    return int(pid) if started_ticks(int(pid)) == int(started) else None


@contextlib.contextmanager
def socket_address(folder: Path) -> Iterator[str]:
    """The address of the host's socket. By a descriptor, because a socket's path may have 107 bytes and a home may be deeper than that."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET}"
    finally:
        os.close(descriptor)


def main(arguments: list[str]) -> None:
    """Serves until SIGTERM. `arguments` are the descriptors that a replaced host hands over: the listening socket and a waiting connection."""
    logs.configure(load(), "run host")
    version = _version()
    for name in PRELOAD:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    if (threads := len(list(Path("/proc/self/task").iterdir()))) != 1:
        sys.exit(f"the run host has {threads} threads before its first fork; one of {', '.join(PRELOAD)} starts one")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    listener = socket.socket(fileno=int(arguments[0])) if arguments else _listening(Path(os.environ["DAGSTER_HOME"]))
    if len(arguments) > 1:
        _serve(socket.socket(fileno=int(arguments[1])), listener)
    logs.announce(log, f"run host ready, process {os.getpid()}")
    while True:
        connection, _ = listener.accept()
        if _version() != version:
            _replace(listener, connection)
        _serve(connection, listener)


def _listening(folder: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o077)
    try:
        with socket_address(folder) as address:
            (folder / SOCKET).unlink(missing_ok=True)
            listener.bind(address)
    finally:
        os.umask(before)
    listener.listen(BACKLOG)
    return listener


def _replace(listener: socket.socket, connection: socket.socket) -> NoReturn:
    """Becomes a fresh host with the changed files; a broken one ends here with its import error, and the run is launched again later."""
    log.info("files changed, starting afresh")
    for each in (listener, connection):
        os.set_inheritable(each.fileno(), True)
    os.execv(sys.executable, [sys.executable, "-m", "video_platform.pipeline.run_host", str(listener.fileno()), str(connection.fileno())])


def _serve(connection: socket.socket, listener: socket.socket) -> None:
    """Starts one run, and answers with its process; a request that cannot be read changes nothing."""
    with connection:
        try:
            connection.settimeout(REQUEST_S)
            with connection.makefile("rb") as lines:
                run_id = str(json.loads(lines.readline(MAX_REQUEST_BYTES))["run_id"])
            connection.settimeout(None)
            pid = os.fork()
            if pid == 0:
                listener.close()
                connection.close()
                _run(run_id)
            connection.sendall(json.dumps({"pid": pid}).encode() + b"\n")
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("request refused: %s: %s", type(error).__name__, error)


def _run(run_id: str) -> NoReturn:
    """One run, in a fresh child; it never returns into the host's loop."""
    code = 1
    try:
        os.setsid()
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with logs.about(run_id=run_id):
            execute(run_id)
        code = 0
    except BaseException as error:
        log.error("run %s ended with %s: %s", run_id, type(error).__name__, error)
    finally:
        sys.stdout.flush()
        os._exit(code)


def execute(run_id: str) -> None:
    """Executes a run of the instance in this process. SIGTERM cancels it; whatever goes wrong ends as a failed run in Dagster's log."""
    from dagster import DagsterInstance
    from dagster._grpc.impl import core_execute_run
    from dagster._utils.hosted_user_process import recon_job_from_origin
    from dagster._utils.interrupts import capture_interrupts, setup_interrupt_handlers

    setup_interrupt_handlers()
    with capture_interrupts(), DagsterInstance.get() as instance:
        run = instance.get_run_by_id(run_id)
        if run is None or run.job_code_origin is None:
            raise LookupError(f"run {run_id} is not in the instance, or says not which code it runs")
        instance.add_run_tags(run_id, {PROCESS: f"{boot_id()}:{os.getpid()}:{started_ticks(os.getpid())}"})
        for _ in core_execute_run(recon_job_from_origin(run.job_code_origin), run, instance, inject_env_vars=False):
            pass


def _version() -> int:
    """What the files of the package look like now: their names, times and sizes; one look at some 150 files takes a millisecond or two."""
    root = Path(__file__).parents[2]
    seen = []
    for package in PACKAGES:
        for folder, folders, names in os.walk(root / package):
            folders[:] = sorted(name for name in folders if name != "__pycache__")
            for name in sorted(names):
                if name.endswith(".py"):
                    with contextlib.suppress(OSError):
                        found = os.stat(os.path.join(folder, name))  # noqa: PTH116, PTH118  (a hundred Path objects would cost more than the look)
                        seen.append((folder, name, found.st_mtime_ns, found.st_size))
    return hash(tuple(seen))


if __name__ == "__main__":
    main(sys.argv[1:])
