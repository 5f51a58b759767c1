"""Videos: taking footage in, looking at what is known of it, having it processed, correcting and deleting it."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse

from video_platform import exports, layout, reels
from video_platform.api import shapes, shapes_reels
from video_platform.api.media import disposition
from video_platform.api.services import Ours
from video_platform.api.uploads import Description, take_in
from video_platform.errors import NotFound
from video_platform.ingest_files import DEFAULT_CAMERA, check_camera
from video_platform.records import Captions, Lane, Summary, TrackSheet, Transcript, VideoState

router = APIRouter(prefix="/videos", tags=["videos"])

CLIENT_GONE = 499
"""Written to the log for a client that closed its connection; nobody is left to read it."""


@router.post(
    "",
    operation_id="ingest_video",
    status_code=201,
    responses={200: {"model": shapes.IngestedOut, "description": "these bytes are here already"}},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["file"],
                        "properties": {
                            "file": {"type": "string", "format": "binary"},
                            "name": {"type": "string"},
                            "camera": {"type": "string"},
                            "recorded_at": {"type": "string", "format": "date-time"},
                            "lane": {"enum": list(Lane)},
                        },
                    }
                },
            },
        }
    },
)
async def ingest_video(
    request: Request,
    response: Response,
    ours: Ours,
    name: Annotated[str | None, Query(max_length=1000, description="original file name, any characters")] = None,
    camera: Annotated[str | None, Query(max_length=200, description="`default` when it is not given")] = None,
    recorded_at: shapes.Instant | None = None,
    lane: Lane = Lane.LIVE,
) -> shapes.IngestedOut:
    """Take footage in: the file as the body, or a form with one file. 201 for new footage, 200 when the same bytes are here already."""
    described = Description(name, check_camera(camera) if camera else DEFAULT_CAMERA, recorded_at, lane)
    platform = ours.platform
    try:
        ingested = await take_in(request, platform.ingest, platform.settings, described, ours.deeds)
    except ClientDisconnect:
        return Response(status_code=CLIENT_GONE)  # type: ignore[return-value]
    if ingested.created:
        message = f"taken in as {ingested.video_id}; it is processed next"
    elif ingested.again:
        response.status_code = 200
        message = f"was here already as {ingested.video_id} and had failed; it is processed anew"
    else:
        response.status_code = 200
        message = f"these bytes are here already as {ingested.video_id} ({ingested.record.original_name[:120]!r}, camera {ingested.record.camera!r})"
    return shapes.IngestedOut(video_id=ingested.video_id, created=ingested.created, again=ingested.again, message=message, video=ingested.record)


@router.get("", operation_id="list_videos")
def list_videos(
    ours: Ours,
    state: Annotated[list[VideoState] | None, Query(description="may be given several times")] = None,
    camera: shapes.Text | None = None,
    text: Annotated[shapes.Text | None, Query(description="part of a name or id")] = None,
    limit: shapes.Page = 50,
    offset: shapes.Offset = 0,
) -> shapes.VideosOut:
    """A page of videos, newest first."""
    page = ours.catalog.videos(state=state, camera=camera, text=text or None, limit=limit, offset=offset)
    return shapes.VideosOut(items=[shapes.card(view, ours.url(view.thumbnail)) for view in page.items], total=page.total)


@router.get("/{video_id}", operation_id="get_video")
def get_video(ours: Ours, video_id: str) -> shapes.VideoDetailOut:
    """Everything about one video but its tracks."""
    catalog = ours.catalog
    detail = catalog.video(video_id)
    return shapes.VideoDetailOut(
        video=detail.record,
        in_place=shapes.in_place(detail),
        notes=detail.notes,
        assets=[shapes.asset(view, catalog.run_url(view.run_id) if view.run_id else None) for view in detail.assets],
        near_misses=[shapes.NearMissOut(rule=each.rule, text=each.text, at_s=each.at_s) for each in detail.near_misses],
        cannot_evaluate=[shapes.CannotEvaluate(rule=rule, reason=reason) for rule, reason in detail.cannot_evaluate],
        runs=[shapes.run(each, catalog.run_url(each.run_id)) for each in catalog.runs(video_id)],
        search=shapes.standing(ours.search.standing(detail.record)),
    )


@router.get("/{video_id}/tracks", operation_id="get_tracks")
def get_tracks(ours: Ours, video_id: str) -> TrackSheet | None:
    """All tracks with their boxes; null until they were made."""
    ours.catalog.record(video_id)
    return ours.catalog.tracks(video_id)


@router.get("/{video_id}/scenes", operation_id="get_scenes")
def get_scenes(ours: Ours, video_id: str) -> list[shapes.SceneOut]:
    """Scenes in order; empty until they were made."""
    ours.catalog.record(video_id)
    prefix = f"{layout.video_prefix(video_id)}{layout.SCENES}/"
    return [shapes.scene(each, ours.url(prefix + each.thumbnail if each.thumbnail else None)) for each in ours.catalog.scenes(video_id)]


@router.get("/{video_id}/summary", operation_id="get_summary")
def get_summary(ours: Ours, video_id: str) -> Summary | None:
    """The summary with its evidence; null until it was written."""
    ours.catalog.record(video_id)
    return ours.catalog.summary(video_id)


@router.get("/{video_id}/captions", operation_id="get_captions")
def get_captions(ours: Ours, video_id: str) -> Captions | None:
    """What can be seen in the key frames, or why they are not described; null until that was made."""
    ours.catalog.record(video_id)
    return ours.catalog.captions(video_id)


@router.get("/{video_id}/transcript", operation_id="get_transcript")
def get_transcript(ours: Ours, video_id: str) -> Transcript | None:
    """What is said, word by word, or in `state` and `reason` why there is no text; null until somebody was to listen."""
    ours.catalog.record(video_id)
    return ours.catalog.transcript(video_id)


@router.get("/{video_id}/near-misses", operation_id="get_near_misses")
def get_near_misses(ours: Ours, video_id: str) -> list[shapes.NearMissOut]:
    """What came closest, for rules that found nothing."""
    return [shapes.NearMissOut(rule=each.rule, text=each.text, at_s=each.at_s) for each in ours.catalog.video(video_id).near_misses]


@router.get("/{video_id}/reel", operation_id="get_reel")
def get_reel(ours: Ours, video_id: str) -> shapes_reels.ReelOut:
    """The reel of a video with its chapters and subtitles, and its time-lapse."""
    ours.catalog.record(video_id)
    found = reels.of_video(ours.catalog.store, ours.catalog.manifest(video_id, layout.HIGHLIGHTS))
    if found is None:
        raise NotFound(f"video {video_id} has no reel: it is not made yet, or there is nothing to show", video_id=video_id)
    return shapes_reels.reel(found, lambda entry: ours.address(entry.key))


@router.get("/{video_id}/files", operation_id="get_files")
def get_files(ours: Ours, video_id: str) -> list[shapes.FileOut]:
    """Every file of the video with fresh addresses; a player whose address has ended asks here again."""
    catalog = ours.catalog
    record = catalog.record(video_id)
    stem = record.original_name.rsplit(".", 1)[0][:100] or video_id
    found: list[shapes.FileOut] = []
    for asset in layout.ASSETS:
        manifest = catalog.manifest(video_id, asset)
        for entry in manifest.files if manifest else ():
            saved = record.original_name if entry.role == "video" and asset == layout.RAW_VIDEO else f"{stem} {entry.role}.{entry.name.rsplit('.', 1)[-1]}"
            found.append(
                shapes.FileOut(
                    asset=asset,
                    role=entry.role,
                    name=entry.name,
                    size_bytes=entry.size_bytes,
                    sha256=entry.sha256,
                    media_type=entry.media_type,
                    url=ours.address(entry.key),
                    download_url=ours.address(entry.key, saved),
                )
            )
    return found


@router.get("/{video_id}/export", operation_id="export_video", response_class=StreamingResponse)
def export_video(ours: Ours, video_id: str, format: exports.Format) -> StreamingResponse:
    """The tracks of a video for other programs: MOTChallenge text, COCO JSON, CSV or JSON lines; coordinates in pixels of the upright picture."""
    record = ours.catalog.record(video_id)
    rows = exports.export(ours.catalog, video_id, format)
    name = f"{record.original_name.rsplit('.', 1)[0][:100] or video_id}.{exports.EXTENSIONS[format]}"
    return StreamingResponse(rows, media_type=exports.MEDIA_TYPES[format], headers={"content-disposition": disposition("attachment", name)})


@router.patch("/{video_id}", operation_id="correct_video")
def correct_video(ours: Ours, video_id: str, correction: shapes.Correction) -> shapes.CorrectedOut:
    """Correct camera or recording time; alerts are evaluated again, nothing is decoded again."""
    changed = ours.deeds.correct(video_id, camera=correction.camera, recorded_at=correction.recorded_at)
    return shapes.CorrectedOut(changed=changed, video=ours.catalog.record(video_id))


@router.post("/{video_id}/process", operation_id="process_video", status_code=202)
def process_video(ours: Ours, video_id: str, wanted: shapes.ProcessRequest | None = None) -> shapes.AcceptedOut:
    """Queue the video: what is missing or out of date is made, everything else is reused; with `force` everything is made again."""
    asked = wanted or shapes.ProcessRequest()
    ours.deeds.process(video_id, asked.lane, force=asked.force)
    return shapes.AcceptedOut(video_id=video_id, message="queued; the video's page shows how far it is")


@router.post("/{video_id}/retry", operation_id="retry_video", status_code=202)
def retry_video(ours: Ours, video_id: str) -> shapes.AcceptedOut:
    """Try a failed or stuck video again; what is there already is reused."""
    ours.deeds.retry(video_id)
    return shapes.AcceptedOut(video_id=video_id, message="queued again")


@router.delete("/{video_id}", operation_id="delete_video")
def delete_video(ours: Ours, video_id: str) -> shapes.DeletedOut:
    """Delete a video with everything that was made of it; its runs are cancelled, a tombstone stays."""
    ours.catalog.record(video_id)
    deleted, cancelled = ours.deeds.delete(video_id)
    return shapes.DeletedOut(video_id=video_id, objects=deleted.objects, cancelled_runs=cancelled)
