"""Tracks of a video for other programs, as a stream: MOTChallenge text, COCO JSON, CSV, JSON lines.

Coordinates are pixels of the upright picture (`left`, `top`, `width`, `height`, y downward, from the picture's upper left corner); `frame` counts from 1 and
is one more than the presentation index of the source frame. Rows come in the order of time, then track. Columns are read from the Parquet files of the
assets `tracks` and `detections` in batches, so that a day of footage needs no more memory than a minute.
"""

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from video_platform import layout
from video_platform.catalog import Catalog
from video_platform.errors import IntegrityError, StateError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow.parquet as pq
    from numpy.typing import NDArray

BATCH_ROWS = 4_096
"""Rows decoded at once: about one megabyte as Python numbers."""

METADATA_KEY = b"video_platform"
"""Where the Parquet files carry class names (docs/architecture.md)."""

COLUMNS = ("time_s", "track_id", "class_id", "score", "x1", "y1", "x2", "y2")

PIECE_CHARACTERS = 64 * 1024
"""Text gathered before it is handed on: one write of a socket or file instead of thousands."""

MAX_TIME_GAP_S = 0.001
"""How far a track's time may be from its sample's: both were written from the same number."""


class Format(StrEnum):
    """What an export is written as."""

    MOT = "mot"
    COCO = "coco"
    CSV = "csv"
    JSONL = "jsonl"


MEDIA_TYPES = {Format.MOT: "text/plain", Format.COCO: "application/json", Format.CSV: "text/csv", Format.JSONL: "application/x-ndjson"}
EXTENSIONS = {Format.MOT: "mot.txt", Format.COCO: "coco.json", Format.CSV: "csv", Format.JSONL: "jsonl"}


class Row(NamedTuple):
    """One box of one track in one looked-at frame; pixels."""

    frame: int
    time_s: float
    track_id: int
    class_id: int
    class_name: str
    score: float
    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class _Source:
    """The files of one video, opened: `frames[i]` is the source frame that was looked at at `times_s[i]`."""

    video_id: str
    name: str
    width: int
    height: int
    names: tuple[str, ...]
    times_s: "NDArray[np.float64]"
    frames: "NDArray[np.int64]"
    tracks: "pq.ParquetFile"

    def rows(self) -> Iterator[Row]:
        """All rows in order."""
        names = dict(enumerate(self.names))
        for batch in self.tracks.iter_batches(batch_size=BATCH_ROWS, columns=list(COLUMNS), use_threads=False):
            columns = {name: batch.column(i).to_numpy(zero_copy_only=False) for i, name in enumerate(batch.schema.names)}
            lefts, tops = columns["x1"] * self.width, columns["y1"] * self.height
            widths, heights = columns["x2"] * self.width - lefts, columns["y2"] * self.height - tops
            given = [columns[name].tolist() for name in ("time_s", "track_id", "class_id", "score")]
            boxes = [column.tolist() for column in (lefts, tops, widths, heights)]
            for frame, time_s, track_id, class_id, score, *box in zip(self._frames(columns["time_s"]).tolist(), *given, *boxes, strict=True):
                yield Row(frame + 1, time_s, track_id, class_id, names.get(class_id, f"class {class_id}"), score, *box)

    def _frames(self, times_s: "NDArray[np.float64]") -> "NDArray[np.int64]":
        import numpy as np

        if len(times_s) == 0:
            return np.zeros(0, np.int64)
        if len(self.times_s) == 0:
            raise IntegrityError(f"the tracks of video {self.video_id} have rows but no frame was looked at; process it again", video_id=self.video_id)
        after = np.clip(np.searchsorted(self.times_s, times_s), 1, max(1, len(self.times_s) - 1))
        before = after - 1
        after = np.minimum(after, len(self.times_s) - 1)
        nearest = np.where(np.abs(self.times_s[before] - times_s) <= np.abs(self.times_s[after] - times_s), before, after)
        if float(np.max(np.abs(self.times_s[nearest] - times_s))) > MAX_TIME_GAP_S:
            raise IntegrityError(f"tracks and samples of video {self.video_id} do not belong together; process it again", video_id=self.video_id)
        return self.frames[nearest]


def export(catalog: Catalog, video_id: str, format: Format | str) -> Iterator[bytes]:
    """The tracks of a video in `format`, in pieces of UTF-8 text.

    What is missing is said before the first piece.

    Raises:
        NotFound, VideoDeleted: there is no such video.
        StateError: it has no tracks yet.
        IntegrityError: its files do not belong together.
    """
    kind = Format(format)
    writer = {Format.MOT: _mot, Format.COCO: _coco, Format.CSV: _csv, Format.JSONL: _jsonl}[kind]
    stack = ExitStack()
    try:
        source = _open(catalog, video_id, stack)
    except BaseException:
        stack.close()
        raise
    pieces = _gathered(writer(source), stack)
    first = next(pieces, None)
    # Begun, so that it closes its files also when nobody reads on.
    return pieces if first is None else chain((first,), pieces)


def _gathered(lines: Iterator[str], stack: ExitStack) -> Iterator[bytes]:
    with stack:
        waiting: list[str] = []
        size = 0
        for line in lines:
            waiting.append(line)
            size += len(line)
            if size >= PIECE_CHARACTERS:
                yield "".join(waiting).encode()
                waiting, size = [], 0
        if waiting:
            yield "".join(waiting).encode()


def _open(catalog: Catalog, video_id: str, stack: ExitStack) -> _Source:
    import pyarrow.parquet as pq

    record = catalog.record(video_id)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="export-")))
    samples = pq.read_table(_fetch(catalog, video_id, layout.DETECTIONS, "samples", folder), columns=["time_s", "frame"], use_threads=False)
    tracks = stack.enter_context(pq.ParquetFile(_fetch(catalog, video_id, layout.TRACKS, "tracks", folder)))
    if record.width is None or record.height is None:
        raise StateError(f"the picture size of video {video_id} is not known; process it again", video_id=video_id)
    facts: dict[str, Any] = json.loads((tracks.schema_arrow.metadata or {}).get(METADATA_KEY, b"{}"))
    return _Source(
        video_id,
        record.original_name,
        record.width,
        record.height,
        tuple(facts.get("names", ())),
        samples.column("time_s").to_numpy(),
        samples.column("frame").to_numpy(),
        tracks,
    )


def _fetch(catalog: Catalog, video_id: str, asset: str, role: str, folder: Path) -> Path:
    manifest = catalog.manifest(video_id, asset)
    entry = manifest.file(role) if manifest else None
    if entry is None:
        raise StateError(f"video {video_id} has no {asset} yet; process it first (`vp process`, or the button on its page)", video_id=video_id)
    return catalog.store.fetch(entry.key, folder)


def _mot(source: _Source) -> Iterator[str]:
    for row in source.rows():
        yield f"{row.frame},{row.track_id},{row.left:.2f},{row.top:.2f},{row.width:.2f},{row.height:.2f},{row.score:.4f},-1,-1,-1\n"


def _csv(source: _Source) -> Iterator[str]:
    yield "frame,time_s,track_id,class,score,left,top,width,height\n"
    for row in source.rows():
        box = f"{row.left:.2f},{row.top:.2f},{row.width:.2f},{row.height:.2f}"
        yield f"{row.frame},{row.time_s:.4f},{row.track_id},{_cell(row.class_name)},{row.score:.4f},{box}\n"


def _cell(text: str) -> str:
    """Quoted where it would be more than one cell: a model of one's own names classes as it likes."""
    return '"' + text.replace('"', '""') + '"' if any(each in text for each in ',"\r\n') else text


def _jsonl(source: _Source) -> Iterator[str]:
    for row in source.rows():
        value = {
            "frame": row.frame,
            "time_s": round(row.time_s, 4),
            "track_id": row.track_id,
            "class": row.class_name,
            "score": round(row.score, 4),
            "bbox": _bbox(row),
        }
        yield f"{json.dumps(value)}\n"


def _coco(source: _Source) -> Iterator[str]:
    """COCO with the customary extension for videos: `track_id` in each annotation, `video_id` and `frame_index` in each image."""
    info = {"description": source.name, "video_id": source.video_id, "version": "1.0"}
    yield f'{{"info":{json.dumps(info)},"licenses":[],"images":['
    for i in range(len(source.frames)):
        frame = int(source.frames[i])
        image = {
            "id": frame + 1,
            "file_name": f"{source.video_id}/{frame + 1:08d}.jpg",
            "width": source.width,
            "height": source.height,
            "video_id": source.video_id,
            "frame_index": frame,
            "time_s": round(float(source.times_s[i]), 4),
        }
        yield ("," if i else "") + json.dumps(image)
    yield '],"annotations":['
    for number, row in enumerate(source.rows(), start=1):
        annotation = {
            "id": number,
            "image_id": row.frame,
            "category_id": row.class_id + 1,
            "bbox": _bbox(row),
            "area": round(row.width * row.height, 2),
            "iscrowd": 0,
            "track_id": row.track_id,
            "score": round(row.score, 4),
        }
        yield ("," if number > 1 else "") + json.dumps(annotation)
    categories = [{"id": class_id + 1, "name": name, "supercategory": ""} for class_id, name in enumerate(source.names)]
    yield f'],"categories":{json.dumps(categories)}}}\n'


def _bbox(row: Row) -> list[float]:
    return [round(row.left, 2), round(row.top, 2), round(row.width, 2), round(row.height, 2)]
