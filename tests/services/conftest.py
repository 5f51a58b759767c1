import gc
import shutil
import subprocess

import pytest


def pytest_configure(config):
    # kafka-python 3.0.12 reads its schemas through a function that Python 3.11 and 3.12 call deprecated (3.13 took that back)
    config.addinivalue_line("filterwarnings", "ignore:(read|open)_text is deprecated:DeprecationWarning")


def pytest_collection_modifyitems(items):
    # kafka-python 3.0.12 forgets to close the socket of a connection attempt that a stopped broker refused
    leaked = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning")
    for item in items:
        if item.get_closest_marker("kafka"):
            item.add_marker(leaked)


@pytest.fixture(autouse=True)
def kafka_client_leftovers(request):
    """Sockets that the Kafka client left are collected inside its own test, not in a later one."""
    yield
    if request.node.get_closest_marker("kafka"):
        gc.collect()


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
