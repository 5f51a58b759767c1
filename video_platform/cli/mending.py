"""What `vp doctor` looks at and `vp doctor --fix` makes: the topics of the event log, the bucket, and the rule by which an S3 store announces uploads."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from video_platform.cli.doctor import Finding

if TYPE_CHECKING:
    from video_platform.settings import Settings

ADVICE = "`vp doctor --fix` sets it; until then the inbox is looked at every {seconds:g} s"


def topics(settings: "Settings") -> Finding:
    """Whether all topics are there."""
    from video_platform.errors import PlatformError
    from video_platform.events import TOPICS
    from video_platform.services.event_log import open_log

    try:
        log = open_log(settings)
        try:
            missing = sorted(set(TOPICS) - set(log.topics()))
        finally:
            log.close()
    except PlatformError as error:
        return Finding("topics", "bad", error.message, "look at VIDEO_PLATFORM_EVENT_LOG__*, and whether the brokers run")
    if missing:
        return Finding("topics", "bad", f"missing: {', '.join(missing)}", "`vp doctor --fix` or `vp topics create` makes them")
    return Finding("topics", "ok", ", ".join(TOPICS))


def inbox(settings: "Settings") -> Finding:
    """Where other programs may put footage, and how the platform hears of it."""
    from video_platform.errors import PlatformError
    from video_platform.layout import BUCKET, INBOX
    from video_platform.services.bucket_rule import BucketRule
    from video_platform.services.s3_store import S3Store

    objects = settings.objects
    look = f"looked at every {objects.scan_s:g} s"
    if objects.kind == "folder":
        return Finding("inbox", "ok", f"{settings.objects_folder / INBOX}, {look}")
    where = f"s3://{BUCKET}/{INBOX}"
    if settings.event_log.kind != "kafka":
        return Finding("inbox", "ok", f"{where}, {look}; notifications need Kafka")
    try:
        problems = BucketRule(S3Store(objects), objects.events_target).problems()
    except PlatformError as error:
        return Finding("inbox", "bad", error.message, "look at VIDEO_PLATFORM_OBJECTS__*: the key needs the right to read the bucket's notification rules")
    if problems:
        return Finding("inbox", "look", f"{where} is not announced: {'; '.join(problems)}", ADVICE.format(seconds=objects.scan_s))
    return Finding("inbox", "ok", f"{where}, announced to {objects.events_target}, and {look}")


def mend() -> Iterator[Finding]:
    """Make what is missing, and say what was made; a setting that cannot be read is for `findings` to name."""
    from video_platform import settings
    from video_platform.errors import SettingsError

    try:
        loaded = settings.load()
    except SettingsError:
        return
    yield _done("fixed topics", lambda: _make_topics(loaded), "look at VIDEO_PLATFORM_EVENT_LOG__*, and whether the brokers run")
    yield _done("fixed objects", lambda: _make_bucket(loaded), "look at VIDEO_PLATFORM_OBJECTS__*, and whether the server runs")
    if loaded.objects.kind == "s3" and loaded.event_log.kind == "kafka":
        yield _done("fixed inbox", lambda: _make_rule(loaded), f"the inbox is looked at every {loaded.objects.scan_s:g} s all the same")


def _done(what: str, make: Callable[[], str], advice: str) -> Finding:
    from video_platform.errors import PlatformError

    try:
        return Finding(what, "ok", make())
    except PlatformError as error:
        return Finding(what, "look", error.message, advice)


def _make_topics(settings: "Settings") -> str:
    from video_platform.events import TOPICS
    from video_platform.services.event_log import open_log

    log = open_log(settings)
    try:
        made = log.create_topics(TOPICS)
    finally:
        log.close()
    return f"made {', '.join(made)}" if made else "all were there"


def _make_bucket(settings: "Settings") -> str:
    from video_platform import inbox
    from video_platform.services.object_store import open_store

    store = open_store(settings)
    found = store.check()  # makes the bucket, or the folder, when it is not there
    return f"{found}; inbox {inbox.ready(settings, store)}" if settings.objects.kind == "folder" else found


def _make_rule(settings: "Settings") -> str:
    from video_platform.services.bucket_rule import BucketRule
    from video_platform.services.s3_store import S3Store

    return BucketRule(S3Store(settings.objects), settings.objects.events_target).mend()
