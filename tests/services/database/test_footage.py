"""One camera's videos in order: what came before, what comes after."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from video_platform.layout import ALERTS
from video_platform.records import EarlierFootage, OpenState, VideoState
from video_platform.services.database import footage
from video_platform.services.database.tables import evaluations

START = datetime(2026, 11, 23, 8, tzinfo=UTC)
READY = {"state": str(VideoState.READY)}


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def evaluated(db, video, open_states=()):
    said = {"fingerprint": "f", "content_hash": "c", "tracks_hash": "t", "rules_version": "1", "first_at": START, "evaluated_at": START}
    with db.write() as connection:
        connection.execute(sa.insert(evaluations).values(video_id=video.video_id, asset=ALERTS, open_states=list(open_states), **said))


def test_the_one_that_ended_last_counts(db, add_video):
    add_video(1, recorded_at=at(0), duration_s=600.0, **READY)
    add_video(2, recorded_at=at(60), duration_s=60.0, **READY)
    add_video(3, recorded_at=at(0), duration_s=6000.0, camera="yard", **READY)
    add_video(4, recorded_at=at(0), duration_s=6000.0, state=str(VideoState.DELETED))
    add_video(5, recorded_at=None, duration_s=6000.0, **READY)
    add_video(6, recorded_at=at(800), duration_s=60.0, **READY)
    this = add_video(7, recorded_at=at(700), duration_s=60.0, **READY)
    found = footage.before(db, this)
    assert found
    assert (found.ended_at, found.open) == (at(600), ())


def test_the_first_one_and_one_of_an_unknown_time_have_none(db, add_video):
    first = add_video(1, recorded_at=at(0), **READY)
    assert footage.before(db, first) is None
    assert footage.before(db, add_video(2, **READY)) is None
    assert footage.after(db, first.model_copy(update={"recorded_at": None})) is None


@pytest.mark.parametrize(("state", "ended_at"), [(VideoState.RECEIVED, None), (VideoState.PROCESSING, None), (VideoState.FAILED, at(0))])
def test_a_length_that_is_not_known_yet_is_not_taken_for_none(db, add_video, state, ended_at):
    add_video(1, recorded_at=at(0), state=str(state))
    found = footage.before(db, add_video(2, recorded_at=at(9000), **READY))
    assert found
    assert found.ended_at == ended_at


def test_open_states_come_back_as_they_were(db, add_video):
    first = add_video(1, recorded_at=at(0), duration_s=60.0, **READY)
    given = {"rule": "stays", "rule_hash": "h", "until_s": 59.8, "lasted_s": 6.5, "reported": False, "class_name": "person", "place": [0.5, 0.25]}
    evaluated(db, first, [given])
    found = footage.before(db, add_video(2, recorded_at=at(60), **READY))
    assert found == EarlierFootage(first.video_id, at(0), at(60), (OpenState("stays", "h", 59.8, 6.5, False, "person", (0.5, 0.25)),))


def test_the_next_one_is_the_next_that_was_evaluated(db, add_video):
    this = add_video(1, recorded_at=at(0), duration_s=60.0, **READY)
    add_video(2, recorded_at=at(60), **READY)
    third, fourth = (add_video(n, recorded_at=at(60.0 * n), **READY) for n in (3, 4))
    assert footage.after(db, this) is None
    for video in (fourth, third):
        evaluated(db, video)
    following = footage.after(db, this)
    assert following
    assert following.video_id == third.video_id
    assert footage.after(db, fourth) is None


def test_the_next_one_counts_while_it_is_still_worked_on(db, add_video):
    """Its alerts are committed, and its clips are being made."""
    this = add_video(1, recorded_at=at(0), duration_s=60.0, **READY)
    following = add_video(2, recorded_at=at(60), state=str(VideoState.PROCESSING))
    evaluated(db, following)
    found = footage.after(db, this)
    assert found
    assert found.video_id == following.video_id


def test_videos_that_begin_at_the_same_instant_have_an_order(db, add_video):
    both = sorted((add_video(n, recorded_at=at(0), duration_s=9.0, **READY) for n in (1, 2)), key=lambda video: video.video_id)
    for video in both:
        evaluated(db, video)
    assert footage.before(db, both[0]) is None
    before, after = footage.before(db, both[1]), footage.after(db, both[0])
    assert before
    assert after
    assert (before.video_id, after.video_id) == (both[0].video_id, both[1].video_id)
    assert footage.after(db, both[1]) is None
