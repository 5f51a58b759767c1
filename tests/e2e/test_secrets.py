"""A whole run with a secret in every setting that takes one: afterwards none of them stands anywhere but in the environment.

Looked through are the files of the home (databases, event log, Dagster's records, logs of runs, manifests, objects), what every process and command printed,
command lines, answers of the API and of Dagster, and with real servers the topics, the bucket and the databases as well.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from fake_ollama import FakeOllama
from pydantic import SecretStr
from running import ROOT, Up, descendants, wait

from video_platform import settings as settings_module
from video_platform.events import TOPICS
from video_platform.services.event_log import open_log
from video_platform.services.object_store import open_store
from video_platform.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

SAMPLE = ROOT / "samples" / "crossing.mp4"
DONE_S = 900
HOOK = "canary-hook-4d2f81"
RULES = (ROOT / "samples" / "rules.demo.yaml").read_text()

COMMANDS = [
    ["doctor"],
    ["doctor", "--json"],
    ["env"],
    ["videos", "--json"],
    ["alerts", "--json"],
    ["rules", "list"],
    ["--debug", "videos"],
    ["--debug", "doctor"],
    ["dlq", "list"],
]


def secret_variables() -> list[str]:
    """Every variable whose setting is a secret."""
    return [name for name, (default, _) in settings_module.variables().items() if isinstance(default, SecretStr)]


def values_of(environment: Mapping[str, str]) -> dict[str, str]:
    """Variable -> what of it must not be seen anywhere: of an address with a password only that."""
    found = {"OPS_URL": HOOK}
    for name in secret_variables():
        value = environment.get(name, "")
        secret = urlsplit(value).password or "" if "://" in value else value
        if secret:
            found[name] = secret
    return found


@dataclass
class Run:
    """A platform that has processed a video and tried to notify somebody."""

    up: Up
    secrets: dict[str, str]
    video_id: str


def with_channel(folder: Path) -> Path:
    """The rules of the sample clip, all alerts told to a channel that does not answer."""
    text = re.sub(r"(?m)^rules:", "channels:\n  ops: {url_env: OPS_URL}\nrules:", RULES)
    text = re.sub(r"(?m)^(  - \{name: .*)\}\s*$", r"\1, channels: [ops]}", text)
    assert "channels: [ops]" in text
    path = folder / "rules.yaml"
    path.write_text(text)
    return path


@contextlib.contextmanager
def embedded(folder: Path) -> Iterator[dict[str, str]]:
    """A canary in every secret that the embedded profile has a place for; the language model wants its token."""
    with FakeOllama(token="canary-token-91ac") as model:
        canaries = {name: f"canary-{number}-7be2c0" for number, name in enumerate(secret_variables())}
        for name in ("DATABASE__URL", "DAGSTER__STORAGE_URL", "EVENT_LOG__PASSWORD"):  # with these, other servers would be used
            canaries.pop(f"{settings_module.PREFIX}{name}")
        canaries = {name: value for name, value in canaries.items() if "OIDC" not in name and "CLIENT_SECRET" not in name}
        canaries[f"{settings_module.PREFIX}LANGUAGE_MODEL__TOKEN"] = "canary-token-91ac"
        yield {**canaries, "VIDEO_PLATFORM_LANGUAGE_MODEL__ENGINE": "ollama", "VIDEO_PLATFORM_LANGUAGE_MODEL__HOST": model.address}


@pytest.fixture(scope="module", params=["embedded", pytest.param("stack", marks=pytest.mark.stack)])
def run(request, tmp_path_factory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("secrets")
    own = {"OPS_URL": f"json://user:{HOOK}@127.0.0.1:9/{HOOK}", "VIDEO_PLATFORM_RULES": str(with_channel(folder))}
    with contextlib.ExitStack() as stack:
        environment = stack.enter_context(embedded(folder)) if request.param == "embedded" else request.getfixturevalue("stack").fresh()
        secrets = values_of({**own, **environment})
        up = stack.enter_context(Up(folder / "home", env={**own, **environment}))
        with httpx.Client(base_url=f"{up.addresses['web']}/api", timeout=60) as client:
            video_id = client.post("/videos", params={"name": "crossing.mp4", "camera": "demo"}, content=SAMPLE.read_bytes()).json()["video_id"]

            def done() -> bool:
                detail = client.get(f"/videos/{video_id}").json()
                assert detail["video"]["state"] != "failed", (detail["video"]["failure_code"], detail["video"]["failure_message"])
                described = detail["video"]["summary_failure_code"] or any(asset["name"] == "llm_summary" and asset["made"] for asset in detail["assets"])
                return detail["video"]["state"] == "ready" and described and client.get("/alerts").json()["total"] > 0

            wait(done, DONE_S, "the video, an attempt at its summary, and its alerts")
            wait(lambda: "Connection" in up_logs(up) or "notifications wait" in up_logs(up), DONE_S, "a notification that failed")
        yield Run(up, secrets, video_id)


def up_logs(up: Up) -> str:
    return "".join(path.read_text(errors="replace") for path in (up.home / "logs").rglob("*") if path.is_file())


def clear(run: Run, where: str, text: str | bytes) -> None:
    data = text if isinstance(text, bytes) else text.encode("utf-8", "replace")
    for name, secret in run.secrets.items():
        assert secret.encode() not in data, f"{name} stands in {where}"


def test_there_is_something_to_look_for(run):
    assert len(run.secrets) >= 3
    assert all(len(secret) >= 8 for secret in run.secrets.values())


def test_no_file_of_the_home_has_one(run):
    looked_at = 0
    for path in (run.up.home, run.up.output):
        for file in path.rglob("*") if path.is_dir() else [path]:
            if file.is_file() and not file.is_symlink():
                clear(run, str(file), file.read_bytes())
                looked_at += 1
    assert looked_at > 10  # with real servers databases and events lie elsewhere


def test_no_command_line_has_one(run):
    lines = [" ".join(process.cmdline()) for process in [psutil.Process(run.up.pid), *descendants(run.up.pid)] if process.is_running()]
    assert len(lines) > 4
    for line in lines:
        clear(run, "a command line", line)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_no_command_prints_one(run, words):
    environment = {**os.environ, **run.up.env}
    done = subprocess.run([str(Path(sys.executable).parent / "vp"), *words], cwd=ROOT, env=environment, capture_output=True, timeout=180, check=False)
    assert done.stdout + done.stderr
    clear(run, f"what vp {' '.join(words)} prints", done.stdout + done.stderr)


def test_no_answer_of_the_api_has_one(run):
    with httpx.Client(base_url=f"{run.up.addresses['web']}/api", timeout=60) as client:
        paths = ["/videos", f"/videos/{run.video_id}", f"/videos/{run.video_id}/files", f"/videos/{run.video_id}/summary", "/alerts", "/rules", "/healthz"]
        for path in [*paths, "/metrics", "/openapi.json", "/docs", "/videos/0000000000000000"]:
            clear(run, path, client.get(path).content)


RECORDS = """{
  runsOrError { ... on Runs { results {
    runId runConfigYaml tags { key value }
    assetMaterializations { label description metadataEntries { label description ... on TextMetadataEntry { text } ... on JsonMetadataEntry { jsonString } } }
  } } }
  instance { info }
}"""


def test_nothing_that_dagster_knows_has_one(run):
    with httpx.Client(base_url=run.up.addresses["dagster"], timeout=60) as client:
        answer = client.post("/graphql", json={"query": RECORDS})
        assert run.video_id in answer.text
        clear(run, "Dagster's records", answer.content)
        for found in json.loads(answer.text)["data"]["runsOrError"]["results"]:
            events = client.post(
                "/graphql",
                json={
                    "query": f'{{ logsForRun(runId: "{found["runId"]}") {{ ... on EventConnection {{ events {{ ... on MessageEvent {{ message }} }} }} }} }}'
                },
            )
            assert "message" in events.text
            clear(run, "a run's log in Dagster", events.content)


def settings_of(run: Run) -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in run.up.env.items():
            patch.setenv(name, value)
        return settings_module.load()


def test_no_event_and_no_object_has_one(run):
    settings = settings_of(run)
    log, store = open_log(settings), open_store(settings)
    try:
        events = 0
        for topic in set(TOPICS) & set(log.topics()):
            for record in log.read(topic, {}, limit=1000, budget_s=20):
                clear(run, f"topic {topic}", repr(record.message))
                events += 1
        assert events >= 2
        objects = [info for info in store.list("") if info.size_bytes < 16 * 2**20]
        assert len(objects) > 10
        for info in objects:
            clear(run, info.key, info.key.encode() + store.get_bytes(info.key))
    finally:
        log.close()


def test_no_row_of_a_server_has_one(run):
    addresses = [settings_of(run).database.url.get_secret_value(), settings_of(run).dagster.storage_url.get_secret_value()]
    if not all(addresses):
        return  # their files were looked through with the home
    import sqlalchemy

    for address in addresses:
        engine = sqlalchemy.create_engine(address)
        with engine.connect() as connection:
            names = sqlalchemy.inspect(connection).get_table_names()
            assert len(names) > 5
            for name in names:
                for row in connection.execute(sqlalchemy.text(f'SELECT * FROM "{name}"')):
                    clear(run, f"table {name}", repr(tuple(row)))
        engine.dispose()


def test_dagsters_settings_name_variables_only(run):
    text = (run.up.home / "dagster" / "dagster.yaml").read_text()
    clear(run, "dagster.yaml", text)
    if settings_of(run).dagster.storage_url.get_secret_value():
        assert "postgres_storage" in text  # which reads the address from the settings itself
