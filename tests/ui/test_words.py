"""Text from outside is shown letter by letter; numbers become words."""

from datetime import UTC, datetime, timedelta

import pytest
from markdown_it import MarkdownIt
from ui_seed import HOSTILE

from ui import words
from video_platform.records import AlertRecord, Lane, Lifecycle, Mark, Severity, VideoRecord, VideoState

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
INVISIBLE = "\u2060"


@pytest.mark.parametrize(
    "text",
    [
        HOSTILE,
        "<script>alert(1)</script>",
        "[a](javascript:alert(1))",
        "![x](http://evil.example/x.png)",
        "# heading",
        "- item",
        "1. item",
        "> quote",
        "`code` *b* _i_ ~s~ | t |",
        "$x^2$ :red[x] :material/home: :tada:",
        "http://evil.example www.evil.example me@evil.example",
        "&lt;b&gt; &amp;",
        "a\\b",
    ],
)
def test_markdown_of_hostile_text_is_that_text_and_nothing_else(text: str) -> None:
    tokens = MarkdownIt("gfm-like", {"html": True, "linkify": False}).parse(words.plain(text))
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    children = tokens[1].children or []
    assert {child.type for child in children} <= {"text", "text_special"}
    assert "".join(child.content for child in children).replace(INVISIBLE, "") == text


@pytest.mark.parametrize("text", [":tada:", ":material/home:", "http://a.example", "www.a.example", "me@a.example"])
def test_no_code_or_address_survives_in_finished_text(text: str) -> None:
    shown = words.plain(text).replace("\\", "")
    assert text not in shown
    assert shown.replace(INVISIBLE, "") == text


def test_control_and_direction_characters_are_left_out_and_lines_joined() -> None:
    assert words.literal("a\nb\u202egnp\x00.exe\u2028c") == "a bgnp.exe c"


def test_long_names_are_cut_with_a_sign() -> None:
    assert words.literal("x" * 300, 10) == "x" * 9 + "…"


@pytest.mark.parametrize(("seconds", "text"), [(None, ""), (0, "0:00"), (95.2, "1:35"), (3725, "1:02:05")])
def test_durations(seconds: float | None, text: str) -> None:
    assert words.duration(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.0, "0:00.0"), (75.25, "1:15.2"), (3725.5, "1:02:05.5"), (2.3, "0:02.3")])
def test_moments(seconds: float, text: str) -> None:
    assert words.moment(seconds) == text


@pytest.mark.parametrize(("size_bytes", "text"), [(0, "0 bytes"), (1536, "1.5 KB"), (3 * 1024**3, "3.0 GB")])
def test_sizes(size_bytes: int, text: str) -> None:
    assert words.size(size_bytes) == text


@pytest.mark.parametrize(
    ("age", "text"),
    [(timedelta(seconds=3), "just now"), (timedelta(minutes=5), "5 min ago"), (timedelta(hours=3), "3 h ago"), (timedelta(days=2), "2 days ago")],
)
def test_ages(age: timedelta, text: str) -> None:
    assert words.ago(NOW - age, NOW) == text


def test_progress_says_step_and_percent() -> None:
    record = VideoRecord(
        video_id="0" * 16,
        sha256="0" * 64,
        original_name="a.mp4",
        camera="c",
        recorded_at=None,
        size_bytes=1,
        media_type="video/mp4",
        object_key="k",
        lane=Lane.LIVE,
        state=VideoState.PROCESSING,
        step="one_pass",
        progress=0.42,
        ingested_at=NOW,
        updated_at=NOW,
    )
    assert words.progress_words(record) == "Processing: looking at frames, 42%"
    assert words.progress_words(record.model_copy(update={"state": VideoState.RECEIVED})) == "Waiting for its turn"


@pytest.mark.parametrize(
    ("kind", "why", "text"),
    [
        ("enters", {"zone": "plaza", "tracks": [{"id": 7, "class": "person", "score": 0.784}]}, "Person 7 (score 0.78) entered plaza at 0:02.0."),
        ("crosses", {"line": "gate", "direction": "right_to_left"}, "Track 7 crossed gate from right to left at 0:02.0."),
        ("appears", {"more_within_cooldown": 2}, "Track 7 seen at 0:02.0. 2 more within the cooldown."),
        ("count", {"count": 5, "wanted": 4, "held_s": 3.2, "zone": "plaza"}, "5 at once in plaza for 3.2 s, the rule wants 4: track 7 at 0:02.0."),
        ("sees", {"question": "a drone", "model": "seer", "frames": 2}, "Seer saw 'a drone' in 2 frames in a row, the first at 0:02.0."),
        ("says", {"said": ["fire"], "segment": {"id": "0", "text": "Fire!"}}, "'fire' was said in 'Fire!' at 0:02.0."),
    ],
)
def test_reasons_say_who_what_where_and_when(kind: str, why: dict[str, object], text: str) -> None:
    alert = AlertRecord(
        id="a",
        video_id="0" * 16,
        camera="c",
        rule="r",
        kind=kind,
        severity=Severity.INFO,
        lifecycle=Lifecycle.ACTIVE,
        mark=Mark.NONE,
        start_s=2.0,
        end_s=3.0,
        track_ids=[7],
        why=why,
        raised_at=NOW,
        updated_at=NOW,
    )
    assert words.reason(alert) == text


PAIR = [{"id": 3, "class": "person", "score": 0.8}, {"id": 5, "class": "truck", "score": 0.9}]


@pytest.mark.parametrize(
    ("kind", "why", "more", "text"),
    [
        (
            "absent",
            {"absent": ["dog", "person"], "absent_s": 70.2, "wanted_s": 60.0, "zone": "desk", "tracks": []},
            {},
            "No dog or person in desk for 70.2 s, the rule wants 60.0 s at 0:02.0.",
        ),
        (
            "near",
            {"closest": 0.031, "within": 0.05, "held_s": 2.4, "tracks": PAIR},
            {},
            "Person 3 (score 0.80), truck 5 (score 0.90) came within 0.031 frame widths of each other for 2.4 s, at 0:02.0.",
        ),
        (
            "speed",
            {"speed": 0.412, "above": 0.3, "held_s": 1.0, "tracks": PAIR[1:]},
            {},
            "Truck 5 (score 0.90) did 0.412 frame widths a second, the rule allows 0.3, at 0:02.0.",
        ),
        (
            "silent",
            {"camera": "gate", "silent_s": 1500.0, "wanted_s": 1200.0, "tracks": []},
            {},
            "No footage of gate for 1500.0 s, the rule wants 1200.0 s; back at 0:02.0.",
        ),
        (
            "dwells",
            {"zone": "plaza", "stayed_s": 16.2, "wanted_s": 10.0, "tracks": PAIR[:1]},
            {"continues": True, "continued_from": "0123456789abcdef"},
            "Person 3 (score 0.80) stayed in plaza for 16.2 s, the rule wants 10.0 s, at 0:02.0. "
            "It began in the video before (0123456789abcdef). It goes on after the end of this video.",
        ),
    ],
)
def test_reasons_of_the_kinds_without_one_object_and_of_what_files_cut(kind: str, why: dict[str, object], more: dict[str, object], text: str) -> None:
    common = {"id": "a", "video_id": "0" * 16, "camera": "c", "rule": "r", "severity": Severity.INFO, "lifecycle": Lifecycle.ACTIVE, "mark": Mark.NONE}
    alert = AlertRecord.model_validate({**common, "kind": kind, "start_s": 2.0, "end_s": 3.0, "why": why, "raised_at": NOW, "updated_at": NOW, **more})
    assert words.reason(alert) == text
