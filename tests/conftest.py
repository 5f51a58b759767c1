"""What holds for all tests."""

import signal

from hypothesis import settings
from services_fixtures import kafka_server, minio_server, new_postgres_database, ollama_server, postgres_server, s3_server

from scripts.services.servers import MODULES, version

__all__ = ["kafka_server", "minio_server", "new_postgres_database", "ollama_server", "postgres_server", "s3_server"]

settings.register_profile("everywhere", deadline=None)  # a busy machine is no failure of the code
settings.load_profile("everywhere")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell starts what runs in its background so, and the children of tests would not hear Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header(config):
    """The version of every real server, where tests are chosen that need them."""
    chosen = config.option.markexpr
    if "kafka" not in chosen or "not (kafka" in chosen:
        return []
    return ["real servers:", *(f"  {name} {version(name)}" for name in MODULES)]
