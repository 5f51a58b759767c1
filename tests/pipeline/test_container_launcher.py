"""What is left of the containers of runs, asked of an engine that only notes what it is told."""

from types import SimpleNamespace

import docker.errors
import pytest
from docker.types import HostConfig

from video_platform.pipeline.docker_launcher import RUN_LABEL, ContainerLauncher


class Container:
    def __init__(self, run_id, running):
        self.labels, self.running, self.gone = {RUN_LABEL: run_id}, running, False

    def remove(self, force=False):
        assert force
        self.gone = True

    def kill(self):
        if not self.running:
            raise docker.errors.APIError("container is not running")
        self.gone = True  # the engine removes it then by itself


def test_the_container_of_a_run_has_the_networks_and_the_names_of_hosts_that_the_daemon_has(monkeypatch):
    attrs = {
        "Config": {"Image": "video-platform:1", "Labels": {}},
        "NetworkSettings": {"Networks": {"inside": {}, "outside": {}}},
        "HostConfig": {"ExtraHosts": ["host.docker.internal:host-gateway"]},
        "Mounts": [],
    }
    made, joined = {}, []

    def create(image, command, **given):
        made.update(HostConfig(version="1.47", extra_hosts=given["extra_hosts"]), image=image, first=given["network"])
        return SimpleNamespace(short_id="c", id="c", start=lambda: made.update(started=True))

    monkeypatch.setattr(ContainerLauncher, "_instance", SimpleNamespace(report_engine_event=lambda *_, **__: None, add_run_tags=lambda *_: None))
    own = SimpleNamespace(attrs=attrs, labels={})
    containers = SimpleNamespace(get=lambda _: own, create=create)
    networks = SimpleNamespace(get=lambda name: SimpleNamespace(connect=lambda _: joined.append(name)))
    ContainerLauncher(1, None)._start(SimpleNamespace(containers=containers, networks=networks), SimpleNamespace(run_id="r", job_name="j"), "{}")
    assert made == {"ExtraHosts": attrs["HostConfig"]["ExtraHosts"], "image": "video-platform:1", "first": "inside", "started": True} | {
        key: value for key, value in HostConfig(version="1.47").items() if key != "ExtraHosts"
    }
    assert joined == ["outside"]


@pytest.mark.parametrize("running", [True, False])
def test_the_container_of_a_run_that_is_over_goes_also_where_it_never_started(monkeypatch, running):
    """The daemon was killed, or the engine refused, between making the container and starting it."""
    over, going = Container("over", running), Container("going", running)
    runs = {"over": SimpleNamespace(is_finished=True), "going": SimpleNamespace(is_finished=False)}
    launcher = ContainerLauncher(1, None)
    monkeypatch.setattr(ContainerLauncher, "_instance", SimpleNamespace(get_run_by_id=runs.get))
    both = [over, going]
    containers = SimpleNamespace(list=lambda *, filters, all=False: [each for each in both if all or each.running])
    launcher._sweep(SimpleNamespace(containers=containers))
    assert (over.gone, going.gone) == (True, False)
