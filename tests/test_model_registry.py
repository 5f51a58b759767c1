import json
import os
from itertools import pairwise
from pathlib import Path

import pytest
import tiny_models

from video_platform import detectors, model_files, model_registry
from video_platform.errors import ModelMissing, SettingsError
from video_platform.model_registry import COCO_CLASSES, Entry, SourceKind, Task
from video_platform.settings import DetectionSettings, ModelSettings, Settings

DETECTOR = {"name": "mine", "task": "detection", "source": "hub:owner/name", "licence": "MIT"}
HASH = "a" * 64


def registry_of(tmp_path, *entries, text=None):
    path = tmp_path / "mine.yaml"
    path.write_text(text if text is not None else json.dumps({"version": 1, "models": entries}))
    return model_registry.of(Settings(home=tmp_path, models=ModelSettings(registry=path)))


def test_what_ships_covers_every_task_and_says_where_from_and_under_which_licence():
    entries = model_registry.shipped().entries.values()
    assert {entry.task for entry in entries} == set(Task)
    assert all(entry.licence and entry.size_bytes for entry in entries)
    assert {entry.name for entry in entries if entry.detects} >= {"nanodet-g-int8", "dfine-nano", "rtdetr-v2-r18", "owlv2-base"}
    assert all(entry.revision for entry in entries if entry.kind in (SourceKind.HUB, SourceKind.PIP))
    nanodet = model_registry.shipped().entries["nanodet-g-int8"]
    assert (model_registry.SHIPPED_FOLDER / nanodet.place).stat().st_size == nanodet.size_bytes
    assert nanodet.classes == COCO_CLASSES


def test_one_entry_of_a_users_file_is_a_detector_and_needs_no_code(tmp_path):
    registry = registry_of(tmp_path, {**DETECTOR, "classes": ["person", "drone"]})
    assert "nanodet-g-int8" in registry.entries
    settings = Settings(home=tmp_path, models=ModelSettings(registry=tmp_path / "mine.yaml"), detection=DetectionSettings(model="mine"))
    assert detectors.class_names(settings) == ("person", "drone")
    with pytest.raises(ModelMissing, match=r"files of model mine are not in .*/models/mine; get them with: vp models pull mine"):
        detectors.known(settings)


def test_a_file_that_was_changed_is_read_again(tmp_path):
    assert "other" not in registry_of(tmp_path, DETECTOR).entries
    assert "other" in registry_of(tmp_path, {**DETECTOR, "name": "other"}).entries


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"name": "../up"}, "write a name of at most 64"),
        ({"name": "Mine"}, "write a name of at most 64"),
        ({"task": "cooking"}, "task: Input should be"),
        ({"licence": ""}, "licence: String should have at least 1"),
        ({"source": "git:owner/name"}, "is no source: write hub:OWNER/NAME"),
        ({"source": "hub:../../etc"}, "is no source"),
        ({"source": "hub:owner/name/../x"}, "is no source"),
        ({"source": "folder:relative"}, "is no source"),
        ({"source": "http://models.example/x/", "sha256": {"config.json": HASH}}, "http only on loopback"),
        ({"source": "https://models.example/x/"}, "needs sha256 with each file"),
        ({"source": "pip:package/../../etc"}, "is no source"),
        ({"source": "ollama:llama3"}, "tasks text and vision, and only they"),
        ({"revision": "../main"}, "a revision is a commit, tag or branch"),
        ({"sha256": {"model.safetensors": "abc"}}, "String should match pattern"),
        ({"sha256": {"pytorch_model.bin": HASH}}, "'pytorch_model.bin' is not taken for transformers"),
        ({"sha256": {"../config.json": HASH}}, "is not taken for transformers"),
        ({"sha256": {"modeling.py": HASH}}, "only weights that cannot hold code"),
        ({"engine": "ollama"}, "ollama does not do detection"),
        ({"task": "open-vocabulary"}, "an open vocabulary needs classes"),
        ({"classes": ["person", "person"]}, "two classes have the same name"),
        ({"classes": ["a\u202eb"]}, "is no name of a class"),
        ({"classes": [" person"]}, "is no name of a class"),
        ({"classes": [""]}, "is no name of a class"),
        ({"classes": [str(number) for number in range(2001)]}, "at most 2000"),
        ({"trust_remote_code": True}, "trust_remote_code: Extra inputs are not permitted"),
        ({"name": "nanodet-g-int8"}, "is there already; give yours another name"),
        ({"engine": "nanodet", "source": "package:nanodet_g_int8.onnx"}, "only the package itself has models of this kind"),
        ({"source": "model:owlv2-base"}, "looks for other classes"),
        ({"task": "open-vocabulary", "classes": ["kite"], "source": "model:dfine-nano"}, "names no open-vocabulary entry"),
        ({"task": "scenes", "source": "folder:/x"}, "only with their sha256"),
        ({"source": "folder:/x\0y"}, "is no source"),
        ({"source": "https://models.example:99999/x/", "sha256": {"config.json": HASH}}, "Port out of range"),
        ({"source": "https://me:secret@models.example/x/", "sha256": {"config.json": HASH}}, "is no source"),
        ({"size_bytes": 10**400}, "size_bytes: Input should be less than"),
    ],
)
def test_an_entry_that_cannot_be_used_is_named_with_what_is_wrong(tmp_path, changed, said):
    with pytest.raises(SettingsError) as caught:
        registry_of(tmp_path, {**DETECTOR, **changed})
    assert said in str(caught.value)
    assert str(tmp_path / "mine.yaml") in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "[]", "version: 2\nmodels: []", "models: [", "!!python/object/apply:os.system [exit 1]", "version: 1\nmodels: [1]", "\x00"]
)
def test_a_file_that_is_no_registry_is_refused_and_nothing_in_it_is_run(tmp_path, text):
    with pytest.raises(SettingsError, match="is no registry of models"):
        registry_of(tmp_path, text=text)


@pytest.mark.parametrize("value", ["2024-02-30", "9" * 5000])
def test_a_value_that_yaml_cannot_make_is_a_file_that_is_no_registry(tmp_path, value):
    with pytest.raises(SettingsError, match="is no registry of models"):
        registry_of(tmp_path, text=f"version: 1\nmodels:\n  - {{name: mine, revision: {value}}}\n")


def test_aliases_that_make_an_endless_text_of_a_few_lines_are_not_repeated(tmp_path):
    """Nine times nine, nine times over: written out it is gigabytes."""
    rows = [f"    {letter}: &{letter} [{', '.join(f'*{before}' for _ in range(9))}]" for before, letter in pairwise("abcdefghij")]
    with pytest.raises(SettingsError, match=r"model 1: .*name: Input should be a valid string") as caught:
        registry_of(tmp_path, text="\n".join(["version: 1", "models:", "  - licence: ours", "    a: &a [x, x]", *rows, "    name: *j"]))
    assert len(str(caught.value)) < 1000


def test_a_registry_that_is_not_there_or_too_large_names_the_variable(tmp_path):
    with pytest.raises(SettingsError, match=r"VIDEO_PLATFORM_MODELS__REGISTRY names .*gone\.yaml"):
        model_registry.of(Settings(home=tmp_path, models=ModelSettings(registry=tmp_path / "gone.yaml")))
    with pytest.raises(SettingsError, match="is no registry of models: it is larger"):
        registry_of(tmp_path, text="#" * (model_registry.MAX_REGISTRY_BYTES + 1))


def test_other_words_for_an_open_vocabulary_are_an_entry_that_uses_its_files(tmp_path):
    registry = registry_of(tmp_path, {"name": "drones", "task": "open-vocabulary", "source": "model:owlv2-base", "licence": "Apache-2.0", "classes": ["drone"]})
    entry = registry.entries["drones"]
    assert registry.holder(entry).name == "owlv2-base"
    assert model_files.folder(Settings(home=tmp_path), registry, entry) == tmp_path / "models" / "owlv2-base"
    with pytest.raises(ModelMissing, match=r"model drones .* vp models pull owlv2-base"):
        detectors.known(Settings(home=tmp_path, models=ModelSettings(registry=tmp_path / "mine.yaml"), detection=DetectionSettings(model="drones")))


def test_the_digest_changes_with_files_and_with_names_of_classes():
    one = model_files.digest({"model.safetensors": HASH}, ("person",))
    assert one == model_files.digest({"model.safetensors": HASH}, ("person",))
    assert len({one, model_files.digest({"model.safetensors": "b" * 64}, ("person",)), model_files.digest({"model.safetensors": HASH}, ("Person",))}) == 3


def test_what_asks_for_code_is_found_wherever_it_stands():
    assert model_files.wants_code(b'{"a": [{"auto_map": {}}]}') == "auto_map"
    assert model_files.wants_code(b'{"_attn_implementation": "owner/kernel"}') == "_attn_implementation"
    assert model_files.wants_code(b'{"_attn_implementation": "sdpa", "x": [1, "auto_map"]}') is None


def test_the_page_on_models_names_every_entry_that_ships():
    page = (Path(__file__).parents[1] / "docs" / "models.md").read_text()
    assert [name for name in model_registry.shipped().entries if f"`{name}`" not in page] == []


def test_entries_that_a_page_shows_can_be_used(tmp_path):
    page = (Path(__file__).parents[1] / "docs" / "models.md").read_text()
    shown = [block.partition("```")[0] for block in page.split("```yaml\n")[1:]]
    assert shown
    for text in shown:
        registry_of(tmp_path, text=text)


def test_tiny_entries_of_the_tests_are_entries(tmp_path):
    path = tiny_models.register(tmp_path / "mine.yaml", "tiny", tmp_path)
    assert Entry.model_validate(json.loads(path.read_text())["models"][0]).kind is SourceKind.FOLDER
    assert os.fspath(tmp_path) in path.read_text()
