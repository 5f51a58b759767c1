"""Frames of a video as they are shown to a model, made in the child process."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from video_platform.budgets import media_limits, worker_budget
from video_platform.pipeline.made import Handle
from video_platform.pipeline.steps import Step

if TYPE_CHECKING:
    from video_platform.analysis.seeing import Still


def made(at: Step, raw_video: Handle, moments: Sequence[float], *, share: float = 1.0) -> "list[Still]":
    """The frames at these moments (seconds), in their order; one that cannot be had says why. Making them is `share` (0-1) of the progress of this step.

    Raises:
        MediaError: the footage cannot be opened.
        WorkerError: the child process ended before it answered.
    """
    from video_platform.analysis import worker
    from video_platform.analysis.seeing import Still

    settings = at.desk.settings
    wanted = [{"id": str(number), "at_s": at_s} for number, at_s in enumerate(moments)]
    if not wanted:
        return []
    payload = {"path": str(raw_video.path("video")), "out_dir": str(at.folder), "wanted": wanted, "limits": asdict(media_limits(settings))}
    budget = worker_budget(settings, at.record.duration_s)
    answered = worker.run("stills", payload, limits=budget, on_progress=lambda fraction, text: at.progress(share * fraction, text))
    found = [answered.get(each["id"], {"error": "no answer"}) for each in wanted]
    return [
        Still(at_s, None, reason=str(each["error"])) if "error" in each else Still(at_s, Path(each["path"]), str(each["digest"]))
        for at_s, each in zip(moments, found, strict=True)
    ]
