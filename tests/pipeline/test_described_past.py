"""Drafts over what is seen and said, beside the step that asks: the same alerts, the same fingerprint, and nobody is asked for a try."""

import re

from asked import SEES, alerts, describe, heard, questions, says, seer, stored, with_eyes
from fake_ollama import FakeOllama
from graphs import apply

from video_platform import history
from video_platform.layout import DESCRIBED_ALERTS
from video_platform.records import Lifecycle, SpeechSegment, Transcript
from video_platform.services.database import ledger, rulesets

CALLED = SEES + "  - {name: person, when: {appears: person}}\n  - {name: call, when: {says: [fire]}}\n"


def tried(graph, text):
    with graph.platform() as platform:
        found = history.what_if(platform, text)
        lists = {what: list(found.alerts(platform, what)) for what in ("added", "removed", "unchanged")}
        return found, {what: [(alert.id, alert.rule) for alert in alerts if alert.asset == DESCRIBED_ALERTS] for what, alerts in lists.items()}


def promote(graph, text):
    apply(graph, text)
    with graph.platform() as platform:
        return history.reconcile(platform)


def active(graph, video_id):
    return sorted((alert.id, alert.rule) for alert in alerts(graph, video_id, lifecycle=Lifecycle.ACTIVE))


def recorded(graph, video_id):
    """What the ledger says its alerts were made from, and the rules that count."""
    with graph.platform() as platform:
        return ledger.evaluated(platform.db, video_id, DESCRIBED_ALERTS), rulesets.outdated(platform.db, asset=DESCRIBED_ALERTS)


def asked_and_heard(graph, video_id, server: FakeOllama):
    with_eyes(graph, server)
    apply(graph, CALLED)
    segment = SpeechSegment(id="0", text="Fire! Please help.", start_s=2.0, end_s=4.0)
    heard(graph, video_id, Transcript(state="spoken", language="en", segments=[segment]))
    describe(graph, video_id)
    return questions(server)


def test_answers_that_were_given_judge_a_draft_and_the_step_then_finds_the_same(processed):
    graph, video_id = processed
    with seer(says((1.0, 2.5), (5.0, 7.0), (8.4, 8.6))) as server:
        asked = asked_and_heard(graph, video_id, server)
        before = active(graph, video_id)
        assert sorted(rule for _, rule in before) == ["call", "drone", "drone"]
        draft = (
            CALLED.replace("cooldown: 0s", "cooldown: 60s").replace("[fire]", "[help]").replace("name: drone", "name: thing")
            + '  - {name: both, when: {sees: "a drone"}, merge: 60s}\n'
        )
        found, promised = tried(graph, draft)
        assert found.cannot_evaluate == []
        assert sorted(rule for _, rule in promised["added"]) == ["both", "thing"]
        assert sorted(rule for _, rule in promised["removed"]) == ["drone", "drone"]
        assert [rule for _, rule in promised["unchanged"]] == ["call"]
        assert questions(server) == asked

        done = promote(graph, draft)
        assert active(graph, video_id) == sorted(promised["added"] + promised["unchanged"])
        assert (done.videos, done.raised, done.superseded, done.waiting) == (1, 2, 2, [])
        ledger_says, outdated = recorded(graph, video_id)
        assert outdated == []
        describe(graph, video_id)  # makes pictures and clips, and the file
        assert stored(graph, video_id)[0].fingerprint == ledger_says == recorded(graph, video_id)[0]
        assert active(graph, video_id) == sorted(promised["added"] + promised["unchanged"])
        assert all(alert.snapshot and alert.clip for alert in alerts(graph, video_id, lifecycle=Lifecycle.ACTIVE))
        assert questions(server) == asked


def test_another_question_waits_for_answers_and_says_for_how_many(processed):
    graph, video_id = processed
    with seer(says((2.0, 6.0))) as server:
        asked = asked_and_heard(graph, video_id, server)
        before = active(graph, video_id)
        draft = CALLED.replace("a drone", "a balloon").replace("[fire]", "[stop]")
        found, promised = tried(graph, draft)
        ((rule, reason, videos),) = found.cannot_evaluate
        assert (rule, videos) == ("drone", 1)
        assert int(re.match(r"(\d+) frames would have to be asked about", reason)[1]) == asked
        assert re.search(r"asks \(about \d+ s\)\.", reason)  # by what asking took before
        assert [rule for _, rule in promised["unchanged"]] == ["drone"]
        assert [rule for _, rule in promised["removed"]] == ["call"]
        assert questions(server) == asked

        done = promote(graph, draft)
        assert [(rule, videos) for rule, _, videos in done.waiting] == [("drone", 1)]
        assert active(graph, video_id) == [each for each in before if each[1] == "drone"]
        assert recorded(graph, video_id)[1] == [video_id]  # as long as nobody answered, the backfill has work to do
        assert questions(server) == asked
        describe(graph, video_id)
        assert questions(server) == 2 * asked
        assert recorded(graph, video_id) == (stored(graph, video_id)[0].fingerprint, [])


def test_a_model_that_is_away_or_another_one_takes_nothing_back(processed):
    graph, video_id = processed
    with seer(says((2.0, 6.0))) as server:
        asked_and_heard(graph, video_id, server)
    draft = CALLED.replace("cooldown: 0s", "cooldown: 60s")
    found, promised = tried(graph, draft)  # nothing listens there any more
    assert [rule for rule, _, _ in found.cannot_evaluate] == ["drone"]
    assert sorted(rule for _, rule in promised["unchanged"]) == ["call", "drone"]
    with FakeOllama(models={"seer:latest": "9" * 64}, capabilities={"seer:latest": ["completion", "vision"]}) as other:
        with_eyes(graph, other)
        found, promised = tried(graph, draft)
        assert [(rule, "would have to be asked" in reason) for rule, reason, _ in found.cannot_evaluate] == [("drone", True)]
        assert sorted(rule for _, rule in promised["unchanged"]) == ["call", "drone"]
