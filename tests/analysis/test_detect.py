import dataclasses
import json
import logging
import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_platform import detectors
from video_platform.analysis import detect
from video_platform.analysis.detect import DetectionParameters, Found, NanoDet, input_size, load_detector, non_maximum_suppression
from video_platform.errors import IntegrityError, SettingsError
from video_platform.settings import DetectionSettings, Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def detector():
    return load_detector("nanodet-g-int8", min_score=0.45)


@pytest.fixture(scope="module")
def plaza():
    """Second 12 of the sample clip: nine people, one of them behind a pole, and a van."""
    with av.open(str(ROOT / "samples" / "crossing.mp4")) as container:
        return next(frame.to_ndarray(format="bgr24") for frame in container.decode(video=0) if frame.time >= 12)


def people(found: Found) -> np.ndarray:
    return found.boxes[found.class_ids == 0]


def test_it_sees_the_people_of_the_sample_clip(detector, plaza):
    found = detector.detect(plaza)
    assert 7 <= len(people(found)) <= 10
    x, y = (people(found)[:, [0, 2]].mean(axis=1) * 768, people(found)[:, 3] * 576)
    for foot in ((526, 296), (704, 302), (388, 262)):  # read off the picture
        assert np.hypot(x - foot[0], y - foot[1]).min() < 12


def test_the_answer_has_the_promised_form(detector, plaza):
    found = detector.detect(plaza)
    assert (found.boxes.dtype, found.scores.dtype, found.class_ids.dtype) == (np.float32, np.float32, np.int16)
    assert ((found.boxes >= 0) & (found.boxes <= 1)).all()
    assert (found.boxes[:, :2] < found.boxes[:, 2:]).all()
    assert (np.diff(found.scores) <= 0).all()
    assert found.scores.min() >= 0.45


@pytest.mark.parametrize("size", [(1920, 1440), (640, 480), (480, 360)])
def test_boxes_do_not_depend_on_the_size_of_the_frame(detector, plaza, size):
    reference, other = people(detector.detect(plaza)), people(detector.detect(cv2.resize(plaza, size, interpolation=cv2.INTER_AREA)))
    close = np.abs(reference[:, None] - other[None]).max(axis=2).min(axis=1) < 0.02
    assert close.sum() >= len(reference) - 2


@pytest.mark.parametrize("shape", [(1, 1), (2, 3000), (3000, 2), (333, 777), (31, 33)])
def test_any_shape_of_picture_is_looked_at(detector, shape):
    found = detector.detect(np.full((*shape, 3), 127, np.uint8))
    assert found.boxes.shape == (len(found.scores), 4)


@pytest.mark.parametrize(
    "picture", [np.zeros((10, 10), np.uint8), np.zeros((10, 10, 4), np.uint8), np.zeros((10, 10, 3), np.float32), np.zeros((0, 5, 3), np.uint8)]
)
def test_what_is_no_picture_is_refused(detector, picture):
    with pytest.raises(ValueError, match="a picture is uint8"):
        detector.detect(picture)


def test_the_second_scale_finds_what_fills_the_frame(plaza):
    """One person of the clip, enlarged to most of the frame's height: beyond what one pass is good at."""
    person = cv2.resize(plaza[205:310, 480:570], (680, 794))
    one, two = (load_detector("nanodet-g-int8", min_score=0.2, second_scale=second).detect(person) for second in (False, True))
    tall = [found.scores[(found.class_ids == 0) & (found.boxes[:, 3] - found.boxes[:, 1] > 0.5)].max(initial=0) for found in (one, two)]
    assert tall[1] > max(tall[0], 0.45)


def test_the_input_fits_the_shape_of_the_frame():
    assert input_size(576, 768, detect.FULL_PIXELS) == (416, 320)
    assert input_size(1080, 1920, detect.FULL_PIXELS) == (480, 288)
    assert input_size(1920, 1080, detect.FULL_PIXELS) == (288, 480)
    assert input_size(576, 768, detect.SMALL_PIXELS) == (256, 192)


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_the_input_never_costs_more_than_it_may(height, width):
    net_w, net_h = input_size(height, width, detect.FULL_PIXELS)
    assert net_w * net_h <= detect.FULL_PIXELS
    assert net_w % 32 == net_h % 32 == 0


def test_suppression_keeps_the_better_of_two_and_never_across_classes():
    box, near, apart = (0.1, 0.1, 0.3, 0.5), (0.11, 0.1, 0.31, 0.5), (0.6, 0.1, 0.8, 0.5)
    found = Found(np.array([box, near, near, apart], np.float32), np.array([0.6, 0.9, 0.5, 0.3], np.float32), np.array([0, 0, 1, 0], np.int16))
    assert non_maximum_suppression(found, 0.5).tolist() == [1, 2, 3]
    assert non_maximum_suppression(found.take(np.zeros(0, int)), 0.5).tolist() == []


def test_the_shipped_file_is_the_registered_one(detector):
    entry = detectors.shipped("nanodet-g-int8")
    settings = Settings()
    assert entry == detectors.known(settings)
    assert (detector.name, detector.digest, detector.names) == (entry.name, detectors.model_digest(settings), detectors.class_names(settings))
    assert entry.files == {"nanodet_g_int8.onnx": entry.digest}
    assert len(set(detector.names)) == 80
    assert not detector.exact_sums


def test_an_unknown_detector_is_refused_by_name():
    with pytest.raises(SettingsError, match="no detector that ships is called 'yolo'; there is: nanodet-g-int8"):
        load_detector("yolo")
    with pytest.raises(SettingsError, match=r"no detector is called 'yolo'; known: .*nanodet-g-int8.*VIDEO_PLATFORM_MODELS__REGISTRY adds your own"):
        detectors.known(Settings(detection=DetectionSettings(model="yolo")))
    with pytest.raises(SettingsError, match="no detector is called 'whisper-small'"):
        detectors.known(Settings(detection=DetectionSettings(model="whisper-small")))


def test_a_changed_or_missing_file_is_refused(tmp_path):
    entry = detectors.shipped("nanodet-g-int8")
    (file,) = entry.files
    model = bytearray((entry.folder / file).read_bytes())
    model[1000] ^= 1
    (tmp_path / file).write_bytes(model)
    with pytest.raises(IntegrityError, match="has SHA-256"):
        load_detector(dataclasses.replace(entry, folder=tmp_path))
    with pytest.raises(IntegrityError, match=r"gone\.onnx is missing"):
        NanoDet(dataclasses.replace(entry, files={"gone.onnx": entry.digest}))


def test_where_scores_of_the_known_picture_are_off_exact_sums_are_used_and_said_so(caplog, plaza):
    entry = detectors.shipped("nanodet-g-int8")
    with caplog.at_level(logging.WARNING):
        exact = NanoDet(entry, reference=(0.5, 0.5), min_score=0.45)
    assert exact.exact_sums
    assert "exact sums" in caplog.text
    assert "report this CPU" in caplog.text
    fast = NanoDet(entry, min_score=0.45)
    assert np.array_equal(exact.detect(plaza).boxes, fast.detect(plaza).boxes)


def test_a_detector_travels_to_another_process_as_json():
    entry = detectors.shipped("nanodet-g-int8")
    assert detectors.KnownDetector.of(json.loads(json.dumps(entry.payload()))) == entry


def test_parameters_have_the_names_and_values_of_the_settings():
    assert DetectionParameters(**DetectionSettings().model_dump()) == DetectionParameters()


def test_names_and_digest_cost_no_import():
    code = "import sys, video_platform.detectors; sys.exit(bool({'numpy', 'onnxruntime', 'cv2', 'torch', 'transformers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
