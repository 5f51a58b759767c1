import json
import re

import pytest
from fake_ollama import FakeOllama

from video_platform.analysis.asking import Asker, Question, Recalled, recall
from video_platform.analysis.seeing import Still
from video_platform.analysis.seen import Answer, key_of
from video_platform.records import Scene
from video_platform.services.ollama import OllamaModel

SCENES = [Scene(0, 0.0, 100.0)]
DRONE = Question("drone", "a drone")


class Kept:
    """Answers in memory."""

    def __init__(self):
        self.answers = {}

    def get(self, key):
        return self.answers.get(key)

    def put(self, key, answer):
        self.answers[key] = answer


@pytest.fixture
def server():
    with FakeOllama(reply=lambda prompt: json.dumps({"answer": "yes" if 20 <= at_of(prompt) <= 40 else "no"})) as running:
        yield running


def at_of(prompt):
    return float(re.search(r"frame at ([\d.]+) s", prompt)[1])


def asker(server, kept=None):
    return Asker(OllamaModel(server.address, "seer", "1" * 64, timeout_s=30), kept or Kept())


def ask(asking, tmp_path, *questions, moments=(10.0, 20.0, 30.0, 60.0), same=False):
    def stills(wanted):
        path = tmp_path / "still.jpg"
        path.write_bytes(b"picture")
        return [Still(at_s, path, "0" * 64 if same else f"{at_s:064.1f}") for at_s in wanted]

    return asking.all(list(questions or (DRONE,)), moments, stills, SCENES, lambda fraction, text: None)


def seen(answers):
    return [(answer.at_s, answer.seen) for answer in answers]


def test_every_moment_is_asked_about_once(server, tmp_path):
    asking = asker(server)
    assert seen(ask(asking, tmp_path)["drone"]) == [(10.0, False), (20.0, True), (30.0, True), (60.0, False)]
    assert (asking.asked, asking.kept, asking.tokens, asking.away) == (4, 0, 600, None)


def test_a_lonely_yes_is_asked_about_once_more(server, tmp_path):
    asking = asker(server)
    assert seen(ask(asking, tmp_path, moments=(10.0, 25.0, 60.0))["drone"]) == [(10.0, False), (25.0, True), (26.0, True), (60.0, False)]
    assert [at_of(request["messages"][1]["content"]) for request in server.requests] == [10.0, 25.0, 60.0, 26.0]


def test_each_rule_is_asked_in_its_own_time(server, tmp_path):
    night = Question("night", "a fox", ((0.0, 15.0), (55.0, 65.0)))
    found = ask(asker(server), tmp_path, DRONE, night)
    assert [at_s for at_s, _ in seen(found["night"])] == [10.0, 60.0]
    assert len(found["drone"]) == 4
    never = Question("never", "a fox", ())
    assert ask(asker(server), tmp_path, never) == {"never": []}


def test_what_was_answered_is_not_asked_again(server, tmp_path):
    kept = Kept()
    ask(asker(server, kept), tmp_path)
    server.requests.clear()
    asking = asker(server, kept)
    assert seen(ask(asking, tmp_path)["drone"]) == [(10.0, False), (20.0, True), (30.0, True), (60.0, False)]
    assert (server.requests, asking.asked, asking.kept) == ([], 0, 4)


def test_equal_pictures_are_asked_about_once(server, tmp_path):
    ask(asker(server), tmp_path, same=True)
    assert len(server.requests) == 1


def test_a_model_that_goes_away_is_left_alone_and_no_frame_counts_as_no(server, tmp_path):
    server.behave("good", "good", "busy", "busy")
    asking = asker(server)
    found = ask(asking, tmp_path, moments=(10.0, 20.0, 30.0, 40.0, 50.0, 60.0))["drone"]
    assert [answer.seen for answer in found] == [False, True, None, None, None, None]
    assert "busy" in asking.away
    assert len(server.requests) == 4
    assert found[-1].reason == "the model went away before its turn"


def recalled(given, asking_kept, moments=(10.0, 20.0, 30.0, 60.0), question=DRONE):
    """What is known of a question by the frames of `given` answers and what was kept of them."""
    model = OllamaModel("http://127.0.0.1:1", "seer", "1" * 64, timeout_s=1)
    shown = {round(answer.at_s, 3): answer.digest for answer in given}
    return recall(question, moments, SCENES, shown, lambda digest: asking_kept.answers.get(key_of(digest, model, question.text)))


@pytest.mark.parametrize("moments", [(10.0, 20.0, 30.0, 60.0), (10.0, 30.0, 60.0)], ids=["two in a row", "one alone, asked about again"])
def test_what_was_answered_is_recalled_as_it_was_asked(server, tmp_path, moments):
    kept = Kept()
    given = ask(asker(server, kept), tmp_path, moments=moments)["drone"]
    found = recalled(given, kept, moments)
    assert (found.answers, found.lacking) == (given, 0)
    within = Question("drone", "a drone", ((15.0, 45.0),))
    assert seen(recalled(given, kept, moments, within).answers) == [(answer.at_s, answer.seen) for answer in given if 15 <= answer.at_s <= 45]


def test_nothing_is_recalled_where_a_frame_or_its_second_look_is_lacking(server, tmp_path):
    kept = Kept()
    given = ask(asker(server, kept), tmp_path, moments=(10.0, 30.0, 60.0))["drone"]
    assert recalled(given, kept, (10.0, 30.0, 50.0, 55.0)) == Recalled([], 2)
    first = [answer for answer in given if answer.at_s in (10.0, 30.0, 60.0)]
    assert recalled(first, kept, (10.0, 30.0, 60.0)) == Recalled([], 1)
    assert recalled(given, kept, (10.0,), Question("kite", "a kite")) == Recalled([], 1)
    unreadable = [*first[:1], Answer(30.0, "", None, "it cannot be decoded"), *first[2:]]
    assert seen(recalled(unreadable, kept, (10.0, 30.0, 60.0)).answers) == [(10.0, False), (30.0, None), (60.0, False)]
