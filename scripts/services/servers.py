"""Every kind of server by its name, and the four that a whole platform uses."""

from pathlib import Path
from typing import Protocol

from scripts.services import kafka, minio, ollama, postgres, seaweedfs
from scripts.services.processes import ServiceFailed


class Server(Protocol):
    """What every server can do."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]: ...
    def start(self, *, port: int | None = None, ends_with_parent: bool = False) -> "Server": ...
    def running(self) -> bool: ...
    def answers(self) -> bool: ...
    def stop(self, *, kill: bool = False) -> bool: ...


MODULES = {"kafka": kafka, "minio": minio, "postgres": postgres, "ollama": ollama, "s3": seaweedfs}
STACK = ("kafka", "minio", "postgres", "ollama")


def server(name: str, folder: Path, broker: str | None = None) -> Server:
    """The server of this kind in `folder`; `broker` (`host:port`) is where MinIO announces uploads."""
    if name == "minio":
        return minio.MinioServer(folder, kafka=broker)
    return {"kafka": kafka.KafkaServer, "ollama": ollama.OllamaServer, "postgres": postgres.PostgresServer, "s3": seaweedfs.S3Server}[name](folder)


def version(name: str) -> str:
    """The version of this kind, as its own program says where it can be asked; why there is none otherwise. Fetches nothing."""
    try:
        return MODULES[name].version()
    except ServiceFailed as error:
        return str(error)
