"""What is fetched or built once and kept in the cache, by version: made aside, moved into place whole, by one process at a time."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from scripts.services.processes import ServiceFailed, cache

BUILD_S = 1800.0  # 3 to 4 minutes on two idle cores; a loaded machine takes several times that
OUTPUT_TAIL = 1500
ASK_S = 60.0


def kept(name: str, make: Callable[[Path], Path]) -> Path:
    """`<cache>/<name>`: what is there, or what `make(work)` leaves at the path it returns inside the folder `work`, which goes away afterwards."""
    target = cache() / name
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            for left in target.parent.glob(f"{name}.*/"):  # of a build that was killed
                shutil.rmtree(left)
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=f"{name}.") as work:
                make(Path(work)).rename(target)
    return target


def said(program: Path, *arguments: str) -> str:
    """What a program prints when asked for its version."""
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=ASK_S, check=False)
    return (done.stdout + done.stderr).strip()


def tool(name: str, needed_for: str, install: str) -> str:
    """The path of a program that must be on this machine."""
    found = shutil.which(name)
    if not found:
        raise ServiceFailed(f"{needed_for} needs {name}: {install}")
    return found


def run(what: str, argv: Sequence[str | Path], *, cwd: Path, environment: Mapping[str, str] | None = None, seconds: float = BUILD_S) -> None:
    """Run a tool to its end; ServiceFailed with the end of what it said when it fails, or does not end in time."""
    try:
        done = subprocess.run(argv, cwd=cwd, env={**os.environ, **(environment or {})}, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise ServiceFailed(f"{what} was not done within {seconds:.0f} s") from error
    if done.returncode:
        raise ServiceFailed(f"{what} failed: {(done.stdout + done.stderr)[-OUTPUT_TAIL:].strip()}")


GO_NEEDED = "a Go compiler (1.24 or newer): https://go.dev/dl, or Debian's golang-go"


def go_install(module: str, arguments: Sequence[str], work: Path, environment: Mapping[str, str]) -> Path:
    """The program of a Go `module@version`, built inside `work` with nothing left outside it; modules are checked against Go's checksum database."""
    name = module.partition("@")[0].rpartition("/")[2]
    go = tool("go", name, GO_NEEDED)
    own = {"GOPATH": str(work / "go"), "GOBIN": str(work / "bin"), "GOCACHE": str(work / "go-build"), "GOFLAGS": "-modcacherw", "GOTELEMETRY": "off"}
    run(f"building {module}", [go, "install", "-trimpath", *arguments, module], cwd=work, environment={**own, **environment})
    return work / "bin" / name
