"""What becomes of 50 true and 50 false sentences about known videos, written before the check of claims (tests/analysis/claims.yaml).

python -m benchmarks.claims
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from video_platform.analysis.summary_claims import beyond, judge
from video_platform.analysis.summary_facts import Facts, gather
from video_platform.records import Caption, Captions, Scene, SpeechSegment, TrackLine, TrackSheet, Transcript

CLAIMS = Path(__file__).resolve().parent.parent / "tests" / "analysis" / "claims.yaml"
SAMPLES_PER_S = 5
STATES = ("supported", "contradicted", "not_checkable")


@dataclass(frozen=True)
class Claim:
    """One sentence with what is right about it."""

    video: str
    true: bool
    kind: str
    text: str
    references: list[str]


def claims() -> list[Claim]:
    """All sentences, the true ones first."""
    written = yaml.safe_load(CLAIMS.read_text())
    return [
        Claim(video, truth == "true", each["kind"], each["text"], each["references"])
        for truth in ("true", "false")
        for video, sentences in written[truth].items()
        for each in sentences
    ]


def videos() -> dict[str, Facts]:
    """The facts of each video by its name."""
    return {name: _facts(video) for name, video in yaml.safe_load(CLAIMS.read_text())["videos"].items()}


def judged() -> Iterator[tuple[Claim, str, str]]:
    """Each sentence with its state, and for one that is not checkable why."""
    facts = videos()
    for claim in claims():
        state = judge(claim.text, claim.references, facts[claim.video]).state
        yield claim, state, _why(claim, facts[claim.video]) if state == "not_checkable" else ""


def _why(claim: Claim, facts: Facts) -> str:
    if '"' in claim.text:
        return "says who speaks"
    words = "not understood: " + ", ".join(beyond(claim.text, facts))
    return words + ("; no clause of its caption" if any(each.startswith("caption") for each in claim.references) else "")


def _facts(video: dict[str, Any]) -> Facts:
    return gather(
        TrackSheet(sample_rate=SAMPLES_PER_S, samples=video["duration_s"] * SAMPLES_PER_S, tracks=[_line(track) for track in video["tracks"]]),
        [Scene(number, *span) for number, span in enumerate(video["scenes"])],
        duration_s=video["duration_s"],
        names=video["names"],
        captions=Captions(state="described", captions=[Caption(digest="", **each) for each in video["captions"]]),
        transcript=Transcript(state="spoken" if video["transcript"] else "no_speech", segments=[SpeechSegment(**each) for each in video["transcript"]]),
    )


def _line(track: dict[str, Any]) -> TrackLine:
    """A straight walk, sampled as the pass would."""
    steps = int((track["end_s"] - track["start_s"]) * SAMPLES_PER_S)
    shares = [step / steps for step in range(steps + 1)]
    (x_from, y_from), (x_to, y_to) = track["from"], track["to"]
    feet = [(x_from + (x_to - x_from) * share, y_from + (y_to - y_from) * share) for share in shares]
    return TrackLine(
        id=track["id"],
        class_name=track["class"],
        score=0.8,
        start_s=track["start_s"],
        end_s=track["end_s"],
        times_s=[track["start_s"] + (track["end_s"] - track["start_s"]) * share for share in shares],
        boxes=[(x - 0.03, y - 0.2, x + 0.03, y) for x, y in feet],
    )


def main() -> None:
    """Print both tables."""
    rows = list(judged())
    counted = Counter((claim.true, state) for claim, state, _ in rows)
    print(f"| sentences | {' | '.join(STATES)} |\n|---|---|---|---|")
    for true in (True, False):
        print(
            f"| {sum(claim.true == true for claim, _, _ in rows)} {'true' if true else 'false'} | {' | '.join(str(counted[true, state]) for state in STATES)} |"
        )
    print("\n| not checkable | kind | sentence | why |\n|---|---|---|---|")
    for claim, state, why in rows:
        if state == "not_checkable":
            print(f"| {'true' if claim.true else 'false'} | {claim.kind} | {claim.text} | {why} |")


if __name__ == "__main__":
    main()
