"""What an S3 store says on topic `s3-events`: that objects were made. Whoever can write to the topic can say anything, so nothing of it is believed.

The format is Amazon's (event version 2) as MinIO, RustFS and Ceph send it to Kafka: one JSON object with `Records`, the object key URL-encoded.
"""

import json
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import unquote_plus

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from video_platform import layout
from video_platform.errors import EventError
from video_platform.events import MAX_BODY_BYTES, Message

CREATED = frozenset(f"ObjectCreated:{how}" for how in ("Put", "Post", "Copy", "CompleteMultipartUpload"))
"""Words for a whole new object, with or without `s3:` before them."""

OTHER = ("ObjectCreated:", "ObjectAccessed:", "ObjectTagging:", "ObjectAcl:")
"""Words for something that happened to an object that is there already (`ObjectCreated:PutTagging`): known, and nothing to do."""

MAX_RECORDS = 100
"""Objects that one message may name; stores send one."""

MAX_KEY_CHARACTERS = 3 * 1024
"""Longest key as it is written: 1,024 bytes, each as %XX."""


class _Foreign(BaseModel):
    """Base of what other programs write: fields that nobody reads are left alone, those that are read are strict."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class _Bucket(_Foreign):
    name: Annotated[str, Field(min_length=1, max_length=255)]


class _Object(_Foreign):
    key: Annotated[str, Field(min_length=1, max_length=MAX_KEY_CHARACTERS)]


class _S3(_Foreign):
    bucket: _Bucket
    object: _Object


class _Record(_Foreign):
    eventName: Annotated[str, Field(min_length=1, max_length=100)]
    s3: _S3


class _Notification(_Foreign):
    Records: Annotated[list[_Record], Field(min_length=1, max_length=MAX_RECORDS)]


@dataclass(frozen=True)
class Said:
    """What one message says: keys of our inbox under which there are new objects, and why the rest cannot be used."""

    keys: list[str]
    refused: list[EventError]


def read(message: Message) -> Said:
    """The new objects in a message. Each record stands for itself: a bad one does not take the good ones beside it along.

    Reasons of what is refused: `oversize`, `malformed`, `unknown_type`, `foreign_bucket`, `foreign_key`.
    """
    if len(message.value or b"") > MAX_BODY_BYTES:
        return Said([], [EventError("oversize", f"the body has {len(message.value)} bytes; the limit is {MAX_BODY_BYTES}")])
    try:
        notification = _Notification.model_validate(json.loads(message.value))
    except (ValidationError, ValueError, TypeError, RecursionError) as error:
        return Said([], [EventError("malformed", f"the body is no notification of an S3 store: {_first_line(error)}")])
    keys: list[str] = []
    refused: list[EventError] = []
    for record in notification.Records:
        try:
            key = _key(record)
        except EventError as error:
            refused.append(error)
        else:
            if key is not None:
                keys.append(key)
    return Said(list(dict.fromkeys(keys)), refused)


def _key(record: _Record) -> str | None:
    """The key of a new object in our inbox, None when there is nothing to do; EventError for anything else."""
    name = record.eventName.removeprefix("s3:")
    if name not in CREATED and not name.startswith(OTHER):
        raise EventError("unknown_type", f"no reader for {record.eventName!r}; the bucket's rule should name s3:ObjectCreated:* alone")
    if record.s3.bucket.name != layout.BUCKET:
        raise EventError("foreign_bucket", f"bucket {record.s3.bucket.name[:80]!r} is not ours")
    try:
        key = unquote_plus(record.s3.object.key, errors="strict")
    except UnicodeDecodeError as error:
        raise EventError("malformed", f"the object key {record.s3.object.key[:120]!r} is not URL-encoded UTF-8") from error
    if "\0" in key or not _is_unicode(key):
        raise EventError("malformed", f"the object key {key[:120]!r} holds what no key may hold")
    if key.startswith(layout.INBOX) and key.endswith("/"):
        return None  # the marker of an empty folder, as consoles make them
    try:
        layout.parse_inbox_key(key)
    except ValueError as error:
        raise EventError("foreign_key", f"object {key[:120]!r} is no file below {layout.INBOX}") from error
    return key if name in CREATED else None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_input=False)[0]
        return f"{'.'.join(str(part) for part in first['loc']) or 'body'}: {first['msg']}"[:300]
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
