"""Rules over the past: what a draft would change in everything that is stored, and making a draft the rules that count.

Trying writes nothing and notifies nobody. Promoting is a new version with who and why; then the ledger is brought to what it says: alerts that it does not
find are superseded, new ones raised, and nobody is notified of what lies in the past unless that is asked for. Judging runs in a child process
(`history_child`), which is as fast and as large as the archive, and can be killed; only one video, for whoever draws on its
picture, is judged at once and here.
"""

import contextlib
import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from video_platform import rules
from video_platform import settings as all_settings
from video_platform.platform import Platform
from video_platform.records import AlertRecord, VideoRecord
from video_platform.services.database import archive, rulesets

CHILD = "video_platform.history_child"
WALL_S = 6 * 3600.0
SILENT_S = 3600.0
"""One camera of years of footage is judged without a word in between."""

KEPT_S = 24 * 3600.0
"""What a draft would change is kept this long for the page that shows it."""

AT_ONCE = 500
"""Alerts that are looked up in the ledger at once."""

MOST_RULE_HOURS = 100.0
"""Hours of footage times changed rules that are judged while somebody waits: about a second."""

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class RuleCount:
    """How many alerts of one rule and camera a draft would add, remove and leave."""

    rule: str
    camera: str
    added: int
    removed: int
    unchanged: int


@dataclass(frozen=True)
class WhatIf:
    """What a draft would make of the alerts, compared with the ledger as it was.

    `left_out` are videos whose tracks cannot be had now, with the reason; `cannot_evaluate` rule, reason and number of videos. `base` is the version that was
    active.
    """

    counts: list[RuleCount]
    videos: int
    hours: float
    left_out: list[tuple[str, str]]
    cannot_evaluate: list[tuple[str, str, int]]
    base: int | None
    took_s: float
    lines: Path

    def total(self, what: str) -> int:
        """How many alerts are "added", "removed" or "unchanged"."""
        return sum(getattr(count, what) for count in self.counts)

    def alerts(self, platform: Platform, what: str, *, rule: str | None = None, camera: str | None = None, limit: int | None = None) -> Iterator[AlertRecord]:
        """The alerts that are "added", "removed" or "unchanged", by camera and time; new ones as they would be, the others as the ledger has them.

        What an added one revives is an alert of the ledger that was superseded.
        """
        given = 0
        for part in _parts(self.lines, what):
            found = {alert.id: alert for alert in archive.records(platform.db, [one for one in part if isinstance(one, str)])}
            for one in part:
                alert = found.get(one) if isinstance(one, str) else AlertRecord.model_validate(one)
                if alert is None or (rule is not None and alert.rule != rule) or (camera is not None and alert.camera != camera):
                    continue
                if limit is not None and given >= limit:
                    return
                given += 1
                yield alert

    def forget(self) -> None:
        """Remove the lists; the counts stay."""
        self.lines.unlink(missing_ok=True)


@dataclass(frozen=True)
class OneVideo:
    """What a draft would make of the alerts of one video: a count for each of its rules and for those whose alerts would go.

    `cannot_evaluate` are rules and reasons. `uncounted` says why there are no counts.
    """

    counts: list[RuleCount]
    cannot_evaluate: list[tuple[str, str]]
    took_s: float
    uncounted: str | None = None


@dataclass(frozen=True)
class Reconciled:
    """What became of the ledger: numbers of alerts, and of videos that were judged.

    `waiting` are rules that a vision model is to be asked about first, what of, and the number of videos: a backfill does that.
    """

    videos: int
    raised: int
    superseded: int
    revived: int
    kept: int
    notified: int
    left_out: list[tuple[str, str]]
    waiting: list[tuple[str, str, int]] = field(default_factory=list)


def what_if(platform: Platform, text: str, *, since: datetime | None = None, camera: str | None = None, on_progress: Progress | None = None) -> WhatIf:
    """Judge all that is stored by the rules in `text` and compare with the ledger: tracks, transcripts, and answers that a vision model has given before.

    `camera` is a name or a pattern such as `gate-*`. With `since`, only videos that ended after it are told of.

    Raises:
        RulesError: the text cannot be used.
        WorkerError: the child did not get through.
    """
    rules.parse(text)
    base, started = rulesets.active(platform.db), time.monotonic()
    folder = platform.settings.scratch / "what-if"
    folder.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    lines = folder / f"{uuid.uuid4().hex}.jsonl"
    payload = {"text": text, "since": since.isoformat() if since else None, "camera": camera, "lines": str(lines)}
    said = _run(platform, "what_if", payload, on_progress)
    return WhatIf(
        counts=[RuleCount(**each) for each in said["rules"]],
        videos=said["videos"],
        hours=said["hours"],
        left_out=_left_out(said),
        cannot_evaluate=_unanswered(said["cannot_evaluate"]),
        base=base.id if base else None,
        took_s=round(time.monotonic() - started, 2),
        lines=lines,
    )


def what_if_of_one(platform: Platform, text: str, record: VideoRecord) -> OneVideo:
    """What the rules in `text` would change in the alerts of one video, at once and in this process: stored tracks are read, nothing is written.

    Raises:
        RulesError: the text cannot be used.
    """
    from video_platform import history_child

    started, rule_set = time.monotonic(), rules.parse(text)
    said = history_child.of_one(platform, rule_set, record, MOST_RULE_HOURS)
    took_s = round(time.monotonic() - started, 3)
    if isinstance(said, str):
        return OneVideo([], [], took_s, said)
    return OneVideo([RuleCount(**each) for each in said["rules"]], [(each["rule"], each["reason"]) for each in said["cannot_evaluate"]], took_s)


def reconcile(platform: Platform, *, notify_past: bool = False, on_progress: Progress | None = None) -> Reconciled:
    """Bring the alerts of all videos that other rules judged to what the active rules say. Killed in between, it goes on where it was when called again.

    Raises:
        WorkerError: the child did not get through; what it did is done.
    """
    said = _run(platform, "reconcile", {"notify": notify_past}, on_progress)
    platform.announce()
    numbers = {name: said[name] for name in ("videos", "raised", "superseded", "revived", "kept", "notified")}
    return Reconciled(**numbers, left_out=_left_out(said), waiting=_unanswered(said["waiting"]))


def _run(platform: Platform, task: str, payload: dict[str, Any], on_progress: Progress | None) -> dict[str, Any]:
    from video_platform.analysis import worker

    budget = worker.Budget(wall_s=WALL_S, silent_s=SILENT_S)
    environment = all_settings.environment(platform.settings)
    return worker.run(task, payload, limits=budget, on_progress=on_progress, module=CHILD, environment=environment)


def _left_out(said: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each["video_id"], each["reason"]) for each in said["left_out"]]


def _unanswered(given: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    return [(each["rule"], each["reason"], each["videos"]) for each in given]


def _parts(path: Path, what: str) -> Iterator[list[str | dict[str, Any]]]:
    """The alerts of one kind, some hundred at a time: ids of the ledger's, the others whole."""
    part: list[str | dict[str, Any]] = []
    with path.open() as lines:
        for line in lines:
            if line.startswith(f'{{"what": "{what}"'):
                said = json.loads(line)
                part += [said["alert"]] if "alert" in said else said["ids"]
                if len(part) >= AT_ONCE:
                    yield part
                    part = []
    if part:
        yield part


def _sweep(folder: Path) -> None:
    for path in folder.glob("*.jsonl"):
        with contextlib.suppress(FileNotFoundError):  # whoever else tries rules sweeps too
            if path.stat().st_mtime < time.time() - KEPT_S:
                path.unlink()
