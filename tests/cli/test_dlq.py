import pytest

from video_platform import dead_letters
from video_platform.events import MAX_BODY_BYTES, TOPIC_DEAD_LETTERS, TOPIC_VIDEO_EVENTS, Message
from video_platform.platform import open_platform


@pytest.fixture
def refused():
    """Three letters: two that can be replayed, and one that is only evidence."""
    with open_platform() as platform:
        for n, (value, reason) in enumerate([(b"\x1b[31m not json", "malformed"), (b"\xff\xfe", "malformed"), (b"x" * (MAX_BODY_BYTES + 1), "oversize")]):
            message = Message(b"k", value, (("ce_id", b"%d" % n),))
            letter = dead_letters.letter(message, topic=TOPIC_VIDEO_EVENTS, partition=0, offset=n, reason=reason, detail=f"wrong \x1b[2J{n}")
            platform.log.append(TOPIC_DEAD_LETTERS, [letter])


def sent():
    with open_platform() as platform:
        return [record.message.value for record in platform.log.read(TOPIC_VIDEO_EVENTS, {}, limit=10, budget_s=5)]


def test_without_letters_it_says_so(vp):
    assert vp("dlq", "list").out == "No dead letters.\n"
    assert vp("dlq", "list", "--json").json == []
    assert "Nothing to replay" in vp("dlq", "replay", "--reason", "malformed").out


def test_letters_are_listed_newest_first(vp, refused):
    ran = vp("dlq", "list")
    assert ran.status == 0
    assert [line.split()[2] for line in ran.out.splitlines()[1:]] == ["oversize", "malformed", "malformed"]
    assert "video-events/0/2" in ran.out
    assert "evidence only" in ran.out
    assert "\x1b" not in ran.out
    listed = vp("dlq", "list", "--json").json
    assert [each["stood_at"] for each in listed] == [f"video-events/0/{n}" for n in (2, 1, 0)]
    assert [each["replayable"] for each in listed] == [False, True, True]
    assert listed[0]["size_bytes"] == MAX_BODY_BYTES + 1
    assert [each["reason"] for each in vp("dlq", "list", "--reason", "oversize", "--json").json] == ["oversize"]
    assert "2 dead letters" not in vp("dlq", "list", "--reason", "foreign_key").err
    assert "holds 3" in vp("dlq", "list", "--limit", "1").err


def test_one_is_shown_whole(vp, refused, tmp_path):
    ran = vp("dlq", "show", "video-events/0/0")
    assert all(words in ran.out for words in ("malformed", "wrong", "\\x1b[31m not json", "ce_id", "possible: vp dlq replay"))
    assert "\x1b" not in ran.out
    assert vp("dlq", "show", "video-events/0/1", "--json").json["value"] == "hex:fffe"
    assert vp("dlq", "show", "video-events/0/1", "-o", tmp_path / "value").status == 0
    assert (tmp_path / "value").read_bytes() == b"\xff\xfe"
    for wrong, says in (("video-events/0/9", "no dead letter"), ("nonsense", "topic/partition/offset")):
        ran = vp("dlq", "show", wrong)
        assert (ran.status, says in ran.err) == (1, True)


def test_letters_are_replayed_once_by_coordinates_or_by_reason(vp, refused):
    ran = vp("dlq", "replay", "video-events/0/0")
    assert (ran.status, "replayed, lies at video-events/" in ran.out, "vp up" in ran.err) == (0, True, True)
    ran = vp("dlq", "replay", "--reason", "malformed")
    assert (ran.status, sent()) == (0, [b"\x1b[31m not json", b"\xff\xfe"])
    assert "All of these were replayed before" in vp("dlq", "replay", "--reason", "malformed").out
    ran = vp("dlq", "replay", "video-events/0/0", "--json")
    assert (ran.status, ran.json[0]["already"], len(sent())) == (0, True, 2)
    assert len(vp("dlq", "list", "--waiting", "--json").json) == 1
    assert "replayed 20" in vp("dlq", "list").out
    assert vp("dlq", "replay", "video-events/0/0", "--force").status == 0
    assert len(sent()) == 3


def test_what_cannot_be_replayed_fails_with_the_reason_and_the_rest_goes_on(vp, refused):
    ran = vp("dlq", "replay", "video-events/0/2", "video-events/0/9", "video-events/0/1")
    assert ran.status == 1
    assert "only a part of its value was kept" in ran.err
    assert "no dead letter video-events/0/9" in ran.err
    assert sent() == [b"\xff\xfe"]
    assert vp("dlq", "replay").status == 2
    assert vp("dlq", "replay", "video-events/0/1", "--reason", "malformed").status == 2
