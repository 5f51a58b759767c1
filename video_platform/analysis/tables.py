"""Samples, detections and tracks as columns, and their Parquet files.

Times are seconds of presentation time from the first frame; boxes are `x1 y1 x2 y2`, 0-1 of the upright frame with y downward. Class names and the
digest of the model that made the rows stand in the file's metadata.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from video_platform.errors import IntegrityError
from video_platform.fingerprints import FLOAT_DIGITS

SCHEMA_VERSION = 1
METADATA_KEY = b"video_platform"
BOX_COLUMNS = ("x1", "y1", "x2", "y2")

QUANTUM = 10**FLOAT_DIGITS
"""What counts in a content hash, as everywhere: `fingerprints.FLOAT_DIGITS` decimals."""


Source = Path | BinaryIO
"""A file, or the bytes of one."""


def _check(table: object, dtypes: dict[str, Any]) -> None:
    """One length for all columns and the promised dtypes; a silent float64 box or a transposed array would be wrong everywhere after."""
    rows = len(getattr(table, "time_s"))  # noqa: B009 - `table` is one of three dataclasses
    for column in fields(table):  # type: ignore[arg-type]
        array = getattr(table, column.name)
        shape = (rows, 4) if column.name == "boxes" else (rows,)
        if array.shape != shape or array.dtype != dtypes[column.name]:
            expected = f"{np.dtype(dtypes[column.name]).name} {shape}"
            raise ValueError(f"{type(table).__name__}.{column.name} is {array.dtype.name} {array.shape}; it must be {expected}")


@dataclass(frozen=True, eq=False)
class Samples:
    """Every frame that was looked at, also those without a detection, in time order.

    `time_s` float64 (S,); `frame` int64 (S,) is the presentation index of the source frame, from 0.
    """

    time_s: NDArray[np.float64]
    frame: NDArray[np.int64]

    def __post_init__(self) -> None:
        _check(self, {"time_s": np.float64, "frame": np.int64})

    def __len__(self) -> int:
        return len(self.time_s)

    @property
    def rate(self) -> float:
        """Samples per second (median spacing); 0 when there are fewer than two."""
        return float(1.0 / np.median(np.diff(self.time_s))) if len(self) > 1 else 0.0


@dataclass(frozen=True, eq=False)
class Detections:
    """Boxes found in samples, sorted by time, then score descending.

    `time_s` float64 (N,), `class_id` int16 (N,), `score` float32 (N,) 0-1, `boxes` float32 (N, 4).
    """

    time_s: NDArray[np.float64]
    class_id: NDArray[np.int16]
    score: NDArray[np.float32]
    boxes: NDArray[np.float32]

    def __post_init__(self) -> None:
        _check(self, {"time_s": np.float64, "class_id": np.int16, "score": np.float32, "boxes": np.float32})

    def __len__(self) -> int:
        return len(self.time_s)

    def take(self, rows: NDArray[Any]) -> "Detections":
        """The rows of an index or mask, in that order."""
        return Detections(self.time_s[rows], self.class_id[rows], self.score[rows], self.boxes[rows])

    def ordered(self) -> "Detections":
        """The same rows in the order that this class promises; ties are broken by class and box, so that the order is one."""
        x1, y1 = self.boxes[:, 0], self.boxes[:, 1]
        return self.take(np.lexsort((y1, x1, self.class_id, -self.score, self.time_s)))


@dataclass(frozen=True, eq=False)
class Tracks:
    """Boxes of objects followed over time, sorted by time, then `track_id`; at most one box per track and sample.

    `track_id` int32 (N,) counts from 1 by first appearance; a track has one class. The other columns are those of `Detections`.
    """

    time_s: NDArray[np.float64]
    class_id: NDArray[np.int16]
    score: NDArray[np.float32]
    boxes: NDArray[np.float32]
    track_id: NDArray[np.int32]

    def __post_init__(self) -> None:
        _check(self, {"time_s": np.float64, "class_id": np.int16, "score": np.float32, "boxes": np.float32, "track_id": np.int32})

    def __len__(self) -> int:
        return len(self.time_s)

    def take(self, rows: NDArray[Any]) -> "Tracks":
        """The rows of an index or mask, in that order."""
        return Tracks(self.time_s[rows], self.class_id[rows], self.score[rows], self.boxes[rows], self.track_id[rows])

    def ordered(self) -> "Tracks":
        """The same rows in the order that this class promises."""
        return self.take(np.lexsort((self.track_id, self.time_s)))

    @property
    def count(self) -> int:
        """How many tracks there are."""
        return len(np.unique(self.track_id))


def no_samples() -> Samples:
    """Samples of a video of which no frame was looked at."""
    return Samples(np.zeros(0), np.zeros(0, np.int64))


def no_detections() -> Detections:
    """Detections without a row."""
    return Detections(np.zeros(0), np.zeros(0, np.int16), np.zeros(0, np.float32), np.zeros((0, 4), np.float32))


def no_tracks() -> Tracks:
    """Tracks without a row."""
    return Tracks(np.zeros(0), np.zeros(0, np.int16), np.zeros(0, np.float32), np.zeros((0, 4), np.float32), np.zeros(0, np.int32))


def content(table: Samples | Detections | Tracks) -> dict[str, object]:
    """The canonical value of a table for `fingerprints.content_hash`: the row count and a hash over columns of rounded integers, in column order."""
    digest = hashlib.sha256()
    for column in fields(table):
        array = getattr(table, column.name)
        whole = np.rint(array.astype(np.float64) * QUANTUM) if array.dtype.kind == "f" else array
        digest.update(f"{column.name}{array.shape}".encode())
        digest.update(np.ascontiguousarray(whole, dtype="<i8").data)
    return {"rows": len(table), "sha256": digest.hexdigest()}


def write_samples(path: Path, samples: Samples) -> None:
    """Write `samples` to `path` as Parquet."""
    _write(path, "samples", {"time_s": samples.time_s, "frame": samples.frame}, {})


def read_samples(path: Source) -> Samples:
    """The samples of a file; IntegrityError when it is not one."""
    columns, _ = _read(path, "samples", ("time_s", "frame"))
    return Samples(columns["time_s"], columns["frame"])


def write_detections(path: Path, detections: Detections, *, names: Sequence[str], digest: str) -> None:
    """Write `detections` to `path` as Parquet; `names[class_id]` is a class, `digest` the hash of the model file."""
    _write(path, "detections", _box_columns(detections), {"names": list(names), "digest": digest})


def read_detections(path: Path) -> tuple[Detections, tuple[str, ...], str]:
    """Detections, class names and model digest of a file; IntegrityError when it is not one."""
    columns, facts = _read(path, "detections", ("time_s", "class_id", "score", *BOX_COLUMNS))
    return Detections(columns["time_s"], columns["class_id"], columns["score"], _boxes(columns)), tuple(facts["names"]), facts["digest"]


def write_tracks(path: Path, tracks: Tracks, *, names: Sequence[str], digest: str) -> None:
    """Write `tracks` to `path` as Parquet; metadata as for detections."""
    _write(path, "tracks", {"track_id": tracks.track_id, **_box_columns(tracks)}, {"names": list(names), "digest": digest})


def read_tracks(path: Source) -> tuple[Tracks, tuple[str, ...], str]:
    """Tracks, class names and model digest of a file; IntegrityError when it is not one."""
    columns, facts = _read(path, "tracks", ("time_s", "class_id", "score", *BOX_COLUMNS, "track_id"))
    tracks = Tracks(columns["time_s"], columns["class_id"], columns["score"], _boxes(columns), columns["track_id"])
    return tracks, tuple(facts["names"]), facts["digest"]


def read_track_names(path: Path) -> tuple[str, ...]:
    """The class names of a file of tracks, without its rows; IntegrityError when it is not one."""
    _, facts = _read(path, "tracks", ())
    return tuple(facts["names"])


def _box_columns(table: Detections | Tracks) -> dict[str, NDArray[Any]]:
    boxes = {name: table.boxes[:, i] for i, name in enumerate(BOX_COLUMNS)}
    return {"time_s": table.time_s, "class_id": table.class_id, "score": table.score, **boxes}


def _boxes(columns: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
    return np.stack([columns[name] for name in BOX_COLUMNS], axis=1)


def _write(path: Path, kind: str, columns: dict[str, NDArray[Any]], facts: dict[str, object]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    metadata = json.dumps({"version": SCHEMA_VERSION, "kind": kind, **facts}, sort_keys=True)
    table = pa.table({name: np.ascontiguousarray(column) for name, column in columns.items()}).replace_schema_metadata({METADATA_KEY: metadata})
    pq.write_table(table, path, compression="zstd")


def _read(path: Source, kind: str, names: Sequence[str]) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    name = path.name if isinstance(path, Path) else f"the file of {kind}"
    try:
        table = pq.ParquetFile(path).read(columns=list(names), use_threads=False)
        facts = json.loads((table.schema.metadata or {})[METADATA_KEY])
        if facts["kind"] != kind or facts["version"] != SCHEMA_VERSION:
            raise IntegrityError(f"{name} holds {facts['kind']} version {facts['version']}; {kind} version {SCHEMA_VERSION} was expected", path=str(path))
        return {name: table.column(name).to_numpy() for name in names}, facts
    except (pa.ArrowException, KeyError, ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the system's; Arrow raises one without a number over damaged pages
            raise
        raise IntegrityError(f"{name} is not a file of {kind}: {error}; make the asset again", path=str(path)) from error
