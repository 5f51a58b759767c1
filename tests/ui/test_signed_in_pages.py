"""The pages, Streamlit's web socket and Dagster's page where people sign in, as one person after another sees them in the real service."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from ui_serving import Served, make_home, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from video_platform.access import Role
from video_platform.services.database import sessions, users
from video_platform.signing_in import COOKIE

PAGE = {"accept": "text/html"}


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("door")
    yield from serve(make_home(folder), folder, VIDEO_PLATFORM_ACCESS__SIGN_IN="users")


def session(door: Served, name: str, role: Role, cameras: tuple[str, ...] = ()) -> str:
    db, now = door.seeded.home.platform.db, datetime.now(UTC)
    if users.find(db, name) is None:
        users.add(db, name, role, cameras, password=None, now=now)
    return sessions.begin(db, name, "test", now=now, expires_at=now + timedelta(hours=1))


def socket_of(door: Served, cookie: str | None):
    headers = {} if cookie is None else {"cookie": f"{COOKIE}={cookie}"}
    return connect(f"{door.url.replace('http', 'ws')}/_stcore/stream", additional_headers=headers, origin=door.url, open_timeout=60)


def _read_on(socket: ClientConnection) -> None:
    while True:
        socket.recv(timeout=60)


def test_no_page_no_file_and_no_socket_without_a_session(door: Served) -> None:
    for path in ("/", "/alerts", "/video?video=x"):
        answer = httpx.get(f"{door.url}{path}", headers=PAGE, timeout=60)
        assert (answer.status_code, answer.headers["location"].split("?")[0]) == (303, "/sign-in")
    for path in ("/static/js/x.js", "/_stcore/host-config", "/_stcore/metrics", "/api/videos", "/component/x", "/media/x"):
        assert httpx.get(f"{door.url}{path}", timeout=60).status_code == 401, path
    assert httpx.get(f"{door.url}/_stcore/health", timeout=60).status_code == 200
    for cookie in (None, "made-up"):
        with pytest.raises(InvalidStatus) as refused:
            socket_of(door, cookie)
        assert refused.value.response.status_code == 403


def test_an_open_socket_is_closed_when_its_person_is_signed_out(door: Served) -> None:
    cookie = session(door, "vera", Role.VIEWER)
    assert httpx.get(f"{door.url}/", headers=PAGE, cookies={COOKIE: cookie}, timeout=60).status_code == 200
    with socket_of(door, cookie) as open_socket:
        users.remove(door.seeded.home.platform.db, "vera")
        with pytest.raises(ConnectionClosed) as ended:
            _read_on(open_socket)
        assert ended.value.rcvd is not None
        assert ended.value.rcvd.code == 1008
    assert httpx.get(f"{door.url}/", headers=PAGE, cookies={COOKIE: cookie}, timeout=60).status_code == 303


def test_dagsters_page_is_for_admins(door: Served, tmp_path: Path) -> None:
    from running import wait

    from video_platform.supervisor.ports import free_port

    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    (tmp_path / "workspace.yaml").write_text("load_from: []\n")
    port = free_port("127.0.0.1", 0)
    command = [sys.executable, "-m", "video_platform.supervisor.dagster_page", "127.0.0.1", str(port), str(tmp_path / "workspace.yaml")]
    environment = {**os.environ, **door.seeded.environment, "DAGSTER_HOME": str(tmp_path), "VIDEO_PLATFORM_ACCESS__SIGN_IN": "users"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx.get(f"{url}/server_info", timeout=20).status_code == 200
        except httpx.HTTPError:
            return False

    try:
        wait(lambda: answers() or process.poll() is not None, 120, "Dagster's page")
        query = {"query": "{version}"}
        assert httpx.post(f"{url}/graphql", json=query, timeout=60).status_code == 401
        away = httpx.get(f"{url}/runs", headers=PAGE, timeout=60)
        assert (away.status_code, away.headers["location"].endswith("/sign-in")) == (303, True)
        operator, admin = session(door, "olga", Role.OPERATOR), session(door, "anna", Role.ADMIN)
        assert httpx.post(f"{url}/graphql", json=query, cookies={COOKIE: operator}, timeout=60).status_code == 403
        assert httpx.post(f"{url}/graphql", json=query, cookies={COOKIE: admin}, timeout=60).status_code == 200
        secret, _ = sessions.make_token(door.seeded.home.platform.db, "anna", now=datetime.now(UTC), expires_at=None)
        assert httpx.post(f"{url}/graphql", json=query, headers={"authorization": f"Bearer {secret}"}, timeout=60).status_code == 200
    finally:
        process.terminate()
        process.wait(20)
