"""A broker that asks who is there: TLS with its own authority, passwords, client certificates, rights per user. Wrong ones are refused, and say so."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from services_fixtures import unavailable

from scripts.services import KafkaServer, ServiceFailed
from scripts.services.certificates import Authority
from video_platform.errors import LogRefused, SettingsError
from video_platform.events import TOPICS, Message
from video_platform.services.kafka_log import KafkaLog
from video_platform.settings import EventLogSettings

pytestmark = pytest.mark.kafka

USER, STRANGER, CERTIFIED = "platform", "stranger", "camera-17"
ALLOWED, SECRET = "video-events", "not-yours"
PATIENCE_S = 20.0


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[KafkaServer]:
    try:
        server = KafkaServer(tmp_path_factory.mktemp("guarded"), users=(USER, STRANGER)).start(ends_with_parent=True)
    except ServiceFailed as error:
        unavailable("a Kafka broker with TLS", error)
    yield server
    server.stop()


@pytest.fixture(scope="module", autouse=True)
def rights(server: KafkaServer) -> None:
    """What docs/security.md says that the platform needs, for USER and for the client with a certificate; nothing for STRANGER."""
    from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType

    log = log_of(server, "admin")
    log.create_topics([*TOPICS, SECRET])
    given = [
        ACL(f"User:{user}", "*", operation, ACLPermissionType.ALLOW, ResourcePattern(ResourceType.TOPIC, topic))
        for user in (USER, f"CN={CERTIFIED}")
        for topic in TOPICS
        for operation in (ACLOperation.READ, ACLOperation.WRITE, ACLOperation.DESCRIBE)
    ]
    log._admin().create_acls(given)
    log.close()


def access(server: KafkaServer, user: str, **more) -> EventLogSettings:
    assert server.guarded is not None
    told = {"password": server.guarded.users[user], "ca_file": server.guarded.authority.certificate, **more}
    return EventLogSettings(kind="kafka", security_protocol="SASL_SSL", username=user, **told)


def log_of(server: KafkaServer, user: str, address: str | None = None, **more) -> KafkaLog:
    return KafkaLog(address or server.address, access=access(server, user, **more))


def refused(log: KafkaLog, topic: str = ALLOWED) -> str:
    """What the refusal says; reading, writing and looking are all refused as such."""
    uses = [lambda: log.append(topic, [Message(b"k", b"v")]), lambda: log.read(topic, {}, limit=10, budget_s=5), log.check]
    try:
        for use in uses if topic == ALLOWED else uses[:2]:
            with pytest.raises(LogRefused) as caught:
                use()
            assert not caught.value.retriable
            assert len(caught.value.message) < 700
    finally:
        log.close()
    return caught.value.message


def flows(log: KafkaLog) -> None:
    """Events go out and come back."""
    end = log.end_offsets(ALLOWED)
    ((partition, offset),) = log.append(ALLOWED, [Message(b"key", b"value", (("ce_id", b"1"),))])
    records = log.read(ALLOWED, end, limit=10, budget_s=PATIENCE_S)
    assert [(each.partition, each.offset, each.message.value) for each in records] == [(partition, offset, b"value")]
    log.close()


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
def test_events_flow_with_a_password_over_tls(server, mechanism):
    flows(log_of(server, USER, sasl_mechanism=mechanism))


def test_events_flow_with_a_certificate_and_no_password(server):
    certificate, key = server.guarded.authority.sign(CERTIFIED)
    told = {"ca_file": server.guarded.authority.certificate, "cert_file": certificate, "key_file": key}
    flows(KafkaLog(server.certified_address, access=EventLogSettings(kind="kafka", security_protocol="SSL", **told)))


def test_a_broker_of_another_authority_is_not_spoken_to(server, tmp_path):
    said = refused(log_of(server, USER, ca_file=Authority(tmp_path, "somebody else").certificate))
    assert "its certificate is not trusted" in said
    assert "VIDEO_PLATFORM_EVENT_LOG__CA_FILE" in said


def test_without_an_authority_of_our_own_only_those_of_the_system_count(server):
    assert "its certificate is not trusted" in refused(log_of(server, USER, ca_file=None))


def test_the_name_in_the_certificate_counts(server):
    said = refused(log_of(server, USER, server.address.replace("127.0.0.1", "localhost")))
    assert "'localhost'" in said
    assert "a name that stands in its certificate" in said


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
def test_a_wrong_password_is_said_and_not_shown(server, mechanism):
    said = refused(log_of(server, USER, password="wrong-canary-password", sasl_mechanism=mechanism))
    assert f"refuses the password of user {USER!r}" in said
    assert "VIDEO_PLATFORM_EVENT_LOG__PASSWORD" in said
    assert "canary" not in said


def test_a_mechanism_that_the_broker_lacks_is_said(server):
    assert "does not offer SCRAM-SHA-256" in refused(log_of(server, USER, sasl_mechanism="SCRAM-SHA-256"))


def test_a_topic_without_rights_is_a_named_error(server):
    said = refused(log_of(server, USER), SECRET)
    assert f"user {USER!r}" in said
    assert SECRET in said


def test_a_user_without_rights_may_nothing(server):
    log = log_of(server, STRANGER)
    for use in (lambda: log.append(ALLOWED, [Message(b"k", b"v")]), lambda: log.read(ALLOWED, {}, limit=1, budget_s=5), lambda: log.create_topics(["mine"])):
        with pytest.raises(LogRefused, match=STRANGER):
            use()
    log.close()


def test_a_client_without_its_certificate_is_refused(server):
    told = {"ca_file": server.guarded.authority.certificate}
    log = KafkaLog(server.certified_address, access=EventLogSettings(kind="kafka", security_protocol="SSL", **told))
    assert "certificate" in refused(log)


def test_a_broker_that_wants_tls_is_not_told_a_password_without(server):
    told = {"username": USER, "password": server.guarded.users[USER]}
    log = KafkaLog(server.address, access=EventLogSettings(kind="kafka", security_protocol="SASL_PLAINTEXT", **told), timeout_s=2.0)
    with pytest.raises(Exception, match="Kafka at"):
        log.check()
    log.close()


@pytest.mark.parametrize("name", ["missing.pem", "empty.pem"])
def test_an_authority_that_cannot_be_read_names_its_setting(server, tmp_path: Path, name):
    (tmp_path / "empty.pem").write_text("")
    log = log_of(server, USER, ca_file=tmp_path / name)
    with pytest.raises(SettingsError, match="VIDEO_PLATFORM_EVENT_LOG__CA_FILE="):
        log.check()


def test_a_key_that_is_not_the_certificates_names_its_settings(server, tmp_path: Path):
    authority = Authority(tmp_path)
    certificate, _ = authority.sign("one")
    _, key = authority.sign("two")
    with pytest.raises(SettingsError, match="VIDEO_PLATFORM_EVENT_LOG__CERT_FILE"):
        log_of(server, USER, cert_file=certificate, key_file=key).check()
