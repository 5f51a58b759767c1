"""Run every benchmark and write RESULTS.md; takes about a quarter of an hour."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import decode_pass, ingest_memory, orchestration, scene_cuts

RESULTS = Path(__file__).resolve().parent / "RESULTS.md"
ROUNDS = 3
HEAD = """# Results

Written by `make bench` on {when}: {cores} cores, {machine}, Python {python}. Ratios come from one run, with the
candidates taking turns; absolute times are those of this machine.

| what | bound | measured | how |
|---|---|---|---|
"""
LIMITS = """
## What limits each
- **Pass without proxy**: decoding itself; what is above it is the detector (two scales, five frames a second) and the conversion of the looked-at frames.
- **Pass with proxy**: the H.264 encoder takes about half of the CPU. A source that a browser already plays is copied instead.
- **Naive loop**: one detector run and one encoded frame for every frame of the source.
- **Orchestration, default launcher**: each run is a process of its own that imports Dagster and opens its storage.
  The warm launcher forks a process that has done so already.
- **Sensor tick**: Dagster makes the runs one by one and writes 14 planned events for each into two SQLite files: 0.04 s a run where nothing else
  happens, with connections that stay open and run files that are copied (0.17 s and 34.3 s for the tick before). The first of the runs, which work
  meanwhile, and the queue take the rest.
- **Upload to alert**: the sensor's loop (up to 5 s), the start of the run, the pass over the clip, tracking and snapshots.
- **Draft over 100 h**: the imports of two processes, reading the columns, and what is found: every alert is read, matched and told of. A rule that says what
  it said when the stored alerts were made is not judged again. The first try of a day reads three objects a video and writes the day's pack.
- **Search by words**: ranking. FTS5 reads every passage that has one of the words: a word that a third of them have costs 30 ms. **By meaning**: the question
  itself (15 ms) and one product with 154 MB of vectors. With two BLAS threads on a busy machine each waits for the other: three times the CPU, far more time.
- **Ingest**: chunks of at most 1 MiB travel from the socket or file to the disk while they are hashed.
"""


def main() -> None:
    """Measure all, print the table, write the file."""
    table = [*decode_pass.rows(ROUNDS), *orchestration.rows(), *ingest_memory.rows(), *scene_cuts.rows()]
    head = HEAD.format(when=datetime.now(UTC).date(), cores=os.cpu_count(), machine=platform.machine(), python=platform.python_version())
    RESULTS.write_text(head + "\n".join(table) + "\n" + LIMITS)
    print(RESULTS.read_text())


if __name__ == "__main__":
    main()
