import gc

import pytest
from services_fixtures import kafka_server, s3_server

__all__ = ["kafka_client_leftovers", "kafka_server", "pytest_configure", "s3_server"]


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
