import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from notifying import Raise, Webhook, listening, raising

from video_platform.services.database import Database, open_database
from video_platform.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def db(settings: Settings) -> Iterator[Database]:
    database = open_database(settings)
    yield database
    database.dispose()


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with listening() as hook:
        yield hook


@pytest.fixture
def raise_alerts(db: Database) -> Raise:
    return raising(db)


@pytest.fixture
def small_disk(tmp_path):
    """Runs a command with 2 MiB of disk at the folder `small`, in a mount namespace of its own."""
    small = tmp_path / "small"
    small.mkdir()
    unshare = shutil.which("unshare")
    mounted = [unshare or "unshare", "--map-root-user", "--mount", "sh", "-c", f'mount -t tmpfs -o size=2m tmpfs {small} && exec "$@"', "sh"]
    if unshare is None or subprocess.run([*mounted, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespaces here: a small disk cannot be had")
    return mounted, small
