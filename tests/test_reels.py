"""Reading reels: chapters, and subtitles from the transcripts that are there when somebody looks."""

import json

import pytest
import reels_stored
import seeded

from video_platform import layout, reels
from video_platform.analysis.reel_words import Cue, vtt
from video_platform.errors import IntegrityError


@pytest.fixture
def platform(tmp_path):
    opened, catalog = seeded.open_home(tmp_path)
    yield opened
    catalog.close()
    opened.close()


@pytest.fixture
def record(platform, tmp_path):
    return seeded.ingest(platform, tmp_path)


def read(platform, record):
    from video_platform.pipeline.made import read_manifest

    return reels.of_video(platform.store, read_manifest(platform.store, record.video_id, layout.HIGHLIGHTS))


def test_what_is_said_in_the_pieces_is_shown_on_the_clock_of_the_reel(platform, record, monkeypatch):
    """Without a transcript there are no subtitles; once there is one, the reel that was made before has them."""
    reels_stored.of_video(platform, record, b"film", reels_stored.pieces(record, (10.0, 5.0, "enters"), (60.0, 4.0, "leaves")))
    assert (read(platform, record).seconds, read(platform, record).subtitles) == (9.0, [])
    if reels.TRANSCRIPT not in layout.ASSETS:
        monkeypatch.setattr(layout, "ASSETS", (*layout.ASSETS, reels.TRANSCRIPT))
    assert read(platform, record).subtitles == []
    said = vtt([Cue(0.0, 2.0, "before"), Cue(11.0, 13.0, "good <b>morning</b>"), Cue(14.0, 16.0, "on the edge"), Cue(62.0, 63.0, "bye")])
    entry = seeded.store_file(platform, record.video_id, reels.TRANSCRIPT, reels.SUBTITLES, said.encode(), "vtt", "text/vtt")
    seeded.store_manifest(platform, record.video_id, reels.TRANSCRIPT, [entry])
    assert read(platform, record).subtitles == [Cue(1.0, 3.0, "good <b>morning</b>"), Cue(4.0, 5.0, "on the edge"), Cue(7.0, 8.0, "bye")]


def test_what_an_earlier_version_made_is_no_reel_and_what_is_damaged_has_a_name(platform, record):
    assert read(platform, record) is None
    film = seeded.store_file(platform, record.video_id, layout.HIGHLIGHTS, "reel", b"film", "mp4", "video/mp4")
    seeded.store_manifest(platform, record.video_id, layout.HIGHLIGHTS, [film], facts={"reel": True})
    assert read(platform, record) is None
    told = seeded.store_json(platform, record.video_id, layout.HIGHLIGHTS, "pieces", json.dumps([{"at_s": 1}]))
    seeded.store_manifest(platform, record.video_id, layout.HIGHLIGHTS, [film, told], facts={"reel_s": 3.0})
    with pytest.raises(IntegrityError, match="make it again"):
        read(platform, record)
