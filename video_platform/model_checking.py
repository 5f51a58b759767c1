"""Trying a model of the registry: loaded and run in the analysis child process, with the limits that a pass has."""

from dataclasses import dataclass
from typing import Any

from video_platform import detectors, model_files
from video_platform.analysis import worker
from video_platform.errors import ModelUnavailable, SettingsError
from video_platform.model_registry import Engine, Entry, Registry, Task
from video_platform.services import ollama
from video_platform.settings import Settings

MEMORY_BYTES = 8 * 1024**3
"""Address space of the child: what a pass with a detector of torch may take by default."""

WALL_S = 600.0
"""Longest trial: the files are read and hashed, and a slow model looks six times at a picture."""


@dataclass(frozen=True)
class Trial:
    """What a trial showed; `facts` are those of `analysis.model_checks.look`. `classes` are those that results will name."""

    name: str
    digest: str
    classes: tuple[str, ...]
    facts: dict[str, Any]


def check(settings: Settings, registry: Registry, entry: Entry) -> Trial:
    """Load a model from its files, whose hashes are compared, and run it on something known.

    Raises:
        ModelMissing: its files are not here. SettingsError: what runs it is not installed.
        IntegrityError: a file has not its hash, or the model cannot be loaded. ModelUnavailable: Ollama has no such model, or does not answer.
    """
    if entry.runs_on is Engine.OLLAMA:
        return _of_ollama(settings, entry)
    extra = model_files.without(entry)
    if extra:
        raise SettingsError(model_files.install_words(entry, extra), extra=extra)
    known = detectors.of_entry(settings, registry, entry) if entry.detects else None
    hashes = dict(known.files) if known else model_files.needed(settings, registry, entry).hashes
    payload = {
        "name": entry.name,
        "engine": entry.runs_on.value,
        "task": entry.task.value,
        "folder": str(model_files.folder(settings, registry, entry)),
        "files": hashes,
        "detector": known.payload() if known else None,
    }
    on_card = known is not None and known.engine != Engine.NANODET and detectors.on_graphics_card(settings)
    facts = worker.run("model_check", payload, limits=worker.Budget(memory_bytes=MEMORY_BYTES, wall_s=WALL_S, of_data=on_card))
    return Trial(entry.name, known.digest if known else model_files.digest(hashes, ()), known.classes if known else (), facts)


def _of_ollama(settings: Settings, entry: Entry) -> Trial:
    """Whether Ollama has the model, and whether one that is to see says that it can; it is loaded when it is asked something."""
    found = ollama.look(settings.language_model.model_copy(update={"model": entry.place, "digest": ""}))
    if found.digest is None:
        raise ModelUnavailable(f"{found.problem}; or: vp models pull {entry.name}" if found.version else str(found.problem), model=entry.name)
    seer = ollama.seer(settings.language_model.model_copy(update={"vision_model": entry.place, "engine": "auto"})) if entry.task is Task.VISION else None
    if seer is not None and not seer.ok:
        raise ModelUnavailable(f"{seer.found}; {seer.advice}", model=entry.name)
    return Trial(entry.name, found.digest.removeprefix("sha256:"), (), {"ran_on": f"Ollama {found.version} at {found.address}", "load_s": None, "each_s": None})
