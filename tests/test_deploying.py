"""The files of a deployment: what a container engine and Kubernetes read is well formed, safe by default, and fits the program."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from video_platform import model_registry, settings
from video_platform.model_registry import EXTRAS, SourceKind

ROOT = Path(__file__).parents[1]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
OVERLAYS = sorted((ROOT / "deploy").glob("compose.*.yml"))
OURS = [name for name, service in SERVICES.items() if service["image"].startswith("${VP_IMAGE")]


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_on_loopback_only(name):
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned_and_can_be_exchanged(name):
    assert re.fullmatch(r"\$\{[A-Z_]+:-[a-z/-]+:[\w.-]+\}", SERVICES[name]["image"])
    assert name in OURS or not SERVICES[name]["image"].endswith(":latest}")


def test_compose_builds_the_image_of_ours_once():
    """Without a build `docker compose build` does nothing, and `up` looks for the image in a registry that has none."""
    (built,) = [service for service in SERVICES.values() if "build" in service]
    assert built["image"] == SERVICES[OURS[0]]["image"]
    assert (ROOT / built["build"]["context"]).resolve() == ROOT
    for name, value in built["build"]["args"].items():
        (default,) = re.findall(rf'^ARG {name}="(.*)"$', DOCKERFILE, re.MULTILINE)
        assert re.fullmatch(r"\$\{[A-Z_]+-(.*)\}", value)[1] == default, f"{name}: set to nothing it means none"


def test_the_models_in_the_image_can_be_pulled_and_run_there():
    names, packages = (re.findall(rf'^ARG {name}="(.*)"$', DOCKERFILE, re.MULTILINE)[0].split() for name in ("MODELS", "MODEL_PACKAGES"))
    extras = re.search(r"requirements\.py ([a-z ]+) >", DOCKERFILE)[1].split()
    entries = [model_registry.shipped().entries[name] for name in names]
    assert {entry.name for entry in entries} == {"whisper-tiny.en"}
    assert {EXTRAS[entry.runs_on][0] for entry in entries} <= set(extras)
    assert {entry.place.split("/")[0] for entry in entries if entry.kind is SourceKind.PIP} == set(packages)
    pinned = {line.partition("==")[0]: line.partition("==")[2] for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert [pinned[entry.place.split("/")[0]] for entry in entries] == [entry.revision for entry in entries]


def test_the_image_has_what_its_extras_ask_for():
    extras = re.search(r"requirements\.py ([a-z ]+) >", DOCKERFILE)[1].split()
    done = subprocess.run([sys.executable, "deploy/requirements.py", *extras], cwd=ROOT, capture_output=True, text=True, check=True)
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {"faster-whisper", *known["models"], *known["postgres"], *known["containers"]} <= set(done.stdout.splitlines())


@pytest.mark.parametrize("name", SERVICES)
def test_memory_is_bounded_and_what_dies_is_started_again(name):
    assert SERVICES[name]["mem_limit"]
    assert SERVICES[name]["restart"] in ("unless-stopped", "on-failure")


@pytest.mark.parametrize("name", [name for name in SERVICES if name not in OURS])
def test_servers_have_health_checks(name):
    assert SERVICES[name]["healthcheck"]["test"]


@pytest.mark.parametrize("name", OURS)
def test_ours_are_not_root_and_cannot_write_their_system(name):
    service = SERVICES[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "USER 10001:10001" in DOCKERFILE
    assert "HEALTHCHECK" in DOCKERFILE


def files():
    yield "docker-compose.yml", SERVICES
    for path in OVERLAYS:
        yield path.name, yaml.safe_load(path.read_text())["services"]


@pytest.mark.parametrize(("where", "services"), list(files()), ids=lambda each: each if isinstance(each, str) else "")
def test_every_variable_of_ours_is_a_setting(where, services):
    known = {*settings.variables(), *(name + settings.FILE_SUFFIX for name in settings.secrets())}
    for name, service in services.items():
        unknown = {each for each in service.get("environment", {}) if each.startswith(settings.PREFIX)} - known
        assert not unknown, f"{where}: {name}"


@pytest.mark.parametrize("name", OURS)
def test_no_secret_is_in_the_environment(name):
    given = SERVICES[name].get("environment", {})
    assert not {each for each in settings.secrets() - {"VIDEO_PLATFORM_OBJECTS__ACCESS_KEY"} if each in given}


@pytest.mark.parametrize("name", SERVICES)
def test_a_secret_that_is_read_is_handed_over(name):
    service = SERVICES[name]
    read = {Path(value).name for value in service.get("environment", {}).values() if str(value).startswith("/run/secrets/")}
    assert read <= set(service.get("secrets", []))


def test_every_variable_that_the_files_read_stands_in_the_example():
    example = (ROOT / "deploy" / "env.example").read_text()
    read = {name for path in (ROOT / "docker-compose.yml", *OVERLAYS) for name in re.findall(r"\$\{([A-Z0-9_]+)", path.read_text())}
    assert sorted(name for name in read if f"#{name}=" not in example) == []


def test_people_sign_in_at_the_web_app_alone():
    """Dagster's pages have no access to the platform's tables: asked for a sign-in, they would let nobody in."""
    asking = {name for name, service in SERVICES.items() if "VIDEO_PLATFORM_ACCESS__SIGN_IN" in service.get("environment", {})}
    assert asking == {"web"}


def test_setup_makes_a_secret_again_that_a_full_disk_left_empty(tmp_path):
    deploy = tmp_path / "deploy"
    (deploy / "secrets").mkdir(parents=True)
    for name in ("setup.sh", "env.example"):
        (deploy / name).write_bytes((ROOT / "deploy" / name).read_bytes())
    (deploy / "secrets" / "s3_web_key").write_text("")
    subprocess.run(["sh", "-c", f"umask 077; sh {deploy}/setup.sh"], check=True, capture_output=True)
    assert len((deploy / "secrets" / "s3_web_key").read_text().strip()) == 48
    assert (deploy / "rules").stat().st_mode & 0o777 == 0o755


def test_setup_makes_every_secret_once(tmp_path):
    deploy = tmp_path / "deploy"
    deploy.mkdir()
    for name in ("setup.sh", "env.example"):
        (deploy / name).write_bytes((ROOT / "deploy" / name).read_bytes())
    for _ in range(2):
        subprocess.run(["sh", str(deploy / "setup.sh")], check=True, capture_output=True)
        made = {path.name: path.read_text() for path in (deploy / "secrets").iterdir()}
        assert set(made) == set(COMPOSE["secrets"])
        first = locals().get("first", made)
        assert made == first
    assert len(set(made.values())) == len(made)
    assert all(len(text.strip()) >= 48 for text in made.values())
    assert (deploy / "secrets").stat().st_mode & 0o077 == 0
    assert (tmp_path / ".env").exists()


def test_only_the_daemon_gets_the_engines_socket():
    text = (ROOT / "deploy" / "compose.docker-runs.yml").read_text()
    with_socket = [name for name, service in yaml.safe_load(text)["services"].items() if "docker.sock" in str(service.get("volumes", ""))]
    assert with_socket == ["daemon"]
    assert "docker.sock" not in str(SERVICES)


@pytest.mark.parametrize("path", [path for path in OVERLAYS if "docker-runs" not in path.name], ids=lambda path: path.name)
def test_what_runs_need_of_another_server_the_daemon_has_too(path):
    """With a container for each run they have what it has, and not what the code server has."""
    services = yaml.safe_load(path.read_text())["services"]
    assert services["daemon"] == services["code-server"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of kubernetes-validate itself, at import
def test_kubernetes_knows_what_the_manifests_say():
    import kubernetes_validate

    documents = list(yaml.safe_load_all((ROOT / "deploy/examples/kubernetes/platform.yaml").read_text()))
    assert [each["kind"] for each in documents].count("Deployment") == 2
    for document in documents:
        kubernetes_validate.validate(document, "1.34", strict=True)


def test_what_kubernetes_does_not_know_is_found():
    import kubernetes_validate

    document = next(yaml.safe_load_all((ROOT / "deploy/examples/kubernetes/platform.yaml").read_text()))
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**document, "dta": {}}, "1.34", strict=True)


def test_the_values_for_dagsters_chart_name_our_settings():
    values = yaml.safe_load((ROOT / "deploy/examples/kubernetes/dagster-values.yaml").read_text())
    deployment = values["dagster-user-deployments"]["deployments"][0]
    known = {name + settings.FILE_SUFFIX for name in settings.secrets()}
    assert {each["name"] for each in deployment["env"]} <= known
