"""Videos that ought to have a result and have none: requested again under a new event id, once that may help, and given up after some attempts."""

from collections.abc import Iterator, Sequence

from sensors.reconcile_tick import UNREAD, Tick
from video_platform import errors, planning
from video_platform.events import TOPIC_VIDEO_EVENTS
from video_platform.pipeline.failures import MESSAGES, QUARANTINED, RETRIABLE_CODES
from video_platform.records import VideoRecord, VideoState

MAX_REQUESTS = 20
"""Videos that one tick requests again: enough to catch up, few enough that a broken machine does not fill the queue."""

READ_AT_ONCE = 200
"""Records that are read at once; what is seen of the last of them is some milliseconds old."""

MAX_ATTEMPTS = 3
"""Requests for one video that did not lead to a result; then a person has to look."""

FULL = errors.StoreFull.__name__

STUCK = "No run has it in hand, and none that was started said what became of it."


def mend_unfinished(tick: Tick) -> None:
    """Videos that ought to have a result and have none."""
    from video_platform.services.database import videos

    ids = videos.ids(tick.desk.platform.db, (VideoState.RECEIVED, VideoState.PROCESSING, VideoState.FAILED))
    for record in _records(tick, ids):
        video_id = record.video_id
        if tick.requested >= MAX_REQUESTS:
            break
        if not tick.quiet(record):
            continue
        if record.state is VideoState.FAILED:
            if record.failure_code in RETRIABLE_CODES or _is_back(record) or (record.failure_code == FULL and tick.has_room):
                ask_again(tick, record, str(record.failure_message))
        elif not tick.on_its_way(video_id, TOPIC_VIDEO_EVENTS):
            lost = record.state is VideoState.RECEIVED and tick.is_lost(video_id, TOPIC_VIDEO_EVENTS)
            if lost or record.state is VideoState.PROCESSING or tick.quiet(record, UNREAD):
                ask_again(tick, record, STUCK)


def _records(tick: Tick, ids: Sequence[str]) -> Iterator[VideoRecord]:
    """The records of these videos, some hundred with each question: an archive may have tens of thousands that failed for good."""
    for start in range(0, len(ids), READ_AT_ONCE):
        yield from planning.records_of(tick.desk.platform.db, ids[start : start + READ_AT_ONCE])


def _is_back(record: VideoRecord) -> bool:
    """Whether footage that was not where it had been taken in lies there again, as far as can be seen from here."""
    from video_platform.services import references

    return record.failure_code in ("moved", "changed") and record.reference_path is not None and references.standing(record) == "there"


def ask_again(tick: Tick, record: VideoRecord, why: str) -> None:
    """Requests a video under a new event id, or gives it up; `why` is what keeps it from being done, in a sentence."""
    from video_platform.services.database import videos

    attempt = tick.memory.attempts.get(record.video_id, 0) + 1
    if attempt > MAX_ATTEMPTS:
        videos.failed(tick.desk.platform.db, record.video_id, None, QUARANTINED, MESSAGES[QUARANTINED].format(attempts=MAX_ATTEMPTS, why=why))
        tick.memory.attempts.pop(record.video_id)
        tick.say(f"{record.video_id} is quarantined after {MAX_ATTEMPTS} attempts")
        return
    # the same request id when this tick is replayed, another one for the next attempt
    request_id = f"reconcile:{record.generation}:{record.run_id}:{attempt}"
    tick.desk.platform.ingest.request_processing(record.video_id, lane=record.lane, request_id=request_id)
    tick.memory.attempts[record.video_id] = attempt
    tick.requested += 1
    tick.say(f"{record.video_id} ({record.failure_code or record.state}) is requested again, attempt {attempt}")
