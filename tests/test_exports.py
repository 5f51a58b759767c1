"""Exports: what other programs read, with known truth."""

import csv
import io
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from seeded import HEIGHT, NAMES, WIDTH, ingest, open_home, process, store_tracks, tracks

from video_platform.analysis import tables
from video_platform.catalog import Catalog
from video_platform.errors import IntegrityError, NotFound, StateError
from video_platform.exports import Format, export
from video_platform.platform import Platform
from video_platform.records import VideoRecord
from video_platform.services.database import videos


@pytest.fixture
def home(tmp_path: Path) -> Iterator[tuple[Platform, Catalog]]:
    platform, catalog = open_home(tmp_path)
    yield platform, catalog
    catalog.close()
    platform.close()


@pytest.fixture
def video(home: tuple[Platform, Catalog], tmp_path: Path) -> VideoRecord:
    record = ingest(home[0], tmp_path)
    process(home[0], record, tmp_path)
    return record


def text(catalog: Catalog, video_id: str, kind: str) -> str:
    return b"".join(export(catalog, video_id, kind)).decode()


def test_mot_has_a_row_for_every_looked_at_frame_and_track(home, video):
    rows = [line.split(",") for line in text(home[1], video.video_id, "mot").splitlines()]
    assert len(rows) == 40
    assert all(len(row) == 10 and row[7:] == ["-1", "-1", "-1"] for row in rows)
    assert [int(row[0]) for row in rows[:4]] == [1, 1, 7, 7]
    assert [int(row[1]) for row in rows[:4]] == [1, 2, 1, 2]
    left, top, width, height, score = (float(each) for each in rows[0][2:7])
    assert (left, top, width, height, score) == pytest.approx((0.1 * WIDTH, 0.2 * HEIGHT, 0.1 * WIDTH, 0.4 * HEIGHT, 0.9), abs=0.01)


@pytest.mark.filterwarnings("ignore:Operation with tuple is deprecated")  # of motmetrics with pandas 3
def test_mot_is_read_by_the_tool_that_judges_it(home, video, tmp_path):
    motmetrics = pytest.importorskip("motmetrics")
    path = tmp_path / "out.txt"
    path.write_text(text(home[1], video.video_id, "mot"))
    found = motmetrics.io.loadtxt(str(path), fmt="mot15-2D")
    assert len(found) == 40
    assert sorted(found.index.get_level_values("Id").unique()) == [1, 2]


def test_coco_is_one_valid_document(home, video):
    found = json.loads(text(home[1], video.video_id, "coco"))
    assert [each["name"] for each in found["categories"]] == list(NAMES)
    assert len(found["images"]) == 20
    assert found["images"][1] == {
        "id": 7,
        "file_name": f"{video.video_id}/00000007.jpg",
        "width": WIDTH,
        "height": HEIGHT,
        "video_id": video.video_id,
        "frame_index": 6,
        "time_s": 0.2,
    }
    images = {each["id"] for each in found["images"]}
    categories = {each["id"]: each["name"] for each in found["categories"]}
    assert len({each["id"] for each in found["annotations"]}) == 40
    assert all(each["image_id"] in images for each in found["annotations"])
    assert {(each["track_id"], categories[each["category_id"]]) for each in found["annotations"]} == {(1, "person"), (2, "bicycle")}
    first = found["annotations"][0]
    assert first["area"] == pytest.approx(first["bbox"][2] * first["bbox"][3], rel=1e-3)


def test_csv_and_json_lines_say_the_same(home, video):
    rows = list(csv.DictReader(io.StringIO(text(home[1], video.video_id, "csv"))))
    lines = [json.loads(line) for line in text(home[1], video.video_id, "jsonl").splitlines()]
    assert len(rows) == len(lines) == 40
    for row, line in zip(rows, lines, strict=True):
        assert (int(row["frame"]), int(row["track_id"]), row["class"]) == (line["frame"], line["track_id"], line["class"])
        assert [float(row[name]) for name in ("left", "top", "width", "height")] == pytest.approx(line["bbox"])


def test_names_of_classes_shift_no_column(home, tmp_path, monkeypatch):
    platform, catalog = home
    record = ingest(platform, tmp_path)
    videos.set_media(platform.db, record.video_id, 4.0, WIDTH, HEIGHT)
    names = ('dog, "large"', "cat")
    monkeypatch.setattr("seeded.NAMES", names)
    store_tracks(platform, record.video_id, tmp_path)
    rows = list(csv.DictReader(io.StringIO(text(catalog, record.video_id, "csv"))))
    assert {row["class"] for row in rows} == set(names)
    assert all(float(row["height"]) > 0 for row in rows)


@pytest.mark.parametrize("kind", list(Format))
def test_nothing_tracked_is_an_empty_export(home, tmp_path, kind):
    platform, catalog = home
    record = ingest(platform, tmp_path)
    videos.set_media(platform.db, record.video_id, 4.0, WIDTH, HEIGHT)
    store_tracks(platform, record.video_id, tmp_path, tables.no_tracks())
    found = text(catalog, record.video_id, kind)
    if kind is Format.COCO:
        assert json.loads(found)["annotations"] == []
    else:
        assert found.count("\n") == (1 if kind is Format.CSV else 0)


def test_what_is_missing_is_said_before_the_first_piece(home, tmp_path):
    platform, catalog = home
    record = ingest(platform, tmp_path)
    with pytest.raises(StateError, match=r"has no (tracks|detections) yet"):
        export(catalog, record.video_id, "mot")
    with pytest.raises(NotFound):
        export(catalog, "0123456789abcdef", "mot")
    with pytest.raises(ValueError, match="xml"):
        export(catalog, record.video_id, "xml")


def test_tracks_of_other_samples_are_not_given_a_frame(home, tmp_path):
    platform, catalog = home
    record = ingest(platform, tmp_path)
    videos.set_media(platform.db, record.video_id, 4.0, WIDTH, HEIGHT)
    good = tracks()
    shifted = tables.Tracks(good.time_s + 0.05, good.class_id, good.score, good.boxes, good.track_id)
    store_tracks(platform, record.video_id, tmp_path, shifted)
    with pytest.raises(IntegrityError, match="do not belong together"):
        list(export(catalog, record.video_id, "mot"))


def test_a_long_video_needs_no_more_memory(home, tmp_path):
    platform, catalog = home
    record = ingest(platform, tmp_path)
    videos.set_media(platform.db, record.video_id, 4.0, WIDTH, HEIGHT)
    short = tracks()
    repeats = 2_000
    many = tables.Tracks(
        np.tile(short.time_s, repeats),
        np.tile(short.class_id, repeats),
        np.tile(short.score, repeats),
        np.tile(short.boxes, (repeats, 1)),
        np.tile(short.track_id, repeats),
    )
    store_tracks(platform, record.video_id, tmp_path, many)
    pieces = export(catalog, record.video_id, "csv")
    tracemalloc.start()
    try:
        size = sum(len(piece) for piece in pieces)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size > 4_000_000
    assert peak < 4_000_000


def test_an_export_that_is_dropped_leaves_no_files(home, video, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    pieces = export(home[1], video.video_id, "csv")
    del pieces
    assert not list(tmp_path.glob("export-*"))
