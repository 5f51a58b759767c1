"""Real servers as fixtures, one of each per test session; import the fixtures where they are needed.

    from services_fixtures import kafka_server, s3_server

A machine that cannot have a server skips its tests by name; with CI=true or VP_REQUIRE_SERVICES=1 they fail instead, so that nothing is left out unseen.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn, TypeVar

import pytest

from scripts.services import KafkaServer, MinioServer, OllamaServer, PostgresServer, S3Server, ServiceFailed

POLL_S = 0.02
UNSAFE = {"fsync": "off", "full_page_writes": "off"}
"""PostgreSQL's settings for data that need not outlive a power failure; it outlives a killed server all the same."""
T = TypeVar("T")
AnyServer = TypeVar("AnyServer", KafkaServer, MinioServer, OllamaServer, PostgresServer, S3Server)


def required() -> bool:
    """Whether a missing server is a failure."""
    return os.environ.get("CI", "").lower() == "true" or os.environ.get("VP_REQUIRE_SERVICES") == "1"


def unavailable(service: str, reason: object) -> NoReturn:
    """Skip, loudly, or fail where servers are required."""
    text = f"{service} cannot be had here: {reason}"
    if required():
        pytest.fail(text, pytrace=False)
    pytest.skip(text)


@contextmanager
def running(server: AnyServer, name: str) -> Iterator[AnyServer]:
    """The server, which ends with the block, and with this process."""
    try:
        server.start(ends_with_parent=True)
    except ServiceFailed as error:
        unavailable(name, error)
    try:
        yield server
    finally:
        server.stop(kill=True)  # nobody needs its data, and some take long to end politely


@contextmanager
def running_kafka(folder) -> Iterator[KafkaServer]:
    """A broker in `folder`."""
    with running(KafkaServer(folder), "a Kafka broker") as server:
        yield server


@contextmanager
def running_s3(folder) -> Iterator[S3Server]:
    """SeaweedFS in `folder`."""
    with running(S3Server(folder), "an S3 server") as server:
        yield server


@contextmanager
def running_minio(folder, *, kafka: str | None = None) -> Iterator[MinioServer]:
    """MinIO in `folder`; with `kafka` (`host:port`) it can announce uploads there."""
    with running(MinioServer(folder, kafka=kafka), "MinIO") as server:
        yield server


@contextmanager
def running_postgres(folder) -> Iterator[PostgresServer]:
    """PostgreSQL in `folder`, deleted at the end."""
    server = PostgresServer(folder, settings=UNSAFE)
    try:
        with running(server, "PostgreSQL"):
            yield server
    finally:
        server.delete()


@contextmanager
def running_ollama(folder, *, settings: dict[str, str] | None = None) -> Iterator[OllamaServer]:
    """Ollama in `folder` with a small model; `settings` are Ollama's own."""
    with running(OllamaServer(folder, settings=settings), "Ollama") as server:
        yield server


@pytest.fixture(scope="session")
def kafka_server(tmp_path_factory) -> Iterator[KafkaServer]:
    with running_kafka(tmp_path_factory.mktemp("kafka")) as server:
        yield server


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory) -> Iterator[S3Server]:
    with running_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="session")
def minio_server(kafka_server, tmp_path_factory) -> Iterator[MinioServer]:
    """It can announce uploads on the broker `kafka_server`."""
    with running_minio(tmp_path_factory.mktemp("minio"), kafka=kafka_server.address) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory) -> Iterator[PostgresServer]:
    pytest.importorskip("psycopg2") if not required() else None
    with running_postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def ollama_server(tmp_path_factory) -> Iterator[OllamaServer]:
    with running_ollama(tmp_path_factory.mktemp("ollama")) as server:
        yield server


@pytest.fixture
def new_postgres_database(postgres_server) -> Callable[[], str]:
    """Make an empty database; its URL."""
    return postgres_server.new_database


def wait_for(condition: Callable[[], T], seconds: float = 20.0) -> T:
    """The first true value of `condition()`; fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {condition}"
        time.sleep(POLL_S)
    return found
