"""Tracks of a video as other settings would make them, beside the stored ones: in a folder of the caller, and nothing is published."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from video_platform import budgets, detectors, layout
from video_platform.catalog import Catalog
from video_platform.errors import InputError, StateError
from video_platform.records import Manifest, VideoRecord
from video_platform.rules_yaml import did_you_mean
from video_platform.settings import Settings
from video_platform.settings_groups import DetectionSettings, TrackingSettings

if TYPE_CHECKING:
    from video_platform.analysis.tables import Samples, Tracks

Progress = Callable[[float, str], None]
Chosen = TypeVar("Chosen", DetectionSettings, TrackingSettings)

NAMES = tuple(f"{group}.{name}" for group, kind in (("detection", DetectionSettings), ("tracking", TrackingSettings)) for name in kind.model_fields)
"""Settings that decide tracks, as `vp evaluate --with` takes them."""


@dataclass(frozen=True)
class Followed:
    """Tracks of a video, however they were made, and what was looked at; `names[class_id]` is a class."""

    tracks: "Tracks"
    samples: "Samples"
    names: tuple[str, ...]


@dataclass(frozen=True)
class MadeWith:
    """Settings of detection and tracking."""

    detection: DetectionSettings
    tracking: TrackingSettings

    def changed(self, changes: Mapping[str, str]) -> "MadeWith":
        """These with some of `NAMES` set to other values.

        Raises:
            InputError: a name or value that cannot be.
        """
        for name in changes:
            if name not in NAMES:
                raise InputError(f"no setting of detection or tracking is called {name!r}; {did_you_mean(name, NAMES)}")
        return MadeWith(_changed(self.detection, "detection", changes), _changed(self.tracking, "tracking", changes))


class StoredTracks:
    """The stored detections and tracks of a video."""

    def __init__(self, settings: Settings, catalog: Catalog, record: VideoRecord) -> None:
        """Raises StateError when they were not made yet."""
        self._settings, self._catalog, self._record = settings, catalog, record
        self._detections, self._tracks = (self._manifest(asset) for asset in (layout.DETECTIONS, layout.TRACKS))
        self.made_with = MadeWith(_as_made(settings.detection, self._detections), _as_made(settings.tracking, self._tracks))

    def changed(self, changes: Mapping[str, str]) -> MadeWith:
        """With what they were made, and some of `NAMES` set to other values.

        Raises:
            InputError: a name or value that cannot be.
            SettingsError, ModelMissing: another detector that is not here.
        """
        wanted = self.made_with.changed(changes)
        if wanted.detection != self.made_with.detection:
            self._detector(wanted.detection)
        return wanted

    @property
    def content_hash(self) -> str:
        """The hash of what the tracks say, as the ledger notes it of its alerts."""
        return self._tracks.content_hash

    def read(self, folder: Path) -> Followed:
        """The tracks as they are stored; copies of their files go into `folder` where the store is no folder."""
        from video_platform.analysis import tables

        tracks, names, _ = tables.read_tracks(self._file(self._tracks, "tracks", folder))
        return Followed(tracks, tables.read_samples(self._file(self._detections, "samples", folder)), names)

    def again(self, wanted: MadeWith, footage: Path, folder: Path, on_progress: Progress | None = None) -> Followed:
        """The tracks that other settings make; detected again from the file `footage` only where detection is another.

        Raises:
            MediaError, WorkerError: the footage cannot be decoded.
        """
        from video_platform.analysis import tables, track

        if wanted.detection == self.made_with.detection:
            boxes, looked_at = self._file(self._detections, "detections", folder), self._file(self._detections, "samples", folder)
        else:
            made = self._detected(wanted.detection, footage, folder, on_progress)
            boxes, looked_at = Path(made["detections"]), Path(made["samples"])
        detections, names, _ = tables.read_detections(boxes)
        samples = tables.read_samples(looked_at)
        parameters = track.TrackingParameters(**wanted.tracking.model_dump())
        return Followed(track.track(detections, samples, names, parameters, aspect=self._record.aspect or track.DEFAULT_ASPECT), samples, names)

    def _detected(self, detection: DetectionSettings, footage: Path, folder: Path, on_progress: Progress | None) -> Mapping[str, Any]:
        detector = self._detector(detection)
        asked = {"path": str(footage), "out_dir": str(folder), "wanted": [layout.DETECTIONS]}
        payload = {**asked, "detection": detection.model_dump(), "detector": detector.payload()}
        return work(self._settings, self._record, "one_pass", payload, on_progress, detector)[layout.DETECTIONS]

    def _detector(self, detection: DetectionSettings) -> detectors.KnownDetector:
        return detectors.usable(self._settings.model_copy(update={"detection": detection}))

    def _manifest(self, asset: str) -> Manifest:
        video_id = self._record.video_id
        manifest = self._catalog.manifest(video_id, asset)
        if manifest is None:
            raise StateError(f"video {video_id} has no {asset} yet; process it first (`vp process {video_id}`, or the button on its page)", video_id=video_id)
        return manifest

    def _file(self, manifest: Manifest, role: str, folder: Path) -> Path:
        entry = manifest.file(role)
        if entry is None:
            raise StateError(f"{manifest.asset} of video {manifest.video_id} has no file {role!r}; process it again with `vp process --force`")
        return self._catalog.store.fetch(entry.key, folder)


def work(
    settings: Settings,
    record: VideoRecord,
    task: str,
    payload: Mapping[str, Any],
    on_progress: Progress | None,
    detector: detectors.KnownDetector | None = None,
) -> dict[str, Any]:
    """The result of one task of the analysis child over the footage of a video, within the budget that its length gives."""
    from video_platform.analysis import worker

    limited = {**payload, "limits": asdict(budgets.media_limits(settings))}
    return worker.run(task, limited, limits=budgets.worker_budget(settings, record.duration_s, detector), on_progress=on_progress)


def _as_made(now: Chosen, manifest: Manifest) -> Chosen:
    """The settings with which a result was made; one that its maker did not know yet is as it is now."""
    said = {name: value for name, value in manifest.configuration.items() if name in type(now).model_fields}
    return type(now)(**{**now.model_dump(), **said})


def _changed(group: Chosen, prefix: str, changes: Mapping[str, str]) -> Chosen:
    values = {name.partition(".")[2]: value for name, value in changes.items() if name.startswith(f"{prefix}.")}
    try:
        return type(group)(**{**group.model_dump(), **values})
    except ValidationError as error:
        said = "; ".join(f"{prefix}.{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise InputError(f"these settings cannot be used: {said}") from error
