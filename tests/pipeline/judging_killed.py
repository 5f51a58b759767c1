"""A run that judges many videos, killed at a named moment of its second one.

python judging_killed.py ledger|files|manifest|told VIDEO VIDEO…
"""

import os
import signal
import sys

from video_platform import settings
from video_platform.definitions import build
from video_platform.pipeline import io_managers, judging_many
from video_platform.pipeline.instance import open_instance
from video_platform.pipeline.resources import Workplace
from video_platform.services.database import reconciliation
from video_platform.services.folder_store import FolderStore


def die_after(owner, name, *, when):
    """Let a function come to its end, then end the process, at the call that `when` says."""
    whole = getattr(owner, name)

    def last(*args, **kwargs):
        result = whole(*args, **kwargs)
        if when(args, kwargs):
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, last)


def main(point, *ids):
    second = ids[1]
    if point == "ledger":
        die_after(reconciliation, "reconcile", when=lambda args, _: args[1].video_id == second)
    if point == "files":
        die_after(io_managers, "_stored", when=lambda args, _: args[1] == second)
    if point == "manifest":
        die_after(FolderStore, "put_bytes", when=lambda args, _: args[1] == f"videos/{second}/alerts/manifest.json")
    if point == "told":
        die_after(judging_many.checks, "evaluation", when=lambda args, _: args[:2] == ("alerts", second))
    workplace = Workplace(settings.load())
    with open_instance(workplace.settings) as instance:
        job = build(workplace).resolve_job_def(judging_many.JUDGE_VIDEOS)
        job.execute_in_process(instance=instance, run_config=judging_many.run_config(list(ids)), tags={"vp/lane": "backfill"})


if __name__ == "__main__":
    main(*sys.argv[1:])
