"""docker-compose.yml for real: an engine of its own, images from packages, and a deployment once for all tests of a module."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from chromium import CHROMIUM, UNASKED, chromium
from playwright.sync_api import Browser
from services_fixtures import unavailable

from scripts.compose import Engine, Images, Stack
from scripts.compose.engine import Forbidden
from scripts.compose.stack import ROOT

from .deployment import BOOKS, CHAOS, Deployment

WAIT_MS = 120_000
PROJECT = "video-platform-test"

BringUp = Callable[..., AbstractContextManager[Deployment]]


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
def bring_up(engine: Engine, images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> BringUp:
    """A deployment that begins with nothing and leaves nothing but its logs; `services` and `secrets` change what docker-compose.yml says of them."""

    @contextmanager
    def with_(
        variables: Mapping[str, str], files: Sequence[Path] = (), services: Mapping[str, Any] | None = None, secrets: Mapping[str, Path] | None = None
    ) -> Iterator[Deployment]:
        folder = tmp_path_factory.mktemp("compose")
        rules = folder / "rules"
        rules.mkdir()
        shutil.copyfile(ROOT / "samples" / "rules.demo.yaml", rules / "test.yaml")
        for path, mode in ((rules, 0o755), (rules / "test.yaml", 0o644)):  # for the user of the container
            path.chmod(mode)
        changed = {"code-server": {"volumes": [f"{CHAOS}:{BOOKS}:ro"]}, "prepare": {"volumes": [f"{rules}:/rules:ro"]}, **(services or {})}
        overlay = folder / "test.yml"
        overlay.write_text(yaml.safe_dump({"services": changed, "secrets": {name: {"file": str(path)} for name, path in (secrets or {}).items()}}))
        given = {
            **images,
            "VP_DOCKER_SOCKET": str(engine.socket),
            "VP_DOCKER_GROUP": str(engine.socket.stat().st_gid),
            "VP_RULES_IN_CONTAINER": "/rules/test.yaml",
        }
        stack = Stack(engine, {**given, **variables}, files=[*files, overlay], project=PROJECT)
        stack.down(volumes=True)
        try:
            yield Deployment(stack, stack.up())
        finally:
            (folder / "logs.txt").write_text(stack.compose("logs", "--no-color", check=False))
            print(f"\nlogs of all services: {folder / 'logs.txt'}")
            stack.down(volumes=True)

    return with_


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        unavailable("Chromium", "scripts/install_browser.sh installs it")
    with chromium(WAIT_MS, UNASKED) as launched:
        yield launched
