"""Accounts on a MinIO server, each with the least that its user needs in the platform's bucket. Made with the administrator's keys, again and again."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from video_platform.errors import StoreUnavailable
from video_platform.layout import BUCKET, RUN_LOGS
from video_platform.settings import ObjectSettings

MADE_FOR = "video-platform-"
"""How our policies begin; the server keeps others beside them."""

PARTS = ["s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
"""What a large upload needs beside the right to put."""

LOOK = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"]


class Account(StrEnum):
    """Who has keys of their own."""

    WORKER = "worker"
    WEB = "web"
    LOGS = "logs"
    INBOX = "inbox"


def policy(account: Account) -> dict[str, Any]:
    """What an account may do, as S3 writes it down: steps everything in the bucket, the web app all but the output of runs, Dagster's page only that, and
    programs that bring footage may put it into the inbox and see nothing.
    """
    bucket, everything, logs = f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*", f"arn:aws:s3:::{BUCKET}/{RUN_LOGS}/*"
    inside = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", *PARTS]
    statements = {
        Account.WORKER: [_allow(LOOK, bucket), _allow(inside, everything)],
        Account.WEB: [_allow(LOOK, bucket), _allow(inside, everything), {"Effect": "Deny", "Action": ["s3:*"], "Resource": [logs]}],
        Account.LOGS: [_allow(["s3:GetBucketLocation"], bucket), _allow(["s3:GetObject"], logs)],
        Account.INBOX: [_allow(["s3:GetBucketLocation"], bucket), _allow(["s3:PutObject", *PARTS], f"arn:aws:s3:::{BUCKET}/inbox/*")],
    }
    return {"Version": "2012-10-17", "Statement": statements[account]}


def make(admin: ObjectSettings, keys: Mapping[Account, tuple[str, str]]) -> list[str]:
    """Make or renew the accounts with these access and secret keys, with the administrator's keys in `admin`; what was done, a line each.

    Raises:
        StoreUnavailable: the server does not answer, or is no MinIO.
    """
    from minio import MinioAdmin
    from minio.credentials.providers import StaticProvider
    from minio.error import MinioAdminException, MinioException
    from urllib3.exceptions import HTTPError

    provider = StaticProvider(admin.access_key.get_secret_value(), admin.secret_key.get_secret_value())
    server = MinioAdmin(endpoint=admin.endpoint, credentials=provider, secure=admin.secure, region=admin.region, cert_check=True)
    done = []
    try:
        for account, (access_key, secret_key) in keys.items():
            name = f"{MADE_FOR}{account}"
            server.policy_add(name, policy=policy(account))
            server.user_add(access_key, secret_key)
            server.policy_set(name, user=access_key)
            done.append(f"S3 account {access_key} may do what {name} allows")
    except (MinioException, MinioAdminException, HTTPError, OSError, ValueError) as error:
        raise StoreUnavailable(
            f"the accounts could not be made on the S3 store at {admin.endpoint} ({type(error).__name__}): "
            "is it a MinIO, and are these its administrator's keys?"
        ) from error
    return done


def _allow(actions: list[str], resource: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": [resource]}
