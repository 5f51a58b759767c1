"""Search over 100,000 passages: milliseconds by words, by meaning and by both, on one database.

    python -m benchmarks.search_speed [--passages 100000] [--rounds 5] [--database URL] [--model FOLDER] [--keep FOLDER]

The passages are sentences as summaries and captions have them, ten a video, with vectors around those of real sentences (of random ones without a model:
the arithmetic is the same). Each question is asked once before it is timed, as on a page that is open; what the first one of a process waits for (reading the
vectors) is a row of its own. Wall times are the median and the slowest of the rounds, CPU times the median.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from pydantic import SecretStr

from video_platform import layout, sentence_model
from video_platform.analysis.sentence_vectors import Encoder
from video_platform.catalog import Catalog
from video_platform.platform import open_platform
from video_platform.records import Lane, Passage, VideoState
from video_platform.search import Filters, Mode, Search
from video_platform.services.database import Database, search
from video_platform.services.database.engine import insert_new
from video_platform.services.database.tables import videos
from video_platform.settings import DatabaseSettings, SearchSettings, Settings

PER_VIDEO, CAMERAS, BASES = 10, 20, 300
START = datetime(2026, 7, 1, tzinfo=UTC)

WHO = (
    "one person",
    "two persons",
    "a man in a red jacket",
    "a woman with a stroller",
    "a child",
    "a cyclist",
    "a courier",
    "a guard",
    "a group of four",
    "nobody",
)
THINGS = (
    "a white van",
    "a black dog",
    "a blue car",
    "a bus",
    "a delivery truck",
    "a parcel",
    "an umbrella",
    "a ladder",
    "a drone",
    "a suitcase",
    "a forklift",
    "a cat",
)
DOES = (
    *("walks past", "stops beside", "carries", "leaves behind", "looks at", "gets out of", "runs after", "waits near", "pushes", "opens", "photographs"),
    *("falls over", "hands over", "loads", "unloads", "climbs over", "leans on", "returns to"),
)
WHERE = ("at the gate", "on the plaza", "near the loading dock", "in the car park", "by the fence", "on the stairs", "in the lobby", "under the bridge")
WHEN = (
    "for 12 seconds",
    "at 0:04",
    "twice",
    "shortly before the end",
    "while it rains",
    "in the dark",
    "and then leaves to the left",
    "and crosses to the right",
)

QUESTIONS = {
    "one rare word": ("bicentennial", Filters()),
    "one common word": ("person", Filters()),
    "two common words": ("persons gate", Filters()),
    "a question": ("when does a woman with a stroller wait near the loading dock while it rains", Filters()),
    "words that never meet": ("drone lobby forklift umbrella stairs", Filters()),
    "a question, one camera": ("a courier unloads a parcel", Filters(camera="cam-3")),
    "a question, two days and a class": ("a courier unloads a parcel", Filters(since=START, until=START + timedelta(days=2), class_name="person")),
}


def sentence(random: np.random.Generator) -> str:
    """One sentence; every tenth has a word of its own."""
    parts = [str(random.choice(each)) for each in (WHO, DOES, THINGS, WHERE, WHEN)]
    if random.random() < 0.1:
        parts.insert(2, f"number {random.integers(100_000)}")
    text = " ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def fill(db: Database, passages: int, model: sentence_model.SentenceModel | None) -> None:
    """The videos with their passages and vectors."""
    random = np.random.default_rng(1)
    bases = [sentence(random) for _ in range(BASES)]
    around = Encoder(model.folder).encode(bases) if model else random.normal(size=(BASES, 384)).astype(np.float32)
    rows = []
    for number in range(passages // PER_VIDEO):
        sha256 = f"{number:016x}{0:048x}"
        rows.append(
            {"video_id": sha256[:16], "sha256": sha256, "original_name": f"{number}.mp4", "camera": f"cam-{number % CAMERAS}", "size_bytes": 1}
            | {"recorded_at": START + timedelta(minutes=number), "media_type": "video/mp4", "lane": str(Lane.LIVE), "generation": 1, "updated_at": START}
            | {"object_key": layout.file_key(sha256[:16], layout.RAW_VIDEO, sha256, "mp4"), "state": str(VideoState.READY), "ingested_at": START}
        )
    with db.write() as connection:
        insert_new(connection, videos, rows)
    for row in rows:
        found = [
            Passage(kind="summary", id=str(at), text=sentence(random), start_s=5.0 * at, end_s=5.0 * at + 4, state="supported", classes=["person"] * (at % 2))
            for at in range(PER_VIDEO)
        ]
        vectors = around[random.integers(BASES, size=PER_VIDEO)] + random.normal(0, 0.02, (PER_VIDEO, around.shape[1]))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        digest = model.digest if model else "0" * 64
        search.index(db, row["video_id"], row["sha256"], found, model=digest, vectors=vectors.astype(np.float16).tobytes())


def timed(ask: Callable[[], object]) -> tuple[float, float]:
    """`(wall, cpu)` milliseconds of one question."""
    wall, cpu = time.perf_counter(), time.process_time()
    ask()
    return (time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3


def rows(passages: int = 100_000, rounds: int = 5, *, database: str = "", model: Path | None = None, keep: Path | None = None) -> list[str]:
    """Measured; lines of a table. `keep` is a home that is filled if it is empty, and stays."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=keep or Path(folder), search=SearchSettings(model=model), database=DatabaseSettings(url=SecretStr(database)))
        found = sentence_model.find(settings)
        with open_platform(settings) as platform:
            at = Search(settings, platform.db, Catalog(settings, platform.db, platform.store))
            table = []
            if not search.indexed(platform.db):
                wall, cpu = timed(lambda: fill(platform.db, passages, found.model))
                each = f"{wall / passages:.2f} ms each ({cpu / passages:.2f} ms CPU)"
                table = [f"| indexing {passages:,} passages of {passages // PER_VIDEO:,} videos | | {each} | one transaction a video |"]
            modes = [Mode.WORDS, Mode.MEANING, Mode.BOTH] if found.model else [Mode.WORDS]
            if found.model:
                wall, cpu = timed(lambda: at.find("person", mode=Mode.MEANING))
                table.append(f"| first question by meaning | | {wall:.0f} ms ({cpu:.0f} ms CPU) | model and vectors are read |")
            else:
                table.append(f"| by meaning | | not measured | {found.reason} |")
            for name, (question, filters) in QUESTIONS.items():
                for mode in modes:
                    hits = at.find(question, filters, mode=mode).hits
                    took = [timed(lambda q=question, f=filters, m=mode: at.find(q, f, mode=m)) for _ in range(rounds)]
                    walls, cpus = zip(*took, strict=True)
                    figures = f"{statistics.median(walls):.0f} ms (slowest {max(walls):.0f}, CPU {statistics.median(cpus):.0f})"
                    bound = "<= 200 ms" if mode is Mode.WORDS else ""
                    table.append(f"| {name}, {mode} | {bound} | {figures} | {len(hits)} hits |")
    return table


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--database", default="", help="URL of an empty PostgreSQL database; SQLite otherwise")
    parser.add_argument("--model", type=Path, help="folder of the sentence model")
    parser.add_argument("--keep", type=Path, help="a home that is filled if it is empty, and kept for the next time")
    given = parser.parse_args()
    print("| what | bound | measured | how |\n|---|---|---|---|")
    print("\n".join(rows(given.passages, given.rounds, database=given.database, model=given.model, keep=given.keep)))


if __name__ == "__main__":
    main()
