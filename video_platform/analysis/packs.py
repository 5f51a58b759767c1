"""Tracks of many videos in one file, as columns that rules can judge at once: six thousand small files cost more to open than to judge.

A pack is a Parquet file with the rows of each video in order of track, then time; a row group holds whole videos of one detector, as many as are judged at
once. Which videos, and the times of their samples, stand in its metadata. Frame numbers and class-free rows (boxes without a track) are left out: no rule
asks for them.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from video_platform.analysis.batch_evaluation import MAX_ROWS, Columns, Footage, Judge, joined
from video_platform.analysis.tables import Samples, Tracks
from video_platform.errors import IntegrityError

VERSION = 1
FACTS, TIMES = b"video_platform.pack", b"video_platform.times"
FLOATS = ("score", "x1", "y1", "x2", "y2")
CLASSES = ("track_id", "class_id")


@dataclass(frozen=True)
class Entry:
    """One video in a pack: its id, the content hash of its tracks, rows and samples."""

    video_id: str
    tracks_hash: str
    rows: int
    samples: int


@dataclass(frozen=True)
class Group:
    """Videos that stand in one row group, in order, and the class names of their detector. Where nobody was seen in any, there is no row group."""

    names: tuple[str, ...]
    entries: tuple[Entry, ...]

    @property
    def rows(self) -> int:
        """Boxes of all of them."""
        return sum(entry.rows for entry in self.entries)


class Pack:
    """A pack that was opened.

    Raises:
        IntegrityError: the file is none, or of another version.
    """

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.path = path
        self._last: tuple[int, Columns] | None = None
        try:
            self._file = pq.ParquetFile(path)
            metadata = self._file.metadata.metadata or {}
            facts = json.loads(metadata[FACTS])
            self._times = np.frombuffer(metadata[TIMES], np.float64)
            self.groups = [Group(tuple(each["names"]), tuple(Entry(*entry) for entry in each["videos"])) for each in facts["groups"]]
            with_rows = sum(1 for group in self.groups if group.rows)
            whole = facts["version"] == VERSION and with_rows == self._file.num_row_groups
            if not whole or sum(entry.samples for group in self.groups for entry in group.entries) != len(self._times):
                raise ValueError("it does not hold what it says")
        except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, FileNotFoundError):
                raise
            raise IntegrityError(f"{path.name} is not a pack of tracks: {error}", path=str(path)) from error

    @property
    def entries(self) -> list[Entry]:
        """All videos, in order."""
        return [entry for group in self.groups for entry in group.entries]

    def places(self) -> Iterator[tuple[int, int, Entry]]:
        """Group, position in it, and entry of every video."""
        yield from ((number, at, entry) for number, group in enumerate(self.groups) for at, entry in enumerate(group.entries))

    def footage(self, group: int, at: int) -> Footage:
        """One video; the group of the last one that was asked for is in memory."""
        if self._last is None or self._last[0] != group:
            self._last = group, self._group(group)
        own = self._last[1].of([at])
        return Footage(Judge(self.groups[group].entries[at].video_id), own.tracks, own.samples[0], own.names)

    def columns(self) -> Iterator[tuple[tuple[Entry, ...], Columns]]:
        """The videos of each row group with their rows.

        Raises:
            IntegrityError: the file is damaged.
        """
        for number, group in enumerate(self.groups):
            yield group.entries, self._group(number)

    def _group(self, number: int) -> Columns:
        group, before = self.groups[number], self.groups[:number]
        samples = [entry.samples for entry in group.entries]
        begin = sum(entry.samples for each in before for entry in each.entries)
        times = np.split(self._times[begin : begin + sum(samples)], np.cumsum(samples)[:-1])
        return self._read(sum(1 for each in before if each.rows) if group.rows else None, group, times)

    def _read(self, number: int | None, group: Group, times: Sequence[np.ndarray]) -> Columns:
        import pyarrow as pa

        try:
            table = _table(None) if number is None else self._file.read_row_group(number, use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise IntegrityError(f"{self.path.name} is damaged: {error}", path=str(self.path)) from error
        column = {name: table.column(name).to_numpy() for name in table.column_names}
        rows = [entry.rows for entry in group.entries]
        if sum(rows) != table.num_rows:
            raise IntegrityError(f"{self.path.name} does not hold what it says", path=str(self.path))
        samples = [Samples(each, np.arange(len(each))) for each in times]
        sample = column["sample"].astype(np.int64)
        at_s = np.concatenate(times)[sample] if len(sample) else np.zeros(0)
        boxes = np.stack([column[name] for name in FLOATS[1:]], axis=1)
        tracks = Tracks(at_s, column["class_id"], column["score"], boxes, column["track_id"])
        return Columns(tracks, np.repeat(np.arange(len(rows), dtype=np.int32), rows), sample, samples, group.names)


def write(path: Path, videos: Iterator[tuple[str, Footage]]) -> None:
    """Write a pack of these videos, given with the content hash of their tracks, in their order.

    Raises:
        OSError: the file could not be written.
    """
    import pyarrow as pa

    writer, groups, times = None, [], []
    try:
        for batch in batches(videos):
            columns = joined([footage for _, footage in batch])
            table = _table(columns)
            if writer is None:
                writer = _open(path, table.schema)
            if table.num_rows:
                writer.write_table(table, row_group_size=table.num_rows)
            lengths = np.bincount(columns.video, minlength=len(batch)).tolist()
            entries = [(one.judge.video_id, digest, rows, len(one.samples)) for (digest, one), rows in zip(batch, lengths, strict=True)]
            groups.append({"names": columns.names, "videos": entries})
            times += [one.samples.time_s for _, one in batch]
        writer = writer or _open(path, _table(None).schema)
        facts = json.dumps({"version": VERSION, "groups": groups})
        writer.add_key_value_metadata({FACTS: facts.encode(), TIMES: np.concatenate([np.zeros(0), *times]).tobytes()})
    except pa.ArrowException as error:
        raise OSError(f"the pack {path.name} could not be written: {error}") from error
    finally:
        if writer is not None:
            writer.close()


def _open(path: Path, schema: Any) -> Any:
    import pyarrow.parquet as pq

    layout: dict[str, Any] = {"use_dictionary": list(CLASSES), "use_byte_stream_split": list(FLOATS)}
    return pq.ParquetWriter(path, schema, compression="zstd", compression_level=1, **layout)


def batches(videos: Iterator[tuple[str, Footage]]) -> Iterator[list[tuple[str, Footage]]]:
    """Videos that stand in one row group and are judged at once: of one detector, together at most `MAX_ROWS` boxes."""
    batch: list[tuple[str, Footage]] = []
    rows = 0
    for digest, one in videos:
        tracked = one.tracks.take(np.flatnonzero(one.tracks.track_id > 0))
        if batch and (rows + len(tracked) > MAX_ROWS or one.names != batch[0][1].names):
            yield batch
            batch, rows = [], 0
        batch.append((digest, Footage(one.judge, tracked, one.samples, one.names)))
        rows += len(tracked)
    if batch:
        yield batch


def _table(columns: Columns | None) -> Any:
    import pyarrow as pa

    tracks = (
        columns.tracks if columns else Tracks(np.zeros(0), np.zeros(0, np.int16), np.zeros(0, np.float32), np.zeros((0, 4), np.float32), np.zeros(0, np.int32))
    )
    sample = columns.sample if columns else np.zeros(0, np.int64)
    boxes = {name: np.ascontiguousarray(tracks.boxes[:, at]) for at, name in enumerate(FLOATS[1:])}
    return pa.table({"sample": sample.astype(np.int32), "track_id": tracks.track_id, "class_id": tracks.class_id, "score": tracks.score, **boxes})
