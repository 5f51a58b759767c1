"""The files as Compose 2 and Compose 1.29 read them."""

import itertools
import subprocess

import pytest
import yaml

from scripts.compose import loader
from scripts.compose.engine import compose
from scripts.compose.stack import ROOT

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]

BASE = ROOT / "docker-compose.yml"
OVERLAYS = sorted((ROOT / "deploy").glob("compose.*.yml"))
SETS = [[], *([each] for each in OVERLAYS), *(list(pair) for pair in itertools.combinations(OVERLAYS, 2))]


@pytest.fixture(scope="module", autouse=True)
def secrets():
    subprocess.run([ROOT / "deploy" / "setup.sh"], check=True, capture_output=True)


def name(files):
    return "+".join(each.name.split(".")[1] for each in files) or "alone"


@pytest.mark.parametrize("files", SETS, ids=name)
def test_the_reference_loader_takes_it(files):
    done = loader.load([BASE, *files])
    assert done.returncode == 0, done.stderr
    services = yaml.safe_load(done.stdout)["services"]
    started = {service for service, said in services.items() if "profiles" not in said}  # the loader shows those of a profile, too
    assert ("ollama" in started) is ("host-ollama" not in name(files))
    assert ("minio" in started) is ("external-s3" not in name(files))
    assert ("docker.sock" in str(services["daemon"].get("volumes"))) is ("docker-runs" in name(files))
    assert ("VIDEO_PLATFORM_RUNS__LAUNCHER=docker" in services["daemon"]["environment"]) is ("docker-runs" in name(files))


@pytest.mark.parametrize("files", SETS, ids=name)
def test_compose_takes_it(files):
    given = [word for path in (BASE, *files) for word in ("-f", str(path))]
    done = subprocess.run([compose(), *given, "config"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "code-server" in yaml.safe_load(done.stdout)["services"]


def test_the_loader_finds_a_mistake(tmp_path):
    wrong = tmp_path / "docker-compose.yml"
    wrong.write_text(BASE.read_text().replace("mem_limit: 1g", "mem_limits: 1g", 1))
    done = loader.load([wrong])
    assert done.returncode != 0
    assert "mem_limits" in done.stderr
