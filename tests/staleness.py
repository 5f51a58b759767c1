"""What Dagster itself calls stale, and the sensor that tells it what is configured."""

import dagster as dg
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest
from graphs import Ticking

from sensors import configuration as sensor
from video_platform.definitions import build
from video_platform.layout import ASSETS
from video_platform.pipeline.instance import open_instance

FRESH: dict[str, list[str]] = {}


def observe(graph):
    """One tick of the sensor, its events told to Dagster as the daemon does; the assets that were observed."""
    ticking = Ticking(graph.settings, sensor)
    try:
        events = ticking.tick().asset_events
        for event in events:
            ticking.instance.report_runless_asset_event(event)
        return {event.asset_key.path[-1] for event in events}
    finally:
        ticking.close()


def stale(graph, video_id):
    """Asset -> what Dagster says it is stale because of, for those of this video that it does not call fresh."""
    found = {}
    with open_instance(graph.settings) as instance:
        resolver = CachingStaleStatusResolver(instance, build().resolve_asset_graph(), LoadingContextForTest(instance))
        for asset in ASSETS:
            status = resolver.get_status(dg.AssetKey(asset), video_id)
            causes = resolver.get_stale_causes(dg.AssetKey(asset), video_id)
            assert status is (StaleStatus.STALE if causes else StaleStatus.FRESH), asset
            if causes:
                found[asset] = [str(cause.dependency.asset_key.path[-1]) for cause in causes]
    return found


def stale_day(instance, day):
    """What Dagster says that a day's digest is stale because of."""
    resolver = CachingStaleStatusResolver(instance, build().resolve_asset_graph(), LoadingContextForTest(instance))
    return [str(cause.dependency.asset_key.path[-1]) for cause in resolver.get_stale_causes(dg.AssetKey("daily_digest"), day)]
