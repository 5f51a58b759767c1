"""DESIGN rows 1 and 2: the pass over one minute of 1080p30 against bare decoding of the same file, CPU seconds, in one run.

python -m benchmarks.decode_pass [--rounds 3]
"""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.footage import SECONDS, full_hd
from benchmarks.measure import Usage, command, ffmpeg, interleaved

HERE = Path(__file__).resolve().parent
NAIVE_SHORT, NAIVE_LONG = 10, 40
"""Frames of the naive loop that are run; the difference of the two gives its cost per frame without its start."""
FRAMES = SECONDS * 30


def measured(rounds: int) -> dict[str, Usage]:
    """Median usage of each candidate."""
    clip = str(full_hd())
    with tempfile.TemporaryDirectory() as out:
        ours = [sys.executable, str(HERE / "one_pass_once.py"), clip, out]
        naive = [sys.executable, str(HERE / "naive_loop.py"), clip]
        return interleaved(
            {
                "bare decode": lambda: command([ffmpeg(), "-v", "error", "-nostdin", "-threads", "2", "-i", clip, "-an", "-f", "null", "-"]),
                "pass without proxy": lambda: command([*ours, "detections", "scenes"]),
                "pass with proxy": lambda: command([*ours, "processed_video", "detections", "scenes"]),
                "naive short": lambda: command([*naive, str(NAIVE_SHORT)]),
                "naive long": lambda: command([*naive, str(NAIVE_LONG)]),
            },
            rounds,
        )


def rows(rounds: int) -> list[str]:
    """The table rows of RESULTS.md."""
    usage = measured(rounds)
    bare, without, full = (usage[name] for name in ("bare decode", "pass without proxy", "pass with proxy"))
    per_frame = (usage["naive long"].cpu_s - usage["naive short"].cpu_s) / (NAIVE_LONG - NAIVE_SHORT)
    wall_per_frame = (usage["naive long"].wall_s - usage["naive short"].wall_s) / (NAIVE_LONG - NAIVE_SHORT)
    return [
        f"| 1080p30, no proxy: CPU against bare decode | <= 1.25 | {without.cpu_s / bare.cpu_s:.2f} | {without.cpu_s:.1f} s against {bare.cpu_s:.1f} s CPU;"
        f" {SECONDS / without.wall_s:.1f} x real time; peak {without.peak_mb:.0f} MB |",
        f"| the same with 720p15 proxy | <= 2.1 | {full.cpu_s / bare.cpu_s:.2f} | {full.cpu_s:.1f} s CPU; {SECONDS / full.wall_s:.1f} x real time;"
        f" peak {full.peak_mb:.0f} MB |",
        f"| naive loop against ours with proxy | >= 15 | {per_frame * FRAMES / full.cpu_s:.1f} (CPU), {wall_per_frame * FRAMES / full.wall_s:.1f} (wall) |"
        f" {per_frame * 1000:.0f} ms CPU a frame, {NAIVE_LONG - NAIVE_SHORT} frames measured, {FRAMES} extrapolated |",
    ]


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    print("\n".join(rows(parser.parse_args().rounds)))


if __name__ == "__main__":
    main()
