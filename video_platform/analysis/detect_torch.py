"""Finding objects in pictures with detectors of transformers on torch: those with fixed classes (D-FINE, RT-DETR v2 and their kin), and OWL-ViT or OWLv2,
which look for whatever words the registry gives them.

A model is a folder of safetensors and JSON that was fetched before; nothing is downloaded here, and no code that comes with a model is run. Pictures are
prepared by transformers' own processors on Pillow: those on torchvision would bring another torch (docs/dependencies.md).
"""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from video_platform import extras, model_files
from video_platform.analysis.detect import MAX_BOXES, Found, non_maximum_suppression, require_picture
from video_platform.detectors import KnownDetector
from video_platform.errors import IntegrityError, SettingsError

DUPLICATE_IOU = 0.7
"""Boxes of one class that overlap by more are one object. These models are trained to give each object one box, but may give it another on the way: unlike
NanoDet's, boxes that overlap less are two people of a crowd."""

GPU_BATCH = 16
"""Pictures at once on a graphics card: three seconds of footage. Not measured on one yet; more is rarely faster, and lets a short video wait."""

OPEN_VOCABULARY = frozenset({"owlvit", "owlv2"})
"""Model types whose answer names the word of each box by its number."""

PROMPT = "a photo of {article} {name}"
"""What is asked for a class: the words with which these models were trained and measured."""

OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
"""So that a config which names a file elsewhere finds nothing, whatever a version of transformers makes of it."""

NOT_THE_FILES = ("CUDA", "alloc", "memory")
"""In errors of torch: the machine could not, which says nothing of the model."""


@dataclass(frozen=True)
class Plan:
    """What a model runs on: device of torch, numbers it calculates with, pictures at once."""

    device: str
    precision: str
    batch: int

    @property
    def words(self) -> str:
        """For people and manifests."""
        return f"torch, {self.device}, {self.precision}, {self.batch} at once"


def plan(wanted: str) -> Plan:
    """Batch and precision of a device. `wanted` is `cpu`, `cuda` or `auto`, which takes a graphics card where torch finds one.

    On a processor one picture at a time in float32: four at once cost a quarter more each, and half precision needs instructions that few have. On a card
    float16 where it is safe (torch's autocast decides per operation), and many at once.

    Raises:
        SettingsError: `cuda` is wanted and torch finds no graphics card.
    """
    import torch

    there = wanted != "cpu" and torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise SettingsError("VIDEO_PLATFORM_MODELS__DEVICE is cuda, and torch finds no graphics card; set cpu, or install the torch build for the card")
    return Plan("cuda", "float16", GPU_BATCH) if there else Plan("cpu", "float32", 1)


class TorchDetector:
    """A detector of transformers; see `detect.Detector`."""

    def __init__(self, entry: KnownDetector, *, min_score: float = 0.2, runs: Plan | None = None) -> None:
        """`runs` replaces what `plan` chooses.

        Raises:
            SettingsError: torch or transformers is not installed, or the device is not there.
            IntegrityError: the files are not those that were fetched, or no such detector.
        """
        require_files(entry.folder, entry.files)
        self.name, self.names, self.digest = entry.name, entry.classes, entry.digest
        self.min_score = min_score
        self._open = entry.open_vocabulary
        with quiet_transformers(entry.name):
            import torch

            self._torch = torch
            self.runs = runs or plan(entry.runs_on)
            self._model, self._processor = _loaded(entry)
            self._model = self._model.to(self.runs.device).eval()
        self.batch, self.ran_on = self.runs.batch, self.runs.words
        self._prompts = [prompt(name) for name in self.names] if self._open else []

    def detect(self, bgr: NDArray[np.uint8]) -> Found:
        """See `detect.Detector.detect`."""
        return self.detect_many([bgr])[0]

    def detect_many(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Found]:
        """See `detect.Detector.detect_many`."""
        for picture in pictures:
            require_picture(picture)
        sizes = [picture.shape[:2] for picture in pictures]
        inputs = self._prepared([np.ascontiguousarray(picture[:, :, ::-1]) for picture in pictures])
        with self._torch.inference_mode(), self._precision():
            outputs = self._model(**inputs)
        answers = self._post()(_as_float32(outputs), threshold=self.min_score, target_sizes=sizes)
        return [self._found(answer, size) for answer, size in zip(answers, sizes, strict=True)]

    def _prepared(self, pictures: list[NDArray[np.uint8]]) -> Mapping[str, Any]:
        words = {"text": [self._prompts] * len(pictures), "truncation": True} if self._open else {}
        return self._processor(images=pictures, return_tensors="pt", **words).to(self.runs.device)

    def _post(self) -> Any:
        return self._processor.post_process_grounded_object_detection if self._open else self._processor.post_process_object_detection

    def _precision(self) -> Any:
        dtype = getattr(self._torch, self.runs.precision)
        return self._torch.autocast(self.runs.device, dtype=dtype, enabled=dtype is not self._torch.float32)

    def _found(self, answer: Mapping[str, Any], size: tuple[int, int]) -> Found:
        """Rows of one picture: upright boxes within it, best first, duplicates left out."""
        boxes, scores, labels = (answer[part].float().cpu().numpy() for part in ("boxes", "scores", "labels"))
        height, width = size
        boxes = np.clip(boxes / np.array([width, height, width, height], np.float32), 0.0, 1.0).astype(np.float32).reshape(-1, 4)
        sound = np.isfinite(boxes).all(axis=1) & np.isfinite(scores) & (labels >= 0) & (labels < len(self.names))
        sound &= (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        found = Found(boxes, scores.astype(np.float32), labels.astype(np.int16)).take(sound)
        found = found.take(np.argsort(-found.scores, kind="stable")[:MAX_BOXES])
        return found.take(non_maximum_suppression(found, DUPLICATE_IOU))


def prompt(name: str) -> str:
    """What is asked for a class."""
    return PROMPT.format(article="an" if name[:1].lower() in "aeiou" else "a", name=name)


def require_files(folder: Path, hashes: Mapping[str, str]) -> None:
    """Refuse a folder whose files are not exactly those with these hashes (and the record of the fetching); IntegrityError names the first that is not."""
    there = {path.name for path in folder.iterdir()} - {model_files.RECORD} if folder.is_dir() else set()
    advice = f"fetch the model again with `vp models pull {folder.name} --again`"
    for name in sorted(there - set(hashes)):
        raise IntegrityError(f"{folder / name} does not belong to this model; remove it, or {advice}", path=str(folder / name))
    for name, sha256 in hashes.items():
        if name not in there:
            raise IntegrityError(f"{folder / name} is missing; {advice}", path=str(folder / name))
        actual = sha256_of(folder / name)
        if actual != sha256:
            raise IntegrityError(f"{folder / name} has SHA-256 {actual}, not {sha256}; {advice}", expected=sha256, actual=actual, path=str(folder / name))


def sha256_of(path: Path) -> str:
    """SHA-256 of a file of any size."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def quiet_transformers(name: str) -> Iterator[None]:
    """With transformers quiet and without a network; what it says about a folder that it cannot load becomes one error."""
    os.environ.update(OFFLINE)
    try:
        import transformers

        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        yield
    except ImportError as error:
        if error.name in ("torch", "transformers"):
            words = f"{name} runs on torch and transformers, and {error.name} is not installed: {extras.install('models')}"
            raise SettingsError(words, extra="models") from error
        raise IntegrityError(f"{name} needs what is no part of this platform: {' '.join(str(error).split())[:300]}", model=name) from error
    except (ValueError, KeyError, OSError, RuntimeError, TypeError, AttributeError) as error:
        if any(word in str(error) for word in NOT_THE_FILES):
            raise
        raise IntegrityError(f"{name} cannot be loaded: {type(error).__name__}: {' '.join(str(error).split())[:300]}", model=name) from error


def _loaded(entry: KnownDetector) -> tuple[Any, Any]:
    """The model on the processor, and what prepares pictures for it."""
    import torch
    from transformers import AutoImageProcessor, AutoModelForObjectDetection, AutoModelForZeroShotObjectDetection, AutoProcessor

    here: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    kind = AutoModelForZeroShotObjectDetection if entry.open_vocabulary else AutoModelForObjectDetection
    model, said = kind.from_pretrained(entry.folder, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **here)
    lost = sorted({*said["missing_keys"], *(str(key) for key in said["mismatched_keys"])})
    if lost:
        raise IntegrityError(f"{entry.name}: its weights lack {len(lost)} parts, {lost[0]} the first: what is not there would be random", model=entry.name)
    if entry.open_vocabulary:
        if model.config.model_type not in OPEN_VOCABULARY:
            raise IntegrityError(f"{entry.name} is a {model.config.model_type}; open vocabularies are looked for with {', '.join(sorted(OPEN_VOCABULARY))}")
        return model, AutoProcessor.from_pretrained(entry.folder, backend="pil", **here)
    if model.config.num_labels != len(entry.classes):
        raise IntegrityError(f"{entry.name} has {model.config.num_labels} classes, and the registry names {len(entry.classes)}", model=entry.name)
    return model, AutoImageProcessor.from_pretrained(entry.folder, backend="pil", **here)


def _as_float32(outputs: Any) -> Any:
    """The parts of an answer that become boxes, in float32 whatever was calculated with."""
    outputs.logits, outputs.pred_boxes = outputs.logits.float(), outputs.pred_boxes.float()
    return outputs
