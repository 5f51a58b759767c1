"""What words, meaning and both find in what is said in 24 clips: recall at 10 over questions that were written beforehand (narration.yaml).

    python -m benchmarks.search_recall [--model FOLDER] [--spoken]

A question's recall is the share of its right segments among the first ten hits. The texts are those of the file, as a perfect transcript would have them.
With --spoken they are also said by espeak-ng and listened to by whisper-tiny.en: what is searched then is what a transcript has of them, with its mistakes
and its own cuts, and a hit counts as the segment during which the middle of its passage was said.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path

import numpy as np
import yaml

from benchmarks import spoken
from benchmarks.speech import Bench, Listened, word_error_rate
from video_platform import layout, sentence_model
from video_platform.analysis import passages, speech
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
"""What a segment is taken to last where nobody says it."""

PAUSE_S = 0.5
"""Between two segments that are said, as between sentences."""

KINDS = ("same", "forms", "other")
NOW = datetime(2026, 11, 23, tzinfo=UTC)


@dataclass(frozen=True)
class Clip:
    """What search knows of a clip: its passages; and when each segment of the narration begins in it, in seconds."""

    passages: Sequence[Passage]
    starts_s: Sequence[float]

    def segment(self, start_s: float, end_s: float) -> int:
        """The segment during which, or in the pause after which, the middle of a span lies."""
        return max(0, int(np.searchsorted(self.starts_s, (start_s + end_s) / 2, side="right")) - 1)


Clips = Mapping[str, Clip]


def written(segments: Sequence[str]) -> Clip:
    """A clip as a perfect transcript has it: one passage a segment."""
    starts_s = [SEGMENT_S * at for at in range(len(segments))]
    found = [
        Passage(kind="transcript", id=str(at), text=text, start_s=start_s, end_s=start_s + SEGMENT_S, state="spoken")
        for at, (text, start_s) in enumerate(zip(segments, starts_s, strict=True))
    ]
    return Clip(found, starts_s)


def listened(bench: Bench, segments: Sequence[str]) -> tuple[Clip, Listened]:
    """A clip as it is heard when its segments are said one after the other, and what came of listening; passages as `search_index` has them of a transcript."""
    pieces = [np.concatenate([spoken.say(text), spoken.silence(PAUSE_S)]) for text in segments]
    starts_s = [at / spoken.RATE for at in accumulate((len(piece) for piece in pieces[:-1]), initial=0)]
    heard = bench.hear(np.concatenate(pieces), " ".join(segments))
    found = passages.collect([speech.passages(heard.transcript, heard.sound_s)], [])
    return Clip(found.passages, starts_s), heard


def fill(db: Database, clips: Clips, model: sentence_model.SentenceModel | None) -> dict[str, str]:
    """Every clip as a video; video id -> name."""
    encoder, names = Encoder(model.folder) if model else None, {}
    for number, (name, clip) in enumerate(clips.items()):
        sha256 = f"{number:016x}{0:048x}"
        row = {"video_id": sha256[:16], "sha256": sha256, "original_name": f"{name}.mp4", "camera": "default", "size_bytes": 1, "media_type": "video/mp4"}
        row |= {"object_key": layout.file_key(sha256[:16], layout.RAW_VIDEO, sha256, "mp4"), "state": str(VideoState.READY), "lane": str(Lane.LIVE)}
        with db.write() as connection:
            insert_new(connection, videos, [row | {"generation": 1, "ingested_at": NOW, "updated_at": NOW}])
        vectors = encoder.encode([each.text for each in clip.passages]).astype(np.float16).tobytes() if encoder else None
        search.index(db, sha256[:16], sha256, clip.passages, model=model.digest if model else None, vectors=vectors)
        names[sha256[:16]] = name
    return names


Result = tuple[dict, float, list[str]]


def recalls(at: Search, clips: Clips, names: Mapping[str, str], questions: Sequence[dict], mode: Mode) -> list[Result]:
    """Each question with its recall and the segments that came first."""
    found = []
    for question in questions:
        hits = []
        for hit in at.find(question["ask"], limit=FIRST, mode=mode).hits:
            name = names[hit.video.video_id]
            hits.append(f"{name}/{clips[name].segment(hit.passage.start_s, hit.passage.end_s)}")
        found.append((question, len(set(hits).intersection(question["right"])) / len(question["right"]), hits))
    return found


def measured(clips: Clips, questions: Sequence[dict], model: Path | None) -> dict[Mode, list[Result]]:
    """The results of every mode that can be had, in a home of its own."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder), search=SearchSettings(model=model))
        found = sentence_model.find(settings)
        with open_platform(settings) as platform:
            names = fill(platform.db, clips, found.model)
            at = Search(settings, platform.db, Catalog(settings, platform.db, platform.store))
            modes = list(Mode) if found.model else [Mode.WORDS]
            return {mode: recalls(at, clips, names, questions, mode) for mode in modes}


def show(name: str, results: Mapping[Mode, Sequence[Result]]) -> None:
    """A row of the table for each mode."""
    for mode, each in results.items():
        of_kind = [[recall for question, recall, _ in each if question["kind"] == kind] for kind in KINDS]
        first = np.mean([bool(hits) and hits[0] in question["right"] for question, _, hits in each])
        shown = " | ".join(f"{np.mean(recalled):.2f} ({len(recalled)})" for recalled in of_kind)
        print(f"| {name}: {mode} | {np.mean([recall for _, recall, _ in each]):.2f} | {shown} | {first:.2f} |", flush=True)


def heard_clips(narration: Mapping[str, Sequence[str]]) -> Clips:
    """All clips as they are heard; prints how well."""
    if spoken.espeak() is None:
        raise SystemExit("espeak-ng speaks the texts: scripts/install_speech.sh")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        both = {name: listened(bench, segments) for name, segments in narration.items()}
    clips, heard = {name: clip for name, (clip, _) in both.items()}, [each for _, each in both.values()]
    states = sorted({each.transcript.state for each in heard})
    found, said = sum(len(clip.passages) for clip in clips.values()), sum(len(segments) for segments in narration.values())
    whole = sum(len(clip.passages) == len(clip.starts_s) for clip in clips.values())
    print(f"heard: {found} passages of {said} segments, as many as were said in {whole} of {len(clips)} clips; ", end="")
    print(f"word error rate {word_error_rate(heard):.3f}; states {', '.join(states)}\n", flush=True)
    return clips


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="folder of the sentence model")
    parser.add_argument("--spoken", action="store_true", help="also over what whisper-tiny.en hears when the clips are said")
    given = parser.parse_args()
    narration = yaml.safe_load(NARRATION.read_text())
    kept = {"as written": {name: written(segments) for name, segments in narration["clips"].items()}}
    if given.spoken:
        kept["as heard"] = heard_clips(narration["clips"])
    results = {name: measured(clips, narration["questions"], given.model) for name, clips in kept.items()}
    print(f"| recall at {FIRST} | all ({len(narration['questions'])}) | {' | '.join(KINDS)} | first hit right |\n|---|---|---|---|---|---|")
    for name, of_modes in results.items():
        show(name, of_modes)
    for name, of_modes in results.items():
        for mode, each in of_modes.items():
            missed = [question["ask"] for question, recall, _ in each if recall < 1]
            print(f"\n{name}, {mode} does not find all of: {'; '.join(missed) or 'nothing is missed'}")


if __name__ == "__main__":
    main()
