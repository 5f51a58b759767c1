"""The faults of `losses.py`, one function each: it does the harm, takes footage in meanwhile, and returns when all that it took away is back."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from accounts import settled
from breakable import Stack
from fake_ollama import FakeOllama
from poison import some
from running import wait

from video_platform import events
from video_platform.errors import EventError
from video_platform.platform import Platform

UNDER_WAY_S = 300
"""How long a run is waited for that is to be hit."""

REST_S = 900
"""How long all results are waited for while a fault lasts."""


@dataclass
class Scene:
    """Where a fault happens. `meanwhile` takes the second half of the footage in, in a thread of its own; `count` is how many
    videos there are, `keys` are those of poison; `more` counts events
    besides the videos' own; `faults` are promises that did not hold."""

    stack: Stack
    platform: Platform
    instance: Any
    producer: Any
    chance: random.Random
    count: int
    meanwhile: Callable[[], None] = lambda: None
    keys: set[bytes] = field(default_factory=set)
    more: int = 0
    faults: list[str] = field(default_factory=list)
    _began: bool = False

    def start_meanwhile(self) -> None:
        """Once."""
        if not self._began:
            self._began = True
            self.meanwhile()

    def at_rest(self) -> None:
        """Wait until every video that is in has its result."""
        wait(lambda: settled(self.platform, self.instance, self.producer.video_ids), REST_S, "every video has its result")

    def run_process(self) -> list[psutil.Process]:
        """Processes of runs that have started."""
        return wait(lambda: self.stack.parts()["run"], UNDER_WAY_S, "a run")

    def all_sent(self) -> None:
        """Wait until all footage is in and announced."""
        wait(lambda: len(self.producer.video_ids) == self.count and _sent(self), UNDER_WAY_S, "all events on the topic")

    def some_sent(self) -> None:
        """Wait until footage is in and announced."""
        wait(lambda: self.producer.video_ids and _sent(self), UNDER_WAY_S, "events on the topic")

    def known(self) -> list[events.Message]:
        """The events on the topic of videos that came from us."""
        records = self.platform.log.read(events.TOPIC_VIDEO_EVENTS, {}, limit=200, budget_s=20)
        return [record.message for record in records if not record.message.key.startswith(b"poison-")]


@dataclass(frozen=True)
class Fault:
    """A fault by name."""

    name: str
    what: str
    act: Callable[[Scene], None]


FAULTS: list[Fault] = []


def fault(what: str) -> Callable[[Callable[[Scene], None]], Callable[[Scene], None]]:
    """Register a function as the fault of its name."""

    def add(act: Callable[[Scene], None]) -> Callable[[Scene], None]:
        FAULTS.append(Fault(act.__name__.replace("_", "-"), what, act))
        return act

    return add


@fault("no fault: what the time to rest is without one")
def nothing(scene: Scene) -> None:
    scene.start_meanwhile()


@fault("the broker is killed and back after 10 s")
def broker_killed(scene: Scene) -> None:
    with scene.stack.away("broker"):
        scene.start_meanwhile()
        time.sleep(10)


@fault("the broker stands still for 20 s, its connections open")
def broker_frozen(scene: Scene) -> None:
    with scene.stack.frozen("broker"):
        scene.start_meanwhile()
        time.sleep(20)


@fault("the topic of videos is deleted and made again, with unread events on it")
def topic_recreated(scene: Scene) -> None:
    with _stopped(scene, "daemon"):
        scene.start_meanwhile()
        scene.all_sent()
        scene.platform.log.delete_topic(events.TOPIC_VIDEO_EVENTS)
        scene.platform.log.create_topics()


@fault("retention removes events that were not read yet")
def retention_past_cursor(scene: Scene) -> None:
    with _stopped(scene, "daemon"):
        scene.start_meanwhile()
        scene.all_sent()
        scene.platform.log.trim(events.TOPIC_VIDEO_EVENTS, scene.platform.log.end_offsets(events.TOPIC_VIDEO_EVENTS))


@fault("every event again ten times, from four producers at once")
def duplicate_producers(scene: Scene) -> None:
    scene.start_meanwhile()
    scene.some_sent()
    known = scene.known()

    def repeat() -> None:
        for _ in range(3):
            scene.producer.send(known)

    threads = [threading.Thread(target=repeat) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    scene.more += 12 * len(known)


@fault("poison of every kind among the events, oversize included")
def poison(scene: Scene) -> None:
    scene.start_meanwhile()
    scene.some_sent()
    bad = some(200, 1_000_000, scene.known()[0], scene.chance)
    scene.producer.send(bad)
    scene.keys.update(message.key for message in bad)
    scene.more += len(bad)
    try:
        scene.platform.log.append(events.TOPIC_VIDEO_EVENTS, [events.Message(b"k", b"x" * 2_000_000)])
        scene.faults.append("a record of 2 MB was taken")
    except EventError:
        pass


@fault("the store is cut off for 20 s")
def store_away(scene: Scene) -> None:
    scene.run_process()
    with _store(scene, "cut"):
        scene.start_meanwhile()
        time.sleep(20)


@fault("the store is silent for 20 s, its connections open")
def store_silent(scene: Scene) -> None:
    scene.run_process()
    with _store(scene, "silent"):
        scene.start_meanwhile()
        time.sleep(20)


@fault("the store passes 32 KiB a second for 30 s")
def store_slow(scene: Scene) -> None:
    scene.run_process()
    with _store(scene, "slow"):
        scene.start_meanwhile()
        time.sleep(30)


@fault("the store is killed and back after 5 s")
def store_killed(scene: Scene) -> None:
    scene.run_process()
    with scene.stack.away("store"):
        scene.start_meanwhile()
        time.sleep(5)


@fault("the store's disk is full for 20 s")
def store_full(scene: Scene) -> None:
    scene.run_process()
    with scene.stack.full_disk():
        scene.start_meanwhile()
        time.sleep(20)


@fault("PostgreSQL is killed mid-run and back after 5 s")
def database_killed(scene: Scene) -> None:
    scene.run_process()
    with scene.stack.away("database"):
        scene.start_meanwhile()
        time.sleep(5)


@fault("PostgreSQL stands still for 20 s, its connections open")
def database_frozen(scene: Scene) -> None:
    scene.run_process()
    with scene.stack.frozen("database"):
        scene.start_meanwhile()
        time.sleep(20)


@fault("the process of every run is killed")
def run_killed(scene: Scene) -> None:
    scene.start_meanwhile()
    scene.run_process()
    scene.stack.kill("run")


@fault("the process over the pixels is killed")
def child_killed(scene: Scene) -> None:
    scene.start_meanwhile()
    wait(lambda: scene.stack.kill("child"), UNDER_WAY_S, "an analysis child")


@fault("the run host is killed while it has runs")
def run_host_killed(scene: Scene) -> None:
    scene.start_meanwhile()
    scene.run_process()
    scene.stack.kill("run host")


@fault("code server and runs are killed together")
def code_server_and_runs_killed(scene: Scene) -> None:
    scene.start_meanwhile()
    scene.run_process()
    scene.stack.kill("code server")
    scene.stack.kill("run")


@fault("the daemon is killed")
def daemon_killed(scene: Scene) -> None:
    scene.start_meanwhile()
    scene.run_process()
    scene.stack.kill("daemon")


@fault("daemon and run host die between the creation of a run and its start")
def launch_cut_short(scene: Scene) -> None:
    import dagster as dg

    for each in wait(lambda: scene.stack.parts()["run host"], UNDER_WAY_S, "the run host"):
        each.send_signal(signal.SIGSTOP)
    scene.start_meanwhile()
    with suppress(TimeoutError):
        wait(lambda: scene.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTING])), UNDER_WAY_S, "a run that is starting")
    scene.stack.kill("daemon")
    scene.stack.kill("run host")


@fault("the relay is killed")
def relay_killed(scene: Scene) -> None:
    scene.start_meanwhile()
    scene.stack.kill("relay")


@fault("vp up itself is killed, and started again")
def vp_up_killed(scene: Scene) -> None:
    scene.run_process()
    scene.stack.up.kill()
    scene.start_meanwhile()
    scene.stack.up.start()


@fault("everything is killed at once, servers too, and started again")
def machine_restarted(scene: Scene) -> None:
    scene.run_process()
    below = psutil.Process(scene.stack.up.pid).children(recursive=True)
    scene.stack.up.kill()
    for each in below:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    servers = scene.stack.servers()
    for server in servers.values():
        server.stop(kill=True)
    scene.start_meanwhile()
    for name in servers:
        scene.stack.bring_back(name)
    scene.stack.up.start()


@fault("a second daemon runs by mistake")
def two_daemons(scene: Scene) -> None:
    workspace = scene.stack.home / "dagster" / "up.workspace.yaml"
    with _beside(scene, [sys.executable, "-m", "dagster._daemon", "run", "-w", str(workspace)], "following daemons"):
        scene.start_meanwhile()
        scene.all_sent()
        time.sleep(20)


@fault("a second relay runs by mistake")
def two_relays(scene: Scene) -> None:
    with _beside(scene, [sys.executable, "-m", "video_platform.services.relay"], "ready"):
        scene.start_meanwhile()
        scene.all_sent()
        time.sleep(20)


@fault("a second vp up on the same databases, from another home")
def two_vp_up(scene: Scene) -> None:
    scene.run_process()
    home = scene.stack.home.parent / "second-home"
    environment = {**os.environ, "VIDEO_PLATFORM_HOME": str(home), "VIDEO_PLATFORM_WEB__PORT": "0", "VIDEO_PLATFORM_DAGSTER__PORT": "0"}
    scene.start_meanwhile()
    try:
        done = subprocess.run(
            [str(Path(sys.executable).parent / "vp"), "up"], env=environment, capture_output=True, text=True, timeout=120, check=False, start_new_session=True
        )
        if done.returncode == 0 or "from another home" not in done.stderr:
            scene.faults.append(f"the second vp up ended with {done.returncode}: {done.stderr[-300:]}")
    except subprocess.TimeoutExpired:
        scene.faults.append("the second vp up was not refused")


@fault("the language model's server is away")
def model_away(scene: Scene) -> None:
    with FakeOllama() as server:
        address = server.address
    _described_with(scene, address)


@fault("the language model breaks off every answer")
def model_cut(scene: Scene) -> None:
    _described_by(scene, "cut")


@fault("the language model has no slot free")
def model_busy(scene: Scene) -> None:
    _described_by(scene, "busy")


@fault("the language model drips its answers for ever")
def model_slow(scene: Scene) -> None:
    _described_by(scene, "trickle")


@fault("the clock of the platform's machine jumps ten minutes ahead for 30 s")
def clock_ahead(scene: Scene) -> None:
    with scene.stack.clock() as stand:
        scene.run_process()
        stand(600)
        scene.start_meanwhile()
        time.sleep(30)
        stand(0)
        scene.all_sent()
        scene.at_rest()


@fault("the clock of the platform's machine jumps an hour back for 30 s")
def clock_back(scene: Scene) -> None:
    with scene.stack.clock() as stand:
        scene.run_process()
        stand(-3600)
        scene.start_meanwhile()
        time.sleep(30)
        stand(0)
        scene.all_sent()
        scene.at_rest()


def _described_by(scene: Scene, behaviour: str) -> None:
    with FakeOllama(behaviour=behaviour) as server:
        _described_with(scene, server.address)


def _described_with(scene: Scene, address: str) -> None:
    """All videos come to rest with this server as their language model."""
    words = {"ENGINE": "auto", "HOST": address, "TIMEOUT_S": "10"}
    with scene.stack.restarted({f"VIDEO_PLATFORM_LANGUAGE_MODEL__{name}": value for name, value in words.items()}):
        scene.start_meanwhile()
        scene.all_sent()
        scene.at_rest()


def _sent(scene: Scene) -> bool:
    """Whether nothing waits in the outbox."""
    from video_platform.services.database import outbox

    return not outbox.waiting(scene.platform.db, outbox.Kind.EVENT)


@contextmanager
def _stopped(scene: Scene, part: str) -> Iterator[None]:
    """A part stands still."""
    stopped: Sequence[psutil.Process] = scene.stack.parts()[part]
    for each in stopped:
        each.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for each in stopped:
            with suppress(psutil.NoSuchProcess):
                each.send_signal(signal.SIGCONT)


@contextmanager
def _store(scene: Scene, mode: str) -> Iterator[None]:
    scene.stack.store.become(mode, rate=32 * 1024)
    try:
        yield
    finally:
        scene.stack.store.become("open")


@contextmanager
def _beside(scene: Scene, command: list[str], ready: str) -> Iterator[None]:
    """Another process of the platform, in its environment, until the end of the block."""
    log = scene.stack.home.parent / f"beside-{len(command)}.log"
    environment = {**os.environ, "DAGSTER_HOME": str(scene.stack.home / "dagster"), "PYTHONUNBUFFERED": "1"}
    with log.open("w") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)
    try:
        wait(lambda: ready in log.read_text(), UNDER_WAY_S, f"{command[-1]} answers")
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
