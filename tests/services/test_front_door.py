"""S3 as a front door, on a whole platform with Kafka and MinIO: a client that is not ours drops files, and each becomes one video, once.

Run with `-s` to see the figures.
"""

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import boto3
import clips
import pytest
from botocore.config import Config
from running import Up, wait
from services_fixtures import running_kafka, running_minio

from scripts.services import KafkaServer, MinioServer
from video_platform.errors import LogUnavailable
from video_platform.events import TOPIC_S3_EVENTS, TOPIC_VIDEO_EVENTS, VIDEO_INGESTED, decode
from video_platform.layout import BUCKET
from video_platform.pipeline.inbox import INGEST_OBJECT
from video_platform.pipeline.instance import open_instance
from video_platform.pipeline.jobs import PROCESS_VIDEO
from video_platform.platform import open_platform
from video_platform.records import VideoState
from video_platform.services.database import videos
from video_platform.services.kafka_log import KafkaLog
from video_platform.settings import Settings

pytestmark = [pytest.mark.kafka, pytest.mark.s3, pytest.mark.slow, pytest.mark.timeout(1500)]

FILES = 20
OUTAGE_S = 30.0
READY_S = 900.0
NEVER_S = 100_000.0
"""Between two looks through the inbox, where only notifications shall bring footage in."""


@dataclass
class Stack:
    """Kafka and MinIO, the settings of a platform on them, and a foreign client."""

    kafka: KafkaServer
    minio: MinioServer
    home: Path

    def settings(self, scan_s: float) -> Settings:
        objects = {"kind": "s3", "endpoint": self.minio.endpoint, "access_key": self.minio.access_key, "secret_key": self.minio.secret_key, "scan_s": scan_s}
        return Settings(home=self.home, objects=objects, event_log={"kind": "kafka", "bootstrap_servers": self.kafka.address})

    def environment(self, scan_s: float) -> dict[str, str]:
        return {**self.kafka.environment, **self.minio.environment, "VIDEO_PLATFORM_OBJECTS__SCAN_S": str(scan_s), "VIDEO_PLATFORM_RUNS__LAUNCHER": "warm"}

    @property
    def client(self):
        keys = {"aws_access_key_id": self.minio.access_key, "aws_secret_access_key": self.minio.secret_key, "region_name": "us-east-1"}
        return boto3.client("s3", endpoint_url=f"http://{self.minio.endpoint}", config=Config(retries={"max_attempts": 1}), **keys)

    def inbox(self) -> list[str]:
        found = self.client.list_objects_v2(Bucket=BUCKET, Prefix="inbox")
        return [each["Key"] for each in found.get("Contents", [])]

    def ready(self, scan_s: float, cameras: set[str]) -> list:
        """The videos of these cameras that are ready."""
        with open_platform(self.settings(scan_s)) as platform:
            found, _ = videos.page(platform.db, limit=1000)
        failed = [record.failure_message for record in found if record.state is VideoState.FAILED]
        assert not failed, failed[0]
        return [record for record in found if record.state is VideoState.READY and record.camera in cameras]

    def announced(self) -> Counter:
        """How many events `video.ingested.v1` there are for each video."""
        log = KafkaLog(self.kafka.address)
        try:
            records = log.read(TOPIC_VIDEO_EVENTS, {}, limit=10_000, budget_s=20)
        finally:
            log.close()
        return Counter(event.subject for event in map(decode, (record.message for record in records)) if event.type == VIDEO_INGESTED)

    def notifications(self) -> int:
        log = KafkaLog(self.kafka.address)
        try:
            return sum(log.end_offsets(TOPIC_S3_EVENTS).values())
        except LogUnavailable:
            return 0
        finally:
            log.close()

    def runs(self, scan_s: float, job: str) -> list:
        with open_instance(self.settings(scan_s)) as instance:
            return [run for run in instance.get_runs() if run.job_name == job]


@pytest.fixture
def stack(tmp_path):
    with running_kafka(tmp_path / "kafka") as kafka, running_minio(tmp_path / "minio", kafka=kafka.address) as minio:
        yield Stack(kafka, minio, tmp_path / "home")


def footage(folder: Path, number: int) -> Path:
    """Half a second that no other number has."""
    return clips.make(folder / f"recording {number:02d} (ä+%).mp4", frames=8 + number, size=(160, 120), fps=15.0).path


def check_once(stack: Stack, scan_s: float, found: list, names: set[str]) -> None:
    """Each file is one video with one event and one run, and the inbox is empty."""
    ids = [record.video_id for record in found]
    assert {record.original_name for record in found} == names
    announced = stack.announced()
    assert {video_id: announced[video_id] for video_id in ids} == dict.fromkeys(ids, 1)
    processed = Counter(run.tags.get("dagster/partition") for run in stack.runs(scan_s, PROCESS_VIDEO))
    assert {video_id: processed[video_id] for video_id in ids} == dict.fromkeys(ids, 1)
    assert stack.inbox() == []


def test_while_kafka_is_down_files_wait_and_become_one_video_each(stack, tmp_path):
    files = [footage(tmp_path, number) for number in range(FILES)]
    with Up(stack.home, env=stack.environment(NEVER_S)):
        stack.client.upload_file(str(footage(tmp_path, 90)), BUCKET, "inbox/first/first.mp4")
        wait(lambda: len(stack.ready(NEVER_S, {"first"})) == 1, READY_S, "a file becomes a video by its notification")
        stack.kafka.stop(kill=True)
        down = time.monotonic()
        for number, path in enumerate(files):
            stack.client.upload_file(str(path), BUCKET, f"inbox/gate-{number % 4}/{path.name}")
        wait(lambda: time.monotonic() - down >= OUTAGE_S, OUTAGE_S + 5, "the outage")
        assert len(stack.inbox()) == FILES
        stack.kafka.start(ends_with_parent=True)
        back = time.monotonic()
        cameras = {f"gate-{number}" for number in range(4)}
        found = wait(lambda: _all(stack.ready(NEVER_S, cameras)), READY_S, f"{FILES} videos")
        print(f"\nKafka down for {back - down:.0f} s, {FILES} files: {len(found)} videos ready {time.monotonic() - back:.0f} s after it was back", flush=True)
        check_once(stack, NEVER_S, found, {path.name for path in files})
        ingests = stack.runs(NEVER_S, INGEST_OBJECT)
        print(f"{stack.notifications()} notifications, {len(ingests)} runs of {INGEST_OBJECT}, {len(found)} videos", flush=True)
        assert len(ingests) == FILES + 1


def test_without_notifications_the_look_through_the_inbox_finds_them(stack, tmp_path):
    files = [footage(tmp_path, number) for number in range(FILES)]
    scan_s = 5.0
    with Up(stack.home, env=stack.environment(scan_s)):
        stack.client.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration={})
        for number, path in enumerate(files):
            stack.client.upload_file(str(path), BUCKET, f"inbox/yard-{number % 4}/{path.name}")
        dropped = time.monotonic()
        found = wait(lambda: _all(stack.ready(scan_s, {f"yard-{number}" for number in range(4)})), READY_S, f"{FILES} videos")
        print(f"\nnotifications off, {FILES} files: {len(found)} videos ready {time.monotonic() - dropped:.0f} s later", flush=True)
        check_once(stack, scan_s, found, {path.name for path in files})
        assert stack.notifications() == 0


def _all(found: list) -> list:
    return found if len(found) == FILES else []
