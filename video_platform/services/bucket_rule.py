"""The rule of a bucket by which its store says on topic `s3-events` what was put into the inbox. MinIO, RustFS and Ceph know such rules; others are scanned."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from video_platform.errors import SettingsError, StoreUnavailable
from video_platform.layout import INBOX
from video_platform.services.s3_store import S3Store
from video_platform.settings import PREFIX

if TYPE_CHECKING:
    from minio.notificationconfig import QueueConfig

RULE = "video-platform-inbox"
"""The name of our rule; it is replaced when it is mended, other people's rules stay."""

EVERY_WAY_IN = "s3:ObjectCreated:*"
NEEDED = frozenset(f"s3:ObjectCreated:{how}" for how in ("Put", "Post", "Copy", "CompleteMultipartUpload"))

UNKNOWN_TARGET = "InvalidArgument"
NO_RULES_HERE = frozenset({"BucketAlreadyOwnedByYou", "NotImplemented", "MethodNotAllowed", "XNotImplemented"})
"""What stores without notifications answer; the first is SeaweedFS's, which takes the request for another one."""


@dataclass(frozen=True)
class BucketRule:
    """The rule of the bucket of `store` that names `target`, the store's own name (ARN) for the topic."""

    store: S3Store
    target: str

    def problems(self) -> list[str]:
        """What is wrong with it, in words; nothing when uploads are announced.

        Raises:
            StoreUnavailable: nobody can say.
        """
        with self.store.asking("its notification rules") as (client, bucket):
            rules = client.get_bucket_notification(bucket).queue_config_list
        aimed = [rule for rule in rules if rule.queue == self.target]
        if not aimed:
            others = f" (it has rules for {', '.join(sorted({str(rule.queue) for rule in rules}))})" if rules else ""
            return [f"bucket {bucket} has no rule that names {self.target}{others}"]
        return min((_problems(rule) for rule in aimed), key=len) + [each for rule in aimed for each in _too_wide(rule)]

    def mend(self) -> str:
        """Set the rule, leaving those for other targets alone; what was done, in words.

        Raises:
            SettingsError: the store does not know the target.
            StoreUnavailable: it does not answer, may not be asked, or knows no notifications.
        """
        from minio.notificationconfig import NotificationConfig, PrefixFilterRule, QueueConfig

        if not self.problems():
            return "the bucket's rule is there already"
        with self.store.asking("its notification rules") as (client, bucket):
            found = client.get_bucket_notification(bucket)
        ours = QueueConfig(queue=self.target, events=[EVERY_WAY_IN], config_id=RULE, prefix_filter_rule=PrefixFilterRule(INBOX))
        wanted = NotificationConfig(
            cloud_func_config_list=found.cloud_func_config_list,
            queue_config_list=[*(rule for rule in found.queue_config_list if rule.queue != self.target), ours],
            topic_config_list=found.topic_config_list,
        )
        try:
            with self.store.asking("a notification rule") as (client, bucket):
                client.set_bucket_notification(bucket, wanted)
        except StoreUnavailable as error:
            raise self._why_not(error) from error
        if left := self.problems():
            raise StoreUnavailable(f"the store took the rule and does not keep it: {'; '.join(left)}")
        return f"the rule of bucket {bucket} is set: {EVERY_WAY_IN} below {INBOX} to {self.target}"

    def _why_not(self, error: StoreUnavailable) -> SettingsError | StoreUnavailable:
        code = error.facts.get("code")
        if code == UNKNOWN_TARGET:
            name = self.target.split(":")[-2] if self.target.count(":") > 1 else "VP"
            return SettingsError(
                f"the S3 store does not know {self.target}: tell it of the topic (for MinIO: MINIO_NOTIFY_KAFKA_ENABLE_{name}=on, "
                f"_BROKERS_{name}, _TOPIC_{name}=s3-events, _QUEUE_DIR_{name}, then start it again), "
                f"or set {PREFIX}OBJECTS__EVENTS_TARGET to the name it has for it"
            )
        if code in NO_RULES_HERE:
            return StoreUnavailable(f"this S3 store sends no notifications to Kafka ({code}); what lies in the inbox is found by looking", code=code)
        return error


def _problems(rule: "QueueConfig") -> list[str]:
    """Uploads that this rule would not announce."""
    found = []
    events = set(rule.events)
    if EVERY_WAY_IN not in events and (missing := sorted(NEEDED - events)):
        found.append(f"it leaves out {', '.join(missing)}")
    prefix, suffix = _filter(rule)
    if not INBOX.startswith(prefix):
        found.append(f"it only names objects below {prefix!r}, not {INBOX!r}")
    if suffix:
        found.append(f"it only names objects that end with {suffix!r}")
    return found


def _too_wide(rule: "QueueConfig") -> list[str]:
    """What this rule announces that is none of ours: each such message ends on the dead-letter topic."""
    prefix, _ = _filter(rule)
    foreign = sorted(event for event in rule.events if not event.startswith("s3:ObjectCreated:"))
    found = [f"it also names objects outside {INBOX}"] if len(prefix) < len(INBOX) else []
    return found + ([f"it also names {', '.join(foreign)}"] if foreign else [])


def _filter(rule: "QueueConfig") -> tuple[str, str]:
    prefix = rule.prefix_filter_rule.value if rule.prefix_filter_rule else ""
    suffix = rule.suffix_filter_rule.value if rule.suffix_filter_rule else ""
    return prefix or "", suffix or ""
