"""Listening through the real loading code: known words over real footage, by the child process."""

import json
from itertools import pairwise
from pathlib import Path

import clips
import numpy as np
import pytest
from spoken_model import ENGLISH, GERMAN, pulled, said

from benchmarks import spoken
from video_platform import speech_model
from video_platform.analysis import media, worker
from video_platform.analysis.media import Limits
from video_platform.analysis.speech import Sounding, passages, transcribe
from video_platform.analysis.speech_windows import RATE
from video_platform.budgets import speech_budget
from video_platform.errors import IntegrityError, MediaError, WorkerBudgetExceeded
from video_platform.records import SpeechSegment, Transcript
from video_platform.settings import ModelSettings, Settings

MOST_WORD_ERRORS = 0.25
"""tiny.en makes about one mistake in ten words of espeak-ng (benchmarks/speech.py); much more than that is a mistake of ours."""

speech = pytest.mark.speech


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> Path:
    return pulled(tmp_path_factory.mktemp("speech-models"))


def listen(models: Path, clip: Path, out: Path, **changed) -> tuple[Transcript, dict]:
    settings = Settings(home=out, models=ModelSettings(folder=models))
    model = speech_model.find(settings).model
    assert model is not None
    payload = {"path": str(clip), "out_dir": str(out), "model": model.payload(), **changed}
    found = worker.run("transcript", payload, limits=speech_budget(settings, 60.0, model))
    return Transcript.model_validate_json(Path(found["transcript"]).read_text()), found


@speech
def test_known_words_over_real_footage(models, tmp_path):
    sound = np.concatenate([spoken.silence(4), said(ENGLISH), spoken.silence(3), said("Watch out for the red car.")])
    transcript, found = listen(models, spoken.over_footage(tmp_path / "clip.mp4", sound), tmp_path)
    assert transcript.state == "spoken"
    assert (transcript.language, transcript.language_probability) == ("en", None)
    known = spoken.words(f"{ENGLISH} Watch out for the red car.")
    heard = [word for segment in transcript.segments for word in spoken.words(segment.text)]
    assert spoken.word_errors(known, heard) / len(known) <= MOST_WORD_ERRORS
    every = [word for segment in transcript.segments for word in segment.words]
    assert every[0].start_s == pytest.approx(4.0, abs=0.5)
    assert [word.start_s for word in every] == sorted(word.start_s for word in every)
    (fire,) = [word for word in every if word.text.lower().startswith("fire")]
    assert 4.3 < fire.start_s < fire.end_s < 5.8  # the fifth word of the first sentence
    (last,) = [segment for segment in transcript.segments if "red car" in segment.text]
    assert last.start_s == pytest.approx(4 + len(said(ENGLISH)) / spoken.RATE + 3, abs=0.7)
    assert "-->" in Path(found["subtitles"]).read_text()
    assert found["cost"]["peak_bytes"] < 700 * 2**20


@speech
def test_german_is_marked_and_no_text_is_invented(models, tmp_path):
    transcript, found = listen(models, spoken.over_footage(tmp_path / "clip.mp4", said(GERMAN, "de")), tmp_path)
    assert transcript.state == "unknown_language"
    assert transcript.segments == []
    assert "knows English only" in (transcript.reason or "")
    assert found["subtitles"] is None
    assert passages(transcript, 20.0) == []


@speech
def test_a_german_sentence_between_english_ones_is_left_out(models, tmp_path):
    sound = np.concatenate([said(ENGLISH), spoken.silence(5), said(GERMAN, "de"), spoken.silence(5), said(ENGLISH)])
    transcript, found = listen(models, spoken.over_footage(tmp_path / "clip.mp4", sound), tmp_path)
    assert transcript.state == "spoken"
    begins, ends = (len(said(ENGLISH)) / spoken.RATE + 5, (len(said(ENGLISH)) + len(said(GERMAN, "de"))) / spoken.RATE + 5)
    assert not [segment for segment in transcript.segments if begins < (segment.start_s + segment.end_s) / 2 < ends]
    assert found["notes"] == [transcript.reason]


@speech
def test_music_and_silence_are_no_speech(models, tmp_path):
    at = np.arange(10 * spoken.RATE) / spoken.RATE
    tones = sum(np.sin(2 * np.pi * 220 * 2 ** (number / 12) * at) * (at % 2 > number / 4) for number in (0, 4, 7))
    transcript, _ = listen(models, spoken.over_footage(tmp_path / "clip.mp4", (tones * 6000).astype(np.int16)), tmp_path)
    assert transcript.state == "no_speech"
    transcript, _ = listen(models, spoken.over_footage(tmp_path / "quiet.mp4", spoken.silence(5)), tmp_path)
    assert transcript.state == "no_speech"


@speech
def test_the_same_sound_gives_the_same_text(models, tmp_path):
    clip = spoken.over_footage(tmp_path / "clip.mp4", said("Please call for help."))
    assert listen(models, clip, tmp_path)[0] == listen(models, clip, tmp_path)[0]


@speech
def test_a_model_whose_file_was_changed_is_not_loaded(models, tmp_path):
    clip = spoken.over_footage(tmp_path / "clip.mp4", said("Please call for help."))
    wrong = {**speech_model.find(Settings(home=tmp_path, models=ModelSettings(folder=models))).model.payload()}
    wrong["files"] = {**wrong["files"], "model.bin": "0" * 64}
    with pytest.raises(IntegrityError, match=r"model\.bin"):
        listen(models, clip, tmp_path, model=wrong)


@speech
def test_a_child_that_takes_too_much_memory_is_ended(models, tmp_path):
    clip = spoken.over_footage(tmp_path / "clip.mp4", said("Please call for help."))
    model = speech_model.find(Settings(home=tmp_path, models=ModelSettings(folder=models))).model
    payload = {"path": str(clip), "out_dir": str(tmp_path), "model": model.payload()}
    with pytest.raises(WorkerBudgetExceeded):
        worker.run("transcript", payload, limits=worker.Budget(memory_bytes=400 * 2**20, wall_s=120))


def sound_of(path, limits=None):
    with media.open_video(path) as video:
        sounding = Sounding(video, limits or Limits())
        pieces = list(sounding)
    return np.concatenate(pieces), sounding


@pytest.mark.parametrize("starts_s", [0.0, 1.5])
def test_sound_lies_on_the_clock_of_the_pictures(tmp_path, starts_s):
    """Beeps at whole seconds, also where the container's clock does not begin at 0 and the sound begins after the pictures."""
    clip = clips.make(tmp_path / "clip.mp4", frames=120, audio="aac", first_pts_s=5.0, audio_starts_s=starts_s)
    sound, _ = sound_of(clip.path)
    loud = np.abs(sound) > 0.05
    begins = np.flatnonzero(loud[1:] & ~loud[:-1]) / RATE
    groups = [begins[0], *(after for before, after in pairwise(begins) if after - before > 0.5)]
    whole = [second for second in range(4) if second > starts_s or (second == 0 and starts_s == 0)]
    assert groups[: len(whole)] == pytest.approx(whole, abs=0.06)


def test_sound_that_lasts_too_long_is_an_error(tmp_path):
    clip = clips.make(tmp_path / "clip.mp4", frames=90, audio="aac")
    with pytest.raises(MediaError, match="sound lasts longer than 1 s"):
        sound_of(clip.path, Limits(max_duration_s=1.0))


def test_footage_without_sound_says_so_without_any_model(tmp_path):
    clip = clips.make(tmp_path / "clip.mp4", frames=10)
    found = transcribe(clip.path, tmp_path, {"name": "none", "folder": str(tmp_path / "empty"), "files": {}}, Limits(), on_progress=lambda *_: None)
    assert json.loads(Path(found["transcript"]).read_text())["state"] == "no_audio"
    assert found["subtitles"] is None


def test_passages_lie_in_the_pictures():
    transcript = Transcript(state="spoken", language="en", segments=[SpeechSegment(id="0", text="hello", start_s=9.5, end_s=12.0)])
    (passage,) = passages(transcript, 10.0)
    assert (passage.kind, passage.start_s, passage.end_s, passage.state) == ("transcript", 9.5, 10.0, "spoken")
