"""PostgreSQL as this machine has it installed, as a server of its own beside any that runs already."""

import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from scripts.services.fetching import said
from scripts.services.processes import Server, ServiceFailed, as_user, free_ports

INSTALLED = Path("/usr/lib/postgresql")
"""Where Debian puts each version; its programs are not on the path."""
INSTALL = "apt-get install -y postgresql"
UNPRIVILEGED = "postgres"
"""Who runs it when we are root, which PostgreSQL refuses to be; Debian's package makes this user."""
ROOT_DATA = Path("/var/tmp")
"""Where its data lies then: that user cannot look into root's own folders."""
USER = "platform"
DATABASES = ("video_platform", "dagster")
SETTINGS = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": "200"}
TOOL_S = 120.0
START_S = 120.0
NAME_BYTES = 6


def fetch() -> Path:
    """The folder with the programs of the newest PostgreSQL that is installed."""
    beside = shutil.which("initdb")
    found = [Path(beside).resolve().parent] if beside else [path.parent for path in INSTALLED.glob("*/bin/initdb")]
    if not found:
        raise ServiceFailed(f"PostgreSQL is not installed: {INSTALL}")
    return max(found, key=lambda folder: [int(number) for number in re.findall(r"\d+", folder.parent.name)])


def version() -> str:
    """Which PostgreSQL is installed."""
    return said(fetch() / "postgres", "--version").split()[2]


class PostgresServer(Server):
    """One server in `folder` with the databases `video_platform` and `dagster`; starting it again in the same folder keeps its data, port and password.

    `settings` are PostgreSQL's own, e.g. `{"fsync": "off"}` for data that nobody needs after a power failure.
    """

    def __init__(self, folder: Path, *, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(folder, "postgres", "PostgreSQL", polite=signal.SIGINT)  # SIGTERM would wait until every client has gone
        self._settings = {**SETTINGS, **(settings or {})}
        self._user = UNPRIVILEGED if os.geteuid() == 0 else None

    @property
    def data(self) -> Path:
        """The folder of its data; not inside `folder` when root started it."""
        return Path(self._kept()["data"])

    @property
    def port(self) -> int:
        """Its port on 127.0.0.1."""
        return int(self._kept()["port"])

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of one of its databases, with the password."""
        return f"postgresql+psycopg2://{USER}:{self._kept()['password']}@127.0.0.1:{self.port}/{database}"

    @property
    def environment(self) -> dict[str, str]:
        """The settings that point the platform at this server."""
        platform, dagster = (self.url(name) for name in DATABASES)
        return {"VIDEO_PLATFORM_DATABASE__URL": platform, "VIDEO_PLATFORM_DAGSTER__STORAGE_URL": dagster}

    def new_database(self, prefix: str = "fresh", *, template: str | None = None) -> str:
        """Make a database, empty or a copy of the one whose URL is `template`, which nobody may use meanwhile; its URL."""
        name = f"{prefix}_{secrets.token_hex(NAME_BYTES)}"
        self._tool("createdb", *(["-T", template.rpartition("/")[2]] if template else []), name)
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Drop the database of this URL, ending the connections that are still open to it."""
        self._tool("dropdb", "--force", url.rpartition("/")[2])

    def start(self, *, port: int | None = None, ends_with_parent: bool = False) -> "PostgresServer":
        """Start and wait until it answers; nothing happens when it runs already."""
        if self._process.find():
            return self
        programs = fetch()
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self._state.exists():
            self._make(programs, port or free_ports(1)[0])
        options = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        argv = [str(programs / "postgres"), "-D", str(self.data), "-p", str(self.port), *options]
        self._process.start(argv, {}, ends_with_parent=ends_with_parent, user=self._user, cwd=self.data)
        self._process.wait_until(self.answers, START_S)
        return self

    def _make(self, programs: Path, port: int) -> None:
        password = secrets.token_hex(20)
        place = Path(tempfile.mkdtemp(prefix="video-platform-postgres-", dir=ROOT_DATA if self._user else self.folder))
        secret = place / "password"
        secret.touch(mode=0o600)
        secret.write_text(password)
        if self._user:
            for each in (place, secret):
                shutil.chown(each, self._user, self._user)
        shape = ["-E", "UTF8", "--locale=C.UTF-8", "-A", "scram-sha-256", "--pwfile", str(secret)]
        argv = [*as_user(self._user), str(programs / "initdb"), "-D", str(place / "data"), "-U", USER, *shape]
        done = subprocess.run(argv, cwd=place, capture_output=True, text=True, timeout=TOOL_S, check=False)
        secret.unlink()
        if done.returncode:
            shutil.rmtree(place)
            raise ServiceFailed(f"PostgreSQL's data could not be made in {place}: {done.stderr[-500:]}")
        self._keep(port=port, password=password, data=str(place / "data"))

    def answers(self) -> bool:
        """Whether both databases are there and can be used."""
        try:
            names = set(self._tool("psql", "postgres", "-Atc", "select datname from pg_database").split())
            for name in DATABASES:
                if name not in names:
                    self._tool("createdb", name)
        except ServiceFailed:
            return False
        return True

    def _tool(self, program: str, *arguments: str) -> str:
        argv = [fetch() / program, "-h", "127.0.0.1", "-p", str(self.port), "-U", USER, *arguments]
        password = {"PGPASSWORD": self._kept()["password"]}
        done = subprocess.run(argv, env={**os.environ, **password}, capture_output=True, text=True, timeout=TOOL_S, check=False)
        if done.returncode:
            raise ServiceFailed(f"{program} {' '.join(arguments[:1])} on PostgreSQL at 127.0.0.1:{self.port}: {done.stderr.strip()[-300:]}")
        return done.stdout

    def delete(self) -> None:
        """End it and delete its data, wherever that lies."""
        self.stop()
        if self._state.exists():
            shutil.rmtree(self.data.parent, ignore_errors=True)
            self._state.unlink()
