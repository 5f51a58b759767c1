"""docker-compose.yml for real, once for all tests of this folder: an engine of its own, images from packages, a registry with a small model."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import BrowserContext, expect, sync_playwright
from services_fixtures import unavailable

from scripts.compose import Engine, Images, Stack
from scripts.compose.engine import Forbidden
from scripts.compose.stack import ROOT
from scripts.services import OllamaServer, cache
from scripts.services.ollama import MODEL

CHROMIUM = "/usr/bin/chromium"
WAIT_MS = 120_000
PROJECT = "video-platform-test"


@dataclass(frozen=True)
class Deployment:
    """What runs: seconds until each service was healthy, the image of ours, and the file that lets the model through."""

    stack: Stack
    engine: Engine
    healthy_s: dict[str, float]
    image_bytes: int
    gate: Path

    @property
    def secrets(self) -> Path:
        return ROOT / "deploy" / "secrets"


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """Left running with its images where it ran before; else ended."""
    started = Engine()
    ran = started.answers()
    try:
        started.start()
    except Forbidden as error:
        pytest.skip(f"no Docker engine runs here, docker-compose.yml is not tested: {error}")
    yield started
    if not ran:
        started.stop()


@pytest.fixture(scope="session")
def images(engine: Engine) -> dict[str, str]:
    made = Images(engine)
    return {**made.environment(), "REGISTRY_IMAGE": made.server("python", {})}


@pytest.fixture(scope="session")
def deployment(engine: Engine, images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("compose")
    (folder / "gate").mkdir()
    model = OllamaServer(cache() / "compose-model")
    model.start(ends_with_parent=True)
    model.stop()
    overlay = folder / "registry.yml"
    overlay.write_text(yaml.safe_dump({"services": _registry(model.folder / "models", folder / "gate")}))
    (ROOT / "deploy" / "rules").mkdir(exist_ok=True)
    rules = ROOT / "deploy" / "rules" / "test.yaml"
    rules.write_text((ROOT / "samples" / "rules.demo.yaml").read_text())
    rules.chmod(0o644)
    variables = {**images, "VP_MODEL": f"registry:5000/library/{MODEL}", "VP_RULES_IN_CONTAINER": "/rules/test.yaml"}
    socket = {"VP_DOCKER_SOCKET": str(engine.socket), "VP_DOCKER_GROUP": str(engine.socket.stat().st_gid)}
    stack = Stack(engine, {**variables, **socket}, files=[overlay], project=PROJECT)
    stack.down(volumes=True)
    try:
        healthy_s = stack.up()
        yield Deployment(stack, engine, healthy_s, Images(engine).size_bytes(images["VP_IMAGE"]), folder / "gate" / "open")
    finally:
        (folder / "logs.txt").write_text(stack.compose("logs", "--no-color", check=False))
        print(f"\nlogs of all services: {folder / 'logs.txt'}")
        stack.down(volumes=True)
        rules.unlink()


def _registry(models: Path, gate: Path) -> dict[str, object]:
    program = ROOT / "scripts" / "compose" / "registry.py"
    ask = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:5000/v2/library/smollm2/manifests/135m')"
    return {
        "registry": {
            "image": "${REGISTRY_IMAGE}",
            "command": ["python3", "/registry.py", "/models", "/gate"],
            "volumes": [f"{program}:/registry.py:ro", f"{models}:/models:ro", f"{gate}:/gate:ro"],
            "networks": ["inside"],
            "healthcheck": {"test": ["CMD", "python3", "-c", ask], "interval": "5s", "timeout": "10s", "retries": 60},
        },
        "models": {"command": ["models", "pull", "--patient", "--insecure"]},
    }


@pytest.fixture(scope="session")
def context(deployment: Deployment) -> Iterator[BrowserContext]:
    if not Path(CHROMIUM).exists():
        unavailable("Chromium", "scripts/install_browser.sh installs it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"])
        expect.set_options(timeout=WAIT_MS)
        made = browser.new_context(viewport={"width": 1440, "height": 900}, base_url=deployment.stack.url("web"))
        made.set_default_timeout(WAIT_MS)
        yield made
        browser.close()
