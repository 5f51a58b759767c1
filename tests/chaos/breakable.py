"""The platform on real Kafka, MinIO and PostgreSQL with the warm launcher, everything of which can be killed, held up and brought back.

The store is reached through a TCP proxy that can be slow, silent or cut; a webhook counts the notifications that reach people.
"""

import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from running import ROOT, START_DEADLINE_S, Up

from scripts.services import KafkaServer, MinioServer, PostgresServer, ServiceFailed

RULES = """version: 1
channels: {ops: {url_env: CHAOS_OPS_URL}}
rules:
  - {name: somebody, when: {appears: person}, channels: [ops]}
"""

CHUNK = 64 * 1024
LOOK_S = 0.05
DISK_BYTES = 2 * 1024**3
"""What the store has of its own when `Stack` gives it a disk that can be filled."""
UNSAFE = {"fsync": "off", "full_page_writes": "off"}
"""Killed processes are what this is about, not a power failure."""


class Impossible(Exception):
    """This machine lacks what a fault needs; the message says what."""


class Proxy:
    """Connections to `target` (`host:port`); `mode` is `open`, `silent` (nothing passes), `slow` (`rate` bytes a second) or `cut` (refused and broken)."""

    def __init__(self, target: str) -> None:
        self._host, _, port = target.rpartition(":")
        self._port = int(port)
        self.mode, self.rate = "open", 64 * 1024
        self._live: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        """`host:port` for clients."""
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def become(self, mode: str, *, rate: int = 64 * 1024) -> None:
        """Change for what is connected and what comes."""
        self.mode, self.rate = mode, rate
        if mode == "cut":
            for each in list(self._live):
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop listening and break what is connected."""
        self.become("cut")
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        if self.mode == "cut":
            client.close()
            return
        try:
            server = socket.create_connection((self._host, self._port), timeout=10)
            server.settimeout(None)
        except OSError:
            client.close()
            return
        self._live |= {client, server}
        pumps = [threading.Thread(target=self._pump, args=pair, daemon=True) for pair in ((client, server), (server, client))]
        for pump in pumps:
            pump.start()
        for pump in pumps:
            pump.join()
        for each in (client, server):
            self._live.discard(each)
            each.close()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(CHUNK if self.mode != "slow" else max(1, self.rate // 20)):
                while self.mode == "silent":
                    time.sleep(LOOK_S)
                if self.mode == "slow":
                    time.sleep(len(data) / self.rate)
                target.sendall(data)
        except OSError:
            pass
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


class Webhook:
    """Where notifications arrive; counts them by the video that they speak of."""

    def __init__(self) -> None:
        self.told: Counter[str] = Counter()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                text = str(json.loads(self.rfile.read(int(self.headers["content-length"]))).get("message", ""))
                hook.told.update(re.findall(r"(?<![0-9a-f])[0-9a-f]{16}(?![0-9a-f])", text))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        """As Apprise writes it."""
        return f"json://127.0.0.1:{self._server.server_address[1]}/"


class Stack:
    """All of it in `folder`. This process sees the same settings as the platform does."""

    def __init__(self, folder: Path, *, launcher: str = "warm") -> None:
        self.home = folder / "home"
        self.home.mkdir(parents=True)
        self.kafka = KafkaServer(folder / "kafka")
        self.minio = MinioServer(folder / "minio")
        self.postgres = PostgresServer(folder / "postgres", settings=UNSAFE)
        self.webhook = Webhook()
        (folder / "rules.yaml").write_text(RULES)
        self.own = {
            "VIDEO_PLATFORM_HOME": str(self.home),
            "VIDEO_PLATFORM_RULES": str(folder / "rules.yaml"),
            "VIDEO_PLATFORM_RUNS__LAUNCHER": launcher,
            "VIDEO_PLATFORM_LANGUAGE_MODEL__ENGINE": "template",
            "VIDEO_PLATFORM_NOTIFY__PER_HOUR": "100000",
            "CHAOS_OPS_URL": self.webhook.address,
            "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]),  # Dagster's code server drops the first entry, which it takes for its working folder
        }

    def start(self) -> None:
        """Servers first, then `vp up`."""
        self._own_disk()
        for name in self.servers():
            self.bring_back(name)
        self.store = Proxy(self.minio.endpoint)
        found = {**self.kafka.environment, **self.minio.environment, **self.postgres.environment, **self.own}
        found["VIDEO_PLATFORM_OBJECTS__ENDPOINT"] = self.store.address
        os.environ.update(found)
        self.up = Up(self.home, env=found)
        self.up.start()

    def servers(self) -> dict[str, Any]:
        """By the name of what they are to the platform."""
        return {"broker": self.kafka, "store": self.minio, "database": self.postgres}

    def stop(self) -> None:
        """End everything."""
        if self.up.process is not None and self.up.process.poll() is None:
            self.up.stop()
        self.store.close()
        for server in (self.kafka, self.minio):
            server.stop()
        if os.path.ismount(self.minio.folder):
            subprocess.run(["umount", str(self.minio.folder)], check=False)
        self.postgres.delete()

    @contextmanager
    def away(self, name: str) -> Iterator[None]:
        """A server is killed, and back at the end of the block."""
        self.servers()[name].stop(kill=True)
        try:
            yield
        finally:
            self.bring_back(name)

    def bring_back(self, name: str) -> None:
        """Start a server that was killed; on an overloaded machine it may need several tries."""
        deadline = time.monotonic() + START_DEADLINE_S
        while True:
            try:
                self.servers()[name].start(ends_with_parent=True)
            except ServiceFailed:
                if time.monotonic() > deadline:
                    raise
            else:
                return

    @contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """A server stands still without a word, and goes on at the end of the block."""
        process = self.servers()[name]._process.find()
        group = [process, *process.children(recursive=True)]
        for each in group:
            each.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for each in group:
                each.send_signal(signal.SIGCONT)

    @contextmanager
    def restarted(self, settings: Mapping[str, str]) -> Iterator[None]:
        """`vp up` runs with these settings besides its own inside the block, and without them again after it."""
        usual = self.up.env
        self.up.stop()
        self.up.env = {**usual, **settings}
        try:
            self.up.start()
            yield
            self.up.stop()
        finally:
            if self.up.process is not None and self.up.process.poll() is None:
                self.up.kill()
            self.up.env = usual
            self.up.start()

    @contextmanager
    def clock(self) -> Iterator[Callable[[int], None]]:
        """All processes of `vp up` read a clock that stands as many seconds ahead as the function was last told; servers keep the true one."""
        folder = self.home.parent
        library, offset = folder / "clock.so", folder / "clock"
        command = ["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(Path(__file__).with_name("clock.c")), "-ldl"]
        if shutil.which("cc") is None:
            raise Impossible("setting the clock needs a C compiler")
        subprocess.run(command, check=True)

        def stand(ahead_s: int) -> None:
            with offset.open("r+b") as file:
                file.write(struct.pack("q", ahead_s))

        offset.write_bytes(struct.pack("q", 0))
        told = {"LD_PRELOAD": str(library), "CLOCK_AHEAD": str(offset)}
        with self.restarted(told):
            yield stand

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """No byte is left where the store keeps its objects."""
        if not os.path.ismount(self.minio.folder):
            raise Impossible("filling the store's disk needs the rights to mount one (root)")
        ballast = self.minio.folder / "ballast"
        with ballast.open("wb", buffering=0) as file:
            size = CHUNK * 16
            while size >= 1024:
                try:
                    file.write(b"\0" * size)
                except OSError:
                    size //= 2
        try:
            yield
        finally:
            ballast.unlink()

    def _own_disk(self) -> bool:
        """Give the store a file system of its own; False where that is not allowed."""
        image = self.home.parent / "disk"
        with image.open("wb") as file:
            file.truncate(DISK_BYTES)
        self.minio.folder.mkdir(parents=True, exist_ok=True)
        steps = (["mkfs.ext4", "-q", "-m", "0", str(image)], ["mount", "-o", "loop", str(image), str(self.minio.folder)])
        return all(subprocess.run(step, capture_output=True, check=False).returncode == 0 for step in steps)

    def parts(self) -> dict[str, list[psutil.Process]]:
        """The live processes of `vp up` by what they are; a run's process is not that of the host that forked it."""
        found = self.up.members()
        forked = []
        for each in found["run"]:
            with suppress(psutil.Error):
                if "run_host" in " ".join(each.cmdline()) and "run_host" in " ".join(each.parent().cmdline() if each.parent() else []):
                    forked.append(each)
        host = [each for each in found["run"] if each not in forked and _is(each, "run_host")]
        runs = [each for each in found["run"] if each not in host]
        return {**found, "run": runs, "run host": host}

    def kill(self, part: str, *, one: Callable[[list[psutil.Process]], psutil.Process] | None = None) -> int:
        """SIGKILL all processes of a part, or the one that is chosen; how many."""
        victims = self.parts()[part]
        if victims and one is not None:
            victims = [one(victims)]
        for each in victims:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        return len(victims)


def _is(process: psutil.Process, word: str) -> bool:
    with suppress(psutil.Error):
        return word in " ".join(process.cmdline())
    return False
