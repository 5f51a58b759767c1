"""A Docker engine of its own: a folder for its images, a socket, a pid file; the machine's engine, if there is one, is not touched."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from scripts.services.processes import ServerProcess, ServiceFailed, cache

START_S = 120.0
PROGRAMS = {"dockerd": "docker.io", "docker": "docker.io", "docker-compose": "docker-compose", "debootstrap": "debootstrap", "iptables": "iptables"}
"""What is needed, and Debian's package of it."""
INSTALL = "scripts/install_docker.sh"
NOT_ALLOWED = ("operation not permitted", "permission denied", "failed to mount", "iptables")
"""What an engine says where the kernel or the container around it forbids engines."""


class Forbidden(ServiceFailed):
    """This machine's kernel does not allow a Docker engine."""


def client() -> str:
    """Debian's client, which fits its engine; another one may stand before it on the path."""
    beside = Path("/usr/bin/docker")
    return str(beside) if beside.exists() else "docker"


def compose() -> str:
    """The compose command: Debian's 1.29, or a newer one of that name."""
    return "/usr/bin/docker-compose" if Path("/usr/bin/docker-compose").exists() else "docker-compose"


class Engine:
    """One `dockerd` in `folder`; started again in the same folder it has its images still."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = (folder or cache() / "docker").absolute()
        self._process = ServerProcess(self.folder, "dockerd")
        self._run = Path(tempfile.gettempdir()) / f"video-platform-docker-{os.getuid()}"  # sockets need a short path

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self._run / "docker.sock"

    @property
    def environment(self) -> dict[str, str]:
        """What its clients need."""
        return {"DOCKER_HOST": f"unix://{self.socket}"}

    def start(self) -> "Engine":
        """Start and wait until it answers; nothing happens when it runs already.

        Raises:
            Forbidden: the kernel does not allow it.
            ServiceFailed: programs are missing, or it does not start.
        """
        if self._process.find():
            return self
        if os.geteuid() != 0:
            raise ServiceFailed("a Docker engine of its own needs root: run this as root, or set DOCKER_HOST to an engine and use docker-compose.yml itself")
        missing = sorted({package for program, package in PROGRAMS.items() if not shutil.which(program)})
        if missing:
            raise ServiceFailed(f"not installed: {', '.join(missing)}; {INSTALL} does it")
        for each in (self.folder, self._run):
            each.mkdir(parents=True, exist_ok=True)
        places = ["--data-root", str(self.folder / "data"), "--exec-root", str(self._run / "exec"), "--pidfile", str(self._run / "docker.pid")]
        argv = ["dockerd", *places, "-H", f"unix://{self.socket}", "--default-ulimit", "nofile=20000:20000"]
        self._process.start(argv, {}, ends_with_parent=False)
        try:
            self._process.wait_until(self.answers, START_S)
        except ServiceFailed as error:
            reason = next((line for line in str(error).splitlines() if "failed to start daemon" in line), "")
            if any(word in reason.lower() for word in NOT_ALLOWED):
                raise Forbidden(f"the kernel of this machine does not allow a Docker engine: {reason[-500:]}") from error
            raise
        return self

    def answers(self) -> bool:
        """Whether it answers now."""
        return self.socket.exists() and self.run("info", quiet=True, check=False).returncode == 0

    def run(self, *arguments: str, check: bool = True, quiet: bool = False, seconds: float = 600.0) -> subprocess.CompletedProcess[str]:
        """The docker command on this engine."""
        return run([client(), *arguments], self.environment, check=check, quiet=quiet, seconds=seconds)

    def stop(self) -> bool:
        """End it and what runs on it, keeping its images."""
        return self._process.stop()


def run(
    argv: list[str],
    environment: Mapping[str, str],
    *,
    check: bool = True,
    quiet: bool = True,
    seconds: float = 600.0,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """A command and what it said; ServiceFailed with the end of it when it fails and that is not expected."""
    try:
        done = subprocess.run(argv, env={**os.environ, **environment}, cwd=cwd, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise ServiceFailed(f"{' '.join(argv[:4])} did not end within {seconds:.0f} s") from error
    if check and done.returncode:
        raise ServiceFailed(f"{' '.join(argv[:4])} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-3000:]}")
    if not quiet and done.stdout.strip():
        print(done.stdout.strip(), flush=True)
    return done
