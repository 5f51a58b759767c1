"""Bringing the ledger to what was judged over the past, one video a transaction."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from video_platform import recipes, rules
from video_platform.fingerprints import canonical, content_hash, fingerprint
from video_platform.history_told import Tally
from video_platform.layout import ALERTS, DESCRIBED_ALERTS, TRACKS
from video_platform.records import Lane, VideoRecord, VideoState
from video_platform.services.database import decisions, reconciliation, rulesets, videos
from video_platform.services.database.archive import Evaluated

if TYPE_CHECKING:
    from video_platform import history_described
    from video_platform.analysis.batch_evaluation import Judged
    from video_platform.platform import Platform

DONE = ("raised", "superseded", "revived", "kept", "notified")


class Writing:
    """Brings the ledger to what was judged, for as long as `version` is the active one."""

    def __init__(self, platform: "Platform", rule_set: rules.RuleSet, tally: Tally, version: int, *, notify: bool) -> None:
        self._platform, self._rule_set, self._tally, self._version, self._notify = platform, rule_set, tally, version, notify
        self._counted: set[str] = set()
        self.done: Counter[str] = Counter(dict.fromkeys(DONE, 0))

    def on_tracks(self, video: Evaluated, judged: "Judged") -> bool:
        """One video by its tracks; returns whether it was written.

        One that changed meanwhile, or is in the hands of a run, is left to that run. Where other rules have become active meanwhile it is left out too: whoever
        made them so may have judged it by them already.
        """
        camera_rules = self._rule_set.for_camera(video.record.camera).on_tracks
        configuration = {name: canonical(value) for name, value in recipes.alerts(camera_rules, video.record, judged.earlier).items()}
        given = {
            "asset": ALERTS,
            "fingerprint": fingerprint(recipes.CODE_VERSIONS[ALERTS], configuration, {TRACKS: video.tracks_hash}),
            "episodes": judged.evaluation.episodes,
            "open_states": judged.evaluation.open,
            "rule_facts": facts(camera_rules),
            "processed_key": f"{video.record.generation}:{video.tracks_hash}",
        }
        return self._write(video, given)

    def on_description(self, judged: "history_described.Judged") -> bool:
        """The same by what is seen and said. What could not be asked is left to a run: then this counts as no evaluation, and what those rules raised stays."""
        given = {
            "asset": DESCRIBED_ALERTS,
            "fingerprint": judged.made_of,
            "episodes": judged.found.episodes,
            "rule_facts": facts(self._rule_set.for_camera(judged.video.record.camera).on_description),
            "processed_key": "",
            "unjudged": judged.found.unjudged,
            "provisional": judged.provisional,
        }
        return self._write(judged.video, given)

    def _write(self, video: Evaluated, given: Mapping[str, Any]) -> bool:
        evaluation = reconciliation.EvaluationInput(
            video_id=video.record.video_id,
            content_hash=content_hash(given["episodes"]),
            tracks_hash=video.tracks_hash,
            rules_version=str(self._version),
            notify=self._notify,
            fresh_hours=self._platform.settings.notify.fresh_hours,
            lane=Lane.BACKFILL,
            run_id=None,
            now=datetime.now(UTC),
            **given,
        )
        with self._platform.db.write() as connection:
            current = videos.find(connection, video.record.video_id, lock=True)
            if current is None or not _as_judged(current, video.record):
                return False
            if not rulesets.still_active(connection, self._version):
                self._tally.left_out.append((current.video_id, f"rules newer than version {self._version} became active meanwhile"))
                return False
            change = reconciliation.reconcile_locked(connection, current, evaluation)
        if current.video_id not in self._counted:
            self._counted.add(current.video_id)
            self._tally.count(video)
        for what in DONE:
            self.done[what] += len(getattr(change, what))
        return True


def facts(camera_rules: rules.CameraRules) -> decisions.RuleFacts:
    """Severity and channels of each rule."""
    return {rule.name: (rule.severity, rule.channels) for rule in camera_rules.rules}


def _as_judged(current: VideoRecord, seen: VideoRecord) -> bool:
    same = ("camera", "recorded_at", "generation", "width", "height")
    return current.state is VideoState.READY and all(getattr(current, name) == getattr(seen, name) for name in same)
