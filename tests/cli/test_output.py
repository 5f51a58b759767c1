import pytest

from video_platform.cli import output


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("holiday.mp4", "holiday.mp4"),
        ("two\nlines", "two\\x0alines"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("cod\u202e4pm.exe", "cod\\u202e4pm.exe"),
        ("\x9b31m", "\\x9b31m"),
        ("bad\udcff", "bad\\udcff"),
        ("Grüße 👨‍👩‍👧 🎬.mp4", "Grüße 👨‍👩‍👧 🎬.mp4"),
        ("[red]markup[/red]", "[red]markup[/red]"),
    ],
)
def test_nothing_in_a_name_acts_on_a_terminal(text, shown):
    assert output.safe(text) == shown


def test_a_long_name_keeps_its_ends():
    shown = output.safe("a" * 200 + ".mp4", 21)
    assert len(shown) == 21
    assert shown.startswith("aaa")
    assert shown.endswith("….mp4"[1:])


def test_tables_show_markup_and_controls_as_text(capsys):
    output.table(("name", "seconds"), [("[bold]x[/bold] \x1b[31m", 1.5), (":smile:", 2.0)])
    shown = capsys.readouterr().out
    assert "[bold]x[/bold] \\x1b[31m" in shown
    assert ":smile:" in shown
    assert "\x1b" not in shown


def test_ids_and_times_stay_whole_in_a_narrow_terminal(capsys, monkeypatch):
    monkeypatch.setattr(output, "PLAIN_WIDTH", 80)
    why = "a car and two persons, one of them on the far side, nearer than they should be"
    output.table(("video", "span", "why"), [("c2cba6d0703100a9", "0:00.0–0:29.8", why), ("0" * 16, "0:01.0–0:02.0", "short")])
    shown = capsys.readouterr().out
    assert "c2cba6d0703100a9  0:00.0–0:29.8" in shown
    assert all(word in shown.split() for word in why.split()), "what has room to break does"
    assert max(map(len, shown.splitlines())) <= 80
    monkeypatch.setattr(output, "PLAIN_WIDTH", 30)
    output.table(("video", "span", "why"), [("c2cba6d0703100a9", "0:00.0–0:29.8", why)])
    narrow = "".join(capsys.readouterr().out.split())
    assert len(narrow) == len("videospanwhy") + len("c2cba6d0703100a9") + len("0:00.0–0:29.8") + len("".join(why.split())), (
        "nothing is cut off where there is no room"
    )


@pytest.mark.parametrize(("hours", "shown"), [(0, "0 s"), (0.01, "36 s"), (0.036, "2 min"), (0.99, "59 min"), (1.0, "1.0 h"), (1234.56, "1,234.6 h")])
def test_little_footage_is_not_nothing(hours, shown):
    assert output.hours(hours) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(None, ""), (0, "0:00.0"), (59.96, "1:00.0"), (65.25, "1:05.2"), (3599.99, "60:00.0"), (3723.4, "1:02:03")])
def test_moments_read_like_a_player(seconds, shown):
    assert output.clock(seconds) == shown


@pytest.mark.parametrize(("size_bytes", "shown"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 * 1024**3, "5.0 GiB"), (5 * 1024**4, "5120.0 GiB")])
def test_sizes(size_bytes, shown):
    assert output.size(size_bytes) == shown


def test_json_is_ascii_whatever_names_say(capsys):
    output.print_json({"name": "Grüße \x1b \udcff"})
    assert capsys.readouterr().out.isascii()
