"""Messages that could not be used, as they lie on the dead-letter topic: the original with its reason and coordinates in headers."""

from collections.abc import Mapping

from video_platform.events import MAX_BODY_BYTES, Message

PREFIX = "dlq_"

REASON = "dlq_reason"
DETAIL = "dlq_detail"
TOPIC = "dlq_topic"
PARTITION = "dlq_partition"
OFFSET = "dlq_offset"
WHOLE_BYTES = "dlq_whole_bytes"
"""Present when the value was cut: how many bytes it had. An oversize message is kept as evidence, not for replay."""

CUT = "dlq_cut"
"""Present when something of the original is not in the letter: which parts, comma separated (`key`, `value`, `headers`, `record`)."""

UNREADABLE = "unreadable"
"""Name of the header that an event log gives to an empty message in place of a record that could not be decoded; its value says why."""

MAX_DETAIL_CHARACTERS = 1000
MAX_HEADERS_BYTES = 16 * 1024
"""Headers of a hostile message above this are dropped: they are not needed to understand it, and the letter must fit into one record."""

MAX_KEY_BYTES = 1024


def letter(message: Message, *, topic: str, partition: int, offset: int, reason: str, detail: str) -> Message:
    """`message` as a dead letter; `reason` is a short code, `detail` a sentence, the rest says where it stood."""
    about = {REASON: reason, DETAIL: detail[:MAX_DETAIL_CHARACTERS], TOPIC: topic, PARTITION: str(partition), OFFSET: str(offset)}
    fits = sum(len(name) + len(value or b"") for name, value in message.headers) <= MAX_HEADERS_BYTES
    if len(message.value) > MAX_BODY_BYTES:
        about[WHOLE_BYTES] = str(len(message.value))
    missing = {
        "key": len(message.key or b"") > MAX_KEY_BYTES,
        "value": len(message.value) > MAX_BODY_BYTES,
        "headers": not fits,
        "record": [name for name, _ in message.headers] == [UNREADABLE] and not message.value,
    }
    if any(missing.values()):
        about[CUT] = ",".join(part for part, is_missing in missing.items() if is_missing)
    headers = tuple((name, value or b"") for name, value in (message.headers if fits else ()) if not name.startswith(PREFIX))
    return Message((message.key or b"")[:MAX_KEY_BYTES], (message.value or b"")[:MAX_BODY_BYTES], headers + tuple((n, v.encode()) for n, v in about.items()))


def original(letter: Message) -> Message:
    """The message that the letter is about, as far as the letter holds it."""
    return Message(letter.key, letter.value, tuple((name, value) for name, value in letter.headers if not name.startswith(PREFIX)))


def missing(letter: Message) -> tuple[str, ...]:
    """The parts of the original that the letter does not hold; without any it can be replayed."""
    told = about(letter)
    if CUT in told:
        return tuple(told[CUT].split(","))
    return ("value",) if WHOLE_BYTES in told else ()


def about(message: Message) -> Mapping[str, str]:
    """What the headers of a dead letter say: header name -> text."""
    return {name: value.decode(errors="replace") for name, value in message.headers if name.startswith(PREFIX)}
