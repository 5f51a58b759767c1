"""Messages that no reader can use, of every kind, each known by its key; and what has to become of them."""

import json
import random
from collections.abc import Mapping

from video_platform.events import MAX_BODY_BYTES, Message

KEY = "poison-"

KINDS: Mapping[str, str] = {
    "no json": "malformed",
    "not utf-8": "malformed",
    "deep json": "malformed",
    "wrong field": "malformed",
    "time without zone": "malformed",
    "endless id": "malformed",
    "no headers": "missing_header",
    "binary header": "missing_header",
    "other type": "unknown_type",
    "other specversion": "unknown_type",
    "foreign bucket": "foreign_bucket",
    "foreign key": "foreign_key",
    "unknown video": "unknown_video",
    "oversize": "oversize",
    "nearly a record": "oversize",
    "empty": "malformed",
    "large headers": "malformed",
}
"""Kind -> the reason under which it has to be a dead letter."""


def make(kind: str, number: int, good: Message) -> Message:
    """A message of this kind, made from a good one."""
    key, headers, body = f"{KEY}{number}".encode(), dict(good.headers), json.loads(good.value)

    def with_(value: bytes | Mapping[str, object] = body, **changed: bytes | None) -> Message:
        kept = {**headers, **changed}
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        return Message(key, data, tuple((name, each) for name, each in kept.items() if each is not None))

    nobody = f"{number:016x}"
    made = {
        "no json": lambda: with_(b"{"),
        "not utf-8": lambda: with_(b"\xff\xfe\x00"),
        "deep json": lambda: with_(b"[" * 30_000),
        "wrong field": lambda: with_({**body, "size_bytes": "many"}),
        "time without zone": lambda: with_(ce_time=b"2026-11-23T08:30:00"),
        "endless id": lambda: with_(ce_id=b"x" * 5000),
        "no headers": lambda: Message(key, good.value, ()),
        "binary header": lambda: with_(ce_type=b"\xff\xff"),
        "other type": lambda: with_(ce_type=b"video.exploded.v7"),
        "other specversion": lambda: with_(ce_specversion=b"0.3"),
        "foreign bucket": lambda: with_({**body, "bucket": "payroll"}),
        "foreign key": lambda: with_({**body, "object_key": "videos/../../etc/passwd"}),
        "unknown video": lambda: with_(
            {**body, "video_id": nobody, "sha256": nobody * 4, "object_key": f"videos/{nobody}/raw_video/{nobody * 4}.mp4"}, ce_subject=nobody.encode()
        ),
        "oversize": lambda: with_(b" " * (MAX_BODY_BYTES + 1)),
        "nearly a record": lambda: with_(b"x" * (900 * 1024)),
        "empty": lambda: with_(b""),
        "large headers": lambda: with_(b"?", filler=b"x" * 100_000),
    }
    return made[kind]()


def some(count: int, first: int, good: Message, chance: random.Random) -> list[Message]:
    """`count` messages, every kind in turn, in any order; the largest kind is rare, because a thousand of them are a gigabyte."""
    kinds = [kind for kind in KINDS if kind != "nearly a record"]
    chosen = [kinds[n % len(kinds)] if n % 400 else "nearly a record" for n in range(count)]
    messages = [make(kind, first + n, good) for n, kind in enumerate(chosen)]
    chance.shuffle(messages)
    return messages
