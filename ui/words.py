"""Words for people: durations, sizes, states, and text that came from outside made safe for Markdown."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime

from video_platform.records import AlertRecord, Mark, Severity, VideoRecord, VideoState
from video_platform.rules import DESCRIBED

STEP_WORDS = {
    "raw_video": "checking the file",
    "processed_video": "looking at frames",
    "detections": "looking at frames",
    "scenes": "looking at frames",
    "one_pass": "looking at frames",
    "tracks": "following what moves",
    "alerts": "evaluating rules",
    "highlights": "cutting clips",
    "second_look": "looking at alerts again",
    "transcript": "listening to what is said",
    "captions": "describing frames",
    "described_alerts": "judging what is seen and said",
    "llm_summary": "writing the summary",
    "search_index": "making it findable",
}
"""What a step of the graph does, for a sentence that starts with "Processing:"."""

SEVERITY_COLORS = {Severity.INFO: "blue", Severity.WARNING: "orange", Severity.CRITICAL: "red"}
SEVERITY_ICONS = {Severity.INFO: ":material/info:", Severity.WARNING: ":material/warning:", Severity.CRITICAL: ":material/error:"}
STATE_COLORS = {VideoState.RECEIVED: "gray", VideoState.PROCESSING: "blue", VideoState.READY: "green", VideoState.FAILED: "red", VideoState.DELETED: "gray"}
STATE_ICONS = {
    VideoState.RECEIVED: ":material/schedule:",
    VideoState.PROCESSING: ":material/autorenew:",
    VideoState.READY: ":material/check:",
    VideoState.FAILED: ":material/error:",
    VideoState.DELETED: ":material/delete:",
}
STATE_WORDS = {
    VideoState.RECEIVED: "Waiting",
    VideoState.PROCESSING: "Processing",
    VideoState.READY: "Ready",
    VideoState.FAILED: "Failed",
    VideoState.DELETED: "Deleted",
}
MARK_WORDS = {Mark.NONE: "New", Mark.ACKNOWLEDGED: "Acknowledged", Mark.FALSE: "False alarm"}
LOOK_WORDS = {"confirmed": "Confirmed", "rejected": "Rejected", "unverified": "Unverified"}
LOOK_COLORS = {"confirmed": "green", "rejected": "orange", "unverified": "gray"}
LOOK_ICONS = {"confirmed": ":material/visibility:", "rejected": ":material/visibility_off:", "unverified": ":material/question_mark:"}

CONCERN_WORDS = {0: "Nothing of concern", 1: "Look at it", 2: "Act"}
CONCERN_COLORS = {0: "green", 1: "orange", 2: "red"}

LONGEST_NAME = 120
"""Characters of a name that a card shows; file names may have hundreds."""

_MARKDOWN = re.compile(r"([!-/:-@\[-`{-~])")
_JOINER = "\u2060"


def literal(text: str, limit: int | None = None) -> str:
    """`text` on one line without control or direction characters, cut at `limit`: safe where no Markdown is read."""
    kept = []
    for char in text:
        category = unicodedata.category(char)
        if char in "\r\n\t\v\f\u2028\u2029":
            kept.append(" ")
        elif category not in ("Cc", "Cf", "Cs", "Co", "Cn") or char == "\u200d":
            kept.append(char)
    line = "".join(kept).strip()
    if limit is not None and len(line) > limit:
        line = line[: limit - 1].rstrip() + "…"
    return line


def plain(text: str, limit: int | None = None) -> str:
    """`text` as Markdown that shows exactly these characters: no link, image, directive, formula or HTML of a hostile name works.

    Backslashes cover what Markdown reads; an invisible word joiner breaks what is found in finished text (bare addresses, emoji codes).
    """
    line = literal(text, limit)
    line = re.sub(r"(?i)\bwww\.", lambda found: found[0][:-1] + _JOINER + ".", line)
    line = line.replace(":", ":" + _JOINER).replace("@", "@" + _JOINER)
    escaped = _MARKDOWN.sub(r"\\\1", line)
    return re.sub(r"^(\d+)([.)])", r"\1\\\2", escaped)


def sentence(text: str, limit: int | None = None) -> str:
    """An error's message as a sentence of its own, as Markdown: errors begin small because they are often quoted."""
    line = literal(text, limit)
    return plain(line[:1].upper() + line[1:] + ("" if line.endswith((".", "!", "?", "…")) else "."))


def duration(seconds: float | None) -> str:
    """`95.2` -> `1:35`, `3725` -> `1:02:05`; an empty text when unknown."""
    if seconds is None:
        return ""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, secs = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{secs:02d}" if hours else f"{minutes}:{secs:02d}"


def span(seconds: float) -> str:
    """A length of time as people say it: `40 s`, `5 min`, `2 h 05 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def moment(seconds: float) -> str:
    """A position in a video with tenths: `75.25` -> `1:15.2`."""
    tenths = int(seconds * 10 + 1e-6)
    hours, rest = divmod(tenths, 36000)
    minutes, left = divmod(rest, 600)
    text = f"{minutes:02d}:{left / 10:04.1f}" if hours else f"{minutes}:{left / 10:04.1f}"
    return f"{hours}:{text}" if hours else text


def size(size_bytes: float) -> str:
    """`1536` -> `1.5 KB`."""
    value, units = float(size_bytes), ("bytes", "KB", "MB", "GB", "TB")
    for unit in units:
        if value < 1024 or unit == units[-1]:
            return f"{int(value)} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1024
    raise AssertionError("unreachable")


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 alert`, `2 alerts`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def ago(instant: datetime, now: datetime) -> str:
    """How long before `now`: `just now`, `5 min ago`, `3 h ago`, `2 days ago`, then the date."""
    seconds = (now - instant).total_seconds()
    if seconds < 45:
        return "just now"
    if seconds < 3600:
        return f"{max(1, round(seconds / 60))} min ago"
    if seconds < 86400:
        return f"{round(seconds / 3600)} h ago"
    if seconds < 7 * 86400:
        return count(round(seconds / 86400), "day") + " ago"
    return f"{instant:%Y-%m-%d}"


def instant(value: datetime | None) -> str:
    """An instant in UTC, said so."""
    return "" if value is None else f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def progress_words(record: VideoRecord) -> str:
    """What a video that is not ready is doing."""
    if record.state is VideoState.RECEIVED:
        return "Waiting for its turn"
    step = STEP_WORDS.get(record.step or "", (record.step or "").replace("_", " "))
    done = "" if record.progress is None else f", {round(record.progress * 100)}%"
    return f"Processing: {step}{done}" if step else "Processing"


LISTED_TRACKS = 4
"""Tracks that a reason names; a crowd of thirty is a number."""

DIRECTIONS = {"left_to_right": "from left to right", "right_to_left": "from right to left"}


def reason(alert: AlertRecord) -> str:
    """Why an alert was raised, in a sentence that a person can check: who, what, where, when, how sure. Not Markdown."""
    facts = alert.why
    doing = {
        "appears": f"seen{_place(facts, ' in ')}",
        "enters": f"entered {facts.get('zone', 'the zone')}",
        "leaves": f"left {facts.get('zone', 'the zone')}",
        "crosses": f"crossed {facts.get('line', 'the line')} {DIRECTIONS.get(str(facts.get('direction')), '')}".rstrip(),
        "dwells": f"stayed in {facts.get('zone', 'the zone')} for {facts.get('stayed_s', '?')} s, the rule wants {facts.get('wanted_s', '?')} s,",
        "count": f"{facts.get('count', '?')} at once{_place(facts, ' in ')} for {facts.get('held_s', '?')} s, the rule wants {facts.get('wanted', '?')}",
        "absent": f"no {_listed(facts.get('absent'))}{_place(facts, ' in ')} for {facts.get('absent_s', '?')} s, the rule wants {facts.get('wanted_s', '?')} s",
        "near": f"came within {facts.get('closest', '?')} frame widths of each other{_place(facts, ' in ')} for {facts.get('held_s', '?')} s,",
        "speed": f"did {facts.get('speed', '?')} frame widths a second{_place(facts, ' in ')}, the rule allows {facts.get('above', '?')},",
        "silent": f"no footage of {facts.get('camera', 'the camera')} for {facts.get('silent_s', '?')} s, the rule wants {facts.get('wanted_s', '?')} s; back",
        "sees": f"{facts.get('model', 'the model')} saw {facts.get('question', '?')!r} in {facts.get('frames', '?')} frames in a row, the first",
        "says": f"{_quoted(facts.get('said'))} was said in {_utterance(facts.get('segment'))!r}",
    }.get(alert.kind)
    if doing is None:
        rest = [f"{name.replace('_', ' ')} {value}" for name, value in facts.items() if isinstance(value, str | int | float) and not isinstance(value, bool)]
        return literal(", ".join(rest), 400)
    more = facts.get("more_within_cooldown")
    quiet = f" {more} more within the cooldown." if isinstance(more, int) and more else ""
    version = f" Rules {facts['rules_version']}." if facts.get("rules_version") else ""
    joined = f" It began in the video before ({alert.continued_from})." if alert.continued_from else ""
    joined += " It goes on after the end of this video." if alert.continues else ""
    who = "" if alert.kind in DESCRIBED else _tracks(facts.get("tracks")) or ", ".join(f"track {track}" for track in alert.track_ids[:LISTED_TRACKS])
    sentence_of = f"{doing[:1].upper()}{doing[1:]}: {who}" if alert.kind == "count" else f"{who} {doing}".strip()
    return literal(f"{sentence_of[:1].upper()}{sentence_of[1:]} at {moment(alert.start_s)}.{joined}{quiet}{version}", 500)


def second_look(alert: AlertRecord) -> str:
    """What a vision model says of an alert, and who says it; empty where none was asked. Not Markdown."""
    look = alert.second_look
    if look is None:
        return ""
    said = f"{look.model} says: {look.reason}" if look.outcome != "unverified" else look.reason
    return literal(f"Second look: {look.outcome}. {said}", 400)


def _listed(names: object) -> str:
    return " or ".join(str(name) for name in names[:LISTED_TRACKS]) if isinstance(names, list) else "object"


def _quoted(said: object) -> str:
    return " and ".join(repr(str(words)) for words in said[:LISTED_TRACKS]) if isinstance(said, list) else "a word"


def _utterance(segment: object) -> str:
    return str(segment.get("text", ""))[:200] if isinstance(segment, Mapping) else ""


def _place(facts: Mapping[str, object], before: str) -> str:
    zone = facts.get("zone")
    return f"{before}{zone}" if zone else ""


def _tracks(listed: object) -> str:
    """`person 7 (score 0.78), person 9 (score 0.80) and 3 more`."""
    rows = [row for row in listed if isinstance(row, Mapping)] if isinstance(listed, list) else []
    named = [f"{row.get('class', 'track')} {row.get('id', '?')}{_score(row.get('score'))}" for row in rows[:LISTED_TRACKS]]
    return ", ".join(named) + (f" and {len(rows) - LISTED_TRACKS} more" if len(rows) > LISTED_TRACKS else "")


def _score(score: object) -> str:
    return f" (score {score:.2f})" if isinstance(score, int | float) else ""


def glob(name: str) -> str:
    """A camera's name as the pattern that is only it."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in name)
