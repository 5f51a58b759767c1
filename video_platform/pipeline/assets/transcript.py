"""What is said in one video: its transcript, subtitles for the player, and passages that search finds. Made for every video; where there is no text, the
state says why.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg

from video_platform import recipes, speech_model
from video_platform.budgets import media_limits, speech_budget
from video_platform.errors import FootageAway, MediaError, WorkerBudgetExceeded, WorkerCrashed
from video_platform.fingerprints import content_hash
from video_platform.layout import RAW_VIDEO, TRANSCRIPT
from video_platform.pipeline import checks, tags
from video_platform.pipeline.instance import LLM_POOL
from video_platform.pipeline.made import Handle, Made, NewFile, Plan, read_manifest
from video_platform.pipeline.partitions import VIDEOS
from video_platform.pipeline.steps import Step, Yielded, outputs, step
from video_platform.records import Transcript
from video_platform.speech_model import Found, SpeechModel


@dataclass(frozen=True)
class Listened:
    """What listening gave: the transcript, its subtitles, facts for the manifest; `degraded` says why this is less than it could be."""

    transcript: Transcript
    subtitles: Path | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    degraded: str | None = None


@dg.asset(
    name=TRANSCRIPT,
    partitions_def=VIDEOS,
    code_version=recipes.CODE_VERSIONS[TRANSCRIPT],
    io_manager_key="files",
    required_resource_keys={"desk"},
    check_specs=[checks.spec(TRANSCRIPT)],
    pool=LLM_POOL,
    op_tags=tags.IN_WORDS,
    kinds={"json"},
    group_name="understanding",
    description="What is said, word by word with times, and subtitles; or why there is no text: no sound, no speech, a language that the model does not know.",
)
def transcript(context: dg.AssetExecutionContext, raw_video: Handle) -> Iterator[Yielded]:
    """What is said in one video."""
    with step(context, TRANSCRIPT) as at:
        found = speech_model.find(at.desk.settings)
        plan = at.plan(TRANSCRIPT, recipes.transcript(at.desk.settings), {RAW_VIDEO: raw_video})
        made = at.reused(plan) if plan.stored else _keep(at, plan, _listen(at, found, raw_video))
    yield from outputs(made)


def _listen(at: Step, found: Found, raw_video: Handle) -> Listened:
    from video_platform.analysis import speech

    if raw_video.manifest.facts.get("audio_codec", "") is None:
        return Listened(Transcript(state="no_audio", reason=speech.NO_SOUND))
    if found.model is None:
        at.context.log.info(f"nobody listens to this video: {found.reason}")
        return _not_transcribed(found.reason, degraded=found.reason if found.demanded else None)
    try:
        return _heard(at, found.model, raw_video)
    except (WorkerBudgetExceeded, WorkerCrashed) as error:  # the summary is written all the same; the next time it is tried again
        at.context.log.warning(f"listening failed: {error.message}")
        return _not_transcribed(f"listening failed: {error.message}"[:1000], degraded=error.message[:1000])
    except FootageAway as error:
        if read_manifest(at.desk.platform.store, at.video_id, TRANSCRIPT) is not None:
            raise  # what was heard before stays
        return _not_transcribed(error.message[:1000], degraded=error.message[:1000])
    except MediaError as error:
        return _not_transcribed(f"its sound cannot be read: {error.message}"[:1000])


def _heard(at: Step, model: SpeechModel, raw_video: Handle) -> Listened:
    """The listening itself, in a child process with limits that dies with this run."""
    from video_platform.analysis import worker

    settings = at.desk.settings
    payload = {"path": str(raw_video.path("video")), "out_dir": str(at.folder), "model": model.payload(), "limits": asdict(media_limits(settings))}
    results = worker.run("transcript", payload, limits=speech_budget(settings, at.record.duration_s, model), on_progress=at.progress)
    said = Transcript.model_validate_json(Path(results["transcript"]).read_text())
    facts = {
        "model": model.name,
        "voice_s": results["voice_s"],
        "understood_s": results["understood_s"],
        "damaged_packets": results["errors"],
        "peak_bytes": results["cost"]["peak_bytes"],
    }
    return Listened(said, Path(results["subtitles"]) if results["subtitles"] else None, facts, tuple(results["notes"]))


def _not_transcribed(reason: str, *, degraded: str | None = None) -> Listened:
    return Listened(Transcript(state="not_transcribed", reason=reason), degraded=degraded)


def _keep(at: Step, plan: Plan, listened: Listened) -> Made:
    from video_platform.analysis import speech

    said, duration_s = listened.transcript, at.record.duration_s
    sheet, found = at.folder / "transcript.json", at.folder / "passages.json"
    sheet.write_text(said.model_dump_json())
    passages = speech.passages(said, duration_s)
    found.write_text(json.dumps([each.model_dump() for each in passages]))
    files = [NewFile("transcript", sheet, "application/json"), NewFile("passages", found, "application/json")]
    if listened.subtitles is not None:
        files.append(NewFile("subtitles", listened.subtitles, "text/vtt"))
    spans = [(each.start_s, each.end_s) for segment in said.segments for each in (segment, *segment.words)]
    return at.made(
        plan,
        content_hash=content_hash(said),
        verdict=checks.verdict(
            *listened.notes,
            text_only_where_it_was_understood=(said.state == "spoken") == bool(said.segments),
            times_are_in_order=all(0 <= start_s <= end_s for start_s, end_s in spans),
            says_why_there_is_no_text=said.state == "spoken" or bool(said.reason),
        ),
        files=files,
        facts={
            "state": said.state,
            "reason": said.reason,
            "language": said.language,
            "segments": len(said.segments),
            "words": sum(len(segment.words) for segment in said.segments),
            **listened.facts,
        },
        degraded=listened.degraded,
        duration_s=duration_s,
    )
