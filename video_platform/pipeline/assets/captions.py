"""What can be seen in the key frames of one video, in words of a vision model. Alerts never wait for it, and nothing that it says raises one here."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from video_platform import recipes
from video_platform.errors import MediaError, WorkerError
from video_platform.fingerprints import canonical, content_hash
from video_platform.layout import CAPTIONS, RAW_VIDEO, SCENES, TRACKS
from video_platform.pipeline import checks, stills, tags
from video_platform.pipeline.configured import VISION
from video_platform.pipeline.failures import MAX_RETRIES
from video_platform.pipeline.instance import LLM_POOL
from video_platform.pipeline.made import Handle, Made, NewFile, Plan, read_manifest
from video_platform.pipeline.partitions import VIDEOS
from video_platform.pipeline.steps import Step, Yielded, outputs, step
from video_platform.records import Captions, Manifest, Scene, TrackSheet

if TYPE_CHECKING:
    from video_platform.analysis.captions import Answer, Described
    from video_platform.analysis.key_frames import Choice
    from video_platform.captioning import Describer

SLACK_S = 1.0
"""Containers state their length to within a frame or two."""

FRAMES_SHARE = 0.1
"""Of the progress of this step: frames are decoded in a small part of the time that a model looks at them."""


@dg.asset(
    name=CAPTIONS,
    partitions_def=VIDEOS,
    deps=[VISION],
    code_version=recipes.CODE_VERSIONS[CAPTIONS],
    io_manager_key="files",
    required_resource_keys={"desk"},
    check_specs=[checks.spec(CAPTIONS)],
    pool=LLM_POOL,
    op_tags=tags.IN_WORDS,
    kinds={"json"},
    group_name="understanding",
    description="What a vision model sees in the key frames: one of each quiet scene, one a second of activity.",
)
def captions(context: dg.AssetExecutionContext, raw_video: Handle, tracks: Handle, scenes: Handle) -> Iterator[Yielded]:
    """What can be seen in the key frames, or why nobody says."""
    with step(context, CAPTIONS) as at:
        from video_platform import captioning
        from video_platform.pipeline import answers

        describer = captioning.choose(at.desk.settings)
        stored = read_manifest(at.desk.platform.store, at.video_id, CAPTIONS)
        plan = at.plan(CAPTIONS, _counted(describer, stored), {RAW_VIDEO: raw_video, TRACKS: tracks, SCENES: scenes})
        if plan.stored:
            answers.forget(at.desk.platform.store, at.video_id, CAPTIONS)  # a run may have been killed after the manifest
            made = at.reused(plan)
        else:
            made = _describe(at, plan, describer, stored, raw_video, tracks, scenes)
    yield from outputs(made)


def _counted(describer: "Describer", stored: Manifest | None) -> dict[str, object]:
    """What counts in the fingerprint. The weights of a model that is away are taken to be those that made what is stored: its captions stay meanwhile."""
    if describer.away and stored is not None and stored.configuration.get("model") == describer.configuration["model"]:
        return {**describer.configuration, "digest": stored.configuration.get("digest")}
    return describer.configuration


def _describe(at: Step, plan: Plan, describer: "Describer", stored: Manifest | None, raw_video: Handle, tracks: Handle, scenes: Handle) -> Made:
    from video_platform.analysis import captions as module
    from video_platform.analysis import key_frames
    from video_platform.analysis.captions import Described
    from video_platform.pipeline import answers

    spans = [Scene(**scene) for scene in scenes.read_list("scenes")]
    duration_s = spans[-1].end_s if spans else 0.0
    chosen = key_frames.Choice((), 0)
    store, model, prompt = at.desk.platform.store, describer.eyes.model, describer.prompt
    if model is None or prompt is None:
        at.context.log.info(f"nothing is described: {describer.reason}")
        described = Described(module.not_described(describer.reason), describer.reason if describer.away else None)
    else:
        wish = at.desk.settings.captions
        sheet = TrackSheet.model_validate(tracks.read_json("player"))
        chosen = key_frames.choose(sheet.tracks, spans, per_second=wish.per_second, max_frames=wish.max_frames)
        known = _known(at, stored, describer) if stored is not None and not at.desk.forces(CAPTIONS) else {}
        kept = answers.StoredAnswers(store, at.video_id, CAPTIONS, module.Answer, known, asked=f"{model.digest}\n{prompt.hash}")
        try:
            pictures = stills.made(at, raw_video, [frame.at_s for frame in chosen.frames], share=FRAMES_SHARE)
        except (MediaError, WorkerError) as error:
            if error.retriable and at.context.retry_number < MAX_RETRIES:
                raise
            described = Described(module.not_described(error.message), error.message)
        else:
            described = module.describe(
                list(zip(chosen.frames, pictures, strict=True)),
                model,
                prompt,
                kept,
                left_out=chosen.left_out,
                on_progress=lambda fraction, text: at.progress(FRAMES_SHARE + (1 - FRAMES_SHARE) * fraction, text),
            )
    return _candidate(at, plan, described, chosen, duration_s)


def _candidate(at: Step, plan: Plan, described: "Described", chosen: "Choice", duration_s: float) -> Made:
    from video_platform.analysis import captions as module
    from video_platform.pipeline import answers

    said = described.captions
    files = {"captions": said.model_dump_json(), "passages": json.dumps([canonical(each, digits=6) for each in module.passages(said)], ensure_ascii=False)}
    made = at.made(
        plan,
        content_hash=content_hash(module.content(said)),
        verdict=checks.verdict(  # without notes: the page warns of those, and a home without a model is no fault of its videos
            captions_lie_in_the_video=all(0 <= each.start_s <= each.at_s <= each.end_s <= duration_s + SLACK_S for each in said.captions),
            each_frame_has_words_or_a_reason=all(bool(each.text) != bool(each.reason) for each in said.captions),
        ),
        files=[NewFile(role, _written(at, role, text), "application/json") for role, text in files.items()],
        facts={
            "state": said.state,
            "reason": said.reason,
            "frames": len(said.captions),
            "described": sum(bool(each.text) for each in said.captions),
            "asked": described.asked,
            "kept": described.kept,
            "left_out": chosen.left_out,
        },
        degraded=described.away,
        duration_s=duration_s,
        tokens=described.tokens,
    )
    if described.away:  # what was answered before the model went away is there for the next run
        return made
    return replace(made, after_manifest=lambda: answers.forget(at.desk.platform.store, at.video_id, CAPTIONS))


def _written(at: Step, role: str, text: str) -> Path:
    path = at.folder.parent / f"{at.name}-{role}.json"  # beside the folder, which holds the frames
    path.write_text(text, encoding="utf-8")
    return path


def _known(at: Step, stored: Manifest, describer: "Describer") -> "dict[str, Answer]":
    """The answers that stored captions of the same model and prompt hold, whatever frames were asked for; none when they cannot be read."""
    from video_platform.analysis.captions import Answer
    from video_platform.errors import ObjectNotFound

    entry = stored.file("captions")
    if entry is None or any(stored.configuration.get(name) != describer.configuration.get(name) for name in ("model", "digest", "prompt")):
        return {}
    try:
        made = Captions.model_validate_json(at.desk.platform.store.get_bytes(entry.key))
    except (ObjectNotFound, ValueError):
        return {}
    return {each.digest: Answer(text=each.text) for each in made.captions if each.text}
