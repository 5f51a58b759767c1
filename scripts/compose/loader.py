"""The reference loader of the compose specification, which is what Compose 2 reads files with; from Go's module proxy."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from scripts.services.fetching import go_install, kept

VERSION = "2.16.2"
MODULE = f"github.com/compose-spec/compose-go/v2/cmd@v{VERSION}"
LOAD_S = 120.0


def fetch() -> Path:
    """The loader's program, built once: 20 seconds on two idle cores."""
    return kept(f"compose-loader-{VERSION}", lambda work: go_install(MODULE, [], work, {"CGO_ENABLED": "0"}))


def load(files: Sequence[Path]) -> subprocess.CompletedProcess[str]:
    """What the loader makes of these files, each on top of the one before: the whole project as YAML, or an error."""
    return subprocess.run([fetch(), *files], capture_output=True, text=True, timeout=LOAD_S, check=False, cwd=files[0].parent)
