"""The detectors that this installation knows: name, file, hash and classes. Nothing heavy is imported to read them."""

from dataclasses import dataclass
from pathlib import Path

from video_platform.errors import SettingsError

MODELS_FOLDER = Path(__file__).parent / "models"

COCO_CLASSES = (
    *("person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light"),
    *("fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow"),
    *("elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee"),
    *("skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle"),
    *("wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange"),
    *("broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed"),
    *("dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven"),
    *("toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush"),
)
"""The 80 classes of COCO in the order in which models trained on it number them."""


@dataclass(frozen=True)
class KnownDetector:
    """One detector: `file` lies in `MODELS_FOLDER`, `sha256` is what its bytes must hash to, `classes[class_id]` is a class name."""

    name: str
    file: str
    sha256: str
    classes: tuple[str, ...]

    @property
    def path(self) -> Path:
        """Where the model file lies."""
        return MODELS_FOLDER / self.file


DETECTORS = {
    entry.name: entry
    for entry in (KnownDetector("nanodet-g-int8", "nanodet_g_int8.onnx", "8d43bccb48f0d0782c9d84fed703f9b3a99200d528985c8fbd3b0754b0637a06", COCO_CLASSES),)
}


def known(name: str) -> KnownDetector:
    """The detector of this name; SettingsError naming those that exist."""
    try:
        return DETECTORS[name]
    except KeyError:
        raise SettingsError(f"no detector is called {name!r}; known: {', '.join(sorted(DETECTORS))} (VIDEO_PLATFORM_DETECTION__MODEL)", detector=name) from None


def class_names(name: str) -> tuple[str, ...]:
    """What a detector can name, by class id."""
    return known(name).classes


def model_digest(name: str) -> str:
    """SHA-256 of a detector's file, as every result made with it records."""
    return known(name).sha256
