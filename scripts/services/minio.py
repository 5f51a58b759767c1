"""MinIO, the last commit of its community server, built from Go's module proxy; with a Kafka address it announces uploads on a topic.

MinIO is under the AGPL: it runs as a program of its own here and nothing of it is part of this project.
"""

import secrets
from pathlib import Path

from scripts.services.fetching import go_install, kept, said
from scripts.services.processes import LOOPBACK, cache, free_ports, port_answers
from scripts.services.s3 import S3Keys

RELEASE = "RELEASE.2026-02-12T20-18-48Z"
MODULE = "github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c"
NAME = f"minio-{RELEASE}"
START_S = 120.0  # 1 s on an idle machine
TARGET = "VP"
"""The name of the notification target; rules of buckets name it as `ARN`."""
ARN = f"arn:minio:sqs::{TARGET}:kafka"
TOPIC = "s3-events"
QUEUE_LIMIT = 100_000  # notifications kept on disk while the broker is away; MinIO drops what comes after


def fetch() -> Path:
    """The server's binary, built once: 3 minutes on two cores, 110 MB."""
    return kept(NAME, _build)


def version() -> str:
    """Which MinIO this is, in the binary's own words once it is built."""
    return said(cache() / NAME, "--version").split()[2] if (cache() / NAME).exists() else f"{RELEASE}, not built yet"


def _build(work: Path) -> Path:
    flags = f"-s -w -X github.com/minio/minio/cmd.ReleaseTag={RELEASE}"
    return go_install(MODULE, ["-tags", "kqueue", "-ldflags", flags], work, {"CGO_ENABLED": "0"})


class MinioServer(S3Keys):
    """One server in `folder`; starting it again in the same folder keeps its data, port and keys.

    With `kafka` (`host:port`) uploads can be announced on the topic `s3-events`: a bucket's notification rule names `ARN`. What the broker does not take
    waits in the folder `queue`, also while the server is away. `host` is the address of this machine on which it answers.
    """

    def __init__(self, folder: Path, *, kafka: str | None = None, host: str = LOOPBACK) -> None:
        super().__init__(folder, "minio", "MinIO server")
        self._kafka = kafka
        self._host = host

    @property
    def endpoint(self) -> str:
        """`host:port`, without scheme."""
        return f"{self._host}:{self._kept()['port']}"

    @property
    def environment(self) -> dict[str, str]:
        """The settings that point the platform at this server."""
        names = {"KIND": "s3", "ENDPOINT": self.endpoint, "ACCESS_KEY": self.access_key, "SECRET_KEY": self.secret_key}
        return {f"VIDEO_PLATFORM_OBJECTS__{name}": value for name, value in names.items()}

    def start(self, *, port: int | None = None, ends_with_parent: bool = False) -> "MinioServer":
        """Start and wait until it answers; nothing happens when it runs already."""
        if self._process.find():
            return self
        binary = fetch()
        (self.folder / "data").mkdir(parents=True, exist_ok=True)
        if not self._state.exists():
            self._keep(port=port or free_ports(1)[0], kafka=None, access_key=secrets.token_hex(10), secret_key=secrets.token_hex(20))
        if self._kafka:
            self._keep(kafka=self._kafka)
        argv = [str(binary), "server", str(self.folder / "data"), "--address", self.endpoint, "--quiet"]
        self._process.start(argv, self._settings(), ends_with_parent=ends_with_parent)
        self._process.wait_until(self.answers, START_S)
        return self

    def _settings(self) -> dict[str, str]:
        """MinIO's own settings; it keeps the broker it was told of in earlier starts."""
        given = {"MINIO_ROOT_USER": self.access_key, "MINIO_ROOT_PASSWORD": self.secret_key, "MINIO_BROWSER": "off", "MINIO_UPDATE": "off"}
        if kafka := self._kept()["kafka"]:
            target = {"ENABLE": "on", "BROKERS": str(kafka), "TOPIC": TOPIC, "QUEUE_DIR": str(self.folder / "queue"), "QUEUE_LIMIT": str(QUEUE_LIMIT)}
            given |= {f"MINIO_NOTIFY_KAFKA_{name}_{TARGET}": value for name, value in target.items()}
            given["MINIO_API_SYNC_EVENTS"] = "on"  # a PUT returns once its notification lies in the queue folder
        return given

    def answers(self) -> bool:
        """Whether signed requests are served: a listing of buckets succeeds."""
        if not port_answers(int(self._kept()["port"]), self._host):
            return False
        return self._lists_buckets(self.endpoint)
