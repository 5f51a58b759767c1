"""Apache Kafka 4.3.1 as one broker in KRaft mode, from Maven Central, without Docker."""

import os
import socket
import struct
import subprocess
from pathlib import Path

from scripts.services.fetching import kept, run, tool
from scripts.services.kafka_security import Guarded
from scripts.services.processes import Server, ServiceFailed, cache, free_ports

VERSION = "4.3.1"
NAME = f"kafka-{VERSION}"
FETCH_S = 300.0
START_S = 120.0  # 2.5 s on an idle machine, half a minute on one that is overloaded
HEAP = "512M"
ADDRESS_VARIABLE = "VIDEO_PLATFORM_EVENT_LOG__BOOTSTRAP_SERVERS"
WHICH_VERSIONS = struct.pack(">ihhih", 10, 18, 0, 1, -1)
"""The protocol's first question: length, ApiVersions, its version 0, a number to answer with, no client id."""
ANSWER_S = 5.0
INSTALL = "apt-get install -y default-jre-headless maven"

POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>video-platform</groupId><artifactId>kafka-server</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
"""

PROPERTIES = """process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
"""

COMMON = """log.dirs={data}
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
"""


def fetch() -> Path:
    """The folder of the broker's jars, fetched once (44 MB) and shared by all folders."""
    return kept(NAME, _collect)


def version() -> str:
    """Which Kafka this is."""
    return VERSION if (cache() / NAME / f"kafka_2.13-{VERSION}.jar").exists() else f"{VERSION}, not fetched yet"


def _collect(work: Path) -> Path:
    maven = tool("mvn", "Kafka", INSTALL)
    tool("java", "Kafka", INSTALL)
    (work / "pom.xml").write_text(POM)
    arguments = ["-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={work / 'libs'}"]
    run(f"fetching Kafka {VERSION}", [maven, *arguments], cwd=work, seconds=FETCH_S)
    return work / "libs"


class KafkaServer(Server):
    """One broker in `folder`; starting it again in the same folder keeps its data and its port.

    With `users` it asks who is there (`kafka_security`): `address` wants TLS and a password, `certified_address` a client certificate of its authority, and
    nobody but `admin` has any right before it was given one. `guarded` holds the secrets after the first start of this object.
    """

    def __init__(self, folder: Path, users: tuple[str, ...] = ()) -> None:
        super().__init__(folder, "kafka", "broker")
        self.guarded: Guarded | None = None
        self._users = users
        self._properties = self.folder / "server.properties"

    @property
    def address(self) -> str:
        """`host:port` for clients; ServiceFailed before the first start."""
        return self._advertised()[0]

    @property
    def certified_address(self) -> str:
        """`host:port` for clients with a certificate; only of a broker with users."""
        return self._advertised()[1]

    def _advertised(self) -> list[str]:
        if not self._properties.exists():
            raise ServiceFailed(f"no broker was ever started in {self.folder}")
        line = next(each for each in self._properties.read_text().splitlines() if each.startswith("advertised.listeners="))
        return [each.partition("://")[2] for each in line.partition("=")[2].split(",")]

    @property
    def environment(self) -> dict[str, str]:
        """The settings that point the platform at this broker."""
        return {"VIDEO_PLATFORM_EVENT_LOG__KIND": "kafka", ADDRESS_VARIABLE: self.address}

    def start(self, *, port: int | None = None, ends_with_parent: bool = False) -> "KafkaServer":
        """Start and wait until it is ready; nothing happens when it runs already."""
        if self._process.find():
            return self
        classpath = f"{fetch()}/*"
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self._properties.exists():
            free = free_ports(3)
            ports = {"port": port or free[0], "controller": free[1]}
            if self._users:
                self.guarded = Guarded.make(self.folder, self._users)
            text = self.guarded.properties(**ports, certified=free[2]) if self.guarded else PROPERTIES.format(**ports)
            self._properties.touch(mode=0o600)
            self._properties.write_text(text + COMMON.format(data=self.folder / "data"))
            self._format(classpath)
        ready_before = self._ready_lines()
        argv = [_java(), "-Xms128M", f"-Xmx{HEAP}", "-cp", classpath, "kafka.Kafka", str(self._properties)]
        self._process.start(argv, {}, ends_with_parent=ends_with_parent)
        self._process.wait_until(lambda: self._ready_lines() > ready_before, START_S)
        return self

    def _format(self, classpath: str) -> None:
        tool = [_java(), "-cp", classpath, "kafka.tools.StorageTool"]
        cluster = subprocess.run([*tool, "random-uuid"], capture_output=True, text=True, timeout=START_S, check=False).stdout.split()
        if not cluster:
            raise ServiceFailed("Kafka's storage tool did not run; Kafka 4 needs Java 17 or newer")
        arguments = ["format", "--standalone", "--ignore-formatted", "-t", cluster[-1], "-c", str(self._properties)]
        arguments += self.guarded.format_arguments() if self.guarded else []
        done = subprocess.run([*tool, *arguments], capture_output=True, text=True, timeout=START_S, check=False, cwd=self.folder)
        if done.returncode:
            self._properties.unlink()
            raise ServiceFailed(f"Kafka's storage could not be made in {self.folder}: {done.stderr[-500:]}")

    def _ready_lines(self) -> int:
        log = self._process.log_file
        return log.read_text(errors="replace").count("Kafka Server started") if log.exists() else 0

    def answers(self) -> bool:
        """Whether it speaks its protocol now."""
        host, _, port = self.address.partition(":")
        try:
            with socket.create_connection((host, int(port)), ANSWER_S) as asking:
                asking.sendall(WHICH_VERSIONS)
                return len(asking.recv(8)) == 8
        except OSError:
            return False


def _java() -> str:
    home = os.environ.get("JAVA_HOME")
    return str(Path(home) / "bin" / "java") if home else "java"
