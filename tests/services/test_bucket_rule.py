"""The rule by which MinIO announces uploads: looked at, mended, and other people's rules left alone."""

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from urllib.parse import unquote_plus

import pytest
from minio.notificationconfig import NotificationConfig, PrefixFilterRule, QueueConfig, SuffixFilterRule
from services_fixtures import wait_for

from video_platform import inbox, s3_events
from video_platform.errors import SettingsError, StoreUnavailable
from video_platform.events import TOPIC_S3_EVENTS, TOPICS
from video_platform.services.bucket_rule import RULE, BucketRule
from video_platform.services.kafka_log import KafkaLog
from video_platform.services.s3_store import S3Store
from video_platform.settings import ObjectSettings, Settings

pytestmark = [pytest.mark.kafka, pytest.mark.s3]

TARGET = "arn:minio:sqs::VP:kafka"


def store_of(server, bucket):
    settings = ObjectSettings(kind="s3", endpoint=server.endpoint, access_key=server.access_key, secret_key=server.secret_key)
    return S3Store(settings, bucket=bucket)


@pytest.fixture
def store(minio_server):
    return store_of(minio_server, f"rule-{uuid.uuid4().hex[:12]}")


@pytest.fixture
def rule(store):
    return BucketRule(store, TARGET)


def set_rules(store, *rules):
    with store.asking("rules") as (client, bucket):
        client.set_bucket_notification(bucket, NotificationConfig(queue_config_list=list(rules)))


def rules_of(store):
    with store.asking("rules") as (client, bucket):
        return client.get_bucket_notification(bucket).queue_config_list


def config(*, events=("s3:ObjectCreated:*",), prefix="inbox/", suffix=None, name="somebody"):
    filters = {"prefix_filter_rule": PrefixFilterRule(prefix) if prefix else None, "suffix_filter_rule": SuffixFilterRule(suffix) if suffix else None}
    return QueueConfig(queue=TARGET, events=list(events), config_id=name, **filters)


def test_a_new_bucket_has_none_and_gets_it(rule, store):
    assert rule.problems() == [f"bucket {store._bucket} has no rule that names {TARGET}"]
    assert "is set" in rule.mend()
    assert rule.problems() == []
    [found] = rules_of(store)
    assert (found.queue, found.events, found.config_id, found.prefix_filter_rule.value) == (TARGET, ["s3:ObjectCreated:*"], RULE, "inbox/")
    assert rule.mend() == "the bucket's rule is there already"


def test_one_that_somebody_else_made_right_stays(rule, store):
    set_rules(store, config(events=["s3:ObjectCreated:Put", "s3:ObjectCreated:Post", "s3:ObjectCreated:Copy", "s3:ObjectCreated:CompleteMultipartUpload"]))
    assert rule.problems() == []
    rule.mend()
    assert [found.config_id for found in rules_of(store)] == ["somebody"]


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"events": ["s3:ObjectCreated:Put"]}, "CompleteMultipartUpload"),
        ({"prefix": "other/"}, "'other/'"),
        ({"prefix": "inbox/gate-1/"}, "'inbox/gate-1/'"),
        ({"prefix": None}, "outside inbox/"),
        ({"suffix": ".mp4"}, "'.mp4'"),
        ({"events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}, "s3:ObjectRemoved"),
    ],
)
def test_what_is_wrong_is_said_and_mended(rule, store, wrong, word):
    set_rules(store, config(**wrong))
    assert any(word in problem for problem in rule.problems())
    rule.mend()
    assert rule.problems() == []
    assert [found.config_id for found in rules_of(store)] == [RULE]


def test_a_target_that_the_store_does_not_know(store):
    rule = BucketRule(store, "arn:minio:sqs::OTHER:kafka")
    with pytest.raises(SettingsError, match="MINIO_NOTIFY_KAFKA_ENABLE_OTHER"):
        rule.mend()


def test_a_store_without_notifications_says_so(s3_server):
    rule = BucketRule(store_of(s3_server, f"rule-{uuid.uuid4().hex[:12]}"), TARGET)
    assert rule.problems()
    with pytest.raises(StoreUnavailable, match="sends no notifications"):
        rule.mend()


def test_what_minio_then_sends_is_understood(rule, store, kafka_server):
    log = KafkaLog(kafka_server.address)
    try:
        log.create_topics(TOPICS)
        rule.mend()
        keys = ["inbox/gate-1/morning of the 1st (Größe+%).mp4", "inbox/gate-1/large.mp4"]
        store.put_bytes(keys[0], b"x", media_type="video/mp4")
        store.put_bytes("videos/0123456789abcdef/raw_video/x", b"x", media_type="video/mp4")
        with store.asking("upload") as (client, bucket):
            client.fput_object(bucket, keys[1], __file__, part_size=5 * 1024 * 1024)

        def ours():
            records = log.read(TOPIC_S3_EVENTS, {}, limit=1000, budget_s=5)
            bodies = [json.loads(record.message.value)["Records"][0]["s3"] for record in records]
            return [unquote_plus(body["object"]["key"]) for body in bodies if body["bucket"]["name"] == store._bucket]

        wait_for(lambda: len(ours()) >= 2, 60)
        assert sorted(ours()) == sorted(keys)
        records = log.read(TOPIC_S3_EVENTS, {}, limit=1000, budget_s=5)
        said = [s3_events.read(record.message) for record in records if record.message.key.startswith(store._bucket.encode())]
        assert [[error.reason for error in each.refused] for each in said] == [["foreign_bucket"]] * 2  # the test's bucket is not the platform's
    finally:
        log.close()


class TestDoctor:
    """`vp doctor` and `vp doctor --fix` on a broker and a store that nobody has prepared."""

    @pytest.fixture
    def fresh(self, tmp_path, tmp_path_factory):
        from services_fixtures import running_kafka, running_minio

        with running_kafka(tmp_path_factory.mktemp("kafka")) as kafka, running_minio(tmp_path_factory.mktemp("minio"), kafka=kafka.address) as minio:
            yield {"VIDEO_PLATFORM_HOME": str(tmp_path / "home"), **kafka.environment, **minio.environment}

    def vp(self, environment, *arguments) -> tuple[int, dict[str, tuple[str, str]]]:
        """Exit status, and what was found by its name: state and words."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("VIDEO_PLATFORM_")}
        command = [str(Path(sys.executable).parent / "vp"), *arguments]
        done = subprocess.run(command, env={**clean, **environment}, capture_output=True, text=True, timeout=200, check=False)
        return done.returncode, {each["what"]: (each["state"], each["found"]) for each in json.loads(done.stdout)}

    @pytest.mark.timeout(600)
    def test_it_names_what_is_missing_and_makes_it(self, fresh):
        status, before = self.vp(fresh, "doctor", "--json")
        assert status == 1
        assert before["topics"] == ("bad", f"missing: {', '.join(sorted(TOPICS))}")
        assert before["inbox"][0] == "look"
        status, after = self.vp(fresh, "doctor", "--fix", "--json")
        assert (status, after["topics"][0], after["inbox"][0]) == (0, "ok", "ok"), after
        assert "made" in after["fixed topics"][1]
        assert "is set" in after["fixed inbox"][1]
        _, again = self.vp(fresh, "doctor", "--fix", "--json")
        assert (again["fixed topics"][1], again["fixed inbox"][1]) == ("all were there", "the bucket's rule is there already")


def test_the_start_sets_the_rule_where_it_can(minio_server, s3_server, kafka_server, tmp_path):
    def settings(server):
        objects = {"kind": "s3", "endpoint": server.endpoint, "access_key": server.access_key, "secret_key": server.secret_key}
        return Settings(home=tmp_path / "home", objects=objects, event_log={"kind": "kafka", "bootstrap_servers": kafka_server.address})

    with_rules, without = settings(minio_server), settings(s3_server)
    assert "heard of on topic s3-events" in inbox.ready(with_rules, S3Store(with_rules.objects))
    assert "no notifications: this S3 store" in inbox.ready(without, S3Store(without.objects))
