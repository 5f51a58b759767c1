"""A run of `describe_video` in a process of its own, for tests that kill it.

python describing.py VIDEO
"""

import sys

from video_platform import settings
from video_platform.definitions import build
from video_platform.pipeline.instance import open_instance
from video_platform.pipeline.jobs import DESCRIBE_VIDEO
from video_platform.pipeline.resources import Workplace


def main(video_id: str) -> None:
    workplace = Workplace(settings.load())
    with open_instance(workplace.settings) as instance:
        build(workplace).resolve_job_def(DESCRIBE_VIDEO).execute_in_process(instance=instance, partition_key=video_id)


if __name__ == "__main__":
    main(sys.argv[1])
