"""A container for each run, beside the container of Dagster's daemon, which alone talks to the Docker engine.

A run's container has the daemon's image, networks, settings and files of secrets, and nothing else of it: not the engine's socket, not its volumes. It is
removed when it ends; what it printed is in the store (`runs.logs`). A run is cancelled through Dagster's records, where the run itself looks
(`container_run`): whoever cancels (the web app, Dagster's page) needs no way to the engine.
"""

import os
import socket
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import docker
import docker.errors
from dagster import Field, IntSource
from dagster._core.launcher.base import LaunchRunContext, ResumeRunContext
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import ConfigurableClassData, serialize_value
from dagster_docker import DockerRunLauncher
from dagster_docker.container_context import DockerContainerContext

from video_platform.errors import SettingsError
from video_platform.settings import PREFIX

if TYPE_CHECKING:
    from dagster import DagsterRun
    from docker.models.containers import Container

COMMAND = ("python3", "-m", "video_platform.pipeline.container_run")
COMPOSE_LABELS = "com.docker.compose."
RUN_LABEL = "dagster/run_id"
SECRETS = "/run/secrets"
PASSED_ON = ("DAGSTER_HOME", "TZ")
"""Variables beside the platform's own that a run gets."""

PROCESSES = 512
"""Most processes and threads of a run: decoders and numeric libraries start some dozens."""

TMP_BYTES = 256 * 1024 * 1024


class ContainerLauncher(DockerRunLauncher):
    """Starts each run in a container like that of the daemon."""

    def __init__(self, memory_bytes: int, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(inst_data=inst_data)
        self._memory_bytes = memory_bytes

    @classmethod
    def config_type(cls) -> Mapping[str, object]:  # type: ignore[override]
        """How much memory a run may take."""
        return {"memory_bytes": Field(IntSource)}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> "ContainerLauncher":  # type: ignore[override]
        """The launcher of an instance."""
        return cls(config_value["memory_bytes"], inst_data)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start the container of a run; containers of runs that have ended otherwise are ended too."""
        client = docker.from_env()
        try:
            self._sweep(client)
            origin = context.job_code_origin
            assert origin is not None, "a run that the queue launches knows its code"
            arguments = ExecuteRunArgs(job_origin=origin, run_id=context.dagster_run.run_id, instance_ref=self._instance.get_ref())
            self._start(client, context.dagster_run, serialize_value(arguments))
        finally:
            client.close()

    @property
    def supports_resume_run(self) -> bool:  # type: ignore[override]
        """A run whose container died is retried as a new run, like everywhere else."""
        return False

    def resume_run(self, context: ResumeRunContext) -> None:
        """Not done here, see `supports_resume_run`."""
        raise NotImplementedError

    def terminate(self, run_id: str) -> bool:
        """Ask a run to end: it looks every two seconds. One that does not listen is written off by Dagster's monitoring and swept with the next launch."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        return True

    def get_container_context(self, dagster_run: "DagsterRun") -> DockerContainerContext:
        """Nothing of a run's own configuration counts: it might ask for mounts."""
        return DockerContainerContext()

    def _start(self, client: docker.DockerClient, run: "DagsterRun", arguments: str) -> None:
        mine = _own_container(client)
        image = mine.attrs["Config"]["Image"]
        first, *others = mine.attrs["NetworkSettings"]["Networks"]
        container = client.containers.create(
            image,
            [arguments],
            entrypoint=list(COMMAND),
            detach=True,
            auto_remove=True,
            init=True,
            environment=_environment(),
            volumes=dict(_secrets(mine)),
            network=first,
            extra_hosts=mine.attrs["HostConfig"]["ExtraHosts"],
            labels={**_project(mine), RUN_LABEL: run.run_id, "dagster/job_name": run.job_name},
            mem_limit=self._memory_bytes,
            memswap_limit=self._memory_bytes,
            pids_limit=PROCESSES,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges:true"],
            read_only=True,
            tmpfs={"/tmp": f"size={TMP_BYTES}"},
            healthcheck={"test": ["NONE"]},
        )
        for name in others:
            client.networks.get(name).connect(container)
        self._instance.report_engine_event(f"Starting container {container.short_id} of image {image}", run, cls=type(self))
        self._instance.add_run_tags(run.run_id, {"docker/container_id": str(container.id), "docker/image": image})
        container.start()

    def _sweep(self, client: docker.DockerClient) -> None:
        """End the containers of runs that Dagster has written off: one that did not listen to its cancellation would work on unseen.

        One that was never started, because the engine refused or this process was killed in between, is removed by nobody else.
        """
        for container in client.containers.list(all=True, filters={"label": RUN_LABEL}):
            run = self._instance.get_run_by_id(container.labels[RUN_LABEL])
            if run is not None and run.is_finished:
                try:
                    container.remove(force=True)
                except docker.errors.APIError:  # it ended meanwhile
                    continue


def _own_container(client: docker.DockerClient) -> "Container":
    """The container that this process runs in; an engine names a container's host after it."""
    try:
        return client.containers.get(socket.gethostname())
    except docker.errors.NotFound as error:
        raise SettingsError(
            f"{PREFIX}RUNS__LAUNCHER=docker works only where Dagster's daemon itself is a container of this engine that keeps the host name it was given; "
            f"there is no container {socket.gethostname()}"
        ) from error


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(PREFIX) or name in PASSED_ON}


def _project(mine: "Container") -> dict[str, str]:
    """Labels of a one-off container of the daemon's service, as `docker compose run` makes: `down` ends it with the rest, `up` and `stop` leave it alone."""
    labels = {name: value for name, value in mine.labels.items() if name.startswith(COMPOSE_LABELS)}
    return {**labels, f"{COMPOSE_LABELS}oneoff": "True"} if labels else {}


def _secrets(mine: "Container") -> Iterator[tuple[str, dict[str, str]]]:
    """The daemon's files of secrets, to be mounted alike and unchangeable."""
    for mount in mine.attrs["Mounts"]:
        if mount["Type"] == "bind" and mount["Destination"].startswith(f"{SECRETS}/"):
            yield mount["Source"], {"bind": mount["Destination"], "mode": "ro"}
