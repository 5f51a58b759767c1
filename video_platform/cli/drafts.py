"""Which version of the rules a rules file stands on: the one that it was last tried on, compared with, or made active as.

Kept in the home, so that who promotes a file is told when somebody else's rules became active since they looked.
"""

import json
from pathlib import Path

NAME = "rules-files.json"

MOST = 100
"""Files that are remembered, those of last use."""


def note(home: Path, file: Path, version: int) -> None:
    """Remember that whoever has this file knows this version."""
    known = _known(home)
    known.pop(_key(file), None)
    known[_key(file)] = version
    home.mkdir(parents=True, exist_ok=True)
    written = home / f".{NAME}.new"
    written.write_text(json.dumps(dict(list(known.items())[-MOST:]), ensure_ascii=False))
    written.replace(home / NAME)


def version_of(home: Path, file: Path) -> int | None:
    """The version that is remembered with this file, None when it was never tried, compared or made active."""
    return _known(home).get(_key(file))


def _key(file: Path) -> str:
    return str(file.resolve())


def _known(home: Path) -> dict[str, int]:
    try:
        found = json.loads((home / NAME).read_text())
    except (OSError, ValueError):
        return {}
    return {str(path): version for path, version in found.items() if isinstance(version, int)} if isinstance(found, dict) else {}
