"""One camera's files as they follow each other: what the end of one cuts off is found in the next, in whatever order they are processed."""

from datetime import UTC, datetime, timedelta

import clips
import pytest
from graphs import Graph, made

from video_platform import events
from video_platform.layout import ALERTS, DETECTIONS, RAW_VIDEO, TRACKS
from video_platform.services.database import ledger, outbox, rulesets
from video_platform.services.database.outbox import Kind
from video_platform.settings import Settings

START = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
LENGTH_S = 4.0
RULES = "version: 1\nrules: [{name: empty, when: {absent: person, for: 6s}}, {name: dark, when: {silent: gate, for: 30s}}]\n"
UP_TO_ALERTS = [RAW_VIDEO, DETECTIONS, TRACKS, ALERTS]


@pytest.fixture
def files(tmp_path):
    """A home with three files of one camera, nobody in them: the second follows at once, the third a minute later."""
    graph = Graph(Settings(home=tmp_path / "home"))
    ids = []
    with graph.platform() as platform:
        rulesets.apply(platform.db, RULES, source="t", who="t", why="t", now=datetime.now(UTC))
        for number, begins_s in enumerate((0.0, LENGTH_S + 0.2, 2 * LENGTH_S + 60.0)):
            clip = clips.make(tmp_path / f"{number}.mp4", frames=int(LENGTH_S * 10), size=(160, 120), fps=10, with_box=False, scene_starts=(number,))
            ids.append(platform.ingest.ingest_path(clip.path, camera="gate", recorded_at=START + timedelta(seconds=begins_s), announce=False).video_id)
    return graph, ids


def alerts_of(graph, video_id):
    with graph.platform() as platform:
        return [(alert.rule, alert.continues, alert.continued_from) for alert in ledger.page(platform.db, video_id=video_id)[0] if alert.lifecycle == "active"]


def requested(graph):
    """The videos that were asked for, in order; what still waits to be sent counts too."""
    with graph.platform() as platform:
        waiting = [row.message for row in outbox.waiting(platform.db, Kind.EVENT)]
        sent = [record.message for record in platform.log.read(events.TOPIC_VIDEO_EVENTS, {}, limit=100, budget_s=5)]
    headers = {row["ce_id"]: row for row in (dict(message.headers) for message in (*sent, *waiting))}
    return [row["ce_subject"].decode() for row in headers.values() if row["ce_type"].decode() == events.PROCESS_REQUESTED]


def test_in_order_the_second_goes_on_with_the_first_and_the_third_reports_the_gap(files):
    graph, ids = files
    for video_id in ids:
        assert graph.run(video_id, UP_TO_ALERTS).success
    assert alerts_of(graph, ids[0]) == []
    assert alerts_of(graph, ids[1]) == [("empty", True, ids[0])]
    assert alerts_of(graph, ids[2]) == [("dark", False, None)]
    assert requested(graph) == []
    assert made(graph.run(ids[1], UP_TO_ALERTS)) == set()


def test_in_another_order_whoever_was_too_early_is_asked_for_again(files):
    graph, ids = files
    for video_id in reversed(ids):
        assert graph.run(video_id, UP_TO_ALERTS).success
    assert alerts_of(graph, ids[1]) == []
    assert ids[1] in requested(graph)
    assert made(graph.run(ids[1], UP_TO_ALERTS)) == {ALERTS}
    assert alerts_of(graph, ids[1]) == [("empty", True, ids[0])]
    graph.run(ids[2], UP_TO_ALERTS)
    assert alerts_of(graph, ids[2]) == [("dark", False, None)]
    assert set(requested(graph)) == {ids[1], ids[2]}


def test_a_video_before_that_is_corrected_to_and_fro_has_the_next_judged_each_time(files):
    graph, ids = files
    for video_id in ids[:2]:
        assert graph.run(video_id, UP_TO_ALERTS).success
    for turn, begins in enumerate((START - timedelta(hours=1), START, START - timedelta(hours=1), START), 1):
        with graph.platform() as platform:
            platform.ingest.correct(ids[0], recorded_at=begins)
        assert graph.run(ids[0], UP_TO_ALERTS).success
        assert requested(graph).count(ids[1]) == turn
        graph.run(ids[0], UP_TO_ALERTS)
        assert requested(graph).count(ids[1]) == turn
        assert made(graph.run(ids[1], UP_TO_ALERTS)) == {ALERTS}
        assert (("empty", True, ids[0]) in alerts_of(graph, ids[1])) is (begins == START)


def test_rules_that_become_active_while_a_video_is_judged_have_it_judged_again(files, monkeypatch):
    from video_platform.analysis import evaluate

    graph, ids = files
    real = evaluate.evaluate

    def meanwhile(*given, **more):
        with graph.platform() as platform:
            rulesets.apply(platform.db, RULES.replace("6s", "2s"), source="t", who="ana", why="t", now=datetime.now(UTC))
        return real(*given, **more)

    with monkeypatch.context() as patched:
        patched.setattr(evaluate, "evaluate", meanwhile)
        assert graph.run(ids[0], UP_TO_ALERTS).success
    assert alerts_of(graph, ids[0]) == []
    assert requested(graph) == [ids[0]]
    assert made(graph.run(ids[0], UP_TO_ALERTS)) == {ALERTS}
    assert alerts_of(graph, ids[0]) == [("empty", True, None)]
    assert requested(graph) == [ids[0]]
