"""What is configured, observed when it changes: rules that were applied, a detector setting, the model that writes. Dagster's pages then show what is stale.

Nothing is made again for it: that is asked for by a person, and decided by fingerprints.
"""

import json
from datetime import UTC, datetime, timedelta

import dagster as dg

from video_platform.errors import PlatformError
from video_platform.pipeline import configured
from video_platform.pipeline.assets.configuration import Seen, look, observed
from video_platform.pipeline.resources import Desk

INTERVAL_S = 15
"""Applied rules show within half a minute; a look costs one row, three events and a question to the language-model server, about 20 ms together."""

PATIENCE = timedelta(minutes=10)
"""A language-model server that restarts makes no summary stale; one that stays away this long no longer writes them."""


@dg.sensor(
    name="configuration",
    minimum_interval_seconds=INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Observes rules, detector and prompts when they change.",
)
def configuration(context: dg.SensorEvaluationContext, desk: dg.ResourceParam[Desk]) -> dg.SensorResult:
    """One tick."""
    return observe(context, desk, datetime.now(UTC))


def observe(context: dg.SensorEvaluationContext, desk: Desk, now: datetime) -> dg.SensorResult:
    """One tick at `now`. The cursor holds since when each asset has been in doubt."""
    since = _parse(context.cursor)
    doubts: dict[str, datetime] = {}
    events: list[dg.AssetObservation] = []
    words: list[str] = []
    for asset in configured.ALL:
        try:
            seen = look(asset, desk)
        except PlatformError as error:
            words.append(f"{asset}: {error.message}")
            continue
        before = observed(context.instance, asset)
        if seen.doubt is not None:
            doubts[asset] = since.get(asset, now)
        if seen.version == before:
            continue
        if before is not None and seen.doubt is not None and now - doubts[asset] < PATIENCE:
            words.append(f"{asset}: {seen.doubt}; what was observed before stands for now")
            continue
        events.append(seen.observation())
        words.append(_said(seen))
    return dg.SensorResult(asset_events=events, skip_reason="; ".join(words)[:2000] or "nothing changed", cursor=_dump(doubts))


def _said(seen: Seen) -> str:
    return f"{seen.asset}: version {seen.version[:12]} observed"


def _parse(cursor: str | None) -> dict[str, datetime]:
    """Asset -> since when it is in doubt; a cursor that cannot be read starts afresh."""
    try:
        return {str(asset): datetime.fromisoformat(text) for asset, text in json.loads(cursor or "")["doubts"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _dump(doubts: dict[str, datetime]) -> str:
    return json.dumps({"v": 1, "doubts": {asset: since.isoformat() for asset, since in doubts.items()}}, separators=(",", ":"))
