"""Real servers for development and tests: Apache Kafka from Maven Central and SeaweedFS (S3) from a Python package.

Each runs in a folder of its own, on free ports of 127.0.0.1, with pid files, and nothing outside that folder and the cache is written.
From a shell: `python -m scripts.services kafka start`; from tests: `tests/services_fixtures.py`.
"""

from scripts.services.kafka import KafkaServer
from scripts.services.processes import ServiceFailed, cache
from scripts.services.seaweedfs import S3Server

__all__ = ["KafkaServer", "S3Server", "ServiceFailed", "cache"]
