"""Messages that could not be used, as they lie on the dead-letter topic: the original with its reason and coordinates in headers."""

from collections.abc import Mapping

from video_platform.events import MAX_BODY_BYTES, Message

REASON = "dlq_reason"
DETAIL = "dlq_detail"
TOPIC = "dlq_topic"
PARTITION = "dlq_partition"
OFFSET = "dlq_offset"
WHOLE_BYTES = "dlq_whole_bytes"
"""Present when the value was cut: how many bytes it had. An oversize message is kept as evidence, not for replay."""

MAX_DETAIL_CHARACTERS = 1000
MAX_HEADERS_BYTES = 16 * 1024
"""Headers of a hostile message above this are dropped: they are not needed to understand it, and the letter must fit into one record."""

MAX_KEY_BYTES = 1024


def letter(message: Message, *, topic: str, partition: int, offset: int, reason: str, detail: str) -> Message:
    """`message` as a dead letter; `reason` is a short code, `detail` a sentence, the rest says where it stood."""
    about = {REASON: reason, DETAIL: detail[:MAX_DETAIL_CHARACTERS], TOPIC: topic, PARTITION: str(partition), OFFSET: str(offset)}
    if len(message.value) > MAX_BODY_BYTES:
        about[WHOLE_BYTES] = str(len(message.value))
    kept = message.headers if sum(len(name) + len(value or b"") for name, value in message.headers) <= MAX_HEADERS_BYTES else ()
    headers = tuple((name, value or b"") for name, value in kept if not name.startswith("dlq_"))
    return Message((message.key or b"")[:MAX_KEY_BYTES], (message.value or b"")[:MAX_BODY_BYTES], headers + tuple((n, v.encode()) for n, v in about.items()))


def about(message: Message) -> Mapping[str, str]:
    """What the headers of a dead letter say: header name -> text."""
    return {name: value.decode(errors="replace") for name, value in message.headers if name.startswith("dlq_")}
