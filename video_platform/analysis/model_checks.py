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
from video_platform.analysis.transnet import HEIGHT, MARGIN, STEP, WIDTH, WINDOW, TransNet
from video_platform.detectors import KnownDetector
from video_platform.errors import IntegrityError
from video_platform.model_registry import SHIPPED_FOLDER, Engine, Task
from video_platform.scene_model import SceneModel

LOOKS = 5
"""The picture is looked at so often; the middle time counts. The first look, which prepares memory, does not."""

SHOWN = 6
"""Objects of the check picture that are told, best first."""

SHOWN_SCORE = 0.2

SENTENCES = ("A dog runs across the yard.", "A puppy is running over the lawn.", "The invoice was paid by bank transfer.")
"""Two that mean nearly the same, and one that does not."""

CUT_FROM, CUT_TO = (40, 70, 30), (190, 180, 200)
"""RGB before and after the cut that a model for scenes is shown."""

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
    if Task(payload["task"]) is Task.SCENES:
        return _scenes(payload["name"], folder, payload["files"])
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


def _scenes(name: str, folder: Path, files: Mapping[str, str]) -> dict[str, Any]:
    """A window whose second half has another colour: the last frame before that must be told apart from all others."""
    began = time.perf_counter()
    network = TransNet(SceneModel(name, folder, files, ""))
    load_s = time.perf_counter() - began
    window = np.empty((WINDOW, HEIGHT, WIDTH, 3), np.uint8)
    window[: WINDOW // 2], window[WINDOW // 2 :] = CUT_FROM, CUT_TO
    scores = network.scores(window)
    cut, *rest = np.concatenate([scores[WINDOW // 2 - 1 : WINDOW // 2], scores[MARGIN : WINDOW // 2 - 2], scores[WINDOW // 2 + 1 : -MARGIN]])
    return {
        "ran_on": network.ran_on,
        "load_s": round(load_s, 3),
        "each_s": round(_timed(lambda: network.scores(window)) / STEP, 4),
        "what": "frame",
        "parameters": int(network.parameters),
        "cut": round(float(cut), 3),
        "no cut": round(float(max(rest)), 3),
    }


CHECKS: Mapping[Task, Callable[[str, Path], dict[str, Any]]] = {Task.EMBEDDINGS: _embeddings, Task.SPEECH: _speech}


def _timed(work: Callable[[], object]) -> float:
    """Median seconds of `LOOKS` times."""
    spans = []
    for _ in range(LOOKS):
        began = time.perf_counter()
        work()
        spans.append(time.perf_counter() - began)
    return median(spans)
