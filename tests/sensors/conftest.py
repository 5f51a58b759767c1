"""Sensors ticked by hand."""

import dagster as dg
import pytest
from graphs import Ticking

from sensors import reconcile
from video_platform.platform import Platform
from video_platform.settings import RunSettings, Settings


@pytest.fixture
def settings(tmp_path, profile):
    return Settings(home=tmp_path / "home", runs=RunSettings(max_queued=8))


@pytest.fixture
def ticking(settings):
    """Makes a sensor of this home that is ticked by hand."""
    made = []

    def make(sensor: dg.SensorDefinition) -> Ticking:
        made.append(Ticking(settings, sensor))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def sensor(ticking) -> Ticking:
    """The sensor `reconcile`, whose tests are several files."""
    return ticking(reconcile)


@pytest.fixture
def platform(sensor) -> Platform:
    """What the sensor `reconcile` works on."""
    return sensor.workplace.platform
