"""docker-compose.yml brought up for real. The tests stand in the order of a visit and share one deployment; run with `-s` to see the figures."""

import io
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from minio import Minio
from minio.error import S3Error
from playwright.sync_api import Browser, BrowserContext, expect
from running import wait

from scripts.compose import Engine, Images
from scripts.compose.images import mirror
from scripts.compose.stack import ONE_SHOTS, ROOT
from scripts.services import OllamaServer, cache
from scripts.services.ollama import MODEL

from .conftest import WAIT_MS, BringUp
from .deployment import CLIP, DEADLINE_S, Deployment, clip

pytestmark = [pytest.mark.compose, pytest.mark.timeout(2400)]

SECRETS = ROOT / "deploy" / "secrets"
RECOVERED_S = 600
SAMPLE = clip()[1]
AT_WORK = ("kafka", "minio", "postgres", "relay", "code-server", "daemon", "web")
"""Services that a video passes on its way: footage is under way when they are killed."""

ASKED = ("ollama", "dagster", "dagster-read-only")
"""Those that only answer."""

RUN_WITHOUT_CONTAINER = 6
"""The clip that is processed before runs have containers of their own has this number."""

OURS = ("relay", "code-server", "daemon", "dagster", "dagster-read-only", "web")
FIRST_UPLOAD = 10
"""The clip that is uploaded before a service is killed has this number, or the next for each one after it."""


def told(*words: object) -> None:
    print(*words, flush=True)


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which a file `open` lets the model through."""
    return tmp_path_factory.mktemp("gate")


@pytest.fixture(scope="module")
def deployment(bring_up: BringUp, gate: Path) -> Iterator[Deployment]:
    """With a registry beside it that has a small model, and hands it out when it is told to."""
    model = OllamaServer(cache() / "compose-model")
    model.start(ends_with_parent=True)
    model.stop()
    program = ROOT / "scripts" / "compose" / "registry.py"
    ask = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:5000/v2/library/smollm2/manifests/135m')"
    registry = {
        "image": "${REGISTRY_IMAGE}",
        "command": ["python3", "/registry.py", "/models", "/gate"],
        "volumes": [f"{program}:/registry.py:ro", f"{model.folder / 'models'}:/models:ro", f"{gate}:/gate:ro"],
        "networks": ["inside"],
        "healthcheck": {"test": ["CMD", "python3", "-c", ask], "interval": "5s", "timeout": "10s", "retries": 60},
    }
    services = {"registry": registry, "models": {"command": ["models", "pull", "--patient", "--insecure"]}}
    with bring_up({"VP_MODEL": f"registry:5000/library/{MODEL}"}, services=services) as made:
        yield made


@pytest.fixture(scope="module")
def context(deployment: Deployment, browser: Browser) -> BrowserContext:
    made = browser.new_context(viewport={"width": 1440, "height": 900}, base_url=deployment.stack.url("web"))
    made.set_default_timeout(WAIT_MS)
    return made


def test_every_service_is_healthy(deployment: Deployment, engine: Engine, images: dict[str, str]) -> None:
    told(f"\nimage of ours: {Images(engine).size_bytes(images['VP_IMAGE']) / 1e9:.2f} GB")
    for name, seconds in sorted(deployment.healthy_s.items(), key=lambda each: each[1]):
        told(f"{name:20} healthy after {seconds:4.0f} s")
    states = deployment.stack.states()
    assert {name: state for name, state in states.items() if name not in ONE_SHOTS and state != "healthy"} == {}
    assert {name: states[name] for name in ("topics", "prepare")} == {"topics": "done", "prepare": "done"}


def test_the_page_says_how_far_the_model_is_and_everything_works_already(deployment: Deployment, context: BrowserContext) -> None:
    """From a file in the browser to an alert on another page, while the model is being fetched."""
    wait(lambda: deployment.health()["status"] != "unavailable", DEADLINE_S, "the web app has all that it needs")
    wait(lambda: re.search(r"is being fetched: \d+ %", deployment.health()["parts"]["models"]["detail"]), DEADLINE_S, "the pull is under way")
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
    deployment.processed(SAMPLE)
    assert deployment.alerts(SAMPLE)
    wait(lambda: deployment.api(f"/videos/{SAMPLE}/summary"), DEADLINE_S, "a summary")
    for page in (library, alerts):
        page.close()


def test_the_output_of_the_run_is_read_on_dagsters_pages(deployment: Deployment, context: BrowserContext) -> None:
    for service in ("dagster", "dagster-read-only"):
        assert "STEP_START" in deployment.output_of_a_run(SAMPLE, service), service
    run_id, file_key = deployment.runs(SAMPLE)[0]["runId"], deployment.file_of_output(SAMPLE)
    page = context.new_page()
    page.goto(f"{deployment.stack.url('dagster')}/runs/{run_id}?logType=stderr&logFileKey={file_key}")
    expect(page.get_by_text("STEP_SUCCESS").first).to_be_visible()
    expect(page.get_by_text(f"s3://video-platform/dagster-logs/storage/{run_id}/compute_logs/{file_key}.err")).to_be_visible()
    page.close()


def test_the_read_only_page_changes_nothing(deployment: Deployment) -> None:
    run_id = deployment.runs(SAMPLE)[0]["runId"]
    delete = "mutation($id: String!) { deletePipelineRun(runId: $id) { __typename } }"
    answer = deployment.ask_dagster(delete, "dagster-read-only", id=run_id)
    assert answer["data"]["deletePipelineRun"]["__typename"] == "UnauthorizedError"
    assert deployment.runs(SAMPLE)[0]["runId"] == run_id
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
    secrets = {path.name: path.read_text().strip() for path in SECRETS.iterdir()}
    for name, container in deployment.stack.containers().items():
        described = str(container)
        assert not [secret for secret, text in secrets.items() if text in described], name
    for name in OURS:
        assert deployment.stack.execute(name, "id", "-u").strip() == "10001"


def test_what_decodes_footage_has_no_way_out(deployment: Deployment) -> None:
    """Seen on a server that this machine reaches, and the web app's container too: where packages come from."""
    address = urlsplit(mirror())
    outside = socket.gethostbyname(address.hostname or ""), address.port or (443 if address.scheme == "https" else 80)
    ask = f"import socket\ntry: socket.create_connection({outside!r}, 10); print('reached')\nexcept OSError as error: print(error)"
    assert deployment.stack.execute("web", "python3", "-c", ask).strip() == "reached"
    for name in ("code-server", "daemon", "kafka", "postgres"):
        program = (
            ["python3", "-c", ask] if name in OURS else ["bash", "-c", f"timeout 10 bash -c '</dev/tcp/{outside[0]}/{outside[1]}' && echo reached || echo no"]
        )
        assert deployment.stack.execute(name, *program).strip() != "reached", name


def test_who_makes_results_can_listen(deployment: Deployment) -> None:
    """The speech model lies in the image: loaded where runs are, which no network leads out of."""
    heard = deployment.stack.execute("code-server", "vp", "models", "check", "whisper-tiny.en")
    told(f"\n{heard.strip()}")
    assert heard.startswith("whisper-tiny.en: ok")


def test_footage_comes_in_by_the_inbox(deployment: Deployment) -> None:
    content, video_id = clip(1)
    key = (SECRETS / "s3_inbox_key").read_text().strip()
    client = Minio(deployment.stack.url("minio").removeprefix("http://"), "vp-inbox", key, secure=False, region="us-east-1")
    client.put_object("video-platform", "inbox/gate/other.mp4", io.BytesIO(content), len(content), content_type="video/mp4")
    with pytest.raises(S3Error, match="Access Denied"):
        client.put_object("video-platform", "videos/other.mp4", io.BytesIO(b"x"), 1)
    wait(lambda: deployment.video(video_id), DEADLINE_S, "the object is taken in")
    assert deployment.processed(video_id)["video"]["camera"] == "gate"


def test_the_model_writes_once_it_is_there(deployment: Deployment, gate: Path) -> None:
    (gate / "open").touch()
    wait(lambda: deployment.stack.states()["models"] == "done", DEADLINE_S, "the model is fetched")
    wait(lambda: deployment.health()["parts"]["models"]["detail"] == "none is being fetched", DEADLINE_S, "healthz says so")
    video_id = deployment.upload(2)
    deployment.processed(video_id)
    wait(lambda: any(each["status"] == "SUCCESS" for each in deployment.runs(video_id, "describe_video")), DEADLINE_S, "described")
    writer = deployment.health()["parts"]["language_model"]["detail"]
    told(f"\n{writer}")
    assert "smollm2" in writer


def test_memory_is_within_its_bounds(deployment: Deployment) -> None:
    told("")
    limits = {name: each["HostConfig"]["Memory"] for name, each in deployment.stack.containers().items()}
    for name, used in sorted(deployment.stack.memory_bytes().items()):
        told(f"{name:20} {used / 2**20:6.0f} MiB" + (f" of {limits[name] / 2**20:5.0f}" if limits[name] else ""))
        assert not limits[name] or used < limits[name]


@pytest.mark.parametrize("name", [*AT_WORK, *ASKED])
def test_what_is_killed_comes_back(deployment: Deployment, name: str) -> None:
    before = deployment.stack.containers()[name]["State"]["Pid"]
    if name in AT_WORK:
        video_id = deployment.upload(FIRST_UPLOAD + AT_WORK.index(name))
        wait(lambda: deployment.runs(video_id), DEADLINE_S, "its run is there")
    deployment.stack.kill(name)
    began = time.monotonic()
    wait(lambda: deployment.stack.containers()[name]["State"]["Pid"] not in (0, before), RECOVERED_S, f"{name} is started again")
    wait(lambda: deployment.stack.states()[name] == "healthy", RECOVERED_S, f"{name} is healthy again")
    told(f"\n{name} killed: healthy again after {time.monotonic() - began:.0f} s")


def test_nothing_was_lost_or_doubled_by_all_that(deployment: Deployment) -> None:
    uploaded = {clip(FIRST_UPLOAD + index)[1]: name for index, name in enumerate(AT_WORK)}
    account = wait(lambda: deployment.account(list(uploaded)), DEADLINE_S, "all is settled")
    assert account
    told(f"\n{account}")
    assert {name: account[name] for name in ("runs_out", "lost", "doubled", "alerts_doubled", "faults")} == {
        "runs_out": len(AT_WORK),
        "lost": 0,
        "doubled": 0,
        "alerts_doubled": 0,
        "faults": [],
    }
    assert {uploaded[each]: deployment.alerts(each) for each in uploaded} == dict.fromkeys(AT_WORK, deployment.alerts(SAMPLE))


def test_a_run_has_a_container_of_its_own(deployment: Deployment, engine: Engine) -> None:
    """The same project with deploy/compose.docker-runs.yml on top; from here on. The same pictures raise the same alerts as without it."""
    without = deployment.upload(RUN_WITHOUT_CONTAINER)
    deployment.processed(without)
    alerts_without = deployment.alerts(without)
    assert alerts_without
    docker_runs = Deployment(deployment.stack.with_files(ROOT / "deploy" / "compose.docker-runs.yml"), {})
    docker_runs.stack.up()
    seen: set[str] = set()

    def look() -> bool:
        seen.update(containers_of_runs(engine))
        return docker_runs.video(video_id).get("state") in ("ready", "failed")

    began = time.monotonic()
    video_id = docker_runs.upload(3)
    wait(look, DEADLINE_S, "the video is processed")
    told(f"\nready after {time.monotonic() - began:.0f} s")
    docker_runs.processed(video_id)
    assert docker_runs.runs(video_id)[0]["tags"]["docker/container_id"] in seen
    assert docker_runs.alerts(video_id) == alerts_without
    assert "STEP_START" in docker_runs.output_of_a_run(video_id), "its output outlives its container"
    wait(lambda: not containers_of_runs(engine), DEADLINE_S, "containers of runs are removed")


def test_a_run_in_a_container_is_cancelled_and_can_be_asked_for_again(deployment: Deployment, engine: Engine) -> None:
    video_id = deployment.upload(4)
    run = wait(lambda: [each for each in deployment.runs(video_id) if each["status"] == "STARTED"], DEADLINE_S, "its run works")[0]
    began = time.monotonic()
    stop = "mutation($id: String!) { terminateRun(runId: $id) { __typename } }"
    assert deployment.ask_dagster(stop, id=run["runId"])["data"]["terminateRun"]["__typename"] == "TerminateRunSuccess"
    wait(lambda: run["tags"]["docker/container_id"] not in containers_of_runs(engine), DEADLINE_S, "its container is gone")
    wait(lambda: deployment.runs(video_id)[0]["status"] == "CANCELED", DEADLINE_S, "it is cancelled")
    told(f"\ncancelled after {time.monotonic() - began:.0f} s")
    wait(lambda: deployment.video(video_id)["state"] == "failed", DEADLINE_S, "the page says so")
    deployment.stack.execute("web", "vp", "retry", video_id)
    wait(lambda: len(deployment.runs(video_id)) > 1, DEADLINE_S, "another run")
    wait(lambda: deployment.video(video_id)["state"] == "ready", DEADLINE_S, "the video is processed")


def test_taking_it_down_ends_the_container_of_a_run_with_the_rest(deployment: Deployment, engine: Engine) -> None:
    video_id = deployment.upload(5)
    wait(lambda: [each for each in deployment.runs(video_id) if each["status"] == "STARTED"], DEADLINE_S, "its run works")
    assert containers_of_runs(engine)
    deployment.stack.down()
    assert not containers_of_runs(engine)


def containers_of_runs(engine: Engine) -> set[str]:
    listed = engine.run("ps", "-a", "--no-trunc", "--filter", "label=dagster/run_id", "--format", "{{.ID}}", quiet=True)
    return set(listed.stdout.split())
