"""What holds for all tests."""

import gc
import os
import signal

import pytest
from hypothesis import settings
from services_fixtures import kafka_server, minio_server, new_postgres_database, ollama_server, postgres_server, s3_server
from stack import Stack

from scripts.services.servers import MODULES, version

__all__ = ["kafka_server", "minio_server", "new_postgres_database", "ollama_server", "postgres_server", "s3_server"]

settings.register_profile("everywhere", deadline=None)  # a busy machine is no failure of the code
settings.load_profile("everywhere")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell starts what runs in its background so, and the children of tests would not hear Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)


for variable in [name for name in os.environ if name.startswith("VIDEO_PLATFORM_")]:
    del os.environ[variable]  # tests set what they mean; a platform that somebody uses is none of their business
os.environ["OLLAMA_HOST"] = "127.0.0.1:1"  # where nothing answers: nor is an Ollama that happens to run here


@pytest.fixture(scope="session")
def stack(kafka_server, minio_server, postgres_server, request):
    """The real servers of a deployment."""
    return Stack(kafka_server, minio_server, postgres_server, lambda: request.getfixturevalue("ollama_server"))


@pytest.fixture(params=["embedded", pytest.param("stack", marks=pytest.mark.stack)])
def profile(request, monkeypatch):
    """The profile that the environment's settings choose: everything in a home, or a deployment's servers with nothing in them yet."""
    if request.param == "stack":
        for name, value in request.getfixturevalue("stack").fresh().items():
            monkeypatch.setenv(name, value)
    return request.param


def pytest_configure(config):
    # kafka-python 3.0.12 reads its schemas through a function that Python 3.11 and 3.12 call deprecated (3.13 took that back)
    config.addinivalue_line("filterwarnings", "ignore:(read|open)_text is deprecated:DeprecationWarning")


def uses_kafka(item):
    """Whether a test speaks to a broker from this process."""
    return item.get_closest_marker("kafka") or item.get_closest_marker("stack")


def pytest_collection_modifyitems(items):
    # kafka-python 3.0.12 forgets to close the socket of a connection attempt that a stopped broker refused
    leaked = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning")
    for item in items:
        if uses_kafka(item):
            item.add_marker(leaked)


@pytest.fixture(autouse=True)
def keeps_its_priority(monkeypatch):
    """Runs of a backfill that a test executes in this process give way to everything else; the tests after it must not."""
    monkeypatch.setattr(os, "setpriority", lambda *_: None)


@pytest.fixture(autouse=True)
def kafka_client_leftovers(request):
    """Sockets that the Kafka client left are collected inside its own test, not in a later one."""
    yield
    if uses_kafka(request.node):
        gc.collect()


def pytest_report_header(config):
    """The version of every real server, where tests are chosen that need them."""
    chosen = config.option.markexpr
    if "kafka" not in chosen or "not (kafka" in chosen:
        return []
    return ["real servers:", *(f"  {name} {version(name)}" for name in MODULES)]
