"""A platform of its own for a benchmark: `vp up` on an empty home (the same helper that the end-to-end tests use)."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from running import Up, wait  # noqa: E402

__all__ = ["ROOT", "Up", "wait"]
