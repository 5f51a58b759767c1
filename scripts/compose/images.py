"""The images that docker-compose.yml names, made from packages: no registry is asked.

Each is tagged with a hash of what it is made of, so that it is made once and again only when that changes; the engine's folder keeps them.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from scripts.compose.engine import Engine, run
from scripts.services import kafka, minio, ollama
from scripts.services.processes import ServiceFailed

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent / "images"
SUITE = "bookworm"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
"""This machine's authorities go into the base, or pip and apt in it would not trust what this machine trusts."""
WHEELS = ROOT.parent / "shared" / "wheels"
"""A folder of wheels beside the clone, as the Makefile knows it."""
BUILD_S = 3600.0
OURS = ("Dockerfile", ".dockerignore", "pyproject.toml", "constraints.txt", "README.md", "LICENSE", "THIRD-PARTY.md")
OUR_FOLDERS = ("video_platform", "sensors", "ui", "deploy/wheels")


class Images:
    """All images on one engine."""

    def __init__(self, engine: Engine, say: Callable[[str], None] = print) -> None:
        self._engine = engine
        self._say = say

    def environment(self) -> dict[str, str]:
        """Make what is missing; the variables of docker-compose.yml that name the images. One that the environment names is taken as it is."""
        makers: dict[str, Callable[[], str]] = {
            "KAFKA_IMAGE": lambda: self.server("kafka", {"libs": kafka.fetch()}),
            "MINIO_IMAGE": lambda: self.server("minio", {"minio": minio.fetch()}),
            "POSTGRES_IMAGE": lambda: self.server("postgres", {}),
            "OLLAMA_IMAGE": lambda: self.server("ollama", {"ollama": ollama.fetch()}),
            "VP_IMAGE": self.platform,
        }
        return {name: os.environ.get(name) or make() for name, make in makers.items()}

    def debian(self) -> str:
        """A Debian base made with debootstrap from the mirror that this machine uses."""
        tag = f"vp-debian:{SUITE}-{_digest([CERTIFICATES])}"
        if not self._there(tag):
            self._say(f"making {tag}: debootstrap, about a minute")
            with tempfile.TemporaryDirectory(prefix="video-platform-base-") as folder:
                root = Path(folder) / "root"
                run(["debootstrap", "--variant=minbase", "--include=ca-certificates", SUITE, str(root), mirror()], {}, seconds=BUILD_S)
                shutil.copyfile(CERTIFICATES, root / "etc/ssl/certs/ca-certificates.crt")
                (root / "etc/pip.conf").write_text(f"[global]\ncert = {CERTIFICATES}\n")
                suites = (f"{mirror()} {SUITE} main", f"{mirror()} {SUITE}-updates main", f"{mirror()}-security {SUITE}-security main")
                (root / "etc/apt/sources.list").write_text("".join(f"deb {line}\n" for line in suites))
                archive = Path(folder) / "root.tar"
                run(["tar", "-C", str(root), "-cf", str(archive), "."], {}, seconds=BUILD_S)
                self._engine.run("import", str(archive), tag, quiet=True, seconds=BUILD_S)
        return tag

    def server(self, name: str, files: dict[str, Path]) -> str:
        """The image of a server: its Dockerfile here, and what was fetched for it."""
        debian = self.debian()
        tag = f"vp-{name}:{_digest([HERE / name], debian, *(path.name for path in files.values()))}"
        if not self._there(tag):
            self._say(f"making {tag}")
            with tempfile.TemporaryDirectory(prefix="video-platform-image-") as folder:
                context = Path(folder) / name
                shutil.copytree(HERE / name, context)
                for inside, path in files.items():
                    shutil.copytree(path, context / inside) if path.is_dir() else shutil.copy2(path, context / inside)
                self._build(context, tag, {"DEBIAN": debian})
        return tag

    def platform(self) -> str:
        """The platform's own image, from the Dockerfile that users build."""
        base = self.server("python", {})
        wheels = ROOT / "deploy" / "wheels"
        for wheel in WHEELS.glob("*.whl"):
            if not (wheels / wheel.name).exists():
                shutil.copy2(wheel, wheels)
        tag = f"video-platform:{_digest([*(ROOT / name for name in (*OURS, *OUR_FOLDERS)), ROOT / 'deploy' / 'requirements.py'], base)}"
        if not self._there(tag):
            self._say(f"making {tag}: about ten minutes the first time, half a minute when only our own code changed")
            # pip takes torch from deploy/wheels here; where nothing lies there it comes from the usual index, with what graphics cards need
            self._build(ROOT, tag, {"BASE_IMAGE": base, "TORCH_INDEX": os.environ.get("TORCH_INDEX", "")})
        return tag

    def size_bytes(self, tag: str) -> int:
        """How large an image is, all its layers together."""
        return int(self._engine.run("image", "inspect", "--format", "{{.Size}}", tag, quiet=True).stdout)

    def _there(self, tag: str) -> bool:
        return self._engine.run("image", "inspect", tag, check=False, quiet=True).returncode == 0

    def _build(self, context: Path, tag: str, arguments: dict[str, str]) -> None:
        given = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
        self._engine.run("build", "--network", "host", *given, "-t", tag, str(context), quiet=True, seconds=BUILD_S)


def mirror() -> str:
    """The mirror that this machine's package manager uses."""
    for path in (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list")):
        words = path.read_text().split() if path.exists() else []
        if found := next((word for word in words if word.startswith("http") and word.rstrip("/").endswith("/debian")), None):
            return found.rstrip("/")
    raise ServiceFailed("no Debian mirror is named in /etc/apt: the images are made from Debian's packages")


def _digest(paths: Iterable[Path], *words: str) -> str:
    """What these files and words are, in 12 hex digits. Wheels count by name and size."""
    found = hashlib.sha256()
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                found.update(str(file.relative_to(path.parent)).encode())
                found.update(str(file.stat().st_size).encode() if file.suffix == ".whl" else file.read_bytes())
    for word in words:
        found.update(word.encode())
    return found.hexdigest()[:12]
