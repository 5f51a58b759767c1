"""Who may use which route, for footage of which camera: the table of docs/access.md, walked over every route of the OpenAPI document."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import days
import httpx
import pytest
import reels_stored
from fastapi.routing import APIRoute
from seeded import ingest, process
from serving import Served, serving

from video_platform import digests, layout
from video_platform.access import Person, Role
from video_platform.api.permits import OPEN, PERMITS
from video_platform.api.signing import open_signer
from video_platform.records import Mark
from video_platform.services.database import audit, backfills, ledger, refusals, sessions, users, videos
from video_platform.settings import AccessSettings, RecordingSettings

NOW = datetime.now(UTC)
PEOPLE = {
    "anna": (Role.ADMIN, None),
    "olga": (Role.OPERATOR, None),
    "olaf": (Role.OPERATOR, ("gate-*",)),
    "vera": (Role.VIEWER, ("gate-*",)),
    "vito": (Role.VIEWER, None),
    "nina": (Role.VIEWER, ("nowhere",)),
}
OWN, FOREIGN = "gate-1", "yard"
DAYS = {OWN: datetime(2026, 11, 23, 12, tzinfo=UTC), FOREIGN: datetime(2026, 11, 24, 12, tzinfo=UTC)}
"""When the video of each camera was recorded: each has a day, and its reel, of its own."""


@dataclass(frozen=True)
class House:
    """A server on which people sign in, with a video of each of two cameras, and a client for each person."""

    served: Served
    clients: dict[str, httpx.Client]
    own: str
    foreign: str

    def alert(self, video_id: str) -> str:
        return ledger.page(self.served.platform.db, video_id=video_id)[0][0].id

    def backfill(self) -> str:
        """A new one that is running, the only one that is open."""
        db = self.served.platform.db
        for each in backfills.page(db, states=backfills.OPEN):
            backfills.turn(db, each.id, backfills.State.CANCELLED, now=NOW)
        return backfills.start(db, backfills.AGAIN, [backfills.Wanted(self.own, [layout.TRACKS], 1.0)], who="test", now=NOW).id

    def media(self, video_id: str, name: str) -> str:
        entry = self.served.catalog.manifest(video_id, layout.PROCESSED_VIDEO).files[0]
        role, cameras = PEOPLE[name]
        return open_signer(self.served.platform.settings).url(entry.key, Person(name, role, cameras))

    def day_media(self, video_id: str, name: str) -> str:
        """The film of the day of a video, signed for a person."""
        day = DAYS[OWN if video_id == self.own else FOREIGN].date()
        manifest = digests.manifest(self.served.platform.store, day)
        role, cameras = PEOPLE[name]
        return open_signer(self.served.platform.settings).day_url(day, manifest.file("reel").name, Person(name, role, cameras))


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    with serving(folder, {"access": AccessSettings(sign_in="users"), "recording": RecordingSettings(timezone="UTC")}) as served:
        db = served.platform.db
        clients = {"nobody": httpx.Client(base_url=served.url, timeout=60)}
        for name, (role, cameras) in PEOPLE.items():
            users.add(db, name, role, cameras or (), password=None, now=NOW)
            secret, _ = sessions.make_token(db, name, now=NOW, expires_at=None)
            clients[name] = httpx.Client(base_url=served.url, timeout=60, headers={"authorization": f"Bearer {secret}"})
        found = []
        for camera, day in DAYS.items():
            record = ingest(served.platform, folder, name=f"{camera}.mp4", camera=camera, recorded_at=day)
            process(served.platform, record, folder)
            shown = reels_stored.pieces(record, (0.0, 2.0, "person"))
            reels_stored.of_video(served.platform, record, b"film", shown)
            days.make(served.platform, day.date(), NOW)
            reels_stored.of_day(served.platform, day.date(), f"film of {camera}".encode(), shown)
            found.append(record.video_id)
        yield House(served, clients, *found)
        for client in clients.values():
            client.close()


def routes(served: Served) -> list[APIRoute]:
    """Every route of the API, also those that the document leaves out."""
    from video_platform.api import Services, create_api

    found = []
    waiting = list(create_api(Services(served.platform, served.catalog)).routes)
    while waiting:
        route = waiting.pop()
        if isinstance(route, APIRoute):
            found.append(route)
        waiting.extend(getattr(getattr(route, "original_router", route), "routes", None) or ())
    return found


def test_every_route_stands_in_the_table_and_nothing_else_does(house):
    from video_platform.api import Services, create_api

    document = create_api(Services(house.served.platform, house.served.catalog)).openapi()
    operations = {operation["operationId"] for methods in document["paths"].values() for operation in methods.values()}
    named = {"get_media": "media", "get_day_media": "day_media"}
    assert {named.get(each, each) for each in operations} - set(PERMITS) - OPEN == set()


BODIES = {
    "correct_video": {"recorded_at": "2026-11-23T14:05:00Z"},
    "process_video": {},
    "mark_alert": {"mark": "acknowledged"},
    "check_rules": {"text": "version: 1\nrules: []\n"},
    "what_if": {"text": "version: 1\nrules: []\n"},
    "apply_rules": {"text": "version: 1\nrules: []\n", "why": "test"},
    "promote_rules": {"text": "version: 1\nrules: []\n", "why": "test"},
    "roll_back_rules": {"why": "test"},
    "start_backfill": {"cause": "tracker"},
}
ROUTES = {
    "list_videos": ("GET", "/api/videos"),
    "get_video": ("GET", "/api/videos/{video}"),
    "get_tracks": ("GET", "/api/videos/{video}/tracks"),
    "get_scenes": ("GET", "/api/videos/{video}/scenes"),
    "get_summary": ("GET", "/api/videos/{video}/summary"),
    "get_captions": ("GET", "/api/videos/{video}/captions"),
    "get_transcript": ("GET", "/api/videos/{video}/transcript"),
    "get_near_misses": ("GET", "/api/videos/{video}/near-misses"),
    "get_files": ("GET", "/api/videos/{video}/files"),
    "get_reel": ("GET", "/api/videos/{video}/reel"),
    "list_days": ("GET", "/api/days"),
    "get_day": ("GET", "/api/days/{day}"),
    "day_media": ("GET", "{day_media}"),
    "export_video": ("GET", "/api/videos/{video}/export?format=csv"),
    "media": ("GET", "{media}"),
    "list_alerts": ("GET", "/api/alerts"),
    "search": ("GET", "/api/search?q=walks"),
    "alert_changes": ("GET", "/api/alerts/changes"),
    "get_alert": ("GET", "/api/alerts/{alert}"),
    "reference": ("GET", "/api/docs"),
    "metrics": ("GET", "/api/metrics"),
    "ingest_video": ("POST", "/api/videos?camera={camera}&name=new.mp4"),
    "correct_video": ("PATCH", "/api/videos/{video}"),
    "process_video": ("POST", "/api/videos/{video}/process"),
    "retry_video": ("POST", "/api/videos/{video}/retry"),
    "mark_alert": ("POST", "/api/alerts/{alert}/mark"),
    "get_rules": ("GET", "/api/rules"),
    "check_rules": ("POST", "/api/rules/check"),
    "what_if": ("POST", "/api/rules/what-if"),
    "rule_versions": ("GET", "/api/rules/versions"),
    "compare_rules": ("GET", "/api/rules/diff?before=1&after=1"),
    "get_plan": ("GET", "/api/plan?cause=tracker"),
    "list_backfills": ("GET", "/api/backfills"),
    "get_backfill": ("GET", "/api/backfills/{backfill}"),
    "start_backfill": ("POST", "/api/backfills"),
    "pause_backfill": ("POST", "/api/backfills/{backfill}/pause"),
    "resume_backfill": ("POST", "/api/backfills/{backfill}/resume"),
    "cancel_backfill": ("POST", "/api/backfills/{backfill}/cancel"),
    "rule_precision": ("GET", "/api/rules/precision"),
    "apply_rules": ("POST", "/api/rules/apply"),
    "promote_rules": ("POST", "/api/rules/promote"),
    "roll_back_rules": ("POST", "/api/rules/versions/1/rollback"),
    "delete_video": ("DELETE", "/api/videos/{doomed}"),
}
"""How each route of the table is asked; a route of the API without a line here fails the test below."""

OF_ONE_CAMERA = {
    name for name, (_, path) in ROUTES.items() if any(part in path for part in ("{video}", "{alert}", "{media}", "{day}", "{day_media}", "{doomed}"))
}


def ask(house: House, name: str, operation: str, video_id: str) -> int:
    method, path = ROUTES[operation]
    media = house.media(video_id, name) if "{media}" in path and name != "nobody" else "/api/videos/x/media/y/z"
    of_day = house.day_media(video_id, name) if "{day_media}" in path and name != "nobody" else "/api/days/2026-11-23/media/z"
    doomed = house.own if name != "anna" else ingest(house.served.platform, house.served.platform.settings.home, f"{operation} {name}".encode() * 50).video_id
    camera = OWN if video_id == house.own else FOREIGN
    gone = doomed if video_id == house.own else video_id
    alert, backfill, day = house.alert(video_id), house.backfill(), DAYS[camera].date()
    url = path.format(video=video_id, alert=alert, media=media, day=day, day_media=of_day, doomed=gone, camera=camera, backfill=backfill)
    more = {"json": BODIES[operation]} if operation in BODIES else {}
    if operation == "ingest_video":
        more = {"content": f"footage {name} {camera}".encode() * 50}
    return house.clients[name].request(method, url, **more).status_code


def test_every_route_of_the_document_is_asked(house):
    here = {route.name for route in routes(house.served)} - OPEN
    assert here == set(ROUTES)


@pytest.mark.parametrize("operation", sorted(ROUTES))
def test_the_table_holds(house, operation):
    permit = PERMITS[operation]
    assert ask(house, "nobody", operation, house.own) == 401
    for name, (role, cameras) in PEOPLE.items():
        person = Person(name, role, cameras)
        for video_id, camera in ((house.own, OWN), (house.foreign, FOREIGN)):
            if operation == "delete_video" and name == "anna" and video_id == house.foreign:
                continue
            status = ask(house, name, operation, video_id)
            if not person.may(permit.role) or (permit.whole and cameras is not None):
                assert status == 403, (name, camera)
            elif person.may_see(camera) or operation not in OF_ONE_CAMERA | {"ingest_video"}:
                assert status < 300, (name, camera)
            else:
                assert status == (403 if operation == "ingest_video" else 404), (name, camera)


def test_health_answers_anybody_and_tells_strangers_nothing(house):
    told = house.clients["nobody"].get("/api/healthz").json()
    assert (told["status"] in ("ok", "degraded"), told["version"], told["parts"]) == (True, "", {})
    assert set(house.clients["vera"].get("/api/healthz").json()["parts"]) >= {"database", "objects", "events"}


def test_what_goes_on_with_all_cameras_is_told_to_who_sees_them(house):
    """Details count runs and quote errors of sensors, whatever camera they are of."""
    told = {name: house.clients[name].get("/api/healthz").json()["parts"] for name in ("vera", "olaf", "vito")}
    assert told["vito"]["database"]["detail"].startswith("SQLite")
    for name in ("vera", "olaf"):
        assert {part["detail"] for part in told[name].values()} == {""}
        assert {part: each["ok"] for part, each in told[name].items()} == {part: each["ok"] for part, each in told["vito"].items()}


def test_the_document_needs_a_person(house):
    assert house.clients["nobody"].get("/api/openapi.json").status_code == 401
    assert house.clients["vera"].get("/api/openapi.json").status_code == 200


def test_what_is_of_another_camera_is_nowhere(house):
    """Lists, counts, filters, searches, changes, and what an answer says of a video that is not there and of one that may not be seen."""
    vera, vito, foreign = house.clients["vera"], house.clients["vito"], house.foreign
    everything = json.dumps([vera.get(path).json() for path in ("/api/videos?limit=200", "/api/alerts?limit=200&any=true", "/api/alerts/changes")])
    assert foreign not in everything
    assert FOREIGN not in everything
    seen = vera.get("/api/videos?limit=200").json()
    assert seen["total"] == len(seen["items"]) < vito.get("/api/videos?limit=200").json()["total"]
    for query in (f"camera={FOREIGN}", f"text={FOREIGN}", f"text={foreign}"):
        assert vera.get(f"/api/videos?{query}").json() == {"items": [], "total": 0}
    assert vera.get(f"/api/alerts?camera={FOREIGN}").json()["total"] == 0
    assert vera.get(f"/api/alerts?video_id={foreign}").json()["items"] == []
    assert vito.get(f"/api/alerts?video_id={foreign}").json()["total"] == 1
    assert vera.get(f"/api/videos/{foreign}").json()["detail"].replace(foreign, "X") == vera.get("/api/videos/0123456789abcdef").json()["detail"].replace(
        "0123456789abcdef", "X"
    )
    alert = house.alert(foreign)
    nothing = "00000000-0000-0000-0000-000000000000"
    assert vera.get(f"/api/alerts/{alert}").json()["detail"].replace(alert, "X") == vera.get(f"/api/alerts/{nothing}").json()["detail"].replace(nothing, "X")
    assert house.clients["nina"].get("/api/videos").json() == {"items": [], "total": 0}
    assert house.clients["nina"].get("/api/alerts").json() == {"items": [], "total": 0, "cursor": 0}


def test_the_reel_of_a_day_is_for_who_may_see_every_camera_in_it(house):
    vera, vito = house.clients["vera"], house.clients["vito"]
    own, foreign = (day.date().isoformat() for day in DAYS.values())
    assert vito.get(f"/api/days/{foreign}").json()["reel"] is not None
    assert vera.get(f"/api/days/{own}").json()["reel"] is not None
    hidden, empty = vera.get(f"/api/days/{foreign}"), vera.get("/api/days/2020-01-01")
    assert hidden.status_code == empty.status_code == 404
    assert hidden.json()["detail"].replace(foreign, "X") == empty.json()["detail"].replace("2020-01-01", "X"), "others recorded something is told to nobody"
    assert vera.get(vito.get(f"/api/days/{foreign}").json()["reel"]["url"]).status_code == 403


def test_days_are_those_of_the_cameras_that_may_be_seen(house, tmp_path):
    def listed(name, **query):
        return {each["day"]: each["videos"] for each in house.clients[name].get("/api/days", params=query).json()}

    both, theirs, added = datetime(2026, 11, 20, 12, tzinfo=UTC), datetime(2026, 11, 29, 12, tzinfo=UTC), []  # no other test gives a video these days
    try:
        for camera, day in ((OWN, both), (FOREIGN, both), (FOREIGN, theirs)):
            added.append(ingest(house.served.platform, tmp_path, f"{camera} on {day}".encode() * 50, camera=camera, recorded_at=day))
            process(house.served.platform, added[-1], tmp_path)
        for day in (both, theirs):
            days.make(house.served.platform, day.date(), NOW)
        mixed, hidden = both.date().isoformat(), theirs.date().isoformat()
        assert {mixed: 2, hidden: 1}.items() <= listed("vito").items()
        assert listed("vera")[mixed] == 1
        assert hidden not in listed("vera")
        assert listed("nina") == {}
        assert list(listed("vito", limit=1)) == [hidden]
        assert len(listed("vera", limit=1)) == 1  # what is hidden takes no place in the list
    finally:
        for record in added:
            house.served.platform.ingest.delete(record.video_id, "test")


def test_a_deleted_video_of_another_camera_is_not_even_a_tombstone(house, tmp_path):
    record = ingest(house.served.platform, tmp_path, b"to be deleted" * 50, camera=FOREIGN)
    house.served.platform.ingest.delete(record.video_id, "test")
    assert house.clients["vito"].get(f"/api/videos/{record.video_id}").status_code == 410
    assert house.clients["vera"].get(f"/api/videos/{record.video_id}").status_code == 404
    assert record.video_id not in [each["video_id"] for each in house.clients["vera"].get("/api/videos?state=deleted").json()["items"]]


def test_a_cursor_does_not_move_for_changes_that_are_not_seen(house):
    before = house.clients["vera"].get("/api/alerts").json()["cursor"]
    ledger.mark(house.served.platform.db, house.alert(house.foreign), Mark.FALSE, "test", NOW)
    ledger.mark(house.served.platform.db, house.alert(house.foreign), Mark.NONE, "test", NOW)
    assert house.clients["vera"].get("/api/alerts").json()["cursor"] == before
    assert house.clients["vito"].get("/api/alerts").json()["cursor"] > before


def test_counts_and_refusals_are_of_own_cameras(house):
    db = house.served.platform.db
    refusals.add(db, name="a.txt", camera=OWN, code="not_a_video", message="no", now=NOW)
    refusals.add(db, name="b.txt", camera=FOREIGN, code="not_a_video", message="no", now=NOW)
    vera = Person("vera", Role.VIEWER, ("gate-*",))
    assert [each.name for each in refusals.page(db, person=vera)] == ["a.txt"]
    assert sum(videos.counts(db, vera).values()) < sum(videos.counts(db).values())
    assert videos.cameras(db, vera) == [OWN]


def test_media_addresses_are_for_one_person_and_some_minutes(house):
    mine = house.media(house.own, "vera")
    assert house.clients["vera"].get(mine).status_code == 200
    for name in ("anna", "vito", "olaf"):
        assert house.clients[name].get(mine).status_code == 403
    assert house.clients["nobody"].get(mine).status_code == 401
    changed = mine.replace("signature=", "signature=x")
    assert house.clients["vera"].get(changed).status_code == 403
    assert house.clients["vera"].get(mine.replace("expires=1", "expires=2")).status_code == 403
    assert house.clients["vera"].get(house.media(house.foreign, "vera")).status_code == 404
    given = house.clients["vera"].get(f"/api/videos/{house.own}/files").json()
    assert house.clients["vera"].get(given[0]["url"]).status_code == 200
    assert house.clients["vito"].get(given[0]["url"]).status_code == 403


def test_who_did_it_cannot_be_forged(house):
    alert = house.alert(house.own)
    forged = house.clients["olaf"].post(f"/api/alerts/{alert}/mark", json={"mark": "false", "who": "anna"})
    assert (forged.status_code, "olaf" in forged.json()["detail"]) == (400, True)
    assert house.clients["olaf"].post(f"/api/alerts/{alert}/mark", json={"mark": "false"}).status_code == 200
    applied = house.clients["anna"].post("/api/rules/apply", json={"text": "version: 1\nrules: []\n# anna\n", "why": "mine"})
    assert applied.json()["who"] == "anna"
    lines, _ = audit.page(house.served.platform.db, limit=5)
    assert [(each.who, each.action) for each in lines[:2]] == [("anna", "rules-apply"), ("olaf", "alert-mark")]


def test_an_operator_moves_videos_between_own_cameras_only(house, tmp_path):
    record = ingest(house.served.platform, tmp_path, b"to be moved" * 50, camera=OWN)
    moved = house.clients["olaf"].patch(f"/api/videos/{record.video_id}", json={"camera": FOREIGN})
    assert moved.status_code == 403
    assert house.clients["olaf"].patch(f"/api/videos/{record.video_id}", json={"camera": "gate-2"}).json()["video"]["camera"] == "gate-2"


def test_footage_of_another_camera_is_neither_revived_nor_told_of(house, tmp_path):
    content = b"somebody else's footage" * 50
    record = ingest(house.served.platform, tmp_path, content, camera=FOREIGN)
    videos.failed(house.served.platform.db, record.video_id, None, "crashed_decoder", "it crashed")
    answer = house.clients["olaf"].post(f"/api/videos?camera={OWN}", content=content)
    assert answer.status_code == 403
    assert FOREIGN not in answer.text
    after = videos.get(house.served.platform.db, record.video_id)
    assert (after.state, after.camera, after.generation) == ("failed", FOREIGN, record.generation)


def test_a_form_may_name_its_camera_after_the_file_and_is_still_asked(house):
    for camera, status in ((OWN, 201), (FOREIGN, 403), (None, 403)):
        body = {"file": ("a.mp4", f"form {camera}".encode() * 50)}
        answer = house.clients["olaf"].post("/api/videos", files=body, data={} if camera is None else {"camera": camera})
        assert answer.status_code == status, camera


def test_a_token_ends_when_it_is_taken_back_expires_or_its_person_goes(house):
    db = house.served.platform.db
    users.add(db, "robot", Role.VIEWER, (), password=None, now=NOW)
    secret, token = sessions.make_token(db, "robot", now=NOW, expires_at=None)
    late, _ = sessions.make_token(db, "robot", now=NOW - timedelta(days=2), expires_at=NOW - timedelta(days=1))
    kept, _ = sessions.make_token(db, "robot", now=NOW, expires_at=None)

    def status(secret: str) -> int:
        return httpx.get(f"{house.served.url}/api/videos", headers={"authorization": f"Bearer {secret}"}, timeout=60).status_code

    assert status(late) == 401
    sessions.revoke_token(db, "robot", token.id)
    assert status(secret) == 401
    assert status(kept) == 200
    users.remove(db, "robot")
    from serving import until

    until(lambda: status(kept) == 401, "the token of somebody who is gone")
    for wrong in ("x", "vp_" + "a" * 43, "vp_" + "a" * 5000):
        assert status(wrong) == 401


def test_secrets_are_kept_as_digests_only(house):
    db = house.served.platform.db
    secret, _ = sessions.make_token(db, "vito", now=NOW, expires_at=None)
    session = sessions.begin(db, "vito", "test", now=NOW, expires_at=NOW + timedelta(hours=1))
    content = db.file.read_bytes() + db.file.with_name(db.file.name + "-wal").read_bytes()
    for each in (secret, session):
        assert each.encode() not in content
        assert sessions.digest_of(each).encode() in content


def test_other_roles_and_headers_of_a_client_change_nothing(house):
    more = {"x-video-platform-person": "anna", "x-forwarded-user": "anna", "x-forwarded-for": "10.0.0.1", "video_platform.person": "anna"}
    assert house.clients["nobody"].get("/api/videos", headers=more).status_code == 401
    assert house.clients["vera"].delete(f"/api/videos/{house.own}", headers=more).status_code == 403
