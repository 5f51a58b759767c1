import shutil
import subprocess

import pytest


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
