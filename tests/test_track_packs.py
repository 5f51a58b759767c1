"""Stored tracks as columns: a cache that is never out of date, and that nothing harms."""

import errno
import multiprocessing
import os
from datetime import UTC, datetime, timedelta

import archives
import numpy as np
import pytest

from video_platform import track_packs
from video_platform.analysis import packs
from video_platform.errors import IntegrityError
from video_platform.platform import open_platform
from video_platform.services.database import archive, videos
from video_platform.settings import Settings
from video_platform.track_packs import TrackPacks, Wanted

NAMES = ("person", "car")
DAY = "2026-11-20"
START = datetime(2026, 11, 20, 8, tzinfo=UTC)
HOSTILE = "../..\\\0 gate"


@pytest.fixture
def platform(tmp_path):
    with open_platform(Settings(home=tmp_path / "home")) as opened:
        yield opened


@pytest.fixture
def day(platform, tmp_path):
    """Five videos of one camera; nobody was seen in one of them."""
    wanted = []
    for number in range(5):
        tracks, samples = archives.crowd(number, 10.0)
        if number == 3:
            tracks = tracks.take(np.zeros(0, int))
        record = archives.add(platform, tmp_path, number, tracks, samples, NAMES, recorded_at=START + timedelta(minutes=number))
        archives.judge(platform, record)
    wanted = [Wanted(each.record.video_id, each.tracks_hash) for each in archive.evaluated(platform.db, "gate")]
    assert len(wanted) == 5
    return wanted


class Reader:
    """Reads a day, and counts what is read from the store."""

    def __init__(self, platform, max_bytes=2**30):
        self.platform, self.left_out, self.read = platform, {}, 0
        self.packs = TrackPacks(platform.settings.packs, self, max_bytes, self.left_out.__setitem__)

    def get_bytes(self, key, **more):
        self.read += 1
        return self.platform.store.get_bytes(key, **more)

    def __call__(self, wanted, camera="gate", day=DAY):
        """Video id -> (times, ids, samples)."""
        self.read, found = 0, {}
        for ids, columns in self.packs.columns(camera, day, wanted):
            for at, video_id in enumerate(ids):
                own = columns.of([at])
                found[video_id] = (own.tracks.time_s.tolist(), own.tracks.track_id.tolist(), own.samples[0].time_s.tolist(), own.tracks.boxes.tolist())
        return found


def files(platform):
    return sorted(path for path in platform.settings.packs.rglob("*") if path.is_file())


def test_what_comes_out_is_what_was_stored_and_the_store_is_asked_once(platform, day):
    reader = Reader(platform)
    first = reader(day)
    assert list(first) == [each.video_id for each in day]
    assert reader.read == 3 * len(day)  # manifest, tracks, samples
    tracks, samples = archives.crowd(2, 10.0)
    order = np.lexsort((tracks.time_s, tracks.track_id))
    expected = (tracks.time_s[order].tolist(), tracks.track_id[order].tolist(), samples.time_s.tolist(), tracks.boxes[order].tolist())
    assert first[day[2].video_id] == expected
    assert first[day[3].video_id][:2] == ([], [])
    assert reader(day) == first
    assert reader.read == 0
    assert len(files(platform)) == 1


def test_only_what_is_new_is_read_and_what_is_gone_goes(platform, day, tmp_path):
    reader = Reader(platform)
    whole = reader(day)
    tracks, samples = archives.crowd(50, 10.0)
    changed = Wanted(day[1].video_id, archives.store_tracks(platform, day[1].video_id, tmp_path, tracks, samples, NAMES))
    now = [day[0], changed, *day[2:4]]
    found = reader(now)
    assert reader.read == 3
    assert found[day[1].video_id] != whole[day[1].video_id]
    assert {id_: found[id_] for id_ in (day[0].video_id, day[2].video_id)} == {id_: whole[id_] for id_ in (day[0].video_id, day[2].video_id)}
    (path,) = files(platform)
    assert [entry.video_id for entry in packs.Pack(path).entries] == [each.video_id for each in now]
    assert reader.left_out == {}


def test_a_video_whose_tracks_are_not_those_of_its_alerts_is_left_out(platform, day, tmp_path):
    tracks, samples = archives.crowd(50, 10.0)
    archives.store_tracks(platform, day[1].video_id, tmp_path, tracks, samples, NAMES)
    platform.store.delete_prefix(f"videos/{day[0].video_id}/")
    reader = Reader(platform)
    assert list(reader(day)) == [each.video_id for each in day[2:]]
    assert set(reader.left_out) == {day[0].video_id, day[1].video_id}


@pytest.mark.parametrize("spoil", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"\0" * len(data)])
def test_a_damaged_pack_is_made_again(platform, day, spoil):
    reader = Reader(platform)
    whole = reader(day)
    (path,) = files(platform)
    path.write_bytes(spoil(path.read_bytes()))
    assert reader(day) == whole
    assert reader(day) == whole
    assert reader.read == 0


def test_damage_inside_is_said_and_mended_by_trying_again(platform, day):
    reader = Reader(platform)
    whole = reader(day)
    (path,) = files(platform)
    data = bytearray(path.read_bytes())
    data[4:4000] = b"\xff" * 3996
    path.write_bytes(data)
    with pytest.raises(IntegrityError):
        reader(day)
    assert reader(day) == whole


def test_a_full_disk_costs_time_and_nothing_else(platform, day, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    whole = Reader(platform)(day)
    track_packs.forget(platform.settings.packs, videos.get(platform.db, day[0].video_id))
    monkeypatch.setattr(packs, "write", full)
    assert Reader(platform)(day) == whole
    assert files(platform) == []


def test_the_folder_stays_within_its_bound_and_keeps_what_was_used_last(platform, day, tmp_path):
    reader = Reader(platform)
    for name in ("2026-11-18", "2026-11-19", DAY):
        reader(day, day=name)
    size = files(platform)[0].stat().st_size
    first = Reader(platform, max_bytes=2 * size)
    first(day, day="2026-11-18")
    for path in files(platform):
        if path.parent.name == "2026-11-19":
            os.utime(path, (1, 1))
    first.packs.trim()
    assert {path.parent.name for path in files(platform)} == {"2026-11-18", DAY}
    Reader(platform, max_bytes=0).packs.trim()
    assert files(platform) == []


def test_a_pack_that_another_process_removes_meanwhile_is_nothing_to_fail_on(platform, day):
    reader = Reader(platform)
    reader(day)
    for suffix in (track_packs.SUFFIX, track_packs.NEW):
        files(platform)[0].with_name(f"gone{suffix}").symlink_to("nowhere")  # as it looks when it goes between listing and looking
    reader.packs.trim()
    assert [path.is_file() for path in files(platform)] == [True]


def test_names_of_cameras_are_no_paths(platform, day):
    assert Reader(platform)(day, camera=HOSTILE)
    assert all(platform.settings.packs in path.parents for path in files(platform))
    assert {path.name for path in platform.settings.home.parent.iterdir()} == {"home"}


def test_the_pack_of_a_deleted_video_goes_with_it(platform, day):
    Reader(platform)(day)
    platform.ingest.delete(day[0].video_id, "test")
    assert files(platform) == []


def often(home, wanted, results):
    with open_platform(Settings(home=home)) as platform:
        reader = Reader(platform)
        results.put([reader(wanted[:5] if turn % 2 else wanted[1:]) for turn in range(20)][-2:])


def test_several_processes_write_and_read_at_once(platform, day):
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    processes = [context.Process(target=often, args=(platform.settings.home, day, results)) for _ in range(3)]
    for process in processes:
        process.start()
    found = [results.get(timeout=120) for _ in processes]
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    whole = Reader(platform)(day)
    expected = [{id_: whole[id_] for id_ in (each.video_id for each in part)} for part in (day[1:], day)]
    assert found == [expected] * 3
