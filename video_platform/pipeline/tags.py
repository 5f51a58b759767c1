"""Run tags that this platform reads and writes, and the order of the queue."""

from collections.abc import Mapping

from video_platform.records import Lane

LANE = "vp/lane"
ASKED_LANE = "vp/asked-lane"
"""The lane on whose behalf a run that has none describes a video: it waits for a slot of pool llm, and notifies as its lane would."""

FORCE = "vp/force"
NOTIFY = "vp/notify"
CAMERA = "vp/camera"
TOPIC = "vp/topic"
PARTITION = "vp/partition"
OFFSET = "vp/offset"
EVENT = "vp/event"
HISTORY = "vp/backfill"
REQUEST = "vp/request"
"""Which backfill a run belongs to, and which of its requests it answers: see `services.database.backfills`."""

TAKEN_BACK = "vp/taken-back"
"""Set on runs of a backfill that was paused before they began; nobody cancelled these for good."""

FORCE_ASSET = "vp/force-asset"
"""The one asset that a run makes also where nothing changed; what follows is decided by content."""

DIGEST = "vp/digest"
"""Which change of a day a digest is made after."""

INBOX = "vp/inbox"
"""Which object of the inbox a run takes in: `inbox.identity`."""

PRIORITY = "dagster/priority"
VIDEO = "dagster/partition"
BACKFILL = "dagster/backfill"
WILL_RETRY = "dagster/will_retry"
PARENT = "dagster/parent_run_id"
"""On runs that Dagster started again after their process died: the run before."""

PROCESS_PRIORITY: Mapping[Lane, int] = {Lane.LIVE: 30, Lane.REQUEST: 20, Lane.BACKFILL: -10}
"""Runs of `process_video`: the higher goes first."""

DESCRIBE_PRIORITY: Mapping[Lane, int] = {lane: priority - 5 for lane, priority in PROCESS_PRIORITY.items()}
"""Runs of `describe_video` stand below those of `process_video` in their lane: an alert never waits for a summary."""


AFTER_ALERTS: Mapping[str, str] = {PRIORITY: "-1"}
IN_WORDS: Mapping[str, str] = {PRIORITY: "-2"}
"""Tags of steps: of those that are ready, the highest goes first. Alerts and clips wait for no model; the second look at alerts, for which notifications wait,
comes before listening and describing, from which the rest in words follows."""

DIGEST_PRIORITY = -5
"""Digests have the slots of backfills and go before those: a day waits for seconds of work, not for a year of footage."""

INBOX_PRIORITY = 40
"""Runs that take in what lies in the inbox have slots of their own; they stand first so that the queue never hides footage that nobody knows of yet."""


def lane_of(tags: Mapping[str, str]) -> Lane:
    """The lane a run belongs to; runs that no sensor started (the buttons of Dagster's own pages, a backfill) were requested by a person."""
    text = tags.get(LANE) or tags.get(ASKED_LANE, "")
    return Lane(text) if text in set(Lane) else Lane.REQUEST


def asked(tags: Mapping[str, str], tag: str) -> bool:
    """Whether a yes/no tag says yes."""
    return tags.get(tag, "").lower() in {"true", "1", "yes"}
