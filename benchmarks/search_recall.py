"""What words, meaning and both find in what is said in 24 clips: recall at 10 over questions that were written beforehand (narration.yaml).

    python -m benchmarks.search_recall [--model FOLDER]

A question's recall is the share of its right segments among the first ten hits. The texts are those of the file, as a perfect transcript would have them.
"""

import argparse
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import yaml

from video_platform import layout, sentence_model
from video_platform.analysis.sentence_vectors import Encoder
from video_platform.catalog import Catalog
from video_platform.platform import open_platform
from video_platform.records import Lane, Passage, VideoState
from video_platform.search import Mode, Search
from video_platform.services.database import Database, search
from video_platform.services.database.engine import insert_new
from video_platform.services.database.tables import videos
from video_platform.settings import SearchSettings, Settings

NARRATION = Path(__file__).parent / "narration.yaml"
FIRST = 10
SEGMENT_S = 4.0
NOW = datetime(2026, 11, 23, tzinfo=UTC)


def fill(db: Database, clips: dict[str, Sequence[str]], model: sentence_model.SentenceModel | None) -> dict[str, str]:
    """Every clip as a video; video id -> name."""
    encoder, names = Encoder(model.folder) if model else None, {}
    for number, (name, segments) in enumerate(clips.items()):
        sha256 = f"{number:016x}{0:048x}"
        row = {"video_id": sha256[:16], "sha256": sha256, "original_name": f"{name}.mp4", "camera": "default", "size_bytes": 1, "media_type": "video/mp4"}
        row |= {"object_key": layout.file_key(sha256[:16], layout.RAW_VIDEO, sha256, "mp4"), "state": str(VideoState.READY), "lane": str(Lane.LIVE)}
        with db.write() as connection:
            insert_new(connection, videos, [row | {"generation": 1, "ingested_at": NOW, "updated_at": NOW}])
        found = [
            Passage(kind="transcript", id=str(at), text=text, start_s=SEGMENT_S * at, end_s=SEGMENT_S * (at + 1), state="supported")
            for at, text in enumerate(segments)
        ]
        vectors = encoder.encode(segments).astype(np.float16).tobytes() if encoder else None
        search.index(db, sha256[:16], sha256, found, model=model.digest if model else None, vectors=vectors)
        names[sha256[:16]] = name
    return names


def recalls(at: Search, names: dict[str, str], questions: Sequence[dict], mode: Mode) -> list[tuple[dict, float, list[str]]]:
    """Each question with its recall and what came first."""
    found = []
    for question in questions:
        hits = [f"{names[hit.video.video_id]}/{hit.passage.passage_id}" for hit in at.find(question["ask"], limit=FIRST, mode=mode).hits]
        found.append((question, len(set(hits).intersection(question["right"])) / len(question["right"]), hits))
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="folder of the sentence model")
    given = parser.parse_args()
    narration = yaml.safe_load(NARRATION.read_text())
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder), search=SearchSettings(model=given.model))
        found = sentence_model.find(settings.search)
        with open_platform(settings) as platform:
            names = fill(platform.db, narration["clips"], found.model)
            at = Search(settings, platform.db, Catalog(settings, platform.db, platform.store))
            modes = list(Mode) if found.model else [Mode.WORDS]
            measured = {mode: recalls(at, names, narration["questions"], mode) for mode in modes}
    kinds = ["same", "forms", "other"]
    print(f"| recall at {FIRST} | all ({len(narration['questions'])}) | {' | '.join(kinds)} | first hit right |\n|---|---|---|---|---|---|")
    for mode, results in measured.items():
        of_kind = [[recall for question, recall, _ in results if question["kind"] == kind] for kind in kinds]
        first = np.mean([bool(hits) and hits[0] in question["right"] for question, _, hits in results])
        shown = " | ".join(f"{np.mean(each):.2f} ({len(each)})" for each in of_kind)
        print(f"| {mode} | {np.mean([recall for _, recall, _ in results]):.2f} | {shown} | {first:.2f} |")
    for mode, results in measured.items():
        missed = [question["ask"] for question, recall, _ in results if recall < 1]
        print(f"\n{mode} does not find all of: {'; '.join(missed) or 'nothing is missed'}")


if __name__ == "__main__":
    main()
