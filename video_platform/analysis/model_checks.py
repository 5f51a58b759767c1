"""Loading a model and running it once: what it is, how fast it is here, and what it says to something known."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from video_platform.analysis.detect import CHECK_FILE, load_detector
from video_platform.analysis.detect_torch import quiet_transformers, require_files
from video_platform.analysis.speech import Listener
from video_platform.analysis.speech_windows import RATE, Window
from video_platform.detectors import KnownDetector
from video_platform.errors import IntegrityError, SettingsError
from video_platform.model_registry import SHIPPED_FOLDER, Engine, Task

LOOKS = 5
"""The picture is looked at so often; the middle time counts. The first look, which prepares memory, does not."""

SHOWN = 6
"""Objects of the check picture that are told, best first."""

SHOWN_SCORE = 0.2

SENTENCES = ("A dog runs across the yard.", "A puppy is running over the lawn.", "The invoice was paid by bank transfer.")
"""Two that mean nearly the same, and one that does not."""

SILENCE_S = 5.0

Progress = Callable[[float, str], None]


def look(payload: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Load the model that `payload` describes (`{name, engine, task, folder, files, detector}`), run it, and say what that showed.

    Returns `ran_on`, `load_s`, `each_s` (median seconds per picture, sentence or 5 s of sound), and what else there is to say of the task.

    Raises:
        IntegrityError: a file has not its hash, or the model cannot be loaded. SettingsError: what runs it is not installed.
    """
    progress(0.0, "loading")
    if payload.get("detector"):
        return _detector(KnownDetector.of(payload["detector"]), progress)
    folder = Path(payload["folder"])
    require_files(folder, payload["files"])
    return CHECKS[Task(payload["task"])](payload["name"], folder)


def _detector(known: KnownDetector, progress: Progress) -> dict[str, Any]:
    import cv2

    cv2.setNumThreads(1)
    picture = cv2.imdecode(np.fromfile(SHIPPED_FOLDER / CHECK_FILE, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise IntegrityError(f"{SHIPPED_FOLDER / CHECK_FILE} is no picture; install the package again")
    began = time.perf_counter()
    detector = load_detector(known, min_score=SHOWN_SCORE)
    load_s = time.perf_counter() - began
    progress(0.5, "looking")
    pictures = [np.asarray(picture, np.uint8)] * detector.batch
    found = detector.detect_many(pictures)[0]
    each_s = _timed(lambda: detector.detect_many(pictures)) / detector.batch
    shown = [{"class": detector.names[class_id], "score": round(float(score), 3)} for score, class_id in zip(found.scores, found.class_ids, strict=True)]
    facts: dict[str, Any] = {"ran_on": detector.ran_on, "load_s": round(load_s, 3), "each_s": round(each_s, 4), "what": "picture", "found": shown[:SHOWN]}
    if known.engine == Engine.NANODET:
        facts["exact_sums"] = bool(getattr(detector, "exact_sums", False))
    return facts


def _embeddings(name: str, folder: Path) -> dict[str, Any]:
    """Sentence vectors as the mean over words; two sentences of one meaning must lie nearer than two of different ones."""
    began = time.perf_counter()
    with quiet_transformers(name):
        import torch
        from transformers import AutoModel, AutoTokenizer

        here: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        tokens = AutoTokenizer.from_pretrained(folder, **here)
        model = AutoModel.from_pretrained(folder, use_safetensors=True, **here).eval()
    load_s = time.perf_counter() - began

    def vectors() -> Any:
        inputs = tokens(list(SENTENCES), padding=True, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            words = model(**inputs).last_hidden_state
        mask = inputs["attention_mask"].unsqueeze(-1)
        return torch.nn.functional.normalize((words * mask).sum(1) / mask.sum(1), dim=1).numpy()

    near, far = (float(vectors()[0] @ vectors()[other]) for other in (1, 2))
    return {
        "ran_on": "torch, cpu, float32",
        "load_s": round(load_s, 3),
        "each_s": round(_timed(vectors) / len(SENTENCES), 4),
        "what": "sentence",
        "dimensions": int(vectors().shape[1]),
        "similar": round(near, 3),
        "different": round(far, 3),
    }


def _speech(name: str, folder: Path) -> dict[str, Any]:
    """Silence, heard as a run hears speech: nothing may be found in it, and the time is that of a window."""
    began = time.perf_counter()
    listener = Listener(folder, name)
    load_s = time.perf_counter() - began
    silence = Window(0.0, np.zeros(int(SILENCE_S * RATE), np.float32), SILENCE_S)
    each_s = _timed(lambda: listener.hear(silence))
    return {
        "ran_on": "ctranslate2, cpu, int8",
        "load_s": round(load_s, 3),
        "each_s": round(each_s, 4),
        "what": f"{SILENCE_S:g} s of sound",
        "languages": "English only" if listener.only_language else "many languages",
    }


def _scenes(name: str, folder: Path) -> dict[str, Any]:
    """The weights alone, read as numbers: what else Python's format may hold is refused, not run."""
    try:
        import torch
    except ImportError as error:
        raise SettingsError(f"{name} runs on torch, which is not installed: pip install 'video-platform[models]'", extra="models") from error
    import pickle

    began = time.perf_counter()
    (path,) = folder.glob("*.pth")
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise IntegrityError(f"{path} holds more or other than weights", path=str(path)) from error
    numbers = sum(each.numel() for each in weights.values())
    return {
        "ran_on": "torch, cpu (weights read, not run)",
        "load_s": round(time.perf_counter() - began, 3),
        "each_s": None,
        "what": "",
        "parameters": int(numbers),
    }


CHECKS: Mapping[Task, Callable[[str, Path], dict[str, Any]]] = {Task.EMBEDDINGS: _embeddings, Task.SPEECH: _speech, Task.SCENES: _scenes}


def _timed(work: Callable[[], object]) -> float:
    """Median seconds of `LOOKS` times."""
    spans = []
    for _ in range(LOOKS):
        began = time.perf_counter()
        work()
        spans.append(time.perf_counter() - began)
    return median(spans)
