"""What only the S3 store has: a server that is away, refuses keys, or ends in the middle."""

import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import ClassVar

import psutil
import pytest
from loopback import answering
from pydantic import SecretStr
from services_fixtures import running_minio, running_s3, unavailable

from scripts.services import S3Server, ServiceFailed
from scripts.services.certificates import Authority
from video_platform.errors import SettingsError, StoreFull, StoreUnavailable
from video_platform.services.s3_exposure import exposure
from video_platform.services.s3_store import S3Store
from video_platform.settings import ObjectSettings

pytestmark = pytest.mark.s3


def settings_of(endpoint: str, access: str = "access", secret: str = "secret-key") -> ObjectSettings:
    return ObjectSettings(kind="s3", endpoint=endpoint, access_key=SecretStr(access), secret_key=SecretStr(secret))


@pytest.fixture
def free_endpoint() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def test_a_server_that_is_away_is_said_within_seconds(free_endpoint):
    store = S3Store(settings_of(free_endpoint))
    started = time.monotonic()
    with pytest.raises(StoreUnavailable, match=f"at {free_endpoint} does not answer .*ENDPOINT right"):
        store.put_bytes("a/b.json", b"x", media_type="application/json")
    assert time.monotonic() - started < 5


def test_a_server_that_hangs_is_said_within_its_timeout():
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        store = S3Store(settings_of(f"127.0.0.1:{deaf.getsockname()[1]}"), connect_s=0.5, read_s=0.5)
        started = time.monotonic()
        with pytest.raises(StoreUnavailable, match="does not answer"):
            store.stat("a/b.json")
        assert time.monotonic() - started < 8


@pytest.fixture(params=["s3_server", "minio_server"])
def server(request):
    """SeaweedFS, MinIO."""
    return request.getfixturevalue(request.param)


def test_refused_keys_are_said_with_the_settings_to_look_at(server):
    for access, secret in ((server.access_key, "wrong-secret"), ("nobody", server.secret_key)):
        with pytest.raises(StoreUnavailable, match=r"refused the keys .* VIDEO_PLATFORM_OBJECTS__ACCESS_KEY"):
            S3Store(settings_of(server.endpoint, access, secret)).check()


@pytest.mark.parametrize("running", [running_s3, running_minio])
def test_a_server_that_comes_back_is_used_again(tmp_path, running):
    with running(tmp_path / "s3") as server:
        store = S3Store(settings_of(server.endpoint, server.access_key, server.secret_key))
        store.put_bytes("a/b.json", b"kept", media_type="application/json")
        server.stop(kill=True)
        with pytest.raises(StoreUnavailable):
            store.get_bytes("a/b.json")
        server.start(ends_with_parent=True)
        assert store.get_bytes("a/b.json") == b"kept"


def test_a_source_that_shrinks_under_the_upload_stores_nothing(server, tmp_path):
    store = S3Store(settings_of(server.endpoint, server.access_key, server.secret_key), bucket="shrinking")
    assert list(store.list("")) == []
    path = tmp_path / "shrinking.mp4"
    path.write_bytes(b"x" * 40_000_000)

    class Shrinking(type(path)):  # the file is cut after its size was asked for
        def stat(self, **options):
            found = super().stat(**options)
            with self.open("r+b") as out:
                out.truncate(20_000_000)
            return found

    with pytest.raises(StoreUnavailable):
        store.put_file("a/b.mp4", Shrinking(path), media_type="video/mp4")
    assert list(store.list("")) == []


class Answers(BaseHTTPRequestHandler):
    """An S3 server that has the bucket, and answers every other request with `status` and `code`."""

    status, code, message = 500, "InternalError", "?"

    def log_message(self, format, *args):
        pass

    def do_HEAD(self):
        self.send_response(200 if self.path.count("/") == 1 else 404)
        self.end_headers()

    def do_PUT(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = f"<Error><Code>{self.code}</Code><Message>{self.message}</Message></Error>".encode()
        self.send_response(self.status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def store_on(handler: type[BaseHTTPRequestHandler]) -> Iterator[S3Store]:
    """A store on a server that answers as it is told."""
    with answering(handler) as port:
        yield S3Store(settings_of(f"127.0.0.1:{port}"))


@pytest.mark.parametrize(
    ("status", "code", "message", "error"),
    [
        (507, "XMinioStorageFull", "Storage backend has reached its minimum free drive threshold.", StoreFull),
        (400, "XMinioAdminBucketQuotaExceeded", "Bucket quota exceeded", StoreFull),
        (403, "QuotaExceeded", "The quota was exceeded", StoreFull),
        (500, "InternalError", "write /data/1.dat: no space left on device", StoreFull),
        (500, "InternalError", "assign volume: No free volumes left!", StoreFull),
        (500, "InternalError", "something else", StoreUnavailable),
        (503, "SlowDown", "Please reduce your request rate", StoreUnavailable),
    ],
)
def test_full_and_away_are_told_apart_for_every_server(status, code, message, error):
    handler = type("Handler", (Answers,), {"status": status, "code": code, "message": message})
    with store_on(handler) as store, pytest.raises(error) as caught:
        store.put_bytes("a/b.json", b"x", media_type="application/json")
    assert type(caught.value) is error


class DeniesTwice(Answers):
    bodies: ClassVar[list[bytes]] = []

    def do_PUT(self):
        if len(self.bodies) < 2:
            self.bodies.append(b"")
            self.status, self.code = 403, "AccessDenied"
            super().do_PUT()
            return
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", "0")
        self.end_headers()


def test_an_object_whose_folder_is_just_cleared_away_is_stored_a_moment_later():
    with store_on(DeniesTwice) as store:
        store.put_bytes("a/b.json", b"x", media_type="application/json")
    assert DeniesTwice.bodies == [b"", b"", b"x"]


def test_the_test_server_listens_on_loopback_only_and_wants_its_keys(s3_server):
    pid = int((s3_server.folder / "seaweedfs.pid").read_text().split()[0])
    listening = {each.laddr.ip for each in psutil.Process(pid).net_connections("tcp") if each.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"http://{s3_server.endpoint}/video-platform/", timeout=10)
    assert caught.value.code == 403
    caught.value.close()


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory):
    """A server that speaks TLS, with a certificate for 127.0.0.1 of an authority of its own."""
    folder = tmp_path_factory.mktemp("s3-tls")
    try:
        server = S3Server(folder / "s3", Authority(folder / "authority")).start(ends_with_parent=True)
    except ServiceFailed as error:
        unavailable("an S3 server with TLS", error)
    yield server
    server.stop()


def encrypted_settings(server: S3Server, *, endpoint: str | None = None, **more) -> ObjectSettings:
    told = {"secure": True, "ca_file": server.authority.certificate, **more}
    return settings_of(endpoint or server.endpoint, server.access_key, server.secret_key).model_copy(update=told)


def test_objects_travel_encrypted(encrypted):
    store = S3Store(encrypted_settings(encrypted))
    store.put_bytes("a/b.json", b"kept", media_type="application/json")
    assert store.get_bytes("a/b.json") == b"kept"


def test_a_store_of_another_authority_is_not_spoken_to(encrypted, tmp_path):
    other = Authority(tmp_path, "somebody else").certificate
    for told in ({"ca_file": other}, {"ca_file": None}):
        with pytest.raises(StoreUnavailable, match=r"its certificate is not trusted .*VIDEO_PLATFORM_OBJECTS__CA_FILE"):
            S3Store(encrypted_settings(encrypted, **told)).check()


def test_the_name_in_the_stores_certificate_counts(encrypted):
    endpoint = encrypted.endpoint.replace("127.0.0.1", "localhost")
    with pytest.raises(StoreUnavailable, match=r"(?i)localhost.* a name that stands in its certificate"):
        S3Store(encrypted_settings(encrypted, endpoint=endpoint)).check()


def test_a_store_without_tls_is_not_taken_for_one_with(s3_server, encrypted):
    with pytest.raises(StoreUnavailable, match="does this port speak TLS"):
        S3Store(encrypted_settings(encrypted, endpoint=s3_server.endpoint)).check()


def test_an_authority_file_that_cannot_be_read_names_its_setting(encrypted, tmp_path):
    with pytest.raises(SettingsError, match="VIDEO_PLATFORM_OBJECTS__CA_FILE="):
        S3Store(encrypted_settings(encrypted, ca_file=tmp_path / "missing.pem")).check()


@pytest.mark.parametrize("server", ["s3_server", "encrypted"])
def test_a_store_with_keys_is_closed_to_strangers(server, request):
    found = request.getfixturevalue(server)
    settings = encrypted_settings(found) if server == "encrypted" else settings_of(found.endpoint, found.access_key, found.secret_key)
    S3Store(settings).put_bytes("a/b.json", b"kept", media_type="application/json")
    assert exposure(settings) is None


def test_a_bucket_that_anybody_may_read_is_found(s3_server):
    import json

    settings = settings_of(s3_server.endpoint, s3_server.access_key, s3_server.secret_key)
    store = S3Store(settings, bucket="open-bucket")
    store.put_bytes("a/b.json", b"kept", media_type="application/json")
    statement = {"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject", "s3:ListBucket"]}
    policy = {"Version": "2012-10-17", "Statement": [{**statement, "Resource": ["arn:aws:s3:::open-bucket", "arn:aws:s3:::open-bucket/*"]}]}
    store._ready().set_bucket_policy("open-bucket", json.dumps(policy))
    found = exposure(settings, bucket="open-bucket") or ""
    assert "lets anybody list and read objects of bucket open-bucket without a key" in found


def test_a_server_without_keys_is_found_to_be_open(tmp_path):
    """SeaweedFS as it starts by itself, on loopback: whatever key is shown, everything is allowed."""
    server = S3Server(tmp_path / "s3", keys=False)
    try:
        server.start(ends_with_parent=True)
    except ServiceFailed as error:
        unavailable("an S3 server without keys", error)
    try:
        settings = settings_of(server.endpoint)
        S3Store(settings).put_bytes("a/b.json", b"kept", media_type="application/json")
        assert "lets anybody list and read and write objects" in (exposure(settings) or "")
        assert [each.key for each in S3Store(settings).list("")] == ["a/b.json"], "the probe is gone again"
    finally:
        server.stop()
