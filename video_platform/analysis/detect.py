"""Finding objects in pictures: what every detector promises, and the one that ships, NanoDet through onnxruntime, at two scales.

One network pass finds objects well whose height is 25 to 130 pixels of its input; larger ones are missed more and more (docs/tracking.md has the figures).
So a second, small pass sees the same picture at about half the size, and only its large boxes are kept.
"""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from video_platform.detectors import KnownDetector, shipped
from video_platform.errors import IntegrityError
from video_platform.model_registry import SHIPPED_FOLDER, Engine

log = logging.getLogger(__name__)

MEAN_BGR = (103.53, 116.28, 123.675)
STD_BGR = (57.375, 57.12, 58.395)
PAD = 114
"""Grey value around a picture whose shape is not the network's, as in training."""

STRIDES = (8, 16, 32)
DISTANCE_BINS = np.arange(11, dtype=np.float32)
"""A side of a box is the expected value of a distribution over 0 to 10 cells."""

SIZE_STEP = 32
"""The network takes any size that is a multiple of its largest stride."""

FULL_PIXELS = 140_000
"""Input pixels of the full pass: 416x320 for 4:3, 480x288 for 16:9; about 12 ms on one core with VNNI. Four times as many find smaller people, but put
detection at five samples a second above a quarter of the decoding of 1080p footage."""

SMALL_PIXELS = 50_000
"""Input pixels of the small pass: 256x192 for 4:3, 288x160 for 16:9; about 5 ms."""

SMALL_PASS_MIN_HEIGHT = 0.15
"""Boxes of the small pass that are lower than this fraction of the frame are dropped: the full pass sees those better."""

NMS_IOU = 0.5
MAX_BOXES = 300
"""Boxes kept of one picture, best first: bounds what a hostile picture can cost later."""

SHRINK_AREA = 2.0
"""From this factor on a picture is shrunk by area means; bilinear shrinking would skip pixels."""

CHECK_FILE = "nanodet_check.jpg"
"""A piece of the sample clip, 256x192, with people whom the small pass sees clearly."""

CHECK_SCORES = (0.868, 0.821, 0.808, 0.793)
"""The best scores of the check picture with exact sums; the float32 model gives 0.872, 0.822, 0.822, 0.787."""

CHECK_TOLERANCE = 0.05
"""How far a score of the check picture may be off. Another JPEG decoder or the float32 model stays within 0.015."""


class Found(NamedTuple):
    """Objects in one picture: boxes float32 (N, 4) `x1 y1 x2 y2`, scores float32 (N,), class ids int16 (N,)."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int16]

    def take(self, rows: NDArray[Any]) -> "Found":
        """The rows of an index or mask."""
        return Found(self.boxes[rows], self.scores[rows], self.class_ids[rows])

    @staticmethod
    def joined(parts: Sequence["Found"]) -> "Found":
        """All rows of all parts."""
        boxes = np.concatenate([part.boxes for part in parts])
        scores = np.concatenate([part.scores for part in parts])
        return Found(boxes, scores, np.concatenate([part.class_ids for part in parts]))


@dataclass(frozen=True)
class DetectionParameters:
    """What is looked for, and how often; field names as in the settings group `detection`."""

    model: str = "nanodet-g-int8"
    samples_per_s: float = 5.0
    store_score: float = 0.2
    second_scale: bool = True


class Detector(Protocol):
    """Finds objects in pictures.

    `names[class_id]` is a class; `digest` says which model it is (`KnownDetector.digest`); `batch` is how many pictures it likes to see at once; `ran_on` says
    in words what it runs on.
    """

    name: str
    names: tuple[str, ...]
    digest: str
    batch: int
    ran_on: str

    def detect(self, bgr: NDArray[np.uint8]) -> Found:
        """Boxes float32 (N, 4) `x1 y1 x2 y2` 0-1, scores float32 (N,) descending, class ids int16 (N,) of an upright BGR picture (H, W, 3)."""
        ...

    def detect_many(self, pictures: Sequence[NDArray[np.uint8]]) -> Sequence[Found]:
        """The same for several pictures of one shape, in their order."""
        ...


def load_detector(entry: KnownDetector | str, *, min_score: float = 0.2, second_scale: bool = True) -> Detector:
    """A detector, ready to look; a name means one that ships. Boxes below `min_score` are not returned; `second_scale` counts for NanoDet alone.

    Raises:
        SettingsError: no detector that ships has this name, or what runs it is not installed.
        IntegrityError: a file is missing or not the one it should be.
    """
    detector = shipped(entry) if isinstance(entry, str) else entry
    if detector.engine == Engine.NANODET:
        return NanoDet(detector, min_score=min_score, second_scale=second_scale)
    from video_platform.analysis.detect_torch import TorchDetector

    return TorchDetector(detector, min_score=min_score)


def require_picture(bgr: NDArray[Any]) -> None:
    """Refuse with ValueError what is no BGR picture."""
    if bgr.ndim != 3 or bgr.shape[2] != 3 or bgr.dtype != np.uint8 or not bgr.size:
        raise ValueError(f"a picture is uint8 (H, W, 3); got {bgr.dtype} {bgr.shape}")


@lru_cache(maxsize=64)
def input_size(height: int, width: int, pixels: int) -> tuple[int, int]:
    """`(width, height)` of the network input of at most `pixels` that shows a frame of this shape largest; the smallest such input."""
    sides = range(SIZE_STEP, pixels // SIZE_STEP + 1, SIZE_STEP)
    sizes = [(w, h) for w in sides for h in range(SIZE_STEP, pixels // w + 1, SIZE_STEP)]
    return max(sizes, key=lambda size: (round(min(size[0] / width, size[1] / height), 9), -size[0] * size[1]))


class NanoDet:
    """NanoDet-g, int8 (U8 activations, S8 weights per channel), one thread.

    On CPUs without VNNI the int8 sums of onnxruntime saturate and scores come out wrong. A known picture is looked at on loading; where its scores are off,
    the exact, slower sums are used instead.
    """

    def __init__(self, entry: KnownDetector, *, min_score: float = 0.2, second_scale: bool = True, reference: Sequence[float] | None = None) -> None:
        import cv2

        self._cv2 = cv2
        self.name, self.names, self.digest = entry.name, entry.classes, entry.digest
        self.batch, self.ran_on = 1, "onnxruntime, cpu, int8, 1 at once"
        self.min_score, self.second_scale = min_score, second_scale
        ((file, sha256),) = entry.files.items()
        model = verified(entry.folder / file, sha256)
        picture = SHIPPED_FOLDER / CHECK_FILE
        self._session = _session(model, exact=False)
        self.exact_sums = False
        expected = CHECK_SCORES if reference is None else tuple(reference)
        if not self._agrees(picture, expected):
            self._session = _session(model, exact=True)
            self.exact_sums = True
            agrees = self._agrees(picture, expected)
            log.warning(
                "%s: the fast int8 sums of this CPU saturate (no VNNI), so detection uses exact sums and takes about twice as long%s",
                entry.name,
                "" if agrees else "; its scores on the check picture are still off: detections may be wrong here, use another machine and report this CPU",
            )

    def detect(self, bgr: NDArray[np.uint8]) -> Found:
        """See `Detector.detect`."""
        require_picture(bgr)
        full = self._fitted(bgr, FULL_PIXELS)
        found = self._pass(full)
        if self.second_scale:
            more = self._pass(self._fitted(full, SMALL_PIXELS))
            found = Found.joined([found, more.take(more.boxes[:, 3] - more.boxes[:, 1] > SMALL_PASS_MIN_HEIGHT)])
        return found.take(non_maximum_suppression(found, NMS_IOU)[:MAX_BOXES])

    def detect_many(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Found]:
        """See `Detector.detect_many`: one after another."""
        return [self.detect(picture) for picture in pictures]

    def _fitted(self, bgr: NDArray[np.uint8], pixels: int) -> NDArray[np.uint8]:
        """The picture as large as it fits into the network input of `pixels`."""
        height, width = bgr.shape[:2]
        net_w, net_h = input_size(height, width, pixels)
        scale = min(net_w / width, net_h / height)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        how = self._cv2.INTER_AREA if scale * SHRINK_AREA < 1 else self._cv2.INTER_LINEAR
        return np.asarray(self._cv2.resize(bgr, size, interpolation=how), np.uint8)

    def _pass(self, fitted: NDArray[np.uint8]) -> Found:
        """All boxes of one network pass over a fitted picture, overlapping ones included."""
        height, width = fitted.shape[:2]
        net_w, net_h = (-(-side // SIZE_STEP) * SIZE_STEP for side in (width, height))
        outputs = self._session.run(None, {"x": self._blob(fitted, net_w, net_h)})
        found = Found.joined([self._decode(outputs[i], outputs[i + 3], stride, net_w // stride) for i, stride in enumerate(STRIDES)])
        return found._replace(boxes=np.clip(found.boxes / np.array([width, height, width, height], np.float32), 0.0, 1.0))

    def _blob(self, fitted: NDArray[np.uint8], net_w: int, net_h: int) -> NDArray[np.float32]:
        """The network input (1, 3, net_h, net_w): the picture at the top left, grey around it, each channel normalised."""
        blob = np.empty((1, 3, net_h, net_w), np.float32)
        height, width = fitted.shape[:2]
        for channel, (plane, mean, std) in enumerate(zip(self._cv2.split(fitted), MEAN_BGR, STD_BGR, strict=True)):
            blob[0, channel] = (PAD - mean) / std
            np.multiply(plane, np.float32(1 / std), out=blob[0, channel, :height, :width], dtype=np.float32)
            blob[0, channel, :height, :width] -= np.float32(mean / std)
        return blob

    def _decode(self, class_scores: Any, distances: Any, stride: int, cells_per_row: int) -> Found:
        """Boxes in network pixels of one stride: class scores (1, cells, classes), distance bins (1, cells, 4 x 11), row-major cells."""
        scores = class_scores[0].max(axis=1)
        cells = np.flatnonzero(scores >= self.min_score)
        bins = distances[0][cells].reshape(-1, 4, len(DISTANCE_BINS))
        weights = np.exp(bins - bins.max(axis=2, keepdims=True))
        sides = (weights @ DISTANCE_BINS) / weights.sum(axis=2) * stride
        x, y = (cells % cells_per_row + 0.5) * stride, (cells // cells_per_row + 0.5) * stride
        boxes = np.stack([x - sides[:, 0], y - sides[:, 1], x + sides[:, 2], y + sides[:, 3]], axis=1)
        return Found(boxes.astype(np.float32), scores[cells].astype(np.float32), class_scores[0][cells].argmax(axis=1).astype(np.int16))

    def _agrees(self, picture: Path, expected: Sequence[float]) -> bool:
        """Whether the best scores of the check picture are the recorded ones."""
        bgr = self._cv2.imdecode(np.fromfile(picture, np.uint8), self._cv2.IMREAD_COLOR) if picture.exists() else None
        if bgr is None:
            raise IntegrityError(f"{picture} is missing or no picture; install the package again", path=str(picture))
        found = self._pass(self._fitted(np.asarray(bgr, np.uint8), SMALL_PIXELS))
        best = found.scores[non_maximum_suppression(found, NMS_IOU)][: len(expected)]
        return len(best) == len(expected) and bool(np.all(np.abs(best - np.asarray(expected)) <= CHECK_TOLERANCE))


def non_maximum_suppression(found: Found, iou: float) -> NDArray[np.int64]:
    """Rows to keep, best first: of two boxes of one class that overlap by more than `iou`, the better one. Ties go to the earlier row."""
    order = np.argsort(-found.scores, kind="stable")
    apart = found.boxes[order].astype(np.float64) + 2.0 * found.class_ids[order, None]  # boxes of different classes never overlap
    x1, y1, x2, y2 = apart.T
    area = (x2 - x1) * (y2 - y1)
    alive = np.ones(len(order), bool)
    kept = []
    for i in range(len(order)):
        if not alive[i]:
            continue
        kept.append(order[i])
        inner_w = np.minimum(x2[i], x2[i + 1 :]) - np.maximum(x1[i], x1[i + 1 :])
        inner_h = np.minimum(y2[i], y2[i + 1 :]) - np.maximum(y1[i], y1[i + 1 :])
        shared = np.clip(inner_w, 0, None) * np.clip(inner_h, 0, None)
        alive[i + 1 :] &= shared <= iou * (area[i] + area[i + 1 :] - shared)
    return np.array(kept, np.int64)


def verified(path: Path, sha256: str) -> bytes:
    """The bytes of a model file that ships; IntegrityError unless they are the right ones."""
    try:
        model = path.read_bytes()
    except FileNotFoundError as error:
        raise IntegrityError(f"the model file {path} is missing; install the package again or make it with scripts/models", path=str(path)) from error
    actual = hashlib.sha256(model).hexdigest()
    if actual != sha256:
        raise IntegrityError(f"the model file {path} has SHA-256 {actual}, not {sha256}; install the package again", expected=sha256, actual=actual)
    return model


def _session(model: bytes, *, exact: bool) -> Any:
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)  # errors; a missing GPU is not worth a warning
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if exact:
        options.add_session_config_entry("session.x64quantprecision", "1")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
