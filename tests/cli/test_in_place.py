"""`--in-place` as a person uses it: the files stay, and one that is away is named with what to do."""

import pytest
from intake import MP4

from video_platform import cli
from video_platform.cli.opening import platform
from video_platform.services.database import videos

FOOTAGE = MP4 + b"picture" * 1000


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "archive" / "gate-1" / "a.mp4"
    path.parent.mkdir(parents=True)
    path.write_bytes(FOOTAGE)
    return path


def stored_footage():
    with platform() as opened:
        return [info.key for info in opened.store.list("videos/") if "/raw_video/" in info.key]


def test_it_is_taken_where_it_lies_and_shown(vp, file):
    ran = vp("ingest", "--in-place", file, "--camera", "gate-1")
    assert ran.status == 0
    assert f"stays at {file}" in ran.out
    assert "`moved` or `changed`" in ran.err
    assert stored_footage() == []
    [video] = vp("videos", "--json").json
    assert video["reference_path"] == str(file)
    assert f"in place: {file}\n" in vp("show", video["video_id"]).out
    assert vp("show", video["video_id"], "--json").json["in_place"] == "there"
    file.rename(file.with_name("b.mp4"))
    shown = vp("show", video["video_id"]).out
    assert "moved: The footage is not where it was taken in from." in shown
    assert "vp ingest --in-place PATH" in shown
    assert vp("show", video["video_id"], "--json").json["in_place"] == "moved"
    assert vp("ingest", "--in-place", file.with_name("b.mp4"), "--json").json[0]["in_place"] == str(file.with_name("b.mp4"))
    assert vp("show", video["video_id"], "--json").json["in_place"] == "there"


def test_deleting_it_leaves_the_file(vp, file):
    video_id = vp("ingest", "--in-place", file, "--json").json[0]["video_id"]
    assert vp("delete", "--yes", video_id).status == 0
    assert file.read_bytes() == FOOTAGE


def test_a_deployment_says_who_has_to_see_it(monkeypatch, tmp_path):
    from video_platform.cli.ingest import see_the_same
    from video_platform.settings import EventLogSettings, Settings

    assert "under the same path" in see_the_same(Settings(home=tmp_path, event_log=EventLogSettings(kind="kafka")))


def test_a_watched_folder_stays_as_it_is(file, capfd, monkeypatch, home):
    monkeypatch.setattr("video_platform.cli.watch.LOOK_S", 0.1)
    monkeypatch.setattr("video_platform.cli.watch.Watch.settled", settled_at_once)
    assert cli.main(["watch", "--in-place", "--once", str(file.parent.parent)]) == 0
    assert f"camera gate-1, stays at {file}" in capfd.readouterr().out
    assert stored_footage() == []
    with platform() as opened:
        [record] = videos.page(opened.db)[0]
    assert (record.camera, record.reference_path) == ("gate-1", str(file))
    assert file.read_bytes() == FOOTAGE


def settled_at_once(watching, now):
    from video_platform.cli import watch

    found = [(path, seen) for path, seen in watch._files(watching._folder) if not watching._journal.knows(path, seen)]
    watching._since = {path: (seen, now) for path, seen in found}
    return found
