"""What servers that speak S3 have in common: one pair of keys, and a question that shows whether they answer."""

from pathlib import Path

from scripts.services.processes import Server

ASK_S = 2


class S3Keys(Server):
    """A server with one identity, whose keys were made on its first start."""

    @property
    def access_key(self) -> str:
        """The name of its identity."""
        return str(self._kept()["access_key"])

    @property
    def secret_key(self) -> str:
        """The secret of its identity."""
        return str(self._kept()["secret_key"])

    def _lists_buckets(self, endpoint: str, ca_file: Path | None = None) -> bool:
        """Whether a signed request is served; over TLS where an authority is given."""
        from minio import Minio
        from minio.error import MinioException
        from urllib3 import PoolManager, Retry
        from urllib3.exceptions import HTTPError

        trusted = {"ca_certs": str(ca_file)} if ca_file else {}
        http = PoolManager(timeout=ASK_S, retries=Retry(0), **trusted)
        try:
            Minio(endpoint, access_key=self.access_key, secret_key=self.secret_key, secure=ca_file is not None, http_client=http).list_buckets()
        except (MinioException, HTTPError, OSError):
            return False
        return True
