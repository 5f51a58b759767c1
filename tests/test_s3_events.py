"""Notifications of S3 stores: what MinIO really sends, and what anybody who can write to the topic may send."""

import json
import string
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_platform import s3_events
from video_platform.errors import EventError
from video_platform.events import MAX_BODY_BYTES, Message
from video_platform.layout import BUCKET

MINIO = {
    "EventName": "s3:ObjectCreated:CompleteMultipartUpload",
    "Key": "video-platform/inbox/gate-1/morning of the 1st.mp4",
    "Records": [
        {
            "eventVersion": "2.0",
            "eventSource": "minio:s3",
            "awsRegion": "us-east-1",
            "eventTime": "2026-11-25T14:00:00.000Z",
            "eventName": "s3:ObjectCreated:CompleteMultipartUpload",
            "userIdentity": {"principalId": "someone"},
            "requestParameters": {"principalId": "someone", "region": "us-east-1", "sourceIPAddress": "127.0.0.1"},
            "responseElements": {
                "x-amz-id-2": "dd",
                "x-amz-request-id": "18",
                "x-minio-deployment-id": "5a",
                "x-minio-origin-endpoint": "http://127.0.0.1:9000",
            },
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": "Config",
                "bucket": {"name": "video-platform", "ownerIdentity": {"principalId": "someone"}, "arn": "arn:aws:s3:::video-platform"},
                "object": {
                    "key": "inbox%2Fgate-1%2Fmorning+of+the+1st.mp4",
                    "size": 8388608,
                    "eTag": "0e6e4c8d-2",
                    "contentType": "video/mp4",
                    "userMetadata": {"content-type": "video/mp4"},
                    "sequencer": "187B3C5A9F2D4E10",
                },
            },
            "source": {"host": "127.0.0.1", "port": "", "userAgent": "MinIO (linux; amd64) minio-py/7.2.20"},
        }
    ],
}
"""As the community server of February 2026 sends it."""


def record(key="inbox/gate-1/a.mp4", event="s3:ObjectCreated:Put", bucket=BUCKET, **more):
    return {"eventName": event, "s3": {"bucket": {"name": bucket}, "object": {"key": quote_plus(key, safe="/"), **more}}}


def said(*records):
    return s3_events.read(Message(b"k", json.dumps({"Records": list(records)}).encode()))


def reasons(found):
    return [error.reason for error in found.refused]


def test_what_minio_sends():
    assert s3_events.read(Message(b"k", json.dumps(MINIO).encode())).keys == ["inbox/gate-1/morning of the 1st.mp4"]


@pytest.mark.parametrize("event", ["Put", "Post", "Copy", "CompleteMultipartUpload"])
@pytest.mark.parametrize("prefix", ["s3:", ""])
def test_all_ways_in_which_an_object_comes_to_be(event, prefix):
    assert said(record(event=f"{prefix}ObjectCreated:{event}")).keys == ["inbox/gate-1/a.mp4"]


def test_several_records_each_stand_for_themselves():
    found = said(record("inbox/a/1.mp4"), record(bucket="other"), record("videos/x"), record("inbox/b/2.mp4"), record("inbox/a/1.mp4"))
    assert found.keys == ["inbox/a/1.mp4", "inbox/b/2.mp4"]
    assert reasons(found) == ["foreign_bucket", "foreign_key"]


@pytest.mark.parametrize("key", ["inbox/gate-1/Größe +%41&=?.mp4", "inbox/a/b/c/d.mp4", "inbox/on its own.mp4", "inbox/cam era/x.mp4", "inbox/a\\b/x.mp4"])
def test_keys_come_back_as_they_were(key):
    assert said(record(key)).keys == [key]


@pytest.mark.parametrize("event", ["s3:ObjectCreated:PutTagging", "s3:ObjectAccessed:Get", "ObjectTagging:Put"])
def test_what_happens_to_an_object_that_is_there_is_nothing_to_do(event):
    found = said(record(event=event))
    assert (found.keys, found.refused) == ([], [])


def test_the_marker_of_a_folder_is_nothing_to_do():
    found = said(record("inbox/gate-1/"))
    assert (found.keys, found.refused) == ([], [])


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("inbox/../videos/0123456789abcdef/raw_video/x.mp4", "foreign_key"),
        ("inbox/./x.mp4", "foreign_key"),
        ("inbox//x.mp4", "foreign_key"),
        ("../../x", "foreign_key"),
        ("/inbox/a/x.mp4", "foreign_key"),
        ("videos/0123456789abcdef/raw_video/manifest.json", "foreign_key"),
        ("inbox-refused/a/x.mp4", "foreign_key"),
        ("inboxed/a/x.mp4", "foreign_key"),
        ("inbox/a/x\0.mp4", "malformed"),
    ],
)
def test_keys_outside_the_inbox(key, reason):
    assert reasons(said(record(key))) == [reason]


@pytest.mark.parametrize("event", ["s3:ObjectRemoved:Delete", "s3:TestEvent", "whatever", "s3:ObjectCreated"])
def test_events_that_nobody_asked_for(event):
    assert reasons(said(record(event=event))) == ["unknown_type"]


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"not json",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"{}",
        b'{"Records": []}',
        b'{"Records": {}}',
        b'{"Records": [1]}',
        b'{"Records": [{"eventName": 1, "s3": {}}]}',
        json.dumps({"Records": [{"eventName": "s3:ObjectCreated:Put", "s3": {"bucket": {"name": BUCKET}, "object": {"key": 5}}}]}).encode(),
        json.dumps({"Records": [{"eventName": "s3:ObjectCreated:Put", "s3": {"bucket": {"name": BUCKET}, "object": {"key": ""}}}]}).encode(),
        json.dumps({"Records": [{"eventName": "s3:ObjectCreated:Put", "s3": {"bucket": {"name": BUCKET}, "object": {"key": "inbox/a/%ff"}}}]}).encode(),
        json.dumps({"Records": [record("inbox/" + "x" * 4000)]}).encode(),
        json.dumps({"Records": [record()] * 101}).encode(),
        b"[" * 50_000,
        b'{"Records": [{"eventName": "\\ud800", "s3": {}}]}',
        b'{"Records": ' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_notification(value):
    found = s3_events.read(Message(b"", value))
    assert (found.keys, reasons(found)) == ([], ["malformed"])


def test_a_message_that_is_too_large_is_not_parsed():
    assert reasons(s3_events.read(Message(b"", b"[" * (MAX_BODY_BYTES + 1)))) == ["oversize"]


def test_a_record_without_value():
    assert reasons(s3_events.read(Message(b"", None))) == ["malformed"]  # type: ignore[arg-type]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["Records", "s3", "bucket", "object", "key", "name", "eventName"]) | st.text(), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_message_is_either_keys_of_the_inbox_or_refused(value):
    check(s3_events.read(Message(b"", value)))


@given(st.text(max_size=60) | st.text(alphabet=string.punctuation + "ab", max_size=30), st.sampled_from(["s3:ObjectCreated:Put", "x", "ObjectCreated:Post"]))
def test_any_key_is_either_one_of_the_inbox_or_refused(key, event):
    raw = {"Records": [{"eventName": event, "s3": {"bucket": {"name": BUCKET}, "object": {"key": "inbox/" + key}}}]}
    check(s3_events.read(Message(b"", json.dumps(raw).encode())))


def check(found):
    assert all(isinstance(error, EventError) and error.message.isprintable() for error in found.refused)
    for key in found.keys:
        assert key.startswith("inbox/")
        assert not {"", ".", ".."} & set(key.split("/"))
        key.encode()
