"""What of one video search finds: its passages in the database, with their vectors beside the video. Alerts and marks are joined when somebody searches."""

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from video_platform import layout, recipes, sentence_model
from video_platform.errors import IntegrityError
from video_platform.fingerprints import content_hash
from video_platform.layout import LLM_SUMMARY, PASSAGE_SOURCES, SEARCH_INDEX, TRACKS
from video_platform.pipeline import checks
from video_platform.pipeline.made import Handle, Made, NewFile, Plan, read_manifest
from video_platform.pipeline.partitions import VIDEOS
from video_platform.pipeline.steps import Step, Yielded, outputs, step
from video_platform.records import Passage, Summary, TrackSheet

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

SLACK_S = 1.0
"""Containers state their length to within a frame or two."""


@dg.asset(
    name=SEARCH_INDEX,
    partitions_def=VIDEOS,
    deps=[asset for asset in PASSAGE_SOURCES if asset in layout.ASSETS],
    code_version=recipes.CODE_VERSIONS[SEARCH_INDEX],
    io_manager_key="files",
    required_resource_keys={"desk"},
    check_specs=[checks.spec(SEARCH_INDEX)],
    kinds={"json", "numpy"},
    group_name="understanding",
    description="Sentences of the summary, captions and speech as passages that search finds by words and by meaning.",
)
def search_index(context: dg.AssetExecutionContext, llm_summary: Handle, tracks: Handle) -> Iterator[Yielded]:
    """What of one video search finds."""
    with step(context, SEARCH_INDEX) as at:
        others = further_sources(at)
        plan = at.plan(SEARCH_INDEX, recipes.search_index(at.desk.settings), {LLM_SUMMARY: llm_summary, TRACKS: tracks, **others})
        made = _kept(at, plan) if plan.stored else _index(at, plan, llm_summary, tracks, others)
    yield from outputs(made)


def further_sources(at: Step) -> dict[str, Handle]:
    """The assets of this video whose words are found too, as far as they exist: one that nobody makes here, or has not made yet, has no words."""
    store, folder = at.desk.platform.store, at.desk.scratch / "inputs"
    there = [asset for asset in PASSAGE_SOURCES if asset in layout.ASSETS and read_manifest(store, at.video_id, asset) is not None]
    return {asset: Handle(store, folder, at.video_id, asset) for asset in there}


def _index(at: Step, plan: Plan, llm_summary: Handle, tracks: Handle, others: dict[str, Handle]) -> Made:
    from video_platform.analysis import passages
    from video_platform.services.database import search

    summary = Summary.model_validate(llm_summary.read_json("summary"))
    sheet = TrackSheet.model_validate(tracks.read_json("player"))
    duration_s = at.record.duration_s or 0.0
    sources = [passages.of_summary(summary, duration_s), *([Passage.model_validate(row) for row in handle.read_list("passages")] for handle in others.values())]
    collected = passages.collect(sources, sheet.tracks)
    try:
        (vectors, model), broken = _vectors(at, [each.text for each in collected.passages]), None
    except IntegrityError as error:  # found by words meanwhile, and made again with the next run
        at.context.log.warning(error.message)
        vectors, model, broken = None, None, error.message
    digest = content_hash({"passages": collected.passages, "model": model})
    path = at.folder / "passages.json"
    path.write_text(json.dumps({"model": model, "passages": [each.model_dump() for each in collected.passages]}))
    files = [NewFile("passages", path, "application/json")]
    if vectors is not None:
        files.append(NewFile("vectors", _written(at, vectors), "application/octet-stream"))
    return at.made(
        plan,
        content_hash=digest,
        verdict=checks.verdict(
            *([f"{collected.left_out} passages cannot be found: they have no words, or are too many"] if collected.left_out else []),
            passages_lie_in_the_video=all(0 <= each.start_s <= each.end_s <= _end(duration_s) for each in collected.passages),
            every_passage_has_its_vector=vectors is None or len(vectors) == len(collected.passages),
        ),
        files=files,
        facts={"passages": len(collected.passages), "by_meaning": vectors is not None},
        degraded=broken,
        before_manifest=lambda _: search.index(
            at.desk.platform.db, at.video_id, digest, collected.passages, model=model, vectors=None if vectors is None else vectors.tobytes()
        ),
    )


def _end(duration_s: float) -> float:
    return duration_s + SLACK_S if duration_s else float("inf")


def _vectors(at: Step, texts: Sequence[str]) -> "tuple[NDArray[np.float16] | None, str | None]":
    """The vectors of the texts and the digest of the model that made them; both None without a model."""
    found = sentence_model.find(at.desk.settings)
    if found.model is None:
        at.context.log.info(f"search finds this video by words alone: {found.reason}")
        return None, None
    import numpy as np

    from video_platform.analysis.sentence_vectors import Encoder

    encoded = Encoder(found.model.folder).encode(texts) if texts else np.zeros((0, 0), np.float32)
    return encoded.astype(np.float16), found.model.digest


def _written(at: Step, vectors: "NDArray[np.float16]") -> "Path":
    import numpy as np

    path = at.folder / "vectors.npy"
    np.save(path, vectors)
    return path


def _kept(at: Step, plan: Plan) -> Made:
    """The stored version; what of it the database has lost comes back from its files."""
    from video_platform import search_rows

    assert plan.stored is not None
    if search_rows.restore(at.desk.platform.db, at.desk.platform.store, plan.stored):
        at.context.log.info("the database had lost what it finds of this video; it came back from the files")
    return at.reused(plan)
