"""What making results takes: their last costs, as their manifests say, and what a run takes beside them, measured over the newest runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from video_platform.layout import ALERTS, ASSETS, DETECTIONS, HIGHLIGHTS, PROCESSED_VIDEO, SCENES
from video_platform.recipes import IN_WORDS
from video_platform.records import Manifest

ONE_PASS = (PROCESSED_VIDEO, DETECTIONS, SCENES)
"""Made together from one decode; each manifest names the cost of the whole pass."""

BATCHED = (ALERTS, HIGHLIGHTS)
"""What is made of many videos in one run, when nothing else of them is outdated."""

ESTIMATED_RUN_S = {"default": 3.0, "warm": 1.5, "docker": 6.0}
"""By launcher, where there is no run to measure by: start, imports, Dagster's records. Estimates from one machine (benchmarks/RESULTS.md)."""

MEASURED_VIDEOS = 20
"""Newest videos whose runs are measured: enough for a median, few enough to be made as runs are made now; some fifty short reads."""

Held = Callable[[Sequence[str]], Mapping[str, float]]
"""Run ids -> seconds that each held its slot, as far as known: `catalog_dagster.DagsterCatalog.held_s`."""


@dataclass(frozen=True)
class RunCost:
    """Seconds that a run takes beside its steps; `runs` is over how many that was measured, 0 says that it is an estimate."""

    seconds: float
    runs: int = 0


def run_cost(made: Sequence[Mapping[str, Manifest]], held: Held, launcher: str) -> RunCost:
    """The median over the runs that made these results (asset -> manifest, one mapping per video), or the estimate for this launcher where none is known.

    Of each video the run that made its newest results counts, and that of its words: of older ones nobody knows any more what they made.
    """
    steps_s: dict[str, float] = {}
    for manifests in made:
        for group in ([each for each in ASSETS if each not in IN_WORDS], IN_WORDS):
            steps_s |= _steps_s(manifests, group)
    known = held(list(steps_s)) if steps_s else {}
    beside = [max(0.0, seconds - steps_s[run_id]) for run_id, seconds in known.items()]
    return RunCost(median(beside), len(beside)) if beside else RunCost(ESTIMATED_RUN_S[launcher])


def _steps_s(manifests: Mapping[str, Manifest], among: Sequence[str]) -> dict[str, float]:
    """The run that made the newest `among` these -> what all its steps took; none where that run may have been for many videos."""
    newest = max((manifests[asset] for asset in among if asset in manifests), key=lambda manifest: manifest.created_at, default=None)
    if newest is None or newest.run_id is None:
        return {}
    costs = {asset: each.cost.wall_s for asset, each in manifests.items() if each.run_id == newest.run_id}
    return {} if set(costs) <= set(BATCHED) else {newest.run_id: seconds_of(list(costs), costs, {}, 0.0)}


def seconds_of(assets: Sequence[str], costs: Mapping[str, float | None], usual: Mapping[str, float], run_s: float) -> float:
    """What making these assets of one video would take: their last costs, the pass over pixels once, and its run where it needs one of its own."""
    cost = {asset: costs.get(asset) if costs.get(asset) is not None else usual.get(asset, 0.0) for asset in assets}
    pixels = max((cost[asset] or 0.0 for asset in ONE_PASS if asset in cost), default=0.0)
    others = sum(value or 0.0 for asset, value in cost.items() if asset not in ONE_PASS)
    in_words = set(IN_WORDS).intersection(assets)
    own_runs = 0 if set(assets) <= set(BATCHED) else bool(set(assets) - in_words) + bool(in_words)
    return pixels + others + own_runs * run_s
