"""Objects in an S3 server: SeaweedFS, MinIO, RustFS, Ceph or AWS, through the `minio` SDK.

The bucket is made on first use. Large files travel in parts, one at a time, so that memory stays flat. The SDK has no conditional put, hence `if_absent`
asks first; a race is harmless because equal keys carry equal bytes (`layout`).
"""

import errno
import hashlib
import os
import re
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from video_platform.errors import IntegrityError, ObjectNotFound, PlatformError, ServiceError, StoreFull, StoreUnavailable
from video_platform.layout import BUCKET, parse_file_key
from video_platform.services import tls
from video_platform.services.object_store import (
    CHUNK_BYTES,
    MAX_GET_BYTES,
    ObjectInfo,
    check_folder_prefix,
    check_foreign_key,
    check_key,
    check_prefix,
    missing,
    too_large,
)
from video_platform.settings import PREFIX, ObjectSettings
from video_platform.units import MIB

if TYPE_CHECKING:
    from minio import Minio
    from urllib3 import BaseHTTPResponse

VARIABLE = f"{PREFIX}OBJECTS__"

PART_BYTES = 16 * MIB
"""One part of a large upload: two of them are in memory at once."""
MAX_PARTS = 10_000
"""S3's own limit; footage above 160 GiB gets larger parts."""

NO_XML = re.compile("[^\\t\\n\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
"""Characters that the request which deletes many objects cannot hold: one such name would make the server refuse all of them."""

CONNECT_S = 5.0
"""A server that is there accepts a connection at once."""
READ_S = 60.0
"""Longest silence while a server stores a part on a busy disk."""
RETRIES = 2
"""Tries after the first, 0.2 and 0.4 s apart: a restart of the server is Dagster's to wait for, not ours."""

NOT_FOUND = {"NoSuchKey", "NoSuchObject"}
FULL = {"XMinioStorageFull", "InsufficientStorage", "QuotaExceeded", "XMinioAdminBucketQuotaExceeded", "ServiceQuotaExceeded"}
FULL_STATUS = 507
FULL_TEXT = ("no space left", "no free volumes", "no writable volumes", "disk full")
"""Servers without a code of their own say it in the message of an InternalError."""
DENIED = "AccessDenied"
REFUSED = {DENIED, "InvalidAccessKeyId", "SignatureDoesNotMatch"}
DENIED_PAUSES_S = (0.05, 0.2, 0.5)
"""MinIO denies access to an object whose folder it is just clearing away, since the last other object in it was deleted: a moment later it takes it."""


class S3Store:
    """An `ObjectStore` in one bucket of the server that the settings name."""

    incoming: Path | None = None

    def __init__(self, settings: ObjectSettings, *, bucket: str = BUCKET, connect_s: float = CONNECT_S, read_s: float = READ_S) -> None:
        self._settings = settings
        self._bucket = bucket
        self._timeout_s = (connect_s, read_s)
        self._lock = threading.Lock()
        self._client: Minio | None = None
        self._owner = 0

    def put_file(self, key: str, path: Path, *, media_type: str, if_absent: bool = True, move: bool = False) -> bool:
        """See `ObjectStore.put_file`."""
        there = if_absent and self._has(check_key(key))
        if not there:
            with path.open("rb") as data:
                self._put(key, data, path.stat().st_size, media_type)
        if move:
            path.unlink(missing_ok=True)
        return not there

    def put_bytes(self, key: str, data: bytes, *, media_type: str, if_absent: bool = False) -> bool:
        """See `ObjectStore.put_bytes`."""
        if if_absent and self._has(check_key(key)):
            return False
        self._put(key, BytesIO(data), len(data), media_type)
        return True

    @contextmanager
    def open(self, key: str, *, offset: int = 0, length: int | None = None) -> Iterator[Iterator[bytes]]:
        """See `ObjectStore.open`."""
        size = self.stat(key).size_bytes
        left = size - offset if length is None else min(length, size - offset)
        if left <= 0:
            yield iter(())
            return
        with self._errors(key):
            response = self._ready().get_object(self._bucket, key, offset=offset, length=left)
        try:
            yield self._chunks(key, response, left)
        finally:
            response.close()
            response.release_conn()

    def get_bytes(self, key: str, *, max_bytes: int = MAX_GET_BYTES) -> bytes:
        """See `ObjectStore.get_bytes`."""
        with self.open(key, length=max_bytes + 1) as chunks:
            data = b"".join(chunks)
        if len(data) > max_bytes:
            raise too_large(key, self.stat(key).size_bytes, max_bytes)
        return data

    def stat(self, key: str) -> ObjectInfo:
        """See `ObjectStore.stat`."""
        check_key(key)
        with self._errors(key):
            found = self._ready().stat_object(self._bucket, key)
        assert found.last_modified is not None, "every S3 answer to HEAD has a Last-Modified"
        return ObjectInfo(key, found.size or 0, found.content_type, found.last_modified, found.etag)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See `ObjectStore.list`; the media type is not in a listing."""
        check_prefix(prefix)
        with self._errors(prefix):
            for found in self._ready().list_objects(self._bucket, prefix=prefix, recursive=True):
                if found.is_dir or found.object_name is None or found.last_modified is None or found.object_name.endswith("/"):
                    continue
                yield ObjectInfo(found.object_name, found.size or 0, None, found.last_modified, found.etag)

    def delete(self, keys: Iterable[str]) -> int:
        """See `ObjectStore.delete`."""
        from minio.deleteobjects import DeleteObject

        wanted = [check_key(key) for key in keys]
        if not wanted:
            return 0
        together = [key for key in wanted if not NO_XML.search(key)]
        with self._errors("delete"):
            failed = list(self._ready().remove_objects(self._bucket, [DeleteObject(key) for key in together])) if together else []
            for key in wanted:
                if NO_XML.search(key):
                    self._ready().remove_object(self._bucket, key)
        bad = [error for error in failed if error.code not in NOT_FOUND]
        if bad:
            names = ", ".join(f"{error.name} ({error.code})" for error in bad[:3])
            raise StoreUnavailable(f"{self._place} did not delete {len(bad)} of {len(wanted)} objects: {names}")
        return len(wanted) - len(failed)

    def delete_prefix(self, prefix: str) -> int:
        """See `ObjectStore.delete_prefix`."""
        return self.delete([info.key for info in self.list(check_folder_prefix(prefix))])

    def take_away(self, info: ObjectInfo) -> bool:
        """See `ObjectStore.take_away`."""
        try:
            if self.stat(check_foreign_key(info.key)).etag != info.etag:
                return False
        except ObjectNotFound:
            return False
        with self._errors(info.key):
            self._ready().remove_object(self._bucket, info.key)
        return True

    def move(self, key: str, target: str) -> None:
        """See `ObjectStore.move`: the server copies, then the old one is removed."""
        from minio.commonconfig import CopySource

        check_foreign_key(key)
        with self._errors(key):
            self._ready().copy_object(self._bucket, check_key(target), CopySource(self._bucket, key))
            self._ready().remove_object(self._bucket, key)

    def local_path(self, key: str) -> None:
        """See `ObjectStore.local_path`: objects are not files here."""

    def fetch(self, key: str, folder: Path) -> Path:
        """See `ObjectStore.fetch`: a streamed copy; of a content-addressed key the hash is checked too."""
        info = self.stat(key)
        target = folder / key.rpartition("/")[2]
        unfinished = target.with_name(f"{target.name[:200]}.{os.getpid()}.part")
        digest = hashlib.sha256()
        try:
            with self.open(key) as chunks, unfinished.open("wb") as out:
                for chunk in chunks:
                    digest.update(chunk)
                    out.write(chunk)
            if unfinished.stat().st_size != info.size_bytes:
                raise _differs(key, "bytes", info.size_bytes, unfinished.stat().st_size)
            if (promised := _promised_hash(key)) and promised != digest.hexdigest():
                raise _differs(key, "SHA-256", promised, digest.hexdigest())
            return unfinished.replace(target)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise StoreFull(f"no space is left in {folder} for a copy of {key!r} ({info.size_bytes} bytes): free some", path=str(folder)) from error
        finally:
            unfinished.unlink(missing_ok=True)

    def check(self) -> str:
        """See `ObjectStore.check`."""
        with self._errors("check"):
            self._ready().list_buckets()
        return f"{self._place}, bucket {self._bucket}"

    @contextmanager
    def asking(self, what: str) -> Iterator["tuple[Minio, str]"]:
        """The SDK's client and the bucket's name, for questions that only an S3 server can be asked; its errors are ours."""
        with self._errors(what):
            yield self._ready(), self._bucket

    # ---- the client ------------------------------------------------------------------------------------------------------------------------------------

    @property
    def _place(self) -> str:
        return f"the S3 store at {self._settings.endpoint}"

    def _put(self, key: str, data: BinaryIO, size_bytes: int, media_type: str) -> None:
        from minio.error import S3Error

        part = max(PART_BYTES, -(-size_bytes // MAX_PARTS // MIB) * MIB)
        with self._errors(check_key(key)):
            for pause_s in (*DENIED_PAUSES_S, None):
                try:
                    self._ready().put_object(self._bucket, key, data, size_bytes, content_type=media_type, part_size=part, num_parallel_uploads=1)
                    return
                except S3Error as error:
                    if error.code != DENIED or pause_s is None:
                        raise
                time.sleep(pause_s)
                data.seek(0)

    def _has(self, key: str) -> bool:
        try:
            self.stat(key)
        except ObjectNotFound:
            return False
        return True

    def _chunks(self, key: str, response: "BaseHTTPResponse", left: int) -> Iterator[bytes]:
        with self._errors(key):
            for chunk in response.stream(CHUNK_BYTES):
                left -= len(chunk)
                yield chunk
        if left > 0:
            raise StoreUnavailable(f"{self._place} ended {left} bytes before the end of {key!r}", key=key)

    def _ready(self) -> "Minio":
        """The client of this process, with the bucket there; a client never crosses a fork."""
        with self._lock:
            if self._client is None or self._owner != os.getpid():
                client = self._connect()
                if not client.bucket_exists(self._bucket):
                    self._make_bucket(client)
                self._client, self._owner = client, os.getpid()
            return self._client

    def _connect(self) -> "Minio":
        from minio import Minio
        from urllib3 import PoolManager, Retry, Timeout

        connect_s, read_s = self._timeout_s
        retries = Retry(total=RETRIES, backoff_factor=0.2, status_forcelist=[502, 503, 504], raise_on_status=False)
        encrypted: dict[str, Any] = {"ssl_context": tls.client_context(self._settings.ca_file, VARIABLE)} if self._settings.secure else {}
        return Minio(
            self._settings.endpoint,
            access_key=self._settings.access_key.get_secret_value(),
            secret_key=self._settings.secret_key.get_secret_value(),
            secure=self._settings.secure,
            region=self._settings.region,
            http_client=PoolManager(timeout=Timeout(connect=connect_s, read=read_s), maxsize=10, retries=retries, **encrypted),
        )

    def _make_bucket(self, client: "Minio") -> None:
        from minio.error import S3Error

        try:
            client.make_bucket(self._bucket)
        except S3Error as error:  # another process was first
            if error.code not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                raise

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        from minio.error import MinioException
        from urllib3.exceptions import HTTPError

        try:
            yield
        except PlatformError:
            raise
        except (MinioException, HTTPError, OSError) as error:
            raise self._error(what, error) from error

    def _error(self, what: str, error: Exception) -> PlatformError:
        from minio.error import S3Error

        code = error.code if isinstance(error, S3Error) else None
        if code in NOT_FOUND:
            return missing(what)
        if _says_full(error):
            return StoreFull(f"{self._place} has no space left for {what!r}: free some or raise its quota", key=what)
        if code in REFUSED:
            text = f"{self._place} refused the keys ({code}): check VIDEO_PLATFORM_OBJECTS__ACCESS_KEY and __SECRET_KEY"
        elif isinstance(error, S3Error):
            if code == "NoSuchBucket":
                self._client = None  # removed under us: the next use makes it again
            text = f"{self._place} answered {code} for {what!r}: {error.message}"
        elif why := tls.distrust(error, VARIABLE):
            text = f"{self._place} was not spoken to: {why}"
        else:
            text = f"{self._place} does not answer ({type(error).__name__}): is it running, and is VIDEO_PLATFORM_OBJECTS__ENDPOINT right?"
        unavailable: ServiceError = StoreUnavailable(text, key=what, code=code)
        return unavailable


def _says_full(error: Exception) -> bool:
    from minio.error import S3Error

    if not isinstance(error, S3Error):
        return False
    status = getattr(error.response, "status", None)
    return error.code in FULL or status == FULL_STATUS or any(text in (error.message or "").lower() for text in FULL_TEXT)


def _promised_hash(key: str) -> str | None:
    try:
        return parse_file_key(key)[2]
    except ValueError:
        return None


def _differs(key: str, what: str, expected: object, actual: object) -> IntegrityError:
    return IntegrityError(f"object {key!r} arrived with other {what} than it was stored with: {actual}, not {expected}", expected=expected, actual=actual)
