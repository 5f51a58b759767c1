"""What this machine needs before anything is installed: one line each, with the command that mends it. Uses nothing but Python's own library.

python3 scripts/check_machine.py base|full
"""

import ctypes
import importlib.util
import os
import shutil
import sys
from pathlib import Path

OLDEST = (3, 11)
"""The oldest Python that the pinned packages are made for."""

NEEDED_BYTES = {"base": 2 * 1024**3, "full": 8 * 1024**3}
"""Disk that an installation takes with its downloads, `full` after `base`: measured 1.5 GB, and 5.5 GB where pip takes torch's build for graphics cards."""

NEEDED_BYTES_CPU = 3 * 1024**3
"""The same of `full` where a folder of wheels has torch's build for processors: measured 1.8 GB."""

LIBRARIES = {"libGL.so.1": "libgl1", "libglib-2.0.so.0": "libglib2.0-0", "libgthread-2.0.so.0": "libglib2.0-0"}
"""Shared libraries that OpenCV's wheel loads from the system, with Debian's package of each."""


def problems(kind: str) -> list[str]:
    """Everything that is missing, in words."""
    return [*_python(), *_venv(), *_libraries(), *_disk(kind)]


def _python() -> list[str]:
    if sys.version_info >= OLDEST:
        return []
    return [f"Python {sys.version.split()[0]} is too old; 3.11 or newer is needed: sudo apt-get install python3.11-venv, then make PYTHON=python3.11 …"]


def _venv() -> list[str]:
    if importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip"):
        return []
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return [f"Python's venv module is missing: sudo apt-get install python{version}-venv"]


def _libraries() -> list[str]:
    if sys.platform != "linux":
        return []
    missing: dict[str, list[str]] = {}
    for library, package in LIBRARIES.items():
        try:
            ctypes.CDLL(library)
        except OSError:
            missing.setdefault(package, []).append(library)
    return [f"{' and '.join(libraries)}, which OpenCV loads, is missing: sudo apt-get install {package}" for package, libraries in missing.items()]


def _disk(kind: str) -> list[str]:
    here = Path(__file__).resolve().parents[1]
    free = shutil.disk_usage(here).free
    needed = NEEDED_BYTES_CPU if kind == "full" and _torch_for_processors() else NEEDED_BYTES[kind]
    installed = (here / ".venv" / ".base").exists() and kind == "base"
    if installed or free >= needed:
        return []
    return [f"{free / 1024**3:.1f} GB are free in {here}, {needed / 1024**3:.0f} GB are needed: make room (`pip cache purge`), or clone elsewhere"]


def _torch_for_processors() -> bool:
    """Whether a folder that pip takes wheels from has the small build of torch."""
    return any(found for place in os.environ.get("PIP_FIND_LINKS", "").split() for found in Path(place).glob("torch-*+cpu-*.whl"))


def main() -> int:
    """Print what is missing; 1 when something is."""
    kind = sys.argv[1] if len(sys.argv) > 1 and sys.argv[1] in NEEDED_BYTES else "full"
    found = problems(kind)
    for line in found:
        print(f"cannot install yet: {line}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
