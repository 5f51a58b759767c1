"""The product's own pass over one file, as a run makes it: `one_pass_once.py FILE OUT ASSET...`."""

import sys
from pathlib import Path

from video_platform import settings
from video_platform.analysis import worker

MEMORY_BYTES = 4 * 1024**3
WALL_S = 900.0


def main() -> None:
    """Make the named assets in the child process that runs use."""
    path, out, *wanted = sys.argv[1:]
    Path(out).mkdir(parents=True, exist_ok=True)
    defaults = settings.Settings(home=Path(out))
    payload = {
        "path": path,
        "out_dir": out,
        "wanted": wanted,
        "detection": defaults.detection.model_dump(),
        "scenes": defaults.scenes.model_dump(),
        "proxy": defaults.proxy.model_dump(),
    }
    worker.run("one_pass", payload, limits=worker.Budget(memory_bytes=MEMORY_BYTES, wall_s=WALL_S))


if __name__ == "__main__":
    main()
