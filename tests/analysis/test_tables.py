import numpy as np
import pytest
from walks import film, straight

from video_platform.analysis import tables
from video_platform.errors import IntegrityError
from video_platform.fingerprints import content_hash


@pytest.fixture
def tracks():
    return film(straight((0.1, 0.5), (0.9, 0.6), 0, 8), straight((0.9, 0.9), (0.2, 0.8), 2, 6, name="car"))[0]


def detections_of(tracks):
    return tables.Detections(tracks.time_s, tracks.class_id, tracks.score, tracks.boxes).ordered()


def test_tracks_come_back_as_they_were_written(tmp_path, tracks):
    tables.write_tracks(tmp_path / "t.parquet", tracks, names=["person", "car"], digest="abc")
    found, names, digest = tables.read_tracks(tmp_path / "t.parquet")
    assert (names, digest) == (("person", "car"), "abc")
    assert tables.content(found) == tables.content(tracks)
    assert found.boxes.dtype == np.float32
    assert np.array_equal(found.boxes, tracks.boxes)


def test_detections_come_back_sorted_by_time_then_score(tmp_path, tracks):
    detections = detections_of(tracks)
    tables.write_detections(tmp_path / "d.parquet", detections, names=["person"], digest="d")
    found, _, _ = tables.read_detections(tmp_path / "d.parquet")
    assert np.array_equal(found.time_s, np.sort(tracks.time_s))
    assert all(found.score[i] >= found.score[i + 1] for i in range(len(found) - 1) if found.time_s[i] == found.time_s[i + 1])


def test_no_rows_are_a_table_too(tmp_path):
    tables.write_detections(tmp_path / "d.parquet", tables.no_detections(), names=["person"], digest="d")
    tables.write_samples(tmp_path / "s.parquet", tables.no_samples())
    assert len(tables.read_detections(tmp_path / "d.parquet")[0]) == 0
    assert len(tables.read_samples(tmp_path / "s.parquet")) == 0
    assert tables.no_samples().rate == 0.0


def test_what_is_no_such_file_is_refused_with_its_name(tmp_path, tracks):
    tables.write_tracks(tmp_path / "t.parquet", tracks, names=["person"], digest="x")
    with pytest.raises(IntegrityError, match=r"t\.parquet holds tracks version 1; detections"):
        tables.read_detections(tmp_path / "t.parquet")
    whole = (tmp_path / "t.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    damaged = bytearray(whole)
    damaged[4 : len(whole) // 4] = bytes(len(whole) // 4 - 4)
    (tmp_path / "spoilt.parquet").write_bytes(damaged)
    with pytest.raises(IntegrityError, match=r"spoilt\.parquet is not a file of tracks"):
        tables.read_tracks(tmp_path / "spoilt.parquet")
    with pytest.raises(FileNotFoundError):
        tables.read_tracks(tmp_path / "gone.parquet")
    with pytest.raises(IntegrityError, match=r"cut\.parquet is not a file of tracks"):
        tables.read_tracks(tmp_path / "cut.parquet")


def test_content_ignores_noise_below_a_tenth_of_a_millisecond_and_sees_what_is_above(tracks):
    def moved(by):
        return tables.Tracks(tracks.time_s, tracks.class_id, tracks.score, (tracks.boxes + np.float32(by)).astype(np.float32), tracks.track_id)

    assert content_hash(tables.content(moved(1e-7))) == content_hash(tables.content(tracks))
    assert content_hash(tables.content(moved(1e-3))) != content_hash(tables.content(tracks))


def test_content_tells_columns_and_lengths_apart(tracks):
    fewer = tracks.take(np.arange(len(tracks) - 1))
    assert tables.content(fewer) != tables.content(tracks)
    assert tables.content(tables.no_tracks()) != tables.content(tables.no_detections())


@pytest.mark.parametrize(
    ("column", "value"),
    [("boxes", np.zeros((4, 3), np.float32)), ("boxes", np.zeros((3, 4), np.float64)), ("score", np.zeros(2, np.float32)), ("class_id", np.zeros(3, np.int64))],
)
def test_a_wrong_shape_or_type_says_which_column(column, value):
    columns = {"time_s": np.zeros(3), "class_id": np.zeros(3, np.int16), "score": np.zeros(3, np.float32), "boxes": np.zeros((3, 4), np.float32)}
    with pytest.raises(ValueError, match=rf"Detections\.{column} is"):
        tables.Detections(**{**columns, column: value})
