"""What `vp demo` says while the sample is on its way."""

import pytest
import seeded

from video_platform import layout
from video_platform.cli import demo
from video_platform.errors import StateError
from video_platform.platform import open_platform

MADE = (layout.RAW_VIDEO, layout.PROCESSED_VIDEO, layout.DETECTIONS, layout.SCENES, layout.TRACKS, layout.ALERTS, layout.LLM_SUMMARY)


def test_each_result_is_told_of_as_it_comes(filled, capsys):
    processed, _, _ = filled
    with open_platform() as platform:
        assert demo._await(platform, processed.video_id).video_id == processed.video_id
    told = [line.split()[0] for line in capsys.readouterr().out.splitlines() if " is there after " in line]
    assert set(MADE) <= set(told)
    assert told == [asset for asset in layout.ASSETS if asset in told], "each once, in the order in which they are made"


def test_a_sample_that_does_not_get_on_is_given_up_with_what_there_is(tmp_path, filled, monkeypatch):
    _, received, _ = filled
    monkeypatch.setattr(demo, "PATIENCE_S", 0.2)
    monkeypatch.setattr(demo, "LOOK_S", 0.05)
    with open_platform() as platform:
        with pytest.raises(StateError, match=r"nothing new for 0\.2 s, there is nothing; the logs in .*logs say why"):
            demo._await(platform, received.video_id)
        seeded.store_manifest(platform, received.video_id, layout.RAW_VIDEO, [])
        with pytest.raises(StateError, match=r"there is raw_video; "):
            demo._await(platform, received.video_id)
