"""The files of a model on this machine: where they lie, the record of what was fetched, and the digest that results name. Nothing heavy is imported.

`vp models pull` leaves a folder per model with a record beside the files: their hashes, and which revision they are. Nothing is loaded without a record, and
whoever loads it compares the bytes with it.
"""

import importlib.util
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from video_platform import extras
from video_platform.errors import IntegrityError, ModelMissing
from video_platform.fingerprints import content_hash
from video_platform.model_registry import (
    EXTRAS,
    MAX_CLASSES,
    SHIPPED_FOLDER,
    TAKEN,
    Engine,
    Entry,
    Registry,
    Sha256,
    SourceKind,
    Task,
    class_problem,
)
from video_platform.settings import Settings

RECORD = ".pulled.json"
"""Name of the record; no file of a source can have it."""

MAX_CONFIG_BYTES = 4 * 1024 * 1024
"""Largest config.json that is read for its classes."""

WEIGHTS = {
    Engine.NANODET: re.compile(r".*\.onnx"),
    Engine.TRANSFORMERS: re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors"),
    Engine.FASTER_WHISPER: re.compile(r"model\.bin"),
    Engine.TRANSNETV2: re.compile(r".*\.pth"),
}
"""At least one of these has to be there."""

WORDS = "tokenizer.json"
"""The one JSON text that is no configuration, and too large to be looked through."""

PICTURE_TEXTS = ("preprocessor_config.json", "processor_config.json")
"""How pictures are prepared for a detector stands in one of these."""


class PulledFile(BaseModel):
    """One file as it was fetched."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: Sha256
    size_bytes: Annotated[int, Field(ge=0)]


class Pulled(BaseModel):
    """What was fetched, from where, when: the revision that was `asked` for, and which one that was. `classes` as the model's own config numbers them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    v: Literal[1] = 1
    source: str
    asked: str
    revision: str
    files: dict[str, PulledFile]
    classes: tuple[str, ...] = ()
    pulled_at: datetime

    @property
    def hashes(self) -> dict[str, str]:
        """File -> SHA-256."""
        return {name: each.sha256 for name, each in sorted(self.files.items())}


def folder(settings: Settings, registry: Registry, entry: Entry) -> Path:
    """Where the files of a model lie, there or not."""
    holder = registry.holder(entry)
    return SHIPPED_FOLDER if holder.kind is SourceKind.PACKAGE else settings.models_folder / holder.name


def pulled(settings: Settings, registry: Registry, entry: Entry) -> Pulled | None:
    """The record of a model's files; None when they were not fetched, or from another place than the entry says now.

    Raises:
        IntegrityError: the record cannot be read, or differs from the hashes of the entry.
    """
    holder = registry.holder(entry)
    path = folder(settings, registry, entry) / RECORD
    try:
        record = Pulled.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise IntegrityError(f"{path} cannot be read: fetch the model again with `vp models pull {holder.name} --again`", path=str(path)) from error
    if (record.source, record.asked) != (holder.source, holder.revision):
        return None
    wrong = [name for name, sha256 in holder.sha256.items() if record.hashes.get(name) != sha256]
    if wrong:
        raise IntegrityError(
            f"{path.parent / wrong[0]} is not what the registry says of {holder.name}; fetch it again with `vp models pull {holder.name} --again`",
            expected=holder.sha256[wrong[0]],
            actual=record.hashes.get(wrong[0], ""),
        )
    return record


def needed(settings: Settings, registry: Registry, entry: Entry) -> Pulled:
    """The record of a model's files.

    Raises:
        ModelMissing: they are not there; names the command that fetches them.
        IntegrityError: as `pulled`.
    """
    record = pulled(settings, registry, entry)
    if record is None:
        holder = registry.holder(entry)
        raise ModelMissing(
            f"the files of model {entry.name} are not in {folder(settings, registry, entry)}; get them with: vp models pull {holder.name}", model=entry.name
        )
    return record


def without(entry: Entry) -> str | None:
    """The extra that an engine needs and that is not installed here; None when all is there."""
    extra, modules = EXTRAS.get(entry.runs_on, ("", ()))
    return extra if any(importlib.util.find_spec(module) is None for module in modules) else None


def install_words(entry: Entry, extra: str) -> str:
    """What to do about a missing extra."""
    return f"{entry.name} runs on {entry.runs_on.value}, which is not installed: {extras.install(extra)}"


def digest(hashes: dict[str, str], classes: tuple[str, ...]) -> str:
    """What results name: one hash over all files of a model and what its classes are called."""
    return content_hash({"files": hashes, "classes": list(classes)})


def problem(entry: Entry, names: set[str]) -> str | None:
    """What is missing among the files of a model; None when it can be loaded from them."""
    engine = entry.runs_on
    refused = sorted(name for name in names if not TAKEN[engine].fullmatch(name))
    if refused:
        return f"{refused[0]} is not taken for {engine.value}"
    if not any(WEIGHTS[engine].fullmatch(name) for name in names):
        what = "weights as model.safetensors" if engine is Engine.TRANSFORMERS else "weights"
        return f"there are no {what}"
    if engine in (Engine.TRANSFORMERS, Engine.FASTER_WHISPER) and "config.json" not in names:
        return "config.json is missing"
    if entry.detects and engine is Engine.TRANSFORMERS and not names.intersection(PICTURE_TEXTS):
        return f"{PICTURE_TEXTS[0]} is missing: how pictures are prepared"
    return None


def wants_code(text: bytes) -> str | None:
    """What in a JSON text of a model asks for code that would come with it, or be fetched: its key. None when nothing does."""
    try:
        waiting = [json.loads(text)]
    except (ValueError, RecursionError):
        return None  # no library can read it either
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            foreign = [key for key in value if key == "auto_map" or (key.endswith("attn_implementation") and "/" in str(value[key]))]
            if foreign:
                return foreign[0]
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return None


def classes_of(entry: Entry, files: Path) -> tuple[str, ...]:
    """The classes that a detector's own config.json names, by class id; empty for other tasks.

    Raises:
        IntegrityError: the file does not say them, or says something that cannot be used.
    """
    if entry.task is not Task.DETECTION or entry.runs_on is not Engine.TRANSFORMERS:
        return ()
    path = files / "config.json"
    try:
        with path.open("rb") as file:
            text = file.read(MAX_CONFIG_BYTES + 1)
        labels = json.loads(text)["id2label"] if len(text) <= MAX_CONFIG_BYTES else {}
        classes = tuple(str(labels[key]) for key in sorted(labels, key=int))
        numbered = sorted(int(key) for key in labels) == list(range(len(labels)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise IntegrityError(f"{path} does not say which classes the model has (id2label)", path=str(path)) from error
    if not classes or not numbered or len(classes) > MAX_CLASSES:
        raise IntegrityError(f"{path} numbers {len(classes)} classes; 1 to {MAX_CLASSES} numbered from 0 can be used", path=str(path))
    if entry.classes and len(entry.classes) != len(classes):
        raise IntegrityError(f"{path} has {len(classes)} classes, and the registry names {len(entry.classes)} for {entry.name}", path=str(path))
    wrong = None if entry.classes else class_problem(classes)
    if wrong:
        raise IntegrityError(f"{path}: {wrong}; name the classes in the registry entry of {entry.name}", path=str(path))
    return classes
