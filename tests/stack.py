"""The platform's second profile for tests: Kafka, MinIO, PostgreSQL and Ollama, shared by a test session and emptied between its tests.

A test that asks for the fixture `profile` runs on both profiles: on the embedded one, and, marked `stack`, on the real servers. The settings come from the
environment there, so that whatever it starts has them too.
"""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from scripts.services import KafkaServer, MinioServer, OllamaServer, PostgresServer
from video_platform.events import TOPICS
from video_platform.pipeline.instance import open_instance
from video_platform.services.database import open_database
from video_platform.services.kafka_log import KafkaLog
from video_platform.services.s3_store import S3Store
from video_platform.settings import ObjectSettings, Settings

embedded_only = pytest.mark.parametrize("profile", ["embedded"], indirect=True)
"""For a test that reaches into what only the embedded profile has."""


@dataclass
class Copy:
    """What one platform had in its databases and its store."""

    databases: Mapping[str, str]
    objects: Mapping[str, bytes] = field(default_factory=dict)


@dataclass
class Stack:
    """The servers; `ollama` starts it when it is first asked for."""

    kafka: KafkaServer
    minio: MinioServer
    postgres: PostgresServer
    ollama: Callable[[], OllamaServer]
    _templates: dict[str, str] = field(default_factory=dict)
    _given: list[str] = field(default_factory=list)

    def fresh(self, *, copy: Copy | None = None, language_model: bool = False) -> dict[str, str]:
        """Settings of a platform that has nothing yet, or what `copy` was made of: empty topics, databases with their tables, a bucket without more.

        Whatever ran on the servers before has ended.
        """
        self._empty_topics()
        store = self.store()
        store.delete([info.key for info in store.list("")])
        for key, data in copy.objects.items() if copy else ():
            store.put_bytes(key, data, media_type="application/octet-stream")
        return {**self._servers(language_model), **self._databases(copy.databases if copy else self._templates or self._make_templates())}

    def _servers(self, language_model: bool = False) -> dict[str, str]:
        return {**self.kafka.environment, **self.minio.environment, **(self.ollama().environment if language_model else {})}

    def _databases(self, templates: Mapping[str, str]) -> dict[str, str]:
        """New databases of which only the newest ones are kept: each takes 8 MB."""
        for url in self._given:
            self.postgres.drop_database(url)
        made = {name: self.postgres.new_database("test", template=url) for name, url in templates.items()}
        self._given = list(made.values())
        return made

    def _make_templates(self) -> dict[str, str]:
        """Databases whose tables were made, to be copied: making them anew for each test takes seconds."""
        self._templates = {name: self.postgres.new_database("empty") for name in self.postgres.environment}
        with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            for name, value in {**self._servers(), **self._templates}.items():
                patch.setenv(name, value)
            settings = Settings(home=Path(folder))
            open_database(settings).dispose()
            open_instance(settings).dispose()
        return self._templates

    def _empty_topics(self) -> None:
        """Every topic there, with nothing in it and beginning at 0."""
        log = KafkaLog(self.kafka.address)
        try:
            for topic in log.topics():
                if not topic.startswith("__") and (topic not in TOPICS or any(log.end_offsets(topic).values())):
                    log.delete_topic(topic)
            log.create_topics()
        finally:
            log.close()

    def store(self) -> S3Store:
        """The bucket of the platform."""
        minio = self.minio
        return S3Store(
            ObjectSettings.model_validate({"kind": "s3", "endpoint": minio.endpoint, "access_key": minio.access_key, "secret_key": minio.secret_key})
        )

    def keep(self, environment: Mapping[str, str]) -> Copy:
        """A copy of all that the platform with these settings has, which nothing uses any more."""
        self._given = []
        store = self.store()
        return Copy({name: environment[name] for name in self.postgres.environment}, {info.key: store.get_bytes(info.key) for info in store.list("")})
