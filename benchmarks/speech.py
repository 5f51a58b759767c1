"""What listening costs, how many words it mistakes, and what it says to languages that the model does not know: whisper-tiny.en over spoken narration.

    python -m benchmarks.speech [--clips N]

espeak-ng speaks the 24 clips of narration.yaml, every sentence of them alone, and other_languages.yaml; the sound lies under the sample's pictures, and each
clip goes through the child process as in a run. Word errors are counted over lower-case words without punctuation, over all clips together.
"""

import argparse
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from benchmarks import spoken
from video_platform import model_registry, speech_model
from video_platform.analysis import worker
from video_platform.analysis.speech_judging import MOST_COMPRESSION
from video_platform.budgets import speech_budget
from video_platform.records import Transcript
from video_platform.services import model_downloads
from video_platform.settings import Settings
from video_platform.speech_model import SpeechModel

HERE = Path(__file__).parent
SHORT_CLIPS = 8
"""Clips whose sentences are also spoken alone."""

SHOUTS = {
    "en-us": ("Fire!", "Help!", "Help me!", "Stop!", "Call the police!", "Watch out!", "He has a knife!", "Get out of here!"),
    "de": ("Feuer!", "Hilfe!", "Hilf mir!", "Halt!", "Rufen Sie die Polizei!", "Pass auf!", "Er hat ein Messer!", "Raus hier!"),
}


@dataclass(frozen=True)
class Listened:
    """One clip: what was said, what was made of it, and what the child says of its cost."""

    said: str
    transcript: Transcript
    sound_s: float
    windows: list[dict[str, Any]]
    cost: dict[str, float]


class Bench:
    """Speaks and listens in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = Settings(home=folder)
        registry = model_registry.of(self.settings)
        model_downloads.pull(self.settings, registry, registry.entries[speech_model.DEFAULT])
        found = speech_model.find(self.settings)
        if found.model is None:
            raise SystemExit(found.reason)
        self.model: SpeechModel = found.model

    def listen(self, text: str, voice: str) -> Listened:
        """One text, spoken over the sample's pictures."""
        return self.hear(spoken.say(text, voice), text)

    def hear(self, sound: NDArray[np.int16], text: str) -> Listened:
        """Sound in which `text` is said, as `spoken.say` gives it, under the sample's pictures."""
        clip = spoken.over_footage(self.folder / "clip.mp4", sound)
        payload = {"path": str(clip), "out_dir": str(self.folder), "model": self.model.payload()}
        found = worker.run("transcript", payload, limits=speech_budget(self.settings, len(sound) / spoken.RATE, self.model))
        transcript = Transcript.model_validate_json(Path(found["transcript"]).read_text())
        return Listened(text, transcript, len(sound) / spoken.RATE, found["windows"], found["cost"])


def row(name: str, heard: Sequence[Listened], *, errors: bool) -> str:
    """One line of the table."""
    windows = [window for each in heard for window in each.windows]
    straight = [window["probability"] for window in windows if window["compression"] <= MOST_COMPRESSION and window["words"]]
    circles = sum(window["compression"] > MOST_COMPRESSION for window in windows)
    states = [each.transcript.state for each in heard]
    spread = f"{min(straight):.2f}–{max(straight):.2f}" if straight else "–"
    sound_s, wall_s, cpu_s = (sum(each) for each in zip(*((one.sound_s, one.cost["wall_s"], one.cost["cpu_s"]) for one in heard), strict=True))
    peak = max(each.cost["peak_bytes"] for each in heard) / 2**20
    wrong = f"{word_error_rate(heard):.3f}" if errors else "–"
    counted = f"{states.count('spoken')} | {states.count('unknown_language')} | {states.count('no_speech')}"
    return f"| {name} | {len(heard)} | {counted} | {wrong} | {spread} | {circles} | {sound_s / wall_s:.1f} | {sound_s / cpu_s:.1f} | {peak:.0f} |"


def word_error_rate(heard: Sequence[Listened]) -> float:
    """Errors over words, of all clips; one of which nothing is kept has all its words wrong."""
    pairs = [(spoken.words(each.said), spoken.words(" ".join(segment.text for segment in each.transcript.segments))) for each in heard]
    return sum(spoken.word_errors(*pair) for pair in pairs) / sum(len(said) for said, _ in pairs)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=24, help="of the 24 of narration.yaml")
    given = parser.parse_args()
    if spoken.espeak() is None:
        raise SystemExit("espeak-ng speaks the texts: scripts/install_speech.sh")
    clips = list(yaml.safe_load((HERE / "narration.yaml").read_text())["clips"].values())[: given.clips]
    others = yaml.safe_load((HERE / "other_languages.yaml").read_text())
    print("| what is said | clips | spoken | unknown | no speech | WER | word probability | in circles | x real time | x real time, cpu | peak MB |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        print(row("English, five sentences", [bench.listen(" ".join(clip), "en-us") for clip in clips], errors=True), flush=True)
        print(row("German", [bench.listen(text, "de") for text in others["de"]], errors=False), flush=True)
        rest = [bench.listen(text, language) for language, texts in others.items() if language != "de" for text in texts]
        print(row(f"{len(others) - 1} other languages", rest, errors=False), flush=True)
        sentences = [sentence for clip in clips[:SHORT_CLIPS] for sentence in clip]
        print(row("English, a sentence", [bench.listen(text, "en-us") for text in sentences], errors=True), flush=True)
        german = [sentence for text in others["de"] for sentence in re.split(r"(?<=[.!])\s", text)]
        print(row("German, a sentence", [bench.listen(text, "de") for text in german], errors=False), flush=True)
        for voice, shouts in SHOUTS.items():
            print(row(f"shouts, {voice}", [bench.listen(text, voice) for text in shouts], errors=voice != "de"), flush=True)


if __name__ == "__main__":
    main()
