"""The read side of the dead-letter topic: what could not be used, why, and the way back once the cause is gone.

A letter is known by a digest of the message and of where it stood, so that a copy (a sensor's tick that was killed after it wrote the letter writes it
again) is the same letter. It is replayed once: the database says which were, and a replay that was cut short is looked for on its topic first.
"""

import hashlib
import heapq
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from video_platform import dead_letters
from video_platform.errors import EventError, InputError, LogUnavailable, NotFound, OffsetOutOfRange, StateError
from video_platform.events import TOPIC_DEAD_LETTERS, TOPICS, Message
from video_platform.services.database import Database, replays
from video_platform.services.database.replays import Replay
from video_platform.services.event_log import EventLog, Record, partition_of

REPLAYED = "replayed_from"
"""Header of a replayed message: `<digest>@<topic>/<partition>/<offset>` of its letter."""

WINDOW = 50
"""Records that are read at once, newest part of a partition first: at most some 4 MB."""

BUDGET_S = 10.0

COORDINATES = re.compile(r"([a-zA-Z0-9._-]+)/(\d{1,9})/(\d{1,18})")

TARGETS = frozenset(TOPICS) - {TOPIC_DEAD_LETTERS}
"""Where a replay may go: whoever may write to the log may write a letter that names any topic."""


@dataclass(frozen=True)
class Place:
    """Coordinates of a record."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"

    @classmethod
    def parse(cls, text: str) -> "Place":
        """From `topic/partition/offset`; InputError for anything else."""
        found = COORDINATES.fullmatch(text)
        if found is None:
            raise InputError(
                f"{text[:200]!r} are no coordinates; write topic/partition/offset as `vp dlq list` shows them, for example {TOPIC_DEAD_LETTERS}/0/12"
            )
        return cls(found[1], int(found[2]), int(found[3]))


@dataclass(frozen=True)
class Letter:
    """One dead letter: where it lies (`place`), where the message stood (`origin`), why it could not be used, and what became of it since.

    `size_bytes` is that of the whole value, `missing` names parts of the message that the letter does not hold. `message` is the original, as far as held.
    """

    id: str
    place: Place
    origin: Place
    at: datetime
    reason: str
    detail: str
    size_bytes: int
    missing: tuple[str, ...]
    message: Message
    replay: Replay | None = None

    @property
    def replayed(self) -> bool:
        """Whether it is known to have reached its topic again."""
        return self.replay is not None and self.replay.offset is not None

    @property
    def obstacle(self) -> str | None:
        """Why it cannot be replayed; None when it can."""
        if self.missing:
            kept = "the record could not be decoded" if "record" in self.missing else f"only a part of its {' and '.join(self.missing)} was kept"
            return f"{kept}, as evidence: have its producer send it again"
        if self.origin.topic not in TARGETS:
            return f"topic {self.origin.topic!r} is none that the platform reads"
        return None


def count(log: EventLog) -> int:
    """How many letters the topic holds, copies included; 0 when there is no such topic yet."""
    try:
        return sum(log.end_offsets(TOPIC_DEAD_LETTERS).values()) - sum(log.begin_offsets(TOPIC_DEAD_LETTERS).values())
    except NotFound:
        return 0


def letters(log: EventLog, db: Database, *, limit: int | None = 50, reason: str | None = None) -> list[Letter]:
    """The newest letters, each once; with `reason` only those that have it.

    Raises:
        LogUnavailable, DatabaseUnavailable: they cannot be read now.
    """
    found = _with_replays(db, islice((letter for letter in _each_once(log) if reason in (None, letter.reason)), limit))
    return sorted(found, key=lambda letter: letter.at, reverse=True)


def find(log: EventLog, db: Database, place: Place) -> Letter:
    """The letter that lies at these coordinates of the dead-letter topic, or the one about the message that stood there on another topic.

    Raises:
        NotFound: there is none.
        StateError: several different messages stood there, because the topic was recreated.
    """
    if place.topic == TOPIC_DEAD_LETTERS:
        found = [letter for letter in _window(log, place.partition, place.offset, place.offset + 1) if letter.place == place]
    else:
        found = [letter for letter in _each_once(log) if letter.origin == place]
    if not found:
        raise NotFound(f"no dead letter {place}; `vp dlq list` shows those that there are", place=str(place))
    if len(found) > 1:
        raise StateError(f"{len(found)} messages stood at {place}, because its topic was recreated: name one of {', '.join(str(each.place) for each in found)}")
    return _with_replays(db, found)[0]


def replay(log: EventLog, db: Database, letter: Letter, who: str, *, force: bool = False, now: datetime | None = None) -> Place:
    """Send the letter's message to its topic again, and return where it lies; one that was sent before is not sent again, unless by `force`.

    Raises:
        InputError: the letter cannot be replayed; the message says why.
        StateError: somebody replays it at this moment, or an earlier replay was cut short and its topic no longer tells whether the message arrived.
        LogUnavailable: the log does not answer; the same call may be made again.
    """
    if letter.obstacle:
        raise InputError(f"letter {letter.place} cannot be replayed: {letter.obstacle}", place=str(letter.place))
    before = replays.of(db, [letter.id]).get(letter.id)
    if before is not None and not force and (arrived := _arrival(log, before)) is not None:
        if before.offset is None:
            replays.complete(db, letter.id, arrived.partition, arrived.offset)
        return arrived
    topic = letter.origin.topic
    ends = log.end_offsets(topic)
    partition = partition_of(letter.message.key, len(ends))
    begun = Replay(letter.id, topic, partition, ends[partition], None, who[:128], now or datetime.now(UTC), 1 if before is None else before.times + 1)
    if not (replays.begin(db, begun) if before is None else replays.repeat(db, begun, before)):
        raise StateError(f"somebody else replays letter {letter.place} at this moment; look at it with `vp dlq show {letter.place}`")
    about = (REPLAYED, f"{letter.id}@{letter.place}".encode())
    message = Message(letter.message.key, letter.message.value, (*(each for each in letter.message.headers if each[0] != REPLAYED), about))
    try:
        ((partition, offset),) = log.append(topic, [message])
    except (NotFound, EventError):  # refused before anything was stored
        replays.forget(db, letter.id)
        raise
    replays.complete(db, letter.id, partition, offset)
    return Place(topic, partition, offset)


def _arrival(log: EventLog, before: Replay) -> Place | None:
    """Where the message of an earlier replay lies; None when it certainly never arrived."""
    if before.offset is not None:
        return Place(before.topic, before.partition, before.offset)
    partition, begin, end = before.partition, log.begin_offsets(before.topic), log.end_offsets(before.topic)
    if not begin.get(partition, 0) <= before.from_offset <= end.get(partition, 0):
        raise StateError(
            f"a replay of this letter was cut short at {before.begun_at:%Y-%m-%d %H:%M:%S} UTC, and topic {before.topic} no longer tells whether the message "
            "arrived; --force sends it again (the same event twice starts one run)"
        )
    for record in _records(log, before.topic, partition, before.from_offset, end[partition]):
        told = next((value.decode(errors="replace") for name, value in record.message.headers if name == REPLAYED), "")
        if told.partition("@")[0] == before.letter:
            return Place(record.topic, record.partition, record.offset)
    return None


def _with_replays(db: Database, found: Iterable[Letter]) -> list[Letter]:
    listed = list(found)
    known = replays.of(db, [letter.id for letter in listed]) if listed else {}
    return [Letter(**{**vars(letter), "replay": known.get(letter.id)}) for letter in listed]


def _each_once(log: EventLog) -> Iterator[Letter]:
    """All letters, newest first, without copies."""
    try:
        begin, end = log.begin_offsets(TOPIC_DEAD_LETTERS), log.end_offsets(TOPIC_DEAD_LETTERS)
    except NotFound:
        return
    seen: set[str] = set()
    backwards = [_backwards(log, partition, begin[partition], end[partition]) for partition in end]
    for letter in heapq.merge(*backwards, key=lambda letter: letter.at, reverse=True):
        if letter.id not in seen:
            seen.add(letter.id)
            yield letter


def _backwards(log: EventLog, partition: int, begin: int, end: int) -> Iterator[Letter]:
    """The letters of one partition, newest first, read when they are asked for."""
    while end > begin:
        start = max(begin, end - WINDOW)
        yield from reversed(_window(log, partition, start, end))
        end = start


def _window(log: EventLog, partition: int, start: int, end: int) -> list[Letter]:
    """The letters of one partition in `[start, end)`, none where the log no longer holds them."""
    try:
        return [_letter(record) for record in _records(log, TOPIC_DEAD_LETTERS, partition, start, end)]
    except (OffsetOutOfRange, NotFound):
        return []


def _records(log: EventLog, topic: str, partition: int, start: int, end: int) -> Sequence[Record]:
    """The records of one partition in `[start, end)`."""
    ends = log.end_offsets(topic)
    found: list[Record] = []
    while start < end and partition in ends:
        began_s = time.monotonic()
        read = log.read(topic, {**ends, partition: start}, limit=min(WINDOW, end - start), budget_s=BUDGET_S)
        part = [record for record in read if record.partition == partition and record.offset < end]
        if part:
            found += part
            start = part[-1].offset + 1
        elif read:  # records that came to other partitions meanwhile took the place
            ends = log.end_offsets(topic)
        elif time.monotonic() - began_s < BUDGET_S:  # markers of other programs' transactions are all that is left
            break
        else:
            raise LogUnavailable(f"{topic}/{partition} could not be read from offset {start} on within {BUDGET_S:g} s; try again", topic=topic)
    return found


def _letter(record: Record) -> Letter:
    about = dead_letters.about(record.message)
    message = dead_letters.original(record.message)
    origin = Place(about.get(dead_letters.TOPIC, ""), _number(about.get(dead_letters.PARTITION)), _number(about.get(dead_letters.OFFSET)))
    return Letter(
        id=_digest(origin, message),
        place=Place(record.topic, record.partition, record.offset),
        origin=origin,
        at=record.timestamp,
        reason=about.get(dead_letters.REASON, "unknown"),
        detail=about.get(dead_letters.DETAIL, ""),
        size_bytes=_number(about.get(dead_letters.WHOLE_BYTES)) or len(message.value),
        missing=dead_letters.missing(record.message),
        message=message,
    )


def _number(text: str | None) -> int:
    """A number that somebody else may have written; 0 for none."""
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 19 else 0


def _digest(origin: Place, message: Message) -> str:
    digest = hashlib.sha256(str(origin).encode())
    for part in (message.key, message.value, *(part for name, value in message.headers for part in (name.encode(), value))):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
