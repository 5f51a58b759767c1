"""What is said in a video: sound on the picture's clock, voice detection, Whisper through faster-whisper, and the judgement whether it understood.

Run it in the child process (`tasks.transcript`): the sound is hostile. One window after the other, without the text of the one before, without sampling
(temperature 0): the same sound gives the same text, and a mistake does not spread.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from video_platform import extras
from video_platform.analysis import media, speech_judging, speech_windows
from video_platform.analysis.detect_torch import NOT_THE_FILES, require_files
from video_platform.analysis.media import Limits, OpenVideo
from video_platform.analysis.passages import plain
from video_platform.analysis.sound import Sound, is_usable
from video_platform.analysis.speech_judging import Heard
from video_platform.analysis.speech_windows import RATE, Window
from video_platform.analysis.subtitles import vtt
from video_platform.errors import IntegrityError, MediaError, SettingsError
from video_platform.records import Passage, SpeechSegment, SpokenWord, Transcript

BEAMS = 5
"""Texts that are followed at once, as Whisper's authors do; docs/speech.md has what one alone costs in words."""

MAX_TOKENS = 224
"""Of one window; as Whisper's authors have it. Thirty seconds of fast speech have 200, a model that goes in circles writes until it is stopped."""

NO_SOUND = "it has no sound that can be read"

Progress = Callable[[float, str], None]


class Listener:
    """A Whisper model in memory, in the files of CTranslate2: int8 on one thread, as all analysis."""

    def __init__(self, folder: Path, name: str) -> None:
        """Load the model in `folder`.

        Raises:
            SettingsError: faster-whisper is not installed. IntegrityError: the model cannot be loaded.
        """
        try:
            from faster_whisper import WhisperModel
        except ImportError as error:
            raise SettingsError(f"{name} runs on faster-whisper, which is not installed: {extras.install('speech')}", extra="speech") from error
        try:
            self._model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True)
        except (RuntimeError, ValueError, OSError) as error:
            if any(text in str(error) for text in NOT_THE_FILES):
                raise MemoryError(str(error)) from error
            raise IntegrityError(f"{name} cannot be loaded: {' '.join(str(error).split())[:300]}", model=name) from error
        self.only_language = None if self._model.model.is_multilingual else "en"

    def hear(self, window: Window, *, beams: int = BEAMS) -> Heard:
        """What is said in one window."""
        found, info = self._model.transcribe(
            window.samples,
            language=self.only_language,
            beam_size=beams,
            temperature=0.0,
            word_timestamps=True,
            condition_on_previous_text=False,
            max_new_tokens=MAX_TOKENS,
        )
        segments = list(found)
        tokens = [max(1, len(each.tokens)) for each in segments]
        return Heard(
            window.voice_s,
            float(np.average([each.avg_logprob for each in segments], weights=tokens)) if segments else float("-inf"),
            max((float(each.compression_ratio) for each in segments), default=0.0),
            [spoken for each in segments if (spoken := _segment(each, window.start_s)) is not None],
            None if self.only_language else info.language,
            None if self.only_language else round(float(info.language_probability), 3),
        )


def transcribe(path: Path, out_dir: Path, model: Mapping[str, Any], limits: Limits, *, on_progress: Progress) -> dict[str, Any]:
    """Write `transcript.json` and, where somebody is understood, `subtitles.vtt` of the video in `path`; `model` is `{name, folder, files}`.

    Returns `{transcript, subtitles | None, voice_s, understood_s, notes, errors, windows}`: paths, seconds of voice, packets of sound that were damaged, and by
    what each window was judged.

    Raises:
        MediaError: the file cannot be opened, or lasts too long. IntegrityError: a file of the model has not its hash, or it cannot be loaded.
    """
    folder = Path(model["folder"])
    require_files(folder, model["files"])
    with media.open_video(path, limits) as video:
        if not is_usable(video.audio):
            return _written(out_dir, speech_judging.Judged(Transcript(state="no_audio", reason=NO_SOUND), 0.0, 0.0), 0)
        heard: list[Heard] = []
        listener = None
        sounding = Sounding(video, limits)
        for window in speech_windows.windows(sounding, speech_windows.silero()):
            listener = listener or Listener(folder, model["name"])
            heard.append(listener.hear(window))
            on_progress(sounding.position, f"{window.start_s:.0f} s, {heard[-1].words} words")
        if not sounding.samples:
            return _written(out_dir, speech_judging.Judged(Transcript(state="no_audio", reason=NO_SOUND), 0.0, 0.0), sounding.errors)
        return _written(out_dir, speech_judging.judge(heard, listener.only_language if listener else None), sounding.errors)


def passages(transcript: Transcript, duration_s: float | None) -> list[Passage]:
    """What search finds of it: a passage per segment, within the `duration_s` of the pictures where that is known."""
    end_s = duration_s if duration_s else float("inf")
    return [
        Passage(kind="transcript", id=each.id, text=each.text, start_s=min(each.start_s, end_s), end_s=min(each.end_s, end_s), state=transcript.state)
        for each in transcript.segments
    ]


class Sounding:
    """The sound of an open video as mono samples at `RATE`, from its first frame on; iterate once."""

    def __init__(self, video: OpenVideo, limits: Limits) -> None:
        assert video.audio is not None
        self._video, self._limits = video, limits
        self._sound = Sound(video.audio, rate=RATE, layout="mono", origin_s=video.first_pts * video.time_base)
        self._sound.reached(min(video.probe.duration_s or limits.max_duration_s, limits.max_duration_s))
        self.samples = 0

    @property
    def errors(self) -> int:
        """Packets that could not be decoded."""
        return self._sound.errors

    @property
    def position(self) -> float:
        """How much of the file's bytes have been read, 0-1."""
        return min(1.0, self._video.file.position / max(1, self._video.size_bytes))

    def __iter__(self) -> "Iterator[speech_windows.Sound]":
        """Pieces, (samples,) float32.

        Raises:
            MediaError: `too_large` past the limits.
        """
        assert self._video.audio is not None
        for packet in media.packets(self._video.container, [self._video.audio]):
            if packet.size:
                yield from self._counted(self._sound.samples(packet))
        yield from self._counted(self._sound.rest())

    def _counted(self, blocks: "Iterator[speech_windows.Sound]") -> "Iterator[speech_windows.Sound]":
        for block in blocks:
            self.samples += block.shape[1]
            if self.samples > self._limits.max_duration_s * RATE:
                raise MediaError("too_large", f"Its sound lasts longer than {self._limits.max_duration_s:.0f} s.")
            yield block[0]


def _segment(found: Any, window_s: float) -> SpeechSegment | None:
    """A segment of faster-whisper on the clock of the video, its text cleaned; None without words."""
    words = [
        SpokenWord(
            text=text, start_s=round(window_s + float(word.start), 3), end_s=round(window_s + float(word.end), 3), probability=round(float(word.probability), 3)
        )
        for word in found.words or ()
        if (text := plain(word.word))
    ]
    text = plain(found.text)
    if not text or not words:
        return None
    return SpeechSegment(id="", text=text, start_s=words[0].start_s, end_s=max(word.end_s for word in words), words=words)


def _written(out_dir: Path, judged: speech_judging.Judged, errors: int) -> dict[str, Any]:
    transcript = out_dir / "transcript.json"
    transcript.write_text(judged.transcript.model_dump_json())
    subtitles = None
    if judged.transcript.segments:
        subtitles = out_dir / "subtitles.vtt"
        subtitles.write_text(vtt(judged.transcript.segments))
    return {
        "transcript": str(transcript),
        "subtitles": str(subtitles) if subtitles else None,
        "voice_s": round(judged.voice_s, 2),
        "understood_s": round(judged.understood_s, 2),
        "notes": judged.notes,
        "errors": errors,
        "windows": [each.figures for each in judged.heard],
    }
