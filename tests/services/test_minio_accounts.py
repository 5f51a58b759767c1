"""Accounts on a real MinIO: each may do what it is for, and nothing else."""

import io

import pytest
from minio import Minio
from minio.error import S3Error
from pydantic import SecretStr

from video_platform.errors import StoreUnavailable
from video_platform.layout import BUCKET
from video_platform.services import minio_accounts
from video_platform.services.minio_accounts import Account
from video_platform.services.s3_store import S3Store
from video_platform.settings import ObjectSettings

pytestmark = [pytest.mark.kafka, pytest.mark.s3]

KEYS = {account: (f"test-{account}", f"secret-of-{account}") for account in Account}
VIDEO, LOG, INBOX = "videos/x/raw_video/a.mp4", "dagster-logs/storage/run/compute_logs/a.err", "inbox/gate/a.mp4"

MAY = {
    Account.WORKER: {("get", VIDEO), ("put", VIDEO), ("delete", VIDEO), ("get", LOG), ("put", LOG), ("get", INBOX), ("delete", INBOX), ("list", "")},
    Account.WEB: {("get", VIDEO), ("put", VIDEO), ("delete", VIDEO), ("get", INBOX), ("put", INBOX), ("list", "")},
    Account.LOGS: {("get", LOG)},
    Account.INBOX: {("put", INBOX)},
}
MAY_NOT = {
    Account.WORKER: {("bucket", "")},
    Account.WEB: {("get", LOG), ("put", LOG), ("bucket", "")},
    Account.LOGS: {("put", LOG), ("delete", LOG), ("get", VIDEO), ("list", ""), ("bucket", "")},
    Account.INBOX: {("get", INBOX), ("delete", INBOX), ("put", VIDEO), ("list", ""), ("bucket", "")},
}


@pytest.fixture(scope="module")
def admin(minio_server):
    endpoint, access, secret = minio_server.endpoint, SecretStr(minio_server.access_key), SecretStr(minio_server.secret_key)
    settings = ObjectSettings(kind="s3", endpoint=endpoint, access_key=access, secret_key=secret)
    S3Store(settings).check()
    minio_accounts.make(settings, KEYS)
    return settings


def client(admin: ObjectSettings, account: Account) -> Minio:
    return Minio(admin.endpoint, access_key=KEYS[account][0], secret_key=KEYS[account][1], secure=False, region="us-east-1")


def attempt(s3: Minio, what: str, key: str) -> None:
    match what:
        case "get":
            s3.get_object(BUCKET, key).close()
        case "put":
            s3.put_object(BUCKET, key, io.BytesIO(b"x"), 1)
        case "delete":
            s3.remove_object(BUCKET, key)
        case "list":
            list(s3.list_objects(BUCKET))
        case "bucket":
            s3.make_bucket("another-bucket")


@pytest.fixture
def there(admin):
    root = Minio(admin.endpoint, admin.access_key.get_secret_value(), admin.secret_key.get_secret_value(), secure=False)
    for key in (VIDEO, LOG, INBOX):
        root.put_object(BUCKET, key, io.BytesIO(b"x"), 1)


@pytest.mark.parametrize(("account", "what", "key"), [(account, *each) for account, all_ in MAY.items() for each in sorted(all_)])
def test_it_may(admin, there, account, what, key):
    attempt(client(admin, account), what, key)


@pytest.mark.parametrize(("account", "what", "key"), [(account, *each) for account, all_ in MAY_NOT.items() for each in sorted(all_)])
def test_it_may_not(admin, there, account, what, key):
    with pytest.raises(S3Error) as caught:
        attempt(client(admin, account), what, key)
    assert caught.value.code == "AccessDenied"


def test_a_new_key_takes_effect(admin, there):
    minio_accounts.make(admin, {Account.LOGS: (KEYS[Account.LOGS][0], "a-new-secret")})
    try:
        with pytest.raises(S3Error) as caught:
            attempt(client(admin, Account.LOGS), "get", LOG)
        assert caught.value.code == "SignatureDoesNotMatch"
    finally:
        minio_accounts.make(admin, {Account.LOGS: KEYS[Account.LOGS]})


def test_another_store_is_named(s3_server):
    keys = SecretStr(s3_server.access_key), SecretStr(s3_server.secret_key)
    settings = ObjectSettings(kind="s3", endpoint=s3_server.endpoint, access_key=keys[0], secret_key=keys[1])
    with pytest.raises(StoreUnavailable, match="is it a MinIO"):
        minio_accounts.make(settings, KEYS)
