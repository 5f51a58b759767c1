"""Zones and lines drawn on a frame of a video, by the analysis child process: nothing here decodes."""

import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path

from video_platform import budgets
from video_platform.analysis import worker
from video_platform.errors import InputError, PlatformError
from video_platform.records import VideoRecord
from video_platform.rules import CameraRules
from video_platform.services import references
from video_platform.services.object_store import ObjectStore
from video_platform.settings import Settings


def draw(settings: Settings, store: ObjectStore, record: VideoRecord, rules: CameraRules, *, at_s: float, target: Path) -> None:
    """Write the frame at `at_s` with the camera's zones and lines as a JPEG to `target`.

    Raises:
        InputError: the video is over by then.
    """
    settings.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="preview-", dir=settings.scratch) as folder:
        footage = {"path": str(references.footage(store, record, Path(folder))), "limits": asdict(budgets.media_limits(settings))}
        ends_s = record.duration_s if record.duration_s is not None else _length_s(settings, footage)
        if ends_s is not None and not at_s <= ends_s:
            lasts = f"video {record.video_id} is {ends_s:.1f} s long, so there is no frame at {at_s:g} s"
            raise InputError(f"{lasts}; choose a moment from 0 to {ends_s:.1f} with --at", video_id=record.video_id)
        payload = {
            **footage,
            "out_dir": folder,
            "wanted": [{"id": "preview", "at_s": at_s, "boxes": [], "zones": rules.zones, "lines": rules.lines}],
        }
        drawn = worker.run("snapshots", payload, limits=budgets.worker_budget(settings, budgets.ONE_FRAME_SECONDS))["preview"]
        if not isinstance(drawn, str):
            raise PlatformError(f"the frame at {at_s:.1f} s of {record.video_id} cannot be drawn: {drawn.get('error')}; choose another moment with --at")
        shutil.copyfile(drawn, target)


def _length_s(settings: Settings, footage: dict[str, object]) -> float | None:
    """How long footage that nobody has processed yet says that it is."""
    return worker.run("probe", footage, limits=budgets.worker_budget(settings, budgets.ONE_FRAME_SECONDS)).get("duration_s")
