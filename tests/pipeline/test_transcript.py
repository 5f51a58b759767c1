"""The asset `transcript`: made for every video, with its state; what listens counts in the fingerprint."""

import numpy as np
import pytest
from graphs import made, states
from spoken_model import ENGLISH, GERMAN, pulled, said

from benchmarks import spoken
from video_platform import recipes
from video_platform.catalog import Catalog
from video_platform.layout import ALERTS, CAPTIONS, DESCRIBED_ALERTS, LLM_SUMMARY, RAW_VIDEO, SEARCH_INDEX, SECOND_LOOK, TRANSCRIPT
from video_platform.pipeline.jobs import DESCRIBE_VIDEO
from video_platform.pipeline.made import read_manifest
from video_platform.search import Search
from video_platform.services.database import videos
from video_platform.settings import MediaSettings, ModelSettings, SpeechSettings

speech = pytest.mark.speech


def stored(graph, video_id):
    """`(manifest, transcript, passages)`."""
    with graph.platform() as platform:
        catalog = Catalog(platform.settings, platform.db, platform.store)
        manifest = read_manifest(platform.store, video_id, TRANSCRIPT)
        passages = platform.store.get_bytes(manifest.file("passages").key)
        return manifest, catalog.transcript(video_id), passages


def bring(graph, clip):
    with graph.platform() as platform:
        return platform.ingest.ingest_path(clip, camera="demo").video_id


def test_footage_without_sound_has_a_transcript_that_says_so(processed):
    graph, video_id = processed
    manifest, transcript, passages = stored(graph, video_id)
    assert (transcript.state, transcript.reason) == ("no_audio", "it has no sound that can be read")
    assert (manifest.facts["state"], manifest.facts["reason"]) == (transcript.state, transcript.reason)
    assert manifest.degraded is None
    assert manifest.verdict.passed
    assert manifest.file("subtitles") is None
    assert passages == b"[]"
    with graph.platform() as platform:
        assert TRANSCRIPT in read_manifest(platform.store, video_id, SEARCH_INDEX).inputs


def test_without_a_model_sound_is_not_transcribed_and_a_model_that_is_demanded_is_missed(graph, tmp_path):
    """Nobody listens: with none installed that is how things are; one that the settings name should be there, and is asked for again."""
    graph.settings = graph.settings.model_copy(update={"models": ModelSettings(folder=tmp_path / "none")})
    video_id = bring(graph, spoken.over_footage(tmp_path / "clip.mp4", spoken.silence(2)))
    assert graph.run(video_id, [RAW_VIDEO, TRANSCRIPT]).success
    manifest, transcript, _ = stored(graph, video_id)
    assert transcript.state == "not_transcribed"
    assert "whisper-tiny.en" in transcript.reason
    assert manifest.degraded is None
    assert states(graph.run(video_id, [TRANSCRIPT])) == {TRANSCRIPT: "reused"}
    named = {"speech": SpeechSettings(model="whisper-tiny.en")}
    assert states(graph.run(video_id, [TRANSCRIPT], **named)) == {TRANSCRIPT: "made"}
    assert "whisper-tiny.en" in stored(graph, video_id)[0].degraded
    assert states(graph.run(video_id, [TRANSCRIPT], **named)) == {TRANSCRIPT: "made"}


@speech
def test_what_is_said_is_transcribed_found_and_made_again_with_another_model_only(processed, tmp_path):
    graph, _ = processed
    graph.settings = graph.settings.model_copy(update={"models": ModelSettings(folder=pulled(tmp_path / "models"))})
    video_id = bring(graph, spoken.over_footage(tmp_path / "clip.mp4", np.concatenate([spoken.silence(2), said(ENGLISH)])))
    assert graph.run(video_id).success
    manifest, transcript, _ = stored(graph, video_id)
    assert transcript.state == "spoken"
    assert manifest.file("subtitles").media_type == "text/vtt"
    assert manifest.cost.real_time_factor > 0
    assert manifest.facts["words"] == sum(len(segment.words) for segment in transcript.segments)
    assert manifest.facts["understood_s"] == manifest.facts["voice_s"] > 5
    with graph.platform() as platform:
        found = Search(platform.settings, platform.db, Catalog(platform.settings, platform.db, platform.store)).find("stairs building")
    assert [(hit.video.video_id, hit.passage.kind) for hit in found.hits[:1]] == [(video_id, "transcript")]
    assert made(graph.run(video_id, job=DESCRIBE_VIDEO)) == set()
    assert made(graph.run(video_id, speech=SpeechSettings(model="none"))) == {TRANSCRIPT, LLM_SUMMARY, SEARCH_INDEX}
    assert stored(graph, video_id)[1].state == "not_transcribed"


@speech
def test_german_and_a_child_that_is_ended_cost_the_words_and_nothing_else(graph, tmp_path):
    graph.settings = graph.settings.model_copy(update={"models": ModelSettings(folder=pulled(tmp_path / "models"))})
    video_id = bring(graph, spoken.over_footage(tmp_path / "clip.mp4", said(GERMAN, "de")))
    assert graph.run(video_id, [RAW_VIDEO, TRANSCRIPT]).success
    manifest, transcript, _ = stored(graph, video_id)
    assert transcript.state == "unknown_language"
    assert manifest.degraded is None
    assert manifest.facts["understood_s"] < manifest.facts["voice_s"] / 2
    ended = graph.run(video_id, [TRANSCRIPT], tags={"vp/force": "true"}, media=MediaSettings(worker_base_s=0.01, worker_per_second=0.001))
    assert ended.success
    manifest, transcript, _ = stored(graph, video_id)
    assert transcript.state == "not_transcribed"
    assert "listening failed" in transcript.reason
    assert manifest.degraded
    with graph.platform() as platform:
        assert videos.get(platform.db, video_id).failure_code is None
    assert states(graph.run(video_id, [TRANSCRIPT])) == {TRANSCRIPT: "made"}
    assert stored(graph, video_id)[1].state == "unknown_language"


def test_the_transcript_is_made_in_words_and_never_before_alerts():
    assert recipes.IN_WORDS == (SECOND_LOOK, TRANSCRIPT, CAPTIONS, DESCRIBED_ALERTS, LLM_SUMMARY, SEARCH_INDEX)
    assert recipes.following([TRANSCRIPT]) == [TRANSCRIPT, DESCRIBED_ALERTS, LLM_SUMMARY, SEARCH_INDEX]
    assert ALERTS not in recipes.following([TRANSCRIPT])
