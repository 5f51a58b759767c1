from pathlib import Path

import pytest

from video_platform import budgets, detectors
from video_platform.detectors import KnownDetector
from video_platform.settings import ModelSettings, Settings

TORCH = KnownDetector("tiny", "transformers", Path("/nowhere"), {}, ("person",), "0" * 64)


def test_a_detector_of_torch_gets_more_time_and_memory_and_the_shipped_one_what_the_settings_say():
    settings = Settings()
    media = settings.media
    plain = budgets.worker_budget(settings, 60.0)
    assert plain == budgets.worker_budget(settings, 60.0, detectors.shipped("nanodet-g-int8"))
    assert (plain.memory_bytes, plain.wall_s) == (media.worker_memory_bytes, media.worker_base_s + 60 * media.worker_per_second)
    more = budgets.worker_budget(settings, 60.0, TORCH)
    assert more.memory_bytes == plain.memory_bytes + budgets.TORCH_MEMORY_BYTES
    assert more.wall_s == plain.wall_s + 60 * settings.detection.samples_per_s * budgets.TORCH_PICTURE_S


@pytest.mark.parametrize(("device", "card", "of_data"), [("auto", True, True), ("auto", False, False), ("cpu", True, False), ("cuda", False, True)])
def test_on_a_graphics_card_data_is_bounded_instead_of_addresses(tmp_path, monkeypatch, device, card, of_data):
    driver = tmp_path / "driver"
    if card:
        driver.touch()
    monkeypatch.setattr(detectors, "GRAPHICS_CARD", driver)
    settings = Settings(models=ModelSettings(device=device))
    assert budgets.worker_budget(settings, 60.0, TORCH).of_data is of_data
    assert not budgets.worker_budget(settings, 60.0, detectors.shipped("nanodet-g-int8")).of_data
