"""What is told of rules over the past: which alerts a draft adds, removes and leaves, and what could not be judged."""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TextIO

from video_platform.layout import ALERTS
from video_platform.records import AlertRecord, Episode, Lifecycle, Mark
from video_platform.services.database import decisions, ledger_rows
from video_platform.services.database.archive import Evaluated

ADDED, REMOVED, UNCHANGED = "added", "removed", "unchanged"

TO_ASK = "{frames} would have to be asked about, and a try asks nobody; promoted, a backfill of cause rules asks{seconds}. Alerts that are there stay till then"


@dataclass
class ToAsk:
    """What a vision model would have to be asked for one rule: frames, of so many videos."""

    videos: int = 0
    frames: int = 0


@dataclass
class Tally:
    """What was judged and what was not. `to_ask` is by rule; `asked_s` and `asked` are what asking took so far, and for how many frames."""

    videos: int = 0
    footage_s: float = 0.0
    left_out: list[tuple[str, str]] = field(default_factory=list)
    cannot_evaluate: Counter[tuple[str, str]] = field(default_factory=Counter)
    to_ask: dict[str, ToAsk] = field(default_factory=dict)
    asked: int = 0
    asked_s: float = 0.0

    def count(self, video: Evaluated) -> None:
        """Note that a video was judged."""
        self.videos += 1
        self.footage_s += video.record.duration_s or 0.0

    def lacks(self, rule: str, frames: int) -> None:
        """Note that frames of a video would have to be asked about for a rule."""
        found = self.to_ask.setdefault(rule, ToAsk())
        found.videos, found.frames = found.videos + 1, found.frames + frames

    def as_json(self) -> dict[str, Any]:
        """For the parent."""
        unanswered = [{"rule": rule, "reason": reason, "videos": number} for (rule, reason), number in sorted(self.cannot_evaluate.items())]
        left_out = [{"video_id": video_id, "reason": reason} for video_id, reason in self.left_out]
        waiting = [{"rule": rule, "reason": self._said(each.frames), "videos": each.videos} for rule, each in sorted(self.to_ask.items())]
        told = {"cannot_evaluate": [*unanswered, *waiting], "waiting": waiting}
        return {"videos": self.videos, "hours": round(self.footage_s / 3600, 3), "left_out": left_out, **told}

    def _said(self, frames: int) -> str:
        about = f" (about {_span(frames * self.asked_s / self.asked)})" if self.asked else ""
        return TO_ASK.format(frames=f"{frames:,} {'frame' if frames == 1 else 'frames'}", seconds=about)


class Told:
    """What is told of a draft: lines with the alerts, and the counts."""

    def __init__(self, lines: TextIO) -> None:
        self._lines = lines
        self.counts: dict[tuple[str, str], Counter[str]] = {}

    def known(self, what: str, camera: str, alerts: Sequence[tuple[str, str]]) -> None:
        """Alerts of one video that the ledger has: rule and id of each, in one line."""
        for rule, number in Counter(rule for rule, _ in alerts).items():
            self.counts.setdefault((rule, camera), Counter())[what] += number
        if alerts:
            self._line({"what": what, "ids": [alert_id for _, alert_id in alerts]})

    def new(self, alert: AlertRecord) -> None:
        """One that the ledger has not."""
        self.counts.setdefault((alert.rule, alert.camera), Counter())[ADDED] += 1
        self._line({"what": ADDED, "alert": alert.model_dump(mode="json")})

    def compare(
        self,
        video: Evaluated,
        episodes: Sequence[Episode],
        rows: Sequence[Any],
        rule_facts: decisions.RuleFacts,
        *,
        asset: str = ALERTS,
        settled: Sequence[tuple[str, str]] = (),
        unjudged: Collection[str] = (),
    ) -> None:
        """What becomes of the alerts of one video and `asset` (`rows` of the ledger) where these episodes were found.

        `settled` are alerts that nothing can change: rule and id. Of `unjudged` rules nobody can say that they find less than before.
        """
        camera, now = video.record.camera, datetime.now(UTC)
        taken = {row.id for row in rows}
        stays = list(settled)
        revived: list[tuple[str, str]] = []
        gone: list[tuple[str, str]] = []
        added: list[AlertRecord] = []
        for decision in decisions.decide(rows, episodes, video.tracks_hash):
            for row, _ in decision.kept:
                (stays if row.lifecycle == Lifecycle.ACTIVE else revived).append((decision.rule, row.id))
            (stays if decision.rule in unjudged else gone).extend((decision.rule, row.id) for row in decision.gone)
            for new in decision.new:
                alert_id = decisions.new_id(video.record, asset, new.episode, taken)
                said = decisions.facts(video.record, new.episode, rule_facts)
                fixed = {"id": alert_id, "video_id": video.record.video_id, "rule": decision.rule, "split_of": new.split_of, "asset": asset}
                state = {"lifecycle": Lifecycle.ACTIVE, "mark": Mark.NONE, "raised_at": now, "updated_at": now}
                added.append(ledger_rows.record_of({**said, **fixed, **state}))
        for what, alerts in ((UNCHANGED, stays), (ADDED, revived), (REMOVED, gone)):
            self.known(what, camera, alerts)
        for alert in added:
            self.new(alert)

    def _line(self, said: Mapping[str, Any]) -> None:
        self._lines.write(json.dumps(said, ensure_ascii=False) + "\n")

    def of(self, rule: str, camera: str) -> dict[str, int]:
        """The counts of one rule and camera."""
        return {what: self.counts[rule, camera][what] for what in (ADDED, REMOVED, UNCHANGED)}


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1.0, seconds):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes / 60:.0f} h"
