"""The model that listens to speech: where it lies, what it is called in results, or why there is none. Nothing heavy is imported to find it.

Whisper in the files of CTranslate2, an entry of the registry with task `speech`, run by faster-whisper (extra [speech]).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from video_platform import model_files, model_registry
from video_platform.errors import IntegrityError, ModelMissing, SettingsError
from video_platform.model_registry import Entry, Task
from video_platform.settings import PREFIX, Settings

DEFAULT = "whisper-tiny.en"
"""Taken where it is installed and the settings name none."""

NONE = "none"
"""What the settings say when nobody is to listen."""

VARIABLE = f"{PREFIX}SPEECH__MODEL"


@dataclass(frozen=True)
class SpeechModel:
    """A model whose files are here; `files` maps names to SHA-256, `digest` is what results name it by."""

    name: str
    folder: Path
    files: Mapping[str, str]
    digest: str
    size_bytes: int

    def payload(self) -> dict[str, Any]:
        """As plain JSON, for another process."""
        return {"name": self.name, "folder": str(self.folder), "files": dict(self.files)}


@dataclass(frozen=True)
class Found:
    """The model, or `reason`: why nobody listens here, and what to do about it. `demanded` says that the settings name one, which should be there."""

    model: SpeechModel | None
    reason: str = ""
    demanded: bool = False


def find(settings: Settings) -> Found:
    """The speech model that the settings mean."""
    name = settings.speech.model
    if name == NONE:
        return Found(None, f"listening is switched off ({VARIABLE}={NONE})")
    try:
        registry = model_registry.of(settings)
        entry = registry.get(name or DEFAULT)
        if entry is None or entry.task is not Task.SPEECH:
            known = ", ".join(sorted(each.name for each in registry.entries.values() if each.task is Task.SPEECH))
            return Found(None, f"no speech model is called {name!r}; known: {known}, or {NONE} ({VARIABLE})", demanded=True)
        extra = model_files.without(entry)
        if extra:
            return Found(None, f"{model_files.install_words(entry, extra)}, then vp models pull {entry.name}", demanded=bool(name))
        return Found(_here(settings, registry, entry), demanded=bool(name))
    except (ModelMissing, IntegrityError, SettingsError) as error:
        return Found(None, error.message, demanded=bool(name))


def _here(settings: Settings, registry: model_registry.Registry, entry: Entry) -> SpeechModel:
    record = model_files.needed(settings, registry, entry)
    folder = model_files.folder(settings, registry, entry)
    size_bytes = sum(each.size_bytes for each in record.files.values())
    return SpeechModel(entry.name, folder, record.hashes, model_files.digest(record.hashes, ()), size_bytes)
