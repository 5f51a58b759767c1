import time

import pytest
from dagster._core.scheduler.instigation import SensorInstigatorData
from dagster._daemon import sensor

from video_platform.supervisor.daemon import tick_on_after_clock_jumps


class State:
    """As much of a sensor's state as the question needs."""

    def __init__(self, at: float) -> None:
        self.instigator_data = SensorInstigatorData(last_tick_timestamp=at, last_tick_start_timestamp=at)


class Sensor:
    min_interval_seconds = 30


@pytest.mark.parametrize(("ago_s", "waits"), [(5, True), (60, False), (-3600, False)])
def test_a_tick_of_the_future_is_none_of_just_now(monkeypatch, ago_s, waits):
    monkeypatch.setattr(sensor, "_sensor_instigator_data", lambda state: state.instigator_data)
    before = sensor.get_elapsed
    monkeypatch.setattr(sensor, "get_elapsed", before)
    state = State(time.time() - ago_s)
    if ago_s < 0:
        assert sensor.is_under_min_interval(state, Sensor()), "Dagster waits until the clock has caught up"
    tick_on_after_clock_jumps()
    assert sensor.is_under_min_interval(state, Sensor()) is waits
