"""What steps and sensors work with: the platform's services, opened once per process, and a scratch folder per run."""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from video_platform import logs
from video_platform import settings as configuration
from video_platform.pipeline import tags
from video_platform.records import Lane, Manifest
from video_platform.settings import Settings

if TYPE_CHECKING:
    from video_platform.platform import Platform


BEHIND = 10
"""Niceness of the runs of a backfill: beside a live run on one core they get about a tenth of it."""


class Workplace:
    """One process's way to the services; opened on first use, so that importing definitions opens nothing."""

    def __init__(self, settings: Settings | None = None, on_published: Callable[[Manifest, bool, float], None] | None = None) -> None:
        """`on_published(manifest, reused, wall_s)` hears of each version as soon as readers see it."""
        self._settings = settings
        self.on_published = on_published
        self._platform: Platform | None = None
        self._lock = threading.Lock()

    @cached_property
    def settings(self) -> Settings:
        """The settings given, or those of the environment."""
        return self._settings or configuration.load()

    @property
    def platform(self) -> "Platform":
        """The services."""
        with self._lock:
            if self._platform is None:
                from video_platform.platform import open_platform

                self._platform = open_platform(self.settings)
            return self._platform

    def close(self) -> None:
        """Closes what was opened; it opens again on the next use."""
        with self._lock:
            opened, self._platform = self._platform, None
        if opened is not None:
            opened.close()


class Desk:
    """What one run (or one tick of a sensor) works with. `force` makes everything again, whatever its fingerprint says; `force_asset` only that one."""

    def __init__(self, workplace: Workplace, run_id: str | None, force: bool, force_asset: str | None = None) -> None:
        self._workplace = workplace
        self.run_id = run_id
        self._force, self._force_asset = force, force_asset

    def forces(self, asset: str) -> bool:
        """Whether this asset is made although nothing changed."""
        return self._force or self._force_asset == asset

    @property
    def settings(self) -> Settings:
        """The settings of this process."""
        return self._workplace.settings

    @property
    def platform(self) -> "Platform":
        """The services: `db`, `store`, `log`, `ingest`."""
        return self._workplace.platform

    @property
    def scratch(self) -> Path:
        """The folder of this run for temporary files; it may not exist yet, and is removed with the run."""
        return self.settings.scratch / (self.run_id or "ticks")

    def published(self, manifest: Manifest, reused: bool, wall_s: float) -> None:
        """Passes the word on that a version is there."""
        if self._workplace.on_published is not None:
            self._workplace.on_published(manifest, reused, wall_s)

    def close(self) -> None:
        """Removes the scratch folder."""
        if self.run_id is not None:
            shutil.rmtree(self.scratch, ignore_errors=True)


def give_way() -> None:
    """Lets everything else on this machine go first from now on: a backfill has slots of its own, but no cores."""
    os.setpriority(os.PRIO_PROCESS, 0, max(BEHIND, os.getpriority(os.PRIO_PROCESS, 0)))


def desk_resource(workplace: Workplace) -> dg.ResourceDefinition:
    """The resource `desk`; in the launchpad: `resources: {desk: {config: {force: true}}}`."""
    force = dg.Field(bool, default_value=False, description="make everything again, also where nothing changed")

    @dg.resource(config_schema={"force": force}, description="The platform's services and this run's scratch folder.")
    def desk(init: dg.InitResourceContext) -> Iterator[Desk]:
        run = init.run
        if run is not None and workplace.on_published is None:  # somebody who hears of each version has a log of his own
            logs.configure(workplace.settings, "run")
        forced = bool(init.resource_config["force"]) or (run is not None and tags.asked(run.tags, tags.FORCE))
        opened = Desk(workplace, run.run_id if run is not None else None, forced, run.tags.get(tags.FORCE_ASSET) if run is not None else None)
        if run is not None and tags.HISTORY in run.tags and tags.lane_of(run.tags) is Lane.BACKFILL:
            give_way()
        try:
            yield opened
        finally:
            opened.close()

    return desk
