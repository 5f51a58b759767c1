"""The summary of one video, from tracks, scenes, captions and speech: alerts and marks are joined when it is read, so that a mark never changes a sentence."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import dagster as dg

from video_platform import layout, recipes
from video_platform.fingerprints import content_hash
from video_platform.layout import LLM_SUMMARY, PASSAGE_SOURCES, SCENES, TRACKS
from video_platform.pipeline import checks
from video_platform.pipeline.assets.search_index import further_sources
from video_platform.pipeline.configured import PROMPTS
from video_platform.pipeline.instance import LLM_POOL
from video_platform.pipeline.made import Handle, Made, NewFile, Plan
from video_platform.pipeline.partitions import VIDEOS
from video_platform.pipeline.steps import Step, Yielded, outputs, step
from video_platform.records import Captions, Scene, TrackSheet, Transcript

if TYPE_CHECKING:
    from video_platform.analysis.summary import Guess
    from video_platform.services.language_models import Choice

SLACK_S = 1.0
"""Containers state their length to within a frame or two."""


@dg.asset(
    name=LLM_SUMMARY,
    partitions_def=VIDEOS,
    deps=[PROMPTS, *(asset for asset in PASSAGE_SOURCES if asset in layout.ASSETS)],
    code_version=recipes.CODE_VERSIONS[LLM_SUMMARY],
    io_manager_key="files",
    required_resource_keys={"desk"},
    check_specs=[checks.spec(LLM_SUMMARY)],
    pool=LLM_POOL,
    kinds={"json"},
    group_name="understanding",
    description="What happened, in sentences that each point at the moments they rest on.",
)
def llm_summary(context: dg.AssetExecutionContext, tracks: Handle, scenes: Handle) -> Iterator[Yielded]:
    """What happened, in sentences with evidence."""
    with step(context, LLM_SUMMARY) as at:
        from video_platform.analysis import summary
        from video_platform.services import language_models

        settings = at.desk.settings.language_model
        choice, said = language_models.choose(settings), further_sources(at)
        plan = at.plan(LLM_SUMMARY, summary.configuration(choice.model, settings.language), {TRACKS: tracks, SCENES: scenes, **said})
        made = at.reused(plan) if plan.stored else _write(at, plan, choice, tracks, scenes, said)
        _title(at, made.plan.stored.facts if made.plan.stored else made.facts)
    yield from outputs(made)


def _write(at: Step, plan: Plan, choice: "Choice", tracks: Handle, scenes: Handle, said: Mapping[str, Handle]) -> Made:
    from video_platform.analysis import summary, tables

    spans = [Scene(**scene) for scene in scenes.read_list("scenes")]
    duration_s = spans[-1].end_s  # what was decoded: a recording that is cut off states more, and nobody looked at the rest
    facts = summary.gather(
        TrackSheet.model_validate(tracks.read_json("player")),
        spans,
        duration_s=duration_s,
        names=tables.read_track_names(tracks.path("tracks")),
        best_guess=_best_guess(tracks),
        captions=Captions.model_validate(said["captions"].read_json("captions")) if "captions" in said else None,
        transcript=Transcript.model_validate(said["transcript"].read_json("transcript")) if "transcript" in said else None,
    )
    language = at.desk.settings.language_model.language
    written = summary.write(facts, choice.model, reason=choice.reason, degraded=choice.degraded, language=language)
    path = at.folder / "summary.json"
    path.write_text(written.summary.model_dump_json())
    sentences = written.summary.sentences
    return at.made(
        plan,
        content_hash=content_hash(written.summary),
        verdict=checks.verdict(
            has_a_title=bool(written.summary.title),
            evidence_lies_in_the_video=all(0 <= each.start_s <= each.end_s <= duration_s + SLACK_S for sentence in sentences for each in sentence.evidence),
        ),
        files=[NewFile("summary", path, "application/json")],
        facts={"title": written.summary.title, "sentences": len(sentences), "engine": written.summary.engine.name, "concern": written.summary.concern},
        degraded=written.degraded,
        duration_s=duration_s,
        tokens=written.tokens,
    )


def _best_guess(tracks: Handle) -> "Guess | None":
    """What the detector took for an object where nothing became a track."""
    from video_platform.analysis.summary import Guess

    guess = tracks.manifest.facts.get("best_guess")
    return Guess(guess["class"], guess["score"], guess["at_s"]) if isinstance(guess, dict) else None


def _title(at: Step, facts: Mapping[str, object]) -> None:
    """Lists show the title."""
    from video_platform.services.database import videos

    videos.described(at.desk.platform.db, at.video_id, str(facts["title"]), run_id=at.context.run.run_id)
