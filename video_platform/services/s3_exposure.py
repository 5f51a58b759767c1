"""Whether an S3 store lets strangers in: requests without any key are made, as anybody in its network could make them."""

from typing import Any
from urllib.parse import quote

from video_platform.errors import PlatformError
from video_platform.layout import BUCKET
from video_platform.services import tls
from video_platform.services.s3_store import VARIABLE, S3Store
from video_platform.settings import ObjectSettings

PROBE = "inbox/probe-without-key"
"""Object that is written without a key where the store allows it, and removed at once."""

ANSWER_S = 5.0
ALLOWED = (200, 204, 206)


def exposure(settings: ObjectSettings, *, bucket: str = BUCKET) -> str | None:
    """What the store lets people without a key do, and what to do about it; None when it lets them do nothing.

    Raises:
        PlatformError: the store does not answer.
    """
    store = S3Store(settings, bucket=bucket)
    first = next(iter(store.list("")), None)
    open_to = []
    if _status(settings, "GET", f"{bucket}/?list-type=2&max-keys=1") in ALLOWED:
        open_to.append("list")
    if first is not None and _status(settings, "GET", f"{bucket}/{quote(first.key)}") in ALLOWED:
        open_to.append("read")
    if _status(settings, "PUT", f"{bucket}/{PROBE}") in ALLOWED:
        open_to.append("write")
        store.delete([PROBE])
    if not open_to:
        return None
    return (
        f"the S3 store at {settings.endpoint} lets anybody {' and '.join(open_to)} objects of bucket {bucket} without a key: remove the bucket's anonymous "
        "policy, or give the server keys (SeaweedFS without keys is open to all)"
    )


def _status(settings: ObjectSettings, method: str, path: str) -> int:
    """The status of one request without signature."""
    from urllib3 import PoolManager, Retry, Timeout
    from urllib3.exceptions import HTTPError

    encrypted: dict[str, Any] = {"ssl_context": tls.client_context(settings.ca_file, VARIABLE)} if settings.secure else {}
    scheme = "https" if settings.secure else "http"
    with PoolManager(timeout=Timeout(ANSWER_S), retries=Retry(0, redirect=False), **encrypted) as pool:
        try:
            answer = pool.request(method, f"{scheme}://{settings.endpoint}/{path}", preload_content=False, redirect=False)
            answer.drain_conn()
            return answer.status
        except HTTPError as error:
            raise PlatformError(f"the S3 store at {settings.endpoint} does not answer a request without a key ({type(error).__name__})") from error
