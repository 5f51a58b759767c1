"""The files that go on top of docker-compose.yml and name servers elsewhere: an S3 store and an Ollama that run on this machine beside the containers."""

import ipaddress
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from running import wait
from services_fixtures import running

from scripts.compose import Engine
from scripts.compose.stack import ROOT
from scripts.services import MinioServer, OllamaServer, cache
from scripts.services.ollama import MODEL
from video_platform.layout import BUCKET
from video_platform.services import minio_accounts
from video_platform.settings import ObjectSettings

from .conftest import BringUp
from .deployment import DEADLINE_S, Deployment

pytestmark = [pytest.mark.compose, pytest.mark.timeout(2400)]

OVERLAYS = [ROOT / "deploy" / f"compose.{name}.yml" for name in ("external-s3", "host-ollama")]


@pytest.fixture(scope="module")
def bridge(engine: Engine) -> str:
    """The address under which containers reach this machine."""
    described = json.loads(engine.run("network", "inspect", "bridge", quiet=True).stdout)[0]
    config = described["IPAM"]["Config"][0]
    return config.get("Gateway") or str(next(ipaddress.ip_network(config["Subnet"]).hosts()))


@pytest.fixture(scope="module")
def store(bridge: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MinioServer]:
    with running(MinioServer(tmp_path_factory.mktemp("elsewhere"), host=bridge), "MinIO") as server:
        yield server


@pytest.fixture(scope="module")
def ollama(bridge: str) -> Iterator[OllamaServer]:
    with running(OllamaServer(cache() / "compose-host-model", host=bridge), "Ollama") as server:
        yield server


@pytest.fixture(scope="module")
def deployment(store: MinioServer, ollama: OllamaServer, bring_up: BringUp, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Bucket and accounts made by hand, as docs/deploying.md says; each account has a key that this store alone knows."""
    from minio import Minio

    folder = tmp_path_factory.mktemp("secrets")
    folder.chmod(0o755)
    admin = ObjectSettings(kind="s3", endpoint=store.endpoint, secure=False, access_key=SecretStr(store.access_key), secret_key=SecretStr(store.secret_key))
    Minio(store.endpoint, store.access_key, store.secret_key, secure=False).make_bucket(BUCKET)
    keys = {account: (f"site-{account}", f"key-of-{account}-elsewhere") for account in minio_accounts.Account}
    minio_accounts.make(admin, keys)
    secrets = {"minio_admin_key": keys[minio_accounts.Account.WORKER][1], **{f"s3_{account}_key": secret for account, (_, secret) in keys.items()}}
    variables = {f"VP_S3_{account.upper()}": name for account, (name, _) in keys.items()}
    variables |= {"VP_S3_ADMIN": keys[minio_accounts.Account.WORKER][0], "VP_S3_ENDPOINT": store.endpoint, "VP_MODEL": MODEL, "VP_OLLAMA": ollama_url(ollama)}
    with bring_up(variables, OVERLAYS, secrets={name: _file(folder / name, text) for name, text in secrets.items()}) as made:
        yield made


def ollama_url(server: OllamaServer) -> str:
    return f"http://host.docker.internal:{server.address.rpartition(':')[2]}"


def _file(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o644)
    return path


def test_neither_minio_nor_ollama_is_a_container(deployment: Deployment) -> None:
    print("", *(f"{name:20} healthy after {seconds:4.0f} s" for name, seconds in sorted(deployment.healthy_s.items(), key=lambda each: each[1])), sep="\n")
    assert not {"minio", "ollama"} & set(deployment.stack.states())
    assert {"web", "code-server", "daemon", "relay"} <= set(deployment.healthy_s)


def test_footage_goes_through_the_servers_elsewhere(deployment: Deployment, store: MinioServer) -> None:
    from minio import Minio

    began = time.monotonic()
    video_id = deployment.upload(0)
    deployment.processed(video_id)
    print(f"\nready after {time.monotonic() - began:.0f} s")
    assert deployment.alerts(video_id)
    kept = Minio(store.endpoint, store.access_key, store.secret_key, secure=False)
    manifests = f"videos/{video_id}/alerts/manifest.json"  # it is written just after the ledger, which says ready
    wait(lambda: list(kept.list_objects(BUCKET, prefix=manifests)), DEADLINE_S, "the results lie in the store elsewhere")
    assert "STEP_START" in deployment.output_of_a_run(video_id)
    wait(lambda: [each for each in deployment.runs(video_id, "describe_video") if each["status"] == "SUCCESS"], DEADLINE_S, "described")
    assert "smollm2" in deployment.health()["parts"]["language_model"]["detail"]
    assert "smollm2" in str(deployment.api(f"/videos/{video_id}/summary")["engine"])
