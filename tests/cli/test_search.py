"""`vp search`."""

import pytest


def test_a_moment_is_found_with_the_reason_and_where_to_watch_it(vp, filled):
    processed, _, _ = filled
    ran = vp("search", "who is walking")
    assert ran.status == 0
    for told in ("A person walks.", "gate", "0:00.0–0:03.8", "words: walking", f"/video?video={processed.video_id}&t=0.00"):
        assert told in ran.out
    assert "by words alone: " in ran.err
    assert "1 of 2 videos can be found" in ran.err
    found = vp("search", "walks", "--json").json
    assert (found["mode"], found["indexed"], found["videos"]) == ("words", 1, 2)
    [hit] = found["items"]
    assert (hit["video_id"], hit["start_s"], hit["state"], hit["why"]) == (processed.video_id, 0.0, "supported", "words: walks")


def test_several_words_are_one_question(vp, filled):
    def hits(*arguments):
        return [(hit["text"], hit["why"]) for hit in vp("search", *arguments, "--json").json["items"]]

    assert hits("person", "walks") == hits("person walks") == [("A person walks.", "words: person, walks")]
    assert hits("person", "--camera", "gate", "walks") == hits("person walks")
    nothing = vp("search")
    assert nothing.status == 2
    assert "Missing argument" in nothing.err


def test_filters(vp, filled):
    def count(*options):
        return len(vp("search", "walks", *options, "--json").json["items"])

    assert [count("--camera", camera) for camera in ("gate", "yard")] == [1, 0]
    assert [count("--alert", rule) for rule in ("person", "*", "crowd")] == [1, 1, 0]
    assert [count("--since", "2026-11-23T12:00+00:00"), count("--until", "2026-11-23T12:00+00:00"), count("--class", "car")] == [1, 0, 0]
    assert count("--limit", "1") == 1


@pytest.mark.parametrize("query", ["", '"', "NEAR(", "\u202e", "' OR 1=1 --", "x" * 10_000, "-", "\x1b[31m"])
def test_no_text_is_an_error(vp, filled, query):
    ran = vp("search", "--json", "--", query)
    assert (ran.status, ran.json["items"]) == (0, [])


def test_nothing_found_is_said(vp):
    ran = vp("search", "walks")
    assert (ran.status, ran.out.strip()) == (0, "Nothing found.")


def test_show_says_whether_a_video_is_found(vp, filled):
    processed, received, _ = filled
    assert "search: indexed, 1 passage by words" in vp("show", processed.video_id).out
    assert "search: waiting: it is found once its summary is written" in vp("show", received.video_id).out
    assert vp("show", processed.video_id, "--json").json["search"]["stands"] == "indexed"
