"""Speech of known words over real footage: espeak-ng says them, the sound is put under the sample clip. Also for tests."""

import io
import re
import shutil
import subprocess
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

SAMPLE = Path(__file__).resolve().parents[1] / "samples" / "crossing.mp4"
RATE = 22_050
WORDS_PER_MINUTE = 150


def espeak() -> str | None:
    """The program, None where it is not installed (scripts/install_speech.sh)."""
    return shutil.which("espeak-ng")


def say(text: str, voice: str = "en-us") -> NDArray[np.int16]:
    """Samples, 22,050 a second."""
    program = espeak()
    assert program is not None
    said = subprocess.run([program, "-v", voice, "-s", str(WORDS_PER_MINUTE), "--stdout", text], capture_output=True, check=True).stdout
    with av.open(io.BytesIO(said)) as container:
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])


def silence(seconds: float) -> NDArray[np.int16]:
    """Samples of nothing."""
    return np.zeros(round(seconds * RATE), np.int16)


def over_footage(path: Path, sound: NDArray[np.int16] | None, *, footage: Path = SAMPLE) -> Path:
    """The pictures of real footage, over and over as long as the sound lasts (once without), and the sound under them as AAC; an MP4."""
    with av.open(str(path), "w") as output, av.open(str(footage)) as source:
        pictures = output.add_stream_from_template(source.streams.video[0])
        spoken = output.add_stream("aac", rate=RATE, layout="mono") if sound is not None else None
        wanted_s = len(sound) / RATE if sound is not None else 0.0
        shift, end_s = 0, 0.0
        while not shift or end_s < wanted_s:
            source.seek(0)
            last = 0
            for packet in source.demux(video=0):
                if packet.dts is None or packet.pts is None or packet.time_base is None:
                    continue
                packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, pictures
                last, end_s = max(last, packet.pts + (packet.duration or 0)), float((packet.pts + (packet.duration or 0)) * packet.time_base)
                output.mux(packet)
            shift = last
        if spoken is not None and sound is not None:
            for start in range(0, len(sound), 1024):
                frame = av.AudioFrame.from_ndarray(sound[None, start : start + 1024], format="s16", layout="mono")
                frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
                output.mux(spoken.encode(frame))
            output.mux(spoken.encode(None))
    return path


def words(text: str) -> list[str]:
    """Words as they are compared: lower case, without punctuation."""
    return re.findall(r"[a-z0-9äöüß']+", text.lower().replace("’", "'"))


def word_errors(said: Sequence[str], heard: Sequence[str]) -> int:
    """The least number of words put in, left out or exchanged that makes one of the other (Levenshtein 1966)."""
    row = list(range(len(heard) + 1))
    for number, word in enumerate(said, 1):
        before, row[0] = row[0], number
        for at, other in enumerate(heard, 1):
            before, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, before + (word != other))
    return row[-1]
