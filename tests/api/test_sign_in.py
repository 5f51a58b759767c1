"""Signing in and out: forms, links, sessions, and what happens to those who try too often or come from elsewhere."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from serving import Served, serving, until

from video_platform.access import Role
from video_platform.api.sign_in import next_of
from video_platform.errors import SignInRefused
from video_platform.services.database import audit, sessions, users
from video_platform.settings import AccessSettings
from video_platform.signing_in import COOKIE, MAX_COUNTED, TRIES_BY_NAME, WINDOW_S, Doors, Tries

NOW = datetime.now(UTC)
PASSWORD = "correct horse battery"
PAGE = {"accept": "text/html,application/xhtml+xml"}


@pytest.fixture
def door(tmp_path) -> Iterator[Served]:
    with serving(tmp_path, {"access": AccessSettings(sign_in="users")}) as served:
        doors = Doors(served.platform.settings, served.platform.db)
        users.add(served.platform.db, "anna", Role.ADMIN, (), password=doors.hash(PASSWORD), now=NOW)
        users.add(served.platform.db, "gast", Role.VIEWER, ("gate-*",), password=None, now=NOW)
        yield served


def sign_in(served: Served, name: str = "anna", password: str = PASSWORD, **more: str) -> httpx.Response:
    return served.client.post("/sign-in", data={"name": name, "password": password, **more})


def test_a_page_leads_to_the_form_and_the_form_back_to_the_page(door):
    away = door.client.get("/video?video=x&t=1.50", headers=PAGE)
    assert (away.status_code, away.headers["location"]) == (303, "/sign-in?next=%2Fvideo%3Fvideo%3Dx%26t%3D1.50")
    form = door.client.get(away.headers["location"])
    assert form.status_code == 200
    assert "value='/video?video=x&amp;t=1.50'" in form.text
    done = sign_in(door, next="/video?video=x&t=1.50")
    assert (done.status_code, done.headers["location"]) == (303, "/video?video=x&t=1.50")
    assert door.client.get("/video").text == "anna"
    assert door.client.get("/api/videos").status_code == 200


def test_scripts_and_programs_get_an_answer_and_no_page(door):
    answer = door.client.get("/api/videos", headers=PAGE)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert door.client.get("/static/x.js", headers={"accept": "*/*", "sec-fetch-mode": "no-cors"}).status_code == 401
    assert door.client.post("/video").status_code == 401


def test_the_cookie_is_for_the_browser_alone(door):
    cookie = sign_in(door).headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    for part in ("HttpOnly", "Path=/", "SameSite=lax", "Max-Age=604800"):
        assert part in cookie
    assert "Domain" not in cookie
    assert "Secure" not in cookie


def test_behind_tls_the_cookie_is_sent_over_tls_only_and_the_public_name_is_served(tmp_path):
    with serving(tmp_path, {"access": AccessSettings(sign_in="users", public_url="https://video.example")}) as served:
        users.add(served.platform.db, "anna", Role.ADMIN, (), password=Doors(served.platform.settings, served.platform.db).hash(PASSWORD), now=NOW)
        answer = served.client.post("/sign-in", data={"name": "anna", "password": PASSWORD}, headers={"host": "video.example"})
        assert answer.status_code == 303
        assert "Secure" in answer.headers["set-cookie"]
        assert served.client.get("/sign-in", headers={"host": "other.example"}).status_code == 403


def test_a_wrong_name_and_a_wrong_password_look_the_same(door):
    wrong = [sign_in(door, name, password) for name, password in (("anna", "wrong"), ("nobody", "wrong"), ("gast", PASSWORD), ("-rf", "x"), ("", ""))]
    bodies = {re.sub(r"value='[^']*' autocomplete", "", answer.text) for answer in wrong}
    assert {answer.status_code for answer in wrong} == {401}
    assert len(bodies) == 1
    assert "Name or password is wrong" in bodies.pop()
    assert all("set-cookie" not in answer.headers for answer in wrong)


def test_whoever_tries_too_often_has_to_wait(door):
    for _ in range(TRIES_BY_NAME):
        assert sign_in(door, "anna", "wrong").status_code == 401
    blocked = sign_in(door)
    assert blocked.status_code == 429
    assert 0 < int(blocked.headers["retry-after"]) <= WINDOW_S
    assert "Too many tries" in blocked.text
    lines, _ = audit.page(door.platform.db, action="sign-in-blocked")
    assert [(each.who, each.subject) for each in lines] == [("nobody", "anna")]
    others = [sign_in(door, f"name-{n}", "wrong").status_code for n in range(15)]
    assert others.count(429) >= 5


def test_tries_are_counted_in_bounded_memory_and_forgotten_in_time():
    now = [0.0]
    tries = Tries(clock=lambda: now[0])
    assert tries.admit({"a": 2})
    assert not tries.admit({"a": 2})
    with pytest.raises(SignInRefused) as refused:
        tries.admit({"a": 2})
    assert refused.value.facts["retry_after_s"] == int(WINDOW_S)
    now[0] = WINDOW_S
    assert tries.admit({"a": 2})
    for n in range(MAX_COUNTED + 50):
        tries.admit({f"key {n}": 2})
    assert len(tries._counted) == MAX_COUNTED


def test_a_sign_in_makes_a_new_session_and_ends_the_old_one(door):
    door.client.cookies.set(COOKIE, "chosen-by-somebody-else", domain="127.0.0.1")
    sign_in(door)
    first = door.client.cookies.get(COOKIE, domain="127.0.0.1")
    assert first != "chosen-by-somebody-else"
    door.client.cookies.clear()
    door.client.cookies.set(COOKIE, first)
    sign_in(door)
    door.client.cookies.clear()
    assert httpx.get(f"{door.url}/api/videos", cookies={COOKIE: "chosen-by-somebody-else"}).status_code == 401
    until(lambda: httpx.get(f"{door.url}/api/videos", cookies={COOKIE: first}).status_code == 401, "the end of the old session")


def test_signing_out_ends_the_session_on_the_server(door):
    sign_in(door)
    secret = door.client.cookies[COOKIE]
    assert "Sign out of this browser" in door.client.get("/sign-out").text
    assert door.client.get("/api/videos").status_code == 200
    out = door.client.post("/sign-out")
    assert out.status_code == 200
    assert COOKIE not in door.client.cookies
    assert httpx.get(f"{door.url}/api/videos", cookies={COOKIE: secret}).status_code == 401


@pytest.mark.parametrize("end", ["remove", "role", "password", "revoke", "expire"])
def test_a_session_ends_with_what_it_stood_on(door, end):
    db = door.platform.db
    door.client.post("/sign-in", data={"name": "anna", "password": PASSWORD})
    assert door.client.get("/api/videos").status_code == 200
    if end == "remove":
        users.remove(db, "anna")
    elif end == "role":
        users.set_role(db, "anna", Role.VIEWER, ())
    elif end == "password":
        users.set_password(db, "anna", None)
    elif end == "revoke":
        sessions.end_all(db, "anna")
    else:
        door.client.cookies.clear()
        old = sessions.begin(db, "anna", "test", now=NOW - timedelta(days=2), expires_at=NOW - timedelta(days=1))
        door.client.cookies.set(COOKIE, old)
    until(lambda: door.client.get("/api/videos").status_code == 401, "the end of the session")


@pytest.mark.parametrize("headers", [{"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}])
@pytest.mark.parametrize("path", ["/sign-in", "/sign-in/link", "/sign-out"])
def test_no_other_site_signs_anybody_in_or_out(door, path, headers):
    sign_in(door)
    answer = door.client.post(path, data={"name": "anna", "password": PASSWORD}, headers=headers)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert door.client.get("/api/videos").status_code == 200


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/x\r\nset-cookie: a=b",
        "/\tevil",
        "evil",
        "",
        "/sign-out",
        "/" + "x" * 3000,
    ],
)
def test_nobody_is_sent_elsewhere_after_signing_in(door, wanted):
    assert next_of(wanted) == "/"
    done = sign_in(door, next=wanted)
    assert (done.status_code, done.headers["location"]) == (303, "/")


def test_paths_of_our_own_are_kept():
    for path in ("/", "/video?video=x&t=1.5", "/alerts?severity=critical", "/api/docs"):
        assert next_of(path) == path


def test_the_page_loads_nothing_runs_nothing_and_shows_what_was_typed_as_text(door):
    answer = sign_in(door, "<script>alert(1)</script>'\"><img src=x>", "x", next="/'><script>")
    assert "<script" not in answer.text
    assert "<img" not in answer.text
    assert not re.search(r"(src|href)=['\"]?(https?:)?//", answer.text)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["cache-control"] == "no-store"


def test_a_form_that_is_too_large_is_nothing(door):
    assert door.client.post("/sign-in", data={"name": "anna", "password": "x" * 100_000}).status_code == 401
    assert door.client.post("/sign-in", content=b"\xff" * 100).status_code == 401


def test_a_link_signs_in_once_and_looking_at_it_does_not_use_it(door):
    doors = Doors(door.platform.settings, door.platform.db)
    path = doors.link("gast", "test")
    token = path.partition("token=")[2]
    for _ in range(3):
        assert token in door.client.get(path).text
    assert door.client.get("/api/videos").status_code == 401
    assert door.client.post("/sign-in/link", data={"token": token}).headers["location"] == "/"
    assert door.client.get("/video").text == "gast"
    again = httpx.post(f"{door.url}/sign-in/link", data={"token": token})
    assert (again.status_code, "used already" in again.text) == (401, True)


def test_of_two_who_use_a_link_at_once_one_gets_in(door):
    token = Doors(door.platform.settings, door.platform.db).link("gast", "test").partition("token=")[2]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: httpx.post(f"{door.url}/sign-in/link", data={"token": token}, timeout=60).status_code, range(6)))
    assert sorted(answers) == [303, 401, 401, 401, 401, 401]


def test_an_old_link_is_none_and_guessing_is_slowed(door):
    db = door.platform.db
    old = sessions.make_link(db, "gast", now=NOW - timedelta(hours=2), expires_at=NOW - timedelta(hours=1))
    assert door.client.post("/sign-in/link", data={"token": old}).status_code == 401
    statuses = [door.client.post("/sign-in/link", data={"token": f"guess-{n}"}).status_code for n in range(25)]
    assert statuses[0] == 401
    assert statuses[-1] == 429


def test_where_only_links_are_used_a_password_is_of_no_use(tmp_path):
    with serving(tmp_path, {"access": AccessSettings(sign_in="link")}) as served:
        doors = Doors(served.platform.settings, served.platform.db)
        users.add(served.platform.db, "anna", Role.ADMIN, (), password=doors.hash(PASSWORD), now=NOW)
        assert served.client.post("/sign-in", data={"name": "anna", "password": PASSWORD}).status_code == 403
        assert "vp users link" in served.client.get("/sign-in").text
        token = doors.link("anna", "test").partition("token=")[2]
        assert served.client.post("/sign-in/link", data={"token": token}).status_code == 303
        assert served.client.get("/api/videos").status_code == 200


def test_without_sign_in_everybody_is_let_through_and_nothing_signs_in(tmp_path):
    with serving(tmp_path) as served:
        assert served.client.get("/video").text == "web"
        assert served.client.get("/api/videos", headers={"authorization": "Bearer nonsense"}).status_code == 200
        assert "Nobody signs in" in served.client.get("/sign-in").text
        assert served.client.post("/sign-in", data={"name": "a", "password": "b"}).status_code == 403


def test_passwords_are_argon2_and_neither_short_nor_endless(door):
    kept = users.password_of(door.platform.db, "anna")
    assert kept.startswith("$argon2id$")
    doors = Doors(door.platform.settings, door.platform.db)
    for bad in ("short", "x" * 201):
        with pytest.raises(Exception, match="10 to 200 characters"):
            doors.hash(bad)
