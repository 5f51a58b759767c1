"""Real Kafka and S3 servers as fixtures, one of each per test session; import the fixtures where they are needed.

    from services_fixtures import kafka_server, s3_server

A machine that cannot have a server skips its tests by name; with CI=true or VP_REQUIRE_SERVICES=1 they fail instead, so that nothing is left out unseen.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn, TypeVar

import pytest

from scripts.services import KafkaServer, S3Server, ServiceFailed

POLL_S = 0.02
T = TypeVar("T")


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
def running_kafka(folder) -> Iterator[KafkaServer]:
    """A broker in `folder` that ends with the block, and with this process."""
    try:
        server = KafkaServer(folder).start(ends_with_parent=True)
    except ServiceFailed as error:
        unavailable("a Kafka broker", error)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def running_s3(folder) -> Iterator[S3Server]:
    """An S3 server in `folder` that ends with the block, and with this process."""
    try:
        server = S3Server(folder).start(ends_with_parent=True)
    except ServiceFailed as error:
        unavailable("an S3 server", error)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def kafka_server(tmp_path_factory) -> Iterator[KafkaServer]:
    with running_kafka(tmp_path_factory.mktemp("kafka")) as server:
        yield server


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory) -> Iterator[S3Server]:
    with running_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


def wait_for(condition: Callable[[], T], seconds: float = 20.0) -> T:
    """The first true value of `condition()`; fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {condition}"
        time.sleep(POLL_S)
    return found
