"""Detectors of transformers with tiny random weights, through the loading code that real ones take."""

import dataclasses
import json
import shutil
import subprocess
import sys

import clips
import numpy as np
import pytest
import tiny_models

from video_platform import model_files
from video_platform.analysis import one_pass, tables, worker
from video_platform.analysis.detect import DetectionParameters, load_detector
from video_platform.analysis.one_pass import Order
from video_platform.detectors import KnownDetector
from video_platform.errors import IntegrityError, SettingsError

pytestmark = pytest.mark.models

FLOOR = 0.3
"""The scores of random weights lie near one half for those with fixed classes."""


def known(folder, classes=tiny_models.CLASSES, **fields):
    from video_platform.analysis.detect_torch import sha256_of

    hashes = {path.name: sha256_of(path) for path in sorted(folder.iterdir())}
    return KnownDetector(folder.name, "transformers", folder, hashes, classes, model_files.digest(hashes, classes), **fields)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    home = tmp_path_factory.mktemp("models")
    return {make.__name__: make(home / make.__name__) for make in (tiny_models.dfine, tiny_models.rtdetr_v2, tiny_models.owlv2)}


@pytest.fixture
def dfine(folders, tmp_path):
    """A copy that a test may change."""
    return shutil.copytree(folders["dfine"], tmp_path / "dfine")


def pictures(count, shape=(90, 160)):
    return list(np.random.default_rng(5).integers(0, 255, (count, *shape, 3), dtype=np.uint8))


@pytest.mark.parametrize(("make", "floor"), [("dfine", FLOOR), ("rtdetr_v2", FLOOR), ("owlv2", 0.01)])
def test_the_answer_has_the_promised_form_and_does_not_depend_on_the_batch(folders, make, floor):
    detector = load_detector(known(folders[make], open_vocabulary=make == "owlv2"), min_score=floor)
    seen = pictures(3)
    together, alone = detector.detect_many(seen), [detector.detect(picture) for picture in seen]
    for found, other in zip(together, alone, strict=True):
        assert len(found.scores) > 0
        assert (found.boxes.dtype, found.scores.dtype, found.class_ids.dtype) == (np.float32, np.float32, np.int16)
        assert ((found.boxes >= 0) & (found.boxes <= 1)).all()
        assert (found.boxes[:, :2] < found.boxes[:, 2:]).all()
        assert (np.diff(found.scores) <= 0).all()
        assert found.scores.min() >= floor
        assert set(found.class_ids.tolist()) <= {0, 1, 2}
        np.testing.assert_allclose(found.boxes, other.boxes, atol=1e-4)
        np.testing.assert_allclose(found.scores, other.scores, atol=1e-4)


def test_the_numbers_are_those_that_transformers_itself_gives(folders):
    """Boxes, scores and classes of the best object, from the model and the processor without our code between them."""
    import torch
    from transformers import AutoImageProcessor, AutoModelForObjectDetection

    picture = pictures(1)[0]
    found = load_detector(known(folders["dfine"]), min_score=FLOOR).detect(picture)
    model, processor = (each.from_pretrained(folders["dfine"], local_files_only=True) for each in (AutoModelForObjectDetection, AutoImageProcessor))
    with torch.inference_mode():
        answer = model.eval()(**processor(images=[picture[:, :, ::-1].copy()], return_tensors="pt"))
    (expected,) = processor.post_process_object_detection(answer, threshold=FLOOR, target_sizes=[picture.shape[:2]])
    best = int(expected["scores"].argmax())
    np.testing.assert_allclose(found.scores[0], float(expected["scores"][best]), atol=1e-5)
    np.testing.assert_allclose(found.boxes[0] * [160, 90, 160, 90], expected["boxes"][best].clamp(0).numpy(), atol=0.02)
    assert found.class_ids[0] == int(expected["labels"][best])


def test_boxes_of_an_open_vocabulary_are_those_of_the_picture_not_of_the_square_around_it(folders):
    """OWLv2 fills pictures up to a square; a box over its whole width is one over the whole picture."""
    import torch

    from video_platform.analysis.detect_torch import TorchDetector

    detector = TorchDetector(known(folders["owlv2"], open_vocabulary=True), min_score=0.01)

    class Answer(dict):
        logits = torch.full((1, 1, 3), 3.0)
        pred_boxes = torch.tensor([[[0.5, 0.28125, 1.0, 0.5625]]])  # of a 160x160 square: its upper 90 rows

    detector._model = lambda **_: Answer()
    np.testing.assert_allclose(detector.detect(pictures(1)[0]).boxes, [[0, 0, 1, 1]], atol=1e-6)


def test_device_batch_and_precision_are_chosen_and_told(folders, monkeypatch):
    import torch

    from video_platform.analysis import detect_torch

    assert detect_torch.plan("cpu") == detect_torch.Plan("cpu", "float32", 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert detect_torch.plan("auto") == detect_torch.plan("cuda") == detect_torch.Plan("cuda", "float16", detect_torch.GPU_BATCH)
    assert detect_torch.plan("cpu").device == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert detect_torch.plan("auto").device == "cpu"
    with pytest.raises(SettingsError, match="VIDEO_PLATFORM_MODELS__DEVICE is cuda, and torch finds no graphics card"):
        detect_torch.plan("cuda")
    assert load_detector(known(folders["dfine"])).ran_on == "torch, cpu, float32, 1 at once"


def test_half_precision_finds_the_same(folders):
    from video_platform.analysis.detect_torch import Plan, TorchDetector

    entry = known(folders["rtdetr_v2"])
    full, half = TorchDetector(entry, min_score=FLOOR), TorchDetector(entry, min_score=FLOOR, runs=Plan("cpu", "bfloat16", 4))
    assert (half.batch, half.ran_on) == (4, "torch, cpu, bfloat16, 4 at once")
    for one, other in zip(full.detect_many(pictures(2)), half.detect_many(pictures(2)), strict=True):
        assert other.boxes.dtype == np.float32
        assert abs(float(one.scores[0]) - float(other.scores[0])) < 0.03


class Batched(clips.BoxDetector):
    """Sees four pictures at once, and notes how many it got."""

    batch = 4

    def __init__(self):
        self.seen = []

    def detect_many(self, pictures):
        self.seen.append(len(pictures))
        return super().detect_many(pictures)


def test_the_pass_shows_as_many_pictures_at_once_as_the_detector_likes(tmp_path):
    clip = clips.make(tmp_path / "a.mp4", frames=60)
    detector = Batched()
    made = one_pass.run(clip.path, tmp_path, Order(("detections",)), detector=detector)
    assert detector.seen == [4, 4, 2]
    found, _, _ = tables.read_detections(tmp_path / "detections.parquet")
    samples = tables.read_samples(tmp_path / "samples.parquet")
    np.testing.assert_allclose(found.time_s, samples.time_s)
    np.testing.assert_allclose(found.boxes, [clip.boxes[index] for index in samples.frame], atol=0.012)
    assert made["detections"]["ran_on"] == "numpy"


def test_it_looks_at_a_video_in_the_child_process_that_runs_use(tmp_path, folders):
    clip = clips.make(tmp_path / "a.mp4", frames=30)
    entry = known(folders["dfine"])
    detection = dataclasses.asdict(DetectionParameters(model=entry.name, store_score=0.4))
    payload = {"path": str(clip.path), "out_dir": str(tmp_path), "wanted": ["detections"], "detection": detection, "detector": entry.payload()}
    made = worker.run("one_pass", payload, limits=worker.Budget())["detections"]
    found, names, digest = tables.read_detections(tmp_path / "detections.parquet")
    assert (names, digest, made["model"], made["model_sha256"]) == (tiny_models.CLASSES, entry.digest, "dfine", entry.digest)
    assert made["frames_looked_at"] == 5
    assert len(found) == made["count"] > 0
    assert made["ran_on"] == "torch, cpu, float32, 1 at once"


def test_classes_are_called_what_the_registry_says(folders):
    assert load_detector(known(folders["dfine"], classes=("Mensch", "Auto", "Drohne"))).names == ("Mensch", "Auto", "Drohne")
    with pytest.raises(IntegrityError, match="dfine has 3 classes, and the registry names 2"):
        load_detector(known(folders["dfine"], classes=("person", "car")))


def test_what_was_changed_added_or_lost_since_it_was_fetched_is_refused(dfine):
    entry = known(dfine)
    (dfine / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(IntegrityError, match=r"pytorch_model\.bin does not belong to this model"):
        load_detector(entry)
    (dfine / "pytorch_model.bin").unlink()
    weights = dfine / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"model\.safetensors has SHA-256 .*vp models pull dfine --again"):
        load_detector(entry)
    weights.unlink()
    with pytest.raises(IntegrityError, match=r"model\.safetensors is missing; fetch the model again with `vp models pull dfine --again`"):
        load_detector(entry)


def test_weights_that_lack_a_part_are_refused_instead_of_filled_with_chance(dfine):
    from safetensors.torch import load_file, save_file

    weights = load_file(dfine / "model.safetensors")
    lost = next(name for name in weights if "enc_score_head" in name)
    save_file({name: value for name, value in weights.items() if name != lost}, dfine / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(IntegrityError, match=r"its weights lack 1 parts, model\.enc_score_head"):
        load_detector(known(dfine))


@pytest.mark.parametrize("model_type", ["no-such-model", "bert"])
def test_what_is_no_detector_is_one_clear_error(dfine, model_type):
    config = json.loads((dfine / "config.json").read_text())
    (dfine / "config.json").write_text(json.dumps({**config, "model_type": model_type}))
    with pytest.raises(IntegrityError, match="dfine cannot be loaded: "):
        load_detector(known(dfine))


def test_code_that_comes_with_a_model_is_never_run(dfine, tmp_path):
    """Neither by a config that names it, nor where the file itself lies in the folder."""
    marker = tmp_path / "ran"
    (dfine / "evil.py").write_text(f"open({str(marker)!r}, 'w')\n")
    config = json.loads((dfine / "config.json").read_text())
    config |= {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Evil", "AutoModelForObjectDetection": "evil.Evil"}}
    (dfine / "config.json").write_text(json.dumps(config))
    with pytest.raises(IntegrityError, match="dfine cannot be loaded"):
        load_detector(known(dfine))
    assert not marker.exists()


def test_without_the_extra_its_name_is_said(folders, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(SettingsError, match=r"transformers is not installed: \.venv/bin/pip install -c constraints.txt -e '\.\[models\]'"):
        load_detector(known(folders["dfine"]))


def test_neither_torchvision_nor_a_second_opencv_is_there(folders):
    """Both would come with packages that ask for them, and break what is here."""
    script = (
        "import sys; sys.path.insert(0, 'tests'); import importlib.metadata as m; from pathlib import Path\n"
        "from video_platform.analysis.detect_torch import TorchDetector; import test_detect_torch as t\n"
        f"TorchDetector(t.known(Path({str(folders['dfine'])!r})))\n"
        "names = {d.metadata['Name'].lower() for d in m.distributions()}\n"
        "print('torchvision' in sys.modules, sorted(n for n in names if n.startswith(('torchvision', 'opencv'))))"
    )
    path = f"tests{':'}tests/analysis{':'}."
    done = subprocess.run([sys.executable, "-c", script], env={"PYTHONPATH": path, "PATH": ""}, capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout.strip() == "False ['opencv-python']"
