"""What is seen and said raises alerts: over the real footage, asked over HTTP, by the fake Ollama; and what is asked again when something changes or dies."""

from asked import SEER, SEES, alerts, describe, heard, questions, raised, says, seer, stored, with_eyes
from graphs import apply, states

from video_platform import layout
from video_platform.layout import ALERTS, CAPTIONS, DESCRIBED_ALERTS, HIGHLIGHTS, LLM_SUMMARY, SEARCH_INDEX, SECOND_LOOK, TRANSCRIPT
from video_platform.pipeline.jobs import DESCRIBE_VIDEO
from video_platform.records import Lifecycle, SpeechSegment, Transcript

PERSON = "  - {name: person, when: {appears: person}}\n"


def test_a_video_without_such_rules_has_the_result_all_the_same(processed):
    graph, video_id = processed
    manifest, sheet = stored(graph, video_id)
    assert (manifest.facts["state"], manifest.degraded, manifest.configuration, manifest.inputs) == ("no_rules", None, {}, {})
    assert sheet["questions"] == sheet["alerts"] == []
    assert states(describe(graph, video_id)) == {DESCRIBED_ALERTS: "reused"}


def test_two_yes_in_a_row_raise_one_alert_with_picture_and_clip(processed):
    graph, video_id = processed
    apply(graph, SEES + PERSON)
    with seer(says((2.0, 6.0))) as server:
        with_eyes(graph, server)
        result = describe(graph, video_id)
        assert result.success
        assert states(result) == {DESCRIBED_ALERTS: "made"}
        (alert,) = alerts(graph, video_id)
        assert (alert.rule, alert.kind, alert.severity, alert.asset, alert.lifecycle) == ("drone", "sees", "critical", DESCRIBED_ALERTS, Lifecycle.ACTIVE)
        assert 2.0 <= alert.start_s < alert.end_s <= 6.0
        assert alert.why["question"] == "a drone"
        assert alert.why["model"] == SEER
        manifest, sheet = stored(graph, video_id)
        assert alert.snapshot == manifest.file(f"snapshot:{alert.id}").key
        assert alert.clip == manifest.file(f"clip:{alert.id}").key
        assert manifest.facts["state"] == "evaluated"
        assert manifest.cost.tokens == 150 * len(server.requests)
        asked = [row["at_s"] for row in sheet["questions"]]
        assert asked == sorted(asked)
        assert len(asked) == len(server.requests) == manifest.facts["questions"]
        assert all(len(request["messages"][1]["images"]) == 1 for request in server.requests)
        assert states(describe(graph, video_id)) == {DESCRIBED_ALERTS: "reused"}


def test_the_same_again_raises_nothing_twice_and_keeps_ids(processed):
    graph, video_id = processed
    apply(graph, SEES)
    before = raised(graph, video_id)
    with seer(says((2.0, 6.0))) as server:
        with_eyes(graph, server)
        describe(graph, video_id)
        first, events_then, asked = alerts(graph, video_id), raised(graph, video_id), len(server.requests)
        assert len(events_then) == len(before) + 1
        again = describe(graph, video_id, tags={"vp/force-asset": DESCRIBED_ALERTS})
        assert states(again) == {DESCRIBED_ALERTS: "made"}
        assert [alert.id for alert in alerts(graph, video_id)] == [alert.id for alert in first]
        assert raised(graph, video_id) == events_then
        assert len(server.requests) == asked  # every answer was known


def test_answers_that_were_lost_are_asked_for_again(processed):
    graph, video_id = processed
    apply(graph, SEES)
    with seer(says((2.0, 6.0))) as server:
        with_eyes(graph, server)
        describe(graph, video_id)
        (first,), asked = alerts(graph, video_id), len(server.requests)
        with graph.platform() as platform:
            platform.store.delete([stored(graph, video_id)[0].file("alerts").key])
        assert states(describe(graph, video_id)) == {DESCRIBED_ALERTS: "made"}
        assert [alert.id for alert in alerts(graph, video_id)] == [first.id]
        assert len(server.requests) == 2 * asked


def test_a_changed_sees_rule_leaves_the_tracks_alone_and_the_other_way_round(processed):
    graph, video_id = processed
    apply(graph, SEES + PERSON)
    with seer(says((2.0, 6.0))) as server:
        with_eyes(graph, server)
        everything = graph.run(video_id)
        assert states(everything)[DESCRIBED_ALERTS] == "made"
        before = questions(server)
        apply(graph, SEES.replace("a drone", "a balloon") + PERSON)
        assert {asset for asset, state in states(graph.run(video_id)).items() if state == "made"} == {DESCRIBED_ALERTS}
        assert questions(server) == 2 * before  # another question, every frame again
        apply(graph, SEES.replace("a drone", "a balloon").replace("0s", "5s") + PERSON)
        assert {asset for asset, state in states(graph.run(video_id)).items() if state == "made"} == {DESCRIBED_ALERTS}
        assert questions(server) == 2 * before  # the same question
        apply(graph, SEES.replace("a drone", "a balloon").replace("0s", "5s") + PERSON.replace("person}", "person}, cooldown: 1s"))
        made = {asset for asset, state in states(graph.run(video_id)).items() if state == "made"}
        assert DESCRIBED_ALERTS not in made
        assert ALERTS in made


def test_a_model_that_is_away_takes_no_alert_and_is_asked_when_it_is_back(processed):
    graph, video_id = processed
    apply(graph, SEES)
    with seer(says((2.0, 6.0))) as server:
        with_eyes(graph, server)
        describe(graph, video_id)
        (alert,) = alerts(graph, video_id)
        apply(graph, SEES.replace("a drone", "a balloon"))
        server.behave("busy")
        describe(graph, video_id)
        manifest, _ = stored(graph, video_id)
        assert "busy" in manifest.degraded
        assert manifest.facts["state"] == "partly_evaluated"
        assert [each.id for each in alerts(graph, video_id, lifecycle=Lifecycle.ACTIVE)] == [alert.id]
        server.behave("good")
        assert states(describe(graph, video_id)) == {DESCRIBED_ALERTS: "made"}
        manifest, _ = stored(graph, video_id)
        assert (manifest.degraded, manifest.facts["state"], manifest.facts["unanswered"]) == (None, "evaluated", 0)


def test_a_run_that_dies_is_gone_on_with(processed):
    """The first run breaks off in the middle: what was answered by then is not asked again."""
    graph, video_id = processed
    apply(graph, SEES)
    with seer(says((2.0, 6.0))) as server:
        with_eyes(graph, server)
        server.behave("good", "good", "good", "busy")
        describe(graph, video_id)
        answered = 3
        with graph.platform() as platform:
            platform.store.delete([f"videos/{video_id}/{DESCRIBED_ALERTS}/manifest.json"])  # as a kill before the manifest leaves it
            kept = list(platform.store.list(f"videos/{video_id}/{DESCRIBED_ALERTS}/answers/"))
        assert len(kept) == answered
        server.requests.clear()
        server.behave("good")
        describe(graph, video_id)
        manifest, _ = stored(graph, video_id)
        assert len(server.requests) == manifest.facts["questions"] - answered
        with graph.platform() as platform:
            assert not list(platform.store.list(f"videos/{video_id}/{DESCRIBED_ALERTS}/answers/"))


def test_without_eyes_the_rule_cannot_be_evaluated_and_that_is_said(processed):
    graph, video_id = processed
    apply(graph, SEES)
    describe(graph, video_id)
    manifest, sheet = stored(graph, video_id)
    assert (manifest.facts["state"], manifest.degraded) == ("not_evaluated", None)
    assert "no vision model is named" in manifest.facts["reason"]
    assert sheet["cannot_evaluate"][0]["rule"] == "drone"
    assert states(describe(graph, video_id)) == {DESCRIBED_ALERTS: "reused"}
    with seer(says((2.0, 6.0))) as server:
        with_eyes(graph, server)
        assert states(describe(graph, video_id)) == {DESCRIBED_ALERTS: "made"}
        assert len(alerts(graph, video_id)) == 1


def test_what_is_said_raises_an_alert_and_a_new_transcript_judges_again(processed):
    graph, video_id = processed
    apply(graph, "version: 1\nrules:\n  - {name: call, when: {says: [fire, help]}}\n")
    heard(graph, video_id, Transcript(state="not_transcribed", reason="nobody listened"))
    describe(graph, video_id)
    assert (stored(graph, video_id)[0].facts["state"], stored(graph, video_id)[0].facts["reason"]) == ("not_evaluated", "nobody listened")
    with graph.platform() as platform:  # as a version that made no transcripts left it
        platform.store.delete([layout.manifest_key(video_id, layout.TRANSCRIPT)])
    describe(graph, video_id)
    assert "no transcript" in stored(graph, video_id)[0].facts["reason"]
    segment = SpeechSegment(id="0", text="Fire! Please help.", start_s=2.0, end_s=4.0)
    heard(graph, video_id, Transcript(state="spoken", language="en", segments=[segment]))
    assert states(describe(graph, video_id)) == {DESCRIBED_ALERTS: "made"}
    (alert,) = alerts(graph, video_id)
    assert (alert.kind, alert.start_s, alert.end_s, alert.why["said"]) == ("says", 2.0, 4.0, ["fire", "help"])
    assert alert.snapshot
    assert alert.clip
    assert states(describe(graph, video_id)) == {DESCRIBED_ALERTS: "reused"}
    heard(graph, video_id, Transcript(state="spoken", language="en", segments=[segment.model_copy(update={"text": "there is no drone"})]))
    describe(graph, video_id)
    assert alerts(graph, video_id, lifecycle=Lifecycle.ACTIVE) == []
    assert "does not find this any more" in alerts(graph, video_id)[0].superseded_reason


def test_the_summary_and_the_rest_of_the_run_stand_beside_it(processed):
    graph, video_id = processed
    apply(graph, SEES)
    with seer(says()) as server:
        with_eyes(graph, server)
        found = states(graph.run(video_id, job=DESCRIBE_VIDEO))
    assert set(found) == {SECOND_LOOK, TRANSCRIPT, CAPTIONS, DESCRIBED_ALERTS, LLM_SUMMARY, SEARCH_INDEX}
    assert HIGHLIGHTS not in found
