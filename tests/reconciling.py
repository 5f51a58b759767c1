"""What the tests of the sensor `reconcile` do to a platform, and read of it."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, SensorInstigatorData

from sensors import consuming
from video_platform import events
from video_platform.services.database.tables import videos as table


def footage(platform, tmp_path, n=1):
    path = tmp_path / f"{n}.mp4"
    path.write_bytes(b"footage %d" % n)
    return platform.ingest.ingest_path(path, announce=False).video_id


def age(platform, video_id, minutes=30):
    with platform.db.write() as connection:
        then = datetime.now(UTC) - timedelta(minutes=minutes)
        connection.execute(sa.update(table).where(table.c.video_id == video_id).values(updated_at=then))


def requests(platform):
    records = platform.log.read(events.TOPIC_VIDEO_EVENTS, {}, limit=100, budget_s=5)
    return [events.decode(record.message) for record in records]


def read_all(sensor, platform, reader, topic):
    """As if the sensor that reads this topic had read all that is there or waits in the outbox, and made no run of it."""
    platform.announce()
    state = SensorInstigatorData(cursor=consuming.read(platform.log, topic, consuming.Position(), 100).position.dump())
    origin = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "__repository__").get_instigator_origin(reader)
    sensor.instance.add_instigator_state(InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.RUNNING, state))
