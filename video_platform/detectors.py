"""The detector that the settings choose: engine, files, hashes and classes. Nothing heavy is imported to read them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from video_platform import model_files, model_registry
from video_platform.errors import SettingsError
from video_platform.model_registry import SHIPPED_FOLDER, Engine, Entry, Registry, Task
from video_platform.settings import PREFIX, Settings

VARIABLE = f"{PREFIX}DETECTION__MODEL"

GRAPHICS_CARD = Path("/dev/nvidiactl")
"""Is there where the driver of a graphics card is."""


@dataclass(frozen=True)
class KnownDetector:
    """One detector whose files lie in `folder`: `files` are their names with their SHA-256, `classes[class_id]` is a class name.

    `digest` is what every result made with it records: of a single file that file's SHA-256, else one hash over all files and classes.
    """

    name: str
    engine: str
    folder: Path
    files: Mapping[str, str]
    classes: tuple[str, ...]
    digest: str
    open_vocabulary: bool = False
    runs_on: str = field(default="auto", compare=False)

    def payload(self) -> dict[str, Any]:
        """As plain JSON, for another process."""
        return {**asdict(self), "folder": str(self.folder), "classes": list(self.classes)}

    @staticmethod
    def of(payload: Mapping[str, Any]) -> "KnownDetector":
        """The detector that `payload` described."""
        return KnownDetector(**{**payload, "folder": Path(payload["folder"]), "classes": tuple(payload["classes"])})


def shipped(name: str) -> KnownDetector:
    """A detector that lies in the package; SettingsError naming those that do."""
    registry = model_registry.shipped()
    entries = [each for each in registry.entries.values() if each.detects and each.runs_on is Engine.NANODET]
    entry = next((each for each in entries if each.name == name), None)
    if entry is None:
        raise SettingsError(f"no detector that ships is called {name!r}; there is: {', '.join(each.name for each in entries)}", detector=name)
    return _in_the_package(entry)


def known(settings: Settings) -> KnownDetector:
    """The detector of the settings.

    Raises:
        SettingsError: no entry of the registry that detects has this name.
        ModelMissing: its files are not there; names the command that fetches them.
        IntegrityError: its files are not those of the registry.
    """
    registry = model_registry.of(settings)
    return of_entry(settings, registry, entry_of(settings, registry))


def entry_of(settings: Settings, registry: Registry) -> Entry:
    """The registry's entry of the settings' detector, whether its files are there or not."""
    name = settings.detection.model
    entry = registry.get(name)
    if entry is None or not entry.detects:
        names = sorted(each.name for each in registry.entries.values() if each.detects)
        raise SettingsError(f"no detector is called {name!r}; known: {', '.join(names)} ({VARIABLE}; {model_registry.VARIABLE} adds your own)", detector=name)
    return entry


def of_entry(settings: Settings, registry: Registry, entry: Entry) -> KnownDetector:
    """The detector of an entry; raises as `known`."""
    if entry.runs_on is Engine.NANODET:
        return _in_the_package(entry)
    record = model_files.needed(settings, registry, entry)
    classes = entry.classes or record.classes
    return KnownDetector(
        entry.name,
        entry.runs_on.value,
        model_files.folder(settings, registry, entry),
        record.hashes,
        classes,
        model_files.digest(record.hashes, classes),
        open_vocabulary=entry.task is Task.OPEN_VOCABULARY,
        runs_on=settings.models.device,
    )


def usable(settings: Settings) -> KnownDetector:
    """As `known`, and what runs it is installed here too.

    Raises:
        SettingsError: the extra that it needs is not installed; names it.
    """
    registry = model_registry.of(settings)
    entry = entry_of(settings, registry)
    extra = model_files.without(entry)
    if extra:
        raise SettingsError(f"{model_files.install_words(entry, extra)}, or set {VARIABLE} to another", extra=extra)
    return of_entry(settings, registry, entry)


def class_names(settings: Settings) -> tuple[str, ...]:
    """What the detector of the settings can name, by class id; before its files are there, what the registry says."""
    registry = model_registry.of(settings)
    return entry_of(settings, registry).classes or known(settings).classes


def model_digest(settings: Settings) -> str:
    """The digest of the settings' detector, as every result made with it records."""
    return known(settings).digest


def on_graphics_card(settings: Settings) -> bool:
    """Whether detectors of torch run on a graphics card here, as far as can be told without torch."""
    return settings.models.device == "cuda" or (settings.models.device == "auto" and GRAPHICS_CARD.exists())


def _in_the_package(entry: Entry) -> KnownDetector:
    (sha256,) = entry.sha256.values()
    return KnownDetector(entry.name, entry.runs_on.value, SHIPPED_FOLDER, dict(entry.sha256), entry.classes, sha256)
