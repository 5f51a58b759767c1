"""docker-compose.yml brought up for real. The tests stand in the order of a visit and share one deployment; run with `-s` to see the figures."""

import hashlib
import io
import re
import time
from typing import Any

import httpx
import pytest
from minio import Minio
from minio.error import S3Error
from playwright.sync_api import BrowserContext, expect
from running import wait

from scripts.compose.stack import ONE_SHOTS, ROOT, Stack

from .conftest import Deployment

pytestmark = [pytest.mark.compose, pytest.mark.timeout(2400)]

CLIP = ROOT / "samples" / "crossing.mp4"
DEADLINE_S = 900
RECOVERED_S = 600
MODEL = "registry:5000/library/smollm2:135m"


def told(*words: object) -> None:
    print(*words, flush=True)


def api(deployment: Deployment, path: str, **more: Any) -> Any:
    reply = httpx.get(f"{deployment.stack.url('web')}/api{path}", timeout=120, **more)
    reply.raise_for_status()
    return reply.json()


def health(deployment: Deployment) -> dict[str, Any]:
    """What /api/healthz says, 503 included: on a busy machine a part may be late."""
    return httpx.get(f"{deployment.stack.url('web')}/api/healthz", timeout=120).json()


def video(deployment: Deployment, video_id: str) -> dict[str, Any]:
    return next((each for each in api(deployment, "/videos")["items"] if each["video_id"] == video_id), {})


def another_clip(number: int) -> tuple[bytes, str]:
    """The sample clip with other bytes and the same pictures: a box that players skip is put behind it."""
    note = number.to_bytes(8, "big")
    content = CLIP.read_bytes() + (8 + len(note)).to_bytes(4, "big") + b"free" + note
    return content, hashlib.sha256(content).hexdigest()[:16]


def upload(deployment: Deployment, content: bytes, name: str, camera: str = "demo") -> None:
    files = {"file": (name, content, "video/mp4")}
    reply = httpx.post(f"{deployment.stack.url('web')}/api/videos", files=files, data={"camera": camera}, timeout=300)
    assert reply.status_code in (200, 201, 202), reply.text


def processed(deployment: Deployment, video_id: str, seconds: float = DEADLINE_S) -> dict[str, Any]:
    """The video once it is ready, with its summary."""
    wait(lambda: video(deployment, video_id).get("state") in ("ready", "failed"), seconds, f"{video_id} is processed")
    assert video(deployment, video_id)["state"] == "ready", video(deployment, video_id)
    return api(deployment, f"/videos/{video_id}")


def ask_dagster(deployment: Deployment, query: str, service: str = "dagster", **variables: Any) -> dict[str, Any]:
    return httpx.post(f"{deployment.stack.url(service)}/graphql", json={"query": query, "variables": variables}, timeout=120).json()


def runs(deployment: Deployment, video_id: str) -> list[dict[str, Any]]:
    query = "query($f: RunsFilter) { runsOrError(filter: $f) { ... on Runs { results { runId status pipelineName tags { key value } } } } }"
    answer = ask_dagster(deployment, query, f={"tags": [{"key": "dagster/partition", "value": video_id}]})
    return answer["data"]["runsOrError"]["results"]


def test_every_service_is_healthy(deployment: Deployment) -> None:
    told(f"\nimage of ours: {deployment.image_bytes / 1e9:.2f} GB")
    for name, seconds in sorted(deployment.healthy_s.items(), key=lambda each: each[1]):
        told(f"{name:20} healthy after {seconds:4.0f} s")
    states = deployment.stack.states()
    assert {name: state for name, state in states.items() if name not in ONE_SHOTS and state != "healthy"} == {}
    assert {name: states[name] for name in ("topics", "prepare")} == {"topics": "done", "prepare": "done"}


def test_the_page_says_how_far_the_model_is_and_everything_works_already(deployment: Deployment, context: BrowserContext) -> None:
    """From a file in the browser to an alert on another page, while the model is being fetched."""
    wait(lambda: health(deployment)["status"] != "unavailable", DEADLINE_S, "the web app has all that it needs")
    wait(lambda: re.search(r"is being fetched: \d+ %", health(deployment)["parts"]["models"]["detail"]), DEADLINE_S, "the pull is under way")
    library, alerts = context.new_page(), context.new_page()
    alerts.goto("/alerts")
    expect(alerts.get_by_role("heading", name="No alerts")).to_be_visible()
    library.goto("/")
    shown = library.get_by_text(re.compile(r"is being fetched: \d+ %"))
    expect(shown.first).to_be_visible()
    told(f"\nthe page says: {shown.first.inner_text()}")
    adding = library.locator("details", has_text="Add footage")
    adding.wait_for()
    if adding.get_attribute("open") is None:
        adding.locator("summary").click()
    library.locator(".camera input").fill("demo")
    library.locator("input[type=file].files").set_input_files(CLIP)
    expect(library.locator(".queue li", has_text=CLIP.name).last.locator(".said")).to_have_text("Taken in. Processing starts on its own.")
    began = time.monotonic()
    alerts.bring_to_front()
    card = alerts.locator("[class*='st-key-alert-']").first
    card.wait_for(timeout=DEADLINE_S * 1000)
    told(f"upload finished to alert on the open page: {time.monotonic() - began:.1f} s")
    picture = card.locator(".picture img").first
    wait(lambda: picture.evaluate("image => image.naturalWidth") > 0, 120, "the snapshot is drawn")
    found = processed(deployment, hashlib.sha256(CLIP.read_bytes()).hexdigest()[:16])
    wait(lambda: "summary" in str(api(deployment, f"/videos/{found['video_id']}")), DEADLINE_S, "a summary")
    for page in (library, alerts):
        page.close()


def test_the_output_of_the_run_is_read_on_dagsters_pages(deployment: Deployment, context: BrowserContext) -> None:
    video_id = hashlib.sha256(CLIP.read_bytes()).hexdigest()[:16]
    run = next(each for each in runs(deployment, video_id) if each["pipelineName"] == "process_video")
    query = """query($id: ID!) { runOrError(runId: $id) { ... on Run { eventConnection { events { ... on LogsCapturedEvent { fileKey } } } } } }"""
    events = ask_dagster(deployment, query, id=run["runId"])["data"]["runOrError"]["eventConnection"]["events"]
    file_key = next(each["fileKey"] for each in events if each.get("fileKey"))
    read = "query($key: [String!]!) { capturedLogs(logKey: $key) { stdout stderr } }"
    for service in ("dagster", "dagster-read-only"):
        answer = ask_dagster(deployment, read, service, key=[run["runId"], "compute_logs", file_key])
        assert "STEP_START" in answer["data"]["capturedLogs"]["stderr"], service
    page = context.new_page()
    page.goto(f"{deployment.stack.url('dagster')}/runs/{run['runId']}")
    expect(page.get_by_text(run["runId"][:8]).first).to_be_visible()
    page.close()


def test_the_read_only_page_changes_nothing(deployment: Deployment) -> None:
    assert ask_dagster(deployment, "{ permissions { permission value } }", "dagster-read-only")["data"]
    stop = 'mutation { stopRunningSchedule: stopSensor(id: "x") { __typename } }'
    answer = ask_dagster(deployment, stop, "dagster-read-only")
    assert "Unauthorized" in str(answer) or "permission" in str(answer).lower(), answer
    written = deployment.stack.execute("dagster-read-only", "python3", "-c", WRITE)
    assert "permission denied" in written


WRITE = """
import sqlalchemy as sa
from video_platform import settings
engine = sa.create_engine(settings.load().dagster.storage_url.get_secret_value())
try:
    with engine.begin() as connection:
        connection.exec_driver_sql("delete from runs")
except Exception as error:
    print(str(error).splitlines()[0])
"""


def test_no_container_knows_more_than_it_needs(deployment: Deployment) -> None:
    secrets = {path.name: path.read_text().strip() for path in deployment.secrets.iterdir()}
    for name, container in deployment.stack.containers().items():
        described = str(container)
        assert not [secret for secret, text in secrets.items() if text in described], name
    for name in ("relay", "code-server", "daemon", "dagster", "dagster-read-only", "web"):
        assert deployment.stack.execute(name, "id", "-u").strip() == "10001"
    no_way_out = "import socket; socket.setdefaulttimeout(5); socket.create_connection(('192.0.2.1', 80))"
    assert "unreachable" in deployment.stack.execute("code-server", "sh", "-c", f'python3 -c "{no_way_out}" 2>&1 || true')


def test_footage_comes_in_by_the_inbox(deployment: Deployment) -> None:
    content, video_id = another_clip(1)
    key = (deployment.secrets / "s3_inbox_key").read_text().strip()
    client = Minio(deployment.stack.url("minio").removeprefix("http://"), "vp-inbox", key, secure=False, region="us-east-1")
    client.put_object("video-platform", "inbox/gate/other.mp4", io.BytesIO(content), len(content), content_type="video/mp4")
    with pytest.raises(S3Error, match="Access Denied"):
        client.put_object("video-platform", "videos/other.mp4", io.BytesIO(b"x"), 1)
    wait(lambda: video(deployment, video_id), DEADLINE_S, "the object is taken in")
    assert processed(deployment, video_id)["camera"] == "gate"


def test_the_model_writes_once_it_is_there(deployment: Deployment) -> None:
    deployment.gate.touch()
    wait(lambda: deployment.stack.states()["models"] == "done", DEADLINE_S, "the model is fetched")
    wait(lambda: health(deployment)["parts"]["models"]["detail"] == "none is being fetched", DEADLINE_S, "healthz says so")
    content, video_id = another_clip(2)
    upload(deployment, content, "second.mp4")
    processed(deployment, video_id)
    wait(lambda: any(each["pipelineName"] == "describe_video" and each["status"] == "SUCCESS" for each in runs(deployment, video_id)), DEADLINE_S, "described")
    writer = health(deployment)["parts"]["language_model"]["detail"]
    told(f"\n{writer}")
    assert "smollm2" in writer


def test_memory_is_within_its_bounds(deployment: Deployment) -> None:
    told("")
    limits = {name: each["HostConfig"]["Memory"] for name, each in deployment.stack.containers().items()}
    for name, used in sorted(deployment.stack.memory_bytes().items()):
        told(f"{name:20} {used / 2**20:6.0f} MiB" + (f" of {limits[name] / 2**20:5.0f}" if limits[name] else ""))
        assert not limits[name] or used < limits[name]


KILLED = ("kafka", "minio", "postgres", "ollama", "relay", "code-server", "daemon", "dagster", "dagster-read-only", "web")


@pytest.mark.parametrize("name", KILLED)
def test_what_is_killed_comes_back(deployment: Deployment, name: str) -> None:
    before = deployment.stack.containers()[name]["State"]["Pid"]
    began = time.monotonic()
    deployment.stack.kill(name)
    wait(lambda: deployment.stack.containers()[name]["State"]["Pid"] not in (0, before), RECOVERED_S, f"{name} is started again")
    wait(lambda: deployment.stack.states()[name] == "healthy", RECOVERED_S, f"{name} is healthy again")
    told(f"\n{name} killed: healthy again after {time.monotonic() - began:.0f} s")


def test_everything_works_after_all_that(deployment: Deployment) -> None:
    content, video_id = another_clip(3)
    upload(deployment, content, "third.mp4")
    assert processed(deployment, video_id)["camera"] == "demo"


def test_a_run_has_a_container_of_its_own(deployment: Deployment) -> None:
    """The same project with deploy/compose.docker-runs.yml on top."""
    stack: Stack = deployment.stack.with_files(ROOT / "deploy" / "compose.docker-runs.yml")
    stack.up()
    seen: set[str] = set()
    labelled = ["ps", "-a", "--no-trunc", "--filter", "label=dagster/run_id", "--format", "{{.ID}}"]

    def look() -> bool:
        seen.update(deployment.engine.run(*labelled, quiet=True).stdout.split())
        return video(deployment, video_id).get("state") in ("ready", "failed")

    content, video_id = another_clip(4)
    upload(deployment, content, "fourth.mp4")
    wait(look, DEADLINE_S, "the video is processed")
    processed(deployment, video_id)
    tags = {tag["key"]: tag["value"] for tag in next(each for each in runs(deployment, video_id) if each["pipelineName"] == "process_video")["tags"]}
    assert tags["docker/container_id"] in seen
    wait(lambda: not deployment.engine.run(*labelled, quiet=True).stdout.split(), DEADLINE_S, "containers of runs are removed")
