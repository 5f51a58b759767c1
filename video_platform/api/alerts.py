"""Alerts: finding them, following them live, saying what a person thinks of one."""

from typing import Annotated

from fastapi import APIRouter, Query

from video_platform.api import shapes
from video_platform.api.services import Ours, Services
from video_platform.records import AlertRecord, Lifecycle, Mark, Severity

router = APIRouter(prefix="/alerts", tags=["alerts"])


@router.get("", operation_id="list_alerts")
def list_alerts(
    ours: Ours,
    video_id: shapes.Text | None = None,
    rule: shapes.Text | None = None,
    camera: shapes.Text | None = None,
    severity: Severity | None = None,
    lifecycle: Annotated[Lifecycle | None, Query(description="active ones when it is not given; `any=true` for both")] = None,
    any: Annotated[bool, Query(description="also superseded ones")] = False,
    mark: Mark | None = None,
    since: shapes.Instant | None = None,
    until: shapes.Instant | None = None,
    limit: shapes.Page = 50,
    offset: shapes.Offset = 0,
) -> shapes.AlertsOut:
    """A page of alerts, newest first, and the cursor from which `changes` goes on."""
    # Read before the page: what changes in between is then told twice and never missed.
    cursor = ours.catalog.revision()
    page = ours.catalog.alerts(
        video_id=video_id,
        rule=rule,
        camera=camera,
        severity=severity,
        lifecycle=lifecycle or (None if any else Lifecycle.ACTIVE),
        mark=mark,
        since=since,
        until=until,
        limit=limit,
        offset=offset,
    )
    return shapes.AlertsOut(items=[shown(ours, each) for each in page.items], total=page.total, cursor=cursor)


@router.get("/changes", operation_id="alert_changes")
def alert_changes(ours: Ours, after: Annotated[int, Query(ge=0, le=shapes.MAX_CURSOR)] = 0) -> shapes.AlertChanges:
    """What was raised, superseded, marked or given a picture after a cursor, in the order of the changes; for pages that follow alerts live."""
    changes = ours.catalog.changes(after)
    return shapes.AlertChanges(items=[shown(ours, each) for each in changes.alerts], cursor=changes.revision)


@router.get("/{alert_id}", operation_id="get_alert")
def get_alert(ours: Ours, alert_id: str) -> shapes.AlertOut:
    """One alert."""
    return shown(ours, ours.catalog.alert(alert_id))


@router.post("/{alert_id}/mark", operation_id="mark_alert")
def mark_alert(ours: Ours, alert_id: str, asked: shapes.MarkRequest) -> shapes.AlertOut:
    """Acknowledge an alert, call it false, or take either back."""
    return shown(ours, ours.deeds.mark(alert_id, asked.mark, asked.who))


def shown(ours: Services, record: AlertRecord) -> shapes.AlertOut:
    """An alert with signed addresses of its picture and clip."""
    return shapes.alert(record, ours.url(record.snapshot), ours.url(record.clip))
