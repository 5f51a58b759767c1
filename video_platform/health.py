"""Whether the platform can do its work, part by part: every server and process, each asked at once and given up on after some seconds."""

import concurrent.futures
import logging
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from video_platform.catalog_dagster import DagsterCatalog
from video_platform.dagster_now import DagsterNow
from video_platform.errors import DatabaseUnavailable, PlatformError
from video_platform.platform import Platform
from video_platform.services import language_models, model_pulls
from video_platform.services.database import measures
from video_platform.services.relay import HEARTBEAT

log = logging.getLogger(__name__)

CHECK_S = 3.0
"""How long one part may take to answer; a probe of an orchestrator waits about five seconds."""

RELAY_SILENCE_S = 60.0
"""A relay says every 15 s that it is alive."""

DAEMON_SILENCE_S = 120.0
"""Dagster's daemons say it every 30 s, and are late on a busy machine."""

SENSOR_SILENCE_S = 300.0
"""Longest time between two ticks of a sensor that is not stuck: each runs at least twice a minute, and a tick may take one."""

LOW_DISK_BYTES = 2 * 1024**3
"""Below this much free space a few videos fill the disk."""

DAEMONS = ("sensor", "queued_run_coordinator", "monitoring")
"""The daemons without which no run starts, or none that died is noticed."""

NOT_RUNNING = "nothing has run on this home yet: `vp up` starts it"


@dataclass(frozen=True)
class Part:
    """One server or process. `needed`: the web app can do nothing without it; of the others only their own work waits."""

    ok: bool
    detail: str
    needed: bool = False


def check(platform: Platform, dagster: DagsterCatalog) -> dict[str, Part]:
    """Every part by name, those that the web app needs first. Takes at most about `CHECK_S` seconds and never raises."""
    models = platform.settings.language_model
    checks: dict[str, Callable[[], Part]] = {
        "database": lambda: Part(True, platform.db.check(), True),
        "objects": lambda: Part(True, platform.store.check(), True),
        "events": lambda: Part(True, platform.log.check(), True),
        "relay": lambda: _relay(platform),
        "runs": lambda: _daemons(dagster.now()),
        "sensors": lambda: _sensors(dagster.now()),
        "language_model": lambda: _model(language_models.writer(models)),
        "models": lambda: _fetched(platform),
        **({"vision_model": lambda: _model(language_models.seer(models))} if models.vision_model else {}),
        "disk": lambda: _disk(platform),
    }
    return _all(checks)


def is_up(parts: Mapping[str, Part]) -> bool:
    """Whether all that the web app needs answers."""
    return all(part.ok for part in parts.values() if part.needed)


def _relay(platform: Platform) -> Part:
    beat = measures.alive(platform.db, HEARTBEAT)
    if beat is None:
        return Part(False, f"{NOT_RUNNING}; events and notifications wait in the outbox")
    silent_s = _seconds_since(beat.at)
    if silent_s > RELAY_SILENCE_S:
        return Part(False, f"silent for {_span(silent_s)}: notifications wait in the outbox; `vp up` starts it, and HOME/logs/relay.log says why it ended")
    return Part(True, f"alive {_span(silent_s)} ago, {beat.worker}")


def _daemons(now: DagsterNow | None) -> Part:
    if now is None or not now.daemons:
        return Part(False, f"no daemon of Dagster is known: {NOT_RUNNING}")
    beats = {daemon.name: daemon for daemon in now.daemons}
    for name in DAEMONS:
        silent_s = _seconds_since(beats[name].alive_at) if name in beats else None
        if silent_s is None or silent_s > DAEMON_SILENCE_S:
            since = "never ran" if silent_s is None else f"is silent for {_span(silent_s)}"
            return Part(False, f"Dagster's daemon {name} {since}: no run starts; `vp up` starts it, and HOME/logs/daemon.log says why it ended")
    complaint = next((f"{daemon.name}: {daemon.errors[0]}" for daemon in now.daemons if daemon.errors), None)
    waiting = sum(run.waits for run in now.runs)
    counted = f"{waiting} runs wait, {len(now.runs) - waiting} go on"
    return Part(complaint is None, f"{counted}; {complaint}" if complaint else counted)


def _sensors(now: DagsterNow | None) -> Part:
    if now is None or not now.sensors:
        return Part(False, f"no sensor has ticked: {NOT_RUNNING}")
    for sensor in now.sensors:
        if not sensor.running:
            return Part(False, f"sensor {sensor.name} was stopped on Dagster's page; start it there, or what it reads waits")
        if sensor.error:
            return Part(False, f"the last tick of sensor {sensor.name} failed: {sensor.error}")
        silent_s = None if sensor.ticked_at is None else _seconds_since(sensor.ticked_at)
        if silent_s is None or silent_s > SENSOR_SILENCE_S:
            return Part(False, f"sensor {sensor.name} has {'never ticked' if silent_s is None else f'not ticked for {_span(silent_s)}'}")
    return Part(True, f"{len(now.sensors)} tick")


def _fetched(platform: Platform) -> Part:
    pulls = model_pulls.under_way(platform.db, datetime.now(UTC))
    return Part(True, f"{model_pulls.words(pulls)}; until then summaries are written by the template" if pulls else "none is being fetched")


def _model(state: language_models.State | None) -> Part:
    return Part(True, "none is named") if state is None else Part(state.ok, f"{state.found}. {state.advice}" if state.advice else state.found)


def _disk(platform: Platform) -> Part:
    home = platform.settings.home
    free = shutil.disk_usage(home).free
    return Part(free >= LOW_DISK_BYTES, f"{free / 1024**3:,.1f} GiB free for {home}")


def _all(checks: Mapping[str, Callable[[], Part]]) -> dict[str, Part]:
    """Every check at once; one that does not end in time counts as away and is left behind."""
    needed = {"database", "objects", "events"}
    pool = concurrent.futures.ThreadPoolExecutor(len(checks), thread_name_prefix="health")
    try:
        running = {name: pool.submit(ask) for name, ask in checks.items()}
        concurrent.futures.wait(running.values(), timeout=CHECK_S)
        return {name: _answer(future, needed=name in needed) for name, future in running.items()}
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _answer(future: concurrent.futures.Future[Part], *, needed: bool) -> Part:
    if not future.done():
        return Part(False, f"no answer within {CHECK_S:g} s", needed)
    try:
        return future.result()
    except DatabaseUnavailable as error:
        return Part(False, error.message if needed else "the database does not answer", needed)
    except PlatformError as error:
        return Part(False, error.message, needed)
    except OSError as error:
        return Part(False, str(error), needed)
    except Exception as error:  # a fault of the program, of which the other parts are to be told all the same
        log.error("a check failed", exc_info=error)
        return Part(False, f"the check itself failed, a fault of the program: {type(error).__name__}", needed)


def _seconds_since(moment: datetime) -> float:
    return max(0.0, (datetime.now(UTC) - moment).total_seconds())


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
